package fieldmerge_test

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise/fieldmerge"
)

// What the property tests know of structs with tags, written anew by plain reflection.

type Inner struct {
	N int64            `merge:"n,earliest"`
	P *string          `merge:"p,lww"`
	M map[string]int32 `merge:"m,each=priority"`
}

type Spot struct {
	Street string            `merge:"street,lww"`
	City   string            `merge:"city,priority"`
	Geo    *float64          `merge:"geo,lww"`
	Deep   Inner             `merge:"deep,nested"`
	Link   *Inner            `merge:"link,nested"`
	Labels map[string]string `merge:"labels,each=lww"`
}

// Wide has a field of every kind that a document can hold and shows as it is.
type Wide struct {
	Base
	Name   string                      `merge:"name,lww"`
	Nick   *string                     `merge:"nick,earliest"`
	Tier   Tier                        `merge:"tier,custom=tier"`
	Age    int32                       `merge:"age,priority"`
	Quota  uint64                      `merge:"quota,lww"`
	Score  float32                     `merge:"score,lww"`
	On     bool                        `merge:"on,lww"`
	Avatar []byte                      `merge:"avatar,lww"`
	Wait   time.Duration               `merge:"wait,lww"`
	Addr   netip.Addr                  `merge:"addr,lww"`
	Tags   []string                    `merge:"tags,lww"`
	Fixed  [2]int16                    `merge:"fixed,lww"`
	Any    any                         `merge:"any,lww"`
	Dotted string                      `merge:"a.b,lww"`
	Home   Spot                        `merge:"home,nested"`
	Work   *Spot                       `merge:"work,nested"`
	Prefs  map[string]string           `merge:"prefs,each=lww"`
	Counts map[string]*int             `merge:"counts,each=earliest"`
	Places map[Tier]Spot               `merge:"places,each=nested"`
	Near   map[string]*Inner           `merge:"near,each=nested"`
	Grid   map[string]map[string]int64 `merge:"grid,each=each=lww"`
	Hidden func()                      `merge:"-"`
}

type Priced struct {
	Amount int     `merge:"amount,lww,group=price"`
	Unit   *string `merge:"unit,lww,group=price"`
	Note   string  `merge:"note,lww"`
}

type Size struct {
	W, H int
	Tags map[string]int
}

// Wider has what only structs have, too: groups, maps and structs that are one value.
type Wider struct {
	Wide
	Whole  map[string]int    `merge:"whole,lww"`
	Size   Size              `merge:"size,lww"`
	Sizes  map[string]Size   `merge:"sizes,each=lww"`
	Lat    *float64          `merge:"lat,earliest,group=place"`
	Lng    *float64          `merge:"lng,earliest,group=place"`
	From   time.Time         `merge:"from,lww,group=span"`
	Until  []byte            `merge:"until,lww,group=span"`
	Kind   Size              `merge:"kind,lww,group=span"`
	Offer  Priced            `merge:"offer,nested"`
	Best   *Priced           `merge:"best,nested"`
	Offers map[string]Priced `merge:"offers,each=nested"`
	Title  string            `merge:"title,lww,was=heading"`
}

// part is one field of a struct that is stored.
type part struct {
	name, strategy, group string
	index                 []int
}

var parted sync.Map // reflect.Type -> []part

// partsOf lists the fields of a struct type, those of embedded structs included.
func partsOf(t reflect.Type) []part {
	if known, ok := parted.Load(t); ok {
		return known.([]part)
	}
	var all []part
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("merge")
		if tag == "" || tag == "-" {
			continue
		}
		words := strings.Split(tag, ",")
		p := part{name: words[0], strategy: words[1], index: f.Index}
		if len(words) > 2 {
			p.group, _ = strings.CutPrefix(words[2], "group=")
			if p.group == words[2] {
				p.group = ""
			}
		}
		all = append(all, p)
	}
	parted.Store(t, all)
	return all
}

// inner is the strategy of the entries of a map, empty if the field is no map of fields.
func inner(strategy string) string {
	s, _ := strings.CutPrefix(strategy, "each=")
	if s == strategy {
		return ""
	}
	return s
}

// deep reports whether the field is fields itself.
func (p part) deep() bool { return p.strategy == "nested" || inner(p.strategy) != "" }

// under is a path below prefix, which is empty for the record.
func under(prefix, name string) string {
	if prefix == "" {
		return fieldmerge.JoinPath(name)
	}
	return prefix + "." + fieldmerge.JoinPath(name)
}

// isNil reports whether a field is a nil pointer, or a nil map of fields.
func isNil(strategy string, v reflect.Value) bool {
	return (v.Kind() == reflect.Pointer || inner(strategy) != "") && v.IsNil()
}

// sameValue compares two values that are stored as one.
func sameValue(a, b reflect.Value) bool { return encode(a.Interface()) == encode(b.Interface()) }

// strategiesOf lists the options of a document schema that treats each field of a struct
// type as its tag says.
func strategiesOf(t reflect.Type) (options []fieldmerge.Option) {
	var structOf func(segments []string, t reflect.Type)
	var one func(segments []string, strategy string, t reflect.Type)
	one = func(segments []string, strategy string, t reflect.Type) {
		switch {
		case strategy == "nested":
			if t.Kind() == reflect.Pointer {
				t = t.Elem()
			}
			structOf(segments, t)
		case inner(strategy) != "":
			one(append(slices.Clone(segments), "*"), inner(strategy), t.Elem())
		default:
			options = append(options, fieldmerge.Field(fieldmerge.JoinPath(segments...), fieldmerge.Strategy(strategy)))
		}
	}
	structOf = func(segments []string, t reflect.Type) {
		for _, p := range partsOf(t) {
			one(append(slices.Clone(segments), p.name), p.strategy, t.FieldByIndex(p.index).Type)
		}
	}
	structOf(nil, t)
	return options
}

// drawChange changes v in one random place; growing leaves out what unsets maps, entries
// of maps and structs.
func drawChange(t *rapid.T, v reflect.Value, growing bool) {
	parts := partsOf(v.Type())
	p := parts[rapid.IntRange(0, len(parts)-1).Draw(t, "field")]
	if !p.deep() && rapid.Bool().Draw(t, "deep") { // a wide struct has many fields that are one value
		if deep := slices.DeleteFunc(slices.Clone(parts), func(p part) bool { return !p.deep() }); len(deep) > 0 {
			p = rapid.SampledFrom(deep).Draw(t, "which")
		}
	}
	drawField(t, p.strategy, v.FieldByIndex(p.index), growing)
}

func drawField(t *rapid.T, strategy string, v reflect.Value, growing bool) {
	switch {
	case strategy == "nested" && v.Kind() == reflect.Pointer:
		switch rapid.IntRange(0, 4).Draw(t, "pointer") {
		case 0:
			if !growing {
				v.SetZero()
				return
			}
		case 1:
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
				return
			}
		}
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		drawChange(t, v.Elem(), growing)
	case strategy == "nested":
		drawChange(t, v, growing)
	case inner(strategy) != "":
		if !growing && rapid.IntRange(0, 7).Draw(t, "map") == 0 {
			v.SetZero()
			return
		}
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		k := reflect.ValueOf(rapid.SampledFrom([]string{"p", "q", "", "e.c"}).Draw(t, "key")).Convert(v.Type().Key())
		old := v.MapIndex(k)
		switch rapid.IntRange(0, 3).Draw(t, "entry") {
		case 0: // leave the map as it is
			return
		case 1:
			if old.IsValid() && !growing {
				v.SetMapIndex(k, reflect.Value{})
				return
			}
		}
		entry := reflect.New(v.Type().Elem()).Elem()
		if old.IsValid() {
			entry.Set(old)
		}
		drawField(t, inner(strategy), entry, growing)
		if !isNil(inner(strategy), entry) {
			v.SetMapIndex(k, entry)
		} else if !growing {
			v.SetMapIndex(k, reflect.Value{}) // nil is no entry
		}
	default:
		drawValue(t, v)
	}
}

// long is too large for a token, and edge is just not.
var long, edge = strings.Repeat("long", 10), strings.Repeat("e", 31)

var samples = map[reflect.Type][]any{
	reflect.TypeFor[string]():         {"", "x", "y", edge, long},
	reflect.TypeFor[Tier]():           {Tier(""), Tier("gold"), Tier("lead"), Tier("zinc")},
	reflect.TypeFor[int]():            {0, 1, -7},
	reflect.TypeFor[int32]():          {int32(0), int32(1), int32(-1 << 31)},
	reflect.TypeFor[int64]():          {int64(0), int64(1), int64(-1 << 63)},
	reflect.TypeFor[uint64]():         {uint64(0), uint64(1), uint64(1 << 63)},
	reflect.TypeFor[float32]():        {float32(0), float32(1.5), float32(0.1)},
	reflect.TypeFor[float64]():        {0.0, 1.5, 0.1},
	reflect.TypeFor[bool]():           {false, true},
	reflect.TypeFor[[]byte]():         {[]byte(nil), []byte{}, []byte{1, 2}},
	reflect.TypeFor[time.Duration]():  {time.Duration(0), time.Second},
	reflect.TypeFor[time.Time]():      {time.Time{}, time.UnixMilli(1000).UTC(), time.Unix(5e9, 7).UTC()},
	reflect.TypeFor[netip.Addr]():     {netip.Addr{}, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fe80::1")},
	reflect.TypeFor[[]string]():       {[]string(nil), []string{}, []string{"a", "b"}},
	reflect.TypeFor[[2]int16]():       {[2]int16{}, [2]int16{1, -2}},
	reflect.TypeFor[any]():            {nil, int64(1), "x", []any{int64(1), nil}, 1.5, []byte{3}},
	reflect.TypeFor[map[string]int](): {map[string]int(nil), map[string]int{}, map[string]int{"x": 1, "": 2}},
	reflect.TypeFor[Size]():           {Size{}, Size{W: 1}, Size{H: 2, Tags: map[string]int{"a": 1}}},
}

func drawValue(t *rapid.T, v reflect.Value) {
	typ := v.Type()
	pointer := typ.Kind() == reflect.Pointer
	if pointer {
		if typ = typ.Elem(); rapid.IntRange(0, 2).Draw(t, "nil") == 0 {
			v.SetZero()
			return
		}
	}
	all := samples[typ]
	one := reflect.New(typ)
	if x := all[rapid.IntRange(0, len(all)-1).Draw(t, "value")]; x != nil {
		one.Elem().Set(reflect.ValueOf(x))
	}
	if pointer {
		v.Set(one)
	} else {
		v.Set(one.Elem())
	}
}

// drawStruct changes a copy of from in a few places.
func drawStruct[T any](t *rapid.T, from T, growing bool) T {
	v := cloneStruct(from)
	for range rapid.IntRange(0, 5).Draw(t, "changes") {
		drawChange(t, reflect.ValueOf(&v).Elem(), growing)
	}
	return v
}

// cloneStruct copies a struct with all that it leads to, but for values that nobody writes to.
func cloneStruct[T any](v T) T {
	out := v
	cloneInto(reflect.ValueOf(&out).Elem(), reflect.ValueOf(&v).Elem())
	return out
}

func cloneInto(to, from reflect.Value) {
	switch {
	case from.Kind() == reflect.Pointer && !from.IsNil():
		to.Set(reflect.New(from.Type().Elem()))
		to.Elem().Set(from.Elem())
		cloneInto(to.Elem(), from.Elem())
	case from.Kind() == reflect.Map && !from.IsNil():
		to.Set(reflect.MakeMap(from.Type()))
		for it := from.MapRange(); it.Next(); {
			entry := reflect.New(from.Type().Elem()).Elem()
			entry.Set(it.Value())
			cloneInto(entry, it.Value())
			to.SetMapIndex(it.Key(), entry)
		}
	case from.Kind() == reflect.Struct && len(partsOf(from.Type())) > 0:
		for _, p := range partsOf(from.Type()) {
			cloneInto(to.FieldByIndex(p.index), from.FieldByIndex(p.index))
		}
	}
}

// docDiff changes a document as from was changed to to.
func docDiff(doc map[string]any, from, to reflect.Value) {
	for _, p := range partsOf(to.Type()) {
		docDiffAt(doc, p.name, p.strategy, from.FieldByIndex(p.index), to.FieldByIndex(p.index), false)
	}
}

// docDiffAt changes what a document has under name; entry says that it is an entry of a
// map, which is there because somebody put it there. An invalid from is no entry.
func docDiffAt(doc map[string]any, name, strategy string, from, to reflect.Value, entry bool) {
	fresh := !from.IsValid()
	if fresh {
		from = reflect.Zero(to.Type())
	}
	if isNil(strategy, to) {
		if !isNil(strategy, from) {
			delete(doc, name)
		}
		return
	}
	there := entry && fresh || isNil(strategy, from) // it is new, and exists even if it is zero
	below, _ := doc[name].(map[string]any)
	if below == nil || there {
		below = make(map[string]any)
	}
	switch {
	case strategy == "nested":
		if to.Kind() == reflect.Pointer {
			if to = to.Elem(); from.IsNil() {
				from = reflect.Zero(to.Type())
			} else {
				from = from.Elem()
			}
		}
		docDiff(below, from, to)
		if there || len(below) > 0 {
			doc[name] = below
		}
	case inner(strategy) != "":
		for it := from.MapRange(); it.Next(); {
			if next := to.MapIndex(it.Key()); !next.IsValid() || isNil(inner(strategy), next) {
				delete(below, it.Key().String())
			}
		}
		for it := to.MapRange(); it.Next(); {
			docDiffAt(below, it.Key().String(), inner(strategy), from.MapIndex(it.Key()), it.Value(), true)
		}
		doc[name] = below
	case there || !sameValue(from, to):
		if to.Kind() == reflect.Pointer {
			to = to.Elem()
		}
		doc[name] = to.Interface()
	}
}

// docOfStruct is the document that a new record of v has.
func docOfStruct(v any) map[string]any {
	doc := make(map[string]any)
	rv := reflect.ValueOf(v)
	docDiff(doc, reflect.Zero(rv.Type()), rv)
	return doc
}

// structOfDoc reads a document into a struct.
func structOfDoc(t require.TestingT, doc map[string]any, v reflect.Value) {
	for _, p := range partsOf(v.Type()) {
		if x, ok := doc[p.name]; ok {
			valueOfDoc(t, x, p.strategy, v.FieldByIndex(p.index))
		}
	}
}

func valueOfDoc(t require.TestingT, x any, strategy string, v reflect.Value) {
	m, _ := x.(map[string]any)
	switch {
	case strategy == "nested" && v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		structOfDoc(t, m, v.Elem())
	case strategy == "nested":
		structOfDoc(t, m, v)
	case inner(strategy) != "":
		v.Set(reflect.MakeMap(v.Type()))
		for k, x := range m {
			entry := reflect.New(v.Type().Elem()).Elem()
			valueOfDoc(t, x, inner(strategy), entry)
			v.SetMapIndex(reflect.ValueOf(k).Convert(v.Type().Key()), entry)
		}
	default:
		decodeInto(t, encode(x), v)
	}
}

// patchOf is the patch that turns one struct into another.
func patchOf(from, to any) fieldmerge.Patch {
	p := fieldmerge.Patch{Set: make(map[string]any)}
	patchStruct(&p, "", reflect.ValueOf(from), reflect.ValueOf(to))
	slices.Sort(p.Unset)
	return p
}

func patchStruct(p *fieldmerge.Patch, prefix string, from, to reflect.Value) {
	for _, f := range partsOf(to.Type()) {
		patchAt(p, under(prefix, f.name), f.strategy, from.FieldByIndex(f.index), to.FieldByIndex(f.index))
	}
}

func patchAt(p *fieldmerge.Patch, path, strategy string, from, to reflect.Value) {
	switch {
	case isNil(strategy, to):
		if !isNil(strategy, from) {
			p.Unset = append(p.Unset, path)
		}
	case isNil(strategy, from):
		p.Set[path] = to.Interface()
	case strategy == "nested" && to.Kind() == reflect.Pointer:
		patchStruct(p, path, from.Elem(), to.Elem())
	case strategy == "nested":
		patchStruct(p, path, from, to)
	case inner(strategy) != "":
		for it := from.MapRange(); it.Next(); {
			if next := to.MapIndex(it.Key()); !next.IsValid() {
				p.Unset = append(p.Unset, under(path, it.Key().String()))
			}
		}
		for it := to.MapRange(); it.Next(); {
			k := under(path, it.Key().String())
			if old := from.MapIndex(it.Key()); old.IsValid() {
				patchAt(p, k, inner(strategy), old, it.Value())
			} else {
				p.Set[k] = it.Value().Interface()
			}
		}
	case !sameValue(from, to):
		p.Set[path] = to.Interface()
	}
}

// structFlat is a struct taken apart as its fields are stored.
type structFlat struct {
	flat
	zero  map[string]bool         // has the zero value of a field that is always there
	types map[string]reflect.Type // of the fields that are one value
}

func flattenStruct(v any) structFlat {
	f := structFlat{make(flat), make(map[string]bool), make(map[string]reflect.Type)}
	f.addStruct("", reflect.ValueOf(v))
	return f
}

func (f structFlat) addStruct(prefix string, v reflect.Value) {
	groups := make(map[string]map[string]any)
	zero := make(map[string]bool)
	for _, p := range partsOf(v.Type()) {
		field := v.FieldByIndex(p.index)
		if p.group == "" {
			f.add(under(prefix, p.name), p.strategy, field, false)
			continue
		}
		if groups[p.group] == nil {
			groups[p.group], zero[p.group] = make(map[string]any), true
		}
		if isNil(p.strategy, field) {
			continue
		}
		if field.Kind() == reflect.Pointer {
			zero[p.group], field = false, field.Elem()
		}
		zero[p.group] = zero[p.group] && sameValue(field, reflect.Zero(field.Type()))
		groups[p.group][p.name] = field.Interface()
	}
	for name, members := range groups {
		if len(members) > 0 {
			f.flat[under(prefix, name)] = encode(members)
			f.zero[under(prefix, name)] = zero[name]
		}
	}
}

func (f structFlat) add(path, strategy string, v reflect.Value, entry bool) {
	pointer := v.Kind() == reflect.Pointer
	if isNil(strategy, v) {
		return
	}
	if pointer {
		v = v.Elem()
	}
	switch {
	case strategy == "nested":
		f.flat[path] = marker
		f.zero[path] = !pointer && !entry
		f.addStruct(path, v)
	case inner(strategy) != "":
		f.flat[path] = marker
		for it := v.MapRange(); it.Next(); {
			f.add(under(path, it.Key().String()), inner(strategy), it.Value(), true)
		}
	default:
		f.flat[path] = encode(v.Interface())
		f.zero[path] = !pointer && !entry && sameValue(v, reflect.Zero(v.Type()))
		f.types[path] = v.Type()
	}
}

// effectsOf are what turns one struct into another: fields that are zero and were not
// there are not written.
func effectsOf(from, to structFlat) map[string]string {
	e := effects(from.flat, to.flat)
	maps.DeleteFunc(e, func(path, val string) bool {
		_, was := from.flat[path]
		return !was && to.zero[path]
	})
	return e
}
