package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDiff(t *testing.T) {
	unset := func(path string) Change { return Change{Kind: unsetField, Path: path} }
	at := func(path string, v any) Change { return Change{Path: path, Value: v} }
	added := func(path string, v any, n int) Change {
		return Change{Kind: addElement, Path: path, Value: v, Count: n}
	}
	dropped := func(path string, v any, n int) Change {
		return Change{Kind: dropElement, Path: path, Value: v, Count: n}
	}
	for _, c := range []struct {
		name     string
		from, to record
		want     []Change
	}{
		{"same", record{"a": int64(1)}, record{"a": int64(1)}, nil},
		{"set, changed, unset", record{"a": "1", "b": "2"}, record{"b": "3", "c": "4"}, []Change{at("b", "3"), at("c", "4"), unset("a")}},
		{"null is a value", record{}, record{"a": nil}, []Change{at("a", nil)}},
		{"integer and float", record{"a": int64(1)}, record{"a": 1.0}, []Change{at("a", 1.0)}},
		{"list", record{"a": []any{"x", "z"}}, record{"a": []any{"y", "x"}}, []Change{added("a", "y", 1), dropped("a", "z", 0)}},
		{"equal elements", record{"a": []any{"x", "x", "y", "y", "y"}}, record{"a": []any{"x", "x", "x", "y"}}, []Change{added("a", "x", 3), dropped("a", "y", 1)}},
		{"moved", record{"a": []any{"x", "y"}}, record{"a": []any{"y", "x"}}, nil},
		{"list appears", record{}, record{"a": []any{"x"}}, []Change{added("a", "x", 1)}},
		{"list goes", record{"a": []any{"x"}}, record{}, []Change{dropped("a", "x", 0)}},
		{"empty list", record{}, record{"a": []any{}}, []Change{at("a", []any{})}},
		{"empty list goes", record{"a": []any{}}, record{}, []Change{unset("a")}},
		{"list emptied", record{"a": []any{"x"}}, record{"a": []any{}}, []Change{dropped("a", "x", 0)}},
		{"text for a list", record{"a": []any{"x"}}, record{"a": "x"}, []Change{at("a", "x"), dropped("a", "x", 0)}},
		{"list for a map", record{"a": record{"p": "1"}}, record{"a": []any{"x"}}, []Change{added("a", "x", 1), unset("a.p")}},
		{"lists in a list", record{"a": []any{[]any{"x"}}}, record{"a": []any{[]any{"y"}}}, []Change{added("a", []any{"y"}, 1), dropped("a", []any{"x"}, 0)}},
		{"counters", record{"stats": record{"logins": int64(4), "points": int64(1)}}, record{"stats": record{"logins": int64(6), "points": int64(1)}}, []Change{{Kind: addCount, Path: "stats.logins", Value: int64(2)}}},
		{"counters appear", record{}, record{"stats": record{"logins": int64(0), "points": int64(-3)}}, []Change{{Kind: addCount, Path: "stats.points", Value: int64(-3)}}},
		{"counter goes", record{"stats": record{"logins": int64(4)}}, record{"stats": record{}}, []Change{unset("stats.logins")}},
		{"a text where counters are", record{}, record{"stats": record{"logins": "many"}}, []Change{at("stats.logins", "many")}},
		{"nested", record{"p": record{"x": "1", "y": "2"}}, record{"p": record{"x": "1", "z": "3"}}, []Change{at("p.z", "3"), unset("p.y")}},
		{"dots in names", record{}, record{"a.b": record{"c": "1"}}, []Change{at(`a\.b.c`, "1")}},
		{"empty map", record{}, record{"p": record{}}, []Change{at("p", record{})}},
		{"map filled", record{"p": record{}}, record{"p": record{"x": "1"}}, []Change{at("p.x", "1")}},
		{"map emptied", record{"p": record{"x": "1"}}, record{"p": record{}}, []Change{unset("p.x")}},
		{"map for a value", record{"p": "1"}, record{"p": record{"x": "1"}}, []Change{at("p.x", "1")}},
		{"empty map for a value", record{"p": "1"}, record{"p": record{}}, []Change{at("p", record{})}},
		{"value for a map", record{"p": record{"x": "1"}}, record{"p": "1"}, []Change{at("p", "1"), unset("p.x")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := diff(c.from, c.to)
			assert.Equal(t, c.want, got)
			for _, change := range got {
				if change.Kind == addCount {
					continue // a record alone does not tell
				}
				assert.True(t, change.shownBy(c.to), change)
				assert.False(t, change.shownBy(c.from), change)
			}
		})
	}
}

func TestCreatedAndDeleted(t *testing.T) {
	assert.Equal(t, []Change{{Kind: newRecord}}, created(record{}))
	assert.True(t, Change{Kind: newRecord}.shownBy(record{}))
	assert.False(t, Change{Kind: newRecord}.shownBy(nil))
	assert.True(t, Change{Kind: noRecord}.shownBy(nil))
	assert.False(t, Change{Kind: noRecord}.shownBy(record{}))
	assert.False(t, Change{Path: "a", Value: nil}.shownBy(nil))
	assert.True(t, Change{Kind: unsetField, Path: "a"}.shownBy(nil))
}

func TestApplyLeavesTheOriginalAlone(t *testing.T) {
	from := record{"p": record{"x": "1"}, "q": "2"}
	got := apply(from, []Change{
		{Path: "p.x", Value: "3"}, {Path: "p.y.z", Value: "4"}, {Kind: unsetField, Path: "q"}, {Kind: unsetField, Path: "none.here"},
	})
	assert.Equal(t, record{"p": record{"x": "3", "y": record{"z": "4"}}}, got)
	assert.Equal(t, record{"p": record{"x": "1"}, "q": "2"}, from)
}

func objects(all ...any) []any { return all }

// Objects in lists are told apart by a key, and what is in them are fields.
func TestDiffOfObjectsInLists(t *testing.T) {
	change := func(k kind, path string, v any, keys ...string) Change {
		return Change{Kind: k, Path: path, Value: v, Keys: keys}
	}
	long := func(n int, text string) []any {
		var all []any
		for i := range n {
			all = append(all, record{"id": int64(i), "n": text})
		}
		return all
	}
	for _, c := range []struct {
		name     string
		from, to []any
		want     []Change
	}{
		{
			"field", objects(record{"id": int64(7), "n": "x", "o": "p"}, record{"id": "b"}), objects(record{"id": "b"}, record{"id": int64(7), "n": "y", "q": record{"r": "s"}}),
			[]Change{change(setField, "l.7.n", "y", "", "id", ""), change(setField, "l.7.q.r", "s", "", "id", "", ""), change(unsetField, "l.7.o", nil, "", "id", "")},
		},
		{
			"added and removed", objects(record{"id": "a", "n": "x"}), objects(record{"id": "b.c", "n": "x"}),
			[]Change{change(newObject, `l.b\.c`, "b.c", "", "id"), change(setField, `l.b\.c.n`, "x", "", "id", ""), change(noObject, "l.a", nil, "", "id")},
		},
		{
			"a list in an object", objects(record{"id": "a", "m": objects(record{"name": "u"})}), objects(record{"id": "a", "m": objects(record{"name": "v"}), "k": []any{"w"}}),
			[]Change{
				{Kind: addElement, Path: "l.a.k", Value: "w", Count: 1, Keys: []string{"", "id", ""}},
				change(newObject, "l.a.m.v", "v", "", "id", "", "name"), change(noObject, "l.a.m.u", nil, "", "id", "", "name"),
			},
		},
		{"all gone", objects(record{"id": "a", "n": "x"}), nil, []Change{change(noObject, "l.a", nil, "", "id")}},
		{
			"the key it had", objects(record{"n": "1", "z": "1"}), objects(record{"n": "1", "id": "5", "z": "2"}),
			[]Change{change(setField, "l.1.id", "5", "", "n", ""), change(setField, "l.1.z", "2", "", "n", "")},
		},
		{
			"another key that both have", objects(record{"a": "1", "z": "1"}), objects(record{"a": "1", "z": "1"}, record{"a": "1", "z": "2"}),
			[]Change{change(newObject, "l.2", "2", "", "z"), change(setField, "l.2.a", "1", "", "z", "")},
		},
		{
			"no key any more", objects(record{"id": "a"}), objects(record{"id": "a"}, record{"id": "a", "n": "x"}),
			[]Change{{Kind: addElement, Path: "l", Value: record{"id": "a", "n": "x"}, Count: 1}},
		},
		{
			"a key that they had not", objects(record{"n": 1.5}), objects(record{"id": "a"}),
			[]Change{{Kind: addElement, Path: "l", Value: record{"id": "a"}, Count: 1}, {Kind: dropElement, Path: "l", Value: record{"n": 1.5}}},
		},
		{"as many as there may be", long(mostObjects, "x"), append(long(mostObjects-1, "x"), record{"id": int64(mostObjects - 1), "n": "y"}), []Change{change(setField, "l.127.n", "y", "", "id", "")}},
		{
			"too many", long(mostObjects+1, "x"), append(long(mostObjects, "x"), record{"id": int64(mostObjects), "n": "y"}),
			[]Change{
				{Kind: addElement, Path: "l", Value: record{"id": int64(128), "n": "y"}, Count: 1},
				{Kind: dropElement, Path: "l", Value: record{"id": int64(128), "n": "x"}},
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, to := record{"l": c.from}, record{"l": c.to}
			got := diff(from, to)
			assert.Equal(t, c.want, got)
			for _, change := range got {
				assert.True(t, change.shownBy(to), change)
				assert.False(t, change.shownBy(from), change)
			}
		})
	}
}

func TestMoves(t *testing.T) {
	put := func(v any) Change { return Change{Kind: addElement, Path: "l", Value: v, Count: 1} }
	assert.Empty(t, compare(record{"l": []any{"a", "b", "c"}}, record{"l": []any{"x", "a", "c", "y"}}).moves)
	assert.Equal(t, []Change{put("a"), put("c")}, compare(record{"l": []any{"a", "b", "c", "d"}}, record{"l": []any{"c", "a", "d"}}).moves)
	assert.Equal(t, []Change{
		{Kind: newObject, Path: "l.p", Keys: []string{"", "id"}}, {Kind: newObject, Path: "l.q", Keys: []string{"", "id"}},
	}, compare(record{"l": objects(record{"id": "p"}, record{"id": "q"})}, record{"l": objects(record{"id": "q"}, record{"id": "r"}, record{"id": "p"})}).moves)
}

func TestApplyInLists(t *testing.T) {
	from := record{"l": objects(record{"id": "a", "n": "x"}, record{"id": "b"}), "t": []any{"p", "q"}, "stats": record{"logins": int64(2)}}
	before := clone(from)
	changes := []Change{
		{Kind: setField, Path: "l.a.n", Value: "y", Keys: []string{"", "id", ""}},
		{Kind: setField, Path: "l.a.o.p", Value: "z", Keys: []string{"", "id", "", ""}},
		{Kind: noObject, Path: "l.b", Keys: []string{"", "id"}},
		{Kind: newObject, Path: "l.7", Keys: []string{"", "id"}, Value: int64(7)},
		{Kind: addElement, Path: "l.7.t", Keys: []string{"", "id", ""}, Value: "r", Count: 1},
		{Kind: setField, Path: "l.none.n", Value: "y", Keys: []string{"", "id", ""}},
		{Kind: dropElement, Path: "t", Value: "p"},
		{Kind: dropElement, Path: "t", Value: "none"},
		{Kind: addElement, Path: "t", Value: "s", Count: 1},
		{Kind: addCount, Path: "stats.logins", Value: int64(3)},
		{Kind: addCount, Path: "stats.points", Value: int64(-1)},
	}
	want := record{
		"l": objects(record{"id": "a", "n": "y", "o": record{"p": "z"}}, record{"id": int64(7), "t": []any{"r"}}),
		"t": []any{"q", "s"}, "stats": record{"logins": int64(5), "points": int64(-1)},
	}
	assert.Equal(t, want, apply(from, changes))
	assert.Equal(t, before, any(from))
}
