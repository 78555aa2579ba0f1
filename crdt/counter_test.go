package crdt_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// counterFace is a pointer to one of the counters.
type counterFace[C any] interface {
	*C
	crdt.Value
	json.Unmarshaler
	Inc(n uint64)
	Reset()
}

// modelCounter is what a counter should be: a number without limits, and where it comes from.
type modelCounter struct {
	from, sum *big.Int // from: as it was read
	bond      *lattice.Bond
	there     bool
}

func bigUint(n uint64) *big.Int { return new(big.Int).SetUint64(n) }

func clamped(n, low, high *big.Int) *big.Int {
	switch {
	case n.Cmp(low) < 0:
		return low
	case n.Cmp(high) > 0:
		return high
	}
	return n
}

func encodedInteger(n *big.Int) []byte {
	if n.IsUint64() {
		return wire.AppendUint(nil, n.Uint64())
	}
	return wire.AppendInt(nil, n.Int64())
}

func drawAmount(t *rapid.T) uint64 {
	return rapid.OneOf(rapid.Uint64Range(0, 5), rapid.SampledFrom([]uint64{1 << 62, 1 << 63, math.MaxInt64, math.MaxUint64}), rapid.Uint64()).Draw(t, "amount")
}

// counterProperty does random things to several counters, copies of each other too, and
// looks at all of them after each.
func counterProperty[C any, P counterFace[C]](t *rapid.T, low, high *big.Int) {
	const slots = 3
	var counters [slots]C
	var models [slots]modelCounter
	for i := range models {
		models[i] = modelCounter{from: new(big.Int), sum: new(big.Int)}
	}
	for range rapid.IntRange(1, 30).Draw(t, "steps") {
		i := rapid.IntRange(0, slots-1).Draw(t, "slot")
		c, m := P(&counters[i]), &models[i]
		switch rapid.IntRange(0, 9).Draw(t, "do") {
		case 0, 1, 2:
			n := drawAmount(t)
			c.Inc(n)
			m.sum, m.there = new(big.Int).Add(m.sum, bigUint(n)), m.there || n > 0
		case 3, 4:
			if d, ok := any(c).(interface{ Dec(n uint64) }); ok {
				n := drawAmount(t)
				d.Dec(n)
				m.sum, m.there = new(big.Int).Sub(m.sum, bigUint(n)), m.there || n > 0
			}
		case 5:
			c.Reset()
			m.sum, m.there = new(big.Int), true
		case 6:
			m.bond, m.from, m.there = &lattice.Bond{}, bigUint(drawAmount(t)), true
			if rapid.Bool().Draw(t, "negative") {
				m.from = big.NewInt(rapid.Int64Range(math.MinInt64, -1).Draw(t, "read"))
			}
			m.sum = m.from
			hold(t, c, encodedInteger(m.from), m.bond)
		case 7:
			if rapid.Bool().Draw(t, "nothing") {
				*m = modelCounter{from: new(big.Int), sum: new(big.Int), bond: &lattice.Bond{}}
				hold(t, c, nil, m.bond)
				break
			}
			*m = modelCounter{from: new(big.Int), sum: clamped(m.sum, low, high), there: true}
			require.NoError(t, c.UnmarshalJSON([]byte(m.sum.String())))
		default:
			j := rapid.IntRange(0, slots-1).Draw(t, "onto")
			counters[j], models[j] = counters[i], models[i]
		}
		for i := range counters {
			checkCounter(t, P(&counters[i]), models[i], low, high)
		}
	}
}

func checkCounter[C any, P counterFace[C]](t *rapid.T, c P, m modelCounter, low, high *big.Int) {
	reads := clamped(m.sum, low, high)
	require.Equal(t, reads.String(), fmt.Sprint(*c))
	h := held(t, c)
	require.Same(t, m.bond, h.Bond)
	if !m.there {
		require.Nil(t, h.Value)
		require.Empty(t, h.Intents)
		return
	}
	require.Equal(t, encodedInteger(reads), h.Value)
	again := new(big.Int).Set(m.from)
	for _, in := range h.Intents {
		switch in.Op {
		case lattice.OpInc:
			again.Add(again, bigUint(in.Amount))
		case lattice.OpDec:
			again.Sub(again, bigUint(in.Amount))
		case lattice.OpReset:
			again.SetInt64(0)
		default:
			t.Fatalf("an intent of a counter: %v", in)
		}
		require.Nil(t, in.Element)
	}
	require.Zero(t, m.sum.Cmp(again), "what was done gives %v, want %v", again, m.sum)
}

func TestPropertyPNCounterIsANumber(t *testing.T) {
	low, high := big.NewInt(math.MinInt64), big.NewInt(math.MaxInt64)
	randtest.Check(t, 1000, 10000, func(t *rapid.T) { counterProperty[crdt.PNCounter](t, low, high) })
}

func TestPropertyGCounterIsANumber(t *testing.T) {
	low, high := new(big.Int), bigUint(math.MaxUint64)
	randtest.Check(t, 1000, 10000, func(t *rapid.T) { counterProperty[crdt.GCounter](t, low, high) })
}

func TestPropertyCounterLiterals(t *testing.T) {
	randtest.Check(t, 1000, 10000, func(t *rapid.T) {
		n, m := rapid.Int64().Draw(t, "n"), drawAmount(t)
		p, g := crdt.NewPNCounter(n), crdt.NewGCounter(m)
		require.Equal(t, n, p.Value())
		require.Equal(t, m, g.Value())
		require.Equal(t, p.Equal(crdt.NewPNCounter(int64(m))), n == int64(m))
		require.Equal(t, g.Equal(crdt.NewGCounter(uint64(n))), uint64(n) == m)
		b, err := p.MarshalMsgpack()
		require.NoError(t, err)
		var again crdt.PNCounter
		require.NoError(t, again.UnmarshalMsgpack(b))
		require.Equal(t, p, again)
		b, err = g.MarshalMsgpack()
		require.NoError(t, err)
		var more crdt.GCounter
		require.NoError(t, more.UnmarshalMsgpack(b))
		require.Equal(t, g, more)
	})
	for _, n := range []int64{math.MinInt64, math.MaxInt64, 0} {
		require.Equal(t, n, crdt.NewPNCounter(n).Value())
	}
}

// Beyond the end and back again is where it was: only reading saturates.
func TestCounterComesBackFromBeyondItsEnds(t *testing.T) {
	c := crdt.NewPNCounter(math.MaxInt64)
	c.Inc(10)
	require.Equal(t, int64(math.MaxInt64), c.Value())
	c.Dec(11)
	require.Equal(t, int64(math.MaxInt64-1), c.Value())
	var g crdt.GCounter
	hold(t, &g, wire.AppendInt(nil, -3), &lattice.Bond{})
	require.Zero(t, g.Value())
	g.Inc(5)
	require.Equal(t, uint64(2), g.Value(), "as the record reads once it is written")
}

func TestCountingInALoopIsOneIntent(t *testing.T) {
	var c crdt.PNCounter
	for range 1000 {
		c.Inc(1)
	}
	b := c
	c.Inc(1)
	b.Inc(5)
	require.Equal(t, []lattice.Intent{inc(1001)}, held(t, &c).Intents)
	require.Equal(t, []lattice.Intent{inc(1005)}, held(t, &b).Intents)
	c.Dec(2)
	c.Dec(math.MaxUint64)
	c.Reset()
	c.Reset()
	c.Inc(3)
	require.Equal(t, []lattice.Intent{inc(1001), dec(2), dec(math.MaxUint64), reset, inc(3)}, held(t, &c).Intents)
}
