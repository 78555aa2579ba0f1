package fieldmerge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

// The faces of one mechanism are one field: releases that differ in them change it together.
func TestEvolutionBetweenFacesOfOneMechanism(t *testing.T) {
	type before struct {
		Hits crdt.GCounter `merge:"hits,gcounter"`
		Tags []string      `merge:"tags,gset"`
		On   bool          `merge:"on,ewflag"`
	}
	type after struct {
		Hits int64               `merge:"hits,pncounter"`
		Tags crdt.ORSet[string]  `merge:"tags,orset"`
		On   crdt.EWFlag         `merge:"on,ewflag"`
		More crdt.GSet[string]   `merge:"more,gset"`
		Also map[string][]string `merge:"also,each=list"`
	}
	old, err := fieldmerge.NewSchema[before]()
	require.NoError(t, err)
	now, err := fieldmerge.NewSchema[after]()
	require.NoError(t, err)
	a, da := on(t, old, "a")
	b, db := on(t, now, "b")
	_, err = da.Create(ctx(), key, before{Hits: crdt.NewGCounter(5), Tags: []string{"x", "y"}, On: true})
	require.NoError(t, err)
	b.join(t, a.State)
	_, err = db.Update(ctx(), key, func(v *after) error {
		v.Hits -= 2
		v.Tags.Remove("x")
		v.Tags.Add("z")
		v.More.Add("m")
		return nil
	})
	require.NoError(t, err)
	_, err = da.Update(ctx(), key, func(v *before) error { v.Hits.Inc(1); v.Tags = append(v.Tags, "w"); v.On = false; return nil })
	require.NoError(t, err)
	state := a.State
	require.Empty(t, a.join(t, b.State))
	require.Empty(t, b.join(t, state))
	require.Equal(t, a.State, b.State)
	was, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.EqualValues(t, 4, was.Hits.Value())
	require.Equal(t, []string{"w", "y", "z"}, was.Tags, "what others took away is gone here, too")
	require.False(t, was.On)
	is, err := db.Get(ctx(), key)
	require.NoError(t, err)
	require.EqualValues(t, 4, is.Hits)
	require.Equal(t, []string{"w", "y", "z"}, is.Tags.Values())
	drift, err := db.Drift(ctx(), "")
	require.NoError(t, err)
	require.Empty(t, drift)
	drift, err = da.Drift(ctx(), "")
	require.NoError(t, err)
	require.Len(t, drift, 1)
	require.Equal(t, fieldmerge.FieldDrift{Path: "more", Kind: fieldmerge.DriftUnknown, Records: 1, Example: key}, drift[0])
}

// From one mechanism to another both releases keep what they wrote, and say what they do
// not read.
func TestEvolutionFromOneMechanismToAnother(t *testing.T) {
	type before struct {
		L []string `merge:"l,lww"`
		M []string `merge:"m,orset"`
	}
	type after struct {
		L []string `merge:"l,list"`
		M []string `merge:"m,list"`
	}
	old, err := fieldmerge.NewSchema[before]()
	require.NoError(t, err)
	now, err := fieldmerge.NewSchema[after]()
	require.NoError(t, err)
	a, da := on(t, old, "a")
	b, db := on(t, now, "b")
	_, err = da.Create(ctx(), key, before{L: []string{"x"}, M: []string{"y"}})
	require.NoError(t, err)
	b.join(t, a.State)
	v, err := db.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, after{}, v)
	drift, err := db.Drift(ctx(), "")
	require.NoError(t, err)
	require.Len(t, drift, 2)
	for _, d := range drift {
		require.Equal(t, fieldmerge.DriftMechanism, d.Kind)
	}
	_, err = db.Update(ctx(), key, func(v *after) error { v.L, v.M = []string{"1"}, []string{"2"}; return nil })
	require.NoError(t, err)
	require.Len(t, a.join(t, b.State), 2, "each write of the other kind is reported")
	was, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, before{L: []string{"x"}, M: []string{"y"}}, was)
	v, err = db.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, after{L: []string{"1"}, M: []string{"2"}}, v)
}

func TestEvolutionOfTheObjectsOfAList(t *testing.T) {
	type oldItem struct {
		ID string `merge:"id,lww"`
		N  int    `merge:"n,lww"`
	}
	type newItem struct {
		ID   string `merge:"id,lww"`
		N    int    `merge:"n,lww"`
		More string `merge:"more,lww"`
	}
	type otherItem struct {
		N  int    `merge:"n,lww"`
		ID string `merge:"id,lww"`
	}
	type oldRecord struct {
		L []oldItem `merge:"l,list=id"`
	}
	type newRecord struct {
		L []newItem `merge:"l,list=id"`
	}
	type otherRecord struct {
		L []otherItem `merge:"l,list=n"`
	}
	old, err := fieldmerge.NewSchema[oldRecord]()
	require.NoError(t, err)
	now, err := fieldmerge.NewSchema[newRecord]()
	require.NoError(t, err)
	other, err := fieldmerge.NewSchema[otherRecord]()
	require.NoError(t, err)
	a, da := on(t, old, "a")
	b, db := on(t, now, "b")
	c, dc := on(t, other, "c")
	_, err = db.Create(ctx(), key, newRecord{[]newItem{{"x", 1, "m"}}})
	require.NoError(t, err)
	a.join(t, b.State)
	_, err = da.Update(ctx(), key, func(v *oldRecord) error {
		v.L = append(v.L, oldItem{"y", 2})
		v.L[0].N = 3
		return nil
	})
	require.NoError(t, err)
	b.join(t, a.State)
	v, err := db.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, []newItem{{"x", 3, "m"}, {"y", 2, ""}}, v.L)
	drift, err := da.Drift(ctx(), "")
	require.NoError(t, err)
	require.Len(t, drift, 1)
	require.Equal(t, "l.*.more", drift[0].Path)
	require.Equal(t, fieldmerge.DriftUnknown, drift[0].Kind)

	c.join(t, a.State)
	_, err = dc.Get(ctx(), key)
	require.ErrorIs(t, err, fieldmerge.ErrField)
	require.ErrorContains(t, err, `its objects are told apart by "id", and the schema's by "n"`)
}

// A release that removes an entry or an object takes what it does not know of it along, so that it
// does not come back with it.
func TestEvolutionWhatIsRemovedTakesUnknownKindsAlong(t *testing.T) {
	type entryBefore struct {
		ID   string `merge:"id,lww"`
		City string `merge:"city,lww"`
	}
	type entryAfter struct {
		ID   string             `merge:"id,lww"`
		City string             `merge:"city,lww"`
		Seen crdt.PNCounter     `merge:"seen,pncounter"`
		Tags crdt.ORSet[string] `merge:"tags,orset"`
		Best int                `merge:"best,max"`
	}
	type before struct {
		Homes map[string]entryBefore `merge:"homes,each=nested"`
		Items []entryBefore          `merge:"items,list=id"`
	}
	type after struct {
		Homes map[string]entryAfter `merge:"homes,each=nested"`
		Items []entryAfter          `merge:"items,list=id"`
	}
	old, err := fieldmerge.NewSchema[before]()
	require.NoError(t, err)
	next, err := fieldmerge.NewSchema[after]()
	require.NoError(t, err)
	a, da := on(t, old, "a")
	b, db := on(t, next, "b")
	one := entryAfter{ID: "x", City: "c", Seen: crdt.NewPNCounter(2), Tags: crdt.NewORSet("t"), Best: 3}
	_, err = db.Create(ctx(), key, after{map[string]entryAfter{"x": one}, []entryAfter{one}})
	require.NoError(t, err)
	a.join(t, b.State)
	_, err = da.Update(ctx(), key, func(r *before) error { r.Homes, r.Items = map[string]entryBefore{}, []entryBefore{}; return nil })
	require.NoError(t, err)
	reports := b.join(t, a.State)
	require.Empty(t, reports)
	v, err := db.Get(ctx(), key)
	require.NoError(t, err)
	require.Empty(t, v.Homes)
	require.Empty(t, v.Items)
	_, err = da.Update(ctx(), key, func(r *before) error {
		r.Homes["x"], r.Items = entryBefore{ID: "x"}, []entryBefore{{ID: "x"}}
		return nil
	})
	require.NoError(t, err)
	b.join(t, a.State)
	v, err = db.Get(ctx(), key)
	require.NoError(t, err)
	require.EqualValues(t, 0, v.Homes["x"].Seen.Value())
	require.Empty(t, v.Homes["x"].Tags.Values())
	require.Zero(t, v.Homes["x"].Best)
	require.EqualValues(t, 0, v.Items[0].Seen.Value())
	require.Zero(t, v.Items[0].Best)
}

// A patch of a whole map, struct or list by key leaves alone what the release does not know of
// that which stays, as an update does.
func TestEvolutionAPatchLeavesAloneWhatItsReleaseDoesNotKnow(t *testing.T) {
	type partBefore struct {
		City string `merge:"city,lww"`
	}
	type partAfter struct {
		City string `merge:"city,lww"`
		Zip  string `merge:"zip,lww"`
	}
	type entryBefore struct {
		ID   string     `merge:"id,lww"`
		Note string     `merge:"note,lww"`
		Part partBefore `merge:"part,nested"`
	}
	type entryAfter struct {
		ID   string         `merge:"id,lww"`
		Note string         `merge:"note,lww"`
		Part partAfter      `merge:"part,nested"`
		Seen crdt.PNCounter `merge:"seen,pncounter"`
		Size string         `merge:"size,lww"`
	}
	type before struct {
		One   *entryBefore           `merge:"one,nested"`
		Homes map[string]entryBefore `merge:"homes,each=nested"`
		Items []entryBefore          `merge:"items,list=id"`
	}
	type after struct {
		One   *entryAfter           `merge:"one,nested"`
		Homes map[string]entryAfter `merge:"homes,each=nested"`
		Items []entryAfter          `merge:"items,list=id"`
	}
	old, err := fieldmerge.NewSchema[before]()
	require.NoError(t, err)
	next, err := fieldmerge.NewSchema[after]()
	require.NoError(t, err)
	a, da := on(t, old, "a")
	b, db := on(t, next, "b")
	made := func(id string) entryAfter {
		return entryAfter{id, "n", partAfter{"c", "z"}, crdt.NewPNCounter(2), "s"}
	}
	x, y := made("x.1"), made("y")
	_, err = db.Create(ctx(), key, after{&x, map[string]entryAfter{"x.1": x, "y": y}, []entryAfter{x, y}})
	require.NoError(t, err)
	a.join(t, b.State)
	patch := func(set map[string]any) after {
		t.Helper()
		_, err := da.Patch(ctx(), key, fieldmerge.Patch{Set: set})
		require.NoError(t, err)
		require.Empty(t, b.join(t, a.State))
		v, err := db.Get(ctx(), key)
		require.NoError(t, err)
		return v
	}
	is := func(e entryAfter, note, city, zip string, seen int64, size string) {
		t.Helper()
		require.Equal(t, []any{note, partAfter{city, zip}, seen, size}, []any{e.Note, e.Part, e.Seen.Value(), e.Size})
	}

	stays := entryBefore{ID: "x.1", Note: "m"} // without a city
	v := patch(map[string]any{"one": &stays, "homes": map[string]entryBefore{"x.1": stays}, "items": []entryBefore{{ID: "z"}, stays}})
	require.Len(t, v.Homes, 1)
	require.Len(t, v.Items, 2)
	for _, e := range []entryAfter{*v.One, v.Homes["x.1"], v.Items[1]} {
		is(e, "m", "", "z", 2, "s")
	}
	v = patch(map[string]any{"homes": map[string]entryBefore{"y": {}}, "items": []entryBefore{{ID: "y"}}})
	for _, e := range []entryAfter{v.Homes["y"], v.Items[0]} { // they went, and took all along
		is(e, "", "", "", 0, "")
	}
	patch(map[string]any{"items": []entryBefore(nil)})
	v = patch(map[string]any{"items": []entryBefore{{ID: "y"}}})
	is(v.Items[0], "", "", "", 0, "")
}

func TestEvolutionAPatchTakesWhatStandsInTheWayOfAValue(t *testing.T) {
	type partBefore struct {
		City string `merge:"city,lww"`
	}
	type partAfter struct {
		City place1 `merge:"city,nested"`
	}
	type before struct {
		One *partBefore `merge:"one,nested"`
	}
	type after struct {
		One *partAfter `merge:"one,nested"`
	}
	old, err := fieldmerge.NewSchema[before]()
	require.NoError(t, err)
	next, err := fieldmerge.NewSchema[after]()
	require.NoError(t, err)
	a, da := on(t, old, "a")
	b, db := on(t, next, "b")
	_, err = db.Create(ctx(), key, after{&partAfter{place1{"Pune"}}})
	require.NoError(t, err)
	a.join(t, b.State)
	_, err = da.Get(ctx(), key)
	require.ErrorIs(t, err, fieldmerge.ErrField)
	_, err = da.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"one": &partBefore{}}})
	require.NoError(t, err)
	v, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, before{&partBefore{}}, v)
}
