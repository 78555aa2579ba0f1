package lattice

import (
	"encoding/binary"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise/internal/randtest"
)

// numbered is a row with a number as its key and another one behind it.
func numbered(key, value int) row {
	b := binary.BigEndian.AppendUint64(nil, uint64(key)+1<<32)
	return row{bytes: append(b, byte(value)), key: 8}
}

// requireBTree requires that all leaves are at one depth, nodes filled as they should be, and
// items in order, and returns the items.
func requireBTree(t require.TestingT, tr *tree) (all []row) {
	var depths []int
	var walk func(n *node, depth int)
	walk = func(n *node, depth int) {
		if n != tr.root {
			require.GreaterOrEqual(t, len(n.items), minItems)
		}
		require.LessOrEqual(t, len(n.items), maxItems)
		if len(n.kids) == 0 {
			depths = append(depths, depth)
			return
		}
		require.Len(t, n.kids, len(n.items)+1)
		for _, kid := range n.kids {
			walk(kid, depth+1)
		}
	}
	if tr.root != nil {
		require.NotEmpty(t, tr.root.items)
		walk(tr.root, 0)
		require.Equal(t, slices.Min(depths), slices.Max(depths))
	}
	tr.all(func(n row) bool { all = append(all, n); return true })
	require.Len(t, all, tr.len())
	require.True(t, slices.IsSortedFunc(all, compareRows))
	return all
}

func TestATreeAndItsClonesAreMapsOfTheirOwn(t *testing.T) {
	randtest.Check(t, 100, 1000, func(t *rapid.T) {
		type pair struct {
			tree  tree
			model map[int]int
		}
		size := rapid.SampledFrom([]int{0, 1, 30, 31, 32, 63, 64, 1023, 1024, 5000}).Draw(t, "size")
		var items []row
		model := make(map[int]int)
		for i := range size {
			items = append(items, numbered(2*i, 0))
			model[2*i] = 0
		}
		all := []*pair{{grown(items), model}}
		rounds := rapid.IntRange(1, 6).Draw(t, "rounds")
		for round := range rounds {
			p := all[rapid.IntRange(0, len(all)-1).Draw(t, "which")]
			if rapid.Bool().Draw(t, "clone") {
				all = append(all, &pair{p.tree.clone(), maps.Clone(p.model)})
			}
			first := rapid.IntRange(-5, 2*size+5).Draw(t, "first")
			step := rapid.SampledFrom([]int{-3, -1, 1, 2, 7}).Draw(t, "step")
			n := rapid.IntRange(0, 700).Draw(t, "n")
			add := rapid.Bool().Draw(t, "add")
			for i := range n {
				key := first + i*step
				if add {
					p.tree.put(numbered(key, round))
					p.model[key] = round
				} else {
					p.tree.remove(numbered(key, 0).bytes[:8])
					delete(p.model, key)
				}
			}
		}
		for _, p := range all {
			items := requireBTree(t, &p.tree)
			require.Len(t, items, len(p.model))
			for _, it := range items {
				key := int(binary.BigEndian.Uint64(it.bytes) - 1<<32)
				value, ok := p.model[key]
				require.True(t, ok)
				require.Equal(t, numbered(key, value), it)
				found, ok := p.tree.find(it.keyBytes())
				require.True(t, ok)
				require.Equal(t, it, found)
			}
			last, ok := p.tree.last()
			require.Equal(t, len(items) > 0, ok)
			if ok {
				require.Equal(t, items[len(items)-1], last)
			}
			first := rapid.IntRange(-5, 2*size+5).Draw(t, "from")
			var tail []row
			p.tree.from(numbered(first, 0).bytes[:8], func(n row) bool { tail = append(tail, n); return len(tail) < 100 })
			i, _ := slices.BinarySearchFunc(items, numbered(first, 0), compareRows)
			require.Len(t, tail, min(100, len(items)-i))
			for j, it := range tail {
				require.Equal(t, items[i+j], it)
			}
			_, ok = p.tree.find([]byte{0xff})
			require.False(t, ok)
		}
	})
}
