package replogtest

import (
	"maps"
	"slices"
)

// survived demands for each effect of each write that it shows, that a later write that
// knew of it took its place, or that a report names it: by each region that took in the
// writes one by one, for full states tell of no conflict that others settled.
// Of two releases one may not know what the other reports.
func (w *world) survived() {
	by := func(r *region, silence string, counts func(report) bool) {
		w.survivedBy(silence, counts)
		w.mechanismsSurvived(r, silence, counts)
	}
	if w.history.chaos || len(w.faces) > 1 {
		by(w.regions[0], "no report names it", func(report) bool { return true })
		return
	}
	for _, r := range w.regions {
		by(r, "no report of "+r.String()+" names it", func(rep report) bool { return slices.Contains(r.now.told, rep.id) })
	}
}

func (w *world) survivedBy(silence string, counts func(report) bool) {
	shown := w.shownByAll(w.regions[0])
	for _, x := range w.kept {
		if x.bare && shown[0] == nil && w.lost(x, "", marker, shown, counts) {
			w.fail(oracleSurvival, "the record without fields that %s created is gone without a trace: "+
				"no delete knew of it, and %s", w.name(x), silence)
		}
		for _, path := range slices.Sorted(maps.Keys(x.effects)) {
			val := x.effects[path]
			if !w.lacksCause(x, path) && w.lost(x, path, val, shown, counts) {
				w.fail(oracleSurvival, "%s of %s, which %s wrote, is gone without a trace: no region shows it, "+
					"no write that knew of it took its place, and %s", effectText(val, true), fieldText(path), w.name(x), silence)
			}
		}
	}
}

func (w *world) lost(x *write, path, val string, shown []map[string]string, counts func(report) bool) bool {
	if slices.ContainsFunc(shown, func(shown map[string]string) bool {
		return isVisible(path, val, shown) || w.isOvertaken(x, path, val, shown)
	}) {
		return false
	}
	if slices.ContainsFunc(w.kept, func(y *write) bool {
		return y.knew.has(x.id()) && (y.deletes || y.touches(path))
	}) {
		return false
	}
	return !slices.ContainsFunc(w.reports, func(r report) bool {
		if val == unset && r.Loser.Version == x.version && r.Loser.Value == nil && (w.isObjectOn(r.Field, path) || r.Field == path && w.isInObject(path)) {
			return true // that an object was removed is reported as a whole, and only where it shows again
		}
		return counts(r) && r.Field == path && (r.Loser.Version == x.version || r.Loser.Value != nil && string(r.Loser.Value) == val || w.overtakes(&r, x, val))
	})
}

// isVisible reports whether a value is what a reader sees. A map is there as long as
// anything below it is.
func isVisible(path, val string, shown map[string]string) bool {
	got, ok := shown[path]
	if val == marker && got != marker {
		for p, v := range shown {
			if below(p, path) && v != unset {
				return true
			}
		}
	}
	return got == val && (ok || val == unset)
}

// isOvertaken reports whether a field of max or min shows something beyond what x wrote
// there, in the record that x wrote to.
func (w *world) isOvertaken(x *write, path, val string, shown map[string]string) bool {
	e, ok := w.extreme(path)
	got := shown[path]
	return ok && val != unset && got != unset && lifeOf(w.regions[0].now.state) == x.life && e.Beyond([]byte(got), []byte(val))
}

// overtakes reports whether what a report names was beyond a value of x in a field of max
// or min, and so was to be seen in its place.
func (w *world) overtakes(r *report, x *write, val string) bool {
	e, ok := w.extreme(r.Field)
	y := w.find(r.Loser.Version)
	return ok && val != unset && y != nil && y.life == x.life && r.Loser.Value != nil && e.Beyond(r.Loser.Value, []byte(val))
}

// concurrent counts pairs of writes that gave one field different values, or that counted
// or changed elements in one, without knowing of each other.
func (w *world) concurrent() (n int) {
	for i, x := range w.order {
		for _, y := range w.order[:i] {
			if x.past.has(y.id()) || y.past.has(x.id()) {
				continue
			}
			for path, val := range x.effects {
				if other, ok := y.effects[path]; ok && other != val {
					n++
				}
			}
			for path := range x.does {
				if _, ok := y.does[path]; ok {
					n++
				}
			}
		}
	}
	return n
}
