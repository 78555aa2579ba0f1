package sim

import "time"

// every lets a kind of fault strike again and again until faults stop.
func (w *world) every(kind Faults, strike func()) {
	w.after(spread(w.strikes, w.often[kind]), func() {
		if !w.healing {
			strike()
			w.every(kind, strike)
		}
	})
}

// strike begins the faults that strike regions.
func (w *world) strike() {
	if w.faults&Members != 0 {
		w.leaveForLong()
	}
	for _, f := range []struct {
		kind   Faults
		strike func(*region)
	}{
		{Stalls, w.stall},
		{Kills, func(r *region) {
			if r.up {
				w.counts["kills"]++
				w.tell("%s is killed", r.name)
				r.restart(r.machine.CrashSoft(), spread(w.strikes, time.Second))
			}
		}},
		{PowerCuts, func(r *region) {
			if r.up {
				w.counts["power cuts"]++
				w.tell("the power of %s fails", r.name)
				r.restart(r.machine.CrashRand(r.drop), spread(w.strikes, time.Second))
			}
		}},
		{DiskErrors, func(r *region) { w.failDisk(r, false) }},
		{FullDisks, func(r *region) { w.failDisk(r, true) }},
		{Jumps, func(r *region) {
			by := time.Duration(w.strikes.Int64N(int64(2*time.Hour))) - time.Hour
			w.counts["clock jumps"]++
			w.jump(r, by, spread(w.strikes, 2*time.Second))
		}},
		{FarFuture, func(r *region) {
			const far = 72 * 365 * 24 * time.Hour
			w.counts["clocks in 2099"]++
			w.jump(r, far, spread(w.strikes, time.Second))
		}},
		{Restores, w.restore},
		{Clones, w.clone},
		{Members, w.vacation},
		{Snapshots, w.forget},
	} {
		if w.faults&f.kind == 0 {
			continue
		}
		for _, r := range w.regions {
			w.every(f.kind, func() { f.strike(r) })
		}
	}
}

// syncTime is how long a disk takes: now and then, long.
func (w *world) syncTime() time.Duration {
	d := spread(w.network, w.sync)
	if w.faults&Stalls != 0 && !w.healing && w.network.IntN(20) == 0 {
		w.counts["slow syncs"]++
		d += time.Duration(w.network.Int64N(int64(time.Second)))
	}
	return d
}

func (w *world) stall(r *region) {
	r.stalled = w.now + spread(w.strikes, 800*time.Millisecond)
	w.counts["stalls"]++
	w.tell("%s is stalled", r.name)
}

// jump moves a clock, and moves it back after a while.
func (w *world) jump(r *region, by, back time.Duration) {
	r.offset += by
	w.tell("the clock of %s jumps by %v", r.name, by)
	w.after(back, func() {
		if !w.healing {
			r.offset -= by
			w.tell("the clock of %s jumps back", r.name)
		}
	})
}

func (w *world) failDisk(r *region, full bool) {
	if !r.up {
		return
	}
	how := diskFailure(w.strikes, full)
	w.counts["disk failures"]++
	w.tell("the disk of %s is about to fail: %s %v", r.name, how.Name, how.Err)
	r.faults.Fail(r.faults.Ops()+1+w.strikes.IntN(6), how)
}
