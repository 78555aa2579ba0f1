package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise/internal/value"
)

func TestValuesAsJSON(t *testing.T) {
	for want, v := range map[string]any{
		`null`:                       nil,
		`true`:                       true,
		`-5`:                         -5,
		`18446744073709551615`:       uint64(math.MaxUint64),
		`1.5`:                        1.5,
		`"<a> & \"b\""`:              `<a> & "b"`,
		`"2026-11-28T09:00:00.5Z"`:   time.Date(2026, 11, 28, 9, 0, 0, 5e8, time.UTC),
		`"AQI="`:                     []byte{1, 2},
		`{"a":[1,2],"b":{}}`:         map[string]any{"b": map[string]any{}, "a": []any{1, 2}},
		`{"msgpack":"y3/4AAAAAAAB"}`: math.NaN(),
		`{"msgpack":"gQEC"}`:         map[int]int{1: 2},
	} {
		b, err := value.Append(nil, v)
		require.NoError(t, err)
		require.Equal(t, want, string(valueJSON(b)))
	}
	require.Equal(t, `{"msgpack":"wQ=="}`, string(valueJSON([]byte{0xc1})))
}

func TestTexts(t *testing.T) {
	require.Equal(t, "profiles", nameText("profiles"))
	require.Equal(t, `"a b"`, nameText("a b"))
	require.Equal(t, `"\x1b[2J"`, nameText("\x1b[2J"))
	require.Equal(t, `""`, nameText(""))
	require.Equal(t, "ключ", nameText("ключ"))
	require.Equal(t, "a b  c", oneLine("a\nb\x1b c"))
	require.Equal(t, strings.Repeat("я", 60)+"...", cut(strings.Repeat("я", 61)))
	require.Equal(t, "1 entry", count(1, "entry", "entries"))
	require.Equal(t, "0 entries", count(0, "entry", "entries"))
	for n, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1024: "1.0 KiB", 5 << 29: "2.5 GiB", math.MaxInt64: "8.0 EiB"} {
		require.Equal(t, want, byteText(n))
	}
}
