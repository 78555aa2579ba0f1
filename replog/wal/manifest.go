package wal

import (
	"math"

	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

// manifest says of which segments the log consists: it is the commit point of their set. A segment that
// it does not list has nothing in it that counts; one that it lists and that is not there is missing.
type manifest struct {
	// whole is how far the log was durable when the manifest was written: what is damaged before was
	// synced, whatever follows it.
	whole    int64
	segments []listed // in the order of their numbers and of their positions
}

// listed is a segment as the manifest knows it.
type listed struct {
	number uint64
	first  int64  // position of the first frame; where the segment before it ends
	salt   uint64 // as in the header: it tells the segment from another log's
}

const listedSize = 24

func (m manifest) encode() []byte {
	b := make([]byte, 0, 8+listedSize*len(m.segments))
	b = le.AppendUint64(b, uint64(m.whole))
	for _, s := range m.segments {
		b = le.AppendUint64(b, s.number)
		b = le.AppendUint64(b, uint64(s.first))
		b = le.AppendUint64(b, s.salt)
	}
	return enclose(manifestMagic, b)
}

func (d directory) readManifest() (manifest, error) {
	file := d.path(manifestName)
	f, err := d.fs.Open(file)
	if err != nil {
		return manifest{}, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	size, err := f.Size()
	if err != nil {
		return manifest{}, err
	}
	b, err := disclose(f, size, math.MaxUint32, manifestMagic, file)
	if err != nil {
		return manifest{}, err
	}
	m, ok := parseManifest(b)
	if !ok || int64(headerMin+len(b)) != size {
		return manifest{}, &CorruptError{File: file, Reason: "it lists no possible log"}
	}
	return m, nil
}

// parseManifest reports false for contents that no release writes.
func parseManifest(b []byte) (manifest, bool) {
	if len(b) < 8+listedSize || (len(b)-8)%listedSize != 0 {
		return manifest{}, false
	}
	m := manifest{whole: int64(le.Uint64(b))}
	number, first := uint64(0), int64(0)
	for b = b[8:]; len(b) > 0; b = b[listedSize:] {
		s := listed{number: le.Uint64(b), first: int64(le.Uint64(b[8:])), salt: le.Uint64(b[16:])}
		if s.number <= number || s.first <= first {
			return manifest{}, false
		}
		number, first = s.number, s.first
		m.segments = append(m.segments, s)
	}
	return m, m.whole >= first && number < math.MaxUint64
}

func (d directory) writeManifest(segs []*segment, whole int64) error {
	m := manifest{whole: whole, segments: make([]listed, len(segs))}
	for i, s := range segs {
		m.segments[i] = listed{number: s.number, first: s.first, salt: s.salt}
	}
	b := m.encode()
	return d.aside(manifestName, func(f disk.File) error { return writeFull(f, b, 0) })
}
