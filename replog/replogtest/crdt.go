package replogtest

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"

	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/value"
)

// isCRDT reports whether values of a type are CRDT values.
func isCRDT(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[crdt.Value]())
}

// copyOf is a value in a variable of its own.
func copyOf(v reflect.Value) reflect.Value {
	in := reflect.New(v.Type()).Elem()
	in.Set(v)
	return in
}

// heldBy is what a CRDT value holds.
func heldBy(v reflect.Value) lattice.Held {
	held, err := crdt.HeldBy(copyOf(v).Addr().Interface().(crdt.Value))
	if err != nil {
		panic(err) // an element of the samples' that cannot be encoded
	}
	return held
}

// literal makes a CRDT value anew.
func (m *maker) literal(r *rand.Rand, t reflect.Type) reflect.Value {
	v := reflect.New(t)
	switch c := v.Interface().(type) {
	case *crdt.PNCounter:
		*c = crdt.NewPNCounter(int64(r.IntN(4) - 1))
	case *crdt.GCounter:
		*c = crdt.NewGCounter(uint64(r.IntN(3)))
	case *crdt.EWFlag:
		*c = crdt.NewEWFlag(r.IntN(2) == 0)
	default:
		if clears := v.MethodByName("Clear"); clears.IsValid() {
			clears.Call(nil) // so that one without elements is there, too
		}
		elements := reflect.MakeSlice(reflect.SliceOf(elementOf(t)), 0, 2)
		for range r.IntN(3) {
			elements = reflect.Append(elements, m.value(r, elementOf(t), 1))
		}
		v.MethodByName("Add").CallSlice([]reflect.Value{elements})
	}
	return v.Elem()
}

// elementOf is the type of a set's elements.
func elementOf(set reflect.Type) reflect.Type {
	values, _ := set.MethodByName("Values")
	return values.Type.Out(0).Elem()
}

// elementsOf are the elements of a set that is a CRDT value.
func elementsOf(set reflect.Value) reflect.Value { return set.MethodByName("Values").Call(nil)[0] }

// acted is a copy of a CRDT value to which something was done by its methods: elements come
// from the one that was drawn.
func (o onward) acted(now, drawn reflect.Value) reflect.Value {
	v := copyOf(now)
	p, n := v.Addr(), uint64(1+o.r.IntN(2))
	switch c := p.Interface().(type) {
	case *crdt.PNCounter:
		switch o.r.IntN(8) {
		case 0:
			c.Reset()
		case 1, 2, 3:
			c.Dec(n)
		case 4:
			c.Inc(n)
			c.Reset()
			c.Dec(1)
		default:
			c.Inc(n)
		}
	case *crdt.GCounter:
		if o.back() {
			c.Reset()
		}
		if o.r.IntN(8) > 0 {
			c.Inc(n)
		}
	case *crdt.EWFlag:
		if o.r.IntN(2) == 0 {
			c.Disable()
		} else {
			c.Enable()
		}
	default:
		o.actedOnSet(p, elementsOf(v), elementsOf(drawn))
	}
	return v
}

func (o onward) actedOnSet(set, own, drawn reflect.Value) {
	one := func(name string, from reflect.Value) {
		if method := set.MethodByName(name); method.IsValid() && from.Len() > 0 {
			method.Call([]reflect.Value{from.Index(o.r.IntN(from.Len()))})
		}
	}
	switch o.r.IntN(8) {
	case 0:
		if method := set.MethodByName("Clear"); method.IsValid() {
			method.Call(nil)
		}
		one("Add", drawn)
	case 1, 2, 3:
		one("Remove", own)
	case 4:
		one("Remove", own)
		one("Add", drawn)
	case 5:
		one("Add", own) // again: it beats a concurrent remove
	default:
		one("Add", drawn)
	}
}

// repeat does to a CRDT value what was done to another one.
func repeat(v reflect.Value, intents []lattice.Intent) {
	p := v.Addr()
	for _, in := range intents {
		switch c := p.Interface().(type) {
		case *crdt.PNCounter:
			switch in.Op {
			case lattice.OpInc:
				c.Inc(in.Amount)
			case lattice.OpDec:
				c.Dec(in.Amount)
			default:
				c.Reset()
			}
		case *crdt.GCounter:
			if in.Op == lattice.OpInc {
				c.Inc(in.Amount)
			} else {
				c.Reset()
			}
		case *crdt.EWFlag:
			if in.Op == lattice.OpAdd {
				c.Enable()
			} else {
				c.Disable()
			}
		default:
			name := map[lattice.Op]string{lattice.OpAdd: "Add", lattice.OpRemove: "Remove", lattice.OpClear: "Clear"}[in.Op]
			var elements []reflect.Value
			if in.Op != lattice.OpClear {
				e := reflect.New(elementOf(v.Type()))
				_ = value.Decode(in.Element, e.Interface()) // it was encoded from one
				elements = append(elements, e.Elem())
			}
			p.MethodByName(name).Call(elements)
		}
	}
}

// eachLeaf calls use for each field of a struct that is no register, with its path.
func eachLeaf(prefix []string, v reflect.Value, use func(path string, v reflect.Value)) {
	for _, f := range fieldsOf(v.Type()) {
		path := append(slices.Clone(prefix), f.path...)
		eachLeafOf(path, v.FieldByIndex(f.index), f.strategy, use)
	}
}

func eachLeafOf(path []string, v reflect.Value, strategy string, use func(path string, v reflect.Value)) {
	each, isMap := strings.CutPrefix(strategy, "each=")
	switch {
	case strategy == "nested" && v.Kind() == reflect.Pointer:
		if !v.IsNil() {
			eachLeaf(path, v.Elem(), use)
		}
	case strategy == "nested":
		eachLeaf(path, v, use)
	case isMap:
		for k, e := range v.Seq2() {
			eachLeafOf(append(slices.Clone(path), k.String()), e, each, use)
		}
	default:
		if key, ok := keyOf(fieldmerge.Strategy(strategy)); ok {
			use(fieldmerge.JoinPath(path...), keysOf(v, key))
			for _, one := range objectsOf(v, key) {
				eachLeaf(append(slices.Clone(path), one.text), one.Value, use)
			}
		} else if _, ok := mechanismOf(fieldmerge.Strategy(strategy)); ok {
			use(fieldmerge.JoinPath(path...), v)
		}
	}
}

// leafOf is a field of a struct, or a value that a patch sets one to.
func leafOf(v reflect.Value) leaf {
	if v.IsValid() && isCRDT(v.Type()) {
		held := heldBy(v)
		return leaf{held.Value, held.Intents}
	}
	val, _ := encodes(v)
	return leaf{val: orNothing(val)}
}

// graft is to as it can be written into now, a record that was read: what was done to the
// CRDT values of to since another read is done to those of now, and one that was made anew
// becomes what is done to the one that is there.
func graft(now, to reflect.Value) reflect.Value {
	own := make(map[string]reflect.Value)
	eachLeaf(nil, now, func(path string, v reflect.Value) { own[path] = v })
	v := copyOf(to)
	for _, f := range fieldsOf(v.Type()) {
		field := v.FieldByIndex(f.index)
		field.Set(grafted(f.path, field, f.strategy, own))
	}
	return v
}

func grafted(path []string, to reflect.Value, strategy string, own map[string]reflect.Value) reflect.Value {
	each, isMap := strings.CutPrefix(strategy, "each=")
	key, isKeyed := keyOf(fieldmerge.Strategy(strategy))
	inStruct := func(to reflect.Value) reflect.Value {
		v := copyOf(to)
		for _, f := range fieldsOf(v.Type()) {
			field := v.FieldByIndex(f.index)
			field.Set(grafted(append(slices.Clone(path), f.path...), field, f.strategy, own))
		}
		return v
	}
	switch {
	case strategy == "nested" && to.Kind() == reflect.Pointer:
		if to.IsNil() {
			return to
		}
		return inStruct(to.Elem()).Addr()
	case strategy == "nested":
		return inStruct(to)
	case isMap && !to.IsNil():
		v := reflect.MakeMap(to.Type())
		for k, e := range to.Seq2() {
			v.SetMapIndex(k, grafted(append(slices.Clone(path), k.String()), e, each, own))
		}
		return v
	case isKeyed && !to.IsNil():
		v := reflect.MakeSlice(to.Type(), 0, to.Len())
		for _, one := range objectsOf(to, key) {
			v = reflect.Append(v, grafted(append(slices.Clone(path), one.text), one.Value, "nested", own))
		}
		return v
	case isCRDT(to.Type()):
		now, ok := own[fieldmerge.JoinPath(path...)]
		if !ok || heldBy(now).Bond == nil || heldBy(now).Bond == heldBy(to).Bond {
			return to
		}
		v := copyOf(now)
		if heldBy(to).Bond == nil {
			restart(v)
		}
		repeat(v, heldBy(to).Intents)
		return v
	}
	return to
}

// restart makes a CRDT value empty, if it has a method for it.
func restart(v reflect.Value) {
	for _, name := range []string{"Reset", "Clear"} {
		if method := v.Addr().MethodByName(name); method.IsValid() {
			method.Call(nil)
		}
	}
}

// plain is a value for a field of a mechanism that has an ordinary Go type: what
// counts goes on from now, and lists have elements of the one that was drawn.
func (o onward) plain(m mechanism, now, drawn reflect.Value) reflect.Value {
	switch m.kind {
	case lattice.KindCounter:
		return o.count(m, now, drawn)
	case lattice.KindFlag:
		return drawn
	}
	own := reflect.MakeSlice(now.Type(), 0, now.Len()+1)
	own = reflect.AppendSlice(own, now)
	back := !m.grows || o.back()
	switch o.r.IntN(6) {
	case 0:
		if back {
			return drawn
		}
	case 1:
		if n := own.Len(); n > 0 && back { // without one
			i := o.r.IntN(n)
			return reflect.AppendSlice(own.Slice(0, i), own.Slice(i+1, n))
		}
	case 2:
		if n := own.Len(); n > 1 { // in another order
			reflect.Swapper(own.Interface())(o.r.IntN(n), o.r.IntN(n))
			return own
		}
	}
	if drawn.Len() == 0 {
		return own
	}
	i := o.r.IntN(own.Len() + 1)
	own = reflect.Append(own, drawn.Index(o.r.IntN(drawn.Len())))
	for j := own.Len() - 1; j > i; j-- {
		reflect.Swapper(own.Interface())(j, j-1)
	}
	return own
}

// count is an integer that goes on from now.
func (o onward) count(m mechanism, now, drawn reflect.Value) reflect.Value {
	if !o.steps {
		before, after := number(leafOf(now).val), number(leafOf(drawn).val)
		if m.grows && after.Cmp(before) < 0 && !o.back() {
			return now
		}
		return drawn
	}
	n := int64(1 + o.r.IntN(2))
	if m.grows && o.back() || !m.grows && o.r.IntN(2) == 0 {
		n = -n
	}
	v := copyOf(now)
	switch {
	case v.CanInt() && !v.OverflowInt(now.Int()+n):
		v.SetInt(now.Int() + n)
	case v.CanUint() && (n > 0 || now.Uint() >= uint64(-n)) && !v.OverflowUint(now.Uint()+uint64(n)):
		v.SetUint(now.Uint() + uint64(n))
	}
	return v
}
