package crdt_test

import (
	"context"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/mapstore"
	"github.com/fieldwise/fieldwise/internal/wire"
)

func newHost(r fieldwise.Region) *mapstore.Host {
	return mapstore.New(origin(r, 1), func() time.Time { return time.UnixMilli(1000) })
}

// write is what a call that writes returns.
type write func() (fieldwise.Receipt, error)

// faces are the ways to write to a record that exists, by face, each of which changes it, and
// one that writes nothing.
func faces(t *testing.T, ctx context.Context, h fieldwise.Host, key string) (writes, noOps map[string]write, gets map[string]func() error) {
	counters, err := crdt.OpenCounters(h, "counters")
	require.NoError(t, err)
	growing, err := crdt.OpenGCounters(h, "growing")
	require.NoError(t, err)
	sets, err := crdt.OpenSets[string](h, "sets")
	require.NoError(t, err)
	badges, err := crdt.OpenGSets[string](h, "badges")
	require.NoError(t, err)
	lists, err := crdt.OpenLists[string](h, "lists")
	require.NoError(t, err)
	flags, err := crdt.OpenFlags(h, "flags")
	require.NoError(t, err)
	high, err := crdt.OpenMax[int](h, "high")
	require.NoError(t, err)
	low, err := crdt.OpenMin[int](h, "low")
	require.NoError(t, err)
	same := func(list []string) ([]string, error) { return list, nil }
	writes = map[string]write{
		"counters: increment": func() (fieldwise.Receipt, error) { return counters.Inc(ctx, key, 2) },
		"counters: decrement": func() (fieldwise.Receipt, error) { return counters.Dec(ctx, key, 3) },
		"growing: increment":  func() (fieldwise.Receipt, error) { return growing.Inc(ctx, key, 4) },
		"sets: add to":        func() (fieldwise.Receipt, error) { return sets.Add(ctx, key, "a", "b") },
		"badges: add to":      func() (fieldwise.Receipt, error) { return badges.Add(ctx, key, "a") },
		"lists: append to":    func() (fieldwise.Receipt, error) { return lists.Append(ctx, key, "a", "a") },
		"flags: enable":       func() (fieldwise.Receipt, error) { return flags.Enable(ctx, key) },
		"high: raise":         func() (fieldwise.Receipt, error) { return high.Raise(ctx, key, 5) },
		"low: lower":          func() (fieldwise.Receipt, error) { return low.Lower(ctx, key, 5) },
	}
	noOps = map[string]write{
		"counters: increment": func() (fieldwise.Receipt, error) { return counters.Inc(ctx, key, 0) },
		"counters: decrement": func() (fieldwise.Receipt, error) { return counters.Dec(ctx, key, 0) },
		"counters: reset":     func() (fieldwise.Receipt, error) { return counters.Reset(ctx, "none") },
		"growing: reset":      func() (fieldwise.Receipt, error) { return growing.Reset(ctx, "none") },
		"sets: add to":        func() (fieldwise.Receipt, error) { return sets.Add(ctx, key) },
		"sets: remove from":   func() (fieldwise.Receipt, error) { return sets.Remove(ctx, key, "c") },
		"sets: clear":         func() (fieldwise.Receipt, error) { return sets.Clear(ctx, "none") },
		"lists: append to":    func() (fieldwise.Receipt, error) { return lists.Append(ctx, key) },
		"lists: update":       func() (fieldwise.Receipt, error) { return lists.Update(ctx, key, same) },
		"lists: clear":        func() (fieldwise.Receipt, error) { return lists.Clear(ctx, "none") },
		"high: raise":         func() (fieldwise.Receipt, error) { return high.Raise(ctx, key, 5) },
		"low: lower":          func() (fieldwise.Receipt, error) { return low.Lower(ctx, key, 6) },
	}
	gets = map[string]func() error{
		"counters": func() error { _, err := counters.Get(ctx, key); return err },
		"growing":  func() error { _, err := growing.Get(ctx, key); return err },
		"sets":     func() error { _, err := sets.Get(ctx, key); return err },
		"badges":   func() error { _, err := badges.Get(ctx, key); return err },
		"lists":    func() error { _, err := lists.Get(ctx, key); return err },
		"flags":    func() error { _, err := flags.Get(ctx, key); return err },
		"high":     func() error { _, err := high.Get(ctx, key); return err },
		"low":      func() error { _, err := low.Get(ctx, key); return err },
	}
	return writes, noOps, gets
}

func TestWritesHaveReceiptsAndNoOpsHaveNone(t *testing.T) {
	h := newHost("a")
	writes, noOps, gets := faces(t, ctx(), h, "k")
	for name, get := range gets {
		require.EqualError(t, get(), name+`: get "k": fieldwise: record not found`)
	}
	for name, write := range writes {
		receipt, err := write()
		require.NoError(t, err, name)
		require.False(t, receipt.IsZero(), name)
	}
	for name, write := range noOps {
		receipt, err := write()
		require.NoError(t, err, name)
		require.True(t, receipt.IsZero(), name)
	}
	for name, get := range gets {
		require.NoError(t, get(), name)
	}
}

func TestErrorsNameDomainAndKeyAndEndWithTheContext(t *testing.T) {
	done, cancel := context.WithCancel(ctx())
	cancel()
	writes, noOps, gets := faces(t, done, newHost("a"), "k")
	for _, all := range []map[string]write{writes, noOps} {
		for name, write := range all {
			_, err := write()
			require.ErrorIs(t, err, context.Canceled, name)
			require.ErrorContains(t, err, name+` "`)
		}
	}
	for name, get := range gets {
		err := get()
		require.ErrorIs(t, err, context.Canceled, name)
		require.ErrorContains(t, err, name+`: get "k": `)
	}
}

func TestADomainHasOneMechanism(t *testing.T) {
	h := newHost("a")
	_, err := crdt.OpenCounters(h, "d")
	require.NoError(t, err)
	_, err = crdt.OpenGCounters(h, "d")
	require.NoError(t, err, "the same records under another face")
	_, errRegisters := crdt.OpenRegisters[int](h, "d", nil)
	_, errSets := crdt.OpenSets[int](h, "d")
	_, errGSets := crdt.OpenGSets[int](h, "d")
	_, errLists := crdt.OpenLists[int](h, "d")
	_, errFlags := crdt.OpenFlags(h, "d")
	_, errMax := crdt.OpenMax[int](h, "d")
	_, errMin := crdt.OpenMin[int](h, "d")
	for _, err := range []error{errRegisters, errSets, errGSets, errLists, errFlags, errMax, errMin} {
		require.ErrorIs(t, err, fieldwise.ErrMergerMismatch)
	}
}

func TestAllYieldsTheRecordsThatAreThere(t *testing.T) {
	h := newHost("a")
	d, err := crdt.OpenSets[string](h, "d")
	require.NoError(t, err)
	for _, key := range []string{"b", "aa", "ab", "ac"} {
		_, err := d.Add(ctx(), key, key, "x")
		require.NoError(t, err)
	}
	_, err = d.Remove(ctx(), "ab", "x", "ab")
	require.NoError(t, err)
	var all []crdt.Record[[]string]
	for r, err := range d.All(ctx(), "a") {
		require.NoError(t, err)
		all = append(all, r)
	}
	require.Equal(t, []crdt.Record[[]string]{{Key: "aa", Value: []string{"aa", "x"}}, {Key: "ac", Value: []string{"ac", "x"}}}, all)

	all = nil
	for r, err := range d.All(ctx(), "") {
		require.NoError(t, err)
		all = append(all, r)
		_, err := d.Clear(ctx(), "ac") // which was listed already
		require.NoError(t, err)
	}
	require.Len(t, all, 2)

	// A record that cannot be read ends the sequence.
	wrong, err := crdt.OpenSets[int](h, "d")
	require.NoError(t, err)
	errs := 0
	for r, err := range wrong.All(ctx(), "") {
		require.ErrorIs(t, err, wire.ErrType)
		require.ErrorContains(t, err, `d: read "aa": `)
		require.Equal(t, crdt.Record[[]int]{Key: "aa"}, r)
		errs++
	}
	require.Equal(t, 1, errs)
}

func TestCountsBeyondTheEndsReadAsTheEnds(t *testing.T) {
	h := newHost("a")
	c, err := crdt.OpenCounters(h, "d")
	require.NoError(t, err)
	g, err := crdt.OpenGCounters(h, "d")
	require.NoError(t, err)
	read := func() (int64, uint64) {
		n, err := c.Get(ctx(), "k")
		require.NoError(t, err)
		u, err := g.Get(ctx(), "k")
		require.NoError(t, err)
		return n, u
	}
	_, err = c.Dec(ctx(), "k", 1<<63)
	require.NoError(t, err)
	n, u := read()
	require.Equal(t, int64(math.MinInt64), n)
	require.Zero(t, u)
	_, err = c.Dec(ctx(), "k", math.MaxUint64)
	require.ErrorContains(t, err, `d: decrement "k": the counter is full`)
	_, err = g.Inc(ctx(), "k", math.MaxUint64)
	require.NoError(t, err)
	n, u = read()
	require.Equal(t, int64(math.MaxInt64), n)
	require.Equal(t, uint64(math.MaxInt64), u)
	_, err = g.Reset(ctx(), "k")
	require.NoError(t, err)
	_, err = c.Get(ctx(), "k")
	require.ErrorIs(t, err, fieldwise.ErrNotFound)
}

// point is an element that an older release knows as oldPoint.
type point struct{ X, Y, Z int }

type oldPoint struct{ X, Y int }

func TestElementsThatATypeHoldsInPart(t *testing.T) {
	h := newHost("a")
	lists, err := crdt.OpenLists[point](h, "lists")
	require.NoError(t, err)
	_, err = lists.Append(ctx(), "k", point{1, 2, 3}, point{4, 5, 6}, point{1, 2, 7})
	require.NoError(t, err)
	older, err := crdt.OpenLists[oldPoint](h, "lists")
	require.NoError(t, err)
	_, err = older.Update(ctx(), "k", func(list []oldPoint) ([]oldPoint, error) {
		require.Equal(t, []oldPoint{{1, 2}, {4, 5}, {1, 2}}, list)
		return []oldPoint{{4, 5}, {8, 9}, {1, 2}, {1, 2}}, nil
	})
	require.NoError(t, err)
	got, err := lists.Get(ctx(), "k")
	require.NoError(t, err)
	require.Equal(t, []point{{4, 5, 6}, {X: 8, Y: 9}, {1, 2, 3}, {1, 2, 7}}, got, "what the older release does not know stays")

	sets, err := crdt.OpenSets[point](h, "sets")
	require.NoError(t, err)
	_, err = sets.Add(ctx(), "k", point{1, 2, 3})
	require.NoError(t, err)
	olderSets, err := crdt.OpenSets[oldPoint](h, "sets")
	require.NoError(t, err)
	_, err = olderSets.Get(ctx(), "k")
	require.ErrorIs(t, err, wire.ErrType)
	require.ErrorContains(t, err, `sets: get "k": crdt: a set of crdt_test.oldPoint: `)
}

func TestAListsUpdateThatFailsWritesNothing(t *testing.T) {
	h := newHost("a")
	d, err := crdt.OpenLists[int](h, "d")
	require.NoError(t, err)
	boom := errors.New("boom")
	_, err = d.Update(ctx(), "k", func(list []int) ([]int, error) {
		require.Nil(t, list)
		return []int{1}, boom
	})
	require.ErrorIs(t, err, boom)
	receipt, err := d.Update(ctx(), "k", func([]int) ([]int, error) { return []int{}, nil })
	require.NoError(t, err)
	require.True(t, receipt.IsZero(), "an empty list is none")
	_, err = d.Get(ctx(), "k")
	require.ErrorIs(t, err, fieldwise.ErrNotFound)
	_, err = d.Append(ctx(), "k", 1)
	require.NoError(t, err)
	_, err = d.Update(ctx(), "k", func([]int) ([]int, error) { return nil, nil })
	require.NoError(t, err)
	_, err = d.Get(ctx(), "k")
	require.ErrorIs(t, err, fieldwise.ErrNotFound)
}

// A list of bytes is a list, and no string of bytes.
func TestListsOfBytes(t *testing.T) {
	d, err := crdt.OpenLists[byte](newHost("a"), "d")
	require.NoError(t, err)
	_, err = d.Append(ctx(), "k", 1, 200, 1)
	require.NoError(t, err)
	_, err = d.Update(ctx(), "k", func(list []byte) ([]byte, error) { return append(list[1:], 9), nil })
	require.NoError(t, err)
	got, err := d.Get(ctx(), "k")
	require.NoError(t, err)
	require.Equal(t, []byte{200, 1, 9}, got)
}

func TestTypesAndValuesThatCannotBeStored(t *testing.T) {
	h := newHost("a")
	_, errSets := crdt.OpenSets[chan int](h, "d")
	_, errGSets := crdt.OpenGSets[chan int](h, "d")
	_, errLists := crdt.OpenLists[func()](h, "d")
	require.ErrorContains(t, errSets, "crdt: a set of chan int: ")
	require.ErrorContains(t, errGSets, "crdt: a set of chan int: ")
	require.ErrorContains(t, errLists, "crdt: a list of func(): ")

	sets, err := crdt.OpenSets[string](h, "sets")
	require.NoError(t, err)
	_, errAdd := sets.Add(ctx(), "k", "\xff")
	_, errRemove := sets.Remove(ctx(), "k", "x", "\xff")
	_, errHas := sets.Has(ctx(), "k", "\xff")
	require.ErrorContains(t, errAdd, `sets: add to "k": element 0 of type string cannot be encoded: `)
	require.ErrorContains(t, errRemove, `sets: remove from "k": element 1 `)
	require.ErrorContains(t, errHas, `sets: look into "k": element 0 `)

	lists, err := crdt.OpenLists[string](h, "lists")
	require.NoError(t, err)
	_, errAppend := lists.Append(ctx(), "k", "\xff")
	_, errUpdate := lists.Update(ctx(), "k", func([]string) ([]string, error) { return []string{"\xff"}, nil })
	require.ErrorContains(t, errAppend, `lists: append to "k": element 0 `)
	require.ErrorContains(t, errUpdate, `lists: update "k": element 0 `)

	high, err := crdt.OpenMax[any](h, "high")
	require.NoError(t, err)
	_, err = high.Raise(ctx(), "k", true)
	require.ErrorIs(t, err, wire.ErrType)
	require.ErrorContains(t, err, `high: raise "k": `)
	_, err = high.Raise(ctx(), "k", make(chan int))
	require.ErrorContains(t, err, `high: raise "k": `)
}

// A write must not bring a set or a list over the limit, and one that joins brought over it
// takes what does not add to it.
func TestElementsHaveALimit(t *testing.T) {
	h := newHost("a")
	sets, err := crdt.OpenSets[int](h, "sets")
	require.NoError(t, err)
	s, err := h.Domain("sets", crdt.SetMerger{})
	require.NoError(t, err)
	const most = crdt.MaxElements
	full := lattice.AppendTable(nil, []fieldwise.Origin{origin("b", 1)})
	full = append(full, 0xc4, 9, 1, 0, 0, 0, 0, 0, 0, 0, 7) // all of b up to 7
	for i := range uint64(most) {
		full = append(wire.AppendUint(full, i), 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0)
	}
	require.NoError(t, s.(*mapstore.Store).Merge("k", full))
	_, err = sets.Add(ctx(), "k", 1, -1, 2, -2, -1)
	var limit *fieldwise.LimitError
	require.ErrorAs(t, err, &limit)
	require.Equal(t, fieldwise.LimitError{Limit: "elements of a set", Got: most + 2, Max: most, Key: "k"}, *limit)
	require.True(t, strings.HasPrefix(err.Error(), `sets: add to "k": `))

	lists, err := crdt.OpenLists[int](h, "lists")
	require.NoError(t, err)
	_, err = lists.Update(ctx(), "k", func([]int) ([]int, error) { return make([]int, most+1), nil })
	require.ErrorAs(t, err, &limit)
	require.Equal(t, fieldwise.LimitError{Limit: "elements of a list", Got: most + 1, Max: most, Key: "k"}, *limit)

	_, err = lists.Append(ctx(), "k", make([]int, most+2)...)
	require.ErrorAs(t, err, &limit)
	require.Equal(t, most+2, limit.Got)

	for _, c := range []struct {
		before, after int
		refused       bool
	}{
		{0, most, false}, {most, most, false}, {most, most + 1, true}, {most + 5, most + 5, false}, {most + 5, most + 4, false}, {most + 5, most + 6, true},
	} {
		require.Equal(t, c.refused, crdt.CheckGrowth("elements", "k", c.before, c.after) != nil, "%v", c)
	}
}

// The bytes of the states. If this fails, a format changed: once there is a release, give its
// name a new number.
func TestGoldenDomains(t *testing.T) {
	const table, time = "c40a" + "0000000000000001" + "a161", "0000000003e80000" // "a", incarnation 1; 1000 ms
	later := func(n byte) string { return time[:len(time)-2] + hex.EncodeToString([]byte{n}) }
	h := newHost("a")
	write := func(_ fieldwise.Receipt, err error) { require.NoError(t, err) }
	state := func(name string, m fieldwise.Merger) string {
		s, err := h.Domain(name, m)
		require.NoError(t, err)
		return hex.EncodeToString(s.(*mapstore.Store).State("k"))
	}
	counters, err := crdt.OpenCounters(h, "counters")
	require.NoError(t, err)
	write(counters.Inc(ctx(), "k", 5))
	write(counters.Dec(ctx(), "k", 2))
	require.Equal(t, table+"01"+later(1)+"05"+"02", state("counters", crdt.CounterMerger{}))
	write(counters.Reset(ctx(), "k"))
	require.Equal(t, table+"03"+later(2)+"05"+"02"+"05"+"02", state("counters", crdt.CounterMerger{}))

	sets, err := crdt.OpenSets[int](h, "sets")
	require.NoError(t, err)
	write(sets.Add(ctx(), "k", 7))
	require.Equal(t, table+"c409"+"01"+later(3)+"07"+"00"+"00"+later(3)+"00", state("sets", crdt.SetMerger{}))
	write(sets.Remove(ctx(), "k", 7))
	require.Equal(t, table+"c409"+"01"+later(4)+"c1"+"00"+"00"+later(4)+"00", state("sets", crdt.SetMerger{}))

	lists, err := crdt.OpenLists[int](h, "lists")
	require.NoError(t, err)
	write(lists.Append(ctx(), "k", 7))
	require.Equal(t, table+"c409"+"01"+later(5)+"07"+"00"+"02"+later(5)+"00"+"c40180", state("lists", crdt.ListMerger{}))
	write(lists.Update(ctx(), "k", func([]int) ([]int, error) { return nil, nil }))
	require.Equal(t, table+"c409"+"01"+later(6)+"c1"+"00"+"00"+later(6)+"00", state("lists", crdt.ListMerger{}))

	flags, err := crdt.OpenFlags(h, "flags")
	require.NoError(t, err)
	write(flags.Enable(ctx(), "k"))
	require.Equal(t, table+"c409"+"01"+later(7)+"c3"+"00"+"00"+later(7)+"00", state("flags", crdt.FlagMerger{}))
	write(flags.Disable(ctx(), "k"))
	require.Equal(t, table+"c409"+"01"+later(8), state("flags", crdt.FlagMerger{}))

	high, err := crdt.OpenMax[int](h, "high")
	require.NoError(t, err)
	write(high.Raise(ctx(), "k", 7))
	require.Equal(t, table+"00"+later(9)+"07", state("high", crdt.MaxMerger{}))
	write(high.Delete(ctx(), "k"))
	require.Equal(t, table+"00"+later(10)+"c1", state("high", crdt.MaxMerger{}))
}
