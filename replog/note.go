package replog

import "context"

type noteKey struct{}

// WithNote returns a context under which writes carry a note in their entries: who
// made the change, or why. A note has at most 256 bytes of UTF-8; a longer one makes
// the write fail. It is stored, shipped to every region, and shown by
// [Replica.Entries].
func WithNote(ctx context.Context, note string) context.Context {
	return context.WithValue(ctx, noteKey{}, note)
}

func noteOf(ctx context.Context) string {
	note, _ := ctx.Value(noteKey{}).(string)
	return note
}
