package wire

import (
	"bytes"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise/internal/randtest"
)

func TestSkipPassesWhateverIsWellFormed(t *testing.T) {
	for _, c := range notCanonical {
		b := unhex(t, c.bytes)
		n, err := Skip(append(b[:len(b):len(b)], 0xc1))
		if bytes.Contains(b, []byte{0xc1}) {
			require.ErrorIs(t, err, ErrInvalid, c.name)
			continue
		}
		require.NoError(t, err, c.name)
		require.Equal(t, len(b), n, c.name)
	}
}

func TestSkipPassesWhatMsgpackV5Writes(t *testing.T) {
	randtest.Check(t, 100, 1000, func(t *rapid.T) {
		b := marshal(t, drawAny(t, 4), rapid.Bool().Draw(t, "compact"))
		n, err := Skip(append(b, 1, 2, 3))
		require.NoError(t, err)
		require.Equal(t, len(b), n)
	})
}

// bombs claim far more than they hold.
var bombs = []string{
	"9f", "8f", "dcffff", "ddffffffff", "deffff", "dfffffffff", "c4ff", "c5ffff", "c6ffffffff", "d9ff", "daffff",
	"dbffffffff", "c7ffff", "c8ffffff", "c9ffffffffff", "bf", "d8ff", "ddffffffff" + "ddffffffff", "9f9f9f9f9f",
	"dfffffffff" + "a161" + "dfffffffff", "dd00000002c0", "92dd00000001c0",
}

func TestLengthBombsAreTruncatedInput(t *testing.T) {
	for _, s := range bombs {
		b := unhex(t, s)
		_, err := Skip(b)
		require.ErrorIs(t, err, ErrTruncated, s)
		out, err := Canonical(nil, b, 64)
		require.ErrorIs(t, err, ErrTruncated, s)
		require.Nil(t, out)
		require.Error(t, Check(b, 64), s)
	}
}

func TestNestingNeedsNoStackInSkip(t *testing.T) {
	defer debug.SetMaxStack(debug.SetMaxStack(1 << 20))
	b := append(bytes.Repeat([]byte{0x91}, 3<<20), 0xc0)
	n, err := Skip(b)
	require.NoError(t, err)
	require.Equal(t, len(b), n)
	require.ErrorIs(t, Check(b, 64), ErrDepth)
	_, err = Canonical(nil, b, 64)
	require.ErrorIs(t, err, ErrDepth)
}

func FuzzSkip(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := CheckPrefix(b, 64)
		skipped, skipErr := Skip(b)
		if err == nil {
			require.NoError(t, skipErr)
			require.Equal(t, n, skipped)
		}
		if skipErr != nil {
			require.Zero(t, skipped)
			return
		}
		require.LessOrEqual(t, skipped, len(b))
		again, err := Skip(b[:skipped:skipped])
		require.NoError(t, err)
		require.Equal(t, skipped, again)
		whole, err := skip(b)
		require.NoError(t, err)
		require.Equal(t, skipped, whole, "the fast path differs")
	})
}

func BenchmarkSkip(b *testing.B) {
	for name, v := range map[string]any{"uint": uint64(1 << 40), "string22": "a value of 22 bytes xx", "string40": repeat("x", 40), "map10": tenFields()} {
		b.Run(name, func(b *testing.B) {
			buf := appendAny(nil, v)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Skip(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func tenFields() map[any]any {
	m := map[any]any{}
	for _, k := range []string{"name", "phone", "address", "plan", "logins", "tags", "email", "city", "born", "note"} {
		m[k] = "16 bytes of text"
	}
	return m
}
