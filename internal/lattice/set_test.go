package lattice

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Empty is not unset, and both are what they were where nothing changed.
func TestEmptyAndUnset(t *testing.T) {
	none := [][]byte{}
	for name, turn := range map[string]func(*shelf, require.TestingT, [][]byte, [][]byte) []byte{"list": (*shelf).turn, "set": (*shelf).turnSet} {
		s := &shelf{}
		require.Empty(t, turn(s, t, nil, nil), name)
		require.Empty(t, turn(s, t, none, none), name)
		require.Len(t, turn(s, t, nil, none), 2+1+timeLen, "%s: only that it was written", name)
		require.Equal(t, none, s.shown(t, Elements), name)
		require.Empty(t, turn(s, t, nil, none), "%s: it is there", name)
		turn(s, t, none, valuesOf("ab"))
		turn(s, t, valuesOf("ab"), none)
		require.Equal(t, none, s.shown(t, Elements), name)
		turn(s, t, none, valuesOf("ab"))
		require.Empty(t, turn(s, t, nil, nil), "%s: not there for this writer, then as before", name)
		require.NotEmpty(t, turn(s, t, valuesOf("a"), nil), "%s: also what came meanwhile", name)
		require.False(t, Present(s.body), name)
		require.Empty(t, turn(s, t, valuesOf("a"), nil), "%s: it is gone", name)
		require.Empty(t, turn(s, t, valuesOf("a"), none), "%s: and nobody made another", name)

		turn(s, t, nil, none)
		require.Equal(t, none, s.shown(t, Elements), "%s: it is there again", name)
		_, marked, err := readDots(s.table(t), s.body)
		require.NoError(t, err)
		require.False(t, marked, name)

		turn(s, t, none, nil)
		require.False(t, Present(s.body), "%s: an empty one is unset", name)
		turn(s, t, nil, valuesOf("ab"))
		_, marked, err = readDots(s.table(t), s.body)
		require.NoError(t, err)
		require.False(t, marked, name)
		require.NotEmpty(t, turn(s, t, valuesOf("a"), none))
		require.Equal(t, "b", lettersOf(t, s.shown(t, Elements)), name)
	}
}

// Stories of two replicas that write at once what makes a set or a list be there or not;
// "-" stands for unset.
func TestEmptiedAndUnsetAtOnce(t *testing.T) {
	from := func(shown string) [][]byte {
		if shown == "-" {
			return nil
		}
		return valuesOf(shown)
	}
	for name, c := range map[string]struct{ base, one, other, want, later string }{
		"each removes one of two":      {"ab", "a", "b", "", ""},
		"both remove the last":         {"a", "", "", "", ""},
		"an add wins over an unset":    {"a", "-", "ab", "b", ""},
		"a renewal wins over an unset": {"a", "-", "aa", "a", ""},
		"an unset wins over emptying":  {"ab", "-", "", "-", "x"},
		"both unset":                   {"ab", "-", "-", "-", ""},
		"both make it empty":           {"-", "", "", "", "x"},
		"one makes it empty":           {"-", "", "x", "x", ""},
		"removals beside an unset":     {"ab", "-", "b", "-", ""},
	} {
		for kind, turn := range map[string]func(*shelf, require.TestingT, [][]byte, [][]byte) []byte{"list": (*shelf).turn, "set": (*shelf).turnSet} {
			if kind == "set" && c.other == "aa" {
				continue // the same as "a"
			}
			base := &shelf{self: 2}
			turn(base, t, nil, valuesOf("a"))
			turn(base, t, valuesOf("a"), from(c.base))
			one, other := &shelf{self: 0, now: 40, body: base.body}, &shelf{self: 1, now: 50, body: base.body}
			a, b := turn(one, t, from(c.base), from(c.one)), turn(other, t, from(c.base), from(c.other))
			early := &shelf{}
			for _, delta := range [][]byte{b, a, base.body} {
				early.join(t, delta)
			}
			one.join(t, b)
			require.Equal(t, one.body, early.body, "%s of a %s: removals come first", name, kind)
			require.Equal(t, from(c.want), one.shown(t, Elements), "%s of a %s", name, kind)
			turn(one, t, from(c.want), from(c.later))
			require.Equal(t, from(c.later), one.shown(t, Elements), "%s of a %s, later", name, kind)
		}
	}
}

// What intents do to a set leaves one: empty at the least, whatever was there before.
func TestIntentsLeaveASet(t *testing.T) {
	x := wire.AppendString(nil, "x")
	edit := func(s *shelf, intents ...Intent) []byte {
		delta, err := s.delta(t).AppendEdit([]byte("dst"), KindSet, s.table(t), s.body, Edit{Intents: intents})
		return s.took(t, delta, err)
	}
	none := [][]byte{}
	for name, s := range map[string]*shelf{"nothing": {}, "unset": {}, "empty": {}, "another element": {}, "the element": {}} {
		switch name {
		case "unset":
			s.turnSet(t, nil, valuesOf("x"))
			s.turnSet(t, valuesOf("x"), nil)
			require.False(t, Present(s.body))
		case "empty":
			s.turnSet(t, nil, none)
		case "another element":
			s.turnSet(t, nil, valuesOf("y"))
		case "the element":
			s.turnSet(t, nil, valuesOf("x"))
		}
		for _, intents := range [][]Intent{{{Op: OpClear}}, {{Op: OpRemove, Element: x}}, {{Op: OpAdd, Element: x}, {Op: OpRemove, Element: x}}, {{Op: OpAdd, Element: x}}} {
			one := &shelf{body: s.body, now: s.now}
			delta := edit(one, intents...)
			want := none
			switch op := intents[len(intents)-1].Op; {
			case op == OpAdd && name == "another element":
				want = valuesOf("xy")
			case op == OpAdd:
				want = valuesOf("x")
			case op == OpRemove && name == "another element":
				want = valuesOf("y")
			}
			require.Equal(t, want, one.shown(t, Elements), "%v of %s", intents, name)
			_, marked, err := readDots(one.table(t), one.body)
			require.NoError(t, err)
			require.False(t, marked, "%v of %s", intents, name)
			if bytes.Equal(one.body, s.body) {
				require.Empty(t, delta, "%v of %s changes nothing", intents, name)
			}
		}
	}
}

// A set becomes what was written, and what another replica changes at the same time is
// joined value by value: one that both had is there if both kept it.
func TestPropertyASetReadsAsItWasWritten(t *testing.T) {
	const alphabet = "abcdef"
	sorted := func(letters string) string {
		all := []byte(letters)
		slices.Sort(all)
		return string(slices.Compact(all))
	}
	randtest.Check(t, 500, 5000, func(t *rapid.T) {
		s, other := &shelf{self: 0}, &shelf{self: 1, now: 5}
		base := sorted(drawLetters(t, alphabet))
		s.turnSet(t, nil, valuesOf(base))
		other.join(t, s.body)
		mine, theirs := drawLetters(t, alphabet), drawLetters(t, alphabet)
		a, b := s.turnSet(t, valuesOf(base), valuesOf(mine)), other.turnSet(t, valuesOf(base), valuesOf(theirs))
		require.Equal(t, sorted(mine), lettersOf(t, s.shown(t, Elements)))
		s.join(t, b)
		other.join(t, a)
		require.Equal(t, s.body, other.body)
		want := ""
		for _, c := range alphabet {
			has := func(letters string) bool { return strings.ContainsRune(letters, c) }
			if has(base) && has(mine) && has(theirs) || !has(base) && (has(mine) || has(theirs)) {
				want += string(c)
			}
		}
		require.Equal(t, want, lettersOf(t, s.shown(t, Elements)))
	})
}

// A value that a writer did not see and adds is renewed: its addition wins over a removal.
func TestASetRenewsWhatIsAddedAgain(t *testing.T) {
	s, other := &shelf{self: 0}, &shelf{self: 1, now: 5}
	s.turnSet(t, nil, valuesOf("ab"))
	other.join(t, s.body)
	adds, removes := s.turnSet(t, valuesOf("b"), valuesOf("ab")), other.turnSet(t, valuesOf("ab"), valuesOf("b"))
	s.join(t, removes)
	other.join(t, adds)
	require.Equal(t, s.body, other.body)
	require.Equal(t, "ab", lettersOf(t, s.shown(t, Elements)))
}
