package wal

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

var (
	// ErrCorrupt says that bytes which a finished Sync covers are damaged. See CorruptError.
	ErrCorrupt = errors.New("wal: log is corrupt")
	// ErrFormat says that the file is not a log of ours, or one of another format version.
	ErrFormat = errors.New("wal: not a log that this release can read")
	// ErrLocked says that the log is open elsewhere. The text names the process where it is known.
	ErrLocked = disk.ErrLocked
	// ErrPoisoned says that an earlier failure left it unknown what is on the disk: only opening anew
	// helps. It wraps the failure.
	ErrPoisoned = errors.New("wal: an earlier failure closed the log to writing")
	// ErrNoSpace says that the disk is full. Nothing was appended and the log stays usable. It comes
	// together with syscall.ENOSPC.
	ErrNoSpace = errors.New("wal: no space left")
	// ErrClosed says that Close was called.
	ErrClosed = errors.New("wal: log is closed")
	// ErrTooLarge says that a payload, or the meta of a new log, is over its limit.
	ErrTooLarge = errors.New("wal: too large")
	// ErrReadOnly says that the log was opened for reading only.
	ErrReadOnly = errors.New("wal: log is open for reading only")
	// ErrTruncated says that a position lies before what TruncateBefore kept. See TruncatedError.
	ErrTruncated = errors.New("wal: position was truncated")
	// ErrPosition says that a position lies beyond the end of the log or inside its header: it was not
	// taken from this log, or the log lost its end since.
	ErrPosition = errors.New("wal: no such position in this log")
)

// CorruptError says which file of a log is damaged, or missing, and where. It matches ErrCorrupt. Nothing has
// been changed.
type CorruptError struct {
	File   string
	Offset int64 // in the file, of the first frame that is not whole
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%v: %s at offset %d: %s", ErrCorrupt, e.File, e.Offset, e.Reason)
}

// Unwrap returns ErrCorrupt.
func (e *CorruptError) Unwrap() error { return ErrCorrupt }

// TruncatedError says that a position was dropped. It matches ErrTruncated.
type TruncatedError struct {
	First Position // of the first frame that is there
}

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("%v: the log begins at %d", ErrTruncated, e.First)
}

// Unwrap returns ErrTruncated.
func (e *TruncatedError) Unwrap() error { return ErrTruncated }

// noSpace adds ErrNoSpace to an error that says that the disk is full.
func noSpace(err error) error {
	switch {
	case err == nil || !disk.NoSpace(err):
		return err
	case !errors.Is(err, syscall.ENOSPC): // a quota, or Windows
		return fmt.Errorf("%w: %w: %w", ErrNoSpace, syscall.ENOSPC, err)
	}
	return fmt.Errorf("%w: %w", ErrNoSpace, err)
}
