package main

import (
	"maps"
	"reflect"
	"slices"

	"github.com/fieldwise/fieldwise/fieldmerge"
)

// record is one profile: JSON-shaped, with int64, uint64 or float64 for numbers. A nil
// record is none.
type record = map[string]any

// Change is what an edit did to one field, or to the record as a whole.
type Change struct {
	Kind  kind
	Path  string // as package fieldmerge writes paths; empty for the whole record
	Value any    // of setField
}

type kind uint8

const (
	setField   kind = iota // the field has Value now
	unsetField             // the field is gone
	newRecord              // the record is there: a create without any field
	noRecord               // the record is gone
)

// shownBy reports whether a reader of the record sees the change.
func (c Change) shownBy(r record) bool {
	v, ok := lookup(r, c.Path)
	switch c.Kind {
	case setField:
		if _, isMap := c.Value.(record); isMap {
			_, ok = v.(record) // somebody may have put something into it
			return ok
		}
		return ok && reflect.DeepEqual(v, c.Value)
	case unsetField:
		return !ok
	case newRecord:
		return r != nil
	default:
		return r == nil
	}
}

// leaves lists what is in a record by path. Maps are taken apart, lists are not; a map
// counts only where it is empty.
func leaves(r record) map[string]any {
	all := make(map[string]any)
	var walk func(segments []string, m record)
	walk = func(segments []string, m record) {
		for name, v := range m {
			at := append(segments[:len(segments):len(segments)], name)
			if inner, ok := v.(record); ok && len(inner) > 0 {
				walk(at, inner)
			} else {
				all[fieldmerge.JoinPath(at...)] = v
			}
		}
	}
	walk(nil, r)
	return all
}

// lookup finds what is at a path.
func lookup(r record, path string) (v any, ok bool) {
	segments, err := fieldmerge.SplitPath(path)
	if err != nil {
		return nil, false
	}
	v = r
	for _, name := range segments {
		inner, isMap := v.(record)
		if !isMap {
			return nil, false
		}
		if v, ok = inner[name]; !ok {
			return nil, false
		}
	}
	return v, ok
}

// diff lists what turns one record into another, by path.
func diff(from, to record) []Change {
	before, after := leaves(from), leaves(to)
	var all []Change
	for _, path := range slices.Sorted(maps.Keys(after)) {
		v := after[path]
		old, ok := lookup(from, path)
		_, wasMap := old.(record)
		_, isMap := v.(record)
		if !ok || wasMap != isMap || !isMap && !reflect.DeepEqual(old, v) {
			all = append(all, Change{Kind: setField, Path: path, Value: v})
		}
	}
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if _, ok := lookup(to, path); !ok {
			all = append(all, Change{Kind: unsetField, Path: path})
		}
	}
	return all
}

// created lists what a create does: it sets each field.
func created(r record) []Change {
	if all := diff(nil, r); len(all) > 0 {
		return all
	}
	return []Change{{Kind: newRecord}}
}

// apply makes the changes to a copy of a record.
func apply(r record, changes []Change) record {
	out := clone(r)
	for _, c := range changes {
		if _, ok := lookup(out, c.Path); !ok && c.Kind == unsetField {
			continue
		}
		segments, _ := fieldmerge.SplitPath(c.Path) // the parser has checked it
		last := len(segments) - 1
		at := out
		for _, name := range segments[:last] {
			inner, ok := at[name].(record)
			if !ok {
				inner = record{}
				at[name] = inner
			}
			at = inner
		}
		if c.Kind == setField {
			at[segments[last]] = c.Value
		} else {
			delete(at, segments[last])
		}
	}
	return out
}

// clone copies a record and the maps in it.
func clone(r record) record {
	out := make(record, len(r))
	for name, v := range r {
		if inner, ok := v.(record); ok {
			v = clone(inner)
		}
		out[name] = v
	}
	return out
}
