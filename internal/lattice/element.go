package lattice

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/fieldwise/fieldwise"
)

// Element is one element of a set or a list.
type Element struct {
	Value      []byte // encoded; nil stands for the mark that the set was unset
	Occurrence uint64 // tells equal values of a list apart; zero in a set

	// Of the newest dot. Position is nil where it has none.
	Position []byte
	Version  fieldwise.Version
}

func (e *Element) key() key {
	if e.Value == nil {
		return key{value: []byte{Absent}}
	}
	return key{value: e.Value, occurrence: e.Occurrence}
}

// Elements lists a set in the order of [Compare], without the mark that it was unset. A body
// without bytes has none. Values alias the body.
func Elements(t Table, body []byte) (all []Element, err error) {
	all, _, err = readDots(t, body)
	slices.SortFunc(all, func(a, b Element) int {
		return cmp.Or(Compare(a.Value, b.Value), cmp.Compare(a.Occurrence, b.Occurrence))
	})
	return all, err
}

// ListElements lists a list in the order that readers see: by position, then version.
func ListElements(t Table, body []byte) (all []Element, err error) {
	all, _, err = readDots(t, body)
	sortList(all)
	return all, err
}

func sortList(all []Element) {
	slices.SortFunc(all, func(a, b Element) int {
		return cmp.Or(bytes.Compare(a.Position, b.Position), a.Version.Compare(b.Version), a.key().compare(b.key()))
	})
}

// Present reports whether there is a set at all: a body that has any element or no mark
// that it was unset.
func Present(body []byte) bool {
	_, elements, ok := Bin(body)
	if !ok || len(elements) == 0 {
		return ok
	}
	k, dots, ok := cutKey(elements)
	if !ok || k.value[0] != Absent {
		return ok
	}
	others, ok := skipDots(dots)
	return ok && len(others) > 0
}

// readDots lists the elements in the order of the body, and says whether the mark is there.
func readDots(t Table, body []byte) (all []Element, marked bool, err error) {
	if len(body) == 0 {
		return nil, false, nil
	}
	origins := t.Origins()
	_, b, ok := Bin(body)
	if !ok {
		return nil, false, malformed("context ends early")
	}
	for len(b) > 0 {
		k, dots, ok := cutKey(b)
		if !ok {
			return nil, false, malformed("element ends early")
		}
		var newest dot
		for more, n := true, 0; more; n++ {
			d, after, ok := cutDot(dots)
			if !ok || d.index >= len(origins) {
				return nil, false, malformed("element ends inside a dot")
			}
			if n == 0 || d.time >= newest.time { // at equal times the later origin, as versions go
				newest = d
			}
			dots, more = after, d.more
		}
		b = dots
		if k.value[0] == Absent {
			marked = true
			continue
		}
		all = append(all, Element{
			Value: k.value, Occurrence: k.occurrence,
			Position: slices.Clip(newest.position),
			Version:  fieldwise.Version{Time: newest.time, Origin: origins[newest.index]},
		})
	}
	return all, marked, nil
}
