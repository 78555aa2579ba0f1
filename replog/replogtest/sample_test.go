package replogtest

import (
	"encoding/json"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/value"
)

type tree struct {
	Name     string
	Children []tree
	Hidden   string `msgpack:"-"`
}

// sealed is a type of which nothing but the zero value can be made from outside.
type sealed struct{ secret string }

func (s sealed) MarshalText() ([]byte, error) { return []byte("sealed:" + s.secret), nil }

func (s *sealed) UnmarshalText(text []byte) error {
	if len(text) < 7 || string(text[:7]) != "sealed:" {
		return net("not sealed")
	}
	s.secret = string(text[7:])
	return nil
}

type net string

func (e net) Error() string { return string(e) }

// Of each type there are several values, all of which can be stored and read back, and
// the same values come up again.
func TestPropertySamplesCollideAndComeBack(t *testing.T) {
	const n = 200
	m, r := newMaker(), rand.New(rand.NewPCG(1, 1))
	for _, typ := range []reflect.Type{
		reflect.TypeFor[string](), reflect.TypeFor[bool](), reflect.TypeFor[int8](), reflect.TypeFor[uint](), reflect.TypeFor[float32](),
		reflect.TypeFor[[]byte](), reflect.TypeFor[[2]string](), reflect.TypeFor[map[string]int](), reflect.TypeFor[*string](),
		reflect.TypeFor[time.Time](), reflect.TypeFor[*time.Time](), reflect.TypeFor[time.Duration](), reflect.TypeFor[json.Number](),
		reflect.TypeFor[any](), reflect.TypeFor[tree](), reflect.TypeFor[netip.Addr](), reflect.TypeFor[big.Int](), reflect.TypeFor[url.URL](),
		reflect.TypeFor[map[netip.Addr][]plain](),
	} {
		seen := make(map[string]int)
		for range n {
			v := m.value(r, typ, 0)
			encoded, err := value.Append(nil, v.Interface())
			require.NoError(t, err, "%v: %v", typ, v)
			again := reflect.New(typ)
			require.NoError(t, value.Decode(encoded, again.Interface()), "%v: %v", typ, v)
			require.Empty(t, differ("", v, again.Elem()), "%v", typ)
			seen[string(encoded)]++
		}
		require.Greater(t, len(seen), 1, "%v", typ)
		most := 0
		for _, times := range seen {
			most = max(most, times)
		}
		require.Greater(t, most, 1, "%v", typ)
	}
	require.Empty(t, poorOf(m))

	require.True(t, m.value(r, reflect.TypeFor[sealed](), 0).IsZero())
	require.Equal(t, []string{"replogtest.sealed"}, poorOf(m))
}

type plain uint16

func poorOf(m *maker) []string { return (&typed[int]{maker: m}).poor() }

// CRDT values that are made are there, come up again, and can be read back.
func TestPropertySamplesOfCRDTValuesCollideAndComeBack(t *testing.T) {
	const n = 200
	m, r := newMaker(), rand.New(rand.NewPCG(1, 1))
	for _, typ := range []reflect.Type{
		reflect.TypeFor[crdt.PNCounter](), reflect.TypeFor[crdt.GCounter](), reflect.TypeFor[crdt.ORSet[plain]](),
		reflect.TypeFor[crdt.GSet[string]](), reflect.TypeFor[crdt.EWFlag](),
	} {
		seen := make(map[string]int)
		for range n {
			v := m.field(r, typ, "", false)
			held := heldBy(v)
			require.Nil(t, held.Bond)
			if _, grows := v.Interface().(crdt.GSet[string]); !grows {
				require.NotEmpty(t, held.Intents, "%v: %v", typ, v)
			}
			again := reflect.New(typ)
			require.NoError(t, value.Decode(encodedText(t, v), again.Interface()))
			require.Empty(t, differ("", v, again.Elem()), "%v", typ)
			seen[string(encodedText(t, v))]++
		}
		require.Greater(t, len(seen), 1, "%v", typ)
		require.Less(t, len(seen), n/2, "%v", typ)
	}
}

func encodedText(t *testing.T, v reflect.Value) []byte {
	t.Helper()
	encoded, ok := encodes(v)
	require.True(t, ok)
	return encoded
}

// What is written into a record that was given is what was done to one that was read before.
func TestGraftDoesAgainWhatWasDone(t *testing.T) {
	type inner struct {
		Tags crdt.ORSet[string] `merge:"tags,orset"`
	}
	type outer struct {
		Count crdt.PNCounter           `merge:"count,pncounter"`
		Hits  crdt.GCounter            `merge:"hits,gcounter"`
		On    crdt.EWFlag              `merge:"on,ewflag"`
		Seen  crdt.GSet[int]           `merge:"seen,gset"`
		In    *inner                   `merge:"in,nested"`
		Each  map[string]crdt.EWFlag   `merge:"each,each=ewflag"`
		More  map[string]crdt.GCounter `merge:"more,each=gcounter"`
	}
	read := func() (v outer) {
		hold := func(c crdt.Value, shown []byte) { require.NoError(t, crdt.Hold(c, shown, &lattice.Bond{})) }
		var f crdt.EWFlag
		hold(&f, []byte{0xc3})
		v = outer{In: &inner{}, Each: map[string]crdt.EWFlag{"a": f}}
		hold(&v.Count, []byte{5})
		hold(&v.Hits, []byte{5})
		hold(&v.On, nil)
		hold(&v.Seen, []byte{0x91, 1})
		hold(&v.In.Tags, []byte{0x92, 0xa1, 'x', 0xa1, 'y'})
		return v
	}
	to, now := read(), read()
	to.Count.Inc(2)
	to.Count.Reset()
	to.Count.Dec(3)
	to.Hits = crdt.NewGCounter(1) // made anew
	to.On.Enable()
	to.Seen.Add(2)
	to.In.Tags.Remove("x")
	to.In.Tags.Add("y")
	f := to.Each["a"]
	f.Disable()
	to.Each["a"] = f
	to.More = map[string]crdt.GCounter{"n": crdt.NewGCounter(4)}

	got := graft(reflect.ValueOf(now), reflect.ValueOf(to)).Interface().(outer)
	require.Empty(t, differ("", reflect.ValueOf(to), reflect.ValueOf(got)))
	bonds := make(map[string]*lattice.Bond)
	eachLeaf(nil, reflect.ValueOf(now), func(path string, v reflect.Value) { bonds[path] = heldBy(v).Bond })
	eachLeaf(nil, reflect.ValueOf(got), func(path string, v reflect.Value) { require.Same(t, bonds[path], heldBy(v).Bond, path) })
	require.Equal(t, heldBy(reflect.ValueOf(to.In.Tags)).Intents, heldBy(reflect.ValueOf(got.In.Tags)).Intents)
	require.Equal(t, []lattice.Intent{{Op: lattice.OpReset}, {Op: lattice.OpInc, Amount: 1}}, heldBy(reflect.ValueOf(got.Hits)).Intents)
	require.EqualValues(t, 5, now.Count.Value(), "the record that was given is as it was")
	require.Equal(t, []string{"x", "y"}, now.In.Tags.Values())
}

// Two values of a set are one in any order, and a counter of zero is none.
func TestDifferComparesFieldsAsTheyAreStored(t *testing.T) {
	type record struct {
		Tags  []string       `merge:"tags,orset"`
		Lines []string       `merge:"lines,list"`
		Votes map[string]int `merge:"votes,each=pncounter"`
		Names map[string]int `merge:"names,each=lww"`
		Whole struct {
			Tags []string `merge:"tags,orset"`
		} `merge:"whole,lww"`
	}
	whole := func(tags ...string) (v record) {
		v.Whole.Tags = tags
		return v
	}
	for i, pair := range []struct {
		want string
		a, b record
	}{
		{"", record{Tags: []string{"b", "a", "b"}}, record{Tags: []string{"a", "b"}}},
		{"Tags: [a], and []", record{Tags: []string{"a"}}, record{}},
		{"Lines: [b a], and [a b]", record{Lines: []string{"b", "a"}}, record{Lines: []string{"a", "b"}}},
		{"", record{Votes: map[string]int{"a": 0, "b": 1}}, record{Votes: map[string]int{"b": 1}}},
		{"Votes[a]: 1, and no entry", record{Votes: map[string]int{"a": 1}}, record{}},
		{"Names[a]: 0, and no entry", record{Names: map[string]int{"a": 0}}, record{}},
		{`Whole.Tags[0]: "b", and "a"`, whole("b", "a"), whole("a", "b")},
	} {
		require.Equal(t, pair.want, differ("", reflect.ValueOf(pair.a), reflect.ValueOf(pair.b)), "%d", i)
	}
}

func TestDifferNamesWhere(t *testing.T) {
	one, two := 1, 2
	utc := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	type inner struct {
		A *int
		M map[string]any
		L []string
	}
	type outer struct {
		In   inner
		At   time.Time
		Skip string `merge:"-"`
		Addr netip.Addr
		Pay  money
	}
	for want, pair := range map[string][2]outer{
		"": {
			{At: utc, Skip: "a", In: inner{L: []string{}, M: map[string]any{"x": 1}, A: &one}},
			{At: utc.In(time.FixedZone("x", 3600)), Skip: "b", In: inner{M: map[string]any{"x": int64(1)}, A: new(int)}},
		},
		"In.A: 1, and 2":                  {{In: inner{A: &one}}, {In: inner{A: &two}}},
		"In.A: 1, and <nil>":              {{In: inner{A: &one}}, {}},
		`In.L[1]: "b", and "c"`:           {{In: inner{L: []string{"a", "b"}}}, {In: inner{L: []string{"a", "c"}}}},
		"In.L: [a], and []":               {{In: inner{L: []string{"a"}}}, {}},
		"In.M[x]: no entry, and true":     {{}, {In: inner{M: map[string]any{"x": true}}}},
		"In.M[x]: a, and b":               {{In: inner{M: map[string]any{"x": "a"}}}, {In: inner{M: map[string]any{"x": "b"}}}},
		"Addr: 192.0.2.1, and invalid IP": {{Addr: netip.MustParseAddr("192.0.2.1")}, {}},
		`Pay.Currency: "EUR", and ""`:     {{Pay: money{1, "EUR"}}, {Pay: money{1, ""}}},
		"At: 2026-01-02 03:04:05 +0000 UTC, and 0001-01-01 00:00:00 +0000 UTC": {{At: utc}, {}},
	} {
		if want == "" {
			*pair[1].In.A = 1
		}
		require.Equal(t, want, differ("", reflect.ValueOf(pair[0]), reflect.ValueOf(pair[1])))
	}
}
