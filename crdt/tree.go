package crdt

import (
	"slices"

	"github.com/fieldwise/fieldwise/internal/lattice"
)

// entry is an element of a set with its encoded form, by which elements are ordered and
// told apart.
type entry[T any] struct {
	elem T
	key  []byte
}

// A tree holds the elements of a set, sorted by their keys; nil is the empty one. Nodes
// never change, so that copies of a set share them: what adds or removes an element makes
// new nodes on the way to it. Of two trees side by side, neither is heavier than heavy
// times the other.
type tree[T any] struct {
	entry[T]
	size        int // of the tree
	left, right *tree[T]
}

// heavy and single are the weights of Adams' trees for which rotations keep the balance
// (Hirai and Yamamoto, "Balancing weight-balanced trees", 2011).
const heavy, single = 3, 2

func (t *tree[T]) len() int {
	if t == nil {
		return 0
	}
	return t.size
}

// grow makes a balanced tree of entries that are sorted and unique.
func grow[T any](entries []entry[T]) *tree[T] {
	nodes := make([]tree[T], len(entries))
	var grown func(lo, hi int) *tree[T]
	grown = func(lo, hi int) *tree[T] {
		if lo == hi {
			return nil
		}
		mid := (lo + hi) / 2
		nodes[mid] = tree[T]{entries[mid], hi - lo, grown(lo, mid), grown(mid+1, hi)}
		return &nodes[mid]
	}
	return grown(0, len(entries))
}

// sorted sorts entries by their keys and drops all but the first of equal ones.
func sorted[T any](entries []entry[T]) []entry[T] {
	slices.SortStableFunc(entries, func(a, b entry[T]) int { return lattice.Compare(a.key, b.key) })
	return slices.CompactFunc(entries, func(a, b entry[T]) bool { return lattice.Compare(a.key, b.key) == 0 })
}

func (t *tree[T]) has(key []byte) bool {
	for t != nil {
		switch c := lattice.Compare(key, t.key); {
		case c < 0:
			t = t.left
		case c > 0:
			t = t.right
		default:
			return true
		}
	}
	return false
}

// with returns t with e in it. What t holds already stays as it is.
func (t *tree[T]) with(e entry[T]) *tree[T] {
	if t == nil {
		return branch(e, nil, nil)
	}
	switch c := lattice.Compare(e.key, t.key); {
	case c < 0:
		return t.having(t.left.with(e), t.right)
	case c > 0:
		return t.having(t.left, t.right.with(e))
	}
	return t
}

// without returns t without the element of that key.
func (t *tree[T]) without(key []byte) *tree[T] {
	if t == nil {
		return nil
	}
	switch c := lattice.Compare(key, t.key); {
	case c < 0:
		return t.having(t.left.without(key), t.right)
	case c > 0:
		return t.having(t.left, t.right.without(key))
	case t.left == nil:
		return t.right
	case t.right == nil:
		return t.left
	}
	next := t.right
	for next.left != nil {
		next = next.left
	}
	return balanced(next.entry, t.left, t.right.without(next.key))
}

// having returns t with other trees below it, of which one has changed by an element.
func (t *tree[T]) having(left, right *tree[T]) *tree[T] {
	if left == t.left && right == t.right {
		return t
	}
	return balanced(t.entry, left, right)
}

func branch[T any](e entry[T], left, right *tree[T]) *tree[T] {
	return &tree[T]{e, left.len() + right.len() + 1, left, right}
}

// weight is one above the size, so that an empty tree can be compared too.
func (t *tree[T]) weight() int { return t.len() + 1 }

// balanced is branch where one side may have become too heavy by one element.
func balanced[T any](e entry[T], left, right *tree[T]) *tree[T] {
	switch {
	case right.weight() > heavy*left.weight():
		if r := right; r.left.weight() < single*r.right.weight() {
			return branch(r.entry, branch(e, left, r.left), r.right)
		}
		m := right.left
		return branch(m.entry, branch(e, left, m.left), branch(right.entry, m.right, right.right))
	case left.weight() > heavy*right.weight():
		if l := left; l.right.weight() < single*l.left.weight() {
			return branch(l.entry, l.left, branch(e, l.right, right))
		}
		m := left.right
		return branch(m.entry, branch(left.entry, left.left, m.left), branch(e, m.right, right))
	}
	return branch(e, left, right)
}

// each yields the entries in their order, until yield returns false.
func (t *tree[T]) each(yield func(entry[T]) bool) bool {
	return t == nil || t.left.each(yield) && yield(t.entry) && t.right.each(yield)
}
