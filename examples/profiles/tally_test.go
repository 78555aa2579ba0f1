package main

import (
	"strings"
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

func countsUp(path string, n int64) []Change {
	return []Change{{Kind: addCount, Path: path, Value: n}}
}

func adds(path string, v any) []Change {
	return []Change{{Kind: addElement, Path: path, Value: v, Count: 1}}
}

func drops(path string, v any) []Change {
	return []Change{{Kind: dropElement, Path: path, Value: v}}
}

func inDevice(k kind, path string, v any) []Change {
	keys := []string{"", "id", ""}
	return []Change{{Kind: k, Path: path, Value: v, Keys: keys[:2+strings.Count(path, ".")/2]}}
}

func logins(n int64) record { return record{"stats": record{"logins": n}} }

// counting is one record that two regions count in, neither knowing of the other.
func counting(t *testing.T, final int64) *story {
	s := &story{t: t, final: map[string]record{"k": logins(final)}}
	s.edit(us, create, countsUp(loginsPath, 10))
	s.edit(us, replace, countsUp(loginsPath, 3), 1)
	s.edit(eu, replace, countsUp(loginsPath, 4), 1)
	s.edit(us, replace, countsUp(loginsPath, 2))
	return s
}

func TestTallyOfCounts(t *testing.T) {
	fates := func(second, third, fourth fate) map[string]fate {
		return map[string]fate{"edit 1 stats.logins": visible, "edit 2 stats.logins": second, "edit 3 stats.logins": third, "edit 4 stats.logins": fourth}
	}
	s := counting(t, 19)
	assert.Equal(t, fates(visible, visible, visible), s.fates())
	assert.Zero(t, s.tally().Back, "who counts on does not replace what was counted")

	// A whole record that one region overwrote takes with it all that was counted there.
	s = counting(t, 14)
	assert.Equal(t, fates(lost, visible, lost), s.fates())
	s.report("", 4, logins(15))
	assert.Equal(t, fates(reported, visible, reported), s.fates())
	s = counting(t, 14)
	s.report("", 2, logins(13))
	assert.Equal(t, fates(reported, visible, lost), s.fates(), "the report knows nothing of the last")

	s = counting(t, 14)
	s.report("", 4, logins(12))
	assert.Equal(t, fates(lost, visible, reported), s.fates(), "the record that is hidden had not the first of the two")
	s = counting(t, 14)
	s.report("", 2, logins(17))
	assert.Equal(t, fates(lost, visible, lost), s.fates(), "us did not know of the 4 that it would take to get there")
	s = counting(t, 14)
	s.report("", 4, nil)
	assert.Equal(t, fates(lost, visible, lost), s.fates(), "a hidden delete counts nothing")

	s = counting(t, 17)
	assert.Equal(t, fates(visible, visible, lost), s.fates())
	s = counting(t, 99) // nothing that anybody did comes to that
	assert.Equal(t, lost, s.fates()["edit 1 stats.logins"])
	assert.Equal(t, 4, s.tally().Lost)
}

// Of two readings of a count the one is right in which what is missing was reported.
func TestTallyOfCountsThatCouldBeEither(t *testing.T) {
	for hidden := 2; hidden <= 3; hidden++ {
		s := &story{t: t, final: map[string]record{"k": logins(11)}}
		s.edit(us, create, countsUp(loginsPath, 10))
		s.edit(us, replace, countsUp(loginsPath, 1), 1)
		s.edit(eu, replace, countsUp(loginsPath, 1), 1)
		s.report("", hidden, logins(11))
		assert.Equal(t, reported, s.fates()[note(s.edits[hidden-1])+" stats.logins"])
		assert.Equal(t, 2, s.tally().Visible)
		assert.Zero(t, s.tally().Lost)
	}
}

func TestTallyOfCountsIsTheSameEveryTime(t *testing.T) {
	for range 20 {
		s := &story{t: t, final: map[string]record{"k": logins(11)}}
		s.edit(us, create, countsUp(loginsPath, 10))
		s.edit(us, replace, countsUp(loginsPath, 1), 1)
		s.edit(eu, replace, countsUp(loginsPath, 1), 1)
		assert.Equal(t, map[string]fate{"edit 1 stats.logins": visible, "edit 2 stats.logins": lost, "edit 3 stats.logins": visible}, s.fates())
	}
}

// What comes to nothing is not there because nothing is.
func TestTallyOfCountsThatComeToNothing(t *testing.T) {
	s := &story{t: t, final: map[string]record{}}
	s.edit(us, create, set("plan", "pro"))
	s.edit(us, remove, gone, 1)
	s.edit(eu, replace, countsUp(pointsPath, 3), 1)
	s.edit(eu, replace, countsUp(pointsPath, -3))
	assert.Equal(t, 2, s.tally().Lost)
	s.report(pointsPath, 4, int64(0))
	assert.Equal(t, 2, s.tally().Reported)

	s = &story{t: t, final: map[string]record{"k": {"plan": "pro"}}}
	s.edit(us, create, countsUp(pointsPath, 3))
	s.edit(us, replace, countsUp(pointsPath, -3))
	s.edit(us, remove, gone)
	s.edit(us, create, set("plan", "pro"))
	assert.Equal(t, 3, s.tally().Replaced)
}

// A delete that did not know of counts drops what each region counted, in one report.
func TestTallyOfCountsThatADeleteDrops(t *testing.T) {
	story := func(told int64) *story {
		s := &story{t: t, final: map[string]record{}}
		s.edit(us, create, countsUp(loginsPath, 10))
		s.edit(us, remove, gone, 1)
		s.edit(eu, replace, countsUp(loginsPath, 3), 1)
		s.edit(eu, replace, countsUp(loginsPath, 4))
		s.report(loginsPath, 4, told)
		return s
	}
	assert.Equal(t, map[string]fate{"edit 1 stats.logins": replaced, "edit 2 ": visible, "edit 3 stats.logins": reported, "edit 4 stats.logins": reported}, story(7).fates())
	assert.Equal(t, 2, story(4).tally().Lost, "that is not what eu counted")
	s := story(7)
	s.told[0].Field = pointsPath
	assert.Equal(t, 2, s.tally().Lost)

	s = story(7)
	s.edit(ap, replace, countsUp(loginsPath, 5), 1)
	s.knew[2] = append(s.knew[2], 5)
	assert.Equal(t, lost, s.fates()["edit 5 stats.logins"], "eu knew of it, but reports what eu counted")
	assert.Equal(t, 2, s.tally().Reported)

	// What is counted in the next life is counted from nothing.
	s = story(7)
	s.edit(us, create, countsUp(loginsPath, 3), 1, 2)
	s.edit(us, replace, countsUp(loginsPath, 1))
	s.final["k"] = logins(4)
	assert.Equal(t, visible, s.fates()["edit 5 stats.logins"])
	assert.Equal(t, visible, s.fates()["edit 6 stats.logins"])
	assert.Equal(t, reported, s.fates()["edit 3 stats.logins"])
}

// What a region counted before an earlier delete is no part of what a later one drops.
func TestTallyOfCountsThatASecondDeleteDrops(t *testing.T) {
	for told, want := range map[int64]fate{7: reported, 10: lost} {
		s := &story{t: t, final: map[string]record{}}
		s.edit(eu, create, countsUp(loginsPath, 3))
		s.edit(eu, remove, gone)
		s.edit(eu, create, countsUp(loginsPath, 5))
		s.edit(us, remove, gone, 1, 2, 3)
		s.edit(eu, replace, countsUp(loginsPath, 2))
		s.report(loginsPath, 5, told)
		assert.Equal(t, want, s.fates()["edit 5 stats.logins"])
	}
}

func TestTallyOfACounterThatIsUnset(t *testing.T) {
	s := counting(t, 4)
	s.edit(us, replace, []Change{{Kind: unsetField, Path: loginsPath}}, 1, 2, 4)
	assert.Equal(t, map[string]fate{
		"edit 1 stats.logins": replaced, "edit 2 stats.logins": replaced, "edit 4 stats.logins": replaced,
		"edit 3 stats.logins": visible, "edit 5 stats.logins": visible,
	}, s.fates())
	s.final["k"] = logins(14)
	assert.Equal(t, lost, s.fates()["edit 5 stats.logins"])
	assert.Equal(t, 1, s.tally().Back)
}

func TestTallyOfElements(t *testing.T) {
	s := &story{t: t, final: map[string]record{"k": {"tags": []any{"b"}}}}
	s.edit(us, create, adds("tags", "a"))
	s.edit(us, replace, adds("tags", "b"), 1)
	s.edit(eu, replace, adds("tags", "c"), 1)
	s.edit(us, replace, drops("tags", "a"))
	s.edit(us, replace, adds("tags", "d"))
	s.edit(us, replace, drops("tags", "d"))
	assert.Equal(t, map[string]fate{
		"edit 1 tags": replaced, "edit 2 tags": visible, "edit 3 tags": lost,
		"edit 4 tags": visible, "edit 5 tags": replaced, "edit 6 tags": visible,
	}, s.fates())
	for name, doctor := range map[string]func(){
		"by the element":               func() { s.report("tags", 3, "c") },
		"by the list":                  func() { s.report("tags", 3, []any{"a", "c"}) },
		"by the record":                func() { s.report("", 3, record{"tags": []any{"a", "c"}}) },
		"not by another element":       func() { s.report("tags", 3, "d") },
		"not by a list without it":     func() { s.report("tags", 3, []any{"a"}) },
		"not in another list":          func() { s.report("tag", 3, "c") },
		"not by one that did not know": func() { s.report("tags", 2, "c") },
		"not by no value":              func() { s.report("tags", 3, nil) },
	} {
		s.told = nil
		doctor()
		want := reported
		if strings.HasPrefix(name, "not") {
			want = lost
		}
		assert.Equal(t, want, s.fates()["edit 3 tags"], name)
	}

	// An element that stays although somebody took it out.
	s.told = nil
	s.final["k"]["tags"] = []any{"a", "b", "c"}
	assert.Equal(t, lost, s.fates()["edit 4 tags"])
	s.report("", 4, record{"tags": []any{"b"}})
	assert.Equal(t, reported, s.fates()["edit 4 tags"])
}

// Adding an element wins over taking it out at the same time, and so does moving it; but
// only then.
func TestTallyOfElementsThatArePutBack(t *testing.T) {
	two := func(elsewhere func(*Edit)) *story {
		s := &story{t: t, final: map[string]record{"k": {"tags": []any{"a"}}}}
		s.edit(us, create, adds("tags", "a"))
		s.edit(us, replace, drops("tags", "a"), 1)
		s.edit(eu, replace, set("plan", "pro"), 1)
		s.final["k"]["plan"], s.final["k"]["labels"] = "pro", []any{"a"}
		elsewhere(s.edits[2])
		return s
	}
	for name, c := range map[string]struct {
		elsewhere func(*Edit)
		want      fate
	}{
		"added":       {func(e *Edit) { e.Changes = append(e.Changes, adds("tags", "a")...) }, outdone},
		"moved":       {func(e *Edit) { e.Moves = adds("tags", "a") }, outdone},
		"another":     {func(e *Edit) { e.Moves = adds("tags", "b") }, lost},
		"nothing":     {func(*Edit) {}, lost},
		"in its list": {func(e *Edit) { e.Moves = adds("labels", "a") }, lost},
	} {
		assert.Equal(t, c.want, two(c.elsewhere).fates()["edit 2 tags"], name)
	}
	s := two(func(e *Edit) { e.Moves = adds("tags", "a") })
	s.knew[1] = append(s.knew[1], 3) // who takes it out knows that it was moved
	assert.Equal(t, lost, s.fates()["edit 2 tags"])
}

func TestTallyOfObjects(t *testing.T) {
	final := func(all ...any) map[string]record { return map[string]record{"k": {"devices": all}} }
	story := func() *story {
		s := &story{t: t, final: final(record{"id": "b"})}
		s.edit(us, create, inDevice(newObject, "devices.a", "a"))
		s.edit(us, replace, inDevice(noObject, "devices.a", nil), 1)
		s.edit(eu, replace, inDevice(setField, "devices.a.name", "Phone"), 1)
		s.edit(eu, replace, inDevice(newObject, "devices.b", "b"))
		return s
	}
	s := story()
	fates := map[string]fate{"edit 1 devices.a": replaced, "edit 2 devices.a": visible, "edit 3 devices.a.name": lost, "edit 4 devices.b": visible}
	assert.Equal(t, fates, s.fates())
	s.report("devices.a", 3, "Phone")
	assert.Equal(t, fates, s.fates(), "of the object, and not of the field")
	s.report("devices.a.name", 3, "Phone")
	fates["edit 3 devices.a.name"] = reported
	assert.Equal(t, fates, s.fates())

	s = story() // whoever changes an object does not replace it
	s.edits[2].Region = us
	s.knew[2], s.edits[1].Changes = nil, set("plan", "pro")
	s.final = final(record{"id": "b"})
	assert.Equal(t, lost, s.fates()["edit 1 devices.a"])

	for name, doctor := range map[string]func(){
		"by its key":           func() { s.report("devices", 4, record{"id": "b"}) },
		"by the list":          func() { s.report("devices", 4, []any{record{"id": "a"}, record{"id": "b"}}) },
		"by the object":        func() { s.report("devices.b", 4, record{}) },
		"by the record":        func() { s.report("", 4, record{"devices": []any{record{"id": "b"}}}) },
		"not by another":       func() { s.report("devices", 4, record{"id": "a"}) },
		"not by a text":        func() { s.report("devices.b", 4, "b") },
		"not by another key":   func() { s.report("devices", 4, record{"name": "b"}) },
		"not in another list":  func() { s.report("phones", 4, record{"id": "b"}) },
		"not by what it is of": func() { s.report("devices.b.name", 4, record{}) },
	} {
		s = story()
		s.final = final()
		doctor()
		want := reported
		if strings.HasPrefix(name, "not") {
			want = lost
		}
		assert.Equal(t, want, s.fates()["edit 4 devices.b"], name)
	}

	s = story() // a removal that gives way to an object that is put there anew
	s.final = final(record{"id": "a", "name": "Phone"}, record{"id": "b"})
	assert.Equal(t, lost, s.fates()["edit 2 devices.a"])
	s.edits[2].Changes = append(s.edits[2].Changes, inDevice(newObject, "devices.a", "a")...)
	assert.Equal(t, outdone, s.fates()["edit 2 devices.a"])
}

// Who writes a list under another key writes all of it.
func TestTallyOfAListUnderAnotherKey(t *testing.T) {
	at := func(key string) []Change {
		return []Change{{Kind: setField, Path: "l.7.n", Value: key, Keys: []string{"", key, ""}}}
	}
	s := &story{t: t, final: map[string]record{"k": {}}}
	s.edit(us, create, at("id"))
	s.edit(us, replace, []Change{{Kind: setField, Path: "l.8.n", Value: "x", Keys: []string{"", "id", ""}}})
	s.edit(us, replace, []Change{{Kind: setField, Path: "m.8.n", Value: "x", Keys: []string{"", "code", ""}}})
	assert.Equal(t, lost, s.fates()["edit 1 l.7.n"])
	s.edit(us, replace, []Change{{Kind: setField, Path: "l.8.n", Value: "x", Keys: []string{"", "code", ""}}})
	assert.Equal(t, replaced, s.fates()["edit 1 l.7.n"])
	assert.Equal(t, replaced, s.fates()["edit 2 l.8.n"])
	assert.Equal(t, lost, s.fates()["edit 3 m.8.n"])
}

func TestKindsOfChanges(t *testing.T) {
	for want, all := range map[string][]Change{
		ofField:       {{Path: "a"}, {Kind: unsetField, Path: "a"}, inDevice(setField, "devices.a.name", "x")[0]},
		ofCounter:     {countsUp(loginsPath, 1)[0], {Kind: unsetField, Path: pointsPath}},
		ofSetElement:  {adds(topicsPath, "a")[0], drops(topicsPath, "a")[0]},
		ofListElement: {adds("tags", "a")[0], drops("tags", "a")[0], inDevice(newObject, "devices.a", "a")[0], inDevice(noObject, "devices.a", nil)[0]},
		ofRecord:      {{Kind: newRecord}, {Kind: noRecord}},
	} {
		for _, c := range all {
			assert.Equal(t, want, c.of(), c)
		}
	}
}
