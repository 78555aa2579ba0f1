package lattice

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// counter is what a counter's state means, in the obvious form.
type counter map[fieldwise.Origin]Count

func joinCounterModel(a, b counter) counter {
	out := make(counter)
	for _, c := range []counter{a, b} {
		for o, x := range c {
			y := out[o]
			out[o] = Count{
				Time: max(x.Time, y.Time), Up: max(x.Up, y.Up), Down: max(x.Down, y.Down),
				BaseUp: max(x.BaseUp, y.BaseUp), BaseDown: max(x.BaseDown, y.BaseDown),
			}
		}
	}
	return out
}

// encodeCounter writes a state by the description of its bytes.
func encodeCounter(c counter) []byte {
	origins := c.uses()
	return append(encodeTable(origins), c.encode(origins)...)
}

func (c counter) uses() []fieldwise.Origin {
	return slices.SortedFunc(maps.Keys(c), fieldwise.Origin.Compare)
}

func (c counter) join(other mechanism) mechanism { return joinCounterModel(c, other.(counter)) }

func (c counter) encode(origins []fieldwise.Origin) (b []byte) {
	for i, o := range origins {
		x, ok := c[o]
		if !ok {
			continue
		}
		head := uint64(i) << 2
		if x.Down > 0 {
			head |= 1
		}
		if x.BaseUp+x.BaseDown > 0 {
			head |= 2
		}
		b = wire.AppendUint(b, head)
		b = binary.BigEndian.AppendUint64(b, uint64(x.Time))
		b = wire.AppendUint(b, x.Up)
		if x.Down > 0 {
			b = wire.AppendUint(b, x.Down)
		}
		if x.BaseUp+x.BaseDown > 0 {
			b = wire.AppendUint(b, x.BaseUp)
			if x.Down > 0 {
				b = wire.AppendUint(b, x.BaseDown)
			}
		}
	}
	return b
}

func drawCounter(t *rapid.T, origins []fieldwise.Origin) counter {
	c := make(counter)
	amount := rapid.SampledFrom([]uint64{0, 0, 1, 2, 127, 128, 255, 256, 65535, 65536, 1 << 32, 1<<63 - 1})
	for range rapid.SampledFrom([]int{1, 1, 2, 3, 8}).Draw(t, "counts") {
		x := Count{Time: fieldwise.Timestamp(rapid.IntRange(0, 3).Draw(t, "time")), Up: amount.Draw(t, "up"), Down: amount.Draw(t, "down")}
		x.BaseUp, x.BaseDown = min(x.Up, amount.Draw(t, "base")), min(x.Down, amount.Draw(t, "base"))
		c[rapid.SampledFrom(origins).Draw(t, "origin")] = x
	}
	return c
}

func TestPropertyJoinCountersIsThatOfTheModel(t *testing.T) {
	randtest.Check(t, 3000, 8000, func(t *rapid.T) {
		origins := drawOrigins(t)
		a, b := drawCounter(t, origins), drawCounter(t, origins)
		x, y := encodeCounter(a), encodeCounter(b)
		require.NoError(t, CheckState(KindCounter, x))
		want := encodeCounter(joinCounterModel(a, b))
		for _, p := range [][2][]byte{{x, y}, {y, x}} {
			got, err := JoinStates([]byte("dst"), KindCounter, p[0], p[1])
			require.NoError(t, err)
			if !bytes.Equal(got[3:], want) {
				t.Fatalf("join of\n%x and\n%x is\n%x, want\n%x", p[0], p[1], got[3:], want)
			}
		}
		total := new(big.Int)
		counted := false
		for _, c := range a {
			for _, part := range []struct {
				n    uint64
				sign int64
			}{{c.Up, 1}, {c.BaseUp, -1}, {c.Down, -1}, {c.BaseDown, 1}} {
				total.Add(total, new(big.Int).Mul(new(big.Int).SetUint64(part.n), big.NewInt(part.sign)))
			}
			counted = counted || c.Up != c.BaseUp || c.Down != c.BaseDown
		}
		_, body, _ := Cut(x)
		val, exact, err := Total(nil, body)
		require.NoError(t, err)
		require.Equal(t, counted, val != nil)
		low, high := new(big.Int).SetInt64(math.MinInt64), new(big.Int).SetUint64(math.MaxUint64)
		require.Equal(t, total.Cmp(low) >= 0 && total.Cmp(high) <= 0, exact)
		if total.Cmp(low) < 0 {
			total = low
		} else if total.Cmp(high) > 0 {
			total = high
		}
		if counted {
			require.Equal(t, total.String(), decimal(val))
		}
	})
}

func decimal(val []byte) string {
	if u, _, err := wire.Uint(val); err == nil {
		return new(big.Int).SetUint64(u).String()
	}
	i, _, _ := wire.Int(val)
	return big.NewInt(i).String()
}

// deltaOf is the delta state that the intents make of a counter state.
func deltaOf(t require.TestingT, state []byte, at fieldwise.Version, known map[fieldwise.Origin]fieldwise.Timestamp, intents ...Intent) []byte {
	var table Table
	var body []byte
	if len(state) > 0 {
		table, body, _ = Cut(state)
	}
	d, err := NewDelta(table, at)
	require.NoError(t, err)
	if known != nil {
		d.Knowing(known)
	}
	b, err := d.AppendCounts(nil, body, intents)
	require.NoError(t, err)
	delta := d.finish(nil, counts, b)
	require.NoError(t, CheckState(KindCounter, delta))
	return delta
}

// Every increment counts once, wherever and however often its delta arrives, until a reset
// that knew of it; those that it did not know of survive it.
func TestPropertyCountersCountWhatNoResetKnewOf(t *testing.T) {
	type knowledge struct{ counted, reset [3]int } // per origin, how many of its amounts
	type message struct {
		delta []byte
		knows knowledge
	}
	randtest.Check(t, 1500, 8000, func(t *rapid.T) {
		var amounts [3][]int64
		var states [3][]byte
		var knows [3]knowledge
		var sent []message
		clock := fieldwise.Timestamp(0)
		learn := func(r int, k knowledge) {
			for o := range 3 {
				knows[r].counted[o] = max(knows[r].counted[o], k.counted[o])
				knows[r].reset[o] = max(knows[r].reset[o], k.reset[o])
			}
		}
		receive := func(r int, m message) {
			if len(states[r]) == 0 {
				states[r] = m.delta
			} else {
				joined, err := JoinStates(nil, KindCounter, states[r], m.delta)
				require.NoError(t, err)
				states[r] = joined
			}
			learn(r, m.knows)
			want := int64(0)
			for o := range 3 {
				for i := knows[r].reset[o]; i < knows[r].counted[o]; i++ {
					want += amounts[o][i]
				}
			}
			_, body, _ := Cut(states[r])
			val, _, err := Total(nil, body)
			require.NoError(t, err)
			if val != nil {
				require.Equal(t, big.NewInt(want).String(), decimal(val))
			} else {
				require.Zero(t, want)
			}
		}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			r := rapid.IntRange(0, 2).Draw(t, "replica")
			origin := fieldwise.Origin{Region: fieldwise.Region('a' + rune(r)), Incarnation: 1}
			clock++
			at := fieldwise.Version{Time: clock, Origin: origin}
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1, 2:
				n := rapid.Int64Range(-5, 9).Draw(t, "amount")
				in := Intent{Op: OpInc, Amount: uint64(n)}
				if n < 0 {
					in = Intent{Op: OpDec, Amount: uint64(-n)}
				}
				delta := deltaOf(t, states[r], at, nil, in)
				amounts[r] = append(amounts[r], n)
				var k knowledge
				k.counted[r] = len(amounts[r])
				k.reset[r] = knows[r].reset[r] // its own bases come with it
				sent = append(sent, message{delta, k})
				receive(r, sent[len(sent)-1])
			case 3:
				delta := deltaOf(t, states[r], at, nil, Intent{Op: OpReset})
				k := knowledge{counted: knows[r].counted, reset: knows[r].counted}
				sent = append(sent, message{delta, k})
				receive(r, sent[len(sent)-1])
			default:
				if len(sent) > 0 {
					receive(r, rapid.SampledFrom(sent).Draw(t, "message"))
				}
			}
		}
		for r := range 3 {
			for _, m := range sent {
				receive(r, m)
			}
		}
		require.Equal(t, states[0], states[1])
		require.Equal(t, states[0], states[2])
	})
}

func TestAResetTakesBackWhatItsTokenShowed(t *testing.T) {
	a, b := fieldwise.Origin{Region: "a", Incarnation: 1}, fieldwise.Origin{Region: "b", Incarnation: 1}
	one := deltaOf(t, nil, fieldwise.Version{Time: 1, Origin: a}, nil, Intent{Op: OpInc, Amount: 3})
	two := deltaOf(t, nil, fieldwise.Version{Time: 2, Origin: b}, nil, Intent{Op: OpInc, Amount: 4})
	both, err := JoinStates(nil, KindCounter, one, two)
	require.NoError(t, err)
	reset := deltaOf(t, both, fieldwise.Version{Time: 5, Origin: fieldwise.Origin{Region: "c"}}, map[fieldwise.Origin]fieldwise.Timestamp{a: 1}, Intent{Op: OpReset})
	after, err := JoinStates(nil, KindCounter, both, reset)
	require.NoError(t, err)
	_, body, _ := Cut(after)
	val, _, err := Total(nil, body)
	require.NoError(t, err)
	require.Equal(t, "4", decimal(val), "what the token did not show stays")
}

func TestACounterThatIsFull(t *testing.T) {
	at := func(n int) fieldwise.Version {
		return fieldwise.Version{Time: fieldwise.Timestamp(n), Origin: fieldwise.Origin{Region: "a", Incarnation: uint64(n)}}
	}
	state := deltaOf(t, nil, at(1), nil, Intent{Op: OpInc, Amount: math.MaxUint64})
	table, body, _ := Cut(state)
	d, err := NewDelta(table, fieldwise.Version{Time: 2, Origin: at(1).Origin})
	require.NoError(t, err)
	_, err = d.AppendCounts(nil, body, []Intent{{Op: OpInc, Amount: 1}})
	require.ErrorIs(t, err, errOverflow)

	more := deltaOf(t, nil, at(2), nil, Intent{Op: OpInc, Amount: 9})
	both, err := JoinStates(nil, KindCounter, state, more)
	require.NoError(t, err)
	_, body, _ = Cut(both)
	val, exact, err := Total(nil, body)
	require.NoError(t, err)
	require.False(t, exact)
	require.Equal(t, "18446744073709551615", decimal(val))

	less := deltaOf(t, nil, at(3), nil, Intent{Op: OpDec, Amount: math.MaxUint64}, Intent{Op: OpInc, Amount: 1})
	_, body, _ = Cut(less)
	val, exact, err = Total(nil, body)
	require.NoError(t, err)
	require.False(t, exact)
	require.Equal(t, "-9223372036854775808", decimal(val))
}

// What turns one value into another does so, whatever their signs and sizes.
func TestPropertyEditsOfCounters(t *testing.T) {
	draw := func(t *rapid.T) (val []byte, n *big.Int) {
		switch rapid.IntRange(0, 3).Draw(t, "value") {
		case 0:
			u := rapid.Uint64().Draw(t, "uint")
			return wire.AppendUint(nil, u), new(big.Int).SetUint64(u)
		case 1:
			return nil, new(big.Int)
		}
		i := rapid.Int64().Draw(t, "int")
		return wire.AppendInt(nil, i), big.NewInt(i)
	}
	randtest.Check(t, 2000, 8000, func(t *rapid.T) {
		from, f := draw(t)
		to, n := draw(t)
		intents, err := countIntents(from, to)
		if to == nil {
			require.NoError(t, err)
			require.Equal(t, from != nil, len(intents) == 1 && intents[0].Op == OpReset)
			return
		}
		diff := new(big.Int).Sub(n, f)
		if new(big.Int).Abs(diff).BitLen() > 64 {
			require.ErrorIs(t, err, errOverflow)
			return
		}
		require.NoError(t, err)
		got := new(big.Int)
		for _, in := range intents {
			amount := new(big.Int).SetUint64(in.Amount)
			if in.Op == OpDec {
				amount.Neg(amount)
			}
			got.Add(got, amount)
		}
		require.Equal(t, diff.String(), got.String())
		require.Equal(t, diff.Sign() >= 0, Edit{From: from, To: to}.Grows(KindCounter))
	})
	_, err := countIntents(nil, wire.AppendString(nil, "x"))
	require.ErrorIs(t, err, ErrNotInteger)
}

func TestCheckRefusesCountersThatAreNotCanonical(t *testing.T) {
	origins := []fieldwise.Origin{{Region: "a"}, {Region: "b"}}
	state := func(items ...[]byte) []byte { return append(encodeTable(origins), bytes.Join(items, nil)...) }
	count := func(head byte, rest ...byte) []byte { return append([]byte{head, 0, 0, 0, 0, 0, 0, 0, 1}, rest...) }
	require.NoError(t, CheckState(KindCounter, state(count(0, 5), count(7, 5, 3, 0, 3))))
	for name, bad := range map[string][]byte{
		"no count":                append(encodeTable(nil), nil...),
		"ends inside a count":     state(count(0, 5), count(5, 5)),
		"unsorted":                state(count(4, 5), count(0, 5)),
		"outside the table":       state(count(0, 5), count(4, 5), count(8, 5)),
		"twice":                   state(count(0, 5), count(4, 5), count(4, 5)),
		"below its base":          state(count(0, 5), count(6, 5, 6)),
		"below its base, down":    state(count(0, 5), count(7, 5, 1, 0, 2)),
		"a number in longer form": state(count(0, 0xcc, 5), count(4, 5)),
		"a base that is zero":     state(count(2, 5, 0), count(4, 5)),
		"a down that is zero":     state(count(1, 5, 0), count(4, 5)),
		"trailing byte":           append(state(count(0, 5), count(4, 5)), 0),
	} {
		require.ErrorIs(t, CheckState(KindCounter, bad), fieldwise.ErrMalformed, name)
	}
}

// A reset goes over all counts, so it meets one of an origin that the table does not have.
func TestAppendCountsRefusesACountOutsideTheTable(t *testing.T) {
	table := tableOf(t, []fieldwise.Origin{{Region: "a"}, {Region: "c"}})
	for _, region := range []fieldwise.Region{"a", "b", "c", "d"} {
		for index := range 4 {
			d, err := NewDelta(table, fieldwise.Version{Time: 9, Origin: fieldwise.Origin{Region: region}})
			require.NoError(t, err)
			_, err = d.AppendCounts(nil, AppendCount(nil, Count{Index: index, Time: 1, Up: 1}), []Intent{{Op: OpReset}})
			if index < 2 {
				require.NoError(t, err, "%s, index %d", region, index)
			} else {
				require.ErrorIs(t, err, fieldwise.ErrMalformed, "%s, index %d", region, index)
			}
		}
	}
}
