package lattice

import (
	"bytes"
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// drawNumber draws a number and what it is, exactly; NaN is nil.
func drawNumber(t *rapid.T) ([]byte, *big.Float) {
	near := rapid.SampledFrom([]float64{0, 1, -1, 1 << 53, -(1 << 53), 1 << 63, -(1 << 63), 1 << 64, 1e300, math.Inf(1), math.Inf(-1), math.NaN(), 0.5, -0.5})
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		u := rapid.Uint64().Draw(t, "uint")
		return wire.AppendUint(nil, u), new(big.Float).SetUint64(u)
	case 1:
		i := rapid.Int64().Draw(t, "int")
		return wire.AppendInt(nil, i), new(big.Float).SetInt64(i)
	case 2:
		u := uint64(1)<<rapid.IntRange(50, 63).Draw(t, "bit") + rapid.Uint64Range(0, 2).Draw(t, "more")
		return wire.AppendUint(nil, u), new(big.Float).SetUint64(u)
	}
	f := near.Draw(t, "float")
	if rapid.Bool().Draw(t, "any") {
		f = rapid.Float64().Draw(t, "float")
	}
	if math.IsNaN(f) {
		return wire.AppendFloat(nil, f), nil
	}
	return wire.AppendFloat(nil, f), new(big.Float).SetFloat64(f)
}

func TestPropertyNumbersCompareByWhatTheyAre(t *testing.T) {
	randtest.Check(t, 20000, 20000, func(t *rapid.T) {
		a, x := drawNumber(t)
		b, y := drawNumber(t)
		c, _ := drawNumber(t)
		switch {
		case x != nil && y != nil && x.Cmp(y) != 0:
			require.Equal(t, x.Cmp(y), Compare(a, b), "%v and %v", x, y)
		case (x == nil) != (y == nil):
			require.Equal(t, x == nil, Compare(a, b) < 0)
		}
		require.Equal(t, Compare(a, b), -Compare(b, a))
		if Compare(a, b) <= 0 && Compare(b, c) <= 0 {
			require.LessOrEqual(t, Compare(a, c), 0, "%x %x %x", a, b, c)
		}
		require.True(t, Ordered(a))
	})
}

func TestOtherValuesCompareByWhatTheyAre(t *testing.T) {
	text := func(s string) []byte { return wire.AppendString(nil, s) }
	at := func(ms int64) []byte { return wire.AppendTime(nil, time.UnixMilli(ms)) }
	for _, c := range []struct{ less, more []byte }{
		{text("b"), text("ba")}, {text("aaaa"), text("b")}, {text(""), text("a")}, {at(-5), at(3)}, {at(1), at(1 << 40)}, {at(1 << 33 * 1000), at(1<<33*1000 + 1)},
	} {
		require.Negative(t, Compare(c.less, c.more), "%x %x", c.less, c.more)
		require.Positive(t, Compare(c.more, c.less), "%x %x", c.less, c.more)
	}
	require.Zero(t, Compare(text("a"), text("a")))
	for _, val := range [][]byte{wire.AppendNil(nil), wire.AppendBool(nil, true), wire.AppendBin(nil, []byte("x")), {0x90}, {0x80}} {
		require.False(t, Ordered(val))
	}
}

// A total order of values of all kinds: whoever shows the largest of several shows one that
// none is larger than, whatever their order.
func TestPropertyCompareIsATotalOrder(t *testing.T) {
	draw := func(t *rapid.T) []byte {
		switch rapid.IntRange(0, 5).Draw(t, "class") {
		case 0:
			return wire.AppendString(nil, rapid.SampledFrom([]string{"", "a", "b", "ab"}).Draw(t, "text"))
		case 1:
			return wire.AppendTime(nil, time.UnixMilli(rapid.Int64Range(-2, 2).Draw(t, "ms")))
		case 2:
			return rapid.SampledFrom([][]byte{{0xc0}, {0xc2}, {0xc3}, {0x80}, {0x90}, {0xc4, 0}}).Draw(t, "other")
		}
		n, _ := drawNumber(t)
		return n
	}
	randtest.Check(t, 5000, 20000, func(t *rapid.T) {
		a, b, c := draw(t), draw(t), draw(t)
		require.Equal(t, Compare(a, b), -Compare(b, a))
		require.Equal(t, bytes.Equal(a, b), Compare(a, b) == 0)
		if Compare(a, b) <= 0 && Compare(b, c) <= 0 {
			require.LessOrEqual(t, Compare(a, c), 0, "%x %x %x", a, b, c)
		}
	})
}
