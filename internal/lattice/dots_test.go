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
	"github.com/fieldwise/fieldwise/internal/randtest"
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

// point is one ordinal of a moment.
type point struct {
	moment
	ordinal uint32
}

// dotted is a body in the obvious form: the moments that were seen whole, the points that
// were seen of others, and of each point with dots the position of each element that has
// one there, "" for none.
type dotted struct {
	whole map[moment]bool
	parts map[point]bool
	dots  map[point]map[named]string
}

func newDotted() dotted {
	return dotted{whole: make(map[moment]bool), parts: make(map[point]bool), dots: make(map[point]map[named]string)}
}

func (m dotted) covers(p point) bool { return m.whole[p.moment] || m.parts[p] }

// joinDotted is the join by its description: at a point that both have seen stays what
// both have, with the larger position; at others all.
func joinDotted(a, b dotted) dotted {
	out := newDotted()
	for _, m := range []dotted{a, b} {
		maps.Copy(out.whole, m.whole)
		maps.Copy(out.parts, m.parts)
	}
	for _, sides := range [][2]dotted{{a, b}, {b, a}} {
		for p, elements := range sides[0].dots {
			for e, position := range elements {
				other, both := sides[1].dots[p][e]
				if !both && sides[1].covers(p) {
					continue
				}
				if out.dots[p] == nil {
					out.dots[p] = make(map[named]string)
				}
				out.dots[p][e] = max(position, other)
			}
		}
	}
	return out
}

func bigEndian(t uint64) []byte { return binary.BigEndian.AppendUint64(nil, t) }

func compareMoments(a, b moment) int {
	return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(a.time, b.time))
}

func comparePoints(a, b point) int {
	return cmp.Or(compareMoments(a.moment, b.moment), cmp.Compare(a.ordinal, b.ordinal))
}

// encodeDots writes a body by its description. move says which indices it names.
func encodeDots(m dotted, move func(int) int) []byte {
	intervals := make(map[point][]byte) // by where they begin
	whole := slices.SortedFunc(maps.Keys(m.whole), compareMoments)
	for i := 0; i < len(whole); {
		j := i
		for j+1 < len(whole) && whole[j+1].index == whole[i].index && whole[j+1].time == whole[j].time+1 {
			j++
		}
		head := uint64(move(whole[i].index)) * 4
		if whole[i].time == 0 {
			intervals[point{whole[i], 0}] = append(wire.AppendUint(nil, head+1), bigEndian(whole[j].time)...)
		} else {
			intervals[point{whole[i], 0}] = append(append(wire.AppendUint(nil, head), bigEndian(whole[i].time)...), bigEndian(whole[j].time)...)
		}
		i = j + 1
	}
	var parts []point
	for p := range m.parts {
		if !m.whole[p.moment] {
			parts = append(parts, p)
		}
	}
	slices.SortFunc(parts, comparePoints)
	for i := 0; i < len(parts); {
		j := i
		for j+1 < len(parts) && parts[j+1].moment == parts[i].moment && parts[j+1].ordinal == parts[j].ordinal+1 {
			j++
		}
		b := append(wire.AppendUint(nil, uint64(move(parts[i].index))*4+2), bigEndian(parts[i].time)...)
		intervals[parts[i]] = wire.AppendUint(wire.AppendUint(b, uint64(parts[i].ordinal)), uint64(parts[j].ordinal))
		i = j + 1
	}
	var context []byte
	for _, p := range slices.SortedFunc(maps.Keys(intervals), comparePoints) {
		context = append(context, intervals[p]...)
	}
	out := wire.AppendBin(nil, context)
	dots := make(map[named][]point)
	for _, p := range slices.SortedFunc(maps.Keys(m.dots), comparePoints) {
		for e := range m.dots[p] {
			dots[e] = append(dots[e], p)
		}
	}
	for _, e := range slices.SortedFunc(maps.Keys(dots), func(a, b named) int {
		return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.occurrence, b.occurrence))
	}) {
		out = wire.AppendUint(append(out, e.value...), e.occurrence)
		for i, p := range dots[e] {
			head := uint64(move(p.index)) * 4
			if i < len(dots[e])-1 {
				head++
			}
			position := m.dots[p][e]
			if position != "" {
				head += 2
			}
			out = append(wire.AppendUint(out, head), bigEndian(p.time)...)
			out = wire.AppendUint(out, uint64(p.ordinal))
			if position != "" {
				out = wire.AppendBin(out, position)
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

// Ordinals that adjoin and whose forms differ in length, up to the last one.
var dotOrdinals = []uint32{0, 0, 1, 2, 3, 126, 127, 128, 255, 256, 1<<16 - 1, 1 << 16, 1<<32 - 3, 1<<32 - 2}

// drawDotted draws a body that has seen some of the moments, or parts of them.
func drawDotted(t *rapid.T, all []moment) dotted {
	m := newDotted()
	often := rapid.IntRange(1, 9).Draw(t, "often")
	see := func(at moment) {
		part := rapid.IntRange(0, 2).Draw(t, "part") == 0
		if !part {
			m.whole[at] = true
		}
		for n := rapid.SampledFrom([]int{1, 1, 1, 2, 4}).Draw(t, "ordinals"); n > 0; n-- {
			p := point{at, rapid.SampledFrom(dotOrdinals).Draw(t, "ordinal")}
			if part {
				m.parts[p] = true
			}
			m.dots[p] = drawDots(t)
		}
	}
	for _, at := range all {
		if rapid.IntRange(0, 9).Draw(t, "seen") < often {
			see(at)
		}
	}
	if len(m.whole)+len(m.parts) == 0 {
		see(all[0])
	}
	return m
}

func drawDots(t *rapid.T) map[named]string {
	elements := make(map[named]string)
	for range rapid.SampledFrom([]int{0, 1, 1, 2, 4}).Draw(t, "elements") {
		e := named{value: rapid.SampledFrom(dotValues).Draw(t, "value")}
		p := ""
		if e.value != "\xc1" {
			e.occurrence = rapid.SampledFrom([]uint64{0, 0, 0, 1, 200, 1 << 10}).Draw(t, "occurrence")
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
	randtest.Check(t, 1200, 6000, func(t *rapid.T) {
		all := drawMoments(t)
		a, b := drawDotted(t, all), drawDotted(t, all)
		if rapid.Bool().Draw(t, "related") { // most dots are alike, as those of replicas are
			b = joinDotted(a, b)
			for _, p := range slices.SortedFunc(maps.Keys(b.dots), comparePoints) {
				if rapid.IntRange(0, 9).Draw(t, "later") == 0 {
					if b.whole[p.moment] {
						a.whole[p.moment] = true
					} else {
						a.parts[p] = true
					}
					a.dots[p] = maps.Clone(b.dots[p])
					delete(b.dots, p)
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
	randtest.Check(t, 800, 4000, func(t *rapid.T) {
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

func TestPropertyRenumberDotsIsThatOfTheModel(t *testing.T) {
	randtest.Check(t, 500, 2000, func(t *rapid.T) {
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
		for at := range m.whole {
			highest = max(highest, at.index)
		}
		for p := range m.parts {
			highest = max(highest, p.index)
		}
		_, ok = renumberDots(nil, body, to[:highest])
		require.False(t, ok, "an index that has no new one")
	})
}

// checkDots notes the origins that are named, no others, and dotTimes yields the last
// moment of each.
func TestPropertyUseAndTimesOfDots(t *testing.T) {
	randtest.Check(t, 300, 1000, func(t *rapid.T) {
		m := drawDotted(t, drawMoments(t))
		body := encodeDots(m, same)
		want := make(map[int]uint64)
		for at := range m.whole {
			want[at.index] = max(want[at.index], at.time)
		}
		for p := range m.parts {
			want[p.index] = max(want[p.index], p.time)
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
	part := context(2, nine, 3, 4)         // ordinals 3 and 4 of moment 9
	for name, good := range map[string][]byte{
		"no element":          to9,
		"zero alone":          context(1, uint64(0)),
		"one moment":          context(0, nine, nine),
		"one dot":             cat(to9, 7, 0, 0, five, 0),
		"mark":                cat(to9, "\xc1", 0, 0, five, 1),
		"two dots":            cat(both, 7, 0, 1, five, 0, 4, five, 0),
		"two of an origin":    cat(both, 7, 0, 1, five, 0, 0, nine, 0),
		"two of a moment":     cat(both, 7, 0, 1, five, 0, 0, five, 1),
		"position":            cat(to9, 7, 0, 2, five, 0, "\xc4\x02\x00\x01"),
		"equal values":        cat(to9, 7, 0, 0, five, 0, 7, 1, 0, five, 1),
		"one dot, two values": cat(to9, 7, 0, 0, five, 0, 8, 0, 0, five, 0),
		"last ordinal":        cat(to9, 7, 0, 0, five, "\xce\xff\xff\xff\xfe"),
		"apart by one":        context(0, five, nine, 0, uint64(11), uint64(11)),
		"next origin":         context(0, five, top, 5, top),
		"two elements":        cat(to9, "\xa1x", 0, 0, five, 0, "\xc1", 0, 0, five, 1),
		"part":                cat(part, 7, 0, 0, nine, 3, 8, 0, 0, nine, 4),
		"part of zero":        context(2, uint64(0), 0, 0),
		"all parts":           context(2, nine, 0, "\xce\xff\xff\xff\xfe"),
		"parts apart by one":  context(2, nine, 0, 1, 2, nine, 3, 3),
		"part beside wholes":  context(1, nine, 2, uint64(10), 0, 5, 0, uint64(11), top),
		"parts that adjoin":   context(2, nine, 0, "\xce\xff\xff\xff\xfe", 2, uint64(10), 0, 0),
	} {
		used := newUsage(2)
		require.NoError(t, checkDots(good, 2, &used), name)
	}
	for name, c := range map[string]struct {
		bad  []byte
		says string
	}{
		"empty":                      {nil, "context"},
		"no context":                 {cat(7, 0, 0, five, 0), "context"},
		"context of nothing":         {context(), "without an interval"},
		"context cut":                {to9[:len(to9)-1], "context"},
		"context in a longer form":   {cat("\xc5\x00", int(to9[1]), to9[2:]), "context"},
		"interval cut":               {context(0, five), "inside an interval"},
		"both flags":                 {context(3, nine), "inside an interval"},
		"both flags, with ordinals":  {context(3, nine, 0, 0), "inside an interval"},
		"from zero, written out":     {context(0, uint64(0), nine), "another form"},
		"backwards":                  {context(0, nine, five), "ends before"},
		"head in a longer form":      {context("\xcc\x01", nine), "inside an interval"},
		"head too large":             {context("\xce\x80\x00\x00\x01", nine), "inside an interval"},
		"interval outside the table": {context(9, nine), "outside the origin table"},
		"intervals unsorted":         {context(0, nine, nine, 0, five, five), "not sorted"},
		"origins unsorted":           {context(5, nine, 1, five), "not sorted"},
		"intervals overlap":          {context(1, nine, 0, five, top), "not apart"},
		"intervals adjoin":           {context(1, nine, 0, uint64(10), uint64(10)), "not apart"},
		"behind the last moment":     {context(0, five, top, 0, top, top), "not apart"},
		"interval twice":             {context(0, nine, nine, 0, nine, nine), "not sorted"},
		"part without ordinals":      {context(2, nine), "inside an interval"},
		"part without a last":        {context(2, nine, 3), "inside an interval"},
		"part cut":                   {context(2, nine, 3, "\xcd\x01"), "inside an interval"},
		"part backwards":             {context(2, nine, 3, 2), "ends before"},
		"part to the end":            {context(2, nine, 0, "\xce\xff\xff\xff\xff"), "inside an interval"},
		"part beyond the end":        {context(2, nine, 0, "\xcf\x00\x00\x00\x01\x00\x00\x00\x00"), "inside an interval"},
		"first in a longer form":     {context(2, nine, "\xcc\x01", 3), "inside an interval"},
		"last in a longer form":      {context(2, nine, 1, "\xcc\x03"), "inside an interval"},
		"parts unsorted":             {context(2, nine, 5, 5, 2, nine, 0, 0), "not sorted"},
		"parts at times unsorted":    {context(2, nine, 0, 0, 2, five, 3, 3), "not sorted"},
		"parts overlap":              {context(2, nine, 0, 2, 2, nine, 2, 3), "not apart"},
		"parts adjoin":               {context(2, nine, 0, 2, 2, nine, 3, 3), "not apart"},
		"part twice":                 {context(2, nine, 0, 2, 2, nine, 0, 2), "not sorted"},
		"part inside a part":         {context(2, nine, 0, 2, 2, nine, 0, 1), "not apart"},
		"part inside a whole":        {context(1, nine, 2, five, 0, 0), "not apart"},
		"part of the last moment":    {context(0, five, top, 2, top, 0, 0), "not apart"},
		"part where a whole ends":    {context(0, five, nine, 2, nine, 7, 7), "not apart"},
		"part where a whole begins":  {context(2, nine, 0, 0, 0, nine, top), "not sorted"},
		"part of a whole's begin":    {context(2, nine, 4, 4, 0, nine, top), "not sorted"},
		"value not canonical":        {cat(to9, "\xcc\x07", 0, 0, five, 0), "not canonical"},
		"value of no kind":           {cat(to9, "\xc7\x01\x05x", 0, 0, five, 0), "element"},
		"value too deep":             {cat(to9, bytes.Repeat([]byte{0x91}, MaxDepth+1), 7, 0, 0, five, 0), "element"},
		"value cut":                  {cat(to9, "\xa9x"), "ends early"},
		"occurrence left out":        {cat(to9, 7), "ends early"},
		"occurrence in longer form":  {cat(to9, 7, "\xcc\x01", 0, five, 0), "ends early"},
		"occurrence on the mark":     {cat(to9, "\xc1", 1, 0, five, 0), "on the mark"},
		"no dot":                     {cat(to9, 7, 0), "inside a dot"},
		"dot cut":                    {cat(to9, 7, 0, 0, five)[:20], "inside a dot"},
		"dot without an ordinal":     {cat(to9, 7, 0, 0, five), "inside a dot"},
		"ordinal in a longer form":   {cat(to9, 7, 0, 0, five, "\xcc\x01"), "inside a dot"},
		"ordinal above the last":     {cat(to9, 7, 0, 0, five, "\xce\xff\xff\xff\xff"), "inside a dot"},
		"dot head in a longer form":  {cat(to9, 7, 0, "\xcc\x00", five, 0), "inside a dot"},
		"dot outside the context":    {cat(to9, 7, 0, 0, uint64(10), 0), "outside the context"},
		"dot of another origin":      {cat(to9, 7, 0, 4, five, 0), "outside the context"},
		"dot below the interval":     {cat(both, 7, 0, 4, uint64(4), 0), "outside the context"},
		"dot below the part":         {cat(part, 7, 0, 0, nine, 2), "outside the context"},
		"dot above the part":         {cat(part, 7, 0, 0, nine, 5), "outside the context"},
		"dot before the part":        {cat(part, 7, 0, 0, five, 3), "outside the context"},
		"dot behind the part":        {cat(part, 7, 0, 0, uint64(10), 3), "outside the context"},
		"more, and none":             {cat(to9, 7, 0, 1, five, 0), "inside a dot"},
		"no more, and one":           {cat(both, 7, 0, 0, five, 0, 4, five, 0), "not sorted"},
		"dots unsorted":              {cat(both, 7, 0, 5, five, 0, 0, five, 0), "dots are not sorted"},
		"times unsorted":             {cat(both, 7, 0, 1, nine, 0, 0, five, 0), "dots are not sorted"},
		"ordinals unsorted":          {cat(both, 7, 0, 1, five, 1, 0, five, 0), "dots are not sorted"},
		"dot twice":                  {cat(both, 7, 0, 1, five, 0, 0, five, 0), "dots are not sorted"},
		"dot twice, two positions":   {cat(both, 7, 0, 1, five, 0, 2, five, 0, "\xc4\x01\x01"), "dots are not sorted"},
		"position empty":             {cat(to9, 7, 0, 2, five, 0, "\xc4\x00"), "inside a dot"},
		"position ends in zero":      {cat(to9, 7, 0, 2, five, 0, "\xc4\x02\x01\x00"), "ends in zero"},
		"position left out":          {cat(to9, 7, 0, 2, five, 0), "inside a dot"},
		"position in a longer form":  {cat(to9, 7, 0, 2, five, 0, "\xc5\x00\x01\x01"), "inside a dot"},
		"position on the mark":       {cat(to9, "\xc1", 0, 2, five, 0, "\xc4\x01\x01"), "on the mark"},
		"elements unsorted":          {cat(to9, 8, 0, 0, five, 0, 7, 0, 0, five, 1), "elements are not sorted"},
		"occurrences unsorted":       {cat(to9, 7, 1, 0, five, 0, 7, 0, 0, five, 1), "elements are not sorted"},
		"element twice":              {cat(to9, 7, 0, 0, five, 0, 7, 0, 0, nine, 0), "elements are not sorted"},
		"trailing byte":              {cat(to9, 7, 0, 0, five, 0, 0), "ends early"},
	} {
		used := newUsage(2)
		err := checkDots(c.bad, 2, &used)
		require.ErrorIs(t, err, fieldwise.ErrMalformed, name)
		require.ErrorContains(t, err, c.says, name)
	}
}

func TestCommonPrefixEndsWhereBytesDiffer(t *testing.T) {
	for length := range 600 {
		b := bytes.Repeat([]byte("common"), 101)
		require.Equal(t, length, commonPrefix(b[:length], b), "one ends")
		require.Equal(t, length, commonPrefix(b, b[:length]), "the other ends")
		c := bytes.Clone(b)
		for i := length; i < len(c); i++ {
			c[i] ^= byte(1 << (i % 8))
		}
		require.Equal(t, length, commonPrefix(b, c), "they differ from there on")
		require.Equal(t, length, commonPrefix(b[:length+1], c[:length+1]), "in the last byte")
	}
}

// A body that ends early is joined to something or refused.
func TestJoinDotsOfBodiesCutShort(t *testing.T) {
	elements := []Element{{Value: wire.AppendString(nil, "alike")}, {Value: wire.AppendString(nil, "differs"), Occurrence: 1 << 10}}
	a, _ := dotsOf(t, nil, 0, 10, elements, nil)
	b, _ := dotsOf(t, a, 1, 20, elements[1:], nil)
	for _, pair := range [][2][]byte{{a, b}, {b, a}} {
		for n := range pair[0] {
			require.NotPanics(t, func() {
				_, _ = joinDots(nil, pair[0][:n], pair[1])
				_, _ = joinDots(nil, pair[1], pair[0][:n])
			}, "%d bytes of %x", n, pair[0])
		}
	}
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
	long := newDotted()
	for i := range uint64(100) {
		p := point{moment{int(i % 3), 2 * i}, uint32(i % 5)}
		if i%2 == 0 {
			long.whole[p.moment] = true
		} else {
			long.parts[p], long.parts[point{p.moment, 200}] = true, true
		}
		long.dots[p] = map[named]string{{value: dotValues[1+i%9]}: dotPositions[i%6]}
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
