package lattice

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// moment is one point on the time axis of the origin with an index.
type moment struct {
	index int
	time  uint64
}

// named is what tells elements apart.
type named struct {
	value      string
	occurrence uint64
}

// dotted is a body in the obvious form: each moment that was seen, with the position of
// each element that has a dot there, "" for none.
type dotted map[moment]map[named]string

func (m dotted) clone() dotted {
	out := make(dotted)
	for at, elements := range m {
		out[at] = maps.Clone(elements)
	}
	return out
}

// joinDotted is the join by its description: at a moment that both have seen stays what
// both have, with the larger position; at others all.
func joinDotted(a, b dotted) dotted {
	out := a.clone()
	for at, elements := range b {
		mine, seen := a[at]
		if !seen {
			out[at] = maps.Clone(elements)
			continue
		}
		out[at] = make(map[named]string)
		for e, p := range mine {
			if q, ok := elements[e]; ok {
				out[at][e] = max(p, q)
			}
		}
	}
	return out
}

func bigEndian(t uint64) []byte { return binary.BigEndian.AppendUint64(nil, t) }

// encodeDots writes a body by its description. move says which indices it names.
func encodeDots(m dotted, move func(int) int) []byte {
	seen := slices.SortedFunc(maps.Keys(m), func(a, b moment) int {
		return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(a.time, b.time))
	})
	var context []byte
	for i := 0; i < len(seen); {
		j := i
		for j+1 < len(seen) && seen[j+1].index == seen[i].index && seen[j+1].time == seen[j].time+1 {
			j++
		}
		head := uint64(move(seen[i].index)) * 4
		switch {
		case seen[i].time == 0:
			context = append(wire.AppendUint(context, head+1), bigEndian(seen[j].time)...)
		case i == j:
			context = append(wire.AppendUint(context, head+2), bigEndian(seen[i].time)...)
		default:
			context = append(append(wire.AppendUint(context, head), bigEndian(seen[i].time)...), bigEndian(seen[j].time)...)
		}
		i = j + 1
	}
	out := wire.AppendBin(nil, context)
	dots := make(map[named][]moment)
	for _, at := range seen {
		for e := range m[at] {
			dots[e] = append(dots[e], at)
		}
	}
	for _, e := range slices.SortedFunc(maps.Keys(dots), func(a, b named) int {
		return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.occurrence, b.occurrence))
	}) {
		out = wire.AppendUint(append(out, e.value...), e.occurrence)
		for i, at := range dots[e] {
			head := uint64(move(at.index)) * 4
			if i < len(dots[e])-1 {
				head++
			}
			if m[at][e] != "" {
				head += 2
			}
			out = append(wire.AppendUint(out, head), bigEndian(at.time)...)
			if p := m[at][e]; p != "" {
				out = wire.AppendBin(out, p)
			}
		}
	}
	return out
}

func same(i int) int { return i }

var dotValues = []string{"\xc1", "\x01", "\x02", "\x7f", "\xc3", "\xa1x", "\xa2xy", "\xcc\x80", "\xa0", "\x91\x01"}

var dotPositions = []string{"", "", "\x01", "\x80", "\x80\x01", "\x81", string(bytes.Repeat([]byte{7}, 300))}

// drawMoments draws origins' indices and times to choose from: times that adjoin, at both
// ends of the axis, and indices whose heads take more bytes.
func drawMoments(t *rapid.T) (all []moment) {
	indices := rapid.SampledFrom([][]int{{0}, {0, 1}, {0, 1, 2}, {30, 31, 32, 33}, {1, 63, 64, 300}}).Draw(t, "indices")
	times := rapid.IntRange(1, 20).Draw(t, "times")
	for _, i := range indices {
		for n := range uint64(times) {
			if n%2 == 0 || times < 8 {
				all = append(all, moment{i, n})
			} else {
				all = append(all, moment{i, n}, moment{i, math.MaxUint64 - n})
			}
		}
		all = append(all, moment{i, math.MaxUint64})
	}
	return all
}

const dotOrigins = 301 // above all indices that drawMoments draws

// drawDotted draws a body that has seen some of the moments.
func drawDotted(t *rapid.T, all []moment) dotted {
	m := make(dotted)
	often := rapid.IntRange(1, 9).Draw(t, "often")
	for _, at := range all {
		if rapid.IntRange(0, 9).Draw(t, "seen") < often {
			m[at] = drawDots(t)
		}
	}
	if len(m) == 0 {
		m[all[0]] = drawDots(t)
	}
	return m
}

func drawDots(t *rapid.T) map[named]string {
	elements := make(map[named]string)
	for range rapid.SampledFrom([]int{0, 1, 1, 2, 4}).Draw(t, "elements") {
		e := named{value: rapid.SampledFrom(dotValues).Draw(t, "value")}
		p := ""
		if e.value != "\xc1" {
			e.occurrence = rapid.SampledFrom([]uint64{0, 0, 0, 1, 200}).Draw(t, "occurrence")
			p = rapid.SampledFrom(dotPositions).Draw(t, "position")
		}
		elements[e] = p
	}
	return elements
}

func checkedDots(t require.TestingT, body []byte) {
	used := newUsage(dotOrigins)
	require.NoError(t, checkDots(body, dotOrigins, &used), "%x", body)
}

func joinedDots(t require.TestingT, a, b []byte) []byte {
	got, err := joinDots([]byte("dst"), a, b)
	require.NoError(t, err)
	require.Equal(t, "dst", string(got[:3]))
	return got[3:]
}

// The join of any two bodies is byte for byte what the obvious join of their meanings
// encodes to, which passes the check.
func TestPropertyJoinDotsIsThatOfTheModel(t *testing.T) {
	histories(t, 1200, 6000, func(t *rapid.T) {
		all := drawMoments(t)
		a, b := drawDotted(t, all), drawDotted(t, all)
		if rapid.Bool().Draw(t, "related") { // most dots are alike, as those of replicas are
			b = joinDotted(a, b)
			for _, at := range all {
				if rapid.IntRange(0, 9).Draw(t, "later") == 0 {
					a[at] = maps.Clone(b[at])
					b[at] = nil
				}
			}
		}
		x, y := encodeDots(a, same), encodeDots(b, same)
		checkedDots(t, x)
		checkedDots(t, y)
		want := encodeDots(joinDotted(a, b), same)
		checkedDots(t, want)
		for _, p := range [][2][]byte{{x, y}, {y, x}} {
			if got := joinedDots(t, p[0], p[1]); !bytes.Equal(got, want) {
				t.Fatalf("join of\n%x and\n%x is\n%x, want\n%x", p[0], p[1], got, want)
			}
		}
	})
}

func TestPropertyJoinDotsObeysTheLaws(t *testing.T) {
	histories(t, 800, 4000, func(t *rapid.T) {
		all := drawMoments(t)
		var s [3][]byte
		for i := range s {
			s[i] = encodeDots(drawDotted(t, all), same)
		}
		ab, bc := joinedDots(t, s[0], s[1]), joinedDots(t, s[1], s[2])
		checkedDots(t, ab)
		require.Equal(t, ab, joinedDots(t, s[1], s[0]), "commutative")
		require.Equal(t, joinedDots(t, ab, s[2]), joinedDots(t, s[0], bc), "associative")
		require.Equal(t, ab, joinedDots(t, ab, bytes.Clone(s[1])), "absorbs")
		require.Equal(t, ab, joinedDots(t, ab, bytes.Clone(ab)), "idempotent")
	})
}

// Contexts of hundreds of intervals are searched another way and join alike.
func TestPropertyLongContextsJoinAlike(t *testing.T) {
	histories(t, 6, 60, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{60, 300, 1500, 4000}).Draw(t, "moments")
		step := rapid.Uint64Range(2, 1<<40).Draw(t, "step")
		var m [2]dotted
		seed := rapid.Uint64().Draw(t, "seed")
		for side := range m {
			m[side] = make(dotted)
			for i := range n {
				seed = seed*6364136223846793005 + 1442695040888963407
				at := moment{int(seed>>60) % 3, uint64(i) * step}
				if seed>>40%4 > 0 {
					m[side][at] = make(map[named]string)
				}
				if seed>>40%4 > 1 {
					m[side][at][named{value: dotValues[1+seed>>30%9], occurrence: uint64(i) % 7}] = dotPositions[i%4]
				}
			}
		}
		x, y := encodeDots(m[0], same), encodeDots(m[1], same)
		checkedDots(t, x)
		checkedDots(t, y)
		want := encodeDots(joinDotted(m[0], m[1]), same)
		require.True(t, bytes.Equal(want, joinedDots(t, x, y)), "%d moments", n)
		require.True(t, bytes.Equal(want, joinedDots(t, y, x)), "%d moments", n)
		for at := range m[0] { // whose next moment is not covered
			bad := append(bytes.Clone(x), 0xff, 0, byte(at.index*4))
			used := newUsage(dotOrigins)
			require.NoError(t, checkDots(append(bytes.Clone(bad), bigEndian(at.time)...), dotOrigins, &used))
			require.ErrorContains(t, checkDots(append(bad, bigEndian(at.time+1)...), dotOrigins, &used), "dot outside the context")
			break
		}
	})
}

func TestPropertyRenumberDotsIsThatOfTheModel(t *testing.T) {
	histories(t, 500, 2000, func(t *rapid.T) {
		m := drawDotted(t, drawMoments(t))
		to, next := make(renumbering, dotOrigins), uint32(0)
		for i := range to {
			next += rapid.SampledFrom([]uint32{0, 0, 0, 0, 1, 70, 20_000}).Draw(t, "gap")
			to[i] = next
			next++
		}
		body := encodeDots(m, same)
		got, ok := renumberDots([]byte("dst"), body, to)
		require.True(t, ok)
		require.Equal(t, "dst", string(got[:3]))
		require.Equal(t, encodeDots(m, func(i int) int { return int(to[i]) }), got[3:])
		require.Less(t, len(got)-3, 2*len(body), "what uniteBodies leaves room for")
		highest := 0
		for at := range m {
			highest = max(highest, at.index)
		}
		_, ok = renumberDots(nil, body, to[:highest])
		require.False(t, ok, "an index that has no new one")
	})
}

// checkDots notes the origins that are named, no others, and dotTimes yields the last
// moment of each.
func TestPropertyUseAndTimesOfDots(t *testing.T) {
	histories(t, 300, 1000, func(t *rapid.T) {
		m := drawDotted(t, drawMoments(t))
		body := encodeDots(m, same)
		want := make(map[int]uint64)
		for at := range m {
			want[at.index] = max(want[at.index], at.time)
		}
		used, got := newUsage(dotOrigins), make(map[int]uint64)
		require.NoError(t, checkDots(body, dotOrigins, &used))
		dotTimes(body, func(i int, at fieldwise.Timestamp) bool {
			got[i] = max(got[i], uint64(at))
			return true
		})
		require.Equal(t, want, got)
		for i := range dotOrigins {
			_, named := want[i]
			require.Equal(t, named, used.has(i), "origin %d", i)
		}
		n := 0
		dotTimes(body, func(int, fieldwise.Timestamp) bool { n++; return false })
		require.Equal(t, 1, n, "stops when told")
	})
}

// Every way in which a body can be almost canonical is refused.
func TestCheckDotsRefusesWhatIsNotCanonical(t *testing.T) {
	cat := func(parts ...any) (b []byte) {
		for _, p := range parts {
			switch p := p.(type) {
			case int:
				b = append(b, byte(p))
			case uint64:
				b = append(b, bigEndian(p)...)
			case string:
				b = append(b, p...)
			case []byte:
				b = append(b, p...)
			}
		}
		return b
	}
	context := func(parts ...any) []byte { return wire.AppendBin(nil, cat(parts...)) }
	const five, nine, top = uint64(5), uint64(9), uint64(math.MaxUint64)
	to9 := context(1, nine)                // [0,9] of origin 0
	both := context(1, nine, 4, five, top) // and [5,max] of origin 1
	for name, good := range map[string][]byte{
		"no element":       to9,
		"zero alone":       context(1, uint64(0)),
		"one dot":          cat(to9, 7, 0, 0, five),
		"mark":             cat(to9, "\xc1", 0, 0, five),
		"two dots":         cat(both, 7, 0, 1, five, 4, five),
		"two of an origin": cat(both, 7, 0, 1, five, 0, nine),
		"position":         cat(to9, 7, 0, 2, five, "\xc4\x02\x00\x01"),
		"equal values":     cat(to9, 7, 0, 0, five, 7, 1, 0, five),
		"apart by one":     context(0, five, nine, 2, uint64(11)),
		"next origin":      context(0, five, top, 5, top),
		"two elements":     cat(to9, "\xa1x", 0, 0, five, "\xc1", 0, 0, five),
	} {
		used := newUsage(2)
		require.NoError(t, checkDots(good, 2, &used), name)
	}
	for name, c := range map[string]struct {
		bad  []byte
		says string
	}{
		"empty":                      {nil, "context"},
		"no context":                 {cat(7, 0, 0, five), "context"},
		"context of nothing":         {context(), "without an interval"},
		"context cut":                {to9[:len(to9)-1], "context"},
		"context in a longer form":   {cat("\xc5\x00", int(to9[1]), to9[2:]), "context"},
		"interval cut":               {context(0, five), "inside an interval"},
		"both flags":                 {context(3, nine), "inside an interval"},
		"zero as a point":            {context(2, uint64(0)), "another form"},
		"from zero, written out":     {context(0, uint64(0), nine), "another form"},
		"a point, written out":       {context(0, nine, nine), "another form"},
		"backwards":                  {context(0, nine, five), "ends before"},
		"head in a longer form":      {context("\xcc\x01", nine), "inside an interval"},
		"head too large":             {context("\xce\x80\x00\x00\x01", nine), "inside an interval"},
		"interval outside the table": {context(9, nine), "outside the origin table"},
		"intervals unsorted":         {context(2, nine, 2, five), "not sorted"},
		"origins unsorted":           {context(6, nine, 2, five), "not sorted"},
		"intervals overlap":          {context(1, nine, 0, five, top), "not apart"},
		"intervals adjoin":           {context(1, nine, 2, uint64(10)), "not apart"},
		"behind the last moment":     {context(0, five, top, 2, top), "not apart"},
		"interval twice":             {context(2, nine, 2, nine), "not sorted"},
		"value not canonical":        {cat(to9, "\xcc\x07", 0, 0, five), "not canonical"},
		"value of no kind":           {cat(to9, "\xc7\x01\x05x", 0, 0, five), "element"},
		"value too deep":             {cat(to9, bytes.Repeat([]byte{0x91}, MaxDepth+1), 7, 0, 0, five), "element"},
		"value cut":                  {cat(to9, "\xa9x"), "ends early"},
		"occurrence left out":        {cat(to9, 7), "ends early"},
		"occurrence in longer form":  {cat(to9, 7, "\xcc\x01", 0, five), "ends early"},
		"occurrence on the mark":     {cat(to9, "\xc1", 1, 0, five), "on the mark"},
		"no dot":                     {cat(to9, 7, 0), "inside a dot"},
		"dot cut":                    {cat(to9, 7, 0, 0, five)[:20], "inside a dot"},
		"dot head in a longer form":  {cat(to9, 7, 0, "\xcc\x00", five), "inside a dot"},
		"dot outside the context":    {cat(to9, 7, 0, 0, uint64(10)), "outside the context"},
		"dot of another origin":      {cat(to9, 7, 0, 4, five), "outside the context"},
		"dot below the interval":     {cat(both, 7, 0, 4, uint64(4)), "outside the context"},
		"more, and none":             {cat(to9, 7, 0, 1, five), "inside a dot"},
		"no more, and one":           {cat(both, 7, 0, 0, five, 4, five), "not sorted"},
		"dots unsorted":              {cat(both, 7, 0, 5, five, 0, five), "dots are not sorted"},
		"times unsorted":             {cat(both, 7, 0, 1, nine, 0, five), "dots are not sorted"},
		"dot twice":                  {cat(both, 7, 0, 1, five, 0, five), "dots are not sorted"},
		"dot twice, two positions":   {cat(both, 7, 0, 1, five, 2, five, "\xc4\x01\x01"), "dots are not sorted"},
		"position empty":             {cat(to9, 7, 0, 2, five, "\xc4\x00"), "inside a dot"},
		"position ends in zero":      {cat(to9, 7, 0, 2, five, "\xc4\x02\x01\x00"), "ends in zero"},
		"position left out":          {cat(to9, 7, 0, 2, five), "inside a dot"},
		"position in a longer form":  {cat(to9, 7, 0, 2, five, "\xc5\x00\x01\x01"), "inside a dot"},
		"position on the mark":       {cat(to9, "\xc1", 0, 2, five, "\xc4\x01\x01"), "on the mark"},
		"elements unsorted":          {cat(to9, 8, 0, 0, five, 7, 0, 0, five), "elements are not sorted"},
		"occurrences unsorted":       {cat(to9, 7, 1, 0, five, 7, 0, 0, five), "elements are not sorted"},
		"element twice":              {cat(to9, 7, 0, 0, five, 7, 0, 0, nine), "elements are not sorted"},
		"trailing byte":              {cat(to9, 7, 0, 0, five, 0), "ends early"},
	} {
		used := newUsage(2)
		err := checkDots(c.bad, 2, &used)
		require.ErrorIs(t, err, fieldwise.ErrMalformed, name)
		require.ErrorContains(t, err, c.says, name)
	}
}

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
	moments := make(map[moment]bool)
	for id := range k.model.added {
		if touched[id.named] && !k.model.removed[id] && id.time <= limit[id.index] {
			delta.model.removed[id] = true
			moments[id.moment] = true
		}
	}
	for id := range k.model.removed { // the delta says what is left at these moments
		if moments[id.moment] {
			delta.model.removed[id] = true
		}
	}
	for id, p := range k.model.added {
		if moments[id.moment] && !k.model.removed[id] && !delta.model.removed[id] {
			delta.model.added[id] = p
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
	require.Equal(t, marked || len(want) > 0, Present(k.body))
}

// Three replicas write, and pass deltas on that come early, twice, late or not at all, and
// whole bodies. Each reads at any time what an observed-remove set of what reached it
// reads, and in the end all agree.
func TestPropertyDotsAreAnObservedRemoveSet(t *testing.T) {
	table := tableOf(t, threeOrigins())
	histories(t, 400, 4000, func(t *rapid.T) {
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
	histories(t, 200, 1000, func(t *rapid.T) {
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
		keep := rapid.IntRange(0, len(all)).Draw(t, "keep")
		at := fieldwise.Version{Time: 9, Origin: origins[1]}
		d3, err := NewDelta(three, at)
		require.NoError(t, err)
		want, err := d3.AppendDots(nil, k.body, all[:keep], all[keep:])
		require.NoError(t, err)
		body, ok := renumberDots(nil, k.body, renumbering{0, 0, 1})
		require.True(t, ok)
		d2, err := NewDelta(two, at)
		require.NoError(t, err)
		got, err := d2.AppendDots(nil, body, all[:keep], all[keep:])
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
	require.False(t, Present(body))
	body, _ = dotsOf(t, body, 0, 1_000_001, []Element{{}}, nil)
	require.True(t, Present(body), "the mark")
	require.Empty(t, namesIn(t, body))
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

// Sets read in the order of values, lists in that of positions, then versions.
func TestElementsInOrder(t *testing.T) {
	number, text := wire.AppendUint(nil, 200), wire.AppendString(nil, "a")
	float, nothing := wire.AppendFloat(nil, 3.5), wire.AppendNil(nil)
	body, _ := dotsOf(t, nil, 1, 10, []Element{
		{Value: number, Position: []byte{0x80}}, {Value: text, Position: []byte{0x80}}, {Value: nothing, Position: []byte{0x90}}, {},
	}, nil)
	body, _ = dotsOf(t, body, 0, 10, []Element{{Value: float, Position: []byte{0x80}}, {Value: text, Occurrence: 1}}, nil)
	read := func(elements func(Table, []byte) ([]Element, error)) (got [][]byte) {
		all, err := elements(tableOf(t, threeOrigins()), body)
		require.NoError(t, err)
		for _, e := range all {
			got = append(got, e.Value)
		}
		return got
	}
	require.Equal(t, [][]byte{nothing, float, number, text, text}, read(Elements))
	require.Equal(t, [][]byte{text, float, text, number, nothing}, read(ListElements))
}

func TestJoinDotsAllocatesNothingWhereThereIsRoom(t *testing.T) {
	body := func(self, n int) (b []byte) {
		for i := range n {
			b, _ = dotsOf(t, b, self, fieldwise.Timestamp(10*(i+1)), elementsOf(string(rune('a'+i%26))+string(rune('a'+i/26))), nil)
		}
		return b
	}
	a, b := body(0, 100), body(1, 50)
	all, err := Elements(tableOf(t, threeOrigins()), a)
	require.NoError(t, err)
	a, _ = dotsOf(t, a, 2, 10, all[:50], nil)
	_, clears := dotsOf(t, joinedDots(t, a, b), 2, 2000, nil, all)
	require.Greater(t, len(clears), longContext+100)
	dst := make([]byte, 0, 1<<16)
	for name, pair := range map[string][2][]byte{"short": {a, b}, "long": {a, clears}, "equal": {a, bytes.Clone(a)}} {
		require.Zero(t, testing.AllocsPerRun(100, func() {
			_, err = joinDots(dst, pair[0], pair[1])
		}), name)
		require.NoError(t, err, name)
	}
}

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

// On any bytes nothing panics and little is allocated; what passes the check joins with
// itself to itself and with others as the laws want.
func FuzzDots(f *testing.F) {
	x, renews := dotsOf(f, nil, 0, 10, []Element{{}, {Value: []byte{7}, Position: []byte{1}}, {Value: []byte{7}, Occurrence: 1}}, nil)
	y, removes := dotsOf(f, x, 1, 20, elementsOf("a"), []Element{{Value: []byte{7}}})
	z, _ := dotsOf(f, joinedDots(f, x, y), 2, 1<<60, []Element{{Value: []byte{7}}}, []Element{{}})
	long := make(dotted)
	for i := range uint64(100) {
		long[moment{int(i % 3), 2 * i}] = map[named]string{{value: dotValues[1+i%9]}: dotPositions[i%6]}
	}
	seeds := [][]byte{x, y, z, renews, removes, encodeDots(long, same), nil, {0xc4, 0}, {0xc6, 0xff, 0xff, 0xff, 0xff}}
	for i, s := range seeds {
		f.Add(s, seeds[(i+1)%len(seeds)])
	}
	table := tableOf(f, threeOrigins())
	at := fieldwise.Version{Time: fieldwise.MaxTimestamp, Origin: threeOrigins()[1]}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		limit := uint64(4*(len(a)+len(b)) + 64<<10)
		var valid [2]bool
		for i, s := range [][]byte{a, b} {
			var err error
			if n := allocated(limit, func() {
				used := newUsage(3)
				err = checkDots(s, 3, &used)
			}); n > limit {
				t.Fatalf("the check of %d bytes allocates %d", len(s), n)
			}
			if valid[i] = err == nil; !valid[i] && !errors.Is(err, fieldwise.ErrMalformed) {
				t.Fatalf("another error: %v", err)
			}
		}
		var ab []byte
		var err error
		if n := allocated(limit, func() { ab, err = joinDots(nil, a, b) }); n > limit {
			t.Fatalf("the join of %d bytes allocates %d", len(a)+len(b), n)
		}
		dotTimes(a, func(int, fieldwise.Timestamp) bool { return true })
		_, renumbered := renumberDots(nil, a, renumbering{1, 2, 3})
		all, errRead := ListElements(table, a)
		d, errDelta := NewDelta(table, at)
		require.NoError(t, errDelta)
		delta, errWrite := d.AppendDots(nil, a, all, nil)
		if !valid[0] || !valid[1] {
			return
		}
		require.NoError(t, err)
		require.NoError(t, errRead)
		require.True(t, renumbered)
		checkedDots(t, ab)
		require.Equal(t, a, joinedDots(t, a, bytes.Clone(a)))
		require.Equal(t, ab, joinedDots(t, b, a))
		require.Equal(t, ab, joinedDots(t, ab, b))
		if errWrite == nil {
			checkedDots(t, delta)
			checkedDots(t, joinedDots(t, a, delta))
		} else {
			require.ErrorIs(t, errWrite, fieldwise.ErrStaleVersion)
		}
	})
}
