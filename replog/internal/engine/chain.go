package engine

import (
	"cmp"
	"fmt"
	"hash/crc64"
	"slices"

	"github.com/fieldwise/fieldwise"
)

// The chain of an origin at a number is a checksum over the bodies of its entries up to and
// including that one, in their order. Two replicas whose chains differ at a number hold
// different entries under it, or under one before it. It is computed by everybody and sent by
// nobody with the entries; it finds accidents and is no protection against malice.
var chainTable = crc64.MakeTable(crc64.ECMA)

// NextChain is the chain of an origin at the entry with a body, given the chain at the one before
// it; zero before the first.
func NextChain(before uint64, body []byte) uint64 { return crc64.Update(before, chainTable, body) }

// link is the chain of an origin at a number.
type link struct {
	seq   fieldwise.Seq
	chain uint64
}

// chain is the chain of an origin at a number, if that is known: what is durable or staged here
// has one, but for what is in front of a base.
func (e *Engine) chain(o fieldwise.Origin, seq fieldwise.Seq) (chain uint64, known bool) {
	if seq == 0 {
		return 0, true
	}
	if h := e.index[o]; h != nil && seq <= h.end.seq {
		if p := h.at(seq); p != nil {
			return p.chain, true
		}
		return h.base.chain, seq == h.base.seq
	}
	staged := e.chains[o]
	i, known := slices.BinarySearchFunc(staged, seq, func(l link, seq fieldwise.Seq) int { return cmp.Compare(l.seq, seq) })
	if !known {
		return 0, false
	}
	return staged[i].chain, true
}

// last is the number of the newest entry of an origin that is staged or durable here, and the
// chain there, which is always known.
func (e *Engine) last(o fieldwise.Origin) (seq fieldwise.Seq, chain uint64) {
	seq = e.staged[o]
	chain, _ = e.chain(o, seq)
	return seq, chain
}

// isAnother reports whether a chain is known to be another than the one that is here.
func (e *Engine) isAnother(o fieldwise.Origin, seq fieldwise.Seq, chain uint64) bool {
	ours, known := e.chain(o, seq)
	return known && ours != chain
}

// unstage forgets the chains of what is about to count as durable.
func (e *Engine) unstage(o fieldwise.Origin, seq fieldwise.Seq) {
	staged := e.chains[o]
	for len(staged) > 0 && staged[0].seq <= seq {
		staged = staged[1:]
	}
	if e.chains[o] = staged; len(staged) == 0 {
		delete(e.chains, o)
	}
}

// next is the chain of an origin at the entry behind those that are here.
func (e *Engine) next(o fieldwise.Origin, body []byte) uint64 {
	_, chain := e.last(o)
	return NextChain(chain, body)
}

// same reports whether the entry with a body is the one that is here under its number, as far
// as that can be known.
func (e *Engine) same(o fieldwise.Origin, seq fieldwise.Seq, body []byte) bool {
	before, known := e.chain(o, seq-1)
	return !known || !e.isAnother(o, seq, NextChain(before, body))
}

// differs returns an origin of which the sender of a request holds other entries, if there is
// one: the one that signs here before others, as that is worst.
func (e *Engine) differs(p *Pull) (found fieldwise.Origin, ok bool) {
	for o, seq := range p.Vector {
		chain, known := p.Chains[o]
		if !known || seq > e.vector[o] || !e.isAnother(o, seq, chain) {
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
