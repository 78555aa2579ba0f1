// Package value turns ordinary Go values into canonical bytes (package wire) and back.
//
//	b, err := value.Append(nil, map[string]any{"plan": "gold", "seats": 3})
//	var plan struct { Plan string `msgpack:"plan"`; Seats uint8 `msgpack:"seats"` }
//	err = value.Decode(b, &plan)
//
// It follows the rules of github.com/vmihailenco/msgpack/v5 (struct tags, omitempty, inlining, as_array,
// CustomEncoder, Marshaler, encoding.BinaryMarshaler, encoding.TextMarshaler), and Append(v) is the
// canonical form of what msgpack.Marshal(v) writes. It walks the values itself, though, and leaves to
// msgpack/v5 only the types with methods of their own, because that package
//
//   - overflows the stack on cyclic values, which nothing can recover;
//   - narrows integers in silence, and turns a large uint64 into a negative float;
//   - cannot decode a float64, the only float of the canonical form, into a float32;
//   - decodes times into the local zone, and keeps the width of integers in an any.
//
// What a type's own encoder writes is limited in depth while it is written and made canonical
// afterwards; a type's own decoder sees only bytes that wire.Check has passed, and must consume all of
// them. A panic in either becomes an error. Within such a decoder msgpack/v5 narrows integers as ever:
// what the decoder asks for there is its own affair.
//
// Types registered with msgpack.Register and msgpack.RegisterExt get no special treatment.
package value

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/fieldwise/fieldwise/internal/wire"
)

// MaxDepth is how many containers (arrays, maps, structs) may be nested in one value.
const MaxDepth = 16

// ErrRange says that a number does not fit the Go type that it is to be decoded into, or that a
// json.Number fits none. The other errors of this package wrap those of package wire: ErrType where
// bytes and Go type do not match, ErrDepth where a value is nested too deep or contains itself.
var ErrRange = errors.New("number out of range")

// Append appends the canonical form of v to dst. Equal values give equal bytes, whatever the order of
// their maps.
//
// Integers of every Go type share one form, and so do the two float types; a nil pointer, slice, map or
// interface is nil; a time.Time is an instant, without its zone; a json.Number is an integer if it is
// written like one and fits int64 or uint64, else a float64. JSON-shaped data is encoded without
// reflection.
//
// Errors name the Go type and the place in the value: a string that is not UTF-8, a type that has no
// encoding, a struct with nothing but unexported fields, keys that are equal once encoded, nesting
// beyond MaxDepth (cycles included). With an error the result is dst as it was. v is not kept.
func Append(dst []byte, v any) ([]byte, error) {
	out, err := appendAny(dst, v, MaxDepth)
	if err != nil {
		return dst, explain("encode", reflect.TypeOf(v), err)
	}
	return out, nil
}

// Decode decodes b, one canonical value of at most MaxDepth containers, into what the pointer into
// points to. Nothing of b is kept.
//
// A number that the Go type cannot hold is ErrRange: integers outside the type's range, integers that a
// float would round, floats beyond float32. (A float64 is rounded to float32; no float becomes an
// integer.) Slices, maps, pointers and interfaces are replaced by new ones, never written through; only
// embedded pointers that are set are. Struct fields that b does not mention keep their value, and what
// the struct has no field for is passed over. nil makes anything zero. An any receives what Any returns.
//
// The cost is one pass of wire.Check over b and one of decoding. With an error, *into may hold a part of
// the value.
func Decode(b []byte, into any) error {
	if err := wire.Check(b, MaxDepth); err != nil {
		return fmt.Errorf("value: decode into %T: %w", into, err)
	}
	p := reflect.ValueOf(into)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("value: decode into %T: pass a pointer that is not nil", into)
	}
	if err := decodeChecked(b, into, p); err != nil {
		return explain("decode", p.Type().Elem(), err)
	}
	return nil
}

// decodeChecked decodes into common types without reflection, and into the others with it.
func decodeChecked(b []byte, into any, p reflect.Value) (err error) {
	if kind := wire.KindOf(b); kind != wire.KindNil {
		switch into := into.(type) {
		case *any:
			*into, _, err = readAny(b)
			return err
		case *map[string]any:
			if kind == wire.KindMap {
				*into, _, err = readMap(b)
				return err
			}
		case *[]any:
			if kind == wire.KindArray {
				*into, _, err = readSlice(b)
				return err
			}
		case *string:
			if kind == wire.KindString {
				s, _, err := wire.RawString(b)
				*into = string(s)
				return err
			}
		case *bool:
			if kind == wire.KindBool {
				*into, _, err = wire.Bool(b)
				return err
			}
		case *time.Time:
			if kind == wire.KindTime {
				*into, _, err = wire.Time(b)
				return err
			}
		}
	}
	t, err := typeOf(p.Type().Elem())
	if err != nil {
		return err
	}
	_, err = decodeValue(b, p.Elem(), t)
	return err
}

// Any decodes b, one canonical value of at most MaxDepth containers, into JSON-shaped data: nil, bool,
// int64 (uint64 above math.MaxInt64), float64, string, []byte, time.Time in UTC, []any, map[string]any.
// Maps must have string keys. Nothing of b is kept.
func Any(b []byte) (any, error) {
	if err := wire.Check(b, MaxDepth); err != nil {
		return nil, fmt.Errorf("value: decode: %w", err)
	}
	v, _, err := readAny(b)
	if err != nil {
		return nil, explain("decode", nil, err)
	}
	return v, nil
}

// readAny reads bytes that have passed wire.Check.
func readAny(b []byte) (v any, rest []byte, err error) {
	switch kind := wire.KindOf(b); kind {
	case wire.KindNil:
		rest, err = wire.Nil(b)
		return nil, rest, err
	case wire.KindBool:
		return boxed(wire.Bool(b))
	case wire.KindUint:
		u, rest, err := wire.Uint(b)
		if u > 1<<63-1 {
			return u, rest, err
		}
		return int64(u), rest, err
	case wire.KindInt:
		return boxed(wire.Int(b))
	case wire.KindFloat:
		return boxed(wire.Float(b))
	case wire.KindTime:
		return boxed(wire.Time(b))
	case wire.KindString:
		s, rest, err := wire.RawString(b)
		return string(s), rest, err
	case wire.KindBin:
		s, rest, err := wire.Bin(b)
		return append([]byte{}, s...), rest, err
	case wire.KindArray:
		return boxed(readSlice(b))
	case wire.KindMap:
		return boxed(readMap(b))
	default:
		return nil, nil, failf(wire.ErrType, "a value of kind %v cannot be decoded", kind)
	}
}

func boxed[T any](v T, rest []byte, err error) (any, []byte, error) { return v, rest, err }

func readSlice(b []byte) (s []any, rest []byte, err error) {
	n, rest, err := wire.ArrayHeader(b)
	if err != nil {
		return nil, nil, err
	}
	s = make([]any, n)
	for i := range s {
		if s[i], rest, err = readAny(rest); err != nil {
			return nil, nil, in(index(i), err)
		}
	}
	return s, rest, nil
}

func readMap(b []byte) (m map[string]any, rest []byte, err error) {
	n, rest, err := wire.MapHeader(b)
	if err != nil {
		return nil, nil, err
	}
	m = make(map[string]any, n)
	for range n {
		if kind := wire.KindOf(rest); kind != wire.KindString {
			return nil, nil, failf(wire.ErrType, "a map has a key of kind %v; only a Go map with such keys can hold it", kind)
		}
		var k []byte
		if k, rest, err = wire.RawString(rest); err != nil {
			return nil, nil, err
		}
		key := string(k)
		if m[key], rest, err = readAny(rest); err != nil {
			return nil, nil, in(keyed(key), err)
		}
	}
	return m, rest, nil
}
