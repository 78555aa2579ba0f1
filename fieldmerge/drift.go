package fieldmerge

import (
	"cmp"
	"context"
	"reflect"
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
)

// DriftKind says how stored fields and a schema differ.
type DriftKind string

// The kinds of drift. None of them loses anything: the values stay as they are stored, and
// releases whose schema has them read them.
const (
	// DriftType: the value does not fit the field's Go type, and reads as zero.
	DriftType DriftKind = "type"
	// DriftUnknown: the schema has no such field, or a group of it has no such field. One
	// that is unset does not count.
	DriftUnknown DriftKind = "unknown"
	// DriftFormer: a release that has not heard of a field's new name, or of its group,
	// wrote it in its old place, and by the versions that is newer than what is in its new
	// one. Readers see the new place.
	DriftFormer DriftKind = "former"
	// DriftMechanism: the field is stored under another mechanism only (max, min, or neither
	// of them), and reads as zero.
	DriftMechanism DriftKind = "kind"
)

// FieldDrift counts the records in which one field and the schema differ.
type FieldDrift struct {
	Path    string // of map entries the map's path and "*": "prefs.*"; what a group has besides, behind its name: "price.tax"
	Kind    DriftKind
	Records int
	Example string // the key of one of them, the first in byte order
	Err     error  // of DriftType: what does not fit in the example, a FieldError
}

// Drift goes through the live records whose keys start with prefix, and counts where what
// is stored and the schema differ, by path and kind: other releases of the service wrote
// it, or this one before its schema changed. None at all means that the schema shows all
// that is stored. It reads every record, each when it is its turn.
func (d *Domain[T]) Drift(ctx context.Context, prefix string) ([]FieldDrift, error) {
	found := make(map[drifted]*FieldDrift)
	for key, err := range d.store.Keys(ctx, prefix) {
		if err != nil {
			return nil, d.failAll("drift", err)
		}
		err = d.store.Read(ctx, key, func(state []byte) error {
			rec, err := cutRecord(state)
			if err != nil || !rec.live() {
				return err
			}
			return d.plan.drift(d.rules, rec, func(at drifted, misfit *FieldError) {
				f := found[at]
				if f == nil {
					f = &FieldDrift{Path: at.path, Kind: at.kind, Example: key}
					found[at] = f
					if misfit != nil {
						misfit.Key, f.Err = key, misfit
					}
				}
				f.Records++
			})
		})
		if err != nil {
			return nil, d.fail("drift", key, err)
		}
	}
	all := make([]FieldDrift, 0, len(found))
	for _, f := range found {
		all = append(all, *f)
	}
	slices.SortFunc(all, func(a, b FieldDrift) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Kind, b.Kind))
	})
	return all, nil
}

// drifted is what drift is counted by.
type drifted struct {
	path string
	kind DriftKind
}

// drift calls report once for each field, or map whose entries, differ in a record.
func (p *plan) drift(r *rules, rec record, report func(at drifted, misfit *FieldError)) error {
	rd, err := p.read(r, rec)
	if err != nil {
		return err
	}
	p.root.fill(rd, "", reflect.New(p.typ).Elem())
	all := make(map[drifted]*FieldError)
	for _, e := range rd.errs {
		at := drifted{p.standing(e.Field).pattern, DriftType}
		if all[at] == nil {
			all[at] = e
		}
	}
	t, fields, err := rec.fields()
	if err != nil {
		return err
	}
	written := make(map[string]fieldwise.Version)
	type formerly struct {
		standing
		newest fieldwise.Version
	}
	old := make(map[place]formerly)
	for len(fields) > 0 {
		f, rest, ok := lattice.CutField(fields)
		if !ok {
			return errFieldEnds
		}
		fields = rest
		siblings, err := lattice.Read(nil, f.Kind, t, f.Body)
		if err != nil {
			return err
		}
		if f.Kind == lattice.KindCreated || len(siblings) == 0 {
			continue
		}
		path, newest := string(f.Name), siblings[len(siblings)-1].Version
		st := p.standing(path)
		if st.state == FieldShown && f.Kind != r.kind(path) {
			st.now = path
			old[place{rel: path, register: f.Kind}] = formerly{st, newest}
			continue
		}
		written[path] = newest
		switch st.state {
		case FieldUnknown: // below one value it is a misfit of that, or hidden
			if st.above == "" && slices.ContainsFunc(siblings, func(s fieldwise.Sibling) bool { return s.Value != nil }) {
				all[drifted{st.pattern, DriftUnknown}] = nil
			}
		case FieldFormer:
			old[place{rel: path, register: f.Kind}] = formerly{st, newest}
		case FieldShown:
			for _, s := range siblings {
				for name := range st.group.others(s.Value) {
					all[drifted{st.pattern + "." + JoinPath(name), DriftUnknown}] = nil
				}
			}
		}
	}
	for _, was := range old {
		now, ok := written[was.now]
		switch {
		case was.state == FieldFormer || was.changed:
			if ok && was.newest.Compare(now) > 0 {
				all[drifted{was.pattern, DriftFormer}] = nil
			}
		case !ok:
			all[drifted{was.pattern, DriftMechanism}] = nil
		}
	}
	for at, misfit := range all {
		report(at, misfit)
	}
	return nil
}
