package crdt

import (
	"context"
	"fmt"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/value"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Max is the typed face of a domain whose records are the largest value that was written to
// them: numbers by size, times by their instants, strings by their bytes. It is safe for
// concurrent use.
type Max[T any] struct{ extremes[T] }

// OpenMax opens a domain of largest values under [MaxMerger].
func OpenMax[T any](host fieldwise.Host, name string) (*Max[T], error) {
	d, err := openExtremes[T](host, name, lattice.KindMax, MaxMerger{})
	if err != nil {
		return nil, err
	}
	return &Max[T]{d}, nil
}

// Raise brings the record up to v. Where it is as large already, nothing is written and the
// receipt is zero. It is an error if v is no number, time or string.
func (m *Max[T]) Raise(ctx context.Context, key string, v T) (fieldwise.Receipt, error) {
	return m.move(ctx, "raise", key, v)
}

// Min is [Max] the other way round.
type Min[T any] struct{ extremes[T] }

// OpenMin opens a domain of smallest values under [MinMerger].
func OpenMin[T any](host fieldwise.Host, name string) (*Min[T], error) {
	d, err := openExtremes[T](host, name, lattice.KindMin, MinMerger{})
	if err != nil {
		return nil, err
	}
	return &Min[T]{d}, nil
}

// Lower brings the record down to v. Where it is as small already, nothing is written and the
// receipt is zero. It is an error if v is no number, time or string.
func (m *Min[T]) Lower(ctx context.Context, key string, v T) (fieldwise.Receipt, error) {
	return m.move(ctx, "lower", key, v)
}

// extremes is what both faces share.
type extremes[T any] struct {
	domain[T]
	kind lattice.Kind
}

func openExtremes[T any](host fieldwise.Host, name string, k lattice.Kind, m merging) (extremes[T], error) {
	d, err := openMechanism(host, name, k, m, func(val []byte) (v T, err error) {
		err = value.Decode(val, &v)
		return v, err
	})
	return extremes[T]{d, k}, err
}

// Delete takes away the values that this region knows of, or returns [fieldwise.ErrNotFound]
// where there is none. A value that others write meanwhile stays, and the store reports the
// delete as overruled.
func (x *extremes[T]) Delete(ctx context.Context, key string) (fieldwise.Receipt, error) {
	return x.delete(ctx, key)
}

func (x *extremes[T]) move(ctx context.Context, doing, key string, v T) (fieldwise.Receipt, error) {
	val, err := value.Append(nil, v)
	if err == nil && !lattice.Ordered(val) {
		err = fmt.Errorf("%w: it is a number, a time or a string that has a %v, and this is of kind %v", wire.ErrType, x.kind, wire.KindOf(val))
	}
	if err != nil {
		return fieldwise.Receipt{}, x.fail(doing, key, err)
	}
	return x.write(ctx, doing, key, func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
		now, err := shownValue(x.kind, state)
		switch {
		case err != nil:
			return nil, err
		case now != nil && !lattice.Extreme(x.kind).Beyond(val, now):
			return dst, nil
		}
		return lattice.WriteState(dst, x.kind, state, lattice.Edit{To: val}, at)
	})
}
