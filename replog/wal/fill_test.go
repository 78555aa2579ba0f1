package wal

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

// noZeros is a file system that has no room to fill files with zeros, and room for everything else.
type noZeros struct{ disk.FS }

type noZerosFile struct{ disk.File }

func (n noZeros) Create(name string) (disk.File, error) {
	f, err := n.FS.Create(name)
	return noZerosFile{f}, err
}

func (f noZerosFile) WriteAt(p []byte, off int64) (int, error) {
	if len(bytes.Trim(p, "\x00")) == 0 {
		n, _ := f.File.WriteAt(p[:len(p)/2], off)
		return n, &os.PathError{Op: "write", Err: syscall.ENOSPC}
	}
	return f.File.WriteAt(p, off)
}

// A disk that has no room for the zeros fails no frame that it has room for.
func TestNoRoomToFillAhead(t *testing.T) {
	for _, foreground := range []bool{true, false} {
		m := disk.NewMem()
		opt := Options{FS: noZeros{m}, SegmentBytes: 2000, Foreground: foreground}
		l, _, err := Open(testDir, nil, opt)
		require.NoError(t, err)
		h := &history{size: 2000}
		for i := range 100 {
			p := payload(i, 90)
			_, err := l.Append(p)
			require.NoError(t, err)
			h.appended = append(h.appended, p)
		}
		require.Greater(t, len(*l.segs.Load()), 4)
		require.NoError(t, l.Sync())
		h.acked = 100
		got, _, err := readAll(l, 0)
		require.NoError(t, err)
		require.NoError(t, checkPrefix(got, h.appended, 100))
		for _, seg := range *l.segs.Load() {
			b, err := m.ReadFile(seg.file)
			require.NoError(t, err)
			require.Less(t, len(b), 2000, "it was not filled")
		}
		crashed := m.CrashSoft() // what was being filled is still there
		require.NoError(t, l.Close())
		l, _, err = Open(testDir, nil, Options{FS: noZeros{crashed}, SegmentBytes: 2000})
		require.NoError(t, err, "nor does it fail an Open that repairs")
		got, _, err = readAll(l, 0)
		require.NoError(t, err)
		require.NoError(t, checkPrefix(got, h.appended, 100))
		require.NoError(t, l.Close())
	}
}

// Segments are filled before they are written to, the first in Open and others beside the writer, and no
// file that was filled and not used outlives Close.
func TestSegmentsAreFilledAhead(t *testing.T) {
	for _, foreground := range []bool{true, false} {
		dir := t.TempDir()
		l, _, err := Open(dir, nil, Options{SegmentBytes: 3 << 20, Foreground: foreground})
		require.NoError(t, err)
		size := func(number uint64) int64 {
			st, err := os.Stat(filepath.Join(dir, segmentName(number)))
			require.NoError(t, err)
			return st.Size()
		}
		room := int64(firstRoom)
		for number := uint64(1); number < 9; number++ {
			require.Equal(t, room, size(number), "segment %d, filled", number)
			for l.last.number == number {
				_, err := l.Append(payload(1, 4000))
				require.NoError(t, err)
			}
			require.Equal(t, room, size(number), "segment %d, used", number)
			room = min(2*room, 3<<20)
		}
		for l.ahead == nil {
			_, err := l.Append(payload(1, 4000))
			require.NoError(t, err)
		}
		require.NoError(t, l.Close())
		names, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, names, 2+len(*l.segs.Load()))
		l, rec, err := Open(dir, nil, Options{SegmentBytes: 3 << 20})
		require.NoError(t, err)
		require.Positive(t, rec.Frames)
		require.Equal(t, room, l.last.room)
		require.NoError(t, l.Close())
	}
}

// What was filled for frames that go elsewhere is given back; what was written stays.
func TestRepairGivesBackWhatWasFilled(t *testing.T) {
	m := disk.NewMem()
	l, _ := mustOpen(t, m)
	var last Position
	for i := range 3 {
		var err error
		last, err = l.Append(payload(i, 50))
		require.NoError(t, err)
		require.NoError(t, l.Sync())
	}
	used := l.last.offset(int64(l.End()))
	dead := m.CrashSoft()
	require.NoError(t, l.Close())
	l, _ = mustOpen(t, dead)
	segs := *l.segs.Load()
	require.Len(t, segs, 2)
	require.Equal(t, last, Position(segs[1].first), "the last batch was copied")
	old, err := dead.ReadFile(testLog)
	require.NoError(t, err)
	require.EqualValues(t, used, len(old))
	copied, err := dead.ReadFile(segs[1].file)
	require.NoError(t, err)
	require.Len(t, copied, firstRoom)
	require.NoError(t, l.Close())
}
