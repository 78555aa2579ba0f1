package fieldwise_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

func TestRegionNames(t *testing.T) {
	cases := []struct {
		name string
		says string // what the error says; empty for a valid name
	}{
		{"a", ""},
		{"eu-west-1", ""},
		{"0", ""},
		{"-", ""},
		{"con", ""}, // no file is named after a region
		{strings.Repeat("z", 63), ""},

		{"", "empty"},
		{strings.Repeat("z", 64), "64 bytes, at most 63"},
		{"EU-west-1", `'E' at byte 0`},
		{"eu_west", `'_' at byte 2`},
		{"eu west", `' ' at byte 2`},
		{"../x", `'.' at byte 0`},
		{"a/b", `'/' at byte 1`},
		{"a\x00", `'\x00' at byte 1`},
		{"a\n", `'\n' at byte 1`},
		{"zürich", `at byte 1`},
		{"\xff", `at byte 0`},
	}
	for _, c := range cases {
		err := fieldwise.Region(c.name).Validate()
		if c.says == "" {
			assert.NoError(t, err, "%q", c.name)
			continue
		}
		assert.ErrorIs(t, err, fieldwise.ErrRegion, "%q", c.name)
		assert.ErrorContains(t, err, c.says, "%q", c.name)
	}
}

func TestRegionValidateAgreesWithTheRule(t *testing.T) {
	names := rapid.OneOf(rapid.StringMatching(`[a-z0-9-]{0,70}`), rapid.StringMatching(`[a-z0-9-]{0,3}.[a-z0-9-]{0,3}`), rapid.String())
	randtest.Check(t, 100, 1000, func(t *rapid.T) {
		name := names.Draw(t, "name")
		want := len(name) >= 1 && len(name) <= 63 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" &&
			!strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-", r) })
		err := fieldwise.Region(name).Validate()
		if (err == nil) != want {
			t.Fatalf("valid is %v, want %v: %v", err == nil, want, err)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n\r\x00") {
			t.Fatalf("the error carries control bytes of the name: %q", err)
		}
	})
}

func TestOriginOrder(t *testing.T) {
	ascending := []fieldwise.Origin{{}, {"", 1}, {"a", 0}, {"a", 1}, {"a", 1 << 63}, {"a-b", 0}, {"a0", 0}, {"b", 0}}
	for i, o := range ascending {
		for j, p := range ascending {
			switch got := o.Compare(p); {
			case i < j:
				require.Negative(t, got, "%v to %v", o, p)
			case i > j:
				require.Positive(t, got, "%v to %v", o, p)
			default:
				require.Zero(t, got, "%v to %v", o, p)
			}
		}
	}
}
