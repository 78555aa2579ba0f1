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
