package lattice

import (
	"bytes"
	"slices"
)

// maxWidth bounds the digits by which positions at an open end count.
const maxWidth = 8

// between returns n fresh positions, ascending, above lo and below hi; nil is an open end.
// A position is a fraction in base 256 without trailing zeros, so that the order of bytes
// is that of fractions and there is always room for another. Between two positions the
// fresh ones stand at equal distances and are as short as that allows; at an open end they
// count up or down by one, with one digit more for each leading digit that is used up, so
// that their length grows with the logarithm of their number. Where lo is not below hi
// there is no room: the positions then lie above lo.
//
// Sources: Nédelec, Molli, Mostefaoui and Desmontils, "LSEQ: an adaptive structure for
// sequences in distributed collaborative editing" (2013); Wallace, "Realtime editing of
// ordered sequences" (Figma, 2017).
func between(lo, hi []byte, n int) [][]byte {
	fresh := make([][]byte, 0, n)
	switch {
	case len(hi) == 0 || bytes.Compare(lo, hi) >= 0:
		for range n {
			lo = after(lo)
			fresh = append(fresh, lo)
		}
		return fresh
	case len(lo) == 0:
		for range n {
			hi = before(hi)
			fresh = append(fresh, hi)
		}
		slices.Reverse(fresh)
		return fresh
	}
	// As many digits as it takes for n fractions of that length to lie in between.
	size, room := 0, uint64(0)
	for first := uint64(0); room <= uint64(n); {
		first = first<<8 + uint64(digit(hi, size)) - uint64(digit(lo, size))
		size++
		room = first
		if size < len(hi) {
			room++ // the last one below hi has hi's own first digits
		}
	}
	for i := range uint64(n) {
		fresh = append(fresh, plus(lo, size, room*(i+1)/uint64(n+1)))
	}
	return fresh
}

func digit(position []byte, i int) byte {
	if i < len(position) {
		return position[i]
	}
	return 0
}

// plus returns the first size digits of a position with a number added to the last one.
func plus(position []byte, size int, n uint64) []byte {
	sum := make([]byte, size)
	copy(sum, position)
	for i := size - 1; n > 0 && i >= 0; i-- {
		n += uint64(sum[i])
		sum[i], n = byte(n), n>>8
	}
	return bytes.TrimRight(sum, "\x00")
}

// leading counts the digits c that a position begins with.
func leading(position []byte, c byte) (n int) {
	for n < len(position) && position[n] == c {
		n++
	}
	return n
}

// after returns a position above one that may be empty.
func after(position []byte) []byte {
	if len(position) == 0 {
		return []byte{0x80}
	}
	used := leading(position, 0xff)
	return plus(position, used+min(used+1, maxWidth), 1)
}

// before returns a position below one that is not empty.
func before(position []byte) []byte {
	used := leading(position, 0)
	width := min(used+1, maxWidth)
	p := make([]byte, used+width)
	copy(p, position)
	for i := len(p) - 1; ; i-- {
		if p[i]--; p[i] != 0xff {
			break
		}
	}
	if p[used] == 0 { // used up: one more leading zero, and behind it the highest digit
		p = append(p[:used+1], 0xff)
	}
	return bytes.TrimRight(p, "\x00")
}
