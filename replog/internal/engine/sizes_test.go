package engine

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
)

func TestSizesGoUpAndDown(t *testing.T) {
	all := newMembers(t, 3)
	a, b, c := all[0], all[1], all[2]
	asked := Sizes{Waiting: map[fieldwise.Region]int{"a": 0, "c": 0}, Asked: 2, Peers: 2}
	require.Equal(t, asked, b.e.Sizes())
	a.write("tokens", "k", "1")
	c.sync(a)
	c.write("tokens", "k", "2")

	_, err := b.e.Deliver(b.now, "c", c.answer(b.asks(c)))
	require.NoError(t, err)
	waits := asked
	waits.Waiting = map[fieldwise.Region]int{"a": 0, "c": 2}
	require.Equal(t, waits, b.e.Sizes(), "what c knew of a is marked")

	_, err = b.e.Deliver(b.now, "a", a.answer(b.asks(a)))
	require.NoError(t, err)
	waits.Staged, waits.Chains, waits.Staging = 1, 1, 1
	require.Equal(t, waits, b.e.Sizes())
}
