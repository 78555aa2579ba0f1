// Package wal is a durable log: byte strings in, the same byte strings out in the same order, after any
// crash. It knows nothing of what they mean.
//
//	l, rec, err := wal.Open("data", identity, wal.Options{})
//	pos, err := l.Append(payload) // in the file
//	err = l.Sync()                // on the disk: now it may be acknowledged
//	for f, err := range l.Frames(0) { ... }
//
// # Bytes
//
// The directory holds wal.log (the log), wal.lock (locked while the log is open for writing; never
// removed) and for moments wal.new (a file before it has its name) and wal.redo (see below). Numbers are
// little-endian; checksums are CRC32C (Castagnoli).
//
//	wal.log   +----------------------------- header ------------------------------+
//	          | "fieldwal" | version u32 | header length u32 | salt u64 | meta | crc u32 |
//	          +------------------------------ frame ------------------------------+
//	          | crc u32 | payload length u32 | batch u64 | payload                |
//	          +-------------------------------------------------------------------+
//	          | ... frames without gaps, up to the end of the file                |
//
//	header crc  over the header before it
//	frame crc   over salt u64, position of the frame u64, then the frame from its payload length on
//	batch       the position at which the frame's batch starts
//
//	wal.redo  | "fieldwrd" | version u32 | header length u32 | salt u64 | start u64 | length u64 |
//	          | crc of the bytes u32 | crc of the header u32 | bytes |
//
// A batch is what one Sync makes durable. It is numbered by the position at which it starts: each Sync
// that had something to sync raises the number. So every frame says how far the log was durable when the
// frame was written, which is what opening needs to know. Salt and position in the checksum make a frame
// valid in one place of one file only: neither another log's bytes, nor an older file's, nor a frame copied
// into a payload are taken for a frame. The salt is no secret, though, and a CRC is no signature: who can
// read the file and choose payloads can make a payload that, if damage uncovers it, has a log refused.
// It cannot make a frame be read that was not written.
//
// Every later format version keeps magic, version, header length, and a CRC in the header's last four
// bytes; the rest may change with the version. An unknown version is refused unchanged.
//
// # What the disk is taken to do
//
// After Sync returned nil the bytes are there; before, any sector of them may be there, be missing, hold
// its old bytes, zeros or garbage, in any order, and the file may have any of its lengths. Bytes of a
// sector that were not written since keep their value. After a Sync that failed nothing is known, not even
// after another one that succeeds. A name is durable after its directory was synced; a rename is atomic.
//
// # What a crash leaves, and how opening repairs it
//
// "Crash" is a power cut; the death of the process leaves the same or less.
//
//   - Creating: the header is written and synced under wal.new, which is then renamed. A crash leaves no
//     log, perhaps with a wal.new that is removed, or a whole empty log.
//   - Append: the frame is there, partly there, or not, like all frames since the last Sync. Reading stops
//     at the first that is not whole; it and what follows are the torn end, which opening drops, saying so.
//     Whole frames before it are kept even if no Sync covered them.
//   - Append that failed: the file is cut back and the cut synced before the error is returned, so no crash
//     brings the frame back. If that fails the log is poisoned, and the frame may be there or not.
//   - Sync: a crash before it returned leaves the batch as an Append does; afterwards it is there.
//   - Sync that failed: the log is poisoned, and the batch may be there in part. Opening keeps the frames
//     up to the first that is not whole. The page cache may show frames that the disk does not hold, so
//     opening writes the last batch anew before it trusts it.
//   - Opening: the last batch is copied to wal.redo (synced, renamed, directory synced), written anew in its
//     place, the torn end cut off, the log synced, and wal.redo removed. A crash at any point leaves either
//     the log as it was, or a whole wal.redo, from which the next opening goes on. Only then may Append run.
//     This needs room for one batch: on a full disk Open returns ErrNoSpace and ReadOnly works.
//   - Close: writes nothing.
//
// Before the torn end is dropped, every byte offset of it is searched for a whole frame whose batch starts
// behind the damage. Such a frame was written after a Sync that covered the damaged place: the log is
// corrupt, Open returns a CorruptError and changes nothing. A power cut cannot leave such a frame, since
// all frames written after the last finished Sync name its end, and damage by the power cut lies
// at or after it. The search costs one pass over the torn end, and for offsets that look like frames, which in
// practice only frames do, at most 3 KiB of checksum each, whatever length they claim.
//
// # What is not survived
//
//   - Damage in the last batch, even if it was synced: it looks like a torn end and is dropped as one (Recovery
//     says so). The same goes for a file that lost its end, and for damage that also destroyed every later
//     batch. No log can tell; the other replicas can.
//   - Damage that a 32-bit checksum misses: one in 2^32 of arbitrary damages. Every single flipped bit, and
//     every burst of up to 32 bits, is found.
//   - A disk that says it synced and did not, or a sector whose unwritten bytes change with a write beside them.
//   - Two machines writing through a network file system that has no working locks.
//
// Damage that appears while the log is open is found when it is read: Frames yields a CorruptError.
package wal
