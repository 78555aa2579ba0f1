package fieldmerge

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/value"
	"github.com/fieldwise/fieldwise/internal/wire"
	"github.com/fieldwise/fieldwise/lww"
)

// A list of objects that are told apart by a key is stored as a list of maps that have the
// key alone, of kind KindKeyed, and the other fields of each object below the path of the list
// and the key's text: [{"id": 7, "name": "x"}] at "devices" is [{"id": 7}] there, and "x" at
// "devices.7.name".

// byShape is the policy of ByShape.
type byShape struct{ lww.Policy }

func (byShape) Name() string { return string(ByShape) }

// maxKeyed is how many objects a list has at most whose fields are fields: the objects of a
// longer one are values.
const maxKeyed = 128

// keyNames are the names that a key is looked for under first.
var keyNames = []string{"id", "key", "name", "code"}

// shapeOf is the mechanism that a value has under [ByShape].
func shapeOf(val []byte) lattice.Kind {
	switch {
	case wire.KindOf(val) != wire.KindArray:
		return lattice.KindRegister
	case keyOf(val, "", maxKeyed) != "":
		return lattice.KindKeyed
	}
	return lattice.KindList
}

// keyOf is the name of the field that tells the objects of an encoded list apart: the
// favourite one if that does, else the first that does. It is empty where none does, or the
// list is no list of objects.
func keyOf(list []byte, favourite string, most int) string {
	n, rest, err := wire.ArrayHeader(list)
	if err != nil || n == 0 || n > most {
		return ""
	}
	var texts map[string]map[string]bool // by name of a field: the texts of its values
	for i := range n {
		length, err := wire.Skip(rest)
		if err != nil || wire.KindOf(rest) != wire.KindMap {
			return ""
		}
		own := make(map[string]map[string]bool)
		for _, e := range entriesOf(rest[:length]) {
			name, _, err := wire.String(e.name)
			text, ok := keyText(e.val)
			if err != nil || !ok {
				continue
			}
			all := texts[string(name)]
			if i == 0 {
				all = make(map[string]bool, n)
			}
			if all == nil || all[text] {
				continue
			}
			all[text] = true
			own[string(name)] = all
		}
		if texts = own; len(texts) == 0 {
			return ""
		}
		rest = rest[length:]
	}
	for _, name := range append([]string{favourite}, keyNames...) {
		if texts[name] != nil {
			return name
		}
	}
	return slices.Min(slices.Collect(maps.Keys(texts)))
}

// keyText is a key as the segment of a path. Keys are strings and integers.
func keyText(val []byte) (text string, ok bool) {
	switch wire.KindOf(val) {
	case wire.KindString:
		s, _, err := wire.String(val)
		return string(s), err == nil
	case wire.KindUint:
		n, _, err := wire.Uint(val)
		return strconv.FormatUint(n, 10), err == nil
	case wire.KindInt:
		n, _, err := wire.Int(val)
		return strconv.FormatInt(n, 10), err == nil
	}
	return "", false
}

// keyedObject is one object of a list as the list has it: its key alone.
type keyedObject struct {
	name string // of the key
	key  []byte // encoded
	text string
}

// keyedObjects takes the value of a field of kind KindKeyed apart; what is no such object
// is left out.
func keyedObjects(val []byte) (all []keyedObject) {
	n, rest, err := wire.ArrayHeader(val)
	for range n {
		var length int
		if err == nil {
			length, err = wire.Skip(rest)
		}
		if err != nil {
			return all
		}
		if entries := entriesOf(rest[:length]); len(entries) == 1 {
			name, _, err := wire.String(entries[0].name)
			if text, ok := keyText(entries[0].val); ok && err == nil {
				all = append(all, keyedObject{string(name), entries[0].val, text})
			}
		}
		rest = rest[length:]
	}
	return all
}

// withUnseen is a list as a writer saw it with the objects of the stored one that it did not show
// and those that the writer did not see and puts there: where they are in the stored list if that
// is all that differs, else at the end. So what is there already is moved, and not added again.
func withUnseen(list, to, stored []byte, removed []keyedObject) []byte {
	saw, puts, unseen := make(objectIndex), make(objectIndex), removed
	for _, o := range keyedObjects(stored) {
		if !saw.has("", list, o.text) && puts.has("", to, o.text) {
			unseen = append(slices.Clip(unseen), o)
		}
	}
	if len(unseen) == 0 {
		return list
	}
	hides := make(objectIndex)
	all := keyedObjects(list)
	left := slices.DeleteFunc(keyedObjects(stored), func(o keyedObject) bool { return hides.has("", listOfKeys(unseen), o.text) })
	if slices.EqualFunc(all, left, func(a, b keyedObject) bool { return a.text == b.text }) {
		return stored
	}
	for _, o := range unseen {
		if !saw.has("", list, o.text) {
			all = append(all, o)
		}
	}
	return listOfKeys(all)
}

// listOfKeys is the value of a field of kind KindKeyed.
func listOfKeys(all []keyedObject) []byte {
	b := wire.AppendArrayHeader(nil, len(all))
	for _, o := range all {
		b = wire.AppendString(wire.AppendMapHeader(b, 1), o.name)
		b = append(b, o.key...)
	}
	return b
}

// objectIndex has the keys of the objects of lists, as far as somebody asked, by the paths of
// the lists.
type objectIndex map[string]map[string]bool

// has reports whether the list at a path has an object with the key that is the segment of a
// path.
func (x objectIndex) has(path string, list []byte, segment string) bool {
	keys, ok := x[path]
	if !ok {
		all := keyedObjects(list)
		keys = make(map[string]bool, len(all))
		for _, o := range all {
			keys[o.text] = true
		}
		x[path] = keys
	}
	return keys[segment]
}

// addList takes a list of objects at path apart, val being all of it.
func (l *flattener) addList(path, val []byte, key string, depth int) error {
	v, err := value.Any(val)
	if err != nil {
		return &FieldError{Field: string(path), Err: err}
	}
	all := v.([]any)
	list := wire.AppendArrayHeader(nil, len(all))
	if depth >= MaxDepth {
		return tooDeep(string(path), depth+1)
	}
	for _, one := range all {
		object := maps.Clone(one.(map[string]any))
		own, err := encode(map[string]any{key: object[key]})
		if err != nil {
			return err
		}
		list = append(list, own...)
		text, _ := keyText(entriesOf(own)[0].val)
		delete(object, key)
		below := appendSegment(append(bytes.Clone(path), '.'), text)
		if err := l.add(below, object, depth+1); err != nil {
			return err
		}
	}
	l.to[string(path)] = list
	return nil
}

// listsIn are the paths at which there is a list whose objects are fields.
func (r *rules) listsIn(all leaves) map[string]bool {
	if !r.lists {
		return nil
	}
	lists := make(map[string]bool)
	for path, val := range all {
		if wire.KindOf(val) == wire.KindArray && r.kindOf(path, val) == lattice.KindKeyed {
			lists[path] = true
		}
	}
	return lists
}

// objectsOn yields the lists that path leads through an object of, by the list's path and the
// object's key.
func objectsOn(path string, isList func(path string) bool) func(yield func(list, key string) bool) {
	return func(yield func(list, key string) bool) {
		last := ""
		next := func(object string) bool {
			list := last
			if last = object; list == "" || !isList(list) {
				return true
			}
			key, err := SplitPath(object[len(list)+1:])
			return err == nil && yield(list, key[0])
		}
		for p := range parents(path) {
			if !next(p) {
				return
			}
		}
		next(path)
	}
}

// goneObjects are the paths of fields of objects that the list they belong to has not.
func (r *rules) goneObjects(v *view) map[string]bool {
	if !r.lists {
		return nil
	}
	lists := make(map[string]*shown)
	for i := range v.fields {
		if f := &v.fields[i]; f.kind == lattice.KindKeyed && !f.other && !f.rival {
			lists[f.path] = f
		}
	}
	gone, objects := make(map[string]bool), make(objectIndex)
	for i := range v.fields {
		path := v.fields[i].path
		for list, key := range objectsOn(path, func(p string) bool { return lists[p] != nil }) {
			if !objects.has(list, lists[list].sibling.Value, key) {
				gone[path] = true
			}
		}
	}
	return gone
}

// checkObjects refuses changes of objects that a list has not: nor will have, where it is set, as
// an object that the writer saw there, and leaves there, is not put back.
func (r *rules) checkObjects(u *update, current, seen leaves) error {
	if !r.lists {
		return nil
	}
	c := u.changes
	all := maps.Clone(seen)
	maps.Copy(all, leaves(c))
	lists := r.listsIn(all)
	isList := func(p string) bool { return lists[p] || r.kind(p) == lattice.KindKeyed }
	is, was, saw := make(objectIndex), make(objectIndex), make(objectIndex)
	has := func(list, key string) bool {
		to, changes := c[list]
		switch {
		case !is.has(list, all[list], key):
			return false
		case !changes, was.has(list, seen[list], key), seen[list] == nil && current[list] != nil: // a hidden one is written whole
			return true
		}
		return !saw.has(list, u.edit(r, list, lattice.KindKeyed, seen[list], to).From, key)
	}
	for path, val := range c {
		if val == nil {
			continue
		}
		for list, key := range objectsOn(path, isList) {
			if !has(list, key) {
				return fmt.Errorf("%w: the list %q has no object with the key %q; set the list with it", ErrPath, list, key)
			}
		}
	}
	return nil
}

// keyOf is the key of the objects of a list that is written to the field at path, empty
// where the list is one of values. was is the list before.
func (r *rules) keyOf(path string, val, was []byte) (string, error) {
	switch p := r.policy(path).(type) {
	case byShape:
		favourite := ""
		if before := keyedObjects(was); len(before) > 0 {
			favourite = before[0].name
		}
		return keyOf(val, favourite, maxKeyed), nil
	case lattice.Mechanism:
		n, _, err := wire.ArrayHeader(val)
		if p.Kind != lattice.KindKeyed || err != nil || n == 0 {
			return "", nil
		}
		key := strings.TrimPrefix(p.Named, listPrefix)
		if keyOf(val, key, MaxFields) != key {
			return "", errNoKey(key)
		}
		return key, nil
	}
	return "", nil
}

// errNoKey says that the objects of a list that is to have a key have not.
func errNoKey(key string) error {
	return fmt.Errorf("a list=%s holds at most %d objects, each with a string or an integer under %q that no other has", key, MaxFields, key)
}
