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
	onePoint
	intervalFlags = fromStart | onePoint
)

// interval is what a context covers of one origin's time axis, both ends included.
type interval struct {
	index    int
	from, to fieldwise.Timestamp
}

func cutInterval(b []byte) (iv interval, rest []byte, ok bool) {
	head, rest, err := wire.Uint(b)
	if err != nil || head > maxHead || head&intervalFlags == intervalFlags || len(rest) < timeLen {
		return interval{}, nil, false
	}
	first := fieldwise.Timestamp(binary.BigEndian.Uint64(rest))
	iv, rest = interval{index: int(head >> headShift), from: first, to: first}, rest[timeLen:]
	switch {
	case head&fromStart != 0:
		iv.from = 0
	case head&onePoint == 0:
		if len(rest) < timeLen {
			return interval{}, nil, false
		}
		iv.to, rest = fieldwise.Timestamp(binary.BigEndian.Uint64(rest)), rest[timeLen:]
	}
	return iv, rest, true
}

func appendInterval(dst []byte, iv interval) []byte {
	head := uint64(iv.index) << headShift
	switch iv.from {
	case 0:
		dst = wire.AppendUint(dst, head|fromStart)
	case iv.to:
		dst = wire.AppendUint(dst, head|onePoint)
	default:
		dst = wire.AppendUint(dst, head)
		dst = binary.BigEndian.AppendUint64(dst, uint64(iv.from))
	}
	return binary.BigEndian.AppendUint64(dst, uint64(iv.to))
}

func (iv interval) compare(other interval) int {
	return cmp.Or(cmp.Compare(iv.index, other.index), cmp.Compare(iv.from, other.from))
}

// reaches reports whether next, which does not begin earlier, overlaps iv or adjoins it.
func (iv interval) reaches(next interval) bool {
	return iv.index == next.index && (iv.to == fieldwise.MaxTimestamp || next.from <= iv.to+1)
}

// cover answers which dots a context covers.
type cover struct {
	context []byte
	samples []sample // of a long context, by rising interval
}

// sample is where in a context the interval stands that begins at (index, from).
type sample struct {
	from   fieldwise.Timestamp
	index  uint32
	offset uint32
}

// A context of more bytes than longContext is searched by samples: removing one by one
// what was added one by one takes as many intervals as there are elements.
const longContext = 512

// samples is room for those of one long context: on the stack, so that a join allocates nothing.
type samples [1024]sample

// cover fills room with samples of the context.
func (room *samples) cover(context []byte) cover {
	c := cover{context: context, samples: room[:0]}
	step := len(context)/len(room) + 1
	next := 0
	for b := context; len(b) > 0; {
		iv, rest, ok := cutInterval(b)
		if !ok {
			return c // has ends there, too
		}
		if offset := len(context) - len(b); offset >= next {
			c.samples = append(c.samples, sample{from: iv.from, index: uint32(iv.index), offset: uint32(offset)})
			next += step
		}
		b = rest
	}
	return c
}

func (c *cover) has(index int, t fieldwise.Timestamp) bool {
	b := c.context
	if len(c.samples) > 0 {
		after := sort.Search(len(c.samples), func(i int) bool {
			s := &c.samples[i]
			return int(s.index) > index || int(s.index) == index && s.from > t
		})
		if after == 0 {
			return false
		}
		b = b[c.samples[after-1].offset:]
	}
	for len(b) > 0 {
		iv, rest, ok := cutInterval(b)
		switch {
		case !ok || iv.index > index || iv.index == index && iv.from > t:
			return false
		case iv.index == index && iv.to >= t:
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
			last.to = max(last.to, next.to)
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
		case iv.from > iv.to:
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
			last.to = max(last.to, iv.to)
		} else {
			dst, last = appendInterval(dst, last), iv
		}
	}
	return EndBin(appendInterval(dst, last), start)
}
