package fieldmerge_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

type device struct {
	Seen  time.Time        `merge:"seen,max"`
	Best  int              `merge:"best,max"`
	Price *float64         `merge:"price,min"`
	Rev   string           `merge:"rev,max"`
	Each  map[string]int64 `merge:"each,each=max"`
	Name  string           `merge:"name,lww"`
}

func deviceSchema(t require.TestingT) *fieldmerge.Schema[device] {
	s, err := fieldmerge.NewSchema[device]()
	require.NoError(t, err)
	return s
}

func TestMaxAndMinShowTheLargestAndTheSmallest(t *testing.T) {
	s := deviceSchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err := da.Create(ctx(), key, device{Seen: time.UnixMilli(10).UTC(), Best: -5, Price: ptr(2.5), Rev: "b", Each: map[string]int64{"x": 1}})
	require.NoError(t, err)
	b.join(t, a.State)
	a.time = 1000
	update := func(d *fieldmerge.Domain[device], to device) {
		_, err := d.Update(ctx(), key, func(p *device) error { *p = to; return nil })
		require.NoError(t, err)
	}
	update(da, device{Seen: time.UnixMilli(20).UTC(), Best: 300, Price: ptr(2.0), Rev: "ba", Each: map[string]int64{"x": 2}})
	update(db, device{Seen: time.UnixMilli(30).UTC(), Best: 40, Price: ptr(-1.0), Rev: "c", Each: map[string]int64{"x": 5, "y": 1}})
	state := a.State
	require.Empty(t, a.join(t, b.State), "that the others do not show is what the fields mean")
	require.Empty(t, b.join(t, state))
	require.Equal(t, a.State, b.State)
	want := device{Seen: time.UnixMilli(30).UTC(), Best: 300, Price: ptr(-1.0), Rev: "c", Each: map[string]int64{"x": 5, "y": 1}}
	for _, d := range []*fieldmerge.Domain[device]{da, db} {
		got, err := d.Get(ctx(), key)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.NoError(t, fieldwise.CheckLaws(func() fieldwise.Merger { return s.Merger() }, a.State, state, b.delta))
}

func TestMaxAndMinGoInOneDirection(t *testing.T) {
	site, d := on(t, deviceSchema(t), "a")
	_, err := d.Create(ctx(), key, device{Best: 7, Price: ptr(2.0)})
	require.NoError(t, err)
	state := site.State
	for _, change := range []func(*device){
		func(p *device) { p.Best = 6 },
		func(p *device) { p.Best = 0 },
		func(p *device) { *p.Price = 3 },
	} {
		_, err := d.Update(ctx(), key, func(p *device) error { change(p); return nil })
		require.ErrorIs(t, err, fieldmerge.ErrField)
		require.ErrorIs(t, err, fieldmerge.ErrDirection)
		require.Equal(t, state, site.State)
	}
	_, err = d.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"best": 5}})
	require.EqualError(t, err, `d: patch "k": field "best": fieldmerge: the field goes in one direction: 5 is written, and the max is 7`)
	_, err = d.Update(ctx(), key, func(p *device) error { p.Best, p.Price = 8, nil; return nil })
	require.NoError(t, err, "unset goes")
	got, err := d.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, device{Best: 8}, got)
}

func TestAnUnsetOfAMaxThatAConcurrentWriteHidesIsReported(t *testing.T) {
	s := deviceSchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err := da.Create(ctx(), key, device{Price: ptr(5.0)})
	require.NoError(t, err)
	b.join(t, a.State)
	_, err = da.Patch(ctx(), key, fieldmerge.Patch{Unset: []string{"price"}})
	require.NoError(t, err)
	_, err = db.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"price": 4.0}})
	require.NoError(t, err)
	found := b.join(t, a.State)
	require.Len(t, found, 1)
	require.Equal(t, "price", found[0].Field)
	require.Nil(t, found[0].Loser.Value)
	require.Equal(t, "a value goes before its absence", found[0].Reason)
	got, err := db.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, device{Price: ptr(4.0)}, got)
}

// A delete that knows of the largest value drops a smaller one that it does not know of:
// each region tells, whichever of the two it took in first.
func TestASmallerMaxThatADeleteDropsIsReported(t *testing.T) {
	s := deviceSchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err := da.Create(ctx(), key, device{Best: 3})
	require.NoError(t, err)
	first := a.State
	_, err = da.Delete(ctx(), key)
	require.NoError(t, err)
	_, err = db.Create(ctx(), key, device{Best: 1})
	require.NoError(t, err)
	mine := b.State
	require.Empty(t, b.join(t, first))
	for site, arrives := range map[*stepped][]byte{a: mine, b: a.State} {
		found := site.join(t, arrives)
		require.Len(t, found, 1)
		require.Equal(t, fieldwise.ConflictDelete, found[0].Kind)
		require.Equal(t, "best", found[0].Field)
		require.Equal(t, fieldwise.Region("b"), found[0].Loser.Version.Origin.Region)
		require.Equal(t, "\x01", string(found[0].Loser.Value))
	}
}

func TestAMaxUnderATokenThatWasOvertakenIsNoConflict(t *testing.T) {
	s := deviceSchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err := da.Create(ctx(), key, device{Best: 1})
	require.NoError(t, err)
	b.join(t, a.State)
	read, token, err := da.Read(ctx(), key)
	require.NoError(t, err)
	_, err = db.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"best": 9}})
	require.NoError(t, err)
	a.join(t, b.State)
	read.Best, read.Name = 5, "x"
	_, err = da.Put(ctx(), key, token, read)
	require.NoError(t, err)
	got, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, device{Best: 9, Name: "x"}, got)
}

// Two releases give one field two mechanisms: both are kept, each reads its own, and
// everybody is told.
func TestOneNameUnderTwoKindsKeepsBoth(t *testing.T) {
	type before struct {
		Best int    `merge:"best,lww"`
		Name string `merge:"name,lww"`
	}
	type careful struct {
		Best int `merge:"best,max,was=best"`
	}
	old, err := fieldmerge.NewSchema[before]()
	require.NoError(t, err)
	mindful, err := fieldmerge.NewSchema[careful]()
	require.NoError(t, err)
	a, da := on(t, old, "a")
	b, db := on(t, deviceSchema(t), "b")
	c, dc := on(t, mindful, "c")
	_, err = da.Create(ctx(), key, before{Best: 5})
	require.NoError(t, err)
	found := b.join(t, a.State)
	require.Empty(t, found, "nothing was there before")
	c.join(t, a.State)
	got, err := db.Get(ctx(), key)
	require.NoError(t, err)
	require.Zero(t, got.Best)
	drift, err := db.Drift(ctx(), "")
	require.NoError(t, err)
	require.Equal(t, []fieldmerge.FieldDrift{{Path: "best", Kind: fieldmerge.DriftMechanism, Records: 1, Example: key}}, drift)
	mind, err := dc.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, careful{5}, mind, "until it is first written under its new mechanism")
	_, err = dc.Update(ctx(), key, func(p *careful) error { p.Best++; return nil })
	require.NoError(t, err)
	mind, err = dc.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, careful{6}, mind)

	_, err = db.Update(ctx(), key, func(p *device) error { p.Best = 3; return nil })
	require.NoError(t, err)
	_, err = da.Update(ctx(), key, func(p *before) error { p.Best = 4; return nil })
	require.NoError(t, err)
	state := a.State
	for site, want := range map[*stepped]struct {
		from          []byte
		value, reason string
	}{
		a: {b.State, "\x03", "written as max, and the schema here reads one value"},
		b: {state, "\x04", "written as one value, and the schema here reads max"},
	} {
		found := site.join(t, want.from)
		require.Len(t, found, 1)
		require.Equal(t, fieldwise.ConflictMechanism, found[0].Kind)
		require.Equal(t, "best", found[0].Field)
		require.Equal(t, want.value, string(found[0].Loser.Value))
		require.Equal(t, want.reason, found[0].Reason)
		require.Empty(t, site.join(t, want.from), "once")
	}
	require.Equal(t, a.State, b.State)
	wasOld, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, 4, wasOld.Best)
	isNew, err := db.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, 3, isNew.Best)
	e, err := db.Explain(ctx(), key)
	require.NoError(t, err)
	require.Contains(t, e.String(), "best = 3 by b")
	require.Contains(t, e.String(), "(lww; of another kind)")
	drift, err = db.Drift(ctx(), "")
	require.NoError(t, err)
	require.Empty(t, drift, "the field is there under its own kind, too")
}

func TestMaxOfDocuments(t *testing.T) {
	s, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("score.*", fieldmerge.Max))
	require.NoError(t, err)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	b.take(a.create(1, doc{"score": doc{"x": 3}, "n": 1}))
	mine, theirs := a.set(9, doc{"score.x": 4}), b.set(5, doc{"score.x": 7, "score.y": 1})
	require.Empty(t, a.take(theirs))
	require.Empty(t, b.take(mine))
	a.shows(doc{"score": doc{"x": int64(7), "y": int64(1)}, "n": int64(1)})
	_, err = a.domain.Patch(ctx(), key, fieldmerge.Patch{Set: doc{"score.x": 2}})
	require.ErrorIs(t, err, fieldmerge.ErrField)
	_, err = a.domain.Patch(ctx(), key, fieldmerge.Patch{Set: doc{"score.x": true}})
	require.ErrorContains(t, err, "holds numbers, times and strings")
	_, err = newSite(t, s, "c").domain.Create(ctx(), key, doc{"score": doc{"x": nil}})
	require.ErrorContains(t, err, "holds numbers, times and strings")
	b.take(a.unset(10, "score"))
	b.shows(doc{"n": int64(1)})
	_, err = fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.Max))
	require.ErrorIs(t, err, fieldmerge.ErrSchema)
}

func TestMaxIsForWhatHasAnOrder(t *testing.T) {
	type bad struct {
		Tags  []string `merge:"tags,max"`
		On    bool     `merge:"on,min"`
		Group int      `merge:"a,max,group=g"`
		Other int      `merge:"b,lww,group=g"`
	}
	_, err := fieldmerge.NewSchema[bad]()
	require.ErrorContains(t, err, `bad.Tags: strategy "max" is for numbers, times and strings, and the field is []string`)
	require.ErrorContains(t, err, `bad.On: strategy "min" is for numbers`)
	require.ErrorContains(t, err, `bad.Group: strategy "max" is a mechanism of its own`)
}

// Whatever order the deltas come in, a max shows the largest of all that was written.
func TestPropertyMaxIsTheLargestOfAllWrites(t *testing.T) {
	s := deviceSchema(t)
	randtest.Check(t, 1500, 5000, func(t *rapid.T) {
		w := newWorld(t, s.Merger(), rapid.IntRange(2, 4).Draw(t, "regions"))
		best, low := 0, 100.0
		for range rapid.IntRange(2, 20).Draw(t, "steps") {
			r := w.regions[rapid.IntRange(0, len(w.regions)-1).Draw(t, "region")]
			if rapid.IntRange(0, 2).Draw(t, "step") == 0 {
				r.deliver(true)
				continue
			}
			d, err := fieldmerge.Open(r, "d", s)
			require.NoError(t, err)
			x := rapid.IntRange(-3, 5).Draw(t, "x")
			_, err = d.Upsert(ctx(), key, func(p *device) error {
				p.Best = max(p.Best, x)
				if p.Price == nil || *p.Price > float64(x) {
					p.Price = ptr(float64(x))
				}
				return nil
			})
			require.NoError(t, err)
			best, low = max(best, x), min(low, float64(x))
		}
		w.heal()
		w.converged()
		d, err := fieldmerge.Open(w.regions[0], "d", s)
		require.NoError(t, err)
		if len(w.writes) == 0 {
			return
		}
		got, err := d.Get(ctx(), key)
		require.NoError(t, err)
		require.Equal(t, best, got.Best)
		require.Equal(t, low, *got.Price)
		require.Empty(t, w.reports)
	})
}

func TestASchemaTellsItsStrategies(t *testing.T) {
	s := everythingSchema(t)
	for path, want := range map[string]fieldmerge.Strategy{
		"name": fieldmerge.LWW, "created": fieldmerge.Earliest, "home.city": fieldmerge.Priority, "places.x.city": fieldmerge.Priority,
		"tier": "custom=tier", "price": fieldmerge.LWW, "unknown": fieldmerge.LWW,
	} {
		require.Equal(t, want, s.Strategy(path), path)
	}
	require.Equal(t, []fieldwise.Region{"c", "a"}, s.Ranks())
	require.Equal(t, fieldmerge.Max, deviceSchema(t).Strategy("each.x"))
	require.Nil(t, deviceSchema(t).Ranks())

	d, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("z.**", fieldmerge.LWW),
		fieldmerge.Field("b.*", fieldmerge.Max), fieldmerge.Field(`b.x\.y`, fieldmerge.Min), fieldmerge.Field("a", fieldmerge.Earliest))
	require.NoError(t, err)
	require.Equal(t, []string{"a", `b.x\.y`, "z.**", "b.*"}, d.Patterns())
}
