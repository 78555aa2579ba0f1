package fieldwise

import (
	"errors"
	"fmt"
)

// The sentinels that errors.Is finds in what the packages of this module return.
// Detail is wrapped around them.
var (
	// ErrRegion says that a region's name is not valid.
	ErrRegion = errors.New("fieldwise: invalid region name")
	// ErrMalformed says that bytes are not a canonical state of this merger.
	ErrMalformed = errors.New("fieldwise: malformed state")
	// ErrUnsupportedKind says that a state holds a mechanism which this release cannot join.
	ErrUnsupportedKind = errors.New("fieldwise: unsupported kind of field")
	// ErrStaleVersion says that a write's version is not above this origin's earlier write.
	ErrStaleVersion = errors.New("fieldwise: version is not above this origin's last write")
	// ErrClockSkew says that a timestamp is too far ahead of the wall clock.
	ErrClockSkew = errors.New("fieldwise: timestamp from the future")
	// ErrLimit says that a write would pass a limit; the detail is a [LimitError].
	ErrLimit = errors.New("fieldwise: limit exceeded")
	// ErrNotFound says that there is no live record under the key.
	ErrNotFound = errors.New("fieldwise: record not found")
	// ErrExists says that a live record is there already.
	ErrExists = errors.New("fieldwise: record exists already")
	// ErrMergerMismatch says that a domain is held under another merger.
	ErrMergerMismatch = errors.New("fieldwise: domain has another merger")
	// ErrNested says that a change, while it was being made, asked for another write: it
	// would wait for itself. Make the second write before or after.
	ErrNested = errors.New("fieldwise: a write from within a change; make it before or after")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("fieldwise: the store is closed")
)

// LimitError names the limit that a write would pass. It matches [ErrLimit].
type LimitError struct {
	Limit string // which limit, in words: "bytes of a record", "fields of a record" ...
	Got   int
	Max   int
	Key   string // the record's key; empty where there is none
}

func (e *LimitError) Error() string {
	text := fmt.Sprintf("%v: %s: %d, at most %d", ErrLimit, e.Limit, e.Got, e.Max)
	if e.Key != "" {
		text += fmt.Sprintf(" (key %.80q)", e.Key)
	}
	return text
}

// Is reports whether target is [ErrLimit].
func (e *LimitError) Is(target error) bool { return target == ErrLimit }
