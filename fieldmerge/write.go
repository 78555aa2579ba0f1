package fieldmerge

import (
	"bytes"
	"fmt"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// appendCreate appends the delta that creates a record over one that is not live.
func appendCreate(dst []byte, r record, fields leaves, at fieldwise.Version) ([]byte, error) {
	if r.life >= maxLife-1 {
		return nil, &fieldwise.LimitError{Limit: "lives of a record", Got: int(r.life), Max: maxLife}
	}
	if len(fields) > MaxFields {
		return nil, &fieldwise.LimitError{Limit: "fields of a record", Got: len(fields), Max: MaxFields}
	}
	d, err := lattice.NewDelta(nil, at)
	if err != nil {
		return nil, err
	}
	all := make([]lattice.Field, 0, len(fields))
	for path, val := range fields {
		register, err := d.AppendWrite(nil, nil, val)
		if err != nil {
			return nil, err
		}
		all = append(all, lattice.Field{Name: []byte(path), Kind: lattice.KindRegister, Body: register})
	}
	return d.AppendFields(wire.AppendUint(dst, r.life+1), all), nil
}

// appendUpdate appends the delta that makes the changes to a live record, or nothing
// if the record shows all of them already.
func (s *Schema) appendUpdate(dst []byte, r record, c changes, at fieldwise.Version) ([]byte, error) {
	t, fields, err := r.fields()
	if err != nil {
		return nil, err
	}
	visible, err := s.resolve(r)
	if err != nil {
		return nil, err
	}
	current := make(leaves, len(visible))
	for _, f := range visible {
		current[f.path] = f.sibling.Value
	}
	c.keepShape(current)
	c.dropNoOps(current)
	if len(c) == 0 {
		return dst, nil
	}
	if err := c.checkFields(fields); err != nil {
		return nil, err
	}
	d, err := lattice.NewDelta(t, at)
	if err != nil {
		return nil, err
	}
	all := make([]lattice.Field, 0, len(c))
	for path, val := range c {
		if val == nil {
			val = []byte{lattice.Absent}
		}
		register, err := d.AppendWrite(nil, lattice.FindField(fields, path, lattice.KindRegister), val)
		if err != nil {
			return nil, fmt.Errorf("field %q: %w", path, err)
		}
		all = append(all, lattice.Field{Name: []byte(path), Kind: lattice.KindRegister, Body: register})
	}
	return d.AppendFields(wire.AppendUint(dst, r.life), all), nil
}

// keepShape adds what keeps the record a tree: a value that takes the place of a map
// unsets all below it, and what is set below a path makes a map of it.
func (c changes) keepShape(current leaves) {
	made := make(changes)
	for path, val := range c {
		switch {
		case val == nil:
		case !isMap(val):
			for below := range current {
				if isBelow(below, path) {
					if _, ok := c[below]; !ok {
						made[below] = nil
					}
				}
			}
			fallthrough
		default:
			for above := range parents(path) {
				if set, ok := c[above]; ok && set != nil && !isMap(set) {
					continue // the caller sets both: the shape rule decides
				}
				if !isMap(current[above]) {
					made[above] = emptyMap
				}
			}
		}
	}
	for path, val := range made {
		c[path] = val
	}
}

// dropNoOps removes changes that the record shows already.
func (c changes) dropNoOps(current leaves) {
	for path, val := range c {
		if old, ok := current[path]; bytes.Equal(old, val) && ok == (val != nil) {
			delete(c, path)
		}
	}
}

// checkFields refuses changes that bring the record over the limit of fields.
func (c changes) checkFields(fields []byte) error {
	n := len(c)
	for len(fields) > 0 {
		f, rest, ok := lattice.CutField(fields)
		if !ok {
			return fmt.Errorf("%w: field ends early", fieldwise.ErrMalformed)
		}
		fields = rest
		if _, ok := c[string(f.Name)]; !ok {
			n++
		}
	}
	if n > MaxFields {
		return &fieldwise.LimitError{Limit: "fields of a record", Got: n, Max: MaxFields}
	}
	return nil
}
