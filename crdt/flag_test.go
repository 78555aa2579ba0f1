package crdt_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

// Random things are done to several flags, copies of each other too; all are looked at after
// each.
func TestPropertyFlagIsABool(t *testing.T) {
	type model struct {
		on, from, there bool
		bond            *lattice.Bond
		done            bool
	}
	randtest.Check(t, 1000, 10000, func(t *rapid.T) {
		var flags [3]crdt.EWFlag
		var models [3]model
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			i := rapid.IntRange(0, 2).Draw(t, "slot")
			f, m, on := &flags[i], &models[i], rapid.Bool().Draw(t, "on")
			switch rapid.IntRange(0, 5).Draw(t, "do") {
			case 0:
				f.Enable()
				m.on, m.done = true, true
			case 1:
				f.Disable()
				m.on, m.done = false, true
			case 2:
				*m = model{on: on, from: on, there: true, bond: &lattice.Bond{}}
				hold(t, f, encodedBool(on), m.bond)
			case 3:
				*m = model{on: on, done: true}
				require.NoError(t, f.UnmarshalMsgpack(encodedBool(on)))
			case 4:
				*m = model{bond: &lattice.Bond{}}
				hold(t, f, nil, m.bond)
			case 5:
				j := rapid.IntRange(0, 2).Draw(t, "onto")
				flags[j], models[j] = *f, *m
			}
			for i, m := range models {
				require.Equal(t, m.on, flags[i].On())
				require.Equal(t, m.on, flags[i].Equal(crdt.NewEWFlag(true)))
				require.Equal(t, fmt.Sprint(m.on), fmt.Sprint(flags[i]))
				h := held(t, &flags[i])
				require.Same(t, m.bond, h.Bond)
				require.Equal(t, m.done, len(h.Intents) > 0)
				if !m.there && !m.done {
					require.Nil(t, h.Value)
					continue
				}
				require.Equal(t, encodedBool(m.on), h.Value)
				again := m.from
				for _, in := range h.Intents {
					again = in.Op == lattice.OpAdd
					if again {
						require.Equal(t, add(0xc3), in)
					} else {
						require.Equal(t, cleared, in)
					}
				}
				require.Equal(t, m.on, again)
			}
		}
	})
}

func encodedBool(on bool) []byte {
	if on {
		return []byte{0xc3}
	}
	return []byte{0xc2}
}

func TestEnablingAgainIsAnIntent(t *testing.T) {
	var f crdt.EWFlag
	hold(t, &f, []byte{0xc3}, &lattice.Bond{})
	f.Enable()
	require.Equal(t, []lattice.Intent{add(0xc3)}, held(t, &f).Intents)
}
