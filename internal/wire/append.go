package wire

import (
	"encoding/binary"
	"math"
	"time"
)

// AppendNil appends nil.
func AppendNil(dst []byte) []byte { return append(dst, codeNil) }

// AppendBool appends v.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, codeTrue)
	}
	return append(dst, codeFalse)
}

// AppendInt appends v; from 0 up it has the same form as AppendUint gives it.
func AppendInt(dst []byte, v int64) []byte {
	if uint64(v)+32 < 160 { // -32 <= v < 128
		return append(dst, byte(v))
	}
	return appendInt(dst, v)
}

func appendInt(dst []byte, v int64) []byte {
	switch {
	case v >= 0:
		return appendUint(dst, uint64(v))
	case v >= -32:
		return append(dst, byte(v))
	case v >= math.MinInt8:
		return append(dst, codeInt8, byte(v))
	case v >= math.MinInt16:
		return append(dst, codeInt16, byte(v>>8), byte(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, codeInt32), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, codeInt64), uint64(v))
}

// AppendUint appends v.
func AppendUint(dst []byte, v uint64) []byte {
	if v < 0x80 {
		return append(dst, byte(v))
	}
	return appendUint(dst, v)
}

func appendUint(dst []byte, v uint64) []byte {
	switch {
	case v < 0x80:
		return append(dst, byte(v))
	case v <= math.MaxUint8:
		return append(dst, codeUint8, byte(v))
	case v <= math.MaxUint16:
		return append(dst, codeUint16, byte(v>>8), byte(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, codeUint32), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, codeUint64), v)
}

// AppendFloat appends v; every NaN becomes the one NaN, and -0 stays different from 0.
func AppendFloat(dst []byte, v float64) []byte {
	bits := math.Float64bits(v)
	if v != v {
		bits = nanBits
	}
	return binary.BigEndian.AppendUint64(append(dst, codeFloat64), bits)
}

// AppendString appends s as a string. The caller guarantees that s is valid UTF-8; if it is not, every
// reader refuses the result.
func AppendString[S ~string | ~[]byte](dst []byte, s S) []byte {
	if len(s) < 32 {
		dst = append(dst, codeFixStr|byte(len(s)))
	} else {
		dst = appendLen(dst, codeStr8, len(s))
	}
	return append(dst, s...)
}

// AppendBin appends b as a binary.
func AppendBin[S ~string | ~[]byte](dst []byte, b S) []byte {
	return append(appendLen(dst, codeBin8, len(b)), b...)
}

// AppendBinHeader appends the header of a binary whose n bytes the caller appends next. n is from 0 to
// math.MaxUint32.
func AppendBinHeader(dst []byte, n int) []byte { return appendLen(dst, codeBin8, n) }

// appendLen appends the shortest of the headers code8, code8+1 and code8+2, with lengths of 1, 2 and 4
// bytes.
func appendLen(dst []byte, code8 byte, n int) []byte {
	switch {
	case n <= math.MaxUint8:
		return append(dst, code8, byte(n))
	case n <= math.MaxUint16:
		return append(dst, code8+1, byte(n>>8), byte(n))
	}
	return append(dst, code8+2, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// AppendArrayHeader appends the header of an array whose n elements the caller appends next. n is from
// 0 to math.MaxUint32.
func AppendArrayHeader(dst []byte, n int) []byte {
	if uint(n) < 16 {
		return append(dst, codeFixArray|byte(n))
	}
	return appendCount(dst, codeArray16, n)
}

// AppendMapHeader appends the header of a map whose n keys and values the caller appends next, each key
// followed by its value, in the bytewise order of the encoded keys. n is from 0 to math.MaxUint32.
func AppendMapHeader(dst []byte, n int) []byte {
	if uint(n) < 16 {
		return append(dst, codeFixMap|byte(n))
	}
	return appendCount(dst, codeMap16, n)
}

// appendCount appends the shorter of the headers code16 and code16+1, with counts of 2 and 4 bytes.
func appendCount(dst []byte, code16 byte, n int) []byte {
	if n <= math.MaxUint16 {
		return append(dst, code16, byte(n>>8), byte(n))
	}
	return append(dst, code16+1, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// AppendTime appends the instant t to the nanosecond. The location and the monotonic reading are not
// kept.
func AppendTime(dst []byte, t time.Time) []byte {
	return appendTime(dst, t.Unix(), uint32(t.Nanosecond()))
}

func appendTime(dst []byte, sec int64, nsec uint32) []byte {
	switch {
	case uint64(sec) <= math.MaxUint32 && nsec == 0:
		return binary.BigEndian.AppendUint32(append(dst, codeFixExt4, timeExt), uint32(sec))
	case uint64(sec)>>34 == 0:
		return binary.BigEndian.AppendUint64(append(dst, codeFixExt8, timeExt), uint64(nsec)<<34|uint64(sec))
	}
	dst = binary.BigEndian.AppendUint32(append(dst, codeExt8, 12, timeExt), nsec)
	return binary.BigEndian.AppendUint64(dst, uint64(sec))
}
