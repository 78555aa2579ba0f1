package crdt

import (
	"bytes"
	"fmt"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
)

// CounterMerger is the [fieldwise.Merger] "counter/1" of records that are one counter each:
// [OpenCounters] and [OpenGCounters] open domains of them. A counter is live where something
// was counted since the last reset that is known, and Delete resets it: what others count
// meanwhile stays. Since no count is lost it has no conflicts to report.
type CounterMerger struct{ merger[countersOnly] }

// SetMerger is the [fieldwise.Merger] "set/1" of records that are one set each: [OpenSets] and
// [OpenGSets] open domains of them. A set is live while it has elements, and Delete removes
// those that are known: what others add meanwhile stays. An add wins over a removal that did
// not know of it, which is what such a set means, so it has no conflicts to report.
type SetMerger struct{ openMerger[setsOnly] }

// ListMerger is the [fieldwise.Merger] "list/1" of records that are one list each:
// [OpenLists] opens domains of them. All else is as with [SetMerger].
type ListMerger struct{ openMerger[listsOnly] }

// FlagMerger is the [fieldwise.Merger] "flag/1" of records that are one flag each:
// [OpenFlags] opens domains of them. A flag is live, be it on or off, from the first write on.
// Delete takes it away as far as it is known; what others enable meanwhile is on. That goes
// before their disabling it, which is what such a flag means, so it has no conflicts to
// report.
type FlagMerger struct{ merger[flagsOnly] }

// MaxMerger is the [fieldwise.Merger] "max/1" of records that are one value each, of which
// readers see the largest that was written: [OpenMax] opens domains of them. Delete takes
// away the values that are known: one that others write meanwhile stays, and that the delete
// was overruled is the only conflict that there is to report.
type MaxMerger struct{ extremeMerger[maximaOnly] }

// MinMerger is the [fieldwise.Merger] "min/1": [MaxMerger] the other way round. [OpenMin]
// opens domains of it.
type MinMerger struct{ extremeMerger[minimaOnly] }

var (
	_ merging                    = CounterMerger{}
	_ merging                    = SetMerger{}
	_ merging                    = ListMerger{}
	_ merging                    = FlagMerger{}
	_ merging                    = MaxMerger{}
	_ merging                    = MinMerger{}
	_ fieldwise.ConflictReporter = MaxMerger{}
	_ fieldwise.ConflictReporter = MinMerger{}
	_ fieldwise.Opener           = SetMerger{}
	_ fieldwise.Opener           = ListMerger{}
)

// merging is what all mergers of this package can do.
type merging interface {
	fieldwise.Merger
	fieldwise.Deleter
}

// only says of which kind the states of a merger are. It is a type and no value so that
// the zero value of a merger works.
type only interface{ kind() lattice.Kind }

type (
	countersOnly struct{}
	setsOnly     struct{}
	listsOnly    struct{}
	flagsOnly    struct{}
	maximaOnly   struct{}
	minimaOnly   struct{}
)

func (countersOnly) kind() lattice.Kind { return lattice.KindCounter }
func (setsOnly) kind() lattice.Kind     { return lattice.KindSet }
func (listsOnly) kind() lattice.Kind    { return lattice.KindList }
func (flagsOnly) kind() lattice.Kind    { return lattice.KindFlag }
func (maximaOnly) kind() lattice.Kind   { return lattice.KindMax }
func (minimaOnly) kind() lattice.Kind   { return lattice.KindMin }

// merger merges states that are one body behind an origin table.
type merger[K only] struct{}

// Name is the mechanism and the version of its format, such as "counter/1".
func (merger[K]) Name() string { return kindOf[K]().String() + "/1" }

// Merge implements [fieldwise.Merger].
func (merger[K]) Merge(dst, a, b []byte) ([]byte, error) {
	return mergeStates(dst, kindOf[K](), a, b)
}

// Live implements [fieldwise.Deleter].
func (merger[K]) Live(state []byte) bool { return lattice.Live(kindOf[K](), state) }

// Delete implements [fieldwise.Deleter].
func (merger[K]) Delete(dst, state []byte, at fieldwise.Version) ([]byte, error) {
	k := kindOf[K]()
	val, err := shownValue(k, state)
	if err != nil || val == nil {
		return dst, err
	}
	return lattice.WriteState(dst, k, state, lattice.Edit{From: val}, at)
}

// extremeMerger merges registers of which readers see the largest or the smallest value.
type extremeMerger[K only] struct{ merger[K] }

// Conflicts implements [fieldwise.ConflictReporter].
func (extremeMerger[K]) Conflicts(dst []fieldwise.Conflict, state, delta []byte) ([]fieldwise.Conflict, error) {
	k := kindOf[K]()
	return appendConflicts(dst, k, lattice.Extreme(k), state, delta)
}

func kindOf[K only]() lattice.Kind {
	var k K
	return k.kind()
}

func mergeStates(dst []byte, k lattice.Kind, a, b []byte) ([]byte, error) {
	switch {
	case len(a) == 0 && len(b) == 0:
		return dst, nil
	case len(a) == 0:
		if err := lattice.CheckState(k, b); err != nil {
			return nil, err
		}
		return append(dst, b...), nil
	case len(b) == 0:
		if err := lattice.CheckState(k, a); err != nil {
			return nil, err
		}
		return append(dst, a...), nil
	case bytes.Equal(a, b):
		return append(dst, a...), nil
	}
	return lattice.JoinStates(dst, k, a, b)
}

// shownValue is what readers see of a state whose kind has one value for all, encoded: nil
// where nothing is there. It may alias the state.
func shownValue(k lattice.Kind, state []byte) ([]byte, error) {
	siblings, err := lattice.ReadState(nil, k, state)
	if err != nil || len(siblings) == 0 {
		return nil, err
	}
	if !lattice.Live(k, state) {
		return nil, nil
	}
	s, err := lattice.Show(lattice.Extreme(k), siblings) // the others come as one sibling
	return s.Value, err
}

func appendConflicts(dst []fieldwise.Conflict, k lattice.Kind, policy lattice.Policy, state, delta []byte) ([]fieldwise.Conflict, error) {
	if len(state) == 0 || len(delta) == 0 {
		return dst, nil
	}
	ts, s, oks := lattice.Cut(state)
	td, d, okd := lattice.Cut(delta)
	if !oks || !okd {
		return nil, errTable
	}
	return lattice.AppendConflicts(dst, "", k, policy, ts, s, td, d)
}

var errTable = fmt.Errorf("%w: origin table", fieldwise.ErrMalformed)
