package replogtest

import (
	"time"
)

// skews are how far ahead of true time the wall clock of a region may be.
var skews = []time.Duration{0, -time.Hour, -5 * time.Millisecond, 5 * time.Millisecond, 300 * time.Millisecond, time.Hour, 73 * 365 * 24 * time.Hour}

// play does what the step says.
func (w *world) play() {
	s := w.step
	r, peer := w.regions[s.region], w.regions[s.peer]
	switch s.kind {
	case take:
		if ids := r.deliverable(nil); len(ids) > 0 {
			r.arrives(s.pick(ids))
		}
	case catchUp:
		for ids := r.deliverable(peer); len(ids) > 0; ids = r.deliverable(peer) {
			r.arrives(ids[0])
		}
	case state:
		r.arrivesState(peer)
	case skew:
		if to := skews[s.rand().IntN(len(skews))]; to != r.ahead {
			r.ahead = to
			w.tell("the clock of %s is set to %s", r, aheadText(to))
		}
	case cut:
		if !r.cut[peer] {
			r.cut[peer], peer.cut[r] = true, true
			w.tell("the link between %s and %s is cut", r, peer)
		}
	case mend:
		if len(r.cut) > 0 {
			for _, p := range w.regions {
				delete(r.cut, p)
				delete(p.cut, r)
			}
			w.tell("the links of %s work again", r)
		}
	case restore:
		r.restore()
	case deploy:
		r.deploy()
	case read:
		w.read(r)
	default:
		w.write(r)
	}
}
