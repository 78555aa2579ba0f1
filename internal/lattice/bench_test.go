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

// floorElement is an element of a set as a bare program would have it.
type floorElement struct {
	value  string
	origin uint32
	time   uint64
}

// floorJoin merges sorted elements out of place by their dots and the two version vectors.
func floorJoin(dst, a, b []floorElement, seenA, seenB [4]uint64) []floorElement {
	for len(a) > 0 && len(b) > 0 {
		switch x, y := &a[0], &b[0]; {
		case x.value < y.value:
			if x.time > seenB[x.origin] {
				dst = append(dst, *x)
			}
			a = a[1:]
		case x.value > y.value:
			if y.time > seenA[y.origin] {
				dst = append(dst, *y)
			}
			b = b[1:]
		default:
			if x.origin == y.origin && x.time == y.time {
				dst = append(dst, *x)
			} else {
				if x.time > seenB[x.origin] {
					dst = append(dst, *x)
				}
				if y.time > seenA[y.origin] {
					dst = append(dst, *y)
				}
			}
			a, b = a[1:], b[1:]
		}
	}
	for _, x := range a {
		if x.time > seenB[x.origin] {
			dst = append(dst, x)
		}
	}
	for _, y := range b {
		if y.time > seenA[y.origin] {
			dst = append(dst, y)
		}
	}
	return dst
}

// bigSets are two replicas' states of a set of n elements, of which each has changed share
// in a hundred since they last met; and the same for the floor.
func bigSets(b *testing.B, n, share int) (x, y []byte, fx, fy []floorElement, seenX, seenY [4]uint64) {
	rng := rand.New(rand.NewPCG(7, 8))
	origins := []fieldwise.Origin{{Region: "ap-south-1", Incarnation: 1}, {Region: "eu-west-1", Incarnation: 2}}
	value := func(i int) []byte { return wire.AppendString(nil, fmt.Sprintf("element-%08d", i)) }
	write := func(state []byte, at fieldwise.Version, add, remove []Element) []byte {
		var t Table
		var body []byte
		if len(state) > 0 {
			t, body, _ = Cut(state)
		}
		d, err := NewDelta(t, at)
		require.NoError(b, err)
		delta, err := d.AppendDots(nil, body, add, remove)
		require.NoError(b, err)
		made := d.finish(nil, dots, delta)
		if len(state) == 0 {
			return made
		}
		joined, err := join(nil, state, made, dots)
		require.NoError(b, err)
		return joined
	}
	var all []Element
	for i := range n {
		all = append(all, Element{Value: value(i)})
	}
	x = write(nil, fieldwise.Version{Time: 1, Origin: origins[0]}, all, nil)
	y = x
	for i, side := range []*[]byte{&x, &y} {
		var add, remove []Element
		for range n * share / 200 {
			add = append(add, Element{Value: value(n + rng.IntN(10*n))})
			remove = append(remove, Element{Value: value(rng.IntN(n))})
		}
		*side = write(*side, fieldwise.Version{Time: fieldwise.Timestamp(2 + i), Origin: origins[i]}, add, remove)
	}
	floor := func(state []byte) (fs []floorElement, seen [4]uint64) {
		t, body, _ := Cut(state)
		elements, err := Elements(t, body)
		require.NoError(b, err)
		for _, e := range elements {
			o := uint32(slices.Index(origins, e.Version.Origin))
			fs = append(fs, floorElement{string(e.Value), o, uint64(e.Version.Time)})
		}
		all := t.Origins()
		dotTimes(body, func(i int, t fieldwise.Timestamp) bool {
			o := slices.Index(origins, all[i])
			seen[o] = max(seen[o], uint64(t))
			return true
		})
		return fs, seen
	}
	fx, seenX = floor(x)
	fy, seenY = floor(y)
	return x, y, fx, fy, seenX, seenY
}

// BenchmarkRatioOfSets measures floor and join of two sets by turns, and reports the medians
// and their ratio.
func BenchmarkRatioOfSets(b *testing.B) {
	for _, c := range []struct{ n, share int }{{10, 20}, {1000, 10}, {100_000, 0}, {100_000, 2}, {100_000, 20}} {
		b.Run(fmt.Sprintf("%d_elements_%d_percent_changed", c.n, c.share), func(b *testing.B) {
			x, y, fx, fy, seenX, seenY := bigSets(b, c.n, c.share)
			if c.share == 0 {
				y = slices.Clone(afterAnEmptyWrite(b, x))
			}
			dst := make([]byte, 0, 3*(len(x)+len(y)))
			out := make([]floorElement, 0, len(fx)+len(fy))
			repeat := max(1, 100_000/c.n)
			var floor, joined []float64
			for b.Loop() {
				floor, joined = nil, nil
				for range 9 {
					start := time.Now()
					for range repeat {
						out = floorJoin(out[:0], fx, fy, seenX, seenY)
					}
					mid := time.Now()
					for range repeat {
						_, err := join(dst, x, y, dots)
						if err != nil {
							b.Fatal(err)
						}
					}
					floor = append(floor, float64(mid.Sub(start).Nanoseconds())/float64(repeat))
					joined = append(joined, float64(time.Since(mid).Nanoseconds())/float64(repeat))
				}
			}
			slices.Sort(floor)
			slices.Sort(joined)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(floor[4], "floor-ns")
			b.ReportMetric(joined[4], "join-ns")
			b.ReportMetric(joined[4]/floor[4], "x-floor")
		})
	}
}

// afterAnEmptyWrite is the state after one more write that changes nothing of the elements, so that
// two equal sets have to be compared.
func afterAnEmptyWrite(b *testing.B, state []byte) []byte {
	t, body, _ := Cut(state)
	d, err := NewDelta(t, fieldwise.Version{Time: 1 << 40, Origin: fieldwise.Origin{Region: "ap-south-1", Incarnation: 1}})
	require.NoError(b, err)
	delta, err := d.AppendDots(nil, body, nil, nil)
	require.NoError(b, err)
	joined, err := join(nil, state, d.finish(nil, dots, delta), dots)
	require.NoError(b, err)
	return joined
}
