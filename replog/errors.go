package replog

import (
	"errors"
	"fmt"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
	"github.com/fieldwise/fieldwise/replog/wal"
)

// The sentinels that errors.Is finds in what this package returns, besides those of
// the root package.
var (
	// ErrOutcomeUnknown says that a write may or may not be durable; the detail is an
	// [OutcomeError].
	ErrOutcomeUnknown = errors.New("replog: outcome of a write is unknown")
	// ErrOtherRegion says that a data directory belongs to another region.
	ErrOtherRegion = errors.New("replog: data directory belongs to another region")
	// ErrGap says that entries of an origin arrived without those before them.
	ErrGap = engine.ErrGap
	// ErrLogRegressed says that a peer holds entries which this replica signed and its
	// log has not: the log lost them, or the directory is an old copy that was not, or could
	// not be, found out when it was opened. Nothing more is written.
	ErrLogRegressed = engine.ErrLogRegressed
	// ErrForked says that two different entries have one origin and one number: two
	// processes signed as one, each from a copy of the same directory. If it is the origin
	// that signs here, nothing more is written; otherwise nothing is taken from, or sent to,
	// the peer that has the other entry.
	ErrForked = engine.ErrForked
	// ErrBehind says that a peer lacks entries which the log of this replica does not hold any
	// more: only a snapshot of the states brings it up to date.
	ErrBehind = engine.ErrBehind
	// ErrReplaced says that the write which a receipt names failed: its number was given
	// to another, or will be.
	ErrReplaced = engine.ErrReplaced

	// ErrLocked says that the data directory is open already, in this process or another.
	ErrLocked = wal.ErrLocked
	// ErrCorrupt says that the log is damaged where it was already acknowledged.
	ErrCorrupt = wal.ErrCorrupt
	// ErrFormat says that the log is of a format that this release does not read.
	ErrFormat = wal.ErrFormat
	// ErrPoisoned says that a sync failed: nothing more is written until the replica
	// is opened again.
	ErrPoisoned = wal.ErrPoisoned
	// ErrNoSpace says that the disk is full; writing works again once there is room.
	ErrNoSpace = wal.ErrNoSpace
)

// OutcomeError says that a write was handed to the log and that the caller stopped
// waiting, or the log failed, before its outcome was known. [Replica.WaitApplied] with
// the receipt settles it; trying again blindly would apply an increment twice. It
// matches [ErrOutcomeUnknown] and unwraps to the cause.
type OutcomeError struct {
	Receipt fieldwise.Receipt
	Err     error
}

func (e *OutcomeError) Error() string {
	return fmt.Sprintf("%v: %v: %v", ErrOutcomeUnknown, e.Receipt, e.Err)
}

// Is reports whether target is [ErrOutcomeUnknown].
func (e *OutcomeError) Is(target error) bool { return target == ErrOutcomeUnknown }

// Unwrap returns the cause.
func (e *OutcomeError) Unwrap() error { return e.Err }
