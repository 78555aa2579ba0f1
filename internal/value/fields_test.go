package value

import (
	"errors"
	"log/slog"
	"math"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
)

type everything struct {
	Bool    bool
	Int8    int8    `msgpack:"i8"`
	Int     int     `msgpack:"int,omitempty"`
	U64     uint64  `msgpack:",omitempty"`
	F32     float32 `msgpack:"f32"`
	F64     float64
	Text    string `msgpack:"a long name of more than thirty-two bytes"`
	Bytes   []byte
	Array   [4]byte
	Ints    []int
	Strings []string
	Any     any
	Map     map[string]int
	ByInt   map[int16]string
	ByFloat map[float64]bool
	ByBool  map[bool]*node
	Time    time.Time
	TimePtr *time.Time `msgpack:",omitempty"`
	Took    time.Duration
	Err     error
	Addr    netip.Addr
	Big     *big.Int
	Level   slog.Level
	Node    *node
	Nodes   [2]node
	Raw     msgpack.RawMessage
	Skipped func() `msgpack:"-"`
	base
	*Shared
	Named `msgpack:"named,noinline"`
	Tuple tuple
	Empty struct{ A int } `msgpack:",omitempty"`
	Gone  gone            `msgpack:",omitempty"`
}

type (
	base   struct{ BaseField string }
	Shared struct {
		SharedField string `msgpack:"shared"`
		Other       int    `msgpack:",omitempty"`
	}
)

type (
	Named struct{ N int }
	tuple struct {
		_msgpack struct{} `msgpack:",as_array"`
		B        string
		A        int
		C        *bool
	}
)

type gone struct {
	X int `msgpack:",omitempty"`
}

func sample() everything {
	at := time.Unix(1_700_000_000, 123).UTC()
	return everything{
		Bool: true, Int8: -5, Int: 1 << 30, U64: math.MaxUint64, F32: 0.1, F64: math.Pi, Text: "héllo", Bytes: []byte{0, 255},
		Array: [4]byte{1, 2, 3, 4}, Ints: []int{1, -1, 1 << 29}, Strings: []string{"b", "a"}, Any: map[string]any{"x": []any{int64(1), "s", nil}},
		Map: map[string]int{"zz": 1, "a": 2, "b": 3}, ByInt: map[int16]string{-1: "m", 300: "c", 5: "s"}, ByFloat: map[float64]bool{1.5: true, -2: false},
		ByBool: map[bool]*node{true: {Name: "t"}, false: nil}, Time: at, TimePtr: &at, Took: time.Minute, Err: errors.New("oh"),
		Addr: netip.MustParseAddr("2001:db8::1"), Big: big.NewInt(-12345), Level: slog.LevelWarn, Node: &node{Name: "n", Next: &node{}, Any: int64(7)},
		Nodes: [2]node{{Name: "0"}, {Name: "1"}}, Raw: msgpack.RawMessage{0x81, 0x01, 0x02}, base: base{"base"}, Shared: &Shared{SharedField: "s"},
		Named: Named{3}, Tuple: tuple{B: "b", A: 1}, Empty: struct{ A int }{0},
	}
}

func TestStructsAreEncodedAsByMsgpackV5(t *testing.T) {
	v := sample()
	want := oracle(t, &v)
	for range 20 { // map order
		require.Equal(t, want, mustAppend(t, v))
		require.Equal(t, want, mustAppend(t, &v))
	}
	_ = v.Tuple._msgpack // read by its tag only
	var zero everything
	zero.Shared = &Shared{} // where it is nil, our encoding leaves its fields out
	zero.Raw = msgpack.RawMessage{0xc0}
	require.Equal(t, oracle(t, &zero), mustAppend(t, zero))

	require.Equal(t, oracle(t, map[string]everything{"k": v}), mustAppend(t, map[string]everything{"k": v}))
}

func TestStructsComeBackAsTheyWere(t *testing.T) {
	v := sample()
	var got everything
	require.NoError(t, Decode(mustAppend(t, v), &got))
	require.Equal(t, v, got)
	require.Equal(t, time.UTC, got.Time.Location())

	var zero, back everything
	back = sample()
	back.Shared = nil
	require.NoError(t, Decode(mustAppend(t, everything{}), &back))
	require.Equal(t, sample().U64, back.U64, "what is left out keeps its value")
	back.Int, back.U64, back.TimePtr = 0, 0, nil
	require.Equal(t, zero, back)
}

func TestNamesUnknownToTheStructArePassedOver(t *testing.T) {
	type v2 struct {
		A int
		B map[string][]string
		C string `msgpack:"sea,alias:C"`
	}
	type v1 struct {
		C string `msgpack:"C"`
		Z int
	}
	var old v1
	require.NoError(t, Decode(mustAppend(t, v2{1, map[string][]string{"x": {"y"}}, "c"}), &old))
	require.Equal(t, v1{}, old)
	var next v2
	require.NoError(t, Decode(mustAppend(t, v1{"see", 1}), &next))
	require.Equal(t, v2{C: "see"}, next)
}
