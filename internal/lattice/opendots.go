package lattice

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// openDots is the body of a set, a list or a flag as trees: a join costs the size of what
// joins it, and of the context. The trees never change what they hold, so that clones and
// what readers were given stay as they are.
type openDots struct {
	context  []byte
	elements tree // as they stand in a body, by value and occurrence
	dots     tree // see dotKey
	order    tree // of a list: see placeKey
	ordered  bool
	size     int // bytes of the elements
}

// The bytes of a value end by themselves, and shorter numbers begin with smaller bytes: so
// the order of rows by the bytes of value and occurrence is that of the keys.

func isMark(e row) bool { return e.bytes[0] == Absent }

// eachDot yields the dots of an element until yield returns false.
func eachDot(e row, yield func(dot) bool) bool {
	b := e.bytes[e.key:]
	for more := len(b) > 0; more; {
		d, rest, ok := cutDot(b)
		if !ok || !yield(d) {
			return false
		}
		b, more = rest, d.more
	}
	return true
}

// dotKey is the key of a dot: origin, time and ordinal, and behind them the key of the element
// that has it, since there can be several where an identity is used twice.
func dotKey(dst []byte, index int, t fieldwise.Timestamp, ordinal uint32, element []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(index))
	dst = binary.BigEndian.AppendUint64(dst, uint64(t))
	dst = binary.BigEndian.AppendUint32(dst, ordinal)
	return append(dst, element...)
}

const dotKeyLen = 4 + timeLen + 4 // without the element

// placeOf is an element of a list by where readers see it: the key is the position, in a form
// that ends by itself, time and origin of the newest dot, and the element's key, which stands
// behind it once more.
func placeOf(e row) row {
	var newest dot
	eachDot(e, func(d dot) bool {
		if d.time >= newest.time { // at equal times the later origin, as versions go
			newest = d
		}
		return true
	})
	b := make([]byte, 0, len(newest.position)+2+timeLen+4+2*e.key)
	for _, c := range newest.position {
		if b = append(b, c); c == 0 {
			b = append(b, 1)
		}
	}
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(newest.time))
	b = binary.BigEndian.AppendUint32(b, uint32(newest.index))
	b = append(b, e.bytes[:e.key]...)
	return row{bytes: append(b, e.bytes[:e.key]...), key: len(b)}
}

// cutElement returns the first element of a sequence and what follows it.
func cutElement(b []byte) (e row, rest []byte, ok bool) {
	_, dots, ok := cutKey(b)
	if !ok {
		return row{}, nil, false
	}
	if rest, ok = skipDots(dots); !ok {
		return row{}, nil, false
	}
	n := len(b) - len(rest)
	return row{bytes: b[:n:n], key: len(b) - len(dots)}, rest, true
}

// openBody opens a body, which is kept.
func openBody(body []byte, ordered bool) (*openDots, error) {
	context, b, ok := Bin(body)
	if !ok {
		return nil, malformed("context ends early")
	}
	s := &openDots{context: context, ordered: ordered, size: len(b)}
	var all, dots, order []row
	for len(b) > 0 {
		e, rest, ok := cutElement(b)
		if !ok {
			return nil, malformed("element ends early")
		}
		all, b = append(all, e), rest
		eachDot(e, func(d dot) bool {
			dots = append(dots, keyRow(dotKey(nil, d.index, d.time, d.ordinal, e.keyBytes())))
			return true
		})
		if ordered && !isMark(e) {
			order = append(order, placeOf(e))
		}
	}
	slices.SortFunc(dots, compareRows)
	slices.SortFunc(order, compareRows)
	s.elements, s.dots, s.order = grown(all), grown(dots), grown(order)
	return s, nil
}

func (s *openDots) clone() *openDots {
	c := *s
	c.elements, c.dots, c.order = s.elements.clone(), s.dots.clone(), s.order.clone()
	return &c
}

// find returns the element of a key, without bytes if there is none.
func (s *openDots) find(key []byte) row {
	e, _ := s.elements.find(key)
	return e
}

// len counts the elements without the mark.
func (s *openDots) len() int {
	n := s.elements.len()
	if s.marked() {
		n--
	}
	return n
}

var markKey = appendKey(nil, key{value: []byte{Absent}})

func (s *openDots) marked() bool { return len(s.find(markKey).bytes) > 0 }

// bodyLen is how many bytes appendBody appends.
func (s *openDots) bodyLen() int { return binLen(len(s.context)) + s.size }

func (s *openDots) appendBody(dst []byte) []byte {
	dst = wire.AppendBin(dst, s.context)
	s.elements.all(func(e row) bool { dst = append(dst, e.bytes...); return true })
	return dst
}

// merge joins a body under the same table, which is not kept.
func (s *openDots) merge(delta []byte) error {
	context, b, ok := Bin(delta)
	if !ok {
		return malformed("context ends early")
	}
	joined, ok := joinContexts(make([]byte, 0, len(s.context)+len(context)), s.context, context)
	if !ok {
		return malformed("context ends inside an interval")
	}
	var few [4]row
	came := few[:0]
	for len(b) > 0 {
		e, rest, ok := cutElement(b)
		if !ok {
			return malformed("element ends early")
		}
		came, b = append(came, e), rest
	}
	gone, ok := s.covered(context)
	if !ok {
		return malformed("context ends inside an interval")
	}
	ours, theirs := coverOf(s.context), coverOf(context)
	for _, e := range came {
		if err := s.join(e.bytes[:e.key], e.bytes, &ours, &theirs); err != nil {
			return err
		}
	}
	for _, key := range gone {
		if _, both := slices.BinarySearchFunc(came, keyRow(key), compareRows); both {
			continue
		}
		if err := s.join(key, nil, &ours, &theirs); err != nil {
			return err
		}
	}
	s.context = joined
	return nil
}

// coverOf is the cover of a context, with samples if it is long.
func coverOf(context []byte) cover {
	if len(context) > longContext {
		return new(samples).cover(context)
	}
	return cover{context: context}
}

// covered lists the keys of elements with a dot that the context covers.
func (s *openDots) covered(context []byte) (keys [][]byte, ok bool) {
	for len(context) > 0 {
		iv, rest, ok := cutInterval(context)
		if !ok {
			return nil, false
		}
		context = rest
		var from [dotKeyLen]byte
		s.dots.from(dotKey(from[:0], iv.index, iv.from, iv.first, nil), func(d row) bool {
			index := int(binary.BigEndian.Uint32(d.bytes))
			t := fieldwise.Timestamp(binary.BigEndian.Uint64(d.bytes[4:]))
			ordinal := binary.BigEndian.Uint32(d.bytes[4+timeLen:])
			if index != iv.index || t > iv.to || t == iv.to && ordinal > iv.last {
				return false
			}
			keys = append(keys, d.bytes[dotKeyLen:])
			return true
		})
	}
	return keys, true
}

// join joins what both sides have of one element.
func (s *openDots) join(key, theirs []byte, coverA, coverB *cover) error {
	before := s.find(key)
	var j dotJoin
	joined, err := j.join(before.bytes, theirs, coverA, coverB)
	if err != nil || bytes.Equal(joined, before.bytes) {
		return err
	}
	after := row{bytes: joined, key: min(len(key), len(joined))}
	s.size += len(joined) - len(before.bytes)
	var room [64]byte
	eachDot(before, func(d dot) bool {
		s.dots.remove(dotKey(room[:0], d.index, d.time, d.ordinal, key))
		return true
	})
	eachDot(after, func(d dot) bool {
		s.dots.put(keyRow(dotKey(nil, d.index, d.time, d.ordinal, key)))
		return true
	})
	if s.ordered && key[0] != Absent {
		if len(before.bytes) > 0 {
			was := placeOf(before)
			s.order.remove(was.keyBytes())
		}
		if len(joined) > 0 {
			s.order.put(placeOf(after))
		}
	}
	if len(joined) == 0 {
		s.elements.remove(key)
	} else {
		s.elements.put(after)
	}
	return nil
}

// appendPart appends a body with the context, the mark if there is one, the elements of the
// given values and, where there is any element but the mark, at least one: of a list the last.
func (s *openDots) appendPart(dst []byte, values [][]byte) []byte {
	chosen := []row{s.find(markKey)}
	if e, ok := s.elements.last(); ok {
		chosen = append(chosen, e)
	}
	if last, ok := s.order.last(); ok {
		chosen = append(chosen, s.find(last.bytes[last.key:]))
	}
	for _, v := range values {
		s.elements.from(v, func(e row) bool {
			same := bytes.HasPrefix(e.bytes, v)
			if same {
				chosen = append(chosen, e)
			}
			return same
		})
	}
	slices.SortFunc(chosen, compareRows)
	dst = wire.AppendBin(dst, s.context)
	var before row
	for _, e := range chosen {
		if len(e.bytes) > 0 && compareRows(e, before) != 0 {
			dst, before = append(dst, e.bytes...), e
		}
	}
	return dst
}
