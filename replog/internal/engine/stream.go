package engine

import (
	"fmt"
	"maps"
	"time"

	"github.com/fieldwise/fieldwise"
)

// Pull is what a replica asks of a peer: everything that its vector does not cover.
// Asking acknowledges what the vector covers, since a vector counts what is durable.
type Pull struct {
	From    fieldwise.Origin
	Vector  fieldwise.Vector
	Stopped []fieldwise.Origin // what to leave out: it could not be applied here
	Mergers map[string]string  // name of the merger by domain, where one is known
}

// peer is what is known of another region's replica.
type peer struct {
	acked fieldwise.Vector
}

// NextPull returns the request that this replica makes of its peers now.
func (e *Engine) NextPull() Pull {
	p := Pull{From: e.cfg.Origin, Vector: e.vector.Clone(), Mergers: make(map[string]string)}
	for o := range e.stopped {
		p.Stopped = append(p.Stopped, o)
	}
	for name, d := range e.domains {
		if merger := d.mergerName(); merger != "" {
			p.Mergers[name] = merger
		}
	}
	return p
}

// Current reports whether no domain was opened since the request was made. What came in
// answer to an older one may have been written under another merger.
func (e *Engine) Current(p *Pull) bool {
	known := 0
	for _, d := range e.domains {
		if d.mergerName() != "" {
			known++
		}
	}
	return known == len(p.Mergers)
}

// Serve takes a peer's request. It returns the frame of the log from which on entries
// are to be sent; ok is false if there is nothing that the peer lacks. advanced says
// that the peer acknowledged more than before.
func (e *Engine) Serve(p Pull) (frame int64, ok, advanced bool, err error) {
	if p.From.Region == e.cfg.Origin.Region {
		return 0, false, false, fmt.Errorf("replog: a peer names itself %v, which is this region; give each region a name of its own", p.From)
	}
	for name, d := range e.domains {
		if ours, theirs := d.mergerName(), p.Mergers[name]; ours != "" && theirs != "" && ours != theirs {
			return 0, false, false, fmt.Errorf("%w: %q is %q here and %q in %s", fieldwise.ErrMergerMismatch, name, ours, theirs, p.From.Region)
		}
	}
	if have, want := e.vector[e.cfg.Origin], p.Vector[e.cfg.Origin]; want > have {
		return 0, false, false, fmt.Errorf("%w: %v ends at %d here, %s has it up to %d", ErrLogRegressed, e.cfg.Origin, have, p.From.Region, want)
	}
	known := e.peers[p.From.Region]
	if known == nil {
		known = &peer{}
		e.peers[p.From.Region] = known
	}
	advanced = !known.acked.Covers(p.Vector)
	known.acked = maps.Clone(p.Vector)
	for o, seq := range e.vector {
		if seq <= p.Vector[o] || leaveOut(p.Stopped, o) {
			continue
		}
		if at := e.index[o][p.Vector[o]].frame; !ok || at < frame {
			frame, ok = at, true
		}
	}
	return frame, ok, advanced, nil
}

func leaveOut(stopped []fieldwise.Origin, o fieldwise.Origin) bool {
	for _, s := range stopped {
		if s == o {
			return true
		}
	}
	return false
}

// Lacks reports whether the peer that made the request is to be sent the entry.
func (p *Pull) Lacks(e *Entry) bool {
	return e.Seq > p.Vector[e.Origin] && !leaveOut(p.Stopped, e.Origin)
}

// Delivered is what became of entries from a peer.
type Delivered struct {
	Want   fieldwise.Vector // covered once all that was taken is durable
	Alarms []error          // origins that were stopped, timestamps from the future
}

// Deliver stages entries that came from a peer, in the order in which the peer's log
// has them. What is here already is passed over. An entry that cannot be applied stops
// its origin here by name, with everything of that origin behind it, and the others
// flow on. What was taken before an error stays staged.
func (e *Engine) Deliver(now time.Time, bodies [][]byte) (Delivered, error) {
	e.now = now
	d := Delivered{Want: make(fieldwise.Vector)}
	for _, body := range bodies {
		entry, err := ParseEntry(body)
		if err != nil {
			return d, err
		}
		if e.stopped[entry.Origin] != nil {
			continue
		}
		if entry.Seq <= e.staged[entry.Origin] {
			d.Want[entry.Origin] = max(d.Want[entry.Origin], entry.Seq)
			continue
		}
		if entry.Origin == e.cfg.Origin {
			return d, fmt.Errorf("%w: %v ends at %d here, a peer sent %d", ErrLogRegressed, entry.Origin, e.staged[entry.Origin], entry.Seq)
		}
		if want := e.staged[entry.Origin] + 1; entry.Seq != want {
			return d, fmt.Errorf("%w: %v/%d came where %d is next", ErrGap, entry.Origin, entry.Seq, want)
		}
		if err := e.deliver(entry); err != nil {
			err = fmt.Errorf("%v is stopped at entry %d of domain %q: %w", entry.Origin, entry.Seq, entry.Domain, err)
			e.stopped[entry.Origin] = err
			d.Alarms = append(d.Alarms, err)
			continue
		}
		if err := e.clock.Observe(entry.Time); err != nil {
			e.skewed++
			d.Alarms = append(d.Alarms, fmt.Errorf("%v/%d: %w", entry.Origin, entry.Seq, err))
		}
		d.Want[entry.Origin] = entry.Seq
	}
	return d, nil
}

func (e *Engine) deliver(entry Entry) error {
	if err := entry.check(); err != nil {
		return err
	}
	d := e.domain(entry.Domain)
	if d.merger == nil {
		return e.stage(entry, partHeld, State{}, nil)
	}
	conflicts, joined, err := d.join(d.current(entry.Key), &entry, true)
	if err != nil {
		return err
	}
	return e.stage(entry, partEntry, joined, conflicts)
}

// Acked is what the replica of a region has acknowledged, nil if it never asked.
func (e *Engine) Acked(r fieldwise.Region) fieldwise.Vector {
	if p := e.peers[r]; p != nil {
		return p.acked
	}
	return nil
}
