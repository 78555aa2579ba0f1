package crdt

import (
	"fmt"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/value"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// MVRegister is the [fieldwise.Merger] of records that are one multi-value register.
// The zero value has no policy: its readers get all siblings, and it reports no
// conflicts. It is safe for concurrent use.
type MVRegister struct {
	policy Policy
}

var (
	_ fieldwise.Merger           = MVRegister{}
	_ fieldwise.Deleter          = MVRegister{}
	_ fieldwise.ConflictReporter = MVRegister{}
)

// NewMVRegister returns the merger whose readers see what policy chooses; nil is the
// zero value. States, and so Name, do not depend on the policy.
func NewMVRegister(policy Policy) MVRegister { return MVRegister{policy: policy} }

// Name is "register/1".
func (MVRegister) Name() string { return "register/1" }

// Merge implements [fieldwise.Merger].
func (MVRegister) Merge(dst, a, b []byte) ([]byte, error) {
	return mergeStates(dst, lattice.KindRegister, a, b)
}

// Set appends to dst the delta that replaces everything current in state, which may
// be empty, by val at version at. A nil val makes the register absent; any other must
// be one canonical msgpack value, nested at most 16 deep. It is an error if this
// origin wrote the register at or after at.
func (MVRegister) Set(dst, state []byte, at fieldwise.Version, val []byte) ([]byte, error) {
	if val != nil {
		if err := wire.Check(val, value.MaxDepth); err != nil {
			return nil, fmt.Errorf("crdt: value of a register: %w", err)
		}
	}
	return lattice.WriteState(dst, lattice.KindRegister, state, lattice.Edit{To: val}, at)
}

// Siblings lists the current values of a state, oldest version first; none for the
// empty state. Values alias the state.
func (MVRegister) Siblings(state []byte) ([]fieldwise.Sibling, error) {
	return lattice.ReadState(nil, lattice.KindRegister, state)
}

// shown returns the sibling that readers see. Without a policy that is the newest one
// that is not absent, so that a record lives as long as any of its values does.
func (m MVRegister) shown(state []byte) (fieldwise.Sibling, error) {
	siblings, err := m.Siblings(state)
	if err != nil || len(siblings) == 0 {
		return fieldwise.Sibling{}, err
	}
	if m.policy != nil {
		s, _ := lattice.Show(m.policy, siblings) // what failed was reported when the siblings met
		return s, nil
	}
	for i := len(siblings) - 1; i > 0; i-- {
		if siblings[i].Value != nil {
			return siblings[i], nil
		}
	}
	return siblings[0], nil
}

// Live implements [fieldwise.Deleter]: a record whose shown value is absent is not live.
func (m MVRegister) Live(state []byte) bool {
	s, err := m.shown(state)
	return err == nil && s.Value != nil
}

// Delete implements [fieldwise.Deleter]: it writes absent, which competes with
// concurrent writes like any value.
func (m MVRegister) Delete(dst, state []byte, at fieldwise.Version) ([]byte, error) {
	if !m.Live(state) {
		return dst, nil
	}
	return m.Set(dst, state, at, nil)
}

// Conflicts implements [fieldwise.ConflictReporter].
func (m MVRegister) Conflicts(dst []fieldwise.Conflict, state, delta []byte) ([]fieldwise.Conflict, error) {
	if m.policy == nil {
		return dst, nil
	}
	return appendConflicts(dst, lattice.KindRegister, m.policy, state, delta)
}
