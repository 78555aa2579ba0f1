package fieldwise

import "context"

// Opener is the optional power of a [Merger] to keep large records open between merges, so
// that a merge costs the size of what comes and not that of the record.
type Opener interface {
	// Open opens a state, which passed Merge's check and is not kept. What in it has fewer
	// than from bytes stays bytes; where that is all, Open returns nil.
	Open(state []byte, from int) (Opened, error)
}

// Opened is a record that is kept open. Merging and cloning must not happen at once; the
// other methods are safe for concurrent use, also while the record is cloned, as long as
// nothing is merged into this very one.
type Opened interface {
	// Merge joins a state that passed Merge's check, and is not kept. After an error, which
	// only a state that did not pass can cause, the record is good for nothing.
	Merge(delta []byte) error

	// Clone returns a copy, at a cost that does not grow with the record: both may be merged
	// into afterwards.
	Clone() Opened

	// AppendState appends the state: that which Merge makes of the same states as bytes.
	AppendState(dst []byte) []byte

	// Size is the number of bytes that AppendState appends.
	Size() int

	// Live is what [Deleter] says of the state; true if the merger has not that power.
	Live() bool

	// Conflicts is what [ConflictReporter] says of the state and a delta; dst if the merger
	// has not that power.
	Conflicts(dst []Conflict, delta []byte) ([]Conflict, error)
}

// OpenStore is the optional power of a [Store] to hand out records as its merger keeps them
// open. Read and Write of such a store make all of such a record's state each time.
type OpenStore interface {
	// ReadOpen is Read. Where the record is open, use is called with it instead of a state,
	// and may keep it to read from; it must neither merge into it nor clone it.
	ReadOpen(ctx context.Context, key string, use func(state []byte, open Opened) error) error

	// WriteOpen is Write. Where the record is open, change is called with it instead of a
	// state, and must neither merge into it nor clone it.
	WriteOpen(ctx context.Context, key string, change func(dst, state []byte, open Opened, at Version) (delta []byte, err error)) (Receipt, error)
}
