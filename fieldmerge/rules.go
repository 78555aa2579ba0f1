package fieldmerge

import (
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/lww"
)

// rules say which policy each field of a record has, by its path.
type rules struct {
	byPath   map[string]crdt.Policy
	patterns []pattern // in the order in which they apply
	fallback crdt.Policy
	closed   bool // fields that only the fallback is for are none of the schema's
	mixed    bool // some of them are of another mechanism than the register
	lists    bool // some are lists whose objects are fields
	ranks    []fieldwise.Region
}

// Strategy returns the strategy of the field at path; the one of fields that the schema
// does not name is lww, or a document schema's default.
func (r *rules) Strategy(path string) Strategy { return Strategy(r.policy(path).Name()) }

// Ranks returns the regions that the schema ranks, the one that prevails first; nil where
// it ranks none.
func (r *rules) Ranks() []fieldwise.Region { return slices.Clone(r.ranks) }

// pattern gives a policy to the paths that match it.
type pattern struct {
	segments []string
	policy   crdt.Policy
}

// policy returns the policy of the field at path.
func (r *rules) policy(path string) crdt.Policy {
	if p := r.declared(path); p != nil {
		return p
	}
	return r.fallback
}

// declared returns the policy that the schema gives the field at path in particular; nil if
// there is none.
func (r *rules) declared(path string) crdt.Policy {
	if p, ok := r.byPath[path]; ok {
		return p
	}
	if len(r.patterns) == 0 {
		return nil
	}
	segments, err := SplitPath(path)
	if err != nil {
		return nil
	}
	for _, p := range r.patterns {
		if p.matches(segments) {
			return p.policy
		}
	}
	return nil
}

// declares reports whether the schema has the field at path.
func (r *rules) declares(path string) bool { return !r.closed || r.declared(path) != nil }

// policyOf returns the policy of the field at path under a mechanism, which may be another
// than the schema's.
func (r *rules) policyOf(path string, k lattice.Kind) crdt.Policy {
	p := r.policy(path)
	if _, shape := p.(byShape); shape && k == lattice.KindRegister {
		return lww.Policy{}
	}
	switch {
	case mechanismOf(p) == k:
		return p
	case k == lattice.KindMax || k == lattice.KindMin:
		return lattice.Extreme(k)
	case !k.Registers():
		return lattice.Mechanism{Kind: k, Named: k.String()}
	}
	return lww.Policy{}
}

// kind is the mechanism of the field at path.
func (r *rules) kind(path string) lattice.Kind {
	if r.mixed {
		return mechanismOf(r.policy(path))
	}
	return lattice.KindRegister
}

// mechanismOf is the mechanism that a policy belongs to.
func mechanismOf(p crdt.Policy) lattice.Kind {
	switch p := p.(type) {
	case lattice.Extreme:
		return lattice.Kind(p)
	case lattice.Mechanism:
		return p.Kind
	}
	return lattice.KindRegister
}

// infers reports whether the value of the field at path says what mechanism it has.
func (r *rules) infers(path string) bool {
	if !r.mixed {
		return false
	}
	_, ok := r.policy(path).(byShape)
	return ok
}

// kindOf is the mechanism under which a write stores the value at path.
func (r *rules) kindOf(path string, val []byte) lattice.Kind {
	if r.infers(path) {
		return shapeOf(val)
	}
	return r.kind(path)
}

// inferred are the mechanisms that a field of ByShape can have.
var inferred = []lattice.Kind{lattice.KindRegister, lattice.KindList, lattice.KindKeyed}

// reads reports whether readers of the field at path see what is stored under a mechanism.
func (r *rules) reads(path string, k lattice.Kind) bool {
	if r.infers(path) {
		return slices.Contains(inferred, k)
	}
	return k == r.kind(path)
}

func (p *pattern) matches(path []string) bool {
	for i, segment := range p.segments {
		switch {
		case i >= len(path):
			return false
		case segment == "**":
			return true
		case segment != "*" && segment != path[i]:
			return false
		}
	}
	return len(path) == len(p.segments)
}

// use notes what a policy asks for of readers and writers.
func (r *rules) use(policy crdt.Policy) {
	_, shape := policy.(byShape)
	k := mechanismOf(policy)
	r.lists = r.lists || shape || k == lattice.KindKeyed
	r.mixed = r.mixed || shape || k != lattice.KindRegister
}

func isWildcard(segment string) bool { return segment == "*" || segment == "**" }

func (r *rules) add(segments []string, policy crdt.Policy) {
	r.use(policy)
	if slices.ContainsFunc(segments, isWildcard) {
		r.patterns = append(r.patterns, pattern{segments, policy})
		return
	}
	r.byPath[JoinPath(segments...)] = policy
}
