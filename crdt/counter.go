package crdt

import (
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"strconv"

	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/value"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// PNCounter is a counter for a field of a struct that goes up and down: what regions count
// without knowledge of each other adds up. The zero value is 0. A copy is a value of its
// own. One value is not safe for concurrent use, but reading it is.
type PNCounter struct{ counter }

// NewPNCounter returns a counter at n that the program sets anew, to put it in the place of
// one that was read or into a new record.
func NewPNCounter(n int64) PNCounter {
	var c PNCounter
	switch {
	case n > 0:
		c.Inc(uint64(n))
	case n < 0:
		c.Dec(-uint64(n))
	default:
		c.Reset()
	}
	return c
}

// Inc adds n.
func (c *PNCounter) Inc(n uint64) { c.inc(n) }

// Dec takes n away.
func (c *PNCounter) Dec(n uint64) {
	if n != 0 {
		c.record(lattice.Intent{Op: lattice.OpDec, Amount: n})
		c.sum = c.sum.minus(n)
	}
}

// Reset takes back all that the region which commits it knows of. What another region
// counts meanwhile stays. It is not Dec(Value()): two regions that reset at the same time
// get 0, and two that take the value away take it away twice.
func (c *PNCounter) Reset() { c.reset() }

// Value is the count. A sum beyond the ends of int64 reads as the end.
func (c PNCounter) Value() int64 { return c.sum.int64() }

// Equal reports whether both have the same Value.
func (c PNCounter) Equal(other PNCounter) bool { return c.Value() == other.Value() }

// String is the Value in decimal.
func (c PNCounter) String() string { return strconv.FormatInt(c.Value(), 10) }

// MarshalJSON implements [json.Marshaler]: the Value as a number.
func (c PNCounter) MarshalJSON() ([]byte, error) { return json.Marshal(c.Value()) }

// UnmarshalJSON implements [json.Unmarshaler]. The counter becomes that of NewPNCounter, or
// for null the zero value. With an error it is as it was.
func (c *PNCounter) UnmarshalJSON(b []byte) error {
	var n *int64
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("crdt: PNCounter: %w", err)
	}
	*c = PNCounter{}
	if n != nil {
		*c = NewPNCounter(*n)
	}
	return nil
}

// MarshalMsgpack writes the Value as an integer.
func (c PNCounter) MarshalMsgpack() ([]byte, error) { return wire.AppendInt(nil, c.Value()), nil }

// UnmarshalMsgpack reads an integer of any width, as UnmarshalJSON does; nil makes the
// counter zero.
func (c *PNCounter) UnmarshalMsgpack(b []byte) error {
	if isNil(b) {
		*c = PNCounter{}
		return nil
	}
	sum, err := readAnyWidth("PNCounter", b)
	if err != nil {
		return err
	}
	n := sum.int64()
	if sum != (total{}).plusInt(n) {
		return fmt.Errorf("crdt: PNCounter: %d is above the largest int64", sum.low)
	}
	*c = NewPNCounter(n)
	return nil
}

func (c PNCounter) held() (lattice.Held, error) {
	return c.heldAs(wire.AppendInt(nil, c.Value())), nil
}

func (c *PNCounter) hold(shown []byte, b *lattice.Bond) error { return c.read("PNCounter", shown, b) }

// GCounter is a counter for a field of a struct that only grows, but for Reset: what
// regions count without knowledge of each other adds up. The zero value is 0. A copy is a
// value of its own. One value is not safe for concurrent use, but reading it is.
type GCounter struct{ counter }

// NewGCounter returns a counter at n that the program sets anew, to put it in the place of
// one that was read or into a new record.
func NewGCounter(n uint64) GCounter {
	var c GCounter
	if n == 0 {
		c.Reset()
	}
	c.Inc(n)
	return c
}

// Inc adds n.
func (c *GCounter) Inc(n uint64) { c.inc(n) }

// Reset takes back all that the region which commits it knows of. What another region
// counts meanwhile stays.
func (c *GCounter) Reset() { c.reset() }

// Value is the count. A sum beyond uint64 reads as the largest uint64, and a negative one,
// which only a [PNCounter] under the same name can bring about, as 0.
func (c GCounter) Value() uint64 { return c.sum.uint64() }

// Equal reports whether both have the same Value.
func (c GCounter) Equal(other GCounter) bool { return c.Value() == other.Value() }

// String is the Value in decimal.
func (c GCounter) String() string { return strconv.FormatUint(c.Value(), 10) }

// MarshalJSON implements [json.Marshaler]: the Value as a number.
func (c GCounter) MarshalJSON() ([]byte, error) { return json.Marshal(c.Value()) }

// UnmarshalJSON implements [json.Unmarshaler]. The counter becomes that of NewGCounter, or
// for null the zero value. With an error it is as it was.
func (c *GCounter) UnmarshalJSON(b []byte) error {
	var n *uint64
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("crdt: GCounter: %w", err)
	}
	*c = GCounter{}
	if n != nil {
		*c = NewGCounter(*n)
	}
	return nil
}

// MarshalMsgpack writes the Value as an integer.
func (c GCounter) MarshalMsgpack() ([]byte, error) { return wire.AppendUint(nil, c.Value()), nil }

// UnmarshalMsgpack reads an integer of any width, as UnmarshalJSON does; nil makes the
// counter zero.
func (c *GCounter) UnmarshalMsgpack(b []byte) error {
	if isNil(b) {
		*c = GCounter{}
		return nil
	}
	sum, err := readAnyWidth("GCounter", b)
	if err != nil {
		return err
	}
	if sum.high < 0 {
		return fmt.Errorf("crdt: GCounter: %d is negative", sum.int64())
	}
	*c = NewGCounter(sum.low)
	return nil
}

func (c GCounter) held() (lattice.Held, error) {
	return c.heldAs(wire.AppendUint(nil, c.Value())), nil
}

func (c *GCounter) hold(shown []byte, b *lattice.Bond) error { return c.read("GCounter", shown, b) }

// counter is what both faces share.
type counter struct {
	history
	sum total
}

func (c *counter) inc(n uint64) {
	if n != 0 {
		c.record(lattice.Intent{Op: lattice.OpInc, Amount: n})
		c.sum = c.sum.plus(n)
	}
}

func (c *counter) reset() {
	c.record(lattice.Intent{Op: lattice.OpReset})
	c.sum = total{}
}

func (c *counter) read(name string, shown []byte, b *lattice.Bond) (err error) {
	read := counter{history: history{bond: b, there: shown != nil}}
	if shown != nil {
		if read.sum, err = readTotal(name, shown); err != nil {
			return err
		}
	}
	*c = read
	return nil
}

func (PNCounter) strategy() string { return "pncounter" }

func (GCounter) strategy() string { return "gcounter" }

// total is an exact sum, an integer of 128 bits: what saturates is reading it, so that going
// beyond an end and back again counts right.
type total struct {
	high int64
	low  uint64
}

func (t total) plus(n uint64) total {
	low, carry := bits.Add64(t.low, n, 0)
	return total{t.high + int64(carry), low}
}

func (t total) minus(n uint64) total {
	low, borrow := bits.Sub64(t.low, n, 0)
	return total{t.high - int64(borrow), low}
}

func (t total) plusInt(n int64) total {
	if n < 0 {
		return t.minus(-uint64(n))
	}
	return t.plus(uint64(n))
}

// int64 is t, or the nearest end of int64.
func (t total) int64() int64 {
	switch {
	case t.high == 0 && t.low <= math.MaxInt64, t.high == -1 && t.low > math.MaxInt64:
		return int64(t.low)
	case t.high < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

// uint64 is t, or the nearest end of uint64.
func (t total) uint64() uint64 {
	switch {
	case t.high < 0:
		return 0
	case t.high > 0:
		return math.MaxUint64
	}
	return t.low
}

// readTotal reads the canonical form of an integer that stands alone.
func readTotal(name string, b []byte) (total, error) {
	kind := wire.KindOf(b)
	if kind != wire.KindUint && kind != wire.KindInt {
		return total{}, errKind(name, "an integer", b)
	}
	if err := wire.Check(b, 0); err != nil {
		return total{}, fmt.Errorf("crdt: %s: %w", name, err)
	}
	if kind == wire.KindInt {
		i, _, err := wire.Int(b)
		return total{}.plusInt(i), err
	}
	u, _, err := wire.Uint(b)
	return total{}.plus(u), err
}

// readAnyWidth reads an integer in any form that msgpack has for it.
func readAnyWidth(name string, b []byte) (total, error) {
	canonical, err := wire.Canonical(nil, b, value.MaxDepth)
	if err != nil {
		return total{}, fmt.Errorf("crdt: %s: %w", name, err)
	}
	return readTotal(name, canonical)
}
