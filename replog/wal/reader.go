package wal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"iter"
)

// readStep is how much is read ahead, and the most that recovery holds of the file.
const readStep = 1 << 20

// firstStep is how much Frames reads ahead at first, since some stop after a frame; it doubles with
// every step.
const firstStep = 16 << 10

// Frame is one payload in the log.
type Frame struct {
	Position Position // where the frame starts
	Next     Position // where the frame after it starts
	Payload  []byte   // valid until the next step of the iteration; do not change it
}

// reader reads frames through one buffer.
type reader struct {
	src  io.ReaderAt
	salt uint64
	sum  summer
	step int64 // that is read ahead; it doubles with every read,
	most int64 // up to this

	buf  []byte // the bytes [base, base+len(buf)) of the source
	base int64
}

func newReader(src io.ReaderAt, salt uint64) *reader {
	return &reader{src: src, salt: salt, step: readStep, most: readStep}
}

// move goes on with a segment.
func (r *reader) move(s *segment) { r.src, r.salt, r.buf = s, s.salt, r.buf[:0] }

// view returns the bytes [pos, pos+n), which must end at or before limit; nothing from limit on is read.
// Valid until the next call.
func (r *reader) view(pos, n, limit int64) ([]byte, error) {
	if pos < r.base || pos+n > r.base+int64(len(r.buf)) {
		want := min(max(n, r.step), limit-pos)
		if want < n {
			return nil, io.ErrUnexpectedEOF
		}
		if int64(cap(r.buf)) < want {
			// Room to grow, so that a reader just behind the writer does not allocate at each step.
			r.buf = make([]byte, max(want, min(r.step, 2*int64(cap(r.buf)), limit)))
		}
		r.buf, r.base = r.buf[:want], pos
		if err := readFull(r.src, r.buf, pos); err != nil {
			r.buf = r.buf[:0]
			return nil, err
		}
		r.step = min(2*r.step, r.most)
	}
	return r.buf[pos-r.base : pos-r.base+n : pos-r.base+n], nil
}

// frameAt is what stands at a position.
type frameAt struct {
	bad     string // why there is no valid frame; the rest is then unset
	size    int64  // with its header
	batch   int64  // where the frame's batch starts
	payload []byte // unset if the frame is larger than the reader was allowed to hold
}

// frame checks the frame at pos. It must end at or before limit, and belong to the batch of the frame
// before it or open one (prev < 0: the frame before is not known). At most readStep, or hold if that is
// more, bytes of payload are held; a larger frame is checked in steps. The error is one of reading.
func (r *reader) frame(pos, limit, prev, hold int64) (frameAt, error) {
	if limit-pos < frameHeader {
		return frameAt{bad: "the file ends inside a frame's header"}, nil
	}
	h, err := r.view(pos, frameHeader, limit)
	if err != nil {
		return frameAt{}, err
	}
	crc, n, batch := le.Uint32(h), int64(le.Uint32(h[4:])), le.Uint64(h[8:])
	size := frameHeader + n
	if size > limit-pos {
		return frameAt{bad: "the length of a frame leads beyond the end"}, nil
	}
	if batch > uint64(pos) || (prev >= 0 && int64(batch) != prev && int64(batch) != pos) {
		return frameAt{bad: "a frame's batch does not follow the one before it"}, nil
	}
	f := frameAt{size: size, batch: int64(batch)}
	var got uint32
	if n <= max(hold, readStep-frameHeader) {
		b, err := r.view(pos, size, limit)
		if err != nil {
			return frameAt{}, err
		}
		got = crc32.Update(r.sum.seed(r.salt, pos), castagnoli, b[4:])
		f.payload = b[frameHeader:size:size]
	} else {
		got, err = r.checksum(r.sum.seed(r.salt, pos), pos+4, pos+size, limit)
		if err != nil {
			return frameAt{}, err
		}
	}
	if got != crc {
		return frameAt{bad: "a frame does not match its checksum"}, nil
	}
	return f, nil
}

// checksum goes on from crc over the bytes [lo, hi), in steps.
func (r *reader) checksum(crc uint32, lo, hi, limit int64) (uint32, error) {
	for lo < hi {
		b, err := r.view(lo, min(r.step, hi-lo), limit)
		if err != nil {
			return 0, err
		}
		crc = crc32.Update(crc, castagnoli, b)
		lo += int64(len(b))
	}
	return crc, nil
}

// Frames yields the frames from a position on, 0 being the beginning, up to Durable as it is at each
// step: a loop that is slower than the writer goes on, and one that has caught up ends. Each frame is
// verified. from must be the Position or Next of a frame of this log. Where it is at or after Durable
// but not after End there is nothing to yield yet; beyond that it is ErrPosition. What was truncated is a
// TruncatedError, the beginning too.
//
// The first error is yielded with a zero Frame and ends the iteration. Frames is safe beside Append,
// Sync and other readers, and goes on working on a poisoned log. It holds one buffer of up to 1 MiB, or
// of the largest frame it met, and one open file, which it closes when the loop ends.
func (l *Log) Frames(from Position) iter.Seq2[Frame, error] {
	return func(yield func(Frame, error) bool) {
		c, err := l.cursor(int64(from))
		if err != nil {
			yield(Frame{}, err)
			return
		}
		defer c.close()
		for {
			f, ok, err := c.next()
			if err != nil {
				yield(Frame{}, err)
				return
			}
			if !ok || !yield(f, nil) {
				return
			}
		}
	}
}

// cursor walks over the frames of all segments.
type cursor struct {
	l     *Log
	r     *reader
	seg   *segment // that pos is in; held
	pos   int64
	limit int64 // up to here seg may be read
	batch int64 // of the frame before pos in seg; -1 if it is not known
}

func (l *Log) cursor(pos int64) (*cursor, error) {
	if l.closed.Load() {
		return nil, ErrClosed
	}
	if pos == 0 {
		pos = firstPosition
	}
	if pos < firstPosition || pos > l.end.Load() {
		return nil, fmt.Errorf("%w: %d in %s, which ends at %d", ErrPosition, pos, l.dir.dir, l.end.Load())
	}
	return &cursor{l: l, pos: pos}, nil
}

func (c *cursor) close() {
	if c.seg != nil {
		_ = c.seg.release() // it was only read, or its writer has synced it
		c.seg = nil
	}
}

// next returns the next frame; ok is false where there is none yet.
func (c *cursor) next() (frame Frame, ok bool, err error) {
	if c.pos >= c.limit {
		if more, err := c.advance(); err != nil || !more {
			return Frame{}, false, err
		}
	}
	f, err := c.r.frame(c.pos, c.limit, c.batch, int64(c.l.opt.MaxPayload))
	switch n := f.size - frameHeader; {
	case c.l.closed.Load() && (err == nil || errors.Is(err, fs.ErrClosed)):
		err = ErrClosed
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = c.corrupt("the file is shorter than what was synced")
	case err != nil:
		err = fmt.Errorf("wal: read %s at offset %d: %w", c.seg.file, c.seg.offset(c.pos), err)
	case f.bad != "":
		err = c.corrupt(f.bad)
	case n > int64(c.l.opt.MaxPayload):
		err = tooLarge(c.seg, c.pos, n, c.l.opt)
	}
	if err != nil {
		if gone := c.l.truncated(c.pos); gone != nil && !errors.Is(err, ErrClosed) {
			err = gone // and the file is used for other frames by now
		}
		return Frame{}, false, err
	}
	frame = Frame{Position: Position(c.pos), Next: Position(c.pos + f.size), Payload: f.payload}
	c.pos, c.batch = c.pos+f.size, f.batch
	return frame, true, nil
}

func (c *cursor) corrupt(reason string) error {
	return &CorruptError{File: c.seg.file, Offset: c.seg.offset(c.pos), Reason: reason}
}

// advance finds the segment that pos is in, and how far it can be read; more is false where that is pos.
func (c *cursor) advance() (more bool, err error) {
	durable := c.l.durable.Load() // before the list, which then holds the segment of every position below
	if c.pos >= durable {
		return false, nil
	}
	segs := *c.l.segs.Load()
	i := find(segs, c.pos)
	if i < 0 {
		return false, &TruncatedError{First: Position(segs[0].first)}
	}
	c.limit = durable
	if i+1 < len(segs) {
		c.limit = min(durable, segs[i+1].first)
	}
	if segs[i] == c.seg {
		return true, nil
	}
	c.close()
	if c.l.closed.Load() {
		return false, ErrClosed
	}
	if err := segs[i].acquire(c.l.dir.fs); err != nil {
		if gone := c.l.truncated(c.pos); gone != nil {
			return false, gone
		}
		return false, fmt.Errorf("wal: read %s: %w", segs[i].file, err)
	}
	c.seg, c.batch = segs[i], -1
	if c.pos == c.seg.first {
		c.batch = c.pos // whatever a segment begins with begins a batch
	}
	if c.r == nil {
		c.r = newReader(nil, 0)
		c.r.step = firstStep
	}
	c.r.move(c.seg)
	return true, nil
}
