package fieldmerge

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"

	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// image is a Go struct as its fields are stored: what two of them differ in is what a
// write changes.
type image struct {
	slots   []cell          // of the plan's places
	entries map[string]cell // of the entries of maps, by path
	buf     []byte          // what the cells' values are cut from
}

// cell is one register's part of an image.
type cell struct {
	val   []byte        // encoded; nil: nothing is there
	zero  bool          // the zero value of a field that is always there: a new record does without
	group bool          // the value is that of a group
	hash  []byte        // instead of val where a token was too small for it
	held  *lattice.Held // what a CRDT value holds
}

func (img *image) set(p *place, prefix string, c cell) {
	if p.slot >= 0 {
		img.slots[p.slot] = c
		return
	}
	if img.entries == nil {
		img.entries = make(map[string]cell)
	}
	img.entries[p.path(prefix)] = c
}

// keep returns what was appended to the image's buffer since start.
func (img *image) keep(start int) []byte { return img.buf[start:len(img.buf):len(img.buf)] }

// image takes a struct apart.
func (p *plan) image(v reflect.Value) (*image, error) {
	img := &image{slots: make([]cell, len(p.places)), buf: make([]byte, 0, 32*len(p.places))}
	return img, p.root.flatten(img, "", v)
}

// crdtValue is a CRDT value that can be read; v itself where it is in a variable.
func crdtValue(v reflect.Value) crdt.Value {
	if !v.CanAddr() {
		in := reflect.New(v.Type()).Elem()
		in.Set(v)
		v = in
	}
	return v.Addr().Interface().(crdt.Value)
}

func (l *leaf) flatten(img *image, prefix string, v reflect.Value) error {
	start := len(img.buf)
	c, err := l.encode(img, prefix, v)
	if err != nil || c.val == nil && c.held == nil {
		return err
	}
	if c.val != nil {
		c.val = img.keep(start)
	}
	if l.rel == "" {
		c.zero = false // an entry of a map is there because somebody put it there
	}
	img.set(&l.place, prefix, c)
	return nil
}

// encode appends the value of the field to the image's buffer.
func (l *leaf) encode(img *image, prefix string, v reflect.Value) (c cell, err error) {
	if l.pointer {
		if v.IsNil() {
			return cell{}, nil
		}
		v = v.Elem()
	}
	start := len(img.buf)
	if l.held {
		held, err := crdt.HeldBy(crdtValue(v))
		if err != nil {
			return cell{}, &FieldError{Field: l.path(prefix), GoField: l.goName, Err: err}
		}
		img.buf = append(img.buf, held.Value...)
		c.held = &held
	} else if img.buf, err = l.codec.Append(img.buf, v); err != nil {
		return cell{}, &FieldError{Field: l.path(prefix), GoField: l.goName, Err: err}
	}
	if c.val = img.keep(start); c.held != nil && c.held.Value == nil {
		c.val = nil
	}
	c.zero = !l.pointer && bytes.Equal(c.val, l.zero) && !c.acted()
	return c, nil
}

func (g *group) flatten(img *image, prefix string, v reflect.Value) error {
	var few [8]cell
	cells, n := few[:0], 0
	zero := true
	for _, m := range g.members {
		c, err := m.encode(img, prefix, v.FieldByIndex(m.index))
		if err != nil {
			return err
		}
		if c.val != nil {
			n++
			zero = zero && c.zero
		}
		cells = append(cells, c)
	}
	if n == 0 {
		return nil
	}
	start := len(img.buf)
	img.buf = wire.AppendMapHeader(img.buf, n)
	for i, c := range cells {
		if c.val != nil {
			img.buf = wire.AppendString(img.buf, g.members[i].name)
			img.buf = append(img.buf, c.val...)
		}
	}
	img.set(&g.place, prefix, cell{val: img.keep(start), zero: zero, group: true})
	return nil
}

func (n *structNode) flatten(img *image, prefix string, v reflect.Value) error {
	if n.pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	if n.rel != "" || prefix != "" {
		img.set(&n.place, prefix, cell{val: emptyMap, zero: !n.pointer && n.rel != ""})
	}
	for _, c := range n.children {
		field := v
		if c.member == nil && len(c.index) > 0 {
			field = v.FieldByIndex(c.index)
		}
		if err := c.node.flatten(img, prefix, field); err != nil {
			return err
		}
	}
	return nil
}

func (n *mapNode) flatten(img *image, prefix string, v reflect.Value) error {
	if v.IsNil() {
		return nil
	}
	img.set(&n.place, prefix, cell{val: emptyMap})
	path := n.path(prefix)
	for it := v.MapRange(); it.Next(); {
		entry, err := entryPath(path, it.Key().String())
		if err != nil {
			return err
		}
		if err := n.elem.flatten(img, entry, it.Value()); err != nil {
			return err
		}
	}
	return nil
}

// changes are what a write does to turn before, an image of the same plan, into img.
// stored is what is shown at a path now, of which a group keeps what this release cannot read.
func (img *image) changes(p *plan, before *image, stored func(path string) []byte) changes {
	c := make(changes)
	for i, after := range img.slots {
		c.change(p, p.places[i].rel, before.slots[i], after, stored)
	}
	for path, after := range img.entries {
		c.change(p, path, before.entries[path], after, stored)
	}
	for path, old := range before.entries {
		if img.entries[path].val == nil {
			c.change(p, path, old, cell{}, stored)
		}
	}
	return c
}

func (c changes) change(p *plan, path string, before, after cell, stored func(path string) []byte) {
	switch {
	case before.same(after) && !after.acted(), !before.there() && after.zero:
	case after.group:
		c[path] = p.groupAt(path).write(stored(path), before.val, after.val)
	default:
		c[path] = after.val
	}
}

// acted reports whether something was done to a CRDT value.
func (c cell) acted() bool { return c.held != nil && len(c.held.Intents) > 0 }

// onlyValues drops from an image what was done to CRDT values, and leaves what they come to.
func (img *image) onlyValues() *image {
	for i := range img.slots {
		img.slots[i].held = nil
	}
	for path, c := range img.entries {
		c.held = nil
		img.entries[path] = c
	}
	return img
}

// checkBonds refuses CRDT values that were not made what they are by what was done to the
// value that before, the image as it was read, has in their place.
func (img *image) checkBonds(p *plan, before *image) error {
	check := func(path string, was, c cell) error {
		var bond *lattice.Bond
		if was.held != nil {
			bond = was.held.Bond
		}
		if c.held == nil || c.held.Bond == bond {
			return nil
		}
		text := "it was made anew"
		if c.held.Bond != nil {
			text = "it is " + c.held.Bond.Field + " that was read elsewhere"
		}
		remedy := "change the value that is there by its methods"
		if bond == nil {
			remedy = "make a new one that comes to the same"
		}
		return &FieldError{Field: path, Err: fmt.Errorf("%w: %s; %s", ErrAssigned, text, remedy)}
	}
	for i, c := range img.slots {
		if err := check(p.places[i].rel, before.slots[i], c); err != nil {
			return err
		}
	}
	for path, c := range img.entries {
		if err := check(path, before.entries[path], c); err != nil {
			return err
		}
	}
	return nil
}

// ErrAssigned says that a CRDT value was assigned from elsewhere: such a value remembers
// what was done to it since it was read, which means nothing in another place.
var ErrAssigned = errors.New("fieldmerge: a CRDT value was assigned")

func (c cell) there() bool { return c.val != nil || c.hash != nil }

func (c cell) same(d cell) bool {
	switch {
	case c.there() != d.there():
		return false
	case c.hash != nil || d.hash != nil:
		return bytes.Equal(c.digest(), d.digest())
	}
	return bytes.Equal(c.val, d.val)
}

// digest is what a token keeps of a value that is too large for it.
func (c cell) digest() []byte {
	if c.hash != nil {
		return c.hash
	}
	sum := sha256.Sum256(c.val)
	return sum[:hashLen]
}

// addMarkers adds the marker of each map that a new record's fields are in.
func (c changes) addMarkers() changes {
	var above []string
	for path := range c {
		for p := range parents(path) {
			above = append(above, p)
		}
	}
	for _, p := range above {
		if c[p] == nil {
			c[p] = emptyMap
		}
	}
	return c
}

// entryPath is the path of an entry of the map at path.
func entryPath(path, key string) (string, error) {
	entry := path + "." + JoinPath(key)
	return entry, checkPath(entry)
}

// FieldError says that a field of a record and the Go type do not fit: what is stored
// cannot be read into it, or what it holds cannot be stored. It matches [ErrField].
type FieldError struct {
	Key     string // of the record; empty where there is none
	Field   string // the field's path
	GoField string // "Profile.Address.City"; empty for JSON-shaped records
	Err     error

	register string // the path under which the value is stored: a group's, a former one, or Field
}

func (e *FieldError) Error() string {
	text := fmt.Sprintf("field %.80q", e.Field)
	if e.GoField != "" {
		text += " (" + e.GoField + ")"
	}
	return text + ": " + e.Err.Error()
}

// Is reports whether target is [ErrField].
func (e *FieldError) Is(target error) bool { return target == ErrField }

// Unwrap returns the cause.
func (e *FieldError) Unwrap() error { return e.Err }
