package main

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/lww"
	"github.com/fieldwise/fieldwise/replog"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
	"github.com/fieldwise/fieldwise/replog/wal"
)

// cluster is two regions in directories, with clocks that go on by a second where a test says so.
type cluster struct {
	us, eu string // directories

	mu  sync.Mutex
	now time.Time
}

type profile struct {
	Name   string             `merge:"name,lww"`
	Phone  string             `merge:"phone,lww"`
	Logins crdt.GCounter      `merge:"logins,gcounter"`
	Tags   crdt.ORSet[string] `merge:"tags,orset"`
	Prefs  map[string]string  `merge:"prefs,lww"`
}

func newCluster(t testing.TB) *cluster {
	dir := t.TempDir()
	return &cluster{
		us: filepath.Join(dir, "us"), eu: filepath.Join(dir, "eu"),
		now: time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC),
	}
}

func (c *cluster) wall() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *cluster) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Second)
}

// open opens the replica in a directory, of the region that the directory is named for.
func (c *cluster) open(t testing.TB, dir string, members ...fieldwise.Region) *replog.Replica {
	t.Helper()
	region := fieldwise.Region("us-east-1")
	if filepath.Base(dir)[:2] == "eu" {
		region = "eu-west-1"
	}
	r, err := replog.Open(t.Context(), replog.Config{
		Region: region, Dir: dir, Wall: c.wall, Members: replog.Members{Regions: members}, IdentityWait: -1,
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// must returns v where a call of two results went well.
func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		require.NoError(t, err)
		return v
	}
}

func profiles(t testing.TB, r *replog.Replica) *fieldmerge.Domain[profile] {
	schema := must[*fieldmerge.Schema[profile]](t)(fieldmerge.NewSchema[profile]())
	return must[*fieldmerge.Domain[profile]](t)(fieldmerge.Open(r, "profiles", schema))
}

// lastWins is a merger of a service's own: the larger bytes win.
type lastWins struct{}

func (lastWins) Name() string { return "last-wins/1" }

func (lastWins) Merge(dst, a, b []byte) ([]byte, error) {
	if bytes.Compare(a, b) < 0 {
		a = b
	}
	return append(dst, a...), nil
}

// filled has a story in its two directories: writes of all mechanisms, conflicts, notes, a merger
// of its own, a domain that one region has not opened, and two incarnations of one region.
func filled(t testing.TB) *cluster {
	c := newCluster(t)
	us, eu := c.open(t, c.us), c.open(t, c.eu)
	link := must[*replog.Link](t)(replog.Connect(us, eu))
	did := func(_ fieldwise.Receipt, err error) {
		t.Helper()
		require.NoError(t, err)
		c.tick()
	}
	meet := func() {
		t.Helper()
		link.Heal()
		require.NoError(t, us.WaitVector(t.Context(), eu.Vector()))
		require.NoError(t, eu.WaitVector(t.Context(), us.Vector()))
		link.Cut()
	}
	ctx := t.Context()
	noted := replog.WithNote(ctx, "ticket 7, support")
	link.Cut()

	here, there := profiles(t, us), profiles(t, eu)
	did(here.Create(ctx, "asha", profile{Name: "Asha", Phone: "111", Tags: crdt.NewORSet("a", "b")}))
	did(here.Create(ctx, "bo", profile{Name: "Bo", Prefs: map[string]string{"theme": "dark"}}))
	meet()
	did(here.Update(ctx, "asha", func(p *profile) error { p.Phone = "222"; p.Logins.Inc(2); p.Tags.Remove("a"); return nil }))
	did(there.Update(noted, "asha", func(p *profile) error { p.Phone = "333"; p.Logins.Inc(1); p.Tags.Add("c"); return nil }))
	did(there.Update(ctx, "bo", func(p *profile) error { p.Name = "Bob"; return nil }))
	did(here.Delete(noted, "bo"))
	meet()

	settings := must[*crdt.Registers[string]](t)(lww.Open[string](us, "settings"))
	did(settings.Put(ctx, "theme", "<dark>"))
	did(settings.Delete(ctx, "theme"))
	counters := must[*crdt.Counters](t)(crdt.OpenCounters(us, "visits"))
	did(counters.Inc(ctx, "home", 5))
	did(counters.Dec(ctx, "home", 1))
	did(counters.Reset(ctx, "home"))
	sets := must[*crdt.Sets[int]](t)(crdt.OpenSets[int](us, "sets"))
	did(sets.Add(ctx, "primes", 2, 3, 4))
	did(sets.Remove(ctx, "primes", 4))
	lists := must[*crdt.Lists[string]](t)(crdt.OpenLists[string](us, "lists"))
	did(lists.Append(ctx, "todo", "milk", "milk", "tea"))
	flags := must[*crdt.Flags](t)(crdt.OpenFlags(us, "flags"))
	did(flags.Enable(ctx, "beta"))
	did(flags.Disable(ctx, "beta"))
	best := must[*crdt.Max[float64]](t)(crdt.OpenMax[float64](us, "best"))
	did(best.Raise(ctx, "game", 1.5))
	own := must[fieldwise.Store](t)(us.Domain("carts", lastWins{}))
	did(own.Write(ctx, "k \"1\"", func(dst, _ []byte, _ fieldwise.Version) ([]byte, error) { return append(dst, "bytes"...), nil }))
	meet() // eu has not opened these domains

	require.NoError(t, eu.Close())
	eu = c.open(t, c.eu, "us-east-1", "eu-west-1") // and nobody confirms: a fresh incarnation signs
	did(profiles(t, eu).Create(ctx, "cy", profile{Name: "Cy"}))
	require.NoError(t, link.Close())
	require.NoError(t, us.Close())
	require.NoError(t, eu.Close())
	return c
}

// copied returns a copy of a directory, beside it.
func copied(t testing.TB, dir, suffix string) string {
	to := dir + suffix
	require.NoError(t, os.CopyFS(to, os.DirFS(dir)))
	return to
}

// flip changes one bit in the first bytes that read like this in the files of a directory.
func flip(t testing.TB, dir, what string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		if at := bytes.Index(b, []byte(what)); at >= 0 {
			b[at] ^= 1
			require.NoError(t, os.WriteFile(name, b, 0o600))
			return
		}
	}
	t.Fatalf("%q is in no file of %s", what, dir)
}

// rewritten writes the log of a directory anew, as change says: it is given each payload, and
// returns those to put in its place.
func rewritten(t testing.TB, dir, suffix string, change func(i int, payload []byte) [][]byte) string {
	t.Helper()
	to := dir + suffix
	from, _, err := wal.Open(dir, nil, wal.Options{ReadOnly: true})
	require.NoError(t, err)
	defer from.Close()
	log, _, err := wal.Open(to, from.Meta(), wal.Options{})
	require.NoError(t, err)
	i := 0
	for f, err := range from.Frames(0) {
		require.NoError(t, err)
		for _, payload := range change(i, bytes.Clone(f.Payload)) {
			_, err = log.Append(payload)
			require.NoError(t, err)
		}
		require.NoError(t, log.Sync())
		i++
	}
	require.NoError(t, log.Close())
	return to
}

// entriesOf reads the entries of a log.
func entriesOf(t testing.TB, dir string) (all []engine.Entry) {
	t.Helper()
	log, _, err := wal.Open(dir, nil, wal.Options{ReadOnly: true})
	require.NoError(t, err)
	defer log.Close()
	for f, err := range log.Frames(0) {
		require.NoError(t, err)
		require.NoError(t, engine.Entries(f.Payload, func(e engine.Entry, _ []byte) error {
			e.Delta = bytes.Clone(e.Delta)
			all = append(all, e)
			return nil
		}))
	}
	return all
}
