package fieldwise

// Merger joins the states of a record. A strategy is a Merger: the log stores and
// ships states, and asks the domain's Merger whenever two of them meet. Merge is
// called with what one replica knows of a record and with what arrives: another
// replica's whole state, or a delta, which is a state that holds one change only.
//
// For all valid states a, b and c, byte for byte, writing a+b for
// Merge(nil, a, b):
//
//	a+b = b+a                commutative
//	a+(b+c) = (a+b)+c        associative
//	a+a = a                  idempotent
//	a+empty = a              the empty state (no bytes) is neutral
//
// So replicas that took in the same changes, in any order and any number of times,
// hold the same bytes, and a hash proves it. [CheckLaws] checks an implementation.
//
// The result depends on the two inputs alone: not on a clock, randomness, the order
// of a map, the locale, configuration or earlier calls. Where two values tie, the
// decision goes down to the last byte: the higher [Version] wins (timestamp, region
// bytes, incarnation); at equal versions a value that was superseded stays
// superseded, and of two different values the larger bytes win.
//
// The inputs are neither changed nor kept. The result is appended to dst, whose
// spare capacity must not overlap the inputs, and shares no memory with them; dst
// may be nil. Merge is called from several goroutines at once.
//
// Merge(dst, nil, x) is the complete check of x: a state that arrives from a peer
// or a disk goes through it once, and an error refuses the state and stops the
// origin that sent it by name. When both inputs are non-empty, both have passed
// that check, and Merge does not fail: a replica that cannot join two valid states
// could never go on, so size limits belong where a write is made. On any bytes at
// all Merge returns an error rather than panic, and trusts no length before
// comparing it with what remains.
type Merger interface {
	// Name names the lattice and the format of its states, such as "fields/1".
	// Replicas merge a domain only under equal names; policies are not part of it.
	Name() string

	// Merge appends the join of a and b to dst.
	Merge(dst, a, b []byte) ([]byte, error)
}

// Deleter is the optional power of a [Merger] whose records can be deleted.
type Deleter interface {
	// Live reports whether state, which passed Merge's check, shows a record. The
	// empty state does not.
	Live(state []byte) bool

	// Delete appends to dst the delta that deletes what state shows, signed by at.
	// A state that is not live gives no delta: dst comes back as it was.
	Delete(dst, state []byte, at Version) ([]byte, error)
}

// ConflictReporter is the optional power of a [Merger] to name what a join hides.
type ConflictReporter interface {
	// Conflicts appends to dst one conflict for each value that is current in state
	// or delta and that a reader of their join does not see although no later write
	// knew of it. What was hidden in state already is left out. Domain and Key are
	// left empty for the caller to fill in. The result shares no memory with the
	// inputs.
	Conflicts(dst []Conflict, state, delta []byte) ([]Conflict, error)
}
