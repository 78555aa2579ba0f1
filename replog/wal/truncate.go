package wal

import (
	"errors"
	"fmt"
	"slices"

	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

// First returns the position of the first frame that was not dropped, or, in a log without frames, where it
// will be.
func (l *Log) First() Position { return Position((*l.segs.Load())[0].first) }

// TruncateBefore drops the segments that end at or before a position, which is at most Durable; the last
// segment stays. So frames before the position may stay, too: First says where the log then begins. Reading
// what was dropped is a TruncatedError, and a loop that is there meanwhile may end with one.
//
// When it returns nil no crash brings the frames back. After an error the log is as it was, or it is poisoned,
// and the frames may be there or not.
func (l *Log) TruncateBefore(pos Position) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.writableLocked(); err != nil {
		return err
	}
	durable := l.durable.Load()
	if pos < 0 || int64(pos) > durable {
		return fmt.Errorf("%w: %d in %s, which is durable up to %d", ErrPosition, pos, l.dir.dir, durable)
	}
	segs := *l.segs.Load()
	n := find(segs, int64(pos))
	if n <= 0 {
		return nil
	}
	kept := slices.Clone(segs[n:])
	if err := l.dir.writeManifest(kept, durable); err != nil {
		err = fmt.Errorf("wal: truncate %s: %w", l.dir.dir, noSpace(err))
		if errors.As(err, new(unknownError)) {
			return l.poisonLocked(err)
		}
		return err
	}
	l.whole = durable
	l.segs.Store(&kept)
	// From here on nothing rests on the files. What is left of them the next Open removes.
	for _, s := range segs[:n-1] {
		_ = l.dir.remove(segmentName(s.number))
	}
	l.recycleLocked(segs[n-1])
	return nil
}

// recycleLocked makes the file of a segment that was dropped the next segment's, unless there is one. It is
// filled with zeros like any other: its places on the disk are what is saved.
func (l *Log) recycleLocked(s *segment) {
	if l.ahead == nil {
		a := l.newAhead()
		if err := l.dir.fs.Rename(s.file, l.dir.path(segmentName(a.number))); err == nil {
			l.startLocked(a, l.dir.reuseFile)
			return
		}
	}
	_ = l.dir.remove(segmentName(s.number))
}

// reuseFile is createFile with a file that is there.
func (d directory) reuseFile(name string, write func(disk.File) error) (disk.File, error) {
	f, err := d.fs.OpenWrite(d.path(name))
	if err != nil {
		return nil, err
	}
	return d.finish(f, name, write)
}

// truncated returns an error if a position was dropped, also by another process that writes the log.
func (l *Log) truncated(pos int64) error {
	first := (*l.segs.Load())[0].first
	if l.opt.ReadOnly {
		if m, err := l.dir.readManifest(); err == nil {
			first = max(first, m.segments[0].first)
		}
	}
	if pos >= first {
		return nil
	}
	return &TruncatedError{First: Position(first)}
}
