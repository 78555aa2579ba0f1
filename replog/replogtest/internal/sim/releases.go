package sim

import (
	"fmt"
	"maps"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// release is what has to do with the release of the service that a region runs. The newer one
// has a field more than the older one, and another policy for one of them. The field is a list,
// which the older one keeps for others or, in some histories, cannot even merge: then it stops
// who writes one.
type release struct {
	newer   bool // that it runs from its next start on
	older   bool // that it runs
	stopped map[fieldwise.Origin]bool
}

// rolling gives regions their first release, and says when they are upgraded while faults strike.
func (w *world) rolling() {
	rng := w.plan.stream("releases")
	for _, r := range w.regions {
		r.newer = w.faults&Rolling == 0 || rng.IntN(4) == 0
		if at := time.Duration(rng.Int64N(int64(w.phase) * 3 / 2)); !r.newer {
			w.after(at, func() {
				if !w.healing {
					w.upgrade(r, rng.IntN(2) == 0)
				}
			})
		}
	}
}

// upgrade gives a region the newer release: at once, or when it starts the next time.
func (w *world) upgrade(r *region, atOnce bool) {
	if r.newer {
		return
	}
	w.counts["upgrades"]++
	w.tell("%s gets the newer release", r.name)
	r.newer = true
	if atOnce && r.up {
		r.restart(r.machine.CrashSoft(), 100*time.Millisecond)
	}
}

// upgradeAll ends that two releases run side by side.
func (w *world) upgradeAll() {
	for _, r := range w.regions {
		w.upgrade(r, true)
		if r.older && r.up { // or it had it, and did not start since
			r.restart(r.machine.CrashSoft(), 100*time.Millisecond)
		}
	}
}

// stops takes note that an origin is stopped in a region, which runs the older release.
func (r *region) stops() {
	stopped := r.engine.Stats(r.wall()).Stopped
	r.w.counts["stopped origins"] += len(stopped) - len(r.stopped)
	r.stopped = make(map[fieldwise.Origin]bool)
	for o := range stopped {
		r.stopped[o], r.w.stopped[o] = true, true
	}
}

// goOn takes note that the region was started anew: what was stopped is tried again.
func (r *region) goOn() {
	r.older = !r.newer
	if !r.older {
		r.w.counts["stopped origins that went on"] += len(r.stopped)
	}
	r.stopped = nil
}

// flows reports whether a region holds all that another does, but for what is stopped there.
func (r *region) flows(from *region) bool {
	for o, seq := range from.held {
		if r.held[o] < seq && !r.stopped[o] {
			return false
		}
	}
	return true
}

// known is what a writer's state held of origins that nobody ever stopped. Who stopped one took
// in what others wrote who knew its entries, and may have passed that on.
func (w *world) known(saw fieldwise.Vector) fieldwise.Vector {
	if len(w.stopped) == 0 {
		return saw
	}
	saw = saw.Clone()
	maps.DeleteFunc(saw, func(o fieldwise.Origin, _ fieldwise.Seq) bool { return w.stopped[o] })
	return saw
}

// olderHost opens a domain under a merger that does not know lists.
type olderHost struct {
	*region
	merger fieldwise.Merger
}

func newOlderHost(r *region, m fieldmerge.Merger) olderHost {
	return olderHost{r, olderMerger{m, m, m}}
}

// Domain implements [fieldwise.Host].
func (h olderHost) Domain(name string, _ fieldwise.Merger) (fieldwise.Store, error) {
	return h.region.Domain(name, h.merger)
}

// olderMerger is the merger of a release that does not know lists yet.
type olderMerger struct {
	fieldwise.Merger
	fieldwise.Deleter
	fieldwise.ConflictReporter
}

func (m olderMerger) Conflicts(dst []fieldwise.Conflict, state, delta []byte) ([]fieldwise.Conflict, error) {
	if err := withoutLists(state, delta); err != nil {
		return nil, err
	}
	return m.ConflictReporter.Conflicts(dst, state, delta)
}

func (m olderMerger) Merge(dst, a, b []byte) ([]byte, error) {
	if err := withoutLists(a, b); err != nil {
		return nil, err
	}
	return m.Merger.Merge(dst, a, b)
}

func withoutLists(states ...[]byte) error {
	for _, state := range states {
		life, rest, err := wire.Uint(state)
		if _, fields, ok := lattice.Cut(rest); err == nil && ok && life%2 == 1 {
			for len(fields) > 0 {
				f, rest, ok := lattice.CutField(fields)
				if !ok || f.Kind == lattice.KindList {
					return fmt.Errorf("%w: kind %d; a newer release wrote it", fieldwise.ErrUnsupportedKind, f.Kind)
				}
				fields = rest
			}
		}
	}
	return nil
}
