package fieldmerge

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/lattice"
)

// DocumentSchema says which strategy each field of a JSON-shaped record has, by the
// field's path. Like a [Schema] it governs what readers see and nothing that is stored. It
// is immutable and safe for concurrent use; [NewDocumentSchema] is the only way to make one.
type DocumentSchema struct {
	*rules
	fingerprint string
}

// Field gives a strategy to every field of a [DocumentSchema] whose path matches the
// pattern. A pattern is a path (see [JoinPath]) in which "*" stands for one segment and a
// last "**" for one or more; within a longer segment "*" is an ordinary character, and
// "a.**" does not match "a" itself. Where several match, an exact path beats patterns, and
// the pattern that was given first beats later ones.
func Field(pattern string, s Strategy) Option {
	return func(d *draft) {
		segments, err := SplitPath(pattern)
		if err != nil {
			d.problem("Field: %w", err)
			return
		}
		for i, segment := range segments {
			if segment == "**" && i < len(segments)-1 {
				d.problem(`field %q: "**" stands in the middle; it may only be the last segment`, pattern)
			}
		}
		for _, f := range d.fields {
			if f.pattern == pattern {
				d.problem("field %q has two strategies; name each pattern once", pattern)
			}
		}
		d.fields = append(d.fields, fieldOption{pattern, segments, s})
	}
}

// Default gives a strategy to every field of a [DocumentSchema] that no pattern matches. A
// schema without it is not valid: there is no silent default.
func Default(s Strategy) Option {
	return func(d *draft) { d.fallback = append(d.fallback, s) }
}

// NewDocumentSchema makes a schema for JSON-shaped records from its options. It returns
// all that is wrong at once; each problem matches [ErrSchema] and names field and remedy.
func NewDocumentSchema(options ...Option) (*DocumentSchema, error) {
	d := newDraft(options, policyNames)
	r := &rules{byPath: make(map[string]crdt.Policy), ranks: d.ranks}
	f := newFingerprint("document", d.ranks)
	for _, one := range d.fields {
		r.add(one.segments, d.policy(fmt.Sprintf("field %q", one.pattern), one.strategy))
		rank := "exact" // the order of exact paths does not count
		if r.byPath[one.pattern] == nil {
			rank = strconv.Itoa(len(r.patterns))
		}
		f.add(one.pattern, rank, string(one.strategy))
	}
	switch len(d.fallback) {
	case 1:
		r.fallback = d.policy("Default", d.fallback[0])
		r.use(r.fallback)
		if mechanismOf(r.fallback) != lattice.KindRegister {
			d.problem("Default(%q): records hold more than numbers; give the fields that are meant Field(...)", d.fallback[0])
		}
		f.add("default", string(d.fallback[0]))
	case 0:
		d.problem("no Default(...); say which strategy fields have that no pattern matches")
	default:
		d.problem("Default is given %d times; give it once", len(d.fallback))
	}
	if err := d.done(); err != nil {
		return nil, err
	}
	return &DocumentSchema{rules: r, fingerprint: f.sum()}, nil
}

// Patterns returns the patterns that [Field] gave strategies to, in the order in which they
// apply: exact paths, sorted, and then the others.
func (s *DocumentSchema) Patterns() []string {
	all := slices.Sorted(maps.Keys(s.byPath))
	for _, p := range s.patterns {
		all = append(all, JoinPath(p.segments...))
	}
	return all
}

// Merger returns the merger of records under this schema, for [fieldwise.CheckLaws] or
// for a host's Domain; [OpenDocuments] uses it.
func (s *DocumentSchema) Merger() Merger { return Merger{rules: s.rules} }

// Fingerprint identifies the rules in all processes: schemas of one fingerprint show the
// same record for the same state, as far as functions of one name do the same.
func (s *DocumentSchema) Fingerprint() string { return s.fingerprint }
