package sim

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Each file in testdata/bugs plants one bug: a line that says what it is, the file that has it,
// and what is replaced there. Histories have to find every one of them.
func TestPlantedBugsAreFound(t *testing.T) {
	search := os.Getenv("FIELDWISE_BUGS") == "1"
	const histories = "600"
	root, err := filepath.Abs("../../../..")
	require.NoError(t, err)
	bugs, err := filepath.Glob("testdata/bugs/*.bug")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(bugs), 15)
	found := regexp.MustCompile(`found after (\d+) histories`)
	for _, bug := range bugs {
		t.Run(strings.TrimSuffix(filepath.Base(bug), ".bug"), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
			defer cancel()
			what, overlay := plant(t, root, bug)
			if !search {
				t.Skip("it can be planted; a build with it, and the search, are asked for by FIELDWISE_BUGS=1")
			}
			binary := filepath.Join(t.TempDir(), "sim.test")
			build := exec.CommandContext(ctx, "go", "test", "-c", "-overlay", overlay, "-o", binary, ".")
			out, err := build.CombinedOutput()
			require.NoError(t, err, "%s", out)
			hunt := exec.CommandContext(ctx, binary, "-test.run", "TestPropertyHistories", "-test.failfast", "-test.timeout", "5m", "-sim.seed", "1", "-sim.histories", histories, "-sim.shrink=false")
			out, err = hunt.CombinedOutput()
			require.Error(t, err, "not found in %s histories: %s", histories, what)
			after := found.FindStringSubmatch(string(out))
			require.NotNil(t, after, "%s", out)
			t.Logf("%s Found after %s histories.", what, after[1])
		})
	}
}

// Replicas that keep records of any schema find bugs of the engine and the log, too.
func TestPlantedBugsAreFoundWithAnySchema(t *testing.T) {
	if os.Getenv("FIELDWISE_BUGS") != "1" {
		t.Skip("each needs a build of its own: FIELDWISE_BUGS=1 asks for that")
	}
	root, err := filepath.Abs("../../../..")
	require.NoError(t, err)
	for bug, schema := range map[string]string{"sync_does_not_sync": "flat", "keeps_states_of_failed_batches": "counters", "removed_elements_come_back": "sets"} {
		t.Run(bug, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
			defer cancel()
			what, overlay := plant(t, root, filepath.Join("testdata", "bugs", bug+".bug"))
			hunt := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-run", "TestPropertyReplicasKeepAnySchema/^"+schema+"$", "../..")
			hunt.Env = append(os.Environ(), "FIELDWISE_HISTORIES=2000")
			out, err := hunt.CombinedOutput()
			require.Error(t, err, "not found: %s", what)
			require.Contains(t, string(out), "To play it again:")
		})
	}
}

// plant returns what the bug is, and the name of an overlay for the go command that has it.
func plant(t *testing.T, root, bug string) (what, overlay string) {
	text, err := os.ReadFile(bug)
	require.NoError(t, err)
	what, rest, _ := strings.Cut(string(text), "\n")
	file, rest, _ := strings.Cut(rest, "\n")
	file = filepath.Join(root, filepath.FromSlash(file))
	source, err := os.ReadFile(file)
	require.NoError(t, err)
	changed := string(source)
	for rest != "" {
		_, after, ok := strings.Cut(rest, "<<<<\n")
		require.True(t, ok, "%s: %q", bug, rest)
		was, after, ok := strings.Cut(after, "====\n")
		require.True(t, ok, "%s: %q", bug, rest)
		is, after, ok := strings.Cut(after, ">>>>\n")
		require.True(t, ok, "%s: %q", bug, rest)
		was, is = strings.TrimSuffix(was, "\n"), strings.TrimSuffix(is, "\n")
		require.Equal(t, 1, strings.Count(changed, was), "%s replaces %q, which has to be there once", bug, was)
		changed, rest = strings.Replace(changed, was, is, 1), after
	}
	dir := t.TempDir()
	planted := filepath.Join(dir, "planted.go")
	require.NoError(t, os.WriteFile(planted, []byte(changed), 0o600))
	b, err := json.Marshal(map[string]any{"Replace": map[string]string{file: planted}})
	require.NoError(t, err)
	overlay = filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(overlay, b, 0o600))
	return what, overlay
}
