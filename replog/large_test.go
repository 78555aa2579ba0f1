package replog

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

type tagged struct {
	Name string          `merge:"name,lww"`
	Tags crdt.ORSet[int] `merge:"tags,orset"`
}

// largeSets returns, for a set that has so many elements, one that adds an element and one that
// removes it: of a set alone in a domain, and of one that is a field of a record.
func largeSets(t testing.TB, size int) map[string][2]func(e int) error {
	r, err := Open(ctx, Config{Region: "a", Dir: t.TempDir(), fs: disk.NewMem(), MaxRecord: 2 << 20})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	sets, err := crdt.OpenSets[int](r, "sets")
	require.NoError(t, err)
	schema, err := fieldmerge.NewSchema[tagged]()
	require.NoError(t, err)
	records, err := fieldmerge.Open(r, "records", schema)
	require.NoError(t, err)
	elems := make([]int, size)
	for i := range elems {
		elems[i] = 2 * i
	}
	_, err = sets.Add(ctx, "k", elems...)
	require.NoError(t, err)
	_, err = records.Create(ctx, "k", tagged{Name: "n", Tags: crdt.NewORSet(elems...)})
	require.NoError(t, err)
	return map[string][2]func(e int) error{
		"domain": {
			func(e int) error { _, err := sets.Add(ctx, "k", e); return err },
			func(e int) error { _, err := sets.Remove(ctx, "k", e); return err },
		},
		"field": {
			func(e int) error {
				_, err := records.Update(ctx, "k", func(v *tagged) error { v.Tags.Add(e); return nil })
				return err
			},
			func(e int) error {
				_, err := records.Update(ctx, "k", func(v *tagged) error { v.Tags.Remove(e); return nil })
				return err
			},
		},
	}
}

// between are elements that the sets of largeSets do not have, all over the place.
func between(i, size int) int { return 2*(i*7919%size) + 1 }

// BenchmarkChangesOfLargeSets adds and removes one element in turn.
func BenchmarkChangesOfLargeSets(b *testing.B) {
	for _, size := range []int{10, 100, 1000, 10_000, 100_000} {
		for where, do := range largeSets(b, size) {
			b.Run(fmt.Sprintf("%s/%d", where, size), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if err := do[i%2](between(i/2, size)); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// A change of a large set takes memory for what it changes, not for the set.
func TestChangesOfLargeSetsTakeMemoryForWhatTheyChange(t *testing.T) {
	const changes = 200
	taken := func(size int) map[string]uint64 {
		all := make(map[string]uint64)
		for where, do := range largeSets(t, size) {
			var before, after runtime.MemStats
			for i := range 2 + changes {
				if i == 2 { // the record is open
					runtime.ReadMemStats(&before)
				}
				require.NoError(t, do[i%2](between(i/2, size)))
			}
			runtime.ReadMemStats(&after)
			all[where] = (after.TotalAlloc - before.TotalAlloc) / changes
		}
		return all
	}
	few, many := taken(1000), taken(50_000)
	t.Logf("bytes for a change of a set of 1,000: %v, of 50,000: %v", few, many)
	for where := range few {
		require.Less(t, many[where], 5*few[where], where)
	}
}

// Readers of a large set see some state of it, whatever is written meanwhile; what they were
// given in a change stays as it was.
func TestLargeSetsAreReadWhileTheyAreWritten(t *testing.T) {
	const size, writers, each = 2000, 3, 100
	n := newNode(t, "a")
	sets, err := crdt.OpenSets[int](n, "sets")
	require.NoError(t, err)
	schema, err := fieldmerge.NewSchema[tagged]()
	require.NoError(t, err)
	records, err := fieldmerge.Open(n, "records", schema)
	require.NoError(t, err)
	start := make([]int, size)
	for i := range start {
		start[i] = i
	}
	_, err = sets.Add(ctx, "k", start...)
	require.NoError(t, err)
	_, err = records.Create(ctx, "k", tagged{Tags: crdt.NewORSet(start...)})
	require.NoError(t, err)

	var writing, reading sync.WaitGroup
	stop := make(chan struct{})
	kept := make(chan crdt.ORSet[int], writers*each)
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				e := size + w*each + i
				_, err := sets.Add(ctx, "k", e)
				assert.NoError(t, err)
				_, err = records.Update(ctx, "k", func(v *tagged) error {
					if v.Tags.Add(e); i%10 == 0 {
						kept <- v.Tags
					}
					return nil
				})
				assert.NoError(t, err)
			}
		})
	}
	for range 2 {
		reading.Go(func() {
			for last := size; ; {
				has, err := sets.Has(ctx, "k", size/2)
				assert.True(t, err == nil && has)
				v, err := records.Get(ctx, "k")
				if !assert.NoError(t, err) || !assert.GreaterOrEqual(t, v.Tags.Len(), last) {
					return
				}
				last = v.Tags.Len()
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	writing.Wait()
	close(stop)
	reading.Wait()
	close(kept)
	for s := range kept {
		require.Len(t, s.Values(), s.Len())
	}
	got, err := sets.Get(ctx, "k")
	require.NoError(t, err)
	require.Len(t, got, size+writers*each)
	v, err := records.Get(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, got, v.Tags.Values())
}
