package replogtest

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
)

// CheckReleases is [CheckSchema] for a deploy: regions run two releases of a service, whose
// schemas differ, and go from one to the other and back while the histories go on. What
// CheckSchema demands holds in each release for the fields that it knows, and no release
// touches those that it does not know.
//
// A field that both have is stored alike in both, and none has a former name or is in a group:
// other schemas are refused. EVOLUTION.md of package fieldmerge says which changes are made
// in steps; each of these can be checked. What a release does not know it does not report, so
// that a value counts as reported if any region does, and what one release alone counts or adds in
// an object of a list by key may go with the object. Options.Sample is refused.
func CheckReleases[Old, New any](t testing.TB, old *fieldmerge.Schema[Old], next *fieldmerge.Schema[New], o Options) {
	t.Helper()
	switch {
	case old == nil || next == nil:
		t.Fatal("replogtest: a schema is nil; make one with fieldmerge.NewSchema")
	case o.Sample != nil:
		t.Fatal("replogtest: Options.Sample makes records of one release, and CheckReleases checks two")
	}
	if err := oneKind(reflect.TypeFor[Old](), reflect.TypeFor[New](), nil); err != nil {
		t.Fatal("replogtest: " + err.Error())
	}
	check(t, o, &typed[Old]{schema: old, maker: newMaker()}, &typed[New]{schema: next, maker: newMaker()})
}

// oneKind says which field of two structs the check does not know in two releases.
func oneKind(old, next reflect.Type, at []string) error {
	in := func(f field) string { return fieldmerge.JoinPath(append(at[:len(at):len(at)], f.path...)...) }
	for _, f := range slices.Concat(fieldsOf(old), fieldsOf(next)) {
		if !f.simple {
			return fmt.Errorf("%q has a former name or is in a group, which CheckReleases does not know", in(f))
		}
	}
	for _, f := range fieldsOf(old) {
		for _, g := range fieldsOf(next) {
			if f.path[0] != g.path[0] {
				continue
			}
			if formOf(f.strategy) != formOf(g.strategy) {
				return fmt.Errorf("%q is %s in one release and %s in the other; give it a new name, and deploy it in steps", in(f), f.strategy, g.strategy)
			}
			if err := oneKindWithin(f.typ, g.typ, f.strategy, append(at[:len(at):len(at)], f.path...)); err != nil {
				return err
			}
		}
	}
	return nil
}

func oneKindWithin(old, next reflect.Type, strategy string, at []string) error {
	for old.Kind() == reflect.Pointer {
		old = old.Elem()
	}
	for next.Kind() == reflect.Pointer {
		next = next.Elem()
	}
	each, isMap := strings.CutPrefix(strategy, "each=")
	_, keyed := keyOf(fieldmerge.Strategy(strategy))
	switch {
	case isMap:
		return oneKindWithin(old.Elem(), next.Elem(), each, append(at, "*"))
	case keyed:
		return oneKind(old.Elem(), next.Elem(), append(at, "*"))
	case strategy == "nested":
		return oneKind(old, next, at)
	}
	return nil
}

// formOf is what two strategies have in common whose fields are stored alike.
func formOf(strategy string) string {
	if each, ok := strings.CutPrefix(strategy, "each="); ok {
		return "each=" + formOf(each)
	}
	if _, ok := keyOf(fieldmerge.Strategy(strategy)); ok || strategy == "nested" {
		return strategy
	}
	if e, ok := extremeOf(fieldmerge.Strategy(strategy)); ok {
		return e.Name()
	}
	if m, ok := mechanisms[fieldmerge.Strategy(strategy)]; ok && m.kind != lattice.KindCounter {
		return m.kind.String()
	}
	if _, ok := mechanisms[fieldmerge.Strategy(strategy)]; ok {
		return strategy // a gcounter shows zero for a pncounter below it
	}
	return "one value"
}

// knows reports whether a field below a struct, by its path, is one of its schema's.
func knows(t reflect.Type, strategy string, path []string) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	each, isMap := strings.CutPrefix(strategy, "each=")
	_, keyed := keyOf(fieldmerge.Strategy(strategy))
	switch {
	case len(path) == 0:
		return true
	case isMap:
		return knows(t.Elem(), each, path[1:])
	case keyed:
		return knows(t.Elem(), "nested", path[1:])
	case strategy != "nested":
		return false
	}
	for _, f := range fieldsOf(t) {
		if f.path[0] == path[0] && (f.simple || len(path) == 1) {
			return knows(f.typ, f.strategy, path[1:])
		}
		if f.group != "" && f.group == path[0] && len(path) == 1 {
			return true
		}
	}
	return false
}

// face is that of the release that a region runs.
func (r *region) face() face { return r.w.faces[r.release] }

// ignores reports whether the release that a region runs does not know a field.
func (r *region) ignores(path string) bool {
	segments, _ := fieldmerge.SplitPath(path)
	return len(r.w.faces) > 1 && !r.face().knows(segments)
}

func (r *region) merger() fieldwise.Merger { return r.w.mergers[r.release] }

// deploy takes a region to the other release.
func (r *region) deploy() {
	r.release, r.shown = 1-r.release, nil
	r.w.tell("%s goes to the %s", r, releaseText(r.release))
}

// schemaNames are the names of what is checked.
func (w *world) schemaNames() string {
	var all []string
	for _, f := range w.faces {
		all = append(all, f.name())
	}
	return strings.Join(all, " beside ")
}

func releaseText(release int) string { return []string{"old release", "new release"}[release] }

// strategies are those of a field in the releases that know it; in one at least.
func (w *world) strategies(path string) (all []fieldmerge.Strategy) {
	if len(w.faces) == 1 {
		return []fieldmerge.Strategy{w.faces[0].strategy(path)}
	}
	segments, _ := fieldmerge.SplitPath(path)
	for _, f := range w.faces {
		if f.knows(segments) {
			all = append(all, f.strategy(path))
		}
	}
	if len(all) == 0 {
		all = append(all, w.faces[0].strategy(path))
	}
	return all
}

// goesUnseen reports whether nobody may report that a field is gone with the object that it is in:
// a release reports nothing of the counters, sets and lists that it does not know.
func (w *world) goesUnseen(path string) bool {
	return len(w.faces) > 1 && len(w.strategies(path)) < len(w.faces) && w.isInObject(path)
}

// leftAlone demands that a write touched no fields that its release does not know, but those
// that go with what they are in.
func (a *act) leftAlone(made *write) {
	if made.deletes {
		return
	}
	touched := slices.AppendSeq(slices.Clone(made.others), maps.Keys(made.effects))
	slices.Sort(touched)
	for _, path := range touched {
		if !a.r.ignores(path) || a.goesWith(made, path) {
			continue
		}
		a.w.fail(oracleSurvival, "%s changes %s, which the %s that %s runs does not know", a.w.name(made), fieldText(path), releaseText(a.r.release), a.r)
	}
}

// goesWith reports whether a write unset what a field is in, or made it anew.
func (a *act) goesWith(made *write, path string) bool {
	for at, val := range made.effects {
		if below(path, at) && (val == unset || a.was[at] == unset || a.was[at] == "") {
			return true
		}
	}
	return false
}
