package replog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/disk"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

func TestThreeRegionsInALineConverge(t *testing.T) {
	a, b, c := newNode(t, "a"), newNode(t, "b"), newNode(t, "c")
	ab, bc := connect(t, a, b), connect(t, b, c)
	r := a.write(t, a.notes, "k", note("first"))
	require.NoError(t, a.WaitReplicated(ctx, r, "a", "b"))
	require.NoError(t, c.WaitApplied(ctx, r))
	require.Equal(t, "first", values(t, c.notes, "k"))
	require.NoError(t, b.WaitReplicated(ctx, r, "c"), "who relays knows")

	ab.Cut()
	bc.Cut()
	for _, n := range []*node{a, b, c} {
		n.write(t, n.notes, "k", note(string(n.Region())))
		n.write(t, n.tokens, "k", token(string(n.Region())))
	}
	require.Equal(t, "a", values(t, a.notes, "k"))
	require.Equal(t, "c", values(t, c.notes, "k"))
	ab.Heal()
	bc.Heal()
	settle(t, a, b, c)
	require.Len(t, strings.Split(values(t, a.notes, "k"), "|"), 3)
	require.Equal(t, "a;b;c;", read(t, c.tokens, "k"))
	require.NoError(t, errors.Join(ab.Err(), bc.Err()))
}

func TestReportsHaveEqualIDsInAllRegionsAndKeepTheirPositions(t *testing.T) {
	a, b, c := newNode(t, "a"), newNode(t, "b"), newNode(t, "c")
	for i := range 5 {
		for _, n := range []*node{a, b, c} {
			n.write(t, n.notes, fmt.Sprint("k", i), note(fmt.Sprint(n.Region(), i)))
		}
	}
	connect(t, a, b)
	connect(t, b, c)
	settle(t, a, b, c)
	var all []map[fieldwise.ConflictID]bool
	for _, n := range []*node{a, b, c} {
		reports, ids := reportsOf(t, n.Replica, 0)
		require.Len(t, ids, 10)
		seen := map[fieldwise.ConflictID]bool{}
		for i, id := range ids {
			seen[id] = true
			require.True(t, strings.HasPrefix(reports[i], fmt.Sprintf("%d notes/k", i+1)), reports[i])
			rest, _ := reportsOf(t, n.Replica, uint64(i))
			require.Equal(t, reports[i:], rest, "from every position")
		}
		all = append(all, seen)
		end, _ := reportsOf(t, n.Replica, 10)
		require.Empty(t, end)
		end, _ = reportsOf(t, n.Replica, 1<<64-1)
		require.Empty(t, end)
		require.EqualValues(t, 10, n.Stats().Conflicts)

		again := n.reopened(t)
		same, _ := reportsOf(t, again.Replica, 0)
		require.Equal(t, reports, same)
		require.EqualValues(t, 10, again.Stats().Conflicts)
	}
	// Whatever the order in which they met, all but the newest sibling are hidden.
	for i := range all {
		require.Len(t, all[i], 10)
		require.Equal(t, all[0], all[i])
	}
}

func TestALinkCanBeCutHealedAndClosedInAnyState(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	l := connect(t, a, b)
	l.Heal()
	l.Cut()
	l.Cut()
	r := a.write(t, a.tokens, "k", token("while cut"))
	l.Heal()
	l.Heal()
	require.NoError(t, b.WaitApplied(ctx, r))
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 50 {
				l.Cut()
				l.Heal()
			}
		})
	}
	group.Go(func() {
		for i := range 50 {
			_, _ = a.tokens.Write(ctx, "k", token(fmt.Sprint(i)))
		}
	})
	group.Wait()
	settle(t, a, b)
	for range 3 {
		require.NoError(t, l.Close())
	}
	l.Heal()
	l.Cut()
	require.NoError(t, l.Err())
	r = a.write(t, a.tokens, "k", token("after"))
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, b.WaitApplied(short, r), context.DeadlineExceeded, "a closed link stays down")
	require.Empty(t, a.links)
	settle(t, a, b.linkedAgain(t, a))
}

func (n *node) linkedAgain(t *testing.T, to *node) *node { connect(t, n, to); return n }

func TestConnectRefuses(t *testing.T) {
	a, twin, b := newNode(t, "a"), newNode(t, "a"), newNode(t, "b")
	_, err := Connect(a.Replica, twin.Replica)
	require.ErrorContains(t, err, `both are region "a"; give each region a name of its own`)
	_, err = Connect(a.Replica, a.Replica)
	require.Error(t, err)
	require.NoError(t, b.Close())
	for _, pair := range [][2]*node{{a, b}, {b, a}} {
		_, err = Connect(pair[0].Replica, pair[1].Replica)
		require.ErrorIs(t, err, fieldwise.ErrClosed)
	}
	require.Empty(t, a.links)
}

func TestClosingOneSideTakesTheLinkDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := newNode(t, "a"), newNode(t, "b"), newNode(t, "c")
		ab := connect(t, a, b)
		connect(t, a, c)
		require.NoError(t, b.Close())
		ab.Heal()
		r := a.write(t, a.tokens, "k", token("1"))
		require.NoError(t, c.WaitApplied(ctx, r))
		b = nodeOn(t, "b", b.fs)
		connect(t, a, b)
		settle(t, a, b, c)
	})
}

func TestReplicasThatCloseAtOnceDoNotWaitForEachOther(t *testing.T) {
	for range 50 {
		nodes := []*node{newNode(t, "a"), newNode(t, "b"), newNode(t, "c")}
		links := []*Link{connect(t, nodes[0], nodes[1]), connect(t, nodes[1], nodes[2]), connect(t, nodes[2], nodes[0])}
		var group sync.WaitGroup
		for _, n := range nodes {
			group.Go(func() { _, _ = n.tokens.Write(ctx, "k", token("1")) })
			group.Go(func() { _ = n.Close() })
		}
		for _, l := range links {
			group.Go(func() { l.Cut(); l.Heal() })
		}
		group.Wait()
		for _, l := range links {
			require.NoError(t, l.Close())
		}
	}
}

func TestNothingIsShippedBeforeItIsDurableHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newNode(t, "a"), newNode(t, "b")
		connect(t, a, b)
		release := a.fs.hold()
		g := start(ctx, a.tokens, "k", token("1"))
		time.Sleep(time.Minute) //nolint:forbidigo // of the bubble's time: nothing comes however long one waits
		synctest.Wait()
		require.Empty(t, b.Vector())
		require.Zero(t, b.log.End()-b.log.Durable())
		require.Empty(t, read(t, a.tokens, "k"))
		release()
		r, err := g.wait()
		require.NoError(t, err)
		require.NoError(t, b.WaitApplied(ctx, r))
	})
}

func TestNothingIsAcknowledgedBeforeItIsDurableThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := newNode(t, "a"), newNode(t, "b"), newNode(t, "c")
		connect(t, a, b)
		connect(t, b, c)
		release := b.fs.hold()
		r := a.write(t, a.tokens, "k", token("1"))
		short, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		err := a.WaitReplicated(short, r, "b")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, fmt.Sprintf("wait until %v is in [b]", r))
		peers := a.Stats().Peers
		require.Len(t, peers, 1)
		require.Empty(t, peers[0].Acked)
		require.Len(t, peers[0].Lag, 1)
		lag := peers[0].Lag[0]
		require.EqualValues(t, 1, lag.Entries)
		require.Equal(t, a.Stats().Bytes, lag.Bytes)
		require.GreaterOrEqual(t, lag.Age, time.Hour)
		require.Empty(t, read(t, b.tokens, "k"), "nor is it shown")
		require.Empty(t, c.Vector(), "nor passed on")
		release()
		require.NoError(t, a.WaitReplicated(ctx, r, "b"))
		require.NoError(t, c.WaitApplied(ctx, r))
		synctest.Wait()
		require.Equal(t, a.Vector(), a.Stats().Peers[0].Acked)
		require.Empty(t, a.Stats().Peers[0].Lag)
	})
}

// Between the sync and the publishing an entry is in the log and not in the vector. It is
// not shipped: a peer that had it would look like one that holds what we lost.
func TestWhatIsDurableAndNotYetPublishedIsNotShipped(t *testing.T) {
	a := newNode(t, "a")
	a.write(t, a.tokens, "k", token("1"))
	a.mu.Lock()
	basis, err := a.engine.Begin(time.Now(), "tokens", "k")
	require.NoError(t, err)
	_, _, err = a.engine.Stage(basis, "tokens", "k", []byte("2;"), "")
	require.NoError(t, err)
	b := a.engine.TakeBatch()
	a.mu.Unlock()
	frame, err := a.log.Append(b.Payload)
	require.NoError(t, err)
	require.NoError(t, a.log.Sync())

	request := engine.New(engine.Config{Origin: fieldwise.Origin{Region: "b", Incarnation: 1}}).NextPull(time.Now(), "a")
	shipment, err := a.serve(ctx, request, nil, func() {})
	require.NoError(t, err)
	require.Len(t, shipment.Parts, 1)
	a.finish(b, int64(frame), nil)
	shipment, err = a.serve(ctx, request, nil, func() {})
	require.NoError(t, err)
	require.Len(t, shipment.Parts, 2)
}

func TestOtherMergersStopALink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newNode(t, "a")
		fs := newHookFS()
		b := opened(t, "b", fs)
		domain(t, b, "tokens", tokens2{})
		l, err := Connect(a.Replica, b)
		require.NoError(t, err)
		synctest.Wait()
		require.ErrorIs(t, l.Err(), fieldwise.ErrMergerMismatch)
		require.ErrorContains(t, l.Err(), `"tokens" is "tokens/1" here and "tokens/2" in b`)
		require.ErrorContains(t, l.Err(), `"tokens" is "tokens/2" here and "tokens/1" in a`)
		r := a.write(t, a.notes, "k", note("v"))
		time.Sleep(10 * time.Second) //nolint:forbidigo // of the bubble's time: ten tries
		require.Empty(t, b.Vector(), "the whole link waits, not one domain")
		// It heals when one side is opened under the other's merger: a domain keeps its
		// merger for as long as its replica is open.
		require.NoError(t, b.Close())
		again := nodeOn(t, "b", fs)
		l = connect(t, a, again)
		require.NoError(t, again.WaitApplied(ctx, r))
		synctest.Wait()
		require.NoError(t, l.Err())
	})
	t.Run("that are opened while the link is idle", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := newNode(t, "a"), newNode(t, "b")
			l := connect(t, a, b)
			synctest.Wait()
			domain(t, a.Replica, "more", tokenSet{})
			synctest.Wait()
			require.NoError(t, l.Err())
			domain(t, b.Replica, "more", tokens2{})
			synctest.Wait()
			require.ErrorIs(t, l.Err(), fieldwise.ErrMergerMismatch, "without waiting for the first entry")
		})
	})
	t.Run("that are opened while an answer is on its way", func(t *testing.T) {
		a, b := newNode(t, "a"), newNode(t, "b")
		other := domain(t, a.Replica, "more", tokens2{})
		_, err := other.Write(ctx, "k", token("1"))
		require.NoError(t, err)
		request := b.engine.NextPull(time.Now(), "a")
		shipment, err := a.serve(ctx, request, nil, func() {})
		require.NoError(t, err)
		require.Len(t, shipment.Parts, 1)
		domain(t, b.Replica, "more", tokenSet{})
		require.NoError(t, b.deliver(ctx, request, shipment), "the answer is dropped, and asked for again")
		require.Empty(t, b.Vector())
		_, err = a.serve(ctx, b.engine.NextPull(time.Now(), "a"), nil, func() {})
		require.ErrorIs(t, err, fieldwise.ErrMergerMismatch)
	})
}

func TestAPoisonedReceiverDoesNotStopOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := newNode(t, "a"), newNode(t, "b"), newNode(t, "c")
		ab := connect(t, a, b)
		ac := connect(t, a, c)
		rb := b.write(t, b.tokens, "k", token("b"))
		b.fs.syncing(func() error { return errEIO })
		r := a.write(t, a.tokens, "k", token("1"))
		require.NoError(t, c.WaitApplied(ctx, r))
		require.NoError(t, c.WaitApplied(ctx, rb), "what it had it still ships")
		time.Sleep(5 * time.Second) //nolint:forbidigo // of the bubble's time: a few tries
		synctest.Wait()
		require.ErrorIs(t, ab.Err(), ErrPoisoned)
		require.ErrorIs(t, b.Stats().Err, ErrPoisoned)
		require.NoError(t, ac.Err())
		require.NotContains(t, b.Vector(), a.Origin())
		b.fs.syncing(nil)
		b = b.reopened(t)
		connect(t, b, c) // it catches up through another region
		settle(t, a, b, c)
	})
}

func TestAFullDiskAtTheReceiverIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := newNode(t, "a"), newNode(t, "b"), newNode(t, "c")
		ab := connect(t, a, b)
		b.fs.writing(func() error { return errENOSPC })
		r := a.write(t, a.tokens, "k", token("1"))
		synctest.Wait()
		require.Error(t, ab.Err())
		began := time.Now()
		b.fs.writing(nil)
		require.NoError(t, b.WaitApplied(ctx, r))
		require.LessOrEqual(t, time.Since(began), 2*time.Second)
		synctest.Wait()
		require.NoError(t, ab.Err(), "the error goes with its cause, although nothing more is to be sent")

		// It came another way: the link has nothing to do any more, and nothing to complain of.
		connect(t, b, c)
		connect(t, a, c)
		b.fs.writing(func() error { return errENOSPC })
		r = a.write(t, a.tokens, "k", token("2"))
		synctest.Wait()
		require.Error(t, ab.Err())
		b.fs.writing(nil)
		require.NoError(t, b.WaitApplied(ctx, r))
		time.Sleep(5 * time.Second) //nolint:forbidigo // of the bubble's time
		synctest.Wait()
		require.NoError(t, ab.Err())
	})
}

// An idle link costs nothing: nobody asks again and again.
func TestAnIdleLinkIsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newNode(t, "a"), newNode(t, "b")
		connect(t, a, b)
		a.write(t, a.tokens, "k", token("1"))
		b.write(t, b.tokens, "k", token("2"))
		settle(t, a, b)
		synctest.Wait() // would not return if the pulls went round in circles
		before := a.changed
		time.Sleep(time.Hour) //nolint:forbidigo // of the bubble's time
		synctest.Wait()
		require.Equal(t, before, a.changed)
	})
}

// picky is tokens that one release cannot read.
type picky struct{ tokenSet }

func (picky) Merge(dst, a, b []byte) ([]byte, error) {
	if bytes.Contains(b, []byte("new")) {
		return nil, fmt.Errorf("%w: 77", fieldwise.ErrUnsupportedKind)
	}
	return tokenSet{}.Merge(dst, a, b)
}

func TestAnOriginThatCannotBeAppliedIsStoppedAndOthersFlowOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		a, b, c := newNode(t, "a"), newNode(t, "b"), newNode(t, "c")
		d, err := Open(ctx, Config{Region: "d", Dir: "data", fs: disk.NewMem(), Logger: hclog.New(&hclog.LoggerOptions{Output: &out})})
		require.NoError(t, err)
		defer d.Close()
		tokens := domain(t, d, "tokens", picky{})
		good := a.write(t, a.tokens, "k", token("a1"))
		a.write(t, a.tokens, "k", token("new"))
		a.write(t, a.tokens, "k", token("a3"))
		connect(t, a, b)
		settle(t, a, b)
		bd, err := Connect(b.Replica, d)
		require.NoError(t, err)
		defer bd.Close()
		connect(t, b, c)
		rb := b.write(t, b.tokens, "k", token("b1"))
		rc := c.write(t, c.tokens, "k", token("c1"))
		for _, r := range []fieldwise.Receipt{good, rb, rc} {
			require.NoError(t, d.WaitApplied(ctx, r))
		}
		synctest.Wait()
		require.Equal(t, "a1;b1;c1;", read(t, tokens, "k"))
		stopped := d.Stats().Stopped
		require.Len(t, stopped, 1)
		require.ErrorIs(t, stopped[a.Origin()], fieldwise.ErrUnsupportedKind)
		require.ErrorContains(t, stopped[a.Origin()], a.Origin().String()+" is stopped at entry 2")
		require.NoError(t, bd.Err(), "the link is well")
		require.EqualValues(t, 1, d.Vector()[a.Origin()], "the vector stays below it")
		require.Equal(t, 1, strings.Count(out.String(), "is stopped at entry"), out.String())
		for _, p := range b.Stats().Peers {
			if p.Region == "d" {
				require.Len(t, p.Lag, 1)
				require.EqualValues(t, 2, p.Lag[0].Entries, "who waits for the disk space sees it as lag")
			}
		}
	})
}

func TestARestoredDirectoryIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newNode(t, "a"), newNode(t, "b")
		a.write(t, a.tokens, "k", token("1"))
		backup := a.fs.FS.(*disk.Mem).CrashSoft()
		connect(t, a, b)
		r := a.write(t, a.tokens, "k", token("2"))
		require.NoError(t, b.WaitApplied(ctx, r))
		require.NoError(t, a.Close())
		restored := nodeOn(t, "a", &hookFS{FS: backup})
		l := connect(t, restored, b)
		synctest.Wait()
		require.ErrorIs(t, l.Err(), ErrLogRegressed)
		require.ErrorContains(t, l.Err(), "ends at 1 here, ")
		require.Equal(t, "1;2;", read(t, b.tokens, "k"))
	})
}

func TestATimestampFromTheFuture(t *testing.T) {
	var out bytes.Buffer
	a := newNode(t, "a")
	b, err := Open(ctx, Config{
		Region: "b", Dir: "data", fs: disk.NewMem(),
		Wall:   func() time.Time { return time.UnixMilli(1_600_000_000_000) },
		Logger: hclog.New(&hclog.LoggerOptions{Output: &out}),
	})
	require.NoError(t, err)
	defer b.Close()
	bt := domain(t, b, "tokens", tokenSet{})
	l, err := Connect(a.Replica, b)
	require.NoError(t, err)
	defer l.Close()
	r := a.write(t, a.tokens, "k", token("1"))
	require.NoError(t, b.WaitApplied(ctx, r))
	require.EqualValues(t, 1, b.Stats().Skewed)
	late, err := bt.Write(ctx, "k", token("2"))
	require.NoError(t, err)
	require.Equal(t, 2020, late.Time.Time().Year(), "the clock did not follow")
	l.Cut()
	require.Contains(t, out.String(), "timestamp from the future")
}

// larger is a merger of which the larger bytes win.
type larger struct{}

func (larger) Name() string { return "larger/1" }

func (larger) Merge(dst, a, b []byte) ([]byte, error) {
	if bytes.Compare(a, b) > 0 {
		return append(dst, a...), nil
	}
	return append(dst, b...), nil
}

func TestBigEntries(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	l := connect(t, a, b)
	da := domain(t, a.Replica, "large", larger{})
	domain(t, b.Replica, "large", larger{})
	bytesOf := func(c byte, n int) write {
		return func([]byte, []byte, fieldwise.Version) ([]byte, error) { return bytes.Repeat([]byte{c}, n), nil }
	}
	_, err := da.Write(ctx, "k", bytesOf('z', 1)) // all that is smaller leaves the state small
	require.NoError(t, err)
	_, err = da.Write(ctx, "k", bytesOf('a', engine.MaxEntry-100))
	require.NoError(t, err, "just under 4 MiB")
	var limit *fieldwise.LimitError
	_, err = da.Write(ctx, "k", bytesOf('a', engine.MaxEntry))
	require.ErrorAs(t, err, &limit)
	require.Equal(t, "bytes of an entry", limit.Limit)
	require.Equal(t, "k", limit.Key)
	_, err = da.Write(ctx, "big", bytesOf('a', DefaultMaxRecord+1))
	require.ErrorAs(t, err, &limit)
	require.Equal(t, "bytes of a record", limit.Limit)
	_, err = da.Write(ctx, "big", bytesOf('a', DefaultMaxRecord))
	require.NoError(t, err)
	for i := range 9 {
		_, err = da.Write(ctx, fmt.Sprint(i), bytesOf('a', 300<<10))
		require.NoError(t, err)
	}
	settle(t, a, b)
	l.Cut()
	want, err := a.Digest(ctx, "large")
	require.NoError(t, err)
	got, err := b.Digest(ctx, "large")
	require.NoError(t, err)
	require.Equal(t, want, got)

	// A request is answered by 1 MiB and what it takes to get over it.
	fresh := engine.New(engine.Config{Origin: fieldwise.Origin{Region: "x", Incarnation: 1}})
	rounds := 0
	for !fresh.Covers(a.Vector()) {
		shipment, err := a.serve(ctx, fresh.NextPull(time.Now(), "a"), nil, func() {})
		require.NoError(t, err)
		size := 0
		for _, part := range shipment.Parts[:len(shipment.Parts)-1] {
			size += len(part.Body)
		}
		require.Less(t, size, maxShip)
		_, err = fresh.Deliver(time.Now(), "a", shipment.Parts)
		require.NoError(t, err)
		rounds++
		fresh.Committed(fresh.TakeBatch(), int64(rounds))
	}
	require.Equal(t, 5, rounds)
}

// What many large writers stage while the disk is slow is more than a frame of the log
// can hold.
func TestManyLargeWritesBehindASlowDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("70 MiB through a disk that remembers every byte")
	}
	synctest.Test(t, func(t *testing.T) {
		a, b := newNode(t, "a"), newNode(t, "b")
		connect(t, a, b)
		da := domain(t, a.Replica, "large", larger{})
		domain(t, b.Replica, "large", larger{})
		big := bytes.Repeat([]byte("x"), DefaultMaxRecord)
		release := a.fs.hold()
		var all []*going
		for i := range 70 {
			all = append(all, start(ctx, da, fmt.Sprint(i), func([]byte, []byte, fieldwise.Version) ([]byte, error) { return big, nil }))
		}
		release()
		for _, g := range all {
			_, err := g.wait()
			require.NoError(t, err)
		}
		require.NoError(t, b.WaitVector(ctx, a.Vector()))
		want, err := a.Digest(ctx, "large")
		require.NoError(t, err)
		got, err := b.Digest(ctx, "large")
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func TestDomainsThatAreOpenedLater(t *testing.T) {
	a, b, c := newNode(t, "a"), newNode(t, "b"), opened(t, "c", newHookFS())
	a.write(t, a.notes, "k", note("a"))
	b.write(t, b.notes, "k", note("b"))
	connect(t, a, b)
	l, err := Connect(b.Replica, c)
	require.NoError(t, err)
	defer l.Close()
	settle(t, a, b)
	require.NoError(t, c.WaitVector(ctx, b.Vector()))
	for _, d := range c.Stats().Domains {
		require.Empty(t, d.Merger)
		require.Positive(t, d.Held)
	}
	n := &node{Replica: c, notes: domain(t, c, "notes", lwwMerger), tokens: domain(t, c, "tokens", tokenSet{})}
	settle(t, a, b, n)
	require.Equal(t, values(t, a.notes, "k"), values(t, n.notes, "k"))
	n.write(t, n.tokens, "k", token("x")) // behind the late reports
	want, _ := reportsOf(t, a.Replica, 0)
	got, _ := reportsOf(t, c, 0)
	require.Equal(t, want, got)
	require.Len(t, got, 1)
}

func TestStatsCountWhatIsThere(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	connect(t, a, b)
	for i := range 7 {
		a.write(t, a.tokens, fmt.Sprint(i%3), token(fmt.Sprint(i)))
		b.write(t, b.notes, "k", note(fmt.Sprint(i)))
	}
	settle(t, a, b)
	for _, n := range []*node{a, b} {
		s := n.Stats()
		require.Equal(t, n.Region(), s.Region)
		require.Equal(t, n.Origin(), s.Origin)
		require.Equal(t, n.Vector(), s.Vector)
		require.EqualValues(t, 14, s.Entries)
		var names []string
		for _, d := range s.Domains {
			names = append(names, fmt.Sprint(d.Name, " ", d.Merger, " ", d.Records))
		}
		require.Equal(t, []string{"notes register/1 1", "tokens tokens/1 3"}, names)
		s.Vector[n.Origin()] = 99
		require.False(t, maps.Equal(s.Vector, n.Vector()), "the caller's copy")
	}
	require.Equal(t, a.Stats().Bytes, b.Stats().Bytes)
}

// linkAll links each with each.
func linkAll(t *testing.T, nodes ...*node) map[[2]int]*Link {
	links := make(map[[2]int]*Link)
	for j := range nodes {
		for i := range j {
			links[[2]int{i, j}] = connect(t, nodes[i], nodes[j])
		}
	}
	return links
}

// peerStats is what a node says of a peer.
func peerStats(t *testing.T, n *node, region fieldwise.Region) PeerStats {
	t.Helper()
	for _, p := range n.Stats().Peers {
		if p.Region == region {
			return p
		}
	}
	t.Fatalf("%s knows nothing of %s", n.Region(), region)
	return PeerStats{}
}

func TestEachBodyCrossesALinkOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := []*node{newNode(t, "a"), newNode(t, "b"), newNode(t, "c"), newNode(t, "d")}
		linkAll(t, nodes...)
		synctest.Wait() // what is written before a link is there is relayed
		var writers sync.WaitGroup
		for _, n := range nodes {
			writers.Go(func() {
				for i := range 50 {
					_, _ = n.tokens.Write(ctx, "k", token(fmt.Sprint(n.Region(), i)))
				}
			})
		}
		writers.Wait()
		settle(t, nodes...)
		synctest.Wait()
		for _, n := range nodes {
			for _, peer := range nodes {
				if peer == n {
					continue
				}
				received, sent := peerStats(t, n, peer.Region()).Received, peerStats(t, peer, n.Region()).Sent
				require.Equal(t, Traffic{Entries: 50, Bytes: received.Bytes}, received, "%s from %s", n.Region(), peer.Region())
				require.Equal(t, received, sent)
			}
		}
	})
}

// A link that is up and over which nothing comes is one of a peer that hangs.
func TestALinkThatHangsHealsThroughAThirdRegion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := newNode(t, "a"), newNode(t, "b"), newNode(t, "c")
		connect(t, a, c)
		connect(t, b, c)
		b.setLinked("a", true)
		began := time.Now()
		r := a.write(t, a.tokens, "k", token("1"))
		require.NoError(t, b.WaitApplied(ctx, r))
		require.Equal(t, DefaultRelayAfter, time.Since(began))
		r = a.write(t, a.tokens, "k", token("2"))
		require.NoError(t, b.WaitApplied(ctx, r))
		require.Equal(t, DefaultRelayAfter, time.Since(began), "who relays goes on")
		require.EqualValues(t, 2, peerStats(t, b, "c").Received.Relayed)
		require.Zero(t, peerStats(t, b, "c").Received.Duplicates)
		require.Equal(t, peerStats(t, b, "c").Received, peerStats(t, c, "b").Sent)
	})
}

func TestALinkThatIsCutHealsThroughAThirdRegionAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := []*node{newNode(t, "a"), newNode(t, "b"), newNode(t, "c"), newNode(t, "d")}
		links := linkAll(t, nodes...)
		synctest.Wait()
		a, b := nodes[0], nodes[1]
		require.NoError(t, b.WaitApplied(ctx, a.write(t, a.tokens, "k", token("1"))))
		ab := links[[2]int{0, 1}]
		ab.Cut()
		began := time.Now()
		for i := range 5 {
			require.NoError(t, b.WaitApplied(ctx, a.write(t, a.tokens, "k", token(fmt.Sprint("cut", i)))))
		}
		require.Equal(t, began, time.Now())
		synctest.Wait()
		relayed := func() int64 {
			return peerStats(t, b, "c").Received.Relayed + peerStats(t, b, "d").Received.Relayed
		}
		require.EqualValues(t, 5, relayed(), "by one of them")
		ab.Heal()
		synctest.Wait()
		for i := range 5 {
			require.NoError(t, b.WaitApplied(ctx, a.write(t, a.tokens, "k", token(fmt.Sprint("up", i)))))
			synctest.Wait()
		}
		require.LessOrEqual(t, relayed(), int64(6), "one may be under way when the region sends again")
		require.Equal(t, began, time.Now())
	})
}

func TestRelayAfterIsConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := newNode(t, "a"), newNode(t, "c")
		r, err := Open(ctx, Config{Region: "b", Dir: "data", fs: disk.NewMem(), RelayAfter: time.Minute})
		require.NoError(t, err)
		defer r.Close()
		connect(t, a, c)
		l, err := Connect(r, c.Replica)
		require.NoError(t, err)
		defer l.Close()
		r.setLinked("a", true)
		began := time.Now()
		require.NoError(t, r.WaitApplied(ctx, a.write(t, a.tokens, "k", token("1"))))
		require.Equal(t, time.Minute, time.Since(began))
	})
	require.ErrorContains(t, (&Config{Region: "a", Dir: "x", RelayAfter: -1}).Validate(), "Config.RelayAfter is -1ns; it cannot be negative")
}
