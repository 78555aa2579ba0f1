package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/fieldwise/fieldwise"
)

// ErrFloor says that what a peer holds below a floor is not what is held here: it is to ask
// again, with all of its vector.
var ErrFloor = errors.New("replog: what a peer holds of ended incarnations is not what is here")

// Floor stands in a request for the incarnations of a region below one of them, so that a
// request does not grow with each that a region ever began. A floor is made of what two
// replicas hold alike, as far as the one that asks knows, and is checked by the other. Nothing
// is forgotten behind it: a directory that was away and signs as an incarnation below it, or
// entries of it that come back, are seen as ever.
type Floor struct {
	Below  uint64 // the highest incarnation of the region that is known to who asks
	Digest uint64 // of the incarnations below it, where they end, and their chains
}

// folded reports whether a floor stands for the origin.
func (p *Pull) folded(o fieldwise.Origin) bool { return o.Incarnation < p.Floors[o.Region].Below }

// fold puts floors into a request, in place of what its receiver acknowledged at its last
// request and has in its log like this replica.
func (e *Engine) fold(p *Pull) {
	receiver := e.peer(p.To)
	if receiver.unfold {
		return
	}
	highest := make(map[fieldwise.Region]uint64)
	for o := range e.vector {
		highest[o.Region] = max(highest[o.Region], o.Incarnation)
	}
	for o, seq := range e.vector {
		if receiver.acked[o] != seq && o.Incarnation < highest[o.Region] {
			delete(highest, o.Region)
		}
	}
	for region, below := range highest {
		if floor, any := e.floor(region, below); any {
			p.Floors[region] = floor
		}
	}
	maps.DeleteFunc(p.Vector, func(o fieldwise.Origin, _ fieldwise.Seq) bool { return p.folded(o) })
}

// floor makes a floor of what is durable here; any is false if nothing is below it.
func (e *Engine) floor(region fieldwise.Region, below uint64) (f Floor, any bool) {
	f.Below = below
	for _, o := range e.ended(region, below) {
		chain, _ := e.chain(o, e.vector[o])
		var b [24]byte
		binary.BigEndian.PutUint64(b[:], o.Incarnation)
		binary.BigEndian.PutUint64(b[8:], uint64(e.vector[o]))
		binary.BigEndian.PutUint64(b[16:], chain)
		f.Digest = NextChain(f.Digest, b[:])
		any = true
	}
	return f, any
}

// ended lists the incarnations of a region that are held here and below another, in order.
func (e *Engine) ended(region fieldwise.Region, below uint64) (all []fieldwise.Origin) {
	for o := range e.vector {
		if o.Region == region && o.Incarnation < below {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, fieldwise.Origin.Compare)
	return all
}

// unfold returns what the sender of a request holds, if each floor in it stands for what is
// held here.
func (e *Engine) unfold(p *Pull) (fieldwise.Vector, error) {
	v := make(fieldwise.Vector, len(p.Vector))
	maps.Copy(v, p.Vector)
	for region, theirs := range p.Floors {
		ours, _ := e.floor(region, theirs.Below)
		if ours != theirs {
			return nil, fmt.Errorf("%w: those of region %s below %x, which %v names", ErrFloor, region, theirs.Below, p.From)
		}
		for _, o := range e.ended(region, theirs.Below) {
			v[o] = e.vector[o]
		}
	}
	return v, nil
}

// Unfold has the next requests to a region name all that is held here, until that region
// says again what it holds: it answered ErrFloor.
func (e *Engine) Unfold(region fieldwise.Region) { e.peer(region).unfold = true }
