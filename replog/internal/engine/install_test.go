package engine

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
	"github.com/fieldwise/fieldwise/lww"
)

// snapshotFor is a snapshot of h for a peer's request, as it arrives there.
func (h *host) snapshotFor(p Pull) *Pieces {
	s, err := h.e.Snapshot(p)
	require.NoError(h.t, err)
	require.NotNil(h.t, s)
	return arrived(h.t, s)
}

func arrived(t require.TestingT, s *Snapshot) *Pieces {
	in := &Pieces{}
	for piece := s.Next(); piece != nil; piece = s.Next() {
		require.False(t, in.Complete())
		require.NoError(t, in.Add(bytes.Clone(piece)))
	}
	require.True(t, in.Complete())
	return in
}

// install stages a snapshot of a peer.
func (h *host) install(from *host) error {
	_, err := h.e.Install(h.now, from.cfg.Origin.Region, from.snapshotFor(h.asks(from)))
	return err
}

// takes installs a snapshot of a peer.
func (h *host) takes(from *host) {
	require.NoError(h.t, h.install(from))
	h.flush()
}

func (h *host) flush() {
	for b := h.e.TakeBatch(); b != nil; b = h.e.TakeBatch() {
		h.committed(b)
	}
}

// requireNothingStaged holds a refusal against what it may leave: nothing.
func (h *host) requireNothingStaged() {
	require.Nil(h.t, h.e.TakeBatch())
	require.Equal(h.t, h.e.vector, h.e.staged)
	require.Empty(h.t, h.e.chains)
}

func TestAnEmptyReplicaJoinsBySnapshot(t *testing.T) {
	a, b, c := newHost(t, "a").openAll(), newHost(t, "b").openAll(), newHost(t, "c").openAll()
	a.write("tokens", "k", "1")
	b.sync(a)
	b.write("notes", "n", "b1")
	b.write("tokens", "long", strings.Repeat("x", 3*pieceSize))
	a.sync(b)
	a.write("tokens", "k", "2")
	a.forgets("a", 2)
	_, _, _, err := a.e.Serve(c.asks(a))
	require.ErrorIs(t, err, ErrBehind)
	c.takes(a)
	require.Empty(t, a.e.snapshots)
	require.EqualValues(t, 1, c.e.Stats(c.now).Installed)
	for _, h := range []*host{c, reopenedWithAll(c)} {
		requireVector(t, h.e, a.e.Vector().String())
		require.Equal(t, "1;2;", h.read("tokens", "k"))
		require.Equal(t, "b1", h.read("notes", "n"))
		require.Equal(t, a.read("tokens", "long"), h.read("tokens", "long"))
		require.Equal(t, a.e.bytes, h.e.bytes)
		for o, theirs := range a.e.index {
			require.Equal(t, &history{base: theirs.end, end: theirs.end}, h.e.index[o])
		}
	}
	require.Empty(t, c.reports(), "it hides nothing that was here")

	// It goes on as others do.
	c.write("notes", "n", "c1")
	a.sync(c)
	a.write("tokens", "k", "3")
	c.sync(a)
	requireVector(t, c.e, a.e.Vector().String())
	require.Equal(t, "1;2;3;", c.read("tokens", "k"))
	require.Equal(t, "c1", a.read("notes", "n"))

	// And what it did not get as entries, others do not get from it.
	d := newHost(t, "d").openAll()
	_, _, _, err = c.e.Serve(d.asks(c))
	require.ErrorIs(t, err, ErrBehind)
	d.takes(c)
	requireVector(t, d.e, c.e.Vector().String())
	require.Equal(t, "1;2;3;", d.read("tokens", "k"))
	c.write("tokens", "k", "4")
	d.sync(c)
	require.Equal(t, "1;2;3;4;", d.read("tokens", "k"))
}

// A snapshot over local writes: what only this replica has stays, and is shipped.
func TestASnapshotIsJoinedWithWhatIsHere(t *testing.T) {
	a, b, d := newHost(t, "a").openAll(), newHost(t, "b").openAll(), newHost(t, "d").openAll()
	a.write("tokens", "g", "1")
	d.sync(a)
	a.now = start.Add(time.Second)
	local := d.write("notes", "f", "local")
	d.stage("notes", "e", "staged")
	a.write("notes", "e", "snap")
	a.write("notes", "f", "snap")
	a.forgets("a", 2)
	request := d.asks(a)
	require.NoError(t, d.install(a))
	require.Equal(t, "local", d.read("notes", "f"), "it is not durable yet")
	requireVector(t, d.e, "a#7:1 d#7:1")
	_, _, _, err := a.e.Serve(request)
	require.ErrorIs(t, err, ErrBehind)
	d.flush()
	requireVector(t, d.e, "a#7:3 d#7:2")
	for _, h := range []*host{d, reopenedWithAll(d)} {
		require.Equal(t, "local|snap", h.read("notes", "f"))
		require.Equal(t, "1;", h.read("tokens", "g"))
		require.Equal(t, "staged|snap", h.read("notes", "e"))
		require.Equal(t, []string{"e: staged < snap", "f: local < snap"}, h.reports())
		has, err := h.e.Has(local)
		require.NoError(t, err)
		require.True(t, has)
		require.EqualValues(t, 3, h.e.index[originOf("a")].base.seq)
		require.Zero(t, h.e.index[originOf("d")].base.seq, "its own entries are all there")
		require.Nil(t, h.e.TakeBatch(), "and nothing is reported again")
	}
	// What comes again counts once, and what follows comes as ever.
	a.write("tokens", "g", "2")
	_, err = d.e.Deliver(d.now, "a", a.answer(d.asks(a)))
	require.NoError(t, err)
	d.flush()
	require.Equal(t, "1;2;", d.read("tokens", "g"))
	b.takes(a)
	b.sync(d)
	require.Equal(t, "local|snap", b.read("notes", "f"), "its writes are shipped")
}

// Entries that were asked for before the snapshot came, and arrive behind it.
func TestWhatArrivesLateBehindASnapshotIsPassedOver(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b").openAll()
	a.write("tokens", "k", "1")
	a.write("tokens", "k", "2")
	late := a.answer(b.asks(a))
	for _, staged := range []bool{true, false} {
		require.NoError(t, b.install(a))
		if !staged {
			b.flush()
		}
		a.write("tokens", "k", "3")
		d, err := b.e.Deliver(b.now, "a", late)
		require.NoError(t, err)
		require.Equal(t, fieldwise.Vector{originOf("a"): 2}, d.Want)
	}
	requireVector(t, b.e, "a#7:3")
	require.Equal(t, "1;2;3;", b.read("tokens", "k"))
	b.sync(a)
	require.Equal(t, a.e.index[originOf("a")].end, b.e.index[originOf("a")].end, "chain and bytes too")
	require.Equal(t, "1;2;3;", reopenedWithAll(b).read("tokens", "k"))
}

// Whatever the log ends with, a snapshot is there whole or not at all.
func TestASnapshotIsInstalledWholeOrNotAtAll(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b").openAll()
	b.write("notes", "k1", "b")
	for i := range 20 {
		a.write("notes", fmt.Sprint("k", i), "a")
	}
	before := len(b.frames)
	s, err := a.e.Snapshot(b.asks(a))
	require.NoError(t, err)
	s.writer.full = 100
	in := arrived(t, s)
	b.e.cfg.BatchBytes = 300
	_, err = b.e.Install(b.now, "a", in)
	require.NoError(t, err)
	b.write("notes", "later", "b")
	b.flush()
	require.Equal(t, []string{"k1: b < a"}, b.reports())
	last := len(b.frames)
	require.Greater(t, last-before, 4, "it takes many batches")
	whole := 0
	for n := before; n <= last; n++ {
		cut := *b
		cut.frames = b.frames[:n]
		r := reopenedWithAll(&cut)
		if r.e.Vector()[originOf("a")] == 0 {
			require.Zero(t, whole)
			require.Equal(t, "b#7:1", r.e.Vector().String())
			require.Equal(t, "b", r.read("notes", "k1"))
			require.Empty(t, r.read("notes", "k0"))
			r.write("notes", "between", "b")
			r.takes(a) // again, behind what is left of it
			r = reopenedWithAll(r)
			require.Equal(t, "b", r.read("notes", "between"))
		} else {
			whole++
		}
		require.Equal(t, []string{"k1: b < a"}, r.reports(), "%d of %d frames", n, last)
		require.EqualValues(t, 20, r.e.Vector()[originOf("a")])
		for i := range 20 {
			require.Contains(t, r.read("notes", fmt.Sprint("k", i)), "a")
		}
	}
	require.Positive(t, whole)
}

// The reports of a snapshot that do not fit into one batch are made again if they were lost.
func TestManyReportsOfASnapshot(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b").openAll()
	for i := range 20 {
		a.write("notes", fmt.Sprint("k", i), "a")
		b.write("notes", fmt.Sprint("k", i), "b")
	}
	b.e.maxReports, b.e.cfg.BatchBytes = 500, 300
	before := len(b.frames)
	b.takes(a)
	want := slices.Sorted(slices.Values(b.reports()))
	require.Len(t, want, 20)
	whole := 0
	for n := before + 1; n <= len(b.frames); n++ {
		cut := *b
		cut.frames = b.frames[:n]
		r := reopenedWithAll(&cut)
		if r.e.Vector()[originOf("a")] == 0 {
			continue
		}
		whole++
		require.EqualValues(t, len(want), r.e.Vector()[originOf("a")])
		r.flush()
		require.Equal(t, want, slices.Sorted(slices.Values(r.reports())))
	}
	require.Greater(t, whole, 3)
}

func TestASnapshotWhoseBatchFailsLeavesNothing(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b").openAll()
	a.write("notes", "k", "a")
	b.write("notes", "k", "b")
	require.NoError(t, b.install(a))
	b.stage("tokens", "k", "1")
	require.NotNil(t, b.e.TakeBatch())
	b.e.Failed()
	b.requireNothingStaged()
	requireVector(t, b.e, "b#7:1")
	require.Zero(t, b.e.Stats(b.now).Installed)
	require.Equal(t, "b", b.read("notes", "k"))
	b.takes(a)
	require.Equal(t, "a|b", b.read("notes", "k"))
	require.Len(t, b.reports(), 1)
}

func TestASnapshotForADomainThatIsNotOpen(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b")
	b.open("tokens", tokenSet{})
	early := newHost(t, "c").openAll()
	early.write("notes", "k", "c")
	b.sync(early) // which is held
	a.write("notes", "k", "a")
	a.write("tokens", "k", "1")
	b.takes(a)
	require.Equal(t, "1;", b.read("tokens", "k"))
	require.Equal(t, 2, b.e.Stats(b.now).Domains[0].Held)

	// It passes on what it holds.
	d := newHost(t, "d").openAll()
	d.takes(b)
	require.ElementsMatch(t, []string{"a", "c"}, strings.Split(d.read("notes", "k"), "|"))

	for what, h := range map[string]*host{"the same process": b, "the next one": b.reopened()} {
		t.Run(what, func(t *testing.T) {
			require.ErrorIs(t, h.e.OpenDomain("notes", tokenSet{}), fieldwise.ErrMergerMismatch, "the log names the merger")
			h.open("notes", lww.NewMerger())
			require.ElementsMatch(t, []string{"a", "c"}, strings.Split(h.read("notes", "k"), "|"))
			h.flush()
			require.Len(t, h.reports(), 1)
		})
	}
}

func TestADomainIsOpenedWhileASnapshotIsOnItsWayToTheLog(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b")
	a.write("notes", "k", "a")
	require.NoError(t, b.install(a))
	require.ErrorIs(t, b.e.OpenDomain("notes", tokenSet{}), fieldwise.ErrMergerMismatch)
	b.open("notes", lww.NewMerger())
	require.Empty(t, b.read("notes", "k"))
	require.True(t, strings.HasSuffix(b.seen("notes", "k"), "a"), "the next write builds on it")
	b.flush()
	require.Equal(t, "a", b.read("notes", "k"))
	require.Equal(t, "a", reopenedWithAll(b).read("notes", "k"))
}

func TestASnapshotUnderAnotherMergerIsRefused(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b")
	a.write("tokens", "k", "1")
	request := b.asks(a)
	b.open("tokens", tokens2{})
	_, err := b.e.Install(b.now, "a", a.snapshotFor(request))
	require.ErrorIs(t, err, fieldwise.ErrMergerMismatch)
	require.ErrorContains(t, err, `"tokens" is "tokens/2" here and "tokens/1" in a snapshot`)
	b.requireNothingStaged()
	_, err = a.e.Snapshot(b.asks(a))
	require.ErrorIs(t, err, fieldwise.ErrMergerMismatch, "none is taken, either")
}

func TestASnapshotThatCannotBeMergedLeavesNothing(t *testing.T) {
	for what, merger := range map[string]fieldwise.Merger{"malformed": unable{tokenSet{}, fieldwise.ErrMalformed}, "of a newer release": unable{tokenSet{}, fieldwise.ErrUnsupportedKind}} {
		t.Run(what, func(t *testing.T) {
			a, b := newHost(t, "a").openAll(), newHost(t, "b")
			b.open("tokens", merger)
			a.write("tokens", "a", "1")
			a.write("tokens", "k", "bad")
			a.write("tokens", "z", "1")
			err := b.install(a)
			require.ErrorIs(t, err, merger.(unable).err)
			require.ErrorContains(t, err, `domain "tokens": state of "k" from a snapshot`)
			b.requireNothingStaged()
			require.NoError(t, b.e.Err(), "others flow on")
			require.Empty(t, b.read("tokens", "a"))
		})
	}
}

// unable is a merger that cannot take the token "bad".
type unable struct {
	fieldwise.Merger
	err error
}

func (m unable) Merge(dst, a, b []byte) ([]byte, error) {
	if m.err != nil && bytes.Contains(b, []byte("bad;")) {
		return nil, m.err
	}
	return m.Merger.Merge(dst, a, b)
}

func TestASnapshotHealsAnOriginThatIsStopped(t *testing.T) {
	a, b, c := newHost(t, "a").openAll(), newHost(t, "b"), newHost(t, "c").openAll()
	merger := &unable{tokenSet{}, fieldwise.ErrUnsupportedKind}
	b.open("tokens", merger)
	a.write("tokens", "k", "1")
	a.write("tokens", "k", "bad")
	a.write("tokens", "k", "3")
	b.sync(a)
	require.ErrorIs(t, b.e.stopped[originOf("a")], fieldwise.ErrUnsupportedKind)
	requireVector(t, b.e, "a#7:1")
	a.forgets("a", 3)
	_, ok, _, err := a.e.Serve(b.asks(a))
	require.NoError(t, err, "it needs no snapshot for what it has stopped")
	require.False(t, ok)
	require.ErrorIs(t, b.install(a), fieldwise.ErrUnsupportedKind)
	b.requireNothingStaged()
	require.ErrorIs(t, b.e.stopped[originOf("a")], fieldwise.ErrUnsupportedKind)

	// The release is a newer one now, but the process of the other has not ended.
	merger.err = nil
	c.takes(a)
	b.takes(c)
	require.Empty(t, b.e.stopped)
	requireVector(t, b.e, "a#7:3")
	a.write("tokens", "k", "4")
	b.sync(a)
	require.Equal(t, a.read("tokens", "k"), b.read("tokens", "k"))
}

func TestASnapshotOfAForkIsRefused(t *testing.T) {
	a, twin, b, c := twins(t)
	in := c.snapshotFor(newHost(t, "d").asks(c))
	_, err := b.e.Install(b.now, "c", in)
	require.ErrorIs(t, err, ErrForked)
	require.ErrorContains(t, err, "a#7, at or before 2, here and in a snapshot of c")
	require.NoError(t, b.e.Err(), "b is well")
	b.requireNothingStaged()

	_, err = a.e.Install(a.now, "c", in)
	require.ErrorIs(t, err, ErrForked)
	require.Equal(t, err, a.e.Err(), "the origin signs here")

	// Behind a base, a fork shows at its end.
	d := newHost(t, "d").openAll()
	d.takes(b)
	_, err = d.e.Install(d.now, "c", in)
	require.ErrorIs(t, err, ErrForked)
	_, _, _, err = b.e.Serve(twin.asks(b))
	require.ErrorIs(t, err, ErrForked)
	_, err = b.e.Snapshot(c.asks(b))
	require.ErrorIs(t, err, ErrForked, "none is taken, either")
}

func TestASnapshotThatHasMoreOfTheOriginThatSignsHere(t *testing.T) {
	all := newMembers(t, 2)
	a, b := all[0], all[1]
	a.write("tokens", "k", "1")
	a.write("tokens", "k", "2")
	b.sync(a)
	old := a.openedAgain(1)
	require.NoError(t, old.install(b))
	id := old.e.Identity()
	require.Equal(t, Fresh, id.Standing)
	require.Contains(t, id.Why, "a#7 ends at 1 here, a snapshot of b has it up to 2")
	mark := b.e.index[originOf("a")].end.time
	old.flush()
	require.Equal(t, mark, reopenedWithAll(old).e.identity.mark, "its clock goes on above all that it signed")
	old.write("tokens", "k", "3")
	require.Equal(t, "1;2;3;", old.read("tokens", "k"))
	require.EqualValues(t, 2, old.e.Vector()[originOf("a")])
	require.EqualValues(t, 1, old.e.Vector()[id.Origin])
	require.Equal(t, id.Origin, reopenedWithAll(old).e.Identity().Origin)

	confirmed := newHost(t, "a").openAll()
	confirmed.write("tokens", "k", "x")
	confirmed.write("tokens", "k", "y")
	in := b.snapshotFor(newHost(t, "c").asks(b))
	_, err := confirmed.e.Install(confirmed.now, "b", in)
	require.ErrorIs(t, err, ErrForked)
	lost := newHost(t, "a").openAll()
	_, err = lost.e.Install(lost.now, "b", in)
	require.ErrorIs(t, err, ErrLogRegressed)
	require.Equal(t, err, lost.e.Err())
}

func TestASnapshotFromTheFutureDoesNotMoveTheClock(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b").openAll()
	a.now = start.AddDate(72, 0, 0)
	a.write("tokens", "k", "1")
	in := a.snapshotFor(b.asks(a))
	d, err := b.e.Install(b.now, "a", in)
	require.NoError(t, err)
	require.Len(t, d.Alarms, 1)
	require.ErrorIs(t, d.Alarms[0], fieldwise.ErrClockSkew)
	b.flush()
	r := b.write("tokens", "k", "2")
	require.Equal(t, start, r.Time.Time())
	require.EqualValues(t, 1, b.e.Stats(b.now).Skewed)
}

func TestTheClockGoesOnAboveASnapshot(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b").openAll()
	a.now = start.Add(fieldwise.DefaultMaxSkew / 2)
	first := a.write("notes", "k", "a")
	b.takes(a)
	for _, h := range []*host{reopenedWithAll(b), b} {
		require.Greater(t, h.write("notes", "k", "b").Time, first.Time)
	}
}

func TestWhatIsNoWholeSnapshotIsNotInstalled(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b").openAll()
	a.write("tokens", "k", "1")
	s, err := a.e.Snapshot(b.asks(a))
	require.NoError(t, err)
	s.writer.full = 1
	in := &Pieces{}
	for range 3 {
		require.NoError(t, in.Add(s.Next()))
	}
	_, err = b.e.Install(b.now, "a", in)
	require.ErrorIs(t, err, fieldwise.ErrMalformed)
	for piece := s.Next(); piece != nil; piece = s.Next() {
		require.NoError(t, in.Add(piece))
	}
	_, err = b.e.Install(b.now, "c", in)
	require.ErrorIs(t, err, fieldwise.ErrMalformed, "it is of another region")
	b.requireNothingStaged()
	require.Error(t, in.Add([]byte{0xc4, 1, itemEnd}), "nothing follows the end")
	_, err = b.e.Install(b.now, "a", in)
	require.ErrorIs(t, err, fieldwise.ErrMalformed)
}

// A log that lost a piece in the middle is refused.
func TestALogWithoutAPieceIsRefused(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b").openAll()
	a.write("tokens", "k", strings.Repeat("x", 2*pieceSize))
	b.e.cfg.BatchBytes = 1
	b.takes(a)
	pieces := 0
	for i, payload := range b.frames {
		if payload[0] == 0xc6 && payload[5] == partPiece {
			pieces++
			cut := slices.Delete(slices.Clone(b.frames), i, i+1)
			e := New(b.cfg)
			var err error
			for j, payload := range cut {
				err = errors.Join(err, e.Recover(framePos(j), payload))
			}
			require.ErrorIs(t, err, fieldwise.ErrMalformed)
		}
	}
	require.Greater(t, pieces, 1)
}

// Whatever a log says is installed, only what is whole is.
func TestALogThatInstallsPartOfASnapshotIsRefused(t *testing.T) {
	w := pieceWriter{most: 1}
	w.begin("a")
	w.domain("tokens", "tokens/1")
	w.record("k", []byte("1;"))
	b := &Batch{}
	b.addPiece(0, w.piece)
	b.Payload = appendEntryPart(b.Payload, partInstalled, wire.AppendUint(wire.AppendUint(nil, 1), w.sum))
	require.ErrorIs(t, New(Config{Origin: originOf("b")}).Recover(1, b.Payload), fieldwise.ErrMalformed)
}

func TestNoSnapshotIsTakenForALateRequest(t *testing.T) {
	all := newMembers(t, 2)
	a, b := all[0], all[1]
	a.write("tokens", "k", "1")
	b.sync(a)
	late := b.asks(a)
	late.Vector[originOf("a")], late.Opening = 9, 12345
	s, err := a.e.Snapshot(late)
	require.NoError(t, err)
	require.Nil(t, s, "its sender is asked first")
	require.Empty(t, a.e.snapshots)
}
