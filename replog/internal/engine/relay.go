package engine

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/fieldwise/fieldwise"
)

// DefaultRelayAfter is how long a replica waits for an entry to come from its own region
// before it asks another that has it.
const DefaultRelayAfter = time.Second

// Part is a piece of a shipment: the body of an entry, or, without one, a marker. A marker
// stands for the entries From to To (both included) of an origin, whose bodies were left out:
// what follows may be taken once those are here. One whose From is zero stands for no entries:
// the sender has those of the origin up to To, fewer than who asked for the shipment, with
// that chain. If it has others than the receiver, all that follows may rest on those.
type Part struct {
	Body     []byte
	Origin   fieldwise.Origin
	From, To fieldwise.Seq
	Chain    uint64 // at To, where From is zero
}

// Traffic counts entries that cross a link with their bodies.
type Traffic struct {
	Entries    int64
	Bytes      int64 // of bodies
	Relayed    int64 // entries of other regions than the one that sent them
	Duplicates int64 // received entries that were here already
}

func (t *Traffic) add(o Traffic) {
	t.Entries += o.Entries
	t.Bytes += o.Bytes
	t.Relayed += o.Relayed
	t.Duplicates += o.Duplicates
}

// Shipment is the answer to a request: what the peer lacks, in the order of this log.
// Engine.Ship makes one.
type Shipment struct {
	Parts   []Part
	Traffic Traffic
	Skipped int64 // bytes of the bodies that were left out

	request *Pull
}

// Ship begins the answer to a request that Serve took.
func (e *Engine) Ship(p *Pull) *Shipment {
	s := &Shipment{request: p}
	for o, theirs := range p.Vector {
		if ours := e.vector[o]; ours > 0 && ours < theirs {
			chain, _ := e.chain(o, ours)
			s.Parts = append(s.Parts, Part{Origin: o, To: ours, Chain: chain})
		}
	}
	slices.SortFunc(s.Parts, func(a, b Part) int { return a.Origin.Compare(b.Origin) })
	return s
}

// Empty reports whether there is nothing in the shipment that the peer lacks.
func (s *Shipment) Empty() bool { return s.Traffic.Entries == 0 && s.Skipped == 0 }

// Add takes in the next entry of the log, which is passed over if the peer has it. Between
// two bodies there is one marker an origin, whatever the order of what it stands for: all of
// it has to be there before the body behind it.
func (s *Shipment) Add(e *Entry, body []byte) {
	p := s.request
	if !p.lacks(e) {
		return
	}
	if e.Origin.Region == p.To || slices.Contains(p.Relay, e.Origin) {
		s.Parts = append(s.Parts, Part{Body: bytes.Clone(body)})
		s.Traffic.Entries++
		s.Traffic.Bytes += int64(len(body))
		if e.Origin.Region != p.To {
			s.Traffic.Relayed++
		}
		return
	}
	s.Skipped += int64(len(body))
	for i := len(s.Parts) - 1; i >= 0 && s.Parts[i].Body == nil; i-- {
		if s.Parts[i].Origin == e.Origin {
			s.Parts[i].To = e.Seq
			return
		}
	}
	s.Parts = append(s.Parts, Part{Origin: e.Origin, From: e.Seq, To: e.Seq})
}

// relays says which peers are asked for the bodies of origins, since their regions do not send
// them.
//
// Streams of regions that send their own entries never wait for each other in a circle, since
// all that stands in front of a write in its writer's log came before it. Nor do they together
// with one relay, whose log has all causes in front of their effects. But two relays may have
// entries of one another's origins in different order. So one is preferred: others wait for
// RelayAfter until they are asked, and take all that a relay has which waits itself.
type relays struct {
	via   map[fieldwise.Origin]fieldwise.Region
	last  fieldwise.Region // that was asked for the bodies of another origin,
	since time.Time        // at this time
}

func (r *relays) add(o fieldwise.Origin, from fieldwise.Region, at time.Time) {
	r.via[o], r.last, r.since = from, from, at
}

// others reports whether a region other than the one given is asked to relay.
func (r *relays) others(from fieldwise.Region) bool {
	for _, via := range r.via {
		if via != from {
			return true
		}
	}
	return false
}

// Link says that this replica pulls from the region: entries of the region are expected from
// there, whoever relayed them up to now. Each call is taken back by Unlink.
func (e *Engine) Link(region fieldwise.Region) {
	e.peer(region).links++
	maps.DeleteFunc(e.relays.via, func(o fieldwise.Origin, _ fieldwise.Region) bool { return o.Region == region })
}

// Unlink says that the region is no longer pulled from, or does not answer: its entries are
// asked of others at once.
func (e *Engine) Unlink(region fieldwise.Region) {
	p := e.peer(region)
	if p.links--; p.links > 0 {
		return
	}
	p.rest, p.want = nil, nil
	maps.DeleteFunc(e.relays.via, func(_ fieldwise.Origin, via fieldwise.Region) bool { return via == region })
}

func (e *Engine) linked(region fieldwise.Region) bool {
	p := e.peers[region]
	return p != nil && p.links > 0
}

// peer returns what is known of a region, which it begins if needed.
func (e *Engine) peer(region fieldwise.Region) *peer {
	p := e.peers[region]
	if p == nil {
		p = &peer{}
		e.peers[region] = p
	}
	return p
}

// Ready reports whether the region is to be asked for more: all that came from it is taken
// and durable, or what came waits behind a marker for so long that the entries which the
// marker stands for are to be asked for. If that is still to come, due says when; what came
// is taken as far as possible by Resume before. The time is that of a clock that never jumps,
// unlike those that make timestamps.
//
// A marker is waited for as long as entries that it stands for, or that others beside it stand
// for, keep coming in: then their regions are well, and have more to send.
func (e *Engine) Ready(at time.Time, from fieldwise.Region) (ok bool, due time.Time) {
	p := e.peer(from)
	if !e.vector.Covers(p.want) {
		return false, time.Time{}
	}
	if len(p.rest) == 0 {
		return true, time.Time{}
	}
	var level fieldwise.Seq
	for o := range e.waitsFor(p) {
		level += e.staged[o] + 1
	}
	if p.since.IsZero() || p.level != level {
		p.level, p.since = level, at
	}
	for o := range e.waitsFor(p) {
		if t := e.relayAt(from, o); due.IsZero() || t.Before(due) {
			due = t
		}
	}
	return !due.IsZero() && !at.Before(due), due
}

// waitsFor yields the origins that stand, with entries that are not here, in front of the
// first body that came from the peer and waits.
func (e *Engine) waitsFor(p *peer) iter.Seq[fieldwise.Origin] {
	return func(yield func(fieldwise.Origin) bool) {
		for _, part := range p.rest {
			if part.Body != nil || !e.covers(part) && !yield(part.Origin) {
				return
			}
		}
	}
}

// covers reports whether what is behind the marker may be taken. An origin that is stopped
// here stops nobody else.
func (e *Engine) covers(marker Part) bool {
	return marker.To <= e.staged[marker.Origin] || e.stopped[marker.Origin] != nil
}

// relayAt is when the region is to be asked for the bodies of an origin that what came from
// it waits for.
func (e *Engine) relayAt(from fieldwise.Region, o fieldwise.Origin) time.Time {
	since := e.peer(from).since
	switch via, relayed := e.relays.via[o]; {
	case relayed && via == from:
		return since // what came answers an older request
	case e.relays.last != from && e.relays.others(from):
		if e.relays.since.After(since) {
			since = e.relays.since
		}
	case !relayed && !e.linked(o.Region):
		return since
	}
	return since.Add(e.cfg.RelayAfter)
}

// relayed lists the origins whose bodies the region is asked for, after those have been added
// that are due.
func (e *Engine) relayed(at time.Time, from fieldwise.Region) []fieldwise.Origin {
	if ok, _ := e.Ready(at, from); ok {
		var due []fieldwise.Origin
		for o := range e.waitsFor(e.peer(from)) {
			if !at.Before(e.relayAt(from, o)) {
				due = append(due, o)
			}
		}
		for _, o := range due {
			via, relayed := e.relays.via[o]
			e.relays.add(o, from, at)
			if !relayed || via == from || len(e.peer(via).rest) == 0 {
				continue
			}
			for other, v := range e.relays.via { // the two wait for each other
				if v == via {
					e.relays.add(other, from, at)
				}
			}
		}
	}
	var all []fieldwise.Origin
	for o, via := range e.relays.via {
		if via == from {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, fieldwise.Origin.Compare)
	return all
}

// Resume goes on with what came from the region and waits behind markers, as far as they are
// covered by now.
func (e *Engine) Resume(now time.Time, from fieldwise.Region) (Delivered, error) {
	return e.take(now, from, e.peer(from).rest)
}

// Waits reports whether anything that came waits behind a marker: the host lets it resume
// when more is staged.
func (e *Engine) Waits() bool {
	for _, p := range e.peers {
		if len(p.rest) > 0 {
			return true
		}
	}
	return false
}

// Sent counts what is sent to the region.
func (e *Engine) Sent(to fieldwise.Region, t Traffic) { e.peer(to).sent.add(t) }

// takeMarker holds a marker against what is staged, and reports whether what is behind it
// waits.
func (e *Engine) takeMarker(from fieldwise.Region, m Part) (waits bool, err error) {
	switch {
	case m.To < max(m.From, 1):
		return false, fmt.Errorf("%w: marker of %v from %d to %d", fieldwise.ErrMalformed, m.Origin, m.From, m.To)
	case m.From == 0:
		if m.To <= e.staged[m.Origin] && e.isAnother(m.Origin, m.To, m.Chain) {
			return false, e.forked(m.Origin, m.To, string(from))
		}
		return false, nil
	case e.covers(m):
		return false, nil
	}
	if m.Origin == e.identity.Origin {
		if err := e.exceeded(m.To, "a peer"); err != nil {
			return false, err
		}
	}
	if next := e.staged[m.Origin] + 1; m.From > next {
		return false, fmt.Errorf("%w: entries of %v from %d on are left out where %d is next", ErrGap, m.Origin, m.From, next)
	}
	return true, nil
}
