package value

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// A typeInfo is what encoding and decoding need to know of a Go type. It is built once per type and
// never changes afterwards; those of recursive types point to each other.
type typeInfo struct {
	typ       reflect.Type
	encodes   bool // the type, or a pointer to it, has an encoder of its own
	decodes   bool // a pointer to the type has a decoder of its own
	byPointer bool // encodes only through a pointer
	special   special
	key, elem *typeInfo      // of maps; of maps, slices, arrays and pointers
	fields    []field        // of structs, in the order of their encoded names, or for arrays as declared
	names     map[string]int // of structs: indexes into fields, aliases included
	asArray   bool           // structs: encode as an array
	err       error          // why nothing can be encoded or decoded
}

type special uint8

const (
	ordinary special = iota
	isTime
	isNumber
	isError // the interface type error itself
)

var (
	timeType   = reflect.TypeFor[time.Time]()
	numberType = reflect.TypeFor[json.Number]()
	errorType  = reflect.TypeFor[error]()

	encoderTypes = []reflect.Type{
		reflect.TypeFor[msgpack.CustomEncoder](), reflect.TypeFor[msgpack.Marshaler](),
		reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.TextMarshaler](),
	}
	decoderTypes = []reflect.Type{
		reflect.TypeFor[msgpack.CustomDecoder](), reflect.TypeFor[msgpack.Unmarshaler](),
		reflect.TypeFor[encoding.BinaryUnmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	}
)

var infos sync.Map // reflect.Type -> *typeInfo

// typeOf returns what is known of a type, or why it cannot be used. Types that it leads to are judged
// when a value gets there.
func typeOf(t reflect.Type) (*typeInfo, error) {
	if known, ok := infos.Load(t); ok {
		info := known.(*typeInfo)
		return info, info.err
	}
	b := builder{}
	info := b.build(t)
	for t, built := range b {
		infos.LoadOrStore(t, built)
	}
	return info, info.err
}

// A builder holds the types under construction, so that recursive ones end.
type builder map[reflect.Type]*typeInfo

func (b builder) build(t reflect.Type) *typeInfo {
	if known, ok := infos.Load(t); ok {
		return known.(*typeInfo)
	}
	if info, ok := b[t]; ok {
		return info
	}
	info := &typeInfo{typ: t}
	b[t] = info
	switch t {
	case timeType:
		info.special = isTime
		return info
	case numberType:
		info.special = isNumber
		return info
	case errorType:
		info.special = isError
		return info
	}
	if t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface {
		pointer := reflect.PointerTo(t)
		byValue := implementsAny(t, encoderTypes)
		info.encodes = byValue || implementsAny(pointer, encoderTypes)
		info.byPointer = info.encodes && !byValue
		info.decodes = implementsAny(pointer, decoderTypes)
		if info.encodes && info.decodes {
			return info
		}
	}
	switch t.Kind() {
	case reflect.Pointer:
		for hops, p := 0, t; p.Kind() == reflect.Pointer; hops, p = hops+1, p.Elem() {
			if hops > maxHops {
				info.err = failf(nil, "the pointer type %v leads to nothing but pointers", t)
				return info
			}
		}
		info.elem = b.build(t.Elem())
	case reflect.Slice, reflect.Array:
		info.elem = b.build(t.Elem())
	case reflect.Map:
		info.key, info.elem = b.build(t.Key()), b.build(t.Elem())
	case reflect.Struct:
		info.err = b.structFields(info)
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer, reflect.Uintptr:
		info.err = failf(nil, "the type %v has no encoding: give it EncodeMsgpack and DecodeMsgpack, or leave it out", t)
	}
	if info.encodes || info.decodes {
		info.err = nil // one direction works; the other one has only the kind to go by
	}
	return info
}

func implementsAny(t reflect.Type, interfaces []reflect.Type) bool {
	return slices.ContainsFunc(interfaces, t.Implements)
}
