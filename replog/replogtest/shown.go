package replogtest

import (
	"errors"
	"slices"

	"github.com/fieldwise/fieldwise"
)

// shown is what a reader in a region sees, by path: encoded values that somebody wrote
// there, and unset where that is what the policy shows. What a policy computed and what
// the shape hides is not in it. It is nil where there is no record.
func (w *world) shown(r *region) map[string]string {
	paths, live, err := pathsOf(r.now.state)
	if err != nil {
		w.fail(oracleErrors, "%s cannot be read: %v", r, err)
	}
	if !live {
		return nil
	}
	if r.shown != nil {
		return r.shown
	}
	shown, d := make(map[string]string), w.open(r)
	for _, path := range paths {
		if val, ok := w.shownAt(r, d, path); ok {
			shown[path] = val
		}
	}
	r.shown = shown
	return shown
}

// shownByAll is what readers in a region would see under each release.
func (w *world) shownByAll(r *region) (all []map[string]string) {
	now := r.release
	for i := range w.faces {
		r.release, r.shown = i, nil
		all = append(all, w.shown(r))
	}
	r.release, r.shown = now, nil
	return all
}

// shownAt is what shown has at one path.
func (w *world) shownAt(r *region, d domain, path string) (val string, ok bool) {
	all, err := d.siblings(path)
	if errors.Is(err, fieldwise.ErrNotFound) {
		return "", false
	}
	if err != nil {
		w.fail(oracleErrors, "the siblings of %s in %s: %v", fieldText(path), r, err)
	}
	for _, s := range all {
		if s.Shown {
			return w.valueOf(r, path, s.Version), true
		}
	}
	return "", false
}

// valueOf is what a version wrote at a path, from the bytes of a region's state.
func (w *world) valueOf(r *region, path string, v fieldwise.Version) string {
	all, err := siblingsAt(r.now.state, path)
	i := slices.IndexFunc(all, func(s fieldwise.Sibling) bool { return s.Version == v })
	if err != nil || i < 0 {
		w.fail(oracleErrors, "%s shows at %s the version %v, which is not there: %v", r, fieldText(path), v, err)
	}
	return string(all[i].Value)
}

// get reads the record in a region, twice.
func (w *world) get(r *region) (v any, live bool) {
	d := w.open(r)
	v, err := d.get()
	if err != nil && !errors.Is(err, fieldwise.ErrNotFound) {
		w.fail(oracleErrors, "%s cannot be read: %v", r, err)
	}
	live = err == nil
	again, err := d.get()
	if live != (err == nil) {
		w.fail(oracleConverge, "%s, read twice, shows a record once", r)
	}
	if live {
		w.sameTwice(r, v, again)
	}
	return v, live
}

func (w *world) open(r *region) domain {
	d, err := r.face().open(r, key)
	if err != nil {
		w.fail(oracleErrors, "the domain does not open: %v", err)
	}
	if w.plant.domain != nil {
		d = w.plant.domain(w, d)
	}
	return d
}
