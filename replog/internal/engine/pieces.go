package engine

import (
	"fmt"
	"hash/crc64"
	"math"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// A snapshot of states travels as pieces of whole items, and who installs it keeps the pieces
// in its log as they came. An item is a bin whose first byte says what it is:
//
//	begin    the format, and the region whose states these are
//	origin   region, incarnation, time, number, bytes and chain of a mark; in the order of origins
//	domain   its name, and that of its merger, which is empty if it is not known; in byte order
//	record   key and state of a record of that domain
//	large    key of a record, bytes of its state, and the first of them
//	more     the next bytes of the state
//	end      how many records there are, and a checksum over all items in front of this one
//
// A record of a domain that was not open may be any state of it, an entry's delta included, and
// there may be several of a key.
const (
	itemBegin  = 1
	itemOrigin = 2
	itemDomain = 3
	itemRecord = 4
	itemLarge  = 5
	itemMore   = 6
	itemEnd    = 7
)

const (
	pieceFormat = 1
	pieceSize   = 256 << 10 // about what a piece has, and the most of a state that goes in one item
	maxPiece    = 1 << 20   // bytes of a piece that is taken
)

// originMark is where an origin stands.
type originMark struct {
	origin fieldwise.Origin
	mark
}

// pieceWriter makes items into pieces.
type pieceWriter struct {
	full        int // bytes of a piece from which on it is full
	most        int // bytes of a state that go in one item
	piece, body []byte
	records     uint64
	sum         uint64
}

func (w *pieceWriter) add(kind byte, body []byte) {
	w.body = body
	w.sum = itemSum(w.sum, kind, body)
	w.piece = appendEntryPart(w.piece, kind, body)
}

func itemSum(sum uint64, kind byte, body []byte) uint64 {
	return crc64.Update(crc64.Update(sum, chainTable, []byte{kind}), chainTable, body)
}

func (w *pieceWriter) begin(region fieldwise.Region) {
	w.add(itemBegin, wire.AppendString(wire.AppendUint(w.body[:0], pieceFormat), region))
}

func (w *pieceWriter) origin(m originMark) {
	b := appendVersion(w.body[:0], fieldwise.Version{Time: m.time, Origin: m.origin})
	w.add(itemOrigin, wire.AppendUint(wire.AppendUint(wire.AppendUint(b, uint64(m.seq)), uint64(m.bytes)), m.chain))
}

func (w *pieceWriter) domain(name, merger string) {
	w.add(itemDomain, appendMerger(w.body[:0], name, merger))
}

// record adds a record, and returns what is left of its state.
func (w *pieceWriter) record(key string, state []byte) (rest []byte) {
	w.records++
	b := wire.AppendString(w.body[:0], key)
	if len(state) <= w.most {
		w.add(itemRecord, wire.AppendBin(b, state))
		return nil
	}
	w.add(itemLarge, wire.AppendBin(wire.AppendUint(b, uint64(len(state))), state[:w.most]))
	return state[w.most:]
}

// more adds more of the state of a record, and returns what is left of it.
func (w *pieceWriter) more(state []byte) (rest []byte) {
	n := min(len(state), w.most)
	w.add(itemMore, wire.AppendBin(w.body[:0], state[:n]))
	return state[n:]
}

func (w *pieceWriter) end() {
	w.add(itemEnd, wire.AppendUint(wire.AppendUint(w.body[:0], w.records), w.sum))
}

// Pieces are those of a snapshot as they arrive. Add checks each of them as far as that can be
// without the mergers; what is there then is in the memory of the pieces, and in little else.
// The zero value has none.
type Pieces struct {
	all   [][]byte
	marks []originMark

	region  fieldwise.Region
	domain  string // the last one
	missing uint64 // bytes of the last record's state
	records uint64
	sum     uint64
	began   bool
	ended   bool
	err     error
}

// Region is whose states these are.
func (s *Pieces) Region() fieldwise.Region { return s.region }

// Complete reports whether the last piece is there.
func (s *Pieces) Complete() bool { return s.ended && s.err == nil }

// Vector is what the snapshot covers.
func (s *Pieces) Vector() fieldwise.Vector {
	v := make(fieldwise.Vector, len(s.marks))
	for _, m := range s.marks {
		v[m.origin] = m.seq
	}
	return v
}

// Records is how many there are.
func (s *Pieces) Records() uint64 { return s.records }

// Sum is a checksum over a complete snapshot.
func (s *Pieces) Sum() uint64 { return s.sum }

// Bytes is what the pieces have.
func (s *Pieces) Bytes() (n int64) {
	for _, piece := range s.all {
		n += int64(len(piece))
	}
	return n
}

// Add takes the next piece, which it keeps. After an error, no more are taken.
func (s *Pieces) Add(piece []byte) error {
	switch {
	case s.err != nil:
		return s.err
	case len(piece) == 0 || len(piece) > maxPiece:
		s.err = fmt.Errorf("%w: piece of %d bytes", fieldwise.ErrMalformed, len(piece))
		return s.err
	}
	if s.err = parts(piece, s.check); s.err == nil {
		s.all = append(s.all, piece)
	}
	return s.err
}

func (s *Pieces) check(kind byte, body []byte) (err error) {
	switch {
	case s.ended:
		return fmt.Errorf("%w: item of kind %d behind the end of a snapshot", fieldwise.ErrMalformed, kind)
	case s.began == (kind == itemBegin):
		return fmt.Errorf("%w: item of kind %d where a snapshot begins: %v", fieldwise.ErrMalformed, kind, !s.began)
	case (s.missing > 0) != (kind == itemMore):
		return fmt.Errorf("%w: item of kind %d where %d bytes of a state are missing", fieldwise.ErrMalformed, kind, s.missing)
	}
	switch kind {
	case itemBegin:
		err = s.checkBegin(body)
	case itemOrigin:
		err = s.checkOrigin(body)
	case itemDomain:
		name, _, err := parseItemDomain(body)
		if err != nil || name <= s.domain {
			return malformed("domain of a snapshot", err)
		}
		s.domain = name
	case itemRecord, itemLarge, itemMore:
		err = s.checkRecord(kind, body)
	case itemEnd:
		p := parser{b: body}
		records, sum := p.uint(), p.uint()
		if err := p.end("end of a snapshot"); err != nil || records != s.records || sum != s.sum {
			return malformed("end of a snapshot", err)
		}
		s.ended = true
	default:
		return fmt.Errorf("%w: item of kind %d in a snapshot", fieldwise.ErrMalformed, kind)
	}
	s.sum = itemSum(s.sum, kind, body)
	return err
}

// malformed is what is wrong with an item: the error, or else that it does not stand where it may.
func malformed(what string, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %s does not fit to what is in front of it", fieldwise.ErrMalformed, what)
}

func (s *Pieces) checkBegin(body []byte) error {
	p := parser{b: body}
	format := p.uint()
	s.region, s.began = fieldwise.Region(p.string()), true
	if p.err == nil && format != pieceFormat {
		return fmt.Errorf("%w: snapshot of format %d, this release reads %d", fieldwise.ErrMalformed, format, pieceFormat)
	}
	if err := p.end("begin of a snapshot"); err != nil {
		return err
	}
	if err := s.region.Validate(); err != nil {
		return fmt.Errorf("%w: snapshot: %w", fieldwise.ErrMalformed, err)
	}
	return nil
}

func (s *Pieces) checkOrigin(body []byte) error {
	p := parser{b: body}
	v := p.version()
	seq, bytes, chain := p.uint(), p.uint(), p.uint()
	if err := p.end("origin of a snapshot"); err != nil {
		return err
	}
	if err := v.Origin.Region.Validate(); err != nil {
		return fmt.Errorf("%w: snapshot: %w", fieldwise.ErrMalformed, err)
	}
	ascends := len(s.marks) == 0 || s.marks[len(s.marks)-1].origin.Compare(v.Origin) < 0
	if s.domain != "" || !ascends || seq == 0 || bytes > math.MaxInt64 {
		return malformed("origin of a snapshot", nil)
	}
	s.marks = append(s.marks, originMark{v.Origin, mark{seq: fieldwise.Seq(seq), bytes: int64(bytes), time: v.Time, chain: chain}})
	return nil
}

func (s *Pieces) checkRecord(kind byte, body []byte) error {
	key, size, state, err := parseRecord(kind, body)
	if err != nil {
		return err
	}
	if kind == itemMore {
		if len(state) == 0 || uint64(len(state)) > s.missing {
			return malformed("part of a state", nil)
		}
		s.missing -= uint64(len(state))
		return nil
	}
	if s.domain == "" || key == "" || len(key) > MaxKey || len(state) == 0 || size < uint64(len(state)) || (kind == itemLarge) != (size > uint64(len(state))) {
		return malformed("record of a snapshot", nil)
	}
	s.records++
	s.missing = size - uint64(len(state))
	return nil
}

func parseItemDomain(body []byte) (name, merger string, err error) {
	p := parser{b: body}
	name, merger = p.string(), p.string()
	if err := p.end("domain of a snapshot"); err != nil {
		return "", "", err
	}
	if name == "" || len(name) > MaxDomain || len(merger) > MaxMerger {
		return "", "", fmt.Errorf("%w: domain name of %d bytes under a merger name of %d", fieldwise.ErrMalformed, len(name), len(merger))
	}
	return name, merger, nil
}

// parseRecord parses an item of a record: what there is of its state aliases the body.
func parseRecord(kind byte, body []byte) (key string, size uint64, state []byte, err error) {
	p := parser{b: body}
	if kind != itemMore {
		key = p.string()
	}
	if kind == itemLarge {
		size = p.uint()
	}
	state = p.bin()
	if kind == itemRecord {
		size = uint64(len(state))
	}
	return key, size, state, p.end("record of a snapshot")
}

// walk calls domain for each domain of a complete snapshot, and record for each record of it.
// States alias the pieces, but for those that are in several items.
func (s *Pieces) walk(domain func(name, merger string) error, record func(key string, state []byte) error) error {
	var key string
	var large []byte
	var missing uint64
	return s.items(func(kind byte, body []byte) error {
		switch kind {
		case itemDomain:
			name, merger, err := parseItemDomain(body)
			if err != nil {
				return err
			}
			return domain(name, merger)
		case itemRecord, itemLarge, itemMore:
			k, size, state, err := parseRecord(kind, body)
			if err != nil || kind == itemRecord {
				return errOr(err, func() error { return record(k, state) })
			}
			if kind == itemLarge {
				key, large, missing = k, make([]byte, 0, size), size
			}
			large = append(large, state...)
			if missing -= uint64(len(state)); missing == 0 {
				return record(key, large)
			}
		}
		return nil
	})
}

func errOr(err error, do func() error) error {
	if err != nil {
		return err
	}
	return do()
}

func (s *Pieces) items(use func(kind byte, body []byte) error) error {
	for _, piece := range s.all {
		if err := parts(piece, use); err != nil {
			return err
		}
	}
	return nil
}
