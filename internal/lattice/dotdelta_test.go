package lattice

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// dotID names one addition of one element.
type dotID struct {
	moment
	named
}

// observed is what a replica or a delta knows in the obvious form of an observed-remove
// set: additions with their positions, and which of them were removed. An element is there
// while one of its additions is that was not removed.
type observed struct {
	added   map[dotID]string
	removed map[dotID]bool
}

func newObserved() observed {
	return observed{added: make(map[dotID]string), removed: make(map[dotID]bool)}
}

func (o observed) take(other observed) {
	maps.Copy(o.added, other.added)
	maps.Copy(o.removed, other.removed)
}

func (o observed) elements(t Table) (all []Element, marked bool) {
	origins := t.Origins()
	newest := make(map[named]dotID)
	for id := range o.added {
		at := newest[id.named]
		if !o.removed[id] && (id.time > at.time || id.time == at.time && id.index >= at.index) {
			newest[id.named] = id
		}
	}
	for e, id := range newest {
		if e.value == "\xc1" {
			marked = true
			continue
		}
		all = append(all, Element{
			Value: []byte(e.value), Occurrence: e.occurrence, Position: orNil(o.added[id]),
			Version: fieldwise.Version{Time: fieldwise.Timestamp(id.time), Origin: origins[id.index]},
		})
	}
	slices.SortFunc(all, func(a, b Element) int { return a.key().compare(b.key()) })
	return all, marked
}

func orNil(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

func (n named) element(position string) Element {
	if n.value == "\xc1" {
		return Element{}
	}
	return Element{Value: []byte(n.value), Occurrence: n.occurrence, Position: orNil(position)}
}

func threeOrigins() []fieldwise.Origin {
	return []fieldwise.Origin{{Region: "a", Incarnation: 7}, {Region: "b", Incarnation: 3}, {Region: "b", Incarnation: 4}}
}

func tableOf(t require.TestingT, origins []fieldwise.Origin) Table {
	table, _, ok := Cut(AppendTable(nil, origins))
	require.True(t, ok)
	return table
}

// known is a replica: bytes, and the model of what they mean.
type known struct {
	body  []byte
	model observed
}

func (k *known) join(t require.TestingT, other known) {
	if len(k.body) == 0 {
		k.body = bytes.Clone(other.body)
	} else {
		k.body = joinedDots(t, k.body, other.body)
	}
	k.model.take(other.model)
}

// drawWrite writes something at the origin with the index self: the delta, and its model.
func drawWrite(t *rapid.T, k known, table Table, self int, at uint64) known {
	d, err := NewDelta(table, fieldwise.Version{Time: fieldwise.Timestamp(at), Origin: table.Origins()[self]})
	require.NoError(t, err)
	limit := []uint64{math.MaxUint64, math.MaxUint64, math.MaxUint64}
	if rapid.IntRange(0, 5).Draw(t, "token") == 0 {
		context := make(map[fieldwise.Origin]fieldwise.Timestamp)
		for i, o := range table.Origins() {
			limit[i] = rapid.Uint64Range(0, at).Draw(t, "known")
			context[o] = fieldwise.Timestamp(limit[i])
		}
		d.Knowing(context)
	}
	delta := known{model: newObserved()}
	var add, remove []Element
	touched := make(map[named]bool)
	if rapid.IntRange(0, 6).Draw(t, "clear") == 0 {
		for id := range k.model.added {
			if !touched[id.named] {
				remove = append(remove, id.element(""))
			}
			touched[id.named] = true
		}
		slices.SortFunc(remove, func(a, b Element) int { return a.key().compare(b.key()) })
	}
	for range rapid.IntRange(0, 3).Draw(t, "changes") {
		e := named{value: rapid.SampledFrom(dotValues[:6]).Draw(t, "value")}
		if e.value == "\x01" {
			e.occurrence = rapid.Uint64Range(0, 2).Draw(t, "occurrence")
		}
		if rapid.Bool().Draw(t, "remove") {
			remove = append(remove, e.element(""))
		} else if id := (dotID{moment{self, at}, e}); !slices.Contains(slices.Collect(maps.Keys(delta.model.added)), id) {
			p := ""
			if e.value != "\xc1" {
				p = rapid.SampledFrom(dotPositions[:5]).Draw(t, "position")
			}
			add, delta.model.added[id] = append(add, e.element(p)), p
		}
		touched[e] = true
	}
	for id := range k.model.added {
		if touched[id.named] && !k.model.removed[id] && id.time <= limit[id.index] {
			delta.model.removed[id] = true
		}
	}
	shuffle(t, add)
	shuffle(t, remove)
	delta.body, err = d.AppendDots([]byte("dst"), k.body, add, remove)
	require.NoError(t, err)
	require.Equal(t, "dst", string(delta.body[:3]))
	delta.body = delta.body[3:]
	used := newUsage(3)
	require.NoError(t, checkDots(delta.body, 3, &used))
	require.Equal(t, used.low, d.used.low, "origins in use")
	return delta
}

func shuffle(t *rapid.T, all []Element) {
	for i := range all {
		j := rapid.IntRange(i, len(all)-1).Draw(t, "shuffle")
		all[i], all[j] = all[j], all[i]
	}
}

func requireReads(t require.TestingT, table Table, k known) {
	want, marked := k.model.elements(table)
	got, gotMark, err := readDots(table, k.body)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, marked, gotMark)
	require.Equal(t, len(k.body) > 0 && (len(want) > 0 || !marked), Present(k.body))
}

// Three replicas write, and pass deltas on that come early, twice, late or not at all, and
// whole bodies. Each reads at any time what an observed-remove set of what reached it
// reads, and in the end all agree.
func TestPropertyDotsAreAnObservedRemoveSet(t *testing.T) {
	table := tableOf(t, threeOrigins())
	randtest.Check(t, 2000, 8000, func(t *rapid.T) {
		replicas := make([]known, 3)
		for i := range replicas {
			replicas[i].model = newObserved()
		}
		clock := [3]uint64{}
		var deltas []known
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			self := rapid.IntRange(0, 2).Draw(t, "replica")
			r := &replicas[self]
			switch action := rapid.IntRange(0, 9).Draw(t, "action"); {
			case action < 5 || len(deltas) == 0:
				clock[self] += rapid.Uint64Range(1, 3).Draw(t, "pause") // dots adjoin, too
				delta := drawWrite(t, *r, table, self, clock[self])
				r.join(t, delta)
				deltas = append(deltas, delta)
			case action < 9:
				r.join(t, rapid.SampledFrom(deltas).Draw(t, "delta"))
			default:
				if other := replicas[rapid.IntRange(0, 2).Draw(t, "from")]; len(other.body) > 0 {
					r.join(t, known{body: bytes.Clone(other.body), model: other.model})
				}
			}
			requireReads(t, table, *r)
		}
		all := newObserved()
		for _, delta := range deltas {
			all.take(delta.model)
		}
		for i := range replicas {
			for j := range deltas { // each in an order of its own
				replicas[i].join(t, deltas[(j*(2*i+1)+i)%len(deltas)])
			}
			for _, delta := range deltas {
				replicas[i].join(t, delta)
			}
			require.Equal(t, replicas[0].body, replicas[i].body, "converged")
			requireReads(t, table, known{replicas[i].body, all})
		}
		used := newUsage(3)
		require.NoError(t, checkDots(replicas[0].body, 3, &used))
	})
}

// A writer that is new to the state names the others by the indices that they have with it.
func TestPropertyDeltaOfANewOrigin(t *testing.T) {
	origins := threeOrigins()
	three, two := tableOf(t, origins), tableOf(t, []fieldwise.Origin{origins[0], origins[2]})
	randtest.Check(t, 200, 1000, func(t *rapid.T) {
		k := known{model: newObserved()}
		for at := range rapid.Uint64Range(1, 6).Draw(t, "writes") {
			self := rapid.SampledFrom([]int{0, 2}).Draw(t, "origin")
			k.join(t, drawWrite(t, k, three, self, at+1))
		}
		all, marked, err := readDots(three, k.body)
		require.NoError(t, err)
		if marked {
			all = append(all, Element{})
		}
		changed := rapid.IntRange(0, len(all)).Draw(t, "changed")
		shuffle(t, all)
		keep := rapid.IntRange(0, changed).Draw(t, "keep")
		at := fieldwise.Version{Time: 9, Origin: origins[1]}
		d3, err := NewDelta(three, at)
		require.NoError(t, err)
		want, err := d3.AppendDots(nil, k.body, all[:keep], all[keep:changed])
		require.NoError(t, err)
		body, ok := renumberDots(nil, k.body, renumbering{0, 0, 1})
		require.True(t, ok)
		d2, err := NewDelta(two, at)
		require.NoError(t, err)
		got, err := d2.AppendDots(nil, body, all[:keep], all[keep:changed])
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, d3.used.low, d2.used.low)
	})
}

// dotsOf writes to a body at one of three origins and joins the delta.
func dotsOf(t require.TestingT, body []byte, self int, at fieldwise.Timestamp, add, remove []Element) (joined, delta []byte) {
	origins := threeOrigins()
	d, err := NewDelta(tableOf(t, origins), fieldwise.Version{Time: at, Origin: origins[self]})
	require.NoError(t, err)
	delta, err = d.AppendDots(nil, body, add, remove)
	require.NoError(t, err)
	checkedDots(t, delta)
	if len(body) == 0 {
		return delta, delta
	}
	return joinedDots(t, body, delta), delta
}

func elementsOf(values ...string) (all []Element) {
	for _, v := range values {
		all = append(all, Element{Value: wire.AppendString(nil, v)})
	}
	return all
}

func namesIn(t require.TestingT, body []byte) (names []string) {
	all, err := Elements(tableOf(t, threeOrigins()), body)
	require.NoError(t, err)
	for _, e := range all {
		s, _, err := wire.String(e.Value)
		require.NoError(t, err)
		names = append(names, string(s))
	}
	return names
}

func TestAnAddWinsOverAConcurrentRemove(t *testing.T) {
	base, _ := dotsOf(t, nil, 0, 10, elementsOf("x", "y"), nil)
	_, removes := dotsOf(t, base, 1, 20, nil, elementsOf("x", "y"))
	_, renews := dotsOf(t, base, 2, 15, elementsOf("x"), nil)
	for _, order := range [][][]byte{{base, removes, renews}, {renews, removes, base}, {removes, base, renews}} {
		got := joinedDots(t, joinedDots(t, order[0], order[1]), order[2])
		require.Equal(t, []string{"x"}, namesIn(t, got), "renewed, though it was there; y was not")
	}
}

// One write adds several elements at one moment. To remove one of them hides no other,
// wherever the removal comes first.
func TestRemovingOneOfAWriteKeepsTheOthers(t *testing.T) {
	base, adds := dotsOf(t, nil, 0, 10, elementsOf("x", "y", "z"), nil)
	after, removes := dotsOf(t, base, 1, 20, nil, elementsOf("y"))
	require.Equal(t, []string{"x", "z"}, namesIn(t, after))
	require.Equal(t, after, joinedDots(t, removes, adds), "early")
	last, _ := dotsOf(t, after, 2, 30, elementsOf("z"), elementsOf("x"))
	require.Equal(t, []string{"z"}, namesIn(t, joinedDots(t, removes, last)), "what was removed since stays so")
}

// A removal names what it removes and nothing else that the same write added, in whatever
// order it all arrives.
func TestRemovingOneOfManyOfAWriteIsSmall(t *testing.T) {
	many := make([]Element, 1000)
	for i := range many {
		many[i] = Element{Value: wire.AppendString(nil, fmt.Sprintf("%x", i*7919%1000)), Position: []byte{1, byte(i / 256), byte(i%256) | 1}}
	}
	base, adds := dotsOf(t, nil, 0, 10, many, nil)
	first, one := dotsOf(t, base, 1, 20, nil, many[417:418])
	want, two := dotsOf(t, first, 1, 30, nil, many[5:6])
	require.Less(t, len(one), 40)
	require.Less(t, len(two), 40)
	all, err := Elements(tableOf(t, threeOrigins()), want)
	require.NoError(t, err)
	require.Len(t, all, 998)
	require.False(t, slices.ContainsFunc(all, func(e Element) bool {
		return bytes.Equal(e.Value, many[417].Value) || bytes.Equal(e.Value, many[5].Value)
	}))
	for _, order := range [][][]byte{{one, two, adds}, {two, one, adds}, {one, adds, two}, {two, adds, one}, {adds, one, two}, {adds, two, one}} {
		got := joinedDots(t, joinedDots(t, order[0], order[1]), order[2])
		checkedDots(t, got)
		require.Equal(t, want, got)
	}
	_, run := dotsOf(t, base, 1, 20, nil, many[200:900])
	require.Less(t, len(run), 40, "what the write added side by side")
	none, all1000 := dotsOf(t, base, 1, 20, nil, many)
	require.Less(t, len(all1000), 40)
	require.Less(t, len(none), 40)
	require.Equal(t, none, joinedDots(t, all1000, adds))
}

// Where an identity was used twice, elements of two histories claim one dot. Each history
// says of the other's that it was removed; what was written since stays.
func TestElementsOfAReusedIdentity(t *testing.T) {
	_, one := dotsOf(t, nil, 0, 10, elementsOf("x"), nil)
	_, other := dotsOf(t, nil, 0, 10, elementsOf("y"), nil)
	require.Empty(t, namesIn(t, joinedDots(t, one, other)))
	later, _ := dotsOf(t, other, 1, 20, elementsOf("z"), nil)
	require.Equal(t, []string{"z"}, namesIn(t, joinedDots(t, one, later)))
}

// What is removed leaves nothing behind, and contexts of writes that follow each other are
// one interval.
func TestBodiesOfSettledSetsAreSmall(t *testing.T) {
	var body []byte
	for i := range 100 {
		at := fieldwise.Timestamp(1000 * (i + 1))
		body, _ = dotsOf(t, body, 0, at, elementsOf("x", "y"), nil)
		body, _ = dotsOf(t, body, 0, at+5, nil, elementsOf("x"))
	}
	body, _ = dotsOf(t, body, 0, 1_000_000, nil, elementsOf("y"))
	require.Len(t, body, 2+1+timeLen)
	require.True(t, Present(body))
	require.Empty(t, namesIn(t, body))
	body, _ = dotsOf(t, body, 0, 1_000_001, []Element{{}}, nil)
	require.False(t, Present(body), "the mark")
	require.Empty(t, namesIn(t, body))
	body, _ = dotsOf(t, body, 0, 1_000_002, nil, []Element{{}})
	require.Len(t, body, 2+1+timeLen)
	require.True(t, Present(body))
}

func TestDotsRefuseAWriteThatIsNotAbove(t *testing.T) {
	origins := threeOrigins()
	body, _ := dotsOf(t, nil, 1, 10, nil, nil)
	for time, ok := range map[fieldwise.Timestamp]bool{9: false, 10: false, 11: true} {
		d, err := NewDelta(tableOf(t, origins), fieldwise.Version{Time: time, Origin: origins[1]})
		require.NoError(t, err)
		_, err = d.AppendDots(nil, body, elementsOf("x"), nil)
		require.Equal(t, ok, err == nil)
		if !ok {
			require.ErrorIs(t, err, fieldwise.ErrStaleVersion)
		}
	}
}
