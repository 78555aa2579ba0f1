package lattice

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Empty is not unset, and both are what they were where nothing changed.
func TestEmptyAndUnset(t *testing.T) {
	none := [][]byte{}
	for name, turn := range map[string]func(*shelf, require.TestingT, [][]byte, [][]byte) []byte{"list": (*shelf).turn, "set": (*shelf).turnSet} {
		s := &shelf{}
		require.Empty(t, turn(s, t, nil, nil), name)
		require.Empty(t, turn(s, t, none, none), name)
		require.NotEmpty(t, turn(s, t, nil, none), name)
		require.Equal(t, none, s.shown(t, Elements), name)
		require.Empty(t, turn(s, t, nil, none), "%s: it is there", name)
		turn(s, t, none, valuesOf("ab"))
		turn(s, t, valuesOf("ab"), none)
		require.Equal(t, none, s.shown(t, Elements), name)
		turn(s, t, none, valuesOf("ab"))
		require.NotEmpty(t, turn(s, t, valuesOf("a"), nil), "%s: also what came meanwhile", name)
		require.False(t, Present(s.body), name)
		require.Empty(t, turn(s, t, valuesOf("a"), nil), "%s: it is gone", name)

		turn(s, t, nil, valuesOf("ab"))
		stays := turn(s, t, valuesOf("a"), none)
		require.NotEmpty(t, stays)
		require.Equal(t, "b", lettersOf(t, s.shown(t, Elements)), name)
		_, marked, err := readDots(s.table(t), s.body)
		require.NoError(t, err)
		require.False(t, marked, "%s: an element says that it exists", name)
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
	histories(t, 500, 5000, func(t *rapid.T) {
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
