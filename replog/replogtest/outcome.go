package replogtest

import (
	"errors"
	"maps"
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
)

// outcome checks what a write did.
func (a *act) outcome(receipt fieldwise.Receipt, err error) {
	w, made := a.w, a.w.made
	changed := (*fieldmerge.ChangedError)(nil)
	switch {
	case errors.As(err, &changed) && a.under != nil:
		a.refused(a.doing, receipt, err, err)
		w.tell("%s %s the record%s, and is refused: %v", a.r, a.doing, a.underText(), changed)
		a.reallyChanged(changed)
		return
	case errors.Is(err, fieldmerge.ErrPath) && a.missesObject():
		a.refused(a.doing, receipt, err, err)
		w.tell("%s %s the record%s, and is refused: %v", a.r, a.doing, a.underText(), err)
		return
	case errors.Is(err, fieldmerge.ErrDirection):
		a.refused(a.doing, receipt, err, err)
		a.goesBack(err)
		return
	case err != nil:
		w.fail(oracleErrors, "%s %s the record%s: %v", a.r, a.doing, a.underText(), err)
	case made == nil && !receipt.IsZero():
		w.fail(oracleErrors, "%s %s the record%s: nothing was written, and the receipt is %v", a.r, a.doing, a.underText(), receipt)
	case made != nil && receipt.Version() != made.version:
		w.fail(oracleErrors, "%s %s the record%s as %v, and the receipt is %v", a.r, a.doing, a.underText(), made.version, receipt)
	}
	if made != nil && a.under != nil {
		a.keptTheRest(made)
		a.tookBackWhatWasShown(made)
	}
	if made != nil {
		a.goesOn(made)
	}
	a.didAll()
	a.isSettled()
	a.roundTrip()
	a.isPatched()
	if a.rnd.IntN(4) == 0 {
		a.noOp()
	}
}

// missesObject reports whether a list by key has no longer an object that the writer was shown
// and wants to keep.
func (a *act) missesObject() bool {
	if a.base == nil {
		return false
	}
	saw := a.r.face().leaves("", a.base)
	for path, to := range a.r.face().leaves("", a.asks[""]) {
		if m, _ := a.w.mechanism(path); m.kind != lattice.KindKeyed {
			continue
		}
		now := partsOf(a.now(path))
		for _, object := range partsOf(saw[path].val) {
			if has(partsOf(to.val), object) && !has(now, object) {
				return true
			}
		}
	}
	return false
}

// isSettled demands that a field that was settled has one value, the chosen one.
func (a *act) isSettled() {
	if a.settled == "" {
		return
	}
	if all := a.siblings(a.r.now.state, a.settled); len(all) > 1 {
		a.w.fail(oracleErrors, "%s was settled in %s, and has several values: %s", fieldText(a.settled), a.r, a.w.siblingsText(a.r, a.settled))
	}
	if got := a.w.shown(a.r)[a.settled]; a.chooses && got != a.chosen {
		a.w.fail(oracleRoundTrip, "%s was settled on %s in %s, and a reader gets %s", fieldText(a.settled), valueText(a.chosen), a.r, valueText(got))
	}
}

// roundTrip demands that readers see what was written.
func (a *act) roundTrip() {
	if a.want == nil {
		return
	}
	got, live := a.w.get(a.r)
	if !live {
		a.w.fail(oracleRoundTrip, "%s %s a record, and a reader sees none", a.r, a.doing)
	}
	if d := a.r.face().differ(a.want, got); d != "" {
		a.w.fail(oracleRoundTrip, "what %s wrote is not what a reader in the same region gets: %s", a.r, d)
	}
}

// isPatched demands that readers see all of what a patch set, and nothing beside it there: what
// it does not name of a struct or a map is gone.
func (a *act) isPatched() {
	f, typed := a.r.face().(interface {
		differAt(path string, record, v any) string
	})
	if a.doing != "patches" || a.under != nil || !typed {
		return
	}
	got, _ := a.w.get(a.r)
	for _, path := range slices.Sorted(maps.Keys(a.asks)) {
		if d := f.differAt(path, got, a.asks[path]); d != "" {
			a.w.fail(oracleRoundTrip, "what %s patches is not what a reader in the same region gets: %s", a.r, d)
		}
	}
}

const unchanged = "updates, without a change," // what noOp does

// noOp demands that an update without a change writes nothing.
func (a *act) noOp() {
	w, made := a.w, a.w.made
	if _, live := w.get(a.r); !live {
		return
	}
	w.made, a.doing, a.under, a.base, a.asks, a.unsets = nil, unchanged, nil, nil, nil, nil
	receipt, err := a.d.update(func(v any) any { return v }, nil)
	switch {
	case err != nil:
		w.fail(oracleErrors, "an update in %s that changes nothing: %v", a.r, err)
	case w.made != nil || !receipt.IsZero():
		w.fail(oracleNoOp, "an update in %s that changes nothing writes something", a.r)
	}
	w.made = made
}

// keptTheRest demands of a write under a token that it took the place of nothing that
// the token did not show. A delete may: what it did not know of is reported.
func (a *act) keptTheRest(made *write) {
	w := a.w
	paths := slices.Sorted(maps.Keys(made.effects))
	if made.deletes {
		paths, _, _ = pathsOf(a.before.state)
	}
	for _, path := range paths {
		after := a.siblings(a.r.now.state, path)
		for _, s := range a.siblings(a.before.state, path) {
			x := w.find(s.Version)
			if x == nil || a.under.knew.has(x.id()) {
				continue
			}
			if x.region == a.r {
				w.fail(oracleTokens, "%s takes the place of %s, which the token does not show and which %s wrote itself since: a ChangedError was due",
					w.name(made), w.name(x), a.r)
			}
			if !made.deletes && !slices.ContainsFunc(after, func(s fieldwise.Sibling) bool { return s.Version == x.version }) {
				w.fail(oracleTokens, "%s takes the place of %s in %s, which the token does not show: both should stay",
					w.name(made), w.name(x), fieldText(path))
			}
		}
	}
}

// tookBackWhatWasShown is keptTheRest for fields that are no registers: what the token does
// not show of a counter or a set stays.
func (a *act) tookBackWhatWasShown(made *write) {
	for _, path := range slices.Sorted(maps.Keys(made.does)) {
		f := made.does[path]
		for _, d := range f.gone {
			if x := a.w.writes[d.write]; !a.under.knew.has(x.id()) {
				a.w.fail(oracleTokens, "%s takes back %s in %s of %s, which the token does not show",
					a.w.name(made), a.w.dotText(path, d), fieldText(path), a.w.name(x))
			}
		}
	}
}

// goesBack demands of a refusal that the write does go back in the field that is named, one
// of max or min or one that only grows.
func (a *act) goesBack(err error) {
	w := a.w
	named := (*fieldmerge.FieldError)(nil)
	if !errors.As(err, &named) {
		w.fail(oracleErrors, "%s %s the record%s: the error names no field: %v", a.r, a.doing, a.underText(), err)
	}
	w.tell("%s %s the record%s, and is refused: %v", a.r, a.doing, a.underText(), named)
	if e, ok := a.edits()[named.Field]; ok {
		if !e.grows || !e.goesBack() {
			w.fail(oracleErrors, "%s %s the record%s and is refused, and does not go back in %s from %s to %s: %v", a.r, a.doing, a.underText(),
				fieldText(named.Field), mechanismText(e.mechanism, e.from), mechanismText(e.mechanism, e.to), err)
		}
		return
	}
	e, ok := w.extreme(named.Field)
	asked, now := a.asked(named.Field), best(e, a.siblings(a.before.state, named.Field))
	if !ok || asked == nil || now == nil || !e.Beyond(now, asked) {
		w.fail(oracleErrors, "%s %s the record%s and is refused, and does not go back in %s from %s to %s: %v", a.r, a.doing, a.underText(),
			fieldText(named.Field), valueText(string(now)), valueText(string(asked)), err)
	}
}

// asked is the encoded value that the writer asked for at a path; nil for none.
func (a *act) asked(path string) []byte {
	for at, v := range a.asks {
		if at != "" && at != path && !below(path, at) {
			continue
		}
		rest, _ := fieldmerge.SplitPath(path)
		if at != "" {
			above, _ := fieldmerge.SplitPath(at)
			rest = rest[len(above):]
		}
		return a.r.face().at(at, v, rest)
	}
	return nil
}

// goesOn demands that a write that was acknowledged takes no field of max or min back. Under
// a token it may set less than what is there, and beside it; and where the token's reader
// knew of writes that have not arrived here, what is here may have been unset there.
func (a *act) goesOn(made *write) {
	ahead := a.under != nil && a.under.knew&^a.before.held != 0
	for _, path := range slices.Sorted(maps.Keys(made.effects)) {
		e, ok := a.w.extreme(path)
		if !ok || made.effects[path] == unset {
			continue
		}
		before := slices.DeleteFunc(a.siblings(a.before.state, path), func(s fieldwise.Sibling) bool {
			x := a.w.find(s.Version)
			return ahead && x != nil && a.under.knew.has(x.id())
		})
		was, is := best(e, before), best(e, a.siblings(a.r.now.state, path))
		if was != nil && e.Beyond(was, is) {
			a.w.fail(oracleErrors, "%s takes %s, a field of %s, from %s back to %s: an ErrDirection was due",
				a.w.name(made), fieldText(path), e.Name(), valueText(string(was)), valueText(string(is)))
		}
	}
}

// reallyChanged demands of a refusal that this region did change what it names since
// the token's read. A patch of a group's field rests on the others, whoever changed them,
// and so does a list that is too large for a token.
func (a *act) reallyChanged(e *fieldmerge.ChangedError) {
	anybody := a.doing == "patches" || a.doing == "settles"
	since := slices.DeleteFunc(slices.Clone(a.w.order), func(x *write) bool {
		return x.region != a.r && !anybody || a.under.held.has(x.id())
	})
	if !e.Recreated && len(e.Fields) == 0 && !slices.ContainsFunc(since, func(x *write) bool { return x.deletes || x.bare }) {
		a.w.fail(oracleTokens, "%s refuses a delete since the record was created there, and nobody created it there since the token was read", a.r)
	}
	for _, f := range e.Fields {
		among := since
		if f.Hashed {
			among = slices.DeleteFunc(slices.Clone(a.w.order), func(x *write) bool { return a.under.held.has(x.id()) })
		}
		if !slices.ContainsFunc(among, func(x *write) bool { return x.deletes || x.touches(f.Path) }) {
			a.w.fail(oracleTokens, "%s refuses a write since %s changed there, and nobody changed it there since the token was read", a.r, fieldText(f.Path))
		}
	}
}
