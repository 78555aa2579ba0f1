package lattice

import (
	"fmt"
	"slices"

	"github.com/fieldwise/fieldwise"
)

// Delta makes the delta of one write: what it sets at its own origin, and the marks
// for what it supersedes. [NewDelta] is the only way to make one.
type Delta struct {
	at      fieldwise.Version
	origins []fieldwise.Origin // of the state and the writer
	self    int
	moved   bool // the writer is new to the state: indices from self on are one higher
	used    usage

	known   []fieldwise.Timestamp // per origin, what the writer knew of; nil: all of it
	created bool
}

// NewDelta begins a write at version at, made where the state has the table t.
func NewDelta(t Table, at fieldwise.Version) (*Delta, error) {
	if err := at.Origin.Region.Validate(); err != nil {
		return nil, err
	}
	d := &Delta{at: at, origins: t.Origins()}
	self, found := slices.BinarySearchFunc(d.origins, at.Origin, fieldwise.Origin.Compare)
	if !found {
		if len(d.origins) >= MaxOrigins {
			return nil, &fieldwise.LimitError{Limit: "origins of a record", Got: len(d.origins) + 1, Max: MaxOrigins}
		}
		d.origins = slices.Insert(d.origins, self, at.Origin)
		d.moved = true
	}
	d.self, d.used = self, newUsage(len(d.origins))
	return d, nil
}

// Knowing limits what the write knows of to what the context says, per origin the
// highest timestamp: what is current and newer stays beside what the write sets.
func (d *Delta) Knowing(context map[fieldwise.Origin]fieldwise.Timestamp) {
	d.known = make([]fieldwise.Timestamp, len(d.origins))
	for i, o := range d.origins {
		d.known[i] = context[o]
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
		case it.Index >= len(d.origins):
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
	dst = slices.Grow(dst, len(b)+32*len(d.origins))
	if d.used.all(len(d.origins)) {
		return append(AppendTable(dst, d.origins), b...)
	}
	var kept []fieldwise.Origin
	to := make(renumbering, len(d.origins))
	for i, o := range d.origins {
		if d.used.has(i) {
			to[i] = uint32(len(kept))
			kept = append(kept, o)
		}
	}
	dst = AppendTable(dst, kept)
	dst, _ = kind.renumber(dst, b, to) // this Delta wrote b itself
	return dst
}

// AppendFields appends table and fields of a delta; the fields are sorted in place.
func (d *Delta) AppendFields(dst []byte, fs []Field) []byte {
	sortFields(fs)
	n := 0
	for _, f := range fs {
		n += len(f.Name) + len(f.Body) + 8
	}
	b := make([]byte, 0, n)
	for _, f := range fs {
		b = AppendField(b, f)
	}
	return d.finish(dst, fields, b)
}
