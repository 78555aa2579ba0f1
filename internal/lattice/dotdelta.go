package lattice

import (
	"slices"
)

// AppendDots appends the body of a delta made where the body is body, which may be empty.
// Each element of add gets a dot of this write with its position, if it has one, in the
// place of all its dots that the write knows of; the elements of remove lose those. What
// is in both is added. Versions of the given elements do not matter.
//
// Where a write that is known added several elements, removing one of them names the
// others, as they stay.
func (d *Delta) AppendDots(dst, body []byte, add, remove []Element) ([]byte, error) {
	changed := make([]change, 0, len(add)+len(remove))
	for _, e := range add {
		changed = append(changed, change{key: e.key(), position: e.Position, add: true})
	}
	for _, e := range remove {
		changed = append(changed, change{key: e.key()})
	}
	slices.SortStableFunc(changed, func(a, b change) int {
		c := a.key.compare(b.key)
		if c == 0 && a.add != b.add {
			if a.add {
				return -1
			}
			return 1
		}
		return c
	})
	changed = slices.CompactFunc(changed, func(a, b change) bool { return a.key.compare(b.key) == 0 })

	var elements []byte
	own := interval{index: d.self, to: d.at.Time}
	if len(body) > 0 {
		var context []byte
		var ok bool
		if context, elements, ok = Bin(body); !ok {
			return nil, malformed("context ends early")
		}
		for len(context) > 0 {
			iv, rest, ok := cutInterval(context)
			if !ok {
				return nil, malformed("context ends inside an interval")
			}
			if d.index(iv.index) == d.self {
				if err := d.above(iv.to); err != nil {
					return nil, err
				}
				own.from = iv.to + 1
			}
			context = rest
		}
	}
	removed, err := d.removed(elements, changed)
	if err != nil {
		return nil, err
	}
	dst = appendContext(dst, append(slices.Clone(removed), own))
	d.used.add(d.self)
	for _, iv := range removed {
		d.used.add(iv.index)
	}
	return d.appendElements(dst, elements, changed, removed), nil
}

// change is what a write does to one element.
type change struct {
	key      key
	position []byte
	add      bool
}

// removed returns the moments of the dots that a write takes from the changed elements, by
// its own indices, sorted; one more than once if it takes several dots of it.
func (d *Delta) removed(elements []byte, changed []change) ([]interval, error) {
	var points []interval
	for b := elements; len(b) > 0; {
		k, dots, ok := cutKey(b)
		if !ok {
			return nil, malformed("element ends early")
		}
		for len(changed) > 0 && changed[0].key.compare(k) < 0 {
			changed = changed[1:]
		}
		hit := len(changed) > 0 && changed[0].key.compare(k) == 0
		for more := true; more; {
			dot, after, ok := cutDot(dots)
			i := d.index(dot.index)
			if !ok || i >= len(d.origins) {
				return nil, malformed("element ends inside a dot")
			}
			if hit && d.knows(i, dot.time) {
				points = append(points, interval{index: i, from: dot.time, to: dot.time})
			}
			dots, more = after, dot.more
		}
		b = dots
	}
	slices.SortFunc(points, interval.compare)
	return points, nil
}

// appendElements appends the elements of a delta: those that are added, and those not
// changed that have dots at a moment that it removes others of.
func (d *Delta) appendElements(dst, elements []byte, changed []change, removed []interval) []byte {
	if len(removed) == 0 {
		elements = nil
	}
	for len(elements) > 0 {
		k, dots, _ := cutKey(elements)
		for len(changed) > 0 && changed[0].key.compare(k) < 0 {
			dst, changed = d.appendAdded(dst, changed[0]), changed[1:]
		}
		if len(changed) > 0 && changed[0].key.compare(k) == 0 {
			dst, changed = d.appendAdded(dst, changed[0]), changed[1:]
			elements, _ = skipDots(dots)
			continue
		}
		low := 0
		for more := true; more; {
			dot, after, _ := cutDot(dots)
			dot.index = d.index(dot.index)
			at := interval{index: dot.index, from: dot.time}
			if _, found := slices.BinarySearchFunc(removed, at, interval.compare); found {
				if low == 0 {
					dst = appendKey(dst, k)
				}
				dst, low = appendDot(dst, dot, low)
			}
			dots, more = after, dot.more
		}
		elements = dots
	}
	for _, c := range changed {
		dst = d.appendAdded(dst, c)
	}
	return dst
}

// appendAdded appends the element of a change if that adds it.
func (d *Delta) appendAdded(dst []byte, c change) []byte {
	if !c.add {
		return dst
	}
	dst, _ = appendDot(appendKey(dst, c.key), dot{index: d.self, time: d.at.Time, position: c.position}, 0)
	return dst
}
