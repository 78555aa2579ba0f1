package engine

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
)

// often is a region that began afresh again and again, with one write under each incarnation,
// and its present host.
func often(t *testing.T, incarnations int) *host {
	var h *host
	for i := range incarnations {
		next := newHostWith(t, Config{Origin: fieldwise.Origin{Region: "a", Incarnation: uint64(i + 1)}})
		if h != nil {
			next.frames = h.frames
		}
		h = reopenedWithAll(next)
		h.write("tokens", "k", string(rune('A'+i)))
	}
	return h
}

func TestARequestDoesNotGrowWithEndedIncarnations(t *testing.T) {
	a, b := often(t, 20), newHost(t, "b").openAll()
	b.sync(a)
	require.Len(t, b.e.Vector(), 20)
	require.Len(t, b.asks(a).Vector, 20, "a has not said yet what it holds")

	a.sync(b) // by which it says so
	p := b.asks(a)
	require.Equal(t, fieldwise.Vector{{Region: "a", Incarnation: 20}: 1}, p.Vector)
	require.Len(t, p.Chains, 1)
	require.Equal(t, uint64(20), p.Floors["a"].Below)

	// It acknowledges as much as without, and goes on as without.
	_, ok, advanced, err := a.e.Serve(p)
	require.NoError(t, err)
	require.False(t, ok)
	require.True(t, advanced)
	require.Equal(t, b.e.Vector(), a.e.Acked("b"))
	require.Len(t, a.asks(b).Floors, 1, "b said what it holds")
	a.write("tokens", "k", "more")
	b.write("tokens", "k", "other")
	p = b.asks(a)
	require.NotEmpty(t, p.Floors)
	require.Len(t, a.answer(p), 1)
	b.sync(a)
	a.sync(b)
	require.Equal(t, a.e.Vector(), b.e.Vector())
	require.Equal(t, a.read("tokens", "k"), b.read("tokens", "k"))
}

func TestWhatIsNotAlikeIsNotBelowAFloor(t *testing.T) {
	a, b := often(t, 3), newHost(t, "b").openAll()
	b.sync(a)
	a.sync(b)
	require.NotEmpty(t, b.asks(a).Floors)

	for name, differ := range map[string]func(b *host){
		"the peer has less of one": func(b *host) { b.e.peer("a").acked[fieldwise.Origin{Region: "a", Incarnation: 2}] = 0 },
		"the peer has more of one": func(b *host) { b.e.peer("a").acked[fieldwise.Origin{Region: "a", Incarnation: 1}] = 2 },
		"the peer never asked":     func(b *host) { b.e.peer("a").acked = nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := reopenedWithAll(b)
			c.e.peer("a").acked = a.e.Vector()
			require.NotEmpty(t, c.asks(a).Floors)
			differ(c)
			p := c.asks(a)
			require.Empty(t, p.Floors)
			require.Equal(t, c.e.Vector(), p.Vector)
		})
	}
}

// What a peer acknowledged it may have lost, or more may have come back to it since.
func TestAFloorThatIsNotHeldByThePeerIsRefused(t *testing.T) {
	a := often(t, 3)
	b, c := newHost(t, "b").openAll(), newHost(t, "c").openAll()
	b.sync(a)
	c.sync(a)
	b.sync(c)
	c.sync(b)
	require.NotEmpty(t, c.asks(b).Floors)

	ended := newHostWith(t, Config{Origin: fieldwise.Origin{Region: "a", Incarnation: 2}})
	ended.frames = a.frames[:2]
	ended = reopenedWithAll(ended)
	ended.write("tokens", "k", "found")

	less, more, other := newHost(t, "b").openAll(), reopenedWithAll(b), newHost(t, "b").openAll()
	more.sync(ended)
	ofAnother := newHostWith(t, Config{Origin: fieldwise.Origin{Region: "a", Incarnation: 1}}).openAll()
	ofAnother.write("tokens", "k", "another first")
	other.sync(ofAnother)
	for name, peer := range map[string]*host{"less": less, "more": more, "other": other} {
		before := c.e.NextPull(c.now, "b")
		require.NotEmpty(t, before.Floors)
		_, _, _, err := peer.e.Serve(before)
		require.ErrorIs(t, err, ErrFloor, name)
		require.Nil(t, peer.e.Acked("c"), "it acknowledges nothing")
	}

	c.e.Unfold("b")
	p := c.e.NextPull(c.now, "b")
	require.Empty(t, p.Floors)
	_, _, _, err := other.e.Serve(p)
	require.ErrorIs(t, err, ErrForked)
	c.sync(more) // with entries of an incarnation that had ended
	require.Equal(t, more.e.Vector(), c.e.Vector())
	require.Contains(t, c.read("tokens", "k"), "found")

	more.pull(c) // and says what it holds
	require.NotEmpty(t, c.e.NextPull(c.now, "b").Floors, "as more asked")
}
