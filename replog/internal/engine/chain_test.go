package engine

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
)

// twins are two hosts that sign as one and wrote different things under one number, a peer of
// the first, and a peer of the second.
func twins(t *testing.T) (a, twin, b, c *host) {
	a, b, c = newHost(t, "a").openAll(), newHost(t, "b").openAll(), newHost(t, "c").openAll()
	a.write("tokens", "k", "1")
	twin = reopenedWithAll(a)
	a.write("tokens", "k", "2")
	twin.write("tokens", "k", "3")
	b.sync(a)
	c.sync(twin)
	return a, twin, b, c
}

// chainOf is the chain of an origin at a number, which has to be known.
func chainOf(h *host, o fieldwise.Origin, seq fieldwise.Seq) uint64 {
	chain, known := h.e.chain(o, seq)
	require.True(h.t, known, "%v at %d", o, seq)
	return chain
}

func TestTheChainIsTheSameForAllWhoHoldTheSameEntries(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b").openAll()
	a.write("tokens", "k", "1")
	a.stage("notes", "k", "2")
	a.stage("tokens", "k", "3")
	require.NotZero(t, chainOf(a, originOf("a"), 3), "staged")
	want := []uint64{0, chainOf(a, originOf("a"), 1), chainOf(a, originOf("a"), 2), chainOf(a, originOf("a"), 3)}
	a.commit()
	b.sync(a)
	r := reopenedWithAll(b)
	for seq := range want {
		for _, h := range []*host{a, b, r} {
			require.Equal(t, want[seq], chainOf(h, originOf("a"), fieldwise.Seq(seq)))
		}
	}
	a.stage("tokens", "k", "4")
	a.e.TakeBatch()
	a.e.Failed()
	a.stage("tokens", "k", "5")
	a.commit()
	require.Equal(t, chainOf(reopenedWithAll(a), originOf("a"), 4), chainOf(a, originOf("a"), 4), "what failed has left nothing")
}

func TestForkedEntriesOfAnotherOriginAreRefused(t *testing.T) {
	_, _, b, c := twins(t)
	c.write("tokens", "z", "c1") // and goes on with what it has
	_, _, _, err := b.e.Serve(c.asks(b))
	require.ErrorIs(t, err, ErrForked)
	require.ErrorContains(t, err, "a#7, at or before 2, here and in c")
	require.NoError(t, b.e.Err(), "b is well")
	b.write("tokens", "k", "b1")

	// Where one has more than the other, who has more finds it.
	c2 := newHost(t, "c").openAll()
	_, _, _, err = c2.e.Serve(b.asks(c2))
	require.NoError(t, err)
	_, _, _, err = b.e.Serve(c2.asks(b))
	require.NoError(t, err, "nothing is no fork")
}

func TestAForkOfTheOriginThatSignsHereEndsItsWriting(t *testing.T) {
	for what, find := range map[string]func(a, twin, b, c *host) error{
		"a peer asks": func(a, _, _, c *host) error {
			_, _, _, err := a.e.Serve(c.asks(a))
			return err
		},
		"a peer answers": func(a, _, _, c *host) error {
			p := a.asks(c)
			p.Relay = []fieldwise.Origin{originOf("a")}
			p.Vector[originOf("a")] = 1 // made before the write
			p.Chains[originOf("a")] = chainOf(a, originOf("a"), 1)
			_, err := a.e.Deliver(a.now, "c", c.answer(p))
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			a, twin, b, c := twins(t)
			basis, err := a.e.Begin(a.now, "tokens", "k")
			require.NoError(t, err)
			err = find(a, twin, b, c)
			require.ErrorIs(t, err, ErrForked)
			require.ErrorContains(t, err, "a#7, at or before 2")
			require.Equal(t, err, a.e.Err())
			_, err = a.e.Begin(a.now, "tokens", "k")
			require.ErrorIs(t, err, ErrForked)
			_, _, err = a.e.Stage(basis, "tokens", "k", []byte("x;"), "")
			require.ErrorIs(t, err, ErrForked)
			_, err = a.e.Deliver(a.now, "b", nil)
			require.ErrorIs(t, err, ErrForked)
			_, _, _, err = a.e.Serve(b.asks(a))
			require.ErrorIs(t, err, ErrForked)
			require.Nil(t, a.e.TakeBatch())
			require.Equal(t, "1;2;", a.read("tokens", "k"), "it can be read")
		})
	}
}

// An answer can arrive when other entries have come in the meantime, staged ones too.
func TestWhatArrivesBehindAForkIsRefused(t *testing.T) {
	a, twin, _, _ := twins(t)
	a.write("tokens", "k", "4")
	d := newHost(t, "d").openAll()
	p := d.asks(a)
	d.pull(twin)
	for _, staged := range []bool{true, false} {
		_, err := d.e.Deliver(d.now, "a", a.answer(p))
		require.ErrorIs(t, err, ErrForked, "a#7/3 of a would stand behind 2 of its twin")
		require.NoError(t, d.e.Err())
		if staged {
			d.commit()
		}
	}
	require.Nil(t, d.e.TakeBatch())
	requireVector(t, d.e, "a#7:2")
}

// What a peer wrote on top of other entries than those that are here may mean something else
// here, or nothing: it is not taken, also where the peer has fewer of them, and by nobody
// before it asked itself.
func TestWhatRestsOnForkedEntriesIsNotTaken(t *testing.T) {
	a, _, _, c := twins(t)
	a.write("tokens", "k", "4") // beyond where the two differ, which c cannot see
	c.write("tokens", "z", "c1")
	p := a.asks(c)
	parts := c.answer(p)
	require.Len(t, parts, 2)
	require.Equal(t, Part{Origin: originOf("a"), To: 2, Chain: chainOf(c, originOf("a"), 2)}, parts[0])
	_, err := a.e.Deliver(a.now, "c", parts)
	require.ErrorIs(t, err, ErrForked)
	require.ErrorContains(t, err, "a#7, at or before 2, here and in c")
	require.ErrorIs(t, a.e.Err(), ErrForked, "it is a's own origin")
	require.Nil(t, a.e.TakeBatch(), "nothing of it is taken")

	d := newHost(t, "d").openAll()
	d.sync(reopenedWithAll(a))
	_, err = d.e.Deliver(d.now, "c", c.answer(d.asks(c)))
	require.ErrorIs(t, err, ErrForked)
	require.NoError(t, d.e.Err())
	require.Nil(t, d.e.TakeBatch())
}
