package crdt_test

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/lww"
	"github.com/fieldwise/fieldwise/regionpriority"
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

func origin(r fieldwise.Region, incarnation uint64) fieldwise.Origin {
	return fieldwise.Origin{Region: r, Incarnation: incarnation}
}

func at(time fieldwise.Timestamp, r fieldwise.Region) fieldwise.Version {
	return fieldwise.Version{Time: time, Origin: origin(r, 1)}
}

func set(t require.TestingT, state []byte, v fieldwise.Version, val ...byte) []byte {
	delta, err := crdt.MVRegister{}.Set(nil, state, v, val)
	require.NoError(t, err)
	return delta
}

func merge(t require.TestingT, a []byte, more ...[]byte) []byte {
	for _, b := range more {
		out, err := crdt.MVRegister{}.Merge(nil, a, b)
		require.NoError(t, err)
		a = out
	}
	return a
}

// samples are states of all shapes: concurrent, superseded, absent, one stamp with two
// values, many origins, long values.
func samples(t require.TestingT) [][]byte {
	a := set(t, nil, at(1, "a"), 7)
	b := set(t, nil, at(1, "b"), 7)
	both := merge(t, a, b)
	c := set(t, both, at(2, "c"), 8)
	gone := set(t, a, at(3, "b"))
	long := set(t, gone, at(4, "a"), append([]byte{0xc5, 1, 44}, make([]byte, 300)...)...)
	twice := set(t, nil, at(1, "a"), 9)
	var crowd []byte
	for i := range uint64(70) {
		crowd = merge(t, crowd, set(t, nil, fieldwise.Version{Time: 5, Origin: origin("a-b", i)}, byte(i)))
	}
	return [][]byte{a, b, both, c, merge(t, both, c), gone, merge(t, both, gone), long, twice, merge(t, twice, c), crowd, merge(t, crowd, c)}
}

// On any bytes nothing panics and little is allocated; what passes the check obeys the
// laws, has its conflicts reported and can be deleted.
func FuzzMergeRegister(f *testing.F) {
	seeds := append(samples(f), nil, []byte{0xc4, 0}, []byte{0xc6, 0xff, 0xff, 0xff, 0xff})
	for i, s := range seeds {
		f.Add(s, seeds[(i+3)%len(seeds)])
	}
	ranked, err := regionpriority.NewMerger("b", "a")
	require.NoError(f, err)
	mergers := []crdt.MVRegister{lww.NewMerger(), ranked, {}}
	last := at(fieldwise.MaxTimestamp, "zz")
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for _, m := range mergers {
			var valid [2]bool
			for i, x := range [][]byte{a, b} {
				limit := uint64(4*len(x) + 64<<10)
				var checked []byte
				var err error
				if n := allocated(limit, func() { checked, err = m.Merge(nil, nil, x) }); n > limit {
					t.Fatalf("the check of %d bytes allocates %d", len(x), n)
				}
				if valid[i] = err == nil; valid[i] && !bytes.Equal(checked, x) {
					t.Fatalf("accepted %x as %x", x, checked)
				} else if err != nil && !errors.Is(err, fieldwise.ErrMalformed) {
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
			gone, errD := m.Delete(nil, a, last)
			_, errS := m.Siblings(a)
			if !valid[0] || !valid[1] {
				continue
			}
			require.NoError(t, errors.Join(err, errC, errD, errS))
			if len(conflicts) > 0 && (len(a) == 0 || len(b) == 0 || bytes.Equal(a, b)) {
				t.Fatalf("conflicts of %x with %x: %v", a, b, conflicts)
			}
			require.Equal(t, live, len(gone) > 0)
			require.Equal(t, ab, merge(t, b, a), "commutative")
			for _, x := range [][]byte{nil, a, b} {
				require.Equal(t, ab, merge(t, ab, x), "idempotent")
			}
			if live {
				require.Equal(t, merge(t, ab, gone), merge(t, a, merge(t, b, gone)), "associative")
			}
			all, err := m.Siblings(ab)
			require.NoError(t, err)
			require.True(t, len(ab) == 0 || ab != nil)
			for i := range len(all) - 1 {
				require.Negative(t, all[i].Version.Compare(all[i+1].Version), "oldest first")
			}
		}
	})
}

// As with registers, of states of all other mechanisms: kind chooses the merger.
func FuzzMergeMechanism(f *testing.F) {
	for i, m := range mechanisms {
		seeds := append(samplesOf(f, m.merger, m.kind), crowdOf(f, m.merger, m.kind), nil, []byte{0xc4, 0, 0xc6, 0xff, 0xff, 0xff, 0xff})
		for j, s := range seeds {
			f.Add(byte(i), s, seeds[(j+3)%len(seeds)])
		}
	}
	last := at(fieldwise.MaxTimestamp, "zz")
	f.Fuzz(func(t *testing.T, kind byte, a, b []byte) {
		m := mechanisms[int(kind)%len(mechanisms)].merger
		join := func(a, b []byte) []byte {
			ab, err := m.Merge(nil, a, b)
			require.NoError(t, err)
			return ab
		}
		valid := true
		for _, x := range [][]byte{a, b} {
			limit := uint64(4*len(x) + 64<<10)
			var checked []byte
			var err error
			if n := allocated(limit, func() { checked, err = m.Merge(nil, nil, x) }); n > limit {
				t.Fatalf("the check of %d bytes allocates %d", len(x), n)
			}
			switch {
			case err == nil && !bytes.Equal(checked, x):
				t.Fatalf("accepted %x as %x", x, checked)
			case err != nil && !errors.Is(err, fieldwise.ErrMalformed):
				t.Fatalf("another error: %v", err)
			}
			valid = valid && err == nil
		}
		limit := uint64(4*(len(a)+len(b)) + 64<<10)
		var ab []byte
		var err error
		if n := allocated(limit, func() { ab, err = m.Merge(nil, a, b) }); n > limit {
			t.Fatalf("Merge of %d bytes allocates %d", len(a)+len(b), n)
		}
		live := m.Live(a)
		gone, errDelete := m.Delete(nil, a, last)
		var conflicts []fieldwise.Conflict
		var errConflicts error
		if reporter, ok := m.(fieldwise.ConflictReporter); ok {
			conflicts, errConflicts = reporter.Conflicts(nil, a, b)
		}
		if !valid {
			return
		}
		require.NoError(t, errors.Join(err, errDelete, errConflicts))
		if len(conflicts) > 0 && (len(a) == 0 || len(b) == 0 || bytes.Equal(a, b)) {
			t.Fatalf("conflicts of %x with %x: %v", a, b, conflicts)
		}
		require.Equal(t, ab, join(b, a), "commutative")
		for _, x := range [][]byte{nil, a, b} {
			require.Equal(t, ab, join(ab, x), "idempotent")
		}
		require.Equal(t, live, len(gone) > 0)
		if live {
			require.False(t, m.Live(join(a, gone)), "deleted")
			require.Equal(t, join(ab, gone), join(a, join(b, gone)), "associative")
		}
	})
}
