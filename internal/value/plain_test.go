package value

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/internal/wire"
)

func drawJSON(t *rapid.T, depth int) any {
	kind := rapid.IntRange(0, 12).Draw(t, "kind")
	if depth == 0 && kind > 9 {
		kind = 3
	}
	switch kind {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.Int64().Draw(t, "int")
	case 3:
		return rapid.String().Draw(t, "text")
	case 4:
		return rapid.Uint64Range(1<<63, 1<<64-1).Draw(t, "uint")
	case 5, 6:
		return rapid.Float64().Draw(t, "float")
	case 7:
		return rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
	case 8:
		return time.Unix(rapid.Int64Range(-1<<35, 1<<35).Draw(t, "sec"), rapid.Int64Range(0, 999_999_999).Draw(t, "nsec")).UTC()
	case 9:
		return rapid.Int64Range(-200, 200).Draw(t, "small")
	case 10:
		s := make([]any, rapid.IntRange(0, 20).Draw(t, "len"))
		for i := range s {
			s[i] = drawJSON(t, depth-1)
		}
		return s
	}
	m := map[string]any{}
	for range rapid.IntRange(0, 20).Draw(t, "entries") {
		m[rapid.String().Draw(t, "key")] = drawJSON(t, depth-1)
	}
	return m
}

func TestJSONShapedDataComesBackAsItWas(t *testing.T) {
	randtest.Check(t, 100, 1000, func(t *rapid.T) {
		v := drawJSON(t, 3)
		b := mustAppend(t, v)
		require.Equal(t, oracle(t, v), b)
		got, err := Any(b)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(v, got))
		var into any = 5
		require.NoError(t, Decode(b, &into))
		require.Empty(t, cmp.Diff(v, into))
		require.Equal(t, b, mustAppend(t, got))
		require.Equal(t, b, mustAppend(t, struct{ V any }{v})[3:], "as a field")
	})
}

func TestAnyUsesOneTypePerShape(t *testing.T) {
	for _, c := range []struct{ in, want any }{
		{int8(5), int64(5)},
		{uint32(5), int64(5)},
		{uint64(math.MaxInt64), int64(math.MaxInt64)},
		{uint64(1 << 63), uint64(1 << 63)},
		{float32(1.5), 1.5},
		{[]byte(nil), nil},
		{[]byte{}, []byte{}},
		{[]string{"a"}, []any{"a"}},
		{map[string]int{"a": 1}, map[string]any{"a": int64(1)}},
		{time.Duration(5), int64(5)},
		{json.Number("7"), int64(7)},
		{json.Number("-9223372036854775808"), int64(math.MinInt64)},
		{json.Number("18446744073709551615"), uint64(math.MaxUint64)},
		{json.Number("18446744073709551616"), 18446744073709551616.0},
		{json.Number("7.0"), 7.0},
		{json.Number("1e3"), 1000.0},
		{json.Number(""), int64(0)},
		{(*int)(nil), nil},
		{error(nil), nil},
		{[3]byte{1, 2, 3}, []byte{1, 2, 3}},
		{[2]bool{true}, []any{true, false}},
		{[]any(nil), nil},
		{map[string]any(nil), nil},
		{struct{}{}, map[string]any{}},
	} {
		got, err := Any(mustAppend(t, c.in))
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%T", c.in)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("x", 7200))
	got, err := Any(mustAppend(t, at))
	require.NoError(t, err)
	require.Equal(t, at.UTC(), got)
	_, err = Any(mustAppend(t, map[int]string{1: "a"}))
	require.ErrorIs(t, err, wire.ErrType)
	require.ErrorContains(t, err, "key of kind uint")
}

func TestAppendOfPlainDataAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 1024)
	var m any = tenFields()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := Append(dst, m); err != nil {
			panic(err)
		}
	}))
}
