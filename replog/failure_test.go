package replog

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

func TestAFailedSyncPoisonsTheReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, "a")
		n.write(t, n.tokens, "k", token("1"))
		gate := make(chan struct{})
		n.fs.syncing(func() error { <-gate; return errEIO })
		inLog := start(ctx, n.tokens, "k", token("2"))
		behind := start(ctx, n.tokens, "k", token("3"))
		n.fs.syncing(nil) // the disk would work again: nobody may try
		syncs := n.fs.syncs.Load()
		close(gate)

		_, err := inLog.wait()
		require.ErrorIs(t, err, ErrPoisoned)
		require.ErrorIs(t, err, errEIO)
		var unknown *OutcomeError
		require.ErrorAs(t, err, &unknown, "the batch may be durable")
		require.EqualValues(t, 2, unknown.Receipt.Seq)
		_, err = behind.wait()
		require.ErrorIs(t, err, ErrPoisoned)
		require.NotErrorIs(t, err, ErrOutcomeUnknown, "this one never got to the log")

		for range 3 {
			_, err = n.tokens.Write(ctx, "x", func([]byte, []byte, fieldwise.Version) ([]byte, error) {
				t.Error("the change was made")
				return nil, nil
			})
			require.ErrorIs(t, err, ErrPoisoned)
		}
		require.ErrorIs(t, n.Stats().Err, ErrPoisoned)
		require.Equal(t, "1;", read(t, n.tokens, "k"), "reading goes on")
		entries := 0
		for _, err := range n.Entries(ctx) {
			require.NoError(t, err)
			entries++
		}
		require.Equal(t, 1, entries)
		require.ErrorIs(t, n.WaitApplied(ctx, unknown.Receipt), ErrPoisoned, "waiting for more is hopeless")
		domain(t, n.Replica, "late", tokenSet{})
		require.NoError(t, n.Close())
		require.Equal(t, syncs, n.fs.syncs.Load(), "a sync that failed is not tried again")

		again := nodeOn(t, "a", n.fs)
		require.NoError(t, again.Stats().Err)
		err = again.WaitApplied(ctx, unknown.Receipt)
		if got := read(t, again.tokens, "k"); err == nil {
			require.Equal(t, "1;2;", got)
		} else {
			require.ErrorIs(t, err, ErrReplaced)
			require.Equal(t, "1;", got)
		}
		again.write(t, again.tokens, "k", token("4"))
	})
}

func TestAFullDiskFailsWritesUntilThereIsRoom(t *testing.T) {
	n, peer := newNode(t, "a"), newNode(t, "b")
	n.write(t, n.tokens, "k", token("1"))
	n.fs.writing(func() error { return errENOSPC })
	for range 3 {
		_, err := n.tokens.Write(ctx, "k", token("2"))
		require.ErrorIs(t, err, ErrNoSpace)
		require.ErrorIs(t, err, errENOSPC)
		require.NotErrorIs(t, err, ErrOutcomeUnknown)
		require.Equal(t, "1;", read(t, n.tokens, "k"))
	}
	require.NoError(t, n.Stats().Err, "it is not poisoned")
	connect(t, n, peer)
	require.NoError(t, peer.WaitVector(ctx, n.Vector()), "shipping goes on")
	n.fs.writing(nil)
	r := n.write(t, n.tokens, "k", token("3"))
	require.EqualValues(t, 2, r.Seq, "the numbers of what failed are given again")
	require.Equal(t, "1;3;", read(t, n.tokens, "k"))
	settle(t, n, peer)
	require.Equal(t, "1;3;", read(t, n.reopened(t).tokens, "k"))
}

// A disk that is full must not keep the committer busy.
func TestAFullDiskIsNotTriedAgainWithoutNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newNode(t, "a"), newNode(t, "b")
		d := &node{Replica: opened(t, "d", newHookFS())}
		fs := d.cfg.fs.(*hookFS)
		a.write(t, a.notes, "k", note("a"))
		b.write(t, b.notes, "k", note("b"))
		connect(t, a, b)
		connect(t, b, d)
		require.NoError(t, d.WaitVector(ctx, b.Vector()))
		require.NoError(t, d.WaitVector(ctx, a.Vector()))
		var tries atomic.Int64
		fs.writing(func() error { tries.Add(1); return errENOSPC })
		notes := domain(t, d.Replica, "notes", lwwMerger)
		synctest.Wait()
		require.EqualValues(t, 1, tries.Load(), "the late report was tried once")
		reports, _ := reportsOf(t, d.Replica, 0)
		require.Empty(t, reports)
		fs.writing(nil)
		_, err := notes.Write(ctx, "x", note("x"))
		require.NoError(t, err)
		reports, _ = reportsOf(t, d.Replica, 0)
		require.Len(t, reports, 1, "and is not lost: it goes with the next batch")
	})
}

// life is a few operations on a disk: opening, writing, closing. It reports what was
// acknowledged, and what may or may not be there.
type life struct {
	acked   map[string]string // token by key
	unknown map[string]string
}

func (l *life) run(fs disk.FS) (err error) {
	r, err := Open(ctx, Config{Region: "a", Dir: "parent/data", fs: fs})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	s, err := r.Domain("tokens", tokenSet{})
	if err != nil {
		return err
	}
	for i := range 4 {
		key, value := fmt.Sprintf("k%d", i%2), fmt.Sprintf("w%d-%d", len(l.acked)+len(l.unknown), i)
		_, werr := s.Write(ctx, key, token(value))
		switch {
		case werr == nil:
			l.acked[value] = key
			if rerr := s.Read(ctx, key, func(state []byte) error { return mustHold(state, value) }); rerr != nil {
				return rerr
			}
		case errors.Is(werr, ErrOutcomeUnknown):
			l.unknown[value] = key
		}
		err = errors.Join(err, werr)
	}
	return err
}

func mustHold(state []byte, value string) error {
	set, err := tokenSet{}.Merge(nil, state, []byte(value+";"))
	if err == nil && string(set) != string(state) {
		err = fmt.Errorf("LOST: %s is not in %q", value, state)
	}
	return err
}

// check opens the disk, and finds all that was acknowledged and nothing that failed for
// certain.
func (l *life) check(t *testing.T, fs disk.FS, what string) {
	t.Helper()
	r, err := Open(ctx, Config{Region: "a", Dir: "parent/data", fs: fs})
	require.NoError(t, err, what)
	defer r.Close()
	d := domain(t, r, "tokens", tokenSet{})
	for value, key := range l.acked {
		require.NoError(t, d.Read(ctx, key, func(state []byte) error { return mustHold(state, value) }), what)
	}
	n := 0
	for key, err := range d.Keys(ctx, "") {
		require.NoError(t, err)
		require.NoError(t, d.Read(ctx, key, func(state []byte) error {
			n += bytes.Count(state, []byte(";"))
			return nil
		}))
	}
	require.GreaterOrEqual(t, n, len(l.acked), what)
	require.LessOrEqual(t, n, len(l.acked)+len(l.unknown), "%s: a write that failed for certain is there", what)
	require.EqualValues(t, n, r.Vector()[r.Origin()], what)
	_, err = d.Write(ctx, "after", token("x"))
	require.NoError(t, err, what)
}

func newLife() *life { return &life{acked: map[string]string{}, unknown: map[string]string{}} }

func TestEveryOperationOfTheDiskFailsOnce(t *testing.T) {
	cases := 0
	for _, how := range disk.Failures(1, 17, 40) {
		for n := 1; ; n++ {
			mem := disk.NewMem()
			l := newLife()
			require.NoError(t, l.run(mem), "a first life on a disk that works")
			fault := disk.NewFault(mem, uint64(n))
			fault.Fail(n, how)
			err := l.run(fault)
			op, hit := fault.Hit()
			what := fmt.Sprintf("%s at operation %d (%s)", how.Name, n, op)
			if err != nil {
				require.NotContains(t, err.Error(), "LOST", what)
			}
			if fault.Ops() < n {
				require.NoError(t, err, what)
				break
			}
			if !hit {
				continue // a failure of writes, and this was none
			}
			cases++
			l.check(t, mem, what)
		}
	}
	t.Logf("%d failures", cases)
	require.Greater(t, cases, 200)
}

// The power is cut before every operation, and the disk keeps, drops or garbles what was
// not synced.
func TestThePowerIsCutAtEveryOperation(t *testing.T) {
	rng := rand.New(rand.NewPCG(randtest.Seed(t), 0))
	cases := 0
	for n := 1; ; n++ {
		mem := disk.NewMem()
		l := newLife()
		fault := disk.NewFault(mem, 0)
		fault.StopAt(n)
		err := l.run(fault)
		if fault.Ops() < n {
			require.NoError(t, err)
			break
		}
		require.ErrorIs(t, err, disk.ErrStopped)
		// What was staged when the process died is nobody's to tell: any of it may be there.
		for i := range 12 {
			what := fmt.Sprintf("power cut at operation %d, outcome %d", n, i)
			crashed := mem.CrashRand(rng)
			l.check(t, crashed, what)
			cases++
		}
		soft := *l
		soft.check(t, mem.CrashSoft(), fmt.Sprintf("killed at operation %d", n))
	}
	t.Logf("%d power cuts", cases)
	require.Greater(t, cases, 100)
}
