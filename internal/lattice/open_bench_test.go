package lattice

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// BenchmarkRatioOfOpenSets measures deltas that add or remove one element of an open set, by
// turns with inserts into and deletes from a Go map of as many strings, and reports the
// medians and their ratio: merged in place, and into a clone each, as a log does that keeps
// what is committed until the next batch is.
func BenchmarkRatioOfOpenSets(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10_000, 100_000} {
		for _, clones := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d_elements_clones_%v", n, clones), func(b *testing.B) {
				benchOpenSet(b, n, clones)
			})
		}
	}
}

func benchOpenSet(b *testing.B, n int, clones bool) {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	at := fieldwise.Version{Origin: threeOrigins()[0]}
	value := func(i int) string { return fmt.Sprintf("element-%08d", i) }
	write := func(state []byte, op Op, values ...string) []byte {
		var e Edit
		for _, v := range values {
			e.Intents = append(e.Intents, Intent{Op: op, Element: wire.AppendString(nil, v)})
		}
		at.Time++
		delta, err := WriteState(nil, KindSet, state, e, at)
		require.NoError(b, err)
		return delta
	}
	var there, others []string
	floor := make(map[string]floorElement, n)
	for i, j := range rng.Perm(2 * n) {
		if i < n {
			there = append(there, value(j))
			floor[value(j)] = floorElement{value: value(j)}
		} else {
			others = append(others, value(j))
		}
	}
	slices.Sort(there)
	first := write(nil, OpAdd, there...)
	opened, err := OpenState(KindSet, first, 1)
	require.NoError(b, err)

	// Deltas of one round: each adds an element that is not there, or removes one that is.
	deltas := make([][]byte, 2000)
	type op struct {
		add   bool
		value string
	}
	ops := make([]op, len(deltas))
	writer := opened.Clone()
	for i := range deltas {
		ops[i].add = i%2 == 0
		from, to := &others, &there
		kind := OpAdd
		if !ops[i].add {
			from, to, kind = to, from, OpRemove
		}
		j := rng.IntN(len(*from))
		ops[i].value = (*from)[j]
		(*from)[j] = (*from)[len(*from)-1]
		*from, *to = (*from)[:len(*from)-1], append(*to, ops[i].value)
		part := writer.AppendPart(nil, func([]byte, Kind) [][]byte { return [][]byte{wire.AppendString(nil, ops[i].value)} })
		deltas[i] = write(part, kind, ops[i].value)
		require.NoError(b, writer.Merge(deltas[i]))
	}
	var floors, merges []float64
	for b.Loop() {
		floors, merges = nil, nil
		for range 9 {
			set := opened.Clone()
			bare := make(map[string]floorElement, n)
			for k, v := range floor {
				bare[k] = v
			}
			start := time.Now()
			for i := range ops {
				if o := &ops[i]; o.add {
					bare[o.value] = floorElement{value: o.value, time: uint64(i)}
				} else {
					delete(bare, o.value)
				}
			}
			mid := time.Now()
			for _, delta := range deltas {
				if clones {
					set = set.Clone()
				}
				if err := set.Merge(delta); err != nil {
					b.Fatal(err)
				}
			}
			floors = append(floors, float64(mid.Sub(start).Nanoseconds())/float64(len(ops)))
			merges = append(merges, float64(time.Since(mid).Nanoseconds())/float64(len(ops)))
		}
	}
	slices.Sort(floors)
	slices.Sort(merges)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(floors[len(floors)/2], "map-ns")
	b.ReportMetric(merges[len(merges)/2], "merge-ns")
	b.ReportMetric(merges[len(merges)/2]/floors[len(floors)/2], "ratio")
}
