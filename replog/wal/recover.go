package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

// Recovery says what Open found.
type Recovery struct {
	Created bool // there was no log
	Frames  int  // whole frames that are kept
	// DroppedBytes is the length of the torn end that no finished Sync covered. It was cut off, or, in a
	// log opened for reading only, is not shown.
	DroppedBytes int64
	DroppedFrom  Position // where it began, if DroppedBytes > 0
	Reason       string   // what was wrong there
	Finished     bool     // an earlier Open died inside its repair, and this one finished it
}

// opener holds what Open needs on its way; closers are what is open so far.
type opener struct {
	fs      disk.FS
	dir     string
	opt     Options
	closers []io.Closer
}

// source is a file as recovery reads it.
type source interface {
	io.ReaderAt
	Size() (int64, error)
}

func (o *opener) open(newMeta []byte) (*Log, Recovery, error) {
	if o.opt.ReadOnly {
		return o.openReadOnly()
	}
	if err := o.fs.MkdirAll(o.dir); err != nil {
		return nil, Recovery{}, err
	}
	lock, err := o.fs.Lock(o.path(lockName))
	if err != nil {
		return nil, Recovery{}, err
	}
	o.closers = append(o.closers, lock)
	// A file under its temporary name was never renamed, so nothing rests on it.
	if err := o.fs.Remove(o.path(newName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, Recovery{}, err
	}
	created := false
	f, err := o.fs.OpenWrite(o.path(logName))
	if errors.Is(err, fs.ErrNotExist) {
		created = true
		if err := o.create(newMeta); err != nil {
			return nil, Recovery{}, err
		}
		f, err = o.fs.OpenWrite(o.path(logName))
	}
	if err != nil {
		return nil, Recovery{}, err
	}
	o.closers = append(o.closers, f)
	l, rec, err := o.recover(f)
	rec.Created = created
	return l, rec, err
}

// create puts a log without frames into place. It is whole and synced before it gets its name.
func (o *opener) create(meta []byte) error {
	// A repair without the log that it repairs: someone took the log away. A new one would hide that.
	if r, err := o.fs.Open(o.path(redoName)); err == nil {
		_ = r.Close()
		return &CorruptError{File: o.path(logName), Reason: "the log is missing, but " + redoName + " is there"}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	h := header{salt: newSalt(o.opt), meta: meta}
	return o.aside(logName, func(f disk.File) error { return writeFull(f, h.encode(), 0) })
}

// aside writes a file under a temporary name, syncs it, gives it its name and syncs that.
func (o *opener) aside(name string, write func(disk.File) error) error {
	f, err := o.fs.Create(o.path(newName))
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr // what close reports is a write that failed late
	}
	if err != nil {
		return err // the next Open removes the temporary file
	}
	if err := o.fs.Rename(o.path(newName), o.path(name)); err != nil {
		return err
	}
	return o.fs.SyncDir(o.dir)
}

func writeFull(f disk.File, b []byte, off int64) error {
	n, err := f.WriteAt(b, off)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// recover finds the end of the log, secures it and cuts off what is torn.
func (o *opener) recover(f disk.File) (*Log, Recovery, error) {
	size, err := f.Size()
	if err != nil {
		return nil, Recovery{}, err
	}
	h, err := readHeader(f, size, o.path(logName))
	if err != nil {
		return nil, Recovery{}, err // before anything was written
	}
	src := source(f)
	pending, err := o.openRedo(h, f)
	if err != nil {
		return nil, Recovery{}, err // before anything was written
	}
	if pending != nil {
		defer pending.redo.Close() //nolint:errcheck // it was only read
		src = pending
	}
	s, err := o.scan(src, h)
	if err != nil {
		return nil, Recovery{}, err // damage, or a read that failed: the bytes stay as they are
	}
	if pending != nil && s.end != s.size {
		// The copy was checked whole, and holds whole frames: what is damaged lies before it.
		return nil, Recovery{}, &CorruptError{File: o.path(logName), Offset: s.end, Reason: s.rec.Reason + ", in front of what " + redoName + " repairs"}
	}
	if err := o.secure(f, h, s, pending); err != nil {
		return nil, Recovery{}, err // the copy is whole or has no name: the next Open goes on from either
	}
	if pending != nil {
		s.rec.Finished = true
		if size > s.end { // the Open that began the repair dropped it and could not say so
			s.rec.DroppedFrom, s.rec.DroppedBytes = Position(s.end), size-s.end
			s.rec.Reason = "behind what an earlier repair kept"
		}
	}
	l := o.newLog(h, f, s.end)
	l.f = f
	return l, s.rec, nil
}

func (o *opener) newLog(h header, src io.ReaderAt, end int64) *Log {
	l := &Log{header: h, file: o.path(logName), maxPayload: int64(o.opt.MaxPayload), src: src, closers: o.closers}
	l.end.Store(end)
	l.durable.Store(end)
	return l
}

// openReadOnly shows the log up to its torn end. Beside a writer that cuts back a failed append, a
// reader may see bytes of two moments and take them for damage: so damage must be seen three times.
func (o *opener) openReadOnly() (*Log, Recovery, error) {
	f, err := o.fs.Open(o.path(logName))
	if err != nil {
		return nil, Recovery{}, err
	}
	o.closers = append(o.closers, f)
	size, err := f.Size()
	if err != nil {
		return nil, Recovery{}, err
	}
	h, err := readHeader(f, size, o.path(logName))
	if err != nil {
		return nil, Recovery{}, err
	}
	src := source(f)
	pending, err := o.openRedo(h, f)
	if err != nil {
		return nil, Recovery{}, err
	}
	if pending != nil {
		o.closers = append(o.closers, pending.redo)
		src = pending
	}
	for try := 1; ; try++ {
		s, err := o.scan(src, h)
		if err == nil && pending != nil && s.end != s.size {
			err = &CorruptError{File: o.path(logName), Offset: s.end, Reason: s.rec.Reason}
		}
		if errors.Is(err, ErrCorrupt) || errors.Is(err, io.ErrUnexpectedEOF) {
			if try < 3 {
				continue
			}
		}
		if err != nil {
			return nil, Recovery{}, err
		}
		l := o.newLog(h, src, s.end)
		l.readOnly = true
		return l, s.rec, nil
	}
}

// scanned is what a scan found: the frames before end are whole, and the last of them belongs to the
// batch that starts at batch (with no frames both are the header's end).
type scanned struct {
	end, batch, size int64
	rec              Recovery
}

// scan reads frames up to the first that is not valid, and decides what that one is.
//
// A frame names the position at which its batch starts. It was written after the Sync that ended there
// had returned nil. So a valid frame behind the damage whose batch starts behind the damage proves that
// the damaged bytes had been synced: that is corruption. Without such a frame nothing proves it, and
// that is all that an honest power cut can leave: every frame that was written since the last finished
// Sync names the end of that Sync, and the damage lies at or after it.
func (o *opener) scan(src source, h header) (scanned, error) {
	size, err := src.Size()
	if err != nil {
		return scanned{}, err
	}
	s := scanned{end: h.size, batch: h.size, size: size}
	r := newReader(src, h.salt)
	for s.end < size {
		f, err := r.frame(s.end, size, s.batch, 0)
		if err != nil {
			return scanned{}, err
		}
		if f.bad != "" {
			s.rec.Reason = f.bad
			break
		}
		if n := f.size - frameHeader; n > int64(o.opt.MaxPayload) {
			// It is whole, and to drop it would lose it: the limit is what has to change.
			return scanned{}, fmt.Errorf("%w: the frame at offset %d holds %d bytes, Options.MaxPayload is %d", ErrTooLarge, s.end, n, o.opt.MaxPayload)
		}
		s.end, s.batch = s.end+f.size, f.batch
		s.rec.Frames++
	}
	if s.end == size {
		return s, nil // every byte belongs to a whole frame: there is nothing to decide
	}
	p, found, err := newSearcher(src, h.salt, s.end, size).find()
	if err != nil {
		return scanned{}, err // what could not be read may hold the proof
	}
	if found {
		return scanned{}, &CorruptError{
			File: o.path(logName), Offset: s.end,
			Reason: fmt.Sprintf("%s, though it was synced: the frame at offset %d was written after a sync that ended at %d", s.rec.Reason, p.pos, p.batch),
		}
	}
	s.rec.DroppedFrom, s.rec.DroppedBytes = Position(s.end), size-s.end
	return s, nil
}
