package fieldmerge

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/value"
	"github.com/fieldwise/fieldwise/lww"
)

// Strategy names how concurrent values of a field are resolved: one of the constants, or
// "custom=NAME" for the function that [Custom] gives that name.
type Strategy string

const (
	// LWW shows the value with the largest version: see package lww.
	LWW Strategy = "lww"
	// Earliest shows the value with the smallest version of those that are concurrent: the
	// first of several regions to set it keeps it, until somebody who has seen it changes it.
	Earliest Strategy = "earliest"
	// Priority shows the value from the region of the highest rank: see package
	// regionpriority. It needs [Ranks].
	Priority Strategy = "priority"
	// Max shows the largest value that was ever written to the field: numbers by size,
	// times, and strings by their bytes. The field is written in one direction only; a write
	// in the other is an error. It is a mechanism of its own: a field that was under another
	// strategy before starts anew, unless it says was=.
	Max Strategy = "max"
	// Min is Max the other way round.
	Min Strategy = "min"
	// PNCounter counts up and down: what regions count at the same time adds up. The field
	// is a crdt.PNCounter, or an integer of which a write counts the difference.
	PNCounter Strategy = "pncounter"
	// GCounter is PNCounter that only counts up; a reset takes it back to zero.
	GCounter Strategy = "gcounter"
	// ORSet is a set of values: adding an element wins over removing it at the same time
	// elsewhere. The field is a crdt.ORSet, or a slice, which is read in order of its values and
	// of which a write adds what is new and removes what is gone.
	ORSet Strategy = "orset"
	// GSet is ORSet that only grows.
	GSet Strategy = "gset"
	// EWFlag is a switch: turning it on wins over turning it off at the same time elsewhere.
	// The field is a crdt.EWFlag, or a bool.
	EWFlag Strategy = "ewflag"
	// ByShape is for JSON-shaped records: the value that is written says how it merges. A list
	// of objects that are told apart by a key, a string or an integer that each has and no
	// other, is a list by that key, up to 128 objects; any other list is one under List;
	// everything else is under LWW. The key is what it was in the list before, else the field
	// "id", "key", "name" or "code", else the first by name that tells them apart. Where lists
	// and other values were written at the same time, the newest shows.
	ByShape Strategy = "byshape"
	// List is a list of values in an order, which may be equal: what regions add, remove and move
	// at the same time comes together. The field is a slice. A value that changes is another
	// value in its place.
	List Strategy = "list"
)

// ListBy is the strategy of a list of objects that are told apart by the field named key, a
// string or an integer, and merge field by field: what regions add, remove, move and change
// at the same time comes together; an object that one removes is gone, whatever others
// changed in it meanwhile, which is reported. In a struct the field is a slice of structs.
func ListBy(key string) Strategy { return Strategy(listPrefix + key) }

const listPrefix = "list="

// mechanisms are the strategies of mechanisms that have one value for all readers.
var mechanisms = map[Strategy]lattice.Mechanism{
	PNCounter: {Kind: lattice.KindCounter, Named: string(PNCounter)},
	GCounter:  {Kind: lattice.KindCounter, Named: string(GCounter), Grows: true},
	ORSet:     {Kind: lattice.KindSet, Named: string(ORSet)},
	GSet:      {Kind: lattice.KindSet, Named: string(GSet), Grows: true},
	EWFlag:    {Kind: lattice.KindFlag, Named: string(EWFlag)},
	List:      {Kind: lattice.KindList, Named: string(List)},
}

const customPrefix = "custom="

// Sibling is one of the values of a field that were written without knowledge of each
// other and are all still current.
type Sibling[V any] = crdt.Sibling[V]

// earliest is the policy of Earliest.
type earliest struct{}

func (earliest) Name() string { return string(Earliest) }

func (earliest) Resolve(siblings []fieldwise.Sibling) (fieldwise.Sibling, error) {
	return siblings[0], nil
}

// Reason implements crdt.Reasoner: what makes a value lose is what makes it win under lww.
func (earliest) Reason(winner, loser fieldwise.Sibling) string {
	return "the earlier of the two; the other is " + lww.Policy{}.Reason(loser, winner)
}

// custom is the policy of a function of the service.
type custom struct {
	name    string
	typ     reflect.Type // of the values that the function takes
	resolve func(siblings []fieldwise.Sibling) (val []byte, err error)
}

// Custom gives a name to a function that resolves concurrent values, for fields whose tag
// says "custom=NAME" and whose Go type is V, or *V. The function is called where a reader
// would see at least two different values. It gets them oldest version first, equal
// values once, and what was unset with Absent true; it may return one of them or compute
// another value. Where V is a pointer, nil means unset.
//
// The result has to depend on the siblings alone: not on time, randomness, the order of
// a map or anything that differs between regions or releases. An error or a panic shows
// the sibling with the largest version instead, and is reported as a policy error. The
// function is called from several goroutines at once, while a record is read or written,
// and must not call the domain.
func Custom[V any](name string, resolve func(siblings []Sibling[V]) (V, error)) Option {
	typ := reflect.TypeFor[V]()
	return func(d *draft) {
		codec, err := value.CodecOf(typ)
		switch {
		case name == "" || strings.ContainsAny(name, ",="):
			d.problem("Custom(%q): give it a name without \",\" and \"=\"", name)
			return
		case resolve == nil:
			d.problem("Custom(%q): the function is nil; pass one that picks or computes a value", name)
		case err != nil:
			d.problem("Custom(%q): %w", name, err)
		case d.customs[name] != nil:
			d.problem("Custom(%q) is given twice; name each function once", name)
		}
		d.customs[name] = &custom{name: name, typ: typ, resolve: func(siblings []fieldwise.Sibling) ([]byte, error) {
			return resolveTyped(codec, siblings, resolve)
		}}
	}
}

func resolveTyped[V any](codec value.Codec, siblings []fieldwise.Sibling, resolve func([]Sibling[V]) (V, error)) ([]byte, error) {
	typed := make([]Sibling[V], 0, len(siblings))
	for i, s := range siblings {
		if slices.ContainsFunc(siblings[i+1:], func(later fieldwise.Sibling) bool { return lattice.SameValue(later, s) }) {
			continue // equal values are one value
		}
		one := Sibling[V]{Version: s.Version, Absent: s.Value == nil}
		if s.Value != nil {
			if err := codec.Decode(s.Value, reflect.ValueOf(&one.Value).Elem()); err != nil {
				return nil, fmt.Errorf("a value of another type, from %v: %w", s.Version, err)
			}
		}
		typed = append(typed, one)
	}
	v, err := resolve(typed)
	if err != nil {
		return nil, err
	}
	rv := reflect.ValueOf(&v).Elem()
	if rv.Kind() == reflect.Pointer && rv.IsNil() {
		return nil, nil
	}
	return codec.Append([]byte{}, rv)
}

func (c *custom) Name() string { return customPrefix + c.name }

// Resolve implements crdt.Policy.
func (c *custom) Resolve(siblings []fieldwise.Sibling) (fieldwise.Sibling, error) {
	val, err := c.resolve(siblings)
	return fieldwise.Sibling{Value: val}, err
}

// Reason implements crdt.Reasoner.
func (c *custom) Reason(winner, _ fieldwise.Sibling) string {
	if winner.Version.IsZero() {
		return c.name + " computed another value"
	}
	return c.name + " chose the other"
}
