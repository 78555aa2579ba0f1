package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"unicode/utf8"
)

// Canonical appends to dst the canonical form of src, which is exactly one value of any well-formed
// msgpack: integers of any width, float32, maps in any order. It refuses what has no canonical form:
// keys that are equal once they are canonical, arrays and maps as keys, invalid UTF-8, ext types other
// than timestamps, bytes behind the value. depth is that of Check. src is neither kept nor changed and
// must not overlap the room behind dst. With an error the result is dst as it was.
//
// It allocates what dst lacks, at most 1.8 times len(src), and 4 bytes per entry of the maps that are
// out of order: together never more than 4 times len(src) and 64 KiB, beside the copy of dst.
func Canonical(dst, src []byte, depth int) ([]byte, error) {
	if uint64(len(src)) > math.MaxUint32 {
		return dst, at(ErrInvalid, 0) // no record comes near 4 GiB; offsets below have 32 bits
	}
	size, entries, err := measure(src)
	if err != nil {
		return dst, err
	}
	c := canonicaliser{src: src, entries: entries}
	out, _, err := c.value(slices.Grow(dst, size), 0, depth)
	if err != nil {
		return dst, at(err, c.fault)
	}
	return out, nil
}

// measure walks over src, which must be one well-formed value, and returns a size that its canonical
// form does not exceed and the number of entries of all its maps.
func measure(src []byte) (size, entries int, err error) {
	n, err := skip(src)
	if err != nil {
		return 0, 0, at(err, 0)
	}
	if n < len(src) {
		return 0, 0, at(ErrTrailing, n)
	}
	size = len(src)
	for pos := 0; pos < len(src); {
		if src[pos] == codeFloat32 {
			size += 4 // all other values get no longer
		}
		if n := int(fixed[src[pos]]); n != 0 {
			pos += n
			continue
		}
		head, length, count, err := header(src[pos:])
		if err != nil {
			return 0, 0, at(err, pos)
		}
		if loose(src[pos]) == KindMap {
			entries += int(count / 2)
		}
		pos += head + int(length)
	}
	return size, entries, nil
}

// loose is KindOf for well-formed msgpack that need not be canonical.
func loose(c byte) Kind {
	switch c {
	case codeFloat32:
		return KindFloat
	case codeExt16, codeExt32, codeFixExt1, codeFixExt2, codeFixExt16:
		return KindTime
	}
	return kinds[c]
}

// A canonicaliser holds what one call of Canonical needs. src has passed measure: all lengths hold.
type canonicaliser struct {
	src     []byte
	entries int      // in all maps of src
	index   []uint32 // a stack: the offsets of the entries of the maps being written out of order
	fault   int      // where the value at fault is, after an error
}

// value appends the canonical form of the value at src[pos:] and returns the offset behind that value.
func (c *canonicaliser) value(dst []byte, pos, depth int) ([]byte, int, error) {
	b := c.src[pos:]
	switch loose(b[0]) {
	case KindArray, KindMap:
		if depth <= 0 {
			c.fault = pos
			return nil, 0, ErrDepth
		}
		head, _, count, err := header(b)
		if err != nil { // an empty fixarray or fixmap
			return append(dst, b[0]), pos + 1, nil
		}
		if loose(b[0]) == KindMap {
			return c.entriesOf(AppendMapHeader(dst, int(count/2)), pos+head, int(count/2), depth)
		}
		dst, pos = AppendArrayHeader(dst, int(count)), pos+head
		for range count {
			if dst, pos, err = c.value(dst, pos, depth-1); err != nil {
				return nil, 0, err
			}
		}
		return dst, pos, nil
	}
	var k scalar
	n, err := k.read(b)
	if err != nil {
		c.fault = pos
		return nil, 0, err
	}
	return append(append(dst, k.head[:k.headLen]...), k.body...), pos + n, nil
}

// entriesOf appends the n entries at src[pos:] in the order of their canonical keys.
func (c *canonicaliser) entriesOf(dst []byte, pos, n, depth int) ([]byte, int, error) {
	sorted, end, err := c.scan(pos, n)
	if err != nil {
		return nil, 0, err
	}
	if sorted {
		for range n {
			if dst, pos, err = c.entry(dst, pos, depth); err != nil {
				return nil, 0, err
			}
		}
		return dst, pos, nil
	}
	if c.index == nil {
		c.index = make([]uint32, 0, c.entries) // enough for all maps that are open at once
	}
	base := len(c.index)
	for range n {
		c.index = append(c.index, uint32(pos))
		pos = c.skipEntry(pos)
	}
	order := c.index[base:]
	slices.SortFunc(order, func(x, y uint32) int { return c.compare(int(x), int(y)) })
	for i, offset := range order {
		if i > 0 && c.compare(int(order[i-1]), int(offset)) == 0 {
			c.fault = int(max(order[i-1], offset))
			return nil, 0, ErrInvalid
		}
		if dst, _, err = c.entry(dst, int(offset), depth); err != nil {
			return nil, 0, err
		}
	}
	c.index = c.index[:base]
	return dst, end, nil
}

// entry appends the key and the value at src[pos:].
func (c *canonicaliser) entry(dst []byte, pos, depth int) ([]byte, int, error) {
	dst, pos, err := c.value(dst, pos, 0)
	if err != nil {
		return nil, 0, err
	}
	return c.value(dst, pos, depth-1)
}

// scan looks at the keys of the n entries at src[pos:]: whether all are scalars (an error if not), and
// whether they are unique and sorted already. end is the offset behind the entries.
func (c *canonicaliser) scan(pos, n int) (sorted bool, end int, err error) {
	sorted = true
	var a, b scalar
	key, last := &a, &b
	for i := range n {
		if _, err := key.read(c.src[pos:]); err != nil {
			c.fault = pos
			return false, 0, err
		}
		if i > 0 && last.compare(key) >= 0 {
			sorted = false
		}
		key, last = last, key
		pos = c.skipEntry(pos)
	}
	return sorted, pos, nil
}

// skipEntry returns the offset behind the key and the value at src[pos:].
func (c *canonicaliser) skipEntry(pos int) int {
	for range 2 {
		n, err := Skip(c.src[pos:])
		if err != nil {
			panic("wire: measured bytes ended early") // measure has passed over them
		}
		pos += n
	}
	return pos
}

// compare orders the keys at two offsets, both of which scan has read without an error.
func (c *canonicaliser) compare(x, y int) int {
	var a, b scalar
	_, _ = a.read(c.src[x:])
	_, _ = b.read(c.src[y:])
	return a.compare(&b)
}

// scalar is the canonical form of a value that is no container: head, and behind it body.
type scalar struct {
	head    [16]byte
	headLen int
	body    []byte // the content of a string or a binary; aliases the source
}

// compare orders by the bytes of the canonical form. A first byte tells how long a head is, so no head
// is the beginning of another one, and heads can be compared before bodies.
func (s *scalar) compare(t *scalar) int {
	if c := bytes.Compare(s.head[:s.headLen], t.head[:t.headLen]); c != 0 {
		return c
	}
	return bytes.Compare(s.body, t.body)
}

// read makes s the canonical form of the value at the front of b, which measure has passed, and returns
// the length of that value in b.
func (s *scalar) read(b []byte) (n int, err error) {
	head := s.head[:0]
	s.body = nil
	code := b[0]
	n = int(fixed[code])
	switch loose(code) {
	case KindNil, KindBool:
		head = append(head, code)
	case KindUint:
		head = AppendUint(head, bigEndian(b[:n]))
	case KindInt:
		shift := 64 - 8*(n-1)
		if n == 1 {
			head = append(head, code)
		} else {
			head = AppendInt(head, int64(bigEndian(b[:n])<<shift)>>shift)
		}
	case KindFloat:
		v := math.Float64frombits(bigEndian(b[:n]))
		if code == codeFloat32 {
			v = float64(math.Float32frombits(binary.BigEndian.Uint32(b[1:])))
		}
		head = AppendFloat(head, v)
	case KindString, KindBin:
		length, at := n-1, 1
		if n == 0 {
			h, l, _, _ := header(b)
			length, at = int(l), h
		}
		s.body = b[at : at+length]
		n = at + length
		if loose(code) == KindBin {
			head = AppendBinHeader(head, length)
			break
		}
		if !utf8.Valid(s.body) {
			return 0, ErrInvalid
		}
		if length < 32 {
			head = append(head, codeFixStr|byte(length))
		} else {
			head = appendLen(head, codeStr8, length)
		}
	case KindTime:
		var sec int64
		var nsec uint32
		if sec, nsec, n, err = looseTime(b); err != nil {
			return 0, err
		}
		head = appendTime(head, sec, nsec)
	default:
		return 0, ErrInvalid // 0xc1, or a container as a key
	}
	s.headLen = len(head)
	return n, nil
}

// bigEndian returns the number behind the first byte of b, or b itself if there is nothing behind it.
func bigEndian(b []byte) (v uint64) {
	if len(b) == 1 {
		return uint64(b[0])
	}
	for _, c := range b[1:] {
		v = v<<8 | uint64(c)
	}
	return v
}
