package value

import (
	"encoding/json"
	"math"
	"net/netip"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/fieldwise/fieldwise/internal/wire"
)

func TestNestingIsCountedAlikeOnBothSides(t *testing.T) {
	var plain, typed any = "x", "x"
	for range MaxDepth {
		plain = []any{plain}
		typed = map[string][]any{"k": {typed}}
	}
	b := mustAppend(t, plain)
	var got any
	require.NoError(t, Decode(b, &got))
	_, err := Append(nil, []any{plain})
	require.ErrorIs(t, err, wire.ErrDepth)
	require.ErrorIs(t, Decode(append([]byte{0x91}, b...), &got), wire.ErrDepth)
	_, err = Append(nil, typed)
	require.ErrorIs(t, err, wire.ErrDepth)
	require.ErrorContains(t, err, "flatten")
}

type node struct {
	Name string
	Next *node
	Any  any
}

func TestOmitemptyKeepsWhatItsTypeEncodes(t *testing.T) {
	type host struct {
		Addr netip.Addr `msgpack:",omitempty"`
		At   time.Time  `msgpack:",omitempty"`
	}
	v := host{netip.MustParseAddr("10.0.0.1"), time.Unix(1, 0).UTC()}
	var got host
	require.NoError(t, Decode(mustAppend(t, v), &got))
	require.Equal(t, v, got)
	require.Equal(t, []byte{0x80}, mustAppend(t, host{}))
}

func TestCyclesAreErrors(t *testing.T) {
	defer debug.SetMaxStack(debug.SetMaxStack(8 << 20))
	ring := &node{Name: "ring"}
	ring.Next = ring
	inAny := &node{}
	inAny.Any = inAny
	slice := []any{nil}
	slice[0] = slice
	m := map[string]any{}
	m["m"] = m
	var self any
	self = &self
	type pointer *pointer
	var p pointer
	p = &p
	type list []list
	l := list{nil}
	l[0] = l
	type mm map[string]mm
	mmm := mm{}
	mmm["x"] = mmm
	for _, v := range []any{ring, inAny, slice, m, self, &self, l, mmm, custom{ring}, custom{slice}, custom{m}, []any{custom{l}}} {
		dst := []byte("before")
		got, err := Append(dst, v)
		require.ErrorIs(t, err, wire.ErrDepth, "%T", v)
		require.Equal(t, "before", string(got))
	}
	_, err := Append(nil, p)
	require.ErrorContains(t, err, "nothing but pointers")
	type embeds struct{ *node }
	type itself struct {
		*embeds
		X int
	}
	require.NoError(t, Decode(mustAppend(t, itself{}), new(itself)))
}

// custom is a type whose encoder writes whatever it holds.
type custom struct{ v any }

func (c custom) EncodeMsgpack(e *msgpack.Encoder) error { return e.Encode(c.v) }

func (c *custom) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	c.v, err = d.DecodeInterface()
	return err
}

func TestAppendRefusesWhatHasNoEncoding(t *testing.T) {
	type twice struct {
		A int `msgpack:"x"`
		B int `msgpack:"x"`
	}
	type hidden struct{ a int }
	type myTime time.Time
	type selfish struct{ *selfish }
	for _, c := range []struct {
		v    any
		want string
	}{
		{make(chan int), "chan int has no encoding"},
		{complex(1, 2), "complex128 has no encoding"},
		{uintptr(1), "uintptr has no encoding"},
		{struct{ F func() }{}, ".F: the type func() has no encoding"},
		{map[string]any{"a": []any{1, make(chan int)}}, `value: encode map[string]interface {} at ["a"][1]: the type chan int`},
		{"a\xff", `"a\xff" is not valid UTF-8: use []byte`},
		{map[string]any{"\xff": 1}, "not valid UTF-8"},
		{map[string]string{"k": "\xff"}, `at ["k"]: the string`},
		{[]any{map[string]int{"\xff": 1}}, "not valid UTF-8"},
		{node{Name: "\xff"}, "value: encode value.node at .Name: the string"},
		{twice{}, `two fields named "x"`},
		{hidden{1}, "no exported field"},
		{myTime{}, "no exported field"},
		{selfish{}, "embeds itself"},
		{map[[2]int]int{{1, 2}: 3}, "use keys of a simple type"},
		{map[any]int{1: 1, int8(1): 2}, "the same once encoded"},
		{map[float64]int{math.NaN(): 1, -math.NaN(): 2, math.Float64frombits(0x7ff8000000000abc): 3}, "the same once encoded"},
		{json.Number("x"), "not a JSON number"},
		{json.Number("Inf"), "not a JSON number"},
		{json.Number("007"), "not a JSON number"},
		{json.Number("+1"), "not a JSON number"},
		{json.Number("1 "), "does not fit"},
		{json.Number("1e999"), "does not fit"},
		{json.Number(`"1"`), "not a JSON number"},
	} {
		got, err := Append([]byte("before"), c.v)
		require.ErrorContains(t, err, c.want, "%T", c.v)
		require.Equal(t, "before", string(got))
	}
}
