package sim

import (
	"math/rand/v2"

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
	// just now.
	report(r *region, c *fieldwise.Conflict) error

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
		if w.healing || w.plan.Writes > 0 && len(w.writes) >= w.plan.Writes {
			return
		}
		// Drawn whether or not the region is there, so that what a history leaves out changes
		// little else.
		m := w.work.draw(w.clients, w.keys, len(w.writes)+1)
		if r.up && r.stalled <= w.now {
			w.write(r, m)
		}
		w.client(r)
	})
}

// write lets the client of a region write.
func (w *world) write(r *region, m *write) {
	r.making = m
	w.counts["asked"]++
	w.writes = append(w.writes, m)
	if err := r.client.write(m); err != nil {
		w.fail("%s cannot %s %s: %v", r.name, m.what, m.key, err)
	}
	if m.outcome == nothing {
		return
	}
	w.counts["writes"]++
	w.counts[m.what]++
	w.byOrigin[m.receipt.Version()] = m
	w.tell("%s writes %s/%d: %s %s %s, knowing %v", r.name, r.name, m.receipt.Seq, m.key, m.what, m.value, short(m.saw))
}

// reportsAreTrue looks at the reports in a payload that became durable just now.
func (w *world) reportsAreTrue(r *region, payload []byte) {
	_ = engine.Reports(payload, func(c fieldwise.Conflict) error { // it was read before
		if err := w.work.report(r, &c); err != nil {
			w.fail("%s reports %v: %v", r.name, c.Kind, err)
		}
		return nil
	})
}
