package lattice

import (
	"fmt"
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Delta makes the delta of one write: what it sets at its own origin, and the marks
// for what it supersedes. [NewDelta] is the only way to make one.
type Delta struct {
	at      fieldwise.Version
	table   Table // of the state; the writer stands at self, among its origins or between them
	origins int   // of the state and the writer
	self    int
	moved   bool // the writer is new to the state: indices from self on are one higher
	used    usage

	known   []fieldwise.Timestamp // per origin, what the writer knew of; nil: all of it
	created bool
}

// NewDelta begins a write at version at, made where the state has the table t, which it keeps.
func NewDelta(t Table, at fieldwise.Version) (Delta, error) {
	if err := at.Origin.Region.Validate(); err != nil {
		return Delta{}, err
	}
	d := Delta{at: at, table: t, moved: true}
	for rest := t; ; d.origins++ {
		e, after, ok := rest.cut()
		if !ok {
			break
		}
		switch c := e.compareOrigin(at.Origin); {
		case c < 0:
			d.self = d.origins + 1
		case c == 0:
			d.self, d.moved = d.origins, false
		}
		rest = after
	}
	if d.moved {
		if d.origins >= MaxOrigins {
			return Delta{}, &fieldwise.LimitError{Limit: "origins of a record", Got: d.origins + 1, Max: MaxOrigins}
		}
		d.origins++
	}
	d.used = newUsage(d.origins)
	return d, nil
}

// Knowing limits what the write knows of to what the context says, per origin the
// highest timestamp: what is current and newer stays beside what the write sets.
func (d *Delta) Knowing(context map[fieldwise.Origin]fieldwise.Timestamp) {
	d.known = make([]fieldwise.Timestamp, d.origins)
	d.known[d.self] = context[d.at.Origin]
	for i, o := range d.table.Origins() {
		d.known[d.index(i)] = context[o]
	}
}

// Creating says that the write creates the record.
func (d *Delta) Creating() { d.created = true }

// knows reports whether the write knows of an item of the origin with index i.
func (d *Delta) knows(i int, t fieldwise.Timestamp) bool { return d.known == nil || t <= d.known[i] }

func (d *Delta) index(i int) int {
	if d.moved && i >= d.self {
		return i + 1
	}
	return i
}

// above refuses a write that its own origin's earlier one at t would hide.
func (d *Delta) above(t fieldwise.Timestamp) error {
	if d.at.Time <= t {
		return fmt.Errorf("%w: %v is not above %v", fieldwise.ErrStaleVersion, d.at, t)
	}
	return nil
}

// AppendWrite appends the register of a delta that replaces all current values of
// register, which may be empty, that the write knows of by an encoded value.
func (d *Delta) AppendWrite(dst, register, value []byte) ([]byte, error) {
	dst = slices.Grow(dst, len(register)+len(value)+1+timeLen)
	own := Item{Index: d.self, Time: d.at.Time, Created: d.created, Value: value}
	d.used.add(d.self)
	written := false
	for len(register) > 0 {
		it, rest, ok := CutItem(register)
		if !ok {
			return nil, malformed("register ends inside an item")
		}
		register = rest
		it.Index = d.index(it.Index)
		if !written && it.Index >= d.self {
			dst, written = AppendItem(dst, own), true
		}
		switch {
		case it.Index >= d.origins:
			return nil, malformed("item outside the origin table")
		case it.Index == d.self:
			if err := d.above(it.Time); err != nil {
				return nil, err
			}
		case !it.Superseded && d.knows(it.Index, it.Time):
			d.used.add(it.Index)
			dst = AppendItem(dst, Item{Index: it.Index, Time: it.Time, Superseded: true})
		}
	}
	if !written {
		dst = AppendItem(dst, own)
	}
	return dst, nil
}

// finish appends the table of the origins in use and the body as it reads under it.
func (d *Delta) finish(dst []byte, kind body, b []byte) []byte {
	dst = slices.Grow(dst, len(b)+len(d.table)+binLen(len(d.table))+32)
	all := d.used.all(d.origins)
	if all && !d.moved {
		return append(wire.AppendBin(dst, d.table), b...)
	}
	var few [64]uint32
	to := renumbering(few[:])
	if d.origins > len(few) {
		to = make(renumbering, d.origins)
	}
	dst, start := BeginBin(dst)
	rest, next := d.table, uint32(0)
	for i := range d.origins {
		var e entry
		if i != d.self || !d.moved {
			e, rest, _ = rest.cut()
		}
		if !d.used.has(i) {
			continue
		}
		if e == nil {
			dst = appendEntry(dst, d.at.Origin)
		} else {
			dst = append(dst, e...)
		}
		to[i] = next
		next++
	}
	dst = EndBin(dst, start)
	if all {
		return append(dst, b...)
	}
	dst, _ = kind.renumber(dst, b, to) // this Delta wrote b itself
	return dst
}

// AppendFields appends table and fields of a delta; the fields are sorted in place.
func (d *Delta) AppendFields(dst []byte, fs []Field) []byte {
	sortFields(fs)
	var few [256]byte
	b := few[:0]
	for _, f := range fs {
		b = AppendField(b, f)
	}
	return d.finish(dst, fields, b)
}
