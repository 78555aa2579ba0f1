package lattice

import (
	"bytes"
	"slices"

	"github.com/fieldwise/fieldwise/internal/wire"
)

// Open is a state whose large sets and lists are kept open: a merge costs the size of what
// comes, of the rest of the state and of the contexts, however many elements there are. Only
// an origin that is new to the state makes it as costly as opening it. Clones share what
// neither has changed. Merging and cloning must not happen at once; reading may go on in
// clones meanwhile.
type Open struct {
	form  body
	from  int // bytes of a body that is worth keeping open
	table Table
	small []byte // fields that are bytes
	large []Large
}

// Large is a set or a list that is kept open.
type Large struct {
	key  []byte // name and kind; none where the state is nothing but this body
	kind Kind
	body *openDots
}

// OpenState opens a state of kind k, which has passed CheckState, and is not kept; nil where it
// has fewer than from bytes, is empty, or is of a kind that is not kept open.
func OpenState(k Kind, state []byte, from int) (*Open, error) {
	if !k.opens() || len(state) < max(from, 1) {
		return nil, nil
	}
	t, b, ok := Cut(slices.Clone(state))
	if !ok {
		return nil, malformed("origin table")
	}
	opened, err := openBody(b, k.ordered())
	if err != nil {
		return nil, err
	}
	return &Open{form: dots, from: from, table: t, large: []Large{{kind: k, body: opened}}}, nil
}

// OpenFields opens table and fields, which have passed CheckFields, and are not kept. Bodies of
// fewer than from bytes stay bytes; nil where all do.
func OpenFields(state []byte, from int) (*Open, error) {
	if len(state) < max(from, 1) {
		return nil, nil
	}
	t, b, ok := Cut(state)
	if !ok {
		return nil, malformed("origin table")
	}
	if large, err := anyLarge(b, from); !large {
		return nil, err
	}
	o := &Open{form: fields, from: from, table: slices.Clone(t)}
	if err := o.open(b); err != nil {
		return nil, err
	}
	return o, nil
}

func anyLarge(b []byte, from int) (bool, error) {
	for len(b) >= from {
		f, rest, ok := CutField(b)
		switch {
		case !ok:
			return false, malformed("field ends early")
		case f.Kind.opens() && len(f.Body) >= from:
			return true, nil
		}
		b = rest
	}
	return false, nil
}

// open takes the fields b, keeping what is large in them open.
func (o *Open) open(b []byte) error {
	var small []byte
	for len(b) > 0 {
		f, rest, ok := CutField(b)
		if !ok {
			return malformed("field ends early")
		}
		if !f.Kind.opens() || len(f.Body) < o.from {
			small = append(small, b[:len(b)-len(rest)]...)
		} else {
			opened, err := openBody(slices.Clone(f.Body), f.Kind.ordered())
			if err != nil {
				return err
			}
			o.add(Large{key: fieldKey(f.Name, f.Kind), kind: f.Kind, body: opened})
		}
		b = rest
	}
	o.small = small
	return nil
}

func fieldKey(name []byte, k Kind) []byte {
	return append(append(make([]byte, 0, len(name)+1), name...), byte(k))
}

func (o *Open) add(l Large) {
	i, _ := slices.BinarySearchFunc(o.large, l.key, Large.compareKey)
	o.large = slices.Insert(o.large, i, l)
}

func (l Large) compareKey(key []byte) int { return bytes.Compare(l.key, key) }

func (o *Open) find(key []byte) *openDots {
	if i, ok := slices.BinarySearchFunc(o.large, key, Large.compareKey); ok {
		return o.large[i].body
	}
	return nil
}

// Clone returns a copy. Both may be merged into afterwards.
func (o *Open) Clone() *Open {
	c := *o
	c.large = slices.Clone(o.large)
	for i := range c.large {
		c.large[i].body = c.large[i].body.clone()
	}
	return &c
}

// Merge joins a state that has passed the check of its kind, and is not kept. After an error
// the state is good for nothing.
func (o *Open) Merge(delta []byte) error {
	t, b, ok := Cut(delta)
	if !ok {
		return malformed("origin table")
	}
	if !bytes.Equal(t, o.table) {
		to, within, ok := t.within(o.table)
		switch {
		case !ok:
			return malformed("origin table")
		case !within:
			return o.mergeWhole(delta)
		}
		if b, ok = o.form.renumber(nil, b, to); !ok {
			return malformed("item outside the origin table")
		}
	}
	if o.form == dots {
		return o.large[0].body.merge(b)
	}
	return o.mergeFields(b)
}

// mergeWhole joins a state with an origin that is new here.
func (o *Open) mergeWhole(delta []byte) error {
	joined, err := join(nil, o.AppendState(nil), delta, o.form)
	if err != nil {
		return err
	}
	t, b, _ := Cut(joined)
	to := Open{form: o.form, from: o.from, table: t}
	if o.form == fields {
		err = to.open(b)
	} else {
		to.large = slices.Clone(o.large)
		to.large[0].body, err = openBody(b, to.large[0].kind.ordered())
	}
	if err == nil {
		*o = to
	}
	return err
}

func (o *Open) mergeFields(b []byte) error {
	var small []byte
	grow := false
	for len(b) > 0 {
		f, rest, ok := CutField(b)
		if !ok {
			return malformed("field ends early")
		}
		if f.Kind.opens() {
			if large := o.find(fieldKey(f.Name, f.Kind)); large != nil {
				if err := large.merge(f.Body); err != nil {
					return err
				}
				b = rest
				continue
			}
			grow = true // to a size that is worth keeping open, perhaps
		}
		small, b = append(small, b[:len(b)-len(rest)]...), rest
	}
	if len(small) == 0 {
		return nil
	}
	joined, err := joinFields(make([]byte, 0, len(o.small)+len(small)), o.small, small)
	switch {
	case err != nil:
		return err
	case grow:
		return o.open(joined)
	}
	o.small = joined
	return nil
}

// within says where the indices of t go in a table that names all of its origins.
func (t Table) within(all Table) (to renumbering, within, ok bool) {
	at := uint32(0)
	for len(t) > 0 {
		e, rest, ok := t.cut()
		if !ok {
			return nil, false, false
		}
		t = rest
		for {
			if len(all) == 0 {
				return nil, false, true
			}
			other, rest, ok := all.cut()
			if !ok {
				return nil, false, false
			}
			all = rest
			at++
			if bytes.Equal(e, other) {
				to = append(to, at-1)
				break
			}
		}
	}
	return to, true, true
}

// Size is the number of bytes that AppendState appends.
func (o *Open) Size() int {
	n := binLen(len(o.table)) + len(o.small)
	for i := range o.large {
		if l := &o.large[i]; o.form == dots {
			n += l.body.bodyLen()
		} else {
			n += binLen(len(l.key) + l.body.bodyLen())
		}
	}
	return n
}

// AppendState appends the state.
func (o *Open) AppendState(dst []byte) []byte {
	return o.append(slices.Grow(dst, o.Size()), (*openDots).appendBody)
}

// AppendPart appends a state that stands in for this one where a write or a report is made that
// concerns certain elements alone: of large sets and lists it has the elements of the values
// that want returns for the field, and at least one where there is any, of a list the last. All
// else is as in the state itself, the table and the contexts, too. The name is nil where the
// state is no record.
func (o *Open) AppendPart(dst []byte, want func(name []byte, k Kind) [][]byte) []byte {
	i := 0
	return o.append(dst, func(s *openDots, dst []byte) []byte {
		l := &o.large[i]
		i++
		return s.appendPart(dst, want(l.Name(), l.kind))
	})
}

// append appends table and fields, and of each large field the body that body appends.
func (o *Open) append(dst []byte, body func(*openDots, []byte) []byte) []byte {
	dst = wire.AppendBin(dst, o.table)
	if o.form == dots {
		return body(o.large[0].body, dst)
	}
	rest := o.small
	for i := range o.large {
		l := &o.large[i]
		for len(rest) > 0 {
			content, after, _ := Bin(rest)
			if bytes.Compare(content[:keyLen(content)], l.key) > 0 {
				break
			}
			dst, rest = append(dst, rest[:len(rest)-len(after)]...), after
		}
		var start int
		dst, start = BeginBin(dst)
		dst = EndBin(body(l.body, append(dst, l.key...)), start)
	}
	return append(dst, rest...)
}

// Large lists the sets and lists that are kept open, by their keys.
func (o *Open) Large() []Large { return o.large }

// Name is the field's; empty where the state is no record.
func (l *Large) Name() []byte { return l.key[:max(0, len(l.key)-1)] }

// Kind is the field's.
func (l *Large) Kind() Kind { return l.kind }

// Len is the number of elements.
func (l *Large) Len() int { return l.body.len() }

// All yields the values of the elements, in the order of their bytes: in a set each once.
func (l *Large) All(yield func(value []byte) bool) {
	l.body.elements.all(func(e row) bool {
		k, _, _ := cutKey(e.bytes)
		return k.value[0] == Absent || yield(k.value)
	})
}

// Has reports whether there is an element of that value.
func (l *Large) Has(value []byte) (has bool) {
	l.body.elements.from(value, func(e row) bool {
		has = bytes.HasPrefix(e.bytes, value)
		return false
	})
	return has
}
