package lattice

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"unicode/utf8"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

const firstNameByte = 0x20

// Field is one named mechanism of a record. Fields follow each other to the end of
// the state, each a bin of name, kind and body, in the order of name and kind.
type Field struct {
	Name []byte
	Kind Kind
	Body []byte
}

// CutField returns the first field of b and what follows it.
func CutField(b []byte) (f Field, rest []byte, ok bool) {
	content, rest, ok := Bin(b)
	if !ok {
		return Field{}, nil, false
	}
	n := keyLen(content)
	if n == 0 {
		return Field{}, nil, false
	}
	return Field{Name: content[:n-1], Kind: Kind(content[n-1]), Body: content[n:]}, rest, true
}

// keyLen is the length of name and kind together, or 0 where there is no kind.
func keyLen(content []byte) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(content); i += 8 {
		// The highest bit of each byte below firstNameByte; above the first of them, of others too.
		x := binary.LittleEndian.Uint64(content[i:])
		if below := (x - firstNameByte*ones) & ^x & high; below != 0 {
			return i + bits.TrailingZeros64(below)/8 + 1
		}
	}
	for ; i < len(content); i++ {
		if content[i] < firstNameByte {
			return i + 1
		}
	}
	return 0
}

// keyMask cuts the first eight bytes of a field, as a big endian number, to a key's length.
func keyMask(n int) uint64 {
	if n >= 8 {
		return ^uint64(0)
	}
	return ^uint64(0) << (64 - 8*n)
}

// AppendField appends a field.
func AppendField(dst []byte, f Field) []byte {
	dst, start := BeginBin(dst)
	dst = append(dst, f.Name...)
	dst = append(dst, byte(f.Kind))
	return EndBin(append(dst, f.Body...), start)
}

// joinFields appends the join of two sequences of fields under one table. Neighbours
// that leave as they came leave in one copy.
func joinFields(dst, a, b []byte) ([]byte, error) {
	a, b = slices.Clip(a), slices.Clip(b) // what joinItems reads
	var run []byte                        // fields of a or b, not yet appended
	fromA := true
	for len(a) > 0 && len(b) > 0 {
		var cb, restb []byte
		var ok bool
		if len(b) >= 2 && b[0] == 0xc4 && int(b[1]) <= len(b)-2 {
			n := 2 + int(b[1])
			cb, restb = b[2:n], b[n:]
		} else if cb, restb, ok = longBin(b); !ok {
			return nil, malformed("field ends early")
		}
		key := cb[:keyLen(cb)]
		prefix, mask, ok := keyPrefix(cb, key)
		if !ok {
			return nil, malformed("field without a kind")
		}
		// Pass over what comes before the field in a.
		before, order := a, 1
		var ca, resta []byte
		for len(a) > 0 {
			if len(a) >= 2 && a[0] == 0xc4 && int(a[1]) <= len(a)-2 {
				n := 2 + int(a[1])
				ca, resta = a[2:n], a[n:]
			} else {
				ca, resta, ok = longBin(a)
			}
			if !ok || len(ca) < 8 {
				return nil, malformed("field ends early")
			}
			if x := binary.BigEndian.Uint64(ca) & mask; x != prefix {
				if x < prefix {
					a = resta
					continue
				}
			} else if len(key) <= 8 {
				order = 0
			} else if order = bytes.Compare(ca[8:min(len(ca), len(key))], key[8:]); order < 0 {
				a, order = resta, 1
				continue
			}
			break
		}
		if n := len(before) - len(a); n > 0 {
			if fromA {
				run = extend(run, before, n)
			} else {
				dst = append(dst, run...)
				run, fromA = before[:n], true
			}
		}
		if len(a) == 0 {
			break
		}
		winner := takeB
		if order == 0 {
			var err error
			if winner, err = quickWinner(Kind(key[len(key)-1]), ca[len(key):], cb[len(key):]); err != nil {
				return nil, err
			}
		}
		switch winner {
		case takeA:
			if fromA {
				run = extend(run, a, len(a)-len(resta))
			} else {
				dst = append(dst, run...)
				run, fromA = a[:len(a)-len(resta)], true
			}
		case takeB:
			if !fromA {
				run = extend(run, b, len(b)-len(restb))
			} else {
				dst = append(dst, run...)
				run, fromA = b[:len(b)-len(restb)], false
			}
		case takeBoth:
			dst = append(dst, run...)
			run = nil
			var start int
			dst, start = BeginBin(dst)
			dst = append(dst, key...)
			var err error
			if dst, err = joinBodies(dst, Kind(key[len(key)-1]), ca[len(key):], cb[len(key):]); err != nil {
				return nil, err
			}
			dst = EndBin(dst, start)
		}
		b = restb
		if order == 0 {
			a = resta
		}
	}
	return append(append(append(dst, run...), a...), b...), nil
}

// extend adds the first n bytes of next to a run; next is in the same slice as the
// run and stands right behind it unless the run is empty.
func extend(run, next []byte, n int) []byte {
	if len(run) == 0 {
		return next[:n]
	}
	return run[:len(run)+n]
}

// keyPrefix is the first eight bytes of a key as a number to compare, and the mask
// that cuts those of other contents to the key's length.
func keyPrefix(content, key []byte) (prefix, mask uint64, ok bool) {
	if len(key) == 0 || len(content) < 8 {
		return 0, 0, false
	}
	mask = keyMask(len(key))
	return binary.BigEndian.Uint64(content) & mask, mask, true
}

type winner uint8

const (
	takeA winner = iota
	takeB
	takeBoth
)

func joinBodies(dst []byte, k Kind, a, b []byte) ([]byte, error) {
	form, _ := k.body()
	return form.join(dst, a, b)
}

// quickWinner decides between two bodies of one field where one of them is the join:
// plain values of the same origin, above all.
func quickWinner(k Kind, a, b []byte) (winner, error) {
	form, ok := k.body()
	if !ok {
		return 0, unsupported(k)
	}
	if form == items && isOneItem(a) && isOneItem(b) && a[0]>>headShift == b[0]>>headShift {
		ta, tb := binary.BigEndian.Uint64(a[1:]), binary.BigEndian.Uint64(b[1:])
		switch {
		case ta > tb:
			return takeA, nil
		case ta < tb:
			return takeB, nil
		}
	}
	if bytes.Equal(a, b) {
		return takeA, nil
	}
	return takeBoth, nil
}

func renumberFields(dst, b []byte, to renumbering) ([]byte, bool) {
	for len(b) > 0 {
		f, rest, ok := CutField(b)
		if !ok {
			return nil, false
		}
		var start int
		dst, start = BeginBin(dst)
		dst = append(dst, f.Name...)
		dst = append(dst, byte(f.Kind))
		form, ok := f.Kind.body()
		if !ok {
			return nil, false
		}
		if dst, ok = form.renumber(dst, f.Body, to); !ok {
			return nil, false
		}
		dst, b = EndBin(dst, start), rest
	}
	return dst, true
}

// checkFields verifies fields that came from outside and notes the origins they use, and
// whether a name holds an escape.
func checkFields(b []byte, origins int, used *usage) error {
	var last []byte // the key before
	lastPrefix := uint64(0)
	for len(b) > 0 {
		if len(b) >= 2 && b[0] == 0xc4 && int(b[1]) <= len(b)-2 {
			end := 2 + int(b[1])
			if n, prefix, by := plainField(b[2:end], origins); prefix > lastPrefix {
				used.low |= by
				last, lastPrefix, b = b[2:2+n], prefix, b[end:]
				continue
			}
		}
		content, rest, err := wire.Bin(b)
		if err != nil {
			return malformed("field: " + err.Error())
		}
		n := keyLen(content)
		if n == 0 || n == 1 && content[0] == 0 {
			return malformed("field without a kind")
		}
		key, body := content[:n], content[n:]
		if !utf8.Valid(key[:n-1]) {
			return malformed("field name is not UTF-8")
		}
		used.escapes = used.escapes || bytes.IndexByte(key, '\\') >= 0
		if last != nil && bytes.Compare(last, key) >= 0 {
			return malformed("fields are not sorted")
		}
		k := Kind(key[n-1])
		form, ok := k.body()
		if !ok {
			return unsupported(k)
		}
		if k == KindCreated && n > 1 {
			return malformed("a name on the mark of a record without fields")
		}
		if err := form.check(body, origins, used); err != nil {
			return fmt.Errorf("field %q: %w", key[:n-1], err)
		}
		if lastPrefix = 0; len(content) >= 8 {
			lastPrefix = binary.BigEndian.Uint64(content) & keyMask(n)
		}
		last, b = key, rest
	}
	return nil
}

// plainField verifies a field whose form can be told at a glance, as that of most can: a
// register under a name of up to 15 bytes of ASCII without an escape, whose items are of the
// first 32 origins and have short strings in ASCII or single bytes as values. It returns the
// length of the key, its first eight bytes as a number to compare, and the origins in use as
// bits. Of all other fields the prefix is zero.
func plainField(content []byte, origins int) (n int, prefix, used uint64) {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	if len(content) < 16 {
		return 0, 0, 0
	}
	x := binary.LittleEndian.Uint64(content)
	prefix = bits.ReverseBytes64(x)
	escape := x ^ '\\'*ones
	odd := (x | (escape-ones)&^escape) & high // at bytes that a plain name has not
	below := (x - firstNameByte*ones) & ^x & high
	if below != 0 {
		n = bits.TrailingZeros64(below)/8 + 1
		prefix &= keyMask(n)
	} else {
		if odd != 0 {
			return 0, 0, 0
		}
		x = binary.LittleEndian.Uint64(content[8:])
		escape = x ^ '\\'*ones
		odd = (x | (escape-ones)&^escape) & high
		if below = (x - firstNameByte*ones) & ^x & high; below == 0 {
			return 0, 0, 0
		}
		n = 8 + bits.TrailingZeros64(below)/8 + 1
	}
	if odd&(below&-below-1) != 0 { // before the kind
		return 0, 0, 0
	}
	if k := Kind(content[n-1]); k < KindRegister || k > KindMin {
		return 0, 0, 0
	}
	for at, last := n, -1; ; {
		if len(content)-at < 1+timeLen {
			return 0, 0, 0
		}
		head := content[at]
		i := int(head >> headShift)
		if head >= 0x80 || i <= last || i >= origins {
			return 0, 0, 0
		}
		used |= 1 << (i & 63)
		last = i
		at += 1 + timeLen
		if head&headSuperseded == 0 {
			if at >= len(content) {
				return 0, 0, 0
			}
			c := content[at]
			at++
			if length := int(c ^ 0xa0); length < len(shortStrings) {
				at += length
				if at > len(content) {
					return 0, 0, 0
				}
				some := binary.LittleEndian.Uint64(content[at-8:]) & shortStrings[length]
				for from := at - length; from < at-8; from += 8 {
					some |= binary.LittleEndian.Uint64(content[from:])
				}
				if some&high != 0 {
					return 0, 0, 0
				}
			} else if c >= 0x80 && c < 0xe0 && (c < 0xc0 || c > 0xc3) { // not an integer, nil, Absent or a bool
				return 0, 0, 0
			}
		} else if head&headCreated != 0 {
			return 0, 0, 0
		}
		if at == len(content) {
			return n, prefix, used
		}
	}
}

// shortStrings holds, by the length of a string, what of the eight bytes that it ends with
// belongs to it.
var shortStrings = func() (masks [32]uint64) {
	for length := range masks {
		masks[length] = ^uint64(0) << (8 * max(8-length, 0))
	}
	return masks
}()

// FindField returns the body of the field, or nil.
func FindField(b []byte, name string, k Kind) []byte {
	for len(b) > 0 {
		content, rest, ok := Bin(b)
		if !ok {
			return nil
		}
		// No name holds a kind's byte, so where the kind stands the name ends.
		if n := len(name); len(content) > n && Kind(content[n]) == k && string(content[:n]) == name {
			return content[n+1:]
		}
		b = rest
	}
	return nil
}

// sortFields sorts fields by name and kind.
func sortFields(fields []Field) {
	slices.SortFunc(fields, func(a, b Field) int {
		if c := bytes.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return int(a.Kind) - int(b.Kind)
	})
}

// Context returns, per origin, the highest timestamp among the items of the fields.
func Context(t Table, fields []byte) (map[fieldwise.Origin]fieldwise.Timestamp, error) {
	origins := t.Origins()
	seen := make(map[fieldwise.Origin]fieldwise.Timestamp, len(origins))
	for len(fields) > 0 {
		f, rest, ok := CutField(fields)
		if !ok {
			return nil, malformed("field ends early")
		}
		if form, known := f.Kind.body(); !known || !form.times(f.Body, func(i int, t fieldwise.Timestamp) bool {
			if i >= len(origins) {
				return false
			}
			seen[origins[i]] = max(seen[origins[i]], t)
			return true
		}) {
			return nil, malformed("field ends early")
		}
		fields = rest
	}
	return seen, nil
}
