package lattice

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Contexts of hundreds of intervals are searched another way and join alike.
func TestPropertyLongContextsJoinAlike(t *testing.T) {
	randtest.Check(t, 6, 60, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{60, 300, 1500, 4000}).Draw(t, "points")
		step := rapid.Uint64Range(2, 1<<40).Draw(t, "step")
		var m [2]dotted
		seed := rapid.Uint64().Draw(t, "seed")
		for side := range m {
			m[side] = newDotted()
			for i := range n {
				seed = seed*6364136223846793005 + 1442695040888963407
				p := point{moment{int(seed>>60) % 3, uint64(i/4) * step}, uint32(seed>>50%8) * 30}
				if seed>>40%4 > 0 {
					if seed>>45%4 == 0 {
						m[side].whole[p.moment] = true
					} else {
						m[side].parts[p] = true
					}
				}
				if seed>>40%4 > 1 {
					m[side].dots[p] = map[named]string{{value: dotValues[1+seed>>30%9], occurrence: uint64(i) % 7}: dotPositions[i%4]}
				}
			}
		}
		x, y := encodeDots(m[0], same), encodeDots(m[1], same)
		checkedDots(t, x)
		checkedDots(t, y)
		context, _, ok := Bin(x)
		require.True(t, ok)
		var room samples
		require.Greater(t, len(room.cover(context).samples), min(n, len(room))/5, "samples of %d points", n)
		want := encodeDots(joinDotted(m[0], m[1]), same)
		require.True(t, bytes.Equal(want, joinedDots(t, x, y)), "%d points", n)
		require.True(t, bytes.Equal(want, joinedDots(t, y, x)), "%d points", n)
		covered := func(index int, time uint64, ordinal uint32) bool {
			body := append(bytes.Clone(x), 0xff, 0, byte(index*4))
			body = wire.AppendUint(append(body, bigEndian(time)...), uint64(ordinal))
			used := newUsage(dotOrigins)
			err := checkDots(body, dotOrigins, &used)
			if err != nil {
				require.ErrorContains(t, err, "dot outside the context")
			}
			return err == nil
		}
		tried := 0
		for at := range m[0].whole {
			require.True(t, covered(at.index, at.time, maxOrdinal))
			require.Equal(t, m[0].whole[moment{at.index, at.time + 1}], covered(at.index, at.time+1, 0))
			if tried++; tried == 20 {
				break
			}
		}
		for p := range m[0].parts {
			require.True(t, covered(p.index, p.time, p.ordinal))
			require.Equal(t, m[0].whole[p.moment], covered(p.index, p.time, p.ordinal+1))
			require.False(t, covered(p.index, p.time+1, p.ordinal))
			if tried++; tried == 40 {
				break
			}
		}
	})
}

// The union of intervals is that of the dots in them, whatever order they come in.
func TestUnionOfIntervals(t *testing.T) {
	part := func(at fieldwise.Timestamp, first, last uint32) interval {
		return interval{from: at, to: at, first: first, last: last}
	}
	whole := func(from, to fieldwise.Timestamp) interval { return wholeMoments(0, from, to) }
	for name, c := range map[string]struct{ a, b, want []interval }{
		"a part of a whole":          {[]interval{whole(5, 9)}, []interval{part(9, 0, 3)}, []interval{whole(5, 9)}},
		"parts of many":              {[]interval{whole(5, 9)}, []interval{part(5, 1, 1), part(7, 0, 0), part(9, 4, 4)}, []interval{whole(5, 9)}},
		"a part behind a whole":      {[]interval{whole(5, 9)}, []interval{part(10, 0, 3)}, []interval{whole(5, 9), part(10, 0, 3)}},
		"wholes over a part":         {[]interval{whole(5, 9)}, []interval{part(10, 0, 3), whole(11, 12)}, []interval{whole(5, 9), part(10, 0, 3), whole(11, 12)}},
		"the part becomes whole":     {[]interval{whole(5, 9), part(10, 0, 3), whole(11, 12)}, []interval{whole(10, 10)}, []interval{whole(5, 12)}},
		"parts that overlap":         {[]interval{part(9, 0, 3)}, []interval{part(9, 2, 5)}, []interval{part(9, 0, 5)}},
		"parts that adjoin":          {[]interval{part(9, 0, 3), part(9, 7, 7)}, []interval{part(9, 4, 6)}, []interval{part(9, 0, 7)}},
		"parts apart":                {[]interval{part(9, 0, 3)}, []interval{part(9, 5, 6)}, []interval{part(9, 0, 3), part(9, 5, 6)}},
		"a part in a longer one":     {[]interval{part(9, 0, 1), part(9, 3, 4)}, []interval{part(9, 0, 8)}, []interval{part(9, 0, 8)}},
		"all ordinals are no moment": {[]interval{part(9, 0, maxOrdinal)}, []interval{whole(10, 10)}, []interval{part(9, 0, maxOrdinal), whole(10, 10)}},
		"the last moment":            {[]interval{whole(5, fieldwise.MaxTimestamp)}, []interval{part(fieldwise.MaxTimestamp, 3, 3)}, []interval{whole(5, fieldwise.MaxTimestamp)}},
	} {
		encoded := func(all []interval) (b []byte) {
			for _, iv := range all {
				b = appendInterval(b, iv)
			}
			return b
		}
		a, b, want := encoded(c.a), encoded(c.b), encoded(c.want)
		for _, context := range [][]byte{a, b, want} {
			used := newUsage(1)
			require.NoError(t, checkContext(context, 1, &used), name)
		}
		for _, sides := range [][2][]byte{{a, b}, {b, a}} {
			got, ok := joinContexts(nil, sides[0], sides[1])
			require.True(t, ok, name)
			require.Equal(t, want, got, name)
		}
		all := append(slices.Clone(c.b), c.a...)
		got, _, ok := Bin(appendContext(nil, append(all, all...)))
		require.True(t, ok, name)
		require.Equal(t, want, got, name)
	}
}
