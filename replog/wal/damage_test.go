package wal

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

func TestCutAtEveryByteRecoversToAPrefix(t *testing.T) {
	w := build(t, []int{10, 300, 0}, []int{700}, []int{64, 64})
	n := 0
	for cut := range len(w.bytes) + 1 {
		m := diskWith(t, w, w.bytes[:cut])
		l, rec, err := Open(testDir, nil, Options{FS: m, SegmentBytes: 1000})
		n++
		if int64(cut) < w.header {
			require.ErrorIs(t, err, ErrCorrupt, "cut at %d", cut)
			continue
		}
		require.NoError(t, err, "cut at %d", cut)
		whole := 0
		for w.start[whole+1] <= int64(cut) && whole+1 < len(w.start)-1 {
			whole++
		}
		if int64(cut) == w.start[len(w.start)-1] {
			whole = len(w.payloads)
		}
		require.Equal(t, whole, rec.Frames, "cut at %d", cut)
		torn := bytes.TrimRight(w.bytes[w.start[whole]:cut], "\x00")
		require.EqualValues(t, len(torn), rec.DroppedBytes, "cut at %d", cut)
		got, _, err := readAll(l, 0)
		require.NoError(t, err)
		require.NoError(t, checkPrefix(got, w.payloads[:whole], whole))
		require.NoError(t, l.Close())
		require.NoError(t, after(t, m, &history{appended: w.payloads[:whole], acked: whole, size: 1000}), "cut at %d", cut)
	}
	ran(t, "cuts", n, 1000)
}

// Every flip before the last batch is named as corruption; in the last batch it is the torn end that it
// looks like. Nothing is ever changed or missing in the middle.
func TestEveryBitFlip(t *testing.T) {
	size := 8 << 10
	if os.Getenv("WAL_TEST_FULL") != "" {
		size = 64 << 10
	} else if testing.Short() || raceEnabled { // one goroutine: the race detector has nothing to find here
		size = 4 << 10
	}
	var batches [][]int
	for total, i := 0, 0; total < size; i++ {
		sizes := []int{i % 40, 100 + i%300}[:1+i%2]
		for _, s := range sizes {
			total += frameHeader + s
		}
		batches = append(batches, sizes)
	}
	w := build(t, batches...)
	last := len(w.payloads) - 1
	for w.batch[last-1] == w.batch[len(w.batch)-1] {
		last--
	}
	refused, dropped := 0, 0
	for i := range w.bytes {
		for bit := range 8 {
			w.bytes[i] ^= 1 << bit
			s, err := judge(w, w.bytes)
			if bit == i%8 { // the whole of Open for one bit of each byte; the decision alone for all
				err2 := openReadOnly(t, w)
				require.Equal(t, errors.Is(err, ErrCorrupt), errors.Is(err2, ErrCorrupt))
			}
			w.bytes[i] ^= 1 << bit
			if int64(i) < w.start[last] {
				var c *CorruptError
				if !errors.As(err, &c) || int64(i) >= w.header && c.Offset > int64(i) {
					t.Fatalf("byte %d bit %d: %v, want a CorruptError at or before it", i, bit, err)
				}
				refused++
				continue
			}
			if err != nil || s.rec.Frames < last || s.rec.Frames >= len(w.payloads) || w.header+s.end-firstPosition > int64(i) {
				t.Fatalf("byte %d bit %d: kept %d frames up to %d, %v", i, bit, s.rec.Frames, s.end, err)
			}
			dropped++
		}
	}
	t.Logf("%d refused, %d dropped from the last batch", refused, dropped)
	ran(t, "flips", refused+dropped, size*8)
}

// judge is what Open decides on these bytes.
func judge(w written, b []byte) (scanned, error) {
	if _, err := readHeader(bytes.NewReader(b), int64(len(b)), "x"); err != nil {
		return scanned{}, err
	}
	return (&opener{opt: Options{MaxPayload: DefaultMaxPayload}}).scan(w.segment(b), firstPosition)
}

func openReadOnly(t *testing.T, w written) error {
	l, _, err := Open(testDir, nil, Options{FS: diskWith(t, w, w.bytes), ReadOnly: true})
	if err != nil {
		return err
	}
	got, _, err := readAll(l, 0)
	require.NoError(t, err)
	require.NoError(t, checkPrefix(got, w.payloads, 0))
	return l.Close()
}

func TestDamage(t *testing.T) {
	var s summer
	type result struct {
		err    error
		frames int
	}
	cases := []struct {
		name   string
		damage func(w written) []byte
		want   result
	}{
		{"none", func(w written) []byte { return w.bytes }, result{frames: 6}},
		{"zeros behind the end", func(w written) []byte { return append(w.bytes, make([]byte, 9000)...) }, result{frames: 6}},
		{"garbage behind the end", func(w written) []byte { return append(w.bytes, payload(9, 9000)...) }, result{frames: 6}},
		{"zeros instead of the last frame", func(w written) []byte { clear(w.bytes[w.start[5]:]); return w.bytes }, result{frames: 5}},
		{"zeros instead of the first frame of the last batch: a later frame of the same batch proves nothing", func(w written) []byte {
			clear(w.bytes[w.start[4]:w.start[5]])
			return w.bytes
		}, result{frames: 4}},
		{"zeros instead of the last frame of the last batch but one", func(w written) []byte {
			clear(w.bytes[w.start[3]:w.start[4]])
			return w.bytes
		}, result{err: ErrCorrupt}},
		{"zeros instead of a batch and a half", func(w written) []byte { clear(w.bytes[w.start[2]:w.start[5]]); return w.bytes }, result{err: ErrCorrupt}},
		{"zeros instead of everything after the first batch", func(w written) []byte { clear(w.bytes[w.start[2]:]); return w.bytes }, result{frames: 2}},
		{"a length of 4 GiB", func(w written) []byte { le.PutUint32(w.bytes[w.start[5]+4:], 1<<32-1); return w.bytes }, result{frames: 5}},
		{"a length of 4 GiB in the middle", func(w written) []byte { le.PutUint32(w.bytes[w.start[1]+4:], 1<<32-1); return w.bytes }, result{err: ErrCorrupt}},
		{"two frames swapped", func(w written) []byte {
			b := bytes.Clone(w.bytes[:w.start[4]])
			b = append(b, w.bytes[w.start[5]:]...)
			return append(b, w.bytes[w.start[4]:w.start[5]]...)
		}, result{frames: 4}},
		{"a frame twice", func(w written) []byte {
			return append(w.bytes, w.bytes[w.start[5]:]...)
		}, result{frames: 6}},
		{"bytes missing in the middle", func(w written) []byte { return append(w.bytes[:w.start[1]+3:w.start[1]+3], w.bytes[w.start[1]+4:]...) }, result{frames: 1}},
		{"another log's frames behind the end", func(w written) []byte {
			return append(w.bytes, s.appendFrame(nil, 99, w.segment(nil).position(int64(len(w.bytes))), w.segment(nil).position(int64(len(w.bytes))), []byte("foreign"))...)
		}, result{frames: 6}},
		{"a whole frame whose batch is of another life", func(w written) []byte {
			seg := w.segment(w.bytes)
			return append(w.bytes, s.appendFrame(nil, seg.salt, seg.position(int64(len(w.bytes))), seg.position(w.start[2]), []byte("stale"))...)
		}, result{frames: 6}},
		{"damaged magic", func(w written) []byte { w.bytes[3] ^= 4; return w.bytes }, result{err: ErrCorrupt}},
		{"damaged version", func(w written) []byte { w.bytes[8] ^= 2; return w.bytes }, result{err: ErrCorrupt}},
		{"damaged meta", func(w written) []byte { w.bytes[headerFixed-4] ^= 2; return w.bytes }, result{err: ErrCorrupt}},
		{"future version", func(w written) []byte {
			w.bytes[8] = 7
			le.PutUint32(w.bytes[w.header-4:], crc32.Checksum(w.bytes[:w.header-4], castagnoli))
			return w.bytes
		}, result{err: ErrFormat}},
		{"not a log", func(written) []byte { return []byte("PK\x03\x04 and so on, for more than a header's length") }, result{err: ErrFormat}},
		{"not a log, short", func(written) []byte { return []byte("hello") }, result{err: ErrFormat}},
		{"empty file", func(written) []byte { return nil }, result{err: ErrCorrupt}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := build(t, []int{20, 30}, []int{40, 600}, []int{10, 20})
			log := c.damage(w)
			for _, readOnly := range []bool{true, false} {
				m := diskWith(t, w, log)
				l, rec, err := Open(testDir, nil, Options{FS: m, ReadOnly: readOnly})
				if c.want.err != nil {
					require.ErrorIs(t, err, c.want.err)
					for _, other := range []error{ErrCorrupt, ErrFormat, ErrLocked, ErrPoisoned, ErrNoSpace, ErrClosed, ErrTooLarge} {
						require.Equal(t, other == c.want.err, errors.Is(err, other), "%v is also %v", err, other)
					}
				} else {
					require.NoError(t, err)
					require.Equal(t, c.want.frames, rec.Frames)
					require.NoError(t, l.Close())
				}
				if readOnly || c.want.err != nil {
					got, err := m.ReadFile(testLog)
					require.NoError(t, err)
					require.True(t, bytes.Equal(log, got), "the evidence was changed")
				}
			}
		})
	}
}

func TestFormatErrorNamesBothVersions(t *testing.T) {
	w := build(t, []int{1})
	w.bytes[8] = 7
	le.PutUint32(w.bytes[w.header-4:], crc32.Checksum(w.bytes[:w.header-4], castagnoli))
	_, _, err := Open(testDir, nil, Options{FS: diskWith(t, w, w.bytes)})
	require.ErrorContains(t, err, "version 7")
	require.ErrorContains(t, err, "version 2")
}

// A payload that is a whole frame, with this file's salt and a later batch, valid at another position.
func TestFrameInsideAPayloadHasNoEffect(t *testing.T) {
	m := disk.NewMem()
	l, _ := mustOpen(t, m)
	_, err := l.Append(payload(0, 100))
	require.NoError(t, err)
	require.NoError(t, l.Sync())
	pos, err := l.Append(payload(1, 50))
	require.NoError(t, err)
	require.NoError(t, l.Sync())
	log, err := m.ReadFile(testLog)
	require.NoError(t, err)
	frame := log[l.last.offset(int64(pos)):l.last.offset(int64(l.End()))]
	at, err := l.Append(append(make([]byte, 600), frame...))
	require.NoError(t, err)
	log, err = m.ReadFile(testLog)
	require.NoError(t, err)
	log[l.last.offset(int64(at))] ^= 1 // tear the outer frame
	require.NoError(t, m.WriteFile(testLog, log))
	l, rec, err := Open(testDir, nil, Options{FS: m.CrashSoft()})
	require.NoError(t, err)
	require.Equal(t, 2, rec.Frames)
	require.NoError(t, l.Close())
}

// countingReader counts what is read.
type countingReader struct {
	io.ReaderAt
	bytes int64
}

func (r *countingReader) ReadAt(b []byte, off int64) (int, error) {
	r.bytes += int64(len(b))
	return r.ReaderAt.ReadAt(b, off)
}

func TestSearchIsBoundedOnHostileTails(t *testing.T) {
	// A torn frame whose payload claims at every 16 bytes to be a frame of a later batch that reaches far.
	w := build(t, []int{10})
	lo := int64(len(w.bytes))
	tail := make([]byte, 4<<20)
	for i := 16; i+16 <= len(tail); i += 16 {
		pos := lo + int64(i)
		le.PutUint32(tail[i:], 0xdeadbeef)
		le.PutUint32(tail[i+4:], uint32(len(tail)-i-16))
		le.PutUint64(tail[i+8:], uint64(pos))
	}
	log := append(w.bytes, tail...)
	read := &countingReader{ReaderAt: bytes.NewReader(log)}
	s := newSearcher(read, w.salt(), lo, int64(len(log)), int64(len(log)))
	_, found, err := s.find()
	require.NoError(t, err)
	require.False(t, found)
	candidates := int64(len(tail) / 16)
	t.Logf("%d bytes of tail, %d bytes of checksum, %d bytes read", len(tail), s.checked, read.bytes)
	require.Less(t, read.bytes, candidates*3*sumBlock+3*int64(len(tail)))
	require.Less(t, s.checked, candidates*3*sumBlock+int64(len(tail)))
	require.Greater(t, s.checked, candidates*sumBlock/2, "the tail was meant to be hostile")
}

// A proof is found at every offset and length, in particular across windows and with long frames.
func TestSearchFindsAProofAnywhere(t *testing.T) {
	rng := seeded(t)
	n := 0
	for range 200 {
		lo := int64(28 + rng.IntN(3000))
		gap := 1 + rng.IntN(3000)
		if rng.IntN(4) == 0 {
			gap = readStep - 40 + rng.IntN(80)
		}
		size := rng.IntN(3 * sumBlock)
		if rng.IntN(10) == 0 {
			size = readStep + rng.IntN(readStep)
		}
		log := payload(n, int(lo)+gap)
		pos := int64(len(log))
		batch := lo + 1 + rng.Int64N(pos-lo)
		var sum summer
		log = sum.appendFrame(log, 5, pos, batch, payload(n, size))
		log = append(log, payload(n, rng.IntN(100))...)
		torn := pos + frameHeader // of a frame that ends in zeros
		if rng.IntN(2) == 0 {
			torn = int64(len(log))
		}
		p, found, err := newSearcher(bytes.NewReader(log), 5, lo, torn, int64(len(log))).find()
		require.NoError(t, err)
		require.True(t, found, "lo %d, pos %d, size %d", lo, pos, size)
		require.Equal(t, proof{pos, batch}, p)
		_, found, err = newSearcher(bytes.NewReader(log), 5, batch, torn, int64(len(log))).find()
		require.NoError(t, err)
		require.False(t, found, "a batch that starts at the damage proves nothing")
		n++
	}
	ran(t, "tails", n, 200)
}

func TestCRCShift(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		a, b := payload(1, rng.IntN(100)), payload(2, rng.IntN(5000))
		want := crc32.Checksum(append(bytes.Clone(a), b...), castagnoli)
		got := crcShift(crc32.Checksum(a, castagnoli), uint64(len(b))) ^ crc32.Checksum(b, castagnoli)
		require.Equal(t, want, got)
	}
}

func TestLargerFrameThanTheLimitIsRefusedNotDropped(t *testing.T) {
	w := build(t, []int{10, 3 << 20})
	m := diskWith(t, w, w.bytes)
	_, _, err := Open(testDir, nil, Options{FS: m, MaxPayload: 100})
	require.ErrorIs(t, err, ErrTooLarge)
	got, _ := m.ReadFile(testLog)
	require.True(t, bytes.Equal(w.bytes, got))
	l, rec, err := Open(testDir, nil, Options{FS: m, MaxPayload: 3 << 20})
	require.NoError(t, err)
	require.Equal(t, 2, rec.Frames)
	require.NoError(t, l.Close())
}
