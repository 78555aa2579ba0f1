package crdt

import (
	"bytes"
	"context"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/value"
)

// Registers is the typed face of a domain whose records are one register each: a
// record is written and read as a whole. T is any type that msgpack/v5 encodes;
// map[string]any holds JSON-shaped records. It is safe for concurrent use.
type Registers[T any] struct {
	domain[T]
	register MVRegister
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
	d, err := openDomain(host, name, m, func(state []byte) (v T, found bool, err error) {
		s, err := m.shown(state)
		if err != nil || s.Value == nil {
			return v, false, err
		}
		err = value.Decode(s.Value, &v)
		return v, true, err
	})
	if err != nil {
		return nil, err
	}
	return &Registers[T]{domain: d, register: m}, nil
}

// Put writes a record: it replaces every value that this region holds, siblings
// included. If the region holds just this value, nothing is written and the receipt
// is zero.
func (r *Registers[T]) Put(ctx context.Context, key string, v T) (fieldwise.Receipt, error) {
	val, err := value.Append(nil, v)
	if err != nil {
		return fieldwise.Receipt{}, r.fail("put", key, err)
	}
	return r.write(ctx, "put", key, func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
		siblings, err := r.register.Siblings(state)
		if err != nil {
			return nil, err
		}
		if len(siblings) == 1 && bytes.Equal(siblings[0].Value, val) {
			return dst, nil
		}
		return r.register.Set(dst, state, at, val)
	})
}

// Delete deletes the record that Get shows, or returns [fieldwise.ErrNotFound]. A
// write elsewhere that does not know of the delete competes with it under the policy.
func (r *Registers[T]) Delete(ctx context.Context, key string) (fieldwise.Receipt, error) {
	return r.delete(ctx, key)
}

// Siblings lists what was written to the record and not replaced by a later write that
// knew of it, oldest first: one value where there is no conflict, none for a key that
// was never written.
func (r *Registers[T]) Siblings(ctx context.Context, key string) ([]Sibling[T], error) {
	var all []Sibling[T]
	err := r.store.Read(ctx, key, func(state []byte) error {
		siblings, err := r.register.Siblings(state)
		if err != nil || len(siblings) == 0 {
			return err
		}
		shown, err := r.register.shown(state)
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
