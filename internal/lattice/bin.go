package lattice

import (
	"encoding/binary"
	"fmt"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Bin returns the content of the bin that b starts with and what follows it. It
// accepts any bounded length; whether the header is the shortest is for checks.
func Bin(b []byte) (content, rest []byte, ok bool) {
	if len(b) >= 2 && b[0] == 0xc4 {
		if n := int(b[1]); n <= len(b)-2 {
			return b[2 : 2+n], b[2+n:], true
		}
		return nil, nil, false
	}
	return longBin(b)
}

func longBin(b []byte) (content, rest []byte, ok bool) {
	content, rest, err := wire.Bin(b)
	return content, rest, err == nil
}

// BeginBin starts a bin whose length is not known yet; EndBin finishes it.
func BeginBin(dst []byte) (out []byte, start int) {
	return append(dst, 0xc4, 0), len(dst)
}

// EndBin sets the length of the bin that begins at start to what was appended since.
func EndBin(dst []byte, start int) []byte {
	n := len(dst) - start - 2
	switch {
	case n <= 0xff:
		dst[start+1] = byte(n)
	case n <= 0xffff:
		dst = append(dst, 0)
		copy(dst[start+3:], dst[start+2:])
		dst[start] = 0xc5
		binary.BigEndian.PutUint16(dst[start+1:], uint16(n))
	default:
		dst = append(dst, 0, 0, 0)
		copy(dst[start+5:], dst[start+2:])
		dst[start] = 0xc6
		binary.BigEndian.PutUint32(dst[start+1:], uint32(n))
	}
	return dst
}

func malformed(what string) error { return fmt.Errorf("%w: %s", fieldwise.ErrMalformed, what) }

// binLen is the length of a bin with n bytes of content.
func binLen(n int) int {
	switch {
	case n <= 0xff:
		return n + 2
	case n <= 0xffff:
		return n + 3
	}
	return n + 5
}
