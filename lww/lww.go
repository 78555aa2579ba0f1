// Package lww keeps whole records under last-write-wins: of the writes that did not
// know of each other, readers see the one with the highest version.
//
// It is the right strategy where a record is one thing that is replaced as a whole (a
// settings document, a session, a rendered page) and the wrong one where two people
// change different parts of one record: one of the changes then disappears from view.
// fieldmerge keeps both. Even here nothing disappears in silence: the value that lost
// stays among the record's siblings until somebody overwrites it, and a conflict
// report names it.
//
// "Last" is decided by causality first: a write that knew of another replaces it,
// whatever the clocks say. Clocks matter only between concurrent writes, where the
// higher timestamp wins, then the larger region name, then the larger incarnation.
package lww

import (
	"fmt"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
)

// Policy shows the sibling with the largest version.
type Policy struct{}

var (
	_ crdt.Policy   = Policy{}
	_ crdt.Reasoner = Policy{}
)

// Name is "lww".
func (Policy) Name() string { return "lww" }

// Resolve implements [crdt.Policy]: siblings are sorted by version.
func (Policy) Resolve(siblings []fieldwise.Sibling) (fieldwise.Sibling, error) {
	return siblings[len(siblings)-1], nil
}

// Reason implements [crdt.Reasoner].
func (Policy) Reason(winner, loser fieldwise.Sibling) string {
	w, l := winner.Version, loser.Version
	switch {
	case w.Time.Time() != l.Time.Time():
		return fmt.Sprintf("newer by %v", w.Time.Time().Sub(l.Time.Time()).Round(time.Millisecond))
	case w.Time != l.Time:
		return "newer within the same millisecond"
	case w.Origin.Region != l.Origin.Region:
		return fmt.Sprintf("same time; %q comes after %q", w.Origin.Region, l.Origin.Region)
	}
	return "same time; the later incarnation"
}

// NewMerger returns the merger of whole records under last-write-wins. Its states are
// those of every register, so a domain can change to region priority and back.
func NewMerger() crdt.MVRegister { return crdt.NewMVRegister(Policy{}) }

// Open opens the domain name for records of type T under last-write-wins.
func Open[T any](host fieldwise.Host, name string) (*crdt.Registers[T], error) {
	return crdt.OpenRegisters[T](host, name, Policy{})
}
