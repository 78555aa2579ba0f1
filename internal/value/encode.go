package value

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/fieldwise/fieldwise/internal/wire"
)

// maxHops is how many pointers and interfaces may follow each other without a container between them.
const maxHops = 32

// appendReflect appends any Go value, in which left more containers may be nested.
func appendReflect(dst []byte, v reflect.Value, left int) (_ []byte, err error) {
	defer recoverFrom(v.Type(), "a method", &err)
	t, err := typeOf(v.Type())
	if err != nil {
		return dst, err
	}
	e := encoder{dst: dst}
	if err := e.value(v, t, left, 0); err != nil {
		return dst, err
	}
	return e.dst, nil
}

// An encoder appends by reflection. The recursion ends because every step goes one container down, of
// which left may follow, or one hop along a pointer or an interface.
type encoder struct{ dst []byte }

func (e *encoder) value(v reflect.Value, t *typeInfo, left, hops int) (err error) {
	if t.err != nil {
		return t.err
	}
	if t.encodes {
		e.dst, err = appendCustom(e.dst, v, t, left)
		return err
	}
	switch t.special {
	case isTime:
		e.dst = wire.AppendTime(e.dst, v.Interface().(time.Time))
		return nil
	case isNumber:
		e.dst, err = appendNumber(e.dst, json.Number(v.String()))
		return err
	case isError:
		return e.errorText(v)
	}
	switch v.Kind() {
	case reflect.Bool:
		e.dst = wire.AppendBool(e.dst, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.dst = wire.AppendInt(e.dst, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		e.dst = wire.AppendUint(e.dst, v.Uint())
	case reflect.Float32, reflect.Float64:
		e.dst = wire.AppendFloat(e.dst, v.Float())
	case reflect.String:
		e.dst, err = appendText(e.dst, v.String())
	case reflect.Slice, reflect.Array:
		err = e.list(v, t, left)
	case reflect.Map:
		err = e.mapping(v, t, left)
	case reflect.Struct:
		err = e.structure(v, t, left)
	case reflect.Pointer, reflect.Interface:
		err = e.hop(v, t, left, hops)
	default:
		err = failf(nil, "the type %v has no encoding: give it EncodeMsgpack, or leave it out", v.Type())
	}
	return err
}

// hop follows a pointer or an interface.
func (e *encoder) hop(v reflect.Value, t *typeInfo, left, hops int) (err error) {
	if v.IsNil() {
		e.dst = wire.AppendNil(e.dst)
		return nil
	}
	if hops >= maxHops {
		return failf(wire.ErrDepth, "more than %d pointers and interfaces follow each other: break the cycle", maxHops)
	}
	elem := t.elem
	if v = v.Elem(); elem == nil { // an interface
		if elem, err = typeOf(v.Type()); err != nil {
			return err
		}
	}
	return e.value(v, elem, left, hops+1)
}

func (e *encoder) errorText(v reflect.Value) (err error) {
	if v.IsNil() {
		e.dst = wire.AppendNil(e.dst)
		return nil
	}
	defer recoverFrom(v.Elem().Type(), "Error", &err)
	e.dst, err = appendText(e.dst, v.Interface().(error).Error())
	return err
}

// list appends a slice or an array: bytes as a binary, everything else as an array.
func (e *encoder) list(v reflect.Value, t *typeInfo, left int) error {
	if v.Kind() == reflect.Slice && v.IsNil() {
		e.dst = wire.AppendNil(e.dst)
		return nil
	}
	n := v.Len()
	if t.elem.typ.Kind() == reflect.Uint8 {
		if v.Kind() == reflect.Slice || v.CanAddr() {
			e.dst = wire.AppendBin(e.dst, v.Bytes())
			return nil
		}
		e.dst = wire.AppendBinHeader(e.dst, n)
		for i := range n {
			e.dst = append(e.dst, byte(v.Index(i).Uint()))
		}
		return nil
	}
	if left <= 0 {
		return tooDeep()
	}
	e.dst = wire.AppendArrayHeader(e.dst, n)
	for i := range n {
		if err := e.value(v.Index(i), t.elem, left-1, 0); err != nil {
			return in(index(i), err)
		}
	}
	return nil
}

// mapping appends a map: keys first, to sort by their encoded form, then each with its value.
func (e *encoder) mapping(v reflect.Value, t *typeInfo, left int) error {
	if v.IsNil() {
		e.dst = wire.AppendNil(e.dst)
		return nil
	}
	if left <= 0 {
		return tooDeep()
	}
	type entry struct {
		from, to int // the encoded key, in keys
		value    reflect.Value
	}
	var keys encoder
	entries := make([]entry, 0, v.Len())
	for iter := v.MapRange(); iter.Next(); {
		from := len(keys.dst)
		switch err := keys.value(iter.Key(), t.key, 0, 0); {
		case errors.Is(err, wire.ErrDepth):
			return failf(nil, "a key of the map %v is encoded as an array or a map: use keys of a simple type", v.Type())
		case err != nil:
			return in("[key]", err)
		}
		entries = append(entries, entry{from, len(keys.dst), iter.Value()})
	}
	key := func(x entry) []byte { return keys.dst[x.from:x.to] }
	slices.SortFunc(entries, func(x, y entry) int { return bytes.Compare(key(x), key(y)) })
	e.dst = wire.AppendMapHeader(e.dst, len(entries))
	for i, x := range entries {
		if i > 0 && bytes.Equal(key(entries[i-1]), key(x)) {
			return in(describeKey(key(x)), failf(nil, "two keys of the map %v are the same once encoded", v.Type()))
		}
		e.dst = append(e.dst, key(x)...)
		if err := e.value(x.value, t.elem, left-1, 0); err != nil {
			return in(describeKey(key(x)), err)
		}
	}
	return nil
}

// describeKey is the step of a path that an encoded key stands for.
func describeKey(b []byte) string {
	if s, _, err := wire.RawString(b); err == nil {
		return keyed(string(s))
	}
	v, _, _ := readAny(b)
	return "[" + clip(fmt.Sprint(v)) + "]"
}

func (e *encoder) structure(v reflect.Value, t *typeInfo, left int) error {
	if left <= 0 {
		return tooDeep()
	}
	if t.asArray {
		return e.tuple(v, t, left)
	}
	var few [32]reflect.Value
	parts, n := few[:0], 0
	for i := range t.fields {
		f := &t.fields[i]
		part, ok := fieldOf(v, f.path)
		if !ok || f.omit && isEmpty(part) {
			part = reflect.Value{} // of an embedded pointer that is nil, or left out
		} else {
			n++
		}
		parts = append(parts, part)
	}
	e.dst = wire.AppendMapHeader(e.dst, n)
	for i, part := range parts {
		if !part.IsValid() {
			continue
		}
		f := &t.fields[i]
		e.dst = append(e.dst, f.encoded...)
		if err := e.value(part, f.info, left-1, 0); err != nil {
			return in("."+f.goName, err)
		}
	}
	return nil
}

// tuple appends a struct that is encoded as an array.
func (e *encoder) tuple(v reflect.Value, t *typeInfo, left int) error {
	e.dst = wire.AppendArrayHeader(e.dst, len(t.fields))
	for i := range t.fields {
		f := &t.fields[i]
		part, ok := fieldOf(v, f.path)
		if !ok {
			e.dst = wire.AppendNil(e.dst)
			continue
		}
		if err := e.value(part, f.info, left-1, 0); err != nil {
			return in("."+f.goName, err)
		}
	}
	return nil
}

// fieldOf follows a path through embedded structs; it ends at a nil pointer.
func fieldOf(v reflect.Value, path []int) (_ reflect.Value, ok bool) {
	for i, p := range path {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		v = v.Field(p)
	}
	return v, true
}

// isEmpty decides for omitempty as msgpack/v5 does: a type's own IsZero first; then nil, zero, of no
// length, or a struct of which omitempty leaves nothing.
func isEmpty(v reflect.Value) bool {
	for range maxHops {
		if v.Kind() != reflect.Interface {
			break
		}
		if v.IsNil() {
			return true
		}
		v = v.Elem()
	}
	if z, ok := v.Interface().(interface{ IsZero() bool }); ok {
		return v.Kind() == reflect.Pointer && v.IsNil() || z.IsZero()
	}
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		t, err := typeOf(v.Type())
		if err != nil {
			return false
		}
		if t.encodes { // msgpack/v5 goes by the fields here, too, and drops every netip.Addr
			return v.IsZero()
		}
		for i := range t.fields {
			part, ok := fieldOf(v, t.fields[i].path)
			if ok && (!t.fields[i].omit || !isEmpty(part)) {
				return false
			}
		}
		return true
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return false
	}
	return v.IsZero()
}
