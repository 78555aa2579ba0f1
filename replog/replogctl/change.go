package main

import (
	"encoding/json"
	"fmt"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// recordChange is what a delta does to a record of fields.
type recordChange struct {
	Life    uint64              `json:"life"` // odd: it is live; even: it is deleted
	Deleted bool                `json:"deleted,omitempty"`
	Saw     []fieldwise.Version `json:"saw,omitempty"`    // of a delete: the newest write of each origin that it knew of
	Fields  []fieldChange       `json:"fields,omitempty"` // by path
}

// fieldChange is what a delta does to one field.
type fieldChange struct {
	Path string `json:"path"`
	bodyChange
}

// bodyChange is what a delta does to a field, or to a record that is one. What the write itself did
// stands without a version: that is the entry's.
type bodyChange struct {
	Kind string `json:"kind"`

	// Of one value, max and min.
	Value      json.RawMessage     `json:"value,omitempty"`
	Unset      bool                `json:"unset,omitempty"` // also of sets and lists
	Created    bool                `json:"created,omitempty"`
	Supersedes []fieldwise.Version `json:"supersedes,omitempty"`
	Others     []otherValue        `json:"others,omitempty"` // that the delta carries along

	// Of counters.
	Counts []countChange `json:"counts,omitempty"`

	// Of sets, lists and flags.
	Adds    []json.RawMessage `json:"adds,omitempty"`
	Removes []removedElements `json:"removes,omitempty"`
}

// otherValue is a value of another write than the entry's.
type otherValue struct {
	By    fieldwise.Version `json:"by"`
	Value json.RawMessage   `json:"value,omitempty"`
	Unset bool              `json:"unset,omitempty"`
}

// countChange is what one origin has counted in all.
type countChange struct {
	Origin   fieldwise.Origin `json:"origin"`
	Up       uint64           `json:"up"`
	Down     uint64           `json:"down,omitempty"`
	BaseUp   uint64           `json:"baseUp,omitempty"` // of which resets took back
	BaseDown uint64           `json:"baseDown,omitempty"`
}

// removedElements are elements that a version added, by the order in which it did: they are taken
// away, or renewed by what is added. A delta does not name their values.
type removedElements struct {
	By    fieldwise.Version `json:"by"`
	First uint32            `json:"first"`
	Last  uint32            `json:"last"`
}

// readRecord reads a delta of a record of fields that was checked.
func readRecord(delta []byte, at fieldwise.Version) (any, error) {
	life, rest, err := wire.Uint(delta)
	if err != nil {
		return nil, malformed("life of a record")
	}
	t, b, ok := lattice.Cut(rest)
	if !ok {
		return nil, malformed("origin table")
	}
	c := recordChange{Life: life, Deleted: life%2 == 0}
	if c.Deleted {
		c.Saw, err = readSeen(t, b)
		return c, err
	}
	for len(b) > 0 {
		f, rest, ok := lattice.CutField(b)
		if !ok {
			return nil, malformed("field")
		}
		body, err := readBody(f.Kind, t, f.Body, at)
		if err != nil {
			return nil, fmt.Errorf("field %q: %w", f.Name, err)
		}
		c.Fields = append(c.Fields, fieldChange{Path: string(f.Name), bodyChange: body})
		b = rest
	}
	return c, nil
}

// readState reads a delta of a record that is one body of a kind, and was checked.
func readState(k lattice.Kind, delta []byte, at fieldwise.Version) (any, error) {
	t, b, ok := lattice.Cut(delta)
	if !ok {
		return nil, malformed("origin table")
	}
	return readBody(k, t, b, at)
}

func readSeen(t lattice.Table, b []byte) (saw []fieldwise.Version, err error) {
	origins := t.Origins()
	for len(b) > 0 {
		s, rest, ok := lattice.CutSeen(b)
		if !ok || s.Index >= len(origins) {
			return nil, malformed("tombstone's context")
		}
		saw, b = append(saw, fieldwise.Version{Time: s.Time, Origin: origins[s.Index]}), rest
	}
	return saw, nil
}

func readBody(k lattice.Kind, t lattice.Table, b []byte, at fieldwise.Version) (c bodyChange, err error) {
	c.Kind = k.String()
	switch k {
	case lattice.KindRegister, lattice.KindMax, lattice.KindMin, lattice.KindCreated:
		err = c.readRegister(t, b, at)
	case lattice.KindCounter:
		err = c.readCounter(t, b)
	default:
		err = c.readElements(k, t, b)
	}
	return c, err
}

func (c *bodyChange) readRegister(t lattice.Table, b []byte, at fieldwise.Version) error {
	origins := t.Origins()
	for len(b) > 0 {
		it, rest, ok := lattice.CutItem(b)
		if !ok || it.Index >= len(origins) {
			return malformed("register")
		}
		b = rest
		v := fieldwise.Version{Time: it.Time, Origin: origins[it.Index]}
		if it.Superseded {
			c.Supersedes = append(c.Supersedes, v)
			continue
		}
		var val json.RawMessage
		if !it.IsAbsent() {
			val = valueJSON(it.Value)
		}
		if v == at {
			c.Value, c.Unset, c.Created = val, val == nil, it.Created
		} else {
			c.Others = append(c.Others, otherValue{By: v, Value: val, Unset: val == nil})
		}
	}
	return nil
}

func (c *bodyChange) readCounter(t lattice.Table, b []byte) error {
	origins := t.Origins()
	for len(b) > 0 {
		n, rest, ok := lattice.CutCount(b)
		if !ok || n.Index >= len(origins) {
			return malformed("counter")
		}
		b = rest
		c.Counts = append(c.Counts, countChange{Origin: origins[n.Index], Up: n.Up, Down: n.Down, BaseUp: n.BaseUp, BaseDown: n.BaseDown})
	}
	return nil
}

func (c *bodyChange) readElements(k lattice.Kind, t lattice.Table, b []byte) error {
	read := lattice.Elements
	if k == lattice.KindList || k == lattice.KindKeyed {
		read = lattice.ListElements
	}
	elements, err := read(t, b)
	if err != nil {
		return err
	}
	for _, e := range elements {
		c.Adds = append(c.Adds, valueJSON(e.Value))
	}
	removed, err := lattice.RemovedBy(t, b)
	if err != nil {
		return err
	}
	for _, r := range removed {
		c.Removes = append(c.Removes, removedElements{By: r.Version, First: r.First, Last: r.Last})
	}
	c.Unset = !lattice.Present(b)
	return nil
}

func malformed(what string) error { return fmt.Errorf("%w: %s", fieldwise.ErrMalformed, what) }
