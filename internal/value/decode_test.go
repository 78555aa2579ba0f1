package value

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/fieldwise/fieldwise/internal/wire"
)

func TestDecodeRefusesNumbersThatDoNotFit(t *testing.T) {
	for _, c := range []struct{ number, into any }{
		{128, new(int8)},
		{-129, new(int8)},
		{32768, new(int16)},
		{int64(1 << 31), new(int32)},
		{uint64(1 << 63), new(int64)},
		{uint64(1 << 63), new(int)},
		{256, new(uint8)},
		{65536, new(uint16)},
		{int64(1 << 32), new(uint32)},
		{-1, new(uint8)},
		{-1, new(uint64)},
		{-1, new(uint)},
		{uint64(1 << 63), new(time.Duration)},
		{int64(1<<53 + 1), new(float64)},
		{uint64(1<<64 - 1), new(float64)},
		{int64(-(1<<53 + 1)), new(float64)},
		{1<<24 + 1, new(float32)},
		{1e39, new(float32)},
		{-1e39, new(float32)},
	} {
		b := mustAppend(t, c.number)
		err := Decode(b, c.into)
		require.ErrorIs(t, err, ErrRange, "%v into %T", c.number, c.into)
	}
	type inner struct{ N map[string][]*uint8 }
	type outer struct{ Inner inner }
	err := Decode(mustAppend(t, map[string]any{"Inner": map[string]any{"N": map[string]any{"k": []any{1, 300}}}}), new(outer))
	require.ErrorIs(t, err, ErrRange)
	require.EqualError(t, err, `value: decode value.outer at .Inner.N["k"][1]: 300 does not fit uint8: use a wider type`)
}

func TestDecodeTakesNumbersThatFit(t *testing.T) {
	for _, c := range []struct{ number, want any }{
		{127, int8(127)},
		{-128, int8(-128)},
		{255, uint8(255)},
		{uint64(math.MaxUint64), uint64(math.MaxUint64)},
		{int64(math.MinInt64), int64(math.MinInt64)},
		{int64(1 << 53), float64(1 << 53)},
		{-7, float64(-7)},
		{uint64(1 << 63), float64(1 << 63)},
		{int64(math.MinInt64), float64(math.MinInt64)},
		{1.5, float32(1.5)},
		{0.1, float32(0.1)},
		{1 << 24, float32(1 << 24)},
		{math.Inf(-1), float32(math.Inf(-1))},
		{5, time.Duration(5)},
		{5, json.Number("5")},
		{-5, json.Number("-5")},
		{uint64(math.MaxUint64), json.Number("18446744073709551615")},
		{2.5, json.Number("2.5")},
		{2.0, json.Number("2.0")},
		{1e300, json.Number("1e+300")},
		{nil, 0},
		{nil, ""},
		{nil, false},
		{nil, [2]int{}},
		{nil, time.Time{}},
	} {
		into := reflect.New(reflect.TypeOf(c.want))
		require.NoError(t, Decode(mustAppend(t, c.number), into.Interface()), "%v into %T", c.number, c.want)
		require.Equal(t, c.want, into.Elem().Interface())
	}
	n := json.Number("NaN")
	require.ErrorIs(t, Decode(mustAppend(t, math.NaN()), &n), ErrRange)
	require.Equal(t, mustAppend(t, 2.0), mustAppend(t, json.Number("2.0")), "floats stay floats through a json.Number")
}

func TestDecodeRefusesOtherTypes(t *testing.T) {
	for _, c := range []struct{ value, into any }{
		{"s", new(int)},
		{"s", new([]byte)},
		{[]byte("s"), new(string)},
		{1.0, new(int)},
		{1.5, new(uint8)},
		{1, new(string)},
		{1, new(bool)},
		{true, new(int)},
		{1, new(time.Time)},
		{"2026-01-01T00:00:00Z", new(time.Time)},
		{1, new([]int)},
		{[]any{1}, new(map[string]int)},
		{map[string]int{}, new([]int)},
		{[]any{1}, new(struct{ A int })},
		{map[int]int{1: 1}, new(struct{ A int })},
		{1, new(fmt.Stringer)},
		{"s", new(json.Number)},
		{1, new(error)},
		{true, new(float64)},
		{map[string]int{"a": 1}, new(map[int]int)},
		{1, new([2]int)},
		{"x", new([1]byte)},
	} {
		err := Decode(mustAppend(t, c.value), c.into)
		require.ErrorIs(t, err, wire.ErrType, "%v into %T", c.value, c.into)
	}
	require.ErrorIs(t, Decode(mustAppend(t, []byte("abc")), new([2]byte)), ErrRange)
	require.ErrorIs(t, Decode(mustAppend(t, []int{1}), new([2]int)), ErrRange)
	require.ErrorIs(t, Decode(mustAppend(t, map[float64]int{0: 1, math.Copysign(0, -1): 1}), new(map[float64]int)), nil)
	zeros := append(wire.AppendFloat(wire.AppendMapHeader(nil, 2), 0), 1)
	zeros = append(wire.AppendFloat(zeros, math.Copysign(0, -1)), 1)
	require.ErrorIs(t, Decode(zeros, new(map[float64]int)), ErrRange, "two zeros are one Go key")
}

func TestDecodeChecksBytesAndTarget(t *testing.T) {
	for _, b := range [][]byte{
		nil,
		{},
		{0xc1},
		{0xcc, 5},
		{0x01, 0x01},
		{0xdd, 0xff, 0xff, 0xff, 0xff},
		{0x82, 1, 1, 1, 1},
		{0xa1, 0xff},
		bytes.Repeat([]byte{0x91}, 5<<20),
	} {
		for _, into := range []any{new(any), new(int), new([]int), new(msgpack.RawMessage), new(map[string]string)} {
			require.Error(t, Decode(b, into))
		}
		_, err := Any(b)
		require.Error(t, err)
	}
	for _, into := range []any{nil, 5, "s", (*int)(nil), struct{}{}, (*any)(nil), map[string]any{}} {
		require.ErrorContains(t, Decode([]byte{1}, into), "pass a pointer", "%T", into)
	}
	type loop *loop
	require.ErrorContains(t, Decode([]byte{1}, new(loop)), "nothing but pointers")
	require.ErrorContains(t, Decode([]byte{1}, new(chan int)), "has no encoding")
	require.ErrorContains(t, Decode(mustAppend(t, map[string]int{"C": 1}), &struct{ C func() }{}), ".C: the type func() has no encoding")
}

func TestDecodeNeverWritesThroughWhatWasThere(t *testing.T) {
	type target struct {
		Bytes []byte
		Ints  []int
		Map   map[string]int
		Ptr   *int
		Any   any
	}
	one := 1
	old := target{[]byte("old"), []int{1, 2, 3}, map[string]int{"old": 1}, &one, &one}
	got := old
	b := mustAppend(t, map[string]any{"Bytes": []byte("new"), "Ints": []int{7}, "Map": map[string]int{"new": 2}, "Ptr": 9, "Any": 9})
	require.NoError(t, Decode(b, &got))
	require.Equal(t, "old", string(old.Bytes))
	require.Equal(t, []int{1, 2, 3}, old.Ints)
	require.Equal(t, map[string]int{"old": 1}, old.Map)
	require.Equal(t, 1, one)
	nine := 9
	require.Equal(t, target{[]byte("new"), []int{7}, map[string]int{"new": 2}, &nine, int64(9)}, got)

	free, err := Any(b)
	require.NoError(t, err)
	var kept keeper
	require.NoError(t, Decode(b, &kept))
	encoded := string(b)
	for i := range b {
		b[i] = 0xc1 // nothing of the results may alias the input
	}
	require.Equal(t, encoded, string(kept))
	require.Equal(t, "new", string(free.(map[string]any)["Bytes"].([]byte)))
	require.Equal(t, "new", string(got.Bytes))
	require.Equal(t, map[string]int{"new": 2}, got.Map)
}

func TestAllocationIsBoundedForBombs(t *testing.T) {
	for _, b := range [][]byte{{0xdd, 0xff, 0xff, 0xff, 0xff}, {0xdf, 0xff, 0xff, 0xff, 0xff}, {0xc6, 0xff, 0xff, 0xff, 0xff}, {0xc9, 0xff, 0xff, 0xff, 0xff, 0xff}} {
		for _, into := range []any{new(any), new([]string), new(map[string]any), new([]byte), new(time.Time), new(everything)} {
			require.Less(t, allocated(func() { _ = Decode(b, into) }), uint64(64<<10), "%x into %T", b, into)
		}
	}
}

func allocated(f func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	least := ^uint64(0)
	var before, after runtime.MemStats
	for range 3 {
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// allocatedAbove returns how many bytes f allocates if that is more than limit, else 0. The quick look
// misses what sits in the allocator's caches, a few KiB; only what seems too much is measured exactly.
func allocatedAbove(limit uint64, f func()) uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	f()
	metrics.Read(sample)
	if sample[0].Value.Uint64()-before <= limit {
		return 0
	}
	if n := allocated(f); n > limit {
		return n
	}
	return 0
}

func FuzzDecode(f *testing.F) {
	for _, v := range []any{
		nil, 1, -1, 1.5, "text", []byte("b"), time.Unix(1, 1),
		[]any{1, "a", nil},
		map[string]any{"a": 1},
		map[int]string{1: "a"},
		sample(), sample().Tuple,
		[]string{"a"},
		json.Number("5.5"),
	} {
		f.Add(mustAppend(f, v))
	}
	f.Add(bytes.Repeat([]byte{0x91}, 64))
	f.Add([]byte{0x81, 0xc4, 1, 0xfc, 0x90})
	f.Add([]byte{0xdd, 0xff, 0xff, 0xff, 0xff})
	targets := []func() any{
		func() any { return new(any) }, func() any { return new(everything) }, func() any { return new(map[string]any) },
		func() any { return new(map[int8]string) }, func() any { return new([]uint8) }, func() any { return new([]int16) },
		func() any { return new(map[any]any) }, func() any { return new(node) }, func() any { return new(float32) },
		func() any { return new(tuple) }, func() any { return new(custom) }, func() any { return new(json.Number) },
		func() any { return new([]netip.Addr) }, func() any { return new(msgpack.RawMessage) },
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, target := range targets {
			into := target()
			var err error
			// The largest element of these targets, with its map or slice overhead, is below 1 KiB for each
			// byte of input (a nil in place of a node); everything else is far smaller.
			tooMuch := allocatedAbove(uint64(1024*len(b)+64<<10), func() { into = target(); err = Decode(b, into) })
			require.Zero(t, tooMuch, "bytes allocated for %T", into)
			if err != nil {
				continue
			}
			require.NoError(t, wire.Check(b, MaxDepth), "%T", into)
			again, err := Append(nil, into)
			if _, ok := into.(*custom); ok && err != nil {
				continue // v5 reads bins as the keys of maps, which its encoder then writes as strings that are no UTF-8
			}
			require.NoError(t, err, "%T", into)
			switch into.(type) {
			case *any, *map[string]any, *[]int16, *msgpack.RawMessage, *map[int8]string:
				if !bytes.Contains(b, []byte{0xc0}) { // nil becomes zero in typed targets
					require.Equal(t, b, again, "%T", into)
				}
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	buf := mustAppend(b, tenOf())
	b.Run("struct10", func(b *testing.B) {
		var into tenStruct
		b.ReportAllocs()
		for b.Loop() {
			if err := Decode(buf, &into); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("any", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Any(buf); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("struct10 by msgpack/v5", func(b *testing.B) {
		var into tenStruct
		b.ReportAllocs()
		for b.Loop() {
			if err := msgpack.Unmarshal(buf, &into); err != nil {
				b.Fatal(err)
			}
		}
	})
}
