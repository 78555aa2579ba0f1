package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	fileMagic     = "fieldwal"
	redoMagic     = "fieldwrd"
	formatVersion = 1

	headerFixed = 24 // magic 8, version 4, header length 4, salt 8
	headerMin   = headerFixed + 4
	maxMeta     = 4 << 10
	maxHeader   = 64 << 10 // of any version: what is read before the version is known
	frameHeader = 16       // CRC 4, payload length 4, batch 8
	redoHeader  = 48       // magic 8, version 4, header length 4, salt 8, start 8, length 8, CRC of the bytes 4, CRC of the header 4
)

// Names in the log's directory. Others are left alone.
const (
	logName  = "wal.log"
	newName  = "wal.new"
	redoName = "wal.redo"
	lockName = "wal.lock"
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	le         = binary.LittleEndian
)

// header is the start of the file.
type header struct {
	salt uint64
	meta []byte
	size int64 // where the first frame starts
}

func (h header) encode() []byte {
	b := make([]byte, 0, headerMin+len(h.meta))
	b = append(b, fileMagic...)
	b = le.AppendUint32(b, formatVersion)
	b = le.AppendUint32(b, uint32(headerMin+len(h.meta)))
	b = le.AppendUint64(b, h.salt)
	b = append(b, h.meta...)
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// readHeader tells four cases apart: ours, damaged (ours once), another format version, not ours at all.
// Every version keeps magic, version, header length and the CRC in the header's last four bytes, so that
// a damaged header is not taken for a foreign or a future one.
func readHeader(r io.ReaderAt, size int64, file string) (header, error) {
	corrupt := func(reason string) error { return &CorruptError{File: file, Offset: 0, Reason: reason} }
	b := make([]byte, min(size, maxHeader))
	if err := readFull(r, b, 0); err != nil {
		return header{}, err
	}
	if len(b) < headerMin {
		if n := min(len(b), len(fileMagic)); string(b[:n]) != fileMagic[:n] {
			return header{}, fmt.Errorf("%w: %s starts with %q, want %q", ErrFormat, file, b[:n], fileMagic)
		}
		return header{}, corrupt("shorter than a header")
	}
	ours := string(b[:8]) == fileMagic
	copy(b, fileMagic)
	version, n := le.Uint32(b[8:]), le.Uint32(b[12:])
	whole := n >= headerMin && uint64(n) <= uint64(len(b)) &&
		crc32.Checksum(b[:n-4], castagnoli) == le.Uint32(b[n-4:])
	switch {
	case !ours && whole:
		return header{}, corrupt("magic is damaged")
	case !ours:
		return header{}, fmt.Errorf("%w: %s does not start with %q", ErrFormat, file, fileMagic)
	case !whole:
		return header{}, corrupt("header does not match its checksum")
	case version != formatVersion:
		return header{}, fmt.Errorf("%w: %s has format version %d, this release reads version %d", ErrFormat, file, version, formatVersion)
	}
	return header{salt: le.Uint64(b[16:]), meta: b[headerFixed : n-4 : n-4], size: int64(n)}, nil
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
