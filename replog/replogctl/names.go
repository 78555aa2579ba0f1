package main

import (
	"context"

	"github.com/fieldwise/fieldwise/replog/internal/engine"
	"github.com/fieldwise/fieldwise/replog/wal"
)

// names finds the names of the mergers that a log holds its domains under. The log has each once,
// in front of the first entry that was merged, and so, as a rule, near the beginning: it is read
// as far as is needed. Entries that were logged before their domain was opened stand in front.
type names struct {
	source *source
	known  map[string]string
	next   wal.Position // where to read on
	done   bool
}

func newNames(s *source) *names { return &names{source: s, known: make(map[string]string)} }

// of returns the name for a domain, empty if the log has none. Damage ends the search: who reads
// the log itself gets there, too.
func (n *names) of(ctx context.Context, domain string) string {
	if name, ok := n.known[domain]; ok || n.done {
		return name
	}
	parts := engine.Parts{Merger: func(domain, merger string) error {
		if _, ok := n.known[domain]; !ok {
			n.known[domain] = merger
		}
		return nil
	}}
	for f, err := range n.source.frames(ctx, "looking for names in", n.next) {
		if err != nil {
			break
		}
		_ = parts.Read(f.Payload)
		n.next = f.Next
		if name, ok := n.known[domain]; ok {
			return name
		}
	}
	n.done = true
	return ""
}
