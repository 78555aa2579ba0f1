package wal

import (
	"errors"
	"fmt"

	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

// zeros are what files are filled with, a step at a time, and what they are compared to.
var zeros [readStep]byte

// ahead is the file of the next segment, filled with zeros before it is needed. Frames then overwrite bytes
// that are on the disk already, so that their Sync has no length and no places to make durable. Nothing
// rests on the file, and the manifest does not list it.
type ahead struct {
	number uint64
	room   int64
	done   chan struct{} // closed when f or err is set
	f      disk.File
	err    error // why there is none; no reason to fail an Append
}

// fillAheadLocked begins with the next segment's file when half of the last one's is used. It tries once.
func (l *Log) fillAheadLocked() {
	if l.ahead != nil || l.last.offset(l.end.Load()) < l.last.room/2 {
		return
	}
	l.startLocked(l.newAhead(), l.dir.createFile)
}

func (l *Log) newAhead() *ahead {
	return &ahead{number: l.last.number + 1, room: l.opt.nextRoom(l.last.room), done: make(chan struct{})}
}

// startLocked fills a file that makeFile makes.
func (l *Log) startLocked(a *ahead, makeFile func(name string, write func(disk.File) error) (disk.File, error)) {
	l.ahead = a
	fill := func() {
		defer close(a.done)
		a.f, a.err = makeFile(segmentName(a.number), a.fill)
	}
	if l.opt.Foreground {
		fill()
		return
	}
	go fill()
}

// fill syncs step by step, so that the writer's own syncs never wait for all of it.
func (a *ahead) fill(f disk.File) error {
	size, err := f.Size()
	if err == nil && size > a.room {
		err = f.Truncate(a.room)
	}
	for at := int64(0); err == nil && at < a.room; at += int64(len(zeros)) {
		if err = writeFull(f, zeros[:min(int64(len(zeros)), a.room-at)], at); err == nil {
			err = f.Sync()
		}
	}
	return err
}

// takeAheadLocked returns the file that was filled for a segment, or nil.
func (l *Log) takeAheadLocked() (disk.File, error) {
	a := l.ahead
	if a == nil {
		return nil, nil
	}
	<-a.done
	l.ahead = nil
	if errors.As(a.err, new(unknownError)) {
		return nil, a.err // of the directory, which holds more than this file
	}
	return a.f, nil
}

// dropAheadLocked gives the room of the next segment back, as far as that works: the next Open does it, too.
func (l *Log) dropAheadLocked() {
	if f, _ := l.takeAheadLocked(); f != nil {
		_ = f.Close()
		_ = l.dir.remove(segmentName(l.last.number + 1))
	}
}

// fillUp fills a new file with zeros from one offset to another. A disk that has no room for that has room
// for what is written all the same, perhaps: then the file grows with it.
func fillUp(f disk.File, from, to int64) error {
	for at := from; at < to; {
		n := min(int64(len(zeros)), to-at)
		if err := writeFull(f, zeros[:n], at); err != nil {
			if disk.NoSpace(err) {
				return f.Truncate(from)
			}
			return fmt.Errorf("fill with zeros: %w", err)
		}
		at += n
	}
	return nil
}
