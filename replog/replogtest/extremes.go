package replogtest

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/value"
)

// extremeOf is the direction that a strategy has: max or min.
func extremeOf(s fieldmerge.Strategy) (e lattice.Extreme, ok bool) {
	switch s {
	case fieldmerge.Max:
		return lattice.Extreme(lattice.KindMax), true
	case fieldmerge.Min:
		return lattice.Extreme(lattice.KindMin), true
	}
	return 0, false
}

func (w *world) extreme(path string) (e lattice.Extreme, ok bool) {
	return extremeOf(w.strategies(path)[0])
}

// best is what a field of max or min shall show of its values; nil is unset.
func best(e lattice.Extreme, siblings []fieldwise.Sibling) (val []byte) {
	for _, s := range siblings {
		if s.Value != nil && (val == nil || e.Beyond(s.Value, val)) {
			val = s.Value
		}
	}
	return val
}

// showsExtremes demands that readers see the largest values of fields of max, and the
// smallest of min.
func (w *world) showsExtremes(r *region, record any) {
	shown := w.shown(r)
	for _, path := range slices.Sorted(maps.Keys(shown)) {
		e, ok := w.extreme(path)
		if !ok {
			continue
		}
		all, _ := siblingsAt(r.now.state, path)
		want := best(e, all)
		if got := shown[path]; got != string(want) {
			w.fail(oracleConverge, "%s shows %s of %s, and the %s is %s: its values are %s",
				r, valueText(got), fieldText(path), e.Name(), valueText(string(want)), w.siblingsText(r, path))
		}
		segments, _ := fieldmerge.SplitPath(path)
		if r.ignores(path) {
			continue
		}
		if got := r.face().at("", record, segments); want != nil && !bytes.Equal(got, want) {
			w.fail(oracleConverge, "a record read in %s has %s in %s, and the %s is %s",
				r, valueText(string(got)), fieldText(path), e.Name(), valueText(string(want)))
		}
	}
}

// onward moves the fields of max and min of records that were drawn beyond those of a
// record that they are to follow, since a write that goes back is refused. Some go back.
// Fields that are no registers become what those of that record are after a change.
type onward struct {
	r     *rand.Rand
	steps bool // values may be made that were not drawn
}

// back says that a value may go back for once.
func (o onward) back() bool { return o.r.IntN(8) == 0 }

// step is how far a number goes on.
func (o onward) step(e lattice.Extreme) int64 {
	n := int64(1 + o.r.IntN(2))
	if e == lattice.Extreme(lattice.KindMin) {
		return -n
	}
	return n
}

// record returns a copy of drawn.
func (o onward) record(now, drawn reflect.Value) reflect.Value {
	v := reflect.New(drawn.Type()).Elem()
	v.Set(drawn)
	for _, f := range fieldsOf(v.Type()) {
		own := v.FieldByIndex(f.index)
		own.Set(o.field(now.FieldByIndex(f.index), own, f.strategy))
	}
	return v
}

func (o onward) field(now, drawn reflect.Value, strategy string) reflect.Value {
	if e, ok := extremeOf(fieldmerge.Strategy(strategy)); ok {
		return o.value(e, now, drawn)
	}
	if key, ok := keyOf(fieldmerge.Strategy(strategy)); ok {
		return o.objects(now, drawn, key)
	}
	if m, ok := mechanismOf(fieldmerge.Strategy(strategy)); ok {
		if isCRDT(now.Type()) {
			return o.acted(now, drawn)
		}
		return o.plain(m, now, drawn)
	}
	each, isMap := strings.CutPrefix(strategy, "each=")
	switch {
	case strategy == "nested" && drawn.Kind() == reflect.Pointer:
		if now.IsNil() || drawn.IsNil() {
			return drawn
		}
		p := reflect.New(drawn.Type().Elem())
		p.Elem().Set(o.record(now.Elem(), drawn.Elem()))
		return p
	case strategy == "nested":
		return o.record(now, drawn)
	case isMap && !drawn.IsNil():
		v := reflect.MakeMap(drawn.Type())
		keys := drawn.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			one := drawn.MapIndex(k)
			if old := now.MapIndex(k); old.IsValid() {
				one = o.field(old, one, each)
			}
			v.SetMapIndex(k, one)
		}
		return v
	}
	return drawn
}

func (o onward) value(e lattice.Extreme, now, drawn reflect.Value) reflect.Value {
	if drawn.Kind() == reflect.Pointer {
		if now.IsNil() || drawn.IsNil() {
			return drawn
		}
		p := reflect.New(drawn.Type().Elem())
		p.Elem().Set(o.value(e, now.Elem(), drawn.Elem()))
		return p
	}
	old, _ := encodes(now)
	one, ok := encodes(drawn)
	if !ok || e.Beyond(one, old) || o.back() {
		return drawn
	}
	if o.steps {
		return o.beyond(e, now)
	}
	return now
}

// beyond makes a value beyond another one, or the same where its type is not known here.
func (o onward) beyond(e lattice.Extreme, now reflect.Value) reflect.Value {
	n, t := o.step(e), now.Type()
	v := reflect.New(t).Elem()
	v.Set(now)
	switch {
	case t == timeType:
		v.Set(reflect.ValueOf(now.Interface().(time.Time).Add(time.Duration(n) * time.Second)))
	case t == numberType || hasCodec(t):
	case v.CanInt() && !v.OverflowInt(now.Int()+n):
		v.SetInt(now.Int() + n)
	case v.CanUint() && (n > 0 || now.Uint() >= uint64(-n)) && !v.OverflowUint(now.Uint()+uint64(n)):
		v.SetUint(now.Uint() + uint64(n))
	case v.CanFloat():
		v.SetFloat(now.Float() + float64(n)/2)
	case t.Kind() == reflect.String && n > 0:
		v.SetString(now.String() + entryKeys[n-1])
	}
	return v
}

// at encodes what a value under a strategy has at a path below it; nil where nothing is there.
func at(v reflect.Value, strategy string, path []string) []byte {
	key, keyed := keyOf(fieldmerge.Strategy(strategy))
	for v.IsValid() && v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch {
	case !v.IsValid():
		return nil
	case keyed && v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		if len(path) == 0 {
			encoded, _ := encodes(keysOf(v, key))
			return encoded
		}
		one, _ := withKey(objectsOf(v, key), path[0])
		return at(one, "nested", path[1:])
	case len(path) == 0:
		encoded, _ := encodes(v)
		return encoded
	case v.Kind() == reflect.Map:
		return at(v.MapIndex(reflect.ValueOf(path[0]).Convert(v.Type().Key())), strings.TrimPrefix(strategy, "each="), path[1:])
	case v.Kind() != reflect.Struct:
		return nil
	}
	for _, f := range fieldsOf(v.Type()) {
		if f.path[0] == path[0] {
			return at(v.FieldByIndex(f.index), f.strategy, path[1:])
		}
	}
	return nil
}

// document is record for documents.
func (o onward) document(f *documents, where []string, now, drawn document) document {
	v := maps.Clone(drawn)
	for _, k := range slices.Sorted(maps.Keys(drawn)) {
		old, ok := now[k]
		if !ok {
			continue
		}
		path := append(slices.Clone(where), k)
		s := f.strategy(fieldmerge.JoinPath(path...))
		if e, ok := extremeOf(s); ok {
			v[k] = o.any(e, old, drawn[k])
			continue
		}
		if key, ok := keyOf(s); ok {
			v[k] = o.documentObjects(f, path, key, old, drawn[k])
			continue
		}
		if m, ok := mechanismOf(s); ok {
			was, one := reflect.ValueOf(old), reflect.ValueOf(drawn[k])
			if was.IsValid() && one.IsValid() && was.Type() == one.Type() {
				v[k] = o.plain(m, was, one).Interface()
			}
			continue
		}
		oldMap, isMap := old.(document)
		if inner, both := drawn[k].(document); both && isMap {
			v[k] = o.document(f, path, oldMap, inner)
		}
	}
	return v
}

func (o onward) any(e lattice.Extreme, now, drawn any) any {
	old, errOld := value.Append(nil, now)
	one, errOne := value.Append(nil, drawn)
	if errOld != nil || errOne != nil || e.Beyond(one, old) || o.back() {
		return drawn
	}
	if n, ok := now.(int64); ok && o.steps {
		return n + o.step(e)
	}
	return now
}
