package fieldmerge_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/lww"
	"github.com/fieldwise/fieldwise/regionpriority"
)

// mode says how messages travel in a history.
type mode int

const (
	causal  mode = iota // after all they knew of, each once
	chaotic             // in any order, lost, repeated, mixed with full states, restarts
)

// history runs a random history and checks the end; act makes one random write in a
// region.
func history(t *rapid.T, m fieldwise.Merger, how mode, doc func([]byte) flat, act func(*world, *region)) *world {
	w := newWorld(t, m, rapid.IntRange(2, 5).Draw(t, "regions"))
	w.doc, w.causal = doc, how == causal
	if w.causal {
		w.check = w.truthful
	}
	steps := rapid.IntRange(3, 30).Draw(t, "steps")
	for range steps {
		r := w.regions[rapid.IntRange(0, len(w.regions)-1).Draw(t, "region")]
		switch k := rapid.IntRange(0, 19).Draw(t, "step"); {
		case k < 9:
			act(w, r)
		case k < 17 || w.causal:
			r.deliver(!w.causal)
		case k < 19:
			r.sendState(w.regions[rapid.IntRange(0, len(w.regions)-1).Draw(t, "to")])
		default:
			r.restart(rapid.IntRange(0, 2).Draw(t, "lost") == 0)
		}
	}
	w.heal()
	w.converged()
	return w
}

// fields that collide in every way: prefixes, names of more than eight bytes, a value
// where another region puts a map, empty and escaped names.
var segments = []string{"a", "ab", "address", "addresses", "address-long", "n", "n", "n", "", "e.c", "\x01"}

func drawLeaf(t *rapid.T) any {
	return rapid.SampledFrom([]any{int64(0), int64(1), int64(2), "x", nil, map[string]any{}, []any{int64(1)}}).Draw(t, "leaf")
}

func drawAny(t *rapid.T) any {
	if rapid.IntRange(0, 3).Draw(t, "nested") > 0 {
		return drawLeaf(t)
	}
	m := make(map[string]any)
	for range rapid.IntRange(0, 2).Draw(t, "entries") {
		v := drawLeaf(t)
		if rapid.IntRange(0, 4).Draw(t, "deep") == 0 {
			v = map[string]any{"y": drawLeaf(t)}
		}
		m[rapid.SampledFrom([]string{"x", "y", "."}).Draw(t, "entry")] = v
	}
	return m
}

func drawDoc(t *rapid.T) map[string]any {
	doc := make(map[string]any)
	for range rapid.IntRange(0, 3).Draw(t, "fields") {
		doc[rapid.SampledFrom(segments).Draw(t, "name")] = drawAny(t)
	}
	return doc
}

// mutate changes a document in one or two places.
func mutate(t *rapid.T, doc map[string]any) {
	for range rapid.IntRange(1, 2).Draw(t, "changes") {
		m := doc
		name := rapid.SampledFrom(segments).Draw(t, "name")
		if inner, ok := m[name].(map[string]any); ok && rapid.IntRange(0, 2).Draw(t, "inside") > 0 {
			m, name = inner, rapid.SampledFrom([]string{"x", "y"}).Draw(t, "entry")
		}
		if rapid.IntRange(0, 3).Draw(t, "remove") == 0 {
			delete(m, name)
		} else {
			m[name] = drawAny(t)
		}
	}
}

func clone(doc map[string]any) map[string]any {
	c := maps.Clone(doc)
	for k, v := range c {
		if m, ok := v.(map[string]any); ok {
			c[k] = clone(m)
		}
	}
	return c
}

// effects are what turns one document into another.
func effects(from, to flat) map[string]string {
	e := make(map[string]string)
	for p, v := range to {
		if old, ok := from[p]; !ok || old != v {
			e[p] = v
		}
	}
	for p := range from {
		if _, ok := to[p]; !ok {
			e[p] = unset
		}
	}
	return e
}

// dropNoOps removes effects that a reader saw before the write.
func dropNoOps(e map[string]string, seen flat) {
	for p, v := range e {
		if old, ok := seen[p]; ok && old == v || !ok && v == unset {
			delete(e, p)
		}
	}
}

// fieldActs are random writes through the typed face. reads are documents that a caller
// in the region read earlier, and still holds.
type fieldActs struct {
	schema *fieldmerge.DocumentSchema
	reads  map[int][]map[string]any
}

func (a *fieldActs) act(w *world, r *region) {
	t, ctx := w.t, context.Background()
	d, err := fieldmerge.OpenDocuments(r, "d", a.schema)
	require.NoError(t, err)
	before, err := d.Get(ctx, key)
	live := err == nil
	if live {
		a.reads[r.number] = append(a.reads[r.number], clone(before))
	}
	seen := flatten(before)
	r.made = nil
	var name string
	var want map[string]string // the effects
	var exact map[string]any   // what the record shall show; nil where that is not known
	k := rapid.IntRange(0, 20).Draw(t, "write")
	if !live && k < 14 {
		k = 14
	}
	switch {
	case k < 6:
		name = "update"
		var to map[string]any
		_, err = d.Update(ctx, key, func(doc map[string]any) error {
			mutate(t, doc)
			to = clone(doc)
			return nil
		})
		want, exact = effects(seen, flatten(to)), to
	case k < 9:
		name = "patch"
		p := fieldmerge.Patch{Set: make(map[string]any)}
		want = make(map[string]string)
		path := func() string {
			s := []string{rapid.SampledFrom(segments).Draw(t, "name")}
			if rapid.Bool().Draw(t, "below") {
				s = append(s, "x")
			}
			return fieldmerge.JoinPath(s...)
		}
		one := path()
		if rapid.IntRange(0, 2).Draw(t, "unset") == 0 {
			p.Unset = append(p.Unset, one)
			want[one] = unset
			for q := range seen {
				if below(q, one) {
					want[q] = unset
				}
			}
		} else {
			v := drawAny(t)
			p.Set[one] = v
			f := make(flat)
			if m, ok := v.(map[string]any); ok {
				f[one] = marker
				f.add(one+".", m)
			} else {
				f[one] = encode(v)
			}
			for q := range seen {
				if below(q, one) {
					want[q] = unset
				}
			}
			maps.Copy(want, f)
		}
		_, err = d.Patch(ctx, key, p)
	case k < 12:
		name = "replace"
		reads := a.reads[r.number]
		from := reads[rapid.IntRange(0, len(reads)-1).Draw(t, "from")]
		to := clone(from)
		mutate(t, to)
		want = effects(flatten(from), flatten(to))
		if maps.Equal(flatten(from), seen) {
			exact = to
		}
		_, err = d.Replace(ctx, key, from, to)
	case k < 14:
		name = "upsert"
		doc := drawDoc(t)
		want = flatten(doc)
		_, err = d.Upsert(ctx, key, setting(doc))
	case live && k < 17:
		name = "delete"
		_, err = d.Delete(ctx, key)
	default:
		name = "create"
		doc := drawDoc(t)
		want, exact = flatten(doc), doc
		if rapid.Bool().Draw(t, "upsert") && !live {
			_, err = d.Upsert(ctx, key, setting(doc))
		} else {
			_, err = d.Create(ctx, key, doc)
		}
		if live {
			require.ErrorIs(t, err, fieldwise.ErrExists)
			return
		}
	}
	if err != nil {
		w.fatalf("region %d: %s: %v", r.number, name, err)
	}
	if r.made == nil {
		dropNoOps(want, seen)
		for p, v := range want { // a stale replace leaves what it does not name, and so the map around it
			if name == "replace" && v == unset && seen[p] == marker {
				delete(want, p)
			}
		}
		if len(want) > 0 {
			w.fatalf("region %d: %s wrote nothing, though %q changes what %q shows", r.number, name, want, seen)
		}
		return
	}
	r.made.name = name
	after := w.doc(r.State)
	if r.made.deletes = name == "delete"; r.made.deletes {
		if after != nil {
			w.fatalf("region %d: deleted, and shows %q", r.number, after)
		}
		w.logf("%s", r.made)
		return
	}
	for p, v := range want {
		if v == unset { // above and below something that the same write sets
			continue
		}
		if name != "replace" || exact != nil {
			if after[p] != v {
				w.fatalf("region %d: %s of %q=%x shows %q", r.number, name, p, v, after)
			}
		}
	}
	if name != "create" {
		dropNoOps(want, seen)
	}
	r.made.effects = want
	w.logf("%s", r.made)
	if exact != nil && !maps.Equal(after, flatten(exact)) {
		w.fatalf("region %d: %s: the record shows\n%q, written was\n%q", r.number, name, after, flatten(exact))
	}
}

func newSchema(t require.TestingT, options ...fieldmerge.Option) *fieldmerge.DocumentSchema {
	s, err := fieldmerge.NewDocumentSchema(options...)
	require.NoError(t, err)
	return s
}

// docOf reads a state through the typed face.
func docOf(t require.TestingT, s *fieldmerge.DocumentSchema) func([]byte) flat {
	return func(state []byte) flat {
		d, err := fieldmerge.OpenDocuments(&region{State: state}, "d", s)
		require.NoError(t, err)
		doc, err := d.Get(context.Background(), key)
		if err != nil {
			require.ErrorIs(t, err, fieldwise.ErrNotFound)
			return nil
		}
		return flatten(doc)
	}
}

func mixedSchema(t require.TestingT) *fieldmerge.DocumentSchema {
	return newSchema(t, fieldmerge.Default(fieldmerge.LWW), fieldmerge.Ranks("c", "a"),
		fieldmerge.Field("n.**", fieldmerge.Priority), fieldmerge.Field("a", fieldmerge.Priority), fieldmerge.Field("address-*", fieldmerge.Priority))
}

func survivalOfFields(t *testing.T, how mode, n, long int) {
	schema := mixedSchema(t)
	randtest.Check(t, n, long, func(t *rapid.T) {
		a := &fieldActs{schema: schema, reads: make(map[int][]map[string]any)}
		history(t, schema.Merger(), how, docOf(t, schema), a.act).survival()
	})
}

// Causal delivery, each delta once: what the log does. Reports are true as well.
func TestSurvivalOfFieldsUnderCausalDelivery(t *testing.T) { survivalOfFields(t, causal, 1500, 6000) }

// Any order, losses that a full state heals, repeats, restarts: everything converges and
// still nothing disappears in silence.
func TestSurvivalAndConvergenceOfFieldsInChaos(t *testing.T) {
	survivalOfFields(t, chaotic, 1500, 6000)
}

// wholeActs are random writes of whole records.
func wholeActs(policy crdt.Policy) func(w *world, r *region) {
	return func(w *world, r *region) {
		t, ctx := w.t, context.Background()
		d, err := crdt.OpenRegisters[string](r, "d", policy)
		require.NoError(t, err)
		r.made = nil
		if rapid.IntRange(0, 4).Draw(t, "delete") == 0 {
			if _, err = d.Delete(ctx, key); !expected(err) {
				w.fatalf("delete: %v", err)
			}
			if r.made != nil {
				r.made.name, r.made.effects = "delete", map[string]string{"": unset}
			}
		} else {
			v := rapid.SampledFrom([]string{"p", "q", "r", "longer than eight bytes", strings.Repeat("s", 260)}).Draw(t, "value")
			_, err = d.Put(ctx, key, v)
			require.NoError(t, err)
			if r.made != nil {
				r.made.name, r.made.effects = "put", map[string]string{"": encode(v)}
			}
			got, err := d.Get(ctx, key)
			require.NoError(t, err)
			require.Equal(t, v, got)
		}
		if r.made != nil {
			w.logf("%s", r.made)
		}
	}
}

func docOfWhole(t require.TestingT, policy crdt.Policy) func([]byte) flat {
	return func(state []byte) flat {
		d, err := crdt.OpenRegisters[string](&region{State: state}, "d", policy)
		require.NoError(t, err)
		v, err := d.Get(context.Background(), key)
		if err != nil {
			require.ErrorIs(t, err, fieldwise.ErrNotFound)
			return nil
		}
		return flat{"": encode(v)}
	}
}

func survivalOfWhole(t *testing.T, policy crdt.Policy, how mode, n, long int) {
	randtest.Check(t, n, long, func(t *rapid.T) {
		history(t, crdt.NewMVRegister(policy), how, docOfWhole(t, policy), wholeActs(policy)).survival()
	})
}

func ranks(t *testing.T) crdt.Policy {
	p, err := regionpriority.NewPolicy("b", "a")
	require.NoError(t, err)
	return p
}

func TestSurvivalOfLWWUnderCausalDelivery(t *testing.T) {
	survivalOfWhole(t, lww.Policy{}, causal, 1000, 3000)
}

func TestSurvivalAndConvergenceOfLWWInChaos(t *testing.T) {
	survivalOfWhole(t, lww.Policy{}, chaotic, 1000, 3000)
}

func TestSurvivalOfPriorityUnderCausalDelivery(t *testing.T) {
	survivalOfWhole(t, ranks(t), causal, 1000, 3000)
}

func TestSurvivalAndConvergenceOfPriorityInChaos(t *testing.T) {
	survivalOfWhole(t, ranks(t), chaotic, 1000, 3000)
}

var _ = slices.Sorted[string]
