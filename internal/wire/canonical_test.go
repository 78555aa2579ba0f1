package wire

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCanonicalBringsEveryFormToOne(t *testing.T) {
	for _, c := range notCanonical {
		src := unhex(t, c.bytes)
		dst := []byte("before")
		got, err := Canonical(dst, src, 8)
		if c.canonical == "" {
			require.ErrorIs(t, err, ErrInvalid, c.name)
			require.Equal(t, "before", string(got), c.name)
			continue
		}
		require.NoError(t, err, c.name)
		require.Equal(t, append([]byte("before"), unhex(t, c.canonical)...), got, c.name)
		require.Equal(t, unhex(t, c.bytes), src, c.name)
	}
}

func TestCanonicalSortsAtEveryLevel(t *testing.T) {
	src := unhex(t, "82 a162 82 02 91 82 04c0 03c0 cd0001 c0 a161 c2")
	got, err := Canonical(nil, src, 8)
	require.NoError(t, err)
	require.Equal(t, unhex(t, "82 a161 c2 a162 82 01 c0 02 91 82 03c0 04c0"), got)
}

func TestCanonicalNamesTheOffset(t *testing.T) {
	for _, c := range []struct{ bytes, want string }{
		{"82a161c0d90161c0", "wire: value without a canonical form at byte 4"},
		{"92c0a1ff", "wire: value without a canonical form at byte 2"},
		{"c0c0", "wire: trailing bytes at byte 1"},
	} {
		_, err := Canonical(nil, unhex(t, c.bytes), 2)
		require.EqualError(t, err, c.want)
	}
}

func TestCanonicalAllocatesNothingWithRoomAndOrder(t *testing.T) {
	src := appendAny(nil, tenFields())
	dst := make([]byte, 0, 2*len(src))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := Canonical(dst, src, 1); err != nil {
			panic(err)
		}
	}))
}

// allocated returns how many bytes f allocates, whoever else runs: the smallest of some runs.
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

func TestCanonicalMemoryIsBounded(t *testing.T) {
	const n = 40_000
	random := rand.New(rand.NewPCG(1, 2))
	head := binary.BigEndian.AppendUint32([]byte{codeMap32}, n)
	twoBytes, floats, long := bytes.Clone(head), bytes.Clone(head), bytes.Clone(head)
	for i := range n {
		twoBytes = append(twoBytes, byte(n-i)&0x7f, codeNil)
		floats = append(binary.BigEndian.AppendUint32(append(floats, codeFloat32), random.Uint32()&0x7f7fffff), codeNil)
		long = append(binary.BigEndian.AppendUint32(append(long, codeUint32), uint32(n-i)), codeFloat32, 0, 0, 0, 0)
	}
	for name, src := range map[string][]byte{
		"two-byte entries": twoBytes, "float keys": floats, "float values": long,
		"floats": append(binary.BigEndian.AppendUint32([]byte{codeArray32}, n), bytes.Repeat([]byte{codeFloat32, 1, 1, 1, 1}, n)...),
		"nested": bytes.Repeat([]byte{0x82, 2, 0xc0, 1}, 63),
		"bomb":   {codeArray32, 0xff, 0xff, 0xff, 0xff, 0xc0},
	} {
		got := allocated(func() { _, _ = Canonical(nil, src, 64) })
		require.LessOrEqual(t, got, uint64(4*len(src)+64<<10), name)
	}
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

func FuzzCanonical(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		var got []byte
		var err error
		tooMuch := allocatedAbove(uint64(4*len(b)+64<<10), func() { got, err = Canonical(nil, b, 64) })
		require.Equal(t, before, bytes.Clone(b), "the input was changed")
		require.Zero(t, tooMuch, "bytes allocated")
		if err != nil {
			require.Nil(t, got)
			return
		}
		require.NoError(t, Check(got, 64))
		again, err := Canonical(nil, got, 64)
		require.NoError(t, err)
		require.Equal(t, got, again, "not idempotent")
	})
}

func BenchmarkCanonical(b *testing.B) {
	sorted := appendAny(nil, tenFields())
	n, rest, _ := MapHeader(sorted)
	shuffled := AppendMapHeader(nil, n)
	var entries [][]byte
	for len(rest) > 0 {
		key, _ := Skip(rest)
		value, _ := Skip(rest[key:])
		entries, rest = append(entries, rest[:key+value]), rest[key+value:]
	}
	for i := range entries {
		shuffled = append(shuffled, entries[len(entries)-1-i]...)
	}
	for name, src := range map[string][]byte{"sorted10": sorted, "shuffled10": shuffled} {
		b.Run(name, func(b *testing.B) {
			dst := make([]byte, 0, 2*len(src))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Canonical(dst, src, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
