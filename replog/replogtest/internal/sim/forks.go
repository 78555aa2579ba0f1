package sim

import (
	"cmp"
	"errors"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/disk"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

// forks is what is known of entries that have one origin and number.
type forks struct {
	mayFork bool                               // there may be two entries at one place
	cloned  bool                               // there are two processes that sign as one,
	twins   [2]*region                         // these
	from    map[fieldwise.Origin]fieldwise.Seq // the first number that two entries had
	kept    *region                            // by whoever mends; the others give way to what it has
	byHand  bool                               // the story says how forks are mended
}

// mendingTakes is how long people take, about.
const mendingTakes = time.Second

// ended is what a story that is told by hand is interrupted with when a fork is found.
type ended struct{ err error }

func (p place) compare(q place) int {
	return cmp.Or(p.origin.Compare(q.origin), cmp.Compare(p.seq, q.seq))
}

// forkedAt takes note of a second entry at a place.
func (f *forks) forkedAt(at place) {
	if first, ok := f.from[at.origin]; !ok || at.seq < first {
		f.from[at.origin] = at.seq
	}
}

// inFork reports whether another write had, or may have had, the place of this one. Who knew
// of one of them seems to have known of the other, and may have taken its place.
func (f *forks) inFork(m *write) bool {
	first, ok := f.from[m.receipt.Origin]
	return ok && m.receipt.Seq >= first
}

// fork returns a place under which two logs hold different entries, if there is one.
func (w *world) fork() (at place, ok bool) {
	for i, r := range w.regions {
		for _, other := range w.regions[:i] {
			if at, ok := w.differ(r, other); ok {
				return at, true
			}
		}
	}
	return place{}, false
}

// differ returns the first place under which two regions hold different entries.
func (w *world) differ(r, other *region) (at place, ok bool) {
	for o, first := range w.from {
		for seq := first; seq <= min(r.held[o], other.held[o]); seq++ {
			at := place{o, seq}
			if r.sums[at] != other.sums[at] {
				return at, true
			}
		}
	}
	return place{}, false
}

// refuses is told that a region does not serve another.
func (w *world) refuses(r, other *region, err error) {
	w.tell("%s does not serve: %v", r.name, err)
	if r.engine.Err() == nil && errors.Is(err, engine.ErrForked) && !w.mayFork {
		w.counts["requests from before a restore"]++ // which were late; else the regions do not converge
		return
	}
	w.loud(err, r, other)
}

// loud is told that a region says aloud that it and another hold different entries under one
// number. If that can be, it is mended as the error says.
func (w *world) loud(err error, r, other *region) {
	if !w.mayFork || !errors.Is(err, engine.ErrForked) && !errors.Is(err, engine.ErrLogRegressed) {
		w.fail("%v", err)
	}
	if w.byHand {
		panic(ended{err})
	}
	w.counts["forks that were found"]++
	w.tell("%s says: %v", r.name, err)
	poisoned := r.engine.Err() != nil
	_, differ := w.differ(r, other)
	switch {
	case w.kept == nil && w.cloned: // of the two that sign as one, one stops
		w.keep(w.twins)
	case w.kept == nil && differ:
		w.keep([2]*region{r, other})
	case differ:
		w.discard(w.wrong(r, other))
	default:
		w.counts["forks that were gone when they were found"]++
	}
	if poisoned && r.up { // it goes on when its log is opened again
		r.restart(r.machine.CrashSoft(), spread(w.operator, mendingTakes))
	}
}

// keep keeps one of two directories, and throws the other away.
func (w *world) keep(two [2]*region) {
	i := w.operator.IntN(2)
	w.kept = two[i]
	w.discard(two[1-i])
}

// endWaiting lets the processes of a region that was cloned sign afresh, as their next writes
// would: while both of them wait, each drains what others had asked of the other, and nothing
// of what is asked of them is ever taken in.
func (w *world) endWaiting() {
	for _, r := range w.twins {
		if r != nil && r.up && r.engine.Identity().Standing == engine.Waiting {
			w.counts["clones that waited side by side"]++
			r.engine.BeginAfresh("nobody confirms")
		}
	}
}

// wrong is which of two regions that differ holds something else than the one that is kept.
func (w *world) wrong(r, other *region) *region {
	_, wrong := w.differ(r, w.kept)
	_, otherWrong := w.differ(other, w.kept)
	if wrong == otherWrong {
		return []*region{r, other}[w.operator.IntN(2)]
	}
	if wrong {
		return r
	}
	return other
}

// discard throws the directory of a region away, which begins with an empty one.
func (w *world) discard(r *region) {
	w.counts["directories that were thrown away"]++
	w.tell("the directory of %s is thrown away", r.name)
	r.gets(nil)
	r.restart(disk.NewMem(), spread(w.operator, mendingTakes))
}
