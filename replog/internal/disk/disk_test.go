package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The same contract on every FS.
func TestFS(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) (FS, string){
		"os":    func(t *testing.T) (FS, string) { return OS(), t.TempDir() },
		"mem":   func(*testing.T) (FS, string) { return NewMem(), "/" },
		"fault": func(*testing.T) (FS, string) { return NewFault(NewMem(), 1), "/" },
	} {
		t.Run(name, func(t *testing.T) {
			d, root := open(t)
			dir := filepath.Join(root, "a", "b")
			at := func(name string) string { return filepath.Join(dir, name) }
			_, err := d.Create(at("x"))
			require.ErrorIs(t, err, fs.ErrNotExist)
			require.NoError(t, d.MkdirAll(dir))
			require.NoError(t, d.MkdirAll(dir))
			f, err := d.Create(at("x"))
			require.NoError(t, err)
			_, err = d.Create(at("x"))
			require.ErrorIs(t, err, fs.ErrExist)
			require.Error(t, d.MkdirAll(at("x")))
			n, err := f.WriteAt([]byte("hello"), 3)
			require.NoError(t, err)
			require.Equal(t, 5, n)
			size, err := f.Size()
			require.NoError(t, err)
			require.EqualValues(t, 8, size)
			b := make([]byte, 10)
			n, err = f.ReadAt(b, 0)
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, "\x00\x00\x00hello", string(b[:n]))
			require.NoError(t, f.Truncate(5))
			require.NoError(t, f.Truncate(7))
			n, _ = f.ReadAt(b, 2)
			require.Equal(t, "\x00he\x00\x00", string(b[:n]))
			n, err = f.ReadAt(b, 100)
			require.Zero(t, n)
			require.ErrorIs(t, err, io.EOF)
			require.NoError(t, f.Sync())
			require.NoError(t, f.Close())
			require.ErrorIs(t, f.Close(), fs.ErrClosed)
			require.ErrorIs(t, f.Sync(), fs.ErrClosed)
			_, err = f.WriteAt(b, 0)
			require.ErrorIs(t, err, fs.ErrClosed)
			require.NoError(t, d.Rename(at("x"), at("y")))
			_, err = d.Open(at("x"))
			require.ErrorIs(t, err, fs.ErrNotExist)
			_, err = d.OpenWrite(at("x"))
			require.ErrorIs(t, err, fs.ErrNotExist)
			require.ErrorIs(t, d.Remove(at("x")), fs.ErrNotExist)
			require.ErrorIs(t, d.SyncDir(at("none")), fs.ErrNotExist)
			f, err = d.Open(at("y"))
			require.NoError(t, err)
			_, err = f.WriteAt(b, 0)
			require.Error(t, err)
			require.NoError(t, f.Close())
			f, err = d.OpenWrite(at("y"))
			require.NoError(t, err)
			_, err = f.WriteAt([]byte("!"), 0)
			require.NoError(t, err)
			require.NoError(t, f.Close())
			require.NoError(t, d.SyncDir(dir))
			lock, err := d.Lock(at("lock"))
			require.NoError(t, err)
			_, err = d.Lock(at("lock"))
			require.ErrorIs(t, err, ErrLocked)
			require.ErrorContains(t, err, "process")
			names, err := d.List(dir)
			require.NoError(t, err)
			require.Equal(t, []string{"lock", "y"}, names)
			require.NoError(t, lock.Close())
			require.Error(t, lock.Close())
			lock, err = d.Lock(at("lock"))
			require.NoError(t, err)
			require.NoError(t, lock.Close())
			require.NoError(t, d.Remove(at("y")))
			names, _ = d.List(dir)
			require.Equal(t, []string{"lock"}, names)
		})
	}
}

func write(t *testing.T, d FS, name, text string, sync bool) File {
	t.Helper()
	f, err := d.OpenWrite(name)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = d.Create(name)
	}
	require.NoError(t, err)
	_, err = f.WriteAt([]byte(text), 0)
	require.NoError(t, err)
	if sync {
		require.NoError(t, f.Sync())
	}
	return f
}

// outcomes returns every content of a file after a power cut; "-" means that it is not there.
func outcomes(m *Mem, name string) []string {
	var all []string
	for c := range m.Crashes() {
		b, err := c.ReadFile(name)
		s := string(b)
		if err != nil {
			s = "-"
		}
		all = append(all, s)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func TestCrashKeepsWhatWasSynced(t *testing.T) {
	m := NewMem()
	write(t, m, "f", "abc", true)
	require.Equal(t, []string{"-", "abc"}, outcomes(m, "f"), "the name is not synced")
	require.NoError(t, m.SyncDir("."))
	require.Equal(t, []string{"abc"}, outcomes(m, "f"))
}

func TestCrashChangesUnsyncedBytesOnly(t *testing.T) {
	m := NewMem()
	require.NoError(t, m.WriteFile("f", []byte("abcdef")))
	f, err := m.OpenWrite("f")
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("XY"), 2)
	require.NoError(t, err)
	all := outcomes(m, "f")
	require.Len(t, all, 4)
	for _, s := range all {
		require.Equal(t, "ab..ef", s[:2]+".."+s[4:])
	}
	require.Contains(t, all, "abcdef")
	require.Contains(t, all, "abXYef")
	require.Contains(t, all, "ab\x00\x00ef")
}

func TestCrashSizesAreIndependentOfSectors(t *testing.T) {
	m := NewMem()
	require.NoError(t, m.WriteFile("f", []byte("ab")))
	f, _ := m.OpenWrite("f")
	_, _ = f.WriteAt([]byte("cd"), 2)
	_, _ = f.WriteAt([]byte("ef"), 4)
	all := outcomes(m, "f")
	for _, want := range []string{"ab", "abcd", "abcdef", "ab\x00\x00", "ab\x00\x00\x00\x00"} {
		require.Contains(t, all, want)
	}
	require.NoError(t, f.Sync())
	require.NoError(t, f.Truncate(1))
	all = outcomes(m, "f")
	require.Contains(t, all, "a")
	require.Contains(t, all, "abcdef")
	require.NoError(t, f.Sync())
	require.Equal(t, []string{"a"}, outcomes(m, "f"))
}

func TestCrashMayLeaveWhatWasOverwrittenBeforeASync(t *testing.T) {
	m := NewMem()
	require.NoError(t, m.WriteFile("f", nil))
	f, _ := m.OpenWrite("f")
	_, _ = f.WriteAt([]byte("abcd"), 0)
	require.NoError(t, f.Truncate(0))
	_, _ = f.WriteAt([]byte("xy"), 0)
	all := outcomes(m, "f")
	for _, want := range []string{"", "xy", "abcd", "ab", "xy\x00\x00"} {
		require.Contains(t, all, want)
	}
	require.NoError(t, f.Sync())
	require.Equal(t, []string{"xy"}, outcomes(m, "f"))
}

func TestCrashOfRename(t *testing.T) {
	m := NewMem()
	require.NoError(t, m.WriteFile("f", []byte("old")))
	write(t, m, "g", "new", true)
	require.NoError(t, m.Rename("g", "f"))
	require.Equal(t, []string{"new", "old"}, outcomes(m, "f"))
	require.NoError(t, m.SyncDir("/"))
	require.Equal(t, []string{"new"}, outcomes(m, "f"))
	require.Equal(t, []string{"-"}, outcomes(m, "g"))
	require.NoError(t, m.Remove("f"))
	require.Equal(t, []string{"-", "new"}, outcomes(m, "f"))
}

func TestCrashLeavesTheDiskAloneAndSoftCrashKeepsAll(t *testing.T) {
	m := NewMem()
	_, err := m.Lock("lock")
	require.NoError(t, err)
	f := write(t, m, "f", "abc", false)
	_ = m.Crash(func(o Outcome) int { return o.N - 1 })
	soft := m.CrashSoft()
	b, err := soft.ReadFile("f")
	require.NoError(t, err)
	require.Equal(t, "abc", string(b))
	require.Equal(t, outcomes(m, "f"), outcomes(soft, "f"), "what was not synced still is not")
	_, err = soft.Lock("lock")
	require.NoError(t, err, "the dead hold no locks")
	_, err = f.WriteAt([]byte("xyz"), 0)
	require.NoError(t, err)
	b, _ = soft.ReadFile("f")
	require.Equal(t, "abc", string(b), "the two disks share bytes")
}

// A Sync that failed: the lost pages count as clean, so that a second Sync does not save them.
func TestFailedSyncLosesPages(t *testing.T) {
	for _, revert := range []bool{false, true} {
		lost, kept := 0, 0
		for seed := range uint64(40) {
			m := NewMem()
			d := NewFault(m, seed)
			f := write(t, d, "f", string(make([]byte, 4*SectorSize)), true)
			require.NoError(t, m.SyncDir("."))
			_, err := f.WriteAt([]byte("x"), SectorSize)
			require.NoError(t, err)
			d.Fail(d.Ops()+1, Failure{Err: syscall.EIO, DropPages: true, Revert: revert})
			require.ErrorIs(t, f.Sync(), syscall.EIO)
			require.NoError(t, f.Sync())
			seen, _ := m.ReadFile("f")
			c, _ := m.Crash(func(Outcome) int { return 0 }).ReadFile("f")
			if c[SectorSize] == 0 {
				lost++
				require.Equal(t, revert, seen[SectorSize] == 0)
			} else {
				kept++
			}
		}
		require.NotZero(t, lost)
		require.NotZero(t, kept)
	}
}

func TestFault(t *testing.T) {
	m := NewMem()
	d := NewFault(m, 1)
	f := write(t, d, "f", "abcdef", true) // openwrite, create, write, sync
	require.Equal(t, 4, d.Ops())
	d.Fail(5, Failure{Err: syscall.ENOSPC, Short: true, K: 2})
	n, err := f.WriteAt([]byte("XYZ"), 0)
	require.Equal(t, 2, n)
	require.ErrorIs(t, err, syscall.ENOSPC)
	op, hit := d.Hit()
	require.True(t, hit)
	require.Equal(t, "write f", op)
	b, _ := m.ReadFile("f")
	require.Equal(t, "XYcdef", string(b))
	d.Fail(6, Failure{Short: true, K: 9})
	n, err = f.WriteAt([]byte("123"), 0)
	require.NoError(t, err)
	require.Equal(t, 2, n, "a short write is never whole")
	d.Fail(7, Failure{Err: syscall.EACCES, Times: 2})
	_, err = d.Open("f")
	require.ErrorIs(t, err, fs.ErrPermission)
	require.ErrorIs(t, f.Truncate(0), fs.ErrPermission)
	require.NoError(t, f.Truncate(1))
	d.StopAt(d.Ops() + 2)
	require.NoError(t, f.Truncate(2))
	require.ErrorIs(t, f.Truncate(3), ErrStopped)
	require.ErrorIs(t, d.Rename("f", "g"), ErrStopped)
	require.ErrorIs(t, f.Close(), ErrStopped)
	b, _ = m.ReadFile("f")
	require.Len(t, b, 2)
}

// Random files against the promise: synced bytes stay, others are old, new, zero or garbage.
func TestCrashRand(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for i := range 300 {
		m := NewMem()
		synced := make([]byte, 3000)
		for j := range synced {
			synced[j] = byte(j%255) + 1
		}
		require.NoError(t, m.WriteFile("f", synced))
		f, _ := m.OpenWrite("f")
		off, n := rng.Int64N(2500), 1+rng.Int64N(400)
		_, err := f.WriteAt(make([]byte, n), off)
		require.NoError(t, err)
		b, err := m.CrashRand(rng).ReadFile("f")
		require.NoError(t, err)
		require.Equal(t, synced[:off], b[:off], "round %d", i)
		require.Equal(t, synced[off+n:], b[off+n:], "round %d", i)
	}
}

func TestMemConcurrent(t *testing.T) {
	m := NewMem()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 50 {
				name := fmt.Sprintf("f%d", (g+i)%5)
				f, err := m.Create(name)
				if err != nil {
					continue
				}
				_, _ = f.WriteAt([]byte("abc"), int64(i))
				_ = f.Sync()
				_ = m.SyncDir("/")
				_ = m.CrashSoft()
				_ = m.Crash(func(Outcome) int { return 0 })
				_ = m.Remove(name)
			}
		})
	}
	wg.Wait()
}
