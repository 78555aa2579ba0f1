package lattice

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Count is one origin's part of a counter: what it added and took away in all, and how
// much of that resets have taken back. Counts follow each other by rising index to the end
// of the counter.
type Count struct {
	Index            int // of the origin in the table
	Time             fieldwise.Timestamp
	Up, Down         uint64
	BaseUp, BaseDown uint64 // at most Up and Down
}

// The head of a count: the origin's index above two flags, which say what follows behind the
// time and Up.
const (
	headDown = 1 << iota // Down, which is not zero
	headBase             // BaseUp, and BaseDown where there is Down: they are not both zero
)

func (c *Count) head() uint64 {
	head := uint64(c.Index) << headShift
	if c.Down > 0 {
		head |= headDown
	}
	if c.BaseUp > 0 || c.BaseDown > 0 {
		head |= headBase
	}
	return head
}

// CutCount returns the first count of a counter and what follows it.
func CutCount(b []byte) (c Count, rest []byte, ok bool) {
	head, rest, err := wire.Uint(b)
	if err != nil || head > maxHead || len(rest) < timeLen {
		return Count{}, nil, false
	}
	c.Index, c.Time = int(head>>headShift), fieldwise.Timestamp(binary.BigEndian.Uint64(rest))
	if c.Up, rest, err = wire.Uint(rest[timeLen:]); err != nil {
		return Count{}, nil, false
	}
	if head&(headDown|headBase) == 0 {
		return c, rest, true
	}
	if head&headDown != 0 {
		c.Down, rest, err = wire.Uint(rest)
	}
	if err == nil && head&headBase != 0 {
		c.BaseUp, rest, err = wire.Uint(rest)
		if err == nil && head&headDown != 0 {
			c.BaseDown, rest, err = wire.Uint(rest)
		}
	}
	return c, rest, err == nil
}

// covers reports whether every number of c is at least what it is in o.
func (c *Count) covers(o *Count) bool {
	return c.Time >= o.Time && c.Up >= o.Up && c.Down >= o.Down && c.BaseUp >= o.BaseUp && c.BaseDown >= o.BaseDown
}

// AppendCount appends a count to a counter.
func AppendCount(dst []byte, c Count) []byte {
	head := c.head()
	dst = wire.AppendUint(dst, head)
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.Time))
	dst = wire.AppendUint(dst, c.Up)
	if head&headDown != 0 {
		dst = wire.AppendUint(dst, c.Down)
	}
	if head&headBase != 0 {
		dst = wire.AppendUint(dst, c.BaseUp)
		if head&headDown != 0 {
			dst = wire.AppendUint(dst, c.BaseDown)
		}
	}
	return dst
}

// joinCounts appends the join of two counters under one table: the maximum of each number.
func joinCounts(dst, a, b []byte) ([]byte, error) {
	for len(a) > 0 && len(b) > 0 {
		ca, resta, oka := CutCount(a)
		cb, restb, okb := CutCount(b)
		if !oka || !okb {
			return nil, malformed("counter ends inside a count")
		}
		switch {
		case ca.Index < cb.Index:
			dst, a = append(dst, a[:len(a)-len(resta)]...), resta
		case ca.Index > cb.Index:
			dst, b = append(dst, b[:len(b)-len(restb)]...), restb
		case cb.covers(&ca):
			dst = append(dst, b[:len(b)-len(restb)]...)
			a, b = resta, restb
		default:
			dst = AppendCount(dst, Count{
				Index: ca.Index, Time: max(ca.Time, cb.Time), Up: max(ca.Up, cb.Up), Down: max(ca.Down, cb.Down),
				BaseUp: max(ca.BaseUp, cb.BaseUp), BaseDown: max(ca.BaseDown, cb.BaseDown),
			})
			a, b = resta, restb
		}
	}
	return append(append(dst, a...), b...), nil
}

func renumberCounts(dst, b []byte, to renumbering) ([]byte, bool) {
	for len(b) > 0 {
		c, rest, ok := CutCount(b)
		if !ok || c.Index >= len(to) {
			return nil, false
		}
		c.Index = int(to[c.Index])
		dst, b = AppendCount(dst, c), rest
	}
	return dst, true
}

// checkCounts verifies a counter that came from outside and notes the origins it uses.
func checkCounts(b []byte, origins int, used *usage) error {
	if len(b) == 0 {
		return malformed("counter without a count")
	}
	for last := -1; len(b) > 0; {
		c, rest, ok := CutCount(b)
		switch {
		case !ok:
			return malformed("counter ends inside a count")
		case c.Index <= last:
			return malformed("counts are not sorted")
		case c.Index >= origins:
			return malformed("count outside the origin table")
		case c.BaseUp > c.Up || c.BaseDown > c.Down:
			return malformed("count below its base")
		case len(b)-len(rest) != len(AppendCount(nil, c)):
			return malformed("count in a longer form than it needs")
		}
		used.add(c.Index)
		last, b = c.Index, rest
	}
	return nil
}

func countTimes(b []byte, yield func(index int, t fieldwise.Timestamp) bool) bool {
	for len(b) > 0 {
		c, rest, ok := CutCount(b)
		if !ok || !yield(c.Index, c.Time) {
			return false
		}
		b = rest
	}
	return true
}

// sum is a sum of counts, up and down apart, in 128 bits each: more than all the origins
// there can be can count.
type sum struct{ upHigh, up, downHigh, down uint64 }

func (s *sum) add(up, down uint64) {
	var carry uint64
	s.up, carry = bits.Add64(s.up, up, 0)
	s.upHigh += carry
	s.down, carry = bits.Add64(s.down, down, 0)
	s.downHigh += carry
}

// value is the sum, or the end of the range of int64 and uint64 together that it is
// beyond: exact is then false.
func (s *sum) value() (negative bool, n uint64, exact bool) {
	low, borrow := bits.Sub64(s.up, s.down, 0)
	high, borrow := bits.Sub64(s.upHigh, s.downHigh, borrow)
	if borrow == 0 {
		if high > 0 {
			return false, math.MaxUint64, false
		}
		return false, low, true
	}
	low, carry := bits.Add64(^low, 1, 0)
	if high = ^high + carry; high > 0 || low > 1<<63 {
		return true, 1 << 63, false
	}
	return true, low, true
}

func appendSum(dst []byte, s sum) (out []byte, exact bool) {
	negative, n, exact := s.value()
	if negative {
		return wire.AppendInt(dst, -int64(n-1)-1), exact
	}
	return wire.AppendUint(dst, n), exact
}

// Total appends the value of a counter, an integer: nil where nothing was counted
// since the last reset. A sum beyond the integers of 64 bits is the nearest of them, and
// exact is false.
func Total(dst, counter []byte) (val []byte, exact bool, err error) {
	var s sum
	counted := false
	for len(counter) > 0 {
		c, rest, ok := CutCount(counter)
		if !ok {
			return nil, false, malformed("counter ends inside a count")
		}
		counted = counted || c.Up != c.BaseUp || c.Down != c.BaseDown
		s.add(c.Up-c.BaseUp, c.Down-c.BaseDown)
		counter = rest
	}
	if !counted {
		return nil, true, nil
	}
	val, exact = appendSum(dst, s)
	return val, exact, nil
}

// errOverflow says that a counter cannot count further at an origin.
var errOverflow = fmt.Errorf("the counter is full: this origin cannot count beyond %d in one direction", uint64(math.MaxUint64))

// AppendCounts appends the counter of a delta that does what the intents say to counter,
// which may be empty. A reset takes back what the write knows of.
func (d *Delta) AppendCounts(dst, counter []byte, intents []Intent) ([]byte, error) {
	own, last := Count{Index: d.self}, -1 // last: the intent that resets and is not reset itself
	for rest := counter; len(rest) > 0; { // up to its own count
		c, after, ok := CutCount(rest)
		if !ok {
			return nil, malformed("counter ends inside a count")
		}
		i := d.index(c.Index)
		if i == d.self {
			if err := d.above(c.Time); err != nil {
				return nil, err
			}
			own = c
			own.Index = d.self
		}
		if i >= d.self {
			break
		}
		rest = after
	}
	own.Time = d.at.Time
	for i, in := range intents {
		var carryUp, carryDown uint64
		switch in.Op {
		case OpInc:
			own.Up, carryUp = bits.Add64(own.Up, in.Amount, 0)
		case OpDec:
			own.Down, carryDown = bits.Add64(own.Down, in.Amount, 0)
		case OpReset:
			own.BaseUp, own.BaseDown, last = own.Up, own.Down, i
		default:
			return nil, fmt.Errorf("intent %d of a counter is none that a counter has", in.Op)
		}
		if carryUp|carryDown != 0 {
			return nil, errOverflow
		}
	}
	d.used.add(d.self)
	if last < 0 {
		return AppendCount(dst, own), nil
	}
	written := false
	for len(counter) > 0 {
		c, rest, ok := CutCount(counter)
		if !ok {
			return nil, malformed("counter ends inside a count")
		}
		counter = rest
		if c.Index = d.index(c.Index); c.Index >= d.origins {
			return nil, malformed("count outside the origin table")
		}
		if !written && c.Index >= d.self {
			dst, written = AppendCount(dst, own), true
		}
		if c.Index != d.self && d.knows(c.Index, c.Time) {
			c.BaseUp, c.BaseDown = c.Up, c.Down
			d.used.add(c.Index)
			dst = AppendCount(dst, c)
		}
	}
	if !written {
		dst = AppendCount(dst, own)
	}
	return dst, nil
}
