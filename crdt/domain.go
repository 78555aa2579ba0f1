package crdt

import (
	"context"
	"fmt"
	"iter"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
)

// Record is one record of a domain with its key.
type Record[T any] struct {
	Key   string
	Value T
}

// domain is what the typed faces of domains share. T is what readers get of a record.
type domain[T any] struct {
	name   string
	store  fieldwise.Store
	open   fieldwise.OpenStore // nil if the store has not the power
	merger merging
	read   func(state []byte) (v T, found bool, err error)
}

func openDomain[T any](host fieldwise.Host, name string, m merging, read func(state []byte) (T, bool, error)) (domain[T], error) {
	store, err := host.Domain(name, m)
	if err != nil {
		return domain[T]{}, err
	}
	open, _ := store.(fieldwise.OpenStore)
	return domain[T]{name: name, store: store, open: open, merger: m, read: read}, nil
}

// openMechanism opens a domain of states of kind k, which decode makes values of.
func openMechanism[T any](host fieldwise.Host, name string, k lattice.Kind, m merging, decode func(val []byte) (T, error)) (domain[T], error) {
	return openDomain(host, name, m, func(state []byte) (v T, found bool, err error) {
		val, err := shownValue(k, state)
		if err != nil || val == nil {
			return v, false, err
		}
		v, err = decode(val)
		return v, true, err
	})
}

// Get returns the record, or [fieldwise.ErrNotFound].
func (d *domain[T]) Get(ctx context.Context, key string) (v T, err error) {
	err = d.store.Read(ctx, key, func(state []byte) error {
		found := false
		if v, found, err = d.read(state); err == nil && !found {
			err = fieldwise.ErrNotFound
		}
		return err
	})
	return v, d.fail("get", key, err)
}

// All yields the records whose keys start with prefix, in the byte order of their keys. Each
// record is read when it is its turn: the sequence is not a snapshot of the domain. An error
// ends it.
func (d *domain[T]) All(ctx context.Context, prefix string) iter.Seq2[Record[T], error] {
	return func(yield func(Record[T], error) bool) {
		for key, err := range d.store.Keys(ctx, prefix) {
			record, found := Record[T]{Key: key}, true
			if err == nil {
				err = d.store.Read(ctx, key, func(state []byte) (err error) {
					record.Value, found, err = d.read(state)
					return err
				})
			}
			if err == nil && !found { // deleted since it was listed
				continue
			}
			if !yield(record, d.fail("read", key, err)) || err != nil {
				return
			}
		}
	}
}

// write makes a change to a record: it appends the delta to dst, or returns dst where there
// is nothing to do.
func (d *domain[T]) write(ctx context.Context, doing, key string, change func(dst, state []byte, at fieldwise.Version) ([]byte, error)) (fieldwise.Receipt, error) {
	receipt, err := d.store.Write(ctx, key, change)
	return receipt, d.fail(doing, key, err)
}

// delete deletes a record, or returns [fieldwise.ErrNotFound].
func (d *domain[T]) delete(ctx context.Context, key string) (fieldwise.Receipt, error) {
	return d.write(ctx, "delete", key, func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
		if !d.merger.Live(state) {
			return nil, fieldwise.ErrNotFound
		}
		return d.merger.Delete(dst, state, at)
	})
}

// empty is delete, and writes nothing where there is nothing to delete.
func (d *domain[T]) empty(ctx context.Context, doing, key string) (fieldwise.Receipt, error) {
	return d.write(ctx, doing, key, d.merger.Delete)
}

func (d *domain[T]) fail(doing, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s %.80q: %w", d.name, doing, key, err)
}
