// Package replog moves and keeps the changes: a replica of each region, with a durable
// append-only log, that takes local writes and pulls what other regions wrote.
//
// It knows [fieldwise.Merger] and nothing of fields: strategies open their domains
// through [Replica.Domain], or a program opens one under a merger of its own.
//
//	replica, err := replog.Open(ctx, replog.Config{Region: "eu-west-1", Dir: "data"})
//	profiles, err := fieldmerge.OpenDocuments(replica, "profiles", schema)
//	link, err := replog.Connect(replica, other)
//
// # Writing
//
// A write is staged and then committed. Staged: it has its number and its place in the
// next batch, and the next write of the same key builds on it. Committed: the batch is
// in the log and synced, its states are what readers see, and only then does the write
// return and may the entry leave the replica. Writes that wait at the same time share a
// sync. Writes to one key happen one at a time, in the order in which they ask.
//
// A write that is made from within the change of another, in the same goroutine, could wait
// for itself: it is refused with [fieldwise.ErrNested]. A change may read.
//
// A write can carry a note, such as who made it ([WithNote]). It travels with the entry, and
// [Domain.Note] finds it by the write's version in every region that has the write.
//
// A write whose context ends while the log is working on it, or whose log fails at the
// wrong moment, returns an [OutcomeError]: it may be durable or not. Its receipt tells:
// [Replica.WaitApplied] returns nil once the write is durable, and [ErrReplaced] if it
// failed. Trying again without asking would apply an increment twice.
//
// When a sync fails, the replica stops writing for good ([ErrPoisoned]): what the disk
// holds is known only after the log is opened again. When the disk is full, writes fail
// with [ErrNoSpace] and work again once there is room. Reading goes on in both cases.
//
// # Shipping
//
// A replica asks each peer for everything that its version vector does not cover. The peer
// sends its own entries, in the order of its own log, and marks the places where entries of
// other regions stand there: those come from their own regions, so that each body crosses a
// link once. What is behind a marker waits until the entries are there. So a log never holds
// an effect before its cause, and a request acknowledges what is durable where it comes from.
//
// An entry that does not come from its own region is asked of the peer that marked it: at
// once if the region is not linked, else after [Config.RelayAfter] in which nothing of the
// region came. So a link that is down heals through any region that is still reachable.
// [PeerStats] counts what crosses each link, what was relayed, and what came twice.
//
// An entry that cannot be applied (its state is malformed, or of a kind that only
// a newer release knows) stops its origin at this replica by name, shown in [Stats];
// everything else flows on, what was written with knowledge of the entry included. So a record
// should not be deleted in a region where an origin is stopped: others may have written on top of
// what is missing there, and the delete then hides, without a report, what nobody has seen there.
//
// In this release replicas are linked inside one process, by [Connect].
//
// # Snapshots
//
// A region that begins with an empty directory gets all entries that there ever were, or, with
// [Config.Bootstrap], a snapshot of the states: what a peer holds at one moment, and the entries
// from there on. The snapshot is joined with what is here, so that nothing is lost that only this
// replica holds, and what that hides is reported as ever; it counts once all of it is durable.
// Reading and writing go on meanwhile, but for the time that it takes to merge the records, and
// the peer's for the time that it takes to sort their keys; both grow with the number of records.
// Until it is merged, a snapshot is in memory three times.
//
// A replica that took a snapshot does not have the entries that it stands for: neither
// [Replica.Entries] nor [Domain.Note] shows them, [Replica.WaitApplied] compares numbers alone, and
// the conflicts that others have reported among them are not reported again. A peer
// that lacks one of those entries is refused by it with [ErrBehind], and gets them from others; if
// nobody has brought them by the next attempt, it takes a snapshot itself. [Stats] counts those
// that were taken.
//
// # Restored directories
//
// A directory that was restored from a backup, or copied, looks like any other. If it signed
// on as before, it would give numbers to new entries that others know under older ones. Peers
// can tell: with [Config.Members], a replica that goes on with an existing directory signs
// nothing until every other member has confirmed that the directory has all that this region
// ever signed, as far as anybody holds it. [Open] returns at once and reading works; the first
// write waits, up to [Config.IdentityWait]. If that is over, or a member holds more, a fresh
// incarnation of the region signs from then on, which the Logger is told, and what the directory
// lacks comes back from the others like anyone's entries. What only the old directory held is
// lost, of course. Links ask and answer as long as they are up; they also throw away what was on
// its way from the region's earlier process. A restored region needs no command and no care.
//
// A replica whose last timestamps are far ahead of the wall clock and of other regions (more than
// [Config.MaxSkew]) begins a fresh incarnation at once, which does not go on from there: the
// clock was wrong then.
//
// A fresh incarnation costs an origin more in the version vectors and in each record that it
// writes, for good; requests between regions do not grow with them. So a region is better opened
// while the others can be reached.
//
// Two processes on copies of one directory sign as one, if the second is confirmed before the
// first signs more. Every replica keeps a checksum over each origin's entries and compares it with
// its peers': two entries under one number are [ErrForked], and nothing is taken in behind them. The
// process that signs as the origin writes no more ([Stats].Err). One that is found to lack
// its own entries after it was confirmed ends in the same way, with [ErrLogRegressed]. What to do
// then: close both, keep one directory, and let the other begin with an empty one; writes that
// only its log has can be read there ([Replica.Entries]) and made again.
//
// # Domains
//
// A domain is opened under a merger, in every region under one of the same name;
// replicas that disagree do not ship to each other and say so in [Link.Err]. Entries for
// a domain that a replica has not opened, because a newer release has just introduced
// it, are kept and passed on, and merged once it is opened.
//
// The log keeps the name of the merger with the first entry that is merged under it, in
// the same batch. From then on the directory opens the domain under a merger of that name
// and gives [fieldwise.ErrMergerMismatch] for any other, also where the other would take
// the bytes. The name stays in this log: it is not shipped.
//
// # Conflicts
//
// When joining two states hides a value, the merger names it and the replica logs a
// report in the same batch as the entry that caused it. That goes for what arrives and for
// local writes: one that knew less than this replica leaves the rest beside its own value.
// [Replica.Conflicts] streams the reports, with the notes of the writes, from a position that
// the consumer keeps. A report says all that the merger said, but that a reason is cut at
// 1 KiB and bytes that are not UTF-8 in texts become "?".
//
// # Memory and disk
//
// All states are in memory, rebuilt from the log when the replica is opened. The log
// only grows; trimming it is not built yet. A directory can be open
// once at a time. The index takes 32 bytes of memory an entry. See package wal for what a crash leaves behind.
package replog
