package wire

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise/internal/randtest"
)

// appendAny appends v through the public API: the slow, obvious encoder of the tests.
func appendAny(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return AppendNil(dst)
	case bool:
		return AppendBool(dst, v)
	case int64:
		return AppendInt(dst, v)
	case uint64:
		return AppendUint(dst, v)
	case float64:
		return AppendFloat(dst, v)
	case string:
		return AppendString(dst, v)
	case []byte:
		return AppendBin(dst, v)
	case time.Time:
		return AppendTime(dst, v)
	case []any:
		dst = AppendArrayHeader(dst, len(v))
		for _, e := range v {
			dst = appendAny(dst, e)
		}
		return dst
	case map[any]any:
		type pair struct{ key, value []byte }
		var pairs []pair
		for k, e := range v {
			pairs = append(pairs, pair{appendAny(nil, k), appendAny(nil, e)})
		}
		slices.SortFunc(pairs, func(a, b pair) int { return bytes.Compare(a.key, b.key) })
		dst = AppendMapHeader(dst, len(v))
		for _, p := range pairs {
			dst = append(append(dst, p.key...), p.value...)
		}
		return dst
	}
	panic(fmt.Sprintf("appendAny(%T)", v))
}

// readAny reads a value through the public API.
func readAny(b []byte) (v any, rest []byte, err error) {
	switch k := KindOf(b); k {
	case KindNil:
		rest, err = Nil(b)
	case KindBool:
		v, rest, err = Bool(b)
	case KindUint:
		v, rest, err = Uint(b)
	case KindInt:
		v, rest, err = Int(b)
	case KindFloat:
		v, rest, err = Float(b)
	case KindString:
		var s []byte
		s, rest, err = String(b)
		v = string(s)
	case KindBin:
		v, rest, err = Bin(b)
	case KindTime:
		v, rest, err = Time(b)
	case KindArray:
		var n int
		if n, rest, err = ArrayHeader(b); err != nil {
			return nil, nil, err
		}
		s := make([]any, n)
		for i := range s {
			if s[i], rest, err = readAny(rest); err != nil {
				return nil, nil, err
			}
		}
		v = s
	case KindMap:
		var n int
		if n, rest, err = MapHeader(b); err != nil {
			return nil, nil, err
		}
		m := pairs{}
		for range n {
			var p [2]any
			for i := range p {
				if p[i], rest, err = readAny(rest); err != nil {
					return nil, nil, err
				}
			}
			m = append(m, p)
		}
		v = m
	default:
		return nil, nil, ErrType
	}
	return v, rest, err
}

// pairs is a map in the order of its encoding; a Go map cannot hold every key (bytes, NaN).
type pairs [][2]any

func appendRead(dst []byte, v any) []byte {
	switch v := v.(type) {
	case []any:
		dst = AppendArrayHeader(dst, len(v))
		for _, e := range v {
			dst = appendRead(dst, e)
		}
		return dst
	case pairs:
		dst = AppendMapHeader(dst, len(v))
		for _, p := range v {
			dst = appendRead(appendRead(dst, p[0]), p[1])
		}
		return dst
	}
	return appendAny(dst, v)
}

func drawText(t *rapid.T) string {
	if rapid.IntRange(0, 20).Draw(t, "long") == 0 {
		return strings.Repeat("é", rapid.SampledFrom([]int{15, 16, 127, 128, 32767, 32768}).Draw(t, "runes"))
	}
	return rapid.String().Draw(t, "text")
}

func drawInt(t *rapid.T) any {
	edge := rapid.SampledFrom([]uint64{
		0, 31, 32, 127, 128, 255, 256, 32767, 32768, 65535, 65536,
		1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63, 1<<64 - 1,
	}).Draw(t, "edge")
	edge += uint64(rapid.IntRange(-2, 2).Draw(t, "off"))
	if rapid.Bool().Draw(t, "negative") && edge > 0 && edge <= 1<<63 {
		return int64(-edge)
	}
	return edge
}

func drawScalar(t *rapid.T) any {
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return drawInt(t)
	case 3:
		return rapid.Float64().Draw(t, "float")
	case 4:
		return rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bin")
	case 5:
		sec := rapid.OneOf(rapid.Int64Range(-5, 5), rapid.Int64Range(1<<32-3, 1<<32+3),
			rapid.Int64Range(1<<34-3, 1<<34+3), rapid.Int64Range(-1<<36, 1<<36)).Draw(t, "sec")
		nsec := rapid.OneOf(rapid.Just[int64](0), rapid.Int64Range(0, 999_999_999)).Draw(t, "nsec")
		return time.Unix(sec, nsec).UTC()
	}
	return drawText(t)
}

func drawKey(t *rapid.T) any {
	if rapid.Bool().Draw(t, "intKey") {
		switch v := drawInt(t).(type) {
		case int64:
			return v
		case uint64:
			if v <= math.MaxInt64 { // one Go key per value
				return int64(v)
			}
			return v
		}
	}
	return drawText(t)
}

func drawAny(t *rapid.T, depth int) any {
	kind := rapid.IntRange(0, 9).Draw(t, "shape")
	switch {
	case depth > 0 && kind == 0:
		s := make([]any, rapid.SampledFrom([]int{0, 1, 2, 3, 15, 16, 17}).Draw(t, "len"))
		for i := range s {
			s[i] = drawAny(t, depth-1)
		}
		return s
	case depth > 0 && kind <= 3:
		m := map[any]any{}
		for range rapid.SampledFrom([]int{0, 1, 2, 5, 16, 17}).Draw(t, "entries") {
			m[drawKey(t)] = drawAny(t, depth-1)
		}
		return m
	}
	return drawScalar(t)
}

// marshal encodes with msgpack/v5, which writes maps in Go's random order.
func marshal(t require.TestingT, v any, compact bool) []byte {
	var buf bytes.Buffer
	enc := msgpack.NewEncoder(&buf)
	enc.UseCompactInts(compact)
	require.NoError(t, enc.Encode(v))
	return buf.Bytes()
}

func TestCanonicalOfMsgpackV5IsWhatAppendWrites(t *testing.T) {
	randtest.Check(t, 100, 1000, func(t *rapid.T) {
		v := drawAny(t, 3)
		want := appendAny(nil, v)
		for _, compact := range []bool{true, false} {
			got, err := Canonical(nil, marshal(t, v, compact), 3)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		require.NoError(t, Check(want, 3))
	})
}

func TestMsgpackV5DecodesWhatAppendWrites(t *testing.T) {
	randtest.Check(t, 100, 1000, func(t *rapid.T) {
		v := drawAny(t, 3)
		b := appendAny(nil, v)
		dec := msgpack.NewDecoder(bytes.NewReader(b))
		dec.SetMapDecoder(func(d *msgpack.Decoder) (any, error) { return d.DecodeUntypedMap() })
		got, err := dec.DecodeInterface()
		require.NoError(t, err)
		require.Equal(t, b, appendAny(nil, widen(got)))
	})
}

// widen turns the types of msgpack/v5's DecodeInterface into those of appendAny.
func widen(v any) any {
	switch v := v.(type) {
	case int8:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case uint8:
		return uint64(v)
	case uint16:
		return uint64(v)
	case uint32:
		return uint64(v)
	case []any:
		for i := range v {
			v[i] = widen(v[i])
		}
	case map[any]any:
		m := map[any]any{}
		for k, e := range v {
			m[widen(k)] = widen(e)
		}
		return m
	}
	return v
}

func TestAppendTakesTheShortestForm(t *testing.T) {
	long := strings.Repeat("x", 65536)
	for _, c := range []struct {
		name string
		got  []byte
		head string // the first bytes, in hex
		size int
	}{
		{"nil", AppendNil(nil), "c0", 1},
		{"false", AppendBool(nil, false), "c2", 1},
		{"true", AppendBool(nil, true), "c3", 1},
		{"0", AppendInt(nil, 0), "00", 1},
		{"127", AppendInt(nil, 127), "7f", 1},
		{"128", AppendInt(nil, 128), "cc80", 2},
		{"255", AppendUint(nil, 255), "ccff", 2},
		{"256", AppendUint(nil, 256), "cd0100", 3},
		{"65535", AppendInt(nil, 65535), "cdffff", 3},
		{"65536", AppendInt(nil, 65536), "ce00010000", 5},
		{"max uint32", AppendUint(nil, math.MaxUint32), "ceffffffff", 5},
		{"max uint32 + 1", AppendUint(nil, math.MaxUint32+1), "cf0000000100000000", 9},
		{"max uint64", AppendUint(nil, math.MaxUint64), "cfffffffffffffffff", 9},
		{"-1", AppendInt(nil, -1), "ff", 1},
		{"-32", AppendInt(nil, -32), "e0", 1},
		{"-33", AppendInt(nil, -33), "d0df", 2},
		{"-128", AppendInt(nil, -128), "d080", 2},
		{"-129", AppendInt(nil, -129), "d1ff7f", 3},
		{"-32768", AppendInt(nil, -32768), "d18000", 3},
		{"-32769", AppendInt(nil, -32769), "d2ffff7fff", 5},
		{"min int32 - 1", AppendInt(nil, math.MinInt32-1), "d3ffffffff7fffffff", 9},
		{"min int64", AppendInt(nil, math.MinInt64), "d38000000000000000", 9},
		{"0.5", AppendFloat(nil, 0.5), "cb3fe0000000000000", 9},
		{"-0.0", AppendFloat(nil, math.Copysign(0, -1)), "cb8000000000000000", 9},
		{"NaN", AppendFloat(nil, math.Float64frombits(0xfff8000000000abc)), "cb7ff8000000000001", 9},
		{"string 0", AppendString(nil, ""), "a0", 1},
		{"string 31", AppendString(nil, long[:31]), "bf", 32},
		{"string 32", AppendString(nil, long[:32]), "d920", 34},
		{"string 255", AppendString(nil, []byte(long[:255])), "d9ff", 257},
		{"string 256", AppendString(nil, long[:256]), "da0100", 259},
		{"string 65536", AppendString(nil, long), "db00010000", 65541},
		{"bin 0", AppendBin(nil, ""), "c400", 2},
		{"bin 256", AppendBin(nil, []byte(long[:256])), "c50100", 259},
		{"bin 65536", AppendBin(nil, long), "c600010000", 65541},
		{"bin header", AppendBinHeader(nil, 7), "c407", 2},
		{"array 15", AppendArrayHeader(nil, 15), "9f", 1},
		{"array 16", AppendArrayHeader(nil, 16), "dc0010", 3},
		{"array 65536", AppendArrayHeader(nil, 65536), "dd00010000", 5},
		{"map 15", AppendMapHeader(nil, 15), "8f", 1},
		{"map 16", AppendMapHeader(nil, 16), "de0010", 3},
		{"map 65536", AppendMapHeader(nil, 65536), "df00010000", 5},
		{"time 4", AppendTime(nil, time.Unix(1<<32-1, 0)), "d6ffffffffff", 6},
		{"time 8 by nanoseconds", AppendTime(nil, time.Unix(0, 1)), "d7ff0000000400000000", 10},
		{"time 8 by seconds", AppendTime(nil, time.Unix(1<<32, 0)), "d7ff0000000100000000", 10},
		{"time 12 late", AppendTime(nil, time.Unix(1<<34, 0)), "c70cff000000000000000400000000", 15},
		{"time 12 early", AppendTime(nil, time.Unix(-1, 999_999_999)), "c70cff3b9ac9ffffffffffffffffff", 15},
	} {
		require.Equal(t, c.head, fmt.Sprintf("%x", c.got[:min(len(c.head)/2, len(c.got))]), c.name)
		require.Len(t, c.got, c.size, c.name)
	}
}

func TestAppendAllocatesNothingWhereThereIsRoom(t *testing.T) {
	dst := make([]byte, 0, 256)
	now := time.Unix(1_700_000_000, 5)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		b := AppendMapHeader(dst, 1)
		b = AppendString(b, "name")
		b = AppendInt(AppendUint(b, 1<<40), -5000)
		b = AppendFloat(AppendTime(b, now), 1.5)
		_ = AppendBin(AppendArrayHeader(b, 20), dst[:10])
	}))
}

func BenchmarkAppendString(b *testing.B) {
	dst := make([]byte, 0, 64)
	s := "a value of 22 bytes xx"
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendString(dst[:0], s)
	}
}

func BenchmarkAppendUint(b *testing.B) {
	for _, v := range []uint64{5, 1 << 40} {
		b.Run(fmt.Sprint(v), func(b *testing.B) {
			dst := make([]byte, 0, 64)
			b.ReportAllocs()
			for b.Loop() {
				dst = AppendUint(dst[:0], v)
			}
		})
	}
}
