package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
)

// forgets makes the entries of an origin up to a number ones that the log does not hold.
func (h *host) forgets(region fieldwise.Region, seq fieldwise.Seq) {
	h.e.Forget(fieldwise.Vector{originOf(region): seq})
}

func TestAPeerThatLacksWhatTheLogNoLongerHoldsIsBehind(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b").openAll()
	for _, token := range []string{"1", "2", "3", "4"} {
		a.write("tokens", "k", token)
		if token == "2" {
			b.sync(a)
		}
	}
	old := b.asks(a)
	old.Vector[originOf("a")], old.Chains = 1, nil
	a.forgets("a", 2)
	requireVector(t, a.e, "a#7:4")
	require.Equal(t, "1;2;3;4;", a.read("tokens", "k"), "the states are what they were")
	_, _, advanced, err := a.e.Serve(old)
	require.ErrorIs(t, err, ErrBehind)
	require.ErrorContains(t, err, "b has a#7 up to 1, here they begin behind 2")
	require.True(t, advanced, "it acknowledges what it has")

	old.Stopped = []fieldwise.Origin{originOf("a")}
	_, ok, _, err := a.e.Serve(old)
	require.NoError(t, err, "what it stopped is not sent anyway")
	require.False(t, ok)

	b.sync(a)
	requireVector(t, b.e, "a#7:4")
	require.Equal(t, "1;2;3;4;", b.read("tokens", "k"), "what stands right behind the base comes as ever")
	a.forgets("a", 1)
	require.EqualValues(t, 2, a.e.index[originOf("a")].base.seq, "a base only rises")
	a.forgets("a", 9)
	require.EqualValues(t, 4, a.e.index[originOf("a")].base.seq, "and not above what is here")
	a.write("tokens", "k", "5")
	b.sync(a)
	require.Equal(t, a.e.index[originOf("a")].end, b.e.index[originOf("a")].end)
	a.forgets("z", 9)
	requireVector(t, a.e, "a#7:5")
}

func TestWhatIsInFrontOfABaseIsUnknownNotDifferent(t *testing.T) {
	a, twin, b, c := twins(t) // a and b hold 1, 2, and the others 1, 3
	b.write("tokens", "k", "b1")
	for _, token := range []string{"4", "5"} {
		a.write("tokens", "k", token)
		b.sync(a)
		twin.write("tokens", "k", token)
		c.sync(twin)
	}
	request := c.asks(b)
	_, _, _, err := b.e.Serve(request)
	require.ErrorIs(t, err, ErrForked)
	for _, base := range []fieldwise.Seq{3, 4} {
		b.forgets("a", base)
		_, _, _, err = b.e.Serve(request)
		require.ErrorIs(t, err, ErrForked, "the chain at a base, and behind it, is known")
	}
	request.Vector[originOf("a")], request.Chains[originOf("a")] = 3, chainOf(c, originOf("a"), 3)
	_, _, _, err = b.e.Serve(request)
	require.ErrorIs(t, err, ErrBehind)
	require.True(t, b.e.same(originOf("a"), 3, body("a", 3, "tokens", "k", "x;")))
	require.True(t, b.e.same(originOf("a"), 4, body("a", 4, "tokens", "k", "x;")), "nobody knows what it stands on")
	_, known := b.e.chain(originOf("a"), 3)
	require.False(t, known)
	require.Zero(t, chainOf(b, originOf("a"), 0))

	// What comes again is passed over.
	_, err = b.e.Deliver(b.now, "a", bodies(body("a", 2, "tokens", "k", "x;")))
	require.NoError(t, err)
	require.EqualValues(t, 1, b.e.peer("a").received.Duplicates)
}

func TestReceiptsAndVersionsInFrontOfABase(t *testing.T) {
	a := newHost(t, "a").openAll()
	one, two := a.write("tokens", "k", "1"), a.write("tokens", "k", "2")
	a.forgets("a", 1)
	for _, r := range []fieldwise.Receipt{one, two} {
		has, err := a.e.Has(r)
		require.NoError(t, err)
		require.True(t, has)
	}
	_, ok := a.e.Find(one.Version())
	require.False(t, ok, "its entry is gone")
	_, ok = a.e.Find(two.Version())
	require.True(t, ok)
	one.Time++
	has, err := a.e.Has(one)
	require.NoError(t, err, "whether it is another cannot be known")
	require.True(t, has)
	two.Time++
	_, err = a.e.Has(two)
	require.ErrorIs(t, err, ErrReplaced)
}

func TestLagOfAPeerThatIsBehind(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b").openAll()
	for i, token := range []string{"1", "2", "3", "4"} {
		a.now = start.Add(time.Duration(i) * time.Second)
		a.write("tokens", "k", token)
		if i == 0 {
			b.sync(a)
		}
	}
	_, _, _, err := a.e.Serve(b.asks(a))
	require.NoError(t, err)
	now := start.Add(10 * time.Second)
	lag := func() Lag { return a.e.Stats(now).Peers[0].Lag[0] }
	before := lag()
	require.Equal(t, Lag{Origin: originOf("a"), Entries: 3, Bytes: before.Bytes, Age: 9 * time.Second}, before)
	a.forgets("a", 1)
	require.Equal(t, before, lag(), "it is not behind")
	a.forgets("a", 3)
	require.Equal(t, Lag{Origin: originOf("a"), Entries: 3, Bytes: a.e.bytes, Age: 8 * time.Second, Behind: true}, lag())
	require.EqualValues(t, 4, a.e.Stats(now).Entries, "all that there ever were")
}

// The clock goes on above what it knows only as the base of an origin.
func TestABaseKeepsTheHighestTimestamp(t *testing.T) {
	a := newHost(t, "a").openAll()
	late, err := a.e.Begin(a.now, "tokens", "late")
	require.NoError(t, err)
	first, _ := a.stage("tokens", "k", "1")
	_, _, err = a.e.Stage(late, "tokens", "late", []byte("2;"), "")
	require.NoError(t, err)
	a.commit()
	a.forgets("a", 2)
	require.Equal(t, first.Time, a.e.index[originOf("a")].base.time)
	a.now = start.Add(time.Hour)
	third := a.write("tokens", "k", "3")
	require.Equal(t, first.Time, a.e.index[originOf("a")].base.time)
	require.Equal(t, third.Time, a.e.index[originOf("a")].end.time)
}

func TestAMemberWithLessThanABaseConfirms(t *testing.T) {
	all := newMembers(t, 2)
	a, b := all[0], all[1]
	a.write("tokens", "k", "1")
	b.sync(a)
	a.write("tokens", "k", "2")
	a = a.openedAgain(2)
	a.forgets("a", 2)
	a.confirm(b)
	require.Equal(t, Confirmed, a.e.Identity().Standing)
	require.NoError(t, a.e.Err())
}
