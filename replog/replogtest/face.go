package replogtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

// domainName is the name of the domain that the histories write.
const domainName = "records"

// face is what the two kinds of schema have in common: how records are made, changed
// and compared, and how a domain of them is opened.
type face interface {
	merger() fieldwise.Merger
	open(host fieldwise.Host, key string) (domain, error)
	sample(r *rand.Rand, plain bool) any
	change(r *rand.Rand, v any, plain bool) any      // a copy with one or two fields changed
	follow(r *rand.Rand, now, v any) any             // v, its fields of max and min mostly beyond those of now, others after a change
	patch(r *rand.Rand, now, v any) fieldmerge.Patch // of one field of now, to what v has there
	at(where string, v any, path []string) []byte    // what a record, or a value that stands at where, has at a path below, encoded
	leaves(path string, v any) map[string]leaf       // the fields that are no registers of a value that stands at a path
	graft(now, v any) any                            // v as an update can write it that was given now
	strategy(path string) fieldmerge.Strategy
	knows(path []string) bool // whether the schema has the field
	ranks() []fieldwise.Region
	differ(a, b any) string // where two records differ; empty: nowhere
	name() string
	text(v any) string // a record as people read it
	checkSample() error
	poor() []string // types that no values could be made of
}

// domain is one record in a region, through the face that a service uses.
type domain interface {
	create(v any) (fieldwise.Receipt, error)
	update(change func(v any) any, under *reading) (fieldwise.Receipt, error)
	patch(p fieldmerge.Patch, under *reading) (fieldwise.Receipt, error)
	upsert(change func(v any) any) (fieldwise.Receipt, error)
	put(under *reading, to any) (fieldwise.Receipt, error)
	replace(from, to any) (fieldwise.Receipt, error)
	delete(under *reading) (fieldwise.Receipt, error)
	resolve(path string, choice fieldmerge.Choice, under *reading) (fieldwise.Receipt, error)
	read() (v any, token fieldmerge.Token, err error)
	get() (v any, err error)
	siblings(path string) ([]fieldmerge.Sibling[any], error)
}

// records is what fieldmerge.Domain[D] and fieldmerge.Documents have in common.
type records[D any] interface {
	Create(ctx context.Context, key string, v D) (fieldwise.Receipt, error)
	Patch(ctx context.Context, key string, p fieldmerge.Patch, opts ...fieldmerge.WriteOption) (fieldwise.Receipt, error)
	Put(ctx context.Context, key string, token fieldmerge.Token, to D) (fieldwise.Receipt, error)
	Replace(ctx context.Context, key string, from, to D) (fieldwise.Receipt, error)
	Delete(ctx context.Context, key string, opts ...fieldmerge.WriteOption) (fieldwise.Receipt, error)
	Resolve(ctx context.Context, key, path string, choice fieldmerge.Choice, opts ...fieldmerge.WriteOption) (fieldwise.Receipt, error)
	Read(ctx context.Context, key string) (D, fieldmerge.Token, error)
	Get(ctx context.Context, key string) (D, error)
	Siblings(ctx context.Context, key, path string) ([]fieldmerge.Sibling[any], error)
}

// domainOf is a record of type D.
type domainOf[D any] struct {
	records[D]
	key     string
	updates func(change func(D) D, opts []fieldmerge.WriteOption) (fieldwise.Receipt, error)
	upserts func(change func(D) D) (fieldwise.Receipt, error)
}

var ctx = context.Background() // nothing waits

func options(under *reading) []fieldmerge.WriteOption {
	if under == nil {
		return nil
	}
	return []fieldmerge.WriteOption{fieldmerge.IfMatch(under.token)}
}

func boxed[D any](change func(any) any) func(D) D {
	return func(v D) D { return change(v).(D) }
}

func (d *domainOf[D]) create(v any) (fieldwise.Receipt, error) { return d.Create(ctx, d.key, v.(D)) }

func (d *domainOf[D]) update(change func(any) any, under *reading) (fieldwise.Receipt, error) {
	return d.updates(boxed[D](change), options(under))
}

func (d *domainOf[D]) patch(p fieldmerge.Patch, under *reading) (fieldwise.Receipt, error) {
	return d.Patch(ctx, d.key, p, options(under)...)
}

func (d *domainOf[D]) upsert(change func(any) any) (fieldwise.Receipt, error) {
	return d.upserts(boxed[D](change))
}

func (d *domainOf[D]) put(under *reading, to any) (fieldwise.Receipt, error) {
	return d.Put(ctx, d.key, under.token, to.(D))
}

func (d *domainOf[D]) replace(from, to any) (fieldwise.Receipt, error) {
	return d.Replace(ctx, d.key, from.(D), to.(D))
}

func (d *domainOf[D]) delete(under *reading) (fieldwise.Receipt, error) {
	return d.Delete(ctx, d.key, options(under)...)
}

func (d *domainOf[D]) resolve(path string, choice fieldmerge.Choice, under *reading) (fieldwise.Receipt, error) {
	return d.Resolve(ctx, d.key, path, choice, options(under)...)
}

func (d *domainOf[D]) read() (any, fieldmerge.Token, error) { return d.Read(ctx, d.key) }

func (d *domainOf[D]) get() (any, error) { return d.Get(ctx, d.key) }

func (d *domainOf[D]) siblings(path string) ([]fieldmerge.Sibling[any], error) {
	return d.Siblings(ctx, d.key, path)
}

// typed is the face of a schema of Go structs.
type typed[T any] struct {
	schema *fieldmerge.Schema[T]
	made   func(*rand.Rand) any // nil: by reflection
	maker  *maker
}

func (f *typed[T]) merger() fieldwise.Merger { return f.schema.Merger() }

func (f *typed[T]) name() string { return reflect.TypeFor[T]().String() }

func (f *typed[T]) open(host fieldwise.Host, key string) (domain, error) {
	d, err := fieldmerge.Open(host, domainName, f.schema)
	if err != nil {
		return nil, err
	}
	apply := func(change func(T) T) func(*T) error {
		return func(v *T) error { *v = change(*v); return nil }
	}
	return &domainOf[T]{
		records: d,
		key:     key,
		updates: func(change func(T) T, opts []fieldmerge.WriteOption) (fieldwise.Receipt, error) {
			return d.Update(ctx, key, apply(change), opts...)
		},
		upserts: func(change func(T) T) (fieldwise.Receipt, error) { return d.Upsert(ctx, key, apply(change)) },
	}, nil
}

func (f *typed[T]) checkSample() error {
	if f.made == nil {
		return nil
	}
	if v, ok := f.made(rand.New(rand.NewPCG(1, 1))).(T); !ok {
		return fmt.Errorf("Options.Sample returns a %T; want a %T", f.made(rand.New(rand.NewPCG(1, 1))), v)
	}
	return nil
}

// text leaves out what is zero.
func (f *typed[T]) text(v any) string {
	var all []string
	rv := reflect.ValueOf(v)
	for _, field := range fieldsOf(rv.Type()) {
		if one := rv.FieldByIndex(field.index); !one.IsZero() {
			encoded, ok := encodes(one)
			if !ok {
				encoded = nil
			}
			all = append(all, fieldmerge.JoinPath(field.path...)+" = "+valueText(string(encoded)))
		}
	}
	if len(all) == 0 {
		return "a record without values"
	}
	return strings.Join(all, ", ")
}

func (f *typed[T]) sample(r *rand.Rand, plain bool) any {
	if f.made != nil {
		return f.made(r)
	}
	return f.maker.record(r, reflect.TypeFor[T](), plain).Interface()
}

func (f *typed[T]) change(r *rand.Rand, v any, plain bool) any {
	to := reflect.ValueOf(v)
	for range changesOfWrite(r, plain) {
		to = change(r, to, f.onward(r).record(to, reflect.ValueOf(f.sample(r, false))))
	}
	return f.graft(v, to.Interface())
}

func (f *typed[T]) onward(r *rand.Rand) onward { return onward{r, f.made == nil} }

func (f *typed[T]) follow(r *rand.Rand, now, v any) any {
	return f.onward(r).record(reflect.ValueOf(now), reflect.ValueOf(v)).Interface()
}

func (f *typed[T]) patch(r *rand.Rand, now, v any) fieldmerge.Patch {
	return patchOf(r, reflect.ValueOf(v), func(path []string) bool {
		return now != nil && at(reflect.ValueOf(now), "nested", path) != nil
	})
}

func (f *typed[T]) at(where string, v any, path []string) []byte {
	return at(reflect.ValueOf(v), f.under(where), path)
}

func (f *typed[T]) leaves(path string, v any) map[string]leaf {
	all, rv := make(map[string]leaf), reflect.ValueOf(v)
	use := func(path string, v reflect.Value) { all[path] = leafOf(v) }
	s := f.under(path)
	_, keyed := keyOf(fieldmerge.Strategy(s))
	keyed = keyed && rv.IsValid() && rv.Type().Elem().Kind() == reflect.Struct
	_, ok := mechanismOf(fieldmerge.Strategy(s))
	nested := s == "nested" && (rv.Kind() == reflect.Struct || rv.Kind() == reflect.Pointer) // and not the marker of a map
	switch segments := segmentsOf(path); {
	case keyed, nested, strings.HasPrefix(s, "each=") && rv.Kind() == reflect.Map:
		eachLeafOf(segments, rv, s, use)
	case ok:
		all[path] = leafOf(rv)
	}
	return all
}

// under is how what stands at a path is stored: "nested" and "each=..." where fields are below it.
func (f *typed[T]) under(path string) string {
	if s := strategyAt(reflect.TypeFor[T](), "nested", segmentsOf(path)); s != "" {
		return s
	}
	return string(f.strategy(path))
}

// segmentsOf are none for the record itself.
func segmentsOf(path string) []string {
	if path == "" {
		return nil
	}
	segments, _ := fieldmerge.SplitPath(path)
	return segments
}

// strategyAt is the strategy that a tag gives what is at a path below a value; empty where there is
// no such field.
func strategyAt(t reflect.Type, strategy string, path []string) string {
	each, isMap := strings.CutPrefix(strategy, "each=")
	for strategy == "nested" && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case len(path) == 0:
		return strategy
	case isMap:
		return strategyAt(t.Elem(), each, path[1:])
	case strategy == "nested":
		for _, f := range fieldsOf(t) {
			if f.path[0] == path[0] {
				return strategyAt(f.typ, f.strategy, path[1:])
			}
		}
	}
	if _, keyed := keyOf(fieldmerge.Strategy(strategy)); keyed && len(path) > 1 {
		return strategyAt(t.Elem(), "nested", path[1:])
	}
	return ""
}

func (f *typed[T]) graft(now, v any) any {
	return graft(reflect.ValueOf(now), reflect.ValueOf(v)).Interface()
}

func (f *typed[T]) strategy(path string) fieldmerge.Strategy { return f.schema.Strategy(path) }

func (f *typed[T]) knows(path []string) bool { return knows(reflect.TypeFor[T](), "nested", path) }

func (f *typed[T]) ranks() []fieldwise.Region { return f.schema.Ranks() }

func (f *typed[T]) differ(a, b any) string { return differ("", reflect.ValueOf(a), reflect.ValueOf(b)) }

// differAt says where what a record has at a path differs from a value that was written there.
// A counter of zero and a set without elements need not be there.
func (f *typed[T]) differAt(path string, record, v any) string {
	got, want, strategy := valueAt(reflect.ValueOf(record), "nested", segmentsOf(path)), reflect.ValueOf(v), f.under(path)
	if m, ok := mechanismOf(fieldmerge.Strategy(strategy)); !got.IsValid() && ok && m.normal(leafOf(want).val) == nil {
		return ""
	}
	if !got.IsValid() || !want.Type().AssignableTo(got.Type()) {
		return fmt.Sprintf("%s: %s, and no such value", path, goText(want))
	}
	one := reflect.New(got.Type()).Elem()
	one.Set(want)
	return comparison{strategy: strategy}.differ(path, one, got)
}

func (f *typed[T]) poor() (types []string) {
	for t, poor := range f.maker.poor {
		if poor {
			types = append(types, t.String())
		}
	}
	slices.Sort(types)
	return types
}

// changesOfWrite is how many fields a write changes.
func changesOfWrite(r *rand.Rand, plain bool) int {
	if plain {
		return 1
	}
	return 1 + r.IntN(2)
}

// valueAt is what a value under a strategy has at a path below it; the zero Value where nothing
// is there.
func valueAt(v reflect.Value, strategy string, path []string) reflect.Value {
	if len(path) == 0 {
		return v
	}
	for v.IsValid() && v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if !v.IsValid() {
		return v
	}
	each, isMap := strings.CutPrefix(strategy, "each=")
	key, keyed := keyOf(fieldmerge.Strategy(strategy))
	switch {
	case keyed:
		one, _ := withKey(objectsOf(v, key), path[0])
		return valueAt(one, "nested", path[1:])
	case isMap:
		return valueAt(v.MapIndex(reflect.ValueOf(path[0]).Convert(v.Type().Key())), each, path[1:])
	}
	for _, f := range fieldsOf(v.Type()) {
		if f.path[0] == path[0] {
			return valueAt(v.FieldByIndex(f.index), f.strategy, path[1:])
		}
	}
	return reflect.Value{}
}
