package fieldmerge_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/lww"
)

// states are those of a random history: deltas, states in between, joins of a few.
func states(t *rapid.T, m fieldwise.Merger, doc func([]byte) flat, act func(*world, *region), setBig func(r *region, n int), crowd func(*region)) [][]byte {
	w := newWorld(t, m, 3)
	w.doc = doc
	for range rapid.IntRange(2, 12).Draw(t, "steps") {
		r := w.regions[rapid.IntRange(0, 2).Draw(t, "region")]
		switch k := rapid.IntRange(0, 39).Draw(t, "step"); {
		case k < 24:
			act(w, r)
		case k < 36:
			r.deliver(true)
		case k < 37:
			r.restart(false)
		case k < 39: // bins of every length at which a header grows
			n := rapid.IntRange(215, 262).Draw(t, "length")
			if k == 38 {
				n = rapid.IntRange(65500, 65540).Draw(t, "length")
			}
			setBig(r, n)
		default:
			crowd(r)
		}
	}
	all := [][]byte{nil}
	for _, x := range w.writes {
		all = append(all, x.delta)
	}
	for _, r := range w.regions {
		all = append(all, r.State)
	}
	return all
}

func join(t *rapid.T, m fieldwise.Merger, a, b []byte) []byte {
	wasA, wasB := bytes.Clone(a), bytes.Clone(b)
	out, err := m.Merge([]byte("dst"), a, b)
	if err != nil {
		t.Fatalf("Merge(%x, %x): %v", a, b, err)
	}
	if !bytes.Equal(a, wasA) || !bytes.Equal(b, wasB) {
		t.Fatalf("Merge changed its inputs %x and %x", wasA, wasB)
	}
	if !bytes.HasPrefix(out, []byte("dst")) {
		t.Fatalf("Merge(dst, %x, %x) lost what dst held", a, b)
	}
	return out[3:]
}

// obeysLaws checks all pairs and some triples.
func obeysLaws(t *rapid.T, m fieldwise.Merger, all [][]byte) {
	pick := func() []byte { return all[rapid.IntRange(0, len(all)-1).Draw(t, "state")] }
	for range 6 {
		a, b, c := pick(), pick(), pick()
		ab, ba := join(t, m, a, b), join(t, m, b, a)
		if !bytes.Equal(ab, ba) {
			t.Fatalf("not commutative: a\n%x, b\n%x, a+b\n%x, b+a\n%x", a, b, ab, ba)
		}
		if aa := join(t, m, a, a); !bytes.Equal(aa, a) {
			t.Fatalf("not idempotent: a\n%x, a+a\n%x", a, aa)
		}
		if again := join(t, m, ab, b); !bytes.Equal(again, ab) {
			t.Fatalf("not absorbing: a+b\n%x, a+b+b\n%x", ab, again)
		}
		left, right := join(t, m, ab, c), join(t, m, a, join(t, m, b, c))
		if !bytes.Equal(left, right) {
			t.Fatalf("not associative: a\n%x, b\n%x, c\n%x, (a+b)+c\n%x, a+(b+c)\n%x", a, b, c, left, right)
		}
		if x := join(t, m, nil, left); !bytes.Equal(x, left) {
			t.Fatalf("not neutral: %x becomes %x", left, x)
		}
	}
}

func TestLawsOfRecords(t *testing.T) {
	schema := mixedSchema(t)
	upsert := func(t *rapid.T, r *region, doc map[string]any) {
		d, err := fieldmerge.OpenDocuments(r, "d", schema)
		require.NoError(t, err)
		_, err = d.Upsert(context.Background(), key, setting(doc))
		require.NoError(t, err)
	}
	randtest.Check(t, 1000, 2500, func(t *rapid.T) {
		a := &fieldActs{schema: schema, reads: make(map[int][]map[string]any)}
		setBig := func(r *region, n int) {
			name := rapid.SampledFrom([]string{"a", "address", "addresses"}).Draw(t, "name")
			upsert(t, r, map[string]any{name: strings.Repeat("v", n), "state": bytes.Clone(r.State)})
		}
		obeysLaws(t, schema.Merger(), states(t, schema.Merger(), docOf(t, schema), a.act, setBig, func(r *region) {
			crowdInto(r, func(r *region) { upsert(t, r, map[string]any{"a": r.origin.Incarnation}) })
		}))
	})
}

// crowdInto lets many incarnations write without knowing of each other.
func crowdInto(r *region, write func(*region)) {
	all := r.State
	r.w.crowds++
	for i := range uint64(70) {
		alone := &region{w: r.w, origin: fieldwise.Origin{Region: r.origin.Region, Incarnation: 1000*r.w.crowds + i}, State: r.State}
		alone.w = &world{t: r.w.t, merger: r.w.merger, doc: r.w.doc}
		write(alone)
		all = join(r.w.t, r.w.merger, all, alone.State)
	}
	r.State = all
}

func TestLawsOfRegisters(t *testing.T) {
	policy := lww.Policy{}
	m := lww.NewMerger()
	put := func(t *rapid.T, r *region, v any) {
		d, err := crdt.OpenRegisters[any](r, "d", policy)
		require.NoError(t, err)
		_, err = d.Put(context.Background(), key, v)
		require.NoError(t, err)
	}
	randtest.Check(t, 1000, 2500, func(t *rapid.T) {
		setBig := func(r *region, n int) { put(t, r, append(bytes.Clone(r.State), make([]byte, n)...)) }
		doc := func([]byte) flat { return nil }
		obeysLaws(t, m, states(t, m, doc, anyWholeActs, setBig, func(r *region) { crowdInto(r, func(r *region) { put(t, r, r.origin.Incarnation) }) }))
	})
}

// anyWholeActs are writes whose values need not be strings.
func anyWholeActs(w *world, r *region) {
	m := lww.NewMerger()
	at := fieldwise.Version{Time: r.tick(), Origin: r.origin}
	var val []byte
	if rapid.IntRange(0, 4).Draw(w.t, "delete") > 0 {
		val = []byte(encode(drawAny(w.t)))
	}
	_, err := r.Write(context.Background(), key, func(dst, state []byte, _ fieldwise.Version) ([]byte, error) {
		return m.Set(dst, state, at, val)
	})
	if err != nil {
		w.fatalf("set: %v", err)
	}
}

// The exported check finds nothing wrong with states of a random history.
func TestLawsHoldByCheckLaws(t *testing.T) {
	t.Logf("seed 1, 2")
	rng := rand.New(rand.NewPCG(1, 2))
	ctx := context.Background()
	schema := mixedSchema(t)
	var samples [][]byte
	for round := range 3 {
		var regions []*stepped
		for _, name := range []fieldwise.Region{"a", "b", "c"} {
			regions = append(regions, newStepped(schema.Merger(), name, uint64(round)))
		}
		for range 8 {
			r := regions[rng.IntN(3)]
			d, err := fieldmerge.OpenDocuments(r, "d", schema)
			require.NoError(t, err)
			switch rng.IntN(6) {
			case 0:
				_, err = d.Delete(ctx, key)
			case 1:
				_, err = d.Create(ctx, key, map[string]any{"address-long": "x", "n": map[string]any{}})
			default:
				_, err = d.Upsert(ctx, key, setting(map[string]any{"a": rng.IntN(3), "n": map[string]any{"x": rng.IntN(2)}}))
			}
			require.True(t, expected(err), err)
			samples = append(samples, r.State)
			if o := regions[rng.IntN(3)]; rng.IntN(2) == 0 {
				r.join(t, o.State)
			}
		}
	}
	require.NoError(t, fieldwise.CheckLaws(func() fieldwise.Merger { return schema.Merger() }, samples...))
	require.NoError(t, fieldwise.CheckLaws(func() fieldwise.Merger { return fieldmerge.Merger{} }, samples...), "the zero value")
}
