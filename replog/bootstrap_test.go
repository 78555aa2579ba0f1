package replog

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
)

// joiner is a node that begins with a snapshot.
func joiner(t *testing.T, region fieldwise.Region, logger hclog.Logger) *node {
	n := &node{fs: newHookFS()}
	r, err := Open(ctx, Config{Region: region, Dir: "data", Bootstrap: true, Logger: logger, fs: n.fs})
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	n.Replica = r
	n.notes, n.tokens = domain(t, r, "notes", lwwMerger), domain(t, r, "tokens", tokenSet{})
	return n
}

// old are two regions that have written for a while.
func old(t *testing.T) (a, b *node) {
	a, b = newNode(t, "a"), newNode(t, "b")
	for i := range 50 {
		a.write(t, a.notes, fmt.Sprint("k", i%7), note(fmt.Sprint("a", i)))
		b.write(t, b.tokens, fmt.Sprint("k", i%7), token(fmt.Sprint("b", i)))
	}
	connect(t, a, b)
	settle(t, a, b)
	return a, b
}

func TestARegionThatBeginsTakesASnapshot(t *testing.T) {
	a, b := old(t)
	var out bytes.Buffer
	c := joiner(t, "c", hclog.New(&hclog.LoggerOptions{Output: &out}))
	own := c.write(t, c.notes, "k1", note("c"))
	ca, cb := connect(t, c, a), connect(t, c, b)
	settle(t, a, b, c)
	s := c.Stats()
	require.EqualValues(t, 1, s.Snapshots)
	require.EqualValues(t, 101, s.Entries)
	require.Equal(t, a.Stats().Bytes, s.Bytes)
	for _, p := range s.Peers {
		require.Zero(t, p.Received.Entries, "no entry came from %s", p.Region)
	}
	require.Contains(t, values(t, c.notes, "k1"), "c", "what only it had is there")
	require.NoError(t, a.WaitApplied(ctx, own))
	require.EqualValues(t, 1, s.Conflicts)

	last := a.write(t, a.notes, "k2", note("later"))
	require.NoError(t, a.WaitReplicated(ctx, last, "b", "c"))
	entries := 0
	for e, err := range c.Entries(ctx) {
		require.NoError(t, err)
		require.Contains(t, []fieldwise.Receipt{own, last}, e.Receipt())
		entries++
	}
	require.Equal(t, 2, entries)
	require.NoError(t, ca.Err())
	require.NoError(t, cb.Err())
	require.NoError(t, c.Close())
	require.Contains(t, out.String(), "took a snapshot of the states of a peer: region=c")

	again := nodeOn(t, "c", c.fs)
	settle(t, a, b, again)
	require.Zero(t, again.Stats().Snapshots)
}

func TestAPeerThatIsBehindTakesASnapshotIfNobodyBringsWhatItLacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := old(t)
		c := joiner(t, "c", nil)
		connect(t, c, a)
		settle(t, a, b, c)

		// It has something, and somebody who has the rest.
		d := newNode(t, "d")
		connect(t, d, b)
		connect(t, d, a)
		require.NoError(t, d.WaitVector(ctx, a.Vector()))
		dc := connect(t, d, c)
		settle(t, a, b, c, d)
		require.Zero(t, d.Stats().Snapshots)
		require.NoError(t, dc.Err())

		// It lacks something that nobody brings, and goes on with what it has.
		e := newNode(t, "e")
		eb := connect(t, e, b)
		settle(t, b, e)
		eb.Cut()
		eb.Close()
		a.write(t, a.notes, "k", note("more"))
		require.NoError(t, c.WaitVector(ctx, a.Vector()))
		f := joiner(t, "f", nil)
		connect(t, f, c)
		settle(t, c, f)
		e.write(t, e.notes, "e", note("e"))
		ef := connect(t, e, f)
		synctest.Wait()
		require.ErrorIs(t, ef.Err(), ErrBehind)
		e.write(t, e.notes, "e", note("e2"))
		settle(t, a, c, e, f)
		require.EqualValues(t, 1, e.Stats().Snapshots)
		time.Sleep(2 * retryAfter) //nolint:forbidigo // in synctest
		require.NoError(t, ef.Err())

		// One that has nothing takes it at once.
		g := newNode(t, "g")
		from := time.Now()
		connect(t, g, f)
		settle(t, f, g)
		require.Less(t, time.Since(from), retryAfter)
		for _, n := range []*node{a, b, c, d, e, f, g} {
			require.NoError(t, n.Close())
		}
	})
}

// A snapshot that is cut off on its way leaves nothing, and is taken again.
func TestASnapshotThatIsCutOff(t *testing.T) {
	a, b := old(t)
	c := joiner(t, "c", nil)
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, c.join(canceled, a.Replica), context.Canceled)
	c.fs.writing(func() error { return errENOSPC })
	require.Error(t, c.join(ctx, a.Replica))
	require.Empty(t, c.Vector())
	c.fs.writing(nil)
	connect(t, c, a)
	settle(t, a, b, c)
	require.EqualValues(t, 1, c.Stats().Snapshots)
}
