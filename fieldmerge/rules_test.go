package fieldmerge_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

// Lives.

func TestDeleteWinsOverConcurrentUpdateInEveryOrder(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	base := a.create(1, doc{"f": int64(1)})
	b.take(base)
	agree(t, s, nil, base, a.delete(2), b.set(1000, doc{"f": int64(2)}))
}

func TestRecreatedRecordIsFresh(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	base := a.create(1, doc{"f": int64(1), "g": int64(1)})
	b.take(base)
	late := b.set(1000, doc{"g": int64(2)})
	del := a.delete(2)
	again := a.create(3, doc{"f": int64(3)})
	agree(t, s, doc{"f": int64(3)}, base, late, del, again)
}

func TestWritesToTheDeadAndTheLiving(t *testing.T) {
	s := lwwSchema(t)
	a := newSite(t, s, "a")
	check := func() {
		state := a.State
		for name, write := range map[string]func(*fieldmerge.Documents) (fieldwise.Receipt, error){
			"update": func(d *fieldmerge.Documents) (fieldwise.Receipt, error) {
				return d.Update(ctx(), key, func(d map[string]any) error { d["f"] = 1; return nil })
			},
			"patch": func(d *fieldmerge.Documents) (fieldwise.Receipt, error) {
				return d.Patch(ctx(), key, fieldmerge.Patch{Set: doc{"f": 1}})
			},
			"replace": func(d *fieldmerge.Documents) (fieldwise.Receipt, error) {
				return d.Replace(ctx(), key, nil, doc{"f": 1})
			},
			"delete": func(d *fieldmerge.Documents) (fieldwise.Receipt, error) { return d.Delete(ctx(), key) },
		} {
			receipt, err := write(a.domain)
			require.ErrorIs(t, err, fieldwise.ErrNotFound, name)
			require.True(t, receipt.IsZero(), name)
			require.Equal(t, state, a.State, name)
		}
		a.shows(nil)
	}
	check()
	a.create(1, nil)
	_, err := a.domain.Create(ctx(), key, doc{"f": 1})
	require.ErrorIs(t, err, fieldwise.ErrExists)
	require.EqualError(t, err, `d: create "k": fieldwise: record exists already; use Update, or Upsert`)
	a.shows(doc{}) // a record without fields exists
	a.delete(2)
	check()
	_, err = a.domain.Upsert(ctx(), key, setting(doc{"f": int64(2)}))
	require.NoError(t, err, "upsert creates")
	a.shows(doc{"f": int64(2)})
}

func TestConcurrentDeletesAgree(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	base := a.create(1, doc{"f": int64(1)})
	b.take(base)
	x := a.set(2, doc{"f": int64(2)})
	y := b.set(2, doc{"g": int64(2)})
	delA, delB := a.delete(3), b.delete(9)
	foundA, foundB := a.take(delB), b.take(delA)
	require.Empty(t, foundA)
	require.Empty(t, foundB)
	require.Equal(t, a.State, b.State)
	require.Empty(t, a.take(x, y), "some delete had seen each of them")
	require.Empty(t, b.take(x, y))
	// One that no delete had seen is reported, with the newest delete as winner.
	c := newSite(t, s, "c")
	c.take(base)
	found := a.take(c.set(50, doc{"h": int64(1)}))
	require.Len(t, found, 1)
	require.Equal(t, "h", found[0].Field)
	require.Equal(t, version(9, "b"), found[0].Winner.Version)
	agree(t, s, nil, base, x, delA, delB)
}

// The context of a tombstone holds what the delete saw superseded too: a region that
// has that value only, and never the one that replaced it, reports nothing.
func TestTombstoneKnowsWhatWasReplacedBeforeIt(t *testing.T) {
	s := lwwSchema(t)
	a, b, c := newSite(t, s, "a"), newSite(t, s, "b"), newSite(t, s, "c")
	base := a.create(5, doc{"f": "x"})
	b.take(base)
	c.take(base)
	b.set(1, doc{"f": "y"})
	del := b.delete(2)
	require.Empty(t, c.take(del))
	require.Empty(t, b.take(base))
}

func TestCreateInIgnoranceOfATombstoneIsDroppedAndReported(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	a.create(1, doc{"f": "x"})
	del := a.delete(2)
	blind := b.create(1000, doc{"f": "mine", "m": doc{}})
	found := a.take(blind)
	require.Len(t, found, 2)
	for i, field := range []string{"f", "m"} {
		require.Equal(t, fieldwise.ConflictDelete, found[i].Kind)
		require.Equal(t, field, found[i].Field)
		require.Equal(t, version(1000, "b"), found[i].Loser.Version)
		require.Equal(t, version(2, "a"), found[i].Winner.Version)
	}
	a.shows(nil)
	found = b.take(del)
	require.Len(t, found, 2)
	b.shows(nil)
	require.Equal(t, a.State, b.State)
}

func TestARecordWithoutFieldsThatADeleteDropsIsReported(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	a.create(1, doc{"f": "x"})
	a.delete(2)
	found := a.take(b.create(1000, nil))
	require.Len(t, found, 1)
	require.Equal(t, fieldwise.ConflictDelete, found[0].Kind)
	require.Empty(t, found[0].Field)
	require.Equal(t, version(1000, "b"), found[0].Loser.Version)
	b.set(1001, doc{"f": "y"})
	b.shows(doc{"f": "y"})
}

func TestAnUnsetThatADeleteDropsIsReported(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	b.take(a.create(1, doc{"f": "x"}))
	a.delete(2)
	found := a.take(b.unset(3, "f"))
	require.Len(t, found, 1)
	require.Equal(t, fieldwise.ConflictDelete, found[0].Kind)
	require.Equal(t, fieldwise.Sibling{Version: version(3, "b")}, found[0].Loser)
}

func TestUnsettingAMapThatOthersWriteBelowMeanwhileIsReported(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	b.take(a.create(1, doc{"m": doc{"x": 1}}))
	gone, added := a.unset(2, "m"), b.set(3, doc{"m.y": 2})
	for _, found := range [][]fieldwise.Conflict{a.take(added), b.take(gone)} {
		require.Len(t, found, 1)
		require.Equal(t, fieldwise.ConflictShape, found[0].Kind)
		require.Equal(t, "m", found[0].Field)
		require.Equal(t, fieldwise.Sibling{Version: version(2, "a")}, found[0].Loser)
		require.Equal(t, version(3, "b"), found[0].Winner.Version)
	}
	a.shows(doc{"m": doc{"y": int64(2)}})
	require.Equal(t, a.State, b.State)
}

func TestEqualValuesThatTheShapeHidesAreAllReported(t *testing.T) {
	s := lwwSchema(t)
	a, b, c := newSite(t, s, "a"), newSite(t, s, "b"), newSite(t, s, "c")
	b.take(a.create(1, doc{"f": 1}))
	other := c.create(2, doc{"f": doc{"x": 1}})
	a.unset(3, "f")
	require.Empty(t, a.take(b.unset(4, "f")), "both say the same")
	var losers []fieldwise.Version
	for _, found := range a.take(other) {
		if found.Kind == fieldwise.ConflictShape {
			require.Equal(t, "f", found.Field)
			losers = append(losers, found.Loser.Version)
		}
	}
	require.Equal(t, []fieldwise.Version{version(3, "a"), version(4, "b")}, losers)
}

func TestUnsettingAMapUnsetsTheMapsInItThatOnlyTheirFieldsTellOf(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	b.take(a.create(1, doc{"p": doc{"m": doc{"x": 1}}}))
	gone, added := a.unset(2, "p.m"), b.set(3, doc{"p.m.y": 2})
	a.take(added)
	b.take(gone)
	a.shows(doc{"p": doc{"m": doc{"y": int64(2)}}})
	b.take(a.unset(4, "p"))
	a.shows(doc{})
	b.shows(doc{})
}

func TestSiblingsOfAField(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	b.take(a.create(1, doc{"f": 1}))
	mine, theirs := a.set(2, doc{"f": 2}), b.unset(3, "f")
	a.take(theirs)
	b.take(mine)
	siblings, err := a.domain.Siblings(ctx(), key, "f")
	require.NoError(t, err)
	require.Equal(t, []fieldmerge.Sibling[any]{{Version: version(2, "a"), Value: int64(2)}, {Version: version(3, "b"), Absent: true, Shown: true}}, siblings)
	siblings, err = a.domain.Siblings(ctx(), key, "g")
	require.NoError(t, err)
	require.Empty(t, siblings)
	a.delete(4)
	_, err = a.domain.Siblings(ctx(), key, "f")
	require.ErrorIs(t, err, fieldwise.ErrNotFound)
}

func TestJumpOfTwoLivesReportsAllThatItDrops(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	b.take(a.create(1, doc{"f": "x", "g": "y"}))
	a.delete(2)
	again := a.create(3, doc{"f": "z"})
	found := b.take(again)
	require.Len(t, found, 2)
	require.True(t, found[0].Winner.Version.IsZero(), "no single write won")
	b.shows(doc{"f": "z"})
}

func TestUnsetIsAValueOfItsOwn(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	base := a.create(1, doc{"f": int64(1), "g": nil})
	b.take(base)
	gone := a.unset(5, "f")
	older, newer := b.set(4, doc{"f": int64(2)}), []byte(nil)
	agree(t, s, doc{"g": nil}, base, gone, older)
	found := b.take(gone)
	require.Len(t, found, 1)
	require.Equal(t, version(5, "a"), found[0].Winner.Version)
	require.Nil(t, found[0].Winner.Value)
	c := newSite(t, s, "c")
	c.take(base)
	newer = c.set(6, doc{"f": int64(3)})
	agree(t, s, doc{"f": int64(3), "g": nil}, base, gone, older, newer)
	found = a.take(older, newer)
	require.Len(t, found, 2)
	require.Nil(t, found[1].Loser.Value, "the unset lost")
}

// Shapes.

func TestValueAgainstMapShowsTheNewerSide(t *testing.T) {
	s := lwwSchema(t)
	for name, c := range map[string]struct {
		valueAt fieldwise.Timestamp
		want    doc
		hidden  []string
	}{
		"the value is newer": {9, doc{"n": int64(5)}, []string{"n", "n.x"}},
		"the map is newer":   {1, doc{"n": doc{"x": int64(1)}}, []string{"n"}},
	} {
		a, b := newSite(t, s, "a"), newSite(t, s, "b")
		m, v := a.create(5, doc{"n": doc{"x": int64(1)}}), b.create(c.valueAt, doc{"n": int64(5)})
		agree(t, s, c.want, m, v)
		var hidden []string
		for _, f := range a.take(v) {
			hidden = append(hidden, f.Field)
		}
		require.Equal(t, c.hidden, hidden, name)
		var kinds []fieldwise.ConflictKind
		for _, f := range b.take(m) {
			kinds = append(kinds, f.Kind)
		}
		require.Equal(t, fieldwise.ConflictCreate, kinds[0], name)
	}
}

func TestShapeConflictWithoutAMarkerIsReported(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	base := a.create(1, doc{"n": doc{"x": int64(1)}})
	b.take(base)
	below, value := a.set(5, doc{"n.y": int64(2)}), b.set(9, doc{"n": int64(7)})
	found := a.take(value)
	require.Len(t, found, 1, "x was replaced knowingly")
	require.Equal(t, fieldwise.Conflict{
		Kind: fieldwise.ConflictShape, Field: "n.y", Policy: "newer shape",
		Loser:  fieldwise.Sibling{Version: version(5, "a"), Value: []byte(encode(int64(2)))},
		Winner: fieldwise.Sibling{Version: version(9, "b")},
	}, found[0])
	a.shows(doc{"n": int64(7)})
	agree(t, s, doc{"n": int64(7)}, base, below, value)
	require.Empty(t, a.take(base, below, value), "hidden already")
}

// What the shape hid does not come to light by a write that does not name it.
func TestWhatTheShapeHidStaysHidden(t *testing.T) {
	s := lwwSchema(t)
	collide := func() *site {
		a, b := newSite(t, s, "a"), newSite(t, s, "b")
		a.create(5, doc{"n": doc{"x": int64(1)}})
		a.take(b.create(9, doc{"n": int64(5)}))
		a.shows(doc{"n": int64(5)})
		return a
	}
	a := collide()
	a.at(10, func(d *fieldmerge.Documents) (fieldwise.Receipt, error) {
		return d.Update(ctx(), key, func(d map[string]any) error { delete(d, "n"); return nil })
	})
	a.shows(doc{})
	a = collide()
	a.at(10, func(d *fieldmerge.Documents) (fieldwise.Receipt, error) {
		return d.Update(ctx(), key, func(d map[string]any) error { d["n"] = doc{"y": 2}; return nil })
	})
	a.shows(doc{"n": doc{"y": int64(2)}})
	a = collide()
	a.set(10, doc{"n.y": int64(2)})
	a.shows(doc{"n": doc{"y": int64(2)}})
	a = collide()
	a.unset(10, "n")
	a.shows(doc{})

	// The other way round: the value that the map hid.
	x, b := newSite(t, s, "a"), newSite(t, s, "b")
	x.create(5, doc{"n": doc{"x": int64(1)}})
	x.take(b.create(1, doc{"n": int64(5)}))
	x.set(6, doc{"n.x": int64(2)})
	x.at(10, func(d *fieldmerge.Documents) (fieldwise.Receipt, error) {
		return d.Update(ctx(), key, func(d map[string]any) error { delete(d["n"].(map[string]any), "x"); return nil })
	})
	x.shows(doc{"n": doc{}})
}

func TestEmptyMapSurvives(t *testing.T) {
	s := lwwSchema(t)
	a := newSite(t, s, "a")
	a.create(1, doc{"m": doc{}, "n": doc{"x": doc{}}})
	a.shows(doc{"m": doc{}, "n": doc{"x": doc{}}})
	a.unset(2, "n.x")
	a.shows(doc{"m": doc{}, "n": doc{}})
	a.unset(3, "n")
	a.shows(doc{"m": doc{}})
}

// Paths.

func TestPropertyPathsRoundTrip(t *testing.T) {
	randtest.Check(t, 2000, 2000, func(t *rapid.T) {
		segment := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune{'.', '\\', 'x', '0', '1', 'f', 0, 0x1f, 0x20, '*', 'é'})))
		want := rapid.SliceOfN(segment, 1, 4).Draw(t, "segments")
		path := fieldmerge.JoinPath(want...)
		got, err := fieldmerge.SplitPath(path)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, path, fieldmerge.JoinPath(got...))
		for i := range len(path) {
			require.GreaterOrEqual(t, path[i], byte(0x20))
		}
		// Whatever splits is in the one form that JoinPath gives.
		other := rapid.StringOf(rapid.SampledFrom([]rune{'.', '\\', 'x', '0', '1', 'f', 'F', 'a'})).Draw(t, "other")
		if segments, err := fieldmerge.SplitPath(other); err == nil {
			require.Equal(t, other, fieldmerge.JoinPath(segments...))
		} else {
			require.ErrorIs(t, err, fieldmerge.ErrPath)
		}
	})
}

func TestOddNamesAreFieldsOfTheirOwn(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	odd := doc{"": doc{"": int64(1)}, "a.b": int64(2), "a": doc{"b": int64(3)}, `a\`: int64(4), "\x00\n": int64(5), "\x1f": doc{".": int64(6)}, `\x00`: int64(7)}
	delta := a.create(1, odd)
	b.take(delta)
	b.shows(odd)
	b.set(2, doc{fieldmerge.JoinPath("a.b"): int64(8)})
	odd["a.b"] = int64(8)
	b.shows(odd)
}

func TestPathsThatAreNotWellFormed(t *testing.T) {
	a := newSite(t, lwwSchema(t), "a")
	a.create(1, nil)
	for path, text := range map[string]string{
		`a\`:    "fieldmerge: invalid path: `a\\` " + `has a lone "\" at byte 1; write "\\"`,
		`a\b`:   "fieldmerge: invalid path: `a\\b` " + `has a lone "\" at byte 1; write "\\"`,
		"a\nb":  `fieldmerge: invalid path: "a\nb" has a control character; write it as \x0a`,
		"a\xff": `fieldmerge: invalid path: "a\xff" is not UTF-8, as paths and with them the keys of maps are`,
	} {
		_, err := a.domain.Patch(ctx(), key, fieldmerge.Patch{Set: doc{path: 1}})
		require.ErrorIs(t, err, fieldmerge.ErrPath)
		require.EqualError(t, err, `d: patch "k": `+text)
		_, err = a.domain.Patch(ctx(), key, fieldmerge.Patch{Unset: []string{path}})
		require.EqualError(t, err, `d: patch "k": `+text)
	}
	_, err := a.domain.Upsert(ctx(), key, setting(doc{"a\xff": 1}))
	require.ErrorIs(t, err, fieldmerge.ErrPath)
	for _, p := range []fieldmerge.Patch{
		{Set: doc{"n": 1, "n.x": 1}},
		{Set: doc{"n": 1}, Unset: []string{"n"}},
		{Set: doc{"n.x": 1}, Unset: []string{"n"}},
		{Set: doc{"n": 1}, Unset: []string{"n.x"}},
	} {
		_, err := a.domain.Patch(ctx(), key, p)
		require.ErrorIs(t, err, fieldmerge.ErrPath)
	}
}

// A state from outside whose names are not paths is refused at the door.
func TestMergeRefusesNamesThatAreNoPaths(t *testing.T) {
	body := append(lattice.AppendTable([]byte{1}, []fieldwise.Origin{{Region: "a", Incarnation: 1}}),
		lattice.AppendField(nil, lattice.Field{Name: []byte(`a\`), Kind: lattice.KindRegister, Body: lattice.AppendItem(nil, lattice.Item{Time: 1, Value: []byte{1}})})...)
	_, err := lwwSchema(t).Merger().Merge(nil, nil, body)
	require.ErrorIs(t, err, fieldwise.ErrMalformed)
	require.ErrorIs(t, err, fieldmerge.ErrPath)
}

func TestUnknownKindIsNamed(t *testing.T) {
	body := append(lattice.AppendTable([]byte{1}, []fieldwise.Origin{{Region: "a", Incarnation: 1}}),
		lattice.AppendField(nil, lattice.Field{Name: []byte("a"), Kind: 0x1e, Body: lattice.AppendItem(nil, lattice.Item{Time: 1, Value: []byte{1}})})...)
	_, err := lwwSchema(t).Merger().Merge(nil, nil, body)
	require.ErrorIs(t, err, fieldwise.ErrUnsupportedKind)
	require.NotErrorIs(t, err, fieldwise.ErrMalformed)
}

// Writes.

func TestWhatChangesNothingWritesNothing(t *testing.T) {
	s := lwwSchema(t)
	a := newSite(t, s, "a")
	d := doc{"f": int64(1), "n": doc{"x": nil}}
	a.create(1, d)
	state := a.State
	for name, write := range map[string]func() (fieldwise.Receipt, error){
		"update": func() (fieldwise.Receipt, error) {
			return a.domain.Update(ctx(), key, func(map[string]any) error { return nil })
		},
		"patch": func() (fieldwise.Receipt, error) { return a.domain.Patch(ctx(), key, fieldmerge.Patch{Set: d}) },
		"nothing": func() (fieldwise.Receipt, error) {
			return a.domain.Patch(ctx(), key, fieldmerge.Patch{Unset: []string{"gone", "n.y"}})
		},
		"replace": func() (fieldwise.Receipt, error) { return a.domain.Replace(ctx(), key, doc{"f": 9}, doc{"f": 1}) },
		"upsert":  func() (fieldwise.Receipt, error) { return a.domain.Upsert(ctx(), key, setting(d)) },
	} {
		receipt, err := write()
		require.NoError(t, err, name)
		require.True(t, receipt.IsZero(), name)
		require.Equal(t, state, a.State, name)
	}
	boom := errors.New("boom")
	_, err := a.domain.Update(ctx(), key, func(d map[string]any) error { d["f"] = 2; return boom })
	require.ErrorIs(t, err, boom)
	require.Equal(t, state, a.State)
}

func TestReplaceDoesNotPutStaleFieldsBack(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	base := a.create(1, doc{"name": "Asha", "phone": "111", "old": true})
	read, err := a.domain.Get(ctx(), key)
	require.NoError(t, err)
	b.take(base)
	b.set(2, doc{"phone": "222"})
	b.unset(3, "old")
	a.take(b.State)
	to := clone(read)
	to["name"] = "Asha R."
	a.at(4, func(d *fieldmerge.Documents) (fieldwise.Receipt, error) { return d.Replace(ctx(), key, read, to) })
	a.shows(doc{"name": "Asha R.", "phone": "222"})
	require.NotContains(t, string(a.delta), "phone")
}

func TestUpdateStampsOnlyWhatChanged(t *testing.T) {
	s := lwwSchema(t)
	a := newSite(t, s, "a")
	a.create(1, doc{"name": "Asha", "phone": "111"})
	a.set(2, doc{"phone": "222"})
	require.Contains(t, string(a.delta), "phone")
	require.NotContains(t, string(a.delta), "name")
}

// A conflict that the closure did not touch stays open.
func TestUpdateLeavesOtherConflictsOpen(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	a.take(b.create(9, doc{"f": "b"}))
	a2 := newSite(t, s, "c")
	a.take(a2.create(5, doc{"f": "c", "n": int64(1)}))
	a.set(10, doc{"n": int64(2)})
	priority := newSchema(t, fieldmerge.Default(fieldmerge.Priority), fieldmerge.Ranks("c"))
	require.Equal(t, encode("c"), docOf(t, priority)(a.State)["f"])
	require.Equal(t, encode("b"), docOf(t, s)(a.State)["f"])
}

func TestStaleVersionIsRefused(t *testing.T) {
	a := newSite(t, lwwSchema(t), "a")
	a.create(10, doc{"f": int64(1)})
	state := a.State
	for name, write := range map[string]func() (fieldwise.Receipt, error){
		"patch": func() (fieldwise.Receipt, error) {
			return a.domain.Patch(ctx(), key, fieldmerge.Patch{Set: doc{"f": 2}})
		},
		"delete": func() (fieldwise.Receipt, error) { return a.domain.Delete(ctx(), key) },
	} {
		for _, time := range []fieldwise.Timestamp{9, 10} {
			a.time = time - 1
			_, err := write()
			require.ErrorIs(t, err, fieldwise.ErrStaleVersion, name)
			require.Equal(t, state, a.State)
		}
	}
}

// Limits.

func TestLimitsAreNamed(t *testing.T) {
	a := newSite(t, lwwSchema(t), "a")
	many := make(doc)
	for i := range fieldmerge.MaxFields + 1 {
		many[fmt.Sprint(i)] = 1
	}
	nest := func(n int) doc {
		d := doc{"x": 1}
		for range n - 1 {
			d = doc{"x": d}
		}
		return d
	}
	deepPath := func(n int) string { return strings.Repeat("x.", n-1) + "x" }
	long := strings.Repeat("p", fieldmerge.MaxPathLen)
	refused := func(err error, limit string, got, most int) {
		t.Helper()
		var l *fieldwise.LimitError
		require.ErrorAs(t, err, &l)
		require.ErrorIs(t, err, fieldwise.ErrLimit)
		require.Equal(t, fieldwise.LimitError{Limit: limit, Got: got, Max: most, Key: key}, *l)
	}
	_, err := a.domain.Create(ctx(), key, many)
	refused(err, "fields of a record", 4097, 4096)
	_, err = a.domain.Create(ctx(), key, doc{long + "p": 1})
	refused(err, "bytes of a field path", 1025, 1024)
	_, err = a.domain.Create(ctx(), key, nest(17))
	refused(err, "maps within each other", 17, 16)
	delete(many, "0")
	delete(many, "1")
	many[long] = 1
	a.create(1, many)
	_, err = a.domain.Patch(ctx(), key, fieldmerge.Patch{Set: doc{"a": 1}})
	refused(err, "fields of a record", 4097, 4096)
	a.set(2, doc{"2": 2})
	a.delete(3)
	a.create(4, nest(16))
	a.set(5, doc{deepPath(16): int64(2)})
	_, err = a.domain.Patch(ctx(), key, fieldmerge.Patch{Set: doc{deepPath(17): 1}})
	refused(err, "maps within each other", 17, 16)
	a.unset(6, "x")
	_, err = a.domain.Patch(ctx(), key, fieldmerge.Patch{Set: doc{deepPath(17): 1}})
	refused(err, "maps within each other", 17, 16)
	_, err = a.domain.Update(ctx(), key, func(d map[string]any) error { d["y"] = 1; return nil })
	require.NoError(t, err, "the record can still be updated")
}

// A record that a join took over the limit stays readable and takes writes that add no
// field.
func TestRecordOverTheLimitTakesWritesThatAddNothing(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	for i, r := range []*site{a, b} {
		d := make(doc)
		for n := range 3000 {
			d[fmt.Sprintf("%d-%d", i, n)] = int64(n)
		}
		r.create(1, d)
	}
	a.take(b.State)
	got, err := a.domain.Get(ctx(), key)
	require.NoError(t, err)
	require.Len(t, got, 6000)
	a.unset(2, "0-7")
	a.set(3, doc{"1-7": int64(8)})
	_, err = a.domain.Patch(ctx(), key, fieldmerge.Patch{Set: doc{"new": 1}})
	require.ErrorIs(t, err, fieldwise.ErrLimit)
	a.delete(4)
}

// Schemas.

func TestPoliciesByPattern(t *testing.T) {
	s := newSchema(t, fieldmerge.Default(fieldmerge.LWW), fieldmerge.Ranks("a"),
		fieldmerge.Field("any.*", fieldmerge.Priority), fieldmerge.Field("any.**", fieldmerge.LWW), fieldmerge.Field("any.exact", fieldmerge.LWW),
		fieldmerge.Field("deep.**", fieldmerge.Priority), fieldmerge.Field("deep.*", fieldmerge.LWW),
		fieldmerge.Field("**", fieldmerge.LWW), fieldmerge.Field("star*", fieldmerge.Priority), fieldmerge.Field("plain", fieldmerge.Priority))
	for path, policy := range map[string]string{
		"any": "lww", "any.x": "priority", "any.exact": "lww", "any.x.y": "lww", "deep": "lww", "deep.x": "priority", "deep.x.y": "priority",
		"other": "lww", "star*": "priority", "plain": "priority", "": "lww", `any\.x`: "lww", "any.": "priority",
	} {
		a, b := newSite(t, s, "a"), newSite(t, s, "b")
		a.create(1, nil)
		b.create(1, nil)
		a.set(5, doc{path: "of a"})
		b.set(9, doc{path: "of b"})
		var got string
		for _, c := range a.take(b.State) {
			if c.Field == path {
				got = c.Policy
				require.Equal(t, policy == "priority", c.Winner.Version == version(5, "a"), path)
			}
		}
		require.Equal(t, policy, got, path)
	}
}

func TestSchemaErrorsAllAtOnce(t *testing.T) {
	_, err := fieldmerge.NewDocumentSchema(
		fieldmerge.Field(`a\`, fieldmerge.LWW),
		fieldmerge.Field("a.**.b", fieldmerge.LWW),
		fieldmerge.Field("twice", fieldmerge.LWW),
		fieldmerge.Field("twice", fieldmerge.Priority),
		fieldmerge.Field("b", "newest"),
	)
	require.ErrorIs(t, err, fieldmerge.ErrSchema)
	require.EqualError(t, err, strings.Join([]string{
		`fieldmerge: invalid schema: 6 problems`,
		"Field: fieldmerge: invalid path: `a\\` " + `has a lone "\" at byte 1; write "\\"`,
		`field "a.**.b": "**" stands in the middle; it may only be the last segment`,
		`field "twice" has two strategies; name each pattern once`,
		`field "twice": strategy "priority" needs Ranks(...), the region that prevails first`,
		`field "b": unknown strategy "newest"; use "lww", "earliest", "priority", "max", "min", "pncounter", "gcounter", "orset", "gset", "ewflag", "list" or "custom=NAME"`,
		`no Default(...); say which strategy fields have that no pattern matches`,
	}, "\n"))
	_, err = fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Default(fieldmerge.LWW), fieldmerge.Ranks("a", "B", "a"))
	require.ErrorIs(t, err, fieldwise.ErrRegion)
	require.EqualError(t, err, strings.Join([]string{
		`fieldmerge: invalid schema: 3 problems`,
		`Ranks: regionpriority: invalid ranks: rank 2: fieldwise: invalid region name: "B" has 'B' at byte 0; only a-z, 0-9 and '-' are allowed`,
		`Ranks: regionpriority: invalid ranks: "a" has ranks 1 and 3; name each region once`,
		`Default is given 2 times; give it once`,
	}, "\n"))
	_, err = fieldmerge.OpenDocuments(newStepped(fieldmerge.Merger{}, "a", 1), "d", nil)
	require.ErrorIs(t, err, fieldmerge.ErrSchema)
}

// Regions that run different schemas hold the same bytes and show what theirs says.
func TestPolicyChangesOnlyWhatIsShown(t *testing.T) {
	first := lwwSchema(t)
	second := newSchema(t, fieldmerge.Default(fieldmerge.Priority), fieldmerge.Ranks("a"))
	require.Equal(t, first.Merger().Name(), second.Merger().Name())
	a, b := newSite(t, first, "a"), newSite(t, second, "b")
	x, y := a.create(1, doc{"f": "x"}), b.create(2, doc{"f": "y"})
	a.take(y)
	b.take(x)
	require.Equal(t, a.State, b.State)
	a.shows(doc{"f": "y"})
	b.shows(doc{"f": "x"})
}

// The bytes of records. If this fails, the format changed: give Name a new number.
func TestGoldenRecord(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "eu-west-1"), newSite(t, s, "us-east-1")
	b.take(a.create(0x0102030405060708, doc{"phone": "111", "prefs": doc{}}))
	b.set(0x0102030405060709, doc{"phone": "222"})
	table := "c424" + "0000000000000001a9" + hex.EncodeToString([]byte("eu-west-1")) + "0000000000000001a9" + hex.EncodeToString([]byte("us-east-1"))
	require.Equal(t, "01"+table+
		"c41c"+hex.EncodeToString([]byte("phone"))+"01"+ // name, kind
		"01"+"0102030405060708"+ // origin 0, superseded: no longer that of a create
		"04"+"0102030405060709"+"a3323232"+ // origin 1, "222"
		"c410"+hex.EncodeToString([]byte("prefs"))+"01"+"02"+"0102030405060708"+"80",
		hex.EncodeToString(b.State))
	b.delete(0x010203040506070a)
	require.Equal(t, "02"+table+"00"+"0102030405060708"+"05"+"010203040506070a", hex.EncodeToString(b.State))
	b.create(0x010203040506070b, nil)
	require.Equal(t, "03c4120000000000000001a975732d656173742d31c40b1f02010203040506070b80", hex.EncodeToString(b.State))
}
