package replogtest

import (
	"bytes"
	"maps"
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
)

// showsMechanisms demands that what a region holds of counters, sets, lists and flags
// comes to what was counted and added there, and was not taken back by a write that knew
// of it.
func (w *world) showsMechanisms(r *region) {
	if len(r.now.shall.fields) == 0 {
		return
	}
	paths, live, err := pathsOf(r.now.state)
	if err != nil {
		w.fail(oracleErrors, "%s cannot be read: %v", r, err)
	}
	shall := r.now.shall
	if live != (shall.life%2 == 1) || !live {
		return
	}
	for path := range shall.fields {
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	for _, path := range paths {
		m, ok := w.mechanism(path)
		if !ok {
			continue
		}
		all, err := siblingsAt(r.now.state, path)
		if err != nil {
			w.fail(oracleErrors, "%s cannot be read: %v", r, err)
		}
		var got []byte
		if len(all) > 0 {
			got = all[0].Value
		}
		want := shall.fields[path].value(w, path, m)
		if !bytes.Equal(sorted(m, got), sorted(m, want)) {
			w.fail(oracleSums, "%s shows %s in %s, and the writes that it holds come to %s:\n%s",
				r, mechanismText(m, got), fieldText(path), mechanismText(m, want), w.dotsText(path, shall.fields[path]))
		}
		if m.ordered() {
			w.keepsOrder(r, path, got)
		}
	}
}

// sorted is a value that compares with what the elements of a list come to in any order.
func sorted(m mechanism, val []byte) []byte {
	val = m.normal(val)
	if m.ordered() && val != nil {
		parts := partsOf(val)
		slices.SortFunc(parts, bytes.Compare)
		return listOf(parts)
	}
	return val
}

// keepsOrder demands that values which one write put into a list in some order stand in
// that order, as long as nobody moved them.
func (w *world) keepsOrder(r *region, path string, got []byte) {
	all := r.now.shall.fields[path]
	shown := partsOf(got)
	for _, x := range w.order {
		f, ok := x.does[path]
		if !ok || !r.now.held.has(x.id()) || x.life != r.now.shall.life {
			continue
		}
		last, before := -1, dot{}
		for _, d := range f.order {
			if !all[d] || !all.alone(d) {
				continue
			}
			at := slices.IndexFunc(shown, func(v []byte) bool { return string(v) == d.value })
			if at < last {
				w.fail(oracleSums, "%s shows %s before %s in %s, and %s put them the other way round",
					r, valueText(d.value), valueText(before.value), fieldText(path), w.name(x))
			}
			last, before = at, d
		}
	}
}

// alone reports whether nothing else with the value of d is left.
func (all dots) alone(d dot) bool {
	for other, stays := range all {
		if stays && other != d && other.value == d.value {
			return false
		}
	}
	return true
}

// inOrder lists, in the order in which a writer put them, those of the values of a list
// that are there once.
func inOrder(to []byte, after dots) (all []dot) {
	parts := partsOf(to)
	for i, v := range parts {
		if has(parts[:i], v) || has(parts[i+1:], v) {
			continue
		}
		for d, stays := range after {
			if stays && d.value == string(v) && after.alone(d) {
				all = append(all, d)
			}
		}
	}
	return all
}

// recordShowsMechanisms demands of a record that was read that it has what the state has.
func (w *world) recordShowsMechanisms(r *region, record any) {
	shown := w.shown(r)
	for _, path := range slices.Sorted(maps.Keys(shown)) {
		m, ok := w.mechanism(path)
		if !ok {
			continue
		}
		segments, _ := fieldmerge.SplitPath(path)
		if r.ignores(path) {
			continue
		}
		got, want := m.normal(orNothing(r.face().at("", record, segments))), m.normal(withoutRemoved(m, path, []byte(shown[path]), shown))
		if !bytes.Equal(got, want) {
			w.fail(oracleSums, "a record read in %s has %s in %s, and the field is %s", r, mechanismText(m, got), fieldText(path), mechanismText(m, want))
		}
	}
}

// didAll demands that a write which was acknowledged did what it was asked to do in fields
// that are no registers, and nothing that goes back where they only grow.
func (a *act) didAll() {
	w, made := a.w, a.w.made
	for path, e := range a.edits() {
		if e.grows && e.goesBack() {
			w.fail(oracleErrors, "%s %s %s, a field of %s, from %s back to %s: an ErrDirection was due",
				a.r, a.doing, fieldText(path), a.r.face().strategy(path), mechanismText(e.mechanism, e.from), mechanismText(e.mechanism, e.to))
		}
		if made == nil && a.asksFor(path, e) {
			w.fail(oracleErrors, "%s %s %s, and nothing was written", a.r, a.doing, fieldText(path))
		}
		if e.ordered() && made != nil && !made.deletes {
			a.listedRight(path, e)
		}
	}
}

// asksFor reports whether an edit has to write something.
func (a *act) asksFor(path string, e edit) bool {
	if e.ordered() {
		return e.current && !bytes.Equal(e.normal(e.from), e.normal(e.to))
	}
	none := &write{step: a.w.step, region: a.r}
	if a.under != nil {
		none.seen = a.under.seen
	}
	f, _ := a.effect(none, path, e, a.before.shall.fields[path])
	return !f.empty()
}

// listedRight demands that a list has what the writer asked for: just that where it was
// made from what the region shows, and else about as many of each value.
func (a *act) listedRight(path string, e edit) {
	got := orNothing(a.nowIs(path))
	if e.current && a.under == nil {
		if !bytes.Equal(e.normal(got), e.normal(e.to)) {
			a.w.fail(oracleRoundTrip, "%s %s %s, and a reader in the same region gets %s",
				a.r, a.doing, mechanismText(e.mechanism, e.to), mechanismText(e.mechanism, got))
		}
		return
	}
	if e.to == nil {
		return
	}
	count := func(val []byte, v []byte) (n int) {
		for _, p := range partsOf(val) {
			if bytes.Equal(p, v) {
				n++
			}
		}
		return n
	}
	now := a.now(path)
	for _, v := range slices.Concat(partsOf(now), partsOf(e.from), partsOf(e.to)) {
		had, from, to := count(now, v), count(e.from, v), count(e.to, v)
		least, most := had-max(0, from-to), had+max(0, to-from)+max(0, from-had)
		if n := count(got, v); n < least || n > most {
			a.w.fail(oracleSums, "%s %s %s from %s to %s where it was %s, and has %s %d times then; want %d to %d",
				a.r, a.doing, fieldText(path), mechanismText(e.mechanism, e.from), mechanismText(e.mechanism, e.to), mechanismText(e.mechanism, now),
				valueText(string(v)), n, least, most)
		}
	}
}

// nowIs is what the region shows of a field after the write.
func (a *act) nowIs(path string) []byte {
	if all := a.siblings(a.r.now.state, path); len(all) > 0 {
		m, _ := a.w.mechanism(path)
		return withoutRemoved(m, path, all[0].Value, a.w.shown(a.r))
	}
	return nil
}

// reportedOther checks a report of a field that is no register: of what was dropped, which
// came to dropped, or of what is hidden by the record's shape.
func (w *world) reportedOther(r *region, c *fieldwise.Conflict, m mechanism, loser *write, dropped holding) {
	switch c.Kind {
	case fieldwise.ConflictDelete:
		all := dropped.fields[c.Field]
		if m.kind == lattice.KindCounter {
			want := all.sum(w, c.Field, func(x *write) bool { return x.version.Origin == loser.version.Origin })
			if number(c.Loser.Value).Cmp(want) != 0 {
				w.fail(oracleReports, "%s reports that a delete drops %s of %s, which %s counted, and that is %v",
					r, valueText(string(c.Loser.Value)), fieldText(c.Field), loser.region, want)
			}
			return
		}
		for _, d := range loser.does[c.Field].added {
			if stays, known := all[d]; d.value == string(c.Loser.Value) && (stays || !known) { // a delta names what stays beside what it removes
				return
			}
		}
		w.fail(oracleReports, "%s reports that a delete drops %s of %s, which %s did not add, or which was removed",
			r, valueText(string(c.Loser.Value)), fieldText(c.Field), w.name(loser))
	case fieldwise.ConflictShape:
		want := r.now.shall.fields[c.Field].value(w, c.Field, m)
		lost := c.Loser.Value
		if m.kind == lattice.KindKeyed {
			lost, want = withoutRemoved(m, c.Field, lost, w.shown(r)), withoutRemoved(m, c.Field, want, w.shown(r))
		}
		if !bytes.Equal(sorted(m, lost), sorted(m, want)) {
			w.fail(oracleReports, "%s reports that %s of %s is hidden, which is %s", r, mechanismText(m, c.Loser.Value), fieldText(c.Field), mechanismText(m, want))
		}
	default:
		w.fail(oracleReports, "%s reports %s of %s, a field of %s: all that is written there comes together", r, c.Kind, fieldText(c.Field), w.strategies(c.Field)[0])
	}
}

// mechanismsSurvived demands for all that was counted and added that it shows, that a write
// which knew of it took it back, or that reports name it. That what a record holds shows,
// showsMechanisms has seen.
func (w *world) mechanismsSurvived(r *region, silence string, counts func(report) bool) {
	last := r.now.shall.life
	lives := make(map[uint64]holding) // what each life of the record came to
	for _, x := range w.kept {
		lives[x.life] = x.comes.join(holding{life: x.life, fields: lives[x.life].fields})
	}
	shown := w.shownByAll(r)
	for _, x := range w.kept {
		for _, path := range slices.Sorted(maps.Keys(x.does)) {
			f := x.does[path]
			for _, d := range f.added {
				if f.kind == lattice.KindCounter && f.amount.Sign() == 0 || !lives[x.life].fields[path][d] {
					continue
				}
				visible := slices.ContainsFunc(shown, func(shown map[string]string) bool { _, ok := shown[path]; return ok })
				if x.life == last && (visible || w.goesUnseen(path) || w.lacksCause(x, path)) || x.life != last && w.deletedKnowingly(x) || w.isReported(x, path, d, x.life == last, counts) {
					continue
				}
				w.fail(oracleSurvival, "%s in %s, which %s wrote, is gone without a trace: no region shows it, no write that knew of it took it back, and %s",
					w.dotText(path, d), fieldText(path), w.name(x), silence)
			}
		}
	}
}

func (w *world) deletedKnowingly(x *write) bool {
	return slices.ContainsFunc(w.kept, func(y *write) bool { return y.deletes && y.knew.has(x.id()) })
}

// isReported reports whether a report names what a write counted or added. One of a counter
// names all that an origin counted, up to its last write, and one of a shape all of a field.
func (w *world) isReported(x *write, path string, d dot, isHidden bool, counts func(report) bool) bool {
	return slices.ContainsFunc(w.reports, func(r report) bool {
		if !counts(r) || r.Field != path {
			return false
		}
		l := r.Loser
		switch {
		case isHidden:
			return r.Kind == fieldwise.ConflictShape
		case d.value == "":
			return l.Version.Origin == x.version.Origin && l.Version.Time >= x.version.Time
		}
		return l.Version == x.version || string(l.Value) == d.value
	})
}
