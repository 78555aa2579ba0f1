package fieldmerge

import (
	"fmt"
	"reflect"

	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/value"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// keyedNode is a slice of structs that are told apart by a field, their key, and merge field by
// field: see lists.go for how it is stored.
type keyedNode struct {
	place
	typ   reflect.Type // of the slice
	elem  *structNode  // without the key
	key   string       // the stored name of the key
	index []int        // of the key's field
	codec value.Codec  // of the key
}

// keyedNode plans a slice of structs with a key.
func (b *planner) keyedNode(at place, t reflect.Type, key string, segments []string) node {
	s := ListBy(key)
	at.kind, at.register = "list by "+key, lattice.KindKeyed
	if t.Kind() != reflect.Slice || t.Elem().Kind() != reflect.Struct {
		b.problem(&at, "strategy %q is for slices of structs, and the field is %v; use \"list\" for the elements of other slices", s, t)
		return nil
	}
	n := &keyedNode{place: at, typ: t, key: key}
	b.rules.add(segments, b.draft.policy(at.goName, s))
	entry := place{register: lattice.KindRegister, slot: -1, goName: at.goName + "[]"}
	problems := len(b.draft.problems)
	n.elem = b.structNode(entry, t.Elem(), append(segments[:len(segments):len(segments)], "*"), false)
	own, ok := n.elem.byName[key]
	l, isLeaf := own.node.(*leaf)
	switch {
	case len(b.draft.problems) > problems:
		return nil
	case !ok:
		b.problem(&at, "strategy %q: %v has no field that is stored under the name %q; it has %s", s, t.Elem(), key, n.elem.names())
		return nil
	case !isLeaf || l.pointer || l.held || l.register != lattice.KindRegister || l.was != "":
		b.problem(own.place(), "it is the key of a list; make it a string or an integer under \"lww\"")
		return nil
	}
	if _, ok := keyText(l.zero); !ok {
		b.problem(&l.place, "it is the key of a list, and of type %v; make it a string or an integer", l.typ)
		return nil
	}
	n.index, n.codec = own.index, l.codec
	delete(n.elem.byName, key)
	for i, c := range n.elem.children {
		if c.node == own.node {
			n.elem.children = append(n.elem.children[:i:i], n.elem.children[i+1:]...)
			break
		}
	}
	n.kind += " " + l.kind
	return n
}

func (n *keyedNode) flatten(img *image, prefix string, v reflect.Value) error {
	if v.IsNil() {
		return nil
	}
	path := n.path(prefix)
	fail := func(err error) error { return &FieldError{Field: path, GoField: n.goName, Err: err} }
	if v.Len() > MaxFields {
		return fail(errNoKey(n.key))
	}
	list := wire.AppendArrayHeader(nil, v.Len())
	seen := make(map[string]bool, v.Len())
	for i := range v.Len() {
		one := v.Index(i)
		list = wire.AppendString(wire.AppendMapHeader(list, 1), n.key)
		start := len(list)
		var err error
		if list, err = n.codec.Append(list, one.FieldByIndex(n.index)); err != nil {
			return fail(err)
		}
		text, ok := keyText(list[start:])
		if !ok || seen[text] {
			return fail(fmt.Errorf("%w: %q is there twice", errNoKey(n.key), text))
		}
		seen[text] = true
		entry, err := entryPath(path, text)
		if err != nil {
			return err
		}
		if err := n.elem.flatten(img, entry, one); err != nil {
			return err
		}
	}
	img.set(&n.place, prefix, cell{val: list})
	return nil
}

func (n *keyedNode) fill(rd *reading, prefix string, v reflect.Value) {
	list := rd.at(&n.place, prefix).val
	if list == nil {
		return
	}
	all := keyedObjects(list)
	v.Set(reflect.MakeSlice(n.typ, 0, len(all)))
	path := n.path(prefix)
	seen := make(map[string]bool, len(all))
	for _, o := range all {
		if seen[o.text] { // the same key in two forms, written at the same time
			continue
		}
		seen[o.text] = true
		elem := reflect.New(n.typ.Elem()).Elem()
		n.elem.fill(rd, path+"."+JoinPath(o.text), elem)
		err := error(nil)
		if o.name != n.key {
			err = fmt.Errorf("its objects are told apart by %q, and the schema's by %q", o.name, n.key)
		} else {
			err = n.codec.Decode(o.key, elem.FieldByIndex(n.index))
		}
		if err != nil {
			rd.fail(&n.place, &n.place, prefix, err)
			continue
		}
		v.Set(reflect.Append(v, elem))
	}
}
