package engine

import (
	"fmt"
	"hash/crc64"

	"github.com/fieldwise/fieldwise"
)

// The chain of an origin at a number is a checksum over the bodies of its entries up to and
// including that one, in their order. Two replicas whose chains differ at a number hold
// different entries under it, or under one before it. It is computed by everybody and sent by
// nobody with the entries; it finds accidents and is no protection against malice.
var chainTable = crc64.MakeTable(crc64.ECMA)

// chain is the chain of an origin at a number that is durable or staged here.
func (e *Engine) chain(o fieldwise.Origin, seq fieldwise.Seq) uint64 {
	durable := e.vector[o]
	switch {
	case seq == 0:
		return 0
	case seq <= durable:
		return e.index[o][seq-1].chain
	}
	return e.chains[o][seq-durable-1]
}

// next is the chain of an origin at the entry behind those that are here.
func (e *Engine) next(o fieldwise.Origin, body []byte) uint64 {
	return crc64.Update(e.chain(o, e.staged[o]), chainTable, body)
}

// same reports whether the entry with a body is the one that is here under its number.
func (e *Engine) same(o fieldwise.Origin, seq fieldwise.Seq, body []byte) bool {
	return crc64.Update(e.chain(o, seq-1), chainTable, body) == e.chain(o, seq)
}

// differs returns an origin of which the sender of a request holds other entries, if there is
// one: the one that signs here before others, as that is worst.
func (e *Engine) differs(p *Pull) (found fieldwise.Origin, ok bool) {
	for o, seq := range p.Vector {
		chain, known := p.Chains[o]
		if !known || seq > e.vector[o] || chain == e.chain(o, seq) {
			continue
		}
		if o == e.identity.Origin {
			return o, true
		}
		if !ok || o.Compare(found) < 0 {
			found, ok = o, true
		}
	}
	return found, ok
}

// forked says that another entry than here is somewhere else under an origin and a number, or
// under one before it. If it is the origin that signs here, nothing more is written: what is
// signed from now on would only make it worse.
func (e *Engine) forked(o fieldwise.Origin, seq fieldwise.Seq, where string) error {
	err := fmt.Errorf("%w: %v, at or before %d, here and in %s; one of the two directories is a copy of the other: stop one, and let it begin with an empty directory", ErrForked, o, seq, where)
	if o == e.identity.Origin {
		e.poison(err)
	}
	return err
}

// poison ends the taking in of entries, local ones and others, for good.
func (e *Engine) poison(err error) {
	if e.err == nil {
		e.err = err
	}
}

// Err says why nothing more is taken in until the log is opened again, or returns nil.
func (e *Engine) Err() error { return e.err }
