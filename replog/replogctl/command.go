package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// command is one of the things that replogctl does.
type command struct {
	name, args, what string
	text             string // of its help, in front of the flags
	// prepare declares the flags. What it returns does the work, once they are set.
	prepare func(flags *flag.FlagSet) func(ctx context.Context, t *terminal, dirs []string) error
}

var commands = []command{inspectCommand, dumpCommand, verifyCommand, conflictsCommand}

// terminal is where the output goes.
type terminal struct {
	out      *bufio.Writer
	progress *progress
}

// print writes what a command shows.
func (t *terminal) print(what fmt.Stringer, asJSON bool) error {
	if asJSON {
		return printJSON(t.out, what)
	}
	_, err := t.out.WriteString(what.String())
	return err
}

// run does what the arguments say and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	t := &terminal{out: bufio.NewWriter(stdout), progress: newProgress(stderr)}
	err := dispatch(ctx, t, args)
	t.progress.clear()
	if flushed := t.out.Flush(); err == nil {
		err = flushed
	}
	code := exitCode(err)
	switch {
	case code == exitWell || errors.Is(err, errFound):
	case code == exitInterrupted:
		_, _ = io.WriteString(stderr, "replogctl: interrupted\n")
	default:
		_, _ = fmt.Fprintf(stderr, "replogctl: %v\n", err)
	}
	return code
}

func dispatch(ctx context.Context, t *terminal, args []string) error {
	if len(args) == 0 {
		return misused("name a command\n\n%s", overview())
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		return help(t.out, args)
	}
	c, err := find(name)
	if err != nil {
		return err
	}
	flags := newFlags(c.name)
	do := c.prepare(flags)
	dirs, err := parseArgs(flags, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return c.help(t.out)
	case err != nil:
		return misused("%s: %v; see 'replogctl help %s'", c.name, err, c.name)
	}
	return do(ctx, t, dirs)
}

func find(name string) (command, error) {
	i := slices.IndexFunc(commands, func(c command) bool { return c.name == name })
	if i < 0 {
		return command{}, misused("there is no command %q\n\n%s", name, overview())
	}
	return commands[i], nil
}

// newFlags returns a set of flags that prints nothing itself.
func newFlags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// parseArgs sets flags, which may stand in front of other arguments and behind them, and returns
// the others. Behind "--" there are no flags.
func parseArgs(flags *flag.FlagSet, args []string) (others []string, err error) {
	var behind []string
	if i := slices.Index(args, "--"); i >= 0 {
		args, behind = args[:i], args[i+1:]
	}
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return append(others, behind...), nil
		}
		others, args = append(others, flags.Arg(0)), flags.Args()[1:]
	}
}

// oneDir returns the only directory that a command takes.
func oneDir(name string, dirs []string) (string, error) {
	if len(dirs) != 1 {
		return "", misused("%s takes one directory, the data directory of a replica, and got %d; see 'replogctl help %s'", name, len(dirs), name)
	}
	return dirs[0], nil
}

func help(out io.Writer, args []string) error {
	if len(args) == 0 {
		_, err := io.WriteString(out, overview())
		return err
	}
	c, err := find(args[0])
	if err != nil {
		return err
	}
	return c.help(out)
}

func (c *command) help(out io.Writer) error {
	flags := newFlags(c.name)
	c.prepare(flags)
	var b strings.Builder
	fmt.Fprintf(&b, "replogctl %s [flags] %s\n\n%s\n\nFlags:\n", c.name, c.args, strings.TrimSpace(c.text))
	flags.SetOutput(&b)
	flags.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(&b, "  %-18s %s\n", strings.TrimSpace("--"+f.Name+" "+value), usage)
	})
	_, err := io.WriteString(out, b.String())
	return err
}

func overview() string {
	var b strings.Builder
	b.WriteString("replogctl looks into the data directories of replicas, which may be running.\n\n")
	for _, c := range commands {
		fmt.Fprintf(&b, "  replogctl %-9s %-7s %s\n", c.name, c.args, c.what)
	}
	b.WriteString(`
'replogctl help COMMAND' tells flags and examples. Flags may stand in front of directories and
behind them.

Exit codes: 0 all is well, 1 damage or differences found, 2 wrong call, 3 could not be read,
130 interrupted.
`)
	return b.String()
}
