package wire

import (
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise/internal/randtest"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

func repeat(s string, n int) string { return strings.Repeat(s, n) }

// notCanonical holds, in hex, encodings that are not the one form of their value. canonical is that
// form, or empty where there is none.
var notCanonical = []struct{ name, bytes, canonical string }{
	{"uint8 of 127", "cc7f", "7f"},
	{"uint16 of 255", "cd00ff", "ccff"},
	{"uint16 of 5", "cd0005", "05"},
	{"uint32 of 65535", "ce0000ffff", "cdffff"},
	{"uint64 of 4294967295", "cf00000000ffffffff", "ceffffffff"},
	{"uint64 of 0", "cf0000000000000000", "00"},
	{"int8 of 5", "d005", "05"},
	{"int8 of -32", "d0e0", "e0"},
	{"int16 of 300", "d1012c", "cd012c"},
	{"int16 of -128", "d1ff80", "d080"},
	{"int32 of -32768", "d2ffff8000", "d18000"},
	{"int32 of 70000", "d200011170", "ce00011170"},
	{"int64 of -2147483648", "d3ffffffff80000000", "d280000000"},
	{"int64 of -1", "d3ffffffffffffffff", "ff"},
	{"int64 of 2^62", "d34000000000000000", "cf4000000000000000"},
	{"float32 of 1.5", "ca3fc00000", "cb3ff8000000000000"},
	{"float32 NaN", "ca7fc00001", "cb7ff8000000000001"},
	{"NaN with the usual payload", "cb7ff8000000000000", "cb7ff8000000000001"},
	{"negative NaN", "cbfff8000000000001", "cb7ff8000000000001"},
	{"signalling NaN", "cb7ff0000000000001", "cb7ff8000000000001"},
	{"str8 of 1 byte", "d90161", "a161"},
	{"str16 of 1 byte", "da000161", "a161"},
	{"str32 of nothing", "db00000000", "a0"},
	{"str16 of 32 bytes", "da0020" + repeat("61", 32), "d920" + repeat("61", 32)},
	{"str32 of 256 bytes", "db00000100" + repeat("61", 256), "da0100" + repeat("61", 256)},
	{"bin16 of 1 byte", "c5000161", "c40161"},
	{"bin32 of 256 bytes", "c600000100" + repeat("00", 256), "c50100" + repeat("00", 256)},
	{"array16 of 1", "dc0001c0", "91c0"},
	{"array32 of 16", "dd00000010" + repeat("c0", 16), "dc0010" + repeat("c0", 16)},
	{"map16 of 1", "de000101c0", "8101c0"},
	{"map32 of nothing", "df00000000", "80"},
	{"keys out of order", "82a162c0a161c2", "82a161c2a162c0"},
	{"keys out of order by length", "82a26161c0a162c0", "82a162c0a26161c0"},
	{"keys of two kinds out of order", "82ff01a16102", "82a16102ff01"},
	{"time of 8 bytes for 4", "d7ff0000000000000001", "d6ff00000001"},
	{"time of 12 bytes for 8", "c70cff000000010000000000000001", "d7ff0000000400000001"},
	{"time of 12 bytes for 4", "c70cff000000000000000000000001", "d6ff00000001"},
	{"time in ext8 of 4 bytes", "c704ff00000001", "d6ff00000001"},
	{"time in ext8 of 8 bytes", "c708ff0000000400000001", "d7ff0000000400000001"},
	{"time in ext16", "c8000cff000000000000000400000000", "c70cff000000000000000400000000"},
	{"time in ext32", "c90000000cff000000000000000400000000", "c70cff000000000000000400000000"},

	{"reserved byte", "c1", ""},
	{"reserved byte in an array", "91c1", ""},
	{"equal keys", "82a161c0a161c0", ""},
	{"equal keys, one of them longer", "82a161c0d90161c0", ""},
	{"equal keys apart", "83a161c0a162c0a161c0", ""},
	{"equal integer keys of two widths", "8201c0cd0001c0", ""},
	{"equal NaN keys", "82cb7ff8000000000000c0cb7ff8000000000001c0", ""},
	{"array as a key", "8190c0", ""},
	{"filled array as a key", "819101c0", ""},
	{"map as a key", "8180c0", ""},
	{"invalid UTF-8", "a1ff", ""},
	{"invalid UTF-8, cut rune", "a2e282", ""},
	{"surrogate half", "a3eda080", ""},
	{"overlong NUL", "a2c080", ""},
	{"invalid UTF-8 in str8", "d920ff" + repeat("61", 31), ""},
	{"invalid UTF-8 in a key", "81a1ffc0", ""},
	{"1e9 nanoseconds in 8 bytes", "d7ffee6b280000000000", ""},
	{"1e9 nanoseconds in 12 bytes", "c70cff3b9aca000000000400000000", ""},
	{"time of 1 byte", "d4ff00", ""},
	{"time of 5 bytes", "c705ff0000000000", ""},
	{"time of nothing", "c700ff", ""},
	{"ext type 1", "d60100000000", ""},
	{"ext type 1 in ext8", "c70c01000000000000000400000000", ""},
	{"ext type 13", "d60d00000000", ""},
	{"fixext16", "d8ff" + repeat("00", 16), ""},
}

// readers reads one value by the function for the kind it begins with.
var readers = map[Kind]func([]byte) (any, []byte, error){
	KindNil:    func(b []byte) (any, []byte, error) { rest, err := Nil(b); return nil, rest, err },
	KindBool:   func(b []byte) (any, []byte, error) { v, rest, err := Bool(b); return v, rest, err },
	KindUint:   func(b []byte) (any, []byte, error) { v, rest, err := Uint(b); return v, rest, err },
	KindInt:    func(b []byte) (any, []byte, error) { v, rest, err := Int(b); return v, rest, err },
	KindFloat:  func(b []byte) (any, []byte, error) { v, rest, err := Float(b); return v, rest, err },
	KindString: func(b []byte) (any, []byte, error) { v, rest, err := String(b); return v, rest, err },
	KindBin:    func(b []byte) (any, []byte, error) { v, rest, err := Bin(b); return v, rest, err },
	KindTime:   func(b []byte) (any, []byte, error) { v, rest, err := Time(b); return v, rest, err },
	KindArray:  func(b []byte) (any, []byte, error) { v, rest, err := ArrayHeader(b); return v, rest, err },
	KindMap:    func(b []byte) (any, []byte, error) { v, rest, err := MapHeader(b); return v, rest, err },
}

func TestReadersRefuseWhatIsNotCanonical(t *testing.T) {
	for _, c := range notCanonical {
		b := unhex(t, c.bytes)
		_, _, err := readAny(b)
		switch KindOf(b) {
		case KindMap:
			if n, _, err := MapHeader(b); err == nil && n > 0 {
				continue // keys are for Check
			}
		case KindInvalid:
			require.ErrorIs(t, err, ErrType, c.name)
			continue
		}
		require.Error(t, err, c.name)
	}
}

func TestReadersAgreeWithAppend(t *testing.T) {
	randtest.Check(t, 100, 1000, func(t *rapid.T) {
		b := appendAny(nil, drawAny(t, 3))
		v, rest, err := readAny(append(b[:len(b):len(b)], 0xc1, 0xc1))
		require.NoError(t, err)
		require.Equal(t, []byte{0xc1, 0xc1}, rest)
		require.Equal(t, b, appendRead(nil, v))
	})
}

func TestReadersRefuseEveryTruncation(t *testing.T) {
	long := repeat("x", 70_000)
	for _, v := range []any{
		nil, true, uint64(1), uint64(200), uint64(300), uint64(1 << 20), uint64(1 << 40), int64(-1),
		int64(-100), int64(-1000), int64(math.MinInt32), int64(math.MinInt64), 1.5, "short", long[:100], long[:1000], long,
		[]byte(long[:10]), []byte(long[:1000]), []byte(long), time.Unix(1, 0), time.Unix(1, 1), time.Unix(1<<34, 0),
	} {
		b := appendAny(nil, v)
		read := readers[KindOf(b)]
		_, rest, err := read(b)
		require.NoError(t, err, "%T", v)
		require.Empty(t, rest)
		for n := range b {
			_, rest, err := read(b[:n:n])
			require.ErrorIs(t, err, ErrTruncated, "%T %x", v, b[:min(n, 20)])
			require.Nil(t, rest)
			_, err = Skip(b[:n:n])
			require.ErrorIs(t, err, ErrTruncated, "%T %x", v, b[:min(n, 20)])
			require.ErrorIs(t, Check(b[:n:n], 1), ErrTruncated, "%T %x", v, b[:min(n, 20)])
			_, err = Canonical(nil, b[:n:n], 1)
			require.ErrorIs(t, err, ErrTruncated, "%T %x", v, b[:min(n, 20)])
		}
	}
}

func TestReadersRefuseOtherTypes(t *testing.T) {
	for _, v := range []any{
		nil, true, uint64(5), uint64(1 << 63), int64(-1), int64(-1000), 1.5, "s", repeat("x", 40), []byte("b"),
		time.Unix(1, 0),
		[]any{nil},
		map[any]any{"k": nil},
	} {
		b := appendAny(nil, v)
		for kind, read := range readers {
			_, rest, err := read(b)
			switch {
			case kind == KindOf(b):
				require.NoError(t, err, "%v as %v", v, kind)
			case kind == KindInt && v == uint64(5): // Int reads every integer that fits
				require.NoError(t, err)
			default:
				require.ErrorIs(t, err, ErrType, "%v as %v", v, kind)
				require.Nil(t, rest)
			}
		}
	}
	_, _, err := Float([]byte{0xca, 0, 0, 0, 0})
	require.ErrorIs(t, err, ErrNotCanonical)
}

func TestIntReadsUpToMaxInt64(t *testing.T) {
	v, _, err := Int(AppendUint(nil, math.MaxInt64))
	require.NoError(t, err)
	require.Equal(t, int64(math.MaxInt64), v)
	_, _, err = Int(AppendUint(nil, math.MaxInt64+1))
	require.ErrorIs(t, err, ErrType)
}

func TestHeadersRefuseCountsAboveWhatRemains(t *testing.T) {
	for _, s := range []string{"91", "92c0", "dcffff", "dd00010000", "ddffffffff", "ddffffffffc0c0", "dc0010" + repeat("c0", 15)} {
		_, _, err := ArrayHeader(unhex(t, s))
		require.ErrorIs(t, err, ErrTruncated, s)
	}
	for _, s := range []string{"81", "81c0", "82c0c0c0", "deffff", "dfffffffff", "df80000000c0", "de0010" + repeat("c0", 31)} {
		_, _, err := MapHeader(unhex(t, s))
		require.ErrorIs(t, err, ErrTruncated, s)
	}
	n, rest, err := MapHeader(unhex(t, "de0010"+repeat("c0", 32)))
	require.NoError(t, err)
	require.Equal(t, 16, n)
	require.Len(t, rest, 32)
}

func TestResultsAliasTheInputAndCannotGrowIntoIt(t *testing.T) {
	for _, v := range []any{"text", repeat("x", 40), []byte("bin")} {
		b := append(appendAny(nil, v), 0xc0)
		s, _, err := readers[KindOf(b)](b)
		require.NoError(t, err)
		content := s.([]byte)
		_ = append(content, 0xff)
		require.Equal(t, byte(0xc0), b[len(b)-1], "appending to a result changed the input")
		b[len(b)-2] = '!'
		require.Equal(t, byte('!'), content[len(content)-1])
	}
}

func TestRawStringLeavesUTF8ToCheck(t *testing.T) {
	s, rest, err := RawString([]byte{0xa1, 0xff})
	require.NoError(t, err)
	require.Empty(t, rest)
	require.Equal(t, []byte{0xff}, s)
}

func TestTimeIsReadInUTC(t *testing.T) {
	at := time.Date(1969, 7, 20, 20, 17, 40, 123, time.FixedZone("somewhere", 3600))
	got, _, err := Time(AppendTime(nil, at))
	require.NoError(t, err)
	require.True(t, at.Equal(got))
	require.Equal(t, time.UTC, got.Location())
}

func TestReadingAllocatesNothing(t *testing.T) {
	b := appendAny(nil, []any{
		nil, true, uint64(1 << 40), int64(-5000), 1.5, repeat("é", 40), []byte("b"), time.Unix(5, 5),
		map[any]any{"a": uint64(1), "b": "c"},
	})
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, rest, err := ArrayHeader(b)
		for err == nil && len(rest) > 0 {
			var n int
			n, err = Skip(rest)
			rest = rest[n:]
		}
		if err == nil {
			err = Check(b, 2)
		}
		if err != nil {
			panic(err)
		}
	}))
}

func BenchmarkUint(b *testing.B) {
	for _, v := range []uint64{5, 1 << 40} {
		b.Run(fmt.Sprint(v), func(b *testing.B) {
			buf := AppendUint(nil, v)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := Uint(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkString(b *testing.B) {
	buf := AppendString(nil, "a value of 22 bytes xx")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := String(buf); err != nil {
			b.Fatal(err)
		}
	}
}
