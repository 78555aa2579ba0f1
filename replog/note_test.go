package replog

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/wire"
)

func requireNote(t testing.TB, want string, d *Domain, v fieldwise.Version) {
	t.Helper()
	got, err := d.Note(ctx, v)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestNoteContract(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	connect(t, a, b)
	ticket := a.writeNoted(t, a.tokens, "k", token("1"), "support ticket 7")
	silent := a.write(t, a.tokens, "k", token("2"))
	imported := b.writeNoted(t, b.notes, "k", note("v"), "import")
	settle(t, a, b)
	for _, n := range []*node{a, b, nil} {
		if n == nil {
			n = b.reopened(t)
		}
		requireNote(t, "support ticket 7", n.tokens, ticket.Version())
		requireNote(t, "", n.tokens, silent.Version())
		requireNote(t, "import", n.notes, imported.Version())

		requireNote(t, "", n.notes, ticket.Version()) // of another domain
		requireNote(t, "", n.tokens, imported.Version())
		requireNote(t, "", n.tokens, fieldwise.Version{})
		for _, unknown := range []fieldwise.Version{
			{Time: ticket.Time + 1<<40, Origin: a.Origin()},
			{Time: ticket.Time, Origin: b.Origin()},
			{Time: ticket.Time, Origin: fieldwise.Origin{Region: "c", Incarnation: 1}},
		} {
			requireNote(t, "", n.tokens, unknown)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err := a.tokens.Note(ended, ticket.Version())
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, a.Close())
	for _, v := range []fieldwise.Version{ticket.Version(), {}} {
		_, err = a.tokens.Note(ctx, v)
		require.ErrorIs(t, err, fieldwise.ErrClosed)
	}
}

func (n *node) writeNoted(t testing.TB, d *Domain, key string, c write, note string) fieldwise.Receipt {
	t.Helper()
	r, err := d.Write(WithNote(ctx, note), key, c)
	require.NoError(t, err)
	return r
}

func TestNoteIsOfDurableWritesInWhateverOrderTheyWereStaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, "a")
		leave := make(chan struct{})
		var early fieldwise.Version // it has its time, and is staged last
		slow := start(WithNote(ctx, "early"), n.tokens, "slow", func(dst, _ []byte, at fieldwise.Version) ([]byte, error) {
			early = at
			<-leave
			return append(dst, "1;"...), nil
		})
		var all []fieldwise.Receipt
		for i := range 5 {
			all = append(all, n.writeNoted(t, n.tokens, "k", token(fmt.Sprint(i)), fmt.Sprint("note ", i)))
		}
		release := n.fs.hold()
		close(leave)
		synctest.Wait()
		requireNote(t, "", n.tokens, early)
		release()
		r, err := slow.wait()
		require.NoError(t, err)
		require.Equal(t, early, r.Version())
		requireNote(t, "early", n.tokens, early)
		for i, r := range all {
			requireNote(t, fmt.Sprint("note ", i), n.tokens, r.Version())
		}
	})
}

func TestNotesAreReadBesideWrites(t *testing.T) {
	n := newNode(t, "a")
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			for i := range 50 {
				want := fmt.Sprint(w, " ", i)
				r, err := n.tokens.Write(WithNote(ctx, want), fmt.Sprint(i%3), token("1"))
				if !assert.NoError(t, err) {
					return
				}
				got, err := n.tokens.Note(ctx, r.Version())
				assert.NoError(t, err)
				assert.Equal(t, want, got)
			}
		})
	}
	group.Wait()
}

func TestReportsCarryTheNotesOfTheirWrites(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	first := a.writeNoted(t, a.notes, "k", note("a1"), "by asha")
	second := b.writeNoted(t, b.notes, "k", note("b1"), "by ben")
	require.Less(t, first.Version().Compare(second.Version()), 0)
	a.writeNoted(t, a.notes, "j", note("a2"), "only the loser has one")
	b.write(t, b.notes, "j", note("b2"))
	connect(t, a, b)
	settle(t, a, b)
	for _, n := range []*node{a, b, nil} {
		if n == nil {
			n = b.reopened(t)
		}
		notes := map[string]string{}
		for report, err := range n.Conflicts(ctx, 0) {
			require.NoError(t, err)
			notes[report.Key] = report.LoserNote + " < " + report.WinnerNote
			require.NotEmpty(t, report.Reason)
		}
		require.Equal(t, map[string]string{"k": "by asha < by ben", "j": "only the loser has one < "}, notes)
	}
	for report, err := range a.Conflicts(ctx, 2) {
		t.Fatalf("there are two: %v, %v", report, err)
	}
	var last error
	for _, err := range a.Conflicts(ctx, 0) {
		last = err
		require.NoError(t, a.Close())
	}
	require.ErrorIs(t, last, fieldwise.ErrClosed)
}

// computing is a policy that shows a value which nobody wrote.
type computing struct{}

func (computing) Name() string { return "computing" }

func (computing) Resolve([]fieldwise.Sibling) (fieldwise.Sibling, error) {
	return fieldwise.Sibling{Value: wire.AppendString(nil, "computed")}, nil
}

func TestAWinnerThatIsNoWriteHasNoNote(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	for _, n := range []*node{a, b} {
		d := domain(t, n.Replica, "computed", crdt.NewMVRegister(computing{}))
		n.writeNoted(t, d, "k", note(string(n.Region())), "by "+string(n.Region()))
	}
	connect(t, a, b)
	settle(t, a, b)
	var losers []string
	for report, err := range a.Conflicts(ctx, 0) {
		require.NoError(t, err)
		require.True(t, report.Winner.Version.IsZero())
		require.Empty(t, report.WinnerNote)
		losers = append(losers, report.LoserNote)
	}
	require.ElementsMatch(t, []string{"by a", "by b"}, losers)
}
