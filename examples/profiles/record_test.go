package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDiff(t *testing.T) {
	unset := func(path string) Change { return Change{Kind: unsetField, Path: path} }
	at := func(path string, v any) Change { return Change{Path: path, Value: v} }
	for _, c := range []struct {
		name     string
		from, to record
		want     []Change
	}{
		{"same", record{"a": int64(1)}, record{"a": int64(1)}, nil},
		{"set, changed, unset", record{"a": "1", "b": "2"}, record{"b": "3", "c": "4"}, []Change{at("b", "3"), at("c", "4"), unset("a")}},
		{"null is a value", record{}, record{"a": nil}, []Change{at("a", nil)}},
		{"integer and float", record{"a": int64(1)}, record{"a": 1.0}, []Change{at("a", 1.0)}},
		{"lists are values", record{"a": []any{"x"}}, record{"a": []any{"x", "y"}}, []Change{at("a", []any{"x", "y"})}},
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
