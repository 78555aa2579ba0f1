package engine

import (
	"container/list"

	"github.com/fieldwise/fieldwise"
)

// State is what is known of a record: bytes, of which there are none if nothing is, or a
// record that its merger keeps open. An open record never changes: it is cloned before
// anything is merged into it.
type State struct {
	Bytes []byte
	Open  fieldwise.Opened
}

// IsZero reports whether nothing is known of the record.
func (s State) IsZero() bool { return len(s.Bytes) == 0 && s.Open == nil }

// Size is the number of bytes of the state.
func (s State) Size() int {
	if s.Open != nil {
		return s.Open.Size()
	}
	return len(s.Bytes)
}

// bytes are those of the state, which must neither be changed nor kept.
func (s State) bytes() []byte {
	if s.Open != nil {
		return s.Open.AppendState(nil)
	}
	return s.Bytes
}

// Append appends the bytes of the state.
func (s State) Append(dst []byte) []byte {
	if s.Open != nil {
		return s.Open.AppendState(dst)
	}
	return append(dst, s.Bytes...)
}

// joinInto joins a delta that was checked into a state that is not empty. A record that
// shrinks to less than half of openFrom is bytes again, so that one at the border does not go
// to and fro.
func (d *domain) joinInto(s State, delta []byte) (State, error) {
	if s.Open == nil && d.opener != nil && len(s.Bytes) >= d.openFrom {
		open, err := d.opener.Open(s.Bytes, d.openFrom)
		if err != nil {
			return State{}, err
		}
		s.Open = open
	}
	if s.Open == nil {
		joined, err := d.merger.Merge(nil, s.Bytes, delta)
		return State{Bytes: joined}, err
	}
	open := s.Open.Clone()
	if err := open.Merge(delta); err != nil {
		return State{}, err
	}
	if open.Size() < d.openFrom/2 {
		return State{Bytes: open.AppendState(nil)}, nil
	}
	return State{Open: open}, nil
}

func (d *domain) conflicts(s State, delta []byte) ([]fieldwise.Conflict, error) {
	switch {
	case s.Open != nil:
		return s.Open.Conflicts(nil, delta)
	case d.reporter != nil:
		return d.reporter.Conflicts(nil, s.Bytes, delta)
	}
	return nil, nil
}

// openRecords are the committed records of all domains that are kept open. They take several
// times the memory of their bytes, so those that were written longest ago are closed.
type openRecords struct {
	max   int // bytes of states
	bytes int
	last  list.List // of *openRecord, the newest first
}

type openRecord struct {
	domain *domain
	key    string
	open   fieldwise.Opened
	size   int
}

// put publishes an open record, and closes others if they are too many then.
func (o *openRecords) put(d *domain, key string, open fieldwise.Opened) {
	at := d.open[key]
	if at == nil {
		at = o.last.PushFront(&openRecord{domain: d, key: key})
		d.open[key] = at
	} else {
		o.last.MoveToFront(at)
	}
	r := at.Value.(*openRecord)
	o.bytes += open.Size() - r.size
	r.open, r.size = open, open.Size()
	for o.bytes > o.max && o.last.Len() > 1 {
		oldest := o.last.Back().Value.(*openRecord)
		o.remove(oldest.domain, oldest.key)
		oldest.domain.committed.put(oldest.key, oldest.open.AppendState(nil))
	}
}

// remove forgets an open record, if it is one.
func (o *openRecords) remove(d *domain, key string) {
	if at := d.open[key]; at != nil {
		o.bytes -= at.Value.(*openRecord).size
		o.last.Remove(at)
		delete(d.open, key)
	}
}

// removeAll forgets the open records of a domain.
func (o *openRecords) removeAll(d *domain) {
	for key := range d.open {
		o.remove(d, key)
	}
}
