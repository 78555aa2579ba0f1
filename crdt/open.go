package crdt

import (
	"context"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
)

// openMerger merges sets or lists, and keeps large ones open.
type openMerger[K only] struct{ merger[K] }

// Open implements [fieldwise.Opener].
func (openMerger[K]) Open(state []byte, from int) (fieldwise.Opened, error) {
	o, err := lattice.OpenState(kindOf[K](), state, from)
	if o == nil || err != nil {
		return nil, err
	}
	return &opened{o}, nil
}

// opened is a set or a list that is kept open.
type opened struct{ open *lattice.Open }

func (o *opened) Merge(delta []byte) error      { return o.open.Merge(delta) }
func (o *opened) Clone() fieldwise.Opened       { return &opened{o.open.Clone()} }
func (o *opened) AppendState(dst []byte) []byte { return o.open.AppendState(dst) }
func (o *opened) Size() int                     { return o.open.Size() }
func (o *opened) Live() bool                    { return o.large().Len() > 0 }

func (o *opened) Conflicts(dst []fieldwise.Conflict, _ []byte) ([]fieldwise.Conflict, error) {
	return dst, nil
}

func (o *opened) large() *lattice.Large { return &o.open.Large()[0] }

// writeTo makes a change to a record that concerns the elements of certain encoded values, and
// the end of a list. What it is given of a large record is a state with these elements and the
// last one; left says how many others there are.
func (d *domain[T]) writeTo(ctx context.Context, doing, key string, values [][]byte, change func(dst, state []byte, left int, at fieldwise.Version) ([]byte, error)) (fieldwise.Receipt, error) {
	if d.open == nil {
		return d.write(ctx, doing, key, func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
			return change(dst, state, 0, at)
		})
	}
	receipt, err := d.open.WriteOpen(ctx, key, func(dst, state []byte, record fieldwise.Opened, at fieldwise.Version) ([]byte, error) {
		left := 0
		if o, ok := record.(*opened); ok {
			state = o.open.AppendPart(nil, func([]byte, lattice.Kind) [][]byte { return values })
			_, n, err := lattice.FindElements(state, nil)
			if err != nil {
				return nil, err
			}
			left = o.large().Len() - n
		}
		return change(dst, state, left, at)
	})
	return receipt, d.fail(doing, key, err)
}

// find reports whether a set has an element of that encoded value.
func (d *domain[T]) find(ctx context.Context, key string, value []byte) (has bool, err error) {
	look := func(state []byte, record fieldwise.Opened) error {
		if o, ok := record.(*opened); ok {
			has = o.large().Has(value)
			return nil
		}
		found, _, err := lattice.FindElements(state, [][]byte{value})
		has = len(found) > 0
		return err
	}
	if d.open != nil {
		err = d.open.ReadOpen(ctx, key, look)
	} else {
		err = d.store.Read(ctx, key, func(state []byte) error { return look(state, nil) })
	}
	return has, err
}
