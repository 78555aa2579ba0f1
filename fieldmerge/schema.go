package fieldmerge

import (
	"reflect"

	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/lww"
)

// Schema says how the records of Go type T are stored, and which strategy each field has.
// It governs what readers see and what conflict reports say, and nothing that is stored:
// schemas may differ between regions and change at any time. It is immutable and safe for
// concurrent use; [NewSchema] is the only way to make one.
type Schema[T any] struct {
	*rules
	plan        *plan
	fingerprint string
}

// NewSchema makes the schema of a struct type from the `merge` tags of its fields; see the
// package comment for what they say. It returns all that is wrong at once; each problem
// matches [ErrSchema] and names struct, field and remedy.
func NewSchema[T any](options ...Option) (*Schema[T], error) {
	d := newDraft(options, strategyNames)
	if len(d.fields) > 0 || len(d.fallback) > 0 {
		d.problem("Field(...) and Default(...) are for NewDocumentSchema; the strategies of a struct are in its tags")
	}
	r := &rules{byPath: make(map[string]crdt.Policy), fallback: lww.Policy{}, closed: true, ranks: d.ranks}
	f := newFingerprint("struct", d.ranks)
	p := newPlan(reflect.TypeFor[T](), d, r, f)
	if err := d.done(); err != nil {
		return nil, err
	}
	return &Schema[T]{rules: r, plan: p, fingerprint: f.sum()}, nil
}

// Merger returns the merger of records under this schema, for [fieldwise.CheckLaws] or
// for a host's Domain; [Open] uses it.
func (s *Schema[T]) Merger() Merger { return Merger{rules: s.rules} }

// Fingerprint identifies names, strategies, groups and kinds of values of the fields, and
// the ranks, in all processes. Regions whose schemas have one fingerprint show the same
// record, as far as custom functions of one name do the same. Names of Go types and fields
// do not count, but for those of structs that are one value.
func (s *Schema[T]) Fingerprint() string { return s.fingerprint }
