package wire

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise/internal/randtest"
)

func seed(f *testing.F) {
	for _, c := range notCanonical {
		f.Add(unhex(f, c.bytes))
		f.Add(unhex(f, c.canonical))
	}
	for _, s := range bombs {
		f.Add(unhex(f, s))
	}
	f.Add(appendAny(nil, tenFields()))
	f.Add(appendAny(nil, []any{nil, true, int64(-1), uint64(1 << 63), 1.5, math.NaN(), "é", []byte{0}, time.Unix(1<<35, 3), map[any]any{
		int64(1): []any{}, "a": map[any]any{},
	}}))
	f.Add(bytes.Repeat([]byte{0x91}, 100))
}

func TestCheckRefusesWhatIsNotCanonical(t *testing.T) {
	for _, c := range notCanonical {
		b := unhex(t, c.bytes)
		require.ErrorIs(t, Check(b, 8), ErrNotCanonical, c.name)
		_, err := CheckPrefix(b, 8)
		require.ErrorIs(t, err, ErrNotCanonical, c.name)
		// the same inside an array and as the value of a map
		require.ErrorIs(t, Check(append([]byte{0x91}, b...), 8), ErrNotCanonical, c.name)
		require.ErrorIs(t, Check(append([]byte{0x81, 0x01}, b...), 8), ErrNotCanonical, c.name)
		if c.canonical != "" {
			require.NoError(t, Check(unhex(t, c.canonical), 8), c.name)
		}
	}
}

func TestCheckRefusesTrailingBytes(t *testing.T) {
	for _, s := range []string{"c0c0", "01c1", "a1610a", "90c0", "80c0", "c40000", "d6ff0000000100"} {
		b := unhex(t, s)
		require.ErrorIs(t, Check(b, 8), ErrTrailing, s)
		n, err := CheckPrefix(b, 8)
		require.NoError(t, err, s)
		require.Equal(t, len(b)-1, n, s)
		_, err = Canonical(nil, b, 8)
		if s != "01c1" {
			require.ErrorIs(t, err, ErrTrailing, s)
		}
	}
}

func TestCheckCountsContainers(t *testing.T) {
	for _, c := range []struct {
		bytes string
		depth int
	}{{"c0", 0}, {"90", 1}, {"80", 1}, {"91c0", 1}, {"9190", 2}, {"8101c0", 1}, {"810191c0", 2}, {"92c09180", 3}} {
		b := unhex(t, c.bytes)
		for depth := -1; depth < 5; depth++ {
			_, canonErr := Canonical(nil, b, depth)
			if depth >= c.depth || c.depth == 0 {
				require.NoError(t, Check(b, depth), "%s depth %d", c.bytes, depth)
				require.NoError(t, canonErr, "%s depth %d", c.bytes, depth)
			} else {
				require.ErrorIs(t, Check(b, depth), ErrDepth, "%s depth %d", c.bytes, depth)
				require.ErrorIs(t, canonErr, ErrDepth, "%s depth %d", c.bytes, depth)
			}
		}
	}
}

func TestCheckNamesTheOffset(t *testing.T) {
	for _, c := range []struct{ bytes, want string }{
		{"", "wire: truncated at byte 0"},
		{"92c0cc05", "wire: not canonical at byte 2"},
		{"82a162c0a161c0", "wire: not canonical at byte 4"},
		{"91a2ff", "wire: truncated at byte 1"},
		{"c0c0", "wire: trailing bytes at byte 1"},
		{"919190", "wire: nested too deep at byte 2"},
	} {
		require.EqualError(t, Check(unhex(t, c.bytes), 2), c.want)
	}
}

// A damaged byte either makes the bytes not canonical or makes them another value; it never goes unseen
// by re-encoding.
func TestFlippedBytesNeverPassAsTheSameValue(t *testing.T) {
	randtest.Check(t, 100, 1000, func(t *rapid.T) {
		b := appendAny(nil, drawAny(t, 3))
		i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		b[i] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		checkRoundTrip(t, b)
	})
}

// checkRoundTrip demands of bytes that Check accepts that reading and appending them, and Canonical,
// gives the same bytes, and of bytes that Check refuses that Canonical does not leave them as they are.
func checkRoundTrip(t require.TestingT, b []byte) {
	canonical, canonErr := Canonical(nil, b, 64)
	if err := Check(b, 64); err != nil {
		if canonErr == nil {
			require.NotEqual(t, b, canonical, "%v", err)
		}
		return
	}
	v, rest, err := readAny(b)
	require.NoError(t, err)
	require.Empty(t, rest)
	require.Equal(t, b, appendRead(nil, v))
	require.NoError(t, canonErr)
	require.Equal(t, b, canonical)
}

func FuzzCheck(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		checkRoundTrip(t, b)
		if n, err := CheckPrefix(b, 64); err == nil {
			checkRoundTrip(t, b[:n])
		}
		require.Equal(t, before, bytes.Clone(b), "the input was changed")
	})
}

func BenchmarkCheck(b *testing.B) {
	for name, v := range map[string]any{"uint": uint64(1 << 40), "string22": "a value of 22 bytes xx", "map10": tenFields()} {
		b.Run(name, func(b *testing.B) {
			buf := appendAny(nil, v)
			b.ReportAllocs()
			for b.Loop() {
				if err := Check(buf, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
