package value

import (
	"reflect"

	"github.com/fieldwise/fieldwise/internal/wire"
)

// A Codec encodes and decodes the values of one Go type, by the rules of Append and Decode. It is safe
// for concurrent use. CodecOf is the only way to make one.
type Codec struct{ info *typeInfo }

// CodecOf returns the codec of t. The error says why values of the type cannot be stored and read back,
// and where in the type that is: all that the type leads to is looked at.
func CodecOf(t reflect.Type) (Codec, error) {
	info, err := typeOf(t)
	if err == nil {
		err = usable(info, make(map[*typeInfo]bool))
	}
	if err != nil {
		return Codec{}, err
	}
	return Codec{info}, nil
}

// usable looks for what cannot be encoded and decoded in a type and in all that it leads to.
func usable(t *typeInfo, seen map[*typeInfo]bool) error {
	if seen[t] {
		return nil
	}
	seen[t] = true
	switch {
	case t.err != nil:
		return t.err
	case t.encodes != t.decodes:
		return failf(nil, "the type %v has only one of an encoder and a decoder of its own: give it both", t.typ)
	case t.encodes, t.special != ordinary:
		return nil
	case t.typ.Kind() == reflect.Interface && t.typ.NumMethod() > 0:
		return failf(wire.ErrType, "nothing says which Go type belongs into the interface %v: use a concrete type", t.typ)
	}
	if t.key != nil {
		if err := usable(t.key, seen); err != nil {
			return in("[key]", err)
		}
	}
	if t.elem != nil {
		if err := usable(t.elem, seen); err != nil {
			return in("[]", err)
		}
	}
	for i := range t.fields {
		if err := usable(t.fields[i].info, seen); err != nil {
			return in("."+t.fields[i].goName, err)
		}
	}
	return nil
}

// Append appends the canonical form of v, whose type is the codec's. With an error the result is dst as
// it was.
func (c Codec) Append(dst []byte, v reflect.Value) ([]byte, error) {
	if !c.info.encodes && c.info.special == ordinary {
		switch v.Kind() { // the commonest, without the shelter that other types' methods need
		case reflect.String:
			return appendText(dst, v.String())
		case reflect.Bool:
			return wire.AppendBool(dst, v.Bool()), nil
		case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
			return wire.AppendInt(dst, v.Int()), nil
		}
	}
	return c.appendAny(dst, v)
}

func (c Codec) appendAny(dst []byte, v reflect.Value) (_ []byte, err error) {
	defer recoverFrom(c.info.typ, "a method", &err)
	e := encoder{dst: dst}
	if err := e.value(v, c.info, MaxDepth, 0); err != nil {
		return dst, err
	}
	return e.dst, nil
}

// Decode decodes b into v, which can be set and whose type is the codec's. b is one canonical value that
// has passed wire.Check; nothing of it is kept. With an error, v may hold a part of the value.
func (c Codec) Decode(b []byte, v reflect.Value) error {
	_, err := decodeValue(b, v, c.info)
	return err
}
