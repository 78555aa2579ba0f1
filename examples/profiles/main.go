// Profiles shows what three regions make of the same profiles when all of them take
// writes and cannot always reach each other.
//
//	go run ./examples/profiles
//
// runs in a few seconds without a server or a network: three regions in one process, each
// with a durable log of its own in a temporary directory. It plays the classic conflict,
// then a week of edits with cut links, under last-write-wins, region priority and field
// merge. It counts what became of each change that somebody made, and proves by a hash
// that all regions hold the same, also after their logs were read again from disk. The
// exit status is 1 if they do not, or if field merge lost a change without a trace.
//
// See -help for what else it does.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	// A reader of the output that leaves, such as head, sends SIGPIPE: then too the temporary
	// directory is to be removed.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// The exit statuses.
const (
	statusOK     = 0
	statusFailed = 1
	statusUsage  = 2
)

// options are the command line.
type options struct {
	edits, out, strategy, dir string
	json, ack                 bool
}

const usage = `usage: profiles [flags]

Three regions take conflicting edits, replicate through logs on disk, and end with the
same records. Without flags: the classic conflict, then a built-in sample of edits.

  -edits FILE     play pairs of concurrent edits instead of the sample, one JSON object a
                  line: {"id":1,"base":{...},"ours":{...},"theirs":{...},
                  "ours_time":1395305007,"theirs_time":1395265321}; null is no record
  -strategy NAME  lww, priority or fieldmerge; all three if not given
  -dir DIR        keep the logs in DIR; a run that was interrupted, even by kill -9, goes
                  on where it was, and one that is finished prints its tables again
  -out FILE       write the records as they are in the end, one {"id":1,"record":{...}} a
                  line; needs -edits and -strategy
  -json           print one JSON document instead of tables
  -ack            print a line for each edit as soon as it is durable in its region, and
                  for each phase as it begins
`

// usageError is a mistake on the command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("profiles", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run prints the error
	flags.StringVar(&o.edits, "edits", "", "")
	flags.StringVar(&o.out, "out", "", "")
	flags.StringVar(&o.strategy, "strategy", "", "")
	flags.StringVar(&o.dir, "dir", "", "")
	flags.BoolVar(&o.json, "json", false, "")
	flags.BoolVar(&o.ack, "ack", false, "")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return o, err
	} else if err != nil {
		return o, &usageError{err.Error()}
	}
	set := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
	for _, name := range []string{"edits", "out", "strategy", "dir"} {
		if set[name] && flags.Lookup(name).Value.String() == "" {
			return o, &usageError{fmt.Sprintf("-%s is empty; leave it out or give it a value", name)}
		}
	}
	switch {
	case flags.NArg() > 0:
		return o, &usageError{fmt.Sprintf("unexpected argument %q; there are only flags", flags.Arg(0))}
	case o.out != "" && o.edits == "":
		return o, &usageError{"-out needs -edits: it writes one line for each id of that file"}
	case o.out != "" && o.strategy == "":
		return o, &usageError{"-out needs -strategy: it writes the records of one strategy"}
	}
	if _, err := choose(o.strategy); err != nil {
		return o, &usageError{err.Error()}
	}
	return o, nil
}

// run is main without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	o, err := parse(args)
	if err == nil {
		var ok bool
		ok, err = execute(ctx, o, stdout, stderr)
		if err == nil && !ok {
			return statusFailed
		}
	}
	var wrong *usageError
	switch {
	case err == nil:
		return statusOK
	case errors.Is(err, flag.ErrHelp):
		say(stdout, usage)
		return statusOK
	case errors.As(err, &wrong):
		say(stderr, "profiles: %v\n(profiles -help lists the flags)\n", err)
		return statusUsage
	case errors.Is(err, syscall.EPIPE):
		// Nobody reads.
	case errors.Is(err, context.Canceled) && o.dir != "":
		say(stderr, "profiles: interrupted; the same command goes on from what is in %s\n", o.dir)
	case errors.Is(err, context.Canceled):
		say(stderr, "profiles: interrupted\n")
	default:
		say(stderr, "profiles: %v\n", err)
	}
	return statusFailed
}

// execute plays what the options ask for and prints what came of it. ok is false if
// anything is as it must not be.
func execute(ctx context.Context, o options, stdout, stderr io.Writer) (ok bool, err error) {
	sts, err := choose(o.strategy)
	if err != nil {
		return false, err
	}
	script, pairs, err := load(ctx, o, sts)
	if err != nil {
		return false, err
	}
	if o.out != "" { // rather now than after all the work
		if info, err := os.Stat(filepath.Dir(o.out)); err != nil {
			return false, fmt.Errorf("-out: %w", err)
		} else if !info.IsDir() {
			return false, fmt.Errorf("-out: %s is no directory", filepath.Dir(o.out))
		}
	}

	dir := o.dir
	showClassic := o.edits == "" && o.strategy == ""
	var temporary string
	if dir == "" || showClassic {
		if temporary, err = os.MkdirTemp("", "fieldwise-profiles-"); err != nil {
			return false, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	}
	if dir == "" {
		dir = temporary
	} else if err := claim(dir, script); err != nil {
		return false, err
	}

	doc := &document{Input: script.Input, Edits: len(script.edits()), Records: len(script.keys())}
	if showClassic {
		if doc.Classic, err = classic(ctx, temporary, sts); err != nil {
			return false, err
		}
	}
	bar := newProgress(stderr, len(sts)*doc.Edits)
	for _, st := range sts {
		res, err := runStrategy(ctx, dir, st, script, listen(o, stdout, bar))
		if err != nil {
			bar.clear()
			return false, err
		}
		doc.Results = append(doc.Results, res)
	}
	bar.clear()
	doc.OK = len(doc.problems()) == 0

	if o.json {
		err = printJSON(stdout, doc)
	} else {
		err = printText(stdout, doc)
	}
	if err == nil && o.out != "" && doc.OK {
		var b bytes.Buffer
		if err = writeRecords(&b, pairs, doc.Results[0].final); err == nil {
			err = writeAside(o.out, b.Bytes())
		}
	}
	return doc.OK, err
}

// load reads and checks all of the input, before anything is written anywhere.
func load(ctx context.Context, o options, sts []strategy) (*Script, []pair, error) {
	if o.edits == "" {
		s, err := sample()
		return s, nil, err
	}
	pairs, hash, err := readEdits(o.edits)
	if err != nil {
		return nil, nil, err
	}
	if err := check(ctx, o.edits, pairs, sts); err != nil {
		return nil, nil, err
	}
	return scriptOf("the edits of "+o.edits, hash, pairs), pairs, nil
}

// listen makes what is heard of a run visible: acknowledged edits on request, and
// progress on a terminal.
func listen(o options, stdout io.Writer, bar *progress) listener {
	var l listener
	l.acknowledged = func(st strategy, e *Edit, wrote bool) {
		bar.step(st.Title)
		if o.ack && wrote {
			say(stdout, "ack %s %d\n", st.Name, e.N)
		}
	}
	if o.ack {
		l.phase = func(st strategy, name string) { say(stdout, "phase %s %s\n", st.Name, name) }
	}
	return l
}
