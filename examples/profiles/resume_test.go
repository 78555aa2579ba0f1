package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

// contents reads all files below a directory but the locks, which name the process that
// had them last.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	require.NoError(t, filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "wal.lock" {
			return err
		}
		b, err := os.ReadFile(name)
		all[name] = string(b)
		return err
	}))
	return all
}

func TestFinishedRunWritesNothing(t *testing.T) {
	file := writeEdits(t, tinyEdits...)
	for name, args := range map[string][]string{
		"sample": nil,
		"edits":  {"-edits", file},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "logs")
			args := append(args, "-dir", dir)
			first := runProfiles(t, args...)
			require.Equal(t, statusOK, first.status, first.stderr)
			before := contents(t, dir)
			logs := 0
			for name := range before {
				if filepath.Base(name) == "wal.manifest" {
					logs++
				}
			}
			assert.Equal(t, 3*3, logs, "a log for each strategy and region")
			again := runProfiles(t, args...)
			assert.Equal(t, first, again, "the hashes are the same too")
			assert.Equal(t, before, contents(t, dir))

			one := runJSON(t, append(args, "-strategy", "priority")...)
			assert.Equal(t, before, contents(t, dir), "one strategy of three")
			assert.Equal(t, runJSON(t, append(args[:len(args)-2:len(args)-2], "-strategy", "priority")...), one)
		})
	}
}

func TestDirOfAnotherRunIsRefused(t *testing.T) {
	file, other := writeEdits(t, tinyEdits...), writeEdits(t, tinyEdits[0])
	dir := filepath.Join(t.TempDir(), "logs")
	runJSON(t, "-edits", file, "-dir", dir, "-strategy", "lww")
	before := contents(t, dir)
	for name, args := range map[string][]string{"another file": {"-edits", other}, "the sample": nil} {
		t.Run(name, func(t *testing.T) {
			out := runProfiles(t, append(args, "-dir", dir)...)
			assert.Equal(t, statusFailed, out.status)
			assert.Empty(t, out.stdout)
			assert.Contains(t, out.stderr, "profiles: -dir "+dir+" holds the logs of another run: the edits of "+file+" (sha256 ")
			assert.Contains(t, out.stderr, "name another directory, or remove that one\n")
			assert.Equal(t, before, contents(t, dir))
		})
	}
	t.Run("the same edits under another name", func(t *testing.T) {
		runJSON(t, "-edits", writeEdits(t, tinyEdits...), "-dir", dir, "-strategy", "lww")
		assert.Equal(t, before, contents(t, dir))
	})
	t.Run("somebody's files", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o600))
		out := runProfiles(t, "-dir", dir)
		assert.Equal(t, output{status: statusFailed, stderr: "profiles: -dir " + dir + ` holds "thesis.tex" and no profiles.json: it is not the directory of an earlier run; name an empty or a new one` + "\n"}, out)
		assert.Len(t, contents(t, dir), 1)
	})
	t.Run("a damaged manifest", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, manifestName), []byte("{"), 0o600))
		out := runProfiles(t, "-dir", dir)
		assert.Equal(t, output{status: statusFailed, stderr: "profiles: " + filepath.Join(dir, manifestName) + ": unexpected end of JSON input; expected what an earlier run wrote there\n"}, out)
	})
	t.Run("a manifest that was being written", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, manifestName+asideSuffix), []byte("{"), 0o600))
		runJSON(t, "-dir", dir, "-strategy", "lww")
	})
}

// knots is a script in which a run that goes on at the wrong place, or links regions too
// early, ends otherwise: conflicts in every phase, edits that change nothing at their
// beginnings and ends, and such that would change something once the regions are linked.
const knots = `
== linked
us a create x=1 y=1 stats.logins=1 tags=["p"] prefs.topics=["t"]
eu b create x=1 devices=[{"id":"d","n":1}]
us a set x=1
== all cut; cut us-eu us-ap eu-ap
eu a set y=1
us a set x=2 stats.logins+=1 tags+=q prefs.topics+=u
eu a set x=3 stats.logins+=2 tags-=p prefs.topics+=v
ap b set x=2 devices[id=d].n=2
us a set x=2
ap b set x=2
us b set x=1
== one alone; cut us-eu us-ap
us b set x=2 devices+={"id":"e"}
us b set x=4 devices[id=d].n=3
ap b set x=5 -devices[id=d]
eu b set x=6
us b set x=4
eu a delete
us a set y=7 stats.logins+=4 tags+=r tags+=s
us c create x=1
eu c create y=1
us c set x=1
eu c set y=1
== linked again
ap c set x=1
ap c set x=8
eu b set x=9
ap c set x=8
`

// A run is stopped in each place where it can be told to, also while the regions are being
// linked again and some have heard of others and some have not. It goes on to the same end.
// Each place is tried under one of the strategies, with FIELDWISE_LONG under all of them.
func TestResumeAfterCrashAtEachStep(t *testing.T) {
	t.Parallel()
	s, err := parseSample("knots", knots)
	require.NoError(t, err)
	all := mustChoose(t, "")
	for i, st := range all {
		t.Run(st.Name, func(t *testing.T) {
			first, stride := 1+i, len(all)
			if os.Getenv("FIELDWISE_LONG") != "" {
				first, stride = 1, 1
			}
			want, _ := playUntil(t, t.TempDir(), st, s, 0)
			assert.Zero(t, want.Tally.Lost)
			assert.Positive(t, want.Tally.NoChange)
			for stop := first; ; stop += stride {
				dir := t.TempDir()
				res, between := playUntil(t, dir, st, s, stop)
				if res != nil {
					require.Greater(t, stop, len(s.edits()))
					break
				}
				linked := []*Phase{{Cut: links}}
				if between { // some regions are linked again before the run is stopped
					linked = append(linked, &Phase{Cut: []link{links[0], links[1]}}, &Phase{Cut: []link{links[0], links[2]}}, &Phase{Cut: []link{links[1], links[2]}}, allUp)
				}
				for _, p := range linked {
					dir2 := filepath.Join(t.TempDir(), "copy")
					require.NoError(t, os.CopyFS(dir2, os.DirFS(dir)))
					c, err := openCluster(t.Context(), filepath.Join(dir2, st.Name), st, s)
					require.NoError(t, err)
					c.now.set(s.End)
					require.NoError(t, c.connect(t.Context(), p))
					require.NoError(t, c.close())
					got, _ := playUntil(t, dir2, st, s, 0)
					assert.Equal(t, want.Tally, got.Tally, "stopped at step %d, then cut %v", stop, p.Cut)
					assert.Equal(t, want.final, got.final, "stopped at step %d, then cut %v", stop, p.Cut)
				}
			}
		})
	}
}

// playUntil plays a script until the step number stop, an edit or the beginning of a
// phase; 0 plays all of it. It returns nil if it was stopped, and whether that was between
// two phases.
func playUntil(t *testing.T, dir string, st strategy, s *Script, stop int) (res *result, between bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	steps := 0
	step := func() bool {
		if steps++; steps == stop {
			cancel()
			return true
		}
		return false
	}
	res, err := runStrategy(ctx, dir, st, s, listener{
		acknowledged: func(strategy, *Edit, bool) { step() },
		phase:        func(strategy, string) { between = step() || between },
	})
	if stop > 0 && err != nil {
		require.ErrorIs(t, err, context.Canceled)
		return nil, between
	}
	require.NoError(t, err)
	assert.Empty(t, res.Problems)
	return res, false
}

// The end of a phase that cut links can be told from its middle, although its last edits
// left no entry.
func TestNextEdit(t *testing.T) {
	s, err := parseSample("knots", knots)
	require.NoError(t, err)
	at := func(all ...int) []logged {
		var log []logged
		for _, n := range all {
			log = append(log, logged{N: n})
		}
		return log
	}
	type logs = map[fieldwise.Region][]logged
	for _, c := range []struct {
		name string
		logs logs
		want int
	}{
		{"nothing", logs{}, 1},
		{"not yet replicated", logs{us: at(1)}, 2},
		{"replicated", logs{us: at(1, 2), eu: at(1, 2), ap: at(1)}, 3},
		{"within a cut", logs{us: at(1, 2, 5), eu: at(1, 2, 6), ap: at(1, 2)}, 7},
		{"within a cut, all that left an entry", logs{us: at(1, 2, 5), eu: at(1, 2, 6), ap: at(1, 2, 7)}, 8},
		{"healing began", logs{us: at(1, 2, 5, 6), eu: at(1, 2, 6), ap: at(1, 2, 7)}, 11},
		{"healing began at an earlier edit than the last", logs{us: at(1, 2, 5), eu: at(1, 2, 6), ap: at(1, 2, 7, 5)}, 11},
		{"within a linked pair", logs{us: at(1, 2, 5, 6, 7, 11), eu: at(1, 2, 6, 5, 7, 13), ap: at(1, 2, 7, 6, 5, 13)}, 14},
		{"the pair heals", logs{us: at(1, 2, 5, 6, 7, 11, 13), eu: at(1, 2, 6, 5, 7, 13), ap: at(1, 2, 7, 6, 5, 13)}, 22},
	} {
		t.Run(c.name, func(t *testing.T) { assert.Equal(t, c.want, nextEdit(s, c.logs)) })
	}
}

// child is the program in a process of its own.
type child struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func startChild(t *testing.T, temporary string, args ...string) *child {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "TMPDIR="+temporary)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<24)
	return &child{cmd: cmd, lines: lines}
}

// acked are the edits that the program acknowledged, by strategy.
type acked map[string]map[int]bool

func (a acked) add(line string) {
	words := strings.Fields(line)
	if len(words) != 3 || words[0] != "ack" {
		return
	}
	n, _ := strconv.Atoi(words[2])
	if a[words[1]] == nil {
		a[words[1]] = make(map[int]bool)
	}
	a[words[1]][n] = true
}

// TestKill kills the program with SIGKILL at random moments of the sample and starts it
// again on the same directory, until it is through; then it begins a new one.
func TestKill(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process that was killed cannot be told from one that failed")
	}
	t.Parallel()
	kills := 50
	if os.Getenv("FIELDWISE_LONG") != "" {
		kills = 200
	} else if testing.Short() {
		kills = 10
	}
	rnd := rand.New(rand.NewPCG(randtest.Seed(t), 0))
	s := mustSample(t)

	modes := []struct {
		args []string
		most int // lines between two kills
	}{
		{[]string{"-strategy", fieldMerge}, 100},
		{[]string{"-strategy", fieldMerge}, 100},
		{nil, 300},
	}
	want := make(map[int]map[string]any)
	for i, mode := range modes {
		want[i] = runJSON(t, mode.args...)
	}

	var killed, before, during, finished int
	for round := 0; killed < kills; round++ {
		mode := modes[round%len(modes)]
		dir, all := t.TempDir(), make(acked)
		args := append([]string{"-dir", dir, "-ack", "-json"}, mode.args...)
		for {
			c := startChild(t, t.TempDir(), args...)
			lines, result, dead := 0, false, false
			var rest strings.Builder
			die := func() {
				for range rnd.IntN(200_000) { // somewhere between this line and the next few
					runtime.Gosched()
				}
				require.NoError(t, c.cmd.Process.Kill())
				dead = true
			}
			last := rnd.IntN(mode.most) // lines before the kill
			if rnd.IntN(8) == 0 {
				last = 0
			}
			if last == 0 {
				die() // while it starts
			}
			for c.lines.Scan() {
				line := c.lines.Text()
				if line == "{" {
					result = true
				}
				if result {
					rest.WriteString(line + "\n")
					continue
				}
				all.add(line)
				if lines++; lines == last && killed < kills {
					die()
				}
			}
			require.NoError(t, c.lines.Err())
			err := c.cmd.Wait()
			if c.cmd.ProcessState.ExitCode() == -1 {
				killed++
				if lines > 0 && !result {
					during++
				} else if lines == 0 {
					before++
				}
				all.assertLogged(t, dir, s)
				continue
			}
			require.NoError(t, err, "the program failed by itself, killed %t", dead)
			finished++
			assert.Equal(t, want[round%len(modes)], parseJSON(t, rest.String()), "directory %d", round)
			break
		}
		if round%len(modes) == 0 {
			files := contents(t, dir)
			assert.Equal(t, want[0], runJSON(t, "-strategy", fieldMerge, "-dir", dir))
			assert.Equal(t, files, contents(t, dir), "a finished run writes nothing")
		}
	}
	t.Logf("kills of a running process: %d, in the middle of the script: %d, before its first line: %d; runs that got to the end: %d", killed, during, before, finished)
	assert.GreaterOrEqual(t, killed, kills)
	assert.GreaterOrEqual(t, during, kills/2)
}

// assertLogged looks for each acknowledged edit in the log of its region, in a copy of
// the directory: opening a log may repair it, and that is left to the program.
func (a acked) assertLogged(t *testing.T, dir string, s *Script) {
	t.Helper()
	for name, edits := range a {
		st := mustChoose(t, name)[0]
		scratch := t.TempDir()
		require.NoError(t, os.CopyFS(scratch, os.DirFS(filepath.Join(dir, name))))
		c, err := openCluster(t.Context(), scratch, st, s)
		require.NoError(t, err)
		logs, err := c.readLogs(t.Context(), s)
		require.NoError(t, err)
		require.NoError(t, c.close())
		have := make(map[string]bool)
		for region, log := range logs {
			for _, entry := range log {
				have[fmt.Sprint(region, " ", entry.N)] = true
			}
		}
		for n := range edits {
			e := s.edits()[n-1]
			require.True(t, have[fmt.Sprint(e.Region, " ", n)], "%s: edit %d was acknowledged in %s and is not in its log", name, n, e.Region)
		}
	}
}

func TestInterruptedProcessLeavesNothingBehind(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals")
	}
	temporary := t.TempDir()
	c := startChild(t, temporary, "-ack")
	c.cmd.Stderr = io.Discard
	for lines := 0; c.lines.Scan(); lines++ {
		if lines == 20 {
			require.NoError(t, c.cmd.Process.Signal(os.Interrupt))
		}
	}
	err := c.cmd.Wait()
	assert.NotEqual(t, -1, c.cmd.ProcessState.ExitCode(), "killed by the signal: %v", err)
	assertEmptyDir(t, temporary)
}

// So does one whose output nobody reads any more.
func TestProcessWithoutReaderLeavesNothingBehind(t *testing.T) {
	for _, args := range [][]string{{"-ack"}, {"-strategy", "lww"}} {
		temporary := t.TempDir()
		exe, err := os.Executable()
		require.NoError(t, err)
		r, w, err := os.Pipe()
		require.NoError(t, err)
		require.NoError(t, r.Close())
		cmd := exec.Command(exe, args...)
		cmd.Env = append(os.Environ(), asProgram+"=1", "TMPDIR="+temporary)
		cmd.Stdout = w
		var exit *exec.ExitError
		require.ErrorAs(t, cmd.Run(), &exit)
		assert.Equal(t, statusFailed, exit.ExitCode())
		assertEmptyDir(t, temporary)
		require.NoError(t, w.Close())
	}
}
