package replog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/wire"
	"github.com/fieldwise/fieldwise/lww"
	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

var (
	ctx = context.Background()

	errEIO    = syscall.EIO
	errENOSPC = syscall.ENOSPC
)

// hookFS calls back before a file is written or synced, and counts the syncs.
type hookFS struct {
	disk.FS
	syncs atomic.Int64

	mu      sync.Mutex
	onSync  func() error
	onWrite func() error
}

func newHookFS() *hookFS { return &hookFS{FS: disk.NewMem()} }

// syncing sets what happens before each sync of a file; nil for nothing.
func (h *hookFS) syncing(do func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.onSync = do
}

// writing sets what happens before each write; nil for nothing.
func (h *hookFS) writing(do func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.onWrite = do
}

// hold lets syncs wait until release is called, which may be done once or more.
func (h *hookFS) hold() (release func()) {
	gate := make(chan struct{})
	h.syncing(func() error { <-gate; return nil })
	return sync.OnceFunc(func() {
		h.syncing(nil)
		close(gate)
	})
}

func (h *hookFS) call(which *func() error) error {
	h.mu.Lock()
	do := *which
	h.mu.Unlock()
	if do == nil {
		return nil
	}
	return do()
}

func (h *hookFS) wrap(f disk.File, err error) (disk.File, error) {
	if err != nil {
		return nil, err
	}
	return &hookFile{File: f, fs: h}, nil
}

func (h *hookFS) Create(name string) (disk.File, error)    { return h.wrap(h.FS.Create(name)) }
func (h *hookFS) OpenWrite(name string) (disk.File, error) { return h.wrap(h.FS.OpenWrite(name)) }

type hookFile struct {
	disk.File
	fs *hookFS
}

func (f *hookFile) Sync() error {
	if err := f.fs.call(&f.fs.onSync); err != nil {
		return err
	}
	f.fs.syncs.Add(1)
	return f.File.Sync()
}

func (f *hookFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.call(&f.fs.onWrite); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

// opened opens a replica on a disk and closes it when the test ends.
func opened(t testing.TB, region fieldwise.Region, fs disk.FS) *Replica {
	t.Helper()
	r, err := Open(ctx, Config{Region: region, Dir: "data", fs: fs})
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// node is a replica with the domains that most tests use.
type node struct {
	*Replica
	fs     *hookFS
	notes  *Domain // registers under last-write-wins
	tokens *Domain // sets of tokens under a merger of two methods
}

func newNode(t testing.TB, region fieldwise.Region) *node { return nodeOn(t, region, newHookFS()) }

func nodeOn(t testing.TB, region fieldwise.Region, fs *hookFS) *node {
	t.Helper()
	n := &node{Replica: opened(t, region, fs), fs: fs}
	n.notes, n.tokens = domain(t, n.Replica, "notes", lww.NewMerger()), domain(t, n.Replica, "tokens", tokenSet{})
	return n
}

// reopened closes the node and opens it on the same disk.
func (n *node) reopened(t testing.TB) *node {
	t.Helper()
	require.NoError(t, n.Close())
	return nodeOn(t, n.Region(), n.fs)
}

func domain(t testing.TB, r *Replica, name string, m fieldwise.Merger) *Domain {
	t.Helper()
	s, err := r.Domain(name, m)
	require.NoError(t, err)
	return s.(*Domain)
}

// tokenSet is a merger of two methods, as a user might write one: a state is a set of
// tokens, sorted, each ended by a semicolon.
type tokenSet struct{}

func (tokenSet) Name() string { return "tokens/1" }

func (tokenSet) Merge(dst, a, b []byte) ([]byte, error) {
	var all []string
	for _, state := range [][]byte{a, b} {
		if len(state) == 0 {
			continue
		}
		text, ok := strings.CutSuffix(string(state), ";")
		tokens := strings.Split(text, ";")
		if !ok || !slices.IsSorted(tokens) || len(slices.Compact(slices.Clone(tokens))) != len(tokens) || tokens[0] == "" {
			return nil, errors.New("tokens: not a set")
		}
		all = append(all, tokens...)
	}
	slices.Sort(all)
	for _, token := range slices.Compact(all) {
		dst = append(append(dst, token...), ';')
	}
	return dst, nil
}

// tokens2 is another format under another name.
type tokens2 struct{ tokenSet }

func (tokens2) Name() string { return "tokens/2" }

// write is a change of a record that is not open.
type write = func(dst, state []byte, at fieldwise.Version) ([]byte, error)

func token(s string) write {
	return func(dst, _ []byte, _ fieldwise.Version) ([]byte, error) { return append(append(dst, s...), ';'), nil }
}

func note(s string) write {
	return func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
		return crdt.MVRegister{}.Set(dst, state, at, wire.AppendString(nil, s))
	}
}

// increment is a read-modify-write of a number in a register.
func increment(dst, state []byte, at fieldwise.Version) ([]byte, error) {
	n, err := numberIn(state)
	if err != nil {
		return nil, err
	}
	return crdt.MVRegister{}.Set(dst, state, at, wire.AppendUint(nil, n+1))
}

func numberIn(state []byte) (uint64, error) {
	siblings, err := crdt.MVRegister{}.Siblings(state)
	if err != nil || len(siblings) == 0 {
		return 0, err
	}
	n, _, err := wire.Uint(siblings[len(siblings)-1].Value)
	return n, err
}

func (n *node) write(t testing.TB, d *Domain, key string, c write) fieldwise.Receipt {
	t.Helper()
	r, err := d.Write(ctx, key, c)
	require.NoError(t, err)
	return r
}

func read(t testing.TB, d *Domain, key string) (state string) {
	t.Helper()
	require.NoError(t, d.Read(ctx, key, func(b []byte) error { state = string(b); return nil }))
	return state
}

// values are the siblings of a register, oldest first.
func values(t testing.TB, d *Domain, key string) string {
	t.Helper()
	var all []string
	siblings, err := crdt.MVRegister{}.Siblings([]byte(read(t, d, key)))
	require.NoError(t, err)
	for _, s := range siblings {
		v, _, err := wire.String(s.Value)
		require.NoError(t, err)
		all = append(all, string(v))
	}
	return strings.Join(all, "|")
}

func connect(t testing.TB, a, b *node) *Link {
	t.Helper()
	l, err := Connect(a.Replica, b.Replica)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// settle waits until every node has what any of them has.
func settle(t testing.TB, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		for _, other := range nodes {
			require.NoError(t, n.WaitVector(ctx, other.Vector()))
		}
	}
	for _, n := range nodes[1:] {
		for _, name := range []string{"notes", "tokens"} {
			want, err := nodes[0].Digest(ctx, name)
			require.NoError(t, err)
			got, err := n.Digest(ctx, name)
			require.NoError(t, err)
			require.Equal(t, want, got, "%s in %s and %s", name, nodes[0].Region(), n.Region())
		}
	}
}

// going is a call under way in its own goroutine.
type going struct {
	receipt fieldwise.Receipt
	err     error
	ended   atomic.Bool
	done    chan struct{}
}

// start makes a write in a goroutine, and returns when it can go no further.
func start(c context.Context, d *Domain, key string, ch write) *going {
	g := &going{done: make(chan struct{})}
	go func() {
		defer close(g.done)
		g.receipt, g.err = d.Write(c, key, ch)
		g.ended.Store(true)
	}()
	synctest.Wait()
	return g
}

func (g *going) wait() (fieldwise.Receipt, error) {
	<-g.done
	return g.receipt, g.err
}

func reportsOf(t testing.TB, r *Replica, after uint64) (all []string, ids []fieldwise.ConflictID) {
	t.Helper()
	for rep, err := range r.Conflicts(ctx, after) {
		require.NoError(t, err)
		all = append(all, fmt.Sprintf("%d %s/%s: %s < %s", rep.Position, rep.Domain, rep.Key, rep.Loser.Value[1:], rep.Winner.Value[1:]))
		ids = append(ids, rep.ID())
	}
	return all, ids
}

// wallAt is a wall clock that can be set.
type wallAt struct{ ms atomic.Int64 }

func newWall(t time.Time) *wallAt {
	w := &wallAt{}
	w.set(t)
	return w
}

func (w *wallAt) set(t time.Time) { w.ms.Store(t.UnixMilli()) }
func (w *wallAt) now() time.Time  { return time.UnixMilli(w.ms.Load()) }

var lwwMerger = lww.NewMerger()
