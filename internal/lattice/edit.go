package lattice

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Edit is what a write does to a field of a mechanism other than the register: what its
// intents say or, where it has none, what turns the value that the writer saw into another.
type Edit struct {
	From, To []byte // encoded; nil: nothing is there
	Intents  []Intent
	Anew     bool // readers see nothing of From, which is there: what the writer made takes its place
}

// AppendEdit appends the body of a delta that makes the edit to a field of kind k, whose
// body may be empty; nothing where there is nothing to do.
func (d *Delta) AppendEdit(dst []byte, k Kind, t Table, body []byte, e Edit) ([]byte, error) {
	form, ok := k.body()
	e.From, e.To = orNothing(e.From), orNothing(e.To)
	switch {
	case !ok:
		return nil, unsupported(k)
	case form == dots && len(e.Intents) > 0:
		if e.Anew {
			e.Intents = append([]Intent{{Op: OpClear}}, e.Intents...)
		}
		return d.appendIntents(dst, t, body, e.Intents)
	case form == dots:
		from, err := partsOf(k, e.From)
		if err != nil {
			return nil, err
		}
		to, err := partsOf(k, e.To)
		if err != nil {
			return nil, err
		}
		if k.ordered() {
			return d.AppendList(dst, body, t, from, to)
		}
		return d.AppendSet(dst, body, t, from, to)
	case form == counts:
		intents := e.Intents
		if len(intents) == 0 && e.To == nil && len(body) == 0 {
			return dst, nil // nobody has counted
		}
		if e.Anew {
			e.From = nil
		}
		if len(intents) == 0 {
			var err error
			if intents, err = countIntents(e.From, e.To); err != nil || len(intents) == 0 && !e.Anew {
				return dst, err
			}
		}
		if e.Anew {
			intents = append([]Intent{{Op: OpReset}}, intents...)
		}
		return d.AppendCounts(dst, body, intents)
	}
	return nil, fmt.Errorf("a field of kind %v is not edited", k)
}

// orNothing is a value, and nil for that of msgpack, which is nothing in a field that is no
// register.
func orNothing(val []byte) []byte {
	if wire.KindOf(val) == wire.KindNil {
		return nil
	}
	return val
}

// partsOf takes the value of a set, a list or a flag apart: nil where nothing is there.
func partsOf(k Kind, val []byte) ([][]byte, error) {
	if val == nil {
		return nil, nil
	}
	all := [][]byte{}
	if k == KindFlag {
		on, _, err := wire.Bool(val)
		if err != nil {
			return nil, ErrNotBool
		}
		if on {
			all = append(all, val)
		}
		return all, nil
	}
	n, rest, err := wire.ArrayHeader(val)
	for range n {
		var length int
		if err == nil {
			length, err = wire.Skip(rest)
		}
		if err != nil {
			break
		}
		all, rest = append(all, rest[:length]), rest[length:]
	}
	if err != nil {
		return nil, ErrNotList
	}
	return all, nil
}

// appendIntents appends the body of a delta that does to a set or a flag what the intents
// say, one after the other. Where there is none, they make one.
func (d *Delta) appendIntents(dst []byte, t Table, body []byte, intents []Intent) ([]byte, error) {
	current, marked, err := readDots(t, body)
	if err != nil {
		return nil, err
	}
	there := make(map[string]bool, len(current)) // by value: whether the element is to stay or be added
	added := make(map[string]bool)
	for _, e := range current {
		there[string(e.Value)] = true
	}
	for _, in := range intents {
		v := string(in.Element)
		switch in.Op {
		case OpAdd:
			there[v], added[v] = true, true
		case OpRemove:
			there[v], added[v] = false, false
		case OpClear:
			for v := range there {
				there[v], added[v] = false, false
			}
		default:
			return nil, fmt.Errorf("intent %d of a set is none that a set has", in.Op)
		}
	}
	var add, remove []Element
	for v, is := range added {
		if is {
			add = append(add, Element{Value: []byte(v)})
		}
	}
	slices.SortFunc(add, func(a, b Element) int { return bytes.Compare(a.Value, b.Value) })
	for _, e := range current {
		if !there[string(e.Value)] {
			remove = append(remove, e)
		}
	}
	return d.appendChange(dst, body, marked, add, remove, true)
}

// integer is what a counter shows: an integer, its sign apart.
func integer(val []byte) (negative bool, n uint64, err error) {
	if val == nil {
		return false, 0, nil
	}
	if n, _, err = wire.Uint(val); err == nil {
		return false, n, nil
	}
	i, _, err := wire.Int(val)
	if err != nil {
		return false, 0, ErrNotInteger
	}
	return true, -uint64(i), nil
}

// What a field was given that is no value of its mechanism.
var (
	ErrNotInteger = errors.New("a counter holds whole numbers")
	ErrNotBool    = errors.New("a flag holds true or false")
	ErrNotList    = errors.New("a set or a list holds a list of values")
)

// countIntents turns one value of a counter into another: it counts up or down by
// what they differ in, or takes back all of it where nothing is to be there.
func countIntents(from, to []byte) ([]Intent, error) {
	if to == nil {
		if from == nil {
			return nil, nil
		}
		return []Intent{{Op: OpReset}}, nil
	}
	negFrom, f, err := integer(from)
	if err != nil {
		return nil, err
	}
	negTo, t, err := integer(to)
	if err != nil {
		return nil, err
	}
	op, amount, carry := OpInc, uint64(0), uint64(0)
	switch {
	case negFrom != negTo:
		amount, carry = bits.Add64(f, t, 0)
		if negTo {
			op = OpDec
		}
	case (t < f) == negTo:
		amount = max(t, f) - min(t, f)
	default:
		op, amount = OpDec, max(t, f)-min(t, f)
	}
	switch {
	case carry != 0:
		return nil, errOverflow
	case amount == 0:
		return nil, nil
	}
	return []Intent{{Op: op, Amount: amount}}, nil
}

// Read lists the current values of a field of any kind, oldest version first: of a register
// its siblings, of other kinds the one value that they come to, under the version of the
// newest write. Values may alias the body; one that is absent is nil.
func Read(dst []fieldwise.Sibling, k Kind, t Table, body []byte) ([]fieldwise.Sibling, error) {
	form, ok := k.body()
	switch {
	case !ok:
		return nil, unsupported(k)
	case form == items:
		return Siblings(dst, t, body)
	case len(body) == 0:
		return dst, nil
	}
	val, err := shown(k, form, t, body)
	if err != nil {
		return nil, err
	}
	newest, err := form.newest(t, body)
	return append(dst, fieldwise.Sibling{Version: newest, Value: val}), err
}

// shown is what a field of a kind that is no register comes to: nil where nothing is there.
func shown(k Kind, form body, t Table, b []byte) (val []byte, err error) {
	if form == counts {
		val, _, err = Total(nil, b)
		return val, err
	}
	if !Present(b) {
		return nil, nil
	}
	list := Elements
	if k.ordered() {
		list = ListElements
	}
	all, err := list(t, b)
	if err != nil {
		return nil, err
	}
	if k == KindFlag {
		return wire.AppendBool(nil, len(all) > 0), nil
	}
	size := 5
	for _, e := range all {
		size += len(e.Value)
	}
	val = wire.AppendArrayHeader(make([]byte, 0, size), len(all))
	for _, e := range all {
		val = append(val, e.Value...)
	}
	return val, nil
}

// newest is the largest version in a body.
func (k body) newest(t Table, b []byte) (newest fieldwise.Version, err error) {
	origins := t.Origins()
	if !k.times(b, func(i int, time fieldwise.Timestamp) bool {
		if i >= len(origins) {
			return false
		}
		if v := (fieldwise.Version{Time: time, Origin: origins[i]}); v.Compare(newest) > 0 {
			newest = v
		}
		return true
	}) {
		return newest, malformed("field ends early")
	}
	return newest, nil
}

// Unseen lists what of a field is of writes that known, per origin the highest timestamp,
// does not cover: of a register its values, of a set its elements, each once for every write
// that added it, of a counter what each of these origins counted in all.
func Unseen(dst []fieldwise.Sibling, k Kind, t Table, body []byte, known map[fieldwise.Origin]fieldwise.Timestamp) ([]fieldwise.Sibling, error) {
	form, ok := k.body()
	if !ok {
		return nil, unsupported(k)
	}
	first := len(dst)
	switch form {
	case items:
		var err error
		if dst, err = Siblings(dst, t, body); err != nil {
			return nil, err
		}
	case dots:
		var err error
		if dst, err = appendAdds(dst, t, body); err != nil {
			return nil, err
		}
	case counts:
		origins := t.Origins()
		for len(body) > 0 {
			c, rest, ok := CutCount(body)
			if !ok || c.Index >= len(origins) {
				return nil, malformed("counter ends inside a count")
			}
			body = rest
			var s sum
			s.add(c.Up-c.BaseUp, c.Down-c.BaseDown)
			if val, _ := appendSum(nil, s); c.Up != c.BaseUp || c.Down != c.BaseDown {
				dst = append(dst, fieldwise.Sibling{Version: fieldwise.Version{Time: c.Time, Origin: origins[c.Index]}, Value: val})
			}
		}
	}
	kept := dst[:first]
	for _, s := range dst[first:] {
		if s.Version.Time > known[s.Version.Origin] {
			kept = append(kept, s)
		}
	}
	return kept, nil
}

// appendAdds appends the elements of a set in the order of Compare, once under the version
// of each write that added them. The mark that the set exists is none.
func appendAdds(dst []fieldwise.Sibling, t Table, body []byte) ([]fieldwise.Sibling, error) {
	if len(body) == 0 {
		return dst, nil
	}
	first, origins := len(dst), t.Origins()
	_, b, ok := Bin(body)
	for ok && len(b) > 0 {
		var k key
		k, b, ok = cutKey(b)
		for more := true; ok && more; {
			var d dot
			if d, b, ok = cutDot(b); !ok || d.index >= len(origins) {
				return nil, malformed("element ends inside a dot")
			}
			if more = d.more; k.value[0] != Absent {
				dst = append(dst, fieldwise.Sibling{Version: fieldwise.Version{Time: d.time, Origin: origins[d.index]}, Value: k.value})
			}
		}
	}
	if !ok {
		return nil, malformed("element ends early")
	}
	slices.SortStableFunc(dst[first:], func(a, b fieldwise.Sibling) int { return Compare(a.Value, b.Value) })
	return dst, nil
}

// Mechanism is the policy of the mechanisms that have one value for all readers: it shows it.
type Mechanism struct {
	Kind  Kind
	Named string // of the strategy
	Grows bool   // it is only written upwards
}

// Name is the strategy's.
func (m Mechanism) Name() string { return m.Named }

// Resolve implements Policy.
func (m Mechanism) Resolve(siblings []fieldwise.Sibling) (fieldwise.Sibling, error) {
	return siblings[len(siblings)-1], nil
}

// Grows reports whether the edit adds to what is there, or takes all of it away.
func (e Edit) Grows(k Kind) bool {
	e.From, e.To = orNothing(e.From), orNothing(e.To)
	if e.Anew {
		e.From = nil
	}
	for _, in := range e.Intents {
		if in.Op == OpDec || in.Op == OpRemove || in.Op == OpClear && e.From != nil {
			return false
		}
	}
	if len(e.Intents) > 0 || e.To == nil {
		return true
	}
	if k == KindCounter {
		intents, err := countIntents(e.From, e.To)
		return err != nil || len(intents) == 0 || intents[0].Op == OpInc
	}
	from, errFrom := partsOf(k, e.From)
	to, errTo := partsOf(k, e.To)
	if errFrom != nil || errTo != nil {
		return true // and no value of the kind, which AppendEdit says
	}
	wanted := valueSet(to)
	return !slices.ContainsFunc(from, func(v []byte) bool { return !wanted[string(v)] })
}
