package wal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

// Position is where a frame starts in the log: a file offset, at present. Positions grow along the log
// and stay valid for as long as the log lives.
type Position int64

// DefaultMaxPayload is the limit of a payload where Options names none.
const DefaultMaxPayload = 64 << 20

// Options are the choices in opening a log. The zero value is the default.
type Options struct {
	// FS is the file system; nil is the machine's.
	FS disk.FS
	// MaxPayload is the largest payload that Append takes and reading allocates memory for; 0 is
	// DefaultMaxPayload. A log that holds a larger one is refused with ErrTooLarge, unchanged.
	MaxPayload int
	// ReadOnly opens an existing log without taking its lock or writing anything. It works beside a
	// writer, shows what was whole in the file at that moment, including frames that are not yet
	// durable, and does not follow the writer.
	ReadOnly bool

	salt *uint64 // tests fix it
}

// Log is an open log. One goroutine at a time appends and syncs: Append, Sync and Close wait for each
// other, so that a second appender does no harm, but which of two frames comes first is then up to
// chance, and a Sync covers whatever was appended before it. The other methods are safe for any number
// of goroutines at any time.
type Log struct {
	header     header
	file       string
	maxPayload int64
	readOnly   bool
	src        io.ReaderAt // what Frames reads
	closers    []io.Closer

	end     atomic.Int64 // of the last whole frame
	durable atomic.Int64 // end of what a finished Sync covers
	closed  atomic.Bool

	mu       sync.Mutex // held by Append, Sync, Close
	f        disk.File
	sum      summer
	buf      []byte
	poisoned error // why nothing can be written any more
}

// Meta returns the meta that the log was created with.
func (l *Log) Meta() []byte { return slices.Clone(l.header.meta) }

// Durable returns the end of what a finished Sync covers. In a log that is open for reading only it is
// the end of what was whole in the file.
func (l *Log) Durable() Position { return Position(l.durable.Load()) }

// End returns where the next frame will start.
func (l *Log) End() Position { return Position(l.end.Load()) }

// writableLocked says why nothing can be written, or nil.
func (l *Log) writableLocked() error {
	switch {
	case l.closed.Load():
		return ErrClosed
	case l.readOnly:
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
func (l *Log) Append(payload []byte) (Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writableLocked(); err != nil {
		return 0, err
	}
	if int64(len(payload)) > l.maxPayload {
		return 0, fmt.Errorf("%w: payload of %d bytes, limit %d", ErrTooLarge, len(payload), l.maxPayload)
	}
	pos := l.end.Load()
	if pos > math.MaxInt64-frameHeader-int64(len(payload)) {
		return 0, fmt.Errorf("%w: the log is full", ErrTooLarge)
	}
	// A frame's batch starts where the last Sync ended: that is what Durable says until the next one.
	b := l.sum.appendFrame(l.buf[:0], l.header.salt, pos, l.durable.Load(), payload)
	if cap(b) <= readStep {
		l.buf = b[:0] // one large payload does not hold its memory for ever
	}
	n, err := l.f.WriteAt(b, pos)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return 0, l.undoLocked(pos, fmt.Errorf("wal: append at offset %d of %s: %w", pos, l.file, noSpace(err)))
	}
	l.end.Store(pos + int64(len(b)))
	return Position(pos), nil
}

// undoLocked cuts the file back to end after a failed write and returns the error for the caller.
func (l *Log) undoLocked(end int64, cause error) error {
	err := l.f.Truncate(end)
	if err == nil {
		err = l.f.Sync()
	}
	if err != nil {
		l.poisoned = errors.Join(cause, fmt.Errorf("wal: undo: %w", err))
		return l.writableLocked()
	}
	return cause
}

// Sync makes everything appended durable. With nothing new it does nothing. After an error it is unknown
// what the disk holds; it is not tried again: the log is poisoned, and only opening it anew tells.
func (l *Log) Sync() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writableLocked(); err != nil {
		return err
	}
	end := l.end.Load()
	if end == l.durable.Load() {
		return nil
	}
	if err := l.f.Sync(); err != nil {
		l.poisoned = fmt.Errorf("wal: sync %s: %w", l.file, noSpace(err))
		return l.writableLocked()
	}
	l.durable.Store(end)
	return nil
}

// Close releases the files and the lock. It does not sync: what no Sync covered was not promised. It may
// be called again, and from several goroutines at once: every call after the first returns nil. An
// iteration that is under way ends with ErrClosed.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed.Swap(true) {
		return nil
	}
	return closeAll(l.closers)
}

// closeAll closes the last one first, and all of them, whatever fails.
func closeAll(closers []io.Closer) error {
	var errs []error
	for _, c := range slices.Backward(closers) {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
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
	return o, nil
}

// Open opens the log in dir, and creates dir and the log where there is none: newMeta, up to 4 KiB that
// mean nothing to this package, is then stored in the header for ever. A log that exists keeps its own.
//
// Recovery says what was found and what was dropped. An error leaves the log's bytes as they were, or, if
// writing failed in the middle of a repair, so that the next Open finishes it.
func Open(dir string, newMeta []byte, opt Options) (*Log, Recovery, error) {
	opt, err := opt.check()
	if err != nil {
		return nil, Recovery{}, err
	}
	if len(newMeta) > maxMeta {
		return nil, Recovery{}, fmt.Errorf("%w: meta of %d bytes, limit %d", ErrTooLarge, len(newMeta), maxMeta)
	}
	o := opener{fs: opt.FS, dir: dir, opt: opt}
	l, rec, err := o.open(newMeta)
	if err != nil {
		_ = closeAll(o.closers) // the first error is the one that matters
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

func (o *opener) path(name string) string { return filepath.Join(o.dir, name) }
