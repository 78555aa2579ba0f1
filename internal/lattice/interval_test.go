package lattice

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

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
		context, _, ok := Bin(x)
		require.True(t, ok)
		var room samples
		require.Greater(t, len(room.cover(context).samples), min(n, len(room))/3, "samples of %d moments", n)
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
