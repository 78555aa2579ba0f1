package lattice

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Absent stands for a value that was unset or deleted. No msgpack value starts with it.
const Absent = 0xc1

// MaxDepth bounds the nesting of a value that comes from outside.
const MaxDepth = 64

const timeLen = 8

// The head of an item: the origin's index above two flags.
const (
	headSuperseded = 1 << iota
	headCreated
	headFlags = headSuperseded | headCreated
	headShift = 2

	maxHead = 1<<31 - 1 // keeps indices within an int of 32 bits
)

// Item is what one origin last did to a register.
type Item struct {
	Index      int // of the origin in the table
	Time       fieldwise.Timestamp
	Superseded bool
	Created    bool   // the write created the record; not of superseded items
	Value      []byte // encoded; empty if superseded
}

// IsAbsent reports whether the item unset or deleted the value.
func (it *Item) IsAbsent() bool { return len(it.Value) == 1 && it.Value[0] == Absent }

// CutItem returns the first item of a register and what follows it.
func CutItem(b []byte) (it Item, rest []byte, ok bool) {
	head, n := uint64(0), 1
	switch {
	case len(b) == 0:
		return Item{}, nil, false
	case b[0] < 0x80:
		head = uint64(b[0])
	default:
		var after []byte
		var err error
		if head, after, err = wire.Uint(b); err != nil || head > maxHead {
			return Item{}, nil, false
		}
		n = len(b) - len(after)
	}
	if len(b) < n+timeLen || head&headFlags == headFlags {
		return Item{}, nil, false
	}
	it = Item{
		Index:      int(head >> headShift),
		Superseded: head&headSuperseded != 0,
		Created:    head&headCreated != 0,
		Time:       fieldwise.Timestamp(binary.BigEndian.Uint64(b[n:])),
	}
	rest = b[n+timeLen:]
	if it.Superseded {
		return it, rest, true
	}
	length, ok := valueLen(rest)
	if !ok {
		return Item{}, nil, false
	}
	it.Value = rest[:length]
	return it, rest[length:], true
}

// isOneItem reports whether a register is a single item of one of the first 32 origins,
// as nearly all are. No is an answer that is never wrong to act on.
func isOneItem(b []byte) bool {
	const short = 1 + timeLen
	switch {
	case len(b) < short || b[0] >= 0x80:
		return false
	case b[0]&headSuperseded != 0:
		return len(b) == short
	case len(b) == short:
		return false
	case b[short] >= 0xa0 && b[short] <= 0xbf: // a string of up to 31 bytes
		return len(b) == short+1+int(b[short]&0x1f)
	}
	n, ok := valueLen(b[short:])
	return ok && len(b) == short+n
}

func valueLen(b []byte) (n int, ok bool) {
	if len(b) > 0 && b[0] == Absent {
		return 1, true
	}
	n, err := wire.Skip(b)
	return n, err == nil
}

// Single returns the value of a register that has one item, as nearly all have, and that
// is current: nil where the item unset it.
func Single(register []byte) (value []byte, ok bool) {
	it, rest, ok := CutItem(register)
	switch {
	case !ok || it.Superseded || len(rest) > 0:
		return nil, false
	case it.IsAbsent():
		return nil, true
	}
	return it.Value[:len(it.Value):len(it.Value)], true
}

// AppendItem appends an item to a register.
func AppendItem(dst []byte, it Item) []byte {
	head := uint64(it.Index) << headShift
	if it.Superseded {
		head |= headSuperseded
	} else if it.Created {
		head |= headCreated
	}
	dst = wire.AppendUint(dst, head)
	dst = binary.BigEndian.AppendUint64(dst, uint64(it.Time))
	return append(dst, it.Value...)
}

// beats decides between two items of one origin: the higher timestamp; at equal
// timestamps the mark over a value, of two values the larger bytes, and of equal ones
// that of a create.
func (it *Item) beats(other *Item) bool {
	switch {
	case it.Time != other.Time:
		return it.Time > other.Time
	case it.Superseded || other.Superseded:
		return it.Superseded
	}
	c := bytes.Compare(it.Value, other.Value)
	return c > 0 || c == 0 && it.Created
}

// joinItems appends the join of two registers under one table: the maximum per origin.
// Neighbours that leave as they came leave in one copy. Short items are read, and written,
// together with what lies behind them: up to the capacity of a and b, which has to be
// theirs alone to read, and up to shortItem bytes behind the join.
func joinItems(dst, a, b []byte) ([]byte, error) {
	var run []byte // items of a or b, not yet appended
	fromA := true
	for len(a) > 0 && len(b) > 0 {
		if spare := dst[len(dst):cap(dst)]; len(spare) >= len(run)+shortItem && cap(a) >= shortItem && cap(b) >= shortItem {
			n, nA, nB := joinShort((*[shortItem]byte)(spare[len(run):]), (*[shortItem]byte)(a[:shortItem]), (*[shortItem]byte)(b[:shortItem]))
			if n > 0 && nA <= len(a) && nB <= len(b) {
				copy(spare, run)
				dst, run = dst[:len(dst)+len(run)+n], nil
				a, b = a[nA:], b[nB:]
				continue
			}
		}
		lenA, okA := itemLen(a)
		lenB, okB := itemLen(b)
		if !okA || !okB {
			return nil, malformed("register ends inside an item")
		}
		var first, second bool // which of the two leave the inputs
		takeA := false
		if headA, headB := a[0], b[0]; headA < 0x80 && headB < 0x80 {
			first, second = headA>>headShift <= headB>>headShift, headB>>headShift <= headA>>headShift
			if takeA = first; first && second {
				timeA, timeB := binary.BigEndian.Uint64(a[1:]), binary.BigEndian.Uint64(b[1:])
				takeA = timeA > timeB || timeA == timeB && !itemBeats(b, a)
			}
		} else {
			ia, _, _ := CutItem(a)
			ib, _, _ := CutItem(b)
			first, second = ia.Index <= ib.Index, ib.Index <= ia.Index
			if takeA = first; first && second {
				takeA = !ib.beats(&ia)
			}
		}
		switch {
		case takeA && fromA:
			run = extend(run, a, lenA)
		case takeA:
			dst = append(dst, run...)
			run, fromA = a[:lenA], true
		case fromA:
			dst = append(dst, run...)
			run, fromA = b[:lenB], false
		default:
			run = extend(run, b, lenB)
		}
		if first {
			a = a[lenA:]
		}
		if second {
			b = b[lenB:]
		}
	}
	return append(append(append(dst, run...), a...), b...), nil
}

// shortItem is as long as the items that joinShort joins can be.
const shortItem = 32

// joinShort joins two items of one origin, of the first 32, that have short values. It
// writes to dst, where what follows the join is of no meaning, and returns the lengths of
// the join and of both items: zero where it cannot tell. Which of the two is the newer is as
// good as random, so there is no branch on it.
func joinShort(dst, a, b *[shortItem]byte) (n, nA, nB int) {
	nA, nB = shortLen(a), shortLen(b)
	if nA == 0 || nB == 0 || a[0]>>headShift != b[0]>>headShift {
		return 0, 0, 0
	}
	timeA, timeB := binary.BigEndian.Uint64(a[1:]), binary.BigEndian.Uint64(b[1:])
	_, older := bits.Sub64(timeA, timeB, 0) // one if a is
	differ := uint64(0)
	for i, mask := range &shortMasks[nA] {
		x, y := binary.LittleEndian.Uint64(a[8*i:]), binary.LittleEndian.Uint64(b[8*i:])
		differ |= (x ^ y) & mask
		binary.LittleEndian.PutUint64(dst[8*i:], x^(x^y)&-older)
	}
	if times := timeA ^ timeB; (differ|-differ)&^(times|-times)>>63 != 0 {
		return 0, 0, 0 // two items of one time
	}
	return nA ^ (nA^nB)&-int(older), nA, nB
}

// shortMasks holds, by the length of a short item, what of its room belongs to it.
var shortMasks = func() (t [shortItem + 1][shortItem / 8]uint64) {
	for n := range t {
		for i := range 8 * len(t[n]) {
			if i < n {
				t[n][i/8] |= 0xff << (i % 8 * 8)
			}
		}
	}
	return t
}()

// shortLen is the length of the item of one of the first 32 origins that b begins with, or
// zero where it is not short or has no plain value.
func shortLen(b *[shortItem]byte) int {
	n := int(shortValues[b[1+timeLen]])
	if b[0]&headSuperseded != 0 {
		n = 0
	} else if n == 0 {
		return 0
	}
	if n += 1 + timeLen; b[0] >= 0x80 || n > shortItem {
		return 0
	}
	return n
}

// shortValues holds, by its first byte, the length of a value that is a short string, a
// single byte or an integer, and zero for others.
var shortValues = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= 0xa0 && c <= 0xbf:
			t[c] = 1 + uint8(c&0x1f)
		case c >= 0xcc && c <= 0xd3: // integers of 1, 2, 4 and 8 bytes, without and with a sign
			t[c] = 1 + 1<<(c&3)
		case c < 0x80 || c >= 0xe0 || c >= 0xc0 && c <= 0xc3:
			t[c] = 1
		}
	}
	return t
}()

func itemBeats(b, a []byte) bool {
	ib, _, _ := CutItem(b)
	ia, _, _ := CutItem(a)
	return ib.beats(&ia)
}

// itemLen is the length of the first item of a register.
func itemLen(b []byte) (n int, ok bool) {
	const short = 1 + timeLen
	if len(b) > short && b[0] < 0x80 {
		if b[0]&headSuperseded != 0 {
			return short, b[0]&headFlags != headFlags
		}
		if c := b[short]; c >= 0xa0 && c <= 0xbf { // a string of up to 31 bytes
			n = short + 1 + int(c&0x1f)
			return n, n <= len(b)
		}
	}
	_, rest, ok := CutItem(b)
	return len(b) - len(rest), ok
}

func renumberItems(dst, b []byte, to renumbering) ([]byte, bool) {
	for len(b) > 0 {
		it, rest, ok := CutItem(b)
		if !ok || it.Index >= len(to) {
			return nil, false
		}
		it.Index = int(to[it.Index])
		dst, b = AppendItem(dst, it), rest
	}
	return dst, true
}

func itemTimes(b []byte, yield func(index int, t fieldwise.Timestamp) bool) bool {
	for len(b) > 0 {
		it, rest, ok := CutItem(b)
		if !ok || !yield(it.Index, it.Time) {
			return false
		}
		b = rest
	}
	return true
}

// usage notes which origins of a table are used, and what else a check comes across.
type usage struct {
	low     uint64
	high    []uint64
	escapes bool // the name of a field holds an escape
}

func newUsage(origins int) usage {
	if origins <= 64 {
		return usage{}
	}
	return usage{high: make([]uint64, (origins-1)/64)}
}

func (u *usage) add(i int) {
	if i < 64 {
		u.low |= 1 << i
	} else {
		u.high[i/64-1] |= 1 << (i % 64)
	}
}

func (u *usage) has(i int) bool {
	if i < 64 {
		return u.low&(1<<i) != 0
	}
	return u.high[i/64-1]&(1<<(i%64)) != 0
}

func (u *usage) all(origins int) bool {
	for i := range origins {
		if !u.has(i) {
			return false
		}
	}
	return true
}

// checkItems verifies a register that came from outside and notes the origins it uses.
func checkItems(b []byte, origins int, used *usage) error {
	if len(b) == 0 {
		return malformed("register without an item")
	}
	for last := -1; len(b) > 0; {
		it, rest, ok := CutItem(b)
		switch {
		case !ok:
			return malformed("register ends inside an item")
		case it.Index <= last:
			return malformed("register items are not sorted")
		case it.Index >= origins:
			return malformed("item outside the origin table")
		}
		if len(it.Value) > 0 && !it.IsAbsent() {
			if err := wire.Check(it.Value, MaxDepth); err != nil {
				return malformed("register value: " + err.Error())
			}
		}
		used.add(it.Index)
		last, b = it.Index, rest
	}
	return nil
}

// Siblings lists the current values of a register, oldest version first. Values alias
// the register; an absent one is nil.
func Siblings(dst []fieldwise.Sibling, t Table, register []byte) ([]fieldwise.Sibling, error) {
	first := len(dst)
	index := 0
	for len(register) > 0 {
		it, rest, ok := CutItem(register)
		if !ok {
			return nil, malformed("register ends inside an item")
		}
		register = rest
		if it.Superseded {
			continue
		}
		var e entry
		for ; index <= it.Index; index++ {
			if e, t, ok = t.cut(); !ok {
				return nil, malformed("item outside the origin table")
			}
		}
		if e == nil {
			return nil, malformed("register items are not sorted")
		}
		s := fieldwise.Sibling{Version: fieldwise.Version{Time: it.Time, Origin: e.origin()}, Created: it.Created}
		if !it.IsAbsent() {
			s.Value = it.Value[:len(it.Value):len(it.Value)]
		}
		dst = append(dst, s)
	}
	slices.SortFunc(dst[first:], func(a, b fieldwise.Sibling) int { return a.Version.Compare(b.Version) })
	return dst, nil
}
