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
// # Snapshots
//
// A log may lack the beginning of what it counts: of each origin, the entries up to a base. Who
// lacks one of those cannot be sent entries (ErrBehind), since what stands behind may rest on it,
// and takes a snapshot instead: all that a replica holds at one moment, which is the join of all
// that its vector covers, and closed under causes as its log is. It is joined with what is here
// and staged, logged and counted as one, like an entry; behind it the log goes on as ever. What
// it has more of an origin than the log does is a base from then on, so that nobody is sent
// entries from here without having all that stands in front of them.
//
// In front of a base only its end is known. So an entry that comes again from there is taken for
// the one that was here, a receipt from there for one that was kept, and a fork that lies wholly in
// front of a base is found by others, or never.
//
// Reports stay where they were made: who installs a snapshot reports what that hides of what was
// here, and not what was hidden in the snapshot already where nothing was.
//
// # Batches
//
// A batch is what shares a sync, and nobody can ask for two entries to be in one: each write
// makes one entry. So nothing rests on where batches end, and what came in one answer may be
// applied in parts. An answer holds whole frames of the log, and a frame holds whole batches
// of the peer that sends it, not of the origins that it relays.
package engine
