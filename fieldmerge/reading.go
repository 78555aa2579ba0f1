package fieldmerge

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// reading is what the policies show of a record, by the places of a plan.
type reading struct {
	rec   record
	slots []found
	view  *view         // of a record with nested fields; nil where there are none
	errs  []*FieldError // what cannot be read into the Go struct
}

// found is what a reading shows of one register.
type found struct {
	val     []byte // nil: nothing
	written bool   // the register exists, though it may be unset or hidden by the shape
}

// read reads a record by a plan. A record without nested fields, as most are, is read in
// one pass; one with them needs a view, since the shape may hide some.
func (p *plan) read(r *rules, rec record) (*reading, error) {
	rd := &reading{rec: rec, slots: make([]found, len(p.places))}
	t, fields, err := rec.fields()
	if err != nil {
		return nil, err
	}
	slot := 0
	for rest := fields; len(rest) > 0; {
		f, after, ok := lattice.CutField(rest)
		if !ok {
			return nil, errFieldEnds
		}
		rest = after
		if bytes.IndexByte(f.Name, '.') >= 0 {
			return rd, rd.readNested(p, r, rec)
		}
		for slot < len(p.places) && p.places[slot].before(f.Name, f.Kind) {
			slot++
		}
		if slot == len(p.places) || p.places[slot].register != f.Kind || p.places[slot].rel != string(f.Name) {
			continue
		}
		val, n, err := r.shown(p.places[slot].rel, f.Kind, t, f.Body)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			rd.slots[slot] = found{val: val, written: true}
		}
	}
	return rd, nil
}

func (rd *reading) readNested(p *plan, r *rules, rec record) (err error) {
	clear(rd.slots)
	if rd.view, err = r.view(rec); err != nil {
		return err
	}
	slot := 0
	for i := range rd.view.fields {
		f := &rd.view.fields[i]
		for slot < len(p.places) && (p.places[slot].rel < f.path || p.places[slot].rel == f.path && p.places[slot].register < f.kind) {
			slot++
		}
		if slot < len(p.places) && p.places[slot].rel == f.path && p.places[slot].register == f.kind {
			rd.slots[slot] = f.found()
		}
	}
	return nil
}

// at returns what is shown at a place.
func (rd *reading) at(p *place, prefix string) found {
	switch {
	case p.slot >= 0:
		return rd.slots[p.slot]
	case rd.view == nil:
		return found{}
	}
	if f := rd.view.findKind(p.path(prefix), p.register); f != nil {
		return f.found()
	}
	return found{}
}

// stored returns what is shown at a path.
func (rd *reading) stored(p *plan, path string) []byte {
	if rd.view != nil {
		if f := rd.view.find(path); f != nil {
			return f.found().val
		}
		return nil
	}
	if i := slices.IndexFunc(p.places, func(at *place) bool { return at.rel == path }); i >= 0 {
		return rd.slots[i].val // a group's, which is in a register and so comes first
	}
	return nil
}

func (rd *reading) below(path string) bool { return rd.view != nil && rd.view.below(path) }

// isFields reports whether what is shown at a path, val, are fields below it.
func (rd *reading) isFields(val []byte, path string) bool {
	return (val == nil || isMap(val)) && rd.below(path)
}

// fail says that the value of p, which is stored at another place or at its own, does not fit.
func (rd *reading) fail(p, stored *place, prefix string, err error) {
	rd.errs = append(rd.errs, &FieldError{Field: p.path(prefix), GoField: p.goName, Err: err, register: stored.path(prefix)})
}

// stored returns where the field is stored, and what is there: in a former place as long as
// it was never written in its own.
func (l *leaf) stored(rd *reading, prefix string) (*place, found) {
	f := rd.at(&l.place, prefix)
	if !f.written {
		for _, former := range l.formers {
			if before := rd.at(former, prefix); before.written {
				return former, before
			}
		}
	}
	return &l.place, f
}

func (l *leaf) fill(rd *reading, prefix string, v reflect.Value) {
	stored, f := l.stored(rd, prefix)
	if l.held {
		bond := &lattice.Bond{Field: l.goName}
		v, _ := v.Addr().Interface().(crdt.Value)
		if f.val != nil {
			if field := rd.rec.largeField(stored.path(prefix), stored.register); field != nil && crdt.HoldLarge(v, field, f.val, bond) {
				return
			}
		}
		if err := crdt.Hold(v, f.val, bond); err != nil {
			rd.fail(&l.place, stored, prefix, err)
			_ = crdt.Hold(v, nil, bond)
		}
		return
	}
	switch {
	case rd.isFields(f.val, stored.path(prefix)):
		rd.fail(&l.place, stored, prefix, fmt.Errorf("holds fields of its own, and the Go type %v is one value", l.typ))
	case f.val != nil:
		if err := l.decode(f.val, v); err != nil {
			rd.fail(&l.place, stored, prefix, err)
		}
	}
}

// decode sets v to an encoded value, or leaves it zero.
func (l *leaf) decode(val []byte, v reflect.Value) error {
	target := v
	if l.pointer {
		if wire.KindOf(val) == wire.KindNil {
			return nil
		}
		target = reflect.New(l.typ).Elem()
	}
	if l.held {
		return crdt.Hold(target.Addr().Interface().(crdt.Value), val, nil)
	}
	if err := l.codec.Decode(val, target); err != nil {
		target.SetZero()
		return err
	}
	if l.pointer {
		v.Set(target.Addr())
	}
	return nil
}

func (g *group) fill(rd *reading, prefix string, v reflect.Value) {
	f := rd.at(&g.place, prefix)
	switch {
	case rd.isFields(f.val, g.path(prefix)):
		rd.fail(&g.place, &g.place, prefix, errors.New("holds fields of its own, and the group is one value"))
	case !f.written: // the group was never written: its members are where they were without it
		for _, m := range g.members {
			m.fill(rd, prefix, v.FieldByIndex(m.index))
		}
	case f.val == nil:
	case wire.KindOf(f.val) != wire.KindMap:
		rd.fail(&g.place, &g.place, prefix, fmt.Errorf("holds a value of kind %v, and the group is a map of its fields", wire.KindOf(f.val)))
	default:
		entries := entriesOf(f.val)
		for _, m := range g.members {
			if val, ok := find(entries, wire.AppendString(nil, m.name)); ok {
				if err := m.decode(val, v.FieldByIndex(m.index)); err != nil {
					rd.fail(&m.place, &g.place, prefix, err)
				}
			}
		}
	}
}

func (n *structNode) fill(rd *reading, prefix string, v reflect.Value) {
	if n.rel != "" || prefix != "" {
		marker := rd.at(&n.place, prefix)
		if marker.val != nil && !isMap(marker.val) {
			rd.fail(&n.place, &n.place, prefix, fmt.Errorf("holds one value of kind %v, and the struct %v is fields of its own", wire.KindOf(marker.val), n.typ))
			return
		}
		if n.pointer {
			if marker.val == nil && !rd.below(n.path(prefix)) {
				return
			}
			v.Set(reflect.New(n.typ))
			v = v.Elem()
		}
	}
	for _, c := range n.children {
		field := v
		if len(c.index) > 0 {
			field = v.FieldByIndex(c.index)
		}
		c.node.fill(rd, prefix, field)
	}
}

func (n *mapNode) fill(rd *reading, prefix string, v reflect.Value) {
	marker := rd.at(&n.place, prefix)
	if marker.val != nil && !isMap(marker.val) {
		rd.fail(&n.place, &n.place, prefix, fmt.Errorf("holds one value of kind %v, and the entries of the map %v are fields", wire.KindOf(marker.val), n.typ))
		return
	}
	path := n.path(prefix)
	if marker.val == nil && !rd.below(path) {
		return
	}
	v.Set(reflect.MakeMap(n.typ))
	if rd.view == nil {
		return
	}
	for key, entry := range rd.view.entries(path) {
		elem := reflect.New(n.typ.Elem()).Elem()
		n.elem.fill(rd, entry, elem)
		v.SetMapIndex(reflect.ValueOf(key).Convert(n.typ.Key()), elem)
	}
}
