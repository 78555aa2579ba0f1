package crdt

import (
	"bytes"
	"context"
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
)

// MaxElements is how many elements a write may bring a set or a list to; more is a
// [fieldwise.LimitError]. Concurrent writes can bring one over it together: it stays
// readable, and takes writes that do not add to it.
const MaxElements = lattice.MaxElements

// Sets is the typed face of a domain whose records are one set each: where regions add and
// remove an element without knowledge of each other, it is in the set. Elements are one if
// they are encoded the same way, as in [ORSet]. It is safe for concurrent use.
//
// A set is there while it has elements: of an empty one Get gives [fieldwise.ErrNotFound].
// Get and All give the elements in the order of [ORSet.Values]. It is an error if one of
// them is more than T can hold, such as a struct with a field that T has not.
type Sets[T comparable] struct{ sets[T] }

// OpenSets opens a domain of sets under [SetMerger]. It is an error if values of type T
// cannot be stored and read back.
func OpenSets[T comparable](host fieldwise.Host, name string) (*Sets[T], error) {
	d, err := openSets[T](host, name)
	if err != nil {
		return nil, err
	}
	return &Sets[T]{d}, nil
}

// Remove takes elements away, as far as this region knows that they are there. Where none
// is, nothing is written and the receipt is zero.
func (s *Sets[T]) Remove(ctx context.Context, key string, elems ...T) (fieldwise.Receipt, error) {
	values, err := encodeSet(elems)
	if err != nil {
		return fieldwise.Receipt{}, s.fail("remove from", key, err)
	}
	return s.writeTo(ctx, "remove from", key, values, func(dst, state []byte, left int, at fieldwise.Version) ([]byte, error) {
		found, n, err := lattice.FindElements(state, values)
		switch {
		case err != nil:
			return nil, err
		case len(found) == n+left: // all, or none of none
			return s.merger.Delete(dst, state, at)
		}
		return lattice.WriteState(dst, lattice.KindSet, state, eachElement(lattice.OpRemove, found), at)
	})
}

// Clear takes all elements away that this region knows of. Where there are none, nothing is
// written and the receipt is zero.
func (s *Sets[T]) Clear(ctx context.Context, key string) (fieldwise.Receipt, error) {
	return s.empty(ctx, "clear", key)
}

// GSets is [Sets] without a way to remove an element. The records are the same, so a domain
// can change its face.
type GSets[T comparable] struct{ sets[T] }

// OpenGSets opens a domain of sets that only grow under [SetMerger]. It is an error if values
// of type T cannot be stored and read back.
func OpenGSets[T comparable](host fieldwise.Host, name string) (*GSets[T], error) {
	d, err := openSets[T](host, name)
	if err != nil {
		return nil, err
	}
	return &GSets[T]{d}, nil
}

// sets is what both faces share.
type sets[T comparable] struct{ domain[[]T] }

func openSets[T comparable](host fieldwise.Host, name string) (s sets[T], err error) {
	if _, err := elementCodec[T](); err != nil {
		return s, err
	}
	s.domain, err = openMechanism(host, name, lattice.KindSet, SetMerger{}, func(val []byte) ([]T, error) {
		entries, err := decodeElements[T](val)
		if err == nil {
			err = checkElements(entries)
		}
		if err != nil {
			return nil, inSet[T](err)
		}
		return elementsOf(entries), nil
	})
	return s, err
}

// Add adds elements. That counts where one is in the set already: a concurrent Remove
// elsewhere does not take it away then. Without elements nothing is written and the receipt
// is zero.
func (s *sets[T]) Add(ctx context.Context, key string, elems ...T) (fieldwise.Receipt, error) {
	values, err := encodeSet(elems)
	if err != nil {
		return fieldwise.Receipt{}, s.fail("add to", key, err)
	}
	return s.writeTo(ctx, "add to", key, values, func(dst, state []byte, left int, at fieldwise.Version) ([]byte, error) {
		if len(values) == 0 {
			return dst, nil
		}
		found, n, err := lattice.FindElements(state, values)
		if err == nil {
			err = checkGrowth("elements of a set", key, left+n, left+n+len(values)-len(found))
		}
		if err != nil {
			return nil, err
		}
		return lattice.WriteState(dst, lattice.KindSet, state, eachElement(lattice.OpAdd, values), at)
	})
}

// Has reports whether e is in the set, without reading all of it into memory.
func (s *sets[T]) Has(ctx context.Context, key string, e T) (has bool, err error) {
	values, err := encodeElements([]T{e})
	if err == nil {
		has, err = s.find(ctx, key, values[0])
	}
	return has, s.fail("look into", key, err)
}

// encodeSet returns the encoded elements sorted by their bytes, each once.
func encodeSet[T comparable](elems []T) ([][]byte, error) {
	values, err := encodeElements(elems)
	slices.SortFunc(values, bytes.Compare)
	return slices.CompactFunc(values, bytes.Equal), err
}

func eachElement(op lattice.Op, values [][]byte) lattice.Edit {
	intents := make([]lattice.Intent, len(values))
	for i, v := range values {
		intents[i] = lattice.Intent{Op: op, Element: v}
	}
	return lattice.Edit{Intents: intents}
}

// checkGrowth refuses a write that adds to a set or a list and brings it over the limit.
func checkGrowth(limit, key string, before, after int) error {
	if after > MaxElements && after > before {
		return &fieldwise.LimitError{Limit: limit, Got: after, Max: MaxElements, Key: key}
	}
	return nil
}
