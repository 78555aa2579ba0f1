package wal

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

func TestCreateAppendReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	l, rec, err := Open(dir, []byte("first"), Options{})
	require.NoError(t, err)
	require.Equal(t, Recovery{Created: true}, rec)
	pos, err := l.Append([]byte("one"))
	require.NoError(t, err)
	require.Equal(t, pos, l.Durable())
	p := []byte("two")
	second, err := l.Append(p)
	require.NoError(t, err)
	p[0] = 'X'
	got, _, err := readAll(l, 0)
	require.NoError(t, err)
	require.Empty(t, got, "nothing is durable yet")
	require.NoError(t, l.Sync())
	require.Equal(t, l.End(), l.Durable())
	_, _, err = Open(dir, nil, Options{})
	require.ErrorIs(t, err, ErrLocked)
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())

	l, rec, err = Open(dir, []byte("second"), Options{})
	require.NoError(t, err)
	require.Equal(t, Recovery{Frames: 2}, rec)
	require.Equal(t, "first", string(l.Meta()))
	l.Meta()[0] = 'X'
	require.Equal(t, "first", string(l.Meta()))
	got, at, err := readAll(l, 0)
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("one"), []byte("two")}, got)
	require.Equal(t, []Position{pos, second}, at)
	got, _, err = readAll(l, second)
	require.NoError(t, err)
	require.Equal(t, [][]byte{[]byte("two")}, got)
	require.NoError(t, l.Close())
}

func TestClosed(t *testing.T) {
	l, _ := mustOpen(t, disk.NewMem())
	_, err := l.Append([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, l.Sync())
	for _, err := range l.Frames(0) {
		require.NoError(t, err)
		require.NoError(t, l.Close())
	}
	_, err = l.Append(nil)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, l.Sync(), ErrClosed)
	_, _, err = readAll(l, 0)
	require.ErrorIs(t, err, ErrClosed)
}

func TestLimits(t *testing.T) {
	m := disk.NewMem()
	_, _, err := Open(testDir, make([]byte, maxMeta+1), Options{FS: m})
	require.ErrorIs(t, err, ErrTooLarge)
	_, _, err = Open(testDir, nil, Options{FS: m, MaxPayload: -1})
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = m.List(testDir)
	require.ErrorIs(t, err, fs.ErrNotExist, "refused before anything was made")
	l, _, err := Open(testDir, make([]byte, maxMeta), Options{FS: m, MaxPayload: 100})
	require.NoError(t, err)
	for _, size := range []int{99, 100, 101} {
		_, err := l.Append(make([]byte, size))
		require.Equal(t, size > 100, errors.Is(err, ErrTooLarge), "size %d: %v", size, err)
	}
	require.NoError(t, l.Sync())
	got, _, err := readAll(l, 0)
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.NoError(t, l.Close())
}

func TestPositions(t *testing.T) {
	l, _ := mustOpen(t, disk.NewMem())
	defer l.Close()
	_, err := l.Append([]byte("one"))
	require.NoError(t, err)
	require.NoError(t, l.Sync())
	_, err = l.Append([]byte("two"))
	require.NoError(t, err)
	for _, c := range []struct {
		from Position
		want error
	}{
		{-1, ErrPosition},
		{l.End() + 1, ErrPosition},
		{l.Durable(), nil},
		{l.End(), nil},
		{firstPosition + 1, ErrCorrupt}, // not the start of a frame
	} {
		_, _, err := readAll(l, c.from)
		require.ErrorIs(t, err, c.want, "from %d", c.from)
	}
}

func TestReadOnlyWritesNothing(t *testing.T) {
	dir := t.TempDir()
	_, _, err := Open(filepath.Join(dir, "none"), nil, Options{ReadOnly: true})
	require.ErrorIs(t, err, fs.ErrNotExist)
	l, _, err := Open(dir, []byte("m"), Options{})
	require.NoError(t, err)
	for i := range 3 {
		_, err = l.Append(payload(i, 50))
		require.NoError(t, err)
	}
	require.NoError(t, l.Sync())
	f, err := os.OpenFile(filepath.Join(dir, segmentName(1)), os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("torn"), l.last.offset(int64(l.End())))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	before := tree(t, dir)
	ro, rec, err := Open(dir, nil, Options{ReadOnly: true}) // beside the writer
	require.NoError(t, err)
	require.Equal(t, 3, rec.Frames)
	require.EqualValues(t, 4, rec.DroppedBytes)
	got, _, err := readAll(ro, 0)
	require.NoError(t, err)
	require.Len(t, got, 3)
	_, err = ro.Append(nil)
	require.ErrorIs(t, err, ErrReadOnly)
	require.ErrorIs(t, ro.Sync(), ErrReadOnly)
	require.NoError(t, ro.Close())
	require.Equal(t, before, tree(t, dir))
	require.NoError(t, l.Close())
}

func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		st, err := e.Info()
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		out[e.Name()] = st.ModTime().String() + string(b)
	}
	return out
}

func TestSecondProcessGetsErrLocked(t *testing.T) {
	dir := t.TempDir()
	l, _, err := Open(dir, nil, Options{})
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "WAL_TEST_CHILD="+dir, "WAL_TEST_TASK=lock")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "locked (process")
	require.NoError(t, l.Close())
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "WAL_TEST_CHILD="+dir, "WAL_TEST_TASK=lock")
	out, err = cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "opened")
}

func TestReadersBesideTheWriter(t *testing.T) {
	for _, where := range []string{"mem", "os"} {
		t.Run(where, func(t *testing.T) {
			opt := Options{FS: disk.NewMem()}
			if where == "os" {
				opt.FS = nil
			}
			dir := t.TempDir()
			if where == "mem" {
				dir = testDir
			}
			l, _, err := Open(dir, nil, opt)
			require.NoError(t, err)
			const frames = 600
			var wg sync.WaitGroup
			var done atomic.Bool
			for r := range 4 {
				wg.Go(func() {
					pos, n := Position(0), 0
					for n < frames {
						last := done.Load() // then everything is durable, and one more round must see it
						for f, err := range l.Frames(pos) {
							if err != nil {
								t.Errorf("reader %d: %v", r, err)
								return
							}
							if !bytes.Equal(f.Payload, payload(n, n%700)) {
								t.Errorf("reader %d: frame %d is wrong", r, n)
								return
							}
							pos, n = f.Next, n+1
							if n%(50+r) == 0 {
								break
							}
						}
						if last && n < frames && pos == l.Durable() {
							t.Errorf("reader %d saw %d frames of %d", r, n, frames)
							return
						}
					}
				})
			}
			for i := range frames {
				_, err := l.Append(payload(i, i%700))
				require.NoError(t, err)
				if i%7 == 0 {
					require.NoError(t, l.Sync())
				}
			}
			require.NoError(t, l.Sync())
			done.Store(true)
			wg.Wait()
			require.NoError(t, l.Close())
		})
	}
}

func TestSecondAppenderDoesNoHarm(t *testing.T) {
	l, _ := mustOpen(t, disk.NewMem())
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 50 {
				_, err := l.Append(payload(g*50+i, 20))
				err = errors.Join(err, l.Sync())
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got, _, err := readAll(l, 0)
	require.NoError(t, err)
	require.Len(t, got, 200)
	for range 3 {
		wg.Go(func() { _ = l.Close() })
	}
	wg.Wait()
}

func TestFramesLargerThanTheBuffer(t *testing.T) {
	m := disk.NewMem()
	l, _ := mustOpen(t, m)
	sizes := []int{10, readStep - frameHeader - 5, readStep, 3 * readStep, 7}
	for i, size := range sizes {
		_, err := l.Append(payload(i, size))
		require.NoError(t, err)
	}
	require.NoError(t, l.Sync())
	got, _, err := readAll(l, 0)
	require.NoError(t, err)
	for i, size := range sizes {
		require.True(t, bytes.Equal(payload(i, size), got[i]), "frame %d", i)
	}
	require.Len(t, *l.segs.Load(), len(sizes), "each has a segment to itself")
	require.NoError(t, l.Close())
	l, rec := mustOpen(t, m)
	require.Equal(t, Recovery{Frames: 1}, rec)
	got, _, err = readAll(l, 0)
	require.NoError(t, err)
	require.Len(t, got, len(sizes))
	require.NoError(t, l.Close())
}

// The log against a slice: append, sync, read, reopen, die, lose power.
func TestModel(t *testing.T) {
	cuts := 0
	randtest.Check(t, 100, 1000, func(t *rapid.T) {
		m, h := disk.NewMem(), &history{size: rapid.SampledFrom([]int64{5000, 300, 2000}).Draw(t, "segment")}
		var starts []Position // of h.appended, as far as known in this life
		l, err := h.verify(m)
		if err != nil {
			t.Fatal(err)
		}
		reopen := func(next *disk.Mem) {
			m = next
			if l, err = h.verify(m); err != nil {
				t.Fatal(err)
			}
			_, starts, _ = readAll(l, 0)
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				p := rapid.SliceOfN(rapid.Byte(), 0, 700).Draw(t, "payload")
				pos, err := l.Append(p)
				if err != nil {
					t.Fatal(err)
				}
				if l.Durable() == pos { // perhaps a new segment began
					h.acked = len(h.appended)
				}
				h.appended, starts = append(h.appended, p), append(starts, pos)
			},
			"sync": func(t *rapid.T) {
				if err := l.Sync(); err != nil {
					t.Fatal(err)
				}
				h.acked = len(h.appended)
			},
			"read": func(t *rapid.T) {
				from := rapid.IntRange(0, len(starts)).Draw(t, "from")
				pos := l.End()
				if from < len(starts) {
					pos = starts[from]
				}
				got, at, err := readAll(l, pos)
				if err != nil {
					t.Fatal(err)
				}
				want := h.appended[min(from, h.acked):h.acked]
				if len(got) != len(want) || checkPrefix(got, want, len(want)) != nil {
					t.Fatalf("read from %d: got %d frames, want %d", from, len(got), len(want))
				}
				for i := range at {
					if at[i] != starts[from+i] {
						t.Fatalf("frame %d at %d, want %d", from+i, at[i], starts[from+i])
					}
				}
			},
			"reopen": func(t *rapid.T) {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				h.acked = len(h.appended) // the process lives, so nothing is lost
				reopen(m)
			},
			"kill": func(t *rapid.T) {
				h.acked = len(h.appended)
				reopen(m.CrashSoft())
			},
			"power cut": func(t *rapid.T) {
				cuts++
				reopen(m.Crash(func(o disk.Outcome) int {
					return rapid.IntRange(0, o.N-1).Draw(t, o.What)
				}))
			},
		})
		_ = l.Close()
	})
	ran(t, "power cuts", cuts, randtest.Histories(t, 100, 1000))
}

func FuzzOpen(f *testing.F) {
	w := build(f, []int{10, 20}, []int{300}, []int{0})
	f.Add(w.bytes)
	f.Add(w.bytes[:len(w.bytes)-1])
	f.Add(w.bytes[:w.header])
	f.Add(append(bytes.Clone(w.bytes), make([]byte, 600)...))
	f.Add([]byte{})
	bomb := bytes.Clone(w.bytes)
	le.PutUint32(bomb[w.start[1]+4:], 1<<32-1)
	f.Add(bomb)
	f.Fuzz(func(t *testing.T, log []byte) { fuzzOpen(t, diskWith(t, w, log), len(log)) })
}

func FuzzManifest(f *testing.F) {
	w := build(f, []int{10, 20}, []int{300}, []int{0})
	m, err := func() (manifest, error) { return (directory{fs: diskWith(f, w, w.bytes), dir: testDir}).readManifest() }()
	require.NoError(f, err)
	f.Add(w.manifest)
	f.Add(w.manifest[:len(w.manifest)-1])
	m.whole = w.segment(nil).position(w.start[2])
	f.Add(m.encode())
	m.segments = append(m.segments, listed{number: 2, first: m.whole, salt: 1})
	f.Add(m.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, ok := parseManifest(b); ok {
			require.Equal(t, enclose(manifestMagic, b), m.encode())
		}
		w := w
		w.manifest = b
		fuzzOpen(t, diskWith(t, w, w.bytes), len(b)+len(w.bytes))
	})
}

// fuzzOpen opens a log that may be damaged anyhow, in a directory of so many bytes.
func fuzzOpen(t *testing.T, m *disk.Mem, size int) {
	original := files(t, m)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ro, roRec, roErr := Open(testDir, nil, Options{FS: m, ReadOnly: true})
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(20*size+256<<10), "allocation is not bounded by the file's size")
	require.True(t, maps.Equal(original, files(t, m)), "opened for reading only, and yet changed")
	var first [][]byte
	if roErr == nil {
		var err error
		first, _, err = readAll(ro, 0)
		require.NoError(t, err)
		require.NoError(t, ro.Close())
	}
	l, rec, err := Open(testDir, nil, Options{FS: m})
	require.Equal(t, roErr == nil, err == nil, "read-only: %v, writable: %v", roErr, err)
	if err != nil {
		require.True(t, maps.Equal(original, files(t, m)), "refused, and yet changed")
		return
	}
	require.Equal(t, roRec, rec)
	got, _, err := readAll(l, 0)
	require.NoError(t, err)
	require.Equal(t, first, got)
	require.NoError(t, l.Close())
}
