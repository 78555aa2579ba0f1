package crdt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"slices"

	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/value"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// ORSet is a set for a field of a struct, to which elements are added and from which they
// are removed; where regions do both to one element without knowledge of each other, it is
// in the set. Elements are one if they are encoded the same way: times by their instants,
// pointers by what they point to. They must not be changed afterwards.
//
// The zero value is empty. A copy is a value of its own. One value is not safe for
// concurrent use, but reading it is. An element that cannot be encoded gets no place in
// the set; writing the set anywhere is an error from then on.
type ORSet[T comparable] struct{ set[T] }

// NewORSet returns a set of these elements that the program sets anew, to put it in the
// place of one that was read or into a new record.
func NewORSet[T comparable](elems ...T) ORSet[T] { return ORSet[T]{literal(elems)} }

// Add adds elements. That counts where one is in the set already: a concurrent Remove
// elsewhere does not take it away then.
func (s *ORSet[T]) Add(elems ...T) { s.add(elems) }

// Remove takes elements away, as far as the region that commits it knows that they are
// there.
func (s *ORSet[T]) Remove(elems ...T) {
	for _, e := range s.encode(elems) {
		s.record(lattice.Intent{Op: lattice.OpRemove, Element: e.key})
		if s.elems = s.elems.without(e.key); s.stores(e.key) {
			s.gone = s.gone.with(e)
		}
	}
}

// Clear takes all elements away that the region which commits it knows of.
func (s *ORSet[T]) Clear() {
	s.record(lattice.Intent{Op: lattice.OpClear})
	s.elems, s.gone, s.large = nil, nil, nil
}

// Has reports whether e is in the set.
func (s ORSet[T]) Has(e T) bool { return s.has(e) }

// Len is the number of elements.
func (s ORSet[T]) Len() int { return s.len() }

// Values returns the elements in a new slice: numbers by size, then times, then strings by
// their bytes, and before them all others by their encoded form.
func (s ORSet[T]) Values() []T { return s.values() }

// All yields the elements in the order of Values, as they are when All is called.
func (s ORSet[T]) All() iter.Seq[T] { return s.all() }

// Equal reports whether both have the same elements.
func (s ORSet[T]) Equal(other ORSet[T]) bool { return s.equal(other.set) }

// String is the elements in the order of Values, "[a b]".
func (s ORSet[T]) String() string { return fmt.Sprint(s.values()) }

// MarshalJSON implements [json.Marshaler]: an array of the elements.
func (s ORSet[T]) MarshalJSON() ([]byte, error) { return s.json() }

// UnmarshalJSON implements [json.Unmarshaler]. The set becomes that of NewORSet, or for null
// the zero value. With an error it is as it was.
func (s *ORSet[T]) UnmarshalJSON(b []byte) error { return s.fromJSON(b) }

// MarshalMsgpack writes an array of the elements.
func (s ORSet[T]) MarshalMsgpack() ([]byte, error) { return s.encoded() }

// UnmarshalMsgpack reads an array, as UnmarshalJSON does; nil makes the set zero.
func (s *ORSet[T]) UnmarshalMsgpack(b []byte) error { return s.fromMsgpack(b) }

// GSet is a set for a field of a struct that only grows. All else is as with [ORSet].
type GSet[T comparable] struct{ set[T] }

// NewGSet returns a set of these elements that the program sets anew, to put it into a new
// record.
func NewGSet[T comparable](elems ...T) GSet[T] { return GSet[T]{literal(elems)} }

// Add adds elements.
func (s *GSet[T]) Add(elems ...T) { s.add(elems) }

// Has reports whether e is in the set.
func (s GSet[T]) Has(e T) bool { return s.has(e) }

// Len is the number of elements.
func (s GSet[T]) Len() int { return s.len() }

// Values returns the elements in a new slice, in the order of [ORSet.Values].
func (s GSet[T]) Values() []T { return s.values() }

// All yields the elements in the order of Values, as they are when All is called.
func (s GSet[T]) All() iter.Seq[T] { return s.all() }

// Equal reports whether both have the same elements.
func (s GSet[T]) Equal(other GSet[T]) bool { return s.equal(other.set) }

// String is the elements in the order of Values, "[a b]".
func (s GSet[T]) String() string { return fmt.Sprint(s.values()) }

// MarshalJSON implements [json.Marshaler]: an array of the elements.
func (s GSet[T]) MarshalJSON() ([]byte, error) { return s.json() }

// UnmarshalJSON implements [json.Unmarshaler]. The set becomes that of NewGSet, or for null
// the zero value. With an error it is as it was.
func (s *GSet[T]) UnmarshalJSON(b []byte) error { return s.fromJSON(b) }

// MarshalMsgpack writes an array of the elements.
func (s GSet[T]) MarshalMsgpack() ([]byte, error) { return s.encoded() }

// UnmarshalMsgpack reads an array, as UnmarshalJSON does; nil makes the set zero.
func (s *GSet[T]) UnmarshalMsgpack(b []byte) error { return s.fromMsgpack(b) }

// set is what both faces share.
type set[T comparable] struct {
	history
	elems *tree[T]
	large *lattice.Large // has further elements, none of which is in elems
	gone  *tree[T]       // that are in large, and not in the set
	shown []byte         // what was read, encoded
	err   error          // of the first element that could not be encoded
}

// literal is a set that the program makes. That there is one, although nothing is in it, is
// what clearing it says.
func literal[T comparable](elems []T) (s set[T]) {
	if len(elems) == 0 {
		s.record(lattice.Intent{Op: lattice.OpClear})
	}
	s.add(elems)
	return s
}

func (s *set[T]) add(elems []T) {
	entries := s.encode(elems)
	for _, e := range entries {
		s.record(lattice.Intent{Op: lattice.OpAdd, Element: e.key})
	}
	if s.elems == nil && s.large == nil {
		s.elems = grow(sorted(entries))
		return
	}
	for _, e := range entries {
		if s.stores(e.key) {
			s.gone = s.gone.without(e.key)
		} else {
			s.elems = s.elems.with(e)
		}
	}
}

// stores reports whether an element need not be in elems.
func (s *set[T]) stores(key []byte) bool { return s.large != nil && s.large.Has(key) }

func (s set[T]) len() int {
	if s.large == nil {
		return s.elems.len()
	}
	return s.large.Len() + s.elems.len() - s.gone.len()
}

// whole are all elements of the set.
func (s set[T]) whole() *tree[T] {
	if s.large == nil {
		return s.elems
	}
	codec, err := elementCodec[T]()
	if err != nil {
		return nil
	}
	entries := make([]entry[T], 0, s.len())
	for key := range s.large.All {
		e := entry[T]{key: key}
		if fits(codec, &e) && !s.gone.has(key) {
			entries = append(entries, e)
		}
	}
	s.elems.each(func(e entry[T]) bool { entries = append(entries, e); return true })
	return grow(sorted(entries))
}

// fits decodes an element, and reports whether its Go type holds it without loss.
func fits[T any](codec value.Codec, e *entry[T]) bool {
	v := reflect.ValueOf(&e.elem).Elem()
	if codec.Decode(e.key, v) != nil {
		return false
	}
	again, err := codec.Append(nil, v)
	return err == nil && bytes.Equal(again, e.key)
}

// encode returns the elements that can be encoded, and keeps the error of the first that
// cannot.
func (s *set[T]) encode(elems []T) []entry[T] {
	codec, err := elementCodec[T]()
	if err != nil {
		return nil // fault finds it too
	}
	entries := make([]entry[T], 0, len(elems))
	for _, e := range elems {
		key, err := encodeElement(codec, e)
		if err == nil {
			entries = append(entries, entry[T]{e, key})
		} else if s.err == nil {
			s.err = err
		}
	}
	return entries
}

// fault says why the set cannot be written anywhere.
func (s set[T]) fault() error {
	if s.err != nil {
		return s.err
	}
	_, err := elementCodec[T]()
	return err
}

// become makes the set what was read, unless that has a fault.
func (s *set[T]) become(read set[T]) error {
	err := read.fault()
	if err == nil {
		*s = read
	}
	return err
}

func (s set[T]) has(e T) bool {
	if s.elems == nil && s.large == nil {
		return false
	}
	codec, err := elementCodec[T]()
	if err != nil {
		return false
	}
	key, err := encodeElement(codec, e)
	return err == nil && (s.elems.has(key) || s.stores(key) && !s.gone.has(key))
}

func (s set[T]) all() iter.Seq[T] {
	return func(yield func(T) bool) {
		s.whole().each(func(e entry[T]) bool { return yield(e.elem) })
	}
}

func (s set[T]) values() []T {
	return slices.AppendSeq(make([]T, 0, s.len()), s.all())
}

func (s set[T]) equal(other set[T]) bool {
	a, b := s.whole(), other.whole()
	return a == b || a.len() == b.len() && a.each(func(e entry[T]) bool { return b.has(e.key) })
}

// json goes by elements, since a slice of bytes would become a string.
func (s set[T]) json() ([]byte, error) {
	if err := s.fault(); err != nil {
		return nil, err
	}
	elems := make([]json.RawMessage, 0, s.len())
	for e := range s.all() {
		b, err := json.Marshal(&e)
		if err != nil {
			return nil, inSet[T](err)
		}
		elems = append(elems, b)
	}
	return json.Marshal(elems)
}

func (s *set[T]) fromJSON(b []byte) error {
	var encoded []json.RawMessage
	if err := json.Unmarshal(b, &encoded); err != nil {
		return inSet[T](err)
	}
	if encoded == nil {
		return s.become(set[T]{})
	}
	elems := make([]T, len(encoded))
	for i, b := range encoded {
		if err := json.Unmarshal(b, &elems[i]); err != nil {
			return inSet[T](fmt.Errorf("element %d: %w", i, err))
		}
	}
	return s.become(literal(elems))
}

// encoded is the array of the elements.
func (s set[T]) encoded() ([]byte, error) {
	if err := s.fault(); err != nil {
		return nil, err
	}
	size, elems := 5, s.whole() // the longest header
	elems.each(func(e entry[T]) bool { size += len(e.key); return true })
	b := wire.AppendArrayHeader(make([]byte, 0, size), elems.len())
	elems.each(func(e entry[T]) bool { b = append(b, e.key...); return true })
	return b, nil
}

func (s *set[T]) fromMsgpack(b []byte) error {
	if isNil(b) {
		return s.become(set[T]{})
	}
	canonical, err := wire.Canonical(nil, b, maxSetDepth)
	if err != nil {
		return inSet[T](err)
	}
	entries, err := readElements[T](canonical)
	if err != nil {
		return inSet[T](err)
	}
	elems := make([]T, len(entries))
	for i, e := range entries {
		elems[i] = e.elem
	}
	return s.become(literal(elems))
}

func (s set[T]) held() (lattice.Held, error) {
	if err := s.fault(); err != nil || s.last == nil || s.large != nil {
		return s.heldAs(s.shown), err
	}
	val, err := s.encoded()
	return s.heldAs(val), err
}

func (s *set[T]) hold(shown []byte, b *lattice.Bond) error {
	read := set[T]{history: history{bond: b, there: shown != nil}}
	if shown != nil {
		if err := wire.Check(shown, maxSetDepth); err != nil {
			return inSet[T](err)
		}
		read.shown = slices.Clone(shown)
		entries, err := readElements[T](read.shown)
		if err == nil {
			err = checkElements(entries)
		}
		if err != nil {
			return inSet[T](err)
		}
		read.elems = grow(entries)
	}
	return s.become(read)
}

func (s *set[T]) holdLarge(field *lattice.Large, shown []byte, b *lattice.Bond) {
	*s = set[T]{history: history{bond: b, there: true}, large: field, shown: shown}
}

func (ORSet[T]) strategy() string { return "orset" }

func (GSet[T]) strategy() string { return "gset" }

// maxSetDepth bounds the nesting of an encoded set: each element may be nested as deep as
// any value.
const maxSetDepth = value.MaxDepth + 1

func inSet[T any](err error) error {
	return fmt.Errorf("crdt: a set of %v: %w", reflect.TypeFor[T](), err)
}

func elementCodec[T any]() (value.Codec, error) {
	codec, err := value.CodecOf(reflect.TypeFor[T]())
	if err != nil {
		err = inSet[T](err)
	}
	return codec, err
}

func encodeElement[T any](codec value.Codec, e T) ([]byte, error) {
	key, err := codec.Append(nil, reflect.ValueOf(&e).Elem())
	if err != nil {
		return nil, inSet[T](fmt.Errorf("an element cannot be encoded: %w", err))
	}
	return key, nil
}

// readElements reads an array that has passed wire.Check. The keys share memory with b.
func readElements[T any](b []byte) ([]entry[T], error) {
	codec, err := value.CodecOf(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	n, rest, err := wire.ArrayHeader(b)
	if err != nil {
		return nil, fmt.Errorf("%w: it needs an array, and this is of kind %v", wire.ErrType, wire.KindOf(b))
	}
	entries := make([]entry[T], n) // n is below len(b)
	for i := range entries {
		length, err := wire.Skip(rest)
		if err != nil {
			return nil, err
		}
		e := &entries[i]
		e.key, rest = rest[:length:length], rest[length:]
		if err := codec.Decode(e.key, reflect.ValueOf(&e.elem).Elem()); err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return entries, nil
}

// checkElements says whether the entries are sorted and unique, and whether their Go type
// holds them without loss: Has and Remove would not find what Values returned of others.
func checkElements[T any](entries []entry[T]) error {
	codec, err := value.CodecOf(reflect.TypeFor[T]())
	if err != nil {
		return err
	}
	var again []byte
	for i := range entries {
		e := &entries[i]
		if i > 0 && lattice.Compare(entries[i-1].key, e.key) >= 0 {
			return fmt.Errorf("%w: element %d is not in order", wire.ErrNotCanonical, i)
		}
		again, err = codec.Append(again[:0], reflect.ValueOf(&e.elem).Elem())
		if err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
		if !bytes.Equal(again, e.key) {
			return fmt.Errorf("%w: element %d, of kind %v, is more than the Go type can hold", wire.ErrType, i, wire.KindOf(e.key))
		}
	}
	return nil
}
