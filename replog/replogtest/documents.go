package replogtest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/value"
)

// documents is the face of a schema of JSON-shaped records.
type documents struct {
	schema *fieldmerge.DocumentSchema
	made   func(*rand.Rand) any // nil: a few fields of all shapes
}

type document = map[string]any

func (f *documents) merger() fieldwise.Merger { return f.schema.Merger() }

func (f *documents) name() string { return "the document" }

func (f *documents) poor() []string { return nil }

func (f *documents) text(v any) string { return anyText(v) }

func (f *documents) checkSample() error {
	if f.byShape() {
		return errors.New("the schema has fields under fieldmerge.ByShape, and this check does not know what their values make of them; name the strategies of lists to check it")
	}
	if f.made == nil {
		return nil
	}
	if v := f.made(rand.New(rand.NewPCG(1, 1))); v != nil {
		if _, ok := v.(document); !ok {
			return fmt.Errorf("Options.Sample returns a %T; want a map[string]any", v)
		}
	}
	return nil
}

func (f *documents) open(host fieldwise.Host, key string) (domain, error) {
	d, err := fieldmerge.OpenDocuments(host, domainName, f.schema)
	if err != nil {
		return nil, err
	}
	apply := func(change func(document) document) func(document) error {
		return func(v document) error {
			to := change(v)
			if maps.EqualFunc(v, to, func(a, b any) bool { return sameEncoding(a, b) }) {
				return nil
			}
			clear(v)
			maps.Copy(v, to)
			return nil
		}
	}
	return &domainOf[document]{
		records: d,
		key:     key,
		updates: func(change func(document) document, opts []fieldmerge.WriteOption) (fieldwise.Receipt, error) {
			return d.Update(ctx, key, apply(change), opts...)
		},
		upserts: func(change func(document) document) (fieldwise.Receipt, error) {
			return d.Upsert(ctx, key, apply(change))
		},
	}, nil
}

// Fields of the documents that are made, beside those that the schema names: some are
// values here and maps there.
var (
	documentFields = []string{"name", "phone", "address", "address", "address", "prefs", "tags"}
	documentKeys   = []string{"city", "zip", "x.y"}
)

func (f *documents) sample(r *rand.Rand, plain bool) any {
	if f.made != nil {
		return f.made(r)
	}
	doc := make(document)
	n := 1 + r.IntN(3)
	if plain {
		n = 1
	}
	named := f.schema.Patterns()
	for range n {
		path := []string{documentFields[r.IntN(len(documentFields))]}
		if len(named) > 0 && r.IntN(2) == 0 {
			path = pathUnder(r, named[r.IntN(len(named))])
		}
		f.put(r, doc, nil, path)
	}
	return doc
}

// pathUnder makes a path that a pattern matches.
func pathUnder(r *rand.Rand, pattern string) []string {
	path, _ := fieldmerge.SplitPath(pattern)
	for i, segment := range path {
		if segment == "*" || segment == "**" {
			path[i] = documentKeys[r.IntN(len(documentKeys))]
		}
	}
	return path
}

// put sets a path below that of a document to some value; a field above it whose mechanism
// needs one value is the end of it.
func (f *documents) put(r *rand.Rand, doc document, above, path []string) {
	for _, k := range path {
		above = append(slices.Clone(above), k)
		if path = path[1:]; len(path) == 0 || f.ordered(above) || f.other(above) != 0 {
			doc[k] = f.value(r, above, 0)
			return
		}
		inner, ok := doc[k].(document)
		if !ok {
			inner = make(document)
			doc[k] = inner
		}
		doc = inner
	}
}

// ordered reports whether the field at a path is of max or min.
func (f *documents) ordered(path []string) bool {
	_, ok := extremeOf(f.strategy(fieldmerge.JoinPath(path...)))
	return ok
}

// other is the mechanism of the field at a path, zero for a register.
func (f *documents) other(path []string) lattice.Kind {
	m, _ := mechanismOf(f.strategy(fieldmerge.JoinPath(path...)))
	return m.kind
}

func (f *documents) value(r *rand.Rand, path []string, depth int) any {
	switch f.other(path) {
	case lattice.KindCounter:
		return int64(r.IntN(4))
	case lattice.KindFlag:
		return r.IntN(2) == 0
	case lattice.KindSet, lattice.KindList:
		list := make([]any, r.IntN(3))
		for i := range list {
			list[i] = []any{"a", "b", "c", int64(1)}[r.IntN(4)]
		}
		return list
	}
	if key, ok := keyOf(f.strategy(fieldmerge.JoinPath(path...))); ok {
		return f.objects(r, path, key)
	}
	if f.ordered(path) {
		return []any{int64(0), int64(1), int64(2), int64(3), 1.5}[r.IntN(5)]
	}
	if depth < 2 && r.IntN(3) == 0 {
		m := make(document)
		for range r.IntN(3) {
			k := documentKeys[r.IntN(len(documentKeys))]
			m[k] = f.value(r, append(slices.Clone(path), k), depth+1)
		}
		return m
	}
	return []any{"a", "b", "c", int64(1), int64(2), nil, []any{"a"}, true}[r.IntN(8)]
}

func (f *documents) change(r *rand.Rand, v any, plain bool) any {
	doc, _ := v.(document)
	for range changesOfWrite(r, plain) {
		doc = f.changeDocument(r, nil, doc, f.follow(r, doc, f.sample(r, false)).(document))
	}
	return f.withoutHeadless(nil, doc)
}

func (f *documents) follow(r *rand.Rand, now, v any) any {
	was, _ := now.(document)
	drawn, _ := v.(document)
	return onward{r, f.made == nil}.document(f, nil, was, drawn)
}

func (f *documents) at(where string, v any, path []string) []byte {
	above, _ := fieldmerge.SplitPath(where)
	if where == "" {
		above = nil
	}
	for _, segment := range path {
		inner, ok := f.inside(above, v)[segment]
		if !ok {
			return nil
		}
		above, v = append(slices.Clone(above), segment), inner
	}
	if key, ok := f.objectsAt(above, v); ok {
		v = documentKeysOf(v.([]any), key)
	}
	encoded, _ := value.Append(nil, v)
	return encoded
}

func (f *documents) leaves(path string, v any) map[string]leaf {
	all := make(map[string]leaf)
	segments, _ := fieldmerge.SplitPath(path)
	if path == "" {
		segments = nil
	}
	f.addLeaves(all, segments, v)
	return all
}

func (f *documents) addLeaves(all map[string]leaf, path []string, v any) {
	key, keyed := f.objectsAt(path, v)
	if keyed {
		all[fieldmerge.JoinPath(path...)] = leafOf(reflect.ValueOf(documentKeysOf(v.([]any), key)))
	}
	if _, ok := v.(document); ok || keyed {
		for k, inner := range f.inside(path, v) {
			f.addLeaves(all, append(slices.Clone(path), k), inner)
		}
	} else if len(path) > 0 && f.other(path) != 0 {
		all[fieldmerge.JoinPath(path...)] = leafOf(reflect.ValueOf(v))
	}
}

func (f *documents) graft(_, v any) any { return v }

// byShape reports whether the values of some fields say how they merge.
func (f *documents) byShape() bool {
	return slices.ContainsFunc(append(f.schema.Patterns(), "none that is named"), func(path string) bool {
		return f.strategy(path) == fieldmerge.ByShape
	})
}

func (f *documents) strategy(path string) fieldmerge.Strategy { return f.schema.Strategy(path) }

func (f *documents) knows([]string) bool { return true }

func (f *documents) ranks() []fieldwise.Region { return f.schema.Ranks() }

// changeDocument copies a document with one entry changed to what another one has
// there, or removed.
func (f *documents) changeDocument(r *rand.Rand, above []string, to, from document) document {
	keys := slices.Sorted(maps.Keys(to))
	for k := range from {
		if _, ok := to[k]; !ok {
			keys = append(keys, k)
		}
	}
	if to = maps.Clone(to); to == nil {
		to = make(document)
	}
	if len(keys) == 0 {
		return to
	}
	slices.Sort(keys)
	k := keys[r.IntN(len(keys))]
	if other, ok := from[k]; ok || len(from) == 0 {
		if !ok {
			delete(to, k)
			return to
		}
		path := append(slices.Clone(above), k)
		inner, isMap := to[k].(document)
		if o, both := other.(document); both && isMap && r.IntN(4) > 0 {
			other = f.changeDocument(r, path, inner, o)
		} else if key, ok := f.objectsAt(path, to[k]); ok {
			if o, both := other.([]any); both {
				other = f.changeObjects(r, path, key, to[k].([]any), o)
			}
		}
		to[k] = other
		return to
	}
	if r.IntN(3) == 0 {
		delete(to, k)
		return to
	}
	k = slices.Sorted(maps.Keys(from))[0]
	to[k] = from[k]
	return to
}

func (f *documents) patch(r *rand.Rand, now, v any) fieldmerge.Patch {
	doc := v.(document)
	var path []string
	for len(doc) > 0 {
		k := slices.Sorted(maps.Keys(doc))[r.IntN(len(doc))]
		path = append(path, k)
		if key, ok := f.objectsAt(path, doc[k]); ok {
			if object, inner := f.objectToPatch(r, path, key, now, doc[k]); object != "" {
				path, doc = append(path, object), inner
				continue
			}
		}
		if inner, ok := doc[k].(document); ok && len(inner) > 0 && r.IntN(2) == 0 {
			doc = inner
			continue
		}
		if at := fieldmerge.JoinPath(path...); r.IntN(3) > 0 {
			return fieldmerge.Patch{Set: map[string]any{at: doc[k]}}
		}
		break
	}
	if len(path) == 0 {
		return fieldmerge.Patch{}
	}
	return fieldmerge.Patch{Unset: []string{fieldmerge.JoinPath(path...)}}
}

func (f *documents) differ(a, b any) string {
	return f.differDocument(nil, a.(document), b.(document))
}

// differDocument leaves out a counter of zero, which is not stored.
func (f *documents) differDocument(above []string, a, b document) string {
	keys := maps.Clone(a)
	if keys == nil {
		keys = make(document)
	}
	maps.Copy(keys, b)
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		x, inA := a[k]
		y, inB := b[k]
		path := append(slices.Clone(above), k)
		at := fieldmerge.JoinPath(path...)
		mx, isX := x.(document)
		my, isY := y.(document)
		keyX, listX := f.objectsAt(path, x)
		_, listY := f.objectsAt(path, y)
		if listX && listY {
			if dx, dy := documentKeysOf(x.([]any), keyX), documentKeysOf(y.([]any), keyX); !sameEncoding(dx, dy) {
				return fmt.Sprintf("%s: %v, and %v", at, x, y)
			}
			if d := f.differDocument(path, f.inside(path, x), f.inside(path, y)); d != "" {
				return d
			}
			continue
		}
		m, other := mechanismOf(f.strategy(at))
		nx, ny := m.normal(leafOf(reflect.ValueOf(x)).val), m.normal(leafOf(reflect.ValueOf(y)).val)
		switch {
		case isX && isY:
			if d := f.differDocument(path, mx, my); d != "" {
				return d
			}
		case other && bytes.Equal(nx, ny) && (inA == inB || m.kind == lattice.KindCounter):
		case !inA:
			return fmt.Sprintf("%s: nothing, and %v", at, y)
		case !inB:
			return fmt.Sprintf("%s: %v, and nothing", at, x)
		case !sameEncoding(x, y):
			return fmt.Sprintf("%s: %v, and %v", at, x, y)
		}
	}
	return ""
}

// sameEncoding reports whether two values are stored as the same bytes.
func sameEncoding(a, b any) bool {
	x, errX := value.Append(nil, a)
	y, errY := value.Append(nil, b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
