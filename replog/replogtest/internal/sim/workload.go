package sim

import (
	"errors"
	"math/rand/v2"
	"strings"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

// workload is what clients write, and what has to come of that beyond what holds under any
// merger. Each history has one of its own.
type workload interface {
	merger() fieldwise.Merger

	// open opens the domain in a region that starts.
	open(r *region) (client, error)

	// draw draws what write number n is. It draws as many numbers each time.
	draw(rng *rand.Rand, keys, n int) *write

	// report says what is wrong with a report of a conflict that became durable in a region
	// just now; last says that nothing else happened to the record since.
	report(r *region, c *fieldwise.Conflict, last bool) error

	// judge looks at the end, when all regions hold the same.
	judge(w *world)
}

// client is who writes in a region.
type client interface {
	// write makes a write. An error is one that a client does not expect.
	write(m *write) error
}

// keyNames are the keys that histories write.
var keyNames = []string{"k", "l", "m", "n"}

// client lets writes happen in a region now and then.
func (w *world) client(r *region) {
	w.after(spread(w.clients, w.between), func() {
		if w.healing || w.plan.Writes > 0 && w.drawn >= w.plan.Writes {
			return
		}
		// Drawn whether or not the region is there, so that what a history leaves out changes
		// little else.
		w.drawn++
		m := w.work.draw(w.clients, w.keys, w.drawn)
		if r.up && r.stalled <= w.now && !w.plan.Skip[w.drawn] {
			w.write(r, m)
		}
		w.client(r)
	})
}

// write lets the client of a region write.
func (w *world) write(r *region, m *write) {
	if r.waits(func() { w.write(r, m) }) {
		return
	}
	r.making = m
	w.writes, w.lastWrite = append(w.writes, m), w.now
	if err := r.client.write(m); err != nil {
		w.fail("%s cannot %s %s: %v", r.name, m.what, m.key, err)
	}
	if m.under != nil && !r.staged.Covers(m.under) {
		w.counts["tokens of what was lost"]++
		if m.outcome != nothing {
			w.counts["writes under them"]++
		}
	}
	if m.outcome == nothing {
		return
	}
	w.counts["writes"]++
	w.counts[m.what]++
	w.byOrigin[m.receipt.Version()] = m
	knowing := short(m.saw)
	if knowing == "" {
		knowing = "nothing"
	}
	w.tell("%s writes %s/%d: %s, knowing %s", r.name, r.name, m.receipt.Seq, strings.TrimSpace(m.key+" "+m.what+" "+m.value), knowing)
}

// alarm takes in what a region is to be told. A merger that does not know the kind of a field
// stops an origin by name.
func (w *world) alarm(r *region, alarm error) {
	switch {
	case errors.Is(alarm, fieldwise.ErrClockSkew):
		w.counts["skew alarms"]++
	case errors.Is(alarm, fieldwise.ErrUnsupportedKind) && (w.byHand || w.unsupported && r.older):
		w.tell("%s raises an alarm: %v", r.name, alarm)
		r.stops()
	default:
		w.fail("%s raises an alarm: %v", r.name, alarm)
	}
}

// reportsAreTrue looks at the reports in a payload that became durable just now.
func (w *world) reportsAreTrue(r *region, payload []byte) {
	entries := make(map[string]int)
	_ = engine.Entries(payload, func(e engine.Entry, _ []byte) error { // it was read before
		entries[e.Key]++
		return nil
	})
	_ = engine.Reports(payload, func(c fieldwise.Conflict) error {
		if err := w.work.report(r, &c, entries[c.Key] == 1); err != nil {
			w.fail("%s reports %v: %v", r.name, c.Kind, err)
		}
		return nil
	})
}
