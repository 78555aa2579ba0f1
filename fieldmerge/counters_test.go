package fieldmerge_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

type visits struct {
	Name   string          `merge:"name,lww"`
	Logins crdt.GCounter   `merge:"logins,gcounter"`
	Score  crdt.PNCounter  `merge:"score,pncounter"`
	Stock  int64           `merge:"stock,pncounter"`
	Seen   uint32          `merge:"seen,gcounter"`
	Pages  map[string]page `merge:"pages,each=nested"`
	Votes  map[string]int  `merge:"votes,each=pncounter"`
	Inner  page            `merge:"inner,nested"`
}

type page struct {
	Title string         `merge:"title,lww"`
	Likes crdt.PNCounter `merge:"likes,pncounter"`
}

func visitsSchema(t require.TestingT) *fieldmerge.Schema[visits] {
	s, err := fieldmerge.NewSchema[visits]()
	require.NoError(t, err)
	return s
}

func TestCountersOfTwoRegionsAddUp(t *testing.T) {
	s := visitsSchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err := da.Create(ctx(), key, visits{
		Name: "n", Logins: crdt.NewGCounter(5), Score: crdt.NewPNCounter(-2), Stock: 10,
		Pages: map[string]page{"x": {Title: "X", Likes: crdt.NewPNCounter(1)}}, Votes: map[string]int{"v": 1},
	})
	require.NoError(t, err)
	b.join(t, a.State)
	_, err = da.Update(ctx(), key, func(v *visits) error {
		v.Logins.Inc(2)
		v.Score.Dec(3)
		v.Stock -= 4
		v.Seen++
		x := v.Pages["x"]
		x.Likes.Inc(10)
		v.Pages["x"] = x
		v.Votes["v"]++
		v.Votes["w"] = 7
		v.Inner.Likes.Inc(1)
		return nil
	})
	require.NoError(t, err)
	_, err = db.Update(ctx(), key, func(v *visits) error {
		v.Logins.Inc(1)
		v.Score.Inc(1)
		v.Score.Reset()
		v.Stock += 5
		v.Seen += 2
		x := v.Pages["x"]
		x.Likes.Dec(1)
		v.Pages["x"] = x
		v.Votes["v"]--
		v.Votes["w"] = 1
		return nil
	})
	require.NoError(t, err)
	state := a.State
	require.Empty(t, a.join(t, b.State))
	require.Empty(t, b.join(t, state))
	require.Equal(t, a.State, b.State)
	for _, d := range []*fieldmerge.Domain[visits]{da, db} {
		v, err := d.Get(ctx(), key)
		require.NoError(t, err)
		require.EqualValues(t, 8, v.Logins.Value())
		require.EqualValues(t, -3, v.Score.Value(), "the reset did not know of the three that were taken away")
		require.EqualValues(t, 11, v.Stock)
		require.EqualValues(t, 3, v.Seen)
		x := v.Pages["x"]
		require.EqualValues(t, 10, x.Likes.Value())
		require.Equal(t, map[string]int{"v": 1, "w": 8}, v.Votes)
		require.EqualValues(t, 1, v.Inner.Likes.Value())
	}
	require.NoError(t, fieldwise.CheckLaws(func() fieldwise.Merger { return s.Merger() }, a.State, state, a.delta, b.delta))
}

func TestACounterThatChangesNothingWritesNothing(t *testing.T) {
	site, d := on(t, visitsSchema(t), "a")
	_, err := d.Create(ctx(), key, visits{Logins: crdt.NewGCounter(1)})
	require.NoError(t, err)
	state := site.State
	for _, change := range []func(*visits){
		func(*visits) {},
		func(v *visits) { v.Logins.Inc(0) },
		func(v *visits) { c := v.Logins; c.Inc(3) }, // a copy is a value of its own
		func(v *visits) { v.Stock++; v.Stock-- },
	} {
		receipt, err := d.Update(ctx(), key, func(v *visits) error { change(v); return nil })
		require.NoError(t, err)
		require.True(t, receipt.IsZero())
		require.Equal(t, state, site.State)
	}
}

func TestACRDTValueThatWasAssignedIsRefused(t *testing.T) {
	_, d := on(t, visitsSchema(t), "a")
	_, err := d.Create(ctx(), key, visits{Score: crdt.NewPNCounter(1), Pages: map[string]page{"x": {}}})
	require.NoError(t, err)
	read, err := d.Get(ctx(), key)
	require.NoError(t, err)
	for name, change := range map[string]func(*visits){
		"of another read":  func(v *visits) { v.Score = read.Score },
		"of another field": func(v *visits) { v.Score = v.Inner.Likes },
		"made anew":        func(v *visits) { v.Score = crdt.NewPNCounter(9) },
		"the zero value":   func(v *visits) { v.Score = crdt.PNCounter{} },
		"in a new entry":   func(v *visits) { v.Pages["y"] = page{Likes: read.Score} },
	} {
		_, err := d.Update(ctx(), key, func(v *visits) error { change(v); return nil })
		require.ErrorIs(t, err, fieldmerge.ErrAssigned, name)
		require.ErrorIs(t, err, fieldmerge.ErrField, name)
	}
	_, err = d.Create(ctx(), "other", read)
	require.ErrorIs(t, err, fieldmerge.ErrAssigned)
	_, err = d.Upsert(ctx(), "other", func(v *visits) error { v.Score = read.Score; return nil })
	require.ErrorIs(t, err, fieldmerge.ErrAssigned)

	_, err = d.Update(ctx(), key, func(v *visits) error {
		v.Pages["y"] = page{Likes: crdt.NewPNCounter(4)}
		keep := v.Score
		keep.Inc(2)
		v.Score = keep // its own value, whatever way it went
		return nil
	})
	require.NoError(t, err)
	now, err := d.Get(ctx(), key)
	require.NoError(t, err)
	require.EqualValues(t, 3, now.Score.Value())
	y := now.Pages["y"]
	require.EqualValues(t, 4, y.Likes.Value())
}

// Replace, Put and Patch are given values, and count what these differ in from what the
// writer saw, whatever was counted meanwhile.
func TestAValueThatIsWrittenCountsTheDifference(t *testing.T) {
	site, d := on(t, visitsSchema(t), "a")
	_, err := d.Create(ctx(), key, visits{Logins: crdt.NewGCounter(5), Stock: 10})
	require.NoError(t, err)
	from, token, err := d.Read(ctx(), key)
	require.NoError(t, err)
	count := func() {
		_, err := d.Update(ctx(), key, func(v *visits) error { v.Logins.Inc(100); v.Stock += 100; return nil })
		require.NoError(t, err)
	}
	shows := func(logins, stock int) {
		t.Helper()
		v, err := d.Get(ctx(), key)
		require.NoError(t, err)
		require.EqualValues(t, logins, v.Logins.Value())
		require.EqualValues(t, stock, v.Stock)
	}
	count()
	to := from
	to.Logins.Inc(1)
	to.Stock = 8
	_, err = d.Replace(ctx(), key, from, to)
	require.NoError(t, err)
	shows(106, 108)

	var sent visits // over HTTP, say
	text, err := json.Marshal(to)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &sent))
	_, err = d.Put(ctx(), key, token, sent)
	require.NoError(t, err, "counting is no change that another one is lost to")
	shows(107, 106)

	_, err = d.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"logins": 200, "stock": -5}})
	require.NoError(t, err)
	shows(200, -5)
	_, err = d.Patch(ctx(), key, fieldmerge.Patch{Unset: []string{"logins", "stock"}})
	require.NoError(t, err)
	shows(0, 0)
	state := site.State
	_, err = d.Patch(ctx(), key, fieldmerge.Patch{Unset: []string{"logins", "stock"}})
	require.NoError(t, err)
	require.Equal(t, state, site.State)
	_, err = d.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"logins": "many"}})
	require.ErrorIs(t, err, fieldmerge.ErrField)
}

// An entry of a map has fields of which nothing is stored.
func TestATokenOfACounterThatCountedNothingIsReadBack(t *testing.T) {
	_, d := on(t, visitsSchema(t), "a")
	_, err := d.Create(ctx(), key, visits{Pages: map[string]page{"x": {Title: "X"}, "y": {Title: "Y"}}})
	require.NoError(t, err)
	v, token, err := d.Read(ctx(), key)
	require.NoError(t, err)
	again, err := fieldmerge.ParseToken(token.String())
	require.NoError(t, err)
	require.Equal(t, token, again)
	x := v.Pages["x"]
	x.Likes.Inc(2)
	v.Pages["x"] = x
	_, err = d.Put(ctx(), key, again, v)
	require.NoError(t, err)
	v, err = d.Get(ctx(), key)
	require.NoError(t, err)
	x = v.Pages["x"]
	require.EqualValues(t, 2, x.Likes.Value())
}

// A reset takes back what its region counted as a whole, and so has to know of all of it.
func TestAResetUnderATokenThatWasOvertakenIsRefused(t *testing.T) {
	s := visitsSchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err := da.Create(ctx(), key, visits{Score: crdt.NewPNCounter(5), Stock: 5})
	require.NoError(t, err)
	b.join(t, a.State)
	_, token, err := da.Read(ctx(), key)
	require.NoError(t, err)
	count := func(d *fieldmerge.Domain[visits]) {
		_, err := d.Update(ctx(), key, func(v *visits) error { v.Score.Inc(1); v.Stock++; return nil })
		require.NoError(t, err)
	}
	resets := map[string]func() error{
		"by a method": func() error {
			_, err := da.Update(ctx(), key, func(v *visits) error { v.Score.Reset(); v.Score.Inc(1); return nil }, fieldmerge.IfMatch(token))
			return err
		},
		"by a patch": func() error {
			_, err := da.Patch(ctx(), key, fieldmerge.Patch{Unset: []string{"stock"}}, fieldmerge.IfMatch(token))
			return err
		},
	}
	count(da)
	state := a.State
	for name, reset := range resets {
		require.ErrorIs(t, reset(), fieldmerge.ErrChanged, name)
		require.Equal(t, state, a.State, name)
	}
	_, err = da.Update(ctx(), key, func(v *visits) error { v.Score.Inc(1); v.Stock++; return nil }, fieldmerge.IfMatch(token))
	require.NoError(t, err, "counting on is no reset")

	_, token, err = da.Read(ctx(), key)
	require.NoError(t, err)
	count(db)
	a.join(t, b.State)
	for name, reset := range resets {
		require.NoError(t, reset(), name)
	}
	v, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.EqualValues(t, 2, v.Score.Value(), "what b counted since stays")
	require.EqualValues(t, 1, v.Stock)
}

func TestAGCounterOnlyGrows(t *testing.T) {
	site, d := on(t, visitsSchema(t), "a")
	_, err := d.Create(ctx(), key, visits{Logins: crdt.NewGCounter(5), Seen: 5})
	require.NoError(t, err)
	state := site.State
	_, err = d.Update(ctx(), key, func(v *visits) error { v.Seen = 4; return nil })
	require.ErrorIs(t, err, fieldmerge.ErrDirection)
	_, err = d.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"logins": 4}})
	require.ErrorIs(t, err, fieldmerge.ErrDirection)
	require.Equal(t, state, site.State)
	_, err = d.Update(ctx(), key, func(v *visits) error { v.Logins.Reset(); v.Logins.Inc(1); return nil })
	require.NoError(t, err)
	v, err := d.Get(ctx(), key)
	require.NoError(t, err)
	require.EqualValues(t, 1, v.Logins.Value())
}

func TestACounterThatIsFullIsAnErrorAndChangesNothing(t *testing.T) {
	site, d := on(t, visitsSchema(t), "a")
	_, err := d.Create(ctx(), key, visits{Logins: crdt.NewGCounter(math.MaxUint64)})
	require.NoError(t, err)
	state := site.State
	_, err = d.Update(ctx(), key, func(v *visits) error { v.Logins.Inc(1); v.Name = "x"; return nil })
	require.ErrorIs(t, err, fieldmerge.ErrField)
	require.ErrorContains(t, err, "the counter is full")
	require.Equal(t, state, site.State)
}

// A delete that does not know of an increment drops it, and the region tells so; one that
// knows of it does not.
func TestWhatADeleteDropsOfACounterIsReported(t *testing.T) {
	s := visitsSchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err := da.Create(ctx(), key, visits{Stock: 10})
	require.NoError(t, err)
	b.join(t, a.State)
	_, err = da.Delete(ctx(), key)
	require.NoError(t, err)
	_, err = db.Update(ctx(), key, func(v *visits) error { v.Stock -= 3; return nil })
	require.NoError(t, err)
	mine := b.State
	for site, arrives := range map[*stepped][]byte{a: mine, b: a.State} {
		found := site.join(t, arrives)
		require.Len(t, found, 1)
		require.Equal(t, fieldwise.ConflictDelete, found[0].Kind)
		require.Equal(t, "stock", found[0].Field)
		require.Equal(t, fieldwise.Region("b"), found[0].Loser.Version.Origin.Region)
		require.Equal(t, "\xfd", string(found[0].Loser.Value), "-3")
	}
}

func TestCountersInAMapGoWithTheirEntry(t *testing.T) {
	_, d := on(t, visitsSchema(t), "a")
	_, err := d.Create(ctx(), key, visits{Pages: map[string]page{"x": {Title: "X", Likes: crdt.NewPNCounter(4)}}, Votes: map[string]int{"v": 0, "w": 2}})
	require.NoError(t, err)
	v, err := d.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"w": 2}, v.Votes, "a counter that counted nothing is not there")
	_, err = d.Update(ctx(), key, func(v *visits) error { delete(v.Pages, "x"); delete(v.Votes, "w"); return nil })
	require.NoError(t, err)
	v, err = d.Get(ctx(), key)
	require.NoError(t, err)
	require.Empty(t, v.Pages)
	require.Empty(t, v.Votes)
	_, err = d.Update(ctx(), key, func(v *visits) error {
		v.Pages = map[string]page{"x": {Likes: crdt.NewPNCounter(1)}}
		v.Votes = map[string]int{"w": 3}
		return nil
	})
	require.NoError(t, err)
	v, err = d.Get(ctx(), key)
	require.NoError(t, err)
	x := v.Pages["x"]
	require.EqualValues(t, 1, x.Likes.Value())
	require.Equal(t, map[string]int{"w": 3}, v.Votes)
}

func TestACounterThatNobodyCountedGoesWithoutATrace(t *testing.T) {
	type part struct {
		Title string `merge:"title,lww"`
		Count int    `merge:"count,pncounter"`
	}
	type whole struct {
		Part *part `merge:"part,nested"`
	}
	s, err := fieldmerge.NewSchema[whole]()
	require.NoError(t, err)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err = da.Create(ctx(), key, whole{Part: &part{Count: 2}})
	require.NoError(t, err)
	_, err = da.Update(ctx(), key, func(w *whole) error { w.Part.Title = "X"; return nil })
	require.NoError(t, err)
	b.join(t, a.delta) // the change alone, which names no count
	drop := func(w *whole) error { w.Part = nil; return nil }
	_, err = db.Update(ctx(), key, drop)
	require.NoError(t, err)
	require.Contains(t, string(b.delta), "part.title")
	require.NotContains(t, string(b.delta), "part.count")
	_, err = da.Update(ctx(), key, drop)
	require.NoError(t, err)
	require.Contains(t, string(a.delta), "part.count")
}

func TestCountersOfDocuments(t *testing.T) {
	s, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("hits", fieldmerge.GCounter), fieldmerge.Field("pages.*.likes", fieldmerge.PNCounter))
	require.NoError(t, err)
	a, b := newStepped(s.Merger(), "a", 1), newStepped(s.Merger(), "b", 1)
	da, err := fieldmerge.OpenDocuments(a, "d", s)
	require.NoError(t, err)
	db, err := fieldmerge.OpenDocuments(b, "d", s)
	require.NoError(t, err)
	_, err = da.Create(ctx(), key, map[string]any{"hits": 1, "pages": map[string]any{"x": map[string]any{"likes": 2, "title": "X"}}})
	require.NoError(t, err)
	b.join(t, a.State)
	from, token, err := db.Read(ctx(), key)
	require.NoError(t, err)
	likes := func(doc map[string]any, n int64) {
		doc["pages"].(map[string]any)["x"].(map[string]any)["likes"] = n
	}
	_, err = da.Update(ctx(), key, func(doc map[string]any) error { doc["hits"] = doc["hits"].(int64) + 1; likes(doc, 1); return nil })
	require.NoError(t, err)
	_, err = db.Update(ctx(), key, func(doc map[string]any) error { doc["hits"] = doc["hits"].(int64) + 5; likes(doc, 12); return nil })
	require.NoError(t, err)
	likes(from, 3)
	_, err = db.Put(ctx(), key, token, from)
	require.NoError(t, err)
	require.Empty(t, a.join(t, b.State))
	doc, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"hits": int64(7), "pages": map[string]any{"x": map[string]any{"likes": int64(12), "title": "X"}}}, doc)
	_, err = da.Update(ctx(), key, func(doc map[string]any) error { doc["hits"] = 7.5; return nil })
	require.ErrorIs(t, err, fieldmerge.ErrField)
	_, err = da.Update(ctx(), key, func(doc map[string]any) error { delete(doc["pages"].(map[string]any), "x"); return nil })
	require.NoError(t, err)
	doc, err = da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"hits": int64(7), "pages": map[string]any{}}, doc)
}

func TestExplainACounter(t *testing.T) {
	_, d := on(t, visitsSchema(t), "a")
	_, err := d.Create(ctx(), key, visits{Score: crdt.NewPNCounter(-7)})
	require.NoError(t, err)
	e, err := d.Explain(ctx(), key)
	require.NoError(t, err)
	for _, f := range e.Fields {
		if f.Path == "score" {
			require.EqualValues(t, -7, f.Value)
			require.Equal(t, "pncounter", f.Policy)
			require.Equal(t, fieldmerge.FieldShown, f.State)
			require.Equal(t, fieldwise.Region("a"), f.By.Version.Origin.Region)
		}
	}
	all, err := d.Siblings(ctx(), key, "score")
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.EqualValues(t, -7, all[0].Value)
	require.True(t, all[0].Shown)
}

func TestExplainSaysThatASumIsTooLarge(t *testing.T) {
	s := visitsSchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err := da.Create(ctx(), key, visits{Logins: crdt.NewGCounter(math.MaxUint64), Score: crdt.NewPNCounter(1)})
	require.NoError(t, err)
	b.join(t, a.State)
	_, err = db.Update(ctx(), key, func(v *visits) error { v.Logins.Inc(5); return nil })
	require.NoError(t, err)
	v, err := db.Get(ctx(), key)
	require.NoError(t, err)
	require.EqualValues(t, uint64(math.MaxUint64), v.Logins.Value())
	e, err := db.Explain(ctx(), key)
	require.NoError(t, err)
	for _, f := range e.Fields {
		require.Equal(t, f.Path == "logins", f.Problem != "", f.Path)
	}
}

// A release that has the field as one value, and one that counts in it, keep each other's.
func TestACounterThatWasOneValueStartsAnew(t *testing.T) {
	type before struct {
		Hits int `merge:"hits,lww"`
	}
	type after struct {
		Hits int `merge:"hits,pncounter"`
	}
	old, err := fieldmerge.NewSchema[before]()
	require.NoError(t, err)
	now, err := fieldmerge.NewSchema[after]()
	require.NoError(t, err)
	a, da := on(t, old, "a")
	b, db := on(t, now, "b")
	_, err = da.Create(ctx(), key, before{Hits: 5})
	require.NoError(t, err)
	b.join(t, a.State)
	v, err := db.Get(ctx(), key)
	require.NoError(t, err)
	require.Zero(t, v.Hits)
	drift, err := db.Drift(ctx(), "")
	require.NoError(t, err)
	require.Len(t, drift, 1)
	require.Equal(t, fieldmerge.DriftMechanism, drift[0].Kind)
	_, err = db.Update(ctx(), key, func(v *after) error { v.Hits += 2; return nil })
	require.NoError(t, err)
	found := a.join(t, b.State)
	require.Len(t, found, 1)
	require.Equal(t, fieldwise.ConflictMechanism, found[0].Kind)
	require.Equal(t, "written as counter, and the schema here reads one value", found[0].Reason)
	was, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, 5, was.Hits)
}
