package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

// segmented is a log of several segments, of frames of 100 bytes and more, two in a batch. It was not closed.
type segmented struct {
	files    map[string]string
	names    []string // of the segments
	payloads [][]byte
	start    []Position
	segs     []*segment
}

func buildSegments(t testing.TB, segments int) segmented {
	t.Helper()
	m := disk.NewMem()
	l, _, err := Open(testDir, []byte("meta"), Options{FS: m, SegmentBytes: 700, Foreground: true})
	require.NoError(t, err)
	var s segmented
	for i := 0; len(*l.segs.Load()) < segments || i%2 == 1; i++ {
		p := payload(i, 100+i*7%90)
		pos, err := l.Append(p)
		require.NoError(t, err)
		s.payloads, s.start = append(s.payloads, p), append(s.start, pos)
		if i%2 == 1 {
			require.NoError(t, l.Sync())
		}
	}
	require.NoError(t, l.Sync())
	s.files, s.segs = files(t, m), *l.segs.Load()
	for _, seg := range s.segs {
		s.names = append(s.names, segmentName(seg.number))
	}
	require.NoError(t, l.Close())
	return s
}

func (s segmented) disk(t testing.TB, change func(files map[string]string)) *disk.Mem {
	t.Helper()
	all := maps.Clone(s.files)
	change(all)
	m := disk.NewMem()
	require.NoError(t, m.MkdirAll(testDir))
	for name, b := range all {
		require.NoError(t, m.WriteFile(testDir+"/"+name, []byte(b)))
	}
	return m
}

func (s segmented) options(m *disk.Mem) Options {
	return Options{FS: m, SegmentBytes: 700, Foreground: true}
}

func flip(s string, at int, bit byte) string {
	b := []byte(s)
	b[at] ^= bit
	return string(b)
}

func TestFramesGoThroughAllSegments(t *testing.T) {
	s := buildSegments(t, 6)
	m := s.disk(t, func(map[string]string) {})
	for round := range 3 {
		l, rec, err := Open(testDir, nil, s.options(m))
		require.NoError(t, err)
		require.Less(t, rec.Frames, len(s.payloads))
		for i := range s.start {
			got, at, err := readAll(l, s.start[i])
			require.NoError(t, err)
			require.Equal(t, s.payloads[i:], got, "from frame %d", i)
			require.Equal(t, s.start[i:], at)
		}
		for f, err := range l.Frames(0) {
			require.NoError(t, err)
			_, at, err := readAll(l, f.Next)
			require.NoError(t, err)
			if len(at) > 0 {
				require.Equal(t, f.Next, at[0])
			}
		}
		for _, seg := range *l.segs.Load() {
			require.Equal(t, seg == l.last, seg.refs > 0, "round %d: segment %d is open", round, seg.number)
		}
		require.NoError(t, l.Close())
	}
}

// A loop goes on into segments that began after it did, and ends where the log ends.
func TestFramesFollowTheWriterIntoNewSegments(t *testing.T) {
	l, _, err := Open(testDir, nil, Options{FS: disk.NewMem(), SegmentBytes: 500, Foreground: true})
	require.NoError(t, err)
	add := func(i int) {
		_, err := l.Append(payload(i, 90))
		require.NoError(t, err)
		require.NoError(t, l.Sync())
	}
	add(0)
	n := 0
	for f, err := range l.Frames(0) {
		require.NoError(t, err)
		require.Equal(t, payload(n, 90), f.Payload)
		if n++; n < 50 {
			add(n)
		}
	}
	require.Equal(t, 50, n)
	require.Greater(t, len(*l.segs.Load()), 10)
	require.NoError(t, l.Close())
}

func TestNextRoom(t *testing.T) {
	var got []int64
	for room := int64(0); len(got) < 6; got = append(got, room) {
		room = Options{SegmentBytes: 300 << 10}.nextRoom(room)
	}
	require.Equal(t, []int64{64 << 10, 128 << 10, 256 << 10, 300 << 10, 300 << 10, 300 << 10}, got)
	require.EqualValues(t, 10, Options{SegmentBytes: 10}.nextRoom(0))
}

// Files that are missing, or in each other's place, are named, and never an empty or a shorter log.
func TestDamagedSetOfFiles(t *testing.T) {
	s := buildSegments(t, 5)
	older := buildSegments(t, 2) // with another salt
	last := s.names[4]
	type change = map[string]string
	cases := []struct {
		name   string
		change func(f change)
		file   string // that the error names; "": it opens
		reason string
	}{
		{"none", func(change) {}, "", ""},
		{"no manifest", func(f change) { delete(f, manifestName) }, manifestName, "it is missing, but wal-00000001.seg is there"},
		{"no manifest and no first segment", func(f change) { delete(f, manifestName); delete(f, s.names[0]) }, manifestName, "missing"},
		{"only a first segment, with frames", func(f change) {
			first := f[s.names[0]]
			clear(f)
			f[s.names[0]] = first
		}, manifestName, "missing"},
		{"only the manifest", func(f change) {
			m := f[manifestName]
			clear(f)
			f[manifestName] = m
		}, s.names[0], "missing"},
		{"two segments swapped", func(f change) { f[s.names[1]], f[s.names[2]] = f[s.names[2]], f[s.names[1]] }, s.names[1], "it is segment 3"},
		{"another log's segment", func(f change) { f[s.names[0]] = older.files[s.names[0]] }, s.names[0], "not the one"},
		{"another log's manifest", func(f change) { f[manifestName] = older.files[manifestName] }, s.names[0], "not the one"},
		{"an earlier segment is cut", func(f change) { f[s.names[2]] = f[s.names[2]][:400] }, s.names[2], "shorter"},
		{"an earlier segment is empty", func(f change) { f[s.names[2]] = "" }, s.names[2], "shorter"},
		{"the manifest is cut", func(f change) { f[manifestName] = f[manifestName][:30] }, manifestName, "checksum"},
		{"the manifest is empty", func(f change) { f[manifestName] = "" }, manifestName, "shorter"},
		{"the manifest is longer", func(f change) { f[manifestName] += "x" }, manifestName, "no possible log"},
		{"the manifest is an old one", func(f change) {
			m, err := (directory{fs: s.disk(t, func(change) {}), dir: testDir}).readManifest()
			require.NoError(t, err)
			m.segments = m.segments[:4]
			m.whole = m.segments[3].first
			f[manifestName] = string(m.encode())
		}, manifestName, "it is older than " + last},
		{"the manifest is a very old one", func(f change) {
			m, err := (directory{fs: s.disk(t, func(change) {}), dir: testDir}).readManifest()
			require.NoError(t, err)
			m.segments = m.segments[:1]
			m.whole = m.segments[0].first
			f[manifestName] = string(m.encode())
		}, manifestName, "it is older than " + s.names[1]},
		{"a copy of a segment under a name far away", func(f change) { f[segmentName(9)] = f[s.names[1]] }, "", ""},
		{"a segment without frames that is not listed", func(f change) { f[segmentName(6)] = f[s.names[1]][:60] }, "", ""},
		{"files of others", func(f change) { f["wal-6.seg"], f["wal-x.seg"], f["notes"] = "a", "b", "c" }, "", ""},
	}
	for i, name := range s.names {
		cases = append(cases, struct {
			name   string
			change func(f change)
			file   string
			reason string
		}{fmt.Sprintf("segment %d is missing", i), func(f change) { delete(f, name) }, name, "missing"})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, readOnly := range []bool{true, false} {
				m := s.disk(t, c.change)
				before := files(t, m)
				opt := s.options(m)
				opt.ReadOnly = readOnly
				l, _, err := Open(testDir, nil, opt)
				if c.file == "" {
					require.NoError(t, err)
					got, _, err := readAll(l, 0)
					require.NoError(t, err)
					require.Equal(t, s.payloads, got)
					require.NoError(t, l.Close())
					continue
				}
				if readOnly && errors.Is(err, fs.ErrNotExist) {
					continue
				}
				var corrupt *CorruptError
				require.ErrorAs(t, err, &corrupt)
				require.Equal(t, testDir+"/"+c.file, corrupt.File)
				require.Contains(t, corrupt.Reason, c.reason)
				require.True(t, maps.Equal(before, files(t, m)), "the evidence was changed")
			}
		})
	}
}

// A directory of others' files is left as it is.
func TestStrays(t *testing.T) {
	s := buildSegments(t, 3)
	m := s.disk(t, func(f map[string]string) {
		f[segmentName(4)] = "left by a crash"
		f[segmentName(9)] = "not ours"
		f["wal-6.seg"] = "nor this"
	})
	l, _, err := Open(testDir, nil, s.options(m))
	require.NoError(t, err)
	names, err := m.List(testDir)
	require.NoError(t, err)
	require.Contains(t, names, segmentName(9))
	require.Contains(t, names, "wal-6.seg")
	if l.last.number == 4 {
		require.NotEqual(t, "left by a crash", files(t, m)[segmentName(4)])
	} else {
		require.NotContains(t, names, segmentName(4))
	}
	require.NoError(t, l.Close())
}

// Flips in an earlier segment: in its header Open names them, in a frame whoever reads it.
func TestEveryFlipInAnEarlierSegment(t *testing.T) {
	s := buildSegments(t, 4)
	const k = 1
	seg, end := s.segs[k], s.segs[k].offset(s.segs[k+1].first)
	name := s.names[k]
	headers, frames := 0, 0
	for at := range int(end) {
		bit := byte(1) << (at % 8)
		m := s.disk(t, func(f map[string]string) { f[name] = flip(f[name], at, bit) })
		opt := s.options(m)
		opt.ReadOnly = true
		l, _, err := Open(testDir, nil, opt)
		var corrupt *CorruptError
		if int64(at) < seg.size() {
			require.ErrorAs(t, err, &corrupt, "byte %d", at)
			headers++
			continue
		}
		require.NoError(t, err)
		got, _, err := readAll(l, 0)
		require.ErrorAs(t, err, &corrupt, "byte %d", at)
		require.Equal(t, testDir+"/"+name, corrupt.File)
		require.LessOrEqual(t, corrupt.Offset, int64(at))
		require.Equal(t, s.payloads[:len(got)], got)
		require.GreaterOrEqual(t, s.start[len(got)], Position(seg.first))
		after, _, err := readAll(l, Position(s.segs[k+1].first))
		require.NoError(t, err, "what lies behind can be read")
		require.Equal(t, s.payloads[len(s.payloads)-len(after):], after)
		require.NoError(t, l.Close())
		frames++
	}
	ran(t, "flips in the header", headers, 50)
	ran(t, "flips in frames", frames, 300)
}

func TestEveryFlipInTheManifest(t *testing.T) {
	s := buildSegments(t, 3)
	n := 0
	for at := range len(s.files[manifestName]) {
		for bit := range 8 {
			m := s.disk(t, func(f map[string]string) { f[manifestName] = flip(f[manifestName], at, 1<<bit) })
			opt := s.options(m)
			opt.ReadOnly = true
			_, _, err := Open(testDir, nil, opt)
			require.ErrorIs(t, err, ErrCorrupt, "byte %d bit %d", at, bit)
			n++
		}
	}
	ran(t, "flips", n, 700)
}

// An Append that needs a segment and gets none leaves the log as it was.
func TestNoRoomForASegment(t *testing.T) {
	for step := 1; ; step++ {
		m := disk.NewMem()
		f := disk.NewFault(m, 1)
		h := &history{size: 400}
		l, err := h.verify(f)
		require.NoError(t, err)
		for len(*l.segs.Load()) == 1 {
			if f.Fail(f.Ops()+step, disk.Failure{Err: syscall.ENOSPC}); l.last.takes(l.end.Load(), frameHeader+90) {
				f.Fail(0, disk.Failure{})
			}
			p := payload(len(h.appended), 90)
			_, err = l.Append(p)
			if err != nil {
				break
			}
			h.appended = append(h.appended, p)
		}
		op, hit := f.Hit()
		if !hit {
			require.Greater(t, step, 10)
			break
		}
		if errors.Is(err, ErrPoisoned) {
			require.Contains(t, []string{"sync " + segmentName(1), "rename " + manifestName, "syncdir " + testDir}, op)
			require.NoError(t, l.Close())
			continue
		}
		if err != nil {
			require.ErrorIs(t, err, ErrNoSpace, op)
		}
		for range 10 {
			p := payload(len(h.appended), 90)
			_, err = l.Append(p)
			require.NoError(t, err, "there is room again after %s", op)
			h.appended = append(h.appended, p)
		}
		require.NoError(t, l.Sync())
		h.acked = len(h.appended)
		require.NoError(t, h.compare(l))
		require.NoError(t, l.Close())
		require.NoError(t, after(t, m.Crash(func(disk.Outcome) int { return 1 }), h), op)
	}
}

// sealed is a log that was closed; the zeros behind its last frame are left out.
func sealed(t testing.TB) segmented {
	s := buildSegments(t, 3)
	m := s.disk(t, func(map[string]string) {})
	l, _, err := Open(testDir, nil, s.options(m))
	require.NoError(t, err)
	for i := range 3 { // one batch, after a manifest was written
		p := payload(i, 40)
		_, err := l.Append(p)
		require.NoError(t, err)
		s.payloads = append(s.payloads, p)
	}
	require.NoError(t, l.Close())
	s.files, s.segs, s.names = files(t, m), *l.segs.Load(), nil
	for _, seg := range s.segs {
		s.names = append(s.names, segmentName(seg.number))
	}
	name := s.names[len(s.names)-1]
	s.files[name] = s.files[name][:l.last.offset(int64(l.End()))]
	return s
}

// In a log that was closed every flip is found, and every cut, in the last batch too.
func TestEveryFlipInTheLastSegmentOfASealedLog(t *testing.T) {
	s := sealed(t)
	name := s.names[len(s.names)-1]
	flips, cuts := 0, 0
	for at := range len(s.files[name]) {
		for bit := range 8 {
			m := s.disk(t, func(f map[string]string) { f[name] = flip(f[name], at, 1<<bit) })
			opt := s.options(m)
			opt.ReadOnly = true
			_, _, err := Open(testDir, nil, opt)
			require.ErrorIs(t, err, ErrCorrupt, "byte %d bit %d", at, bit)
			flips++
		}
		m := s.disk(t, func(f map[string]string) { f[name] = f[name][:at] })
		_, _, err := Open(testDir, nil, s.options(m))
		require.ErrorIs(t, err, ErrCorrupt, "cut at %d", at)
		cuts++
	}
	ran(t, "flips", flips, 1500)
	ran(t, "cuts", cuts, 200)
}

// Behind a sealed log there may be anything: it is no damage to what the log holds.
func TestBytesBehindASealedLog(t *testing.T) {
	s := sealed(t)
	name := s.names[len(s.names)-1]
	for _, c := range []struct {
		what    string
		behind  string
		dropped int64
	}{
		{"nothing", "", 0},
		{"zeros", string(make([]byte, 300)), 0},
		{"flipped zeros", flip(string(make([]byte, 300)), 90, 4), 91},
		{"an earlier frame", s.files[name][s.segs[len(s.segs)-1].size():], int64(len(s.files[name])) - s.segs[len(s.segs)-1].size()},
	} {
		m := s.disk(t, func(f map[string]string) { f[name] += c.behind })
		l, rec, err := Open(testDir, nil, s.options(m))
		require.NoError(t, err, c.what)
		require.Equal(t, c.dropped, rec.DroppedBytes, c.what)
		require.NoError(t, l.Close())
		require.NoError(t, after(t, m, &history{appended: s.payloads, acked: len(s.payloads), size: 700}), c.what)
	}
}

// A log that is opened and closed again is the same, byte for byte.
func TestOpeningASealedLogWritesNothing(t *testing.T) {
	s := sealed(t)
	m := s.disk(t, func(map[string]string) {})
	l, _, err := Open(testDir, nil, s.options(m))
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.True(t, maps.Equal(s.files, files(t, m)))
}

// lateRename renames the manifest, and says that it failed.
type lateRename struct{ disk.FS }

func (l lateRename) Rename(from, to string) error {
	if err := l.FS.Rename(from, to); err != nil || to != testManifest {
		return err
	}
	return syscall.EIO
}

// After a rename that failed it is not known which manifest is there: nothing may be written any more.
func TestAFailedRenamePoisons(t *testing.T) {
	for name, do := range map[string]func(l *Log) error{
		"beginning a segment": func(l *Log) error { _, err := l.Append(payload(9, 690)); return err },
		"truncating":          func(l *Log) error { return l.TruncateBefore(l.Durable()) },
	} {
		s := buildSegments(t, 3)
		m := s.disk(t, func(map[string]string) {})
		l, _, err := Open(testDir, nil, s.options(m))
		require.NoError(t, err, name)
		l.dir.fs = lateRename{m}
		err = do(l)
		require.ErrorIs(t, err, ErrPoisoned, name)
		require.ErrorIs(t, err, syscall.EIO, name)
		_, err = l.Append(nil)
		require.ErrorIs(t, err, ErrPoisoned, name)
		require.NoError(t, l.Close(), name)
		l, _, err = Open(testDir, nil, s.options(m))
		require.NoError(t, err, name)
		got, _, err := readAll(l, l.First())
		require.NoError(t, err, name)
		require.NotEmpty(t, got, name)
		require.NoError(t, checkPrefix(got, s.payloads[len(s.payloads)-len(got):], len(got)), name)
		require.NoError(t, l.Close(), name)
	}
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	l, _, err := Open(t.TempDir(), nil, Options{})
	require.NoError(t, err)
	l.last.room = 8 << 20
	p := payload(1, 256)
	require.Zero(t, testing.AllocsPerRun(1800, func() {
		if _, err := l.Append(p); err != nil {
			t.Fatal(err)
		}
	}), "per Append")
	require.NoError(t, l.Sync())
	scan := func(frames int) float64 {
		return testing.AllocsPerRun(10, func() {
			n := 0
			for _, err := range l.Frames(0) {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n == frames {
					return
				}
			}
		})
	}
	few, many := scan(1000), scan(1700) // with as many reads
	require.Equal(t, few, many, "per frame read")
	require.NoError(t, l.Close())
}
