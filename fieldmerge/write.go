package fieldmerge

import (
	"bytes"
	"fmt"
	"math"
	"strings"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// appendCreate appends the delta that creates a record over one that is not live.
func appendCreate(dst []byte, r record, fields leaves, at fieldwise.Version) ([]byte, error) {
	if r.life >= maxLife-1 {
		return nil, &fieldwise.LimitError{Limit: "lives of a record", Got: int(min(r.life, math.MaxInt)), Max: min(maxLife, math.MaxInt)}
	}
	if len(fields) > MaxFields {
		return nil, &fieldwise.LimitError{Limit: "fields of a record", Got: len(fields), Max: MaxFields}
	}
	d, err := lattice.NewDelta(nil, at)
	if err != nil {
		return nil, err
	}
	d.Creating()
	all := make([]lattice.Field, 0, len(fields))
	for path, val := range fields {
		register, err := d.AppendWrite(nil, nil, val)
		if err != nil {
			return nil, err
		}
		all = append(all, lattice.Field{Name: []byte(path), Kind: lattice.KindRegister, Body: register})
	}
	if len(all) == 0 { // a version to report, should a delete drop the record unseen
		register, err := d.AppendWrite(nil, nil, emptyMap)
		if err != nil {
			return nil, err
		}
		all = append(all, lattice.Field{Kind: lattice.KindCreated, Body: register})
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
	visible, _, err := s.resolve(r)
	if err != nil {
		return nil, err
	}
	current := make(leaves, len(visible))
	for _, f := range visible {
		current[f.path] = f.sibling.Value
	}
	seen := current
	if nested(current) || nested(c) {
		root, err := tree(visible)
		if err != nil {
			return nil, err
		}
		seen = make(leaves, len(current))
		root.addTo(seen, nil)
		c.keepShape(current, seen)
	}
	c.dropNoOps(current, seen)
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

// keepShape adds what makes a reader see the changes and nothing else new: a value that
// takes the place of a map unsets all below it, what is set below a path makes a map of
// it, and what the shape hid stays hidden when that which hid it goes. current is what
// the registers show, seen is what of it the shape does not hide.
func (c changes) keepShape(current, seen leaves) {
	want := make(leaves, len(seen)+len(c)) // what is to be seen near the changes
	for path, val := range seen {
		if !c.setsValueAbove(path) {
			want[path] = val
		}
	}
	for path, val := range c {
		if val == nil {
			delete(want, path)
		} else {
			want[path] = val
		}
	}
	above := make(map[string]bool) // the paths above those that change
	for path, val := range c {
		for p := range parents(path) {
			above[p] = true
			if set := c[p]; val != nil && (set == nil || isMap(set)) { // else the caller sets both: the shape rule decides
				want[p] = emptyMap
			}
		}
	}
	made := make(changes)
	for path, val := range want {
		if _, changed := c[path]; changed || above[path] {
			made[path] = val
		}
	}
	for path := range current {
		if _, ok := want[path]; !ok && (c.setsValueAbove(path) || uncovered(path, seen, want)) {
			made[path] = nil
		}
	}
	for path, val := range made {
		c[path] = val
	}
}

// setsValueAbove reports whether the changes put a value that is no map above path.
func (c changes) setsValueAbove(path string) bool {
	for p := range parents(path) {
		if val := c[p]; val != nil && !isMap(val) {
			return true
		}
	}
	return false
}

// uncovered reports whether a value that was seen above path, and hid it, is to be seen
// no more.
func uncovered(path string, seen, want leaves) bool {
	for p := range parents(path) {
		if val, ok := seen[p]; ok && !isMap(val) && !bytes.Equal(val, want[p]) {
			return true
		}
	}
	return false
}

// nested reports whether a path may lead into a map.
func nested[M ~map[string][]byte](m M) bool {
	for path := range m {
		if strings.IndexByte(path, '.') >= 0 {
			return true
		}
	}
	return false
}

// dropNoOps removes changes that the record shows already. A map is there to be unset
// even where nothing but the fields below it says so.
func (c changes) dropNoOps(current, seen leaves) {
	for path, val := range c {
		if val == nil && seen[path] != nil {
			continue
		}
		if old, ok := current[path]; bytes.Equal(old, val) && ok == (val != nil) {
			delete(c, path)
		}
	}
}

// checkFields refuses changes that add fields and bring the record over the limit. One
// that a join took over it takes changes of what it has.
func (c changes) checkFields(fields []byte) error {
	n, known := len(c), 0
	for len(fields) > 0 {
		f, rest, ok := lattice.CutField(fields)
		if !ok {
			return fmt.Errorf("%w: field ends early", fieldwise.ErrMalformed)
		}
		fields = rest
		if _, ok := c[string(f.Name)]; ok {
			known++
		} else {
			n++
		}
	}
	if n > MaxFields && known < len(c) {
		return &fieldwise.LimitError{Limit: "fields of a record", Got: n, Max: MaxFields}
	}
	return nil
}
