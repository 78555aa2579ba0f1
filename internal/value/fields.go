package value

import (
	"reflect"
	"slices"
	"strings"
)

// A field is one that msgpack/v5 would encode, of a struct or of one that it embeds.
type field struct {
	name    string
	encoded []byte   // the name
	aliases []string // further names to decode from
	goName  string
	path    []int // through embedded structs; pointers on the way may be nil
	omit    bool  // leave it out if it is empty
	info    *typeInfo
}

// structFields fills in the fields of a struct by the rules of msgpack/v5. Two fields of one name,
// which that package encodes both, are an error here, and so is a struct that would come out empty
// because all it has is unexported.
func (b builder) structFields(info *typeInfo) error {
	fields, err := b.collect(info.typ, nil)
	if err != nil {
		return err
	}
	if len(fields) == 0 && hidesFields(info.typ) {
		return failf(nil, "the struct %v has no exported field: export some, or give it EncodeMsgpack and DecodeMsgpack", info.typ)
	}
	if own, ok := info.typ.FieldByName("_msgpack"); ok && len(own.Index) == 1 {
		tag := parseTag(own.Tag)
		info.asArray = tag.has("as_array") || tag.has("asArray")
	}
	if !info.asArray {
		slices.SortFunc(fields, func(x, y field) int { return compareText(x.name, y.name) })
	}
	info.fields = fields
	info.names = make(map[string]int, len(fields))
	for i, f := range fields {
		if fields[i].encoded, err = appendText(nil, f.name); err != nil {
			return in("."+f.goName, err)
		}
		for _, name := range append([]string{f.name}, f.aliases...) {
			if other, twice := info.names[name]; twice && other != i {
				return failf(nil, "the struct %v has two fields named %q: change the name in one `msgpack` tag", info.typ, name)
			}
			info.names[name] = i
		}
	}
	return nil
}

func hidesFields(t reflect.Type) bool {
	for i := range t.NumField() {
		if f := t.Field(i); !f.IsExported() && f.Name != "_" && f.Name != "_msgpack" {
			return true
		}
	}
	return false
}

// collect returns the fields of t with those of the structs it embeds. outer are the structs that
// embed t.
func (b builder) collect(t reflect.Type, outer []reflect.Type) (fields []field, err error) {
	if slices.Contains(outer, t) {
		return nil, failf(nil, "the struct %v embeds itself: name the field", t)
	}
	outer = append(outer[:len(outer):len(outer)], t)
	omitAll := false
	for i := range t.NumField() {
		f := t.Field(i)
		tag := parseTag(f.Tag)
		if tag.name == "-" {
			continue
		}
		if f.Name == "_msgpack" {
			omitAll = omitAll || tag.has("omitempty")
		}
		if !f.IsExported() && !f.Anonymous {
			continue
		}
		if f.Anonymous && !tag.has("noinline") {
			inlined, ok, err := b.inline(f, tag, fields, outer)
			if err != nil {
				return nil, err
			}
			if ok {
				fields = append(fields, inlined...)
				continue
			}
		}
		if !f.IsExported() {
			return nil, failf(nil, "the struct %v embeds %v, which is not exported: export it or leave it out (`msgpack:\"-\"`)", t, f.Type)
		}
		one := field{name: tag.name, goName: f.Name, path: []int{i}, omit: omitAll || tag.has("omitempty"), info: b.build(f.Type)}
		if one.name == "" {
			one.name = f.Name
		}
		if alias, ok := tag.value("alias"); ok {
			one.aliases = []string{alias}
		}
		fields = append(fields, one)
	}
	return fields, nil
}

// inline returns the fields of the embedded struct f, if they are to stand among those of the struct
// around it: when the tag says so, without the ones whose names are taken; else when no name is taken
// and the type has no encoding of its own.
func (b builder) inline(f reflect.StructField, tag fieldTag, taken []field, outer []reflect.Type) (fields []field, ok bool, err error) {
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == timeType {
		return nil, false, nil
	}
	pointer := reflect.PointerTo(t)
	if !tag.has("inline") && (implementsAny(pointer, encoderTypes) || implementsAny(pointer, decoderTypes)) {
		return nil, false, nil
	}
	inner, err := b.collect(t, outer)
	if err != nil {
		return nil, false, err
	}
	for _, one := range inner {
		if slices.ContainsFunc(taken, func(other field) bool { return other.name == one.name }) {
			if tag.has("inline") {
				continue
			}
			return nil, false, nil
		}
		one.path = append([]int{f.Index[0]}, one.path...)
		one.goName = f.Name + "." + one.goName
		fields = append(fields, one)
	}
	return fields, true, nil
}

// A fieldTag is a struct tag of msgpack/v5: a name and options behind commas, some of them key:value.
type fieldTag struct {
	name    string
	options []string
}

func parseTag(tag reflect.StructTag) fieldTag {
	parts := strings.Split(tag.Get("msgpack"), ",")
	for i := range parts {
		parts[i] = strings.Trim(strings.TrimSpace(parts[i]), "'")
	}
	return fieldTag{parts[0], parts[1:]}
}

func (t fieldTag) has(option string) bool { return slices.Contains(t.options, option) }

func (t fieldTag) value(key string) (string, bool) {
	for _, o := range t.options {
		if v, ok := strings.CutPrefix(o, key+":"); ok {
			return strings.Trim(v, "'"), true
		}
	}
	return "", false
}
