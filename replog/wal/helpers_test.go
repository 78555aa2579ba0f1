package wal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("WAL_TEST_CHILD"); dir != "" {
		child(dir, os.Getenv("WAL_TEST_TASK"))
		return
	}
	goleak.VerifyTestMain(m)
}

const testDir = "data"

// testLog is the first segment.
var testLog = testDir + "/" + segmentName(1)

const testManifest = testDir + "/" + manifestName

func seeded(t testing.TB) *rand.Rand { return rand.New(rand.NewPCG(randtest.Seed(t), 0)) }

// ran logs how many cases a test went through and fails it below the floor.
func ran(t testing.TB, what string, n, floor int) {
	t.Helper()
	t.Logf("%s: %d", what, n)
	if n < floor {
		t.Errorf("only %d %s, want at least %d: the test does not test", n, what, floor)
	}
}

func payload(i, size int) []byte {
	b := make([]byte, max(size, 8)+8)
	r := rand.New(rand.NewPCG(uint64(i), 1))
	for j := 0; j+8 <= len(b); j += 8 {
		binary.LittleEndian.PutUint64(b[j:], r.Uint64())
	}
	b = b[:max(size, 8):max(size, 8)]
	binary.LittleEndian.PutUint64(b, uint64(i))
	return b
}

func mustOpen(t testing.TB, fs disk.FS) (*Log, Recovery) {
	t.Helper()
	l, rec, err := Open(testDir, []byte("meta"), Options{FS: fs})
	require.NoError(t, err)
	return l, rec
}

func readAll(l *Log, from Position) (payloads [][]byte, positions []Position, err error) {
	for f, err := range l.Frames(from) {
		if err != nil {
			return payloads, positions, err
		}
		payloads = append(payloads, bytes.Clone(f.Payload))
		positions = append(positions, f.Position)
	}
	return payloads, positions, nil
}

// written is a log of one segment with what was put into it.
type written struct {
	manifest []byte
	bytes    []byte // of the segment
	payloads [][]byte
	start    []int64 // offset of each frame, and the end
	batch    []int   // number of the batch of each frame
	header   int64
}

// build makes a log of batches, each a list of payload sizes. It was not closed.
func build(t testing.TB, batches ...[]int) written {
	t.Helper()
	m := disk.NewMem()
	l, _ := mustOpen(t, m)
	l.last.room = 1 << 40
	w := written{header: l.last.size()}
	for k, sizes := range batches {
		for _, size := range sizes {
			p := payload(len(w.payloads), size)
			pos, err := l.Append(p)
			require.NoError(t, err)
			w.payloads = append(w.payloads, p)
			w.start = append(w.start, l.last.offset(int64(pos)))
			w.batch = append(w.batch, k)
		}
		require.NoError(t, l.Sync())
	}
	w.start = append(w.start, l.last.offset(int64(l.End())))
	var err error
	w.bytes, err = m.ReadFile(testLog)
	require.NoError(t, err)
	require.Equal(t, make([]byte, len(w.bytes)-int(w.start[len(w.payloads)])), w.bytes[w.start[len(w.payloads)]:])
	w.bytes = w.bytes[:w.start[len(w.payloads)]:w.start[len(w.payloads)]]
	w.manifest, err = m.ReadFile(testManifest)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return w
}

func (w written) salt() uint64 { return le.Uint64(w.bytes[prelude:]) }

// segment returns the segment's positions, over the given bytes.
func (w written) segment(b []byte) *segment {
	h, err := readHeader(bytes.NewReader(w.bytes), int64(len(w.bytes)), "x")
	if err != nil {
		panic(err)
	}
	return &segment{header: h, f: bytesFile{Reader: bytes.NewReader(b)}, file: "x"}
}

// bytesFile is a file that can be read.
type bytesFile struct {
	*bytes.Reader
	disk.File
}

func (b bytesFile) ReadAt(p []byte, off int64) (int, error) { return b.Reader.ReadAt(p, off) }
func (b bytesFile) Size() (int64, error)                    { return b.Reader.Size(), nil }

// diskWith holds the log with other bytes as its segment.
func diskWith(t testing.TB, w written, log []byte) *disk.Mem {
	t.Helper()
	m := disk.NewMem()
	require.NoError(t, m.MkdirAll(testDir))
	require.NoError(t, m.WriteFile(testLog, log))
	require.NoError(t, m.WriteFile(testManifest, w.manifest))
	return m
}

// files returns all that is in the log's directory, but for the lock.
func files(t testing.TB, m *disk.Mem) map[string]string {
	t.Helper()
	names, err := m.List(testDir)
	require.NoError(t, err)
	all := map[string]string{}
	for _, name := range names {
		if name == lockName {
			continue
		}
		b, err := m.ReadFile(testDir + "/" + name)
		require.NoError(t, err)
		all[name] = string(b)
	}
	return all
}

// checkPrefix fails unless got is a prefix of want that has at least n elements.
func checkPrefix(got, want [][]byte, n int) error {
	if len(got) < n {
		return fmt.Errorf("%d frames, at least %d were acknowledged", len(got), n)
	}
	if len(got) > len(want) {
		return fmt.Errorf("%d frames, only %d were appended", len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			return fmt.Errorf("frame %d is %x, want %x", i, got[i], want[i])
		}
	}
	return nil
}
