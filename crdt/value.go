package crdt

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"

	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Value is a CRDT value that stands as a field in a Go struct. It is implemented by
// pointers to the types of this package: [*PNCounter], [*GCounter], [*ORSet], [*GSet] and
// [*EWFlag].
type Value interface {
	held() (lattice.Held, error)
	hold(shown []byte, b *lattice.Bond) error
	strategy() string
}

var (
	_ Value = (*PNCounter)(nil)
	_ Value = (*GCounter)(nil)
	_ Value = (*ORSet[string])(nil)
	_ Value = (*GSet[string])(nil)
	_ Value = (*EWFlag)(nil)
)

// HeldBy returns what v holds, for package fieldmerge. Its bytes share memory with v and
// its copies, and must not be changed. It is an error if a set was given an element that
// cannot be encoded.
func HeldBy(v Value) (lattice.Held, error) { return v.held() }

// Hold makes v what a reader is shown of a field, encoded (nil: nothing is there), under
// the bond of that read, with nothing done to it yet; for package fieldmerge. Nothing of
// shown is kept. With an error, which says that the bytes are no value of v's type, v is
// as it was.
func Hold(v Value, shown []byte, b *lattice.Bond) error { return v.hold(shown, b) }

// HoldLarge is Hold of a field that is kept open, if v is a set: it reads from the field what
// it is asked for, and leaves out elements that v's type cannot hold. shown stands for what a
// reader is shown, and is what v holds until it is cleared. It reports whether v is a set.
func HoldLarge(v Value, field *lattice.Large, shown []byte, b *lattice.Bond) bool {
	s, ok := v.(interface {
		holdLarge(field *lattice.Large, shown []byte, b *lattice.Bond)
	})
	if ok {
		s.holdLarge(field, shown, b)
	}
	return ok
}

// StrategyOf names the strategy that a field of v's type has in package fieldmerge.
func StrategyOf(v Value) string { return v.strategy() }

// A history says where a value comes from and what was done to it since. Copies share the
// steps, which never change.
type history struct {
	_     [0]func() // not comparable: == would compare how values came about
	bond  *lattice.Bond
	there bool  // something was there when the value was read
	last  *step // nil: nothing was done
}

// step is something that was done to a value, after all that was done before.
type step struct {
	before *step
	intent lattice.Intent
}

// record adds to what was done. What repeats the last step is put together with it: a loop
// that counts shall not take memory for every round.
func (h *history) record(in lattice.Intent) {
	before := h.last
	if before != nil && before.intent.Op == in.Op {
		switch in.Op {
		case lattice.OpInc, lattice.OpDec:
			if sum, carry := bits.Add64(before.intent.Amount, in.Amount, 0); carry == 0 {
				in.Amount, before = sum, before.before
			}
		default:
			if bytes.Equal(before.intent.Element, in.Element) {
				return
			}
		}
	}
	h.last = &step{before, in}
}

// heldAs returns what the value holds if it reads as val now.
func (h history) heldAs(val []byte) lattice.Held {
	held := lattice.Held{Bond: h.bond}
	if h.there || h.last != nil {
		held.Value = val
	}
	for s := h.last; s != nil; s = s.before {
		held.Intents = append(held.Intents, s.intent)
	}
	slices.Reverse(held.Intents)
	return held
}

// errKind says that b is of another kind than a value of the named type.
func errKind(name, needs string, b []byte) error {
	return fmt.Errorf("crdt: %s: %w: it needs %s, and this is of kind %v", name, wire.ErrType, needs, wire.KindOf(b))
}

// isNil reports whether b is the nil of msgpack and nothing else.
func isNil(b []byte) bool {
	rest, err := wire.Nil(b)
	return err == nil && len(rest) == 0
}
