package replogtest

import (
	"slices"

	"github.com/fieldwise/fieldwise"
)

// reported checks a report right after the join that made it, and that dropped something
// if one side was deleted.
func (w *world) reported(r *region, c fieldwise.Conflict, dropped holding) {
	c.Domain, c.Key = domainName, key
	r.now.told = append(slices.Clip(r.now.told), len(w.reports))
	w.reports = append(w.reports, report{c, r, len(w.reports)})
	w.tellReport(r, &c)
	if c.Kind == fieldwise.ConflictPolicy && !w.allow {
		w.fail(oraclePolicy, "the policy %s of %q fails: %s\nthe values that it was given: %s", c.Policy, c.Field, c.Reason, w.siblingsText(r, c.Field))
	}
	loser := w.find(c.Loser.Version)
	if loser == nil {
		w.fail(oracleReports, "%s reports a loser that nobody wrote: %v", r, c.Loser.Version)
	}
	if loser.bare && c.Field == "" {
		return
	}
	if m, ok := w.mechanism(c.Field); ok {
		w.reportedOther(r, &c, m, loser, dropped)
		return
	}
	wrote, ok := loser.effects[c.Field]
	if !ok || wrote != string(c.Loser.Value) {
		w.fail(oracleReports, "%s reports that %s lost %s of %s, which wrote %s there",
			r, w.name(loser), valueText(string(c.Loser.Value)), fieldText(c.Field), effectText(wrote, ok))
	}
	switch _, ok := w.extreme(c.Field); c.Kind {
	case fieldwise.ConflictMechanism:
		w.fail(oracleReports, "%s reports that %s was written under another schema, and all have one", r, fieldText(c.Field))
	case fieldwise.ConflictUpdate, fieldwise.ConflictCreate, fieldwise.ConflictPolicy:
		if ok && wrote != unset {
			w.fail(oracleReports, "%s reports that %s of %s lost: that readers see another value is what the field is for",
				r, valueText(wrote), fieldText(c.Field))
		}
	}
	// A record that was created anew may show what the one before it showed. Of two
	// markers of one map either may be reported, and the map shows all the same. And what
	// beat an unset may be hidden in its turn, by the shape.
	if c.Kind == fieldwise.ConflictDelete || wrote == marker || wrote == unset {
		return
	}
	if shown, ok := w.shownAt(r, w.open(r), c.Field); ok && shown == wrote {
		w.fail(oracleReports, "%s reports that %s of %s lost, and shows it", r, valueText(wrote), fieldText(c.Field))
	}
}
