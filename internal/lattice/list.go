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
	if p[used] == 0 { // used up: one more leading zero, and above it the highest there is
		p = append(p[:used+1], bytes.Repeat([]byte{0xff}, min(used+2, maxWidth))...)
	}
	return bytes.TrimRight(p, "\x00")
}

// maxCells bounds the work of a comparison of two lists.
const maxCells = 1 << 22

// matching says, per value of to, which value of from it is, -1 for none: a longest common
// subsequence, or only what begins and ends alike where the lists differ in too much.
func matching(from, to [][]byte) []int {
	ids := make(map[string]int, len(from))
	numbered := func(values [][]byte) []int {
		out := make([]int, len(values))
		for i, v := range values {
			id, ok := ids[string(v)]
			if !ok {
				id = len(ids)
				ids[string(v)] = id
			}
			out[i] = id
		}
		return out
	}
	a, b := numbered(from), numbered(to)
	match := make([]int, len(b))
	for i := range match {
		match[i] = -1
	}
	first := 0
	for ; len(a) > 0 && len(b) > 0 && a[0] == b[0]; first++ {
		match[first] = first
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
		match[first+len(b)] = first + len(a)
	}
	commonSubsequence(a, b, func(i, j int) { match[first+j] = first + i })
	return match
}

// commonSubsequence calls pair for the indices of a longest common subsequence, last ones
// first, or not at all where finding it takes more than maxCells steps.
//
// Source: Myers, "An O(ND) difference algorithm and its variations" (1986).
func commonSubsequence(a, b []int, pair func(i, j int)) {
	if len(a) == 0 || len(b) == 0 {
		return
	}
	// rows[d][i] is how far into a one gets on diagonal 2*i-d, that is a's index minus b's,
	// with d values left out.
	var rows [][]int32
	start := func(d, i int) (x int, fromB bool) { // fromB: the value left out there is b's
		if d == 0 {
			return 0, false
		}
		if prev := rows[d-1]; i == 0 || i < d && prev[i-1] < prev[i] {
			return int(prev[i]), true
		}
		return int(rows[d-1][i-1]) + 1, false
	}
	steps := 0
	for d := 0; ; d++ {
		row := make([]int32, d+1)
		for i := range row {
			x, _ := start(d, i)
			begin := x
			for y := x - (2*i - d); x < len(a) && y < len(b) && a[x] == b[y]; y++ {
				x++
			}
			row[i] = int32(x)
			if x >= len(a) && x-(2*i-d) >= len(b) {
				rows = append(rows, row)
				break
			}
			if steps += x - begin + 1; steps > maxCells {
				return
			}
		}
		if len(rows) > d {
			break
		}
		rows = append(rows, row)
	}
	x, y := len(a), len(b)
	for d := len(rows) - 1; d >= 0; d-- {
		begin, fromB := start(d, (x-y+d)/2)
		for ; x > begin; x, y = x-1, y-1 {
			pair(x-1, y-1)
		}
		if fromB {
			y--
		} else {
			x--
		}
	}
}

// place is where a value of the wanted list goes.
type place struct {
	element int  // of the list that is there: the one it is or is moved from; -1 for none
	stays   bool // at its position; without an element: it was removed meanwhile
}

// AppendList appends the body of the delta that turns the list from, as the writer saw it,
// into the list to: encoded values, nil where there is no list. body, which may be empty and
// stands under the table t, is what is there now: more than the writer saw, or less. What
// both lists have in the same order is left alone. A value that goes from one place to
// another stays the same element, and others keep their places beside it. Where nothing
// is to be written, dst comes back as it was.
func (d *Delta) AppendList(dst, body []byte, t Table, from, to [][]byte) ([]byte, error) {
	current, marked, err := readDots(t, body)
	if err != nil {
		return nil, err
	}
	if to == nil {
		return d.appendUnset(dst, body, current, marked, from)
	}
	sortList(current)
	places, removed := plan(current, from, to)
	add := placed(current, to, places, removed)
	var remove []Element
	for i := range current {
		if removed[i] {
			remove = append(remove, current[i])
		}
	}
	return d.appendChange(dst, body, add, remove, emptied(from, to) && len(remove) == len(current) && !marked)
}

// emptied reports whether a write turns from, which is something else, into a set or a
// list without elements.
func emptied(from, to [][]byte) bool { return len(to) == 0 && (from == nil || len(from) > 0) }

// appendUnset appends the body of a delta after which there is no set, unless from says
// that there was none.
func (d *Delta) appendUnset(dst, body []byte, current []Element, marked bool, from [][]byte) ([]byte, error) {
	if from == nil {
		return dst, nil
	}
	if marked {
		current = append(current, Element{})
	}
	return d.appendChange(dst, body, nil, current, false)
}

// appendChange appends the body of a delta unless it would change nothing. mark says to
// add the mark that the set exists.
func (d *Delta) appendChange(dst, body []byte, add, remove []Element, mark bool) ([]byte, error) {
	if mark {
		add = append(add, Element{})
	}
	if len(add) == 0 && len(remove) == 0 {
		return dst, nil
	}
	return d.AppendDots(dst, body, add, remove)
}

// plan says where each value of to goes, and which elements of current are removed from
// where they are: by index.
func plan(current []Element, from, to [][]byte) (places []place, removed []bool) {
	// The elements of current that the values of from stand for: the n-th of a value is its n-th.
	byValue := make(map[string][]int, len(current))
	for i := range current {
		v := string(current[i].Value)
		byValue[v] = append(byValue[v], i)
	}
	element := make([]int, len(from))
	for i, v := range from {
		element[i] = -1
		if all := byValue[string(v)]; len(all) > 0 {
			element[i], byValue[string(v)] = all[0], all[1:]
		}
	}

	match := matching(from, to)
	kept := make([]bool, len(from))
	for _, i := range match {
		if i >= 0 {
			kept[i] = true
		}
	}
	removed = make([]bool, len(current))
	places = make([]place, 0, len(to))
	movable := make(map[string][]int)
	for i, v := range from {
		if !kept[i] && element[i] >= 0 {
			removed[element[i]] = true
			movable[string(v)] = append(movable[string(v)], element[i])
		}
	}

	var last []byte // the position of the last element that stays
	pending := false
	for j, i := range match {
		p := place{element: -1}
		if i >= 0 {
			p = place{element: element[i], stays: true}
			if p.element < 0 {
				places = append(places, p) // was removed meanwhile
				continue
			}
			// Between two at one position, written concurrently, there is no room.
			if position := current[p.element].Position; pending && bytes.Equal(position, last) {
				p.stays = false
				removed[p.element] = true
			} else {
				last, pending = position, false
			}
		} else if all := movable[string(to[j])]; len(all) > 0 {
			p.element, movable[string(to[j])] = all[0], all[1:]
		}
		pending = pending || !p.stays
		places = append(places, p)
	}
	return places, removed
}

// placed returns the elements of to that do not stay, at fresh positions: after the element
// that stays before them in to, or else before the one that stays behind them, or else at
// the end.
func placed(current []Element, to [][]byte, places []place, removed []bool) (fresh []Element) {
	names := namesOf(current)
	prev, first := -1, 0 // first of fresh without a position yet
	settle := func(next int) {
		if first == len(fresh) {
			return
		}
		lo, hi := gap(current, removed, prev, next)
		for i, p := range between(lo, hi, len(fresh)-first) {
			fresh[first+i].Position = p
		}
		first = len(fresh)
	}
	for j, p := range places {
		switch {
		case p.stays && p.element < 0:
		case p.stays:
			settle(p.element)
			prev = p.element
		case p.element >= 0:
			fresh = append(fresh, Element{Value: current[p.element].Value, Occurrence: current[p.element].Occurrence})
		default:
			fresh = append(fresh, Element{Value: to[j], Occurrence: names.fresh(to[j])})
		}
	}
	settle(-1)
	return fresh
}

// gap returns the positions next to each other of elements that stay, behind prev or, if
// that is -1, before next, or at the end if both are.
func gap(current []Element, removed []bool, prev, next int) (lo, hi []byte) {
	if prev >= 0 {
		lo = current[prev].Position
		for i := prev + 1; i < len(current); i++ {
			if p := current[i].Position; !removed[i] && bytes.Compare(p, lo) > 0 {
				return lo, p
			}
		}
		return lo, nil
	}
	last := len(current) - 1
	if next >= 0 {
		hi, last = current[next].Position, next-1
	}
	for i := last; i >= 0; i-- {
		if p := current[i].Position; !removed[i] && (next < 0 || bytes.Compare(p, hi) < 0) {
			return p, hi
		}
	}
	return nil, hi
}

// occurrences names elements that are new to a list.
type occurrences struct {
	used map[occurrence]bool
	next map[string]uint64 // per value: all below are used
}

type occurrence struct {
	value  string
	number uint64
}

func namesOf(current []Element) occurrences {
	o := occurrences{used: make(map[occurrence]bool, len(current)), next: make(map[string]uint64)}
	for i := range current {
		o.used[occurrence{string(current[i].Value), current[i].Occurrence}] = true
	}
	return o
}

// fresh returns the lowest number that no element of the value has, each once.
func (o *occurrences) fresh(value []byte) uint64 {
	v := string(value)
	n := o.next[v]
	for o.used[occurrence{v, n}] {
		n++
	}
	o.next[v] = n + 1
	return n
}

// AppendSet appends the body of the delta that adds the values of to that are not in from
// to a set and removes those of from that are not in to: encoded values, nil where there
// is no set. The rest is that of AppendList.
func (d *Delta) AppendSet(dst, body []byte, t Table, from, to [][]byte) ([]byte, error) {
	current, marked, err := readDots(t, body)
	if err != nil {
		return nil, err
	}
	if to == nil {
		return d.appendUnset(dst, body, current, marked, from)
	}
	had, wanted := valueSet(from), valueSet(to)
	var add, remove []Element
	for _, v := range to {
		if !had[string(v)] {
			add = append(add, Element{Value: v})
		}
	}
	for _, e := range current {
		if had[string(e.Value)] && !wanted[string(e.Value)] {
			remove = append(remove, e)
		}
	}
	return d.appendChange(dst, body, add, remove, emptied(from, to) && len(remove) == len(current) && !marked)
}

func valueSet(values [][]byte) map[string]bool {
	set := make(map[string]bool, len(values))
	for _, v := range values {
		set[string(v)] = true
	}
	return set
}
