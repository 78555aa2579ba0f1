package main

import (
	"context"
	"errors"
	"flag"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
	"github.com/fieldwise/fieldwise/replog/wal"
)

var dumpCommand = command{
	name: "dump", args: "DIR", what: "the entries in log order, as lines of JSON",
	text: `
Prints the entries of the log of the replica whose data directory is DIR, one JSON object a line, in
the order of the log, which puts causes before effects. An entry has its position (that of its
frame, which it may share with others), origin, seq, time, version, domain, key, note and delta: the
state that holds this change only, in base64. Where the domain's merger is one of this module,
"change" is the delta in a form to read.

  replogctl dump --domain profiles --key asha /var/lib/app/data
  replogctl dump --origin eu-west-1 --since 2026-11-28T09:00:00Z /var/lib/app/data
  replogctl dump --beyond "eu-west-1#1f:3 us-east-1#2e:7" /var/lib/app/data
  replogctl dump /var/lib/app/data | jq -r 'select(.note) | .note'`,
	prepare: func(flags *flag.FlagSet) func(context.Context, *terminal, []string) error {
		var f filter
		f.declare(flags, "entries", "entries signed by", "entries written")
		flags.Var(&f.beyond, "beyond", "only entries that the `VECTOR` of another replica does not cover")
		flags.Bool("json", true, "lines of JSON, the only form there is")
		return func(ctx context.Context, t *terminal, dirs []string) error {
			dir, err := oneDir("dump", dirs)
			if err != nil {
				return err
			}
			return dump(ctx, t, dir, &f)
		}
	},
}

// dumpedEntry is an entry as dump prints it.
type dumpedEntry struct {
	Position wal.Position      `json:"position"`
	Origin   fieldwise.Origin  `json:"origin"`
	Seq      fieldwise.Seq     `json:"seq"`
	Time     string            `json:"time"`
	Version  fieldwise.Version `json:"version"`
	Domain   string            `json:"domain"`
	Key      string            `json:"key"`
	Note     string            `json:"note,omitempty"`
	Held     bool              `json:"held,omitempty"` // its domain was not open when it was logged
	Merger   string            `json:"merger,omitempty"`
	Delta    []byte            `json:"delta"`
	Change   any               `json:"change,omitempty"`
	Problem  string            `json:"problem,omitempty"` // why there is no change to read
}

// errEnough ends a reading early.
var errEnough = errors.New("enough")

func dump(ctx context.Context, t *terminal, dir string, f *filter) error {
	from, err := f.position()
	if err != nil {
		return err
	}
	s, err := openSource(ctx, t, dir)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.startsAt(from); err != nil {
		return err
	}
	names := newNames(s)
	printed := uint(0)
	err = s.read(ctx, "reading", from, func(at wal.Position) *engine.Parts {
		return &engine.Parts{Entry: func(e engine.Entry, _ []byte, held bool) error {
			if !f.record(e.Domain, e.Key) || !f.origin.has(e.Origin) || !f.time(e.Time) || e.Seq <= f.beyond.Vector[e.Origin] {
				return nil
			}
			printed++
			if err := printJSON(t.out, dumped(&e, at, held, names.of(ctx, e.Domain))); err != nil {
				return err
			}
			if f.full(printed) {
				return errEnough
			}
			return nil
		}}
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func dumped(e *engine.Entry, at wal.Position, held bool, merger string) *dumpedEntry {
	d := &dumpedEntry{
		Position: at, Origin: e.Origin, Seq: e.Seq, Time: timeText(e.Time), Version: e.Version(),
		Domain: e.Domain, Key: e.Key, Note: e.Note, Held: held, Merger: merger, Delta: e.Delta,
	}
	if m := mergers[merger]; m != nil {
		var err error
		if d.Change, err = m.change(e.Delta, e.Version()); err != nil {
			d.Change, d.Problem = nil, err.Error()
		}
	}
	return d
}

// startsAt says what is wrong with a position to begin at.
func (s *source) startsAt(from wal.Position) error {
	for _, err := range s.log.Frames(from) {
		switch {
		case errors.Is(err, wal.ErrPosition):
			return misused("--from %d: there is no such position in %s; take one that was shown", from, s.dir)
		case from > 0 && errors.Is(err, wal.ErrCorrupt):
			return misused("--from %d: no frame begins there in %s; take a position that was shown (if it was, the log is damaged there: see 'replogctl verify')", from, s.dir)
		case err != nil:
			return s.explain(err)
		}
		break
	}
	return nil
}
