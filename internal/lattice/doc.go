// Package lattice joins the bytes of states: the origin table that opens every
// state, and the items of each mechanism behind it. Package crdt gives these bytes a
// typed face, fieldmerge puts many of them under names; both share this code so that
// a field of a record and a record of its own are one format.
//
// # Bytes
//
// A state opens with a table of the origins that its items use, and items name an
// origin by its index there:
//
//	table    msgpack bin, a sequence of: incarnation, 8 bytes big endian; region, msgpack str
//	         sorted by region bytes, then incarnation; exactly the origins in use
//	register a sequence of items, one an origin, by rising index, to the end
//	item     head, timestamp, value
//	head     msgpack uint: index*4, plus 1 if the value was superseded, plus 2 if the
//	         write created the record (not both)
//	time     8 bytes big endian
//	value    one canonical msgpack value, or the byte 0xc1 for "absent"; left out
//	         where the head says superseded
//	counter  a sequence of counts, one an origin: see Count
//	set      a context, which says what was ever seen, and elements with the dots that added
//	         them; also of lists, whose dots have positions, and flags: see dots.go
//
// One set of changes has one sequence of bytes. Functions whose names start with
// Check verify all of it, including that the form is canonical; all others stay
// within bounds on any bytes but assume a checked state.
package lattice
