package replog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/lww"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

var errMine = errors.New("mine")

func TestReadContract(t *testing.T) {
	n := newNode(t, "a")
	require.Empty(t, read(t, n.notes, "nobody"))
	n.write(t, n.tokens, "k", token("1"))
	require.Equal(t, "1;", read(t, n.tokens, "k"))
	err := n.tokens.Read(ctx, "k", func([]byte) error { return errMine })
	require.True(t, err == errMine, "an error of use is returned as it is, got %v", err)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, n.tokens.Read(ended, "k", func([]byte) error { return nil }), context.Canceled)
	require.Equal(t, "tokens", n.tokens.Name())
}

// What a reader was given stays as it is while it reads, whatever is written and read by
// others meanwhile.
func TestAStateThatIsBeingReadDoesNotChange(t *testing.T) {
	n := newNode(t, "a")
	n.write(t, n.tokens, "k", token("1"))
	require.NoError(t, n.tokens.Read(ctx, "k", func(state []byte) error {
		for i := range 50 { // the record is written over, and moves
			n.write(t, n.tokens, "k", token(strconv.Itoa(100+i)))
			n.write(t, n.tokens, "other", token(strconv.Itoa(100+i)))
			require.Equal(t, i+1, strings.Count(read(t, n.tokens, "other"), ";"))
			require.Equal(t, "1;", string(state))
		}
		return nil
	}))
	require.Equal(t, 51, strings.Count(read(t, n.tokens, "k"), ";"))
}

func TestWriteContract(t *testing.T) {
	n := newNode(t, "a")
	r, err := n.tokens.Write(ctx, "k", func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
		assert.Empty(t, state)
		assert.Equal(t, n.Origin(), at.Origin)
		return append(dst, "1;"...), nil
	})
	require.NoError(t, err)
	require.Equal(t, fieldwise.Seq(1), r.Seq)
	require.Equal(t, n.Origin(), r.Origin)

	r, err = n.tokens.Write(ctx, "k", func(dst, state []byte, _ fieldwise.Version) ([]byte, error) {
		assert.Equal(t, "1;", string(state))
		return dst, nil
	})
	require.NoError(t, err)
	require.True(t, r.IsZero(), "nothing was written")

	r, err = n.tokens.Write(ctx, "k", func([]byte, []byte, fieldwise.Version) ([]byte, error) { return []byte("2;"), errMine })
	require.True(t, err == errMine, "an error of change is returned as it is, got %#v", err)
	require.True(t, r.IsZero())

	_, err = n.tokens.Write(ctx, "k", func([]byte, []byte, fieldwise.Version) ([]byte, error) { return []byte("no end"), nil })
	require.ErrorContains(t, err, "delta of a write: tokens: not a set")
	_, err = n.tokens.Write(ctx, "", token("1"))
	require.Error(t, err)
	_, err = n.tokens.Write(ctx, strings.Repeat("k", 1025), token("1"))
	require.ErrorIs(t, err, fieldwise.ErrLimit)
	_, err = n.tokens.Write(WithNote(ctx, strings.Repeat("n", 257)), "k", token("1"))
	require.ErrorIs(t, err, fieldwise.ErrLimit)
	require.Equal(t, "1;", read(t, n.tokens, "k"))
	require.EqualValues(t, 1, n.Vector()[n.Origin()])
	require.Empty(t, n.keys.locks, "no key stays locked")
}

func TestKeysContract(t *testing.T) {
	n := newNode(t, "a")
	for _, key := range []string{"b", "ab", "a", "c"} {
		n.write(t, n.notes, key, note("v"))
	}
	n.write(t, n.notes, "c", func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
		return lww.NewMerger().Delete(dst, state, at)
	})
	list := func(c context.Context, prefix string, most int) (keys []string, last error) {
		for key, err := range n.notes.Keys(c, prefix) {
			if err != nil {
				return keys, err
			}
			if keys = append(keys, key); len(keys) == most {
				break
			}
		}
		return keys, nil
	}
	keys, err := list(ctx, "", -1)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "ab", "b"}, keys)
	keys, _ = list(ctx, "a", -1)
	require.Equal(t, []string{"a", "ab"}, keys)
	keys, _ = list(ctx, "", 1)
	require.Equal(t, []string{"a"}, keys)
	keys, _ = list(ctx, "z", -1)
	require.Empty(t, keys)

	ending, cancel := context.WithCancel(ctx)
	defer cancel()
	keys = nil
	for key, err := range n.notes.Keys(ending, "") {
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
			break
		}
		keys = append(keys, key)
		cancel()
	}
	require.Equal(t, []string{"a"}, keys)
	_, err = list(ending, "", -1)
	require.ErrorIs(t, err, context.Canceled)
}

func TestDigest(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	digest := func(n *node) [32]byte {
		sum, err := n.Digest(ctx, "tokens")
		require.NoError(t, err)
		return sum
	}
	require.Equal(t, digest(a), digest(b))
	a.write(t, a.tokens, "k", token("1"))
	require.NotEqual(t, digest(a), digest(b))
	b.write(t, b.tokens, "k", token("1"))
	require.Equal(t, digest(a), digest(b), "it is over keys and states alone")
	b.write(t, b.tokens, "k1", token("1"))
	a.write(t, a.tokens, "k", token("11"))
	require.NotEqual(t, digest(a), digest(b))

	_, err := a.Digest(ctx, "nowhere")
	require.ErrorContains(t, err, `domain "nowhere" is not open in a`)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = a.Digest(ended, "tokens")
	require.ErrorIs(t, err, context.Canceled)
}

func TestDomainIsOpenOnceUnderOneMerger(t *testing.T) {
	n := newNode(t, "a")
	n.write(t, n.tokens, "k", token("1"))
	again := domain(t, n.Replica, "tokens", tokenSet{})
	require.Equal(t, "1;", read(t, again, "k"))
	_, err := n.Domain("tokens", tokens2{})
	require.ErrorIs(t, err, fieldwise.ErrMergerMismatch)
	_, err = n.Domain("", tokenSet{})
	require.Error(t, err)
}

// A directory stays with the merger that its domain was merged under.
func TestADirectoryIsOpenedUnderTheMergerThatItWasMergedUnder(t *testing.T) {
	schema, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW))
	require.NoError(t, err)
	fs := newHookFS()
	reopen := func(r *Replica) *Replica {
		require.NoError(t, r.Close())
		return opened(t, "a", fs)
	}
	r := opened(t, "a", fs)
	_, err = lww.Open[string](r, "settings")
	require.NoError(t, err)
	r = reopen(r)
	_, err = fieldmerge.OpenDocuments(r, "settings", schema)
	require.NoError(t, err, "nothing was written yet")

	r = reopen(r)
	settings, err := lww.Open[string](r, "settings")
	require.NoError(t, err)
	_, err = settings.Put(ctx, "k", "v")
	require.NoError(t, err)
	tokens := domain(t, r, "tokens", tokenSet{})
	_, err = tokens.Write(ctx, "k", token("1"))
	require.NoError(t, err)

	for range 2 {
		r = reopen(r)
		_, err = fieldmerge.OpenDocuments(r, "settings", schema)
		require.ErrorIs(t, err, fieldwise.ErrMergerMismatch)
		require.ErrorContains(t, err, `"settings" merged under "register/1", not "`+schema.Merger().Name()+`"`)
		_, err = r.Domain("tokens", tokens2{})
		require.ErrorIs(t, err, fieldwise.ErrMergerMismatch, "although it takes the bytes")
		settings, err = lww.Open[string](r, "settings")
		require.NoError(t, err)
		got, err := settings.Get(ctx, "k")
		require.NoError(t, err)
		require.Equal(t, "v", got)
		require.Equal(t, "1;", read(t, domain(t, r, "tokens", tokenSet{}), "k"))
	}
}

// The name of a merger comes and goes with the batch that it is in.
func TestAFailedFirstWriteBindsNoMerger(t *testing.T) {
	n := newNode(t, "a")
	n.fs.writing(func() error { return errENOSPC })
	_, err := n.tokens.Write(ctx, "k", token("1"))
	require.ErrorIs(t, err, ErrNoSpace)
	n.fs.writing(nil)
	require.NoError(t, n.Close())
	r := opened(t, "a", n.fs)
	other := domain(t, r, "tokens", tokens2{})
	_, err = other.Write(ctx, "k", token("2"))
	require.NoError(t, err)
	require.NoError(t, r.Close())
	r = opened(t, "a", n.fs)
	_, err = r.Domain("tokens", tokenSet{})
	require.ErrorIs(t, err, fieldwise.ErrMergerMismatch)
	require.Equal(t, "2;", read(t, domain(t, r, "tokens", tokens2{}), "k"))
}

// What was held is folded by a later release, and stays with its merger from then on,
// without another write.
func TestHeldEntriesStayWithTheMergerThatFoldedThem(t *testing.T) {
	a, fs := newNode(t, "a"), newHookFS()
	a.write(t, a.tokens, "k", token("1"))
	b := opened(t, "b", fs)
	l, err := Connect(a.Replica, b)
	require.NoError(t, err)
	require.NoError(t, b.WaitVector(ctx, a.Vector()))
	require.NoError(t, l.Close())
	require.NoError(t, b.Close())

	b = opened(t, "b", fs)
	require.Equal(t, "1;", read(t, domain(t, b, "tokens", tokenSet{}), "k"))
	require.NoError(t, b.Close()) // commits what is staged
	b = opened(t, "b", fs)
	_, err = b.Domain("tokens", tokens2{})
	require.ErrorIs(t, err, fieldwise.ErrMergerMismatch)
	require.Equal(t, "1;", read(t, domain(t, b, "tokens", tokenSet{}), "k"))
}

// Every write is visible to its writer when it returns, and the writes of one key see
// each other: no increment is lost.
func TestNoIncrementIsLostAndWritersReadTheirOwnWrites(t *testing.T) {
	const writers, each, keys = 16, 40, 3
	n := newNode(t, "a")
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				key := fmt.Sprint((w + i) % keys)
				var mine uint64
				r, err := n.notes.Write(ctx, key, func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
					before, err := numberIn(state)
					if err != nil {
						return nil, err
					}
					mine = before + 1
					return increment(dst, state, at)
				})
				if !assert.NoError(t, err) {
					return
				}
				assert.NoError(t, n.notes.Read(ctx, key, func(state []byte) error {
					now, err := numberIn(state)
					assert.GreaterOrEqual(t, now, mine, "%v is not visible to its writer", r)
					return err
				}))
			}
		})
	}
	group.Wait()
	total := uint64(0)
	for key := range keys {
		got, err := numberIn([]byte(read(t, n.notes, fmt.Sprint(key))))
		require.NoError(t, err)
		total += got
	}
	require.EqualValues(t, writers*each, total)
	require.EqualValues(t, writers*each, n.Vector()[n.Origin()])
	require.Empty(t, n.keys.locks)
	require.Empty(t, n.batches, "no outcome is kept")
}

func TestOneWriteAtATimePerKeyAndOtherKeysInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, "a")
		inside, leave := make(chan string, 9), make(chan struct{})
		slow := func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
			inside <- "k"
			<-leave
			return increment(dst, state, at)
		}
		one, two := start(ctx, n.notes, "k", slow), start(ctx, n.notes, "k", slow)
		require.Len(t, inside, 1, "the second waits outside")
		n.write(t, n.notes, "other", increment)
		n.write(t, n.tokens, "k", token("1"))

		waiting, cancel := context.WithCancel(ctx)
		three := start(waiting, n.notes, "k", slow)
		cancel()
		_, err := three.wait()
		require.ErrorIs(t, err, context.Canceled, "the wait for a key ends with the context")
		close(leave)
		for _, g := range []*going{one, two} {
			_, err := g.wait()
			require.NoError(t, err)
		}
		got, err := numberIn([]byte(read(t, n.notes, "k")))
		require.NoError(t, err)
		require.EqualValues(t, 2, got)
		require.Empty(t, n.keys.locks)
	})
}

func TestTheNextWriteOfAKeyBuildsOnTheStagedOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, "a")
		release := n.fs.hold()
		one := start(ctx, n.notes, "k", increment)
		two := start(ctx, n.notes, "k", increment)
		three := start(ctx, n.notes, "k", increment)
		require.Empty(t, read(t, n.notes, "k"), "nothing is published before it is durable")
		require.Empty(t, n.Vector())
		for _, g := range []*going{one, two, three} {
			require.False(t, g.ended.Load())
		}
		syncs := n.fs.syncs.Load()
		release()
		for i, g := range []*going{one, two, three} {
			r, err := g.wait()
			require.NoError(t, err)
			require.EqualValues(t, i+1, r.Seq)
		}
		got, _ := numberIn([]byte(read(t, n.notes, "k")))
		require.EqualValues(t, 3, got)
		require.EqualValues(t, 2, n.fs.syncs.Load()-syncs, "two of them shared a sync")
	})
}

func TestWritersThatWaitShareOneSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const writers = 50
		n := newNode(t, "a")
		release := n.fs.hold()
		all := []*going{start(ctx, n.tokens, "first", token("1"))}
		for i := range writers {
			all = append(all, start(ctx, n.tokens, fmt.Sprint(i), token("1")))
		}
		before := n.fs.syncs.Load()
		release()
		for _, g := range all {
			_, err := g.wait()
			require.NoError(t, err)
		}
		require.EqualValues(t, 2, n.fs.syncs.Load()-before)
		frames := 0
		for _, err := range n.log.Frames(0) {
			require.NoError(t, err)
			frames++
		}
		require.Equal(t, 2, frames, "one batch is one frame")
	})
}

// What a change concludes from a staged state is told only once that state is durable.
func TestAResultThatRestsOnAStagedStateWaitsForIt(t *testing.T) {
	nothing := func(dst, state []byte, _ fieldwise.Version) ([]byte, error) { return dst, nil }
	exists := func(dst, state []byte, _ fieldwise.Version) ([]byte, error) {
		if len(state) > 0 {
			return nil, fieldwise.ErrExists
		}
		return append(dst, "created;"...), nil
	}
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, "a")
		release := n.fs.hold()
		first := start(ctx, n.tokens, "k", token("1"))
		noop := start(ctx, n.tokens, "k", nothing)
		refused := start(ctx, n.tokens, "k", exists)
		elsewhere := start(ctx, n.tokens, "x", nothing)
		require.False(t, noop.ended.Load())
		require.False(t, refused.ended.Load())
		require.True(t, elsewhere.ended.Load(), "a state that is durable is not waited for")
		release()
		_, err := first.wait()
		require.NoError(t, err)
		r, err := noop.wait()
		require.NoError(t, err)
		require.True(t, r.IsZero())
		_, err = refused.wait()
		require.True(t, err == fieldwise.ErrExists, "as it is: %#v", err)
	})
	t.Run("and is made again when that failed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := newNode(t, "a")
			gate := make(chan struct{})
			n.fs.writing(func() error { <-gate; return errENOSPC })
			first := start(ctx, n.tokens, "k", token("1"))
			var saw []string
			noop := start(ctx, n.tokens, "k", func(dst, state []byte, _ fieldwise.Version) ([]byte, error) {
				saw = append(saw, string(state))
				return dst, nil
			})
			n.fs.writing(nil)
			close(gate)
			_, err := first.wait()
			require.ErrorIs(t, err, ErrNoSpace)
			require.NotErrorIs(t, err, ErrOutcomeUnknown, "it is certain that it failed")
			_, err = noop.wait()
			require.NoError(t, err)
			require.Equal(t, []string{"1;", ""}, saw)

			// The same with a refusal, which becomes a success.
			gate = make(chan struct{})
			n.fs.writing(func() error { <-gate; return errENOSPC })
			first = start(ctx, n.tokens, "k", token("1"))
			refused := start(ctx, n.tokens, "k", exists)
			n.fs.writing(nil)
			close(gate)
			_, err = first.wait()
			require.ErrorIs(t, err, ErrNoSpace)
			r, err := refused.wait()
			require.NoError(t, err)
			require.False(t, r.IsZero())
			require.Equal(t, "created;", read(t, n.tokens, "k"))
		})
	})
	t.Run("and says nothing when the context ends first", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := newNode(t, "a")
			release := n.fs.hold()
			defer release()
			start(ctx, n.tokens, "k", token("1"))
			short, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_, err := start(short, n.tokens, "k", exists).wait()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.NotErrorIs(t, err, fieldwise.ErrExists, "nobody knows whether it does")
			require.NotErrorIs(t, err, ErrOutcomeUnknown, "it wrote nothing")
		})
	})
	t.Run("nor when the log is poisoned", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := newNode(t, "a")
			gate := make(chan struct{})
			n.fs.syncing(func() error { <-gate; return errEIO })
			start(ctx, n.tokens, "k", token("1"))
			refused := start(ctx, n.tokens, "k", exists)
			close(gate)
			_, err := refused.wait()
			require.ErrorIs(t, err, ErrPoisoned)
			require.NotErrorIs(t, err, fieldwise.ErrExists)
		})
	})
}

func TestACancelledContext(t *testing.T) {
	t.Run("before the change is made", func(t *testing.T) {
		n := newNode(t, "a")
		c, cancel := context.WithCancel(ctx)
		cancel()
		for range 20 { // a free lock and an ended context are both ready
			_, err := n.tokens.Write(c, "k", func(dst, _ []byte, _ fieldwise.Version) ([]byte, error) {
				t.Error("the change was made")
				return dst, nil
			})
			require.ErrorIs(t, err, context.Canceled)
			require.NotErrorIs(t, err, ErrOutcomeUnknown)
		}
	})
	t.Run("while the change is made", func(t *testing.T) {
		n := newNode(t, "a")
		c, cancel := context.WithCancel(ctx)
		_, err := n.tokens.Write(c, "k", func(dst, _ []byte, _ fieldwise.Version) ([]byte, error) {
			cancel()
			return append(dst, "1;"...), nil
		})
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, ErrOutcomeUnknown, "nothing was staged")
		n.write(t, n.tokens, "k", token("2"))
		require.Equal(t, "2;", read(t, n.tokens, "k"))
	})
	for _, outcome := range []string{"durable", "failed", "failed and its number given again"} {
		t.Run("while the commit is waited for, "+outcome, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, "a")
				gate := make(chan error)
				n.fs.writing(func() error { return <-gate })
				c, cancel := context.WithCancel(ctx)
				g := start(c, n.tokens, "k", token("1"))
				cancel()
				r, err := g.wait()
				require.True(t, r.IsZero())
				require.ErrorIs(t, err, ErrOutcomeUnknown)
				require.ErrorIs(t, err, context.Canceled)
				var unknown *OutcomeError
				require.ErrorAs(t, err, &unknown)
				require.EqualValues(t, 1, unknown.Receipt.Seq)
				require.Equal(t, n.Origin(), unknown.Receipt.Origin)

				short, cancel2 := context.WithTimeout(ctx, time.Second)
				defer cancel2()
				require.ErrorIs(t, n.WaitApplied(short, unknown.Receipt), context.DeadlineExceeded, "still nobody knows")
				settled := make(chan error, 1)
				go func() { settled <- n.WaitApplied(ctx, unknown.Receipt) }()
				synctest.Wait()
				if outcome == "durable" {
					gate <- nil
					n.fs.writing(nil)
					require.NoError(t, <-settled)
					require.Equal(t, "1;", read(t, n.tokens, "k"))
					return
				}
				gate <- errENOSPC
				n.fs.writing(nil)
				require.ErrorIs(t, <-settled, ErrReplaced, "the waiter is woken by the failure itself")
				if outcome == "failed and its number given again" {
					other := n.write(t, n.tokens, "k", token("2"))
					require.Equal(t, unknown.Receipt.Seq, other.Seq)
				}
				require.ErrorIs(t, n.WaitApplied(ctx, unknown.Receipt), ErrReplaced)
				again := n.reopened(t)
				require.ErrorIs(t, again.WaitApplied(ctx, unknown.Receipt), ErrReplaced)
				require.NotContains(t, read(t, again.tokens, "k"), "1;")
			})
		})
	}
}

// When the context ends at the moment of the commit, the answer is one of the two true
// ones: done, or unknown. Never a bare error.
func TestAContextThatEndsAtTheMomentOfTheCommit(t *testing.T) {
	o := &outcome{done: make(chan struct{})}
	close(o.done)
	c, cancel := context.WithCancel(ctx)
	cancel()
	for range 100 {
		settled, err := o.wait(c)
		require.True(t, settled)
		require.NoError(t, err)
	}
	n := newNode(t, "a")
	seen := map[string]int{}
	for i := range 300 {
		c, cancel := context.WithCancel(ctx)
		n.fs.syncing(func() error { cancel(); return nil })
		r, err := n.tokens.Write(c, "k", token(fmt.Sprint(i)))
		var unknown *OutcomeError
		switch {
		case err == nil:
			seen["done"]++
		case errors.As(err, &unknown):
			seen["unknown"]++
			r = unknown.Receipt
		default:
			t.Fatalf("a bare error: %v", err)
		}
		require.NoError(t, n.WaitApplied(ctx, r))
		cancel()
	}
	t.Log(seen)
}

func TestAPanicInAChangeReleasesTheKey(t *testing.T) {
	n := newNode(t, "a")
	require.PanicsWithValue(t, "oops", func() {
		_, _ = n.tokens.Write(ctx, "k", func([]byte, []byte, fieldwise.Version) ([]byte, error) { panic("oops") })
	})
	n.write(t, n.tokens, "k", token("1"))
	require.Empty(t, n.keys.locks)
}

// A change that is overtaken by a failure is made again, on the state that is.
func TestAChangeIsMadeAgainWhenWhatItWasMadeOnIsThrownAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, "a")
		gate, leave := make(chan error), make(chan struct{})
		n.fs.writing(func() error { return <-gate })
		first := start(ctx, n.tokens, "k", token("1"))
		var saw []string
		second := start(ctx, n.tokens, "k", func(dst, state []byte, _ fieldwise.Version) ([]byte, error) {
			saw = append(saw, string(state))
			<-leave
			return append(dst, "2;"...), nil
		})
		gate <- errENOSPC
		n.fs.writing(nil)
		_, err := first.wait()
		require.ErrorIs(t, err, ErrNoSpace)
		close(leave)
		r, err := second.wait()
		require.NoError(t, err)
		require.EqualValues(t, 1, r.Seq)
		require.Equal(t, []string{"1;", ""}, saw)
		require.Equal(t, "2;", read(t, n.tokens, "k"))
		require.NotErrorIs(t, err, engine.ErrRestaged)
	})
}

func TestNotesOfWrites(t *testing.T) {
	a, b, c := newNode(t, "a"), newNode(t, "b"), newNode(t, "c")
	connect(t, a, b)
	connect(t, b, c)
	_, err := a.tokens.Write(WithNote(ctx, "support ticket 7"), "k", token("1"))
	require.NoError(t, err)
	a.write(t, a.tokens, "k", token("2"))
	settle(t, a, b, c)
	for _, n := range []*node{a, b, c.reopened(t)} {
		var notes []string
		for e, err := range n.Entries(ctx) {
			require.NoError(t, err)
			notes = append(notes, e.Note)
			require.Equal(t, "tokens/k", e.Domain+"/"+e.Key)
			require.Equal(t, a.Origin(), e.Receipt().Origin)
		}
		require.Equal(t, []string{"support ticket 7", ""}, notes, n.Region())
	}
}
