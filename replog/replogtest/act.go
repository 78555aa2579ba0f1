package replogtest

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/value"
)

// act is a write that goes on.
type act struct {
	w      *world
	r      *region
	d      domain
	rnd    *rand.Rand
	before view
	shown  any               // what a reader saw before; nil if there was no record
	live   bool              // there was one
	was    map[string]string // what it showed, by path, if the record has fields that are no registers

	doing  string
	under  *reading // the token
	given  bool     // it gives the values of fields, and not a record
	base   any      // the record that it was made from; nil: what the region shows
	asks   document // what it sets, by path; a whole record stands at ""
	unsets []string // paths
	want   any      // what the record shall show; nil where that is not known

	settles string // a field
	settled string // that field, if it is to have one value now
	chosen  string // that value, where chooses is set
	chooses bool
}

func (w *world) write(r *region) {
	a := &act{w: w, r: r, d: w.open(r), rnd: w.step.rand(), before: r.now}
	a.shown, a.live = w.get(r)
	if paths, _, _ := pathsOf(r.now.state); slices.ContainsFunc(paths, w.isMechanism) {
		a.was = w.shown(r)
	}
	w.act = a
	receipt, err := a.do(w.step.kind)
	a.outcome(receipt, err)
}

func (a *act) sample() any      { return a.r.face().sample(a.rnd, a.w.step.plain) }
func (a *act) change(v any) any { return a.r.face().change(a.rnd, v, a.w.step.plain) }

// follow moves the fields of max and min of a record that was drawn on from those that
// are shown.
func (a *act) follow(v any) any {
	if !a.live {
		return v
	}
	return a.r.face().follow(a.rnd, a.shown, v)
}

func (a *act) patch() fieldmerge.Patch {
	return a.r.face().patch(a.rnd, a.shown, a.follow(a.r.face().sample(a.rnd, false)))
}

// token is one whose record the release of the region can write.
func (a *act) token() *reading { return a.w.reading(a.r, a.rnd, true) }

func (a *act) sometimes() *reading {
	if a.rnd.IntN(4) > 0 {
		return nil
	}
	return a.w.reading(a.r, a.rnd, false)
}

// do makes the write. On a record that is not there everything but an upsert is a
// create, and a create of one that is there is an update: what they give instead is
// checked on the way.
func (a *act) do(k kind) (fieldwise.Receipt, error) {
	switch {
	case k == create && a.live:
		if k = update; !a.w.step.plain {
			receipt, err := a.d.create(a.sample())
			a.refused("create", receipt, err, fieldwise.ErrExists)
		}
	case k != create && k != upsert && !a.live:
		if k = create; !a.w.step.plain {
			receipt, err := a.d.update(a.change, nil)
			a.refused("update", receipt, err, fieldwise.ErrNotFound)
		}
	}
	switch k {
	case create:
		a.doing, a.want = "creates", a.sample()
		a.asks = document{"": a.want}
		return a.d.create(a.want)
	case upsert:
		a.doing, a.want = "upserts", a.follow(a.sample())
		a.asks = document{"": a.want}
		return a.d.upsert(func(v any) any { return a.r.face().graft(v, a.want) })
	case patch:
		a.doing, a.given, a.under = "patches", true, a.sometimes()
		p := a.patch()
		a.asks, a.unsets = p.Set, p.Unset
		return a.d.patch(p, a.under)
	case put:
		if a.under = a.token(); a.under != nil {
			to := a.change(a.under.value)
			a.doing, a.base, a.asks = "puts", a.under.value, document{"": to}
			return a.d.put(a.under, to)
		}
	case replace:
		if from := a.token(); from != nil {
			to := a.change(from.value)
			a.doing, a.base, a.asks = "replaces", from.value, document{"": to}
			return a.d.replace(from.value, to)
		}
	case resolve:
		return a.resolve()
	case remove:
		a.doing, a.under = "deletes", a.sometimes()
		return a.d.delete(a.under)
	}
	a.doing, a.under = "updates", a.sometimes()
	to := a.change(a.shown)
	a.asks = document{"": to}
	if a.under == nil {
		a.want = to
	}
	return a.d.update(func(v any) any { return a.r.face().graft(v, to) }, a.under)
}

// resolve settles a field that has several values or, where there is none, any field.
func (a *act) resolve() (fieldwise.Receipt, error) {
	a.doing = "settles"
	paths := slices.DeleteFunc(slices.Sorted(maps.Keys(a.w.shown(a.r))), func(path string) bool {
		return a.inObjectThatIsGone(path) || a.r.ignores(path)
	})
	if len(paths) == 0 {
		return fieldwise.Receipt{}, nil
	}
	several := slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return len(a.siblings(a.before.state, p)) < 2 })
	if len(several) > 0 {
		paths = several
	}
	path := paths[a.rnd.IntN(len(paths))]
	a.settles = path
	if a.under = a.sometimes(); a.under == nil {
		a.settled = path
	}
	if a.rnd.IntN(2) == 0 {
		all := a.siblings(a.before.state, path)
		one := all[a.rnd.IntN(len(all))]
		m, _ := a.w.mechanism(path)
		one.Value = withoutRemoved(m, path, one.Value, a.was)
		a.chosen, a.chooses = string(one.Value), m.kind != lattice.KindKeyed
		if one.Value != nil {
			v, _ := value.Any(one.Value)
			a.asks = document{path: v}
		}
		return a.d.resolve(path, fieldmerge.KeepVersion(one.Version), a.under)
	}
	for path, v := range a.patch().Set {
		if m, _ := a.w.mechanism(path); m.kind != lattice.KindKeyed && slices.Contains(paths, path) {
			a.settled, a.given, a.asks = "", true, document{path: v}
			return a.d.resolve(path, fieldmerge.KeepValue(v), a.under)
		}
	}
	return a.d.resolve(path, fieldmerge.KeepShown(), a.under)
}

func (a *act) siblings(state []byte, path string) []fieldwise.Sibling {
	all, err := siblingsAt(state, path)
	if err != nil {
		a.w.fail(oracleErrors, "a state cannot be read: %v", err)
	}
	return all
}

// refused demands that a write failed with an error and wrote nothing.
func (a *act) refused(what string, receipt fieldwise.Receipt, err, want error) {
	if !errors.Is(err, want) || !receipt.IsZero() || a.w.made != nil {
		a.w.fail(oracleErrors, "%s of a record in %s: want %v, got %v", what, a.r, want, err)
	}
}
