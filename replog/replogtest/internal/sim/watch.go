package sim

import (
	"slices"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

// watchEvery is how often what regions say of themselves, and how much they keep, is held
// against what is known of them.
const watchEvery = 700 * time.Millisecond

func (w *world) watch() {
	for _, r := range w.regions {
		if r.up {
			r.lagIsTrue()
			r.staysWithinBounds()
		}
	}
	w.after(watchEvery, w.watch)
}

// lagIsTrue demands that the region says of no peer that it has acknowledged more than was ever
// on its disk, and that all else that is here counts as behind.
func (r *region) lagIsTrue() {
	w, now := r.w, r.wall()
	for _, p := range r.engine.Stats(now).Peers {
		others := w.processes(p.Region)
		if len(others) != 1 { // what two of them acknowledge is one
			continue
		}
		if ever := others[0].everHeld(); !ever.Covers(p.Acked) {
			w.fail("%s says that %s acknowledged [%s], and it never had more than [%s]", r.name, p.Region, short(p.Acked), short(ever))
		}
		lags := make(map[fieldwise.Origin]engine.Lag)
		for _, l := range p.Lag {
			lags[l.Origin] = l
		}
		for o, seq := range r.held {
			want, is := r.lag(o, p.Acked[o], seq, now), lags[o]
			if is.Behind && w.faults&Snapshots != 0 { // the log does not know how old, and how large, what it lacks is
				is = engine.Lag{Origin: o, Entries: is.Entries, Bytes: want.Bytes, Age: want.Age}
			}
			if want != is {
				w.fail("%s says that %s lags behind by %+v, and it does by %+v", r.name, p.Region, is, want)
			}
		}
	}
}

// everHeld is the most that the disk of a region ever held.
func (r *region) everHeld() fieldwise.Vector {
	ever := r.held.Clone()
	for o, seq := range r.ever {
		ever[o] = max(ever[o], seq)
	}
	return ever
}

// lag is what somebody lacks of an origin who has as many entries of it as acked.
func (r *region) lag(o fieldwise.Origin, acked, held fieldwise.Seq, now time.Time) (l engine.Lag) {
	for seq := acked + 1; seq <= held; seq++ {
		m := r.w.bySum[r.sums[place{o, seq}]]
		if seq == acked+1 {
			l = engine.Lag{Origin: o, Age: max(0, now.Sub(m.receipt.Time.Time()))}
		}
		l.Entries++
		l.Bytes += int64(m.size)
	}
	return l
}

// staysWithinBounds demands that what the region keeps besides its log and records does not
// grow with its history: one answer of each peer waits, and what is staged is as much as comes
// while a disk is written to.
func (r *region) staysWithinBounds() {
	w, s := r.w, r.engine.Sizes()
	for from, parts := range s.Waiting {
		if parts > w.answerMax() {
			w.fail("%s keeps %d parts that came from %s, more than an answer has: %d", r.name, parts, from, w.answerMax())
		}
	}
	staged, staging := 0, 0
	for o, seq := range r.staged {
		if seq > r.held[o] {
			staged, staging = staged+int(seq-r.held[o]), staging+1
		}
	}
	chains := s.Chains == staged || w.faults&Snapshots != 0 && s.Chains < staged // a snapshot has one an origin
	if s.Staged != staged || !chains || s.Staging != staging {
		w.fail("%s has staged %d entries of %d origins: %+v", r.name, staged, staging, s)
	}
	if most := underWay * len(r.links) * w.answerMax(); staged-len(r.mine) > most && w.faults&Snapshots == 0 {
		w.fail("%s has staged %d entries of others, more than %d answers of each peer: %d", r.name, staged-len(r.mine), underWay, most)
	}
	if peers := len(w.names()) - 1; s.Asked > peers || s.Peers > peers {
		w.fail("%s knows %d peers: %+v", r.name, peers, s)
	}
	if s.Relayed > len(w.origins) {
		w.fail("%s asks others for %d origins, of %d that there are", r.name, s.Relayed, len(w.origins))
	}
	for _, d := range r.links {
		if d.messages > 6*underWay {
			w.fail("%d messages are under way from %s to %s and back", d.messages, r.name, d.from.name)
		}
	}
}

// underWay is how many requests and questions there may be under way on a link, as those are made
// again after a second, or a third of one, and a message takes some seconds at most. Each comes
// twice at most, as does each answer to it: six messages.
const underWay = 12

// answerMax is how many parts an answer has at most: the last frame is in it whole.
func (w *world) answerMax() int { return w.ship - 1 + w.frameMax }

// names are the regions that there are.
func (w *world) names() (all []fieldwise.Region) {
	for _, r := range w.regions {
		if !slices.Contains(all, r.name) {
			all = append(all, r.name)
		}
	}
	return all
}

// acknowledged reports whether all regions know what those hold that pull from them.
func (w *world) acknowledged() bool {
	for _, to := range w.regions {
		for _, d := range to.links {
			if d.dead || len(w.processes(to.name)) > 1 {
				continue
			}
			if acked := d.from.engine.Acked(to.name); !acked.Covers(to.held) || !to.held.Covers(acked) {
				return false
			}
		}
	}
	return true
}

// onlyWhatWasAsked demands that each body in an answer has a reason to be in it, and that it is
// not here already, unless another answer explains that: an older one to the same peer, or a
// second one to the same request, or one of a peer that relays the body, or of the other process of a region that was cloned.
func (d *direction) onlyWhatWasAsked(request *engine.Pull, asked time.Duration, parts []engine.Part) {
	r, w := d.to, d.w
	for _, part := range parts {
		if part.Body == nil {
			continue
		}
		e, err := engine.ParseEntry(part.Body)
		if err != nil {
			w.fail("%s sends %s what cannot be read: %v", d.from.name, r.name, err)
		}
		relayed := e.Origin.Region != d.from.name
		switch {
		case relayed && !slices.Contains(request.Relay, e.Origin):
			w.fail("%s sends %s a body of %v, and was not asked to", d.from.name, r.name, e.Origin)
		case slices.Contains(request.Stopped, e.Origin):
			w.fail("%s sends %s a body of %v, which is stopped there", d.from.name, r.name, e.Origin)
		case e.Seq <= request.Vector[e.Origin]:
			w.fail("%s sends %s %v/%d, and it said that it has %d", d.from.name, r.name, e.Origin, e.Seq, request.Vector[e.Origin])
		}
		at := place{e.Origin, e.Seq}
		came := r.came[at]
		if !slices.Contains(came, d) {
			r.came[at] = append(came, d)
		}
		if len(came) == 0 || e.Seq > r.staged[e.Origin] { // it waited, and comes again behind what it waited for
			continue
		}
		w.counts["bodies that came twice"]++
		if w.faults&Snapshots == 0 && d.answered < asked && !slices.ContainsFunc(came, func(other *direction) bool { return other != d }) {
			w.fail("%s sends %s %v/%d twice, and nothing explains that", d.from.name, r.name, e.Origin, e.Seq)
		}
	}
	d.answered = w.now
}
