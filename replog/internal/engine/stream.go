package engine

import (
	"fmt"
	"time"

	"github.com/fieldwise/fieldwise"
)

// Pull is what a replica asks of a peer: everything that its vector does not cover, with the
// bodies of the peer's own region and of the origins that it is to relay. What else there is
// comes from its own region, and is marked in the answer. Asking acknowledges what the vector
// covers, since a vector counts what is durable.
type Pull struct {
	From    fieldwise.Origin
	Opening uint64 // of the log that asks
	To      fieldwise.Region
	Vector  fieldwise.Vector            // but for what is below the floors
	Floors  map[fieldwise.Region]Floor  // in place of incarnations that both hold
	Chains  map[fieldwise.Origin]uint64 // at the ends that Vector names
	Relay   []fieldwise.Origin          // of other regions, whose bodies are to be sent too
	Stopped []fieldwise.Origin          // what to leave out: it could not be applied here
	Mergers map[string]string           // name of the merger by domain, where one is known

	Snapshot bool // rather than entries, if anything is lacking

	asked opening // by To, before the request was made
}

// peer is what is known of another region's replica.
type peer struct {
	acked  fieldwise.Vector // nil: it never asked
	links  int              // over which it is pulled from
	unfold bool             // it is to be asked without floors

	// What came from it and waits: rest begins with a marker that is not covered.
	rest  []Part
	want  fieldwise.Vector // to be durable before it is asked again
	since time.Time        // since when the marker waits and nothing that it waits for came in
	level fieldwise.Seq    // how much of that was here then

	sent, received Traffic
}

// NextPull returns the request that this replica makes of a region now. What came from it and
// waits is dropped: it comes again, behind what it waited for. See Ready for when to ask, and
// for the time.
func (e *Engine) NextPull(at time.Time, to fieldwise.Region) Pull {
	p := Pull{
		From: e.identity.Origin, Opening: e.cfg.Opening, To: to, Vector: e.vector.Clone(), Relay: e.relayed(at, to),
		Floors: make(map[fieldwise.Region]Floor), Chains: make(map[fieldwise.Origin]uint64), Mergers: make(map[string]string), asked: e.identity.asked[to],
	}
	e.peer(to).rest, e.peer(to).want = nil, nil
	e.fold(&p)
	for o, seq := range p.Vector {
		p.Chains[o], _ = e.chain(o, seq)
	}
	p.Snapshot = e.cfg.Bootstrap
	for o := range e.vector { // while one is staged, entries would come that it has
		p.Snapshot = p.Snapshot && o.Region == e.cfg.Origin.Region
	}
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

// Current reports whether what a region sent in answer to a request may be taken in. The
// request was made by this process, and no domain was opened since: what came in answer to an
// older one may have been written under another merger. And the region's log was not opened
// again since, as far as its questions tell: what its earlier process sent, it may have lost.
func (e *Engine) Current(p *Pull) bool {
	if p.Opening != e.cfg.Opening || p.asked != e.identity.asked[p.To] {
		return false
	}
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
// that the peer acknowledged more than before. ErrForked says that the two hold different
// entries under one origin and number: nothing is sent, since what stands behind would hide it.
// ErrFloor is to be told to the peer, for its Unfold.
// ErrBehind says that the peer lacks what this log does not hold any more: see Snapshot.
func (e *Engine) Serve(p Pull) (frame int64, ok, advanced bool, err error) {
	holds, advanced, err := e.admit(&p)
	if err != nil || holds == nil {
		return 0, false, advanced, err
	}
	if o, ok := e.behind(holds, p.Stopped); ok {
		return 0, false, advanced, fmt.Errorf("%w: %s has %v up to %d, here they begin behind %d", ErrBehind, p.From.Region, o, holds[o], e.index[o].base.seq)
	}
	for o, seq := range e.vector {
		if seq <= holds[o] || leaveOut(p.Stopped, o) {
			continue
		}
		if at := e.index[o].at(holds[o] + 1).frame; !ok || at < frame {
			frame, ok = at, true
		}
	}
	if ok && p.Snapshot {
		return 0, false, advanced, fmt.Errorf("%w: %s asks for one", ErrBehind, p.From.Region)
	}
	return frame, ok, advanced, nil
}

// admit takes a peer's request, and returns what the peer holds if the request may be answered. If
// not, and there is no error, it is to be made again.
func (e *Engine) admit(p *Pull) (holds fieldwise.Vector, advanced bool, err error) {
	if p.From.Region == e.cfg.Origin.Region {
		return nil, false, fmt.Errorf("replog: a peer names itself %v, which is this region; give each region a name of its own", p.From)
	}
	if p.To != e.cfg.Origin.Region {
		return nil, false, fmt.Errorf("replog: %v asks for region %q, this is %v", p.From, p.To, e.identity.Origin)
	}
	if e.err != nil {
		return nil, false, e.err
	}
	for name, d := range e.domains {
		if ours, theirs := d.mergerName(), p.Mergers[name]; ours != "" && theirs != "" && ours != theirs {
			return nil, false, fmt.Errorf("%w: %q is %q here and %q in %s", fieldwise.ErrMergerMismatch, name, ours, theirs, p.From.Region)
		}
	}
	own := e.identity.Origin
	if seq := p.Vector[own]; seq > e.vector[own] {
		if e.identity.Standing != Waiting && !e.evidence(p) {
			return nil, false, nil
		}
		if err := e.exceeded(seq, string(p.From.Region)); err != nil {
			return nil, false, err
		}
	}
	if o, ok := e.differs(p); ok {
		if o == own && !e.evidence(p) {
			return nil, false, nil
		}
		return nil, false, e.forked(o, p.Vector[o], string(p.From.Region))
	}
	holds, err = e.unfold(p)
	if err != nil {
		return nil, false, err
	}
	known := e.peer(p.From.Region)
	advanced = !known.acked.Covers(holds)
	known.acked, known.unfold = holds, false
	return holds, advanced, nil
}

func leaveOut(stopped []fieldwise.Origin, o fieldwise.Origin) bool {
	for _, s := range stopped {
		if s == o {
			return true
		}
	}
	return false
}

// lacks reports whether the peer that made the request is to be told of the entry.
func (p *Pull) lacks(e *Entry) bool {
	return e.Seq > p.Vector[e.Origin] && !p.folded(e.Origin) && !leaveOut(p.Stopped, e.Origin)
}

// Delivered is what became of entries from a peer.
type Delivered struct {
	Want   fieldwise.Vector // covered once all that was taken since the last request is durable
	Alarms []error          // origins that were stopped, timestamps from the future
}

// Deliver stages what came from a region, in the order of its log, up to the first marker
// that what is staged here does not cover; the rest waits for Resume. What is here already is
// passed over. An entry that cannot be applied stops its origin here by name, with everything
// of that origin behind it, and the others flow on. What was taken before an error stays
// staged, and what is behind it is dropped.
func (e *Engine) Deliver(now time.Time, from fieldwise.Region, parts []Part) (Delivered, error) {
	received := &e.peer(from).received
	for _, part := range parts {
		if part.Body != nil {
			received.Entries++
			received.Bytes += int64(len(part.Body))
		}
	}
	return e.take(now, from, parts)
}

func (e *Engine) take(now time.Time, from fieldwise.Region, parts []Part) (Delivered, error) {
	if e.err != nil {
		return Delivered{}, e.err
	}
	e.now = now
	p := e.peer(from)
	p.rest = nil
	if p.want == nil {
		p.want = make(fieldwise.Vector)
	}
	d := Delivered{Want: make(fieldwise.Vector)}
	defer func() {
		for o, seq := range d.Want {
			p.want[o] = max(p.want[o], seq)
		}
	}()
	for i, part := range parts {
		if part.Body == nil {
			waits, err := e.takeMarker(from, part)
			if waits {
				p.rest = parts[i:]
			}
			if waits || err != nil {
				return d, err
			}
			if part.From > 0 && e.stopped[part.Origin] == nil {
				d.Want[part.Origin] = max(d.Want[part.Origin], part.To)
			}
			continue
		}
		entry, err := ParseEntry(part.Body)
		if err != nil {
			return d, err
		}
		if entry.Origin.Region != from {
			p.received.Relayed++
		}
		if e.stopped[entry.Origin] != nil {
			continue
		}
		if entry.Seq <= e.staged[entry.Origin] {
			if !e.same(entry.Origin, entry.Seq, part.Body) {
				return d, e.forked(entry.Origin, entry.Seq, "what a peer sent")
			}
			p.received.Duplicates++
			d.Want[entry.Origin] = max(d.Want[entry.Origin], entry.Seq)
			continue
		}
		if entry.Origin == e.identity.Origin {
			if err := e.exceeded(entry.Seq, "what a peer sent"); err != nil {
				return d, err
			}
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
		if entry.Origin.Region == from {
			delete(e.relays.via, entry.Origin) // its region sends again what nobody else had sent
		}
	}
	p.since = time.Time{}
	return d, nil
}

func (e *Engine) deliver(entry Entry) error {
	if err := entry.Check(); err != nil {
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
