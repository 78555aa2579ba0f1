package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// masks hide what differs from run to run, incarnations and what is made of them, and what the
// format of the log decides. A mask with an @ numbers what it finds, so that one that is named
// again is seen to be the same.
var masks = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`#([0-9a-f]{10,16})\b`), "#@"},
	{regexp.MustCompile(`"delta":"([^"]*)"`), `"delta":"..."`},
	{regexp.MustCompile(`"id":"([0-9a-f]{32})"`), `"id":"conflict @"`},
	{regexp.MustCompile(`\b([0-9a-f]{64})\b`), "digest @"},
	{regexp.MustCompile(`position (\d+)`), "position @"},
	{regexp.MustCompile(`"format":(\d+),"bytes":\d+`), `"format":N,"bytes":N`},
	{regexp.MustCompile(`format( +)\d+`), "format${1}N"},
	{regexp.MustCompile(`"end":(\d+)`), `"end":N`},
	{regexp.MustCompile(`"position":(\d+)`), `"position":@`},
	{regexp.MustCompile(`size( +)[0-9.]+ (bytes|KiB|MiB)`), "size${1}N bytes"},
}

// masked hides all that, and the directories.
func masked(text string, dirs ...string) string {
	for _, dir := range dirs {
		text = strings.ReplaceAll(text, dir, filepath.Base(dir))
	}
	for _, m := range masks {
		known := make(map[string]string)
		text = m.what.ReplaceAllStringFunc(text, func(found string) string {
			groups := m.what.FindStringSubmatch(found)
			if known[groups[1]] == "" {
				known[groups[1]] = fmt.Sprint(len(known) + 1)
			}
			return m.what.ReplaceAllString(found, strings.ReplaceAll(m.with, "@", known[groups[1]]))
		})
	}
	return text
}

// requireGolden compares what was shown with a file.
func requireGolden(t testing.TB, name, got string, dirs ...string) {
	t.Helper()
	got = masked(got, dirs...)
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(string(want), got), "(-want +got)")
}
