package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

// Recovery says what Open found.
type Recovery struct {
	Created bool // there was no log
	Frames  int  // whole frames in the last segment, all of them kept
	// DroppedBytes is the length of the torn end that no finished Sync covered, up to the last byte of it
	// that is not zero. It was dropped, or, in a log opened for reading only, is not shown.
	DroppedBytes int64
	DroppedFrom  Position // where it began, if DroppedBytes > 0
	Reason       string   // what was wrong there
}

// opener holds what Open needs on its way.
type opener struct {
	directory
	opt Options
}

func (o *opener) open(newMeta []byte) (_ *Log, _ Recovery, err error) {
	if err := o.fs.MkdirAll(o.dir); err != nil {
		return nil, Recovery{}, err
	}
	lock, err := o.fs.Lock(o.path(lockName))
	if err != nil {
		return nil, Recovery{}, err
	}
	defer func() {
		if err != nil {
			_ = lock.Close() // the first error is the one that matters
		}
	}()
	// A file under its temporary name was never renamed, so nothing rests on it.
	if err := o.remove(newName); err != nil {
		return nil, Recovery{}, err
	}
	created := false
	m, err := o.readManifest()
	if errors.Is(err, fs.ErrNotExist) {
		created = true
		if err := o.create(newMeta); err != nil {
			return nil, Recovery{}, err
		}
		m, err = o.readManifest()
	}
	if err != nil {
		return nil, Recovery{}, err
	}
	l, rec, err := o.recover(m)
	if err != nil {
		return nil, Recovery{}, err
	}
	l.lock, rec.Created = lock, created
	return l, rec, nil
}

// create puts a log without frames into place: its segment, and then the manifest that makes it a log.
func (o *opener) create(meta []byte) error {
	if err := o.neverCreated(); err != nil {
		return err
	}
	s := o.segment(header{salt: newSalt(o.opt), number: 1, first: firstPosition, copied: firstPosition, meta: meta})
	s.room = o.opt.nextRoom(0)
	if err := o.aside(segmentName(s.number), func(f disk.File) error {
		if err := writeFull(f, s.encode(), 0); err != nil {
			return err
		}
		return fillUp(f, s.size(), s.room)
	}); err != nil {
		return err
	}
	return o.writeManifest([]*segment{s}, s.first)
}

// neverCreated returns an error if there was a log here: someone took its manifest away, and a new log
// would hide that. A creation that did not come to its end leaves a first segment without frames, which
// has its name since it is whole and synced.
func (o *opener) neverCreated() error {
	names, err := o.fs.List(o.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		number, ok := segmentNumber(name)
		if !ok {
			continue
		}
		if number == 1 {
			empty, err := o.isEmpty(name)
			if err != nil {
				return err
			}
			if empty {
				continue
			}
		}
		return &CorruptError{File: o.path(manifestName), Reason: "it is missing, but " + name + " is there"}
	}
	return nil
}

// isEmpty reports whether a segment has a whole header and nothing but zeros behind it.
func (o *opener) isEmpty(name string) (bool, error) {
	f, err := o.fs.Open(o.path(name))
	if err != nil {
		return false, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	size, err := f.Size()
	if err != nil {
		return false, err
	}
	h, err := readHeader(f, size, name)
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrFormat) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	end, err := newReader(f, 0).lastNonZero(h.size(), size)
	return end == h.size(), err
}

// recover finds the end of the log, secures it and drops what is torn. Nothing is written before it is
// known that the log is whole.
func (o *opener) recover(m manifest) (*Log, Recovery, error) {
	segs, err := o.segments(m)
	if err != nil {
		return nil, Recovery{}, err
	}
	last := segs[len(segs)-1]
	if err := last.acquire(o.fs); err != nil {
		return nil, Recovery{}, err
	}
	s, strays, err := o.judge(m, last)
	repair := s.end != m.whole || s.rec.DroppedBytes > 0
	if err == nil && repair {
		segs, err = o.renew(segs, s, m.whole)
	}
	_ = last.release() // it was only read
	if err != nil {
		return nil, Recovery{}, err
	}
	strays = append(strays, last.number) // unless it stays
	if repair {
		o.cut(last, s.torn)
	}
	last = segs[len(segs)-1]
	f, err := o.fs.OpenWrite(last.file)
	if err != nil {
		return nil, Recovery{}, err
	}
	last.hold(f)
	if !repair {
		if err := o.confirm(last); err != nil {
			_ = last.release() // the first error is the one that matters
			return nil, Recovery{}, err
		}
	}
	for _, number := range strays {
		if !slices.ContainsFunc(segs, func(s *segment) bool { return s.number == number }) {
			_ = o.remove(segmentName(number)) // nothing rests on it, and the next Open tries again
		}
	}
	return o.newLog(segs, s.end), s.rec, nil
}

// cut gives the room back that was filled for frames which now go to another segment. All that was written
// stays, torn or not.
func (o *opener) cut(s *segment, end int64) {
	if f, err := o.fs.OpenWrite(s.file); err == nil {
		_ = f.Truncate(s.offset(end)) // nothing rests on it
		_ = f.Close()
	}
}

// judge scans the last segment, and looks for segments that the manifest does not list.
func (o *opener) judge(m manifest, last *segment) (scanned, []uint64, error) {
	s, err := o.scan(last, m.whole)
	if err != nil {
		return scanned{}, nil, err
	}
	strays, err := o.strays(m)
	return s, strays, err
}

func (o *opener) newLog(segs []*segment, end int64) *Log {
	l := &Log{dir: o.directory, opt: o.opt, last: segs[len(segs)-1], whole: end}
	l.meta = l.last.meta
	l.segs.Store(&segs)
	l.end.Store(end)
	l.durable.Store(end)
	return l
}

// segments returns what the manifest lists, after a look at every header.
func (o *opener) segments(m manifest) ([]*segment, error) {
	segs := make([]*segment, len(m.segments))
	for i, want := range m.segments {
		end := want.first
		if i+1 < len(m.segments) {
			end = m.segments[i+1].first
		}
		s, err := o.listedSegment(want, end)
		if errors.Is(err, fs.ErrNotExist) {
			err = &CorruptError{File: o.path(segmentName(want.number)), Reason: "the segment is missing"}
		}
		if err != nil {
			return nil, err
		}
		segs[i] = s
	}
	return segs, nil
}

// listedSegment returns a segment that has to hold the positions up to end.
func (o *opener) listedSegment(want listed, end int64) (*segment, error) {
	file := o.path(segmentName(want.number))
	f, err := o.fs.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	h, err := readHeader(f, size, file)
	if err != nil {
		return nil, err
	}
	if h.number != want.number || h.first != want.first || h.salt != want.salt {
		return nil, &CorruptError{File: file, Reason: fmt.Sprintf("it is segment %d of positions from %d, and not the one that %s lists", h.number, h.first, manifestName)}
	}
	s := o.segment(h)
	if s.offset(end) > size {
		return nil, &CorruptError{File: file, Offset: size, Reason: "the file is shorter than what was synced"}
	}
	s.room = min(max(size, firstRoom), o.opt.SegmentBytes)
	return s, nil
}

// strays returns the numbers of segments that the log does not consist of: those that were dropped, and one
// that was made and that the manifest did not come to list. It had nothing then, or a copy of what is in
// the log's end.
func (o *opener) strays(m manifest) ([]uint64, error) {
	names, err := o.fs.List(o.dir)
	if err != nil {
		return nil, err
	}
	var strays []uint64
	last := m.segments[len(m.segments)-1].number
	for _, name := range names {
		number, ok := segmentNumber(name)
		if !ok || slices.ContainsFunc(m.segments, func(s listed) bool { return s.number == number }) {
			continue
		}
		if number > last {
			if err := o.holdsNoMore(name, number); err != nil {
				return nil, err
			}
		}
		if number <= last+1 {
			strays = append(strays, number)
		}
	}
	return strays, nil
}

// holdsNoMore returns an error if frames were appended to a segment that is not listed. That is only done
// after it is listed: it is the manifest that is an old one.
func (o *opener) holdsNoMore(name string, number uint64) error {
	f, err := o.fs.Open(o.path(name))
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	size, err := f.Size()
	if err != nil {
		return err
	}
	h, err := readHeader(f, size, name)
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrFormat) || err == nil && h.number != number {
		return nil
	}
	if err != nil {
		return err
	}
	s := o.segment(h)
	s.f = f
	frame, err := newReader(s, h.salt).frame(h.copied, s.position(size), -1, 0)
	if err == nil && frame.bad == "" {
		err = &CorruptError{File: o.path(manifestName), Reason: "it is older than " + name}
	}
	return err
}

// openReadOnly shows the log up to its torn end. Beside a writer it may see files of two moments and take
// them for damage: so damage must be seen three times.
func (o *opener) openReadOnly() (*Log, Recovery, error) {
	for try := 1; ; try++ {
		l, rec, err := o.look()
		if err != nil && try < 3 && (errors.Is(err, ErrCorrupt) || errors.Is(err, io.ErrUnexpectedEOF)) {
			continue
		}
		return l, rec, err
	}
}

func (o *opener) look() (*Log, Recovery, error) {
	m, err := o.readManifest()
	if err != nil {
		return nil, Recovery{}, err
	}
	segs, err := o.segments(m)
	if err != nil {
		return nil, Recovery{}, err
	}
	last := segs[len(segs)-1]
	if err := last.acquire(o.fs); err != nil {
		return nil, Recovery{}, err
	}
	s, _, err := o.judge(m, last)
	if err != nil {
		_ = last.release() // it was only read
		return nil, Recovery{}, err
	}
	return o.newLog(segs, s.end), s.rec, nil
}

// scanned is what a scan found: the frames before end are whole, and the last of them belongs to the
// batch that starts at batch (with no frames both are the segment's first position).
type scanned struct {
	end, batch int64
	torn       int64 // from here on there are only zeros
	rec        Recovery
}

// scan reads the frames of the last segment up to the first that is not valid, and decides what that one
// is.
//
// Below whole everything was synced: what is not valid there is corrupt. Behind it, a frame names the
// position at which its batch starts. It was written after the Sync that ended there had returned nil. So
// a valid frame behind the damage whose batch starts behind the damage proves that the damaged bytes had
// been synced: that is corruption. Without such a frame nothing proves it, and that is all that an honest
// power cut can leave: every frame that was written since the last finished Sync names the end of that
// Sync, and the damage lies at or after it.
func (o *opener) scan(seg *segment, whole int64) (scanned, error) {
	size, err := seg.f.Size()
	if err != nil {
		return scanned{}, err
	}
	limit := seg.position(size)
	s := scanned{end: seg.first, batch: seg.first}
	r := newReader(seg, seg.salt)
	bad := ""
	for s.end < limit {
		f, err := r.frame(s.end, limit, s.batch, 0)
		if err != nil {
			return scanned{}, err
		}
		if bad = f.bad; bad != "" {
			break
		}
		if n := f.size - frameHeader; n > int64(o.opt.MaxPayload) {
			// It is whole, and to drop it would lose it: the limit is what has to change.
			return scanned{}, tooLarge(seg, s.end, n, o.opt)
		}
		s.end, s.batch = s.end+f.size, f.batch
		s.rec.Frames++
	}
	corrupt := func(reason string) error {
		return &CorruptError{File: seg.file, Offset: seg.offset(s.end), Reason: reason}
	}
	if s.end < whole {
		if bad == "" {
			bad = "the file ends"
		}
		return scanned{}, corrupt(fmt.Sprintf("%s, though it was synced: %s says so up to offset %d", bad, manifestName, seg.offset(whole)))
	}
	s.torn, err = r.lastNonZero(s.end, limit)
	if err != nil || s.torn == s.end {
		return s, err // behind the frames there are the zeros that the file was filled with
	}
	p, found, err := newSearcher(seg, seg.salt, s.end, s.torn, limit).find()
	if err != nil {
		return scanned{}, err // what could not be read may hold the proof
	}
	if found {
		return scanned{}, corrupt(fmt.Sprintf("%s, though it was synced: the frame at offset %d was written after a sync that ended at %d",
			bad, seg.offset(p.pos), seg.offset(p.batch)))
	}
	s.rec.DroppedFrom, s.rec.DroppedBytes, s.rec.Reason = Position(s.end), s.torn-s.end, bad
	return s, nil
}

func tooLarge(s *segment, pos, n int64, opt Options) error {
	return fmt.Errorf("%w: the frame at offset %d of %s holds %d bytes, Options.MaxPayload is %d", ErrTooLarge, s.offset(pos), s.file, n, opt.MaxPayload)
}

// lastNonZero returns the end of the last byte in [lo, hi) that is not zero, or lo.
func (r *reader) lastNonZero(lo, hi int64) (int64, error) {
	end := lo
	for at := lo; at < hi; {
		b, err := r.view(at, min(readStep, hi-at), hi)
		if err != nil {
			return 0, err
		}
		if !bytes.Equal(b, zeros[:len(b)]) {
			end = at + int64(len(bytes.TrimRight(b, "\x00")))
		}
		at += int64(len(b))
	}
	return end, nil
}
