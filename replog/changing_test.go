package replog

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/lww"
)

// calling is a change that calls do and then writes a token.
func calling(do func()) write {
	return func(dst, _ []byte, _ fieldwise.Version) ([]byte, error) {
		do()
		return append(dst, "outer;"...), nil
	}
}

func TestAWriteFromWithinAChangeIsRefusedAtOnce(t *testing.T) {
	n := newNode(t, "a")
	settings, err := lww.Open[string](n, "settings")
	require.NoError(t, err)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for what, nested := range map[string]func() (fieldwise.Receipt, error){
		"of the same key":        func() (fieldwise.Receipt, error) { return n.tokens.Write(ctx, "k", token("1")) },
		"of another key":         func() (fieldwise.Receipt, error) { return n.tokens.Write(ctx, "other", token("1")) },
		"of another domain":      func() (fieldwise.Receipt, error) { return n.notes.Write(ctx, "k", note("1")) },
		"through a strategy":     func() (fieldwise.Receipt, error) { return settings.Put(ctx, "k", "v") },
		"under an ended context": func() (fieldwise.Receipt, error) { return n.tokens.Write(ended, "k", token("1")) },
		"of a domain opened then": func() (fieldwise.Receipt, error) {
			return domain(t, n.Replica, "tokens", tokenSet{}).Write(ctx, "k", token("1"))
		},
	} {
		t.Run(what, func(t *testing.T) {
			r, err := n.tokens.Write(ctx, "k", calling(func() {
				for range 2 {
					inner, err := nested()
					assert.ErrorIs(t, err, fieldwise.ErrNested)
					assert.True(t, inner.IsZero())
				}
			}))
			require.NoError(t, err, "the change itself goes on")
			require.False(t, r.IsZero())
			r, err = nested()
			if what != "under an ended context" {
				require.NoError(t, err, "after it")
				require.False(t, r.IsZero())
			}
		})
	}
	_, err = n.tokens.Write(ctx, "k", func([]byte, []byte, fieldwise.Version) ([]byte, error) {
		_, err := n.tokens.Write(ctx, "k", token("1"))
		return nil, err
	})
	require.ErrorIs(t, err, fieldwise.ErrNested, "a change may pass it on")
}

func TestAChangeMayRead(t *testing.T) {
	n := newNode(t, "a")
	first := n.writeNoted(t, n.tokens, "k", token("1"), "who")
	n.write(t, n.tokens, "k", calling(func() {
		require.Equal(t, "1;", read(t, n.tokens, "k"))
		require.NoError(t, firstError(n.tokens.Keys(ctx, "")))
		requireNote(t, "who", n.tokens, first.Version())
		require.NoError(t, n.WaitApplied(ctx, first))
		_, err := n.Digest(ctx, "tokens")
		require.NoError(t, err)
		require.EqualValues(t, 1, n.Stats().Entries)
	}))
}

func TestWritesOfOtherGoroutinesGoOnDuringAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, "a")
		leave := make(chan struct{})
		outer := start(ctx, n.tokens, "k", calling(func() { <-leave }))
		n.write(t, n.tokens, "other", token("1"))
		same := start(ctx, n.tokens, "k", token("2"))
		require.False(t, same.ended.Load(), "it waits for its turn")
		close(leave)
		for _, g := range []*going{outer, same} {
			_, err := g.wait()
			require.NoError(t, err)
		}
		require.Equal(t, "2;outer;", read(t, n.tokens, "k"))
	})
	n := newNode(t, "a")
	n.write(t, n.tokens, "k", calling(func() {
		var group sync.WaitGroup
		group.Go(func() { n.write(t, n.tokens, "other", token("1")) })
		group.Wait()
	}))
	require.Equal(t, "1;", read(t, n.tokens, "other"), "what a change starts elsewhere is not seen")
}

func TestAChangeMayNotWriteToAnotherReplica(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	a.write(t, a.tokens, "k", calling(func() {
		_, err := b.tokens.Write(ctx, "k", token("1"))
		assert.ErrorIs(t, err, fieldwise.ErrNested)
	}))
}

func TestAChangeThatDoesNotReturnIsNoLongerInside(t *testing.T) {
	n := newNode(t, "a")
	for _, end := range []func(){
		func() { panic("oops") },
		runtime.Goexit,
	} {
		var group sync.WaitGroup
		group.Go(func() {
			defer func() { _ = recover() }()
			_, _ = n.tokens.Write(ctx, "k", calling(end))
		})
		group.Wait()
		n.write(t, n.tokens, "k", token("1"))
	}
	require.Empty(t, n.keys.locks)
}

func BenchmarkInsideChange(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		insideChange()
	}
}
