package sim

import (
	"slices"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

// members is a list of the regions that take part, as an operator says it. A region knows the
// one that there was when it was started.
type members struct {
	epoch uint64
	names []fieldwise.Region
}

func (m members) has(name fieldwise.Region) bool { return slices.Contains(m.names, name) }

// with is the next list, with a region.
func (m members) with(name fieldwise.Region) members {
	return members{m.epoch + 1, append(slices.Clone(m.names), name)}
}

// without is the next list, without a region.
func (m members) without(name fieldwise.Region) members {
	return members{m.epoch + 1, slices.DeleteFunc(slices.Clone(m.names), func(n fieldwise.Region) bool { return n == name })}
}

// leaveForLong lets a region leave early in some histories, and not come back while faults
// strike.
func (w *world) leaveForLong() {
	if w.strikes.IntN(3) > 0 {
		return
	}
	r := w.regions[w.strikes.IntN(len(w.regions))]
	w.after(spread(w.strikes, time.Second), func() {
		if w.leave(r) {
			w.counts["members that were away for long"]++
		}
	})
}

// vacation lets a region leave, and come back after a while.
func (w *world) vacation(r *region) {
	back := spread(w.strikes, 3*time.Second)
	if w.leave(r) {
		w.after(back, func() { w.comeBack(r) })
	}
}

// leave takes a region from the list of members, unless it is the last one, and stops it.
func (w *world) leave(r *region) bool {
	if !r.up || len(w.members.names) < 2 {
		return false
	}
	w.counts["members that left"]++
	w.members = w.members.without(r.name)
	w.tell("%s leaves: the members are %v from list %d on", r.name, w.members.names, w.members.epoch)
	for _, process := range w.processes(r.name) {
		process.away = true
		if process.up {
			process.stop()
		}
	}
	w.rollOut()
	return true
}

// comeBack lets a region take part again, with the disk that it had.
func (w *world) comeBack(r *region) {
	if !r.away {
		return
	}
	w.counts["members that came back"]++
	w.members = w.members.with(r.name)
	w.tell("%s comes back: the members are %v from list %d on", r.name, w.members.names, w.members.epoch)
	for _, process := range w.processes(r.name) {
		process.away = false
		process.restart(process.machine, 0)
	}
	w.rollOut()
}

// processes are those of a region: one, or two if it was cloned.
func (w *world) processes(name fieldwise.Region) (all []*region) {
	for _, r := range w.regions {
		if r.name == name {
			all = append(all, r)
		}
	}
	return all
}

// rollOut starts regions anew, with the list of members that there is. While faults strike,
// some are left out: they get it when they start the next time.
func (w *world) rollOut() {
	for _, r := range w.regions {
		in := spread(w.operator, mendingTakes)
		if w.operator.IntN(2) == 0 && !w.healing {
			continue
		}
		w.after(in, func() {
			if r.up && r.members.epoch != w.members.epoch {
				w.counts["members that were told"]++
				w.tell("%s is started anew", r.name)
				r.restart(r.machine.CrashSoft(), 100*time.Millisecond)
			}
		})
	}
}

// confirmed holds the identity of a region that may go on signing against what others hold. A
// region that was not asked, since it was no member then, may hold more.
func (r *region) confirmed() {
	id, w := r.engine.Identity(), r.w
	if id.Standing != engine.Confirmed || w.mayFork {
		return
	}
	if r.told > r.members.epoch {
		w.fail("%s signs as %v as list %d confirms, and was told of list %d", r.name, id.Origin, r.members.epoch, r.told)
	}
	for _, other := range w.regions {
		if !r.members.has(other.name) && max(other.held[id.Origin], other.staged[id.Origin]) > r.held[id.Origin] {
			w.counts["confirmed without one that knew better"]++
			w.tell("%s was not asked what it holds of %v", other.name, id.Origin)
			w.mayFork = true
			return
		}
	}
	for _, other := range w.regions {
		if other.name != r.name && other.held[id.Origin] > r.held[id.Origin] {
			w.fail("all confirm to %s that they hold no more of %v than %d, and %s does: %d", r.name, id.Origin, r.held[id.Origin], other.name, other.held[id.Origin])
		}
	}
}
