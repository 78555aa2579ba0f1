// Package wire reads and appends one canonical form of msgpack.
//
// Replicas are compared byte for byte, so every value has exactly one encoding here:
//
//   - integers take the fewest bytes: values from 0 up as fixint or uint8..64, negative ones as
//     negative fixint or int8..64;
//   - lengths of strings, binaries, arrays and maps take the shortest header;
//   - floats are float64 (0xcb); there is one NaN, the one of math.NaN();
//   - strings are valid UTF-8;
//   - map keys are scalars, unique, and sorted by the bytewise order of their encoded form;
//   - times are timestamps (ext type -1) in the shortest of the 4, 8 and 12 byte forms, with fewer
//     than 1e9 nanoseconds; there is no other ext type, no float32, and no 0xc1.
//
// Three groups of functions work on plain byte slices and keep no state:
//
//   - AppendX appends a value to dst and returns the longer slice, as the built-in append does.
//   - X (Uint, String, MapHeader, ...) reads the value at the front of b and returns it with the rest
//     of b behind it. It refuses every form but the canonical one. Slices that it returns alias b. The
//     rest is nil when there is an error.
//   - Skip, Check, CheckPrefix and Canonical take whole values, containers with all they hold.
//
// No length is trusted before it is compared with the bytes that remain, and no bytes make a function
// panic. Nothing allocates but the errors of whole values, and Canonical where dst lacks room or a map has
// to be sorted. Nothing here recurses deeper than the depth it is given.
package wire

import "errors"

// The errors of this package. The functions that read one value return them bare; Check, CheckPrefix
// and Canonical wrap them with the offset of the value at fault. Use errors.Is.
var (
	// ErrTruncated says that the bytes end before the value does, or that a length is larger than
	// the bytes that remain.
	ErrTruncated = errors.New("wire: truncated")
	// ErrNotCanonical says that the bytes are not the one form that their value has.
	ErrNotCanonical = errors.New("wire: not canonical")
	// ErrDepth says that containers are nested deeper than the caller allows.
	ErrDepth = errors.New("wire: nested too deep")
	// ErrType says that the value is of another type than the one asked for, or, for Int, above
	// math.MaxInt64.
	ErrType = errors.New("wire: value of another type")
	// ErrTrailing says that bytes follow where one value was to stand alone.
	ErrTrailing = errors.New("wire: trailing bytes")
	// ErrInvalid says that the bytes have no canonical form at all: a reserved first byte, a duplicate
	// or nested map key, invalid UTF-8, a malformed timestamp, another ext type. Only Skip and
	// Canonical return it; for the others such bytes are just not canonical.
	ErrInvalid = errors.New("wire: value without a canonical form")
)

// First bytes of the msgpack format.
const (
	codeFixMap   = 0x80
	codeFixArray = 0x90
	codeFixStr   = 0xa0
	codeNil      = 0xc0
	codeReserved = 0xc1
	codeFalse    = 0xc2
	codeTrue     = 0xc3
	codeBin8     = 0xc4
	codeBin16    = 0xc5
	codeBin32    = 0xc6
	codeExt8     = 0xc7
	codeExt16    = 0xc8
	codeExt32    = 0xc9
	codeFloat32  = 0xca
	codeFloat64  = 0xcb
	codeUint8    = 0xcc
	codeUint16   = 0xcd
	codeUint32   = 0xce
	codeUint64   = 0xcf
	codeInt8     = 0xd0
	codeInt16    = 0xd1
	codeInt32    = 0xd2
	codeInt64    = 0xd3
	codeFixExt1  = 0xd4
	codeFixExt2  = 0xd5
	codeFixExt4  = 0xd6
	codeFixExt8  = 0xd7
	codeFixExt16 = 0xd8
	codeStr8     = 0xd9
	codeStr16    = 0xda
	codeStr32    = 0xdb
	codeArray16  = 0xdc
	codeArray32  = 0xdd
	codeMap16    = 0xde
	codeMap32    = 0xdf
	codeNegFix   = 0xe0

	timeExt = 0xff // ext type -1
)

// nanBits is the one NaN: math.Float64bits(math.NaN()).
const nanBits = 0x7ff8000000000001
