package engine

import (
	"slices"

	"github.com/fieldwise/fieldwise"
)

// mark is where an origin stands: what is known of its entries up to a number, whether or not
// a log holds them.
type mark struct {
	seq   fieldwise.Seq
	bytes int64               // of their bodies
	time  fieldwise.Timestamp // the highest of them
	chain uint64              // at seq
}

// history is what a log holds of an origin: the entries behind a base, without a gap. What is
// up to the base came in a snapshot of states, or was dropped from the log since. One rule goes
// for both: such entries count as durable and are in the states, and nothing else is known of
// them but the mark of the last one. A peer that lacks one of them takes a snapshot.
type history struct {
	base, end mark
	places    []place // of the entries behind base, up to end
}

// at returns where the entry with a number is, nil if this log does not hold it.
func (h *history) at(seq fieldwise.Seq) *place {
	if h == nil || seq <= h.base.seq || seq > h.end.seq {
		return nil
	}
	return &h.places[seq-h.base.seq-1]
}

// held lists the entries that the log holds.
func (h *history) held() []place {
	if h == nil {
		return nil
	}
	return h.places
}

// latest is the highest timestamp of the origin, zero if nothing of it is here.
func (h *history) latest() fieldwise.Timestamp {
	if h == nil {
		return 0
	}
	return h.end.time
}

// bytesUpTo counts the bytes of the entries up to a number that is not below the base.
func (h *history) bytesUpTo(seq fieldwise.Seq) int64 {
	if p := h.at(seq); p != nil {
		return p.bytes
	}
	return h.base.bytes
}

func (h *history) add(frame int64, entry *Entry, size int, chain uint64) {
	h.end = mark{seq: entry.Seq, bytes: h.end.bytes + int64(size), time: max(h.end.time, entry.Time), chain: chain}
	h.places = append(h.places, place{frame: frame, bytes: h.end.bytes, time: entry.Time, chain: chain})
}

// markAt is the mark of an entry that the log holds.
func (h *history) markAt(seq fieldwise.Seq) mark {
	m := h.base
	for _, p := range h.places[:seq-h.base.seq] {
		m = mark{seq: m.seq + 1, bytes: p.bytes, time: max(m.time, p.time), chain: p.chain}
	}
	return m
}

// raise makes a mark the base, if that is higher.
func (h *history) raise(to mark) {
	if to.seq <= h.base.seq {
		return
	}
	if to.seq >= h.end.seq {
		h.base, h.end, h.places = to, to, nil
		return
	}
	h.places = slices.Clone(h.places[to.seq-h.base.seq:])
	h.base = to
}

func (e *Engine) history(o fieldwise.Origin) *history {
	h := e.index[o]
	if h == nil {
		h = &history{}
		e.index[o] = h
	}
	return h
}

// raise makes a mark the base of an origin, if that is higher. What was not here up to there
// counts as durable from now on.
func (e *Engine) raise(o fieldwise.Origin, to mark) {
	h := e.history(o)
	before := h.end
	h.raise(to)
	e.vector[o] = h.end.seq
	e.bytes += h.end.bytes - before.bytes
}

// Forget says that the log need not hold what v covers any more. It is for this process: the
// log that is recovered holds what it holds.
func (e *Engine) Forget(v fieldwise.Vector) {
	for o, seq := range v {
		if h := e.index[o]; h != nil && seq > h.base.seq {
			h.raise(h.markAt(min(seq, h.end.seq)))
		}
	}
}

// behind returns the first origin of which a peer that holds so much lacks entries that this
// log no longer holds, if there is one.
func (e *Engine) behind(holds fieldwise.Vector, stopped []fieldwise.Origin) (found fieldwise.Origin, ok bool) {
	for o, h := range e.index {
		if holds[o] < h.base.seq && !leaveOut(stopped, o) && (!ok || o.Compare(found) < 0) {
			found, ok = o, true
		}
	}
	return found, ok
}
