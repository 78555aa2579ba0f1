package lattice

import (
	"bytes"
	"cmp"
	"math"

	"github.com/fieldwise/fieldwise/internal/wire"
)

// Ordered reports whether a value is of a kind that [Compare] orders by what it means: a
// number, a time or a string.
func Ordered(val []byte) bool {
	return classOf(val) != others
}

// Compare orders any two values: numbers by size, whatever their kinds, then times by
// their instants, then strings by their bytes, and all others before them. NaN is below all
// other numbers; equal numbers of different kinds, and the others, are ordered by their
// encoded bytes.
func Compare(a, b []byte) int {
	ca, cb := classOf(a), classOf(b)
	c := cmp.Compare(ca, cb)
	switch {
	case c != 0:
		return c
	case ca == numbers:
		c = compareNumbers(a, b)
	case ca == times:
		ta, _, errA := wire.Time(a)
		tb, _, errB := wire.Time(b)
		if errA == nil && errB == nil {
			c = ta.Compare(tb)
		}
	case ca == texts:
		sa, _, errA := wire.RawString(a)
		sb, _, errB := wire.RawString(b)
		if errA == nil && errB == nil {
			c = bytes.Compare(sa, sb)
		}
	}
	return cmp.Or(c, bytes.Compare(a, b))
}

// class is what values can be compared within.
type class uint8

const (
	others class = iota
	numbers
	times
	texts
)

func classOf(val []byte) class {
	switch wire.KindOf(val) {
	case wire.KindUint, wire.KindInt, wire.KindFloat:
		return numbers
	case wire.KindTime:
		return times
	case wire.KindString:
		return texts
	}
	return others
}

func compareNumbers(a, b []byte) int {
	fa, _, errA := wire.Float(a)
	fb, _, errB := wire.Float(b)
	switch {
	case errA == nil && errB == nil:
		return cmp.Compare(fa, fb)
	case errA == nil:
		return -compareToFloat(b, fa)
	case errB == nil:
		return compareToFloat(a, fb)
	}
	ua, _, errA := wire.Uint(a)
	ub, _, errB := wire.Uint(b)
	switch {
	case errA == nil && errB == nil:
		return cmp.Compare(ua, ub)
	case errA == nil:
		return 1 // the other one is negative
	case errB == nil:
		return -1
	}
	ia, _, _ := wire.Int(a)
	ib, _, _ := wire.Int(b)
	return cmp.Compare(ia, ib)
}

// compareToFloat compares an integer with a float exactly.
func compareToFloat(integer []byte, f float64) int {
	const two64, two63 = 1 << 64, 1 << 63
	if math.IsNaN(f) {
		return 1
	}
	whole := math.Trunc(f)
	if u, _, err := wire.Uint(integer); err == nil {
		switch {
		case f < 0:
			return 1
		case f >= two64:
			return -1
		}
		return cmp.Or(cmp.Compare(u, uint64(whole)), cmp.Compare(whole, f))
	}
	i, _, _ := wire.Int(integer)
	switch {
	case f >= 0:
		return -1
	case f < -two63:
		return 1
	}
	return cmp.Or(cmp.Compare(i, int64(whole)), cmp.Compare(whole, f))
}
