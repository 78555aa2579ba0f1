package wal

import (
	"hash/crc32"
	"io"
)

// proof is a whole frame behind a damaged one whose batch began after it.
type proof struct{ pos, batch int64 }

// searcher looks for a proof that bytes at or after a damaged frame had been synced.
type searcher struct {
	r      *reader // the window that moves over the tail
	around *reader // single blocks, for the checksums of long candidates
	lo     int64   // the damaged frame's start
	torn   int64   // behind the last byte that is not zero
	hi     int64   // the end of the file
	prefix []uint32

	checked int64 // bytes that went through a checksum, for the test of the bound
}

// sumBlock is the distance of the prefix checksums: a candidate costs at most three blocks of checksum.
const sumBlock = 1 << 10

func newSearcher(src io.ReaderAt, salt uint64, lo, torn, hi int64) *searcher {
	around := newReader(src, salt)
	around.step, around.most = sumBlock, sumBlock
	return &searcher{r: newReader(src, salt), around: around, lo: lo, torn: torn, hi: hi}
}

// find tries every byte offset between lo and the zeros. A candidate says that it belongs to a batch which starts
// behind lo and not behind itself, and that it ends within the file: eight bytes that name a number in
// [lo+1, candidate], which nothing but a frame or a forgery has. Only candidates are checked, and the
// check of a long one costs no more than that of a short one (see sum), so that a payload made of
// candidates costs a bounded amount for each of its bytes.
func (s *searcher) find() (proof, bool, error) {
	for at := s.lo + 1; at < s.torn && s.hi-at >= frameHeader; {
		w, err := s.r.view(at, min(readStep, s.torn+frameHeader-at, s.hi-at), s.hi)
		if err != nil {
			return proof{}, false, err
		}
		last := len(w) - frameHeader
		for i := 0; i <= last; i++ {
			pos := at + int64(i)
			batch := le.Uint64(w[i+8:])
			if batch-uint64(s.lo)-1 >= uint64(pos-s.lo) { // batch <= lo or batch > pos
				continue
			}
			size := frameHeader + int64(le.Uint32(w[i+4:]))
			if size > s.hi-pos {
				continue
			}
			var got uint32
			if size <= sumBlock && i+int(size) <= len(w) {
				got = crc32.Update(s.r.sum.seed(s.r.salt, pos), castagnoli, w[i+4:i+int(size)])
				s.checked += size
			} else if got, err = s.sum(pos, pos+4, pos+size); err != nil {
				return proof{}, false, err
			}
			if got == le.Uint32(w[i:]) {
				return proof{pos: pos, batch: int64(batch)}, true, nil
			}
		}
		at += int64(last) + 1
	}
	return proof{}, false, nil
}

// sum returns the frame checksum of [a, b) for a frame at pos without going over its bytes: a CRC is
// linear, so that the checksum of a range follows from those of the two prefixes that end where it
// starts and ends. Prefix checksums are kept for every block.
func (s *searcher) sum(pos, a, b int64) (uint32, error) {
	if s.prefix == nil {
		if err := s.buildPrefix(); err != nil {
			return 0, err
		}
	}
	before, err := s.upTo(a)
	if err != nil {
		return 0, err
	}
	all, err := s.upTo(b)
	if err != nil {
		return 0, err
	}
	return crcShift(s.r.sum.seed(s.r.salt, pos)^before, uint64(b-a)) ^ all, nil
}

func (s *searcher) buildPrefix() error {
	s.prefix = make([]uint32, 0, (s.hi-s.lo)/sumBlock+1)
	whole := newReader(s.around.src, 0)
	crc := uint32(0)
	for at := s.lo; at <= s.hi; at += sumBlock {
		s.prefix = append(s.prefix, crc)
		b, err := whole.view(at, min(sumBlock, s.hi-at), s.hi)
		if err != nil {
			return err
		}
		crc = crc32.Update(crc, castagnoli, b)
		s.checked += int64(len(b))
	}
	return nil
}

// upTo returns the checksum of [lo, x).
func (s *searcher) upTo(x int64) (uint32, error) {
	block := (x - s.lo) / sumBlock
	from := s.lo + block*sumBlock
	b, err := s.around.view(from, x-from, s.hi)
	if err != nil {
		return 0, err
	}
	s.checked += int64(len(b))
	return crc32.Update(s.prefix[block], castagnoli, b), nil
}

// crcShift returns what a CRC32C becomes when n zero bytes follow, apart from the constant that the
// conditioning adds: crc(A+B) = crcShift(crc(A), len(B)) ^ crc(B). It multiplies by x^(8n) modulo the
// polynomial.
func crcShift(crc uint32, n uint64) uint32 {
	for i := 3; n > 0; i, n = i+1, n>>1 {
		if n&1 != 0 {
			crc = crcMultiply(crcPowers[i], crc)
		}
	}
	return crc
}

// crcPowers[i] is x^(2^i) modulo the polynomial, bit-reversed like it.
var crcPowers = func() (t [67]uint32) {
	t[0] = 1 << 30
	for i := 1; i < len(t); i++ {
		t[i] = crcMultiply(t[i-1], t[i-1])
	}
	return t
}()

func crcMultiply(a, b uint32) uint32 {
	var product uint32
	for bit := uint32(1 << 31); bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		low := b & 1
		b >>= 1
		if low != 0 {
			b ^= crc32.Castagnoli
		}
	}
	return product
}
