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
