package replogtest

import (
	"encoding"
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/fieldwise/fieldwise/internal/value"
)

// maker makes values of Go types, few of each, so that different writers often choose
// the same.
type maker struct {
	known map[reflect.Type][]reflect.Value // of types with codecs of their own
	poor  map[reflect.Type]bool            // types of which only the zero value can be made
}

func newMaker() *maker {
	return &maker{known: make(map[reflect.Type][]reflect.Value), poor: make(map[reflect.Type]bool)}
}

var (
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
	numberType   = reflect.TypeFor[json.Number]()
	urlType      = reflect.TypeFor[url.URL]() // few values of its fields make an address

	words = []string{"a", "b", "c", ""}
	times = []time.Time{
		time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		time.Date(2026, 3, 1, 12, 0, 0, 1_000, time.UTC),
		{},
	}
	urls = []url.URL{{}, {Scheme: "https", Host: "example.org", Path: "/a"}, {Scheme: "https", Host: "example.org", Path: "/b"}}
	// texts are what the types with an UnmarshalText of their own often accept.
	texts = []string{
		"1", "2", "0", "a", "b", "A", "1.5", "true", "false", "2026-03-01", "2026-03-01T12:00:00Z", "12:30", "1h0m0s",
		"192.0.2.1", "192.0.2.0/24", "192.0.2.1:80", "https://example.org/a", "a@example.org", "en", "EUR", "1 EUR",
		"00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002", "00", "info", "error",
	}
)

// deepest is how far values are nested.
const deepest = 4

// value makes one value of a type.
func (m *maker) value(r *rand.Rand, t reflect.Type, depth int) reflect.Value {
	v := reflect.New(t).Elem()
	switch {
	case depth > deepest:
	case t == timeType:
		v.Set(reflect.ValueOf(times[r.IntN(len(times))]))
	case t == durationType:
		v.SetInt(int64(r.IntN(3)) * int64(time.Second))
	case t == numberType:
		v.SetString([]string{"1", "2"}[r.IntN(2)])
	case t == urlType:
		v.Set(reflect.ValueOf(urls[r.IntN(len(urls))]))
	case hasCodec(t):
		if all := m.candidates(t); len(all) > 0 {
			return all[r.IntN(len(all))]
		}
	default:
		m.byKind(r, v, depth)
	}
	return v
}

func (m *maker) byKind(r *rand.Rand, v reflect.Value, depth int) {
	t := v.Type()
	switch t.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.IntN(4) - 1))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(r.IntN(3)))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(r.IntN(3)) / 2)
	case reflect.String:
		v.SetString(words[r.IntN(len(words))])
	case reflect.Pointer:
		if r.IntN(3) > 0 {
			p := reflect.New(t.Elem())
			p.Elem().Set(m.value(r, t.Elem(), depth+1))
			v.Set(p)
		}
	case reflect.Slice:
		if n := r.IntN(4) - 1; n >= 0 {
			v.Set(reflect.MakeSlice(t, n, n))
			for i := range n {
				v.Index(i).Set(m.value(r, t.Elem(), depth+1))
			}
		}
	case reflect.Array:
		for i := range t.Len() {
			v.Index(i).Set(m.value(r, t.Elem(), depth+1))
		}
	case reflect.Map:
		if n := r.IntN(4) - 1; n >= 0 {
			v.Set(reflect.MakeMap(t))
			for range n {
				v.SetMapIndex(m.value(r, t.Key(), depth+1), m.value(r, t.Elem(), depth+1))
			}
		}
	case reflect.Interface:
		if t.NumMethod() == 0 {
			v.Set(reflect.ValueOf([]any{int64(0), int64(1), "a", true}[r.IntN(4)]))
		}
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); stored(f) {
				v.Field(i).Set(m.value(r, f.Type, depth+1))
			}
		}
	}
}

// candidates are values that the type's own codec accepts: those that it reads from
// some common texts, and those that are made like other values of the kind. A value
// that comes back as another one is among them.
func (m *maker) candidates(t reflect.Type) []reflect.Value {
	if all, ok := m.known[t]; ok {
		return all
	}
	var all []reflect.Value
	add := func(v reflect.Value) {
		if encoded, ok := encodes(v); ok && value.Decode(encoded, reflect.New(t).Interface()) == nil {
			all = append(all, v)
		}
	}
	m.known[t] = nil // should the type hold itself
	for _, text := range texts {
		if v, ok := fromText(t, text); ok {
			add(v)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 12 {
		v := reflect.New(t).Elem()
		m.byKind(r, v, 1)
		add(v)
	}
	m.known[t] = all
	m.poor[t] = !slices.ContainsFunc(all, func(v reflect.Value) bool { return !v.IsZero() })
	return all
}

// fromText reads a value with the type's own codec.
func fromText(t reflect.Type, text string) (reflect.Value, bool) {
	v := reflect.New(t)
	ok := false
	switch own := v.Interface().(type) {
	case encoding.TextUnmarshaler:
		ok = quietly(func() error { return own.UnmarshalText([]byte(text)) })
	case encoding.BinaryUnmarshaler:
		ok = quietly(func() error { return own.UnmarshalBinary([]byte(text)) })
	}
	return v.Elem(), ok
}

func encodes(v reflect.Value) (encoded []byte, ok bool) {
	ok = quietly(func() (err error) {
		encoded, err = value.Append(nil, v.Interface())
		return err
	})
	return encoded, ok
}

// quietly reports whether f returns nil; a panic is no.
func quietly(f func() error) (ok bool) {
	defer func() { ok = recover() == nil && ok }()
	return f() == nil
}

// hasCodec reports whether a type is written and read by methods of its own.
func hasCodec(t reflect.Type) bool {
	if t.Kind() == reflect.Interface || t.Kind() == reflect.Pointer {
		return false
	}
	pointer := reflect.PointerTo(t)
	return slices.ContainsFunc([]string{"EncodeMsgpack", "MarshalMsgpack", "MarshalBinary", "MarshalText"}, func(name string) bool {
		_, ok := pointer.MethodByName(name)
		return ok
	})
}

// stored reports whether a field of a struct that is one value is stored with it.
func stored(f reflect.StructField) bool {
	name, _, _ := strings.Cut(f.Tag.Get("msgpack"), ",")
	return f.IsExported() && name != "-"
}
