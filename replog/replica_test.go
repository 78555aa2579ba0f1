package replog

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/lww"
)

func TestConfigValidateListsAllProblems(t *testing.T) {
	require.NoError(t, Config{Region: "a", Dir: "d"}.Validate())
	bad := Config{Region: "EU", MaxSkew: -time.Second, MaxRecord: 3 << 20}
	require.EqualError(t, bad.Validate(), strings.Join([]string{
		`replog: Config.Region: fieldwise: invalid region name: "EU" has 'E' at byte 0; only a-z, 0-9 and '-' are allowed`,
		`replog: Config.Dir is empty; name the directory that keeps the log`,
		`replog: Config.MaxSkew is -1s; it cannot be negative`,
		`replog: Config.MaxRecord is 3145728; use 1 to 2097152 bytes, or 0 for the default`,
	}, "\n"))
	require.ErrorIs(t, bad.Validate(), fieldwise.ErrRegion)
	dir := filepath.Join(t.TempDir(), "never made")
	_, err := Open(ctx, Config{Region: "EU", Dir: dir})
	require.ErrorIs(t, err, fieldwise.ErrRegion)
	_, err = os.Stat(dir)
	require.ErrorIs(t, err, os.ErrNotExist, "a bad configuration touches nothing")
	require.Error(t, Config{Region: "a", Dir: "d", MaxRecord: -1}.Validate())
}

func TestOpenRefuses(t *testing.T) {
	t.Run("an ended context", func(t *testing.T) {
		c, cancel := context.WithCancel(ctx)
		cancel()
		_, err := Open(c, Config{Region: "a", Dir: t.TempDir()})
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("a directory that is open", func(t *testing.T) {
		dir := t.TempDir()
		r, err := Open(ctx, Config{Region: "a", Dir: dir})
		require.NoError(t, err)
		_, err = Open(ctx, Config{Region: "a", Dir: dir})
		require.ErrorIs(t, err, ErrLocked)
		require.ErrorContains(t, err, dir)
		require.NoError(t, r.Close())
		r, err = Open(ctx, Config{Region: "a", Dir: dir})
		require.NoError(t, err)
		require.NoError(t, r.Close())
	})
	t.Run("a directory of another region", func(t *testing.T) {
		n := newNode(t, "a")
		n.write(t, n.tokens, "k", token("1"))
		require.NoError(t, n.Close())
		_, err := Open(ctx, Config{Region: "b", Dir: "data", fs: n.fs})
		require.ErrorIs(t, err, ErrOtherRegion)
		require.ErrorContains(t, err, `it is "a", Config.Region is "b"`)
		again := nodeOn(t, "a", n.fs)
		require.Equal(t, "1;", read(t, again.tokens, "k"), "and it stays usable")
	})
	t.Run("a log that is damaged where it was acknowledged", func(t *testing.T) {
		dir := t.TempDir()
		r, err := Open(ctx, Config{Region: "a", Dir: dir})
		require.NoError(t, err)
		d := domain(t, r, "tokens", tokenSet{})
		for _, s := range []string{"1", "2", "3"} {
			_, err = d.Write(ctx, s, token(s))
			require.NoError(t, err)
		}
		require.NoError(t, r.Close())
		name := filepath.Join(dir, "wal-00000001.seg")
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		at := bytes.Index(b, []byte("1;"))
		require.Positive(t, at)
		b[at] ^= 1
		require.NoError(t, os.WriteFile(name, b, 0o600))
		_, err = Open(ctx, Config{Region: "a", Dir: dir})
		require.ErrorIs(t, err, ErrCorrupt)
		after, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, b, after, "the evidence stays")
	})
}

func TestReopeningContinues(t *testing.T) {
	wall := newWall(time.UnixMilli(1_800_000_000_000))
	fs := newHookFS()
	open := func() (*Replica, *Domain, *Domain) {
		r, err := Open(ctx, Config{Region: "a", Dir: "data", Wall: wall.now, fs: fs})
		require.NoError(t, err)
		t.Cleanup(func() { _ = r.Close() })
		return r, domain(t, r, "tokens", tokenSet{}), domain(t, r, "notes", lww.NewMerger())
	}
	r, tokens, notes := open()
	origin := r.Origin()
	require.Equal(t, fieldwise.Region("a"), r.Region())
	require.NotZero(t, origin.Incarnation)
	last, err := tokens.Write(ctx, "k", token("1"))
	require.NoError(t, err)
	_, err = notes.Write(ctx, "n", note("v"))
	require.NoError(t, err)
	vector, stats := r.Vector(), r.Stats()
	require.Equal(t, IdentityFresh, stats.Identity)
	stats.Identity = IdentityConfirmed // as there is nobody to ask
	digest, err := r.Digest(ctx, "tokens")
	require.NoError(t, err)
	for round := range 3 {
		require.NoError(t, r.Close())
		wall.set(wall.now().Add(-time.Hour)) // a clock that was set back
		r, tokens, _ = open()
		require.Equal(t, origin, r.Origin())
		require.Equal(t, vector, r.Vector())
		again, err := r.Digest(ctx, "tokens")
		require.NoError(t, err)
		require.Equal(t, digest, again)
		if round == 0 {
			require.Equal(t, stats, r.Stats())
		}
		receipt, err := tokens.Write(ctx, "k2", token("1"))
		require.NoError(t, err)
		require.Greater(t, receipt.Time, last.Time, "timestamps rise although the clock went back")
		require.Less(t, receipt.Time.Time().Sub(last.Time.Time()), time.Second)
		last, vector = receipt, r.Vector()
		digest, err = r.Digest(ctx, "tokens")
		require.NoError(t, err)
	}
	fresh := newNode(t, "a")
	require.NotEqual(t, origin, fresh.Origin(), "a fresh directory signs under a fresh incarnation")
}

// A write that knows of another has the higher timestamp, over a restart too.
func TestReopeningKeepsTheClockAboveWhatCameFromElsewhere(t *testing.T) {
	wall := newWall(time.UnixMilli(1_800_000_000_000))
	ahead := newWall(wall.now().Add(400 * time.Millisecond))
	fs := newHookFS()
	open := func(region fieldwise.Region, wall *wallAt, fs *hookFS) *Domain {
		r, err := Open(ctx, Config{Region: region, Dir: "data", Wall: wall.now, fs: fs})
		require.NoError(t, err)
		t.Cleanup(func() { _ = r.Close() })
		return domain(t, r, "tokens", tokenSet{})
	}
	a, b := open("a", wall, fs), open("b", ahead, newHookFS())
	l, err := Connect(a.replica, b.replica)
	require.NoError(t, err)
	cause, err := b.Write(ctx, "k", token("cause"))
	require.NoError(t, err)
	require.NoError(t, a.replica.WaitApplied(ctx, cause))
	require.NoError(t, l.Close())
	require.NoError(t, a.replica.Close())
	effect, err := open("a", wall, fs).Write(ctx, "k", token("effect"))
	require.NoError(t, err)
	require.Greater(t, effect.Time, cause.Time)
}

func TestClose(t *testing.T) {
	n := newNode(t, "a")
	peer := newNode(t, "b")
	l := connect(t, n, peer)
	r := n.write(t, n.tokens, "k", token("1"))
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() { assert.NoError(t, n.Close()) })
	}
	group.Wait()
	require.NoError(t, n.Close())

	require.Error(t, n.tokens.Read(ctx, "k", nil))
	use := func([]byte) error { t.Error("called"); return nil }
	nothing := func([]byte, []byte, fieldwise.Version) ([]byte, error) { t.Error("called"); return nil, nil }
	for what, err := range map[string]error{
		"Read":   n.tokens.Read(ctx, "k", use),
		"Write":  second(n.tokens.Write(ctx, "k", nothing)),
		"Digest": second(n.Digest(ctx, "tokens")),
		"Domain": second(n.Domain("more", tokenSet{})),
		"Keys":   firstError(n.tokens.Keys(ctx, "")),
		"Entries": func() error {
			for _, err := range n.Entries(ctx) {
				return err
			}
			return nil
		}(),
		"Conflicts": func() error {
			for _, err := range n.Conflicts(ctx, 0) {
				return err
			}
			return nil
		}(),
		"WaitVector":     n.WaitVector(ctx, fieldwise.Vector{n.Origin(): 9}),
		"WaitReplicated": n.WaitReplicated(ctx, r, "c"),
		"WaitApplied":    n.WaitApplied(ctx, fieldwise.Receipt{Origin: peer.Origin(), Seq: 9}),
		"Connect":        second(Connect(n.Replica, peer.Replica)),
	} {
		require.ErrorIs(t, err, fieldwise.ErrClosed, what)
	}
	require.EqualValues(t, 1, n.Vector()[n.Origin()], "what it had can still be asked for")
	require.NoError(t, n.Stats().Err)
	l.Heal()
	require.Nil(t, l.cancel, "its links stay down")
	require.Empty(t, peer.links, "and are forgotten by the other side")
	peer.write(t, peer.tokens, "k", token("2"))
}

func second[T any](_ T, err error) error { return err }

func firstError(seq func(func(string, error) bool)) (first error) {
	seq(func(_ string, err error) bool { first = err; return false })
	return first
}

// Close waits for what the log has in hand, and everybody who waits gets an answer.
func TestCloseWhileWritersWaitForTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, peer := newNode(t, "a"), newNode(t, "b")
		connect(t, n, peer)
		release := n.fs.hold()
		first := start(ctx, n.tokens, "k", token("1"))
		second := start(ctx, n.tokens, "k", token("2"))
		inside := make(chan struct{})
		late := start(ctx, n.tokens, "x", func(dst, _ []byte, _ fieldwise.Version) ([]byte, error) {
			<-inside
			return append(dst, "9;"...), nil
		})
		behind := start(ctx, n.tokens, "x", token("10"))
		waiting := make(chan error, 1)
		go func() { waiting <- n.WaitVector(ctx, fieldwise.Vector{peer.Origin(): 5}) }()
		var closed []chan error
		for range 3 {
			c := make(chan error, 1)
			closed = append(closed, c)
			go func() { c <- n.Close() }()
		}
		synctest.Wait()
		require.ErrorIs(t, <-waiting, fieldwise.ErrClosed)
		for _, c := range closed {
			require.Empty(t, c, "Close returned before the log had ended")
		}
		_, err := start(ctx, n.tokens, "y", token("3")).wait()
		require.ErrorIs(t, err, fieldwise.ErrClosed, "no new write is taken")
		release()
		for _, c := range closed {
			require.NoError(t, <-c)
		}
		for _, g := range []*going{first, second} {
			_, err := g.wait()
			require.NoError(t, err, "what was staged before Close is committed")
		}
		close(inside)
		_, err = late.wait()
		require.ErrorIs(t, err, fieldwise.ErrClosed)
		_, err = behind.wait()
		require.ErrorIs(t, err, fieldwise.ErrClosed)
		again := nodeOn(t, "a", n.fs)
		require.Equal(t, "1;2;", read(t, again.tokens, "k"))
	})
}

// However a write and Close meet: a write that returned is in the log.
func TestWhatIsAcknowledgedWhileClosingIsThere(t *testing.T) {
	for range 200 {
		n := newNode(t, "a")
		var group sync.WaitGroup
		acked := make([]bool, 4)
		for i := range acked {
			group.Go(func() {
				_, err := n.tokens.Write(ctx, "k", token(string(rune('0'+i))))
				if acked[i] = err == nil; err != nil {
					assert.ErrorIs(t, err, fieldwise.ErrClosed)
				}
			})
		}
		group.Go(func() { assert.NoError(t, n.Close()) })
		group.Wait()
		again := nodeOn(t, "a", n.fs)
		state := read(t, again.tokens, "k")
		for i, ok := range acked {
			require.Equal(t, ok, strings.Contains(state, string(rune('0'+i))), "%v, %q", acked, state)
		}
		require.NoError(t, again.Close())
	}
}

func TestCloseInsideAChangeDoesNotHang(t *testing.T) {
	n := newNode(t, "a")
	_, err := n.tokens.Write(ctx, "k", func(dst, _ []byte, _ fieldwise.Version) ([]byte, error) {
		return append(dst, "1;"...), n.Close()
	})
	require.ErrorIs(t, err, fieldwise.ErrClosed)
}

// Nothing goes wrong, so nothing is logged above the level of news.
func TestACleanLifeLogsNoError(t *testing.T) {
	var out bytes.Buffer
	var mu sync.Mutex
	logger := hclog.New(&hclog.LoggerOptions{Output: &out, Mutex: &mu, Level: hclog.Warn})
	for range 20 {
		var nodes []*Replica
		for _, region := range []fieldwise.Region{"a", "b", "c"} {
			r, err := Open(ctx, Config{Region: region, Dir: "data", Logger: logger, fs: newHookFS()})
			require.NoError(t, err)
			nodes = append(nodes, r)
		}
		for i := range nodes {
			_, err := Connect(nodes[i], nodes[(i+1)%3])
			require.NoError(t, err)
		}
		var group sync.WaitGroup
		for _, r := range nodes {
			d := domain(t, r, "tokens", tokenSet{})
			for range 5 {
				receipt, err := d.Write(ctx, "k", token(string(r.Region())))
				require.NoError(t, err)
				require.NoError(t, r.WaitReplicated(ctx, receipt, "a", "b", "c"))
			}
		}
		for _, r := range nodes {
			group.Go(func() { assert.NoError(t, r.Close()) })
		}
		group.Wait()
	}
	mu.Lock()
	defer mu.Unlock()
	require.Empty(t, out.String())
}

func TestWaitAppliedAndHasOnReceipts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newNode(t, "a"), newNode(t, "b")
		require.NoError(t, a.WaitApplied(ctx, fieldwise.Receipt{}), "the zero receipt does not wait")
		r := a.write(t, a.tokens, "k", token("1"))
		require.NoError(t, a.WaitApplied(ctx, r))
		arrived := make(chan error, 1)
		go func() { arrived <- b.WaitApplied(ctx, r) }()
		synctest.Wait()
		require.Empty(t, arrived)
		connect(t, a, b)
		require.NoError(t, <-arrived)
		require.Equal(t, "1;", read(t, b.tokens, "k"), "who holds the receipt reads the write")
		r.Time++
		require.ErrorIs(t, b.WaitApplied(ctx, r), ErrReplaced)
	})
}

func TestOpenReadsTheWholeLogBeforeItReturns(t *testing.T) {
	n := newNode(t, "a")
	for i := range 100 {
		n.write(t, n.tokens, "k", token(string(rune('a'+i%26))))
	}
	require.NoError(t, n.Close())
	c := &countdown{Context: ctx, left: 50}
	_, err := Open(c, Config{Region: "a", Dir: "data", fs: n.fs})
	require.ErrorIs(t, err, context.Canceled, "a context that ends stops the reading")
	again := nodeOn(t, "a", n.fs)
	require.EqualValues(t, 100, again.Vector()[again.Origin()])
}

// countdown is a context that ends after it was asked so many times.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestErrorsReadWell(t *testing.T) {
	err := &OutcomeError{Receipt: fieldwise.Receipt{Origin: fieldwise.Origin{Region: "a", Incarnation: 31}, Seq: 7}, Err: errMine}
	require.EqualError(t, err, "replog: outcome of a write is unknown: 1970-01-01T00:00:00.000Z+0@a#1f/7: mine")
	require.True(t, errors.Is(err, errMine) && errors.Is(err, ErrOutcomeUnknown))
}
