package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// Check reports whether b is exactly one canonical value with nothing behind it. depth is the number of
// containers allowed around a scalar: 0 admits scalars only, 1 also arrays and maps of scalars. A nil
// error means that no function of this package fails on any part of b.
func Check(b []byte, depth int) error {
	n, err := CheckPrefix(b, depth)
	if err == nil && n < len(b) {
		return at(ErrTrailing, n)
	}
	return err
}

// CheckPrefix reports whether the value at the front of b is canonical, and returns its length. depth is
// that of Check.
func CheckPrefix(b []byte, depth int) (n int, err error) {
	rest, err := check(b, depth)
	if err != nil {
		return 0, at(err, len(b)-len(rest))
	}
	return len(b) - len(rest), nil
}

func at(err error, offset int) error { return fmt.Errorf("%w at byte %d", err, offset) }

// check returns what follows the canonical value at the front of b. With an error it returns b from the
// value at fault on.
func check(b []byte, depth int) (rest []byte, err error) {
	if len(b) == 0 {
		return b, ErrTruncated
	}
	c := b[0]
	switch kinds[c] {
	case KindUint:
		if c < 0x80 {
			return b[1:], nil
		}
		_, rest, err = readUint(b)
	case KindInt:
		if c >= codeNegFix {
			return b[1:], nil
		}
		_, rest, err = readInt(b)
	case KindString:
		if n := int(c^codeFixStr) + 1; n <= 32 && n <= len(b) {
			if !utf8.Valid(b[1:n]) {
				return b, ErrNotCanonical
			}
			return b[n:], nil
		}
		var s []byte
		if s, rest, err = RawString(b); err == nil && !utf8.Valid(s) {
			err = ErrNotCanonical
		}
	case KindNil, KindBool:
		return b[1:], nil
	case KindFloat:
		if len(b) < 9 {
			return b, ErrTruncated
		}
		if bits := binary.BigEndian.Uint64(b[1:]); bits&math.MaxInt64 > 0x7ff<<52 && bits != nanBits {
			return b, ErrNotCanonical
		}
		return b[9:], nil
	case KindBin:
		_, rest, err = Bin(b)
	case KindTime:
		var n int
		if _, _, n, err = readTime(b); err == nil {
			rest = b[n:]
		}
	case KindArray:
		return checkArray(b, depth)
	case KindMap:
		return checkMap(b, depth)
	default:
		err = ErrNotCanonical
	}
	if err != nil {
		return b, err
	}
	return rest, nil
}

func checkArray(b []byte, depth int) ([]byte, error) {
	if depth <= 0 {
		return b, ErrDepth
	}
	n, rest, err := ArrayHeader(b)
	if err != nil {
		return b, err
	}
	for range n {
		if rest, err = check(rest, depth-1); err != nil {
			return rest, err
		}
	}
	return rest, nil
}

func checkMap(b []byte, depth int) ([]byte, error) {
	if depth <= 0 {
		return b, ErrDepth
	}
	n, rest, err := MapHeader(b)
	if err != nil {
		return b, err
	}
	var last []byte // the key before this one, encoded
	for range n {
		key := rest
		if rest, err = check(key, 0); err != nil {
			if errors.Is(err, ErrDepth) {
				err = ErrNotCanonical // an array or a map as a key
			}
			return rest, err
		}
		encoded := key[:len(key)-len(rest)]
		if last != nil && bytes.Compare(last, encoded) >= 0 {
			return key, ErrNotCanonical
		}
		last = encoded
		if rest, err = check(rest, depth-1); err != nil {
			return rest, err
		}
	}
	return rest, nil
}
