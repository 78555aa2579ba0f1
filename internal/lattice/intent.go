package lattice

// Op is what an Intent does.
type Op uint8

// The things that can be done to a value of a mechanism other than the register.
const (
	OpInc    Op = iota + 1 // adds Amount to a counter
	OpDec                  // takes Amount from a counter
	OpReset                // brings a counter to zero
	OpAdd                  // adds Element to a set; the element of a flag is true
	OpRemove               // removes Element from a set
	OpClear                // removes all elements of a set
)

// Intent is one thing that was done to a CRDT value in a Go struct.
type Intent struct {
	Op      Op
	Amount  uint64 // of OpInc and OpDec
	Element []byte // encoded, of OpAdd and OpRemove
}

// Bond stands for one field of one record as it was read once: a CRDT value that was read
// carries a pointer to it, so that one which was assigned from elsewhere is told from it.
type Bond struct{ Field string }

// Held is what a CRDT value in a Go struct holds.
type Held struct {
	Bond    *Bond    // of the read that it comes from; nil: the program made it
	Value   []byte   // as it reads now, encoded; nil: nothing is there
	Intents []Intent // what was done to it since it was read or made, in that order
}
