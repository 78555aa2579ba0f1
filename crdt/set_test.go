package crdt_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/internal/value"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// pool is what elements of the sets of the property tests are drawn from, in the order that
// sets show them in.
var pool = []any{
	nil, false, true, math.Inf(-1), int64(-300), int64(-3), int64(0), int64(1), 1.0, 1.5, int64(70000),
	uint64(math.MaxUint64), 1e300, time.Unix(-5, 0).UTC(), time.Unix(5, 0).UTC(), "", "a", "ab", "b",
}

func encodedAs(t require.TestingT, v any) []byte {
	b, err := value.Append(nil, v)
	require.NoError(t, err)
	return b
}

// modelSet is what a set should be: which of the pool are in it, and where it comes from.
type modelSet struct {
	has, from [32]bool // from: as it was read
	bond      *lattice.Bond
	there     bool
}

func (m modelSet) values() []any {
	vs := []any{}
	for i, v := range pool {
		if m.has[i] {
			vs = append(vs, v)
		}
	}
	return vs
}

// setFace is a pointer to one of the sets.
type setFace[S any] interface {
	*S
	crdt.Value
	Add(elems ...any)
	Has(e any) bool
	Len() int
	Values() []any
	Equal(other S) bool
	MarshalMsgpack() ([]byte, error)
	UnmarshalMsgpack(b []byte) error
}

// setProperty does random things to several sets, copies of each other too, and looks at all
// of them after each.
func setProperty[S any, P setFace[S]](t *rapid.T) {
	const slots = 3
	var sets [slots]S
	var models [slots]modelSet
	for range rapid.IntRange(1, 30).Draw(t, "steps") {
		i := rapid.IntRange(0, slots-1).Draw(t, "slot")
		s, m := P(&sets[i]), &models[i]
		some := rapid.SliceOfN(rapid.IntRange(0, len(pool)-1), 0, 5).Draw(t, "elements")
		elems := make([]any, len(some))
		for i, n := range some {
			elems[i] = pool[n]
		}
		mark := func(in bool) {
			for _, n := range some {
				m.has[n] = in
			}
		}
		switch rapid.IntRange(0, 9).Draw(t, "do") {
		case 0, 1, 2:
			s.Add(elems...)
			mark(true)
			m.there = m.there || len(elems) > 0
		case 3, 4:
			if r, ok := any(s).(interface{ Remove(elems ...any) }); ok {
				r.Remove(elems...)
				mark(false)
				m.there = m.there || len(elems) > 0
			}
		case 5:
			if r, ok := any(s).(interface{ Clear() }); ok {
				r.Clear()
				m.has, m.there = [32]bool{}, true
			}
		case 6:
			*m = modelSet{bond: &lattice.Bond{}, there: true}
			mark(true)
			m.from = m.has
			hold(t, s, encodedAs(t, m.values()), m.bond)
		case 7:
			if rapid.Bool().Draw(t, "nothing") {
				*m = modelSet{bond: &lattice.Bond{}}
				hold(t, s, nil, m.bond)
				break
			}
			*m = modelSet{there: true}
			mark(true)
			require.NoError(t, s.UnmarshalMsgpack(encodedAs(t, elems)))
		default:
			j := rapid.IntRange(0, slots-1).Draw(t, "onto")
			sets[j], models[j] = sets[i], models[i]
		}
		for i := range sets {
			checkSet(t, P(&sets[i]), models[i])
			require.Equal(t, models[0].has == models[i].has, P(&sets[i]).Equal(sets[0]))
		}
	}
}

func checkSet[S any, P setFace[S]](t *rapid.T, s P, m modelSet) {
	vs := m.values()
	require.Equal(t, vs, s.Values())
	require.Equal(t, len(vs), s.Len())
	require.Equal(t, fmt.Sprint(vs), fmt.Sprint(*s))
	for i, v := range pool {
		require.Equal(t, m.has[i], s.Has(v), "%v", v)
	}
	b, err := s.MarshalMsgpack()
	require.NoError(t, err)
	require.Equal(t, encodedAs(t, vs), b)
	h := held(t, s)
	require.Same(t, m.bond, h.Bond)
	if !m.there {
		require.Nil(t, h.Value)
		require.Empty(t, h.Intents)
		return
	}
	require.Equal(t, encodedAs(t, vs), h.Value)
	again := m.from
	for _, in := range h.Intents {
		require.Zero(t, in.Amount)
		i := slices.IndexFunc(pool, func(v any) bool { return string(encodedAs(t, v)) == string(in.Element) })
		switch in.Op {
		case lattice.OpAdd, lattice.OpRemove:
			require.GreaterOrEqual(t, i, 0, "%x", in.Element)
			again[i] = in.Op == lattice.OpAdd
		case lattice.OpClear:
			require.Nil(t, in.Element)
			again = [32]bool{}
		default:
			t.Fatalf("an intent of a set: %v", in)
		}
	}
	require.Equal(t, m.has, again)
}

func TestPropertyORSetIsASet(t *testing.T) {
	randtest.Check(t, 150, 3000, setProperty[crdt.ORSet[any]])
}

func TestPropertyGSetIsASet(t *testing.T) {
	randtest.Check(t, 150, 3000, setProperty[crdt.GSet[any]])
}

// Many elements: each version of a set stays as it was and is balanced, and none costs more
// than the way to its element.
func TestPropertyLargeSetsAreBalanced(t *testing.T) {
	randtest.Check(t, 250, 3000, func(t *rapid.T) {
		var s crdt.ORSet[int]
		start := rapid.SliceOfN(rapid.IntRange(0, 1000), 0, 500).Draw(t, "start")
		if rapid.Bool().Draw(t, "dense") {
			start = nil
			for e := range rapid.IntRange(0, 300).Draw(t, "n") {
				start = append(start, e)
			}
		}
		model := make(map[int]bool)
		for _, e := range start {
			model[e] = true
		}
		if rapid.Bool().Draw(t, "at once") {
			s.Add(start...)
		} else {
			for _, e := range start {
				s.Add(e)
			}
		}
		// From the middle up or down: that takes the root away again and again.
		step, removing := rapid.SampledFrom([]int{1, -1, 7}).Draw(t, "step"), rapid.IntRange(1, 6).Draw(t, "removing")
		for i := range rapid.IntRange(0, 400).Draw(t, "more") {
			e := (len(start)/2 + i*step + 10000) % 1000
			before, n := s, s.Len()
			if i%6 >= removing {
				s.Add(e)
				model[e] = true
			} else {
				s.Remove(e)
				delete(model, e)
			}
			require.Equal(t, len(model), s.Len())
			require.Equal(t, n, before.Len())
			if i%16 == 0 {
				require.True(t, s.Balanced())
			}
		}
		require.True(t, s.Balanced())
		require.Equal(t, slices.Sorted(maps.Keys(model)), append([]int(nil), s.Values()...))
	})
}

func TestChangingASetWhileItsElementsAreRead(t *testing.T) {
	s := crdt.NewORSet(1, 2, 3, 4)
	var seen []int
	for e := range s.All() {
		seen = append(seen, e)
		s.Remove(e, e+1)
		s.Add(10 * e)
		if e == 3 {
			break
		}
	}
	require.Equal(t, []int{1, 2, 3}, seen)
	require.Equal(t, []int{10, 20, 30}, s.Values())
}

func TestValuesBelongToTheCaller(t *testing.T) {
	s := crdt.NewGSet("a", "b")
	s.Values()[0] = "z"
	elems := []string{"c"}
	s.Add(elems...)
	elems[0] = "z"
	require.Equal(t, []string{"a", "b", "c"}, s.Values())
}

func TestIntentsOfSetsAreWhatWasAskedFor(t *testing.T) {
	var s crdt.ORSet[string]
	hold(t, &s, []byte("\x91\xa1a"), &lattice.Bond{})
	s.Add("a")      // renews it
	s.Remove("x")   // is not there
	s.Remove("x")   // once is enough
	s.Add("b", "b") // the same
	a, b, x := []byte("\xa1a"), []byte("\xa1b"), []byte("\xa1x")
	require.Equal(t, lattice.Held{
		Bond:    held(t, &s).Bond,
		Value:   []byte("\x92\xa1a\xa1b"),
		Intents: []lattice.Intent{add(a...), remove(x...), add(b...)},
	}, held(t, &s))

	var nothing crdt.ORSet[string]
	nothing.Remove("x")
	require.Equal(t, lattice.Held{Value: []byte{0x90}, Intents: []lattice.Intent{remove(x...)}}, held(t, &nothing))
}

func TestElementsOfManyTypes(t *testing.T) {
	type point struct{ X, Y int }
	type plan string
	require.Equal(t, []point{{1, 2}}, crdt.NewORSet(point{1, 2}, point{1, 2}).Values())
	require.Equal(t, []plan{"gold", "silver"}, crdt.NewORSet[plan]("silver", "gold").Values())
	require.Equal(t, []float64{-1, 0.5}, crdt.NewORSet(0.5, -1).Values())
	nan := crdt.NewORSet(math.NaN())
	require.True(t, nan.Has(math.NaN()), "encoded the same way")
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	require.True(t, crdt.NewORSet(noon).Has(noon.In(time.FixedZone("", 3600))))
	p := &point{3, 4}
	pointers := crdt.NewORSet(p)
	require.True(t, pointers.Has(&point{3, 4}))
	flags := crdt.NewORSet(true, false)
	require.Equal(t, "[false true]", flags.String())

	letters := crdt.NewORSet[byte]('b', 'a')
	b, err := json.Marshal(letters)
	require.NoError(t, err)
	require.Equal(t, "[97,98]", string(b), "no base64")
	var back crdt.ORSet[byte]
	require.NoError(t, json.Unmarshal(b, &back))
	require.True(t, back.Equal(letters))
	require.Error(t, json.Unmarshal([]byte(`"YWI="`), &back))
	require.NoError(t, json.Unmarshal([]byte(`[5,5,null]`), &back))
	require.Equal(t, []byte{0, 5}, back.Values())
}

// loud has a MarshalJSON that only a pointer to it has.
type loud string

func (l *loud) MarshalJSON() ([]byte, error) { return json.Marshal(*l + "!") }

func TestElementsAreMarshalledThroughTheirPointersToo(t *testing.T) {
	b, err := json.Marshal(crdt.NewORSet[loud]("b", "a"))
	require.NoError(t, err)
	require.Equal(t, `["a!","b!"]`, string(b))
}

// What cannot be encoded has no place in a set, and is told wherever an error can be.
func TestElementsThatCannotBeEncoded(t *testing.T) {
	check := func(v interface {
		crdt.Value
		MarshalJSON() ([]byte, error)
		MarshalMsgpack() ([]byte, error)
	}, says string,
	) {
		_, err := crdt.HeldBy(v)
		require.ErrorContains(t, err, says)
		_, err = v.MarshalJSON()
		require.ErrorContains(t, err, says)
		_, err = v.MarshalMsgpack()
		require.ErrorContains(t, err, says)
	}
	s := crdt.NewORSet("a")
	good := s
	s.Add("b", "\xff", "c", "\xfe")
	check(&s, `crdt: a set of string: an element cannot be encoded: `)
	require.Equal(t, []string{"a", "b", "c"}, s.Values())
	require.False(t, s.Has("\xff"))
	s.Clear()
	check(&s, "cannot be encoded")
	require.NoError(t, json.Unmarshal([]byte(`["x"]`), &s))
	require.Equal(t, []byte("\x91\xa1x"), held(t, &s).Value, "another one took its place")
	require.Equal(t, []byte("\x91\xa1a"), held(t, &good).Value, "the copy has no fault")
	good.Remove("\xff")
	check(&good, "cannot be encoded")

	var none crdt.ORSet[chan int]
	none.Add(make(chan int))
	none.Remove(nil)
	none.Clear()
	require.False(t, none.Has(nil))
	require.Zero(t, none.Len())
	const says = "crdt: a set of chan int: the type chan int"
	check(&none, says)
	check(&crdt.GSet[chan int]{}, says)
	require.ErrorContains(t, none.UnmarshalJSON([]byte(`[]`)), says)
	require.ErrorContains(t, none.UnmarshalJSON([]byte(`null`)), says)
	require.ErrorContains(t, none.UnmarshalMsgpack([]byte{0x90}), says)
	require.ErrorContains(t, none.UnmarshalMsgpack([]byte{0xc0}), says)
	require.ErrorContains(t, crdt.Hold(&none, nil, nil), says)
	require.ErrorContains(t, crdt.Hold(&none, []byte{0x90}, nil), says)

	anys := crdt.NewGSet[any](1, make(chan int))
	check(&anys, "chan int")
	require.Equal(t, []any{1}, anys.Values())
}

// Has and Remove have to find what Values returns, so a set is not read into a Go type that
// loses something of an element.
func TestHoldRefusesWhatTheGoTypeCannotHold(t *testing.T) {
	refused := func(v crdt.Value, shown []byte, says string) {
		err := crdt.Hold(v, shown, nil)
		require.ErrorContains(t, err, says, "%T %x", v, shown)
	}
	type point struct{ X int }
	refused(&crdt.ORSet[string]{}, []byte{0x91, 0xc0}, "element 0, of kind nil, is more than the Go type can hold")
	refused(&crdt.ORSet[point]{}, []byte("\x91\x82\xa1X\x01\xa1Y\x02"), "is more than the Go type can hold")
	refused(&crdt.ORSet[float32]{}, encodedAs(t, []float64{0.1}), "is more than the Go type can hold")
	refused(&crdt.ORSet[float64]{}, []byte{0x91, 1}, "is more than the Go type can hold")
	refused(&crdt.ORSet[int8]{}, encodedAs(t, []int{1, 300}), "element 1: 300 does not fit int8")
	refused(&crdt.ORSet[string]{}, encodedAs(t, []any{"a", 1}), "element 1: ")
	refused(&crdt.ORSet[int]{}, []byte{0x92, 2, 1}, "element 1 is not in order")
	refused(&crdt.ORSet[int]{}, []byte{0x92, 1, 1}, "element 1 is not in order")
	refused(&crdt.ORSet[any]{}, []byte{0x92, 1, 0xc0}, "element 1 is not in order")
	hold(t, &crdt.ORSet[any]{}, []byte{0x92, 0xc0, 1}, nil)
}

func TestElementsAreNestedAsDeepAsValues(t *testing.T) {
	nest := func(n int) any {
		v := any("x")
		for range n {
			v = [1]any{v}
		}
		return v
	}
	s := crdt.NewORSet(nest(value.MaxDepth))
	b, err := s.MarshalMsgpack()
	require.NoError(t, err)
	require.NoError(t, s.UnmarshalMsgpack(b))
	hold(t, &s, b, nil)
	s.Add(nest(value.MaxDepth + 1))
	_, err = crdt.HeldBy(&s)
	require.ErrorIs(t, err, wire.ErrDepth)

	other := crdt.NewORSet[any]("x")
	deep := strings.Repeat("[", value.MaxDepth+2) + strings.Repeat("]", value.MaxDepth+2)
	require.ErrorIs(t, other.UnmarshalJSON([]byte(deep)), wire.ErrDepth)
	arrays := bytes.Repeat([]byte{0x91}, value.MaxDepth+1)
	require.ErrorIs(t, other.UnmarshalMsgpack(append(arrays, 0x90)), wire.ErrDepth)
	require.ErrorIs(t, crdt.Hold(&other, append(arrays, 0x90), nil), wire.ErrDepth)
	require.Equal(t, []any{"x"}, other.Values(), "as it was")
}

func BenchmarkORSet(b *testing.B) {
	for _, n := range []int{10, 1000, 100000} {
		elems := make([]string, n)
		for i := range elems {
			elems[i] = "element " + strconv.Itoa(i*7919%n)
		}
		s := crdt.NewORSet(elems...)
		shown, err := s.MarshalMsgpack()
		require.NoError(b, err)
		b.Run(fmt.Sprintf("Hold/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				hold(b, &s, shown, nil)
			}
		})
		b.Run(fmt.Sprintf("Add/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				other := s
				other.Add("another")
			}
		})
		b.Run(fmt.Sprintf("Has/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				if !s.Has(elems[i%n]) {
					b.Fatal(elems[i%n])
				}
			}
		})
	}
}
