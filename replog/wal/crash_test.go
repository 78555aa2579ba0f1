package wal

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

// history is a log with what was put into it, as seen by the one who did.
type history struct {
	appended [][]byte // whole in the file, as far as Append said
	acked    int      // so many of them are covered by a finished Sync, or were shown by a finished Open
	maybe    []byte   // an Append that failed and poisoned the log: may be there, behind the others
	size     int64    // of the segments
}

func (h *history) clone() *history {
	return &history{appended: slices.Clone(h.appended), acked: h.acked, maybe: h.maybe, size: h.size}
}

func (h *history) options(fs disk.FS) Options {
	return Options{FS: fs, SegmentBytes: h.size, Foreground: true}
}

// verify opens the log, which must work, and compares. What it shows is acknowledged from then on.
func (h *history) verify(fs disk.FS) (*Log, error) {
	l, _, err := Open(testDir, []byte("meta"), h.options(fs))
	if err != nil {
		return nil, fmt.Errorf("open refused: %w", err)
	}
	if err := h.compare(l); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (h *history) compare(l *Log) error {
	if string(l.Meta()) != "meta" {
		return fmt.Errorf("meta is %q", l.Meta())
	}
	got, _, err := readAll(l, 0)
	if err != nil {
		return err
	}
	want := h.appended
	if h.maybe != nil {
		want = append(slices.Clone(want), h.maybe)
	}
	if err := checkPrefix(got, want, h.acked); err != nil {
		return err
	}
	h.appended, h.acked, h.maybe = got, len(got), nil
	return nil
}

// after checks that the log opens after a crash, and that opening it again changes nothing.
func after(t testing.TB, m *disk.Mem, h *history) error {
	l, err := h.verify(m)
	if err != nil {
		return err
	}
	if err := l.Close(); err != nil {
		return err
	}
	before := files(t, m)
	for name := range before {
		if _, ok := segmentNumber(name); !ok && name != manifestName {
			return fmt.Errorf("left in the directory: %s", name)
		}
	}
	l, rec, err := Open(testDir, nil, h.options(m))
	if err != nil {
		return fmt.Errorf("second open: %w", err)
	}
	if rec.Created || rec.DroppedBytes > 0 || !maps.Equal(before, files(t, m)) {
		return fmt.Errorf("second open was not a no-op: %+v", rec)
	}
	segs := *l.segs.Load()
	if want := len(segs) + 1; len(before) != want {
		return fmt.Errorf("%d files in the directory, want %d", len(before), want)
	}
	if err := h.compare(l); err != nil {
		return fmt.Errorf("second open: %w", err)
	}
	return l.Close()
}

// tornLog leaves a log on m with batches that are synced and one that is not, still open.
func tornLog(t testing.TB, m *disk.Mem, size int64, synced, unsynced []int) *history {
	h := &history{size: size}
	l, err := h.verify(m)
	require.NoError(t, err)
	add := func(size int) {
		p := payload(len(h.appended), size)
		_, err := l.Append(p)
		require.NoError(t, err)
		h.appended = append(h.appended, p)
	}
	for _, size := range synced {
		add(size)
		require.NoError(t, l.Sync())
		h.acked++
	}
	for _, size := range unsynced {
		add(size)
	}
	return h
}

// Every state that a power cut can leave in an unsynced batch of up to eight sectors.
func TestPowerCutEveryOutcome(t *testing.T) {
	cases := []struct {
		size             int64
		synced, unsynced []int
	}{
		{600, nil, []int{30}},
		{2000, []int{100}, []int{300, 700}},
		{3000, []int{100, 600}, []int{10, 20, 300, 600, 500}},
		{4400, []int{100, 90}, []int{3700}},
		{300, []int{100, 90}, []int{20, 900}},       // the last frame has a segment to itself
		{2000, []int{900, 900}, []int{10, 20, 500}}, // the last segment is one batch
	}
	n := 0
	for _, c := range cases {
		if testing.Short() && len(c.unsynced) != 2 {
			continue
		}
		m := disk.NewMem()
		h := tornLog(t, m, c.size, c.synced, c.unsynced)
		sectors, _ := m.Unsynced()
		cut := 0
		for crashed := range m.Crashes() {
			if err := after(t, crashed, h.clone()); err != nil {
				t.Fatalf("%v, outcome %d: %v", c, cut, err)
			}
			cut++
		}
		t.Logf("%v: %d unsynced sectors, %d outcomes", c, sectors, cut)
		n += cut
	}
	floor := 8000
	if testing.Short() {
		floor = 40
	}
	ran(t, "power cuts", n, floor)
}

// Power cuts inside Open: creating, and repairing what another power cut left, at every operation.
func TestPowerCutInsideOpen(t *testing.T) {
	rng := seeded(t)
	n, opens := 0, 0
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for round := range rounds {
		size := []int64{2500, 400, 1500}[rng.IntN(3)]
		m, h := disk.NewMem(), &history{size: size}
		if round%10 != 0 {
			var synced, unsynced []int
			for range rng.IntN(4) {
				synced = append(synced, rng.IntN(900))
			}
			for range rng.IntN(4) {
				unsynced = append(unsynced, rng.IntN(1500))
			}
			h = tornLog(t, m, size, synced, unsynced)
			if rng.IntN(3) == 0 {
				m = m.CrashSoft()
			} else {
				m = m.CrashRand(rng)
			}
		}
		for stop := 1; ; stop++ {
			inside, hist := m.CrashSoft(), h.clone()
			f := disk.NewFault(inside, 1)
			f.StopAt(stop)
			l, _, err := Open(testDir, []byte("meta"), h.options(f))
			if err == nil {
				_ = l.Close()
				break
			}
			require.ErrorIs(t, err, disk.ErrStopped)
			opens++
			for range 6 {
				// Crash again inside the repair of the repair, before the one that must work.
				crashed := inside.CrashRand(rng)
				second := disk.NewFault(crashed, 1)
				second.StopAt(1 + rng.IntN(30))
				if l, _, err := Open(testDir, []byte("meta"), h.options(second)); err == nil {
					_ = l.Close()
				} else {
					require.ErrorIs(t, err, disk.ErrStopped)
				}
				crashed = crashed.CrashRand(rng)
				if err := after(t, crashed, hist.clone()); err != nil {
					t.Fatalf("round %d, stopped at operation %d: %v", round, stop, err)
				}
				n++
			}
			soft := inside.CrashSoft()
			ro, _, err := Open(testDir, nil, Options{FS: soft, ReadOnly: true})
			if err == nil {
				require.NoError(t, hist.clone().compare(ro), "read-only, stopped at %d", stop)
				require.NoError(t, ro.Close())
			} else {
				require.Zero(t, hist.acked, "read-only, stopped at %d: %v", stop, err)
			}
			require.NoError(t, after(t, soft, hist.clone()), "kill -9 at operation %d of round %d", stop, round)
		}
	}
	t.Logf("%d interrupted opens", opens)
	floor := 4000
	if testing.Short() {
		floor = 400
	}
	ran(t, "histories", n, floor)
}

// Every outcome of a power cut while a small log is repaired, where an earlier repair was killed: the
// copy, the rewriting, the cut.
func TestPowerCutInsideOpenEveryOutcome(t *testing.T) {
	// stopped runs Open on a copy of m up to operation stop, and reports false if Open needs fewer.
	stopped := func(m *disk.Mem, stop int) (*disk.Mem, bool) {
		m = m.CrashSoft()
		f := disk.NewFault(m, 1)
		f.StopAt(stop)
		l, _, err := Open(testDir, nil, Options{FS: f, SegmentBytes: 400, Foreground: true})
		if err == nil {
			_ = l.Close()
		}
		return m, err != nil
	}
	n := 0
	for _, unsynced := range [][]int{{50}, nil} { // the last batch is torn, or it was acknowledged
		base := disk.NewMem()
		h := tornLog(t, base, 400, []int{60, 200}, unsynced)
		for first := 1; ; first++ {
			killed, ok := stopped(base, first)
			if !ok {
				break
			}
			for second := 1; ; second++ {
				m, ok := stopped(killed, second)
				if !ok {
					break
				}
				for crashed := range m.Crashes() {
					if err := after(t, crashed, h.clone()); err != nil {
						t.Fatalf("%v unsynced, killed at operation %d, power cut at %d: %v", unsynced, first, second, err)
					}
					n++
				}
			}
		}
	}
	ran(t, "power cuts", n, 2000)
}

// Every operation of a log's life fails in every way, one after the other.
func TestEveryFailure(t *testing.T) {
	rng := seeded(t)
	n, poisoned, usable := 0, 0, 0
	kinds := disk.Failures(0, 17)
	if testing.Short() {
		kinds = disk.Failures(17)
	}
	for i, how := range kinds {
		size := []int64{500, 2000}[i%2]
		for at := 1; ; at++ {
			m := disk.NewMem()
			f := disk.NewFault(m, rng.Uint64())
			f.Fail(at, how)
			h := &history{size: size}
			err := life(f, h, &poisoned, &usable)
			op, hit := f.Hit()
			where := fmt.Sprintf("%s at operation %d (%s)", how.Name, at, op)
			if err != nil {
				t.Fatalf("%s: %v", where, err)
			}
			if !hit && at > f.Ops() {
				break
			}
			n++
			require.NoError(t, after(t, m.CrashRand(rng), h.clone()), "%s, then a power cut", where)
			// The next process finds the same page cache, goes on, and then the power is cut.
			next, hist := m.CrashSoft(), h.clone()
			l, err := hist.verify(next)
			require.NoError(t, err, "%s, then a new process", where)
			p := payload(1000, 40)
			_, err = l.Append(p)
			require.NoError(t, err)
			if rng.IntN(2) == 0 {
				require.NoError(t, l.Sync())
				hist.acked++
			}
			hist.appended = append(hist.appended, p)
			require.NoError(t, after(t, next.CrashRand(rng), hist), "%s, then a new process, then a power cut", where)
		}
	}
	t.Logf("%d times poisoned, %d times usable after a failed Append", poisoned, usable)
	floor := 900
	if testing.Short() {
		floor = 300
	}
	ran(t, "failures", n, floor)
	require.NotZero(t, poisoned)
	require.NotZero(t, usable)
}

// life opens, appends, syncs and reopens, whatever fails, and keeps the book.
func life(fs disk.FS, h *history, poisoned, usable *int) error {
	for round := range 3 {
		l, _, err := Open(testDir, []byte("meta"), h.options(fs))
		if err != nil {
			if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrFormat) || errors.Is(err, ErrLocked) {
				return fmt.Errorf("a failed operation was taken for %w", err)
			}
			if errors.Is(err, syscall.ENOSPC) != errors.Is(err, ErrNoSpace) {
				return fmt.Errorf("ENOSPC is not ErrNoSpace: %w", err)
			}
			continue
		}
		if err := h.compare(l); err != nil && (errors.Is(err, ErrCorrupt) || !isInjected(err)) {
			return fmt.Errorf("round %d: %w", round, err)
		}
		dead := false // poisoned by a Sync, so that what Append fails with says nothing of the file
		for i := range 5 {
			p := payload(len(h.appended)+100*round, 30+i*200)
			end, durable := l.End(), l.Durable()
			pos, err := l.Append(p)
			switch {
			case err == nil && pos != end:
				return fmt.Errorf("frame at %d, want %d", pos, end)
			case err == nil:
				h.appended = append(h.appended, p)
			case errors.Is(err, ErrPoisoned):
				*poisoned++
				if !dead {
					h.maybe = p
				}
				dead = true
			default:
				*usable++
				if errors.Is(err, syscall.ENOSPC) != errors.Is(err, ErrNoSpace) {
					return fmt.Errorf("ENOSPC is not ErrNoSpace: %w", err)
				}
			}
			if d := l.Durable(); err != nil && (l.End() != end || d != durable && d != end) {
				return fmt.Errorf("a failed Append moved the end")
			}
			if l.Durable() == end { // a new segment began
				synced := len(h.appended)
				if err == nil {
					synced--
				}
				h.acked = max(h.acked, synced)
			}
			if i != 2 && i != 4 {
				continue
			}
			switch err := l.Sync(); {
			case err == nil:
				h.acked = len(h.appended)
			case !errors.Is(err, ErrPoisoned):
				return fmt.Errorf("a failed Sync did not poison: %w", err)
			default:
				*poisoned++
				dead = true
				if _, err := l.Append(nil); !errors.Is(err, ErrPoisoned) {
					return fmt.Errorf("Append on a poisoned log: %w", err)
				}
				if err := l.Sync(); !errors.Is(err, ErrPoisoned) {
					return fmt.Errorf("Sync on a poisoned log: %w", err)
				}
			}
			if dead {
				break
			}
		}
		switch err := l.Close(); {
		case err == nil && !dead:
			h.acked = len(h.appended) // a clean close syncs
		case err != nil && !isInjected(err):
			return err
		}
	}
	return nil
}

func isInjected(err error) bool {
	return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EACCES) || errors.Is(err, io.ErrShortWrite)
}

// A Sync that failed and dropped pages which the cache still shows: what the next Open shows must be on
// the disk by then.
func TestWhatOpenShowsAfterAFailedSyncIsOnTheDisk(t *testing.T) {
	for seed := range uint64(50) {
		m := disk.NewMem()
		f := disk.NewFault(m, seed)
		l, _ := mustOpen(t, f)
		h := &history{}
		for i := range 6 {
			p := payload(i, 400)
			_, err := l.Append(p)
			require.NoError(t, err)
			h.appended = append(h.appended, p)
		}
		f.Fail(f.Ops()+1, disk.Failure{Err: syscall.EIO, DropPages: true})
		require.ErrorIs(t, l.Sync(), ErrPoisoned)
		require.ErrorIs(t, l.Sync(), syscall.EIO)
		require.NoError(t, l.Close())
		l, err := h.verify(m)
		require.NoError(t, err)
		require.Equal(t, 6, h.acked, "the cache shows all")
		_, err = l.Append([]byte("next"))
		require.NoError(t, err)
		require.NoError(t, l.Sync())
		h.appended = append(h.appended, []byte("next"))
		h.acked++
		require.NoError(t, l.Close())
		require.NoError(t, after(t, m.Crash(func(disk.Outcome) int { return 1 }), h))
	}
}

// A failed append does not come back, whatever the disk kept of it.
func TestFailedAppendDoesNotComeBack(t *testing.T) {
	m := disk.NewMem()
	f := disk.NewFault(m, 1)
	l, _ := mustOpen(t, f)
	f.Fail(f.Ops()+1, disk.Failure{Err: syscall.ENOSPC, Short: true, K: -1})
	_, err := l.Append(payload(1, 60))
	require.ErrorIs(t, err, ErrNoSpace)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NotErrorIs(t, err, ErrPoisoned)
	p := payload(2, 30)
	pos, err := l.Append(p)
	require.NoError(t, err)
	require.Equal(t, Position(firstPosition), pos)
	n := 0
	for crashed := range m.Crashes() {
		require.NoError(t, after(t, crashed, &history{appended: [][]byte{p}}))
		n++
	}
	require.Greater(t, n, 3)
}

// Every outcome of a power cut at every operation of Close.
func TestPowerCutInsideClose(t *testing.T) {
	n := 0
	for stop := 1; ; stop++ {
		m, h := disk.NewMem(), &history{size: 400}
		f := disk.NewFault(m, 1)
		l, err := h.verify(f)
		require.NoError(t, err)
		for i := range 6 {
			p := payload(i, 80+i/5*1200)
			_, err := l.Append(p)
			require.NoError(t, err)
			h.appended = append(h.appended, p)
			if i == 4 {
				require.NoError(t, l.Sync())
				h.acked = 5
			}
		}
		f.StopAt(f.Ops() + stop)
		err = l.Close()
		if err == nil {
			require.Greater(t, stop, 7)
			break
		}
		require.ErrorIs(t, err, disk.ErrStopped)
		for crashed := range m.Crashes() {
			require.NoError(t, after(t, crashed, h.clone()), "power cut at operation %d of Close", stop)
			n++
		}
	}
	ran(t, "power cuts", n, 50)
}

// Random histories of batches and power cuts, larger than those that can be enumerated.
func TestPowerCutRandom(t *testing.T) {
	rng := seeded(t)
	rounds := 1500
	if testing.Short() {
		rounds = 200
	}
	torn := 0
	for round := range rounds {
		m, h := disk.NewMem(), &history{size: []int64{10000, 700, 4000}[rng.IntN(3)]}
		for range 1 + rng.IntN(3) {
			l, err := h.verify(m)
			require.NoError(t, err, "round %d", round)
			for range rng.IntN(12) {
				p := payload(rng.IntN(1000), size(rng))
				_, err := l.Append(p)
				require.NoError(t, err)
				h.appended = append(h.appended, p)
				if rng.IntN(3) == 0 {
					require.NoError(t, l.Sync())
					h.acked = len(h.appended)
				}
			}
			if h.acked < len(h.appended) {
				torn++
			}
			if rng.IntN(4) == 0 {
				m = m.CrashSoft()
			} else {
				m = m.CrashRand(rng)
			}
		}
		require.NoError(t, after(t, m, h), "round %d", round)
	}
	ran(t, "histories", rounds, 200)
	ran(t, "cuts inside an unsynced batch", torn, rounds/5)
}

func size(rng *rand.Rand) int {
	switch rng.IntN(10) {
	case 0:
		return 0
	case 1:
		return rng.IntN(9000)
	default:
		return rng.IntN(300)
	}
}
