package lattice

import (
	"bytes"
)

// place is where a value of the wanted list goes.
type place struct {
	element int  // of the list that is there: the one it is or is moved from; -1 for none
	stays   bool // at its position; without an element: it was removed meanwhile
}

// AppendList appends the body of the delta that turns the list from, as the writer saw it,
// into the list to: encoded values, nil where there is no list. body, which may be empty and
// stands under the table t, is what is there now: more than the writer saw, or less. What
// both lists have in the same order is left alone. A value that goes from one place to
// another stays the same element, and others keep their places beside it. Where nothing
// is to be written, dst comes back as it was.
func (d *Delta) AppendList(dst, body []byte, t Table, from, to [][]byte) ([]byte, error) {
	current, marked, err := readDots(t, body)
	if err != nil {
		return nil, err
	}
	if to == nil {
		return d.appendUnset(dst, body, current, from)
	}
	sortList(current)
	places, removed := plan(current, from, to)
	add := placed(current, to, places, removed)
	var remove []Element
	for i := range current {
		if removed[i] {
			remove = append(remove, current[i])
		}
	}
	return d.appendChange(dst, body, marked, add, remove, from == nil)
}

// plan says where each value of to goes, and which elements of current the writer removed
// from where they are: by index.
func plan(current []Element, from, to [][]byte) (places []place, removed []bool) {
	// The elements of current that the values of from stand for: the n-th of a value is its n-th.
	byValue := make(map[string][]int, len(current))
	for i := range current {
		v := string(current[i].Value)
		byValue[v] = append(byValue[v], i)
	}
	element := make([]int, len(from))
	for i, v := range from {
		element[i] = -1
		if all := byValue[string(v)]; len(all) > 0 {
			element[i], byValue[string(v)] = all[0], all[1:]
		}
	}

	match := matching(from, to)
	kept := make([]bool, len(from))
	for _, i := range match {
		if i >= 0 {
			kept[i] = true
		}
	}
	removed = make([]bool, len(current))
	places = make([]place, 0, len(to))
	movable := make(map[string][]int)
	for i, v := range from {
		if !kept[i] && element[i] >= 0 {
			removed[element[i]] = true
			movable[string(v)] = append(movable[string(v)], element[i])
		}
	}

	var last []byte // the position of the last element that stays
	pending := false
	for j, i := range match {
		p := place{element: -1}
		if i >= 0 {
			p = place{element: element[i], stays: true}
			if p.element < 0 {
				places = append(places, p) // was removed meanwhile
				continue
			}
			// Between two at one position, written concurrently, there is no room.
			if position := current[p.element].Position; pending && bytes.Equal(position, last) {
				p.stays = false
			} else {
				last, pending = position, false
			}
		} else if all := movable[string(to[j])]; len(all) > 0 {
			p.element, movable[string(to[j])] = all[0], all[1:]
		}
		pending = pending || !p.stays
		places = append(places, p)
	}
	return places, removed
}

// placed returns the elements of to that do not stay, at fresh positions: after the element
// that stays before them in to, or else before the one that stays behind them, or else at
// the end.
func placed(current []Element, to [][]byte, places []place, removed []bool) (fresh []Element) {
	names := namesOf(current)
	prev, first := -1, 0 // first of fresh without a position yet
	settle := func(next int) {
		if first == len(fresh) {
			return
		}
		lo, hi := gap(current, removed, prev, next)
		for i, p := range between(lo, hi, len(fresh)-first) {
			fresh[first+i].Position = p
		}
		first = len(fresh)
	}
	for j, p := range places {
		switch {
		case p.stays && p.element < 0:
		case p.stays:
			settle(p.element)
			prev = p.element
		case p.element >= 0:
			fresh = append(fresh, Element{Value: current[p.element].Value, Occurrence: current[p.element].Occurrence})
		default:
			fresh = append(fresh, Element{Value: to[j], Occurrence: names.fresh(to[j])})
		}
	}
	settle(-1)
	return fresh
}

// gap returns the positions next to each other of elements that stay, behind prev or, if
// that is -1, before next, or at the end if both are.
func gap(current []Element, removed []bool, prev, next int) (lo, hi []byte) {
	if prev >= 0 {
		lo = current[prev].Position
		for i := prev + 1; i < len(current); i++ {
			if p := current[i].Position; !removed[i] && bytes.Compare(p, lo) > 0 {
				return lo, p
			}
		}
		return lo, nil
	}
	last := len(current) - 1
	if next >= 0 {
		hi, last = current[next].Position, next-1
	}
	for i := last; i >= 0; i-- {
		if p := current[i].Position; !removed[i] && (next < 0 || bytes.Compare(p, hi) < 0) {
			return p, hi
		}
	}
	return nil, hi
}

// occurrences names elements that are new to a list.
type occurrences struct {
	used map[occurrence]bool
	next map[string]uint64 // per value: all below are used
}

type occurrence struct {
	value  string
	number uint64
}

func namesOf(current []Element) occurrences {
	o := occurrences{used: make(map[occurrence]bool, len(current)), next: make(map[string]uint64)}
	for i := range current {
		o.used[occurrence{string(current[i].Value), current[i].Occurrence}] = true
	}
	return o
}

// fresh returns the lowest number that no element of the value has, each once.
func (o *occurrences) fresh(value []byte) uint64 {
	v := string(value)
	n := o.next[v]
	for o.used[occurrence{v, n}] {
		n++
	}
	o.next[v] = n + 1
	return n
}
