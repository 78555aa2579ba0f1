package fieldmerge

import (
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Open implements [fieldwise.Opener]: sets, and lists that are not of objects with keys, are
// kept open. An update of such a record costs what it changes if it adds elements to CRDT sets,
// removes some, or concerns other fields, and if all that is large in the record is CRDT sets
// of the schema; a patch and a delete do whatever is large. All else takes the whole record.
func (m Merger) Open(state []byte, from int) (fieldwise.Opened, error) {
	r, err := cutRecord(state)
	if err != nil || !r.live() {
		return nil, err
	}
	open, err := lattice.OpenFields(r.rest, from)
	if open == nil || err != nil {
		return nil, err
	}
	return &opened{merger: m, from: from, life: r.life, open: open}, nil
}

// opened is a record that is kept open.
type opened struct {
	merger Merger
	from   int
	life   uint64
	open   *lattice.Open // nil where nothing is large
	rest   []byte        // then: what is behind the life
}

// Merge implements [fieldwise.Opened].
func (o *opened) Merge(delta []byte) error {
	r, err := cutRecord(delta)
	switch {
	case err != nil:
		return err
	case r.life < o.life:
		return nil
	case r.life > o.life:
		o.life = r.life
		return o.become(slices.Clone(r.rest))
	case o.open != nil:
		return o.open.Merge(r.rest)
	}
	join := lattice.JoinSeen
	if r.live() {
		join = lattice.JoinFields
	}
	rest, err := join(nil, o.rest, r.rest)
	if err != nil {
		return err
	}
	return o.become(rest)
}

// become gives the record other fields or, where it is deleted, another context.
func (o *opened) become(rest []byte) (err error) {
	o.open, o.rest = nil, rest
	if o.isLive() {
		if o.open, err = lattice.OpenFields(rest, o.from); o.open != nil {
			o.rest = nil
		}
	}
	return err
}

func (o *opened) isLive() bool { return o.life%2 == 1 }

// Clone implements [fieldwise.Opened].
func (o *opened) Clone() fieldwise.Opened {
	c := *o
	if o.open != nil {
		c.open = o.open.Clone()
	}
	return &c
}

// AppendState implements [fieldwise.Opened].
func (o *opened) AppendState(dst []byte) []byte {
	dst = wire.AppendUint(dst, o.life)
	if o.open != nil {
		return o.open.AppendState(dst)
	}
	return append(dst, o.rest...)
}

// Size implements [fieldwise.Opened].
func (o *opened) Size() int {
	n := len(o.rest)
	if o.open != nil {
		n = o.open.Size()
	}
	return len(wire.AppendUint(make([]byte, 0, 9), o.life)) + n
}

// Live implements [fieldwise.Opened].
func (o *opened) Live() bool { return o.isLive() }

// Conflicts implements [fieldwise.Opened]. What elements large sets and lists have makes no
// difference to whether there are any, but is what some reports quote.
func (o *opened) Conflicts(dst []fieldwise.Conflict, delta []byte) ([]fieldwise.Conflict, error) {
	r, err := cutRecord(delta)
	if err != nil {
		return nil, err
	}
	if o.open != nil && r.life == o.life {
		part := o.open.AppendPart(wire.AppendUint(nil, o.life), noElements)
		if found, err := o.merger.Conflicts(nil, part, delta); err != nil || len(found) == 0 {
			return dst, err
		}
	}
	return o.merger.Conflicts(dst, o.AppendState(nil), delta)
}

func noElements([]byte, lattice.Kind) [][]byte { return nil }

// record is the record taken apart; where something is large, with a part of that.
func (o *opened) record() record {
	if o.open == nil {
		return record{life: o.life, rest: o.rest}
	}
	return record{life: o.life, rest: o.open.AppendPart(nil, noElements), large: o.open}
}

// whole is the record with all elements of what is large in it.
func (r record) whole() record {
	if r.large != nil {
		r.rest, r.large = r.large.AppendState(nil), nil
	}
	return r
}

// largeField returns a field of which the record has a part; nil where it has all of it.
func (r record) largeField(path string, k lattice.Kind) *lattice.Large {
	if r.large == nil {
		return nil
	}
	all := r.large.Large()
	i := slices.IndexFunc(all, func(l lattice.Large) bool { return l.Kind() == k && string(l.Name()) == path })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// forUpdate returns the record with what an update of it needs: with the elements that are
// added and removed of what is large, or with all where it is about more than that.
func (r record) forUpdate(u update) (with record, enough bool) {
	if r.large == nil {
		return r, true
	}
	elements := make(map[string][][]byte)
	for _, l := range r.large.Large() {
		path := string(l.Name())
		for changed, val := range u.changes {
			switch {
			case isBelow(changed, path), isBelow(path, changed):
				return r, false
			case changed != path:
				continue
			case val == nil || len(u.intents[path]) == 0 || l.Kind() != lattice.KindSet:
				return r, false
			}
			for _, in := range u.intents[path] {
				if in.Op != lattice.OpAdd && in.Op != lattice.OpRemove {
					return r, false
				}
				elements[path] = append(elements[path], in.Element)
			}
		}
	}
	if len(elements) > 0 {
		r.rest = r.large.AppendPart(nil, func(name []byte, _ lattice.Kind) [][]byte { return elements[string(name)] })
	}
	return r, true
}

// holds reports whether a plan has CRDT sets for all that is large in a record, so that a
// program can be given it without its elements.
func (p *plan) holds(rec record) bool {
	if rec.large == nil {
		return true
	}
	for _, l := range rec.large.Large() {
		t, err := p.find(string(l.Name()))
		if err != nil || l.Kind() != lattice.KindSet {
			return false
		}
		leaf, ok := t.node.(*leaf)
		if !ok || !leaf.held || leaf.register != lattice.KindSet {
			return false
		}
	}
	return true
}
