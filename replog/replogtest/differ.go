package replogtest

import (
	"bytes"
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/value"
)

// differ says where two values of one type differ, in the words of Go, and how; it is
// empty where they do not. A nil slice or map is an empty one, a type with a method Equal
// is compared by it, and what is not stored is left out, except in types that say
// themselves what is.
func differ(where string, a, b reflect.Value) string { return comparison{}.differ(where, a, b) }

type comparison struct {
	all      bool // within a type with a codec of its own
	depth    int
	strategy string // of the field that is compared
}

const deepestComparison = 100 // ends cycles

func (c comparison) differ(where string, a, b reflect.Value) string {
	t := a.Type()
	if c.depth++; c.depth > deepestComparison {
		return ""
	}
	_, keyed := keyOf(fieldmerge.Strategy(c.strategy))
	if m, ok := mechanismOf(fieldmerge.Strategy(c.strategy)); ok && !keyed {
		return unless(bytes.Equal(m.normal(leafOf(a).val), m.normal(leafOf(b).val)), where, a, b)
	}
	if equal, ok := equalMethod(a); ok {
		return unless(equal.Call([]reflect.Value{b})[0].Bool(), where, a, b)
	}
	switch t.Kind() {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() || a.Pointer() == b.Pointer() {
			return unless(a.Pointer() == b.Pointer(), where, a, b)
		}
		return c.differ(where, a.Elem(), b.Elem())
	case reflect.Interface:
		return unless(sameAny(a, b), where, a, b)
	case reflect.Struct:
		return c.differStruct(where, a, b)
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			return unless(false, where, a, b)
		}
		if keyed {
			c.strategy = "nested"
		}
		for i := range a.Len() {
			if d := c.differ(fmt.Sprintf("%s[%d]", where, i), a.Index(i), b.Index(i)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Map:
		return c.differMap(where, a, b)
	}
	return unless(a.Equal(b), where, a, b)
}

// equalMethod returns the method Equal of a value's type.
func equalMethod(v reflect.Value) (equal reflect.Value, ok bool) {
	t := v.Type()
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface || !v.CanInterface() {
		return reflect.Value{}, false
	}
	equal = v.MethodByName("Equal")
	if !equal.IsValid() {
		return reflect.Value{}, false
	}
	f := equal.Type()
	return equal, f.NumIn() == 1 && f.In(0) == t && f.NumOut() == 1 && f.Out(0).Kind() == reflect.Bool
}

func (c comparison) differStruct(where string, a, b reflect.Value) string {
	t := a.Type()
	whole := c
	whole.all = c.all || hasCodec(t)
	strategies := c.strategies(t)
	for i := range t.NumField() {
		f := t.Field(i)
		whole.strategy = strategies[i]
		if !whole.all && !stored(f) || f.Tag.Get("merge") == "-" {
			continue
		}
		if d := whole.differ(where+"."+f.Name, a.Field(i), b.Field(i)); d != "" {
			if whole.all && !c.all && !f.IsExported() {
				return unless(false, where, a, b) // in the words of those who use the type
			}
			return strings.TrimPrefix(d, ".")
		}
	}
	return ""
}

// wholeValue is the strategy of what is within a field that is one value.
const wholeValue = "lww"

// strategies are those of a struct's fields.
func (c comparison) strategies(t reflect.Type) []string {
	all := make([]string, t.NumField())
	for i := range all {
		all[i] = wholeValue
		if f := t.Field(i); f.Anonymous && f.Tag.Get("merge") == "" {
			all[i] = "nested"
		}
	}
	if c.strategy != "" && c.strategy != "nested" {
		return all
	}
	for _, f := range fieldsOf(t) {
		if len(f.index) == 1 {
			all[f.index[0]] = f.strategy
		}
	}
	return all
}

// differMap leaves out entries that are not stored, such as one that counts zero.
func (c comparison) differMap(where string, a, b reflect.Value) string {
	if each, ok := strings.CutPrefix(c.strategy, "each="); ok {
		c.strategy = each
	} else {
		c.strategy = wholeValue
	}
	m, other := mechanismOf(fieldmerge.Strategy(c.strategy))
	none := func(v reflect.Value) bool {
		if m.kind == lattice.KindKeyed {
			return !v.IsValid() || v.IsNil()
		}
		if !other || !v.IsValid() {
			return absent(v)
		}
		val := leafOf(v).val
		return val == nil || m.kind == lattice.KindCounter && number(val).Sign() == 0
	}
	keys := append(a.MapKeys(), b.MapKeys()...)
	slices.SortFunc(keys, func(x, y reflect.Value) int { return cmp.Compare(fmt.Sprint(x), fmt.Sprint(y)) })
	for _, k := range keys {
		x, y := a.MapIndex(k), b.MapIndex(k)
		at := fmt.Sprintf("%s[%v]", where, k)
		switch {
		case none(x) && none(y):
			continue
		case !x.IsValid():
			return fmt.Sprintf("%s: no entry, and %s", at, goText(y))
		case !y.IsValid():
			return fmt.Sprintf("%s: %s, and no entry", at, goText(x))
		}
		if d := c.differ(at, x, y); d != "" {
			return d
		}
	}
	return ""
}

// absent is no entry of a map, or a nil pointer, which is stored as none.
func absent(v reflect.Value) bool {
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// sameAny compares what interfaces hold by how it is stored.
func sameAny(a, b reflect.Value) bool {
	if !a.CanInterface() || !b.CanInterface() {
		return a.IsNil() == b.IsNil()
	}
	x, errX := value.Append(nil, a.Interface())
	y, errY := value.Append(nil, b.Interface())
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func unless(same bool, where string, a, b reflect.Value) string {
	if same {
		return ""
	}
	return fmt.Sprintf("%s: %s, and %s", where, goText(a), goText(b))
}

func goText(v reflect.Value) string {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() == reflect.String {
		return fmt.Sprintf("%q", v.String())
	}
	return fmt.Sprintf("%+v", v)
}
