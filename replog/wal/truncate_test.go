package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

func TestTruncateBefore(t *testing.T) {
	s := buildSegments(t, 6)
	m := s.disk(t, func(map[string]string) {})
	l, _, err := Open(testDir, nil, s.options(m))
	require.NoError(t, err)
	segs := *l.segs.Load()
	require.EqualValues(t, firstPosition, l.First())
	require.ErrorIs(t, l.TruncateBefore(l.Durable()+1), ErrPosition)
	require.ErrorIs(t, l.TruncateBefore(-1), ErrPosition)
	for _, pos := range []Position{0, 1, Position(segs[1].first) - 1} {
		require.NoError(t, l.TruncateBefore(pos))
		require.EqualValues(t, firstPosition, l.First(), "a segment that holds a frame behind %d stays", pos)
	}
	first := Position(segs[3].first)
	require.NoError(t, l.TruncateBefore(first+5))
	require.Equal(t, first, l.First())
	k := slices.Index(s.start, first)
	require.Positive(t, k)
	check := func(l *Log) {
		for i, pos := range s.start {
			got, _, err := readAll(l, pos)
			if i < k {
				var gone *TruncatedError
				require.ErrorAs(t, err, &gone)
				require.ErrorIs(t, err, ErrTruncated)
				require.Equal(t, first, gone.First)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, s.payloads[i:], got)
		}
		_, _, err := readAll(l, 0)
		require.ErrorIs(t, err, ErrTruncated, "the beginning is gone")
	}
	check(l)
	require.NoError(t, l.TruncateBefore(first), "again")
	names := files(t, m)
	for _, name := range s.names[:3] {
		require.NotContains(t, names, name)
	}
	require.NotNil(t, l.ahead, "one file is used again")
	require.NoError(t, l.ahead.err)
	spare := names[segmentName(l.ahead.number)]
	require.Equal(t, string(make([]byte, 700)), spare)
	for i := len(s.payloads); len(*l.segs.Load()) < 6; i++ {
		p := payload(i, 100)
		pos, err := l.Append(p)
		require.NoError(t, err)
		s.payloads, s.start = append(s.payloads, p), append(s.start, pos)
	}
	require.NoError(t, l.Sync())
	check(l)
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.TruncateBefore(0), ErrClosed)
	l, _, err = Open(testDir, nil, s.options(m))
	require.NoError(t, err)
	require.Equal(t, first, l.First())
	check(l)
	require.NoError(t, l.TruncateBefore(l.Durable()))
	require.Len(t, *l.segs.Load(), 1)
	require.NoError(t, l.Close())
}

// suffix checks that the log holds the frames from one of the indices on, to the end.
func (s segmented) suffix(l *Log, from ...int) error {
	got, _, err := readAll(l, l.First())
	if err != nil {
		return err
	}
	k := len(s.payloads) - len(got)
	if !slices.Contains(from, k) {
		return fmt.Errorf("it begins with frame %d, want one of %v", k, from)
	}
	return checkPrefix(got, s.payloads[k:], len(got))
}

// Every outcome of a power cut, and every failure, at every operation of TruncateBefore.
func TestFaultsInsideTruncateBefore(t *testing.T) {
	s := buildSegments(t, 5)
	k := slices.Index(s.start, Position(s.segs[3].first))
	open := func() (*disk.Mem, *disk.Fault, *Log) {
		m := s.disk(t, func(map[string]string) {})
		f := disk.NewFault(m, 1)
		l, _, err := Open(testDir, nil, Options{FS: f, SegmentBytes: 700, Foreground: true})
		require.NoError(t, err)
		return m, f, l
	}
	reopens := func(m *disk.Mem, what string, from ...int) {
		l, rec, err := Open(testDir, nil, s.options(m))
		require.NoError(t, err, what)
		require.Zero(t, rec.DroppedBytes, what)
		require.NoError(t, s.suffix(l, from...), what)
		_, err = l.Append(payload(1, 600))
		require.NoError(t, err, what)
		require.NoError(t, l.Close(), what)
		require.Len(t, files(t, m), 1+len(*l.segs.Load()), what)
	}
	cuts := 0
	for stop := 1; ; stop++ {
		m, f, l := open()
		f.StopAt(f.Ops() + stop)
		err := l.TruncateBefore(Position(s.segs[3].first))
		from := []int{0, k}
		if err == nil {
			from = []int{k}
		}
		for crashed := range m.Crashes() {
			reopens(crashed, fmt.Sprintf("power cut at operation %d", stop), from...)
			cuts++
		}
		reopens(m.CrashSoft(), fmt.Sprintf("killed at operation %d", stop), from...)
		if err == nil && l.ahead != nil && l.ahead.err == nil {
			require.Greater(t, stop, 10)
			break
		}
	}
	failures := 0
	for _, how := range disk.Failures(0, 9) {
		for at := 1; ; at++ {
			m, f, l := open()
			f.Fail(f.Ops()+at, how)
			err := l.TruncateBefore(Position(s.segs[3].first))
			op, hit := f.Hit()
			if !hit && at > 30 {
				break
			}
			what := fmt.Sprintf("%s at operation %d (%s): %v", how.Name, at, op, err)
			f.Fail(0, disk.Failure{})
			switch {
			case err == nil:
				require.NoError(t, s.suffix(l, k), what)
			case errors.Is(err, ErrPoisoned):
				require.Contains(t, []string{"rename " + manifestName, "syncdir " + testDir}, op)
			default:
				require.NoError(t, s.suffix(l, 0), what)
				require.NoError(t, l.TruncateBefore(Position(s.segs[3].first)), what)
				require.NoError(t, s.suffix(l, k), what)
			}
			if err == nil || !errors.Is(err, ErrPoisoned) {
				_, err = l.Append(payload(1, 600)) // which begins a segment
				if errors.Is(err, ErrPoisoned) {
					require.Equal(t, "syncdir "+testDir, op, what)
				} else {
					require.NoError(t, err, what)
				}
			}
			_ = l.Close()
			l, _, err = Open(testDir, nil, s.options(m))
			require.NoError(t, err, what)
			require.NoError(t, l.Close())
			failures++
		}
	}
	ran(t, "power cuts", cuts, 50)
	ran(t, "failures", failures, 100)
}

// Readers of what is being dropped see the right frames, and then that they are gone.
func TestReadersBesideTruncateBefore(t *testing.T) {
	for _, foreground := range []bool{true, false} {
		m := disk.NewMem()
		l, _, err := Open(testDir, nil, Options{FS: m, SegmentBytes: 900, Foreground: foreground})
		require.NoError(t, err)
		ro, _, err := Open(testDir, nil, Options{FS: m, ReadOnly: true})
		require.NoError(t, err)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		gone := make([]int, 4)
		for r := range gone {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					from := l.First()
					n := uint64(0)
					for f, err := range l.Frames(from) {
						if errors.Is(err, ErrTruncated) {
							gone[r]++
							break
						}
						if err != nil {
							t.Error(err)
							return
						}
						i := binary.LittleEndian.Uint64(f.Payload)
						if n != 0 && i != n {
							t.Errorf("frame %d, want %d", i, n)
						}
						n = i + 1
					}
				}
			})
		}
		for i := range 3000 {
			_, err := l.Append(payload(i, 60+i%50))
			require.NoError(t, err)
			if i%3 == 0 {
				require.NoError(t, l.Sync())
			}
			if i%20 == 19 {
				require.NoError(t, l.TruncateBefore(l.Durable()))
			}
		}
		close(stop)
		wg.Wait()
		_, _, err = readAll(ro, 0)
		require.NoError(t, err, "it was empty, and does not follow")
		require.NoError(t, ro.Close())
		t.Logf("foreground %v: readers were cut off %v times", foreground, gone)
		require.NoError(t, l.Close())
		require.Len(t, files(t, m), 1+len(*l.segs.Load()))
	}
}

// A loop in a file that is being used again ends with ErrTruncated, and not with damage.
func TestReaderInAFileThatIsUsedAgain(t *testing.T) {
	for _, readOnly := range []bool{false, true} {
		m := disk.NewMem()
		opt := Options{FS: m, SegmentBytes: 100_000, Foreground: true}
		l, _, err := Open(testDir, nil, opt)
		require.NoError(t, err)
		for i := 0; len(*l.segs.Load()) < 3; i++ {
			_, err := l.Append(payload(i, 9000))
			require.NoError(t, err)
		}
		require.NoError(t, l.Sync())
		reader := l
		if readOnly {
			opt.ReadOnly = true
			reader, _, err = Open(testDir, nil, opt)
			require.NoError(t, err)
		}
		segs := *l.segs.Load()
		l.ahead = nil // the file is used at once
		n, gone := 0, false
		for f, err := range reader.Frames(Position(segs[1].first)) {
			if err != nil {
				require.ErrorIs(t, err, ErrTruncated)
				gone = true
				continue
			}
			if n++; n == 1 {
				require.NoError(t, l.TruncateBefore(Position(segs[2].first)))
			}
			require.Less(t, f.Position, Position(segs[2].first))
		}
		require.True(t, gone)
		require.Less(t, n, 5, "the rest was not read ahead")
		require.NoError(t, l.Close())
		if readOnly {
			require.NoError(t, reader.Close())
		}
	}
}

// A log that is open for reading only says so, too, when its writer drops what it is to read.
func TestReadOnlyBesideTruncateBefore(t *testing.T) {
	s := buildSegments(t, 5)
	m := s.disk(t, func(map[string]string) {})
	opt := s.options(m)
	l, _, err := Open(testDir, nil, opt)
	require.NoError(t, err)
	opt.ReadOnly = true
	ro, _, err := Open(testDir, nil, opt)
	require.NoError(t, err)
	n := 0
	for _, err := range ro.Frames(0) {
		if n++; n == 1 {
			require.NoError(t, err)
			require.NoError(t, l.TruncateBefore(Position(s.segs[3].first)))
		}
		if err != nil {
			require.ErrorIs(t, err, ErrTruncated)
		}
	}
	_, _, err = readAll(ro, 0)
	var gone *TruncatedError
	require.ErrorAs(t, err, &gone)
	require.EqualValues(t, s.segs[3].first, gone.First)
	require.ErrorIs(t, ro.TruncateBefore(0), ErrReadOnly)
	require.NoError(t, ro.Close())
	require.NoError(t, l.Close())
}

// Random lives of a log that is truncated, fails and dies.
func TestTruncateRandom(t *testing.T) {
	rng := seeded(t)
	rounds, truncations, crashes := 300, 0, 0
	for round := range rounds {
		m := disk.NewMem()
		next, acked, least, most := 0, 0, 0, 0 // frames: next to append, durable, first in any case, first perhaps
		var start []Position                   // of each frame
		for range 4 {
			f := disk.NewFault(m, rng.Uint64())
			l, _, err := Open(testDir, nil, Options{FS: f, SegmentBytes: 300 + rng.Int64N(900), Foreground: true})
			require.NoError(t, err, "round %d", round)
			seen := least
			for fr, err := range l.Frames(l.First()) {
				require.NoError(t, err, "round %d", round)
				i := int(binary.LittleEndian.Uint64(fr.Payload))
				if fr.Position == l.First() {
					require.True(t, least <= i && i <= most, "round %d: begins with %d, want %d to %d", round, i, least, most)
					seen = i
				}
				require.Equal(t, seen, i, "round %d", round)
				require.Equal(t, start[i], fr.Position)
				seen++
			}
			require.GreaterOrEqual(t, seen, acked, "round %d", round)
			next, acked, start = seen, seen, start[:seen]
			if rng.IntN(3) == 0 {
				f.Fail(f.Ops()+1+rng.IntN(100), disk.Failure{Err: syscall.EIO, DropPages: rng.IntN(2) == 0})
			}
			for range rng.IntN(40) {
				switch rng.IntN(8) {
				case 0:
					i := rng.IntN(max(len(start), 1))
					if i >= acked {
						continue
					}
					most = max(most, i)
					if err = l.TruncateBefore(start[i]); err == nil {
						least = max(least, slices.Index(start, l.First()))
						truncations++
					}
				case 1, 2:
					if err = l.Sync(); err == nil {
						acked = next
					}
				default:
					var pos Position
					if pos, err = l.Append(payload(next, rng.IntN(250))); err == nil {
						start = append(start, pos)
						next++
					}
				}
				if errors.Is(err, ErrPoisoned) {
					break
				}
			}
			if rng.IntN(2) == 0 {
				m = m.CrashRand(rng)
			} else {
				m = m.CrashSoft()
			}
			crashes++
		}
	}
	ran(t, "truncations", truncations, 300)
	ran(t, "crashes", crashes, 1000)
}
