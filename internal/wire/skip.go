package wire

import "encoding/binary"

// Skip returns the length of the value at the front of b, whatever it holds. It looks at lengths only:
// any well-formed msgpack passes, canonical or not, to any depth. Time is linear in the length and
// there is no recursion.
func Skip(b []byte) (n int, err error) {
	if len(b) > 0 {
		if n := int(fixed[b[0]]); uint(n-1) < uint(len(b)) {
			return n, nil
		}
	}
	return skip(b)
}

// skip is Skip for everything.
func skip(b []byte) (int, error) {
	pos := 0
	// todo is the number of values still to pass. Each takes a byte at least, so it never gets
	// larger than len(b).
	for todo := 1; todo > 0; {
		if pos >= len(b) {
			return 0, ErrTruncated
		}
		c := b[pos]
		todo--
		if n := int(fixed[c]); n != 0 {
			pos += n
			continue
		}
		head, length, count, err := header(b[pos:])
		if err != nil {
			return 0, err
		}
		left := uint64(len(b) - pos - head)
		if length > left || uint64(todo)+count > left-length {
			return 0, ErrTruncated
		}
		pos += head + int(length)
		todo += int(count)
	}
	if pos > len(b) {
		return 0, ErrTruncated
	}
	return pos, nil
}

// header reads the header of a value whose length is not fixed by its first byte: head is its length,
// length the number of bytes of content behind it, count the number of values behind it. Neither is
// compared with what remains.
func header(b []byte) (head int, length, count uint64, err error) {
	c := b[0]
	head = int(headers[c])
	if head == 0 {
		return 0, 0, 0, ErrInvalid // 0xc1
	}
	if len(b) < head {
		return 0, 0, 0, ErrTruncated
	}
	n := uint64(0)
	switch head {
	case 1:
		n = uint64(c & 0x0f)
	case 2:
		n = uint64(b[1])
	case 3:
		n = uint64(binary.BigEndian.Uint16(b[1:]))
	case 5:
		n = uint64(binary.BigEndian.Uint32(b[1:]))
	}
	switch {
	case c < codeFixArray, c == codeMap16, c == codeMap32:
		return head, 0, 2 * n, nil
	case c < codeFixStr, c == codeArray16, c == codeArray32:
		return head, 0, n, nil
	case c <= codeExt32 && c >= codeExt8:
		return head, n + 1, 0, nil
	}
	return head, n, 0, nil
}

// fixed holds the length of the values whose first byte tells it, and 0 for the others. An empty array
// or map is one of them.
var fixed = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c < codeFixMap, c >= codeNegFix, c == codeFixMap, c == codeFixArray,
			c == codeNil, c == codeFalse, c == codeTrue:
			t[c] = 1
		case c >= codeFixStr && c < codeNil:
			t[c] = 1 + uint8(c&0x1f)
		case c >= codeUint8 && c <= codeUint64:
			t[c] = 1 + 1<<(c-codeUint8)
		case c >= codeInt8 && c <= codeInt64:
			t[c] = 1 + 1<<(c-codeInt8)
		case c >= codeFixExt1 && c <= codeFixExt16:
			t[c] = 2 + 1<<(c-codeFixExt1)
		}
	}
	t[codeFloat32], t[codeFloat64] = 5, 9
	return t
}()

// headers holds the length of the headers of the values that fixed knows nothing of, and 0 for the
// others and for 0xc1.
var headers = func() (t [256]uint8) {
	for c := codeFixMap + 1; c < codeFixStr; c++ {
		t[c] = 1
	}
	t[codeFixArray] = 0
	for _, c := range []byte{codeBin8, codeStr8, codeExt8} {
		t[c], t[c+1], t[c+2] = 2, 3, 5
	}
	for _, c := range []byte{codeArray16, codeMap16} {
		t[c], t[c+1] = 3, 5
	}
	return t
}()
