package crdt_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

// largeOf is a set of these elements that is kept open, and what a reader is shown of it.
func largeOf(t require.TestingT, elems ...any) (*lattice.Large, []byte) {
	at := fieldwise.Version{Time: 1, Origin: fieldwise.Origin{Region: "a", Incarnation: 1}}
	var intents []lattice.Intent
	for _, e := range elems {
		intents = append(intents, lattice.Intent{Op: lattice.OpAdd, Element: encodedAs(t, e)})
	}
	state, err := lattice.WriteState(nil, lattice.KindSet, nil, lattice.Edit{Intents: intents}, at)
	require.NoError(t, err)
	open, err := lattice.OpenState(lattice.KindSet, state, 1)
	require.NoError(t, err)
	shown, err := lattice.ReadState(nil, lattice.KindSet, state)
	require.NoError(t, err)
	return &open.Large()[0], shown[0].Value
}

// A set that reads from one that is kept open reads and is written as one that was read whole.
func TestPropertyALargeSetIsAsOneThatWasRead(t *testing.T) {
	randtest.Check(t, 1000, 10_000, func(t *rapid.T) {
		var from []any
		for _, e := range pool {
			if rapid.Bool().Draw(t, "is there") {
				from = append(from, e)
			}
		}
		if len(from) == 0 {
			from = pool[:1]
		}
		large, shown := largeOf(t, from...)
		bond := &lattice.Bond{}
		var whole, lazy crdt.ORSet[any]
		require.NoError(t, crdt.Hold(&whole, shown, bond))
		require.True(t, crdt.HoldLarge(&lazy, large, shown, bond))
		var copies [][2]crdt.ORSet[any]
		same := func(a, b crdt.ORSet[any]) {
			require.Equal(t, a.Len(), b.Len())
			require.Equal(t, a.Values(), b.Values())
			require.Equal(t, slices.Collect(a.All()), slices.Collect(b.All()))
			require.True(t, a.Equal(b) && b.Equal(a))
			require.Equal(t, a.String(), b.String())
			for _, e := range pool {
				require.Equal(t, a.Has(e), b.Has(e), "%v", e)
			}
			x, err := json.Marshal(a)
			y, errY := json.Marshal(b)
			require.Equal(t, err == nil, errY == nil) // what is not finite is no JSON
			require.Equal(t, string(x), string(y))
			x, err = a.MarshalMsgpack()
			require.NoError(t, err)
			y, err = b.MarshalMsgpack()
			require.NoError(t, err)
			require.Equal(t, x, y)
			heldA, err := crdt.HeldBy(&a)
			require.NoError(t, err)
			heldB, err := crdt.HeldBy(&b)
			require.NoError(t, err)
			require.Equal(t, heldA.Intents, heldB.Intents)
			require.Same(t, bond, heldB.Bond)
			require.NotNil(t, heldB.Value)
			if slices.ContainsFunc(heldB.Intents, func(in lattice.Intent) bool { return in.Op == lattice.OpClear }) {
				require.Equal(t, heldA.Value, heldB.Value)
			} else {
				require.Equal(t, shown, heldB.Value, "what stands for it")
			}
		}
		for range rapid.IntRange(0, 12).Draw(t, "steps") {
			some := rapid.SliceOfN(rapid.SampledFrom(pool), 0, 3).Draw(t, "elements")
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0, 1:
				whole.Add(some...)
				lazy.Add(some...)
			case 2, 3:
				whole.Remove(some...)
				lazy.Remove(some...)
			case 4:
				copies = append(copies, [2]crdt.ORSet[any]{whole, lazy})
			case 5:
				if len(copies) > 0 {
					c := &copies[len(copies)-1]
					c[0].Add(some...)
					c[1].Add(some...)
				}
			case 6:
				if rapid.IntRange(0, 3).Draw(t, "clear") == 0 {
					whole.Clear()
					lazy.Clear()
				}
			}
			same(whole, lazy)
		}
		for _, c := range copies {
			same(c[0], c[1])
		}
	})
}

// A large set leaves out what its Go type cannot hold, and keeps it.
func TestALargeSetLeavesOutWhatItsTypeCannotHold(t *testing.T) {
	large, shown := largeOf(t, "a", int64(7), "b", int64(300))
	var s crdt.ORSet[string]
	require.True(t, crdt.HoldLarge(&s, large, shown, nil))
	require.Equal(t, []string{"a", "b"}, s.Values())
	var g crdt.GSet[int8]
	require.True(t, crdt.HoldLarge(&g, large, shown, nil))
	require.Equal(t, []int8{7}, g.Values())
	require.True(t, g.Has(7))
	held, err := crdt.HeldBy(&g)
	require.NoError(t, err)
	require.Equal(t, shown, held.Value)
	require.False(t, crdt.HoldLarge(&crdt.PNCounter{}, large, shown, nil), "no set")
}
