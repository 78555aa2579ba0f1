package value

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/fieldwise/fieldwise/internal/wire"
)

type pointerCoder struct{ n int }

func (p *pointerCoder) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeInt64(int64(p.n)) }
func (p *pointerCoder) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	p.n, err = d.DecodeInt()
	return err
}

type marshaler string

func (m marshaler) MarshalMsgpack() ([]byte, error)  { return []byte(m), nil }
func (m *marshaler) UnmarshalMsgpack(b []byte) error { *m = marshaler(b); return nil }

// keeper keeps the slice it is given, as UnmarshalMsgpack may.
type keeper []byte

func (k *keeper) UnmarshalMsgpack(b []byte) error { *k = b; return nil }

type misbehaved struct{ how string }

func (m misbehaved) EncodeMsgpack(e *msgpack.Encoder) error {
	e.UseArrayEncodedStructs(true) // must not leak to others
	e.UseInternedStrings(true)
	switch m.how {
	case "panic":
		panic(errors.New("boom"))
	case "error":
		return errors.New("no")
	case "nothing":
		return nil
	case "twice":
		return e.EncodeMulti(1, 2)
	case "half":
		return e.EncodeArrayLen(2)
	case "bomb":
		return e.EncodeArrayLen(1 << 30)
	case "ext":
		return e.EncodeExtHeader(5, 0)
	case "duplicates":
		_ = e.EncodeMapLen(2)
		return e.EncodeMulti("a", 1, "a", 2)
	}
	return e.EncodeString(m.how)
}

func (m *misbehaved) DecodeMsgpack(d *msgpack.Decoder) error {
	d.DisallowUnknownFields(true)
	how, err := d.DecodeString()
	switch how {
	case "d-panic":
		panic("boom")
	case "d-greedy":
		return d.Skip()
	}
	m.how = how
	return err
}

type lazy struct{}

func (lazy) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeInt(5) }
func (*lazy) DecodeMsgpack(*msgpack.Decoder) error  { return nil }

type panics struct{ N int }

func (panics) IsZero() bool { panic("boom") }

func TestTypesWithMethodsOfTheirOwn(t *testing.T) {
	type holder struct {
		P  pointerCoder
		PP *pointerCoder
		M  map[string]pointerCoder
		R  marshaler
	}
	v := holder{pointerCoder{-300}, &pointerCoder{7}, map[string]pointerCoder{"x": {1 << 30}}, marshaler("\x82\xa1b\x01\xa1a\xca\x3f\x80\x00\x00")}
	b := mustAppend(t, v) // nothing is addressable here, and v5 would refuse
	var got holder
	require.NoError(t, Decode(b, &got))
	require.Equal(t, b, mustAppend(t, got))
	v.R = "\x82\xa1a\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00\xa1b\x01" // what it wrote, made canonical
	require.Equal(t, v, got)

	for how, want := range map[string]string{
		"panic": "the encoder of value.misbehaved panicked: boom", "error": "no", "nothing": "truncated",
		"twice": "trailing bytes", "half": "truncated", "bomb": "truncated", "ext": "without a canonical form", "duplicates": "without a canonical form",
	} {
		_, err := Append(nil, []any{misbehaved{how}})
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "value: encode []interface {} at [0]: ")
	}
	for range 10 { // the flags that an encoder sets end with it
		b = mustAppend(t, []any{misbehaved{"x"}, custom{Shared{}}})
		require.Equal(t, mustAppend(t, []any{"x", Shared{}}), b)
	}
	b = mustAppend(t, []any{misbehaved{"aaaaaa"}, misbehaved{"aaaaaa"}, Shared{}})
	require.Equal(t, mustAppend(t, []any{"aaaaaa", "aaaaaa", map[string]any{"shared": ""}}), b)

	var m misbehaved
	require.NoError(t, Decode(mustAppend(t, "x"), &m))
	require.ErrorContains(t, Decode(mustAppend(t, "d-panic"), &m), "the decoder of value.misbehaved panicked: boom")
	require.Error(t, Decode(mustAppend(t, "d-greedy"), &m), "a decoder sees its own value only")
	require.Error(t, Decode(mustAppend(t, []any{"d-greedy", 1}), &[]misbehaved{}))
	require.ErrorContains(t, Decode(mustAppend(t, []int{1, 2}), new([]lazy)), "left 1 of 1 bytes")
	_, err := Append(nil, struct {
		P panics `msgpack:",omitempty"`
	}{})
	require.ErrorContains(t, err, "panicked: boom")
	var addr netip.Addr
	require.Error(t, Decode(mustAppend(t, []byte{1}), &addr))
	require.ErrorIs(t, Decode(mustAppend(t, 1), &addr), wire.ErrType)
	require.NoError(t, Decode(mustAppend(t, nil), &addr))
}
