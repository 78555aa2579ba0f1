package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/wal"
)

func TestHelp(t *testing.T) {
	var all strings.Builder
	for _, args := range [][]string{{"help"}, {"help", "inspect"}, {"help", "dump"}, {"help", "verify"}, {"help", "conflicts"}} {
		fmt.Fprintf(&all, "$ replogctl %s\n%s\n", strings.Join(args, " "), shown(t, args...))
	}
	requireGolden(t, "help.txt", all.String())
	require.Equal(t, shown(t, "help", "dump"), shown(t, "dump", "--help"))
	require.Equal(t, shown(t, "help", "dump"), shown(t, "dump", "-h", "x"))
	require.Equal(t, shown(t, "help"), shown(t, "--help"))
	for line := range strings.Lines(all.String()) {
		require.LessOrEqual(t, len(line), 120, line)
	}
}

func TestMisuse(t *testing.T) {
	c := small(t)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	empty := t.TempDir()
	foreign := t.TempDir()
	log, _, err := wal.Open(foreign, []byte("of something else"), wal.Options{})
	require.NoError(t, err)
	require.NoError(t, log.Close())

	for args, want := range map[string]struct {
		code int
		says string
	}{
		"":                                     {exitUsage, "name a command"},
		"check DIR":                            {exitUsage, `there is no command "check"`},
		"help check":                           {exitUsage, `there is no command "check"`},
		"inspect":                              {exitUsage, "inspect takes one directory, the data directory of a replica, and got 0; see 'replogctl help inspect'"},
		"inspect DIR DIR":                      {exitUsage, "and got 2"},
		"dump":                                 {exitUsage, "dump takes one directory"},
		"conflicts DIR DIR":                    {exitUsage, "conflicts takes one directory"},
		"verify":                               {exitUsage, "verify takes one or several directories"},
		"verify DIR DIR":                       {exitUsage, "are one directory; name each once"},
		"inspect DIR --limit 3":                {exitUsage, "flag provided but not defined: -limit; see 'replogctl help inspect'"},
		"dump DIR --limit -3":                  {exitUsage, `invalid value "-3" for flag -limit`},
		"dump DIR --beyond eu-west-1:7":        {exitUsage, `"eu-west-1:7" in it is no origin with a number; need a vector as Replica.Vector prints it`},
		"dump DIR --beyond eu-west-1#1f":       {exitUsage, "is no origin with a number"},
		"dump DIR --since yesterday":           {exitUsage, "need a time in RFC 3339 with its zone, such as 2026-11-28T09:00:00Z"},
		"dump DIR --until 2026-11-28T09:00:00": {exitUsage, "with its zone"},
		"dump DIR --origin EU":                 {exitUsage, "only a-z, 0-9 and '-' are allowed"},
		"dump DIR --origin eu-west-1#x":        {exitUsage, "need a region, such as eu-west-1, or an origin as inspect shows it"},
		"inspect NONE":                         {exitUnreadable, "there is no such directory; name the data directory of a replica, which is its Config.Dir"},
		"dump NONE":                            {exitUnreadable, "there is no such directory"},
		"verify NONE":                          {exitUnreadable, "there is no such directory"},
		"conflicts NONE":                       {exitUnreadable, "there is no such directory"},
		"inspect FILE":                         {exitUnreadable, "is a file; name the directory that it is in"},
		"verify FILE":                          {exitUnreadable, "is a file; name the directory that it is in"},
		"inspect EMPTY":                        {exitUnreadable, "holds no log; name the data directory of a replica"},
		"inspect -- --json":                    {exitUnreadable, "--json: there is no such directory"},
		"dump FOREIGN":                         {exitUnreadable, "holds a log, but not that of a replica"},
	} {
		t.Run(args, func(t *testing.T) {
			fields := strings.Fields(args)
			for i, f := range fields {
				switch f {
				case "DIR":
					fields[i] = c.us
				case "NONE":
					fields[i] = filepath.Join(c.us, "none")
				case "FILE":
					fields[i] = file
				case "EMPTY":
					fields[i] = empty
				case "FOREIGN":
					fields[i] = foreign
				}
			}
			code, stdout, stderr := call(t, fields...)
			require.Equal(t, want.code, code, stderr)
			require.Empty(t, stdout)
			require.Contains(t, stderr, want.says)
			require.True(t, strings.HasPrefix(stderr, "replogctl: "), stderr)
		})
	}
	entries, err := os.ReadDir(empty)
	require.NoError(t, err)
	require.Empty(t, entries, "nothing is written")
}

func TestNothingIsWritten(t *testing.T) {
	c := filled(t)
	before := filesOf(t, c.us)
	for _, args := range [][]string{{"inspect", c.us}, {"dump", c.us}, {"verify", c.us, c.eu}, {"conflicts", c.us}} {
		shown(t, args...)
	}
	require.Equal(t, before, filesOf(t, c.us))
}

func filesOf(t testing.TB, dir string) map[string]string {
	all := make(map[string]string)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		all[e.Name()] = string(b)
	}
	return all
}

func TestInterrupted(t *testing.T) {
	c := small(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, command := range []string{"inspect", "dump", "verify", "conflicts"} {
		code, _, stderr := callWith(ctx, command, c.us)
		require.Equal(t, exitInterrupted, code, command)
		require.Equal(t, "replogctl: interrupted\n", stderr)
	}
	// In the middle of a log.
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	s, err := openSource(ctx, silent(), c.us)
	require.NoError(t, err)
	defer s.close()
	read := 0
	for _, err = range s.frames(ctx, "", 0) {
		read++
		cancel()
	}
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 2, read, "a frame and the error")
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
	}{
		{nil, exitWell},
		{fmt.Errorf("write: %w", syscall.EPIPE), exitWell},
		{errFound, exitFound},
		{fmt.Errorf("x: %w", &wal.CorruptError{File: "f"}), exitFound},
		{fmt.Errorf("x: %w", fieldwise.ErrMalformed), exitFound},
		{misused("x"), exitUsage},
		{fmt.Errorf("x: %w", wal.ErrFormat), exitUnreadable},
		{fmt.Errorf("x: %w", wal.ErrLocked), exitUnreadable},
		{os.ErrPermission, exitUnreadable},
		{errors.New("x"), exitUnreadable},
		{fmt.Errorf("x: %w", context.Canceled), exitInterrupted},
	} {
		require.Equal(t, c.code, exitCode(c.err), "%v", c.err)
	}
	s := source{dir: "data"}
	require.ErrorContains(t, s.explain(wal.ErrFormat), "use the replogctl of the release that wrote it")
}

// A reader that goes away, as head does, ends the command quietly: here by the rules of a process.
func TestAPipeThatIsClosedEndsQuietly(t *testing.T) {
	c := filled(t)
	for _, args := range [][]string{{"dump", c.us}, {"conflicts", c.us}, {"inspect", c.us}, {"help"}} {
		out, in, err := os.Pipe()
		require.NoError(t, err)
		require.NoError(t, out.Close())
		var stderr strings.Builder
		command := exec.CommandContext(t.Context(), os.Args[0], args...)
		command.Env = append(os.Environ(), asCommand+"=1")
		command.Stdout, command.Stderr = in, &stderr
		err = command.Run()
		require.NoError(t, in.Close())
		require.NoError(t, err, "%v: %s", args, stderr.String())
		require.Empty(t, stderr.String())
	}
}

func TestACommandSaysWhatItFoundByItsExitCode(t *testing.T) {
	c := small(t)
	flip(t, c.us, "value of second")
	command := exec.CommandContext(t.Context(), os.Args[0], "verify", c.us)
	command.Env = append(os.Environ(), asCommand+"=1")
	out, err := command.Output()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, exitFound, exit.ExitCode())
	require.Contains(t, string(out), "1 problem\n")
}

func TestProgressIsForPeople(t *testing.T) {
	require.Nil(t, newProgress(io.Discard))
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	defer file.Close()
	require.Nil(t, newProgress(file), "a file is no terminal")
	var nobody *progress
	nobody.at("reading", 1, 2)
	nobody.clear()

	now := time.Unix(0, 0)
	var out strings.Builder
	p := progress{to: &out, now: func() time.Time { return now }, last: now}
	p.at("reading", 0, 3<<20)
	p.clear()
	require.Empty(t, out.String(), "what is done soon needs none")
	now = now.Add(showEvery)
	p.at("reading", 1<<20, 3<<20)
	p.at("reading", 2<<20, 3<<20)
	require.Equal(t, "\r\x1b[Kreading: 33% of 3.0 MiB", out.String())
	now = now.Add(showEvery)
	p.at("opening", 0, 0)
	p.clear()
	require.Equal(t, "\r\x1b[Kreading: 33% of 3.0 MiB\r\x1b[Kopening\r\x1b[K", out.String())
}
