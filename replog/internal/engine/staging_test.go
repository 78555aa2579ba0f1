package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/lww"
	"github.com/fieldwise/fieldwise/regionpriority"
)

func TestReadsSeeCommittedStatesAndWritesSeeStagedOnes(t *testing.T) {
	h := newHost(t, "a").openAll()
	h.write("tokens", "k", "1")
	h.stage("tokens", "k", "2")
	require.Equal(t, "1;", h.read("tokens", "k"))
	require.Equal(t, "1;2;", h.seen("tokens", "k"))
	require.Empty(t, h.e.Keys("tokens", "z"))
	h.stage("tokens", "z", "1")
	require.Empty(t, h.e.Keys("tokens", "z"), "a staged record is not listed")

	b := h.e.TakeBatch()
	require.Equal(t, "1;", h.read("tokens", "k"), "a batch that is being written is not committed")
	require.Equal(t, "1;2;", h.seen("tokens", "k"))
	requireVector(t, h.e, "a#7:1")
	h.committed(b)
	require.Equal(t, "1;2;", h.read("tokens", "k"))
	require.Equal(t, []string{"z"}, h.e.Keys("tokens", "z"))
	requireVector(t, h.e, "a#7:3")
}

func TestTwoWritesOfOneKeyInOneBatch(t *testing.T) {
	h := newHost(t, "a").openAll()
	first, b1 := h.stage("notes", "k", "one")
	second, b2 := h.stage("notes", "k", "two")
	require.Equal(t, b1, b2)
	require.Equal(t, first.Seq+1, second.Seq)
	h.commit()
	require.Equal(t, "two", h.read("notes", "k"), "the second knew of the first")
	require.Len(t, h.frames, 1)
	require.Empty(t, h.e.domains["notes"].staged, "nothing stays staged")
	require.Equal(t, "two", reopenedWithAll(h).read("notes", "k"))
}

func TestABatchIsStagedWhileTheOneBeforeIsWritten(t *testing.T) {
	h := newHost(t, "a").openAll()
	_, n1 := h.stage("tokens", "k", "1")
	b1 := h.e.TakeBatch()
	_, n2 := h.stage("tokens", "k", "2")
	require.Equal(t, n1+1, n2)
	b2 := h.e.TakeBatch()
	_, n3 := h.stage("tokens", "k", "3")
	require.Equal(t, n2+1, n3)
	require.Nil(t, New(Config{Origin: originOf("x")}).TakeBatch())

	basis, err := h.e.Begin(h.now, "tokens", "k")
	require.NoError(t, err)
	require.Equal(t, "1;2;3;", string(basis.State.Bytes))
	require.Equal(t, n3, basis.Batch, "a result that writes nothing waits for the last batch it saw")

	h.committed(b1)
	require.Equal(t, "1;", h.read("tokens", "k"))
	require.Equal(t, "1;2;3;", h.seen("tokens", "k"))
	h.committed(b2)
	require.Equal(t, "1;2;", h.read("tokens", "k"))
	require.Equal(t, "1;2;3;", h.seen("tokens", "k"))
	h.commit()
	require.Equal(t, "1;2;3;", h.read("tokens", "k"))
	basis, err = h.e.Begin(h.now, "tokens", "k")
	require.NoError(t, err)
	require.Zero(t, basis.Batch, "all of it is durable")
}

func TestBatchesCommitInTheOrderInWhichTheyWereTaken(t *testing.T) {
	h := newHost(t, "a").openAll()
	h.stage("tokens", "k", "1")
	h.e.TakeBatch()
	h.stage("tokens", "k", "2")
	second := h.e.TakeBatch()
	require.Panics(t, func() { h.e.Committed(second, 1) })
}

func TestAFailureThrowsAwayAllThatIsStagedBehindIt(t *testing.T) {
	h := newHost(t, "a").openAll()
	h.write("tokens", "k", "0")
	lost, n1 := h.stage("tokens", "k", "1")
	h.e.TakeBatch()
	_, n2 := h.stage("tokens", "k", "2")
	h.e.TakeBatch()
	_, n3 := h.stage("tokens", "k", "3")
	waiting, err := h.e.Begin(h.now, "tokens", "k")
	require.NoError(t, err)
	generation := h.e.Generation()

	require.Equal(t, []uint64{n1, n2, n3}, h.e.Failed())
	require.Equal(t, generation+1, h.e.Generation())
	require.Equal(t, "0;", h.seen("tokens", "k"))
	require.Nil(t, h.e.TakeBatch())
	_, _, err = h.e.Stage(waiting, "tokens", "k", []byte("4;"), "")
	require.ErrorIs(t, err, ErrRestaged, "it was made on a state that no longer is")
	require.Nil(t, h.e.TakeBatch(), "and nothing of it is staged")

	again, batch := h.stage("tokens", "k", "5")
	require.Equal(t, lost.Seq, again.Seq, "the number is given again")
	require.NotContains(t, []uint64{n1, n2, n3}, batch, "a batch number is not")
	require.Greater(t, again.Time, lost.Time)
	h.commit()
	require.Equal(t, "0;5;", h.read("tokens", "k"))
	requireVector(t, h.e, "a#7:2")
	_, err = h.e.Has(lost)
	require.ErrorIs(t, err, ErrReplaced)
	ok, err := h.e.Has(again)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "0;5;", reopenedWithAll(h).read("tokens", "k"))
}

// What failed and is not staged can never become durable, whether or not its number was
// given to another yet: who waits for it must not wait for ever.
func TestAFailedWriteIsKnownToHaveFailedAtOnce(t *testing.T) {
	h := newHost(t, "a").openAll()
	h.write("tokens", "k", "0")
	lost, _ := h.stage("tokens", "k", "1")
	ok, err := h.e.Has(lost)
	require.NoError(t, err)
	require.False(t, ok, "it is staged: nobody knows yet")
	h.e.Failed()
	_, err = h.e.Has(lost)
	require.ErrorIs(t, err, ErrReplaced)
	_, err = h.reopened().e.Has(lost)
	require.ErrorIs(t, err, ErrReplaced, "nor is it known after reopening")

	poisoned := h.reopened()
	poisoned.openAll()
	lost, _ = poisoned.stage("tokens", "k", "1")
	poisoned.e.LogFailed()
	poisoned.e.Failed()
	ok, err = poisoned.e.Has(lost)
	require.NoError(t, err, "after a sync that failed nobody knows before the log is read again")
	require.False(t, ok)

	elsewhere := fieldwise.Receipt{Origin: originOf("b"), Seq: 9, Time: 1}
	ok, err = h.e.Has(elsewhere)
	require.NoError(t, err, "what another region wrote may still come")
	require.False(t, ok)
}

func TestAFailureThrowsAwayEntriesOfPeersWhichThenComeAgain(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b").openAll()
	a.write("notes", "k", "a1")
	b.write("notes", "k", "b1")
	b.pull(a)
	b.stage("tokens", "x", "1")
	b.e.Failed()
	requireVector(t, b.e, "b#7:1")
	require.Equal(t, "b1", b.read("notes", "k"))
	require.NotContains(t, b.asks(a).Vector, originOf("a"))
	b.sync(a)
	require.Equal(t, "a1|b1", b.read("notes", "k"))
	require.Equal(t, []string{"k: a1 < b1"}, b.reports(), "and the conflict is reported once")
}

func TestHas(t *testing.T) {
	h := newHost(t, "a").openAll()
	ok, err := h.e.Has(fieldwise.Receipt{})
	require.NoError(t, err)
	require.True(t, ok, "the zero receipt is durable")
	r, _ := h.stage("tokens", "k", "1")
	ok, err = h.e.Has(r)
	require.NoError(t, err)
	require.False(t, ok, "staged is not durable")
	h.commit()
	ok, err = h.e.Has(r)
	require.NoError(t, err)
	require.True(t, ok)
	other := r
	other.Time++
	_, err = h.e.Has(other)
	require.ErrorIs(t, err, ErrReplaced)
	require.ErrorContains(t, err, r.Origin.String()+"/1")
}

func TestLimitsOfAWriteAreCheckedBeforeAnythingIsStaged(t *testing.T) {
	h := newHost(t, "a")
	h.cfg.MaxRecord = 10
	h.e = New(h.cfg)
	h.openAll()
	begin := func(key string) error {
		_, err := h.e.Begin(h.now, "tokens", key)
		return err
	}
	require.ErrorIs(t, begin(strings.Repeat("k", MaxKey+1)), fieldwise.ErrLimit)
	require.NoError(t, begin(strings.Repeat("k", MaxKey)))
	require.Error(t, begin(""))
	require.Error(t, begin("\xff"))

	stage := func(delta, note string) error {
		basis, err := h.e.Begin(h.now, "tokens", "k")
		require.NoError(t, err)
		_, _, err = h.e.Stage(basis, "tokens", "k", []byte(delta), note)
		return err
	}
	var limit *fieldwise.LimitError
	require.ErrorAs(t, stage("12345678901;", ""), &limit)
	require.Equal(t, fieldwise.LimitError{Limit: "bytes of a record", Got: 12, Max: 10, Key: "k"}, *limit)
	require.ErrorAs(t, stage("1;", strings.Repeat("n", MaxNote+1)), &limit)
	require.Equal(t, MaxNote, limit.Max)
	require.Error(t, stage("1;", "\xff"))
	require.Error(t, stage("2;1;", ""), "a delta that the merger refuses")
	require.Nil(t, h.e.TakeBatch())
	require.NoError(t, stage("123456789;", strings.Repeat("n", MaxNote)))

	// A join took the record over the limit: it stays readable, and only a write that
	// does not make it larger is taken.
	_, err := h.e.Deliver(h.now, "p", bodies(body("b", 1, "tokens", "k", "abcdefgh;")))
	require.NoError(t, err)
	require.ErrorIs(t, stage("z;", ""), fieldwise.ErrLimit)
	require.NoError(t, stage("abcdefgh;", ""))
}

func TestAnEntryOverTheLimitIsRefusedAndStagesNothing(t *testing.T) {
	h := newHost(t, "a").openAll()
	h.cfg.MaxRecord = 2 * MaxEntry
	h.e = New(h.cfg)
	h.openAll()
	basis, err := h.e.Begin(h.now, "tokens", "k")
	require.NoError(t, err)
	_, _, err = h.e.Stage(basis, "tokens", "k", []byte(strings.Repeat("x", MaxEntry)+";"), "")
	require.ErrorIs(t, err, fieldwise.ErrLimit)
	require.Nil(t, h.e.TakeBatch())
	r, _ := h.stage("tokens", "k", "1")
	require.EqualValues(t, 1, r.Seq)
}

// A conflict is one only if the write did not know: what arrived after it began.
func TestAWriteReportsWhatArrivedAfterItBegan(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b").openAll()
	a.write("notes", "k", "a1")
	b.now = start.Add(time.Second)
	basis, err := b.e.Begin(b.now, "notes", "k")
	require.NoError(t, err)
	b.sync(a)
	_, _, err = b.e.Stage(basis, "notes", "k", deltaFor(t, "notes", basis, "b1"), "")
	require.NoError(t, err)
	b.commit()
	require.Equal(t, "a1|b1", b.read("notes", "k"))
	require.Equal(t, []string{"k: a1 < b1"}, b.reports())

	b.write("notes", "k", "b2")
	require.Equal(t, "b2", b.read("notes", "k"))
	require.Len(t, b.reports(), 1, "a write that knew of both is no conflict")
}

// A change that is made knowing less than the state it was shown, as under a token, leaves
// the rest beside its own value: it hides that although nothing arrived since it began.
func TestAWriteReportsWhatItLeavesBesideItsOwnValue(t *testing.T) {
	ranked, err := regionpriority.NewMerger("b", "a")
	require.NoError(t, err)
	for _, c := range []struct {
		merger fieldwise.Merger
		report string
	}{
		{lww.NewMerger(), "k: b1 < a2"},
		{ranked, "k: a2 < b1"}, // readers do not see what was just written
	} {
		a, b := newHost(t, "a"), newHost(t, "b")
		a.open("notes", c.merger)
		b.open("notes", c.merger)
		a.write("notes", "k", "a1")
		token, err := a.e.Begin(a.now, "notes", "k")
		require.NoError(t, err)
		b.sync(a)
		b.write("notes", "k", "b1") // knows of a1
		a.sync(b)

		basis, err := a.e.Begin(a.now, "notes", "k")
		require.NoError(t, err)
		_, _, err = a.e.Stage(basis, "notes", "k", deltaFor(t, "notes", Basis{State: token.State, At: basis.At}, "a2"), "")
		require.NoError(t, err)
		a.commit()
		require.Equal(t, "b1|a2", a.read("notes", "k"))
		require.Equal(t, []string{c.report}, a.reports())

		a.write("notes", "j", "a3")
		require.Len(t, a.reports(), 1, "it is reported once")
		a.write("notes", "k", "a4")
		require.Len(t, a.reports(), 1, "a write that knows of all hides nothing")
	}
}

func TestDeltasAndStatesAreNotShared(t *testing.T) {
	h := newHost(t, "a").openAll()
	basis, err := h.e.Begin(h.now, "tokens", "k")
	require.NoError(t, err)
	delta := []byte("1;")
	_, _, err = h.e.Stage(basis, "tokens", "k", delta, "")
	require.NoError(t, err)
	delta[0] = '9'
	in := body("b", 1, "tokens-held", "k", "1;")
	_, err = h.e.Deliver(h.now, "p", bodies(in))
	require.NoError(t, err)
	for i := range in {
		in[i] = 0xee
	}
	h.commit()
	h.open("tokens-held", tokenSet{})
	require.Equal(t, "1;", h.read("tokens", "k"))
	require.Equal(t, "1;", h.read("tokens-held", "k"))
}

// A batch is one frame of the log, and a frame has a limit: what is staged beyond it goes
// into the next one.
func TestWhatIsStagedIsSplitIntoBatchesThatTheLogCanTake(t *testing.T) {
	const logTakes = 64 << 20 // wal.DefaultMaxPayload
	h := newHost(t, "a")
	h.cfg.MaxRecord = 2 << 20
	h.e = New(h.cfg)
	h.openAll()
	big := strings.Repeat("x", 2<<20-1)
	keys := []string{}
	for i := range 40 {
		key := strings.Repeat("k", i+1)
		keys = append(keys, key)
		h.stage("tokens", key, big)
	}
	batches := 0
	for {
		b := h.e.TakeBatch()
		if b == nil {
			break
		}
		batches++
		require.Less(t, len(b.Payload), logTakes)
		h.frames = append(h.frames, b.Payload)
		h.e.Committed(b, framePos(len(h.frames)-1))
	}
	require.Greater(t, batches, 1)
	require.Equal(t, keys, h.e.Keys("tokens", ""))
	require.EqualValues(t, 40, h.e.Vector()[originOf("a")])
}

func reopenedWithAll(h *host) *host { return h.reopened().openAll() }

// What a process signed and never got into its log is not what the next one writes under the
// same number, also if both have the time from the log as their clocks are behind it.
func TestAReceiptOfAnEarlierProcessDoesNotNameAnotherWrite(t *testing.T) {
	a := newHost(t, "a").openAll()
	a.write("tokens", "k", "1")
	process := func(opening uint64) *host {
		a.cfg.Opening = opening
		h := reopenedWithAll(a)
		h.now = start.Add(-time.Hour)
		return h
	}
	killed, next := process(7), process(9)
	lost, _ := killed.stage("tokens", "k", "2")
	again := next.write("tokens", "k", "3")
	require.Equal(t, lost.Seq, again.Seq)
	_, err := next.e.Has(lost)
	require.ErrorIs(t, err, ErrReplaced)
	ok, err := next.e.Has(again)
	require.NoError(t, err)
	require.True(t, ok)
}
