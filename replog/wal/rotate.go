package wal

import (
	"errors"
	"fmt"
	"slices"

	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

// firstRoom is the size of the first segment that is made after opening.
const firstRoom = 64 << 10

// nextRoom is the size of the segment that follows one of a size, 0 being none.
func (o Options) nextRoom(room int64) int64 {
	return min(max(2*room, firstRoom), o.SegmentBytes)
}

// rotateLocked begins the next segment. What fails before the manifest lists it leaves the log as it was,
// usable: the next Append tries again.
func (l *Log) rotateLocked() error {
	if err := l.syncLocked(); err != nil {
		return err
	}
	fail := func(err error) error {
		err = fmt.Errorf("wal: begin a segment in %s: %w", l.dir.dir, noSpace(err))
		if errors.As(err, new(unknownError)) {
			return l.poisonLocked(err)
		}
		return err
	}
	end := l.end.Load()
	next := l.dir.segment(header{salt: newSalt(l.opt), number: l.last.number + 1, first: end, copied: end, meta: l.meta})
	next.room = l.opt.nextRoom(l.last.room)
	f, err := l.takeAheadLocked()
	if err == nil {
		f, err = l.dir.begin(next, f)
	}
	if err != nil {
		return fail(err)
	}
	next.hold(f)
	segs := append(slices.Clip(*l.segs.Load()), next)
	if err := l.dir.writeManifest(segs, next.first); err != nil {
		_ = next.release() // an unknown outcome or no segment of the log: nobody reads it
		return fail(err)
	}
	l.segs.Store(&segs)
	_ = l.last.release() // it is synced, and was not written to since
	l.last, l.whole = next, next.first
	return nil
}

// begin writes the header of a segment that the manifest does not list yet, to the file that was filled for
// it or, with nil, to a new one.
func (d directory) begin(s *segment, f disk.File) (disk.File, error) {
	write := func(f disk.File) error {
		if err := writeFull(f, s.encode(), 0); err != nil {
			return err
		}
		return f.Sync()
	}
	if f == nil {
		return d.createFile(segmentName(s.number), write)
	}
	if err := write(f); err != nil {
		_ = f.Close()
		_ = d.remove(segmentName(s.number)) // to give its room back; the next try does it, too
		return nil, err
	}
	return f, nil
}
