package lattice

import (
	"encoding/binary"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Seen is one origin of a tombstone's context: the highest timestamp of that origin
// that the record's deletes had seen, and whether it is that of a delete itself. The
// context is a sequence of heads (index*4, plus 1 for a delete) and timestamps by
// rising index.
type Seen struct {
	Index  int
	Time   fieldwise.Timestamp
	Delete bool
}

// CutSeen returns the first origin of a context and what follows it.
func CutSeen(b []byte) (s Seen, rest []byte, ok bool) {
	if len(b) == 0 {
		return Seen{}, nil, false
	}
	head, rest, err := wire.Uint(b)
	if err != nil || head > maxHead || head&headCreated != 0 || len(rest) < timeLen {
		return Seen{}, nil, false
	}
	s = Seen{Index: int(head >> headShift), Delete: head&headSuperseded != 0, Time: fieldwise.Timestamp(binary.BigEndian.Uint64(rest))}
	return s, rest[timeLen:], true
}

func appendSeen(dst []byte, s Seen) []byte {
	return AppendItem(dst, Item{Index: s.Index, Time: s.Time, Superseded: s.Delete})
}

// joinSeen appends the maximum per origin; at equal timestamps a delete stays one.
func joinSeen(dst, a, b []byte) ([]byte, error) {
	for len(a) > 0 && len(b) > 0 {
		sa, resta, oka := CutSeen(a)
		sb, restb, okb := CutSeen(b)
		if !oka || !okb {
			return nil, malformed("context ends early")
		}
		switch {
		case sa.Index < sb.Index:
			dst, a = appendSeen(dst, sa), resta
			continue
		case sa.Index > sb.Index:
			dst, b = appendSeen(dst, sb), restb
			continue
		case sb.Time > sa.Time || sb.Time == sa.Time && sb.Delete:
			sa = sb
		}
		dst, a, b = appendSeen(dst, sa), resta, restb
	}
	return append(append(dst, a...), b...), nil
}

func renumberSeen(dst, b []byte, to renumbering) ([]byte, bool) {
	for len(b) > 0 {
		s, rest, ok := CutSeen(b)
		if !ok || s.Index >= len(to) {
			return nil, false
		}
		s.Index = int(to[s.Index])
		dst, b = appendSeen(dst, s), rest
	}
	return dst, true
}

func checkSeen(b []byte, origins int, used *usage) error {
	for last := -1; len(b) > 0; {
		s, rest, ok := CutSeen(b)
		if !ok || s.Index <= last || s.Index >= origins {
			return malformed("tombstone's context")
		}
		used.add(s.Index)
		last, b = s.Index, rest
	}
	return nil
}

// AppendSeen appends table and context of a delete that saw the given table and fields.
func (d *Delta) AppendSeen(dst []byte, fs []byte) ([]byte, error) {
	highest := make([]fieldwise.Timestamp, d.origins)
	for len(fs) > 0 {
		f, rest, ok := CutField(fs)
		if !ok {
			return nil, malformed("field ends early")
		}
		if form, known := f.Kind.body(); !known || !form.times(f.Body, func(i int, t fieldwise.Timestamp) bool {
			if i = d.index(i); i >= len(highest) {
				return false
			}
			if d.knows(i, t) {
				highest[i] = max(highest[i], t)
				d.used.add(i)
			}
			return true
		}) {
			return nil, malformed("field ends early")
		}
		fs = rest
	}
	if err := d.above(highest[d.self]); err != nil {
		return nil, err
	}
	highest[d.self] = d.at.Time
	d.used.add(d.self)
	var b []byte
	for i, time := range highest {
		if d.used.has(i) {
			b = appendSeen(b, Seen{Index: i, Time: time, Delete: i == d.self})
		}
	}
	return d.finish(dst, seen, b), nil
}
