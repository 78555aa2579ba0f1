package fieldmerge

import (
	"slices"

	"github.com/fieldwise/fieldwise/crdt"
)

// rules say which policy each field of a record has, by its path.
type rules struct {
	byPath   map[string]crdt.Policy
	patterns []pattern // in the order in which they apply
	fallback crdt.Policy
}

// pattern gives a policy to the paths that match it.
type pattern struct {
	segments []string
	policy   crdt.Policy
}

// policy returns the policy of the field at path.
func (r *rules) policy(path string) crdt.Policy {
	if p, ok := r.byPath[path]; ok {
		return p
	}
	if len(r.patterns) == 0 {
		return r.fallback
	}
	segments, err := SplitPath(path)
	if err != nil {
		return r.fallback
	}
	for _, p := range r.patterns {
		if p.matches(segments) {
			return p.policy
		}
	}
	return r.fallback
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

func (r *rules) add(segments []string, policy crdt.Policy) {
	if slices.Contains(segments, "*") || slices.Contains(segments, "**") {
		r.patterns = append(r.patterns, pattern{segments, policy})
		return
	}
	r.byPath[JoinPath(segments...)] = policy
}
