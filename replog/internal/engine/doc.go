// Package engine is the core of a replica: what it knows, and what it does next. It
// runs no goroutine and reads no clock, file or socket. Its host tells it what
// happened by calling a method (a write was made, a batch became durable, entries
// arrived, a peer asked) and does what the results say (append this batch, send
// entries from here on), so that one sequence of calls always leads to one outcome.
//
// # From staged to committed
//
// A change, local or from a peer, is staged: it gets its place in the batch that is
// being filled and is joined into the staged state of its key, on which the next
// change of the key builds. The host takes the batch, appends it to the log and syncs.
// Committed then publishes the batch's states for reading, and only then are its
// entries counted in the version vector and shown to peers. When a batch fails,
// everything that was staged is thrown away, batches behind it included, and the
// sequence numbers that never became durable are given again.
//
// # Causes precede effects
//
// A stream to a peer is the log in log order without the entries that the peer has.
// A log takes entries in the order of the streams, so by induction an entry stands
// behind everything its writer knew in every log it gets into.
package engine
