package replog

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
	"github.com/fieldwise/fieldwise/replog/wal"
)

// Entry is one committed change as the log keeps it.
type Entry struct {
	Origin fieldwise.Origin
	Seq    fieldwise.Seq
	Time   fieldwise.Timestamp
	Domain string
	Key    string
	Delta  []byte // a state of the domain's merger that holds this change only
	Note   string // of the write; see WithNote
}

// Receipt is the receipt of the write that the entry records.
func (e *Entry) Receipt() fieldwise.Receipt {
	return fieldwise.Receipt{Origin: e.Origin, Seq: e.Seq, Time: e.Time}
}

// Entries yields the durable entries of all origins in the order of this replica's
// log, which puts causes before effects. It ends at the last one that is durable when
// it gets there. What came in a snapshot is not among them. An error ends it. The slices are the
// caller's.
func (r *Replica) Entries(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for frame, err := range r.log.Frames(0) {
			var all []Entry
			if usable := r.usable(ctx); usable != nil {
				err = usable // also where the log says that it is closed
			}
			if err == nil {
				err = engine.Entries(frame.Payload, func(e engine.Entry, _ []byte) error {
					all = append(all, Entry{
						Origin: e.Origin, Seq: e.Seq, Time: e.Time,
						Domain: e.Domain, Key: e.Key, Delta: bytes.Clone(e.Delta), Note: e.Note,
					})
					return nil
				})
			}
			if err != nil {
				yield(Entry{}, fmt.Errorf("replog: read the log of %s: %w", r.Region(), err))
				return
			}
			for _, e := range all {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// Report is a conflict that this replica saw when it joined two states.
type Report struct {
	// Position numbers the reports of this replica from 1. A consumer keeps the last
	// one it has dealt with.
	Position uint64
	fieldwise.Conflict

	// The notes of the two writes, see [WithNote]; empty where there is none, as of a
	// winner that is no write.
	LoserNote, WinnerNote string
}

// Conflicts yields the durable conflict reports of this replica behind a position, 0
// for all of them, and ends with the last one. Every region reports what it hides
// itself, so one hidden write is reported by several: drop repeats by the conflict's
// ID. The notes of the writes are looked up in the log. An error ends the sequence. The
// slices are the caller's.
func (r *Replica) Conflicts(ctx context.Context, after uint64) iter.Seq2[Report, error] {
	return func(yield func(Report, error) bool) {
		r.mu.RLock()
		first, before, ok := r.engine.FindReport(after + 1)
		r.mu.RUnlock()
		if !ok {
			if err := r.usable(ctx); err != nil {
				yield(Report{}, err)
			}
			return
		}
		position := before
		for frame, err := range r.log.Frames(wal.Position(first)) {
			var all []fieldwise.Conflict
			if usable := r.usable(ctx); usable != nil {
				err = usable // also where the log says that it is closed
			}
			if err == nil {
				err = engine.Reports(frame.Payload, func(c fieldwise.Conflict) error {
					c.Loser.Value, c.Winner.Value = bytes.Clone(c.Loser.Value), bytes.Clone(c.Winner.Value)
					all = append(all, c)
					return nil
				})
			}
			if err != nil {
				yield(Report{}, fmt.Errorf("replog: read the log of %s: %w", r.Region(), err))
				return
			}
			for _, c := range all {
				if position++; position <= after {
					continue
				}
				report, err := r.withNotes(ctx, Report{Position: position, Conflict: c})
				if !yield(report, err) || err != nil {
					return
				}
			}
		}
	}
}

// withNotes looks up the notes of a report.
func (r *Replica) withNotes(ctx context.Context, report Report) (Report, error) {
	var err error
	if report.LoserNote, err = r.note(ctx, report.Domain, report.Loser.Version); err != nil {
		return Report{}, err
	}
	if report.WinnerNote, err = r.note(ctx, report.Domain, report.Winner.Version); err != nil {
		return Report{}, err
	}
	return report, nil
}

func (r *Replica) usable(ctx context.Context) error {
	if r.isClosing() {
		return fieldwise.ErrClosed
	}
	return ctx.Err()
}
