package wal

import (
	"io"
	"sort"
	"sync"

	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

// segment is one file of the log. It is read by position: what a frame's position is, and not where it
// stands in the file, is what everybody outside of this type knows.
type segment struct {
	header
	file string // its path
	room int64  // bytes of the file that frames may fill, if they are not alone in it; for the last segment

	mu   sync.Mutex
	refs int       // who reads it, and the log if it is the last one
	f    disk.File // open while refs > 0
}

func (d directory) segment(h header) *segment {
	return &segment{header: h, file: d.path(segmentName(h.number))}
}

// offset is where a position lies in the file.
func (s *segment) offset(pos int64) int64 { return s.size() + pos - s.first }

// position is what lies at an offset of the file.
func (s *segment) position(off int64) int64 { return off - s.size() + s.first }

// ReadAt implements [io.ReaderAt] over positions.
func (s *segment) ReadAt(p []byte, pos int64) (int, error) { return s.f.ReadAt(p, s.offset(pos)) }

// acquire opens the file, if nobody has it open, until the release.
func (s *segment) acquire(fs disk.FS) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refs == 0 {
		f, err := fs.Open(s.file)
		if err != nil {
			return err
		}
		s.f = f
	}
	s.refs++
	return nil
}

// hold takes over a file that is open.
func (s *segment) hold(f disk.File) { s.f, s.refs = f, 1 }

func (s *segment) release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refs--; s.refs > 0 {
		return nil
	}
	return s.f.Close()
}

// takes reports whether a frame of a size may be appended at the end. One that is larger than any segment
// has a segment to itself.
func (s *segment) takes(end, size int64) bool {
	return end == s.first || s.offset(end)+size <= s.room
}

// find returns which of the segments holds a position at or after the first one's.
func find(segs []*segment, pos int64) int {
	return sort.Search(len(segs), func(i int) bool { return segs[i].first > pos }) - 1
}

var _ io.ReaderAt = (*segment)(nil)
