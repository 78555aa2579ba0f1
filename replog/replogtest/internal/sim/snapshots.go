package sim

import (
	"maps"
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/disk"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

// snapshot is what a region's log held when one was taken.
type snapshot struct {
	held fieldwise.Vector
	sums map[place]sum
}

// smallPieces lets a snapshot have several pieces, and installing it take several batches.
func (w *world) smallPieces(cfg *engine.Config) {
	if w.faults&Snapshots != 0 {
		cfg.Bootstrap, cfg.PieceBytes, cfg.BatchBytes = true, 100, 400
	}
}

// forget makes a log one that lacks its beginning, or takes away all of a disk.
func (w *world) forget(r *region) {
	which, share := w.strikes.IntN(6), w.strikes.Float64()
	if !r.up {
		return
	}
	if which == 0 {
		w.empty(r)
		return
	}
	w.raise(r, share)
}

// raise lets a log be one that lacks a share of what it holds of each origin.
func (w *world) raise(r *region, share float64) {
	v := make(fieldwise.Vector)
	for o, seq := range r.held {
		v[o] = min(seq, fieldwise.Seq(share*float64(seq+1)))
	}
	w.counts["bases raised"]++
	w.tell("the log of %s lacks what came before [%s]", r.name, short(v))
	r.engine.Forget(v)
}

// empty lets a region begin with an empty disk. What it has reported was heard.
func (w *world) empty(r *region) {
	w.counts["emptied"]++
	w.tell("the disk of %s is emptied", r.name)
	r.gets(nil)
	r.restart(disk.NewMem(), spread(w.strikes, w.latency))
}

// snapshot walks a snapshot for the region that makes the request, piece by piece, and sends it.
func (d *direction) snapshot(request engine.Pull) {
	r := d.from
	if d.walking == r.life+1 {
		return
	}
	s, err := r.engine.Snapshot(request)
	switch {
	case err != nil:
		d.w.refuses(r, d.to, err)
		return
	case s == nil:
		return
	}
	d.w.counts["snapshots"]++
	d.w.tell("%s takes a snapshot for %s", r.name, d.to.name)
	d.walking = r.life + 1
	is := snapshot{held: r.held.Clone(), sums: maps.Clone(r.sums)}
	d.walk(request, s, is, nil)
}

func (d *direction) walk(request engine.Pull, s *engine.Snapshot, is snapshot, pieces [][]byte) {
	if piece := s.Next(); piece != nil {
		d.w.counts["pieces of snapshots"]++
		d.from.later(spread(d.w.network, d.w.latency/4), func() {
			if d.from.up {
				d.walk(request, s, is, append(pieces, piece))
			}
		})
		return
	}
	d.walking = 0
	d.w.taken[sumOf(pieces)] = is
	d.send(1, d.to, func() { d.install(request, pieces) })
}

func sumOf(pieces [][]byte) uint64 { return collect(pieces).Sum() }

func collect(pieces [][]byte) *engine.Pieces {
	s := &engine.Pieces{}
	for _, piece := range pieces {
		if err := s.Add(slices.Clone(piece)); err != nil {
			panic(err)
		}
	}
	return s
}

func (d *direction) install(request engine.Pull, pieces [][]byte) {
	d.asking = false
	r := d.to
	if !r.engine.Current(&request) {
		return
	}
	done, err := r.engine.Install(r.wall(), d.from.name, collect(pieces))
	if err == nil {
		d.w.counts["snapshots that are joined"]++
		d.w.tell("%s joins a snapshot of %s", r.name, d.from.name)
	}
	d.take(done, err)
}

// readSnapshot takes in that a log installs a snapshot, behind what has counts.
func (w *world) readSnapshot(r *region, sum uint64, has fieldwise.Vector) {
	is, ok := w.taken[sum]
	if !ok {
		w.fail("the log of %s installs a snapshot that nobody took", r.name)
	}
	for o, seq := range is.held {
		for s := has[o] + 1; s <= seq; s++ {
			at := place{o, s}
			if is, ok := is.sums[at]; ok {
				w.content[at], r.sums[at] = is, is
			}
		}
		has[o] = max(has[o], seq)
	}
}
