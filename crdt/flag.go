package crdt

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// EWFlag is a flag for a field of a struct: on or off, and where regions enable and
// disable it without knowledge of each other, it is on. The zero value is off. A copy is a
// value of its own. One value is not safe for concurrent use, but reading it is.
type EWFlag struct {
	history
	on bool
}

// flagOn is what the set under a flag has as its one element while the flag is on.
var flagOn = wire.AppendBool(nil, true)

// NewEWFlag returns a flag that the program sets anew, to put it in the place of one that
// was read or into a new record.
func NewEWFlag(on bool) EWFlag {
	var f EWFlag
	if on {
		f.Enable()
	} else {
		f.Disable()
	}
	return f
}

// Enable switches the flag on. That counts where it is on already: a concurrent Disable
// elsewhere does not switch it off then.
func (f *EWFlag) Enable() {
	f.record(lattice.Intent{Op: lattice.OpAdd, Element: flagOn})
	f.on = true
}

// Disable switches the flag off, as far as the region that commits it knows that it is on.
func (f *EWFlag) Disable() {
	f.record(lattice.Intent{Op: lattice.OpClear})
	f.on = false
}

// On reports whether the flag is on.
func (f EWFlag) On() bool { return f.on }

// Equal reports whether both are on or both off.
func (f EWFlag) Equal(other EWFlag) bool { return f.on == other.on }

// String is "true" or "false".
func (f EWFlag) String() string { return strconv.FormatBool(f.on) }

// MarshalJSON implements [json.Marshaler]: true or false.
func (f EWFlag) MarshalJSON() ([]byte, error) { return json.Marshal(f.on) }

// UnmarshalJSON implements [json.Unmarshaler]. The flag becomes that of NewEWFlag, or for
// null the zero value. With an error it is as it was.
func (f *EWFlag) UnmarshalJSON(b []byte) error {
	var on *bool
	if err := json.Unmarshal(b, &on); err != nil {
		return fmt.Errorf("crdt: EWFlag: %w", err)
	}
	f.become(on)
	return nil
}

// MarshalMsgpack writes a bool.
func (f EWFlag) MarshalMsgpack() ([]byte, error) { return wire.AppendBool(nil, f.on), nil }

// UnmarshalMsgpack reads a bool, as UnmarshalJSON does; nil makes the flag zero.
func (f *EWFlag) UnmarshalMsgpack(b []byte) error {
	if isNil(b) {
		f.become(nil)
		return nil
	}
	on, err := readFlag(b)
	if err == nil {
		f.become(&on)
	}
	return err
}

func (f *EWFlag) become(on *bool) {
	*f = EWFlag{}
	if on != nil {
		*f = NewEWFlag(*on)
	}
}

func readFlag(b []byte) (bool, error) {
	on, rest, err := wire.Bool(b)
	switch {
	case err != nil:
		return false, errKind("EWFlag", "a bool", b)
	case len(rest) > 0:
		return false, fmt.Errorf("crdt: EWFlag: %w", wire.ErrTrailing)
	}
	return on, nil
}

func (f EWFlag) held() (lattice.Held, error) { return f.heldAs(wire.AppendBool(nil, f.on)), nil }

func (f *EWFlag) hold(shown []byte, b *lattice.Bond) (err error) {
	read := EWFlag{history: history{bond: b, there: shown != nil}}
	if shown != nil {
		if read.on, err = readFlag(shown); err != nil {
			return err
		}
	}
	*f = read
	return nil
}

func (EWFlag) strategy() string { return "ewflag" }
