package sim

import (
	"bytes"
	"errors"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
	"github.com/fieldwise/fieldwise/replog/wal"
)

// direction is one direction of a link: to pulls from from.
type direction struct {
	w        *world
	to, from *region
	cut      [2]time.Duration // until then no request, and no answer, gets through
	asked    time.Duration    // when the request that is under way was made
	asking   bool
}

// link lets one region pull from another.
func (w *world) link(to, from *region) {
	d := &direction{w: w, to: to, from: from}
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

// tick asks for more now and then.
func (d *direction) tick() {
	const retry = time.Second
	if d.to.up && d.to.stalled <= d.w.now && (!d.asking || d.w.now-d.asked > retry) {
		d.asking, d.asked = true, d.w.now
		request := d.to.engine.NextPull()
		d.send(0, d.from, func() { d.serve(request) })
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
		if d.cut[way] > w.now && !w.healing {
			w.counts["cut off"]++
			continue
		}
		// It reaches whatever process runs there then.
		w.after(delay, func() { to.run(to.life, func() { d.arrive(to, arrive) }) })
	}
}

func (d *direction) arrive(to *region, do func()) {
	if to.up {
		do()
	}
}

// serve answers a request with entries from the log, up to what is published.
func (d *direction) serve(request engine.Pull) {
	r := d.from
	frame, ok, _, err := r.engine.Serve(request)
	if err != nil {
		d.w.fail("%s does not serve %s: %v", r.name, request.From.Region, err)
	}
	var bodies [][]byte
	if ok {
		for f, err := range r.log.Frames(wal.Position(frame)) {
			if f.Position >= r.end || len(bodies) >= d.w.ship {
				break
			}
			if err == nil {
				err = engine.Entries(f.Payload, func(e engine.Entry, body []byte) error {
					if request.Lacks(&e) {
						bodies = append(bodies, bytes.Clone(body))
					}
					return nil
				})
			}
			if err != nil {
				if _, hit := r.faults.Hit(); !hit {
					d.w.fail("%s cannot read its log: %v", r.name, err)
				}
				d.w.counts["failed reads"]++
				bodies = nil
				break
			}
		}
	}
	d.send(1, d.to, func() { d.deliver(request, bodies) })
}

// deliver stages what a peer sent.
func (d *direction) deliver(request engine.Pull, bodies [][]byte) {
	r := d.to
	d.asking = false
	if len(bodies) == 0 || !r.engine.Current(&request) {
		return
	}
	d.w.counts["delivered"] += len(bodies)
	done, err := r.engine.Deliver(r.wall(), bodies)
	if err != nil {
		d.w.fail("%s cannot take what %s sent: %v", r.name, d.from.name, err)
	}
	for _, alarm := range done.Alarms {
		if !errors.Is(alarm, fieldwise.ErrClockSkew) {
			d.w.fail("%s raises an alarm: %v", r.name, alarm)
		}
		d.w.counts["skew alarms"]++
	}
	for o, seq := range done.Want {
		r.staged[o] = max(r.staged[o], seq)
	}
	r.kick()
}
