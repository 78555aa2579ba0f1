package value

import (
	"encoding/json"
	"errors"
	"math"
	"math/bits"
	"reflect"
	"strconv"

	"github.com/fieldwise/fieldwise/internal/wire"
)

func mismatch(b []byte, t reflect.Type) error {
	return failf(wire.ErrType, "a value of kind %v cannot go into the Go type %v", wire.KindOf(b), t)
}

// decodeValue decodes the value at the front of b, which wire.Check has passed, into v, which can be
// set, and returns the bytes behind it. The recursion follows the nesting of b, which Check has bounded.
func decodeValue(b []byte, v reflect.Value, t *typeInfo) (rest []byte, err error) {
	if t.err != nil {
		return nil, t.err
	}
	kind := wire.KindOf(b)
	if kind == wire.KindNil {
		v.SetZero()
		return wire.Nil(b)
	}
	if t.decodes {
		return decodeCustom(b, v)
	}
	switch t.special {
	case isTime:
		at, rest, err := wire.Time(b)
		if err != nil {
			return nil, mismatch(b, t.typ)
		}
		v.Set(reflect.ValueOf(at))
		return rest, nil
	case isNumber:
		return decodeNumber(b, v)
	case isError:
		s, rest, err := wire.String(b)
		if err != nil {
			return nil, mismatch(b, t.typ)
		}
		v.Set(reflect.ValueOf(errors.New(string(s))))
		return rest, nil
	}
	switch v.Kind() {
	case reflect.Bool:
		if kind == wire.KindBool {
			x, rest, err := wire.Bool(b)
			v.SetBool(x)
			return rest, err
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return decodeInt(b, v, t)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return decodeUint(b, v, t)
	case reflect.Float32, reflect.Float64:
		return decodeFloat(b, v, t)
	case reflect.String:
		if kind == wire.KindString {
			s, rest, err := wire.RawString(b)
			v.SetString(string(s))
			return rest, err
		}
	case reflect.Slice:
		return decodeSlice(b, v, t)
	case reflect.Array:
		return decodeArray(b, v, t)
	case reflect.Map:
		return decodeMap(b, v, t)
	case reflect.Struct:
		return decodeStruct(b, v, t)
	case reflect.Pointer:
		p := reflect.New(t.elem.typ)
		rest, err := decodeValue(b, p.Elem(), t.elem)
		v.Set(p)
		return rest, err
	case reflect.Interface:
		if v.NumMethod() == 0 {
			x, rest, err := readAny(b)
			if err == nil {
				v.Set(reflect.ValueOf(x))
			}
			return rest, err
		}
		return nil, failf(wire.ErrType, "nothing says which Go type belongs into the interface %v: use a concrete type", t.typ)
	default:
		return nil, failf(wire.ErrType, "the type %v cannot be decoded: give it DecodeMsgpack", t.typ)
	}
	return nil, mismatch(b, t.typ)
}

func outOfRange(number any, t reflect.Type) error {
	return failf(ErrRange, "%v does not fit %v: use a wider type", number, t)
}

// tooSmall says that the number at the front of b, which is not the integer that was asked for, is one
// that t cannot hold, or no integer at all.
func tooSmall(b []byte, t reflect.Type) error {
	switch wire.KindOf(b) {
	case wire.KindUint, wire.KindInt:
		number, _, _ := readAny(b)
		return outOfRange(number, t)
	}
	return mismatch(b, t)
}

func decodeInt(b []byte, v reflect.Value, t *typeInfo) ([]byte, error) {
	x, rest, err := wire.Int(b)
	if err != nil || v.OverflowInt(x) {
		return nil, tooSmall(b, t.typ)
	}
	v.SetInt(x)
	return rest, nil
}

func decodeUint(b []byte, v reflect.Value, t *typeInfo) ([]byte, error) {
	x, rest, err := wire.Uint(b)
	if err != nil || v.OverflowUint(x) {
		return nil, tooSmall(b, t.typ)
	}
	v.SetUint(x)
	return rest, nil
}

// decodeFloat takes floats, rounded to float32 where that is the type, and the integers that the type
// holds exactly.
func decodeFloat(b []byte, v reflect.Value, t *typeInfo) ([]byte, error) {
	if x, rest, err := wire.Float(b); err == nil {
		if v.OverflowFloat(x) && !math.IsInf(x, 0) {
			return nil, outOfRange(x, t.typ)
		}
		v.SetFloat(x)
		return rest, nil
	}
	precision := 53
	if v.Kind() == reflect.Float32 {
		precision = 24
	}
	if u, rest, err := wire.Uint(b); err == nil && significant(u) <= precision {
		v.SetFloat(float64(u))
		return rest, nil
	}
	if i, rest, err := wire.Int(b); err == nil && i < 0 && significant(-uint64(i)) <= precision {
		v.SetFloat(float64(i))
		return rest, nil
	}
	return nil, tooSmall(b, t.typ)
}

// significant returns how many bits there are from the highest to the lowest 1 of u.
func significant(u uint64) int { return bits.Len64(u) - bits.TrailingZeros64(u)&63 }

// decodeNumber writes a number down.
func decodeNumber(b []byte, v reflect.Value) ([]byte, error) {
	if i, rest, err := wire.Int(b); err == nil {
		v.SetString(strconv.FormatInt(i, 10))
		return rest, nil
	}
	if u, rest, err := wire.Uint(b); err == nil {
		v.SetString(strconv.FormatUint(u, 10))
		return rest, nil
	}
	f, rest, err := wire.Float(b)
	if err != nil {
		return nil, mismatch(b, v.Type())
	}
	text, err := json.Marshal(f)
	if err != nil {
		return nil, outOfRange(f, v.Type()) // JSON has no NaN and no infinity
	}
	if i := strconv.FormatFloat(f, 'f', -1, 64); string(text) == i && f == math.Trunc(f) {
		text = append(text, ".0"...) // stays a float when it is encoded again
	}
	v.SetString(string(text))
	return rest, nil
}

func decodeSlice(b []byte, v reflect.Value, t *typeInfo) ([]byte, error) {
	if t.elem.typ.Kind() == reflect.Uint8 {
		content, rest, err := wire.Bin(b)
		if err != nil {
			return nil, mismatch(b, t.typ)
		}
		v.SetBytes(append([]byte{}, content...))
		return rest, nil
	}
	n, rest, err := wire.ArrayHeader(b)
	if err != nil {
		return nil, mismatch(b, t.typ)
	}
	s := reflect.MakeSlice(t.typ, n, n) // n is below len(b): memory is bounded by the input times the element
	for i := range n {
		if rest, err = decodeValue(rest, s.Index(i), t.elem); err != nil {
			return nil, in(index(i), err)
		}
	}
	v.Set(s)
	return rest, nil
}

func decodeArray(b []byte, v reflect.Value, t *typeInfo) ([]byte, error) {
	if t.elem.typ.Kind() == reflect.Uint8 {
		content, rest, err := wire.Bin(b)
		if err != nil {
			return nil, mismatch(b, t.typ)
		}
		if len(content) != v.Len() {
			return nil, failf(ErrRange, "%d bytes do not fit %v", len(content), t.typ)
		}
		for i, c := range content {
			v.Index(i).SetUint(uint64(c))
		}
		return rest, nil
	}
	n, rest, err := wire.ArrayHeader(b)
	if err != nil {
		return nil, mismatch(b, t.typ)
	}
	if n != v.Len() {
		return nil, failf(ErrRange, "%d elements do not fit %v", n, t.typ)
	}
	v.SetZero()
	for i := range n {
		if rest, err = decodeValue(rest, v.Index(i), t.elem); err != nil {
			return nil, in(index(i), err)
		}
	}
	return rest, nil
}

func decodeMap(b []byte, v reflect.Value, t *typeInfo) ([]byte, error) {
	n, rest, err := wire.MapHeader(b)
	if err != nil {
		return nil, mismatch(b, t.typ)
	}
	m := reflect.MakeMapWithSize(t.typ, n)
	for range n {
		encoded := rest
		key := reflect.New(t.key.typ).Elem()
		if rest, err = decodeValue(rest, key, t.key); err != nil {
			return nil, in("[key "+describeKey(encoded)+"]", err)
		}
		if !key.Comparable() {
			return nil, in(describeKey(encoded), mismatch(encoded, t.key.typ))
		}
		elem := reflect.New(t.elem.typ).Elem()
		if rest, err = decodeValue(rest, elem, t.elem); err != nil {
			return nil, in(describeKey(encoded), err)
		}
		m.SetMapIndex(key, elem)
	}
	if m.Len() != n {
		return nil, failf(ErrRange, "different keys are equal in the Go type %v", t.typ)
	}
	v.Set(m)
	return rest, nil
}

// decodeStruct takes a map of field names, or an array where the struct is encoded as one.
func decodeStruct(b []byte, v reflect.Value, t *typeInfo) ([]byte, error) {
	if t.asArray && wire.KindOf(b) == wire.KindArray {
		return decodeFields(b, v, t)
	}
	n, rest, err := wire.MapHeader(b)
	if err != nil {
		return nil, mismatch(b, t.typ)
	}
	next := 0 // where the following name is, if nothing is missing: names and fields have one order
	for range n {
		name, behind, err := wire.RawString(rest)
		if err != nil {
			return nil, failf(wire.ErrType, "the Go type %v needs field names, and a key is of kind %v", t.typ, wire.KindOf(rest))
		}
		i := next
		if i >= len(t.fields) || t.fields[i].name != string(name) {
			known := false
			if i, known = t.names[string(name)]; !known {
				skipped, err := wire.Skip(behind)
				if err != nil {
					return nil, err
				}
				rest = behind[skipped:]
				continue
			}
		}
		next = i + 1
		if rest, err = decodeField(behind, v, &t.fields[i]); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func decodeFields(b []byte, v reflect.Value, t *typeInfo) ([]byte, error) {
	n, rest, err := wire.ArrayHeader(b)
	if err != nil || n != len(t.fields) {
		return nil, failf(wire.ErrType, "an array of %d cannot go into the %d fields of %v", n, len(t.fields), t.typ)
	}
	for i := range t.fields {
		if rest, err = decodeField(rest, v, &t.fields[i]); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// decodeField decodes into a field of the struct v, through embedded pointers, which it sets if they
// are nil.
func decodeField(b []byte, v reflect.Value, f *field) ([]byte, error) {
	for i, p := range f.path {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				if !v.CanSet() {
					return nil, in("."+f.goName, failf(nil, "the embedded pointer to %v is nil and not exported: embed the struct, or set it before", v.Type().Elem()))
				}
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(p)
	}
	rest, err := decodeValue(b, v, f.info)
	if err != nil {
		return nil, in("."+f.goName, err)
	}
	return rest, nil
}
