package wal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

// Position is where a frame starts in the log. Positions grow along the log by the size of the frames,
// whatever files these are in, and stay valid for as long as the log lives. No frame has position 0.
type Position int64

const (
	// DefaultMaxPayload is the limit of a payload where Options names none.
	DefaultMaxPayload = 64 << 20
	// DefaultSegmentBytes is the size of a segment where Options names none.
	DefaultSegmentBytes = 64 << 20
)

// maxSegmentBytes is far above what is of use, and far below what overflows.
const maxSegmentBytes = 1 << 40

// Options are the choices in opening a log. The zero value is the default.
type Options struct {
	// FS is the file system; nil is the machine's.
	FS disk.FS
	// MaxPayload is the largest payload that Append takes and reading allocates memory for; 0 is
	// DefaultMaxPayload. A log whose last segment holds a larger one is refused with ErrTooLarge,
	// unchanged; one in an earlier segment is refused by Frames.
	MaxPayload int
	// SegmentBytes is the size of a segment's file, which is filled with zeros before it is written to; 0 is
	// DefaultSegmentBytes. A larger frame has a segment to itself, of its own size. After opening, the
	// first new segments are smaller, so that a small log stays small: 64 KiB, then twice as much each.
	// It may be another one at each opening.
	SegmentBytes int64
	// Foreground makes Append fill the next segment's file itself, and not a goroutine beside it: for
	// simulations, which do the same each time. It makes some Appends slow.
	Foreground bool
	// ReadOnly opens an existing log without taking its lock or writing anything. It works beside a
	// writer, shows what was whole in the files at that moment, including frames that are not yet
	// durable, and does not follow the writer.
	ReadOnly bool

	salt *uint64 // tests fix it
}

// Log is an open log. One goroutine at a time appends and syncs: Append, Sync and Close wait for each
// other, so that a second appender does no harm, but which of two frames comes first is then up to
// chance, and a Sync covers whatever was appended before it. The other methods are safe for any number
// of goroutines at any time.
type Log struct {
	dir  directory
	opt  Options
	meta []byte
	lock io.Closer // nil if read only

	segs    atomic.Pointer[[]*segment] // in order; the list is replaced, never changed
	end     atomic.Int64               // of the last whole frame
	durable atomic.Int64               // end of what a finished Sync covers
	closed  atomic.Bool

	mu       sync.Mutex // held by Append, Sync, Close
	last     *segment   // where frames are appended
	whole    int64      // as the manifest says
	sum      summer
	buf      []byte
	ahead    *ahead // the next segment's file, or nil
	poisoned error  // why nothing can be written any more
}

// Meta returns the meta that the log was created with.
func (l *Log) Meta() []byte { return slices.Clone(l.meta) }

// Durable returns the end of what a finished Sync covers. In a log that is open for reading only it is
// the end of what was whole in the files.
func (l *Log) Durable() Position { return Position(l.durable.Load()) }

// End returns where the next frame will start.
func (l *Log) End() Position { return Position(l.end.Load()) }

// writableLocked says why nothing can be written, or nil.
func (l *Log) writableLocked() error {
	switch {
	case l.closed.Load():
		return ErrClosed
	case l.opt.ReadOnly:
		return ErrReadOnly
	case l.poisoned != nil:
		return fmt.Errorf("%w: %w", ErrPoisoned, l.poisoned)
	}
	return nil
}

// Append writes one frame at the end and returns its position. The frame survives the death of the
// process from then on, and a power cut after the next Sync that returns nil. The payload is not kept;
// it may be empty.
//
// If the write fails or is short, the file is cut back to the last whole frame, and the cut is synced, so
// that no crash brings the failed frame back. Then the error tells the cause (ErrNoSpace for a full
// disk) and the log can be used on; if the cut fails the log is poisoned.
//
// An Append that has to begin a new segment first syncs what was appended before it: that may poison the
// log as Sync does. It waits until the segment's file is filled, if that is under way.
func (l *Log) Append(payload []byte) (Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writableLocked(); err != nil {
		return 0, err
	}
	if len(payload) > l.opt.MaxPayload {
		return 0, fmt.Errorf("%w: payload of %d bytes, limit %d", ErrTooLarge, len(payload), l.opt.MaxPayload)
	}
	pos, size := l.end.Load(), frameHeader+int64(len(payload))
	if pos > math.MaxInt64-maxHeader-size {
		return 0, fmt.Errorf("%w: the log is full", ErrTooLarge)
	}
	if !l.last.takes(pos, size) {
		if err := l.rotateLocked(); err != nil {
			return 0, err
		}
	}
	// A frame's batch starts where the last Sync ended: that is what Durable says until the next one.
	b := l.sum.appendFrame(l.buf[:0], l.last.salt, pos, l.durable.Load(), payload)
	if cap(b) <= readStep {
		l.buf = b[:0] // one large payload does not hold its memory for ever
	}
	off := l.last.offset(pos)
	if err := writeFull(l.last.f, b, off); err != nil {
		return 0, l.undoLocked(off, fmt.Errorf("wal: append at offset %d of %s: %w", off, l.last.file, noSpace(err)))
	}
	l.end.Store(pos + size)
	l.fillAheadLocked()
	return Position(pos), nil
}

// undoLocked cuts the file back to an offset after a failed write and returns the error for the caller.
func (l *Log) undoLocked(off int64, cause error) error {
	err := l.last.f.Truncate(off)
	if err == nil {
		err = l.last.f.Sync()
	}
	if err != nil {
		return l.poisonLocked(errors.Join(cause, fmt.Errorf("wal: undo: %w", err)))
	}
	return cause
}

// poisonLocked closes the log to writing and returns the error for the caller.
func (l *Log) poisonLocked(cause error) error {
	l.poisoned = cause
	return l.writableLocked()
}

// Sync makes everything appended durable. With nothing new it does nothing. After an error it is unknown
// what the disk holds; it is not tried again: the log is poisoned, and only opening it anew tells.
func (l *Log) Sync() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writableLocked(); err != nil {
		return err
	}
	return l.syncLocked()
}

func (l *Log) syncLocked() error {
	end := l.end.Load()
	if end == l.durable.Load() {
		return nil
	}
	if err := l.last.f.Sync(); err != nil {
		return l.poisonLocked(fmt.Errorf("wal: sync %s: %w", l.last.file, noSpace(err)))
	}
	l.durable.Store(end)
	return nil
}

// Close syncs what was appended and seals the log: the next Open knows then that all of it has to be there.
// It returns what failed of that, and releases the files and the lock in any case; a log that is not sealed is
// opened as after a crash. A poisoned log is not sealed, and that is no failure of Close. It may be called
// again, and from several goroutines at once: every call after the first returns nil. An iteration that is
// under way ends with ErrClosed.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed.Load() {
		return nil
	}
	l.dropAheadLocked()
	err := l.sealLocked()
	l.closed.Store(true)
	err = errors.Join(err, l.last.release())
	if l.lock != nil {
		err = errors.Join(err, l.lock.Close())
	}
	return err
}

func (l *Log) sealLocked() error {
	if l.writableLocked() != nil {
		return nil
	}
	if err := l.syncLocked(); err != nil || l.whole == l.durable.Load() {
		return err
	}
	if err := l.dir.writeManifest(*l.segs.Load(), l.durable.Load()); err != nil {
		return fmt.Errorf("wal: seal %s: %w", l.dir.dir, noSpace(err))
	}
	return nil
}

func (o Options) check() (Options, error) {
	if o.FS == nil {
		o.FS = disk.OS()
	}
	if o.MaxPayload == 0 {
		o.MaxPayload = DefaultMaxPayload
	}
	if o.MaxPayload < 0 || int64(o.MaxPayload) > math.MaxInt32 {
		return o, fmt.Errorf("%w: Options.MaxPayload is %d, allowed are 1 to %d", ErrTooLarge, o.MaxPayload, math.MaxInt32)
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = DefaultSegmentBytes
	}
	if o.SegmentBytes < 0 || o.SegmentBytes > maxSegmentBytes {
		return o, fmt.Errorf("%w: Options.SegmentBytes is %d, allowed are 1 to %d", ErrTooLarge, o.SegmentBytes, int64(maxSegmentBytes))
	}
	return o, nil
}

// Open opens the log in dir, and creates dir and the log where there is none: newMeta, up to 4 KiB that
// mean nothing to this package, is then stored in the headers for ever. A log that exists keeps its own.
//
// Recovery says what was found and what was dropped. Opening reads the last segment, and the headers of
// the others: damage in these is found when they are read. An error leaves the log's bytes as they were.
func Open(dir string, newMeta []byte, opt Options) (*Log, Recovery, error) {
	opt, err := opt.check()
	if err != nil {
		return nil, Recovery{}, err
	}
	if len(newMeta) > maxMeta {
		return nil, Recovery{}, fmt.Errorf("%w: meta of %d bytes, limit %d", ErrTooLarge, len(newMeta), maxMeta)
	}
	o := opener{directory: directory{fs: opt.FS, dir: dir}, opt: opt}
	open := func() (*Log, Recovery, error) { return o.open(newMeta) }
	if opt.ReadOnly {
		open = o.openReadOnly
	}
	l, rec, err := open()
	if err != nil {
		return nil, Recovery{}, fmt.Errorf("wal: open %s: %w", dir, noSpace(err))
	}
	return l, rec, nil
}

func newSalt(opt Options) uint64 {
	if opt.salt != nil {
		return *opt.salt
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return le.Uint64(b[:])
}
