package fieldmerge_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

// allocated is how many bytes f allocates, or less than limit. Others allocate too, so
// more than the limit has to show three times.
func allocated(limit uint64, f func()) (n uint64) {
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		if n = after.TotalAlloc - before.TotalAlloc; n <= limit {
			return n
		}
	}
	return n
}

// fuzzSeeds are states of all shapes.
func fuzzSeeds(t require.TestingT, schema *fieldmerge.DocumentSchema) (seeds [][]byte) {
	ctx := context.Background()
	a, b := newStepped(schema.Merger(), "a", 1), newStepped(schema.Merger(), "bb", 1<<63)
	use := func(s *stepped, f func(d *fieldmerge.Documents) error) {
		d, err := fieldmerge.OpenDocuments(s, "d", schema)
		require.NoError(t, err)
		require.NoError(t, f(d))
		seeds = append(seeds, s.delta, s.State)
	}
	use(a, func(d *fieldmerge.Documents) error {
		_, err := d.Create(ctx, key, map[string]any{"a": 1, "": "x", "address-long": map[string]any{"x": []any{nil}}, "e.c": map[string]any{}})
		return err
	})
	use(b, func(d *fieldmerge.Documents) error {
		_, err := d.Create(ctx, key, map[string]any{"address-long": 2, "n": map[string]any{"x": bytes.Repeat([]byte("v"), 300)}})
		return err
	})
	b.join(t, a.State)
	use(b, func(d *fieldmerge.Documents) error {
		_, err := d.Patch(ctx, key, fieldmerge.Patch{Set: map[string]any{"n.x": 7}, Unset: []string{"a"}})
		return err
	})
	use(a, func(d *fieldmerge.Documents) error { _, err := d.Delete(ctx, key); return err })
	a.join(t, b.State)
	use(a, func(d *fieldmerge.Documents) error { _, err := d.Create(ctx, key, nil); return err })
	seeds = append(seeds, mechanismSeeds(t)...)
	return append(seeds, nil, []byte{1, 0xc4, 0}, []byte{1, 0xc6, 0xff, 0xff, 0xff, 0xff}, []byte{2, 0xc4, 0})
}

// mechanismSeeds are states with fields of every mechanism.
func mechanismSeeds(t require.TestingT) (seeds [][]byte) {
	site := newStepped(mechanismSchema(t).Merger(), "a", 1)
	d, err := fieldmerge.Open(site, "d", mechanismSchema(t))
	require.NoError(t, err)
	fill := func(m *mechanisms) {
		m.Up.Inc(300)
		m.Sum.Dec(2)
		m.Tags.Add("x", "y")
		m.Seen.Add(1)
		m.Set, m.List = []string{"s"}, []string{"l", "l", "m"}
		m.On.Enable()
	}
	_, err = d.Upsert(ctx(), key, func(v *everyMechanism) error {
		fill(&v.mechanisms)
		v.All = []keyedMechanisms{{ID: "k"}}
		fill(&v.All[0].mechanisms)
		return nil
	})
	require.NoError(t, err)
	seeds = append(seeds, site.State)
	site.origin.Incarnation = 2
	_, err = d.Update(ctx(), key, func(v *everyMechanism) error {
		v.Sum.Reset()
		v.Tags.Remove("x")
		v.List = []string{"m", "l", "n"}
		v.All = append(v.All, keyedMechanisms{ID: "j"})
		return nil
	})
	require.NoError(t, err)
	return append(seeds, site.delta, site.State)
}

// On any bytes nothing panics and little is allocated; what passes the check obeys the
// laws, has its conflicts reported and can be read and deleted.
func FuzzMergeRecord(f *testing.F) {
	schema := mixedSchema(f)
	m := schema.Merger()
	seeds := fuzzSeeds(f, schema)
	for i, s := range seeds {
		f.Add(s, seeds[(i+3)%len(seeds)])
	}
	at := fieldwise.Version{Time: fieldwise.MaxTimestamp, Origin: fieldwise.Origin{Region: "zz", Incarnation: 9}}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var checked [2][]byte
		var valid [2]bool
		for i, x := range [][]byte{a, b} {
			limit := uint64(4*len(x) + 64<<10)
			var err error
			if n := allocated(limit, func() { checked[i], err = m.Merge(nil, nil, x) }); n > limit {
				t.Fatalf("the check of %d bytes allocates %d", len(x), n)
			}
			if valid[i] = err == nil; valid[i] && !bytes.Equal(checked[i], x) {
				t.Fatalf("accepted %x as %x", x, checked[i])
			} else if err != nil && !errors.Is(err, fieldwise.ErrMalformed) && !errors.Is(err, fieldwise.ErrUnsupportedKind) {
				t.Fatalf("another error: %v", err)
			}
		}
		limit := uint64(4*(len(a)+len(b)) + 64<<10)
		var ab []byte
		var err error
		if n := allocated(limit, func() { ab, err = m.Merge(nil, a, b) }); n > limit {
			t.Fatalf("Merge of %d bytes allocates %d", len(a)+len(b), n)
		}
		conflicts, errC := m.Conflicts(nil, a, b)
		live := m.Live(a)
		tomb, errD := m.Delete(nil, a, at)
		readBack(t, schema, a)
		if !valid[0] || !valid[1] {
			return
		}
		require.NoError(t, err)
		require.NoError(t, errC)
		require.NoError(t, errD)
		if len(conflicts) > 0 && (len(a) == 0 || len(b) == 0 || bytes.Equal(a, b)) {
			t.Fatalf("conflicts of %x with %x: %v", a, b, conflicts)
		}
		require.Equal(t, live, len(tomb) > 0)
		ba, err := m.Merge(nil, b, a)
		require.NoError(t, err)
		require.Equal(t, ab, ba, "commutative")
		for _, x := range [][]byte{nil, a, b} {
			again, err := m.Merge(nil, ab, x)
			require.NoError(t, err)
			require.Equal(t, ab, again, "idempotent")
		}
		if live {
			left, err := m.Merge(nil, ab, tomb)
			require.NoError(t, err)
			right, err := m.Merge(nil, b, tomb)
			require.NoError(t, err)
			right, err = m.Merge(nil, a, right)
			require.NoError(t, err)
			require.Equal(t, left, right, "associative")
		}
		readBack(t, schema, ab)
	})
}

// readBack renders the state and writes to it; neither may panic.
func readBack(t *testing.T, schema *fieldmerge.DocumentSchema, state []byte) {
	d, err := fieldmerge.OpenDocuments(&region{State: state}, "d", schema)
	require.NoError(t, err)
	_, _ = d.Get(context.Background(), key)
	s := newStepped(schema.Merger(), "zz", 9)
	s.State, s.time = state, fieldwise.MaxTimestamp-1
	d, err = fieldmerge.OpenDocuments(s, "d", schema)
	require.NoError(t, err)
	_, _ = d.Upsert(context.Background(), key, setting(map[string]any{"n": map[string]any{"x": 1}, "address-long": nil}))
}
