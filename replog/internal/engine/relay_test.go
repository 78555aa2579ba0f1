package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
)

// mesh is hosts of which each is linked to each, but for links that are dead.
type mesh struct {
	t     *testing.T
	hosts []*host
	dead  map[[2]int]bool
}

func newMesh(t *testing.T, n int) *mesh {
	m := &mesh{t: t, dead: make(map[[2]int]bool)}
	for i := range n {
		m.hosts = append(m.hosts, newHost(t, fieldwise.Region('a'+rune(i))).openAll())
	}
	for _, h := range m.hosts {
		for _, p := range m.hosts {
			if p != h {
				h.e.Link(p.cfg.Origin.Region)
			}
		}
	}
	return m
}

// step lets host i take what it can from host j: what waits, and what it asks for if it is
// ready. It reports whether it got anywhere.
func (m *mesh) step(i, j int) bool {
	h, p := m.hosts[i], m.hosts[j]
	region := p.cfg.Origin.Region
	came, before := false, len(h.frames)
	_, err := h.e.Resume(h.now, region)
	require.NoError(m.t, err)
	h.commitAll()
	if ok, _ := h.e.Ready(h.now, region); ok && !m.dead[[2]int{i, j}] && !m.dead[[2]int{j, i}] {
		parts := p.answer(h.asks(p))
		_, err := h.e.Deliver(h.now, region, parts)
		require.NoError(m.t, err)
		h.commitAll()
		came = len(parts) > 0
	}
	return came || len(h.frames) > before
}

// settle lets all take all they can, while no time passes.
func (m *mesh) settle() {
	for came := true; came; {
		came = false
		for i := range m.hosts {
			for j := range m.hosts {
				if i != j && m.step(i, j) {
					came = true
				}
			}
		}
	}
}

func (m *mesh) later(d time.Duration) {
	for _, h := range m.hosts {
		h.now = h.now.Add(d)
	}
}

// received sums what came to a host.
func (h *host) received() (sum Traffic) {
	for _, p := range h.e.Stats(h.now).Peers {
		sum.add(p.Received)
	}
	return sum
}

func (h *host) receivedFrom(peer *host) Traffic { return h.e.peer(peer.cfg.Origin.Region).received }

// commitAll takes all that is staged to the log.
func (h *host) commitAll() {
	for b := h.e.TakeBatch(); b != nil; b = h.e.TakeBatch() {
		h.committed(b)
	}
}

// Whatever the order in which regions write and ask, each body comes once to each region,
// from the region that wrote it.
func TestEachBodyCrossesALinkOnceInAHealthyMesh(t *testing.T) {
	for n := 3; n <= 5; n++ {
		t.Run(fmt.Sprint(n, " regions"), func(t *testing.T) {
			for seed := range uint64(20) {
				rng := rand.New(rand.NewPCG(seed, uint64(n)))
				m := newMesh(t, n)
				for k := range 300 {
					i := rng.IntN(n)
					if j := rng.IntN(n); i != j {
						m.step(i, j)
					} else {
						m.hosts[i].write("tokens", "k", fmt.Sprint(k))
					}
				}
				m.settle()
				var total int64
				for _, h := range m.hosts {
					require.Equal(t, m.hosts[0].e.Vector(), h.e.Vector(), "seed %d", seed)
					total = h.e.Stats(h.now).Entries
				}
				require.Positive(t, total)
				for _, h := range m.hosts {
					got := h.received()
					own := int64(h.e.vector[h.cfg.Origin])
					require.Equal(t, Traffic{Entries: total - own, Bytes: got.Bytes}, got, "seed %d", seed)
					require.Equal(t, h.e.bytes, got.Bytes+h.e.index[h.cfg.Origin].at(fieldwise.Seq(own)).bytes)
				}
			}
		})
	}
}

func TestADeadLinkHealsThroughAThirdRegion(t *testing.T) {
	m := newMesh(t, 4)
	a, b, c, d := m.hosts[0], m.hosts[1], m.hosts[2], m.hosts[3]
	m.dead[[2]int{0, 1}] = true
	a.write("notes", "k", "a1")
	m.step(2, 0)
	c.write("notes", "k", "c1") // knows of a1
	m.settle()
	requireVector(t, b.e, "")
	require.EqualValues(t, 1, b.receivedFrom(c).Entries, "it waits for its cause")
	m.later(DefaultRelayAfter - time.Nanosecond)
	m.settle()
	requireVector(t, b.e, "")
	m.later(time.Nanosecond)
	m.settle()
	requireVector(t, b.e, "a#7:1 c#7:1")
	require.Empty(t, b.reports())
	require.Equal(t, int64(1), b.received().Relayed)
	require.Zero(t, b.received().Duplicates)

	// Who was asked once goes on relaying, and nobody else does.
	for i := range 5 {
		a.write("tokens", "k", fmt.Sprint(i))
		m.settle()
	}
	requireVector(t, b.e, "a#7:6 c#7:1")
	require.Equal(t, int64(6), b.received().Relayed)
	require.Zero(t, b.received().Duplicates)
	require.Zero(t, min(b.receivedFrom(c).Relayed, b.receivedFrom(d).Relayed))

	// The link is back: what was asked for before may come twice, once.
	delete(m.dead, [2]int{0, 1})
	for i := range 5 {
		a.write("tokens", "l", fmt.Sprint(i))
		require.True(t, m.step(1, 0))
		m.settle()
	}
	require.Equal(t, m.hosts[0].e.Vector(), b.e.Vector())
	require.EqualValues(t, 5, b.receivedFrom(a).Entries)
	require.Equal(t, int64(6), b.received().Relayed)
	require.Zero(t, b.received().Duplicates)
	require.Empty(t, b.e.relays.via)
}

func TestARegionThatIsLinkedAgainIsNoLongerRelayed(t *testing.T) {
	m := newMesh(t, 3)
	a, b := m.hosts[0], m.hosts[1]
	b.e.Unlink("a")
	m.dead[[2]int{0, 1}] = true
	a.write("tokens", "k", "1")
	m.settle()
	require.Len(t, b.e.relays.via, 1)
	b.e.Link("c") // a second link to who relays changes nothing
	b.e.Unlink("c")
	require.Len(t, b.e.relays.via, 1)
	delete(m.dead, [2]int{0, 1})
	b.e.Link("a")
	require.Empty(t, b.e.relays.via)
	a.write("tokens", "k", "2")
	m.step(2, 0)
	m.step(1, 2) // where it is marked
	requireVector(t, b.e, "a#7:1")
	m.settle()
	requireVector(t, b.e, "a#7:2")
	require.EqualValues(t, 1, b.received().Relayed)
}

func TestALinkThatIsKnownToBeDeadIsNotWaitedFor(t *testing.T) {
	m := newMesh(t, 3)
	a, b, c := m.hosts[0], m.hosts[1], m.hosts[2]
	m.dead[[2]int{0, 1}] = true
	b.e.Unlink("a")
	a.write("tokens", "k", "1")
	m.settle()
	requireVector(t, b.e, "a#7:1")
	require.Equal(t, int64(1), b.receivedFrom(c).Relayed)

	// A relay that falls away too is replaced at once, or when there is one.
	m.hosts = append(m.hosts, newHost(t, "d").openAll())
	d := m.hosts[3]
	d.e.Link("a")
	b.e.Link("d")
	b.e.Unlink("c")
	m.dead[[2]int{1, 2}] = true
	a.write("tokens", "k", "2")
	m.settle()
	requireVector(t, b.e, "a#7:2")
	require.Equal(t, int64(1), b.receivedFrom(d).Relayed)
}

// The relay is asked while the link to it, or its own to the origin, is dead as well.
func TestARelayThatBringsNothingIsReplaced(t *testing.T) {
	m := newMesh(t, 4)
	a, b := m.hosts[0], m.hosts[1]
	m.dead[[2]int{0, 1}] = true
	a.write("tokens", "k", "1")
	m.settle()
	m.later(DefaultRelayAfter)
	m.settle()
	requireVector(t, b.e, "a#7:1")
	relay, other := 2, 3
	if b.e.relays.via[a.cfg.Origin] == "d" {
		relay, other = other, relay
	}
	m.dead[[2]int{1, relay}] = true
	a.write("tokens", "k", "2")
	m.settle()
	requireVector(t, b.e, "a#7:1")
	m.later(DefaultRelayAfter)
	m.settle()
	requireVector(t, b.e, "a#7:2")
	require.Equal(t, int64(1), b.receivedFrom(m.hosts[other]).Relayed)
	require.Zero(t, b.received().Duplicates)

	// It is not replaced while it brings something, however long that takes in all.
	for i := range 8 {
		a.write("tokens", "k", fmt.Sprint("more", i))
	}
	delete(m.dead, [2]int{1, relay})
	for i := range 2 {
		m.step(2+i, 0)
	}
	for seq := fieldwise.Seq(3); seq <= 10; seq++ {
		m.step(1, relay) // marks all of it
		p := b.asks(m.hosts[other])
		require.Equal(t, []fieldwise.Origin{a.cfg.Origin}, p.Relay)
		_, err := b.e.Deliver(b.now, p.To, m.hosts[other].answer(p)[:1])
		require.NoError(t, err)
		b.commitAll()
		require.Equal(t, seq, b.e.vector[a.cfg.Origin])
		m.step(1, relay)
		m.later(DefaultRelayAfter * 3 / 4)
	}
	require.Zero(t, b.receivedFrom(m.hosts[relay]).Duplicates+b.receivedFrom(m.hosts[other]).Duplicates)
}

// Two relays whose logs have two origins in different order would wait for each other.
func TestRelaysDoNotWaitForEachOther(t *testing.T) {
	for _, crossed := range []bool{false, true} {
		t.Run(fmt.Sprint("crossed ", crossed), func(t *testing.T) {
			m := newMesh(t, 5)
			a, b, c, d, e := m.hosts[0], m.hosts[1], m.hosts[2], m.hosts[3], m.hosts[4]
			d.write("tokens", "k", "d1")
			e.write("tokens", "k", "e1")
			for _, in := range []struct {
				relay         *host
				first, second int
			}{{a, 3, 4}, {b, 4, 3}} {
				i := int(in.relay.cfg.Origin.Region[0] - 'a')
				m.step(i, in.first)
				in.relay.write("tokens", "k", string(in.relay.cfg.Origin.Region))
				m.step(i, in.second)
			}
			c.e.Unlink("d")
			c.e.Unlink("e")
			if crossed { // as may be where each had one that the other had not
				c.e.relays.add(e.cfg.Origin, "a", c.now.Add(-DefaultRelayAfter))
				c.e.relays.add(d.cfg.Origin, "b", c.now.Add(-DefaultRelayAfter))
				c.e.relays.add(originOf("x"), "b", c.now.Add(-DefaultRelayAfter))
			}
			all := fieldwise.Vector{originOf("a"): 1, originOf("b"): 1, originOf("d"): 1, originOf("e"): 1}
			settle := func() {
				for came := true; came; {
					came = m.step(2, 0)
					came = m.step(2, 1) || came
				}
			}
			settle()
			if crossed {
				require.Empty(t, c.e.Vector())
				m.later(DefaultRelayAfter)
				ok, _ := c.e.Ready(c.now, "b")
				require.True(t, ok)
				require.Len(t, c.asks(a).Relay, 3, "it takes all that the other has")
				ok, due := c.e.Ready(c.now, "b")
				require.False(t, ok, "and is given time")
				require.Equal(t, c.now.Add(DefaultRelayAfter), due)
				settle()
				require.EqualValues(t, 1, c.received().Duplicates, "which waited already")
			} else {
				require.Zero(t, c.received().Duplicates)
			}
			require.Equal(t, all, c.e.Vector())
			via := c.e.relays.via
			require.Equal(t, via[d.cfg.Origin], via[e.cfg.Origin])
		})
	}
}

// A region that lost entries of its own answers, and does not send them.
func TestWhatARegionLostOfItsOwnComesFromOthers(t *testing.T) {
	m := newMesh(t, 3)
	a, b, c := m.hosts[0], m.hosts[1], m.hosts[2]
	a.write("tokens", "k", "1")
	a.write("tokens", "k", "2")
	m.step(2, 0)
	c.write("tokens", "k", "c1")
	// What is left of a goes on under another incarnation.
	restored := newHostWith(t, Config{Origin: fieldwise.Origin{Region: "a", Incarnation: 8}})
	restored.frames = a.frames[:1]
	m.hosts[0] = reopenedWithAll(restored)
	for _, p := range []fieldwise.Region{"b", "c"} {
		m.hosts[0].e.Link(p)
	}
	m.hosts[0].write("tokens", "k", "3")
	m.settle()
	requireVector(t, m.hosts[0].e, "a#7:2 a#8:1 c#7:1") // its own come from whoever has them, at once
	requireVector(t, c.e, "a#7:2 a#8:1 c#7:1")
	requireVector(t, b.e, "a#7:2 a#8:1 c#7:1") // the restored one has them again, and is their region

	d := newHost(t, "d").openAll()
	d.e.Link("a")
	d.e.Link("c")
	m.hosts = []*host{d, reopenedWithAll(restored), c}
	take := func() {
		for m.step(0, 1) || m.step(0, 2) {
		}
	}
	take()
	requireVector(t, d.e, "a#7:1")
	m.later(DefaultRelayAfter)
	take()
	require.True(t, d.e.Covers(fieldwise.Vector{a.cfg.Origin: 2, c.cfg.Origin: 1}))
}

// picky is tokens of a release that does not know new ones.
type picky struct{ tokenSet }

func (p picky) Merge(dst, a, b []byte) ([]byte, error) {
	if bytes.Contains(b, []byte("new")) {
		return nil, fieldwise.ErrUnsupportedKind
	}
	return p.tokenSet.Merge(dst, a, b)
}

// What was written with knowledge of an entry that cannot be applied flows on, in whatever
// order it comes; a later release, which can apply the entry, goes on with it.
func TestAMarkerOfAStoppedOriginCountsAsCovered(t *testing.T) {
	for _, first := range []string{"the entry", "the marker"} {
		t.Run(first+" first", func(t *testing.T) {
			m := newMesh(t, 3)
			a, c := m.hosts[0], m.hosts[2]
			b := newHost(t, "b")
			b.open("tokens", picky{})
			b.e.Link("a")
			b.e.Link("c")
			m.hosts[1] = b
			a.write("tokens", "k", "a1")
			a.write("tokens", "k", "new")
			a.write("tokens", "k", "a3")
			m.step(2, 0)
			c.write("tokens", "k", "c1")
			if first == "the marker" {
				m.step(1, 2)
				require.Len(t, b.e.peers["c"].rest, 2, "it waits")
			}
			m.step(1, 0)
			require.ErrorIs(t, b.e.Stats(b.now).Stopped[a.cfg.Origin], fieldwise.ErrUnsupportedKind)
			m.settle()
			requireVector(t, b.e, "a#7:1 c#7:1")
			require.Equal(t, "a1;c1;", b.read("tokens", "k"))
			require.Empty(t, b.e.relays.via, "what cannot be applied is not asked for")
			ok, _ := b.e.Ready(b.now, "c")
			require.True(t, ok)

			m.hosts[1] = reopenedWithAll(b)
			m.hosts[1].e.Link("a")
			m.hosts[1].e.Link("c")
			c.write("tokens", "k", "c2")
			m.settle()
			requireVector(t, m.hosts[1].e, "a#7:3 c#7:2")
			require.Equal(t, "a1;a3;c1;c2;new;", m.hosts[1].read("tokens", "k"))
		})
	}
}

// A marker for a, in front of an entry of c, waits at b until the case is over.
func waiting(t *testing.T) (m *mesh, parts []Part) {
	m = newMesh(t, 3)
	m.hosts[0].write("tokens", "k", "a1")
	m.step(2, 0)
	m.hosts[2].write("tokens", "k", "c1")
	m.step(1, 2)
	parts = m.hosts[1].e.peers["c"].rest
	require.Len(t, parts, 2)
	return m, parts
}

func TestWhatWaitsIsDroppedWhenItNoLongerFits(t *testing.T) {
	for what, do := range map[string]func(b *host){
		"staged state is thrown away": func(b *host) { b.e.Failed() },
		"a domain is opened":          func(b *host) { b.open("more", tokenSet{}) },
		"the link is cut":             func(b *host) { b.e.Unlink("c"); b.e.Link("c") },
		"it is asked for again":       func(b *host) { b.e.NextPull(b.now, "c") },
		"the log is opened again": func(b *host) {
			_, err := b.e.Answer(Question{Origin: originOf("c"), Opening: 9, Round: 1})
			require.NoError(b.t, err)
		},
	} {
		t.Run(what, func(t *testing.T) {
			m, _ := waiting(t)
			b := m.hosts[1]
			require.True(t, b.e.Waits())
			do(b)
			require.False(t, b.e.Waits())
			ok, due := b.e.Ready(b.now, "c")
			require.True(t, ok)
			require.Zero(t, due)
			m.settle()
			requireVector(t, b.e, "a#7:1 c#7:1")
			require.Zero(t, b.received().Relayed+b.received().Duplicates)
		})
	}
}

func TestAPeerIsAskedAgainWhenAllItSentIsDurable(t *testing.T) {
	m, _ := waiting(t)
	a, b := m.hosts[0], m.hosts[1]
	ok, due := b.e.Ready(b.now, "c")
	require.False(t, ok)
	require.Equal(t, b.now.Add(DefaultRelayAfter), due)
	b.pull(a)
	d, err := b.e.Resume(b.now, "c")
	require.NoError(t, err)
	require.Equal(t, fieldwise.Vector{originOf("a"): 1, originOf("c"): 1}, d.Want)
	require.False(t, b.e.Waits())
	for _, peer := range []fieldwise.Region{"a", "c"} {
		ok, due = b.e.Ready(b.now, peer)
		require.False(t, ok, "it would be sent again")
		require.Zero(t, due)
	}
	b.commitAll()
	for _, peer := range []fieldwise.Region{"a", "c"} {
		ok, _ = b.e.Ready(b.now, peer)
		require.True(t, ok)
	}
}

// What was taken in front of the marker has to be durable too before the relay is asked.
func TestARelayIsNotAskedForWhatIsOnItsWayToTheLog(t *testing.T) {
	h := newHost(t, "b").openAll()
	h.e.Link("a")
	_, err := h.e.Deliver(h.now, "c", []Part{{Body: body("c", 1, "tokens", "k", "1;")}, {Origin: originOf("a"), From: 1, To: 1}})
	require.NoError(t, err)
	h.e.Ready(h.now, "c")
	ok, due := h.e.Ready(h.now.Add(time.Hour), "c")
	require.False(t, ok)
	require.Zero(t, due, "or the host would look again and again")
	h.commit()
	h.e.Ready(h.now, "c")
	ok, due = h.e.Ready(h.now.Add(time.Hour), "c")
	require.True(t, ok)
	require.Equal(t, h.now.Add(DefaultRelayAfter), due)
	require.Equal(t, []fieldwise.Origin{originOf("a")}, h.e.NextPull(h.now.Add(time.Hour), "c").Relay)
}

func TestDeliverRefusesMarkersThatCannotBe(t *testing.T) {
	m, parts := waiting(t)
	b := m.hosts[1]
	for _, c := range []struct {
		marker Part
		want   error
	}{
		{Part{Origin: originOf("a")}, fieldwise.ErrMalformed},
		{Part{Origin: originOf("a"), From: 3, To: 2}, fieldwise.ErrMalformed},
		{Part{Origin: originOf("a"), From: 2, To: 3}, ErrGap},
	} {
		d, err := b.e.Deliver(b.now, "c", append([]Part{c.marker}, parts[1:]...))
		require.ErrorIs(t, err, c.want, "%+v", c.marker)
		require.Empty(t, d.Want)
		require.False(t, b.e.Waits(), "what is behind it is dropped")
	}
	m.settle()
	requireVector(t, b.e, "a#7:1 c#7:1")
	_, err := b.e.Deliver(b.now, "c", []Part{{Origin: originOf("b"), From: 1, To: 1}})
	require.ErrorIs(t, err, ErrLogRegressed)
	require.Equal(t, err, b.e.Err())
}

func TestServeRefusesARequestForAnotherRegion(t *testing.T) {
	a, b := newHost(t, "a"), newHost(t, "b")
	_, _, _, err := a.e.Serve(b.e.NextPull(b.now, "c"))
	require.ErrorContains(t, err, `b#7 asks for region "c", this is a#7`)
}
