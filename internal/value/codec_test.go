package value_test

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise/internal/value"
)

type oneWay struct{ s string }

func (o oneWay) MarshalText() ([]byte, error) { return []byte(o.s), nil }

type list struct {
	Next *list
	Of   map[string]chan int
}

func TestCodecOfLooksAtAllThatTheTypeLeadsTo(t *testing.T) {
	refused := func(v any, why string) {
		_, err := value.CodecOf(reflect.TypeOf(v))
		require.ErrorContains(t, err, why, "%T", v)
	}
	refused(struct{ F func() }{}, "has no encoding")
	refused(list{}, ".Of[]: the type chan int")
	refused(oneWay{}, "has only one of an encoder and a decoder of its own")
	refused([]oneWay{}, "[]: the type value_test.oneWay")
	refused(map[string]interface{ Foo() }{}, "belongs into the interface")
}

func TestCodecIsAppendAndDecode(t *testing.T) {
	type plan string
	for _, v := range []any{
		"x", plan("gold"), true, int8(-3), uint16(7), 1.5, float32(2), time.Second, []byte("b"),
		[]string{"a", "b"},
		map[string]int{"a": 1},
		time.UnixMilli(5).UTC(), netip.MustParseAddr("10.0.0.1"),
		struct{ A, B string }{"1", "2"},
	} {
		rv := reflect.ValueOf(v)
		c, err := value.CodecOf(rv.Type())
		require.NoError(t, err)
		got, err := c.Append([]byte("x"), rv)
		require.NoError(t, err)
		want, err := value.Append([]byte("x"), v)
		require.NoError(t, err)
		require.Equal(t, want, got, "%T", v)
		back := reflect.New(rv.Type()).Elem()
		require.NoError(t, c.Decode(got[1:], back))
		require.Equal(t, v, back.Interface())
	}
}
