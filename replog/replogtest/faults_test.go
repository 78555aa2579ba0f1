package replogtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/internal/wire"
)

type person struct {
	Name string            `merge:"name,lww"`
	Home string            `merge:"home,priority"`
	Tags map[string]string `merge:"tags,each=lww"`
}

type chosen struct {
	Name string `merge:"name,lww"`
	Plan string `merge:"plan,custom=plan"`
}

// money forgets its currency.
type money struct {
	Amount   int
	Currency string
}

func (m money) MarshalText() ([]byte, error) { return []byte(strconv.Itoa(m.Amount)), nil }

func (m *money) UnmarshalText(text []byte) (err error) {
	m.Amount, err = strconv.Atoi(string(text))
	return err
}

type item struct {
	Name  string `merge:"name,lww"`
	Price money  `merge:"price,lww"`
}

func typedFace[T any](t testing.TB, options ...fieldmerge.Option) face {
	t.Helper()
	schema, err := fieldmerge.NewSchema[T](options...)
	require.NoError(t, err)
	return &typed[T]{schema: schema, maker: newMaker()}
}

func people(t testing.TB) face {
	return typedFace[person](t, fieldmerge.Ranks("us-east-1", "eu-west-1"))
}

// gauge has fields of all three kinds.
type gauge struct {
	High int    `merge:"high,max"`
	Low  int    `merge:"low,min"`
	Name string `merge:"name,lww"`
}

func gauges(t testing.TB) face { return typedFace[gauge](t) }

// tally has a field of each mechanism that is no register.
type tally struct {
	Logins crdt.GCounter      `merge:"logins,gcounter"`
	Stock  int                `merge:"stock,pncounter"`
	Score  crdt.PNCounter     `merge:"score,pncounter"`
	Tags   crdt.ORSet[string] `merge:"tags,orset"`
	Labels []string           `merge:"labels,orset"`
	Badges []string           `merge:"badges,gset"`
	Opted  crdt.EWFlag        `merge:"opted,ewflag"`
	Lines  []string           `merge:"lines,list"`
}

// count is a counter and nothing else.
type count struct {
	Count int `merge:"count,pncounter"`
}

func counted(t testing.TB) face { return typedFace[count](t) }

// tags and choice are a set and a flag and nothing else.
type tags struct {
	Tags crdt.ORSet[string] `merge:"tags,orset"`
}

func tagged(t testing.TB) face { return typedFace[tags](t) }

type choice struct {
	On crdt.EWFlag `merge:"on,ewflag"`
}

func switched(t testing.TB) face { return typedFace[choice](t) }

// house has a struct whose fields are fields, and no counter.
type house struct {
	Home home `merge:"home,nested"`
}

type home struct {
	City string `merge:"city,lww"`
	Zip  int    `merge:"zip,lww"`
}

func housed(t testing.TB) face { return typedFace[house](t) }

// badge has a set that only grows.
type badge struct {
	Badges []string `merge:"badges,gset"`
	Name   string   `merge:"name,lww"`
}

func badges(t testing.TB) face { return typedFace[badge](t) }

func tallies(t testing.TB) face { return typedFace[tally](t) }

func withPlan(t testing.TB, policy func([]fieldmerge.Sibling[string]) (string, error)) face {
	return typedFace[chosen](t, fieldmerge.Custom("plan", policy))
}

// mergerFault is the schema's merger with a fault.
type mergerFault struct {
	fieldmerge.Merger
	merge     func(m fieldwise.Merger, dst, a, b []byte) ([]byte, error)
	conflicts func(found []fieldwise.Conflict, state, delta []byte) []fieldwise.Conflict
}

func (m mergerFault) Merge(dst, a, b []byte) ([]byte, error) {
	if m.merge == nil || len(a) == 0 || len(b) == 0 {
		return m.Merger.Merge(dst, a, b)
	}
	return m.merge(m.Merger, dst, a, b)
}

func (m mergerFault) Conflicts(dst []fieldwise.Conflict, state, delta []byte) ([]fieldwise.Conflict, error) {
	found, err := m.Merger.Conflicts(dst, state, delta)
	if m.conflicts != nil {
		found = m.conflicts(found, state, delta)
	}
	return found, err
}

func (m mergerFault) plant() plant {
	return plant{merger: func(real fieldwise.Merger) fieldwise.Merger {
		m.Merger = real.(fieldmerge.Merger)
		return m
	}}
}

// supersede marks items of a live record as superseded.
func supersede(state []byte, which func(k lattice.Kind, items []lattice.Item, i int) bool) []byte {
	return rewritten(state, func(k lattice.Kind, items []lattice.Item, i int) lattice.Item {
		it := items[i]
		if which(k, items, i) {
			it = lattice.Item{Index: it.Index, Time: it.Time, Superseded: true}
		}
		return it
	})
}

// rewritten is the state of a live record with other items in its fields.
func rewritten(state []byte, to func(k lattice.Kind, items []lattice.Item, i int) lattice.Item) []byte {
	_, fields, live, err := cutState(state)
	if err != nil || !live {
		return state
	}
	out := slices.Clone(state[:len(state)-len(fields)])
	for len(fields) > 0 {
		f, after, _ := lattice.CutField(fields)
		fields = after
		var items []lattice.Item
		for body := f.Body; len(body) > 0; {
			var it lattice.Item
			it, body, _ = lattice.CutItem(body)
			items = append(items, it)
		}
		f.Body = nil
		for i := range items {
			f.Body = lattice.AppendItem(f.Body, to(f.Kind, items, i))
		}
		out = lattice.AppendField(out, f)
	}
	return out
}

func older(_ lattice.Kind, items []lattice.Item, i int) bool {
	return slices.ContainsFunc(items, func(it lattice.Item) bool { return !it.Superseded && it.Time > items[i].Time })
}

// larger says which values of a field of max are not the smallest.
func larger(k lattice.Kind, items []lattice.Item, i int) bool {
	return k == lattice.KindMax && len(items[i].Value) > 0 && slices.ContainsFunc(items, func(it lattice.Item) bool {
		return len(it.Value) > 0 && lattice.Compare(items[i].Value, it.Value) > 0
	})
}

// inWindow decides between two values of a field by their origins where they are near in
// time, and else by their times.
func inWindow(_ lattice.Kind, items []lattice.Item, i int) bool {
	const window = 4 << 16 // 4 ms
	for j, it := range items {
		if j == i || it.Superseded || items[i].Superseded {
			continue
		}
		near := max(it.Time, items[i].Time)-min(it.Time, items[i].Time) < window
		if near && j < i || !near && it.Time > items[i].Time {
			return true
		}
	}
	return false
}

// reportInWindow reports all that inWindow drops, so that nothing is lost in silence.
func reportInWindow(found []fieldwise.Conflict, state, delta []byte) []fieldwise.Conflict {
	found = slices.DeleteFunc(found, func(c fieldwise.Conflict) bool { return c.Kind != fieldwise.ConflictDelete })
	joined, _ := fieldmerge.Merger{}.Merge(nil, state, delta)
	kept := supersede(joined, inWindow)
	paths, _, _ := pathsOf(joined)
	for _, path := range paths {
		all, _ := siblingsAt(joined, path)
		left, _ := siblingsAt(kept, path)
		for _, s := range all {
			if !slices.ContainsFunc(left, func(l fieldwise.Sibling) bool { return lattice.SameValue(l, s) }) {
				found = append(found, fieldwise.Conflict{Kind: fieldwise.ConflictUpdate, Field: path, Loser: s, Policy: "window"})
			}
		}
	}
	return found
}

// storeFault is a region's store with a fault.
type storeFault struct {
	*region
	write func(r *region, change changeFunc) (fieldwise.Receipt, error)
}

type changeFunc = func(dst, state []byte, at fieldwise.Version) ([]byte, error)

func (s storeFault) Write(_ context.Context, _ string, change changeFunc) (fieldwise.Receipt, error) {
	return s.write(s.region, change)
}

// domainFault is a domain with a fault.
type domainFault struct {
	domain
	putUnder    func(d domain, under *reading, to any) (fieldwise.Receipt, error)
	afterUpdate func(d domain) (fieldwise.Receipt, error)
	patched     func(d domain, p fieldmerge.Patch, under *reading) (fieldwise.Receipt, error)
	listed      func(path string, all []fieldmerge.Sibling[any])
	got         func(v any) any
}

func (d domainFault) patch(p fieldmerge.Patch, under *reading) (fieldwise.Receipt, error) {
	if d.patched != nil {
		return d.patched(d.domain, p, under)
	}
	return d.domain.patch(p, under)
}

func (d domainFault) siblings(path string) ([]fieldmerge.Sibling[any], error) {
	all, err := d.domain.siblings(path)
	if d.listed != nil {
		d.listed(path, all)
	}
	return all, err
}

func (d domainFault) get() (any, error) {
	v, err := d.domain.get()
	if d.got != nil && err == nil {
		v = d.got(v)
	}
	return v, err
}

func (d domainFault) put(under *reading, to any) (fieldwise.Receipt, error) {
	if d.putUnder != nil {
		return d.putUnder(d.domain, under, to)
	}
	return d.domain.put(under, to)
}

func (d domainFault) update(change func(any) any, under *reading) (fieldwise.Receipt, error) {
	receipt, err := d.domain.update(change, under)
	if d.afterUpdate != nil && err == nil && receipt.IsZero() {
		return d.afterUpdate(d.domain)
	}
	return receipt, err
}

var calls int // of a policy that counts

// fault is a mistake in a schema or in what lies below it.
type fault struct {
	name   string
	oracle string // that finds it
	face   func(testing.TB) face
	next   func(testing.TB) face // of a second release; nil: there is none
	plant  plant
	says   string // what the story has
	seed   uint64 // of the histories in which this oracle is the first to find it; zero means 1
}

// faults are planted one by one.
var faults = []fault{
	{
		name: "a policy that depends on the order of a map", oracle: oracleConverge, says: "order of a map",
		face: func(t testing.TB) face {
			return withPlan(t, func(siblings []fieldmerge.Sibling[string]) (string, error) {
				set := make(map[string]bool)
				for _, s := range siblings {
					set[s.Value] = true
				}
				for v := range set {
					return v, nil
				}
				return "", nil
			})
		},
	},
	{name: "a policy that counts its calls", oracle: oracleConverge, says: "plan", face: func(t testing.TB) face {
		return withPlan(t, func(siblings []fieldmerge.Sibling[string]) (string, error) {
			calls++
			return siblings[calls%len(siblings)].Value, nil
		})
	}},
	{name: "a policy that depends on the clock", oracle: oracleConverge, says: "clock", face: func(t testing.TB) face {
		return withPlan(t, func([]fieldmerge.Sibling[string]) (string, error) { return time.Now().String(), nil })
	}},
	{name: "a policy that panics on unset or empty values", oracle: oraclePolicy, says: "index out of range", face: func(t testing.TB) face {
		return withPlan(t, func(siblings []fieldmerge.Sibling[string]) (string, error) {
			for _, s := range siblings {
				_ = s.Value[0]
			}
			return siblings[0].Value, nil
		})
	}},
	{name: "a policy that fails", oracle: oraclePolicy, says: `no plan "b"`, face: func(t testing.TB) face {
		return withPlan(t, func(siblings []fieldmerge.Sibling[string]) (string, error) {
			for _, s := range siblings {
				if s.Value == "b" {
					return "", fmt.Errorf("no plan %q", s.Value)
				}
			}
			return siblings[0].Value, nil
		})
	}},
	{name: "a codec that loses a part", oracle: oracleRoundTrip, says: "Price.Currency", face: func(t testing.TB) face { return typedFace[item](t) }},

	{name: "a merger that drops the older value of a field in silence", oracle: oracleSurvival, seed: 10, says: "without a trace", face: people, plant: mergerFault{
		merge: func(m fieldwise.Merger, dst, a, b []byte) ([]byte, error) {
			joined, err := m.Merge(dst, a, b)
			return supersede(joined, older), err
		},
		conflicts: func(found []fieldwise.Conflict, _, _ []byte) []fieldwise.Conflict {
			return slices.DeleteFunc(found, func(c fieldwise.Conflict) bool { return c.Kind != fieldwise.ConflictDelete })
		},
	}.plant()},
	{name: "a merger whose ties go to what comes in", oracle: oracleLaws, says: "a + b is not b + a", face: people, plant: mergerFault{
		merge: func(m fieldwise.Merger, dst, a, b []byte) ([]byte, error) {
			joined, err := m.Merge(dst, a, b)
			return supersede(joined, func(_ lattice.Kind, items []lattice.Item, i int) bool {
				for j, it := range items {
					if j != i && !it.Superseded && !items[i].Superseded && it.Time == items[i].Time {
						return bytesIndex(b, it) && !bytesIndex(b, items[i])
					}
				}
				return false
			}), err
		},
	}.plant()},
	{name: "a merger that ranks values inside a window of time", oracle: oracleSurvival, says: "without a trace", face: people, plant: mergerFault{
		// It passes every pair: near in time the lower origin wins, else the later value.
		merge: func(m fieldwise.Merger, dst, a, b []byte) ([]byte, error) {
			joined, err := m.Merge(dst, a, b)
			return supersede(joined, inWindow), err
		},
		conflicts: reportInWindow,
	}.plant()},
	{name: "a reporter that reports nothing", oracle: oracleSurvival, says: "no report of", face: people, plant: mergerFault{
		conflicts: func([]fieldwise.Conflict, []byte, []byte) []fieldwise.Conflict { return nil },
	}.plant()},
	{name: "a reporter that does not report deletes", oracle: oracleSurvival, says: "deletes the record", face: people, plant: mergerFault{
		conflicts: func(found []fieldwise.Conflict, _, _ []byte) []fieldwise.Conflict {
			return slices.DeleteFunc(found, func(c fieldwise.Conflict) bool { return c.Kind == fieldwise.ConflictDelete })
		},
	}.plant()},
	{name: "a reporter that takes the winner for the loser", oracle: oracleReports, says: "and shows it", face: people, plant: mergerFault{
		conflicts: func(found []fieldwise.Conflict, _, _ []byte) []fieldwise.Conflict {
			for i := range found {
				if !found[i].Winner.Version.IsZero() && found[i].Winner.Value != nil {
					found[i].Loser, found[i].Winner = found[i].Winner, found[i].Loser
				}
			}
			return found
		},
	}.plant()},

	{name: "a merger that keeps the smaller of two values of a max", oracle: oracleLaws, says: "(a + b) + c", face: gauges, plant: mergerFault{
		merge: func(m fieldwise.Merger, dst, a, b []byte) ([]byte, error) {
			joined, err := m.Merge(dst, a, b)
			return supersede(joined, larger), err
		},
	}.plant()},
	{name: "a reporter that takes what a max does not show for lost", oracle: oracleReports, says: "what the field is for", face: gauges, plant: mergerFault{
		conflicts: func(found []fieldwise.Conflict, state, delta []byte) []fieldwise.Conflict {
			before, _ := siblingsAt(state, "high")
			joined, _ := fieldmerge.Merger{}.Merge(nil, state, delta)
			after, _ := siblingsAt(joined, "high")
			for _, s := range after {
				if most := best(lattice.Extreme(lattice.KindMax), after); s.Value != nil && string(s.Value) != string(most) && len(before) < len(after) {
					found = append(found, fieldwise.Conflict{Kind: fieldwise.ConflictUpdate, Field: "high", Loser: s, Policy: "max"})
				}
			}
			return found
		},
	}.plant()},
	{name: "a domain that shows the smaller of two values of a max", oracle: oracleConverge, says: "and the max is", face: gauges, plant: plant{domain: func(_ *world, d domain) domain {
		return domainFault{domain: d, listed: func(path string, all []fieldmerge.Sibling[any]) {
			if path == "high" && len(all) == 2 && all[0].Shown != all[1].Shown && !all[0].Absent && !all[1].Absent {
				all[0].Shown, all[1].Shown = !all[0].Shown, !all[1].Shown
			}
		}}
	}}},
	{name: "a domain whose records show a min that is too large", oracle: oracleConverge, says: "and the min is", face: gauges, plant: plant{domain: func(w *world, d domain) domain {
		return domainFault{domain: d, got: func(v any) any {
			g := v.(gauge)
			if w.step.id < 0 { // in the end
				g.Low++
			}
			return g
		}}
	}}},
	{name: "a store that lets a max go back", oracle: oracleErrors, says: "an ErrDirection was due", face: gauges, plant: plant{store: func(r *region) fieldwise.Store {
		return storeFault{r, func(r *region, change changeFunc) (fieldwise.Receipt, error) {
			return r.Write(ctx, key, func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
				if r.w.act.under == nil {
					state = lowered(state)
				}
				return change(dst, state, at)
			})
		}}
	}}},
	{name: "a domain that refuses what goes on", oracle: oracleErrors, says: "does not go back in high", face: gauges, plant: plant{domain: func(_ *world, d domain) domain {
		return domainFault{domain: d, patched: func(d domain, p fieldmerge.Patch, under *reading) (fieldwise.Receipt, error) {
			if _, ok := p.Set["high"]; ok {
				return fieldwise.Receipt{}, &fieldmerge.FieldError{Field: "high", Err: fieldmerge.ErrDirection}
			}
			return d.patch(p, under)
		}}
	}}},
	{name: "a domain that refuses what goes back and writes it", oracle: oracleErrors, says: "goes in one direction", face: gauges, plant: plant{domain: func(_ *world, d domain) domain {
		return domainFault{domain: d, patched: func(d domain, p fieldmerge.Patch, under *reading) (fieldwise.Receipt, error) {
			receipt, err := d.patch(p, under)
			if errors.Is(err, fieldmerge.ErrDirection) {
				_, _ = d.patch(fieldmerge.Patch{Unset: slices.Sorted(maps.Keys(p.Set))}, nil)
			}
			return receipt, err
		}}
	}}},

	{name: "a store that ignores tokens", oracle: oracleTokens, says: "which the token does not show", face: people, plant: plant{domain: func(_ *world, d domain) domain {
		return domainFault{domain: d, putUnder: func(d domain, under *reading, to any) (fieldwise.Receipt, error) { return d.replace(under.value, to) }}
	}}},
	{name: "a store that shows writers under tokens an old state", oracle: oracleTokens, says: "a ChangedError was due", face: people, plant: plant{store: func(r *region) fieldwise.Store {
		return storeFault{r, func(r *region, change changeFunc) (fieldwise.Receipt, error) {
			return r.Write(ctx, key, func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
				if n := len(r.past); n > 0 && r.w.act.under != nil && len(r.past[n-1].state) > 0 {
					state = r.past[n-1].state
				}
				return change(dst, state, at)
			})
		}}
	}}},
	{name: "a store that acknowledges what it does not write", oracle: oracleErrors, says: "nothing was written", face: people, plant: plant{store: func(r *region) fieldwise.Store {
		return storeFault{r, func(r *region, change changeFunc) (fieldwise.Receipt, error) {
			if r.seq < 2 {
				return r.Write(ctx, key, change)
			}
			at := fieldwise.Version{Time: r.clock.Now(), Origin: r.origin}
			delta, err := change(nil, r.now.state, at)
			if err != nil || len(delta) == 0 {
				return fieldwise.Receipt{}, err
			}
			return fieldwise.Receipt{Origin: r.origin, Seq: r.seq, Time: at.Time}, nil
		}}
	}}},
	{name: "a domain that writes where nothing changed", oracle: oracleNoOp, says: "changes nothing", face: people, plant: plant{domain: func(w *world, d domain) domain {
		return domainFault{domain: d, afterUpdate: func(d domain) (fieldwise.Receipt, error) {
			if w.act.doing != unchanged {
				return fieldwise.Receipt{}, nil
			}
			return d.patch(fieldmerge.Patch{Set: map[string]any{"tags.touched": time.Now().String()}}, nil)
		}}
	}}},
}

// mechanismFaults are mistakes with fields that are no registers. Most of them are in what
// writes do: the states that they leave are valid, and merge well.
var mechanismFaults = []fault{
	{name: "a counter that joins by sum", oracle: oracleLaws, says: "merged already", face: tallies, plant: mergerFault{
		merge: func(m fieldwise.Merger, dst, a, b []byte) ([]byte, error) {
			joined, err := m.Merge(dst, a, b)
			if err != nil || lifeOf(a) != lifeOf(b) {
				return joined, err
			}
			return recounted(joined, func(path string, c *lattice.Count, origin fieldwise.Origin) {
				if x, y := countAt(a, path, origin), countAt(b, path, origin); x.Up > 0 && y.Up > 0 {
					c.Up = x.Up + y.Up
				}
			}), nil
		},
	}.plant()},
	{name: "a merger whose resets dominate", oracle: oracleSums, says: "come to", face: tallies, plant: mergerFault{
		// It is a lawful join: who once reset a counter leaves nothing in it.
		merge: func(m fieldwise.Merger, dst, a, b []byte) ([]byte, error) {
			joined, err := m.Merge(dst, a, b)
			reset := make(map[string]bool)
			_ = recounted(joined, func(path string, c *lattice.Count, _ fieldwise.Origin) {
				reset[path] = reset[path] || c.BaseUp > 0 || c.BaseDown > 0
			})
			return recounted(joined, func(path string, c *lattice.Count, _ fieldwise.Origin) {
				if reset[path] {
					c.BaseUp, c.BaseDown = c.Up, c.Down
				}
			}), err
		},
	}.plant()},
	{name: "a reset that takes back what it did not know of", oracle: oracleSums, says: "resets", face: counted, plant: knowingAll(func(f effect) bool { return f.resets })},
	{name: "a remove that beats a concurrent add", oracle: oracleSums, says: "removes", face: tagged, plant: knowingAll(func(f effect) bool {
		return f.kind == lattice.KindSet && len(f.gone) > 0
	})},
	{name: "a flag where off wins", oracle: oracleSums, says: "off", face: switched, plant: knowingAll(func(f effect) bool {
		return f.kind == lattice.KindFlag && len(f.added) == 0
	})},
	{name: "a delete that claims to know of all", oracle: oracleSurvival, says: "deletes the record", face: tallies, plant: plant{store: func(r *region) fieldwise.Store {
		return storeFault{r, func(r *region, change changeFunc) (fieldwise.Receipt, error) {
			return r.Write(ctx, key, func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
				if all := r.w.everything(); r.w.act.doing == "deletes" && lifeOf(all) == lifeOf(state) {
					state = all
				}
				return change(dst, state, at)
			})
		}}
	}}},
	{name: "a delta that removes what it skips", oracle: oracleSums, says: "come to", face: tallies, plant: plant{store: func(r *region) fieldwise.Store {
		// It begins anew what its region knows of a field, and so covers its earlier adds.
		return storeFault{r, func(r *region, change changeFunc) (fieldwise.Receipt, error) {
			return r.Write(ctx, key, func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
				if r.w.act.doing == "updates" {
					state = withoutField(state, "tags")
				}
				return change(dst, state, at)
			})
		}}
	}}},
	{name: "a merger that takes the set with more elements", oracle: oracleSums, says: "come to", face: tallies, plant: mergerFault{
		// An old full state brings back what was removed.
		merge: func(m fieldwise.Merger, dst, a, b []byte) ([]byte, error) {
			joined, err := m.Merge(dst, a, b)
			for _, x := range [][]byte{a, b} {
				if lifeOf(a) == lifeOf(b) && elements(x, "tags") > elements(joined, "tags") {
					return x, err
				}
			}
			return joined, err
		},
	}.plant()},
	{name: "an add of what is there that counts for nothing", oracle: oracleErrors, says: "nothing was written", face: tallies, plant: plant{store: func(r *region) fieldwise.Store {
		return storeFault{r, func(r *region, change changeFunc) (fieldwise.Receipt, error) {
			return r.Write(ctx, key, func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
				delta, err := change(dst, state, at)
				if err == nil && r.w.act.doing == "updates" && len(delta) > 0 {
					after := r.w.merge(state, delta)
					if paths, _, _ := pathsOf(delta); slices.Equal(paths, []string{"tags"}) && sameShown(state, after, "tags") {
						return nil, nil
					}
				}
				return delta, err
			})
		}}
	}}},
	{name: "a Put that writes the absolute number", oracle: oracleSums, says: "counts", face: tallies, plant: putting(func(d domain, under *reading, to tally) (fieldwise.Receipt, error) {
		from := under.value.(tally)
		if now, err := d.get(); err == nil && to.Stock != from.Stock {
			to.Stock += from.Stock - now.(tally).Stock
		}
		return d.put(under, to)
	})},
	{name: "a patch under a token that writes the absolute number", oracle: oracleSums, says: "patches", face: counted, plant: patching(func(d domain, p fieldmerge.Patch, under *reading) (fieldwise.Receipt, error) {
		n, sets := p.Set["count"].(int)
		if now, err := d.get(); err == nil && sets && under != nil {
			is, was := now.(count).Count, under.value.(count).Count
			if n != is && n != was {
				p.Set = map[string]any{"count": n - is + was}
			}
		}
		return d.patch(p, under)
	})},
	{name: "a patch of a struct that leaves what it does not name", oracle: oracleRoundTrip, says: "home", face: housed, plant: patching(func(d domain, p fieldmerge.Patch, under *reading) (fieldwise.Receipt, error) {
		if h, sets := p.Set["home"].(home); sets && h.City != "" && h.Zip == 0 {
			p.Set = map[string]any{"home.city": h.City}
		}
		return d.patch(p, under)
	})},
	{name: "a patch of a map that leaves what it does not name", oracle: oracleRoundTrip, says: "tags", face: people, plant: patching(func(d domain, p fieldmerge.Patch, under *reading) (fieldwise.Receipt, error) {
		if all, sets := p.Set["tags"].(map[string]string); sets && len(all) > 0 {
			p.Set = make(map[string]any)
			for k, v := range all {
				p.Set[fieldmerge.JoinPath("tags", k)] = v
			}
		}
		return d.patch(p, under)
	})},
	{name: "a write that assigns the whole slice", oracle: oracleSums, says: "labels", face: tallies, plant: putting(func(d domain, under *reading, to tally) (fieldwise.Receipt, error) {
		from := under.value.(tally)
		labels := to.Labels
		if slices.Equal(labels, from.Labels) {
			return d.put(under, to)
		}
		if to.Labels = from.Labels; differ("", reflect.ValueOf(from), reflect.ValueOf(to)) == "" {
			return d.patch(fieldmerge.Patch{Set: map[string]any{"labels": labels}}, nil)
		}
		to.Labels = labels
		return d.put(under, to)
	})},
	{name: "a gset that refuses to drop an element and drops all", oracle: oracleSums, says: "come to", face: badges, plant: plant{domain: func(_ *world, d domain) domain {
		return domainFault{domain: d, patched: func(d domain, p fieldmerge.Patch, under *reading) (fieldwise.Receipt, error) {
			receipt, err := d.patch(p, under)
			if _, ok := p.Set["badges"]; ok && errors.Is(err, fieldmerge.ErrDirection) {
				_, _ = d.patch(fieldmerge.Patch{Unset: []string{"badges"}}, nil)
			}
			return receipt, err
		}}
	}}},
	{name: "a gset that lets an element go", oracle: oracleErrors, says: "an ErrDirection was due", face: badges, plant: plant{domain: func(_ *world, d domain) domain {
		return domainFault{domain: d, patched: func(d domain, p fieldmerge.Patch, under *reading) (fieldwise.Receipt, error) {
			receipt, err := d.patch(p, under)
			if _, ok := p.Set["badges"]; ok && errors.Is(err, fieldmerge.ErrDirection) {
				return fieldwise.Receipt{}, nil
			}
			return receipt, err
		}}
	}}},
	{name: "a list that shows an element twice", oracle: oracleRoundTrip, says: "Lines", face: tallies, plant: showing(func(v *tally) {
		if n := len(v.Lines); n == 2 {
			v.Lines = append(v.Lines, v.Lines[n-1])
		}
	})},
	{name: "a list that loses one of two equal elements", oracle: oracleRoundTrip, says: "Lines", face: tallies, plant: showing(func(v *tally) {
		v.Lines = slices.Compact(slices.Clone(v.Lines))
	})},
	{name: "a domain that shows a set without its last element", oracle: oracleRoundTrip, says: "Labels", face: tallies, plant: showing(func(v *tally) {
		if n := len(v.Labels); n > 1 {
			v.Labels = v.Labels[:n-1]
		}
	})},
	{name: "records that in the end count one too many", oracle: oracleSums, says: "and the field is", face: tallies, plant: plant{domain: func(w *world, d domain) domain {
		return domainFault{domain: d, got: func(v any) any {
			c := v.(tally)
			if w.step.id < 0 {
				c.Stock++
			}
			return c
		}}
	}}},
	{name: "a reporter that does not report what a delete drops of counters", oracle: oracleSurvival, says: "is gone without a trace", face: tallies, plant: droppingReports(func(c fieldwise.Conflict) bool {
		return c.Field == "stock"
	})},
	{name: "a reporter that does not report what a delete drops of sets", oracle: oracleSurvival, says: "is gone without a trace", face: tallies, plant: droppingReports(func(c fieldwise.Conflict) bool {
		return c.Field == "tags"
	})},
	{name: "a reporter that reports what was not counted", oracle: oracleReports, says: "and that is", face: tallies, plant: mergerFault{
		conflicts: func(found []fieldwise.Conflict, _, _ []byte) []fieldwise.Conflict {
			for i := range found {
				if found[i].Field == "stock" {
					found[i].Loser.Value = wire.AppendInt(nil, 100)
				}
			}
			return found
		},
	}.plant()},
	{name: "a reporter that takes concurrent adds for a conflict", oracle: oracleReports, says: "comes together", face: tallies, plant: mergerFault{
		conflicts: func(found []fieldwise.Conflict, state, delta []byte) []fieldwise.Conflict {
			a, _ := siblingsAt(state, "tags")
			if b, _ := siblingsAt(delta, "tags"); len(a) == 1 && len(b) == 1 && lifeOf(state) == lifeOf(delta) {
				found = append(found, fieldwise.Conflict{Kind: fieldwise.ConflictUpdate, Field: "tags", Loser: a[0], Winner: b[0]})
			}
			return found
		},
	}.plant()},
	{name: "a reset under a token that takes back what it does not show", oracle: oracleSums, says: "resets count under the token", face: counted, plant: resetting(func(w *world, under *reading) bool {
		return w.showsAll(under, func(x *write) bool { return x.region == w.act.r })
	})},
	{name: "a reset under a token that takes back what its own region counted since", oracle: oracleTokens, says: "which the token does not show", face: counted, plant: resetting(func(w *world, under *reading) bool {
		return w.showsAll(under, func(x *write) bool { return x.region != w.act.r })
	})},
}

// restoreFaults are mistakes that harm nobody until a region is restored.
var restoreFaults = []fault{
	{name: "a restored region that keeps its incarnation", oracle: oracleSurvival, says: "is restored", face: people, plant: plant{
		begun: func(r *region, before fieldwise.Origin) { r.origin = before },
	}},
	{name: "a restored region that keeps its incarnation and counts", oracle: oracleSums, says: "is restored", face: counted, plant: plant{
		begun: func(r *region, before fieldwise.Origin) { r.origin = before },
	}},
	{name: "a merger in which the newest incarnation of a region speaks for all of them", oracle: oracleSurvival, says: "is restored", face: people, plant: mergerFault{
		// It is a lawful join that keeps one value of each region.
		merge: func(m fieldwise.Merger, dst, a, b []byte) ([]byte, error) {
			joined, err := m.Merge(dst, a, b)
			table, _, _, _ := cutState(joined)
			return supersede(joined, func(_ lattice.Kind, items []lattice.Item, i int) bool {
				return slices.ContainsFunc(items, func(it lattice.Item) bool { return succeeds(table, it.Index, items[i].Index) })
			}), err
		},
		conflicts: func(found []fieldwise.Conflict, _, _ []byte) []fieldwise.Conflict {
			return slices.DeleteFunc(found, func(c fieldwise.Conflict) bool {
				return c.Kind != fieldwise.ConflictDelete && c.Winner.Version.Origin.Region == c.Loser.Version.Origin.Region
			})
		},
	}.plant()},
	{name: "a counter of which only the newest incarnation of a region counts", oracle: oracleSums, says: "is restored", face: counted, plant: mergerFault{
		merge: func(m fieldwise.Merger, dst, a, b []byte) ([]byte, error) {
			joined, err := m.Merge(dst, a, b)
			table, _, _, _ := cutState(joined)
			return recounted(joined, func(_ string, c *lattice.Count, _ fieldwise.Origin) {
				for i := range table.Origins() {
					if succeeds(table, i, c.Index) {
						c.BaseUp, c.BaseDown = c.Up, c.Down
					}
				}
			}), err
		},
	}.plant()},
}

// succeeds reports whether the origin at i is a later incarnation of the region of the one
// at j.
func succeeds(table lattice.Table, i, j int) bool {
	all := table.Origins()
	return all[i].Region == all[j].Region && all[i].Incarnation > all[j].Incarnation
}

// showsAll reports whether a token shows all that some of the writes counted.
func (w *world) showsAll(under *reading, of func(*write) bool) bool {
	for d := range w.act.r.now.shall.fields["count"] {
		if x := w.writes[d.write]; of(x) && !under.knew.has(x.id()) {
			return false
		}
	}
	return true
}

// before and after are two releases.
type before struct {
	Name string `merge:"name,lww"`
}

type after struct {
	Name  string `merge:"name,priority"`
	Email string `merge:"email,lww"`
}

func old(t testing.TB) face { return typedFace[before](t) }

func next(t testing.TB) face { return typedFace[after](t, fieldmerge.Ranks("us-east-1", "eu-west-1")) }

// releaseFaults are mistakes that harm nobody while all regions run one release.
var releaseFaults = []fault{
	{name: "a release that unsets what it does not know", oracle: oracleSurvival, says: "does not know", face: old, next: next, plant: plant{domain: func(w *world, d domain) domain {
		return domainFault{domain: d, patched: func(d domain, p fieldmerge.Patch, under *reading) (fieldwise.Receipt, error) {
			r := w.act.r
			if shown, _ := siblingsAt(r.now.state, "email"); r.release == 1 || len(shown) == 0 || under != nil {
				return d.patch(p, under)
			}
			schema, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW))
			if err != nil {
				return fieldwise.Receipt{}, err
			}
			all, err := fieldmerge.OpenDocuments(r, domainName, schema)
			if err != nil {
				return fieldwise.Receipt{}, err
			}
			return all.Patch(ctx, key, fieldmerge.Patch{Set: p.Set, Unset: append(slices.Clone(p.Unset), "email")})
		}}
	}}},
	{name: "a merger that drops what the policy of its release hides", oracle: oracleLaws, says: "the releases merge", face: old, next: next, plant: mergerFault{
		merge: func(m fieldwise.Merger, dst, a, b []byte) ([]byte, error) {
			joined, err := m.Merge(dst, a, b)
			found, _ := m.(fieldwise.ConflictReporter).Conflicts(nil, a, b)
			table, _, _, _ := cutState(joined)
			return supersede(joined, func(_ lattice.Kind, items []lattice.Item, i int) bool {
				return slices.ContainsFunc(found, func(c fieldwise.Conflict) bool {
					return c.Loser.Version == fieldwise.Version{Time: items[i].Time, Origin: table.Origins()[items[i].Index]}
				})
			}), err
		},
	}.plant()},
}

// cart has a list of objects that merge field by field.
type cart struct {
	Lines []cartLine `merge:"lines,list=sku"`
}

type cartLine struct {
	SKU   string `merge:"sku,lww"`
	Note  string `merge:"note,lww"`
	Count int    `merge:"count,pncounter"`
}

func carts(t testing.TB) face { return typedFace[cart](t) }

// objectFaults are mistakes with lists by key.
var objectFaults = []fault{
	{name: "a Put that writes the whole list", oracle: oracleTokens, says: "lines", face: carts, plant: puttingCarts(func(d domain, _, to cart, _ *reading) (fieldwise.Receipt, error) {
		return d.patch(fieldmerge.Patch{Set: map[string]any{"lines": to.Lines}}, nil)
	})},
	{name: "a Put that finds objects by their places", oracle: oracleSums, says: "lines", face: carts, plant: puttingCarts(func(d domain, from, to cart, under *reading) (fieldwise.Receipt, error) {
		v, err := d.get()
		now, _ := v.(cart)
		if err != nil || len(now.Lines) != len(from.Lines) || len(to.Lines) != len(from.Lines) {
			return d.put(under, to)
		}
		merged := cart{slices.Clone(now.Lines)}
		for i := range to.Lines {
			if to.Lines[i] != from.Lines[i] {
				merged.Lines[i] = to.Lines[i]
			}
		}
		return d.replace(now, merged)
	})},
	{name: "a list by key in the order of the keys", oracle: oracleRoundTrip, says: "SKU", face: carts, plant: plant{domain: func(_ *world, d domain) domain {
		return domainFault{domain: d, got: func(v any) any {
			lines := slices.Clone(v.(cart).Lines)
			slices.SortFunc(lines, func(a, b cartLine) int { return strings.Compare(a.SKU, b.SKU) })
			return cart{lines}
		}}
	}}},
	{name: "a list by key that does not show objects without fields", oracle: oracleRoundTrip, says: "SKU", face: carts, plant: plant{domain: func(_ *world, d domain) domain {
		return domainFault{domain: d, got: func(v any) any {
			return cart{slices.DeleteFunc(slices.Clone(v.(cart).Lines), func(l cartLine) bool { return l == cartLine{SKU: l.SKU} })}
		}}
	}}},
	{name: "a reporter that does not report what others changed in an object that is removed", oracle: oracleSurvival, says: "is gone without a trace", face: carts, plant: droppingReports(func(c fieldwise.Conflict) bool {
		return c.Kind == fieldwise.ConflictShape
	})},
	{name: "a reporter that does not report an object that is removed while another adds it", oracle: oracleSurvival, says: "is gone without a trace", face: carts, plant: droppingReports(func(c fieldwise.Conflict) bool {
		return c.Kind != fieldwise.ConflictDelete && string(c.Loser.Value) == marker
	})},
}

// puttingCarts is putting for carts.
func puttingCarts(put func(d domain, from, to cart, under *reading) (fieldwise.Receipt, error)) plant {
	return plant{domain: func(_ *world, d domain) domain {
		return domainFault{domain: d, putUnder: func(d domain, under *reading, to any) (fieldwise.Receipt, error) {
			return put(d, under.value.(cart), to.(cart), under)
		}}
	}}
}

// patching patches in another way.
func patching(patch func(d domain, p fieldmerge.Patch, under *reading) (fieldwise.Receipt, error)) plant {
	return plant{domain: func(_ *world, d domain) domain { return domainFault{domain: d, patched: patch} }}
}

// resetting forgets the tokens of patches that reset a counter.
func resetting(forgets func(w *world, under *reading) bool) plant {
	return plant{domain: func(w *world, d domain) domain {
		return domainFault{domain: d, patched: func(d domain, p fieldmerge.Patch, under *reading) (fieldwise.Receipt, error) {
			if under != nil && len(p.Unset) > 0 && forgets(w, under) {
				under = nil
			}
			return d.patch(p, under)
		}}
	}}
}

// knowingAll shows a writer all that any region holds, if all that the write does is of a
// kind and readers see the same here and there, but for sums.
func knowingAll(is func(effect) bool) plant {
	return plant{store: func(r *region) fieldwise.Store {
		return storeFault{r, func(r *region, change changeFunc) (fieldwise.Receipt, error) {
			return r.Write(ctx, key, func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
				all, edits := r.w.everything(), r.w.act.edits()
				knows := lifeOf(all) == lifeOf(state) && r.w.act.under == nil && len(edits) > 0
				for path, e := range edits {
					f, _ := r.w.act.effect(&write{step: r.w.step, region: r}, path, e, r.now.shall.fields[path])
					knows = knows && is(f)
				}
				paths, _, _ := pathsOf(all)
				for _, path := range paths {
					m, _ := r.w.mechanism(path)
					knows = knows && (m.kind == lattice.KindCounter || sameShown(all, state, path))
				}
				if knows {
					if delta, err := change(dst, all, at); len(delta) > 0 {
						return delta, err
					}
				}
				return change(dst, state, at)
			})
		}}
	}}
}

// sameShown reports whether two states show one value of a field.
func sameShown(a, b []byte, path string) bool {
	x, _ := siblingsAt(a, path)
	y, _ := siblingsAt(b, path)
	return len(x) == 1 && len(y) == 1 && string(x[0].Value) == string(y[0].Value)
}

// everything is what all regions together hold.
func (w *world) everything() (all []byte) {
	for _, r := range w.regions {
		all = w.merge(all, r.now.state)
	}
	return all
}

// putting puts records in another way.
func putting(put func(d domain, under *reading, to tally) (fieldwise.Receipt, error)) plant {
	return plant{domain: func(_ *world, d domain) domain {
		return domainFault{domain: d, putUnder: func(d domain, under *reading, to any) (fieldwise.Receipt, error) {
			return put(d, under, to.(tally))
		}}
	}}
}

// showing changes what readers get.
func showing(change func(v *tally)) plant {
	return plant{domain: func(_ *world, d domain) domain {
		return domainFault{domain: d, got: func(v any) any {
			c := v.(tally)
			change(&c)
			return c
		}}
	}}
}

func droppingReports(of func(fieldwise.Conflict) bool) plant {
	return mergerFault{conflicts: func(found []fieldwise.Conflict, _, _ []byte) []fieldwise.Conflict {
		return slices.DeleteFunc(found, of)
	}}.plant()
}

// elements is how many there are in a set.
func elements(state []byte, path string) int {
	all, _ := siblingsAt(state, path)
	if len(all) == 0 {
		return 0
	}
	return len(partsOf(all[0].Value))
}

// withoutField is the state of a live record that never had a field.
func withoutField(state []byte, path string) []byte {
	_, fields, live, err := cutState(state)
	if err != nil || !live {
		return state
	}
	out := slices.Clone(state[:len(state)-len(fields)])
	for len(fields) > 0 {
		f, after, _ := lattice.CutField(fields)
		if fields = after; string(f.Name) != path {
			out = lattice.AppendField(out, f)
		}
	}
	return out
}

// recounted is the state of a live record with other counts in its counters.
func recounted(state []byte, to func(path string, c *lattice.Count, origin fieldwise.Origin)) []byte {
	table, fields, live, err := cutState(state)
	if err != nil || !live {
		return state
	}
	out, origins := slices.Clone(state[:len(state)-len(fields)]), table.Origins()
	for len(fields) > 0 {
		f, after, _ := lattice.CutField(fields)
		fields = after
		if f.Kind == lattice.KindCounter {
			var body []byte
			for rest := f.Body; len(rest) > 0; {
				var c lattice.Count
				c, rest, _ = lattice.CutCount(rest)
				to(string(f.Name), &c, origins[c.Index])
				body = lattice.AppendCount(body, c)
			}
			f.Body = body
		}
		out = lattice.AppendField(out, f)
	}
	return out
}

// countAt is what an origin counted in a field.
func countAt(state []byte, path string, origin fieldwise.Origin) (found lattice.Count) {
	_ = recounted(state, func(p string, c *lattice.Count, o fieldwise.Origin) {
		if p == path && o == origin {
			found = *c
		}
	})
	return found
}

// lowered is a state whose fields of max have a very small value.
func lowered(state []byte) []byte {
	return rewritten(state, func(k lattice.Kind, items []lattice.Item, i int) lattice.Item {
		it := items[i]
		if k == lattice.KindMax && len(it.Value) > 0 && !it.IsAbsent() {
			it.Value = wire.AppendInt(nil, -100)
		}
		return it
	})
}

// bytesIndex reports whether a state has the timestamp of an item; good enough for a fault.
func bytesIndex(state []byte, it lattice.Item) bool {
	return strings.Contains(string(state), string(lattice.AppendItem(nil, it)[1:]))
}

func TestSurvivalChecksFindPlantedFaults(t *testing.T) {
	for _, fault := range slices.Concat(faults, mechanismFaults, restoreFaults, objectFaults, releaseFaults) {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			releases := []face{fault.face(t)}
			if fault.next != nil {
				releases = append(releases, fault.next(t))
			}
			c, err := newChecker(Options{Seed: max(fault.seed, 1)}, releases...)
			require.NoError(t, err)
			c.plant = fault.plant
			if testing.Short() {
				c.tries = 10 // the stories are told by others
			}
			found := c.check()
			require.NotNil(t, found, "not found in %d histories", c.Histories)
			story := found.story(t.Name())
			require.Equal(t, fault.oracle, found.oracle, story)
			require.Contains(t, story, fault.says)
			t.Logf("found in history %d by %q, %d steps of %d left", found.index, found.oracle, len(found.world.history.steps), found.steps)
			if testing.Verbose() {
				t.Log(story)
			}
		})
	}
}

// A policy that fails may be what the service wants.
func TestConvergeWithPolicyErrorsAllowed(t *testing.T) {
	f := withPlan(t, func([]fieldmerge.Sibling[string]) (string, error) { return "", errors.New("ask me later") })
	c, err := newChecker(Options{Histories: fewer(100), Seed: randtest.Seed(t), AllowPolicyErrors: true}, f)
	require.NoError(t, err)
	found := c.check()
	if found != nil {
		t.Fatal(found.story(t.Name()))
	}
	require.NotZero(t, c.concurrent)
}
