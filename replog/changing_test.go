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
func calling(do func()) change {
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
					assert.ErrorContains(t, err, `a write from within a change: of key "k" in domain "tokens"`)
					assert.True(t, inner.IsZero())
				}
			}))
			require.NoError(t, err, "the change itself goes on")
			require.False(t, r.IsZero())
			require.Empty(t, n.changing.inside)
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
		require.Len(t, n.changing.inside, 1)
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

func TestAChangeMayWriteToAnotherReplicaButNotBack(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	a.write(t, a.tokens, "k", calling(func() {
		b.write(t, b.tokens, "k", calling(func() {
			_, err := a.tokens.Write(ctx, "other", token("1"))
			assert.ErrorIs(t, err, fieldwise.ErrNested)
		}))
	}))
	require.Equal(t, "outer;", read(t, b.tokens, "k"))
}

func TestAChangeThatDoesNotReturnIsNoLongerInside(t *testing.T) {
	n := newNode(t, "a")
	for _, end := range []func(){
		func() { panic("oops") },
		runtime.Goexit,
	} {
		var group sync.WaitGroup
		group.Go(func() {
			defer func() {
				_ = recover()
				assert.Empty(t, n.changing.inside)
				_, err := n.tokens.Write(ctx, "k", token("1"))
				assert.NoError(t, err)
			}()
			_, _ = n.tokens.Write(ctx, "k", calling(end))
		})
		group.Wait()
	}
	require.Empty(t, n.keys.locks)
}

func TestThisGoroutine(t *testing.T) {
	self := thisGoroutine()
	require.NotZero(t, self, "this release of Go words the first line of a stack trace in another way")
	deep := self
	for range 3 {
		func() { deep = thisGoroutine() }()
	}
	require.Equal(t, self, deep)
	seen := map[goroutine]bool{self: true}
	for range 100 {
		number := make(chan goroutine)
		go func() { number <- thisGoroutine() }()
		g := <-number
		require.False(t, seen[g], "%d is the number of two", g)
		seen[g] = true
	}
}

func TestParseGoroutine(t *testing.T) {
	for trace, want := range map[string]goroutine{
		"goroutine 7 [running]:\nmain.main()":         7,
		"goroutine 18446744073709551615 [running]:\n": 1<<64 - 1,
		"goroutine 7":                                 7,
		"goroutine x [running]:":                      0,
		"goroutine 7x [running]:":                     0,
		"goroutine 18446744073709551616 [running]:\n": 0,
		"goroutine ":                                  0,
		"thread 7 [running]:":                         0,
		"":                                            0,
	} {
		require.Equal(t, want, parseGoroutine([]byte(trace)), "%q", trace)
	}
}

// Where the number cannot be told, nobody is refused.
func TestAGoroutineWithoutANumberIsNeverInside(t *testing.T) {
	var c changing
	leave := c.enter(0, keyName{"d", "k"})
	require.NoError(t, c.check(0))
	leave()
	leave = c.enter(7, keyName{"d", "k"})
	require.NoError(t, c.check(0))
	require.NoError(t, c.check(8))
	require.EqualError(t, c.check(7), `fieldwise: a write from within a change: of key "k" in domain "d"`)
	leave()
	require.NoError(t, c.check(7))
}

func BenchmarkThisGoroutine(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		thisGoroutine()
	}
}
