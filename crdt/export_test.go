package crdt

import "github.com/fieldwise/fieldwise/internal/lattice"

// Balanced reports whether the tree of a set is one: sorted, with the right sizes, and no
// side much heavier than the other.
func (s ORSet[T]) Balanced() bool {
	var last []byte
	sorted := s.elems.each(func(e entry[T]) bool {
		ok := last == nil || lattice.Compare(last, e.key) < 0
		last = e.key
		return ok
	})
	return sorted && balancedTree(s.elems)
}

func balancedTree[T any](t *tree[T]) bool {
	if t == nil {
		return true
	}
	l, r := t.left.weight(), t.right.weight()
	return t.size == l+r-1 && l <= heavy*r && r <= heavy*l && balancedTree(t.left) && balancedTree(t.right)
}

// CheckGrowth refuses writes that bring a set or a list over the limit.
var CheckGrowth = checkGrowth
