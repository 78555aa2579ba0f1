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
	var run []byte // fields of a or b, not yet appended
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
	mask = ^uint64(0)
	if len(key) < 8 {
		mask <<= 64 - 8*len(key)
	}
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

// checkFields verifies fields that came from outside and notes the origins they use.
func checkFields(b []byte, origins int, used *usage) error {
	var last []byte
	for len(b) > 0 {
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
		last, b = key, rest
	}
	return nil
}

// FindField returns the body of the field, or nil.
func FindField(b []byte, name string, k Kind) []byte {
	for len(b) > 0 {
		f, rest, ok := CutField(b)
		if !ok {
			return nil
		}
		if f.Kind == k && string(f.Name) == name {
			return f.Body
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
