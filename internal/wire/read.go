package wire

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
	"unicode/utf8"
)

// Uint reads an integer from 0 up. A negative integer is ErrType.
func Uint(b []byte) (v uint64, rest []byte, err error) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), b[1:], nil
	}
	return readUint(b)
}

func readUint(b []byte) (v uint64, rest []byte, err error) {
	if len(b) == 0 {
		return 0, nil, ErrTruncated
	}
	n := 0
	switch b[0] {
	case codeUint8:
		if len(b) < 2 {
			return 0, nil, ErrTruncated
		}
		if v, n = uint64(b[1]), 2; v < 0x80 {
			return 0, nil, ErrNotCanonical
		}
	case codeUint16:
		if len(b) < 3 {
			return 0, nil, ErrTruncated
		}
		if v, n = uint64(binary.BigEndian.Uint16(b[1:])), 3; v <= math.MaxUint8 {
			return 0, nil, ErrNotCanonical
		}
	case codeUint32:
		if len(b) < 5 {
			return 0, nil, ErrTruncated
		}
		if v, n = uint64(binary.BigEndian.Uint32(b[1:])), 5; v <= math.MaxUint16 {
			return 0, nil, ErrNotCanonical
		}
	case codeUint64:
		if len(b) < 9 {
			return 0, nil, ErrTruncated
		}
		if v, n = binary.BigEndian.Uint64(b[1:]), 9; v <= math.MaxUint32 {
			return 0, nil, ErrNotCanonical
		}
	default:
		return 0, nil, ErrType
	}
	return v, b[n:], nil
}

// Int reads an integer from math.MinInt64 to math.MaxInt64; one above that is ErrType.
func Int(b []byte) (v int64, rest []byte, err error) {
	if len(b) > 0 && (b[0] < 0x80 || b[0] >= codeNegFix) {
		return int64(int8(b[0])), b[1:], nil
	}
	return readInt(b)
}

func readInt(b []byte) (v int64, rest []byte, err error) {
	if len(b) == 0 {
		return 0, nil, ErrTruncated
	}
	n := 0
	switch b[0] {
	case codeInt8:
		if len(b) < 2 {
			return 0, nil, ErrTruncated
		}
		if v, n = int64(int8(b[1])), 2; v >= -32 {
			return 0, nil, ErrNotCanonical
		}
	case codeInt16:
		if len(b) < 3 {
			return 0, nil, ErrTruncated
		}
		if v, n = int64(int16(binary.BigEndian.Uint16(b[1:]))), 3; v >= math.MinInt8 {
			return 0, nil, ErrNotCanonical
		}
	case codeInt32:
		if len(b) < 5 {
			return 0, nil, ErrTruncated
		}
		if v, n = int64(int32(binary.BigEndian.Uint32(b[1:]))), 5; v >= math.MinInt16 {
			return 0, nil, ErrNotCanonical
		}
	case codeInt64:
		if len(b) < 9 {
			return 0, nil, ErrTruncated
		}
		if v, n = int64(binary.BigEndian.Uint64(b[1:])), 9; v >= math.MinInt32 {
			return 0, nil, ErrNotCanonical
		}
	default:
		u, rest, err := readUint(b)
		if err != nil {
			return 0, nil, err
		}
		if u > math.MaxInt64 {
			return 0, nil, ErrType
		}
		return int64(u), rest, nil
	}
	return v, b[n:], nil
}

// Float reads a float64.
func Float(b []byte) (v float64, rest []byte, err error) {
	switch {
	case len(b) == 0:
		return 0, nil, ErrTruncated
	case b[0] == codeFloat32:
		return 0, nil, ErrNotCanonical
	case b[0] != codeFloat64:
		return 0, nil, ErrType
	case len(b) < 9:
		return 0, nil, ErrTruncated
	}
	bits := binary.BigEndian.Uint64(b[1:])
	v = math.Float64frombits(bits)
	if v != v && bits != nanBits {
		return 0, nil, ErrNotCanonical
	}
	return v, b[9:], nil
}

// Bool reads a bool.
func Bool(b []byte) (v bool, rest []byte, err error) {
	if len(b) == 0 {
		return false, nil, ErrTruncated
	}
	if b[0]|1 != codeTrue {
		return false, nil, ErrType
	}
	return b[0] == codeTrue, b[1:], nil
}

// Nil reads nil.
func Nil(b []byte) (rest []byte, err error) {
	if len(b) == 0 {
		return nil, ErrTruncated
	}
	if b[0] != codeNil {
		return nil, ErrType
	}
	return b[1:], nil
}

// String reads a string of valid UTF-8. s aliases b.
func String(b []byte) (s, rest []byte, err error) {
	s, rest, err = RawString(b)
	if err == nil && !utf8.Valid(s) {
		return nil, nil, ErrNotCanonical
	}
	return s, rest, err
}

// RawString is String without the look at the UTF-8, for bytes that have passed Check before. s aliases
// b.
func RawString(b []byte) (s, rest []byte, err error) {
	if len(b) > 0 {
		if n := int(b[0]^codeFixStr) + 1; n <= 32 && n <= len(b) {
			return b[1:n:n], b[n:], nil
		}
	}
	return readLong(b, codeStr8, 32)
}

// Bin reads a binary. content aliases b.
func Bin(b []byte) (content, rest []byte, err error) {
	return readLong(b, codeBin8, 0)
}

// readLong reads a string or binary behind one of the headers code8, code8+1 and code8+2. Lengths
// below least have a shorter header.
func readLong(b []byte, code8 byte, least int) (content, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, ErrTruncated
	}
	n, head := uint64(0), 0
	switch b[0] - code8 {
	case 0:
		if len(b) < 2 {
			return nil, nil, ErrTruncated
		}
		n, head = uint64(b[1]), 2
	case 1:
		if len(b) < 3 {
			return nil, nil, ErrTruncated
		}
		n, head, least = uint64(binary.BigEndian.Uint16(b[1:])), 3, math.MaxUint8+1
	case 2:
		if len(b) < 5 {
			return nil, nil, ErrTruncated
		}
		n, head, least = uint64(binary.BigEndian.Uint32(b[1:])), 5, math.MaxUint16+1
	default:
		if code8 == codeStr8 && b[0]&0xe0 == codeFixStr {
			return nil, nil, ErrTruncated
		}
		return nil, nil, ErrType
	}
	if n < uint64(least) {
		return nil, nil, ErrNotCanonical
	}
	if n > uint64(len(b)-head) {
		return nil, nil, ErrTruncated
	}
	end := head + int(n)
	return b[head:end:end], b[end:], nil
}

// ArrayHeader reads the header of an array; its n elements follow in rest. n is never above len(rest).
func ArrayHeader(b []byte) (n int, rest []byte, err error) {
	if len(b) > 0 {
		if n := int(b[0] ^ codeFixArray); n < 16 && n < len(b) {
			return n, b[1:], nil
		}
	}
	return readCount(b, codeArray16, codeFixArray, 1)
}

// MapHeader reads the header of a map; its n keys and values follow in rest, each key followed by its
// value. 2n is never above len(rest).
func MapHeader(b []byte) (n int, rest []byte, err error) {
	if len(b) > 0 {
		if n := int(b[0] ^ codeFixMap); n < 16 && 2*n < len(b) {
			return n, b[1:], nil
		}
	}
	return readCount(b, codeMap16, codeFixMap, 2)
}

// readCount reads the header of a container that has at least each bytes per item.
func readCount(b []byte, code16, fix byte, each uint64) (n int, rest []byte, err error) {
	if len(b) == 0 {
		return 0, nil, ErrTruncated
	}
	count, head, least := uint64(0), 0, uint64(0)
	switch b[0] {
	case code16:
		if len(b) < 3 {
			return 0, nil, ErrTruncated
		}
		count, head, least = uint64(binary.BigEndian.Uint16(b[1:])), 3, 16
	case code16 + 1:
		if len(b) < 5 {
			return 0, nil, ErrTruncated
		}
		count, head, least = uint64(binary.BigEndian.Uint32(b[1:])), 5, math.MaxUint16+1
	default:
		if b[0]&0xf0 != fix {
			return 0, nil, ErrType
		}
		count, head = uint64(b[0]&0x0f), 1
	}
	if count < least {
		return 0, nil, ErrNotCanonical
	}
	if count*each > uint64(len(b)-head) {
		return 0, nil, ErrTruncated
	}
	return int(count), b[head:], nil
}

// Time reads a timestamp; the time is in UTC.
func Time(b []byte) (t time.Time, rest []byte, err error) {
	sec, nsec, n, err := readTime(b)
	if err != nil {
		return time.Time{}, nil, err
	}
	return time.Unix(sec, int64(nsec)).UTC(), b[n:], nil
}

// readTime reads a canonical timestamp of n bytes.
func readTime(b []byte) (sec int64, nsec uint32, n int, err error) {
	sec, nsec, n, err = looseTime(b)
	if err != nil {
		if errors.Is(err, ErrInvalid) {
			err = ErrNotCanonical
		}
		return 0, 0, 0, err
	}
	shortest := 15
	switch {
	case uint64(sec) <= math.MaxUint32 && nsec == 0:
		shortest = 6
	case uint64(sec)>>34 == 0:
		shortest = 10
	}
	if n != shortest {
		return 0, 0, 0, ErrNotCanonical
	}
	return sec, nsec, n, nil
}

// looseTime reads a timestamp of n bytes in any form that msgpack has for it. Another ext type and a
// length that no timestamp has are ErrInvalid.
func looseTime(b []byte) (sec int64, nsec uint32, n int, err error) {
	if len(b) == 0 {
		return 0, 0, 0, ErrTruncated
	}
	length, head := uint64(0), 0
	switch b[0] {
	case codeFixExt1, codeFixExt2, codeFixExt4, codeFixExt8, codeFixExt16:
		length, head = 1<<(b[0]-codeFixExt1), 1
	case codeExt8:
		if len(b) < 2 {
			return 0, 0, 0, ErrTruncated
		}
		length, head = uint64(b[1]), 2
	case codeExt16:
		if len(b) < 3 {
			return 0, 0, 0, ErrTruncated
		}
		length, head = uint64(binary.BigEndian.Uint16(b[1:])), 3
	case codeExt32:
		if len(b) < 5 {
			return 0, 0, 0, ErrTruncated
		}
		length, head = uint64(binary.BigEndian.Uint32(b[1:])), 5
	default:
		return 0, 0, 0, ErrType
	}
	if length+1 > uint64(len(b)-head) {
		return 0, 0, 0, ErrTruncated
	}
	if b[head] != timeExt {
		return 0, 0, 0, ErrInvalid
	}
	body := b[head+1:]
	switch length {
	case 4:
		sec = int64(binary.BigEndian.Uint32(body))
	case 8:
		v := binary.BigEndian.Uint64(body)
		sec, nsec = int64(v&(1<<34-1)), uint32(v>>34)
	case 12:
		nsec, sec = binary.BigEndian.Uint32(body), int64(binary.BigEndian.Uint64(body[4:]))
	default:
		return 0, 0, 0, ErrInvalid
	}
	if nsec >= 1e9 {
		return 0, 0, 0, ErrInvalid
	}
	return sec, nsec, head + 1 + int(length), nil
}
