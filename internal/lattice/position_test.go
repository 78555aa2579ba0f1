package lattice

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise/internal/randtest"
)

func drawPosition(t *rapid.T) []byte {
	digits := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 0, 1, 0x7f, 0x80, 0xfe, 0xff, 0xff}), 0, 12).Draw(t, "position")
	return bytes.TrimRight(digits, "\x00")
}

func TestPropertyPositionsLieBetween(t *testing.T) {
	randtest.Check(t, 1000, 10_000, func(t *rapid.T) {
		lo, hi := drawPosition(t), drawPosition(t)
		if bytes.Compare(lo, hi) > 0 && rapid.IntRange(0, 9).Draw(t, "no room") > 0 {
			lo, hi = hi, lo
		}
		n := rapid.SampledFrom([]int{0, 1, 1, 2, 3, 100, 253, 254, 255, 256, 257, 1000}).Draw(t, "n")
		fresh := between(bytes.Clone(lo), bytes.Clone(hi), n)
		require.Len(t, fresh, n)
		last := lo
		for _, p := range fresh {
			require.NotEmpty(t, p)
			require.NotZero(t, p[len(p)-1])
			require.Negative(t, bytes.Compare(last, p), "%x before %x", last, p)
			if len(hi) > 0 && bytes.Compare(lo, hi) < 0 {
				require.Negative(t, bytes.Compare(p, hi), "%x before %x", p, hi)
			}
			last = p
		}
	})
}

func TestPositions(t *testing.T) {
	for _, c := range []struct {
		lo, hi string
		want   []string
	}{
		{"", "", []string{"80", "81", "82"}},
		{"fe", "", []string{"ff", "ff0001", "ff0002"}},
		{"ff00ff", "", []string{"ff01", "ff0101"}},
		{"fffeff", "", []string{"ffff", "ffff000001"}},
		{"8123", "", []string{"82"}},
		{"", "80", []string{"7e", "7f"}},
		{"", "01", []string{"00fefe", "00feff", "00ff"}},
		{"", "8123", []string{"80"}},
		{"80", "84", []string{"82"}},
		{"80", "84", []string{"81", "82", "83"}},
		{"80", "81", []string{"8080"}},
		{"80", "8101", []string{"81"}},
		{"80", "8001", []string{"800080"}},
		{"80ff", "81", []string{"80ff80"}},
		{"80ff", "8101", []string{"81"}},
		{"80", "80", []string{"81", "82"}},
		{"81", "80", []string{"82"}},
	} {
		lo, err := hex.DecodeString(c.lo)
		require.NoError(t, err)
		hi, err := hex.DecodeString(c.hi)
		require.NoError(t, err)
		var got []string
		for _, p := range between(lo, hi, len(c.want)) {
			got = append(got, hex.EncodeToString(p))
		}
		require.Equal(t, c.want, got, "between %s and %s", c.lo, c.hi)
	}
}

func TestPositionsAreShort(t *testing.T) {
	const n = 100_000
	longest := func(positions [][]byte) (longest int) {
		for _, p := range positions {
			longest = max(longest, len(p))
		}
		return longest
	}
	require.Equal(t, 1, longest(between(nil, nil, 127)))
	require.LessOrEqual(t, longest(between(nil, nil, n)), 5, "a list at once")
	var last []byte
	first := []byte{0x80}
	for range n {
		last, first = between(last, nil, 1)[0], between(nil, first, 1)[0]
	}
	require.LessOrEqual(t, len(last), 5, "one by one at the end")
	require.LessOrEqual(t, len(first), 5, "one by one at the front")
	require.LessOrEqual(t, longest(between([]byte{0x80}, []byte{0x81}, n)), 4, "many between two")
	lo, hi := []byte{0x80}, []byte{0x81}
	for i := range 800 {
		if i%2 == 0 {
			lo = between(lo, hi, 1)[0]
		} else {
			hi = between(lo, hi, 1)[0]
		}
	}
	require.LessOrEqual(t, len(hi), 102, "a byte for eight that halve the gap")
	long := bytes.Repeat([]byte{0xff}, 1000)
	require.Less(t, len(between(long, nil, 1)[0]), 1020, "one of a stranger")
	long = append(make([]byte, 1000), 1)
	require.Less(t, len(between(nil, long, 1)[0]), 1020, "one of a stranger")
}
