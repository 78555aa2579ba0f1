package replog

import (
	"context"
	"fmt"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
	"github.com/fieldwise/fieldwise/replog/wal"
)

type noteKey struct{}

// WithNote returns a context under which writes carry a note in their entries: who
// made the change, or why. A note has at most 256 bytes of UTF-8; a longer one makes
// the write fail. It is stored, shipped to every region, and shown by [Domain.Note],
// [Replica.Conflicts] and [Replica.Entries].
func WithNote(ctx context.Context, note string) context.Context {
	return context.WithValue(ctx, noteKey{}, note)
}

func noteOf(ctx context.Context) string {
	note, _ := ctx.Value(noteKey{}).(string)
	return note
}

// Note implements [fieldwise.Noter]: the note of the write that made version v, in
// whichever region that was. It is empty, without an error, where the write carried none,
// is not durable here, came in a snapshot, or is one of another domain. Each call reads a batch of the log.
func (d *Domain) Note(ctx context.Context, v fieldwise.Version) (string, error) {
	return d.replica.note(ctx, d.name, v)
}

func (r *Replica) note(ctx context.Context, domain string, v fieldwise.Version) (note string, err error) {
	if err := r.usable(ctx); err != nil {
		return "", err
	}
	r.mu.RLock()
	at, ok := r.engine.Find(v)
	r.mu.RUnlock()
	if !ok {
		return "", nil
	}
	found := false
	for frame, err := range r.log.Frames(wal.Position(at)) {
		if usable := r.usable(ctx); usable != nil {
			err = usable // also where the log says that it is closed
		}
		if err == nil {
			err = engine.Entries(frame.Payload, func(e engine.Entry, _ []byte) error {
				if e.Version() == v {
					found = true
					if e.Domain == domain {
						note = e.Note
					}
				}
				return nil
			})
		}
		if err != nil {
			return "", fmt.Errorf("replog: read the log of %s: %w", r.Region(), err)
		}
		if found {
			break
		}
	}
	return note, nil
}
