package replogtest

import (
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/value"
)

// objectsAt reports whether a value at a path is a list of objects that are told apart by a
// key, and by which.
func (f *documents) objectsAt(path []string, v any) (key string, ok bool) {
	if _, isList := v.([]any); !isList || len(path) == 0 {
		return "", false
	}
	return keyOf(f.strategy(fieldmerge.JoinPath(path...)))
}

// inside are the entries of a map, or the objects of a list by the texts of their keys, without
// these.
func (f *documents) inside(path []string, v any) document {
	doc, _ := v.(document)
	key, ok := f.objectsAt(path, v)
	if !ok {
		return doc
	}
	all := make(document)
	for _, one := range v.([]any) {
		if text, ok := documentKey(one, key); ok {
			object := maps.Clone(one.(document))
			delete(object, key)
			all[text] = object
		}
	}
	return all
}

func documentKey(v any, key string) (text string, ok bool) {
	object, _ := v.(document)
	encoded, err := value.Append(nil, object[key])
	if err != nil {
		return "", false
	}
	return keyText(encoded)
}

// documentKeysOf is what the list itself stores of some objects.
func documentKeysOf(list []any, key string) []any {
	keys := make([]any, 0, len(list))
	for _, one := range list {
		object, _ := one.(document)
		keys = append(keys, document{key: object[key]})
	}
	return keys
}

// withoutHeadless is a document without the maps that stand at the places of lists: what arrived
// of objects before their list. Nobody can write that.
func (f *documents) withoutHeadless(above []string, doc document) document {
	doc = maps.Clone(doc)
	for k, v := range doc {
		path := append(slices.Clone(above), k)
		if inner, ok := v.(document); !ok {
			continue
		} else if _, keyed := keyOf(f.strategy(fieldmerge.JoinPath(path...))); keyed {
			delete(doc, k)
		} else {
			doc[k] = f.withoutHeadless(path, inner)
		}
	}
	return doc
}

// objects makes a list of objects with different keys, of the fields that the schema names and a
// few others.
func (f *documents) objects(r *rand.Rand, path []string, key string) []any {
	list := make([]any, 0, 3)
	for _, i := range r.Perm(len(objectKeys))[:r.IntN(len(objectKeys)+1)] {
		object := document{key: objectKeys[i]}
		at := append(slices.Clone(path), objectKeys[i])
		for range r.IntN(3) {
			if field := f.fieldOfObject(r, at); field[0] != key {
				f.put(r, object, at, field)
			}
		}
		list = append(list, object)
	}
	return list
}

// fieldOfObject is a path below that of an object.
func (f *documents) fieldOfObject(r *rand.Rand, object []string) []string {
	var named [][]string
	for _, pattern := range f.schema.Patterns() {
		segments, _ := fieldmerge.SplitPath(pattern)
		if len(segments) > len(object) && matches(segments[:len(object)], object) {
			named = append(named, pathUnder(r, pattern)[len(object):])
		}
	}
	if len(named) > 0 && r.IntN(3) > 0 {
		return named[r.IntN(len(named))]
	}
	return []string{documentKeys[r.IntN(len(documentKeys))]}
}

func matches(pattern, path []string) bool {
	for i, segment := range pattern {
		if segment != "*" && segment != "**" && segment != path[i] {
			return false
		}
	}
	return true
}

// changeObjects is the other changeObjects for documents.
func (f *documents) changeObjects(r *rand.Rand, path []string, key string, to, from []any) []any {
	v := slices.Clone(to)
	switch n := len(v); r.IntN(8) {
	case 0:
		return from
	case 1:
		if n > 1 {
			i, j := r.IntN(n), r.IntN(n)
			v[i], v[j] = v[j], v[i]
			return v
		}
	case 2, 3:
		if n > 0 {
			i := r.IntN(n)
			return slices.Delete(v, i, i+1)
		}
	}
	if len(from) == 0 {
		return v
	}
	one := from[r.IntN(len(from))]
	text, ok := documentKey(one, key)
	if !ok {
		return v
	}
	for i, own := range v {
		if has, _ := documentKey(own, key); has == text {
			object := f.changeDocument(r, append(slices.Clone(path), text), own.(document), one.(document))
			object[key] = own.(document)[key]
			v[i] = object
			return v
		}
	}
	return slices.Insert(v, r.IntN(len(v)+1), one)
}

// objectToPatch is the other objectToPatch for documents.
func (f *documents) objectToPatch(r *rand.Rand, path []string, key string, now, list any) (text string, object document) {
	all := f.inside(path, list)
	for _, text := range slices.Sorted(maps.Keys(all)) {
		if object := all[text].(document); len(object) > 0 && now != nil && f.at("", now, append(slices.Clone(path), text)) != nil && r.IntN(3) > 0 {
			return text, object
		}
	}
	return "", nil
}

// documentObjects is objects for documents.
func (o onward) documentObjects(f *documents, path []string, key string, now, drawn any) any {
	list, ok := drawn.([]any)
	if !ok {
		return drawn
	}
	was := f.inside(path, now)
	v := slices.Clone(list)
	for i, one := range v {
		text, _ := documentKey(one, key)
		if old, ok := was[text].(document); ok {
			v[i] = o.document(f, append(slices.Clone(path), text), old, one.(document))
		}
	}
	return v
}
