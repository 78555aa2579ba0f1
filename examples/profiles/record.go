package main

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/fieldwise/fieldwise/fieldmerge"
)

// record is one profile: JSON-shaped, with int64, uint64 or float64 for numbers. A nil
// record is none.
type record = map[string]any

// Change is what an edit did to one field, count or element of a list, or to the record as
// a whole. Moving an element within its list is none.
type Change struct {
	Kind kind
	Path string // as package fieldmerge writes paths; empty for the whole record
	// Keys has, for each segment of Path that stands for an object in a list, the name of the
	// field that the objects are told apart by, and is empty for the others. It is nil if
	// the path leads through no list.
	Keys  []string
	Value any // of setField; what is counted, an int64; the element; the key of newObject
	Count int // of elements: how many equal ones the list has afterwards
}

type kind uint8

const (
	setField    kind = iota // the field has Value now
	unsetField              // the field is gone
	newRecord               // the record is there: a create without any field
	noRecord                // the record is gone
	addCount                // Value was added to the counter
	addElement              // the list has more elements that are Value
	dropElement             // the list has fewer of them
	newObject               // the list has the object
	noObject                // the list has the object no more
)

// removes reports whether the change takes something away.
func (c Change) removes() bool {
	switch c.Kind {
	case unsetField, dropElement, noObject, noRecord:
		return true
	}
	return false
}

// element reports whether the change is one of an element that has no path of its own.
func (c Change) element() bool { return c.Kind == addElement || c.Kind == dropElement }

// shownBy reports whether a reader of the record sees the change. What a counter shows
// does not tell: see judge.counted.
func (c Change) shownBy(r record) bool {
	v, ok := c.at().find(r)
	return c.shownAs(v, ok && r != nil)
}

// shownAs reports whether the change is seen where v is at its path, if anything is.
func (c Change) shownAs(v any, ok bool) bool {
	_, isMap := v.(record)
	list, isList := v.([]any)
	switch c.Kind {
	case setField:
		switch c.Value.(type) { // somebody may have put something into what was empty
		case record:
			return isMap
		case []any:
			return isList
		}
		return ok && same(v, c.Value)
	case unsetField:
		return !ok
	case addElement:
		return count(list, c.Value) >= c.Count
	case dropElement:
		return count(list, c.Value) <= c.Count
	case newRecord, newObject:
		return ok && isMap
	case noRecord, noObject:
		return !ok
	}
	return false
}

// count says how often a value is in a list.
func count(list []any, v any) int {
	n := 0
	for _, one := range list {
		if same(one, v) {
			n++
		}
	}
	return n
}

// same reports whether two values are equal; an integer is never equal to a float.
func same(a, b any) bool {
	if text, ok := a.(string); ok { // most are, and DeepEqual takes its time
		other, ok := b.(string)
		return ok && text == other
	}
	return reflect.DeepEqual(a, b)
}

// place is where something is in a record, step by step.
type place []step

// step leads to an entry of a map or, with the name of a key, to the object of a list that
// has name there.
type step struct{ name, key string }

// at is where the change is. The path has been checked, or was made by [Change.put].
func (c Change) at() place {
	if c.Kind == newRecord || c.Kind == noRecord {
		return nil
	}
	segments, _ := fieldmerge.SplitPath(c.Path)
	p := make(place, len(segments))
	for i, name := range segments {
		p[i].name = name
		if c.Keys != nil {
			p[i].key = c.Keys[i]
		}
	}
	return p
}

// put returns the change at a place.
func (c Change) put(p place) Change {
	segments, keys := make([]string, len(p)), make([]string, len(p))
	lists := false
	for i, s := range p {
		segments[i], keys[i] = s.name, s.key
		lists = lists || s.key != ""
	}
	c.Path = fieldmerge.JoinPath(segments...)
	if c.Keys = nil; lists {
		c.Keys = keys
	}
	return c
}

// to returns the place one step further.
func (p place) to(s step) place { return append(p[:len(p):len(p)], s) }

// find returns what is at the place in v.
func (p place) find(v any) (any, bool) {
	for _, s := range p {
		var ok bool
		if s.key != "" {
			list, _ := v.([]any)
			var i int
			i, ok = indexOf(list, s)
			if ok {
				v = list[i]
			}
		} else if m, isMap := v.(record); isMap {
			v, ok = m[s.name]
		}
		if !ok {
			return nil, false
		}
	}
	return v, true
}

// indexOf finds the object of a list that a step leads to.
func indexOf(list []any, s step) (int, bool) {
	i := slices.IndexFunc(list, func(v any) bool {
		object, _ := v.(record)
		text, ok := keyText(object[s.key])
		return ok && text == s.name
	})
	return i, i >= 0
}

// lookup finds what is at a path that leads through maps.
func lookup(r record, path string) (v any, ok bool) { return Change{Path: path}.at().find(r) }

// differ lists what turns one record into another.
type differ struct {
	changes []Change
	moves   []Change // of what was moved within its list: changes that would have put it there
}

// diff lists what turns one record into another, by path: first what is set and added, then
// what is taken away. Maps are taken apart, and so are lists, as [fieldmerge.ByShape] says.
func diff(from, to record) []Change {
	return compare(from, to).sorted()
}

func compare(from, to record) *differ {
	if from == nil {
		from = record{}
	}
	var d differ
	d.value(nil, from, true, to, true)
	return &d
}

func (d *differ) sorted() []Change {
	slices.SortStableFunc(d.changes, func(a, b Change) int {
		if a.removes() != b.removes() {
			if b.removes() {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Path, b.Path)
	})
	return d.changes
}

func (d *differ) add(p place, c Change) { d.changes = append(d.changes, c.put(p)) }

// value lists what turns the value at a place into another. had and has say whether there
// is one before and afterwards.
func (d *differ) value(p place, from any, had bool, to any, has bool) {
	if n, ok := counted(p, from, had, to, has); ok {
		if n != 0 {
			d.add(p, Change{Kind: addCount, Value: n})
		}
		return
	}
	fromMap, wasMap := from.(record)
	toMap, isMap := to.(record)
	fromList, wasList := from.([]any)
	toList, isList := to.([]any)
	if had && !has && len(fromMap)+len(fromList) == 0 {
		d.add(p, Change{Kind: unsetField})
	}
	switch {
	case isMap && len(toMap) == 0 && !wasMap, isList && len(toList) == 0 && !wasList,
		has && !isMap && !isList && (!had || !same(from, to)):
		d.add(p, Change{Value: to})
	}
	for _, name := range names(fromMap, toMap) {
		before, was := fromMap[name]
		after, is := toMap[name]
		d.value(p.to(step{name: name}), before, was, after, is)
	}
	d.list(p, fromList, toList)
}

// names are the names in two maps, in order.
func names(a, b record) []string {
	all := make(map[string]bool, len(a)+len(b))
	for name := range a {
		all[name] = true
	}
	for name := range b {
		all[name] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// counted is what was counted where a counter has another value.
func counted(p place, from any, had bool, to any, has bool) (n int64, ok bool) {
	before, isCount := from.(int64)
	after, isStill := to.(int64)
	if !isCount && had || !isStill || !has || !isCounter(Change{}.put(p).Path) {
		return 0, false
	}
	return after - before, true
}

// list lists what turns a list into another one: by key, if there is a key that tells the
// objects of both apart, else by value.
func (d *differ) list(p place, from, to []any) {
	key := keyOf(from, "")
	if len(to) > 0 {
		key = keyOf(to, key)
	}
	if key == "" || len(from) > 0 && keyOf(from, key) != key {
		d.elements(p, from, to)
		return
	}
	for _, one := range to {
		object := one.(record)
		text, _ := keyText(object[key])
		at := p.to(step{text, key})
		before, _ := place{{text, key}}.find(from)
		was, _ := before.(record)
		if was == nil {
			d.add(at, Change{Kind: newObject, Value: object[key]})
		}
		for _, name := range names(was, object) {
			if name == key {
				continue
			}
			old, had := was[name]
			v, has := object[name]
			d.value(at.to(step{name: name}), old, had, v, has)
		}
	}
	d.moved(from, func(one any) int {
		text, _ := keyText(one.(record)[key])
		i, _ := indexOf(to, step{text, key})
		return i
	}, func(one any) {
		text, _ := keyText(one.(record)[key])
		d.moves = append(d.moves, Change{Kind: newObject}.put(p.to(step{text, key})))
	})
	for _, one := range from {
		text, _ := keyText(one.(record)[key])
		if _, ok := indexOf(to, step{text, key}); !ok {
			d.add(p.to(step{text, key}), Change{Kind: noObject})
		}
	}
}

// elements lists what turns a list of values into another one.
func (d *differ) elements(p place, from, to []any) {
	for i, v := range to {
		if n := count(to, v); count(to[:i], v) == 0 && n > count(from, v) {
			d.add(p, Change{Kind: addElement, Value: v, Count: n})
		}
	}
	for i, v := range from {
		if n := count(to, v); count(from[:i], v) == 0 && n < count(from, v) {
			d.add(p, Change{Kind: dropElement, Value: v, Count: n})
		}
	}
	d.moved(from, func(v any) int {
		return slices.IndexFunc(to, func(one any) bool { return same(one, v) })
	}, func(v any) {
		d.moves = append(d.moves, Change{Kind: addElement, Value: v, Count: 1}.put(p))
	})
}

// moved calls use for each element of a list that stands on another side of one of the others
// than before. now is where an element is now, negative if it is nowhere.
func (d *differ) moved(list []any, now func(any) int, use func(any)) {
	at := make([]int, len(list))
	for i, v := range list {
		at[i] = now(v)
	}
	if slices.IsSorted(slices.DeleteFunc(slices.Clone(at), func(i int) bool { return i < 0 })) {
		return
	}
	for i, v := range list {
		before := func(other int) bool { return other > at[i] }
		behind := func(other int) bool { return other >= 0 && other < at[i] }
		if at[i] >= 0 && (slices.ContainsFunc(at[:i], before) || slices.ContainsFunc(at[i:], behind)) {
			use(v)
		}
	}
}

// mostObjects is how many objects a list has at most that are told apart by a key.
const mostObjects = 128

// keyOf is the field that tells the objects of a list apart: each has a string or an integer
// there, and no other has the same. It is the favourite one if that does, and empty if none
// does.
func keyOf(list []any, favourite string) string {
	if len(list) == 0 || len(list) > mostObjects {
		return ""
	}
	first, _ := list[0].(record)
	candidates := append([]string{favourite, "id", "key", "name", "code"}, slices.Sorted(maps.Keys(first))...)
	i := slices.IndexFunc(candidates, func(name string) bool { return name != "" && tellsApart(list, name) })
	if i < 0 {
		return ""
	}
	return candidates[i]
}

func tellsApart(list []any, name string) bool {
	seen := make(map[string]bool, len(list))
	for _, v := range list {
		object, _ := v.(record)
		text, ok := keyText(object[name])
		if !ok || seen[text] {
			return false
		}
		seen[text] = true
	}
	return true
}

// keyText is a key as the segment of a path. Keys are strings and integers.
func keyText(v any) (text string, ok bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	case uint64:
		return strconv.FormatUint(v, 10), true
	}
	return "", false
}

// created lists what a create does: it sets each field.
func created(r record) []Change {
	if all := diff(nil, r); len(all) > 0 {
		return all
	}
	return []Change{{Kind: newRecord}}
}

// apply makes the changes to a copy of a record. Those in an object of a list that is not
// there are left out.
func apply(r record, changes []Change) record {
	out, _ := clone(r).(record)
	if out == nil {
		out = record{}
	}
	for _, c := range changes {
		c.apply(out)
	}
	return out
}

func (c Change) apply(to record) {
	p := c.at()
	if _, ok := p.find(to); !ok && c.Kind == unsetField {
		return // and make no maps on the way there
	}
	end := len(p) - 1
	if p[end].key != "" { // an object: what changes is the list
		end--
	}
	m := to
	for i := 0; i < end; i++ {
		inner, ok := p[i : i+1].find(m)
		if next := p[i+1]; next.key != "" {
			inner, ok = p[i : i+2].find(m)
			if i++; !ok {
				return
			}
		}
		next, isMap := inner.(record)
		if !ok || !isMap {
			next = record{}
			m[p[i].name] = next
		}
		m = next
	}
	name := p[end].name
	list, _ := m[name].([]any)
	switch c.Kind {
	case setField:
		m[name] = c.Value
	case unsetField:
		delete(m, name)
	case addCount:
		n, _ := m[name].(int64)
		m[name] = n + c.Value.(int64)
	case addElement:
		m[name] = append(list, c.Value)
	case dropElement:
		if i := slices.IndexFunc(list, func(v any) bool { return same(v, c.Value) }); i >= 0 {
			m[name] = slices.Delete(list, i, i+1)
		}
	case newObject:
		m[name] = append(list, record{p[end+1].key: c.Value})
	case noObject:
		if i, ok := indexOf(list, p[end+1]); ok {
			m[name] = slices.Delete(list, i, i+1)
		}
	}
}

// clone copies maps and lists and what is in them.
func clone(v any) any {
	switch v := v.(type) {
	case record:
		if v == nil {
			return v
		}
		out := make(record, len(v))
		for name, one := range v {
			out[name] = clone(one)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, one := range v {
			out[i] = clone(one)
		}
		return out
	}
	return v
}
