package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/lww"
)

func deliver(t *testing.T, e *Engine, all ...[]byte) Delivered {
	t.Helper()
	d, err := e.Deliver(start, "p", bodies(all...))
	require.NoError(t, err)
	return d
}

func TestDeliverPassesOverWhatIsHere(t *testing.T) {
	h := newHost(t, "a").openAll()
	one, two := body("b", 1, "tokens", "k", "1;"), body("b", 2, "tokens", "k", "2;")
	d := deliver(t, h.e, one, two, one, two)
	require.Equal(t, fieldwise.Vector{originOf("b"): 2}, d.Want)
	require.Empty(t, d.Alarms)
	payload := len(h.e.filling.Payload)
	d = deliver(t, h.e, one)
	require.Equal(t, fieldwise.Vector{originOf("b"): 1}, d.Want, "staged is not durable: it is still waited for")
	require.Len(t, h.e.filling.Payload, payload)
	h.commit()
	d = deliver(t, h.e, two, one)
	require.True(t, h.e.Covers(d.Want))
	require.Nil(t, h.e.TakeBatch())
	require.Equal(t, "1;2;", h.read("tokens", "k"))
	requireVector(t, h.e, "b#7:2")
}

func TestDeliverRefusesAGapAndKeepsWhatCameBefore(t *testing.T) {
	h := newHost(t, "a").openAll()
	d, err := h.e.Deliver(start, "p", bodies(
		body("b", 1, "tokens", "k", "1;"), body("c", 2, "tokens", "k", "9;"), body("b", 2, "tokens", "k", "2;"),
	))
	require.ErrorIs(t, err, ErrGap)
	require.ErrorContains(t, err, "c#7/2 came where 1 is next")
	require.Equal(t, fieldwise.Vector{originOf("b"): 1}, d.Want)
	h.commit()
	requireVector(t, h.e, "b#7:1")
	require.Equal(t, "1;", h.read("tokens", "k"))
}

func TestDeliverFindsThatTheLogLostEntriesOfItsOwn(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b").openAll()
	a.write("tokens", "k", "1")
	a.write("tokens", "k", "2")
	b.sync(a)
	old := a.reopened()
	old.frames = old.frames[:1]
	old = reopenedWithAll(old)
	_, _, _, err := old.e.Serve(b.asks(old))
	require.ErrorIs(t, err, ErrLogRegressed)
	require.ErrorContains(t, err, "a#7 ends at 1 here, b has it up to 2")
	_, err = old.e.Deliver(start, "b", b.answer(old.asks(b)))
	require.ErrorIs(t, err, ErrLogRegressed)
	require.Nil(t, old.e.TakeBatch())
	require.Nil(t, old.e.Acked("b"), "a request that was refused acknowledges nothing")
}

func TestAnEntryThatCannotBeAppliedStopsItsOriginByName(t *testing.T) {
	h := newHost(t, "a").openAll()
	d := deliver(t, h.e,
		body("b", 1, "tokens", "k", "b1;"),
		body("c", 1, "tokens", "k", "no end"), // of c: what follows of it is not taken
		body("b", 2, "tokens", "k", "b2;"),
		body("c", 2, "tokens", "k", "c2;"),
		body("d", 1, "tokens", "k", "d1;"),
	)
	require.Len(t, d.Alarms, 1)
	require.ErrorContains(t, d.Alarms[0], `c#7 is stopped at entry 1 of domain "tokens": tokens: the last one has no end`)
	require.Equal(t, fieldwise.Vector{originOf("b"): 2, originOf("d"): 1}, d.Want)
	h.commit()
	requireVector(t, h.e, "b#7:2 d#7:1")
	require.Equal(t, "b1;b2;d1;", h.read("tokens", "k"))

	stats := h.e.Stats(start)
	require.Len(t, stats.Stopped, 1)
	require.Equal(t, d.Alarms[0], stats.Stopped[originOf("c")])
	pull := h.e.NextPull(start, "p")
	require.Equal(t, []fieldwise.Origin{originOf("c")}, pull.Stopped)

	// The peer leaves it out from now on.
	p := newHost(t, "p")
	_, err := p.e.Deliver(start, "e", bodies(body("c", 1, "x", "k", "?"), body("c", 2, "x", "k", "?"), body("e", 1, "x", "k", "?")))
	require.NoError(t, err)
	p.commit()
	p.write2("x")
	pull.Vector = fieldwise.Vector{originOf("e"): 1}
	frame, ok, _, err := p.e.Serve(pull)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, framePos(1), frame, "not the frame that holds c's")
	require.Len(t, p.answer(pull), 1)

	d = deliver(t, h.e, body("c", 1, "tokens", "k", "c1;"))
	require.Empty(t, d.Want, "stopped is stopped until the replica is opened again")
	require.Empty(t, d.Alarms, "and says so once")
	r := reopenedWithAll(h)
	deliver(t, r.e, body("c", 1, "tokens", "k", "c1;"))
	r.commit()
	require.Equal(t, "b1;b2;c1;d1;", r.read("tokens", "k"))
}

// write2 opens a domain for tokens and writes one.
func (h *host) write2(domain string) {
	h.open("tokens-"+domain, tokenSet{})
	h.write("tokens-"+domain, "k", "1")
}

func TestAnOriginIsStoppedByWhatNoReplicaCouldHaveWritten(t *testing.T) {
	for what, bad := range map[string][]byte{
		"no domain":           body("b", 1, "", "k", "1;"),
		"a long domain":       body("b", 1, strings.Repeat("d", MaxDomain+1), "k", "1;"),
		"no key":              body("b", 1, "tokens", "", "1;"),
		"a long key":          body("b", 1, "tokens", strings.Repeat("k", MaxKey+1), "1;"),
		"an entry over limit": body("b", 1, "other", "k", strings.Repeat("x", MaxEntry)),
	} {
		t.Run(what, func(t *testing.T) {
			h := newHost(t, "a").openAll()
			d, err := h.e.Deliver(start, "p", bodies(bad, body("c", 1, "tokens", "k", "1;")))
			require.NoError(t, err)
			require.Len(t, d.Alarms, 1)
			require.NotNil(t, h.e.Stats(start).Stopped[originOf("b")])
			h.commit()
			requireVector(t, h.e, "c#7:1")
		})
	}
}

func TestATimestampFromTheFutureRaisesAnAlarmAndDoesNotMoveTheClock(t *testing.T) {
	h := newHost(t, "a").openAll()
	future := newHost(t, "b").openAll()
	future.now = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	bad := future.write("notes", "k", "bad")
	soon := newHost(t, "c").openAll()
	soon.now = start.Add(fieldwise.DefaultMaxSkew)
	near := soon.write("notes", "j", "near")

	d := h.pull(future)
	require.Len(t, d.Alarms, 1)
	require.ErrorIs(t, d.Alarms[0], fieldwise.ErrClockSkew)
	require.ErrorContains(t, d.Alarms[0], "b#7/1")
	require.Empty(t, h.pull(soon).Alarms)
	h.commit()
	require.Equal(t, "bad", h.read("notes", "k"), "it is taken all the same")
	require.EqualValues(t, 1, h.e.Stats(start).Skewed)

	fix := h.write("notes", "k", "fix")
	require.Less(t, fix.Time, bad.Time)
	require.Greater(t, fix.Time, near.Time, "what is within the skew moves the clock")
	require.Equal(t, "fix", h.read("notes", "k"), "a write that saw the bad value replaces it")
	future.sync(h)
	require.Equal(t, "fix", future.read("notes", "k"))
	require.Empty(t, future.reports())
}

func TestServeStartsAtTheFirstFrameThatThePeerLacks(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b").openAll()
	a.write("tokens", "k", "1") // frame 0
	b.write("tokens", "k", "b")
	a.sync(b)                   // frame 1
	a.write("tokens", "k", "2") // frame 2
	a.stage("tokens", "k", "3")

	serve := func(v fieldwise.Vector) (frame int64, ok, advanced bool) {
		frame, ok, advanced, err := a.e.Serve(Pull{From: originOf("c"), To: "a", Vector: v})
		require.NoError(t, err)
		return frame, ok, advanced
	}
	ao, bo := originOf("a"), originOf("b")
	for _, c := range []struct {
		has      fieldwise.Vector
		frame    int64
		ok       bool
		advanced bool
	}{
		{fieldwise.Vector{}, framePos(0), true, false},
		{fieldwise.Vector{ao: 1}, framePos(1), true, true},
		{fieldwise.Vector{ao: 2}, framePos(1), true, true},
		{fieldwise.Vector{ao: 2}, framePos(1), true, false},
		{fieldwise.Vector{bo: 1}, framePos(0), true, true},
		{fieldwise.Vector{ao: 1, bo: 1}, framePos(2), true, true},
		{fieldwise.Vector{ao: 2, bo: 1}, 0, false, true},
		{fieldwise.Vector{ao: 2, bo: 3}, 0, false, true}, // it has more of b than we do
	} {
		frame, ok, advanced := serve(c.has)
		require.Equal(t, []any{c.frame, c.ok, c.advanced}, []any{frame, ok, advanced}, "%v", c.has)
		require.Equal(t, c.has, a.e.Acked("c"))
	}
	_, ok, _ := serve(fieldwise.Vector{ao: 2, bo: 1})
	require.False(t, ok, "what is only staged is not sent")
	a.commit()
	frame, ok, _ := serve(fieldwise.Vector{ao: 2, bo: 1})
	require.True(t, ok)
	require.Equal(t, framePos(3), frame)
	require.Nil(t, a.e.Acked("nobody"))

	v := fieldwise.Vector{ao: 1}
	serve(v)
	v[ao] = 2
	require.EqualValues(t, 1, a.e.Acked("c")[ao], "the request's vector is not kept")
}

func TestServeRefusesItsOwnRegionAndOtherMergers(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b")
	b.open("tokens", tokens2{})
	b.open("only here", tokenSet{})
	_, _, _, err := a.e.Serve(b.asks(a))
	require.ErrorIs(t, err, fieldwise.ErrMergerMismatch)
	require.ErrorContains(t, err, `"tokens" is "tokens/1" here and "tokens/2" in b`)
	require.Nil(t, a.e.Acked("b"))
	_, _, _, err = b.e.Serve(a.asks(b))
	require.ErrorIs(t, err, fieldwise.ErrMergerMismatch)

	twin := New(Config{Origin: fieldwise.Origin{Region: "a", Incarnation: 8}})
	_, _, _, err = a.e.Serve(twin.NextPull(start, "a"))
	require.ErrorContains(t, err, "a peer names itself a#8, which is this region")
	_, _, _, err = a.e.Serve(newHost(t, "c").asks(a))
	require.NoError(t, err, "a peer that has not opened the domain holds its entries")
}

func TestNextPullIsASnapshot(t *testing.T) {
	h := newHost(t, "a").openAll()
	h.write("tokens", "k", "1")
	p := h.e.NextPull(start, "b")
	require.Equal(t, map[string]string{"tokens": "tokens/1", "notes": "register/1"}, p.Mergers)
	h.write("tokens", "k", "2")
	h.e.stopped[originOf("z")] = ErrGap
	require.EqualValues(t, 1, p.Vector[originOf("a")])
	require.Empty(t, p.Stopped)
	h.stage("tokens", "k", "3")
	require.EqualValues(t, 2, h.e.NextPull(start, "b").Vector[originOf("a")], "staged is not acknowledged")
}

func TestRelayedEntriesKeepTheirOrder(t *testing.T) {
	a, b, c := newHost(t, "a").openAll(), newHost(t, "b").openAll(), newHost(t, "c").openAll()
	a.write("notes", "k", "a1")
	b.sync(a)
	b.write("notes", "k", "b1") // knows of a1
	c.sync(b)                   // gets both from b
	var order []string
	for _, payload := range c.frames {
		require.NoError(t, Entries(payload, func(e Entry, _ []byte) error {
			order = append(order, e.Origin.String())
			return nil
		}))
	}
	require.Equal(t, []string{"a#7", "b#7"}, order)
	require.Equal(t, "b1", c.read("notes", "k"))
	require.Empty(t, c.reports())
	require.Nil(t, c.answer(b.asks(c)))
}

func TestConflictsInOneDeliveryAreReportedBesideTheirEntry(t *testing.T) {
	a := conflicting(t)
	d := newHost(t, "d")
	d.open("notes", lww.NewMerger())
	d.pull(a)
	b := d.e.TakeBatch()
	var kinds []byte
	require.NoError(t, parts(b.Payload, func(kind byte, _ []byte) error { kinds = append(kinds, kind); return nil }))
	require.Equal(t, []byte{partMerger, partEntry, partEntry, partReport, partEntry, partReport}, kinds)
	require.Zero(t, d.e.Stats(d.now).Conflicts, "not durable yet")
	d.committed(b)
	require.EqualValues(t, 2, d.e.Stats(d.now).Conflicts)
}
