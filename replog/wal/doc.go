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
// The directory holds the segments wal-00000001.seg, wal-00000002.seg ... (the log), wal.manifest (of which
// segments it consists), wal.lock (locked while the log is open for writing; never removed) and for
// moments wal.new (a file before it has its name). Numbers are little-endian; checksums are CRC32C
// (Castagnoli).
//
//	segment   +----------------------------------- header -----------------------------------+
//	          | "fieldwal" | version u32 | header length u32 | salt u64 | number u64           |
//	          | first position u64 | end of the copy u64 | meta | crc u32                      |
//	          +----------------------------------- frame ------------------------------------+
//	          | crc u32 | payload length u32 | batch u64 | payload                             |
//	          +------------------------------------------------------------------------------+
//	          | ... frames without gaps; none goes on in the next segment                     |
//	          | zeros, up to the size that the file was given                                 |
//
//	manifest  | "fieldman" | version u32 | header length u32 | whole u64 |
//	          | number u64 | first position u64 | salt u64 | ... for each segment | crc u32 |
//
//	header crc  over the header before it
//	frame crc   over salt u64, position of the frame u64, then the frame from its payload length on
//	batch       the position at which the frame's batch starts
//	whole       the position up to which the log was durable when the manifest was written
//
// The position of a frame is the sizes of all frames before it, plus 1. So positions go on from segment to
// segment, and a segment ends at the first position of the next: what its file holds behind that counts
// for nothing. The last segment ends where no valid frame is.
//
// A batch is what one Sync makes durable. It is numbered by the position at which it starts: each Sync
// that had something to sync raises the number. So every frame says how far the log was durable when the
// frame was written, which is what opening needs to know. A segment begins with a batch. Salt and position
// in the checksum make a frame valid in one place of one file only: neither another log's bytes, nor an
// older file's, nor a frame copied into a payload are taken for a frame. The salt is no secret, though, and
// a CRC is no signature: who can read the files and choose payloads can make a payload that, if damage
// uncovers it, has a log refused. It cannot make a frame be read that was not written.
//
// Every later format version keeps magic, version, header length, and a CRC in the header's last four
// bytes; the rest may change with the version. An unknown version is refused unchanged.
//
// The manifest is the commit point of the set of segments: frames are appended to a segment only when a
// durable manifest lists it. Headers that form a chain would need no manifest, but could not tell a log that lost its
// first or its last segments from one that never had them. The price is a small file that is written
// anew with each segment. A file that is used again is filled with zeros like a new one: stale frames of
// it would do no harm, since their salt is another one, but a torn end could not be told from them.
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
//   - Creating: the first segment is written and synced under wal.new, which is then renamed; then the
//     manifest in the same way. A crash leaves no manifest, perhaps with a segment without frames, which the
//     next creation replaces, or a whole empty log.
//   - Append: the frame is there, partly there, or not, like all frames since the last Sync. Reading stops
//     at the first that is not whole; it and what follows are the torn end, which opening drops, saying so.
//     Zeros are no torn end, but no frames either. Whole frames before it are kept even if no Sync covered them.
//   - Append that failed: the file is cut back and the cut synced before the error is returned, so no crash
//     brings the frame back. If that fails the log is poisoned, and the frame may be there or not.
//   - Sync: a crash before it returned leaves the batch as an Append does; afterwards it is there.
//   - Sync that failed: the log is poisoned, and the batch may be there in part. Opening keeps the frames
//     up to the first that is not whole. The page cache may show frames that the disk does not hold, so
//     opening copies the last batch before it trusts it.
//   - Beginning a segment: the last one is synced, the new one made and synced, and then listed by a manifest
//     that is written under wal.new, synced and renamed. A crash leaves the old manifest, and perhaps a
//     segment that is not listed, which opening removes; or the new one. What fails before the rename fails
//     the Append and leaves the log as it was; from the rename on it poisons the log.
//   - Filling the next segment with zeros ahead of its use, beside all that: the manifest does not list it, so
//     that a crash leaves a file that opening removes. If the disk has no room for the zeros, or fails, the
//     segment is made without them when it is needed, and its file grows: each Sync is slower then.
//   - TruncateBefore: a manifest without the first segments is written, and then their files are removed, but for
//     one that becomes the next segment's. A crash leaves all the segments, or those that were kept; opening
//     removes files that are left over. Reading below is a TruncatedError, never an empty log.
//   - Opening: if frames were appended since the manifest was written, or the end is torn, then the last
//     batch is copied to a fresh segment, which a new manifest lists: the old segment now ends where the copy
//     begins. A crash leaves the log as it was, or repaired; nothing is ever written to a segment that an
//     earlier process wrote to and did not finish, and only the zeros at its end are cut off. This needs room for one batch: on a full disk Open returns
//     ErrNoSpace and ReadOnly works.
//   - Close: the log is synced and a manifest written that says up to where it is whole: this is the seal. A
//     crash leaves the old manifest or the new one, and is otherwise like one after Append, or after Sync.
//
// Before the torn end is dropped, every byte offset of it is searched for a whole frame whose batch starts
// behind the damage. Such a frame was written after a Sync that covered the damaged place: the log is
// corrupt, Open returns a CorruptError and changes nothing. A power cut cannot leave such a frame, since
// all frames written after the last finished Sync name its end, and damage by the power cut lies
// at or after it. The search costs one pass over the torn end, and for offsets that look like frames, which in
// practice only frames do, at most 3 KiB of checksum each, whatever length they claim. Damage before the position
// up to which the manifest says that the log is whole is corrupt, whatever follows.
//
// A segment that is listed and missing, is another one, or is shorter than what was synced, a manifest that
// is missing beside segments, and one that is older than they are: all of that is a CorruptError that
// names the file. Opening looks at every header and at the frames of the last segment only. Damage in those of
// earlier ones, like damage that appears while the log is open, is found when it is read: Frames yields a
// CorruptError.
//
// # What is not survived
//
//   - Damage in the last batch of a log that was not closed, even if it was synced: it looks like a torn end
//     and is dropped as one (Recovery says so). The same goes for a file that lost its end, and for damage
//     that also destroyed every later batch, behind what was whole when the last manifest was written. No
//     log can tell; the other replicas can.
//   - Damage that a 32-bit checksum misses: one in 2^32 of arbitrary damages. Every single flipped bit, and
//     every burst of up to 32 bits, is found.
//   - A disk that says it synced and did not, or a sector whose unwritten bytes change with a write beside them.
//   - Two machines writing through a network file system that has no working locks.
package wal
