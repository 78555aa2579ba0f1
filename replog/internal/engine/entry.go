package engine

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// MaxNote is the length in bytes of the longest note.
const MaxNote = 256

// Entry is one committed change.
type Entry struct {
	Origin fieldwise.Origin
	Seq    fieldwise.Seq
	Time   fieldwise.Timestamp
	Domain string
	Key    string
	Delta  []byte
	Note   string
}

// Version is the version that the entry's changes carry.
func (e *Entry) Version() fieldwise.Version {
	return fieldwise.Version{Time: e.Time, Origin: e.Origin}
}

// String names the entry in errors. A state from a snapshot is an entry without an origin.
func (e *Entry) String() string {
	if e.Origin.IsZero() {
		return fmt.Sprintf("state of %q from a snapshot", e.Key)
	}
	return fmt.Sprintf("entry %v/%d", e.Origin, e.Seq)
}

// Append appends the body of the entry, which is the same in the log and on the way to
// a peer: region, incarnation, seq, time, domain, key, delta and note as msgpack.
func (e *Entry) Append(dst []byte) []byte {
	dst = appendVersion(dst, e.Version())
	dst = wire.AppendUint(dst, uint64(e.Seq))
	dst = wire.AppendString(dst, e.Domain)
	dst = wire.AppendString(dst, e.Key)
	dst = wire.AppendBin(dst, e.Delta)
	return wire.AppendString(dst, e.Note)
}

// ParseEntry parses a body. Delta aliases b.
func ParseEntry(b []byte) (Entry, error) {
	p := parser{b: b}
	v := p.version()
	e := Entry{
		Origin: v.Origin, Time: v.Time,
		Seq:    fieldwise.Seq(p.uint()),
		Domain: p.string(), Key: p.string(), Delta: p.bin(), Note: p.string(),
	}
	if err := p.end("entry"); err != nil {
		return Entry{}, err
	}
	if e.Seq == 0 || len(e.Delta) == 0 {
		return Entry{}, fmt.Errorf("%w: entry without a number or a change", fieldwise.ErrMalformed)
	}
	if err := e.Origin.Region.Validate(); err != nil {
		return Entry{}, fmt.Errorf("%w: entry: %w", fieldwise.ErrMalformed, err)
	}
	return e, nil
}

// Check says what no replica would have let into its log.
func (e *Entry) Check() error {
	switch {
	case e.Domain == "" || len(e.Domain) > MaxDomain:
		return fmt.Errorf("%w: entry with a domain name of %d bytes", fieldwise.ErrMalformed, len(e.Domain))
	case e.Key == "" || len(e.Key) > MaxKey:
		return fmt.Errorf("%w: entry with a key of %d bytes", fieldwise.ErrMalformed, len(e.Key))
	case len(e.Note) > MaxNote:
		return fmt.Errorf("%w: entry with a note of %d bytes", fieldwise.ErrMalformed, len(e.Note))
	}
	return nil
}

// A payload is what the log keeps of one batch: parts behind each other, each a bin
// whose first byte says what it is.
const (
	partEntry  = 1 // an entry that was merged when it was logged
	partHeld   = 2 // an entry whose domain was not open when it was logged
	partReport = 3 // a conflict report; never leaves the replica

	// A domain and the name of the merger that this log holds it merged under. It
	// stands in front of the first entry that was joined into the domain (behind those
	// that were held until the domain was opened), and of the first report. It never
	// leaves the replica: a peer may not have opened the domain yet.
	partMerger = 4

	// The origin that signs in this log from here on. It stands in front of the origin's first
	// entry, in the same batch.
	partIdentity = 5

	// A piece of a snapshot that is being installed, behind its number from 0.
	partPiece = 6

	// The snapshot whose pieces stand in front is installed from here on: their number, and the
	// checksum over their items. Pieces that none of these follows were left by a process that
	// ended before, and mean nothing.
	partInstalled = 7
)

func appendEntryPart(dst []byte, kind byte, body []byte) []byte {
	dst = wire.AppendBinHeader(dst, 1+len(body))
	return append(append(dst, kind), body...)
}

// Parts calls use for each part of a payload with its kind and body.
func parts(payload []byte, use func(kind byte, body []byte) error) error {
	for len(payload) > 0 {
		part, rest, err := wire.Bin(payload)
		if err != nil || len(part) == 0 {
			return fmt.Errorf("%w: batch ends inside a part", fieldwise.ErrMalformed)
		}
		if err := use(part[0], part[1:]); err != nil {
			return err
		}
		payload = rest
	}
	return nil
}

// Entries calls use for each entry of a payload with its body and skips what is local.
// Slices alias the payload.
func Entries(payload []byte, use func(e Entry, body []byte) error) error {
	return parts(payload, func(kind byte, body []byte) error {
		if kind != partEntry && kind != partHeld {
			return nil
		}
		e, err := ParseEntry(body)
		if err != nil {
			return err
		}
		return use(e, body)
	})
}

// Installed calls entry for each entry of a payload, as Entries does, and snapshot with the
// checksum of each snapshot that is installed in it, in the order in which they count.
func Installed(payload []byte, entry func(e Entry, body []byte) error, snapshot func(sum uint64) error) error {
	return parts(payload, func(kind byte, body []byte) error {
		switch kind {
		case partEntry, partHeld:
			e, err := ParseEntry(body)
			if err != nil {
				return err
			}
			return entry(e, body)
		case partInstalled:
			_, sum, err := parseInstalled(body)
			if err != nil {
				return err
			}
			return snapshot(sum)
		}
		return nil
	})
}

// Reports calls use for each conflict report of a payload. Slices alias the payload.
func Reports(payload []byte, use func(fieldwise.Conflict) error) error {
	return parts(payload, func(kind byte, body []byte) error {
		if kind != partReport {
			return nil
		}
		c, err := parseReport(body)
		if err != nil {
			return err
		}
		return use(c)
	})
}

// appendReport appends the body of a report: kind, domain, key, field, policy and reason,
// then loser and winner, each as region, incarnation, time, value and whether it created
// the record. A value without bytes is an absent one: those that are present have some.
func appendReport(dst []byte, c *fieldwise.Conflict) []byte {
	dst = wire.AppendUint(dst, uint64(c.Kind))
	for _, s := range []string{c.Domain, c.Key, c.Field, c.Policy, c.Reason} {
		dst = wire.AppendString(dst, s)
	}
	return appendSibling(appendSibling(dst, c.Loser), c.Winner)
}

func parseReport(b []byte) (fieldwise.Conflict, error) {
	p := parser{b: b}
	kind := p.uint()
	c := fieldwise.Conflict{
		Kind:   fieldwise.ConflictKind(kind),
		Domain: p.string(), Key: p.string(), Field: p.string(), Policy: p.string(), Reason: p.string(),
		Loser: p.sibling(), Winner: p.sibling(),
	}
	if p.err == nil && kind > math.MaxUint8 {
		p.err = fmt.Errorf("kind %d", kind)
	}
	return c, p.end("conflict report")
}

func appendMerger(dst []byte, domain, merger string) []byte {
	return wire.AppendString(wire.AppendString(dst, domain), merger)
}

func parseMerger(b []byte) (domain, merger string, err error) {
	p := parser{b: b}
	domain, merger = p.string(), p.string()
	if err := p.end("merger of a domain"); err != nil {
		return "", "", err
	}
	if domain == "" || len(domain) > MaxDomain || merger == "" || len(merger) > MaxMerger {
		return "", "", fmt.Errorf("%w: domain name of %d bytes under a merger name of %d", fieldwise.ErrMalformed, len(domain), len(merger))
	}
	return domain, merger, nil
}

func appendSibling(dst []byte, s fieldwise.Sibling) []byte {
	dst = appendVersion(dst, s.Version)
	dst = wire.AppendBin(dst, s.Value)
	return wire.AppendBool(dst, s.Created)
}

func appendVersion(dst []byte, v fieldwise.Version) []byte {
	dst = wire.AppendString(dst, v.Origin.Region)
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], v.Origin.Incarnation)
	binary.BigEndian.PutUint64(b[8:], uint64(v.Time))
	return wire.AppendBin(dst, b[:])
}

// parser reads a sequence of values and keeps the first error.
type parser struct {
	b   []byte
	err error
}

func (p *parser) uint() (v uint64) {
	if p.err == nil {
		v, p.b, p.err = wire.Uint(p.b)
	}
	return v
}

func (p *parser) bool() (v bool) {
	if p.err == nil {
		v, p.b, p.err = wire.Bool(p.b)
	}
	return v
}

func (p *parser) string() string {
	var s []byte
	if p.err == nil {
		s, p.b, p.err = wire.String(p.b)
	}
	return string(s)
}

func (p *parser) bin() (b []byte) {
	if p.err == nil {
		b, p.b, p.err = wire.Bin(p.b)
	}
	return b
}

func (p *parser) version() (v fieldwise.Version) {
	v.Origin.Region = fieldwise.Region(p.string())
	b := p.bin()
	if p.err == nil && len(b) != 16 {
		p.err = fmt.Errorf("version of %d bytes", len(b))
	}
	if p.err == nil {
		v.Origin.Incarnation = binary.BigEndian.Uint64(b)
		v.Time = fieldwise.Timestamp(binary.BigEndian.Uint64(b[8:]))
	}
	return v
}

func (p *parser) sibling() fieldwise.Sibling {
	s := fieldwise.Sibling{Version: p.version()}
	if b := p.bin(); len(b) > 0 {
		s.Value = b
	}
	s.Created = p.bool()
	return s
}

func (p *parser) end(what string) error {
	if p.err == nil && len(p.b) > 0 {
		p.err = fmt.Errorf("%d bytes behind the end", len(p.b))
	}
	if p.err != nil {
		return fmt.Errorf("%w: %s: %w", fieldwise.ErrMalformed, what, p.err)
	}
	return nil
}
