package fieldmerge

import (
	"context"
	"fmt"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
)

// Choice says to which value [Domain.Resolve] settles a field.
type Choice struct {
	kind    choiceKind
	version fieldwise.Version
	value   any
}

type choiceKind uint8

const (
	keepShown choiceKind = iota + 1
	keepVersion
	keepValue
)

// KeepShown settles a field on what readers see of it, computed values included.
func KeepShown() Choice { return Choice{kind: keepShown} }

// KeepVersion settles a field on the sibling that was written at v.
func KeepVersion(v fieldwise.Version) Choice { return Choice{kind: keepVersion, version: v} }

// KeepValue settles a field on a value of the caller's: see [Patch] for what it may be. For
// a field of a group it settles the group, the other fields of which stay as shown.
func KeepValue(v any) Choice { return Choice{kind: keepValue, value: v} }

// Resolve settles a conflict: it writes the chosen value to the field at path and so
// replaces all its siblings that this region holds, or with [IfMatch] those that the
// token's reader was shown. What the shape hid above or below the field goes, too. A field
// that has nothing to settle is left alone: the receipt is then zero. A path where nothing
// was ever written, and a version that no sibling has, are ErrSibling.
func (d *records) Resolve(ctx context.Context, key, path string, choice Choice, options ...WriteOption) (fieldwise.Receipt, error) {
	return d.update(ctx, "resolve "+path+" of", key, options, func(part *record) (update, error) {
		rec := *part
		if choice.kind == keepValue {
			c, settles, err := d.face.set(rec, path, choice.value)
			return update{changes: c, given: true, settles: settles, rests: map[string]bool{settles: settles != path}}, err
		}
		_, fields, err := rec.fields()
		if err != nil {
			return update{}, err
		}
		register := d.register(fields, path)
		val, err := choice.find(d.rules, rec, register)
		return update{changes: changes{register: val}, settles: register}, err
	})
}

// find returns the value that the choice means.
func (c Choice) find(r *rules, rec record, path string) ([]byte, error) {
	t, fields, err := rec.fields()
	if err != nil {
		return nil, err
	}
	v, err := r.view(rec)
	if err != nil {
		return nil, err
	}
	var siblings []fieldwise.Sibling
	if f := v.find(path); f != nil {
		siblings, err = lattice.Read(nil, f.kind, t, lattice.FindField(fields, path, f.kind))
		f.leaveOutRemoved(siblings)
	}
	switch {
	case err != nil:
		return nil, err
	case len(siblings) == 0:
		return nil, fmt.Errorf("%w: nothing was ever written at %q", ErrSibling, path)
	case c.kind == keepShown:
		s, _ := lattice.Show(r.policy(path), siblings) // a policy that fails shows the newest
		return s.Value, nil
	case c.kind != keepVersion:
		return nil, fmt.Errorf("%w: the zero Choice; use KeepShown, KeepVersion or KeepValue", ErrSibling)
	}
	for _, s := range siblings {
		if s.Version == c.version {
			return s.Value, nil
		}
	}
	return nil, fmt.Errorf("%w: no current value of %q was written at %v", ErrSibling, path, c.version)
}
