package fieldmerge

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/lww"
	"github.com/fieldwise/fieldwise/regionpriority"
)

// ErrSchema says that a schema is not valid. All that is wrong with one comes in one
// error, each problem with the field and the remedy.
var ErrSchema = errors.New("fieldmerge: invalid schema")

// Option is a part of a schema.
type Option func(*draft)

// draft collects what the options say until all of it can be checked.
type draft struct {
	fields   []fieldOption
	fallback []Strategy
	ranks    []fieldwise.Region
	priority crdt.Policy // under the ranks
	customs  map[string]*custom
	used     map[string]bool // customs that a field names
	problems []error
	offer    string // the strategies that there are
}

type fieldOption struct {
	pattern  string
	segments []string
	strategy Strategy
}

// Ranks ranks the regions for [Priority], the one that prevails first. Regions that are
// not named come after all others.
func Ranks(regions ...fieldwise.Region) Option {
	return func(d *draft) { d.ranks = append(d.ranks, regions...) }
}

func newDraft(options []Option, offer string) *draft {
	d := &draft{customs: make(map[string]*custom), used: make(map[string]bool), offer: offer}
	for i, o := range options {
		if o == nil {
			d.problem("option %d is nil; leave it out", i+1)
			continue
		}
		o(d)
	}
	p, err := regionpriority.NewPolicy(d.ranks...)
	if joined, ok := err.(interface{ Unwrap() []error }); ok && len(d.ranks) > 0 {
		for _, problem := range joined.Unwrap() {
			d.problem("Ranks: %w", problem)
		}
	}
	d.priority = p
	return d
}

func (d *draft) problem(format string, args ...any) {
	d.problems = append(d.problems, fmt.Errorf(format, args...))
}

// policy returns the policy that a strategy names, or nil and adds a problem. where says
// whose strategy it is.
func (d *draft) policy(where string, s Strategy) crdt.Policy {
	name, isCustom := strings.CutPrefix(string(s), customPrefix)
	key, isList := strings.CutPrefix(string(s), listPrefix)
	switch {
	case s == LWW:
		return lww.Policy{}
	case s == Earliest:
		return earliest{}
	case s == Priority:
		if len(d.ranks) == 0 {
			d.problem("%s: strategy %q needs Ranks(...), the region that prevails first", where, s)
		}
		return d.priority
	case s == Max:
		return lattice.Extreme(lattice.KindMax)
	case s == Min:
		return lattice.Extreme(lattice.KindMin)
	case mechanisms[s].Kind != 0:
		return mechanisms[s]
	case s == ByShape:
		return byShape{}
	case isList && key != "":
		return lattice.Mechanism{Kind: lattice.KindKeyed, Named: string(s)}
	case isCustom && d.customs[name] != nil:
		d.used[name] = true
		return d.customs[name]
	case isCustom:
		d.problem("%s: strategy %q names no function; add Custom(%q, ...) to the schema's options", where, s, name)
	default:
		d.problem("%s: unknown strategy %q; use %s", where, s, d.offer)
	}
	return nil
}

const (
	policyNames   = `"lww", "earliest", "priority", "max", "min", "pncounter", "gcounter", "orset", "gset", "ewflag", "list" or "custom=NAME"`
	strategyNames = `"lww", "earliest", "priority", "max", "min", "pncounter", "gcounter", "orset", "gset", "ewflag", "list", "list=KEY" for structs, "custom=NAME", "nested" for a struct, or "each=" and one of these for the entries of a map`
)

// done returns all that is wrong, or nil.
func (d *draft) done() error {
	for _, name := range slices.Sorted(maps.Keys(d.customs)) {
		if !d.used[name] {
			d.problem("Custom(%q) is given, and no field says \"custom=%s\"; a misspelt name?", name, name)
		}
	}
	switch len(d.problems) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%w: %w", ErrSchema, d.problems[0])
	}
	return fmt.Errorf("%w: %d problems\n%w", ErrSchema, len(d.problems), errors.Join(d.problems...))
}
