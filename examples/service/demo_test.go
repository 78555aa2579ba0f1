package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite testdata/demo.txt")

// masks hide what differs from run to run: the ports, the incarnations of the regions, and
// what is made of them. Times are those of the demo's own clock.
var masks = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`((?:us-east|eu-west)-1[.#])[0-9a-f]+`), "${1}INCARNATION"},
	{regexp.MustCompile(`"id":"[0-9a-f]{32}"`), `"id":"CONFLICT"`},
	{regexp.MustCompile(`ETag: ".*"`), `ETag: "TOKEN"`},
}

func TestDemoTellsTheSameStoryEachTime(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	var stdout, stderr bytes.Buffer
	require.Equal(t, statusOK, run(t.Context(), []string{"-demo"}, &stdout, &stderr), stderr.String())
	got := stdout.String()
	for _, m := range masks {
		got = m.what.ReplaceAllString(got, m.with)
	}
	golden := filepath.Join("testdata", "demo.txt")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the demo is not as in %s; go test -update rewrites it (-want +got):\n%s", golden, diff)
	}
	require.Empty(t, stderr.String())
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Empty(t, left, "the demo's directories are removed")
}

// A demo whose regions answer something else must not look like one that went well.
func TestDemoFailsWhereAnAnswerIsAnother(t *testing.T) {
	_, us, _, _ := newPair(t)
	var out bytes.Buffer
	s := &session{out: &out, vars: map[string]string{"US": us}}
	defer s.client.CloseIdleConnections()
	s.curl(t.Context(), call{method: "GET", url: "$US/profiles/asha", want: 200})
	require.ErrorContains(t, s.err, "GET $US/profiles/asha: status 404, want 200")
}
