package main

import (
	"bytes"
	"fmt"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
)

// merging is a merger of this module: the log has its name, and that is all it takes to join states.
type merging struct {
	fieldwise.Merger
	read func(delta []byte, at fieldwise.Version) (change any, err error)
}

// mergers are those of this module, by name.
var mergers = func() map[string]*merging {
	all := map[string]*merging{fieldmerge.Merger{}.Name(): {Merger: fieldmerge.Merger{}, read: readRecord}}
	for kind, m := range map[lattice.Kind]fieldwise.Merger{
		lattice.KindRegister: crdt.MVRegister{},
		lattice.KindCounter:  crdt.CounterMerger{},
		lattice.KindSet:      crdt.SetMerger{},
		lattice.KindList:     crdt.ListMerger{},
		lattice.KindFlag:     crdt.FlagMerger{},
		lattice.KindMax:      crdt.MaxMerger{},
		lattice.KindMin:      crdt.MinMerger{},
	} {
		all[m.Name()] = &merging{Merger: m, read: func(delta []byte, at fieldwise.Version) (any, error) {
			return readState(kind, delta, at)
		}}
	}
	return all
}()

// check verifies a delta that came from outside.
func (m *merging) check(delta []byte) error {
	b, err := m.Merge(nil, nil, delta)
	if err == nil && !bytes.Equal(b, delta) {
		err = fmt.Errorf("%w: not the canonical form", fieldwise.ErrMalformed)
	}
	return err
}

// change returns the change that a delta makes in a form to read. The error is that of the check.
func (m *merging) change(delta []byte, at fieldwise.Version) (any, error) {
	if err := m.check(delta); err != nil {
		return nil, err
	}
	return m.read(delta, at)
}
