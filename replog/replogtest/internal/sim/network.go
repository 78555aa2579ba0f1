package sim

import (
	"errors"
	"time"

	"github.com/fieldwise/fieldwise/replog/internal/engine"
	"github.com/fieldwise/fieldwise/replog/wal"
)

// direction is one direction of a link: to pulls from from.
type direction struct {
	w        *world
	to, from *region
	dead     bool             // nothing gets through
	cut      [2]time.Duration // until then no request, and no answer, gets through
	asked    time.Duration    // when the request that is under way was made
	asking   bool
	question time.Duration // when the last one about an identity was put
	answered time.Duration // when the last answer came that was taken in
	messages int           // that are under way, both ways
	walking  int           // the life of from in which a snapshot is walked for to, plus one
}

// link lets one region pull from another.
func (w *world) link(to, from *region) {
	d := &direction{w: w, to: to, from: from, dead: w.dead[pairOf(to, from)]}
	to.links = append(to.links, d)
	if to.up && d.tried() {
		to.engine.Link(from.name)
	}
	if w.faults&Partitions != 0 {
		w.every(Partitions, func() {
			way := w.strikes.IntN(2)
			d.cut[way] = w.now + spread(w.strikes, 2*time.Second)
			w.counts["partitions"]++
			w.tell("nothing gets from %s to %s", []*region{to, from}[way].name, []*region{from, to}[way].name)
		})
	}
	w.after(spread(w.network, 20*time.Millisecond), d.tick)
}

// pair is two regions, in their order.
type pair [2]*region

func pairOf(a, b *region) pair {
	if a.name > b.name {
		a, b = b, a
	}
	return pair{a, b}
}

// killLinks draws links that are dead, but for those that connect all regions.
func (w *world) killLinks() {
	rng := w.plan.stream("dead links")
	w.deadForGood, w.deadIsKnown = rng.IntN(2) == 0, rng.IntN(3) == 0
	group := make(map[*region]int) // of regions that are connected
	for i, r := range w.regions {
		group[r] = i
	}
	var pairs []pair
	for i, r := range w.regions {
		for _, other := range w.regions[:i] {
			pairs = append(pairs, pairOf(r, other))
		}
	}
	rng.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	for _, p := range pairs {
		if to, from := group[p[0]], group[p[1]]; to != from {
			for r, g := range group {
				if g == from {
					group[r] = to
				}
			}
		} else if rng.IntN(2) == 0 {
			w.dead[p] = true
			w.counts["dead links"]++
			w.tell("the link of %s and %s is dead, known: %v", p[0].name, p[1].name, w.deadIsKnown)
		}
	}
}

// known reports whether it is known that the link is dead.
func (d *direction) known() bool { return d.dead && d.w.deadIsKnown }

// tried reports whether the host tries the link: to a member, as far as it is told.
func (d *direction) tried() bool { return !d.known() && d.to.members.has(d.from.name) }

// heal brings the link up, unless it is dead for good.
func (d *direction) heal() {
	if d.dead && !d.w.deadForGood {
		if d.known() && d.to.up && d.to.members.has(d.from.name) {
			d.to.engine.Link(d.from.name)
		}
		d.dead = false
	}
}

// tick goes on with what came, and asks for more, now and then.
func (d *direction) tick() {
	d.confirm()
	const retry = time.Second
	if d.to.up && d.to.stalled <= d.w.now && d.tried() && (!d.asking || d.w.now-d.asked > retry) {
		d.take(d.to.engine.Resume(d.to.wall(), d.from.name))
		now := epoch.Add(d.w.now)
		if ok, _ := d.to.engine.Ready(now, d.from.name); ok && d.to.up {
			d.asking, d.asked = true, d.w.now
			request := d.to.engine.NextPull(now, d.from.name)
			if !d.to.held.Covers(request.Vector) { // its peers may drop what they keep for it
				d.w.fail("%s acknowledges [%s] to %s, and its disk holds [%s]", d.to.name, short(request.Vector), d.from.name, short(d.to.held))
			}
			d.w.counts["floors"] += len(request.Floors)
			if len(request.Relay) > 0 {
				d.w.counts["asked to relay"]++
			}
			asked := d.w.now
			d.send(0, d.from, func() { d.serve(request, asked) })
		}
	}
	d.w.after(spread(d.w.network, 20*time.Millisecond), d.tick)
}

// send brings a message to a region, if it gets there, once or more often.
func (d *direction) send(way int, to *region, arrive func()) {
	w := d.w
	copies := 1
	if !w.healing {
		if w.faults&Loss != 0 && w.network.Float64() < w.loss {
			w.counts["lost"]++
			copies = 0
		}
		if w.faults&Repeats != 0 && w.network.Float64() < w.repeats {
			w.counts["repeated"]++
			copies++
		}
	}
	for range copies {
		delay := spread(w.network, w.latency)
		if !w.healing && w.faults&Delays != 0 && w.network.IntN(4) == 0 {
			w.counts["delayed"]++
			delay += time.Duration(w.network.Int64N(int64(3 * time.Second)))
		}
		if d.dead || d.cut[way] > w.now && !w.healing {
			w.counts["cut off"]++
			continue
		}
		// It reaches whatever process runs there then.
		d.messages++
		w.after(delay, func() {
			d.messages--
			to.run(to.life, func() { d.arrive(to, arrive) })
		})
	}
}

func (d *direction) arrive(to *region, do func()) {
	if to.up {
		do()
	}
}

// serve answers a request with entries from the log, up to what is published.
func (d *direction) serve(request engine.Pull, asked time.Duration) {
	r := d.from
	frame, ok, _, err := r.engine.Serve(request)
	if errors.Is(err, engine.ErrFloor) {
		d.w.counts["floors that differ"]++
		d.send(1, d.to, func() {
			d.asking = false
			d.to.engine.Unfold(r.name)
		})
		return
	}
	if errors.Is(err, engine.ErrBehind) {
		d.snapshot(request)
		return
	}
	if err != nil {
		d.w.refuses(r, d.to, err)
		return
	}
	ship := r.engine.Ship(&request)
	most := len(ship.Parts) + d.w.ship
	if ok {
		for f, err := range r.log.Frames(wal.Position(frame)) {
			if f.Position >= r.end || len(ship.Parts) >= most {
				break
			}
			if err == nil {
				err = engine.Entries(f.Payload, func(e engine.Entry, body []byte) error {
					ship.Add(&e, body)
					return nil
				})
			}
			if err != nil {
				if _, hit := r.faults.Hit(); !hit {
					d.w.fail("%s cannot read its log: %v", r.name, err)
				}
				d.w.counts["failed reads"]++
				ship = r.engine.Ship(&request)
				break
			}
		}
	}
	r.engine.Sent(d.to.name, ship.Traffic)
	d.send(1, d.to, func() { d.deliver(request, asked, ship.Parts) })
}

// deliver stages what a peer sent.
func (d *direction) deliver(request engine.Pull, asked time.Duration, parts []engine.Part) {
	r := d.to
	d.asking = false
	if len(parts) == 0 || !r.engine.Current(&request) {
		return
	}
	d.w.counts["delivered"] += len(parts)
	d.onlyWhatWasAsked(&request, asked, parts)
	d.take(r.engine.Deliver(r.wall(), d.from.name, parts))
}

// take goes on with what was just taken of what a peer sent.
func (d *direction) take(done engine.Delivered, err error) {
	r := d.to
	for _, alarm := range done.Alarms {
		d.w.alarm(r, alarm)
	}
	for o, seq := range done.Want {
		r.staged[o] = max(r.staged[o], seq)
	}
	if len(done.Want) > 0 {
		r.kick()
	}
	if err != nil { // what was taken before stays
		d.w.tell("%s cannot take what %s sent: %v", r.name, d.from.name, err)
		d.w.loud(err, r, d.from)
	}
}
