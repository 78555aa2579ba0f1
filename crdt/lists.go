package crdt

import (
	"context"
	"fmt"
	"reflect"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/value"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Lists is the typed face of a domain whose records are one list each: what regions insert
// and take out without knowledge of each other is all done, and what one inserts at once stays
// together. Elements may be equal. It is safe for concurrent use.
//
// A list is there while it has elements: of an empty one Get gives [fieldwise.ErrNotFound].
type Lists[T any] struct{ domain[[]T] }

// OpenLists opens a domain of lists under [ListMerger]. It is an error if values of type T
// cannot be stored and read back.
func OpenLists[T any](host fieldwise.Host, name string) (*Lists[T], error) {
	if _, err := value.CodecOf(reflect.TypeFor[T]()); err != nil {
		return nil, inList[T](err)
	}
	d, err := openMechanism(host, name, lattice.KindList, ListMerger{}, func(val []byte) ([]T, error) {
		entries, err := decodeElements[T](val)
		return elementsOf(entries), err
	})
	if err != nil {
		return nil, err
	}
	return &Lists[T]{d}, nil
}

// Update turns the list into what change makes of it, which is shown the list as this region
// holds it: nil where there is none. It may change what it is given, may be called again, and
// must have no other effect. An error of change is returned and nothing is written.
//
// What is written is the difference: what both lists have in the same order is left alone, so
// that it stays where another region removes or moves other elements; and an element that went
// elsewhere is moved. Where there is no difference, nothing is written and the receipt is
// zero.
func (l *Lists[T]) Update(ctx context.Context, key string, change func(list []T) ([]T, error)) (fieldwise.Receipt, error) {
	return l.write(ctx, "update", key, func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
		from, err := shownValue(lattice.KindList, state)
		if err != nil {
			return nil, err
		}
		var before []entry[T]
		if from != nil {
			if before, err = decodeElements[T](from); err != nil {
				return nil, err
			}
		}
		stored, err := storedAs(before)
		if err != nil {
			return nil, err
		}
		list, err := change(elementsOf(before))
		if err == nil {
			err = checkGrowth("elements of a list", key, len(before), len(list))
		}
		if err != nil {
			return nil, err
		}
		values, err := encodeElements(list)
		if err != nil {
			return nil, err
		}
		for i, v := range values {
			if same := stored[string(v)]; len(same) > 0 {
				values[i], stored[string(v)] = same[0], same[1:]
			}
		}
		return writeList(dst, state, from, values, at)
	})
}

// Append adds elements at the end of the list. Without elements nothing is written and the
// receipt is zero.
func (l *Lists[T]) Append(ctx context.Context, key string, elems ...T) (fieldwise.Receipt, error) {
	values, err := encodeElements(elems)
	if err != nil {
		return fieldwise.Receipt{}, l.fail("append to", key, err)
	}
	return l.writeTo(ctx, "append to", key, values, func(dst, state []byte, left int, at fieldwise.Version) ([]byte, error) {
		from, err := shownValue(lattice.KindList, state)
		if err != nil {
			return nil, err
		}
		before, err := splitArray(from)
		if err == nil {
			n := left + len(before)
			err = checkGrowth("elements of a list", key, n, n+len(values))
		}
		if err != nil {
			return nil, err
		}
		return writeList(dst, state, from, append(before, values...), at)
	})
}

// Clear takes all elements away that this region knows of. Where there are none, nothing is
// written and the receipt is zero.
func (l *Lists[T]) Clear(ctx context.Context, key string) (fieldwise.Receipt, error) {
	return l.empty(ctx, "clear", key)
}

// writeList appends the delta that turns the list from, an encoded array or nil, into the
// encoded elements.
func writeList(dst, state, from []byte, to [][]byte, at fieldwise.Version) ([]byte, error) {
	e := lattice.Edit{From: from}
	if len(to) > 0 {
		e.To = joinArray(to)
	}
	return lattice.WriteState(dst, lattice.KindList, state, e, at)
}

// storedAs says, by what each element is encoded as now, what those are stored as that T
// holds only in part: a write must not take from an element what T has no place for.
func storedAs[T any](entries []entry[T]) (map[string][][]byte, error) {
	elems := elementsOf(entries)
	values, err := encodeElements(elems)
	if err != nil {
		return nil, err
	}
	stored := make(map[string][][]byte, len(entries))
	for i, v := range values {
		stored[string(v)] = append(stored[string(v)], entries[i].key)
	}
	return stored, nil
}

// encodeElements returns the encoded elements in their order.
func encodeElements[T any](elems []T) ([][]byte, error) {
	codec, err := value.CodecOf(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	values := make([][]byte, len(elems))
	for i := range elems {
		if values[i], err = codec.Append(nil, reflect.ValueOf(&elems[i]).Elem()); err != nil {
			return nil, fmt.Errorf("element %d of type %v cannot be encoded: %w", i, reflect.TypeFor[T](), err)
		}
	}
	return values, nil
}

// decodeElements reads an encoded array. The keys of the entries share memory with it.
func decodeElements[T any](val []byte) ([]entry[T], error) {
	if err := wire.Check(val, maxSetDepth); err != nil {
		return nil, err
	}
	return readElements[T](val)
}

// elementsOf returns the elements in a slice of their own; nil for none.
func elementsOf[T any](entries []entry[T]) []T {
	if len(entries) == 0 {
		return nil
	}
	elems := make([]T, len(entries))
	for i := range entries {
		elems[i] = entries[i].elem
	}
	return elems
}

// splitArray returns the encoded elements of an encoded array, nil for none.
func splitArray(val []byte) ([][]byte, error) {
	if val == nil {
		return nil, nil
	}
	n, rest, err := wire.ArrayHeader(val)
	if err != nil {
		return nil, err
	}
	values := make([][]byte, n) // n is below len(val)
	for i := range values {
		length, err := wire.Skip(rest)
		if err != nil {
			return nil, err
		}
		values[i], rest = rest[:length:length], rest[length:]
	}
	return values, nil
}

func joinArray(values [][]byte) []byte {
	b := wire.AppendArrayHeader(nil, len(values))
	for _, v := range values {
		b = append(b, v...)
	}
	return b
}

func inList[T any](err error) error {
	return fmt.Errorf("crdt: a list of %v: %w", reflect.TypeFor[T](), err)
}
