package lattice

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Dots are the body of a set, a flag and a list: elements with the dots that added them,
// behind the causal context that says which dots were ever seen. Nothing is kept of an
// element that was removed: a dot that the context covers and that no element has is one
// that was removed.
//
// A dot is (origin, timestamp, ordinal); the ordinal tells the elements apart that one write
// added. What an origin writes at t, where its last write to the body was at p, covers all
// of (p, t] on the time axis of that origin: it made no other dot there. So contexts are few
// intervals, and a delta that arrives before an earlier one leaves a gap that hides nothing.
// A delta that removes a dot covers that ordinal of its moment alone, so what else was added
// at that moment is not its business.
//
//	body      context, elements to the end
//	context   msgpack bin, a sequence of intervals, at least one, by index, time and ordinal
//	interval  head, from and to: whole moments; they neither overlap nor adjoin
//	          head, time, first, last: some ordinals of a moment that is not whole; such
//	          parts neither overlap nor adjoin each other
//	head      msgpack uint: index*4, plus 1 if the interval begins at zero: then from is left
//	          out; plus 2 if it is part of a moment (not both)
//	ordinal   (also first, last) msgpack uint, less than 1<<32 - 1
//	element   value, occurrence, dots; by rising bytes of the value, then occurrence
//	value     as in a register; the byte 0xc1 is the mark that the set was unset, which
//	          counts while there is no other element
//	occurrence msgpack uint: tells equal values of a list apart, zero for those of a set
//	dot       head (index*4, plus 2 if it has a position, plus 1 if another dot of the
//	          element follows), time, ordinal, position as a msgpack bin that is not empty
//	          and does not end in zero; by rising index, time and ordinal
//
// A body that covers a dot says whether it is still there: in a join, the dot of x goes where
// the other side covers it and has none for x. Where an origin's identity is used twice, two
// elements can claim one dot; each is joined by itself.
//
// Sources: Bieniusa et al., "An optimized conflict-free replicated set" (2012); Almeida,
// Shoker and Baquero, "Delta state replicated data types" (2018).

// The head of a dot.
const (
	dotMore = 1 << iota
	dotPositioned
)

// dot is one dot of an element; its position is nil where it has none.
type dot struct {
	index    int
	time     fieldwise.Timestamp
	ordinal  uint32
	position []byte
	more     bool
}

func cutDot(b []byte) (d dot, rest []byte, ok bool) {
	head, rest, err := wire.Uint(b)
	if err != nil || head > maxHead || len(rest) < timeLen {
		return dot{}, nil, false
	}
	d = dot{
		index: int(head >> headShift),
		time:  fieldwise.Timestamp(binary.BigEndian.Uint64(rest)),
		more:  head&dotMore != 0,
	}
	if d.ordinal, rest, ok = cutOrdinal(rest[timeLen:]); !ok {
		return dot{}, nil, false
	}
	if head&dotPositioned != 0 {
		if d.position, rest, ok = Bin(rest); !ok || len(d.position) == 0 {
			return dot{}, nil, false
		}
	}
	return d, rest, true
}

func (d *dot) compare(other *dot) int {
	return cmp.Or(cmp.Compare(d.index, other.index), cmp.Compare(d.time, other.time), cmp.Compare(d.ordinal, other.ordinal))
}

// appendDot appends a dot to the element that dst ends with. low is zero for its first dot
// and else what the call for the one before returned: where in dst its flags are.
func appendDot(dst []byte, d dot, low int) (out []byte, flags int) {
	if low > 0 {
		dst[low] |= dotMore // no flag makes a head longer
	}
	head := uint64(d.index) << headShift
	if len(d.position) > 0 {
		head |= dotPositioned
	}
	dst = wire.AppendUint(dst, head)
	flags = len(dst) - 1
	dst = binary.BigEndian.AppendUint64(dst, uint64(d.time))
	dst = wire.AppendUint(dst, uint64(d.ordinal))
	if len(d.position) > 0 {
		dst = wire.AppendBin(dst, d.position)
	}
	return dst, flags
}

// key is what tells an element from others.
type key struct {
	value      []byte // encoded, or the byte Absent
	occurrence uint64
}

func (k key) compare(other key) int {
	return cmp.Or(bytes.Compare(k.value, other.value), cmp.Compare(k.occurrence, other.occurrence))
}

// cutKey returns the key of the element that b begins with and what follows the key: its
// dots, and the elements behind them.
func cutKey(b []byte) (k key, dots []byte, ok bool) {
	n, ok := valueLen(b)
	if !ok {
		return key{}, nil, false
	}
	k.value = b[:n:n]
	var err error
	k.occurrence, dots, err = wire.Uint(b[n:])
	return k, dots, err == nil
}

func appendKey(dst []byte, k key) []byte {
	return wire.AppendUint(append(dst, k.value...), k.occurrence)
}

// skipDots returns what follows the dots of one element.
func skipDots(b []byte) (rest []byte, ok bool) {
	const least = 1 + timeLen + 1
	for {
		// One of the first 32 origins, without a position: the head is a byte, and the one
		// that the ordinal begins with says how long it is.
		if len(b) >= least && b[0] < 0x80 && b[0]&dotPositioned == 0 {
			if n := least + int(ordinalTails[b[least-1]]); n <= len(b) {
				more := b[0]&dotMore != 0
				if b = b[n:]; !more {
					return b, true
				}
				continue
			}
		}
		d, after, ok := cutDot(b)
		if !ok {
			return nil, false
		}
		if b = after; !d.more {
			return b, true
		}
	}
}

// ordinalTails holds, by the byte that an ordinal begins with, how many follow it.
var ordinalTails = [256]uint8{0xcc: 1, 0xcd: 2, 0xce: 4}

// joinDots appends the join of two bodies under one table.
func joinDots(dst, a, b []byte) ([]byte, error) {
	if bytes.Equal(a, b) {
		return append(dst, a...), nil
	}
	contextA, elementsA, okA := Bin(a)
	contextB, elementsB, okB := Bin(b)
	if !okA || !okB {
		return nil, malformed("context ends early")
	}
	dst, start := BeginBin(dst)
	dst, ok := joinContexts(dst, contextA, contextB)
	if !ok {
		return nil, malformed("context ends inside an interval")
	}
	j := dotJoin{dst: EndBin(dst, start)}
	if max(len(contextA), len(contextB)) > longContext {
		return j.joinLong(elementsA, elementsB, contextA, contextB)
	}
	return j.join(elementsA, elementsB, &cover{context: contextA}, &cover{context: contextB})
}

// dotJoin is a join of elements on its way. Neighbours that leave as they came leave in
// one copy.
type dotJoin struct {
	dst   []byte
	run   []byte // elements of one side, not yet appended
	fromA bool
}

// take appends the first n bytes of b, which stands right behind the run where that is
// not empty and of the same side.
func (j *dotJoin) take(b []byte, n int, fromA bool) {
	if fromA != j.fromA {
		j.flush()
		j.fromA = fromA
	}
	j.run = extend(j.run, b, n)
}

func (j *dotJoin) flush() {
	j.dst = append(j.dst, j.run...)
	j.run = nil
}

// joinLong is join with samples of both contexts.
func (j *dotJoin) joinLong(a, b, contextA, contextB []byte) ([]byte, error) {
	var roomA, roomB samples
	coverA, coverB := roomA.cover(contextA), roomB.cover(contextB)
	return j.join(a, b, &coverA, &coverB)
}

func (j *dotJoin) join(a, b []byte, coverA, coverB *cover) ([]byte, error) {
	var ok bool
	for len(a) > 0 && len(b) > 0 {
		// Most elements are in both and alike: they are stepped over, not looked into.
		n := commonPrefix(a, b)
		same := n
		if n < len(a) || n < len(b) {
			same = wholeElements(a[:n])
		}
		if same > 0 {
			if j.fromA { // whichever goes on with the run
				j.take(a, same, true)
			} else {
				j.take(b, same, false)
			}
			a, b = a[same:], b[same:]
			continue
		}
		k, dotsA, okA := cutKey(a)
		end := len(a) - len(dotsA)
		if !okA || n < end && n == len(b) {
			return nil, malformed("element ends early")
		}
		// No key begins another, so the first byte that differs is where their order is.
		switch {
		case n >= end:
			a, b, ok = j.both(k, dotsA, b[end:], coverA, coverB)
		case a[n] < b[n]:
			a, ok = j.one(a, dotsA, coverB, true)
		default:
			b, ok = j.next(b, coverA, false)
		}
		if !ok {
			return nil, malformed("element ends inside a dot")
		}
	}
	for ok = true; ok && len(a) > 0; {
		a, ok = j.next(a, coverB, true)
	}
	for ok && len(b) > 0 {
		b, ok = j.next(b, coverA, false)
	}
	if !ok {
		return nil, malformed("element ends early")
	}
	j.flush()
	return j.dst, nil
}

// commonPrefix is the number of bytes at the front that a and b have in common.
func commonPrefix(a, b []byte) (n int) {
	const chunk = 256
	length := min(len(a), len(b))
	a, b = a[:length], b[:length]
	for len(a)-n >= chunk && bytes.Equal(a[n:n+chunk], b[n:n+chunk]) {
		n += chunk
	}
	for ; len(a)-n >= 8; n += 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
	}
	for n < len(a) && a[n] == b[n] {
		n++
	}
	return n
}

// wholeElements is the length of those elements at the front of b that are whole.
func wholeElements(b []byte) (n int) {
	for {
		at := n
		if at >= len(b) {
			return n
		}
		switch c := b[at]; {
		case c < 0x80:
			at++
		case c >= 0xa0 && c <= 0xbf:
			at += 1 + int(c&0x1f)
		default:
			length, ok := valueLen(b[at:])
			if !ok {
				return n
			}
			at += length
		}
		if at >= len(b) {
			return n
		}
		if b[at] < 0x80 {
			at++
		} else {
			_, rest, err := wire.Uint(b[at:])
			if err != nil {
				return n
			}
			at = len(b) - len(rest)
		}
		rest, ok := skipDots(b[at:])
		if !ok {
			return n
		}
		n = len(b) - len(rest)
	}
}

// next is one of an element whose key is still to be cut.
func (j *dotJoin) next(b []byte, other *cover, fromA bool) (rest []byte, ok bool) {
	_, dots, ok := cutKey(b)
	if !ok {
		return nil, false
	}
	return j.one(b, dots, other, fromA)
}

// one joins the element at the front of b, which the other side does not have.
func (j *dotJoin) one(b, dots []byte, other *cover, fromA bool) (rest []byte, ok bool) {
	kept, all := 0, 0
	for more := true; more; all++ {
		d, after, ok := cutDot(dots)
		if !ok {
			return nil, false
		}
		if !other.has(&d) {
			kept++
		}
		dots, more = after, d.more
	}
	switch n := len(b) - len(dots); kept {
	case all:
		j.take(b, n, fromA)
	case 0:
		if fromA == j.fromA {
			j.flush()
		}
	default:
		j.flush()
		k, own, _ := cutKey(b)
		j.dst = appendKey(j.dst, k)
		for low := 0; kept > 0; {
			d, after, _ := cutDot(own)
			if !other.has(&d) {
				j.dst, low = appendDot(j.dst, d, low)
				kept--
			}
			own = after
		}
	}
	return dots, true
}

// both joins one element that both sides have.
func (j *dotJoin) both(k key, dotsA, dotsB []byte, coverA, coverB *cover) (restA, restB []byte, ok bool) {
	restA, okA := skipDots(dotsA)
	restB, okB := skipDots(dotsB)
	if !okA || !okB {
		return nil, nil, false
	}
	j.flush()
	begin := len(j.dst)
	j.dst = appendKey(j.dst, k)
	low := 0
	for moreA, moreB := true, true; moreA || moreB; {
		var da, db dot
		var afterA, afterB []byte
		if moreA {
			da, afterA, _ = cutDot(dotsA)
		}
		if moreB {
			db, afterB, _ = cutDot(dotsB)
		}
		order := da.compare(&db)
		switch {
		case !moreB:
			order = -1
		case !moreA:
			order = 1
		}
		switch {
		case order < 0:
			if !coverB.has(&da) {
				j.dst, low = appendDot(j.dst, da, low)
			}
		case order > 0:
			if !coverA.has(&db) {
				j.dst, low = appendDot(j.dst, db, low)
			}
		case bytes.Compare(da.position, db.position) < 0: // a reused identity
			j.dst, low = appendDot(j.dst, db, low)
		default:
			j.dst, low = appendDot(j.dst, da, low)
		}
		if order <= 0 {
			dotsA, moreA = afterA, da.more
		}
		if order >= 0 {
			dotsB, moreB = afterB, db.more
		}
	}
	if low == 0 { // no dot is left
		j.dst = j.dst[:begin]
	}
	return restA, restB, true
}

func renumberDots(dst, b []byte, to renumbering) ([]byte, bool) {
	context, b, ok := Bin(b)
	if !ok {
		return nil, false
	}
	dst, start := BeginBin(dst)
	for len(context) > 0 {
		iv, rest, ok := cutInterval(context)
		if !ok || iv.index >= len(to) {
			return nil, false
		}
		iv.index = int(to[iv.index])
		dst, context = appendInterval(dst, iv), rest
	}
	dst = EndBin(dst, start)
	for len(b) > 0 {
		k, dots, ok := cutKey(b)
		if !ok {
			return nil, false
		}
		dst = appendKey(dst, k)
		low := 0
		for more := true; more; {
			d, after, ok := cutDot(dots)
			if !ok || d.index >= len(to) {
				return nil, false
			}
			d.index = int(to[d.index])
			dst, low = appendDot(dst, d, low)
			dots, more = after, d.more
		}
		b = dots
	}
	return dst, true
}

// checkDots verifies a body that came from outside and notes the origins it uses.
func checkDots(b []byte, origins int, used *usage) error {
	context, elements, err := wire.Bin(b)
	if err != nil {
		return malformed("context: " + err.Error())
	}
	if err := checkContext(context, origins, used); err != nil {
		return err
	}
	if len(context) > longContext {
		var room samples
		c := room.cover(context)
		return checkElements(elements, &c)
	}
	return checkElements(elements, &cover{context: context})
}

func checkElements(b []byte, context *cover) error {
	var last key
	for first := true; len(b) > 0; first = false {
		k, dots, ok := cutKey(b)
		switch {
		case !ok:
			return malformed("element ends early")
		case !first && last.compare(k) >= 0:
			return malformed("elements are not sorted")
		}
		mark := k.value[0] == Absent
		if mark && k.occurrence > 0 {
			return malformed("occurrence on the mark of an unset set")
		}
		if !mark {
			if err := wire.Check(k.value, MaxDepth); err != nil {
				return malformed("element: " + err.Error())
			}
		}
		var lastDot dot
		for more, n := true, 0; more; n++ {
			d, after, ok := cutDot(dots)
			switch {
			case !ok:
				return malformed("element ends inside a dot")
			case n > 0 && lastDot.compare(&d) >= 0:
				return malformed("dots are not sorted")
			case d.position != nil && d.position[len(d.position)-1] == 0:
				return malformed("position that ends in zero")
			case d.position != nil && mark:
				return malformed("position on the mark of an unset set")
			case !context.has(&d):
				return malformed("dot outside the context")
			}
			lastDot, dots, more = d, after, d.more
		}
		last, b = k, dots
	}
	return nil
}

// dotTimes yields, per interval of the context, its end: the highest of an origin's is the
// last that the body knows of that origin.
func dotTimes(b []byte, yield func(index int, t fieldwise.Timestamp) bool) bool {
	context, _, ok := Bin(b)
	for len(context) > 0 {
		iv, rest, cut := cutInterval(context)
		if !cut || !yield(iv.index, iv.to) {
			return false
		}
		context = rest
	}
	return ok
}
