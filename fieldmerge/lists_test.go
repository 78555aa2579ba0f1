package fieldmerge_test

import (
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

func shapeSchema(t require.TestingT, options ...fieldmerge.Option) *fieldmerge.DocumentSchema {
	s, err := fieldmerge.NewDocumentSchema(append(options, fieldmerge.Default(fieldmerge.ByShape))...)
	require.NoError(t, err)
	return s
}

func documentsOn(t require.TestingT, s *fieldmerge.DocumentSchema, name fieldwise.Region) (*stepped, *fieldmerge.Documents) {
	site := newStepped(s.Merger(), name, 1)
	d, err := fieldmerge.OpenDocuments(site, "d", s)
	require.NoError(t, err)
	return site, d
}

func objects(all ...any) []any { return all }

// inTwoRegions creates a document in one region, changes it in both, and returns what both show
// and the reports of one.
func inTwoRegions(t *testing.T, s *fieldmerge.DocumentSchema, from doc, inA, inB func(doc)) (doc, []fieldwise.Conflict) {
	t.Helper()
	a, da := documentsOn(t, s, "a")
	b, db := documentsOn(t, s, "b")
	_, err := da.Create(ctx(), key, from)
	require.NoError(t, err)
	b.join(t, a.State)
	b.time += 1000
	_, err = da.Update(ctx(), key, func(d map[string]any) error { inA(d); return nil })
	require.NoError(t, err)
	_, err = db.Update(ctx(), key, func(d map[string]any) error { inB(d); return nil })
	require.NoError(t, err)
	state := a.State
	reports := a.join(t, b.State)
	b.join(t, state)
	require.Equal(t, a.State, b.State)
	shown, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.NoError(t, fieldwise.CheckLaws(func() fieldwise.Merger { return s.Merger() }, a.State, state, a.delta, b.delta))
	return shown, reports
}

func TestObjectsOfAListMergeFieldByField(t *testing.T) {
	explicit, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("devices", fieldmerge.ListBy("id")))
	require.NoError(t, err)
	for name, s := range map[string]*fieldmerge.DocumentSchema{"by shape": shapeSchema(t), "explicit": explicit} {
		t.Run(name, func(t *testing.T) {
			shown, reports := inTwoRegions(t, s,
				doc{"devices": objects(doc{"id": 1, "name": "phone", "os": doc{"v": 1}}, doc{"id": 2, "name": "desk"}, doc{"id": 3})},
				func(d doc) {
					all := d["devices"].([]any)
					all[0].(doc)["name"] = "telephone"
					d["devices"] = objects(all[0], doc{"id": 4, "name": "tablet"}, all[1])
				},
				func(d doc) {
					all := d["devices"].([]any)
					all[0].(doc)["os"] = doc{"v": 2, "name": "x"}
					all[1].(doc)["name"] = nil
					d["devices"] = objects(doc{"id": 0}, all[0], all[1], all[2])
				})
			require.Empty(t, reports)
			require.Equal(t, doc{"devices": objects(
				doc{"id": int64(0)},
				doc{"id": int64(1), "name": "telephone", "os": doc{"v": int64(2), "name": "x"}},
				doc{"id": int64(4), "name": "tablet"},
				doc{"id": int64(2), "name": nil},
			)}, shown)
		})
	}
}

func TestAnObjectThatIsRemovedIsGoneAndWhatOthersChangedInItIsReported(t *testing.T) {
	shown, reports := inTwoRegions(t, shapeSchema(t),
		doc{"devices": objects(doc{"id": "p", "name": "phone"}, doc{"id": "d"})},
		func(d doc) { d["devices"] = objects(doc{"id": "d"}) },
		func(d doc) { d["devices"].([]any)[0].(doc)["name"] = "telephone" })
	require.Equal(t, doc{"devices": objects(doc{"id": "d"})}, shown)
	require.Len(t, reports, 1)
	require.Equal(t, fieldwise.ConflictShape, reports[0].Kind)
	require.Equal(t, "devices.p.name", reports[0].Field)
	require.Equal(t, fieldwise.Region("b"), reports[0].Loser.Version.Origin.Region)
}

func TestAnObjectThatComesAgainHasWhatItIsGiven(t *testing.T) {
	s := shapeSchema(t)
	a, da := documentsOn(t, s, "a")
	b, db := documentsOn(t, s, "b")
	_, err := da.Create(ctx(), key, doc{"l": objects(doc{"id": "p", "name": "x"}, doc{"id": "q"})})
	require.NoError(t, err)
	b.join(t, a.State)
	set := func(d *fieldmerge.Documents, list ...any) {
		t.Helper()
		_, err := d.Patch(ctx(), key, fieldmerge.Patch{Set: doc{"l": list}})
		require.NoError(t, err)
	}
	set(da, doc{"id": "q"})
	set(db, doc{"id": "p", "name": "y"}, doc{"id": "q"}) // in an object that is no more
	a.join(t, b.State)
	set(da, doc{"id": "q"}, doc{"id": "p", "size": 1})
	shown, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, doc{"l": objects(doc{"id": "q"}, doc{"id": "p", "size": int64(1)})}, shown, "and not the name that was hidden")
}

func TestListsOfOtherValuesMergeByValue(t *testing.T) {
	for name, c := range map[string]struct{ from, a, b, want []any }{
		"scalars":               {[]any{"x", "y"}, []any{"x", "y", "a"}, []any{"b", "x"}, []any{"b", "x", "a"}},
		"objects without a key": {objects(doc{"n": 1.5}, doc{"n": 2.5}), objects(doc{"n": 1.5}), objects(doc{"n": 1.5}, doc{"n": 2.5}, doc{"n": 3.5}), objects(doc{"n": 1.5}, doc{"n": 3.5})},
		"lists":                 {objects([]any{int64(1)}, []any{int64(2)}), objects([]any{int64(2)}), objects([]any{int64(1)}, []any{int64(2)}, []any{}), objects([]any{int64(2)}, []any{})},
		"equal ones":            {[]any{"x", "x"}, []any{"x"}, []any{"x", "x", "y"}, []any{"x", "y"}},
	} {
		t.Run(name, func(t *testing.T) {
			shown, reports := inTwoRegions(t, shapeSchema(t), doc{"l": c.from}, func(d doc) { d["l"] = c.a }, func(d doc) { d["l"] = c.b })
			require.Empty(t, reports)
			require.Equal(t, doc{"l": c.want}, shown)
		})
	}
}

func TestAFieldThatBecomesAListAndBack(t *testing.T) {
	values := []any{"text", []any{}, []any{"a", "b"}, objects(doc{"id": int64(1), "n": "x"}), objects(doc{"n": 1.5}), doc{}, doc{"a": int64(1)}, nil, objects(doc{"name": "u", "l": objects(doc{"id": "v"})})}
	for i, from := range values {
		for j, to := range values {
			for k, other := range values {
				_, d := documentsOn(t, shapeSchema(t), "a")
				_, err := d.Create(ctx(), key, doc{"f": from})
				require.NoError(t, err)
				for _, v := range []any{to, other, from} {
					_, err = d.Update(ctx(), key, func(d map[string]any) error { d["f"] = v; return nil })
					require.NoError(t, err)
					shown, err := d.Get(ctx(), key)
					require.NoError(t, err)
					require.Equal(t, doc{"f": v}, shown, "%d %d %d", i, j, k)
				}
				_, err = d.Update(ctx(), key, func(d map[string]any) error { delete(d, "f"); return nil })
				require.NoError(t, err)
				shown, err := d.Get(ctx(), key)
				require.NoError(t, err)
				require.Equal(t, doc{}, shown, "%d %d %d", i, j, k)
			}
		}
	}
}

// A list and another value that were written at the same time: the newer shows and the
// other is reported, but an empty list gives way.
func TestAListBesideAnotherValue(t *testing.T) {
	was := doc{"f": objects(doc{"id": "p", "n": int64(1)})}
	shown, reports := inTwoRegions(t, shapeSchema(t), was,
		func(d doc) { d["f"].([]any)[0].(doc)["n"] = 2; d["f"] = append(d["f"].([]any), doc{"id": "q"}) },
		func(d doc) { d["f"] = "text" })
	require.Equal(t, doc{"f": "text"}, shown)
	kinds := make(map[string]fieldwise.ConflictKind)
	for _, r := range reports {
		kinds[r.Field] = r.Kind
	}
	require.Equal(t, map[string]fieldwise.ConflictKind{"f": fieldwise.ConflictShape, "f.p.n": fieldwise.ConflictUpdate, "f.q": fieldwise.ConflictShape}, kinds)

	shown, _ = inTwoRegions(t, shapeSchema(t), was,
		func(d doc) { d["f"] = append(d["f"].([]any), doc{"id": "q"}) },
		func(d doc) { d["f"] = []any{} })
	require.Equal(t, doc{"f": objects(doc{"id": "q"})}, shown)
}

func TestAPatchOfAnObjectInAList(t *testing.T) {
	_, d := documentsOn(t, shapeSchema(t), "a")
	_, err := d.Create(ctx(), key, doc{"l": objects(doc{"id": 7, "n": doc{"x": 1}})})
	require.NoError(t, err)
	_, err = d.Patch(ctx(), key, fieldmerge.Patch{Set: doc{"l.7.n.x": 2, "l.7.m": "new"}})
	require.NoError(t, err)
	shown, err := d.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, doc{"l": objects(doc{"id": int64(7), "n": doc{"x": int64(2)}, "m": "new"})}, shown)
	_, err = d.Patch(ctx(), key, fieldmerge.Patch{Set: doc{"l.8.m": "new"}})
	require.EqualError(t, err, `d: patch "k": fieldmerge: invalid path: the list "l" has no object with the key "8"; set the list with it`)
	_, err = d.Patch(ctx(), key, fieldmerge.Patch{Unset: []string{"l.7.n"}})
	require.NoError(t, err)
	shown, err = d.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, doc{"l": objects(doc{"id": int64(7), "m": "new"})}, shown)
}

func TestAListByAKeyThatItsObjectsHaveNot(t *testing.T) {
	s, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("l", fieldmerge.ListBy("id")))
	require.NoError(t, err)
	_, d := documentsOn(t, s, "a")
	for name, list := range map[string]any{
		"without it": objects(doc{"id": 1}, doc{"n": 1}), "twice the same": objects(doc{"id": 1}, doc{"id": 1}),
		"twice the same text": objects(doc{"id": 1}, doc{"id": "1"}), "no key": objects(doc{"id": 1.5}), "no objects": []any{"x"}, "no list": "x",
	} {
		_, err := d.Create(ctx(), key, doc{"l": list})
		require.ErrorIs(t, err, fieldmerge.ErrField, name)
	}
	_, err = d.Create(ctx(), key, doc{"l": []any{}})
	require.NoError(t, err)
	_, err = d.Update(ctx(), key, func(d map[string]any) error { d["l"] = objects(doc{"id": 1, "a": 1}); return nil })
	require.NoError(t, err)
	shown, err := d.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, doc{"l": objects(doc{"id": int64(1), "a": int64(1)})}, shown)
}

// drawShape draws a JSON-shaped value with lists of all kinds.
func drawShape(t *rapid.T, depth int) any {
	k := rapid.IntRange(0, 9).Draw(t, "shape")
	if depth == 0 && k > 4 {
		k = 0
	}
	name := rapid.SampledFrom([]string{"a", "b", "id", "x.y", ""})
	switch k {
	case 0, 1, 2:
		return rapid.SampledFrom([]any{nil, true, int64(1), int64(-2), "s", "t", 1.5, ""}).Draw(t, "scalar")
	case 3:
		return []any{}
	case 4, 5:
		list := []any{}
		for range rapid.IntRange(0, 4).Draw(t, "length") {
			list = append(list, rapid.SampledFrom([]any{"p", "q", int64(1), nil}).Draw(t, "element"))
		}
		return list
	case 6, 7: // objects, mostly with a key
		list := []any{}
		for i := range rapid.IntRange(1, 4).Draw(t, "length") {
			object := doc{}
			switch rapid.IntRange(0, 9).Draw(t, "key") {
			case 0:
			case 1, 2:
				object["id"] = int64(i)
			default:
				object["id"] = strconv.Itoa(rapid.IntRange(0, 5).Draw(t, "id"))
			}
			for range rapid.IntRange(0, 2).Draw(t, "fields") {
				object[name.Draw(t, "name")] = drawShape(t, depth-1)
			}
			list = append(list, object)
		}
		return list
	case 8:
		return []any{drawShape(t, depth-1)}
	}
	object := doc{}
	for range rapid.IntRange(0, 3).Draw(t, "fields") {
		object[name.Draw(t, "name")] = drawShape(t, depth-1)
	}
	return object
}

func drawShapes(t *rapid.T) doc {
	d := doc{}
	for range rapid.IntRange(0, 3).Draw(t, "fields") {
		d[rapid.SampledFrom([]string{"f", "g", "f.h"}).Draw(t, "name")] = drawShape(t, 3)
	}
	return d
}

// What a region writes is what it reads, whatever was there before and whatever came from
// elsewhere; and regions that have heard of each other's writes show the same.
func TestPropertyShapesAreReadAsTheyWereWritten(t *testing.T) {
	schema := shapeSchema(t)
	randtest.Check(t, 400, 5000, func(t *rapid.T) {
		var sites []*stepped
		var all []*fieldmerge.Documents
		for _, name := range []fieldwise.Region{"a", "b", "c"} {
			site, d := documentsOn(t, schema, name)
			sites, all = append(sites, site), append(all, d)
		}
		var states [][]byte
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			i := rapid.IntRange(0, 2).Draw(t, "region")
			site, d := sites[i], all[i]
			switch k := rapid.IntRange(0, 9).Draw(t, "step"); {
			case k == 0:
				if _, err := d.Delete(ctx(), key); err != nil {
					require.ErrorIs(t, err, fieldwise.ErrNotFound)
				}
			case k < 5:
				drawn, all := drawShapes(t), rapid.Bool().Draw(t, "all")
				var was, to doc
				_, err := d.Upsert(ctx(), key, func(now map[string]any) error {
					was = maps.Clone(now)
					if all {
						clear(now)
					}
					maps.Copy(now, drawn)
					to = now
					return nil
				})
				require.NoError(t, err)
				shown, err := d.Get(ctx(), key)
				require.NoError(t, err)
				require.Equal(t, to, shown, "was %v", was)
			case len(states) > 0:
				site.join(t, states[rapid.IntRange(0, len(states)-1).Draw(t, "state")])
			}
			states = append(states, slices.Clone(site.State), slices.Clone(site.delta))
		}
		for range 2 {
			for _, site := range sites {
				for _, other := range sites {
					site.join(t, other.State)
				}
			}
		}
		require.Equal(t, sites[0].State, sites[1].State)
		require.Equal(t, sites[0].State, sites[2].State)
		obeysLaws(t, schema.Merger(), states)
		if len(sites[0].State) > 0 {
			shown, err := all[0].Get(ctx(), key)
			if err == nil {
				_, err = all[0].Update(ctx(), key, func(map[string]any) error { return nil })
				require.NoError(t, err)
				again, err := all[1].Get(ctx(), key)
				require.NoError(t, err)
				require.Equal(t, shown, again)
			}
		}
	})
}

// To remove an object wins over moving it at the same time: what its fields were is gone.
func TestAnObjectThatIsRemovedWhileItIsMovedIsGone(t *testing.T) {
	was := doc{"l": objects(doc{"id": "a", "n": "x"}, doc{"id": "b", "n": "y"}, doc{"id": "c", "n": "z"})}
	s := shapeSchema(t)
	a, da := documentsOn(t, s, "a")
	b, db := documentsOn(t, s, "b")
	_, err := da.Create(ctx(), key, was)
	require.NoError(t, err)
	b.join(t, a.State)
	_, err = da.Update(ctx(), key, func(d map[string]any) error { d["l"] = d["l"].([]any)[1:]; return nil })
	require.NoError(t, err)
	_, err = db.Update(ctx(), key, func(d map[string]any) error {
		l := d["l"].([]any)
		d["l"] = []any{l[1], l[2], l[0]}
		return nil
	})
	require.NoError(t, err)
	a.join(t, b.State)
	shows := func(want ...any) {
		t.Helper()
		shown, err := da.Get(ctx(), key)
		require.NoError(t, err)
		require.Equal(t, doc{"l": want}, shown)
	}
	b1, c1 := doc{"id": "b", "n": "y"}, doc{"id": "c", "n": "z"}
	shows(b1, c1)
	_, err = da.Update(ctx(), key, func(d map[string]any) error { d["l"] = objects(doc{"id": "a", "m": "new"}, b1, c1); return nil })
	require.NoError(t, err)
	shows(doc{"id": "a", "m": "new"}, b1, c1)
	_, err = da.Update(ctx(), key, func(d map[string]any) error { d["l"] = objects(c1); return nil })
	require.NoError(t, err)
	shows(c1)
}
