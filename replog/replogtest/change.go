package replogtest

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"

	"github.com/fieldwise/fieldwise/fieldmerge"
)

// field is a field of a schema's struct, as its tag says.
type field struct {
	index    []int
	path     []string // empty for an embedded struct that has no name of its own
	typ      reflect.Type
	strategy string
	group    string // the register that it shares with others
	simple   bool   // it is stored at its own path, and nowhere else
}

// fieldsOf lists the fields of a struct that a schema has accepted.
func fieldsOf(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("merge")
		parts := strings.Split(tag, ",")
		switch {
		case tag == "-":
		case !tagged && f.Anonymous && f.Type.Kind() == reflect.Struct:
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				all = append(all, inner)
			}
		case f.IsExported() && len(parts) > 1:
			name := strings.TrimSpace(parts[0])
			if name == "" {
				name = f.Name
			}
			one := field{index: []int{i}, path: []string{name}, typ: f.Type, strategy: strings.TrimSpace(parts[1]), simple: len(parts) == 2}
			for _, more := range parts[2:] {
				if group, ok := strings.CutPrefix(strings.TrimSpace(more), "group="); ok {
					one.group = group
				}
			}
			all = append(all, one)
		}
	}
	return all
}

// each is the strategy of a map's entries.
func (f *field) each() (strategy string, ok bool) { return strings.CutPrefix(f.strategy, "each=") }

var entryKeys = []string{"a", "b"}

// record makes a record: most of its fields, or just one.
func (m *maker) record(r *rand.Rand, t reflect.Type, plain bool) reflect.Value {
	v := reflect.New(t).Elem()
	fields := fieldsOf(t)
	one := r.IntN(len(fields))
	for i, f := range fields {
		if some := r.IntN(3) > 0; some && !plain || i == one {
			v.FieldByIndex(f.index).Set(m.field(r, f.typ, f.strategy, plain))
		}
	}
	return v
}

// field makes the value of a field under its strategy.
func (m *maker) field(r *rand.Rand, t reflect.Type, strategy string, plain bool) reflect.Value {
	each, isMap := strings.CutPrefix(strategy, "each=")
	switch {
	case strategy == "nested" && t.Kind() == reflect.Pointer:
		p := reflect.New(t.Elem())
		if r.IntN(4) == 0 {
			return reflect.Zero(t)
		}
		p.Elem().Set(m.record(r, t.Elem(), plain))
		return p
	case strategy == "nested":
		return m.record(r, t, plain)
	case isMap:
		v := reflect.MakeMap(t)
		for range r.IntN(3) {
			v.SetMapIndex(entryKey(r, t), m.field(r, t.Elem(), each, plain))
		}
		return v
	case isCRDT(t):
		return m.literal(r, t)
	}
	if key, ok := keyOf(fieldmerge.Strategy(strategy)); ok {
		return m.objects(r, t, key, plain)
	}
	v := m.value(r, t, 0)
	if m, _ := mechanismOf(fieldmerge.Strategy(strategy)); m.grows && v.CanInt() && v.Int() < 0 {
		v.SetInt(-v.Int())
	}
	return v
}

func entryKey(r *rand.Rand, t reflect.Type) reflect.Value {
	return reflect.ValueOf(entryKeys[r.IntN(len(entryKeys))]).Convert(t.Key())
}

// change copies a struct with one field changed to what another one has there. What
// the two share is not written to.
func change(r *rand.Rand, to, from reflect.Value) reflect.Value {
	v := reflect.New(to.Type()).Elem()
	v.Set(to)
	fields := fieldsOf(v.Type())
	f := fields[r.IntN(len(fields))]
	own := v.FieldByIndex(f.index)
	own.Set(changeField(r, own, from.FieldByIndex(f.index), f.strategy))
	return v
}

func changeField(r *rand.Rand, to, from reflect.Value, strategy string) reflect.Value {
	each, isMap := strings.CutPrefix(strategy, "each=")
	if key, ok := keyOf(fieldmerge.Strategy(strategy)); ok {
		return changeObjects(r, to, from, key)
	}
	_, isKeyed := keyOf(fieldmerge.Strategy(each))
	switch {
	case strategy == "nested" && to.Kind() == reflect.Pointer:
		if to.IsNil() || from.IsNil() || r.IntN(6) == 0 {
			return from
		}
		p := reflect.New(to.Type().Elem())
		p.Elem().Set(change(r, to.Elem(), from.Elem()))
		return p
	case strategy == "nested":
		return change(r, to, from)
	case isMap:
		v := reflect.MakeMap(to.Type())
		for k, e := range to.Seq2() {
			v.SetMapIndex(k, e)
		}
		k := entryKey(r, to.Type())
		old, other := v.MapIndex(k), from.MapIndex(k)
		switch {
		case old.IsValid() && other.IsValid() && (each == "nested" || isKeyed):
			v.SetMapIndex(k, changeField(r, old, other, each))
		case other.IsValid():
			v.SetMapIndex(k, other)
		default:
			v.SetMapIndex(k, reflect.Value{})
		}
		return v
	}
	return from
}

// wholly is how seldom a patch sets all of a nested struct or of a map.
const wholly = 5

// patchOf is a patch of one field, or of all that is in a nested struct or in a map, to what a
// record has there. has says whether the list by key at a path has an object: fields of
// others cannot be set.
func patchOf(r *rand.Rand, from reflect.Value, has func(path []string) bool) fieldmerge.Patch {
	var path []string
	key := ""
	for {
		fields := slices.DeleteFunc(fieldsOf(from.Type()), func(f field) bool { return key != "" && f.path[0] == key })
		if len(fields) == 0 {
			return fieldmerge.Patch{}
		}
		f := fields[r.IntN(len(fields))]
		v := from.FieldByIndex(f.index)
		path, key = append(path, f.path...), ""
		each, isMap := f.each()
		if (isMap || f.strategy == "nested") && r.IntN(wholly) == 0 {
			return patchTo(path, v)
		}
		if v.Kind() == reflect.Pointer && f.strategy == "nested" && !v.IsNil() {
			v = v.Elem()
		}
		switch {
		case f.strategy == "nested" && v.Kind() == reflect.Struct:
			from = v
		case isMap:
			k := entryKey(r, v.Type())
			path = append(path, k.String())
			e := v.MapIndex(k)
			if each == "nested" && r.IntN(wholly) == 0 {
				return patchTo(path, e)
			}
			for e.IsValid() && e.Kind() == reflect.Pointer && each == "nested" && !e.IsNil() {
				e = e.Elem()
			}
			if e.IsValid() && e.Kind() == reflect.Struct && each == "nested" {
				from = e
				continue
			}
			if from, key = objectToPatch(r, &path, e, each, has); key != "" {
				continue
			}
			return patchLeaf(r, path, e, each)
		default:
			if from, key = objectToPatch(r, &path, v, f.strategy, has); key != "" {
				continue
			}
			return patchLeaf(r, path, v, f.strategy)
		}
	}
}

// objectToPatch chooses an object of a list by key, of which a field is to be set, and adds it
// to the path. The key is empty where it is no such list, or all of it is to be set.
func objectToPatch(r *rand.Rand, path *[]string, list reflect.Value, strategy string, has func(path []string) bool) (v reflect.Value, key string) {
	key, ok := keyOf(fieldmerge.Strategy(strategy))
	if !ok || !list.IsValid() || r.IntN(3) == 0 {
		return v, ""
	}
	for _, one := range objectsOf(list, key) {
		if at := append(slices.Clone(*path), one.text); has(at) {
			*path = at
			return one.Value, key
		}
	}
	return v, ""
}

// patchLeaf is a patch of a field that is one value. What was counted or added goes only by
// that.
func patchLeaf(r *rand.Rand, path []string, v reflect.Value, strategy string) fieldmerge.Patch {
	if _, ok := mechanismOf(fieldmerge.Strategy(strategy)); ok && r.IntN(5) == 0 {
		return fieldmerge.Patch{Unset: []string{fieldmerge.JoinPath(path...)}}
	}
	return patchTo(path, v)
}

func patchTo(path []string, v reflect.Value) fieldmerge.Patch {
	at := fieldmerge.JoinPath(path...)
	if !v.IsValid() || slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Interface}, v.Kind()) && v.IsNil() {
		return fieldmerge.Patch{Unset: []string{at}}
	}
	return fieldmerge.Patch{Set: map[string]any{at: v.Interface()}}
}
