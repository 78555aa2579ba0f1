package lattice

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"sort"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// The head of an interval.
const (
	fromStart = 1 << iota
	partOfMoment
	intervalFlags = fromStart | partOfMoment
)

// Ordinals go up to maxOrdinal; whole moments end one above it, so that parts of a moment
// never come to all of it.
const (
	wholeMoment = 1<<32 - 1
	maxOrdinal  = wholeMoment - 1
)

// interval is what a context covers of one origin's time axis, all ends included: whole
// moments, where first is zero and last is wholeMoment, or the ordinals from first to last
// of one moment, which is from and to.
type interval struct {
	index       int
	from, to    fieldwise.Timestamp
	first, last uint32
}

// wholeMoments is the interval of all that an origin did at from, to and in between.
func wholeMoments(index int, from, to fieldwise.Timestamp) interval {
	return interval{index: index, from: from, to: to, last: wholeMoment}
}

// onlyDot is the interval of one dot.
func onlyDot(index int, t fieldwise.Timestamp, ordinal uint32) interval {
	return interval{index: index, from: t, to: t, first: ordinal, last: ordinal}
}

func (iv interval) isPart() bool { return iv.last != wholeMoment }

func cutInterval(b []byte) (iv interval, rest []byte, ok bool) {
	head, rest, err := wire.Uint(b)
	if err != nil || head > maxHead || head&intervalFlags == intervalFlags || len(rest) < timeLen {
		return interval{}, nil, false
	}
	begin := fieldwise.Timestamp(binary.BigEndian.Uint64(rest))
	iv, rest = wholeMoments(int(head>>headShift), begin, begin), rest[timeLen:]
	switch {
	case head&partOfMoment != 0:
		var okFirst, okLast bool
		iv.first, rest, okFirst = cutOrdinal(rest)
		iv.last, rest, okLast = cutOrdinal(rest)
		if !okFirst || !okLast {
			return interval{}, nil, false
		}
	case head&fromStart != 0:
		iv.from = 0
	default:
		if len(rest) < timeLen {
			return interval{}, nil, false
		}
		iv.to, rest = fieldwise.Timestamp(binary.BigEndian.Uint64(rest)), rest[timeLen:]
	}
	return iv, rest, true
}

func cutOrdinal(b []byte) (ordinal uint32, rest []byte, ok bool) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint32(b[0]), b[1:], true
	}
	n, rest, err := wire.Uint(b)
	if err != nil || n > maxOrdinal {
		return 0, nil, false
	}
	return uint32(n), rest, true
}

func appendInterval(dst []byte, iv interval) []byte {
	head := uint64(iv.index) << headShift
	switch {
	case iv.isPart():
		dst = wire.AppendUint(dst, head|partOfMoment)
		dst = binary.BigEndian.AppendUint64(dst, uint64(iv.from))
		dst = wire.AppendUint(dst, uint64(iv.first))
		return wire.AppendUint(dst, uint64(iv.last))
	case iv.from == 0:
		dst = wire.AppendUint(dst, head|fromStart)
	default:
		dst = wire.AppendUint(dst, head)
		dst = binary.BigEndian.AppendUint64(dst, uint64(iv.from))
	}
	return binary.BigEndian.AppendUint64(dst, uint64(iv.to))
}

// compare orders intervals by where they begin; of two that begin at one ordinal the
// longer part comes first, and before it whole moments.
func (iv interval) compare(other interval) int {
	switch {
	case iv.index != other.index:
		return cmp.Compare(iv.index, other.index)
	case iv.from != other.from:
		return cmp.Compare(iv.from, other.from)
	case iv.first != other.first:
		return cmp.Compare(iv.first, other.first)
	}
	return cmp.Compare(other.last, iv.last)
}

// reaches reports whether next, which does not come before iv, overlaps it or adjoins it
// and is of its kind: then extend makes one interval of both. A part of the moment
// behind whole ones stays apart.
func (iv interval) reaches(next interval) bool {
	switch {
	case iv.index != next.index:
		return false
	case iv.isPart():
		return next.from == iv.from && next.first <= iv.last+1
	case next.isPart():
		return next.from <= iv.to
	}
	return iv.to == fieldwise.MaxTimestamp || next.from <= iv.to+1
}

func (iv *interval) extend(next interval) {
	iv.to, iv.last = max(iv.to, next.to), max(iv.last, next.last)
}

// cover answers which dots a context covers.
type cover struct {
	context []byte
	samples []uint32 // of a long context: where in it some of its intervals begin, rising
	last    interval // the last one that had a dot, where found is true: most have many
	found   bool
}

// A context of more bytes than longContext is searched by samples: removing one by one
// what was added one by one takes as many intervals as there are elements.
const longContext = 512

// samples is room for those of one long context: on the stack, so that a join allocates nothing.
type samples [4096]uint32

// cover fills room with samples of the context.
func (room *samples) cover(context []byte) cover {
	c := cover{context: context, samples: room[:0]}
	step := len(context)/len(room) + 1
	next := 0
	for b := context; len(b) > 0; {
		_, rest, ok := cutInterval(b)
		if !ok {
			return c // has ends there, too
		}
		if offset := len(context) - len(b); offset >= next {
			c.samples = append(c.samples, uint32(offset))
			next += step
		}
		b = rest
	}
	return c
}

func (c *cover) has(d *dot) bool {
	if l := &c.last; c.found && l.index == d.index && l.from <= d.time && d.time <= l.to && l.first <= d.ordinal && d.ordinal <= l.last {
		return true
	}
	b := c.context
	at := onlyDot(d.index, d.time, d.ordinal)
	if len(c.samples) > 0 {
		after := sort.Search(len(c.samples), func(i int) bool {
			iv, _, _ := cutInterval(c.context[c.samples[i]:])
			return iv.compare(at) > 0
		})
		if after == 0 {
			return false
		}
		b = b[c.samples[after-1]:]
	}
	for len(b) > 0 {
		iv, rest, ok := cutInterval(b)
		switch {
		case !ok || iv.compare(at) > 0:
			return false
		case iv.index == at.index && iv.to >= at.from && iv.last >= at.first:
			c.last, c.found = iv, true
			return true
		}
		b = rest
	}
	return false
}

func joinContexts(dst, a, b []byte) ([]byte, bool) {
	if bytes.Equal(a, b) {
		return append(dst, a...), true
	}
	var last interval // not yet appended
	pending := false
	for len(a) > 0 || len(b) > 0 {
		var next, other interval
		var restA, restB []byte
		okA, okB := true, true
		if len(a) > 0 {
			next, restA, okA = cutInterval(a)
		}
		if len(b) > 0 {
			other, restB, okB = cutInterval(b)
		}
		if !okA || !okB {
			return nil, false
		}
		if len(a) == 0 || len(b) > 0 && other.compare(next) < 0 {
			next, b = other, restB
		} else {
			a = restA
		}
		switch {
		case !pending:
			last, pending = next, true
		case last.reaches(next):
			last.extend(next)
		default:
			dst, last = appendInterval(dst, last), next
		}
	}
	if pending {
		dst = appendInterval(dst, last)
	}
	return dst, true
}

func checkContext(b []byte, origins int, used *usage) error {
	if len(b) == 0 {
		return malformed("context without an interval")
	}
	var last interval
	for first := true; len(b) > 0; first = false {
		iv, rest, ok := cutInterval(b)
		switch {
		case !ok:
			return malformed("context ends inside an interval")
		case iv.index >= origins:
			return malformed("interval outside the origin table")
		case iv.from > iv.to || iv.first > iv.last:
			return malformed("interval ends before it begins")
		case !bytes.Equal(appendInterval(make([]byte, 0, 32), iv), b[:len(b)-len(rest)]):
			return malformed("interval in another form than the shortest")
		case !first && (iv.compare(last) <= 0 || last.reaches(iv)):
			return malformed("intervals are not sorted or not apart")
		}
		used.add(iv.index)
		last, b = iv, rest
	}
	return nil
}

// appendContext appends the union of the intervals, which it sorts, as a context.
func appendContext(dst []byte, all []interval) []byte {
	slices.SortFunc(all, interval.compare)
	dst, start := BeginBin(dst)
	last := all[0]
	for _, iv := range all[1:] {
		if last.reaches(iv) {
			last.extend(iv)
		} else {
			dst, last = appendInterval(dst, last), iv
		}
	}
	return EndBin(appendInterval(dst, last), start)
}
