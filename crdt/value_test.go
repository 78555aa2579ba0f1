package crdt_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

func held(t require.TestingT, v crdt.Value) lattice.Held {
	h, err := crdt.HeldBy(v)
	require.NoError(t, err)
	return h
}

func hold(t require.TestingT, v crdt.Value, shown []byte, b *lattice.Bond) {
	require.NoError(t, crdt.Hold(v, shown, b))
}

// What can be done, in short.
func inc(n uint64) lattice.Intent { return lattice.Intent{Op: lattice.OpInc, Amount: n} }
func dec(n uint64) lattice.Intent { return lattice.Intent{Op: lattice.OpDec, Amount: n} }
func add(b ...byte) lattice.Intent {
	return lattice.Intent{Op: lattice.OpAdd, Element: b}
}

func remove(b ...byte) lattice.Intent {
	return lattice.Intent{Op: lattice.OpRemove, Element: b}
}

var (
	reset   = lattice.Intent{Op: lattice.OpReset}
	cleared = lattice.Intent{Op: lattice.OpClear}
)

// all is a struct with each of the values.
type all struct {
	P crdt.PNCounter
	G crdt.GCounter
	O crdt.ORSet[string]
	S crdt.GSet[int]
	F crdt.EWFlag
}

func (a *all) values() []crdt.Value { return []crdt.Value{&a.P, &a.G, &a.O, &a.S, &a.F} }

func (a all) equal(b all) bool {
	return a.P.Equal(b.P) && a.G.Equal(b.G) && a.O.Equal(b.O) && a.S.Equal(b.S) && a.F.Equal(b.F)
}

func some() all {
	return all{crdt.NewPNCounter(-300), crdt.NewGCounter(7), crdt.NewORSet("b", "a"), crdt.NewGSet(2, 1), crdt.NewEWFlag(true)}
}

func TestZeroValuesAreEmptyAndHoldNothing(t *testing.T) {
	var a all
	for _, v := range a.values() {
		require.Equal(t, lattice.Held{}, held(t, v), "%T", v)
	}
	require.Equal(t, "{0 0 [] [] false}", fmt.Sprint(a))
	require.NotNil(t, a.O.Values())
	require.False(t, a.O.Has(""))
	a.P.Inc(0)
	a.P.Dec(0)
	a.G.Inc(0)
	a.O.Add()
	a.O.Remove()
	a.S.Add()
	require.True(t, a.equal(all{}))
	for _, v := range a.values() {
		require.Equal(t, lattice.Held{}, held(t, v), "%T: nothing was done", v)
	}
	a.P.Dec(1)
	a.G.Inc(1)
	a.O.Add("a")
	a.S.Add(1)
	a.F.Enable()
	require.Equal(t, "{-1 1 [a] [1] true}", fmt.Sprint(a))
}

func TestLiteralsAreThereWithNothingInThemToo(t *testing.T) {
	a := all{crdt.NewPNCounter(0), crdt.NewGCounter(0), crdt.NewORSet[string](), crdt.NewGSet[int](), crdt.NewEWFlag(false)}
	for i, want := range []lattice.Held{
		{Value: []byte{0}, Intents: []lattice.Intent{reset}},
		{Value: []byte{0}, Intents: []lattice.Intent{reset}},
		{Value: []byte{0x90}, Intents: []lattice.Intent{cleared}},
		{Value: []byte{0x90}, Intents: []lattice.Intent{cleared}},
		{Value: []byte{0xc2}, Intents: []lattice.Intent{cleared}},
	} {
		require.Equal(t, want, held(t, a.values()[i]))
	}
	require.True(t, a.equal(all{}), "what is not there is equal to what is empty")
}

func TestLiteralsSayHowTheyAreMade(t *testing.T) {
	a := some()
	for i, want := range []lattice.Held{
		{Value: []byte{0xd1, 0xfe, 0xd4}, Intents: []lattice.Intent{dec(300)}},
		{Value: []byte{7}, Intents: []lattice.Intent{inc(7)}},
		{Value: []byte("\x92\xa1a\xa1b"), Intents: []lattice.Intent{add([]byte("\xa1b")...), add([]byte("\xa1a")...)}},
		{Value: []byte{0x92, 1, 2}, Intents: []lattice.Intent{add(2), add(1)}},
		{Value: []byte{0xc3}, Intents: []lattice.Intent{add(0xc3)}},
	} {
		require.Equal(t, want, held(t, a.values()[i]))
	}
}

func TestWhatWasReadHasABondAndNoIntents(t *testing.T) {
	b := &lattice.Bond{Field: "f"}
	a, shown := some(), [][]byte{{0xcf, 255, 255, 255, 255, 255, 255, 255, 255}, {5}, []byte("\x91\xa1z"), {0x90}, {0xc3}}
	for i, v := range a.values() {
		val := bytes.Clone(shown[i])
		hold(t, v, val, b)
		val[len(val)-1] = 0xc1 // nothing of it is kept
		h := held(t, v)
		require.Same(t, b, h.Bond)
		require.Empty(t, h.Intents)
		if i > 0 {
			require.Equal(t, shown[i], h.Value)
		}
	}
	require.Equal(t, "{9223372036854775807 5 [z] [] true}", fmt.Sprint(a))
	for _, v := range a.values() {
		hold(t, v, nil, b)
		require.Equal(t, lattice.Held{Bond: b}, held(t, v), "%T", v)
	}
	require.True(t, a.equal(all{}))
}

func TestHoldNamesWhatItNeedsAndChangesNothing(t *testing.T) {
	text, number := []byte("\xa1x"), []byte{1}
	for i, c := range []struct {
		bad  []byte
		says string
	}{
		{text, "PNCounter: wire: value of another type: it needs an integer, and this is of kind string"},
		{text, "GCounter: wire: value of another type: it needs an integer, and this is of kind string"},
		{number, "a set of string: wire: value of another type: it needs an array, and this is of kind uint"},
		{number, "a set of int: wire: value of another type: it needs an array, and this is of kind uint"},
		{number, "EWFlag: wire: value of another type: it needs a bool, and this is of kind uint"},
	} {
		a := some()
		v := a.values()[i]
		before := held(t, v)
		err := crdt.Hold(v, c.bad, &lattice.Bond{})
		require.ErrorIs(t, err, wire.ErrType)
		require.ErrorContains(t, err, c.says)
		for _, more := range [][]byte{{}, {0xc1}, {0xc0}, {1, 1}, {0xc3, 0xc3}, {0x90, 0}, {0xcc, 1}, {0xd0, 0xff}, {0x91}, {0xdd, 255, 255, 255, 255}, {0x91, 0x91, 1}} {
			require.Error(t, crdt.Hold(v, more, &lattice.Bond{}), "%T %x", v, more)
		}
		require.Equal(t, before, held(t, v))
	}
}

// The race detector sees it if copies wrote what they share.
func TestCopiesChangeInSeveralGoroutines(t *testing.T) {
	start := some()
	start.O.Add("c")
	var copies [4]all
	var wait sync.WaitGroup
	for i := range copies {
		copies[i] = start
		wait.Go(func() {
			a := &copies[i]
			for n := range 20 {
				a.P.Inc(uint64(i))
				a.G.Inc(uint64(i))
				a.O.Add(fmt.Sprint(n))
				a.O.Remove("c")
				a.S.Add(n * i)
				a.F.Disable()
				for _, v := range a.values() {
					if _, err := crdt.HeldBy(v); err != nil {
						t.Error(err)
					}
				}
				_ = fmt.Sprint(start, start.O.Has("c"))
			}
		})
	}
	wait.Wait()
	require.Equal(t, "{-300 7 [a b c] [1 2] true}", fmt.Sprint(start))
	require.Equal(t, int64(-300+3*20), copies[3].P.Value())
	require.Equal(t, 22, copies[0].O.Len())
}

func TestStrategyOf(t *testing.T) {
	a := all{}
	for i, want := range []string{"pncounter", "gcounter", "orset", "gset", "ewflag"} {
		require.Equal(t, want, crdt.StrategyOf(a.values()[i]))
	}
}

func TestJSONGoesThereAndBack(t *testing.T) {
	b, err := json.Marshal(some())
	require.NoError(t, err)
	require.Equal(t, `{"P":-300,"G":7,"O":["a","b"],"S":[1,2],"F":true}`, string(b))
	a := some()
	a.O.Clear()
	require.NoError(t, json.Unmarshal(b, &a))
	require.True(t, a.equal(some()))
	literal := crdt.NewORSet("a", "b")
	require.Equal(t, held(t, &literal), held(t, &a.O))

	b, err = json.Marshal(all{})
	require.NoError(t, err)
	require.Equal(t, `{"P":0,"G":0,"O":[],"S":[],"F":false}`, string(b))
	a = some()
	require.NoError(t, json.Unmarshal(b, &a))
	require.True(t, a.equal(all{}))
	for _, v := range a.values() {
		require.Len(t, held(t, v).Intents, 1, "%T: it is there", v)
	}

	a = some()
	require.NoError(t, json.Unmarshal([]byte(`{"P":null,"G":null,"O":null,"S":null,"F":null}`), &a))
	for _, v := range a.values() {
		require.Equal(t, lattice.Held{}, held(t, v), "%T", v)
	}
}

func TestJSONOfAnotherKindIsRefused(t *testing.T) {
	for i, texts := range [][]string{
		{`"1"`, `1.5`, `9223372036854775808`, `[]`, `1 2`, ``},
		{`-1`, `18446744073709551616`, `{}`, `true`},
		{`"a"`, `{}`, `[1]`, `["a"`, `"\ud800"`},
		{`["a"]`, `[1.5]`, `7`, `[99999999999999999999]`},
		{`0`, `"true"`, `[]`},
	} {
		a := some()
		v := a.values()[i]
		for _, text := range texts {
			require.Error(t, v.(json.Unmarshaler).UnmarshalJSON([]byte(text)), "%T %s", v, text)
		}
		require.True(t, a.equal(some()), "as it was")
	}
}

func TestMsgpackGoesThereAndBack(t *testing.T) {
	b, err := msgpack.Marshal(some())
	require.NoError(t, err)
	var plain map[string]any
	require.NoError(t, msgpack.Unmarshal(b, &plain))
	require.Equal(t, map[string]any{"P": int16(-300), "G": int8(7), "O": []any{"a", "b"}, "S": []any{int8(1), int8(2)}, "F": true}, plain)
	var a all
	require.NoError(t, msgpack.Unmarshal(b, &a))
	require.True(t, a.equal(some()))
	for i, v := range a.values() {
		fresh := some()
		require.Equal(t, held(t, fresh.values()[i]).Value, held(t, v).Value)
	}

	// What other encoders write: wide integers, any order, repetitions, nil.
	unmarshal := func(v crdt.Value, b ...byte) error {
		return v.(msgpack.Unmarshaler).UnmarshalMsgpack(b)
	}
	require.NoError(t, unmarshal(&a.P, 0xd3, 0, 0, 0, 0, 0, 0, 0, 5))
	require.NoError(t, unmarshal(&a.G, 0xcd, 0, 6))
	require.NoError(t, unmarshal(&a.S, 0xdc, 0, 3, 3, 0xcc, 2, 3))
	require.Equal(t, "{5 6 [a b] [2 3] true}", fmt.Sprint(a))
	before := a
	for i, bad := range [][][]byte{
		{{0xa0}, {0xcb, 0, 0, 0, 0, 0, 0, 0, 0}, {0xcf, 255, 0, 0, 0, 0, 0, 0, 0}, {1, 1}, {}, {0x90}},
		{{0xff}, {0xc2}, {0xcc}},
		{{0x91, 1}, {0x92, 0xa0}, {0xa0}, {0x90, 0}, {0xc4, 0}},
		{{0x91, 0xa1, 'a'}, {0x80}},
		{{1}, {0xc3, 0xc3}, {}},
	} {
		for _, b := range bad {
			require.Error(t, unmarshal(a.values()[i], b...), "%T %x", a.values()[i], b)
		}
	}
	require.Equal(t, before, a)
	for _, v := range a.values() {
		require.Error(t, unmarshal(v, 0xc0, 0xc0))
		require.NoError(t, unmarshal(v, 0xc0))
		require.Equal(t, lattice.Held{}, held(t, v), "%T", v)
	}
}

// On any bytes nothing panics and little is allocated; what is accepted reads as those
// bytes, and what is made of it goes through JSON and msgpack.
func FuzzHold(f *testing.F) {
	for _, b := range [][]byte{nil, {0}, {0xff}, {0xcf, 255, 255, 255, 255, 255, 255, 255, 255}, {0xc2}, {0xc3}, {0x90}, {0x93, 0xc0, 1, 0xa0}, []byte("\x92\xa1a\xa1b"), []byte("\x92\xa1b\xa1a"), {0x91, 0x81, 0xa1, 'x', 0xa0}, {0xdd, 255, 255, 255, 255}, []byte(`[1,"a"]`), []byte("-7")} {
		f.Add(b)
	}
	type point struct{ X, Y string }
	f.Fuzz(func(t *testing.T, b []byte) {
		a := all{}
		var anys crdt.ORSet[any]
		var floats crdt.GSet[float32]
		var points crdt.ORSet[point]
		bond := &lattice.Bond{}
		for _, v := range append(a.values(), &anys, &floats, &points) {
			limit := uint64(512*len(b) + 64<<10)
			var err error
			if n := allocated(limit, func() { err = crdt.Hold(v, b, bond) }); n > limit {
				t.Fatalf("Hold of %d bytes by %T allocates %d", len(b), v, n)
			}
			if err == nil {
				h := held(t, v)
				require.Same(t, bond, h.Bond)
				require.Empty(t, h.Intents)
				if !strings.HasSuffix(crdt.StrategyOf(v), "counter") {
					require.Equal(t, b, h.Value, "%T", v)
				}
			}
			if u := v.(msgpack.Unmarshaler); u.UnmarshalMsgpack(b) == nil {
				first := held(t, v)
				again, err := v.(msgpack.Marshaler).MarshalMsgpack()
				require.NoError(t, err)
				require.NoError(t, u.UnmarshalMsgpack(again))
				require.Equal(t, first.Value == nil, bytes.Equal(b, []byte{0xc0}))
				if first.Value != nil {
					require.Equal(t, first.Value, held(t, v).Value, "%T", v)
				}
			}
			if u := v.(json.Unmarshaler); u.UnmarshalJSON(b) == nil {
				first := fmt.Sprint(v)
				again, err := v.(json.Marshaler).MarshalJSON()
				require.NoError(t, err)
				require.NoError(t, u.UnmarshalJSON(again))
				require.Equal(t, first, fmt.Sprint(v), "%T", v)
			}
		}
	})
}
