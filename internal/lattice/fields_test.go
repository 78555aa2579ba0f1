package lattice

import (
	"bytes"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// canonical is the check of fields that hold registers only in its obvious form: what is
// there, written anew, is what is there.
func canonical(state []byte) bool {
	t, rest, ok := Cut(state)
	if !ok {
		return false
	}
	origins := t.Origins()
	used := make(map[int]bool)
	again := AppendTable(nil, origins)
	last := []byte(nil)
	for len(rest) > 0 {
		f, after, ok := CutField(rest)
		if !ok || len(f.Body) == 0 || !utf8.Valid(f.Name) || !f.Kind.Registers() || f.Kind == KindCreated && len(f.Name) > 0 {
			return false
		}
		var body []byte
		before := -1
		for b := f.Body; len(b) > 0; {
			it, after, ok := CutItem(b)
			if !ok || it.Index <= before || it.Index >= len(origins) {
				return false
			}
			if !it.Superseded && !it.IsAbsent() && wire.Check(it.Value, MaxDepth) != nil {
				return false
			}
			before, used[it.Index] = it.Index, true
			body, b = AppendItem(body, it), after
		}
		key := append(slices.Clone(f.Name), byte(f.Kind))
		if bytes.Compare(last, key) >= 0 {
			return false
		}
		again = AppendField(again, Field{Name: f.Name, Kind: f.Kind, Body: body})
		last, rest = key, after
	}
	return len(used) == len(origins) && bytes.Equal(again, state)
}

// The check looks at most fields with a glance; it refuses no less for that.
func TestPropertyCheckFieldsIsThatOfTheObviousForm(t *testing.T) {
	refused := 0
	randtest.Check(t, 3000, 8000, func(t *rapid.T) {
		origins := []fieldwise.Origin{{Region: "a", Incarnation: 1}, {Region: "b", Incarnation: 1}, {Region: "c", Incarnation: 1}}
		r := make(record)
		for range rapid.IntRange(1, 4).Draw(t, "fields") {
			kind := rapid.SampledFrom([]Kind{KindRegister, KindRegister, KindMax, KindMin}).Draw(t, "kind")
			r[rapid.SampledFrom(names[:23]).Draw(t, "name")+string(rune(kind))] = drawRegister(t, origins)
		}
		state := encodeRecord(r)
		require.NoError(t, CheckFields(state))
		table, _, ok := Bin(state)
		require.True(t, ok)
		for range rapid.IntRange(1, 2).Draw(t, "damages") {
			i := rapid.IntRange(binLen(len(table)), len(state)-1).Draw(t, "at")
			switch rapid.IntRange(0, 3).Draw(t, "damage") {
			case 0:
				state[i] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			case 1:
				state[i] = rapid.SampledFrom([]byte{0, 1, 3, 0x1f, 0x20, '\\', 0x7f, 0x80, 0xa0, 0xbf, 0xc0, 0xc1, 0xc3, 0xc4, 0xcc, 0xe0, 0xff}).Draw(t, "byte")
			case 2:
				state = slices.Delete(state, i, i+1)
			default:
				state = slices.Insert(state, i, rapid.Byte().Draw(t, "byte"))
			}
		}
		got := CheckFields(state)
		if _, rest, ok := Cut(state); ok && !registersOnly(rest) {
			return
		}
		if canonical(state) {
			require.NoError(t, got, "%x", state)
			return
		}
		refused++
		require.Error(t, got, "%x", state)
	})
	require.Positive(t, refused)
}

// registersOnly reports whether no field is of another mechanism, nor of one that nobody knows.
func registersOnly(fields []byte) bool {
	for len(fields) > 0 {
		f, rest, ok := CutField(fields)
		if !ok {
			return true
		}
		if !f.Kind.Registers() {
			return false
		}
		fields = rest
	}
	return true
}

// Names that hold an escape, wherever it stands, are given to the caller's check, and no others.
func TestCheckPathsIsGivenNamesWithEscapes(t *testing.T) {
	at := fieldwise.Timestamp(0x5c5c5c5c5c5c5c5c) // each byte of it is an escape
	all := []string{`\`, `a.b`, `a\.b`, "address", `street\.`, `addresse\`, `addresses\`, "\u00e9", "\u00e9\\"}
	r := make(record)
	for _, n := range all {
		r[n+"\x01"] = register{{Region: "a"}: {Time: at, Value: []byte{1}}}
	}
	var got []string
	require.NoError(t, CheckPaths(encodeRecord(r), func(name []byte) error {
		got = append(got, string(name))
		return nil
	}))
	require.ElementsMatch(t, []string{`\`, `a\.b`, `street\.`, `addresse\`, `addresses\`, "\u00e9\\"}, got)
	for _, n := range all {
		one := encodeRecord(record{n + "\x01": r[n+"\x01"]})
		err := CheckPaths(one, func([]byte) error { return fieldwise.ErrRegion })
		require.Equal(t, bytes.Contains([]byte(n), []byte(`\`)), err != nil, n)
	}
}

// Each field is found by its whole name and kind, and by nothing else.
func TestFieldsAreFoundByNameAndKind(t *testing.T) {
	var b []byte
	fs := []Field{{Name: []byte("a"), Kind: KindRegister}, {Name: []byte("a"), Kind: KindMax}, {Name: []byte("ab"), Kind: KindCounter}, {Name: []byte("b"), Kind: KindMax}}
	for i := range fs {
		fs[i].Body = []byte{byte(i), byte(KindSet)}
		b = AppendField(b, fs[i])
	}
	for _, f := range fs {
		require.Equal(t, f.Body, FindField(b, string(f.Name), f.Kind), "%s, %v", f.Name, f.Kind)
	}
	for _, f := range []Field{{Name: nil, Kind: KindRegister}, {Name: []byte("ab"), Kind: KindMax}, {Name: []byte("b"), Kind: KindRegister}, {Name: []byte("abc"), Kind: KindSet}} {
		require.Nil(t, FindField(b, string(f.Name), f.Kind), "%s, %v", f.Name, f.Kind)
	}
}

// A counter is counted up, and the delta made, without a byte of memory beyond what is given.
func TestCountingUpAllocatesNothing(t *testing.T) {
	origins := threeOrigins()
	table := tableOf(t, origins)
	var counter []byte
	for i := range origins {
		counter = AppendCount(counter, Count{Index: i, Time: 1, Up: 7})
	}
	room, delta := make([]byte, 0, 64), make([]byte, 0, 256)
	name, inc := []byte("visits"), []Intent{{Op: OpInc, Amount: 1}}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		d, _ := NewDelta(table, fieldwise.Version{Time: 2, Origin: origins[1]})
		body, _ := d.AppendCounts(room, counter, inc)
		fields := [1]Field{{Name: name, Kind: KindCounter, Body: body}}
		delta = d.AppendFields(delta[:0], fields[:])
	}))
	require.NoError(t, CheckFields(delta))
	got, _, ok := Cut(delta)
	require.True(t, ok)
	require.Equal(t, origins[1:2], got.Origins())
}
