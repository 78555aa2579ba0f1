package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
)

var fourRegions = []fieldwise.Region{"a", "b", "c", "d"}

// openings names the openings of these tests' logs.
var openings uint64

func nextOpening(cfg Config) Config {
	openings++
	cfg.Opening, cfg.Fresh = openings, 1000+openings
	return cfg
}

// newMembers are hosts of the first n regions, each of which began its log.
func newMembers(t *testing.T, n int) []*host {
	all := make([]*host, n)
	for i := range all {
		cfg := Config{Origin: originOf(fourRegions[i]), Members: fourRegions[:n], Epoch: 1, Begun: true}
		all[i] = newHostWith(t, nextOpening(cfg)).openAll()
	}
	for range 3 {
		for _, h := range all {
			h.confirm(all...)
		}
	}
	return all
}

// opened is a log with so many frames under another process.
func (h *host) openedAgain(frames int) *host {
	h.cfg.Begun = false
	r := *h
	r.cfg, r.frames = nextOpening(h.cfg), slices.Clone(h.frames[:frames])
	return reopenedWithAll(&r)
}

// ask puts the questions that h has for others; what comes back is not taken in.
func (h *host) ask(others ...*host) (all []Answer) {
	for _, o := range others {
		if q, ok := h.e.Ask(o.cfg.Origin.Region); ok {
			a, err := o.e.Answer(q)
			require.NoError(h.t, err)
			all = append(all, a)
		}
	}
	return all
}

// confirm asks until there is nothing to ask.
func (h *host) confirm(others ...*host) {
	for range 3 {
		for _, a := range h.ask(others...) {
			h.e.Confirm(a)
		}
	}
}

func (h *host) requireWaiting() {
	_, err := h.e.Begin(h.now, "tokens", "k")
	require.ErrorIs(h.t, err, ErrWaiting)
	require.Equal(h.t, Waiting, h.e.Identity().Standing)
}

func TestALogThatIsBegunSignsAtOnce(t *testing.T) {
	h := newHostWith(t, nextOpening(Config{Origin: originOf("a"), Members: fourRegions, Begun: true})).openAll()
	require.Equal(t, Identity{Origin: originOf("a"), Standing: Fresh}, h.e.Identity())
	h.write("tokens", "k", "1")
	require.Equal(t, [][]byte{{partMerger, partEntry}}, h.kindsOf(), "the header says who signs")
	alone := newHostWith(t, Config{Origin: originOf("a")}).openAll()
	alone.write("tokens", "k", "1")
	require.Equal(t, Confirmed, reopenedWithAll(alone).e.Identity().Standing, "without members nobody is asked")
	alone = newHostWith(t, Config{Origin: originOf("a"), Members: fourRegions[:1]})
	require.Equal(t, Confirmed, alone.e.Identity().Standing, "there is nobody else")
}

func TestAnOriginGoesOnOnceAllMembersConfirmedThatTheyHoldNoMoreOfIt(t *testing.T) {
	all := newMembers(t, 3)
	a, b, c := all[0], all[1], all[2]
	a.write("tokens", "k", "1")
	b.sync(a)
	a = a.openedAgain(1)
	a.requireWaiting()
	require.Equal(t, "1;", a.read("tokens", "k"), "it can be read")
	for range 3 {
		a.confirm(b)
	}
	a.requireWaiting() // one is away
	a.confirm(b, c)
	require.Equal(t, Identity{Origin: originOf("a"), Standing: Confirmed}, a.e.Identity())
	require.EqualValues(t, 2, a.write("tokens", "k", "2").Seq)
	require.Empty(t, a.ask(b, c), "there is nothing to ask any more")
	b.sync(a)
	require.Equal(t, "1;2;", b.read("tokens", "k"))
}

func TestAFreshIncarnationSignsWhereAMemberHoldsMore(t *testing.T) {
	for what, find := range map[string]func(a, b *host){
		"it says so":                    func(a, b *host) { a.confirm(b) },
		"it asks for what is behind it": func(a, b *host) { a.answer(b.asks(a)) },
		"it sends it":                   func(a, b *host) { a.pull(b) },
	} {
		t.Run(what, func(t *testing.T) {
			all := newMembers(t, 3)
			a, b, c := all[0], all[1], all[2]
			a.write("tokens", "k", "1")
			a.write("tokens", "k", "2")
			b.sync(a)
			a = a.openedAgain(1)
			find(a, b)
			id := a.e.Identity()
			require.Equal(t, Fresh, id.Standing)
			require.Equal(t, a.cfg.Fresh, id.Origin.Incarnation)
			require.Contains(t, id.Why, "a#7 ends at 1 here, ")
			if b := a.e.TakeBatch(); b != nil {
				a.committed(b)
			}
			a.sync(b)
			require.Equal(t, "1;2;", a.read("tokens", "k"), "what was lost comes back")
			r := a.write("tokens", "k", "3")
			require.Equal(t, fieldwise.Receipt{Origin: id.Origin, Seq: 1, Time: r.Time}, r)
			a.write("tokens", "k", "4")
			kinds := a.kindsOf()
			require.Equal(t, [][]byte{{partIdentity, partEntry}, {partEntry}}, kinds[len(kinds)-2:])
			for _, peer := range []*host{b, c} {
				peer.sync(a)
				require.Equal(t, "1;2;3;4;", peer.read("tokens", "k"))
			}
			again := a.openedAgain(len(a.frames))
			require.Equal(t, Identity{Origin: id.Origin, Standing: Waiting}, again.e.Identity())
			again.confirm(b, c)
			require.Equal(t, Confirmed, again.e.Identity().Standing)
			require.EqualValues(t, 3, again.write("tokens", "k", "5").Seq)
		})
	}
}

func TestAFreshIncarnationIsInUseFromItsFirstDurableEntryOn(t *testing.T) {
	all := newMembers(t, 2)
	a, b := all[0], all[1]
	a.write("tokens", "k", "1")
	a = a.openedAgain(1)
	a.e.BeginAfresh("nobody answers")
	first := a.e.Identity().Origin
	a.stage("tokens", "k", "2")
	a.e.TakeBatch()
	a.stage("tokens", "k", "3")
	a.e.Failed()
	require.Equal(t, first, a.e.Identity().Origin)

	again := a.openedAgain(1)
	again.confirm(b)
	require.Equal(t, Identity{Origin: originOf("a"), Standing: Confirmed}, again.e.Identity(), "nothing happened")

	require.EqualValues(t, 1, a.write("tokens", "k", "4").Seq)
	require.Equal(t, [][]byte{{partMerger, partEntry}, {partIdentity, partEntry}}, a.kindsOf())
	a.e.BeginAfresh("again")
	require.Equal(t, first, a.e.Identity().Origin, "it is begun once")
	require.Equal(t, first, a.openedAgain(2).e.Identity().Origin)
}

func TestAFreshIncarnationIsAboveAllThatAreKnownAndOneOfItsOwn(t *testing.T) {
	all := newMembers(t, 2)
	a, b := all[0], all[1]
	a.write("tokens", "k", "1")
	b.sync(a)
	a = a.openedAgain(1)
	later := Entry{Origin: fieldwise.Origin{Region: "a", Incarnation: 1 << 50}, Seq: 1, Time: 9, Domain: "tokens", Key: "k", Delta: []byte("x;")}
	deliver(t, a.e, later.Append(nil))
	a.commit()
	one, two := a.openedAgain(2), a.openedAgain(2)
	one.e.BeginAfresh("x")
	two.e.BeginAfresh("x")
	require.Greater(t, one.e.Identity().Origin.Incarnation, uint64(1<<50))
	require.Greater(t, two.e.Identity().Origin.Incarnation, uint64(1<<50))
	require.NotEqual(t, one.e.Identity().Origin, two.e.Identity().Origin, "they are not counted up")
}

func TestAnEntryOnItsWayIsThrownAwayByWhoConfirmed(t *testing.T) {
	all := newMembers(t, 2)
	a, b := all[0], all[1]
	a.write("tokens", "k", "1")
	pull := b.asks(a)
	other := b.e.NextPull(b.now, "c")
	late := a.answer(pull)
	require.True(t, b.e.Current(&pull))
	a = a.openedAgain(0) // the write is lost, but for what is on its way
	answers := a.ask(b)
	require.False(t, b.e.Current(&pull), "what the earlier process sent is void")
	require.True(t, b.e.Current(&other), "others are not concerned")
	next := b.asks(a)
	b.e.Confirm(Answer{}) // of nobody
	a.e.Confirm(answers[0])
	a.confirm(b)
	require.Equal(t, Confirmed, a.e.Identity().Standing)
	require.True(t, b.e.Current(&next), "each opening drains once")
	require.NotEmpty(t, late)

	// What another process asked for is void, too.
	b2 := b.openedAgain(0)
	require.False(t, b2.e.Current(&next))
}

func TestStagedEntriesCountInAnAnswer(t *testing.T) {
	all := newMembers(t, 2)
	a, b := all[0], all[1]
	a.write("tokens", "k", "1")
	b.pull(a)
	a = a.openedAgain(0)
	a.confirm(b)
	require.Equal(t, Fresh, a.e.Identity().Standing)
}

// A member that was opened itself may have lost what its own earlier process sent on.
func TestAMemberCountsOnceItIsDrained(t *testing.T) {
	all := newMembers(t, 3)
	a, b, c := all[0], all[1], all[2]
	a.write("tokens", "k", "1")
	b.sync(a)
	pull := c.asks(b)
	pull.Relay = []fieldwise.Origin{originOf("a")}
	late := b.answer(pull)
	require.NotEmpty(t, late)
	a, b = a.openedAgain(0), b.openedAgain(0)
	a.confirm(b, c)
	a.requireWaiting() // c may still get the write
	b.confirm(c)
	a.confirm(b, c)
	a.requireWaiting()
	require.False(t, c.e.Current(&pull))
	b.confirm(a, c)
	a.confirm(b, c)
	require.Equal(t, Confirmed, a.e.Identity().Standing)
}

// c says that it holds nothing, then gets the write from b, which then loses it.
func TestAMemberThatIsOpenedBetweenTheRoundsBeginsThemAnew(t *testing.T) {
	all := newMembers(t, 3)
	a, b, c := all[0], all[1], all[2]
	a.write("tokens", "k", "1")
	pull := b.asks(a)
	b.sync(a)
	a = a.openedAgain(0)
	fromC := a.ask(c)
	c.sync(b)
	b = b.openedAgain(0)
	b.confirm(a, c)
	for _, answer := range append(fromC, a.ask(b)...) {
		a.e.Confirm(answer)
	}
	a.requireWaiting()
	a.confirm(b, c)
	require.Equal(t, Fresh, a.e.Identity().Standing)
	require.False(t, b.e.Current(&pull))
}

// The write goes from one to the next, and each loses it before it is asked.
func TestAMemberThatIsOpenedAgainBetweenTheRoundsCountsInTheNextOnly(t *testing.T) {
	all := newMembers(t, 4)
	a, b, c, d := all[0], all[1], all[2], all[3]
	a.write("tokens", "k", "1")
	b.sync(a)
	toC := c.asks(b)
	toC.Relay = []fieldwise.Origin{originOf("a")}
	late := b.answer(toC)
	take := func(answers []Answer) {
		for _, answer := range answers {
			a.e.Confirm(answer)
		}
	}
	a = a.openedAgain(0)
	take(a.ask(c, d)) // they hold nothing
	require.True(t, c.e.Current(&toC))
	_, err := c.e.Deliver(c.now, "b", late)
	require.NoError(t, err)
	c.commit()
	b = b.openedAgain(0)
	b.confirm(a, c, d)
	take(a.ask(b)) // nor does it
	require.EqualValues(t, 2, a.e.Round())
	take(a.ask(b, d))
	d.sync(c)
	c = c.openedAgain(0)
	c.confirm(a, b, d)
	take(a.ask(c))
	a.requireWaiting()
	a.confirm(b, c, d)
	require.Equal(t, Fresh, a.e.Identity().Standing, "d has it")
}

func TestAnswersOfOtherOpeningsRoundsAndEpochsDoNotCount(t *testing.T) {
	all := newMembers(t, 2)
	a, b := all[0], all[1]
	a.write("tokens", "k", "1")
	old := a.openedAgain(1)
	stale := old.ask(b)
	a = a.openedAgain(1)
	require.False(t, a.e.Confirm(stale[0]), "to another opening")
	first := a.ask(b)
	require.True(t, a.e.Confirm(first[0]))
	require.False(t, a.e.Confirm(first[0]), "a second time")
	a.requireWaiting()
	second := a.ask(b)
	ahead := second[0]
	ahead.Epoch++
	a.e.Confirm(ahead)
	a.requireWaiting()
	a.e.Confirm(second[0])
	a.requireWaiting() // there may be members that it does not know
}

// withList is a log under another process, which was given another list of members.
func (h *host) withList(epoch uint64, members ...fieldwise.Region) *host {
	h.cfg.Members, h.cfg.Epoch = members, epoch
	return h.openedAgain(len(h.frames))
}

func TestAnOldListOfMembersConfirmsNothing(t *testing.T) {
	all := newMembers(t, 3)
	a, b, c := all[0], all[1], all[2]
	a.write("tokens", "k", "1")
	b, c = b.withList(2, "a", "b"), c.withList(3, "a", "b", "c")
	a = a.withList(2, "a", "b")

	t.Run("of who asks, and is told by another member", func(t *testing.T) {
		a, b := a.openedAgain(1), b.openedAgain(0)
		c.ask(b)
		b.confirm(a)
		a.confirm(b)
		a.requireWaiting()
	})
	t.Run("but if nobody says that there is another", func(t *testing.T) {
		a, b := a.openedAgain(1), b.openedAgain(0)
		b.confirm(a)
		a.confirm(b)
		require.Equal(t, Confirmed, a.e.Identity().Standing)
	})
	t.Run("of who asks, and was asked itself", func(t *testing.T) {
		a, b := a.openedAgain(1), b.openedAgain(0)
		c.ask(a)
		b.confirm(a)
		a.confirm(b)
		a.requireWaiting()
	})
	t.Run("of who answers: what it sent c before its disk was restored is on its way", func(t *testing.T) {
		a, b, c := a.withList(3, "a", "b", "c"), b.openedAgain(0), c.openedAgain(0)
		for range 3 {
			b.confirm(a, c)
			c.confirm(a, b)
			a.confirm(b, c)
		}
		a.requireWaiting()
		b = b.withList(3, "a", "b", "c")
		for range 3 {
			b.confirm(a, c)
			a.confirm(b, c)
		}
		require.Equal(t, Confirmed, a.e.Identity().Standing)
	})
}

func TestAnAnswerShowsAForkBeforeAnythingIsSigned(t *testing.T) {
	all := newMembers(t, 2)
	a, b := all[0], all[1]
	a.write("tokens", "k", "1")
	copied := a.openedAgain(1)
	copied.confirm(b)
	copied.write("tokens", "k", "2")
	b.sync(copied)
	a.write("tokens", "k", "3")
	a = a.openedAgain(2)
	a.confirm(b)
	require.ErrorIs(t, a.e.Err(), ErrForked)
	_, err := a.e.Begin(a.now, "tokens", "k")
	require.ErrorIs(t, err, ErrForked)
}

func TestAConfirmedLogThatLacksWhatAMemberHoldsEnds(t *testing.T) {
	all := newMembers(t, 2)
	a, b := all[0], all[1]
	a.write("tokens", "k", "1")
	old := a.openedAgain(1)
	old.confirm(b)
	a.write("tokens", "k", "2") // the first process is still there
	b.sync(a)
	_, _, _, err := old.e.Serve(b.asks(old))
	require.ErrorIs(t, err, ErrLogRegressed)
	require.Equal(t, err, old.e.Err())
	_, err = old.e.Begin(old.now, "tokens", "k")
	require.ErrorIs(t, err, ErrLogRegressed)
}

// A request may be late, and its sender have lost since what it says it has.
func TestARequestOfAnEarlierProcessIsNoEvidence(t *testing.T) {
	all := newMembers(t, 2)
	a, b := all[0], all[1]
	a.write("tokens", "k", "1")
	b.sync(a)
	late := b.asks(a)
	a, b = a.openedAgain(0), b.openedAgain(0)
	for range 2 {
		a.confirm(b)
		b.confirm(a)
	}
	require.Equal(t, Confirmed, a.e.Identity().Standing)
	serve := func() {
		_, ok, _, err := a.e.Serve(late)
		require.NoError(t, err)
		require.False(t, ok)
	}
	serve()
	a.confirm(b)
	require.NoError(t, a.e.Err())
	a.write("tokens", "k", "2") // another first entry
	serve()
	a.confirm(b)
	require.NoError(t, a.e.Err())
	b.sync(a)
	require.Equal(t, "2;", b.read("tokens", "k"))

	b3 := b.openedAgain(1) // if the member stands by it, that is another matter
	copied := a.openedAgain(0)
	copied.e.BeginAfresh("x")
	require.Equal(t, Fresh, copied.e.Identity().Standing)
	gone := a.openedAgain(1)
	for range 2 {
		gone.confirm(b3)
		b3.confirm(gone)
	}
	b4 := b3.openedAgain(1)
	deliver(t, b4.e, a.bodyOf(t, "3"))
	b4.commit()
	_, ok, _, err := gone.e.Serve(b4.asks(gone))
	require.NoError(t, err)
	require.False(t, ok)
	require.NoError(t, gone.e.Err())
	gone.confirm(b4)
	require.ErrorIs(t, gone.e.Err(), ErrLogRegressed)
	require.Empty(t, gone.ask(b4), "it has been asked")
}

// bodyOf writes a token and returns the entry as it travels.
func (h *host) bodyOf(t *testing.T, token string) (body []byte) {
	h.write("tokens", "k", token)
	require.NoError(t, Entries(h.frames[len(h.frames)-1], func(_ Entry, b []byte) error {
		body = slices.Clone(b)
		return nil
	}))
	return body
}

func TestALogWithAnIdentityOfAnotherRegionOrBehindItsEntriesIsRefused(t *testing.T) {
	a := newHost(t, "a").openAll()
	a.write("tokens", "k", "1")
	for _, o := range []fieldwise.Origin{originOf("b"), originOf("a")} {
		r := New(Config{Origin: originOf("a")})
		require.NoError(t, r.Recover(framePos(0), a.frames[0]))
		require.ErrorIs(t, r.Recover(framePos(1), appendEntryPart(nil, partIdentity, AppendIdentity(nil, o))), fieldwise.ErrMalformed)
	}
}

func TestAPeerUnderTheSameNameGetsNoAnswer(t *testing.T) {
	a := newHost(t, "a")
	_, err := a.e.Answer(Question{Origin: originOf("a")})
	require.ErrorContains(t, err, "give each region a name of its own")
}

// What a receipt says of a write of before may still come back.
func TestAReceiptOfALostWriteIsNotReplacedWhileItMayComeBack(t *testing.T) {
	all := newMembers(t, 2)
	a, b := all[0], all[1]
	r := a.write("tokens", "k", "1")
	b.sync(a)
	a = a.openedAgain(0)
	has, err := a.e.Has(r)
	require.NoError(t, err)
	require.False(t, has)
	a.sync(b)
	has, err = a.e.Has(r)
	require.NoError(t, err)
	require.True(t, has)
}

func TestAClockThatWasFarAheadIsNotInherited(t *testing.T) {
	all := newMembers(t, 2)
	a, b := all[0], all[1]
	a.now = start.Add(72 * 365 * 24 * time.Hour)
	a.write("notes", "k", "2099")
	a.now = start
	again := a.openedAgain(1)
	id := again.e.Identity()
	require.Equal(t, Fresh, id.Standing)
	require.Contains(t, id.Why, "a#7 has signed at 2098-12-28")
	r := again.write("notes", "k", "now")
	require.Equal(t, fieldwise.NewTimestamp(start), r.Time)
	b.sync(again)
	require.Equal(t, "now", b.read("notes", "k"), "it knew of the other")
	require.Equal(t, Waiting, again.openedAgain(len(again.frames)).e.Identity().Standing, "once is enough")

	// Nor is one that others share a mistake, nor one that is a little ahead.
	b.now = start.Add(72 * 365 * 24 * time.Hour)
	b.write("notes", "j", "b")
	a.sync(b)
	require.Equal(t, Waiting, a.openedAgain(len(a.frames)).e.Identity().Standing)
	c := newMembers(t, 2)[0]
	c.now = start.Add(fieldwise.DefaultMaxSkew)
	last := c.write("notes", "k", "soon")
	c.now = start
	c = c.openedAgain(1)
	require.Equal(t, Waiting, c.e.Identity().Standing)
	c.e.BeginAfresh("x")
	require.Greater(t, c.write("notes", "k", "next").Time, last.Time)
}
