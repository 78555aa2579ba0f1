package lattice

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// MaxOrigins bounds the origins of a record where a write is made. States that meet may
// have more together: a join never fails.
const MaxOrigins = 4096

// Table is the content of an origin table: see the package comment.
type Table []byte

// entry is one origin of a table: incarnation and region as they stand there.
type entry []byte

const incarnationLen = 8

// cut returns the first entry of t and what follows.
func (t Table) cut() (e entry, rest Table, ok bool) {
	if len(t) <= incarnationLen {
		return nil, nil, false
	}
	n := incarnationLen + 1
	switch c := t[incarnationLen]; {
	case c >= 0xa0 && c <= 0xbf: // fixstr
		n += int(c & 0x1f)
	case c == 0xd9 && len(t) > n: // str8
		n += 1 + int(t[n])
	default:
		return nil, nil, false
	}
	if n > len(t) {
		return nil, nil, false
	}
	return entry(t[:n]), t[n:], true
}

// entry returns the origin with an index; nil if there is none.
func (t Table) entry(index int) entry {
	for {
		e, rest, ok := t.cut()
		if !ok {
			return nil
		}
		if index == 0 {
			return e
		}
		index, t = index-1, rest
	}
}

func (e entry) region() []byte {
	if e[incarnationLen] == 0xd9 {
		return e[incarnationLen+2:]
	}
	return e[incarnationLen+1:]
}

func (e entry) compare(f entry) int {
	if c := bytes.Compare(e.region(), f.region()); c != 0 {
		return c
	}
	return bytes.Compare(e[:incarnationLen], f[:incarnationLen]) // big endian: byte order is number order
}

// compareOrigin is compare with an origin in the place of the other entry.
func (e entry) compareOrigin(o fieldwise.Origin) int {
	switch r := e.region(); {
	case string(r) < string(o.Region):
		return -1
	case string(r) > string(o.Region):
		return 1
	}
	return cmp.Compare(binary.BigEndian.Uint64(e), o.Incarnation)
}

func (e entry) origin() fieldwise.Origin {
	return fieldwise.Origin{
		Region:      fieldwise.Region(e.region()),
		Incarnation: binary.BigEndian.Uint64(e),
	}
}

func appendEntry(dst []byte, o fieldwise.Origin) []byte {
	dst = binary.BigEndian.AppendUint64(dst, o.Incarnation)
	return wire.AppendString(dst, o.Region)
}

// AppendTable appends the table of the given origins, which must be sorted and unique,
// as the bin that opens a state.
func AppendTable(dst []byte, origins []fieldwise.Origin) []byte {
	dst, start := BeginBin(dst)
	for _, o := range origins {
		dst = appendEntry(dst, o)
	}
	return EndBin(dst, start)
}

// Check returns the number of origins of a table that came from outside.
func (t Table) Check() (n int, err error) {
	var last entry
	for rest := t; len(rest) > 0; n++ {
		e, after, ok := rest.cut()
		if !ok {
			return 0, malformed("origin table ends inside an origin")
		}
		region := e.region()
		if !validRegion(region) {
			return 0, fmt.Errorf("%w: %w", fieldwise.ErrMalformed, fieldwise.Region(region).Validate())
		}
		if len(region) < 32 && e[incarnationLen] == 0xd9 {
			return 0, malformed("region name in a longer form than it needs")
		}
		if last != nil && last.compare(e) >= 0 {
			return 0, malformed("origin table is not sorted")
		}
		last, rest = e, after
	}
	return n, nil
}

// validRegion is Validate of a region, without its words.
func validRegion(region []byte) bool {
	for _, c := range region {
		if !regionBytes[c] {
			return false
		}
	}
	return len(region) > 0 && len(region) <= fieldwise.MaxRegionLen
}

// regionBytes holds which bytes a region can have.
var regionBytes = func() (t [256]bool) {
	for c := range t {
		t[c] = fieldwise.Region([]byte{byte(c)}).Validate() == nil
	}
	return t
}()

// Origins lists the table, whose order is that of the items' indices.
func (t Table) Origins() []fieldwise.Origin {
	var all []fieldwise.Origin
	for {
		e, rest, ok := t.cut()
		if !ok {
			return all
		}
		all, t = append(all, e.origin()), rest
	}
}

// renumbering maps the indices of one table to those of another.
type renumbering []uint32

// identity reports whether every index stays what it is.
func (r renumbering) identity() bool {
	return len(r) == 0 || int(r[len(r)-1]) == len(r)-1 // indices rise strictly
}

// unite appends the union of two tables to dst and says where the indices of each go.
func unite(dst []byte, a, b Table, na, nb renumbering) ([]byte, renumbering, renumbering, bool) {
	next := uint32(0)
	for len(a) > 0 || len(b) > 0 {
		var ea, eb entry
		var resta, restb Table
		var ok bool
		if len(a) > 0 {
			if ea, resta, ok = a.cut(); !ok {
				return dst, nil, nil, false
			}
		}
		if len(b) > 0 {
			if eb, restb, ok = b.cut(); !ok {
				return dst, nil, nil, false
			}
		}
		c := 0
		switch {
		case ea == nil:
			c = 1
		case eb == nil:
			c = -1
		case !bytes.Equal(ea, eb):
			c = ea.compare(eb)
		}
		if c <= 0 {
			dst = append(dst, ea...)
			na, a = append(na, next), resta
		}
		if c >= 0 {
			nb, b = append(nb, next), restb
			if c > 0 {
				dst = append(dst, eb...)
			}
		}
		next++
	}
	return dst, na, nb, true
}

// uniteBodies appends to dst the table bin that the join of two states opens with, and
// returns the two bodies as they read under that table. Bodies that already do are
// returned as they are; others are rewritten into spare capacity of the result, far
// enough behind its end that appending the join does not reach them.
func uniteBodies(dst []byte, kind body, ta Table, bodyA []byte, tb Table, bodyB []byte) (out, a, b []byte, err error) {
	if bytes.Equal(ta, tb) {
		return wire.AppendBin(dst, ta), bodyA, bodyB, nil
	}
	dst, start := BeginBin(dst)
	dst, na, nb, ok := unite(dst, ta, tb, make(renumbering, 0, 64), make(renumbering, 0, 64))
	if !ok {
		return nil, nil, nil, malformed("origin table")
	}
	dst = EndBin(dst, start)

	// Renumbering can lengthen a head by four bytes of at least nine and a field's
	// length by three of at least twelve: less than half of it all. A join can write
	// shortItem bytes behind its end.
	room, scratch := 2*(len(bodyA)+len(bodyB))+8+shortItem, 0
	if !na.identity() {
		scratch += 2 * len(bodyA)
	}
	if !nb.identity() {
		scratch += 2 * len(bodyB)
	}
	dst = slices.Grow(dst, room+scratch)
	spare := dst[len(dst)+room : len(dst)+room]
	if !na.identity() {
		if spare, ok = kind.renumber(spare, bodyA, na); !ok {
			return nil, nil, nil, malformed("item outside the origin table")
		}
		bodyA, spare = spare, spare[len(spare):]
	}
	if !nb.identity() {
		if bodyB, ok = kind.renumber(spare, bodyB, nb); !ok {
			return nil, nil, nil, malformed("item outside the origin table")
		}
	}
	return dst, bodyA, bodyB, nil
}
