package crdt

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/value"
)

// Registers is the typed face of a domain whose records are one register each: a
// record is written and read as a whole. T is any type that msgpack/v5 encodes;
// map[string]any holds JSON-shaped records. It is safe for concurrent use.
type Registers[T any] struct {
	name   string
	store  fieldwise.Store
	merger MVRegister
}

// Record is one record of a domain with its key.
type Record[T any] struct {
	Key   string
	Value T
}

// Sibling is one of the values that were written to a record without knowledge of
// each other.
type Sibling[T any] struct {
	Version fieldwise.Version
	Value   T    // the zero value if Absent
	Absent  bool // this write deleted the record
	Shown   bool // this is what Get returns
}

// OpenRegisters opens a domain of registers. The policy says which sibling Get shows;
// nil shows the newest one that is not a delete, and then no conflicts are reported.
func OpenRegisters[T any](host fieldwise.Host, name string, policy Policy) (*Registers[T], error) {
	m := NewMVRegister(policy)
	store, err := host.Domain(name, m)
	if err != nil {
		return nil, err
	}
	return &Registers[T]{name: name, store: store, merger: m}, nil
}

// Put writes a record: it replaces every value that this region holds, siblings
// included. If the region holds just this value, nothing is written and the receipt
// is zero.
func (r *Registers[T]) Put(ctx context.Context, key string, v T) (fieldwise.Receipt, error) {
	val, err := value.Append(nil, v)
	if err != nil {
		return fieldwise.Receipt{}, r.fail("put", key, err)
	}
	receipt, err := r.store.Write(ctx, key, func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
		siblings, err := r.merger.Siblings(state)
		if err != nil {
			return nil, err
		}
		if len(siblings) == 1 && bytes.Equal(siblings[0].Value, val) {
			return dst, nil
		}
		return r.merger.Set(dst, state, at, val)
	})
	return receipt, r.fail("put", key, err)
}

// Get returns the record as the policy shows it, or [fieldwise.ErrNotFound].
func (r *Registers[T]) Get(ctx context.Context, key string) (T, error) {
	var v T
	err := r.store.Read(ctx, key, func(state []byte) error {
		s, err := r.merger.shown(state)
		if err != nil {
			return err
		}
		if s.Value == nil {
			return fieldwise.ErrNotFound
		}
		return value.Decode(s.Value, &v)
	})
	return v, r.fail("get", key, err)
}

// Delete deletes the record that Get shows, or returns [fieldwise.ErrNotFound]. A
// write elsewhere that does not know of the delete competes with it under the policy.
func (r *Registers[T]) Delete(ctx context.Context, key string) (fieldwise.Receipt, error) {
	receipt, err := r.store.Write(ctx, key, func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
		if !r.merger.Live(state) {
			return nil, fieldwise.ErrNotFound
		}
		return r.merger.Delete(dst, state, at)
	})
	return receipt, r.fail("delete", key, err)
}

// Siblings lists what was written to the record and not replaced by a later write that
// knew of it, oldest first: one value where there is no conflict, none for a key that
// was never written.
func (r *Registers[T]) Siblings(ctx context.Context, key string) ([]Sibling[T], error) {
	var all []Sibling[T]
	err := r.store.Read(ctx, key, func(state []byte) error {
		siblings, err := r.merger.Siblings(state)
		if err != nil || len(siblings) == 0 {
			return err
		}
		shown, err := r.merger.shown(state)
		if err != nil {
			return err
		}
		for _, s := range siblings {
			typed := Sibling[T]{Version: s.Version, Absent: s.Value == nil, Shown: s.Version == shown.Version}
			if s.Value != nil {
				if err := value.Decode(s.Value, &typed.Value); err != nil {
					return err
				}
			}
			all = append(all, typed)
		}
		return nil
	})
	return all, r.fail("siblings of", key, err)
}

// All yields the live records whose keys start with prefix, in the byte order of their
// keys. Each record is read when it is its turn: the sequence is not a snapshot of the
// domain. An error ends it.
func (r *Registers[T]) All(ctx context.Context, prefix string) iter.Seq2[Record[T], error] {
	return func(yield func(Record[T], error) bool) {
		for key, err := range r.store.Keys(ctx, prefix) {
			record, gone := Record[T]{Key: key}, false
			if err == nil {
				err = r.store.Read(ctx, key, func(state []byte) error {
					s, err := r.merger.shown(state)
					if err != nil {
						return err
					}
					if gone = s.Value == nil; gone { // deleted since it was listed
						return nil
					}
					return value.Decode(s.Value, &record.Value)
				})
			}
			if gone {
				continue
			}
			if !yield(record, r.fail("read", key, err)) || err != nil {
				return
			}
		}
	}
}

func (r *Registers[T]) fail(doing, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s %.80q: %w", r.name, doing, key, err)
}
