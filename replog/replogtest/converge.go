package replogtest

import (
	"bytes"
	"fmt"
)

// converged demands that all regions hold the same, that those of one release show the same,
// and the same again when they are asked again.
func (w *world) converged() {
	for i, r := range w.regions {
		if first := w.regions[0]; !bytes.Equal(r.now.state, first.now.state) {
			w.fail(oracleConverge, "%s and %s took in the same writes and hold different states", first, r)
		}
		for _, first := range w.regions[:i] {
			if first.release == r.release {
				w.showTheSame(first, r)
				break
			}
		}
		if record, live := w.get(r); live {
			w.showsExtremes(r, record)
			w.recordShowsMechanisms(r, record)
		}
	}
}

// showTheSame demands that two regions of one release show the same.
func (w *world) showTheSame(first, r *region) {
	want, live := w.get(first)
	got, ok := w.get(r)
	if ok != live {
		w.fail(oracleConverge, "of equal states, %s shows a record and %s shows none", first, r)
	}
	if live {
		if d := r.face().differ(want, got); d != "" {
			w.fail(oracleConverge, "of equal states, %s and %s show different records: %s\n%s", first, r, d, w.policyAdvice(r))
		}
	}
	shown := w.shown(first)
	for path, val := range w.shown(r) {
		if shown[path] != val {
			w.fail(oracleConverge, "of equal states, %s and %s show different values of %s: %s, and %s\n%s",
				first, r, fieldText(path), valueText(shown[path]), valueText(val), w.policyAdvice(r))
		}
	}
}

// policyAdvice names the fields that policies decide on, and what the policies must not do.
func (w *world) policyAdvice(r *region) string {
	advice := "A policy must depend on the values it is given alone: not on a clock, a counter, randomness or the order of a map."
	paths, _, _ := pathsOf(r.now.state)
	for _, path := range paths {
		if all, _ := siblingsAt(r.now.state, path); len(all) > 1 {
			advice += fmt.Sprintf("\nIt was given of %s: %s", fieldText(path), w.siblingsText(r, path))
		}
	}
	return advice
}
