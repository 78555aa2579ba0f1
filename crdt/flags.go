package crdt

import (
	"context"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Flags is the typed face of a domain whose records are one flag each, on or off: where
// regions enable and disable it without knowledge of each other, it is on. It is safe for
// concurrent use.
type Flags struct{ domain[bool] }

// OpenFlags opens a domain of flags under [FlagMerger].
func OpenFlags(host fieldwise.Host, name string) (*Flags, error) {
	d, err := openMechanism(host, name, lattice.KindFlag, FlagMerger{}, readFlag)
	if err != nil {
		return nil, err
	}
	return &Flags{d}, nil
}

// Enable switches the flag on. That counts where it is on already: a concurrent Disable
// elsewhere does not switch it off then.
func (f *Flags) Enable(ctx context.Context, key string) (fieldwise.Receipt, error) {
	return f.write(ctx, "enable", key, func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
		e := lattice.Edit{Intents: []lattice.Intent{{Op: lattice.OpAdd, Element: flagOn}}}
		return lattice.WriteState(dst, lattice.KindFlag, state, e, at)
	})
}

// Disable switches the flag off, as far as this region knows that it is on. Where it is off
// already, nothing is written and the receipt is zero; where there is none, it is off then.
func (f *Flags) Disable(ctx context.Context, key string) (fieldwise.Receipt, error) {
	return f.write(ctx, "disable", key, func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
		val, err := shownValue(lattice.KindFlag, state)
		if err != nil {
			return nil, err
		}
		e := lattice.Edit{From: val, To: wire.AppendBool(nil, false)}
		return lattice.WriteState(dst, lattice.KindFlag, state, e, at)
	})
}

// Delete takes the flag away, or returns [fieldwise.ErrNotFound] where there is none. What
// others enable or disable meanwhile stays.
func (f *Flags) Delete(ctx context.Context, key string) (fieldwise.Receipt, error) {
	return f.delete(ctx, key)
}
