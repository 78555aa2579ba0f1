package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	segmentMagic  = "fieldwal"
	manifestMagic = "fieldman"
	formatVersion = 2

	prelude     = 16          // of every file: magic 8, version 4, length of the header 4
	headerMin   = prelude + 4 // the CRC ends it
	headerFixed = prelude + 32 + 4
	maxMeta     = 4 << 10
	maxHeader   = 64 << 10 // of a segment, in any version: what is read before the version is known
	frameHeader = 16       // CRC 4, payload length 4, batch 8

	// firstPosition is where the first frame of a log stands, so that 0 is none.
	firstPosition = 1
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	le         = binary.LittleEndian
)

// enclose makes a header of its contents: magic, version, length and a CRC around them.
func enclose(magic string, contents []byte) []byte {
	b := make([]byte, 0, headerMin+len(contents))
	b = append(b, magic...)
	b = le.AppendUint32(b, formatVersion)
	b = le.AppendUint32(b, uint32(headerMin+len(contents)))
	b = append(b, contents...)
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// disclose returns the contents of the header that a file begins with. It tells four cases apart: ours,
// damaged (ours once), another format version, not ours at all. Every version keeps magic, version, length
// and the CRC in the header's last four bytes, so that a damaged header is not taken for a foreign or a
// future one. No more than most bytes are read.
func disclose(r io.ReaderAt, size, most int64, magic, file string) ([]byte, error) {
	corrupt := func(reason string) error { return &CorruptError{File: file, Offset: 0, Reason: reason} }
	b := make([]byte, min(size, prelude))
	if err := readFull(r, b, 0); err != nil {
		return nil, err
	}
	if size < headerMin {
		if n := min(len(b), len(magic)); string(b[:n]) != magic[:n] {
			return nil, fmt.Errorf("%w: %s starts with %q, want %q", ErrFormat, file, b[:n], magic)
		}
		return nil, corrupt("shorter than a header")
	}
	ours := string(b[:8]) == magic
	copy(b, magic)
	version, n := le.Uint32(b[8:]), int64(le.Uint32(b[12:]))
	whole := false
	if n >= headerMin && n <= min(size, most) {
		b = append(make([]byte, 0, n), b...)[:n]
		if err := readFull(r, b[prelude:], prelude); err != nil {
			return nil, err
		}
		whole = crc32.Checksum(b[:n-4], castagnoli) == le.Uint32(b[n-4:])
	}
	switch {
	case !ours && whole:
		return nil, corrupt("magic is damaged")
	case !ours:
		return nil, fmt.Errorf("%w: %s does not start with %q", ErrFormat, file, magic)
	case !whole:
		return nil, corrupt("header does not match its checksum")
	case version != formatVersion:
		return nil, fmt.Errorf("%w: %s has format version %d, this release reads version %d", ErrFormat, file, version, formatVersion)
	}
	return b[prelude : n-4 : n-4], nil
}

// header is the start of a segment.
type header struct {
	salt   uint64
	number uint64
	first  int64 // position of the first frame
	copied int64 // where the frames end that Open copied from the segment before; first if there are none
	meta   []byte
}

// size is where the first frame starts in the file.
func (h header) size() int64 { return int64(headerFixed + len(h.meta)) }

func (h header) encode() []byte {
	b := make([]byte, 0, headerFixed+len(h.meta))
	b = le.AppendUint64(b, h.salt)
	b = le.AppendUint64(b, h.number)
	b = le.AppendUint64(b, uint64(h.first))
	b = le.AppendUint64(b, uint64(h.copied))
	return enclose(segmentMagic, append(b, h.meta...))
}

func readHeader(r io.ReaderAt, size int64, file string) (header, error) {
	b, err := disclose(r, size, maxHeader, segmentMagic, file)
	if err != nil {
		return header{}, err
	}
	if len(b) < headerFixed-headerMin {
		return header{}, &CorruptError{File: file, Reason: "header is too short"}
	}
	return header{
		salt: le.Uint64(b), number: le.Uint64(b[8:]),
		first: int64(le.Uint64(b[16:])), copied: int64(le.Uint64(b[24:])), meta: b[32:],
	}, nil
}

// summer computes frame checksums: CRC32C over salt, position, length, batch, payload.
type summer struct {
	scratch [16]byte // a field, for a local array would be allocated anew at each call
}

// seed is the checksum of what comes before a frame's own bytes.
func (s *summer) seed(salt uint64, pos int64) uint32 {
	le.PutUint64(s.scratch[:], salt)
	le.PutUint64(s.scratch[8:], uint64(pos))
	return crc32.Update(0, castagnoli, s.scratch[:])
}

// appendFrame appends the frame that starts at pos and belongs to the batch that starts at batch.
func (s *summer) appendFrame(b []byte, salt uint64, pos, batch int64, payload []byte) []byte {
	at := len(b)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, uint32(len(payload)))
	b = le.AppendUint64(b, uint64(batch))
	b = append(b, payload...)
	le.PutUint32(b[at:], crc32.Update(s.seed(salt, pos), castagnoli, b[at+4:]))
	return b
}

// readFull fills p from off. A file that ends before is io.ErrUnexpectedEOF.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	for len(p) > 0 {
		n, err := r.ReadAt(p, off)
		p, off = p[n:], off+int64(n)
		switch {
		case len(p) == 0:
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case n == 0:
			return io.ErrNoProgress
		}
	}
	return nil
}

func writeFull(w io.WriterAt, b []byte, off int64) error {
	n, err := w.WriteAt(b, off)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}
