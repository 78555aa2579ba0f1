package fieldmerge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

type order struct {
	Lines  []line          `merge:"lines,list=sku"`
	People []guest         `merge:"people,list=id"`
	Rooms  map[string]room `merge:"rooms,each=nested"`
}

type line struct {
	SKU   string           `merge:"sku,lww"`
	Count crdt.PNCounter   `merge:"count,pncounter"`
	Note  *string          `merge:"note,lww"`
	Tags  []string         `merge:"tags,orset"`
	Price price            `merge:"price,nested"`
	Opts  map[string]int64 `merge:"opts,each=lww"`
}

type price struct {
	Net int64 `merge:"net,lww"`
}

type guest struct {
	ID   int64  `merge:"id,lww"`
	Name string `merge:"name,lww"`
}

type room struct {
	Beds []bed `merge:"beds,list=n"`
}

type bed struct {
	N     uint8  `merge:"n,lww"`
	Taken string `merge:"taken,lww"`
}

func orderSchema(t require.TestingT) *fieldmerge.Schema[order] {
	s, err := fieldmerge.NewSchema[order]()
	require.NoError(t, err)
	return s
}

func TestAListOfStructsMergesFieldByField(t *testing.T) {
	s := orderSchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	first := order{
		Lines: []line{
			{SKU: "tea.1", Count: crdt.NewPNCounter(2), Tags: []string{"hot"}, Price: price{5}},
			{SKU: "cup", Note: ptr("blue"), Opts: map[string]int64{"x": 1}},
		},
		People: []guest{{ID: -1, Name: "Asha"}},
		Rooms:  map[string]room{"r": {Beds: []bed{{N: 1, Taken: "x"}, {N: 2}}}},
	}
	_, err := da.Create(ctx(), key, first)
	require.NoError(t, err)
	read, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.Len(t, read.Lines, 2)
	require.Equal(t, "tea.1", read.Lines[0].SKU)
	require.EqualValues(t, 2, read.Lines[0].Count.Value())
	require.Equal(t, first.Lines[1].Note, read.Lines[1].Note)
	require.Equal(t, first.People, read.People)
	require.Equal(t, first.Rooms, read.Rooms)
	b.join(t, a.State)
	_, err = da.Update(ctx(), key, func(o *order) error {
		o.Lines[0].Count.Inc(3)
		o.Lines[0].Tags = append(o.Lines[0].Tags, "green")
		o.Lines[1].Note = ptr("red")
		o.Lines = append(o.Lines, line{SKU: "pot", Count: crdt.NewPNCounter(1)})
		o.Rooms["r"].Beds[1].Taken = "y"
		o.People = nil
		return nil
	})
	require.NoError(t, err)
	_, err = db.Update(ctx(), key, func(o *order) error {
		o.Lines[0].Count.Dec(1)
		o.Lines[0].Price.Net = 6
		o.Lines[0].Tags = nil
		o.Lines[1].Opts["y"] = 2
		o.Lines[0], o.Lines[1] = o.Lines[1], o.Lines[0]
		o.People = append(o.People, guest{ID: 7})
		return nil
	})
	require.NoError(t, err)
	state := a.State
	a.join(t, b.State)
	b.join(t, state)
	require.Equal(t, a.State, b.State)
	require.NoError(t, fieldwise.CheckLaws(func() fieldwise.Merger { return s.Merger() }, a.State, state, a.delta, b.delta))
	for _, d := range []*fieldmerge.Domain[order]{da, db} {
		v, err := d.Get(ctx(), key)
		require.NoError(t, err)
		var skus []string
		for _, l := range v.Lines {
			skus = append(skus, l.SKU)
		}
		require.ElementsMatch(t, []string{"cup", "tea.1", "pot"}, skus)
		for _, l := range v.Lines {
			switch l.SKU {
			case "tea.1":
				require.EqualValues(t, 4, l.Count.Value())
				require.Equal(t, []string{"green"}, l.Tags)
				require.EqualValues(t, 6, l.Price.Net)
			case "cup":
				require.Equal(t, "red", *l.Note)
				require.Equal(t, map[string]int64{"x": 1, "y": 2}, l.Opts)
			}
		}
		require.Equal(t, []guest{{ID: 7}}, v.People)
		require.Equal(t, "y", v.Rooms["r"].Beds[1].Taken)
	}
}

func TestAListOfStructsUnderATokenAndByPatch(t *testing.T) {
	_, d := on(t, orderSchema(t), "a")
	_, err := d.Create(ctx(), key, order{People: []guest{{ID: 1, Name: "a"}, {ID: 2, Name: "b"}}})
	require.NoError(t, err)
	read, token, err := d.Read(ctx(), key)
	require.NoError(t, err)
	_, err = d.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"people.2.name": "c"}})
	require.NoError(t, err)
	to := read
	to.People = []guest{{ID: 3, Name: "new"}, {ID: 1, Name: "A"}, {ID: 2, Name: "b"}}
	_, err = d.Put(ctx(), key, token, to)
	require.NoError(t, err)
	v, err := d.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, []guest{{ID: 3, Name: "new"}, {ID: 1, Name: "A"}, {ID: 2, Name: "c"}}, v.People)
	to.People = []guest{{ID: 1, Name: "a"}, {ID: 2, Name: "B"}}
	_, err = d.Put(ctx(), key, token, to)
	require.ErrorIs(t, err, fieldmerge.ErrChanged, "the name of 2 was changed here since")
	_, err = d.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"people": []guest{{ID: 2, Name: "d"}}}})
	require.NoError(t, err)
	v, err = d.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, []guest{{ID: 2, Name: "d"}}, v.People)
	for what, patch := range map[string]fieldmerge.Patch{
		"an object that is not there": {Set: map[string]any{"people.9.name": "x"}},
		"a key":                       {Set: map[string]any{"people.2.id": 3}},
	} {
		_, err = d.Patch(ctx(), key, patch)
		require.ErrorIs(t, err, fieldmerge.ErrPath, what)
	}
	_, err = d.Update(ctx(), key, func(o *order) error { o.People = append(o.People, guest{ID: 2}); return nil })
	require.ErrorIs(t, err, fieldmerge.ErrField)
	_, err = d.Patch(ctx(), key, fieldmerge.Patch{Unset: []string{"people"}})
	require.NoError(t, err)
	v, err = d.Get(ctx(), key)
	require.NoError(t, err)
	require.Nil(t, v.People)
}

func TestStructsAndDocumentsHaveOneFormOfLists(t *testing.T) {
	s := orderSchema(t)
	docs, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("people", fieldmerge.ListBy("id")))
	require.NoError(t, err)
	a, typed := on(t, s, "a")
	b, untyped := documentsOn(t, docs, "a")
	people := []guest{{ID: 1, Name: "a"}, {ID: 2, Name: "b"}}
	_, err = typed.Create(ctx(), key, order{People: people})
	require.NoError(t, err)
	_, err = untyped.Create(ctx(), key, map[string]any{"people": []any{doc{"id": 1, "name": "a"}, doc{"id": 2, "name": "b"}}})
	require.NoError(t, err)
	require.Equal(t, a.State, b.State)
}

func TestListsOfStructsThatAreNone(t *testing.T) {
	for says, err := range map[string]error{
		`strategy "list=id" is for slices of structs`: ofSchema[struct {
			L []string `merge:"l,list=id"`
		}](),
		`has no field that is stored under the name "no"`: ofSchema[struct {
			L []guest `merge:"l,list=no"`
		}](),
		`it is the key of a list; make it a string or an integer under "lww"`: ofSchema[struct {
			L []struct {
				ID *string `merge:"id,lww"`
			} `merge:"l,list=id"`
		}](),
		`it is the key of a list, and of type float64`: ofSchema[struct {
			L []struct {
				ID float64 `merge:"id,lww"`
			} `merge:"l,list=id"`
		}](),
	} {
		require.ErrorIs(t, err, fieldmerge.ErrSchema)
		require.ErrorContains(t, err, says)
	}
}

func TestAMapOfListsOfStructs(t *testing.T) {
	type record struct {
		M map[string][]guest `merge:"m,each=list=id"`
	}
	s, err := fieldmerge.NewSchema[record]()
	require.NoError(t, err)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err = da.Create(ctx(), key, record{M: map[string][]guest{"x.y": {{ID: 1, Name: "a"}, {ID: 2}}, "none": nil, "empty": {}}})
	require.NoError(t, err)
	b.join(t, a.State)
	_, err = da.Update(ctx(), key, func(r *record) error { r.M["x.y"][0].Name = "b"; r.M["z"] = []guest{{ID: 9}}; return nil })
	require.NoError(t, err)
	_, err = db.Update(ctx(), key, func(r *record) error {
		r.M["x.y"] = append(r.M["x.y"], guest{ID: 3, Name: "c"})
		delete(r.M, "empty")
		return nil
	})
	require.NoError(t, err)
	a.join(t, b.State)
	v, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, record{M: map[string][]guest{"x.y": {{ID: 1, Name: "b"}, {ID: 2}, {ID: 3, Name: "c"}}, "z": {{ID: 9}}}}, v)
}

// An object that comes again has what it is given, though counts and elements that nobody sees
// are left of it: those of a writer who did not know that it was removed.
func TestAnObjectThatComesAgainCountsFromNothing(t *testing.T) {
	type item struct {
		ID    string             `merge:"id,lww"`
		Count crdt.PNCounter     `merge:"count,pncounter"`
		Stock int                `merge:"stock,pncounter"`
		Tags  crdt.ORSet[string] `merge:"tags,orset"`
		Marks []string           `merge:"marks,orset"`
		Seen  crdt.GSet[int]     `merge:"seen,gset"`
	}
	type record struct {
		Items []item `merge:"items,list=id"`
	}
	s, err := fieldmerge.NewSchema[record]()
	require.NoError(t, err)
	for name, made := range map[string]item{
		"as it was":    {"x", crdt.NewPNCounter(2), 2, crdt.NewORSet("old"), []string{"old"}, crdt.NewGSet(1)},
		"with other":   {"x", crdt.NewPNCounter(-1), 1, crdt.NewORSet("new"), []string{"new"}, crdt.NewGSet(2)},
		"with nothing": {ID: "x"},
	} {
		t.Run(name, func(t *testing.T) {
			a, da := on(t, s, "a")
			b, db := on(t, s, "b")
			_, err = da.Create(ctx(), key, record{[]item{{ID: "x"}}})
			require.NoError(t, err)
			b.join(t, a.State)
			_, err = db.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{
				"items.x.count": 2, "items.x.stock": 2, "items.x.tags": []string{"old"}, "items.x.marks": []string{"old"}, "items.x.seen": []int{1},
			}})
			require.NoError(t, err)
			_, err = da.Update(ctx(), key, func(r *record) error { r.Items = nil; return nil })
			require.NoError(t, err)
			a.join(t, b.State)
			_, err = da.Update(ctx(), key, func(r *record) error { r.Items = append(r.Items, made); return nil })
			require.NoError(t, err)
			v, err := da.Get(ctx(), key)
			require.NoError(t, err)
			require.Len(t, v.Items, 1)
			got := v.Items[0]
			require.Equal(t, made.Count.Value(), got.Count.Value())
			require.Equal(t, made.Stock, got.Stock)
			require.Equal(t, made.Tags.Values(), got.Tags.Values())
			require.Equal(t, made.Marks, got.Marks)
			require.Equal(t, made.Seen.Values(), got.Seen.Values())
		})
	}
}

// Somebody removed an object while another moved it: the list does not show it, and who puts it
// there again chooses its place.
func TestAListHidesWhatWasRemovedAndMoved(t *testing.T) {
	s := orderSchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	people := func(ids ...int64) (all []guest) {
		for _, id := range ids {
			all = append(all, guest{ID: id})
		}
		return all
	}
	set := func(d *fieldmerge.Domain[order], ids ...int64) {
		t.Helper()
		_, err := d.Update(ctx(), key, func(o *order) error { o.People = people(ids...); return nil })
		require.NoError(t, err)
	}
	_, err := da.Create(ctx(), key, order{People: people(1, 2, 3)})
	require.NoError(t, err)
	b.join(t, a.State)
	b.time += 1000
	set(da, 3, 1, 2)
	set(db, 1, 2)
	a.join(t, b.State)
	siblings, err := da.Siblings(ctx(), key, "people")
	require.NoError(t, err)
	require.Len(t, siblings, 1)
	require.True(t, siblings[0].Shown)
	require.Len(t, siblings[0].Value, 2)
	for _, choice := range []fieldmerge.Choice{fieldmerge.KeepShown(), fieldmerge.KeepVersion(siblings[0].Version)} {
		receipt, err := da.Resolve(ctx(), key, "people", choice)
		require.NoError(t, err)
		require.True(t, receipt.IsZero(), "there is nothing to settle")
	}
	set(da, 1, 2, 3)
	v, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, people(1, 2, 3), v.People)
}

// What a writer puts into a list that did not show it to the writer, and has it, is moved, and not
// there twice.
func TestAnObjectThatIsPutWhereItIsAlreadyIsMoved(t *testing.T) {
	_, d := on(t, orderSchema(t), "a")
	_, err := d.Create(ctx(), key, order{People: []guest{{ID: 1}}})
	require.NoError(t, err)
	read, token, err := d.Read(ctx(), key)
	require.NoError(t, err)
	set := func(ids ...int64) {
		t.Helper()
		_, err := d.Update(ctx(), key, func(o *order) error {
			o.People = nil
			for _, id := range ids {
				o.People = append(o.People, guest{ID: id})
			}
			return nil
		})
		require.NoError(t, err)
		v, err := d.Get(ctx(), key)
		require.NoError(t, err)
		for i, id := range ids {
			require.Equal(t, id, v.People[i].ID, "want %v, got %v", ids, v.People)
		}
	}
	set(2, 1)
	read.People = append(read.People, guest{ID: 2}, guest{ID: 3})
	_, err = d.Put(ctx(), key, token, read)
	require.NoError(t, err)
	set(1, 3, 2)
	set(3, 2, 1)
}

func TestAListOfStructsThatIsSetToNothing(t *testing.T) {
	_, d := on(t, orderSchema(t), "a")
	_, err := d.Create(ctx(), key, order{People: []guest{{ID: 1, Name: "a"}}})
	require.NoError(t, err)
	read, token, err := d.Read(ctx(), key)
	require.NoError(t, err)
	_, err = d.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"people": []guest(nil)}})
	require.NoError(t, err)
	v, err := d.Get(ctx(), key)
	require.NoError(t, err)
	require.Nil(t, v.People)
	read.People[0].Name = "b"
	_, err = d.Put(ctx(), key, token, read)
	require.ErrorIs(t, err, fieldmerge.ErrPath, "the object is gone")
	read.People = append(read.People, guest{ID: 2})
	_, err = d.Put(ctx(), key, token, read)
	require.ErrorIs(t, err, fieldmerge.ErrPath, "another one does not bring it back")
	read.People = read.People[1:]
	_, err = d.Put(ctx(), key, token, read)
	require.NoError(t, err)
}

// Who writes a list that a value above it hides since they read it puts all its objects there,
// also those that are as they were.
func TestAListThatWasHiddenIsWrittenWithAllItsObjects(t *testing.T) {
	s, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("at.people", fieldmerge.ListBy("id")))
	require.NoError(t, err)
	a, da := documentsOn(t, s, "a")
	b, db := documentsOn(t, s, "b")
	one, two, three := doc{"id": int64(1)}, doc{"id": int64(2)}, doc{"id": int64(3)}
	_, err = da.Create(ctx(), key, nil)
	require.NoError(t, err)
	b.join(t, a.State)
	b.time += 1000
	_, err = da.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"at": doc{"people": objects(one, two, three)}}})
	require.NoError(t, err)
	_, token, err := da.Read(ctx(), key)
	require.NoError(t, err)
	_, err = db.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"at": 2}})
	require.NoError(t, err)
	a.join(t, b.State)
	a.time = b.time
	want := doc{"at": doc{"people": objects(three, one)}}
	_, err = da.Put(ctx(), key, token, want)
	require.NoError(t, err)
	b.join(t, a.State)
	for _, d := range []*fieldmerge.Documents{da, db} {
		got, err := d.Get(ctx(), key)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// That an object was removed is not reported beside a newer mark of it, as the list does not show
// it. Who puts it there again replaces both.
func TestAnObjectThatComesAgainHasOneMark(t *testing.T) {
	s, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("people", fieldmerge.ListBy("id")))
	require.NoError(t, err)
	a, da := documentsOn(t, s, "a")
	b, db := documentsOn(t, s, "b")
	one := doc{"people": objects(doc{"id": int64(1)})}
	for _, d := range []*fieldmerge.Documents{da, db} {
		_, err := d.Create(ctx(), key, one)
		require.NoError(t, err)
	}
	b.join(t, a.State)
	a.join(t, b.State)
	b.time += 1000
	_, err = db.Resolve(ctx(), key, "people.1", fieldmerge.KeepShown())
	require.NoError(t, err)
	_, err = da.Update(ctx(), key, func(d map[string]any) error { d["people"] = objects(); return nil })
	require.NoError(t, err)
	reports := b.join(t, a.State)
	require.Len(t, reports, 1)
	require.Equal(t, fieldwise.ConflictShape, reports[0].Kind)
	siblings, err := db.Siblings(ctx(), key, "people.1")
	require.NoError(t, err)
	require.Len(t, siblings, 2, "the mark, and that the object was removed")
	_, err = db.Update(ctx(), key, func(d map[string]any) error { d["people"] = one["people"]; return nil })
	require.NoError(t, err)
	siblings, err = db.Siblings(ctx(), key, "people.1")
	require.NoError(t, err)
	require.Len(t, siblings, 1)
	got, err := db.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, one, got)
}

// Where changes of objects arrive before their list, a document shows a map in its place. Who saw
// that, and removes it, removes these objects, and no others.
func TestAListThatArrivesAfterItsObjects(t *testing.T) {
	s, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("people", fieldmerge.ListBy("id")))
	require.NoError(t, err)
	a, da := documentsOn(t, s, "a")
	_, err = da.Create(ctx(), key, doc{"people": objects(doc{"id": int64(1)}, doc{"id": int64(2)})})
	require.NoError(t, err)
	created := a.delta
	_, err = da.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"people.1.name": "x"}})
	require.NoError(t, err)
	b, db := documentsOn(t, s, "b")
	b.join(t, a.delta)
	read, token, err := db.Read(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, doc{"people": doc{"1": doc{"name": "x"}}}, read)
	_, err = db.Replace(ctx(), key, read, doc{"n": int64(1)})
	require.NoError(t, err)
	b.join(t, created)
	_, err = db.Put(ctx(), key, token, doc{"n": int64(1)})
	require.NoError(t, err)
	got, err := db.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, doc{"people": objects(doc{"id": int64(2)}), "n": int64(1)}, got)
}
