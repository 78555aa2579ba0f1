package lattice

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// What states mean, in the obvious form: a record's fields by name and kind.
type (
	register map[fieldwise.Origin]Item
	record   map[string]mechanism

	mechanism interface {
		uses() []fieldwise.Origin
		encode(origins []fieldwise.Origin) []byte // the body under a table
		join(other mechanism) mechanism
	}
)

func (r register) uses() []fieldwise.Origin                 { return originsOf(r) }
func (r register) encode(origins []fieldwise.Origin) []byte { return encodeItems(origins, r) }
func (r register) join(other mechanism) mechanism           { return joinRegisterModel(r, other.(register)) }

func joinRegisterModel(a, b register) register {
	out := maps.Clone(a)
	for o, it := range b {
		old, ok := out[o]
		wins := !ok || it.Time > old.Time
		if ok && it.Time == old.Time {
			c := bytes.Compare(it.Value, old.Value)
			wins = !old.Superseded && (it.Superseded || c > 0 || c == 0 && it.Created)
		}
		if wins {
			out[o] = it
		}
	}
	return out
}

func joinModel(a, b record) record {
	out := maps.Clone(a)
	for name, m := range b {
		if other, ok := out[name]; ok {
			m = m.join(other)
		}
		out[name] = m
	}
	return out
}

func originsOf(rs ...register) []fieldwise.Origin {
	all := make(map[fieldwise.Origin]bool)
	for _, r := range rs {
		for o := range r {
			all[o] = true
		}
	}
	return slices.SortedFunc(maps.Keys(all), fieldwise.Origin.Compare)
}

func encodeItems(origins []fieldwise.Origin, r register) (b []byte) {
	for i, o := range origins {
		if it, ok := r[o]; ok {
			it.Index = i
			b = AppendItem(b, it)
		}
	}
	return b
}

// encodeTable writes a table by its description, with the bin header of package wire.
func encodeTable(origins []fieldwise.Origin) []byte {
	var t []byte
	for _, o := range origins {
		for shift := 56; shift >= 0; shift -= 8 {
			t = append(t, byte(o.Incarnation>>shift))
		}
		t = wire.AppendString(t, string(o.Region))
	}
	return wire.AppendBin(nil, t)
}

func encodeRegister(r register) []byte {
	origins := originsOf(r)
	return append(encodeTable(origins), encodeItems(origins, r)...)
}

func encodeRecord(r record) []byte {
	used := make(register)
	for _, m := range r {
		for _, o := range m.uses() {
			used[o] = Item{}
		}
	}
	origins := originsOf(used)
	b := encodeTable(origins)
	for _, name := range slices.Sorted(maps.Keys(r)) {
		b = append(b, wire.AppendBin(nil, append([]byte(name), r[name].encode(origins)...))...)
	}
	return b
}

// Names that lie close to each other in every way that a comparison can get wrong:
// prefixes, seven, eight and nine bytes, equal first eight bytes, escapes, the empty
// name, two-byte and four-byte characters, the lowest byte that a name may hold.
var names = []string{
	"", " ", "a", "a ", "ab", "a.b", `a\.b`, `a\\`, `a\x01`, "abc", "address", "addresse", "addresses",
	"addressesX", "addresse\u00e9", "addresse ", "addresse~", "b", "z", "\u00e9", "\U0001F600",
	"phone", "phone.home", "phone.home.area", "phonf", strings.Repeat("n", 240), strings.Repeat("n", 241), strings.Repeat("n", 300),
}

var lengths = []int{0, 1, 5, 16, 31, 32, 200, 235, 236, 237, 238, 239, 240, 241, 242, 243, 244, 245, 246, 247, 248, 254, 255, 256, 257}

var longLengths = []int{65500, 65515, 65517, 65519, 65520, 65521, 65522, 65523, 65524, 65525, 65526, 65527, 65534, 65535, 65536, 65537}

func drawValue(t *rapid.T) []byte {
	switch k := rapid.IntRange(0, 40).Draw(t, "value"); {
	case k < 4:
		return []byte{Absent}
	case k < 20:
		return []byte{byte(k % 3)}
	case k == 40:
		return wire.AppendString(nil, strings.Repeat("v", rapid.SampledFrom(longLengths).Draw(t, "length")))
	case k > 36: // a value that is a state
		return wire.AppendBin(nil, encodeRecord(record{"a\x01": register{{Region: "r", Incarnation: 1}: {Time: 1, Value: []byte{1}}}}))
	default:
		return wire.AppendString(nil, strings.Repeat("v", rapid.SampledFrom(lengths).Draw(t, "length")))
	}
}

// drawOrigins draws origins to choose from: few, or so many that indices and lengths
// take more bytes.
func drawOrigins(t *rapid.T) []fieldwise.Origin {
	n := rapid.SampledFrom([]int{1, 2, 3, 3, 3, 5, 8, 31, 32, 33, 63, 64, 65, 66, 127, 128, 129, 140}).Draw(t, "origins")
	regions := []fieldwise.Region{"a", "a-b", "ab", "b", fieldwise.Region(strings.Repeat("r", 31)), fieldwise.Region(strings.Repeat("r", 32)), fieldwise.Region(strings.Repeat("r", 63))}
	var all []fieldwise.Origin
	for i := range n {
		all = append(all, fieldwise.Origin{Region: regions[i%len(regions)], Incarnation: uint64(i/len(regions)) * 0x0101010101010101})
	}
	return all
}

func drawRegister(t *rapid.T, origins []fieldwise.Origin) register {
	r := make(register)
	n := rapid.SampledFrom([]int{1, 1, 1, 2, 3, len(origins)}).Draw(t, "items")
	start := rapid.IntRange(0, len(origins)-1).Draw(t, "first")
	for i := range n {
		it := Item{Time: fieldwise.Timestamp(rapid.IntRange(1, 3).Draw(t, "time"))}
		if n > 8 { // many of the same, to stay small
			it.Value = []byte{byte(it.Time)}
		} else if it.Superseded = rapid.IntRange(0, 3).Draw(t, "mark") == 0; !it.Superseded {
			it.Value = drawValue(t)
			it.Created = rapid.IntRange(0, 2).Draw(t, "created") == 0
		}
		r[origins[(start+i)%len(origins)]] = it
	}
	return r
}

func drawRecord(t *rapid.T, origins []fieldwise.Origin) record {
	r := make(record)
	for range rapid.IntRange(0, 6).Draw(t, "fields") {
		kind := rapid.SampledFrom([]Kind{KindRegister, KindRegister, KindRegister, KindMax, KindMin, KindCounter}).Draw(t, "kind")
		var m mechanism = drawRegister(t, origins)
		if kind == KindCounter {
			m = drawCounter(t, origins)
		}
		r[rapid.SampledFrom(names).Draw(t, "name")+string(rune(kind))] = m
	}
	return r
}

// The join of any two states is byte for byte what the obvious join of their meanings
// encodes to, and so passes the check and obeys the laws.
func TestPropertyJoinFieldsIsThatOfTheModel(t *testing.T) {
	randtest.Check(t, 3000, 6000, func(t *rapid.T) {
		origins := drawOrigins(t)
		a, b := drawRecord(t, origins), drawRecord(t, origins)
		x, y := encodeRecord(a), encodeRecord(b)
		require.NoError(t, CheckFields(x))
		require.NoError(t, CheckFields(y))
		want := encodeRecord(joinModel(a, b))
		for _, p := range [][2][]byte{{x, y}, {y, x}} {
			room := rapid.SampledFrom([]int{0, 40, 100, 1 << 12}).Draw(t, "room")
			got, err := JoinFields(append(make([]byte, 0, 3+room), "dst"...), p[0], p[1])
			require.NoError(t, err)
			require.Equal(t, "dst", string(got[:3]))
			if !bytes.Equal(got[3:], want) {
				t.Fatalf("join of\n%x and\n%x is\n%x, want\n%x", p[0], p[1], got[3:], want)
			}
		}
	})
}

func TestPropertyJoinRegistersIsThatOfTheModel(t *testing.T) {
	randtest.Check(t, 3000, 6000, func(t *rapid.T) {
		origins := drawOrigins(t)
		a, b := drawRegister(t, origins), drawRegister(t, origins)
		x, y := encodeRegister(a), encodeRegister(b)
		require.NoError(t, CheckState(KindRegister, x))
		require.NoError(t, CheckState(KindRegister, y))
		want := encodeRegister(joinRegisterModel(a, b))
		for _, p := range [][2][]byte{{x, y}, {y, x}} {
			room := rapid.SampledFrom([]int{0, 40, 100, 1 << 12}).Draw(t, "room")
			got, err := JoinStates(make([]byte, 0, room), KindRegister, p[0], p[1])
			require.NoError(t, err)
			if !bytes.Equal(got, want) {
				t.Fatalf("join of\n%x and\n%x is\n%x, want\n%x", p[0], p[1], got, want)
			}
		}
	})
}

// A context joins like a register whose values are all marks or none, so the model is
// that of registers; a delete's flag is the higher one.
func TestPropertyJoinSeenIsThatOfTheModel(t *testing.T) {
	draw := func(t *rapid.T, origins []fieldwise.Origin) register {
		r := make(register)
		for _, o := range origins {
			if rapid.Bool().Draw(t, "seen") {
				r[o] = Item{Time: fieldwise.Timestamp(rapid.IntRange(1, 3).Draw(t, "time")), Superseded: rapid.Bool().Draw(t, "delete")}
			}
		}
		return r
	}
	randtest.Check(t, 1000, 2000, func(t *rapid.T) {
		origins := drawOrigins(t)
		a, b := draw(t, origins), draw(t, origins)
		x, y := encodeRegister(a), encodeRegister(b)
		require.NoError(t, CheckSeen(x))
		got, err := JoinSeen(nil, x, y)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%x", encodeRegister(joinRegisterModel(a, b))), fmt.Sprintf("%x", got))
	})
}

// Every way in which a state can be almost canonical is refused, in fields that the check
// looks at with a glance and in others.
func TestCheckRefusesWhatIsNotCanonical(t *testing.T) {
	for _, more := range []string{"", "-field"} {
		t.Run("x"+more, func(t *testing.T) { testCheckRefuses(t, more) })
	}
}

func testCheckRefuses(t *testing.T, more string) {
	a, b, c := fieldwise.Origin{Region: "a", Incarnation: 1}, fieldwise.Origin{Region: "b", Incarnation: 1}, fieldwise.Origin{Region: "c"}
	item := func(i int, time fieldwise.Timestamp, v ...byte) []byte {
		return AppendItem(nil, Item{Index: i, Time: time, Value: v})
	}
	field := func(name string, body ...byte) []byte {
		return AppendField(nil, Field{Name: []byte(name + more), Kind: KindRegister, Body: body})
	}
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	one, two := encodeTable([]fieldwise.Origin{a}), encodeTable([]fieldwise.Origin{a, b})
	good := cat(two, field("x", item(0, 1, 7)...), field("y", cat(item(0, 1, 7), item(1, 2, 8))...))
	require.NoError(t, CheckFields(good))
	longest := fieldwise.Origin{Region: fieldwise.Region(strings.Repeat("z", fieldwise.MaxRegionLen))}
	require.NoError(t, CheckFields(cat(encodeTable([]fieldwise.Origin{longest}), field("x", item(0, 1, 7)...))))
	for name, bad := range map[string][]byte{
		"empty":                     {},
		"no table":                  field("x", item(0, 1, 7)...)[1:],
		"table unsorted":            cat(encodeTable([]fieldwise.Origin{b, a}), field("x", cat(item(0, 1, 7), item(1, 1, 7))...)),
		"table twice the same":      cat(encodeTable([]fieldwise.Origin{a, a}), field("x", cat(item(0, 1, 7), item(1, 1, 7))...)),
		"origin that nothing uses":  cat(encodeTable([]fieldwise.Origin{a, b, c}), field("x", cat(item(0, 1, 7), item(1, 1, 7))...)),
		"item outside the table":    cat(one, field("x", item(1, 1, 7)...)),
		"items unsorted":            cat(two, field("x", cat(item(1, 1, 7), item(0, 1, 7))...)),
		"item twice":                cat(one, field("x", cat(item(0, 1, 7), item(0, 2, 7))...)),
		"field without items":       cat(encodeTable(nil), field("x")),
		"fields unsorted":           cat(one, field("y", item(0, 1, 7)...), field("x", item(0, 1, 7)...)),
		"field twice":               cat(one, field("x", item(0, 1, 7)...), field("x", item(0, 1, 7)...)),
		"name not UTF-8":            cat(one, field("\xff", item(0, 1, 7)...)),
		"value not canonical":       cat(one, field("x", item(0, 1, 0xcc, 7)...)),
		"value with trailing bytes": cat(one, field("x", item(0, 1, 7, 7)...)),
		"value without its content": cat(one, field("x", item(0, 1, 0xc4)...)),
		"string longer than all":    cat(one, field("x", item(0, 1, 0xa2, 'v')...)),
		"string not UTF-8":          cat(one, field("x", item(0, 1, 0xa2, 'v', 0xff)...)),
		"mark that creates":         cat(one, field("x", append([]byte{3}, item(0, 1)[1:]...)...)),
		"value left out":            cat(one, field("x", item(0, 1)...)),
		"head in a longer form":     cat(one, field("x", append([]byte{0xcc, 0}, item(0, 1, 7)[1:]...)...)),
		"bin in a longer form":      cat(one, []byte{0xc5, 0, byte(12 + len(more))}, field("x", item(0, 1, 7)...)[2:]),
		"region not valid":          cat(encodeTable([]fieldwise.Origin{{Region: "A"}}), field("x", item(0, 1, 7)...)),
		"region empty":              cat(encodeTable([]fieldwise.Origin{{}}), field("x", item(0, 1, 7)...)),
		"region too long":           cat(encodeTable([]fieldwise.Origin{{Region: fieldwise.Region(strings.Repeat("a", fieldwise.MaxRegionLen+1))}}), field("x", item(0, 1, 7)...)),
		"region in a longer form":   cat(wire.AppendBin(nil, []byte{0, 0, 0, 0, 0, 0, 0, 1, 0xd9, 1, 'a'}), field("x", item(0, 1, 7)...)),
		"mark of no fields, named":  cat(one, AppendField(nil, Field{Name: []byte("x"), Kind: KindCreated, Body: item(0, 1, 7)})),
		"trailing byte":             cat(good, []byte{0}),
		"cut":                       good[:len(good)-1],
	} {
		require.ErrorIs(t, CheckFields(bad), fieldwise.ErrMalformed, name)
	}
	for kind := range Kind(0x20) {
		if !kind.joins() {
			require.ErrorIs(t, CheckFields(cat(one, AppendField(nil, Field{Name: []byte("x" + more), Kind: kind, Body: item(0, 1, 7)}))),
				fieldwise.ErrUnsupportedKind, "kind %d", kind)
		}
	}
}

// Merge never fails on two valid states and its result is valid, however many origins
// meet: the limit of origins is one of writes.
func TestManyOriginsMeet(t *testing.T) {
	crowd := func(region fieldwise.Region, n int) register {
		r := make(register)
		for i := range n {
			r[fieldwise.Origin{Region: region, Incarnation: uint64(i)}] = Item{Time: 1, Value: []byte{7}}
		}
		return r
	}
	a, b := crowd("a", 3000), crowd("b", 3000)
	got, err := JoinStates(nil, KindRegister, encodeRegister(a), encodeRegister(b))
	require.NoError(t, err)
	require.NoError(t, CheckState(KindRegister, got), "the join of two valid states is valid")
	again, err := JoinStates(nil, KindRegister, got, encodeRegister(crowd("c", 4000)))
	require.NoError(t, err, "a join is joined again")
	require.NoError(t, CheckState(KindRegister, again))
	t.Run("writes are refused above the limit", func(t *testing.T) {
		var limit *fieldwise.LimitError
		_, err := WriteState(nil, KindRegister, got, Edit{To: []byte{1}}, fieldwise.Version{Time: 9, Origin: fieldwise.Origin{Region: "z"}})
		require.ErrorAs(t, err, &limit)
		require.Equal(t, MaxOrigins, limit.Max)
	})
}
