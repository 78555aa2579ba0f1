package crdt_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

// In the property tests three regions write to one record and get each other's deltas in any
// order, some twice and some not until the end. Whatever a region holds, it reads as what arrived
// there of the writes: so no write that was acknowledged is lost.

// notFound turns ErrNotFound into false.
func notFound(t require.TestingT, err error) (found bool) {
	if err != nil {
		require.ErrorIs(t, err, fieldwise.ErrNotFound)
	}
	return err == nil
}

func TestPropertySetsReadAsWhatArrived(t *testing.T) {
	randtest.Check(t, 300, 2000, func(t *rapid.T) {
		w := newWorld(t, crdt.SetMerger{})
		var faces []*crdt.Sets[int64]
		for _, h := range w.hosts {
			d, err := crdt.OpenSets[int64](h, "d")
			require.NoError(t, err)
			faces = append(faces, d)
		}
		check := func(r int) {
			got, err := faces[r].Get(ctx(), "k")
			require.Equal(t, len(w.models[r].values()) > 0, notFound(t, err))
			require.Equal(t, w.models[r].values(), got)
			for v := range int64(6) {
				has, err := faces[r].Has(ctx(), "k", v)
				require.NoError(t, err)
				require.Equal(t, slices.Contains(got, v), has)
			}
		}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			r := rapid.IntRange(0, regions-1).Draw(t, "region")
			m := w.models[r]
			some := rapid.SliceOfN(rapid.Int64Range(0, 5), 0, 3).Draw(t, "elements")
			switch rapid.IntRange(0, 7).Draw(t, "step") {
			case 0, 1, 2:
				kills := m.of(some...)
				receipt, err := faces[r].Add(ctx(), "k", some...)
				slices.Sort(some)
				require.Equal(t, len(some) > 0, w.wrote(r, receipt, err, kills, slices.Compact(some)...))
			case 3, 4:
				kills := m.of(some...)
				receipt, err := faces[r].Remove(ctx(), "k", some...)
				require.Equal(t, len(kills) > 0, w.wrote(r, receipt, err, kills))
			case 5:
				kills := m.current()
				receipt, err := faces[r].Clear(ctx(), "k")
				require.Equal(t, len(kills) > 0, w.wrote(r, receipt, err, kills))
			default:
				w.deliver(t, r)
			}
			check(r)
		}
		w.settle()
		for r := range regions {
			check(r)
		}
	})
}

// What a flag's writes add: on, or the mark that it was deleted. A flag that nobody wrote is not
// there either.
const on, gone = 0, 1

func TestPropertyFlagsReadAsWhatArrived(t *testing.T) {
	randtest.Check(t, 500, 2000, func(t *rapid.T) {
		w := newWorld(t, crdt.FlagMerger{})
		var faces []*crdt.Flags
		for _, h := range w.hosts {
			d, err := crdt.OpenFlags(h, "d")
			require.NoError(t, err)
			faces = append(faces, d)
		}
		there := func(r int) bool {
			m := w.models[r]
			return m.heard && (len(m.of(on)) > 0 || len(m.of(gone)) == 0)
		}
		check := func(r int) {
			got, err := faces[r].Get(ctx(), "k")
			require.Equal(t, there(r), notFound(t, err))
			require.Equal(t, len(w.models[r].of(on)) > 0, got)
		}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			r := rapid.IntRange(0, regions-1).Draw(t, "region")
			m := w.models[r]
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0, 1:
				kills := m.current()
				receipt, err := faces[r].Enable(ctx(), "k")
				require.True(t, w.wrote(r, receipt, err, kills, on))
			case 2, 3:
				kills, changes := m.current(), len(m.of(on)) > 0 || !there(r)
				receipt, err := faces[r].Disable(ctx(), "k")
				require.Equal(t, changes, w.wrote(r, receipt, err, kills))
			case 4:
				kills, was := m.of(on), there(r)
				receipt, err := faces[r].Delete(ctx(), "k")
				if !was {
					require.ErrorIs(t, err, fieldwise.ErrNotFound)
					continue
				}
				require.True(t, w.wrote(r, receipt, err, kills, gone))
			default:
				w.deliver(t, r)
			}
			check(r)
		}
		w.settle()
		for r := range regions {
			check(r)
		}
	})
}

// A region sees a list as it wrote it, and in the end it has all that nobody took out. It may
// have more: an element that one region takes out stays where another had to move it meanwhile.
func TestPropertyListsHaveWhatNobodyTookOut(t *testing.T) {
	randtest.Check(t, 200, 1000, func(t *rapid.T) {
		w := newWorld(t, crdt.ListMerger{})
		var faces []*crdt.Lists[int64]
		for _, h := range w.hosts {
			d, err := crdt.OpenLists[int64](h, "d")
			require.NoError(t, err)
			faces = append(faces, d)
		}
		get := func(r int) []int64 {
			got, err := faces[r].Get(ctx(), "k")
			require.Equal(t, len(got) > 0, notFound(t, err))
			return got
		}
		next := int64(0)
		takenOut := make(map[int64]bool)
		fresh := func() (elems []int64) {
			for range rapid.IntRange(0, 3).Draw(t, "elements") {
				next++
				elems = append(elems, next)
			}
			return elems
		}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			r := rapid.IntRange(0, regions-1).Draw(t, "region")
			before := get(r)
			switch rapid.IntRange(0, 7).Draw(t, "step") {
			case 0, 1:
				elems := fresh()
				receipt, err := faces[r].Append(ctx(), "k", elems...)
				require.Equal(t, len(elems) > 0, w.wrote(r, receipt, err, nil))
				require.Equal(t, slices.Concat(before, elems), get(r))
			case 2, 3, 4:
				place := rapid.IntRange(0, len(before)).Draw(t, "place")
				elems := fresh()
				var gone []int64
				for _, v := range before {
					if rapid.IntRange(0, 3).Draw(t, "gone") == 0 {
						gone, takenOut[v] = append(gone, v), true
					}
				}
				want := slices.DeleteFunc(slices.Insert(slices.Clone(before), place, elems...), func(v int64) bool { return slices.Contains(gone, v) })
				receipt, err := faces[r].Update(ctx(), "k", func(list []int64) ([]int64, error) {
					require.Equal(t, before, list)
					list = slices.Insert(list, place, elems...)
					return slices.DeleteFunc(list, func(v int64) bool { return slices.Contains(gone, v) }), nil
				})
				require.Equal(t, len(elems)+len(gone) > 0, w.wrote(r, receipt, err, nil))
				require.True(t, slices.Equal(want, get(r)))
			case 5:
				for _, v := range before {
					takenOut[v] = true
				}
				receipt, err := faces[r].Clear(ctx(), "k")
				require.Equal(t, len(before) > 0, w.wrote(r, receipt, err, nil))
				require.Empty(t, get(r))
			default:
				w.deliver(t, r)
			}
		}
		w.settle()
		got := get(0)
		for v := range next {
			require.True(t, takenOut[v+1] || slices.Contains(got, v+1), "%d", v+1)
		}
		slices.Sort(got)
		require.Equal(t, slices.Compact(slices.Clone(got)), got, "each once")
		require.Equal(t, get(0), get(1))
		require.Equal(t, get(0), get(2))
	})
}

// Whatever is moved about, and by whom, no element is lost that nobody took out.
func TestPropertyListsThatAreReorderedKeepTheirElements(t *testing.T) {
	randtest.Check(t, 200, 1000, func(t *rapid.T) {
		w := newWorld(t, crdt.ListMerger{})
		var faces []*crdt.Lists[int64]
		for _, h := range w.hosts {
			d, err := crdt.OpenLists[int64](h, "d")
			require.NoError(t, err)
			faces = append(faces, d)
		}
		receipt, err := faces[0].Append(ctx(), "k", 1, 2, 3, 4, 5)
		require.True(t, w.wrote(0, receipt, err, nil))
		w.receive(1, w.sent[0])
		w.receive(2, w.sent[0])
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			r := rapid.IntRange(0, regions-1).Draw(t, "region")
			if rapid.Bool().Draw(t, "deliver") {
				w.deliver(t, r)
				continue
			}
			var want []int64
			receipt, err := faces[r].Update(ctx(), "k", func(list []int64) ([]int64, error) {
				want = rapid.Permutation(list).Draw(t, "order")
				return want, nil
			})
			w.wrote(r, receipt, err, nil)
			got, err := faces[r].Get(ctx(), "k")
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		w.settle()
		got, err := faces[0].Get(ctx(), "k")
		require.NoError(t, err)
		require.ElementsMatch(t, []int64{1, 2, 3, 4, 5}, got)
	})
}

// extremeFace is what Max and Min have in common, under one name for Raise and Lower.
type extremeFace struct {
	*crdt.Max[int64]
	min *crdt.Min[int64]
}

func (f extremeFace) put(v int64) (fieldwise.Receipt, error) {
	if f.min != nil {
		return f.min.Lower(ctx(), "k", -v)
	}
	return f.Raise(ctx(), "k", v)
}

func (f extremeFace) get() (int64, error) {
	if f.min != nil {
		v, err := f.min.Get(ctx(), "k")
		return -v, err
	}
	return f.Get(ctx(), "k")
}

func (f extremeFace) delete() (fieldwise.Receipt, error) {
	if f.min != nil {
		return f.min.Delete(ctx(), "k")
	}
	return f.Delete(ctx(), "k")
}

func TestPropertyMaxAndMinReadAsWhatArrived(t *testing.T) {
	for name, m := range map[string]fieldwise.Merger{"max": crdt.MaxMerger{}, "min": crdt.MinMerger{}} {
		t.Run(name, func(t *testing.T) {
			randtest.Check(t, 300, 2000, func(t *rapid.T) { extremeProperty(t, m) })
		})
	}
}

// nothing is what a delete writes: it stands in the record until it is replaced.
const nothing = 0

func extremeProperty(t *rapid.T, m fieldwise.Merger) {
	w := newWorld(t, m)
	var faces []extremeFace
	for _, h := range w.hosts {
		var f extremeFace
		var err error
		if m.Name() == "min/1" {
			f.min, err = crdt.OpenMin[int64](h, "d")
		} else {
			f.Max, err = crdt.OpenMax[int64](h, "d")
		}
		require.NoError(t, err)
		faces = append(faces, f)
	}
	// The last write of each region stands for the earlier ones, also where it was replaced.
	standing := func(r int) (all []added) {
		var last [regions]int
		for _, some := range []map[added]bool{w.models[r].added, w.models[r].killed} {
			for a := range some {
				last[a.author] = max(last[a.author], a.id)
			}
		}
		return slices.DeleteFunc(w.models[r].current(), func(a added) bool { return a.id < last[a.author] })
	}
	largest := func(r int) (v int64, found bool) {
		for _, a := range standing(r) {
			v = max(v, a.value)
		}
		return v, v != nothing
	}
	for range rapid.IntRange(1, 25).Draw(t, "steps") {
		r := rapid.IntRange(0, regions-1).Draw(t, "region")
		before, found := largest(r)
		switch rapid.IntRange(0, 5).Draw(t, "step") {
		case 0, 1, 2:
			v := rapid.Int64Range(1, 9).Draw(t, "value")
			kills := standing(r)
			receipt, err := faces[r].put(v)
			require.Equal(t, !found || v > before, w.wrote(r, receipt, err, kills, v))
		case 3:
			kills := standing(r)
			receipt, err := faces[r].delete()
			if !found {
				require.ErrorIs(t, err, fieldwise.ErrNotFound)
				continue
			}
			require.True(t, w.wrote(r, receipt, err, kills, nothing))
		default:
			w.deliver(t, r)
		}
		want, found := largest(r)
		got, err := faces[r].get()
		require.Equal(t, found, notFound(t, err))
		require.Equal(t, want, got)
	}
	w.settle()
	for r := range regions {
		want, _ := largest(r)
		got, err := faces[r].get()
		notFound(t, err)
		require.Equal(t, want, got)
	}
}

// Every increment counts once, until a reset that knew of it.
func TestPropertyCountersReadAsWhatArrived(t *testing.T) {
	randtest.Check(t, 300, 2000, func(t *rapid.T) {
		w := newWorld(t, crdt.CounterMerger{})
		var faces []*crdt.Counters
		var growing []*crdt.GCounters
		for _, h := range w.hosts {
			d, err := crdt.OpenCounters(h, "d")
			require.NoError(t, err)
			g, err := crdt.OpenGCounters(h, "d")
			require.NoError(t, err)
			faces, growing = append(faces, d), append(growing, g)
		}
		// A delta has all that its writer ever counted, and how much of that was reset.
		own := func(all map[added]bool, r int) (some []added) {
			for a := range all {
				if a.author == r {
					some = append(some, a)
				}
			}
			return some
		}
		check := func(r int) {
			want, counted := int64(0), false
			for _, a := range w.models[r].current() {
				want += a.value
				counted = true
			}
			got, err := faces[r].Get(ctx(), "k")
			require.Equal(t, counted, notFound(t, err))
			require.Equal(t, want, got)
			up, err := growing[r].Get(ctx(), "k")
			notFound(t, err)
			require.Equal(t, uint64(max(want, 0)), up)
		}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			r := rapid.IntRange(0, regions-1).Draw(t, "region")
			m := w.models[r]
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0, 1, 2:
				n := rapid.Int64Range(0, 9).Draw(t, "amount")
				adds, kills := own(m.added, r), own(m.killed, r)
				var receipt fieldwise.Receipt
				var err error
				switch amount := uint64(n); rapid.IntRange(0, 2).Draw(t, "way") {
				case 0:
					receipt, err = growing[r].Inc(ctx(), "k", amount)
				case 1:
					receipt, err = faces[r].Inc(ctx(), "k", amount)
				default:
					receipt, err = faces[r].Dec(ctx(), "k", amount)
					n = -n
				}
				wrote := w.wrote(r, receipt, err, kills, n)
				require.Equal(t, n != 0, wrote)
				if wrote {
					last := &w.sent[len(w.sent)-1]
					last.adds = append(last.adds, adds...)
				}
			case 3:
				current, known := m.current(), slices.Collect(maps.Keys(m.added))
				for a := range m.killed { // by a reset that the writer heard of, be it without what it took back
					known = append(known, a)
				}
				receipt, err := faces[r].Reset(ctx(), "k")
				require.Equal(t, len(current) > 0, w.wrote(r, receipt, err, known))
			default:
				w.deliver(t, r)
			}
			check(r)
		}
		w.settle()
		for r := range regions {
			check(r)
		}
	})
}
