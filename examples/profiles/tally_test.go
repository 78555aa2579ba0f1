package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/value"
)

// story makes evidence by hand. Each edit stands in the log of its own region behind the
// edits that it knew of, and at the end of the others.
type story struct {
	t     *testing.T
	edits []*Edit
	knew  [][]int // by edit
	final map[string]record
	told  []fieldwise.Conflict
}

func (s *story) edit(in fieldwise.Region, do op, changes []Change, knew ...int) {
	s.edits = append(s.edits, &Edit{N: len(s.edits) + 1, Region: in, Key: "k", Op: do, Changes: changes})
	s.knew = append(s.knew, knew)
}

func version(n int, in fieldwise.Region) fieldwise.Version {
	return fieldwise.Version{Time: fieldwise.Timestamp(n), Origin: fieldwise.Origin{Region: in, Incarnation: 1}}
}

func (s *story) report(field string, loser int, hidden any) {
	c := fieldwise.Conflict{Key: "k", Field: field, Loser: fieldwise.Sibling{Version: version(loser, s.edits[loser-1].Region)}}
	if hidden != nil {
		b, err := value.Append(nil, hidden)
		require.NoError(s.t, err)
		c.Loser.Value = b
	}
	s.told = append(s.told, c)
}

func (s *story) evidence() *evidence {
	ev := &evidence{edits: s.edits, final: s.final, reports: s.told, logs: make(map[fieldwise.Region][]logged)}
	for _, name := range regions {
		have := make(map[int]bool)
		add := func(n int) {
			if !have[n] {
				have[n] = true
				ev.logs[name] = append(ev.logs[name], logged{N: n, Version: version(n, s.edits[n-1].Region)})
			}
		}
		for i, e := range s.edits {
			if e.Region == name {
				for _, n := range s.knew[i] {
					add(n)
				}
				add(e.N)
			}
		}
		for _, e := range s.edits {
			add(e.N)
		}
	}
	return ev
}

func (s *story) fates() map[string]fate {
	all := make(map[string]fate)
	for _, o := range s.evidence().judge() {
		all[note(o.Edit)+" "+o.Change.Path] = o.Fate
	}
	return all
}

func (s *story) tally() Tally {
	var t Tally
	ev := s.evidence()
	t.count(ev, ev.judge())
	return t.withoutKinds(s.t)
}

// withoutKinds is the tally without the changes by kind, which have to add up to all.
func (t Tally) withoutKinds(tb testing.TB) Tally {
	var sum Fates
	for kind, f := range t.Kinds {
		assert.Contains(tb, changeKinds, kind)
		sum.Changes += f.Changes
		sum.Visible += f.Visible
		sum.Back += f.Back
		sum.Replaced += f.Replaced
		sum.Reported += f.Reported
		sum.Lost += f.Lost
	}
	assert.Equal(tb, t.Fates, sum)
	t.Kinds = nil
	return t
}

func set(path string, v any) []Change { return []Change{{Kind: setField, Path: path, Value: v}} }

var gone = []Change{{Kind: noRecord}}

// twoPhones is one record whose phone two regions change, neither knowing of the other.
func twoPhones(t *testing.T) *story {
	s := &story{t: t, final: map[string]record{"k": {"phone": "333"}}}
	s.edit(us, create, set("phone", "111"))
	s.edit(us, replace, set("phone", "222"), 1)
	s.edit(eu, replace, set("phone", "333"), 1)
	return s
}

func TestTallyOfAConflictThatIsReported(t *testing.T) {
	s := twoPhones(t)
	s.report("phone", 2, "222")
	assert.Equal(t, map[string]fate{"edit 1 phone": replaced, "edit 2 phone": reported, "edit 3 phone": visible}, s.fates())
	assert.Equal(t, Tally{Edits: 3, Fates: Fates{Changes: 3, Visible: 1, Replaced: 1, Reported: 1}, Conflicts: 1}, s.tally())
}

// The classification can fail: without the report the change is lost, and so it is if the
// report is about something else.
func TestTallyFindsWhatIsLost(t *testing.T) {
	for name, doctor := range map[string]func(*story){
		"no report":           func(*story) {},
		"another field":       func(s *story) { s.report("fax", 2, "222") },
		"another write":       func(s *story) { s.report("phone", 1, "111") },
		"another record":      func(s *story) { s.report("phone", 2, "222"); s.told[0].Key = "other" },
		"record without it":   func(s *story) { s.report("", 2, record{"phone": "111"}) },
		"record of a delete":  func(s *story) { s.report("", 2, nil) },
		"record that ignored": func(s *story) { s.report("", 3, record{"phone": "222"}) },
		"version of nobody": func(s *story) {
			s.report("", 2, record{"phone": "222"})
			s.told[0].Loser.Version.Time = 99
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := twoPhones(t)
			doctor(s)
			assert.Equal(t, lost, s.fates()["edit 2 phone"])
			assert.Equal(t, 1, s.tally().Lost)
		})
	}
}

func TestTallyOfWholeRecords(t *testing.T) {
	// us changes phone, then plan; both are in the record that lost to eu's.
	s := &story{t: t, final: map[string]record{"k": {"phone": "111", "plan": "free", "city": "Mumbai"}}}
	s.edit(us, create, []Change{{Path: "phone", Value: "111"}, {Path: "plan", Value: "free"}})
	s.edit(us, replace, set("phone", "222"))
	s.edit(us, replace, set("plan", "pro"))
	s.edit(eu, replace, set("city", "Mumbai"), 1)
	assert.Equal(t, 2, s.tally().Lost, "no report")
	s.report("", 3, record{"phone": "222", "plan": "pro"})
	assert.Equal(t, map[string]fate{
		"edit 1 phone": visible, "edit 1 plan": visible, // came back
		"edit 2 phone": reported, "edit 3 plan": reported, "edit 4 city": visible,
	}, s.fates())
	assert.Equal(t, 2, s.tally().Back)
}

// A later write of the whole record replaces what it knew of for the mechanism, but if
// the person who made it did not touch the field, it does not count as replaced.
func TestTallyOfALaterWriteOfAnotherField(t *testing.T) {
	s := twoPhones(t)
	s.edit(us, replace, set("plan", "pro"), 1, 2, 3)
	s.final["k"]["plan"] = "pro"
	assert.Equal(t, lost, s.fates()["edit 2 phone"])
	s.edit(us, replace, set("phone", "444"), 1, 2, 3, 4)
	s.final["k"]["phone"] = "444"
	assert.Equal(t, replaced, s.fates()["edit 2 phone"])
	assert.Equal(t, replaced, s.fates()["edit 3 phone"])
}

func TestTallyOfDeletes(t *testing.T) {
	s := &story{t: t, final: map[string]record{}}
	s.edit(us, create, set("phone", "111"))
	s.edit(us, remove, gone, 1)
	s.edit(eu, replace, set("phone", "222"), 1)
	assert.Equal(t, map[string]fate{"edit 1 phone": replaced, "edit 2 ": visible, "edit 3 phone": lost}, s.fates())
	s.report("phone", 3, "222")
	assert.Equal(t, reported, s.fates()["edit 3 phone"])

	// The other way round: the update shows, and the delete competes like a value.
	s = &story{t: t, final: map[string]record{"k": {"phone": "222"}}}
	s.edit(us, create, set("phone", "111"))
	s.edit(us, remove, gone, 1)
	s.edit(eu, replace, set("phone", "222"), 1)
	assert.Equal(t, map[string]fate{"edit 1 phone": replaced, "edit 2 ": lost, "edit 3 phone": visible}, s.fates())
	s.report("", 2, nil)
	assert.Equal(t, reported, s.fates()["edit 2 "])
}

func TestTallyOfPathsAboveAndBelow(t *testing.T) {
	s := &story{t: t, final: map[string]record{"k": {"address": "c/o"}}}
	s.edit(us, create, set("address.city", "Mumbai"))
	s.edit(eu, replace, set("address", "c/o"), 1)
	assert.Equal(t, map[string]fate{"edit 1 address.city": replaced, "edit 2 address": visible}, s.fates())

	s.edits[0].Changes = set("addresses", "x") // no segment of its path
	assert.Equal(t, lost, s.fates()["edit 1 addresses"])
}

func TestTallyPassesOverEditsWithoutAnEntry(t *testing.T) {
	s := twoPhones(t)
	s.report("phone", 2, "222")
	ev := s.evidence()
	ev.edits = append(ev.edits, &Edit{N: 4, Region: us, Key: "k", Op: replace, Changes: set("phone", "999")})
	var tally Tally
	tally.count(ev, ev.judge())
	tally = tally.withoutKinds(t)
	assert.Equal(t, Tally{Edits: 3, NoChange: 1, Fates: Fates{Changes: 3, Visible: 1, Replaced: 1, Reported: 1}, Conflicts: 1}, tally)
}
