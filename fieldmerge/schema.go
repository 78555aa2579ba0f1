package fieldmerge

import (
	"errors"
	"fmt"
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/lww"
	"github.com/fieldwise/fieldwise/regionpriority"
)

// Strategy names how concurrent values of a field are resolved.
type Strategy string

const (
	// LWW shows the value with the largest version: see package lww.
	LWW Strategy = "lww"
	// Priority shows the value from the region of the highest rank: see package
	// regionpriority. It needs [Ranks].
	Priority Strategy = "priority"
)

// ErrSchema says that a schema is not valid.
var ErrSchema = errors.New("fieldmerge: invalid schema")

// Schema says which strategy each field of a record has. It governs what readers see
// and what conflict reports say, and nothing that is stored: schemas may differ
// between regions and change at any time. It is immutable and safe for concurrent use;
// [NewSchema] is the only way to make one.
type Schema struct {
	rules    []rule
	byPath   map[string]crdt.Policy // rules without a wildcard
	fallback crdt.Policy
}

// rule gives a policy to the paths that match a pattern.
type rule struct {
	pattern  []string
	strategy Strategy
	policy   crdt.Policy
}

// Option is a part of a schema.
type Option func(*draft)

type draft struct {
	rules    []rule
	patterns map[string]bool
	fallback []Strategy
	ranks    []fieldwise.Region
	problems []error
}

// Field gives a strategy to every field whose path matches the pattern. A pattern is a
// path (see [JoinPath]) in which "*" stands for one segment and a last "**" for one or
// more; within a longer segment "*" is an ordinary character, and "a.**" does not match
// "a" itself. Where several match, an exact path beats patterns, and the pattern that was
// given first beats later ones.
func Field(pattern string, s Strategy) Option {
	return func(d *draft) {
		segments, err := SplitPath(pattern)
		if err != nil {
			d.problem("field %q: %w", pattern, err)
			return
		}
		for i, segment := range segments {
			if segment == "**" && i < len(segments)-1 {
				d.problem(`field %q: "**" stands in the middle; it may only be the last segment`, pattern)
			}
		}
		if d.patterns[pattern] {
			d.problem("field %q has two strategies; name each pattern once", pattern)
		}
		d.patterns[pattern] = true
		d.rules = append(d.rules, rule{pattern: segments, strategy: s})
	}
}

// Default gives a strategy to every field that no pattern matches. A schema without it
// is not valid: there is no silent default.
func Default(s Strategy) Option {
	return func(d *draft) { d.fallback = append(d.fallback, s) }
}

// Ranks ranks the regions for [Priority], the one that prevails first.
func Ranks(regions ...fieldwise.Region) Option {
	return func(d *draft) { d.ranks = append(d.ranks, regions...) }
}

// NewSchema makes a schema for JSON-shaped records from its options. It returns all
// that is wrong at once; each problem matches [ErrSchema] and names field and remedy.
func NewSchema(options ...Option) (*Schema, error) {
	d := draft{patterns: make(map[string]bool)}
	for _, o := range options {
		o(&d)
	}
	priority, err := regionpriority.NewPolicy(d.ranks...)
	if len(d.ranks) > 0 && err != nil {
		d.problem("%w", err)
	}
	policy := func(where string, s Strategy) crdt.Policy {
		switch s {
		case LWW:
			return lww.Policy{}
		case Priority:
			if len(d.ranks) == 0 {
				d.problem("%s: strategy %q needs Ranks(...), the region that prevails first", where, s)
			}
			return priority
		}
		d.problem("%s: unknown strategy %q; use %q or %q", where, s, LWW, Priority)
		return nil
	}
	s := &Schema{byPath: make(map[string]crdt.Policy)}
	for _, r := range d.rules {
		path := JoinPath(r.pattern...)
		r.policy = policy(fmt.Sprintf("field %q", path), r.strategy)
		if slices.Contains(r.pattern, "*") || slices.Contains(r.pattern, "**") {
			s.rules = append(s.rules, r)
		} else {
			s.byPath[path] = r.policy
		}
	}
	switch len(d.fallback) {
	case 1:
		s.fallback = policy("Default", d.fallback[0])
	case 0:
		d.problem("no Default(...); say which strategy fields have that no pattern matches")
	default:
		d.problem("Default is given %d times; give it once", len(d.fallback))
	}
	if err := errors.Join(d.problems...); err != nil {
		return nil, err
	}
	return s, nil
}

func (d *draft) problem(format string, args ...any) {
	d.problems = append(d.problems, fmt.Errorf("%w: "+format, append([]any{ErrSchema}, args...)...))
}

// policy returns the policy of the field at path.
func (s *Schema) policy(path string) crdt.Policy {
	if p, ok := s.byPath[path]; ok {
		return p
	}
	if len(s.rules) == 0 {
		return s.fallback
	}
	segments, err := SplitPath(path)
	if err != nil {
		return s.fallback
	}
	for _, r := range s.rules {
		if r.matches(segments) {
			return r.policy
		}
	}
	return s.fallback
}

func (r *rule) matches(path []string) bool {
	for i, segment := range r.pattern {
		switch {
		case i >= len(path):
			return false
		case segment == "**":
			return true
		case segment != "*" && segment != path[i]:
			return false
		}
	}
	return len(path) == len(r.pattern)
}

// Merger returns the merger of records under this schema, for [fieldwise.CheckLaws] or
// for a host's Domain; [Open] uses it.
func (s *Schema) Merger() Merger { return Merger{schema: s} }
