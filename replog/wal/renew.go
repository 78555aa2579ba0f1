package wal

import (
	"fmt"

	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

// confirm makes sure that a log which needs no repair has its names on the disk: the process that made
// them may have died between a rename and the sync of the directory.
func (o *opener) confirm(last *segment) error {
	if err := last.f.Sync(); err != nil {
		return err
	}
	return o.fs.SyncDir(o.dir)
}

// renew makes sure that the disk, and not only the page cache, holds the frames that were found, and drops
// what follows them. It returns the segments that the log then has.
//
// To sync the last segment again is not enough. After a Sync that failed the system may count pages as
// clean that never reached the disk, and a later Sync passes over them. So what is not known to be whole,
// which is the last batch, is copied to a fresh segment, and that is synced. It takes up the positions
// where the last one leaves off, so that this one ends in front of what was copied, and everything torn
// with it. The old file is not written to before the manifest lists the copy: a crash leaves the log as it
// was, or renewed.
func (o *opener) renew(segs []*segment, s scanned, whole int64) ([]*segment, error) {
	last, from := segs[len(segs)-1], s.batch
	if s.end == whole {
		from = s.end // only the torn end is to be left behind
	}
	next := o.segment(header{salt: newSalt(o.opt), number: last.number + 1, first: from, copied: s.end, meta: last.meta})
	for next.room = o.opt.nextRoom(0); next.room < o.opt.SegmentBytes && next.room < 2*next.offset(s.end); {
		next.room = o.opt.nextRoom(next.room)
	}
	err := o.aside(segmentName(next.number), func(f disk.File) error {
		if err := writeFull(f, next.encode(), 0); err != nil {
			return err
		}
		if err := copyFrames(f, next, last, s.end); err != nil {
			return err
		}
		return fillUp(f, next.offset(s.end), next.room)
	})
	if err != nil {
		return nil, err
	}
	if from == last.first {
		segs = segs[:len(segs)-1] // all of it is in the copy
	}
	segs = append(segs[:len(segs):len(segs)], next)
	return segs, o.writeManifest(segs, s.end)
}

// copyFrames writes the frames of one segment from where the other begins, up to end, as frames of that.
func copyFrames(w disk.File, to, from *segment, end int64) error {
	r := newReader(from, from.salt)
	var sum summer
	var buf []byte
	for pos, batch := to.first, int64(-1); pos < end; {
		f, err := r.frame(pos, end, batch, end-pos)
		if err != nil {
			return err
		}
		if f.bad != "" {
			return &CorruptError{File: from.file, Offset: from.offset(pos), Reason: fmt.Sprintf("%s, and a moment ago it was whole", f.bad)}
		}
		buf = sum.appendFrame(buf[:0], to.salt, pos, f.batch, f.payload)
		if err := writeFull(w, buf, to.offset(pos)); err != nil {
			return err
		}
		pos, batch = pos+f.size, f.batch
	}
	return nil
}
