package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
	"github.com/fieldwise/fieldwise/replog/wal"
)

var conflictsCommand = command{
	name: "conflicts", args: "DIR", what: "the conflict reports",
	text: `
Prints the conflict reports in the log of the replica whose data directory is DIR: each names a write
that readers there do not see although nobody overwrote it knowingly, and what won over it. Every
region reports what it hides itself: the reports of several regions about one hidden write have one
ID. Numbers are those of Replica.Conflicts. --origin finds reports whose hidden write or winner it
signed; --since and --until go by the hidden write's time. The kinds are
` + strings.Join(kindNames(), ", ") + `.

Notes of the writes are looked up in the log, some thousands in a pass; --no-notes leaves them out.

  replogctl conflicts --domain profiles --kind update/update /var/lib/app/data
  replogctl conflicts --json /var/lib/app/data | jq -r .id | sort -u | wc -l`,
	prepare: func(flags *flag.FlagSet) func(context.Context, *terminal, []string) error {
		var f conflictFilter
		f.declare(flags, "reports", "writes of", "hidden writes made")
		flags.Var(&f.kind, "kind", "only reports of the `KIND`")
		asJSON := flags.Bool("json", false, "print lines of JSON")
		noNotes := flags.Bool("no-notes", false, "do not look up the notes of the writes")
		return func(ctx context.Context, t *terminal, dirs []string) error {
			dir, err := oneDir("conflicts", dirs)
			if err != nil {
				return err
			}
			return conflicts(ctx, t, dir, &f, *asJSON, !*noNotes)
		}
	},
}

// conflictFilter says which reports are wanted.
type conflictFilter struct {
	filter
	kind kindFlag
}

func (f *conflictFilter) has(at wal.Position, c *fieldwise.Conflict) bool {
	return uint64(at) >= f.from && f.record(c.Domain, c.Key) && f.time(c.Loser.Version.Time) &&
		(f.kind == 0 || f.kind == kindFlag(c.Kind)) &&
		(f.origin.has(c.Loser.Version.Origin) || f.origin.has(c.Winner.Version.Origin))
}

// kindFlag is a kind of conflict; its zero value is any.
type kindFlag fieldwise.ConflictKind

func (k *kindFlag) String() string { return "" }

// Set implements [flag.Value].
func (k *kindFlag) Set(text string) error {
	for i, name := range kindNames() {
		if name == text {
			*k = kindFlag(i + 1)
			return nil
		}
	}
	return fmt.Errorf("the kinds are %s", strings.Join(kindNames(), ", "))
}

// kindNames lists the kinds of conflicts in the order of their numbers, which begin at 1.
func kindNames() (names []string) {
	for k := fieldwise.ConflictUpdate; k <= fieldwise.ConflictMechanism; k++ {
		names = append(names, k.String())
	}
	return names
}

// report is a conflict as conflicts prints it.
type report struct {
	Number   uint64               `json:"number"` // of all reports of the log, from 1
	Position wal.Position         `json:"position"`
	ID       fieldwise.ConflictID `json:"id"`
	Kind     string               `json:"kind"`
	Domain   string               `json:"domain"`
	Key      string               `json:"key"`
	Field    string               `json:"field,omitempty"` // none: the whole record
	Loser    side                 `json:"loser"`
	Winner   side                 `json:"winner"`
	Policy   string               `json:"policy"`
	Reason   string               `json:"reason,omitempty"`
}

// side is one of the two writes of a conflict.
type side struct {
	By      *fieldwise.Version `json:"by,omitempty"` // none: no single write won
	Time    string             `json:"time,omitempty"`
	Value   json.RawMessage    `json:"value,omitempty"` // none: unset or deleted, or a winner without a value
	Created bool               `json:"created,omitempty"`
	Note    string             `json:"note,omitempty"`
}

func newReport(number uint64, at wal.Position, c *fieldwise.Conflict) *report {
	return &report{
		Number: number, Position: at, ID: c.ID(), Kind: c.Kind.String(), Domain: c.Domain, Key: c.Key, Field: c.Field,
		Loser: newSide(&c.Loser), Winner: newSide(&c.Winner), Policy: c.Policy, Reason: c.Reason,
	}
}

func newSide(s *fieldwise.Sibling) side {
	one := side{Created: s.Created}
	if !s.Version.IsZero() {
		one.By, one.Time = &s.Version, timeText(s.Version.Time)
	}
	if s.Value != nil {
		one.Value = valueJSON(s.Value)
	}
	return one
}

// perPass is how many reports are printed, and their notes looked up, at a time.
const perPass = 4096

func conflicts(ctx context.Context, t *terminal, dir string, f *conflictFilter, asJSON, withNotes bool) error {
	if _, err := f.position(); err != nil {
		return err
	}
	s, err := openSource(ctx, t, dir)
	if err != nil {
		return err
	}
	defer s.close()
	var some []*report
	flush := func() error {
		if withNotes {
			if err := addNotes(ctx, s, some); err != nil {
				return err
			}
		}
		for _, r := range some {
			if err := t.print(r, asJSON); err != nil {
				return err
			}
		}
		some = some[:0]
		return nil
	}
	number, wanted := uint64(0), uint(0)
	err = s.read(ctx, "reading", 0, func(at wal.Position) *engine.Parts {
		return &engine.Parts{Report: func(c fieldwise.Conflict) error {
			number++
			if !f.has(at, &c) {
				return nil
			}
			wanted++
			some = append(some, newReport(number, at, &c))
			if f.full(wanted) {
				return errEnough
			}
			if len(some) < perPass {
				return nil
			}
			return flush()
		}}
	})
	if err != nil && !errors.Is(err, errEnough) && !damaged(err) {
		return err
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	return errors.Join(flush(), err)
}

// addNotes looks up the notes of the writes that reports name, in one pass up to the last of them:
// a report stands behind the entries that it is about.
func addNotes(ctx context.Context, s *source, some []*report) error {
	if len(some) == 0 {
		return nil
	}
	type write struct {
		domain string
		by     fieldwise.Version
	}
	wanted := make(map[write][]*side)
	for _, r := range some {
		for _, one := range []*side{&r.Loser, &r.Winner} {
			if one.By != nil {
				w := write{r.Domain, *one.By}
				wanted[w] = append(wanted[w], one)
			}
		}
	}
	parts := engine.Parts{Entry: func(e engine.Entry, _ []byte, _ bool) error {
		for _, one := range wanted[write{e.Domain, e.Version()}] {
			one.Note = e.Note
		}
		return nil
	}}
	last := some[len(some)-1].Position
	err := s.read(ctx, "looking for notes in", 0, func(at wal.Position) *engine.Parts {
		if at > last {
			return &engine.Parts{Entry: func(engine.Entry, []byte, bool) error { return errEnough }}
		}
		return &parts
	})
	if errors.Is(err, errEnough) || damaged(err) { // damage is told by who reads the reports
		return nil
	}
	return err
}

// String tells it in lines of text.
func (r *report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#%d %s: %s %q", r.Number, r.Kind, nameText(r.Domain), r.Key)
	if r.Field != "" {
		fmt.Fprintf(&b, " %s", nameText(r.Field))
	}
	fmt.Fprintf(&b, "\n  hidden  %v\n  winner  %v\n  policy  %s", r.Loser, r.Winner, oneLine(r.Policy))
	if r.Reason != "" {
		fmt.Fprintf(&b, ": %s", oneLine(r.Reason))
	}
	b.WriteString("\n")
	return b.String()
}

// String tells it in a line of text.
func (s side) String() string {
	text := "(absent)"
	if s.Value != nil {
		text = cut(string(s.Value))
	}
	if s.By == nil {
		return text
	}
	text += fmt.Sprintf(" by %v at %s", s.By.Origin, s.Time)
	if s.Note != "" {
		text += fmt.Sprintf(" (%s)", oneLine(s.Note))
	}
	return text
}
