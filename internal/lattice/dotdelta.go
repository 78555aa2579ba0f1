package lattice

import (
	"slices"
)

// AppendDots appends the body of a delta made where the body is body, which may be empty.
// Each element of add gets a dot of this write with its position, if it has one, in the
// place of all its dots that the write knows of; the elements of remove lose those. What
// is in both is added. Versions of the given elements do not matter. Ordinals go by the
// order of add, so that what stands side by side there can be removed in few bytes.
func (d *Delta) AppendDots(dst, body []byte, add, remove []Element) ([]byte, error) {
	changed := make([]change, 0, len(add)+len(remove))
	for i, e := range add {
		changed = append(changed, change{key: e.key(), ordinal: uint32(i), position: e.Position, add: true})
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
	own := wholeMoments(d.self, 0, d.at.Time)
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
	d.used.add(d.self)
	for _, iv := range removed {
		d.used.add(iv.index)
	}
	dst = appendContext(dst, append(removed, own))
	for _, c := range changed {
		if c.add {
			added := dot{index: d.self, time: d.at.Time, ordinal: c.ordinal, position: c.position}
			dst, _ = appendDot(appendKey(dst, c.key), added, 0)
		}
	}
	return dst, nil
}

// change is what a write does to one element.
type change struct {
	key      key
	ordinal  uint32 // of what it adds
	position []byte
	add      bool
}

// removed returns the dots that a write takes from the changed elements, by its own indices.
func (d *Delta) removed(elements []byte, changed []change) (all []interval, err error) {
	for len(elements) > 0 && len(changed) > 0 {
		k, dots, ok := cutKey(elements)
		if !ok {
			return nil, malformed("element ends early")
		}
		for len(changed) > 0 && changed[0].key.compare(k) < 0 {
			changed = changed[1:]
		}
		if len(changed) == 0 || changed[0].key.compare(k) != 0 {
			if elements, ok = skipDots(dots); !ok {
				return nil, malformed("element ends inside a dot")
			}
			continue
		}
		for more := true; more; {
			dot, after, ok := cutDot(dots)
			i := d.index(dot.index)
			if !ok || i >= d.origins {
				return nil, malformed("element ends inside a dot")
			}
			if d.knows(i, dot.time) {
				all = append(all, onlyDot(i, dot.time, dot.ordinal))
			}
			dots, more = after, dot.more
		}
		elements = dots
	}
	return all, nil
}
