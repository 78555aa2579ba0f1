package wal

import (
	"errors"
	"hash/crc32"
	"io"
	"io/fs"

	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

// redo is the log as it is while a repair is pending: up to start the bytes of the log, from there on
// those of the copy, which is also where the log ends.
type redo struct {
	log, redo  disk.File
	start, end int64
}

// Size returns where the log ends once the repair is done.
func (r *redo) Size() (int64, error) { return r.end, nil }

// ReadAt implements io.ReaderAt.
func (r *redo) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	if off < r.start {
		n = int(min(int64(len(p)), r.start-off))
		if err := readFull(r.log, p[:n], off); err != nil {
			return 0, err
		}
		off += int64(n)
	}
	rest := p[n:]
	short := int64(len(rest)) > r.end-off
	if short {
		rest = rest[:max(r.end-off, 0)]
	}
	if err := readFull(r.redo, rest, redoHeader+off-r.start); err != nil {
		return n, err
	}
	if short {
		return n + len(rest), io.EOF
	}
	return n + len(rest), nil
}

// openRedo returns the repair that an earlier Open left, or nil. The copy got its name after it was
// whole and synced, so one that is not whole was damaged later.
func (o *opener) openRedo(h header, log disk.File) (*redo, error) {
	f, err := o.fs.Open(o.path(redoName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the last Open came to its end, or died before it changed the log
	}
	if err != nil {
		return nil, err
	}
	r, err := readRedo(h, log, f, o.path(redoName))
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return r, nil
}

func readRedo(h header, log, f disk.File, file string) (*redo, error) {
	corrupt := func(offset int64, reason string) error {
		return &CorruptError{File: file, Offset: offset, Reason: reason}
	}
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size < redoHeader {
		return nil, corrupt(0, "shorter than a header")
	}
	b := make([]byte, redoHeader)
	if err := readFull(f, b, 0); err != nil {
		return nil, err
	}
	start, n := int64(le.Uint64(b[24:])), int64(le.Uint64(b[32:]))
	switch {
	case string(b[:8]) != redoMagic || crc32.Checksum(b[:redoHeader-4], castagnoli) != le.Uint32(b[redoHeader-4:]):
		return nil, corrupt(0, "header does not match its checksum")
	case le.Uint32(b[8:]) != formatVersion:
		return nil, corrupt(0, "of another format version than the log")
	case le.Uint64(b[16:]) != h.salt:
		return nil, corrupt(0, "belongs to another log")
	case n != size-redoHeader || start < h.size:
		return nil, corrupt(0, "shorter or longer than its header says")
	}
	crc, err := newReader(f, 0).checksum(0, redoHeader, size, size)
	if err != nil {
		return nil, err
	}
	if crc != le.Uint32(b[40:]) {
		return nil, corrupt(redoHeader, "the bytes do not match their checksum")
	}
	return &redo{log: log, redo: f, start: start, end: start + n}, nil
}

// secure makes sure that the disk, and not only the page cache, holds the frames that were found, and
// cuts off what follows them.
//
// To sync the log again is not enough. After a Sync that failed the system may count pages as clean that
// never reached the disk, and a later Sync passes over them. So the bytes are written anew, which makes
// the pages dirty, and then synced. That concerns the last batch only: the batches before it were synced
// when the last one began. But a power cut while they are written may leave garbage in their place, and
// they may have been acknowledged. So they are first copied aside; the copy has its name until they are
// safe in the log, and what opens the log meanwhile reads the copy.
func (o *opener) secure(f disk.File, h header, s scanned, pending *redo) error {
	if s.end > s.batch {
		if pending == nil {
			if err := o.aside(redoName, func(w disk.File) error { return writeRedo(w, f, h, s.batch, s.end) }); err != nil {
				return err
			}
		} else if err := o.fs.SyncDir(o.dir); err != nil {
			return err // the Open that made the copy may have died before its name was durable
		}
		if err := o.applyRedo(f, h, pending); err != nil {
			return err
		}
	}
	size, err := f.Size()
	if err != nil {
		return err
	}
	if size != s.end {
		if err := f.Truncate(s.end); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if s.end > s.batch {
		if err := o.fs.Remove(o.path(redoName)); err != nil {
			return err
		}
	}
	// Nothing may be appended while a power cut can bring the copy back, or take the log's name away.
	return o.fs.SyncDir(o.dir)
}

func writeRedo(w disk.File, log io.ReaderAt, h header, start, end int64) error {
	r := newReader(log, 0)
	crc := uint32(0)
	for at := start; at < end; {
		b, err := r.view(at, min(readStep, end-at), end)
		if err != nil {
			return err
		}
		if err := writeFull(w, b, redoHeader+at-start); err != nil {
			return err
		}
		crc = crc32.Update(crc, castagnoli, b)
		at += int64(len(b))
	}
	b := make([]byte, 0, redoHeader)
	b = append(b, redoMagic...)
	b = le.AppendUint32(b, formatVersion)
	b = le.AppendUint32(b, redoHeader)
	b = le.AppendUint64(b, h.salt)
	b = le.AppendUint64(b, uint64(start))
	b = le.AppendUint64(b, uint64(end-start))
	b = le.AppendUint32(b, crc)
	b = le.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return writeFull(w, b, 0)
}

// applyRedo writes the copy over the log's end. It reads the copy from its file, and checks it, so that
// what is written is what the next Open would write.
func (o *opener) applyRedo(f disk.File, h header, pending *redo) error {
	if pending == nil {
		p, err := o.openRedo(h, f)
		if err != nil {
			return err
		}
		if p == nil {
			return &fs.PathError{Op: "open", Path: o.path(redoName), Err: fs.ErrNotExist}
		}
		defer p.redo.Close() //nolint:errcheck // it was only read
		pending = p
	}
	r := newReader(pending.redo, 0)
	for at := pending.start; at < pending.end; {
		off := redoHeader + at - pending.start
		limit := redoHeader + pending.end - pending.start
		b, err := r.view(off, min(readStep, limit-off), limit)
		if err != nil {
			return err
		}
		if err := writeFull(f, b, at); err != nil {
			return err
		}
		at += int64(len(b))
	}
	return nil
}
