package lattice

import (
	"bytes"
	"slices"
)

// tree is a B-tree of unique rows in order. Its copies share nodes, which know the tree that
// may change them: what a tree changes and does not own is copied first, so that a copy costs
// nothing until one side is written to, and then what the change touches. The zero value is
// empty. Changing a tree, and copying it with clone, must not happen at once; reading it may
// go on while copies of it are changed.
//
// Source: Rodeh, "B-trees, shadowing, and clones" (2008).
type tree struct {
	root *node
	own  *owner
	n    int
}

// row is what a tree holds: bytes that are told apart and ordered by the first of them.
type row struct {
	bytes []byte
	key   int // how many of them
}

// keyRow is a row that is all key.
func keyRow(key []byte) row { return row{bytes: key, key: len(key)} }

func (r *row) keyBytes() []byte { return r.bytes[:r.key:r.key] }

func compareRows(a, b row) int { return bytes.Compare(a.bytes[:a.key], b.bytes[:b.key]) }

// owner tells trees apart by its address, so it must not be of size zero.
type owner struct{ _ byte }

type node struct {
	own   *owner
	items []row
	kids  []*node // none in a leaf, else one more than items
}

// All nodes but the root have at least minItems.
const (
	maxItems = 31
	minItems = maxItems / 2
)

// grown is a tree of rows that are sorted and unique.
func grown(items []row) tree {
	t := tree{own: &owner{}, n: len(items)}
	if len(items) > 0 {
		room := maxItems // of a tree of that height
		height := 0
		for ; room < len(items); height++ {
			room = (room+1)*(maxItems+1) - 1
		}
		t.root = t.build(items, height, room)
	}
	return t
}

// build makes the node above all leaves that rows fill, a tree with room for so many: as few
// below each node as it takes, of equal sizes.
func (t *tree) build(items []row, height, room int) *node {
	n := &node{own: t.own}
	if height == 0 {
		n.items = append(make([]row, 0, maxItems), items...)
		return n
	}
	room = (room+1)/(maxItems+1) - 1
	kids := max(2, (len(items)+1+room)/(room+1))
	for i := range kids {
		size := (len(items)+1)/(kids-i) - 1
		n.kids = append(n.kids, t.build(items[:size], height-1, room))
		if items = items[size:]; len(items) > 0 {
			n.items, items = append(n.items, items[0]), items[1:]
		}
	}
	return n
}

// clone returns a copy. Both may be changed afterwards.
func (t *tree) clone() tree {
	t.own = nil // neither owns what both have
	return *t
}

func (t *tree) len() int { return t.n }

// find returns the row of that key.
func (t *tree) find(key []byte) (found row, ok bool) {
	for n := t.root; n != nil; {
		i, equal := n.search(key)
		if equal {
			return n.items[i], true
		}
		if len(n.kids) == 0 {
			break
		}
		n = n.kids[i]
	}
	return found, false
}

// search returns the first row of a node whose key is not below that key, and whether it is
// the one.
func (n *node) search(key []byte) (int, bool) {
	lo, hi := 0, len(n.items)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		switch m := &n.items[mid]; bytes.Compare(m.bytes[:m.key], key) {
		case -1:
			lo = mid + 1
		case 1:
			hi = mid
		default:
			return mid, true
		}
	}
	return lo, false
}

// from yields the rows from the first whose key is not below that key, in order, until yield
// returns false.
func (t *tree) from(key []byte, yield func(row) bool) { t.root.from(key, yield) }

// all yields all rows in order until yield returns false.
func (t *tree) all(yield func(row) bool) { t.root.from(nil, yield) }

func (n *node) from(key []byte, yield func(row) bool) bool {
	if n == nil {
		return true
	}
	i := 0
	if len(key) > 0 {
		i, _ = n.search(key)
	}
	for ; ; i++ {
		if len(n.kids) > 0 && !n.kids[i].from(key, yield) {
			return false
		}
		if i == len(n.items) {
			return true
		}
		key = nil // all that follows is above
		if !yield(n.items[i]) {
			return false
		}
	}
}

// last returns the row with the greatest key.
func (t *tree) last() (it row, ok bool) {
	n := t.root
	if n == nil {
		return it, false
	}
	for len(n.kids) > 0 {
		n = n.kids[len(n.kids)-1]
	}
	return n.items[len(n.items)-1], true
}

// put adds a row or replaces that of the same key.
func (t *tree) put(it row) {
	t.begin()
	if len(t.root.items) == maxItems {
		t.root = &node{own: t.own, kids: []*node{t.root}}
		t.split(t.root, 0)
	}
	n := t.root
	for {
		i, equal := n.search(it.bytes[:it.key])
		if equal {
			n.items[i] = it
			return
		}
		if len(n.kids) == 0 {
			n.items = slices.Insert(n.items, i, it)
			t.n++
			return
		}
		kid := t.owned(n.kids[i])
		n.kids[i] = kid
		if len(kid.items) == maxItems {
			t.split(n, i)
			continue // the row that went up may be the one, or below it
		}
		n = kid
	}
}

// begin gives the tree a root that it may change.
func (t *tree) begin() {
	if t.own == nil {
		t.own = &owner{}
	}
	if t.root == nil {
		t.root = &node{own: t.own}
	}
	t.root = t.owned(t.root)
}

// owned returns a node that the tree may change in the place of n.
func (t *tree) owned(n *node) *node {
	if n.own == t.own {
		return n
	}
	own := &node{own: t.own, items: append(make([]row, 0, maxItems), n.items...)}
	if len(n.kids) > 0 {
		own.kids = append(make([]*node, 0, maxItems+1), n.kids...)
	}
	return own
}

// split makes two of a full child of n, which the tree owns, too.
func (t *tree) split(n *node, i int) {
	left := n.kids[i]
	right := &node{own: t.own, items: append(make([]row, 0, maxItems), left.items[minItems+1:]...)}
	if len(left.kids) > 0 {
		right.kids = append(make([]*node, 0, maxItems+1), left.kids[minItems+1:]...)
		clear(left.kids[minItems+1:])
		left.kids = left.kids[:minItems+1]
	}
	n.items = slices.Insert(n.items, i, left.items[minItems])
	n.kids = slices.Insert(n.kids, i+1, right)
	clear(left.items[minItems:])
	left.items = left.items[:minItems]
}

// remove takes away the row of that key, if there is one.
func (t *tree) remove(key []byte) {
	t.begin()
	if t.removeBelow(t.root, key) {
		t.n--
	}
	if len(t.root.items) == 0 {
		if len(t.root.kids) == 0 {
			t.root = nil
		} else {
			t.root = t.root.kids[0]
		}
	}
}

// removeBelow removes a row from n or what is below it. The tree owns n, which is the root or
// has a row to spare.
func (t *tree) removeBelow(n *node, key []byte) bool {
	for {
		i, equal := n.search(key)
		switch {
		case len(n.kids) == 0:
			if equal {
				n.items = slices.Delete(n.items, i, i+1)
			}
			return equal
		case t.refill(n, i):
			continue // rows went up and down
		}
		kid := t.owned(n.kids[i])
		n.kids[i] = kid
		if equal {
			leaf := kid
			for len(leaf.kids) > 0 {
				leaf = leaf.kids[len(leaf.kids)-1]
			}
			n.items[i] = leaf.items[len(leaf.items)-1]
			key = n.items[i].keyBytes()
		}
		n = kid
	}
}

// refill gives the child of n a row to spare, if it has none, and reports whether it did: one
// of a child beside it, or all of that.
func (t *tree) refill(n *node, i int) bool {
	if len(n.kids[i].items) > minItems {
		return false
	}
	switch {
	case i > 0 && len(n.kids[i-1].items) > minItems:
		left, kid := t.owned(n.kids[i-1]), t.owned(n.kids[i])
		n.kids[i-1], n.kids[i] = left, kid
		end := len(left.items) - 1
		kid.items = slices.Insert(kid.items, 0, n.items[i-1])
		n.items[i-1] = left.items[end]
		left.items = slices.Delete(left.items, end, end+1)
		if len(left.kids) > 0 {
			kid.kids = slices.Insert(kid.kids, 0, left.kids[end+1])
			left.kids = slices.Delete(left.kids, end+1, end+2)
		}
	case i < len(n.items) && len(n.kids[i+1].items) > minItems:
		kid, right := t.owned(n.kids[i]), t.owned(n.kids[i+1])
		n.kids[i], n.kids[i+1] = kid, right
		kid.items = append(kid.items, n.items[i])
		n.items[i] = right.items[0]
		right.items = slices.Delete(right.items, 0, 1)
		if len(right.kids) > 0 {
			kid.kids = append(kid.kids, right.kids[0])
			right.kids = slices.Delete(right.kids, 0, 1)
		}
	default:
		i = min(i, len(n.items)-1)
		left, right := t.owned(n.kids[i]), n.kids[i+1]
		n.kids[i] = left
		left.items = append(append(left.items, n.items[i]), right.items...)
		left.kids = append(left.kids, right.kids...)
		n.items = slices.Delete(n.items, i, i+1)
		n.kids = slices.Delete(n.kids, i+1, i+2)
	}
	return true
}
