package replog

import (
	"context"
	"fmt"

	"github.com/fieldwise/fieldwise"
)

// WaitApplied waits until this replica has applied the write that the receipt names,
// wherever it was made: whoever holds the receipt then reads it here. For a write made
// here it settles an [OutcomeError]: nil says that the write is durable, ErrReplaced
// that it failed. The zero receipt does not wait. Of a write that this replica has from a
// snapshot, and not as an entry, the number alone is compared.
func (r *Replica) WaitApplied(ctx context.Context, receipt fieldwise.Receipt) error {
	return r.wait(ctx, func() (bool, error) { return r.engine.Has(receipt) })
}

// WaitVector waits until this replica has applied everything that v covers.
func (r *Replica) WaitVector(ctx context.Context, v fieldwise.Vector) error {
	return r.wait(ctx, func() (bool, error) { return r.engine.Covers(v), nil })
}

// WaitReplicated waits until the write that the receipt names is durable in each of the
// named regions, as far as they have told this replica: regions that are linked to it
// directly do so, all other names let it wait until ctx ends, misspelt ones too.
func (r *Replica) WaitReplicated(ctx context.Context, receipt fieldwise.Receipt, regions ...fieldwise.Region) error {
	err := r.wait(ctx, func() (bool, error) {
		if ok, err := r.engine.Has(receipt); !ok {
			return false, err
		}
		for _, region := range regions {
			if region != r.Region() && r.engine.Acked(region)[receipt.Origin] < receipt.Seq {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("replog: wait until %v is in %v: %w", receipt, regions, err)
	}
	return nil
}

// wait waits until holds, which is asked under the lock, is true or an error.
func (r *Replica) wait(ctx context.Context, holds func() (bool, error)) error {
	for {
		r.mu.RLock()
		ok, err := holds()
		changed := r.changed
		if !ok && err == nil {
			err = r.err // nothing will change any more
		}
		r.mu.RUnlock()
		if ok || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-r.closing:
			return fieldwise.ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
