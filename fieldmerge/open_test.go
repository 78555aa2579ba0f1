package fieldmerge_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

// The regions of these tests keep all sets and lists open, and make each change of a record
// that is open and of its bytes: what follows differs only in which changes these are.

func TestChangesOfARecordThatIsOpenAreThoseOfItsBytes(t *testing.T) {
	s := cartSchema(t)
	start := cart{
		Name: "n", Tags: crdt.NewORSet("k", "l", "m", "z"), Seen: crdt.NewGSet(1, 5, 9), Labels: []string{"p", "q"},
		Lines: []string{"one", "two"}, Groups: map[string]crdt.ORSet[int]{"g": crdt.NewORSet(1, 2, 3)},
	}
	for what, change := range map[string]func(v *cart){
		"another field":          func(v *cart) { v.Name = "m" },
		"an element more":        func(v *cart) { v.Tags.Add("a") },
		"an element there":       func(v *cart) { v.Tags.Add("l") },
		"one of two there":       func(v *cart) { v.Tags.Add("k"); v.Seen.Add(5, 6) },
		"removed":                func(v *cart) { v.Tags.Remove("l", "none") },
		"removed and added":      func(v *cart) { v.Tags.Remove("l"); v.Tags.Add("l") },
		"added and removed":      func(v *cart) { v.Tags.Add("l"); v.Tags.Remove("l") },
		"all removed":            func(v *cart) { v.Tags.Remove(v.Tags.Values()...) },
		"cleared":                func(v *cart) { v.Tags.Clear() },
		"cleared and added":      func(v *cart) { v.Tags.Clear(); v.Tags.Add("l", "new") },
		"a list":                 func(v *cart) { v.Lines = append(v.Lines, "three") },
		"a set in a slice":       func(v *cart) { v.Labels = []string{"q", "r"} },
		"a set in a map":         func(v *cart) { g := v.Groups["g"]; g.Add(7); g.Remove(2); v.Groups["g"] = g },
		"a map's set that goes":  func(v *cart) { delete(v.Groups, "g") },
		"a map's set that comes": func(v *cart) { v.Groups["h"] = crdt.NewORSet(4) },
		"nothing":                func(*cart) {},
	} {
		t.Run(what, func(t *testing.T) {
			a, d := on(t, s, "a")
			_, err := d.Create(ctx(), key, start)
			require.NoError(t, err)
			_, err = d.Update(ctx(), key, func(v *cart) error { change(v); return nil })
			require.NoError(t, err)
			require.NotNil(t, a.Open)
		})
	}
}

// A program is given what it asks of a large set, and no more is read: the record is one of
// sets alone.
func TestASetThatIsOpenIsReadAsIfItWereNot(t *testing.T) {
	type tagged struct {
		Tags crdt.ORSet[string] `merge:"tags,orset"`
		Old  crdt.ORSet[string] `merge:"old,orset"`
	}
	s, err := fieldmerge.NewSchema[tagged]()
	require.NoError(t, err)
	a := newStepped(s.Merger(), "a", 1)
	d, err := fieldmerge.Open(a, "d", s)
	require.NoError(t, err)
	var all []string
	for i := range 500 {
		all = append(all, fmt.Sprintf("element %03d", i))
	}
	_, err = d.Create(ctx(), key, tagged{Tags: crdt.NewORSet(all...), Old: crdt.NewORSet("x")})
	require.NoError(t, err)
	_, err = d.Update(ctx(), key, func(v *tagged) error {
		v.Tags.Add("new", all[3])
		v.Tags.Remove(all[0], all[499], "none")
		require.Equal(t, 499, v.Tags.Len())
		require.Equal(t, append(slices.Clone(all[1:499]), "new"), v.Tags.Values())
		require.True(t, v.Tags.Has("new"))
		require.False(t, v.Tags.Has(all[0]))
		require.True(t, v.Tags.Has(all[1]))
		return nil
	})
	require.NoError(t, err)
	v, err := d.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, append(slices.Clone(all[1:499]), "new"), v.Tags.Values())
	require.Equal(t, []string{"x"}, v.Old.Values())
	require.Less(t, len(a.delta), 500, "the delta is of what changed")

	_, err = d.Update(ctx(), key, func(v *tagged) error { v.Tags = v.Old; return nil })
	require.ErrorIs(t, err, fieldmerge.ErrAssigned)
	var kept crdt.ORSet[string]
	_, err = d.Update(ctx(), key, func(v *tagged) error { kept = v.Tags; v.Tags.Clear(); return nil })
	require.NoError(t, err)
	require.Equal(t, 499, kept.Len(), "what is kept of a record stays as it was")
	require.True(t, kept.Has(all[1]))
}

// Where a value takes the place of a large set, or one is put below or above it, all of its
// elements are removed.
func TestAPatchAboveOrBelowWhatIsOpenTakesAllOfIt(t *testing.T) {
	pinned, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("a.b", fieldmerge.ORSet))
	require.NoError(t, err)
	for what, p := range map[string]fieldmerge.Patch{
		"above":           {Set: map[string]any{"a": 1}},
		"a map above":     {Set: map[string]any{"a": map[string]any{"c": 1}}},
		"below, inferred": {Set: map[string]any{"a.b.c": 1}},
		"at it":           {Set: map[string]any{"a.b": []any{"k", "new"}}},
		"unset":           {Unset: []string{"a.b"}},
		"unset above":     {Unset: []string{"a"}},
		"beside":          {Set: map[string]any{"a.c": 1}},
		"beside above":    {Set: map[string]any{"d": 1}},
	} {
		t.Run(what, func(t *testing.T) {
			schema := pinned
			if what == "below, inferred" {
				schema = shapeSchema(t)
			}
			a, d := documentsOn(t, schema, "a")
			_, err := d.Create(ctx(), key, doc{"a": doc{"b": []any{"k", "l", "m", "z"}}})
			require.NoError(t, err)
			require.NotNil(t, a.Open)
			_, err = d.Patch(ctx(), key, p)
			require.NoError(t, err)
		})
	}
}

func TestResolveOfARecordThatIsOpen(t *testing.T) {
	s := cartSchema(t)
	a, d := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err := d.Create(ctx(), key, cart{Name: "n", Tags: crdt.NewORSet("k", "l", "m", "z")})
	require.NoError(t, err)
	b.join(t, a.State)
	for i, face := range []*fieldmerge.Domain[cart]{d, db} {
		_, err = face.Update(ctx(), key, func(v *cart) error { v.Name = fmt.Sprint(i); v.Tags.Remove("l"); return nil })
		require.NoError(t, err)
	}
	require.NotEmpty(t, append(a.join(t, b.State), b.join(t, a.State)...))
	receipt, err := d.Resolve(ctx(), key, "name", fieldmerge.KeepShown())
	require.NoError(t, err)
	require.False(t, receipt.IsZero())
	_, err = d.Resolve(ctx(), key, "tags", fieldmerge.KeepShown())
	require.NoError(t, err)
	receipt, err = d.Resolve(ctx(), key, "labels", fieldmerge.KeepValue([]string{"q"}))
	require.NoError(t, err)
	require.False(t, receipt.IsZero())
	v, err := d.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, []string{"k", "m", "z"}, v.Tags.Values())
}

// A record is opened again after a delete and a create, and is bytes in between.
func TestARecordThatIsOpenIsDeletedAndCreatedAgain(t *testing.T) {
	s := cartSchema(t)
	a, d := on(t, s, "a")
	for _, n := range []int{200, 3, 200} {
		v := cart{Name: "n"}
		for i := range n {
			v.Seen.Add(i)
		}
		_, err := d.Create(ctx(), key, v)
		require.NoError(t, err)
		require.True(t, a.Open.Live())
		_, err = d.Delete(ctx(), key)
		require.NoError(t, err)
		require.False(t, a.Open.Live())
		_, err = d.Get(ctx(), key)
		require.ErrorIs(t, err, fieldwise.ErrNotFound)
	}
}

func TestOnlySetsAndListsAreKeptOpen(t *testing.T) {
	s := cartSchema(t)
	a, d := on(t, s, "a")
	_, err := d.Create(ctx(), key, cart{Name: string(make([]byte, 10_000)), Open: true})
	require.NoError(t, err)
	require.Nil(t, a.Open)
	_, err = d.Update(ctx(), key, func(v *cart) error { v.Labels = []string{string(make([]byte, 10_000))}; return nil })
	require.NoError(t, err)
	require.NotNil(t, a.Open)
	open, err := s.Merger().Open(a.State, 20_000)
	require.NoError(t, err)
	require.Nil(t, open)
	open, err = s.Merger().Open(a.State, 10_000)
	require.NoError(t, err)
	require.NotNil(t, open)
	_, err = s.Merger().Open([]byte{0xff}, 1)
	require.ErrorIs(t, err, fieldwise.ErrMalformed)
}
