package replogtest

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/value"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Of a list of objects that are told apart by a key, the field at its path is a list of maps
// that have the key alone, and the rest of each object are fields below that path and the text
// of the key, beside a marker that says that the object is there.

// keyOf is the name of the field that tells the objects of a list apart, if the strategy has
// one.
func keyOf(s fieldmerge.Strategy) (key string, ok bool) { return strings.CutPrefix(string(s), "list=") }

// keyText is an encoded key as it stands in a path; ok is false for what cannot be one.
func keyText(val []byte) (text string, ok bool) {
	switch wire.KindOf(val) {
	case wire.KindString:
		s, _, err := wire.String(val)
		return string(s), err == nil
	case wire.KindUint:
		n, _, err := wire.Uint(val)
		return strconv.FormatUint(n, 10), err == nil
	case wire.KindInt:
		n, _, err := wire.Int(val)
		return strconv.FormatInt(n, 10), err == nil
	}
	return "", false
}

// objectText is the text of the key of an object as a list by key has it.
func objectText(object []byte) string {
	v, err := value.Any(object)
	if m, ok := v.(map[string]any); ok && err == nil && len(m) == 1 {
		for _, key := range m {
			encoded, _ := value.Append(nil, key)
			text, _ := keyText(encoded)
			return text
		}
	}
	return ""
}

// withoutRemoved is a list by key as it shows: without the objects that somebody removed
// while others moved them, whose marks are unset, and each once, though two writers may have
// added it.
func withoutRemoved(m mechanism, path string, val []byte, shown map[string]string) []byte {
	if m.kind != lattice.KindKeyed || val == nil {
		return val
	}
	var left [][]byte
	for _, object := range partsOf(val) {
		mark, ok := shown[path+"."+fieldmerge.JoinPath(objectText(object))]
		if (!ok || mark != unset) && !has(left, object) {
			left = append(left, object)
		}
	}
	return listOf(left)
}

// isObjectOn reports whether an object of a list by key is at parent, and path is that or leads into it.
func (w *world) isObjectOn(parent, path string) bool {
	segments, _ := fieldmerge.SplitPath(parent)
	if path != parent && !below(path, parent) || len(segments) < 2 {
		return false
	}
	m, _ := w.mechanism(fieldmerge.JoinPath(segments[:len(segments)-1]...))
	return m.kind == lattice.KindKeyed
}

// isInObject reports whether a path leads into an object of a list by key.
func (w *world) isInObject(path string) bool {
	segments, _ := fieldmerge.SplitPath(path)
	for n := 2; n < len(segments); n++ {
		if w.isObjectOn(fieldmerge.JoinPath(segments[:n]...), path) {
			return true
		}
	}
	return false
}

// inObjectThatIsGone reports whether a path leads into an object that its list does not show.
func (a *act) inObjectThatIsGone(path string) bool {
	segments, _ := fieldmerge.SplitPath(path)
	for n := 1; n < len(segments); n++ {
		list := fieldmerge.JoinPath(segments[:n]...)
		if m, _ := a.w.mechanism(list); m.kind == lattice.KindKeyed &&
			!slices.ContainsFunc(partsOf(a.now(list)), func(object []byte) bool { return objectText(object) == segments[n] }) {
			return true
		}
	}
	return false
}

// object is the struct at i in a slice of those.
type object struct {
	reflect.Value
	text string // of its key
}

// objectsOf are the objects of a slice of structs, as far as their keys can be encoded.
func objectsOf(slice reflect.Value, key string) (all []object) {
	for i := range slice.Len() {
		if text, ok := structKey(slice.Index(i), key); ok {
			all = append(all, object{slice.Index(i), text})
		}
	}
	return all
}

func structKey(v reflect.Value, key string) (text string, ok bool) {
	for _, f := range fieldsOf(v.Type()) {
		if f.path[0] == key {
			encoded, _ := encodes(v.FieldByIndex(f.index))
			return keyText(encoded)
		}
	}
	return "", false
}

// withKey finds the object with a key.
func withKey(all []object, text string) (v reflect.Value, ok bool) {
	for _, o := range all {
		if o.text == text {
			return o.Value, true
		}
	}
	return reflect.Value{}, false
}

// keysOf is what the list itself stores of some objects; nil of a nil slice.
func keysOf(slice reflect.Value, key string) reflect.Value {
	if slice.IsNil() {
		return reflect.ValueOf([]any(nil))
	}
	keys := make([]any, 0, slice.Len())
	for i := range slice.Len() {
		for _, f := range fieldsOf(slice.Type().Elem()) {
			if f.path[0] == key {
				keys = append(keys, map[string]any{key: slice.Index(i).FieldByIndex(f.index).Interface()})
			}
		}
	}
	return reflect.ValueOf(keys)
}

// objects makes a list of structs with different keys.
func (m *maker) objects(r *rand.Rand, t reflect.Type, key string, plain bool) reflect.Value {
	n := r.IntN(5) - 1
	if n < 0 {
		return reflect.Zero(t)
	}
	v := reflect.MakeSlice(t, 0, n)
	seen := make(map[string]bool)
	for range n {
		one := m.record(r, t.Elem(), plain)
		for _, f := range fieldsOf(t.Elem()) {
			if f.path[0] == key {
				one.FieldByIndex(f.index).Set(m.key(r, f.typ))
			}
		}
		if text, ok := structKey(one, key); ok && !seen[text] {
			seen[text] = true
			v = reflect.Append(v, one)
		}
	}
	return v
}

var objectKeys = []string{"a", "b", "c.d"}

func (m *maker) key(r *rand.Rand, t reflect.Type) reflect.Value {
	if t.Kind() == reflect.String && !hasCodec(t) && t != numberType {
		return reflect.ValueOf(objectKeys[r.IntN(len(objectKeys))]).Convert(t)
	}
	return m.value(r, t, 0)
}

// changeObjects copies a list of structs with one object changed, added or removed, or two of
// them changed round.
func changeObjects(r *rand.Rand, to, from reflect.Value, key string) reflect.Value {
	v := reflect.AppendSlice(reflect.MakeSlice(to.Type(), 0, to.Len()+1), to)
	all := objectsOf(v, key)
	switch r.IntN(8) {
	case 0:
		return from
	case 1:
		if n := len(all); n > 1 {
			reflect.Swapper(v.Interface())(r.IntN(n), r.IntN(n))
			return v
		}
	case 2, 3:
		if n := len(all); n > 0 {
			i := r.IntN(n)
			return reflect.AppendSlice(v.Slice(0, i), v.Slice(i+1, n))
		}
	}
	if from.Len() == 0 {
		return v
	}
	drawn := objectsOf(from, key)
	if len(drawn) == 0 {
		return v
	}
	one := drawn[r.IntN(len(drawn))]
	if own, ok := withKey(all, one.text); ok {
		own.Set(change(r, own, one.Value))
		return v
	}
	v = reflect.Append(v, one.Value)
	reflect.Swapper(v.Interface())(r.IntN(v.Len()), v.Len()-1)
	return v
}

// objects is onward for lists of structs.
func (o onward) objects(now, drawn reflect.Value, key string) reflect.Value {
	if drawn.IsNil() {
		return drawn
	}
	v := reflect.AppendSlice(reflect.MakeSlice(drawn.Type(), 0, drawn.Len()), drawn)
	was := objectsOf(now, key)
	for _, one := range objectsOf(v, key) {
		if old, ok := withKey(was, one.text); ok {
			one.Set(o.record(old, one.Value))
		}
	}
	return v
}
