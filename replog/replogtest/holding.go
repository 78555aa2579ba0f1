package replogtest

import (
	"cmp"
	"maps"
	"math/big"

	"github.com/fieldwise/fieldwise/internal/lattice"
)

// dot is what one write put into a field that is no register: what it counted, or one
// element.
type dot struct {
	write      int    // by its id
	value      string // the encoded element; empty in a counter
	occurrence uint64 // tells equal values of a list apart
}

func (d dot) compare(other dot) int {
	return cmp.Or(cmp.Compare(d.write, other.write), cmp.Compare(d.value, other.value), cmp.Compare(d.occurrence, other.occurrence))
}

// dots are what was ever put into a field, as far as it is known: what is false was taken
// back.
type dots map[dot]bool

// holding is what a state shall come to, by a rule that forgets nothing: of each field all
// that was ever put into it, and what of that was taken back. It is never changed.
type holding struct {
	life   uint64
	fields map[string]dots
}

// join is what two states come to.
func (h holding) join(other holding) holding {
	switch {
	case h.life > other.life:
		return h
	case h.life < other.life:
		return other
	}
	joined := holding{h.life, maps.Clone(h.fields)}
	if joined.fields == nil {
		joined.fields = make(map[string]dots)
	}
	for path, more := range other.fields {
		all := maps.Clone(joined.fields[path])
		if all == nil {
			all = make(dots)
		}
		for d, stays := range more {
			was, known := all[d]
			all[d] = stays && (was || !known)
		}
		joined.fields[path] = all
	}
	return joined
}

// value is what a field shall show: nil where nothing is left. The elements of a list are
// in no order.
func (d dots) value(w *world, path string, m mechanism) []byte {
	if m.kind == lattice.KindCounter {
		return encodedSum(d.sum(w, path, func(*write) bool { return true }))
	}
	seen := make(map[dot]bool) // without the write
	var parts [][]byte
	for one, stays := range d {
		element := dot{value: one.value, occurrence: one.occurrence}
		if stays && !seen[element] {
			seen[element] = true
			parts = append(parts, []byte(one.value))
		}
	}
	switch {
	case len(parts) == 0:
		return nil
	case m.kind == lattice.KindFlag:
		return parts[0]
	case m.kind == lattice.KindSet:
		return setOf(parts)
	}
	return listOf(parts)
}

// sum is what some writes counted and was not taken back.
func (d dots) sum(w *world, path string, of func(*write) bool) *big.Int {
	total := new(big.Int)
	for one, stays := range d {
		if x := w.writes[one.write]; stays && of(x) {
			total.Add(total, x.counted[path])
		}
	}
	return total
}
