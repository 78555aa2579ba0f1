package sim

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/disk"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

// identity is what has to do with who signs in a region.
type identity struct {
	ids     *rand.Rand
	twin    bool          // it began as a copy of another region's disk
	sums    map[place]sum // of what the log holds
	patient time.Duration // until then writes wait; zero: none waited yet

	backup *disk.Mem
	backed map[place]sum // what it holds
	lost   map[place]sum // what was held on disks that are gone
}

// incarnation is one that nobody ever had, in most cases above the earlier ones.
func (r *region) incarnation() uint64 {
	return uint64(r.wall().UnixMilli())<<20 | r.ids.Uint64N(1<<20)
}

func (r *region) newEngine(begun bool) *engine.Engine {
	origin, err := engine.ParseIdentity(r.log.Meta())
	if err != nil {
		r.w.fail("%s does not know who signs: %v", r.name, err)
	}
	cfg := engine.Config{Origin: origin, OpenFrom: 64, Members: r.members.names, Epoch: r.members.epoch, Begun: begun, Opening: r.ids.Uint64(), Fresh: r.incarnation()}
	r.w.smallPieces(&cfg)
	r.patient, r.told = 0, 0
	return engine.New(cfg)
}

// waits reports whether a write has to wait; again is called when the waiting is over.
func (r *region) waits(again func()) bool {
	if r.engine.Identity().Standing != engine.Waiting {
		return false
	}
	w := r.w
	if r.patient == 0 {
		w.counts["waiting writes"]++
		r.patient = w.now + w.patient
	}
	if w.now >= r.patient {
		r.engine.BeginAfresh("nobody confirms")
		w.counts["waited in vain"]++
		w.tell("%s goes on under %v", r.name, r.engine.Identity().Origin)
		return false
	}
	r.later(20*time.Millisecond, func() {
		if r.up {
			again()
		}
	})
	return true
}

// confirm asks whatever there is to ask about who signs, now and then.
func (d *direction) confirm() {
	const retry = 300 * time.Millisecond
	if !d.to.up || d.to.stalled > d.w.now || d.question > 0 && d.w.now-d.question < retry {
		return
	}
	q, ok := d.to.engine.Ask(d.from.name)
	if !ok {
		return
	}
	d.question = d.w.now
	d.w.counts["questions"]++
	d.send(0, d.from, func() {
		d.from.told = max(d.from.told, q.Epoch)
		a, err := d.from.engine.Answer(q)
		if err != nil {
			d.w.fail("%s does not answer %s: %v", d.from.name, d.to.name, err)
		}
		d.send(1, d.to, func() {
			before := d.to.engine.Identity().Standing
			if d.to.engine.Confirm(a) {
				d.question = 0
			}
			if err := d.to.engine.Err(); err != nil {
				d.w.loud(err, d.to, d.from)
				return
			}
			if id := d.to.engine.Identity(); id.Standing != before {
				d.w.counts[map[engine.Standing]string{engine.Confirmed: "confirmed", engine.Fresh: "begun afresh"}[id.Standing]]++
				why := id.Why
				if id.Standing == engine.Confirmed {
					why = "all others confirm it"
				}
				d.w.tell("%s signs as %v: %s", d.to.name, id.Origin, why)
				d.to.confirmed()
			}
		})
	})
}

// restore copies the disk of a region, or puts an earlier copy in its place; at times, those
// of all regions at once.
func (w *world) restore(r *region) {
	which := w.strikes.IntN(12)
	switch {
	case !r.up:
	case r.backup == nil || which < 6:
		w.copyDisk(r)
		if which < 4 { // and is put back before others have got much of what comes next
			w.after(spread(w.strikes, 150*time.Millisecond), func() {
				if !w.healing {
					w.putBack(r)
				}
			})
		}
	case which < 8:
		for _, r := range w.regions {
			w.putBack(r)
		}
	default:
		w.putBack(r)
	}
}

func (w *world) copyDisk(r *region) {
	r.backup, r.backed = r.machine.CrashSoft(), maps.Clone(r.sums)
	w.tell("the disk of %s is copied", r.name)
}

func (w *world) putBack(r *region) {
	if !r.up || r.backup == nil {
		return
	}
	w.counts["restores"]++
	r.gets(r.backed)
	w.tell("the disk of %s is restored: it has [%s]", r.name, short(r.held))
	r.restart(r.backup.CrashSoft(), spread(w.strikes, time.Second))
}

// gets takes note that another disk takes the place of the region's, with these entries.
func (r *region) gets(sums map[place]sum) {
	if r.lost == nil {
		r.lost = make(map[place]sum)
	}
	maps.Copy(r.lost, r.sums)
	r.ever = r.everHeld()
	r.sums, r.held = maps.Clone(sums), make(fieldwise.Vector)
	for at := range sums {
		r.held[at.origin] = max(r.held[at.origin], at.seq)
	}
	if r.w.faults&Snapshots == 0 { // or nobody would report it again who has the states from a snapshot
		r.reports = make(map[reported]bool)
	}
}

// forget takes note of what nobody holds any more since the disk of the region was restored,
// or thrown away.
func (r *region) forget() {
	w := r.w
	for _, at := range slices.SortedFunc(maps.Keys(r.lost), place.compare) {
		was := r.lost[at]
		if slices.ContainsFunc(w.regions, func(other *region) bool { return other.sums[at] == was }) {
			continue
		}
		w.counts["lost with their only disk"]++
		w.tell("nobody holds %s#%02x/%d any more", at.origin.Region, at.origin.Incarnation&0xff, at.seq)
		w.bySum[was].lost = true
		if !w.mayFork { // else another process may sign that number, too
			delete(w.content, at)
		}
	}
	r.lost = nil
}

// clone starts a second process on a copy of a region's disk, once in a history.
func (w *world) clone(r *region) {
	if !r.up || w.cloned {
		return
	}
	w.counts["clones"]++
	w.client(w.twin(r))
}

func (w *world) twin(r *region) *region {
	w.cloned, w.mayFork = true, true
	w.tell("a second process starts on a copy of the disk of %s", r.name)
	twin := w.addRegion(r.name)
	twin.twin, twin.ids, twin.machine = true, w.plan.stream("identity of a clone"), r.machine.CrashSoft()
	twin.newer = r.newer
	w.twins = [2]*region{r, twin}
	for _, peer := range w.regions {
		if peer.name != r.name {
			w.link(twin, peer)
			w.link(peer, twin)
		}
	}
	twin.start()
	return twin
}
