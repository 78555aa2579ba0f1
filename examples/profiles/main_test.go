package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// asProgram is the environment variable that makes the test binary be the program.
const asProgram = "FIELDWISE_PROFILES_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// output is what a run of the program in this process left behind.
type output struct {
	status         int
	stdout, stderr string
}

func runProfiles(t *testing.T, args ...string) output {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), args, &stdout, &stderr)
	return output{status, stdout.String(), stderr.String()}
}

// runJSON runs the program with -json and returns its document, without what differs
// from run to run: hashes depend on the incarnations of the regions.
func runJSON(t *testing.T, args ...string) map[string]any {
	t.Helper()
	out := runProfiles(t, append(args, "-json")...)
	require.Equal(t, statusOK, out.status, out.stderr)
	return parseJSON(t, out.stdout)
}

func parseJSON(t *testing.T, text string) map[string]any {
	t.Helper()
	var doc map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &doc))
	for _, r := range doc["strategies"].([]any) {
		r := r.(map[string]any)
		delete(r, "proof")
		for _, c := range r["conflicts"].([]any) {
			// Of three concurrent values the report of a hidden one names as winner
			// whichever of the others arrived first.
			delete(c.(map[string]any), "winner")
		}
	}
	return doc
}

func TestRunWithoutArguments(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	out := runProfiles(t)
	require.Equal(t, statusOK, out.status, out.stderr)
	assert.Empty(t, out.stderr, "stderr is no terminal")
	for _, want := range []string{
		"last write wins   ap-south-1    111     Mumbai      phone = 222",
		"last write wins   us-east-1     222     Bangalore   address = Mumbai",
		"region priority   ap-south-1    222     Bangalore   address = Mumbai",
		"region priority   us-east-1     222     Bangalore   address = Mumbai",
		"field merge       ap-south-1    222     Mumbai      nothing            none needed",
		"field merge       us-east-1     222     Mumbai      nothing            none needed",
		"239 edits of 50 records",
		"lost without a trace",
		"counter        8 of 39           12 of 39          5 of 39",
	} {
		assert.Contains(t, out.stdout, want)
	}
	assert.Equal(t, 3, strings.Count(out.stdout, "the same   equal"))
	assertEmptyDir(t, os.Getenv("TMPDIR"))
}

func assertEmptyDir(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left, "files left in the temporary directory")
}

func TestHelp(t *testing.T) {
	out := runProfiles(t, "-help")
	assert.Equal(t, output{status: statusOK, stdout: usage}, out)
}

func TestUsageErrors(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"sample"}, `unexpected argument "sample"; there are only flags`},
		{[]string{"-what"}, "flag provided but not defined: -what"},
		{[]string{"-strategy", "newest"}, `-strategy "newest": use lww, priority or fieldmerge`},
		{[]string{"-strategy", ""}, "-strategy is empty; leave it out or give it a value"},
		{[]string{"-dir", ""}, "-dir is empty; leave it out or give it a value"},
		{[]string{"-out", "r"}, "-out needs -edits: it writes one line for each id of that file"},
		{[]string{"-out", "r", "-strategy", "lww"}, "-out needs -edits: it writes one line for each id of that file"},
		{[]string{"-out", "r", "-edits", "e"}, "-out needs -strategy: it writes the records of one strategy"},
		{[]string{"-json=maybe"}, `invalid boolean value "maybe" for -json: parse error`},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			out := runProfiles(t, c.args...)
			assert.Equal(t, output{
				status: statusUsage,
				stderr: "profiles: " + c.want + "\n(profiles -help lists the flags)\n",
			}, out)
		})
	}
}

func TestInterruptRemovesTheTemporaryDirectory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, interrupt := context.WithCancel(t.Context())
	lines := 0
	stdout := writerFunc(func(b []byte) (int, error) {
		if lines++; lines == 60 {
			interrupt()
		}
		return len(b), nil
	})
	var stderr bytes.Buffer
	assert.Equal(t, statusFailed, run(ctx, []string{"-ack"}, stdout, &stderr))
	assert.Equal(t, "profiles: interrupted\n", stderr.String())
	assertEmptyDir(t, os.Getenv("TMPDIR"))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestInterruptWithDirSaysHowToGoOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	ctx, interrupt := context.WithCancel(t.Context())
	stdout := writerFunc(func(b []byte) (int, error) {
		if string(b) == "ack fieldmerge 100\n" {
			interrupt()
		}
		return len(b), nil
	})
	var stderr bytes.Buffer
	assert.Equal(t, statusFailed, run(ctx, []string{"-ack", "-strategy", fieldMerge, "-dir", dir}, stdout, &stderr))
	assert.Equal(t, "profiles: interrupted; the same command goes on from what is in "+dir+"\n", stderr.String())
	assert.Equal(t, runJSON(t, "-strategy", fieldMerge), runJSON(t, "-strategy", fieldMerge, "-dir", dir))
}

func TestDifferenceFails(t *testing.T) {
	good := func() *result {
		r := &result{Strategy: fieldMerge}
		for _, name := range regions {
			r.Proof = append(r.Proof, proof{Region: name, Hash: "1", Reopened: "1"})
		}
		return r
	}
	for _, c := range []struct {
		name   string
		damage func(*result)
		want   []string
	}{
		{"nothing", func(*result) {}, nil},
		{"a region", func(r *result) { r.Proof[2].Hash, r.Proof[2].Reopened = "2", "2" }, []string{"ap-south-1 holds other states than us-east-1"}},
		{"a log", func(r *result) { r.Proof[1].Reopened = "2" }, []string{"eu-west-1 holds other states after its log was read again"}},
		{"a change", func(r *result) { r.Tally.Lost = 3 }, []string{"3 changes were lost without a trace"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := good()
			c.damage(r)
			r.examine()
			assert.Equal(t, c.want, r.Problems)
		})
	}
}
