package lattice

import (
	"fmt"

	"github.com/fieldwise/fieldwise"
)

// Kind names the mechanism of a field. Kinds are below 0x20 and names hold no byte
// below 0x20, so that the kind ends the name and plain byte order of name and kind
// together is the order of names.
type Kind byte

const (
	// KindRegister is a multi-value register.
	KindRegister Kind = 1
	// KindMax is a register of which readers see the largest value, in the order of Compare,
	// and that is only written upwards: that a reader does not see the other values is what
	// such a field means, and no conflict.
	KindMax Kind = 2
	// KindMin is KindMax the other way round.
	KindMin Kind = 3
	// KindCounter is a counter.
	KindCounter Kind = 4
	// KindSet is a set of values.
	KindSet Kind = 5
	// KindList is a set whose elements have positions and may be equal.
	KindList Kind = 6
	// KindFlag is a set whose only element is true.
	KindFlag Kind = 7
	// KindKeyed is a list of objects, told apart by a key: of each the list has a map of that
	// field alone, and the others are fields below the list's path.
	KindKeyed Kind = 8
	// KindCreated is a register that holds no value for readers: it gives a record that
	// was created without fields a version, under the empty name.
	KindCreated Kind = 0x1f
)

// body is the form of the fields of a kind; ok is false where this release does not know
// the kind, and so cannot join it.
func (k Kind) body() (b body, ok bool) {
	switch k {
	case KindRegister, KindMax, KindMin, KindCreated:
		return items, true
	case KindCounter:
		return counts, true
	case KindSet, KindList, KindFlag, KindKeyed:
		return dots, true
	}
	return 0, false
}

// joins reports whether this release knows how to join fields of the kind.
func (k Kind) joins() bool {
	_, ok := k.body()
	return ok
}

// Registers reports whether a field of the kind holds values that replace each other.
func (k Kind) Registers() bool {
	b, ok := k.body()
	return ok && b == items
}

// ordered reports whether the elements have an order of their own.
func (k Kind) ordered() bool { return k == KindList || k == KindKeyed }

// opens reports whether a large field of the kind is worth keeping open. A list by key is
// not: its objects are fields, which are bounded.
func (k Kind) opens() bool { return k == KindSet || k == KindList }

// Times calls yield with the highest timestamps, one or several an origin, that a field of
// the kind holds until yield returns false. It returns false then, too, and where the field ends early.
func (k Kind) Times(field []byte, yield func(index int, t fieldwise.Timestamp) bool) bool {
	form, ok := k.body()
	return ok && form.times(field, yield)
}

// String is the name that tags give the kind.
func (k Kind) String() string {
	switch k {
	case KindRegister:
		return "one value"
	case KindMax:
		return "max"
	case KindMin:
		return "min"
	case KindCounter:
		return "counter"
	case KindSet:
		return "set"
	case KindList:
		return "list"
	case KindFlag:
		return "flag"
	case KindKeyed:
		return "list by key"
	case KindCreated:
		return "created"
	}
	return fmt.Sprintf("kind %d", byte(k))
}

func unsupported(k Kind) error {
	return fmt.Errorf("%w: kind %d; a newer release wrote it", fieldwise.ErrUnsupportedKind, k)
}
