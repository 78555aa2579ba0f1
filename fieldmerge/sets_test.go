package fieldmerge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

type cart struct {
	Name   string                     `merge:"name,lww"`
	Tags   crdt.ORSet[string]         `merge:"tags,orset"`
	Seen   crdt.GSet[int]             `merge:"seen,gset"`
	Opted  crdt.EWFlag                `merge:"opted,ewflag"`
	Labels []string                   `merge:"labels,orset"`
	Badges []int                      `merge:"badges,gset"`
	Open   bool                       `merge:"open,ewflag"`
	Lines  []string                   `merge:"lines,list"`
	Steps  map[string][]int           `merge:"steps,each=list"`
	Groups map[string]crdt.ORSet[int] `merge:"groups,each=orset"`
}

func cartSchema(t require.TestingT) *fieldmerge.Schema[cart] {
	s, err := fieldmerge.NewSchema[cart]()
	require.NoError(t, err)
	return s
}

func TestSetsListsAndFlagsOfTwoRegionsComeTogether(t *testing.T) {
	s := cartSchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	first := cart{
		Name: "n", Tags: crdt.NewORSet("x", "y"), Seen: crdt.NewGSet(10, 9), Opted: crdt.NewEWFlag(true),
		Labels: []string{"q", "p"}, Badges: []int{3}, Lines: []string{"one", "two", "two", "three"},
		Steps: map[string][]int{"s": {1, 2, 3}}, Groups: map[string]crdt.ORSet[int]{"g": crdt.NewORSet(1)},
	}
	_, err := da.Create(ctx(), key, first)
	require.NoError(t, err)
	read, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, []string{"x", "y"}, read.Tags.Values())
	require.Equal(t, []int{9, 10}, read.Seen.Values())
	require.True(t, read.Opted.On())
	require.Equal(t, []string{"p", "q"}, read.Labels)
	require.Equal(t, first.Lines, read.Lines)
	require.Equal(t, first.Steps, read.Steps)
	b.join(t, a.State)
	_, err = da.Update(ctx(), key, func(v *cart) error {
		v.Tags.Remove("x", "y")
		v.Tags.Add("z")
		v.Seen.Add(1)
		v.Opted.Disable()
		v.Labels = []string{"r", "q"}
		v.Badges = append(v.Badges, 1)
		v.Lines = []string{"zero", "one", "two", "three", "four"}
		v.Steps["s"] = []int{3, 1, 2}
		v.Steps["t"] = []int{}
		g := v.Groups["g"]
		g.Add(5)
		v.Groups["g"] = g
		return nil
	})
	require.NoError(t, err)
	_, err = db.Update(ctx(), key, func(v *cart) error {
		v.Tags.Add("x", "w") // x is there: adding it again keeps it
		v.Seen.Add(2)
		v.Opted.Enable()
		v.Labels = append(v.Labels, "s")
		v.Badges = append(v.Badges, 2)
		v.Open = true
		v.Lines = []string{"one", "two", "half", "two", "three"}
		v.Steps["s"] = append(v.Steps["s"], 4)
		g := v.Groups["g"]
		g.Clear()
		v.Groups["g"] = g
		return nil
	})
	require.NoError(t, err)
	state := a.State
	require.Empty(t, a.join(t, b.State))
	require.Empty(t, b.join(t, state))
	require.Equal(t, a.State, b.State)
	for _, d := range []*fieldmerge.Domain[cart]{da, db} {
		v, err := d.Get(ctx(), key)
		require.NoError(t, err)
		require.Equal(t, []string{"w", "x", "z"}, v.Tags.Values())
		require.Equal(t, []int{1, 2, 9, 10}, v.Seen.Values())
		require.True(t, v.Opted.On(), "turning it on wins")
		require.Equal(t, []string{"q", "r", "s"}, v.Labels)
		require.Equal(t, []int{1, 2, 3}, v.Badges)
		require.True(t, v.Open)
		require.Equal(t, []string{"zero", "one", "two", "half", "three", "four"}, v.Lines)
		require.Equal(t, map[string][]int{"s": {3, 1, 2, 4}, "t": {}}, v.Steps)
		g := v.Groups["g"]
		require.Equal(t, []int{5}, g.Values())
	}
	require.NoError(t, fieldwise.CheckLaws(func() fieldwise.Merger { return s.Merger() }, a.State, state, a.delta, b.delta))
}

func TestASetIsEmptyOrNotThere(t *testing.T) {
	s := cartSchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err := da.Create(ctx(), key, cart{Labels: []string{"p"}, Lines: []string{"l"}, Tags: crdt.NewORSet("x")})
	require.NoError(t, err)
	b.join(t, a.State)
	_, err = da.Update(ctx(), key, func(v *cart) error { v.Labels, v.Lines = []string{}, nil; v.Tags.Clear(); return nil })
	require.NoError(t, err)
	v, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, []string{}, v.Labels, "empty")
	require.Nil(t, v.Lines, "unset")
	require.Zero(t, v.Tags.Len())
	_, err = db.Update(ctx(), key, func(v *cart) error { v.Lines = append(v.Lines, "m"); v.Labels = append(v.Labels, "o"); return nil })
	require.NoError(t, err)
	a.join(t, b.State)
	v, err = da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, []string{"m"}, v.Lines)
	require.Equal(t, []string{"o"}, v.Labels)
	state := a.State
	receipt, err := da.Update(ctx(), key, func(v *cart) error { v.Labels = []string{"o", "o"}; return nil })
	require.NoError(t, err)
	require.True(t, receipt.IsZero(), "a set has each value once")
	require.Equal(t, state, a.State)
}

func TestASetThatTwoRegionsEmptiedIsEmpty(t *testing.T) {
	s := cartSchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err := da.Create(ctx(), key, cart{Labels: []string{"p", "q"}, Lines: []string{"l", "m"}, Tags: crdt.NewORSet("x", "y")})
	require.NoError(t, err)
	b.join(t, a.State)
	_, err = da.Update(ctx(), key, func(v *cart) error {
		v.Labels, v.Lines = []string{"p"}, []string{"m"}
		v.Tags.Remove("x")
		return nil
	})
	require.NoError(t, err)
	_, err = db.Update(ctx(), key, func(v *cart) error {
		v.Labels, v.Lines = []string{"q"}, []string{"l"}
		v.Tags.Remove("y")
		return nil
	})
	require.NoError(t, err)
	a.join(t, b.State)
	v, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, []string{}, v.Labels, "empty, not unset")
	require.Equal(t, []string{}, v.Lines, "empty, not unset")
	require.Zero(t, v.Tags.Len())
	_, err = da.Update(ctx(), key, func(v *cart) error { v.Lines = nil; return nil })
	require.NoError(t, err)
	v, err = da.Get(ctx(), key)
	require.NoError(t, err)
	require.Nil(t, v.Lines)
	_, err = da.Update(ctx(), key, func(v *cart) error { v.Lines = []string{}; return nil })
	require.NoError(t, err)
	v, err = da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, []string{}, v.Lines)
}

func TestAGSetOnlyGrows(t *testing.T) {
	site, d := on(t, cartSchema(t), "a")
	_, err := d.Create(ctx(), key, cart{Badges: []int{1, 2}})
	require.NoError(t, err)
	state := site.State
	_, err = d.Update(ctx(), key, func(v *cart) error { v.Badges = []int{1, 3}; return nil })
	require.ErrorIs(t, err, fieldmerge.ErrDirection)
	require.Equal(t, state, site.State)
	_, err = d.Update(ctx(), key, func(v *cart) error { v.Badges = []int{3, 2, 1}; return nil })
	require.NoError(t, err)
}

// A write under a token changes what the writer changed of what the token showed, whatever
// came and went since.
func TestASetUnderATokenChangesWhatTheWriterChanged(t *testing.T) {
	s := cartSchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err := da.Create(ctx(), key, cart{Labels: []string{"p", "q"}, Lines: []string{"1", "2"}})
	require.NoError(t, err)
	b.join(t, a.State)
	read, token, err := da.Read(ctx(), key)
	require.NoError(t, err)
	_, err = da.Update(ctx(), key, func(v *cart) error { v.Labels, v.Lines = []string{"q", "r"}, []string{"0", "2"}; return nil })
	require.NoError(t, err)
	_, err = db.Update(ctx(), key, func(v *cart) error { v.Labels = append(v.Labels, "s"); return nil })
	require.NoError(t, err)
	a.join(t, b.State)
	read.Labels, read.Lines = []string{"p", "t"}, []string{"1", "2", "3"}
	_, err = da.Put(ctx(), key, token, read)
	require.NoError(t, err)
	v, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, []string{"r", "s", "t"}, v.Labels)
	require.Equal(t, []string{"0", "2", "3"}, v.Lines)
}

// A token keeps a hash of a large list: what another write did to that one cannot be told
// from what this one does.
func TestALargeListUnderATokenThatWasOvertakenIsRefused(t *testing.T) {
	s := cartSchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	many := []string{"a long line of text", "another long line of text", "and one more"}
	_, err := da.Create(ctx(), key, cart{Lines: many})
	require.NoError(t, err)
	b.join(t, a.State)
	read, token, err := da.Read(ctx(), key)
	require.NoError(t, err)
	read.Lines = append([]string{"first"}, many...)
	_, err = da.Put(ctx(), key, token, read)
	require.NoError(t, err, "nothing else was written")
	_, err = db.Update(ctx(), key, func(v *cart) error { v.Lines = v.Lines[1:]; return nil })
	require.NoError(t, err)
	state := a.State
	read.Lines = append([]string{"second"}, many...)
	_, err = da.Put(ctx(), key, token, read)
	var changed *fieldmerge.ChangedError
	require.ErrorAs(t, err, &changed)
	require.Equal(t, "lines", changed.Fields[0].Path)
	require.Equal(t, state, a.State)
	_, token, err = db.Read(ctx(), key)
	require.NoError(t, err)
	b.join(t, a.State) // another region's write is one, too
	_, err = db.Put(ctx(), key, token, cart{Lines: []string{"x"}})
	require.ErrorIs(t, err, fieldmerge.ErrChanged)
}

func TestWhatADeleteDropsOfASetIsReported(t *testing.T) {
	s := cartSchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err := da.Create(ctx(), key, cart{Labels: []string{"p", "q"}})
	require.NoError(t, err)
	b.join(t, a.State)
	_, err = da.Update(ctx(), key, func(v *cart) error { v.Labels = []string{"p"}; return nil })
	require.NoError(t, err)
	_, err = da.Delete(ctx(), key)
	require.NoError(t, err)
	_, err = db.Update(ctx(), key, func(v *cart) error { v.Labels = append(v.Labels, "r"); return nil })
	require.NoError(t, err)
	mine := b.State
	for site, arrives := range map[*stepped][]byte{a: mine, b: a.State} {
		found := site.join(t, arrives)
		require.Len(t, found, 1, "what the delete knew of is no conflict, removed elements included")
		require.Equal(t, fieldwise.ConflictDelete, found[0].Kind)
		require.Equal(t, "labels", found[0].Field)
		require.Equal(t, "\xa1r", string(found[0].Loser.Value))
	}
}

// Each add is a write of its own: that the delete knew of another one with the same
// element, and a newer one, does not say that it knew of this.
func TestWhatADeleteDropsOfAnElementThatWasAddedTwiceIsReported(t *testing.T) {
	s := cartSchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	add := func(v *cart) error {
		v.Tags.Add("x")
		v.Lines, v.Open = []string{"l"}, true
		return nil
	}
	_, err := da.Create(ctx(), key, cart{})
	require.NoError(t, err)
	b.join(t, a.State)
	_, err = db.Update(ctx(), key, add)
	require.NoError(t, err)
	_, err = da.Update(ctx(), key, add)
	require.NoError(t, err)
	c := newStepped(s.Merger(), "c", 1)
	c.join(t, a.State)
	c.join(t, b.State)
	_, err = da.Delete(ctx(), key)
	require.NoError(t, err)
	found := c.join(t, a.delta)
	require.Len(t, found, 3)
	for _, one := range found {
		require.Equal(t, fieldwise.ConflictDelete, one.Kind)
		require.Equal(t, b.origin, one.Loser.Version.Origin)
	}
	require.ElementsMatch(t, found, a.join(t, b.delta), "where the adds arrive late, they are the same")
}

// What the writer did not see it does not take away: a field that another write made since
// included.
func TestAReplaceOfADocumentTakesAwayWhatTheWriterSaw(t *testing.T) {
	s, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("tags", fieldmerge.ORSet), fieldmerge.Field("hits", fieldmerge.PNCounter))
	require.NoError(t, err)
	d, err := fieldmerge.OpenDocuments(newStepped(s.Merger(), "a", 1), "d", s)
	require.NoError(t, err)
	_, err = d.Create(ctx(), key, map[string]any{"name": "n"})
	require.NoError(t, err)
	from, err := d.Get(ctx(), key)
	require.NoError(t, err)
	_, err = d.Update(ctx(), key, func(doc map[string]any) error { doc["tags"], doc["hits"] = []any{"x"}, 5; return nil })
	require.NoError(t, err)
	_, err = d.Replace(ctx(), key, from, map[string]any{"name": "n", "tags": []any{"y"}, "hits": 2})
	require.NoError(t, err)
	doc, err := d.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"name": "n", "tags": []any{"x", "y"}, "hits": int64(7)}, doc)
}

func TestSetsAndListsOfDocuments(t *testing.T) {
	s, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("tags", fieldmerge.ORSet), fieldmerge.Field("lists.*", fieldmerge.List), fieldmerge.Field("on", fieldmerge.EWFlag))
	require.NoError(t, err)
	a, b := newStepped(s.Merger(), "a", 1), newStepped(s.Merger(), "b", 1)
	da, err := fieldmerge.OpenDocuments(a, "d", s)
	require.NoError(t, err)
	db, err := fieldmerge.OpenDocuments(b, "d", s)
	require.NoError(t, err)
	_, err = da.Create(ctx(), key, map[string]any{"tags": []any{"b", int64(1)}, "lists": map[string]any{"l": []any{"x", "y"}}, "on": true})
	require.NoError(t, err)
	b.join(t, a.State)
	_, err = da.Update(ctx(), key, func(doc map[string]any) error {
		doc["tags"] = []any{"a", "b"}
		doc["lists"].(map[string]any)["l"] = []any{"w", "x", "y"}
		doc["on"] = false
		return nil
	})
	require.NoError(t, err)
	_, err = db.Update(ctx(), key, func(doc map[string]any) error {
		doc["tags"] = append(doc["tags"].([]any), "c")
		doc["lists"].(map[string]any)["l"] = []any{"x", "y", "z"}
		return nil
	})
	require.NoError(t, err)
	a.join(t, b.State)
	doc, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"tags": []any{"a", "b", "c"}, "lists": map[string]any{"l": []any{"w", "x", "y", "z"}}, "on": false}, doc)
	_, err = da.Update(ctx(), key, func(doc map[string]any) error {
		delete(doc["lists"].(map[string]any), "l")
		delete(doc, "tags")
		return nil
	})
	require.NoError(t, err)
	doc, err = da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"lists": map[string]any{}, "on": false}, doc)
	for path, v := range map[string]any{"tags": "x", "on": 1, "lists.l": 7} {
		_, err = da.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{path: v}})
		require.ErrorIs(t, err, fieldmerge.ErrField, path)
	}
}
