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
// What a peer is sent is the log in log order without the entries that it has, and with the
// bodies left out of those that it gets elsewhere: each region sends its own entries, and in
// place of all others a marker goes, which names an origin and the range of its entries. What
// is behind a marker is applied once the entries that the marker stands for are staged. So a
// log takes entries in an order that agrees with each log that they came from, and by
// induction an entry stands behind everything its writer knew in every log it gets into. And
// a body crosses a link once: nobody sends what another is about to.
//
// What waits behind a marker is kept, an answer a peer, and goes on when more is staged
// (Resume). An entry that does not come is asked of the peer that marked it (Ready, NextPull):
// when nothing that the marker stands for came in for RelayAfter, or at once where its region
// is not linked and nobody else relays. One peer relays an origin at a time, and as a rule
// one relays them all; it is replaced when it brings nothing for as long, and the relay ends
// when the region itself sends something new again. So a link that is dead, or a region that lost entries of its own, heals through
// others by one rule, and nothing is skipped unseen.
//
// A marker of an origin that is stopped here counts as covered, or one entry that cannot be
// applied would stop everybody. This is the one exception: what such a replica relays
// may lack causes that its own log lacks.
//
// # Batches
//
// A batch is what shares a sync, and nobody can ask for two entries to be in one: each write
// makes one entry. So nothing rests on where batches end, and what came in one answer may be
// applied in parts. An answer holds whole frames of the log, and a frame holds whole batches
// of the peer that sends it, not of the origins that it relays.
package engine
