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
