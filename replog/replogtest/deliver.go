package replogtest

import (
	"slices"
)

// deliverable lists the writes that r has not got and may get over the links that work,
// from one region or from any: after chaos all of them, else those that follow on
// what r has.
func (r *region) deliverable(from *region) (ids []int) {
	for _, peer := range r.w.regions {
		if peer == r || r.cut[peer] || from != nil && from != peer {
			continue
		}
		for id := range (peer.now.held &^ r.now.held).all {
			if !slices.Contains(ids, id) && (r.w.history.chaos || r.w.writes[id].past&^r.now.held == 0) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// heal mends all links and lets everybody take in everything: the writes in the order
// of the log or, after chaos, full states.
func (w *world) heal() {
	w.step = &step{id: -1, at: w.step.at}
	if w.history.chaos {
		w.tell("all links work again, and each region receives all that the others hold")
	} else {
		w.tell("all links work again, and everything arrives")
	}
	for _, r := range w.regions {
		clear(r.cut)
	}
	if w.history.chaos {
		for range 2 {
			for _, from := range w.regions {
				for _, to := range w.regions {
					if from != to && len(from.now.state) > 0 {
						to.join(from.now)
					}
				}
			}
		}
		return
	}
	for again := true; again; {
		again = false
		for _, r := range w.regions {
			for _, id := range r.deliverable(nil) {
				r.join(w.writes[id].view())
				again = true
				break
			}
		}
	}
}

// arrives takes in one write of another region.
func (r *region) arrives(id int) {
	v := r.w.writes[id].view()
	r.w.tell("%s receives %s", r, r.w.name(r.w.writes[id]))
	r.observe(v)
	r.join(v)
}

// arrivesState takes in what a peer holds now, or held once, or a write once more.
func (r *region) arrivesState(peer *region) {
	w, rnd := r.w, r.w.step.rand()
	if r.cut[peer] || len(peer.now.state) == 0 {
		return
	}
	if known := slices.Collect(r.now.held.all); len(known) > 0 && rnd.IntN(3) == 0 {
		r.arrives(w.step.pick(known))
		return
	}
	v := peer.now
	if old := peer.past[rnd.IntN(len(peer.past))]; rnd.IntN(2) == 0 && len(old.state) > 0 {
		v = old
	}
	w.tell("%s receives all that %s holds%s", r, peer, w.holdsText(v.held))
	r.observe(v)
	r.join(v)
}
