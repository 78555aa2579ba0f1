package engine

import (
	"fmt"

	"github.com/fieldwise/fieldwise"
)

// Parts says what to do with each part of a payload of the log. Where a function is nil, what it
// would be told is passed over unread. Slices alias the payload.
type Parts struct {
	Entry    func(e Entry, body []byte, held bool) error // held: its domain was not open when it was logged
	Report   func(fieldwise.Conflict) error
	Merger   func(domain, merger string) error // that the domain is merged under in this log
	Identity func(fieldwise.Origin) error      // that signs from here on
	Snapshot func(*Pieces) error               // of states, that counts from here on; needs all payloads in order

	pieces *Pieces
}

// Read goes through a payload in order until a function returns an error, or something cannot be
// read: that is ErrMalformed.
func (p *Parts) Read(payload []byte) error {
	return parts(payload, func(kind byte, body []byte) error {
		switch kind {
		case partEntry, partHeld:
			return readPart(p.Entry != nil, body, ParseEntry, func(e Entry) error { return p.Entry(e, body, kind == partHeld) })
		case partReport:
			return readPart(p.Report != nil, body, parseReport, p.Report)
		case partIdentity:
			return readPart(p.Identity != nil, body, ParseIdentity, p.Identity)
		case partMerger:
			return p.readMerger(body)
		case partPiece, partInstalled:
			return p.readSnapshot(kind, body)
		}
		return fmt.Errorf("%w: part of kind %d; a newer release wrote this log", fieldwise.ErrMalformed, kind)
	})
}

func readPart[T any](wanted bool, body []byte, parse func([]byte) (T, error), use func(T) error) error {
	if !wanted {
		return nil
	}
	v, err := parse(body)
	if err != nil {
		return err
	}
	return use(v)
}

func (p *Parts) readMerger(body []byte) error {
	if p.Merger == nil {
		return nil
	}
	domain, merger, err := parseMerger(body)
	if err != nil {
		return err
	}
	return p.Merger(domain, merger)
}

func (p *Parts) readSnapshot(kind byte, body []byte) (err error) {
	if p.Snapshot == nil {
		return nil
	}
	if kind == partPiece {
		p.pieces, err = p.pieces.logged(body)
		return err
	}
	s := p.pieces
	p.pieces = nil
	if err := s.installed(body); err != nil {
		return err
	}
	return p.Snapshot(s)
}
