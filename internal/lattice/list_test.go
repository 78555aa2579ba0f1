package lattice

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

func drawPosition(t *rapid.T) []byte {
	digits := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 0, 1, 0x7f, 0x80, 0xfe, 0xff, 0xff}), 0, 12).Draw(t, "position")
	return bytes.TrimRight(digits, "\x00")
}

func TestPropertyPositionsLieBetween(t *testing.T) {
	histories(t, 3000, 10_000, func(t *rapid.T) {
		lo, hi := drawPosition(t), drawPosition(t)
		if bytes.Compare(lo, hi) > 0 && rapid.IntRange(0, 9).Draw(t, "no room") > 0 {
			lo, hi = hi, lo
		}
		n := rapid.SampledFrom([]int{0, 1, 1, 2, 3, 100, 253, 254, 255, 256, 257, 1000}).Draw(t, "n")
		fresh := between(bytes.Clone(lo), bytes.Clone(hi), n)
		require.Len(t, fresh, n)
		last := lo
		for _, p := range fresh {
			require.NotEmpty(t, p)
			require.NotZero(t, p[len(p)-1])
			require.Negative(t, bytes.Compare(last, p), "%x before %x", last, p)
			if len(hi) > 0 && bytes.Compare(lo, hi) < 0 {
				require.Negative(t, bytes.Compare(p, hi), "%x before %x", p, hi)
			}
			last = p
		}
	})
}

func TestPositionsAreShort(t *testing.T) {
	const n = 100_000
	longest := func(positions [][]byte) (longest int) {
		for _, p := range positions {
			longest = max(longest, len(p))
		}
		return longest
	}
	require.Equal(t, 1, longest(between(nil, nil, 127)))
	require.LessOrEqual(t, longest(between(nil, nil, n)), 5, "a list at once")
	var last []byte
	first := []byte{0x80}
	for range n {
		last, first = between(last, nil, 1)[0], between(nil, first, 1)[0]
	}
	require.LessOrEqual(t, len(last), 5, "one by one at the end")
	require.LessOrEqual(t, len(first), 5, "one by one at the front")
	require.LessOrEqual(t, longest(between([]byte{0x80}, []byte{0x81}, n)), 4, "many between two")
	lo, hi := []byte{0x80}, []byte{0x81}
	for i := range 800 {
		if i%2 == 0 {
			lo = between(lo, hi, 1)[0]
		} else {
			hi = between(lo, hi, 1)[0]
		}
	}
	require.LessOrEqual(t, len(hi), 102, "a byte for eight that halve the gap")
	long := bytes.Repeat([]byte{0xff}, 1000)
	require.Less(t, len(between(long, nil, 1)[0]), 1020, "one of a stranger")
	long = append(make([]byte, 1000), 1)
	require.Less(t, len(between(nil, long, 1)[0]), 1020, "one of a stranger")
}

func valuesOf(letters string) (values [][]byte) {
	values = [][]byte{}
	for _, r := range letters {
		values = append(values, wire.AppendString(nil, string(r)))
	}
	return values
}

func lettersOf(t require.TestingT, values [][]byte) string {
	var b strings.Builder
	for _, v := range values {
		s, _, err := wire.String(v)
		require.NoError(t, err)
		b.Write(s)
	}
	return b.String()
}

func drawLetters(t *rapid.T, alphabet string) string {
	return string(rapid.SliceOfN(rapid.SampledFrom([]byte(alphabet)), 0, 12).Draw(t, "letters"))
}

// longestCommon is the length of a longest common subsequence, by the textbook.
func longestCommon(a, b [][]byte) int {
	rows := make([][]int, len(a)+1)
	rows[0] = make([]int, len(b)+1)
	for i := range a {
		rows[i+1] = make([]int, len(b)+1)
		for j := range b {
			rows[i+1][j+1] = max(rows[i][j+1], rows[i+1][j])
			if bytes.Equal(a[i], b[j]) {
				rows[i+1][j+1] = rows[i][j] + 1
			}
		}
	}
	return rows[len(a)][len(b)]
}

func TestPropertyMatchingIsALongestCommonSubsequence(t *testing.T) {
	histories(t, 2000, 10_000, func(t *rapid.T) {
		from, to := valuesOf(drawLetters(t, "abcd")), valuesOf(drawLetters(t, "abcd"))
		n, last := 0, -1
		for j, i := range matching(from, to) {
			if i < 0 {
				continue
			}
			require.Greater(t, i, last, "in order")
			require.Equal(t, from[i], to[j])
			n, last = n+1, i
		}
		require.Equal(t, longestCommon(from, to), n, "%s", fmt.Sprint(from, to))
	})
}

// Lists that differ in too much match where they begin and end alike.
func TestMatchingIsBounded(t *testing.T) {
	numbers := func(n, first int) (values [][]byte) {
		for i := range n {
			values = append(values, wire.AppendUint(nil, uint64(first+i)))
		}
		return values
	}
	ends := numbers(3, 0)
	from := slices.Concat(ends, numbers(5000, 100_000), ends)
	to := slices.Concat(ends, numbers(5000, 200_000), numbers(1, 100_000), ends)
	match := matching(from, to)
	require.Equal(t, []int{0, 1, 2}, match[:3])
	require.Equal(t, []int{5003, 5004, 5005}, match[len(match)-3:])
	for _, i := range match[3 : len(match)-3] {
		require.Equal(t, -1, i)
	}
	large := numbers(200_000, 0)
	changed := slices.Delete(slices.Clone(large), 1000, 1010)
	changed[150_000] = from[0]
	n := 0
	for _, i := range matching(large, changed) {
		if i >= 0 {
			n++
		}
	}
	require.Equal(t, len(large)-11, n, "few changes in a large list")
}

// shelf is one replica of a list or a set.
type shelf struct {
	self int
	now  fieldwise.Timestamp
	body []byte
}

func (s *shelf) table(t require.TestingT) Table { return tableOf(t, threeOrigins()) }

func (s *shelf) delta(t require.TestingT) *Delta {
	s.now += 10
	d, err := NewDelta(s.table(t), fieldwise.Version{Time: s.now, Origin: threeOrigins()[s.self]})
	require.NoError(t, err)
	return d
}

// turn writes the change of a list from one into the other; to nil is unset.
func (s *shelf) turn(t require.TestingT, from, to [][]byte) (delta []byte) {
	delta, err := s.delta(t).AppendList([]byte("dst"), s.body, s.table(t), from, to)
	return s.took(t, delta, err)
}

func (s *shelf) turnSet(t require.TestingT, from, to [][]byte) (delta []byte) {
	delta, err := s.delta(t).AppendSet([]byte("dst"), s.body, s.table(t), from, to)
	return s.took(t, delta, err)
}

func (s *shelf) took(t require.TestingT, delta []byte, err error) []byte {
	require.NoError(t, err)
	require.Equal(t, "dst", string(delta[:3]))
	if delta = delta[3:]; len(delta) > 0 {
		checkedDots(t, delta)
		s.join(t, delta)
	}
	return delta
}

func (s *shelf) join(t require.TestingT, other []byte) {
	if len(s.body) == 0 {
		s.body = other
	} else if len(other) > 0 {
		s.body = joinedDots(t, s.body, other)
	}
}

// shown is the list as a reader sees it, nil where there is none.
func (s *shelf) shown(t require.TestingT, read func(Table, []byte) ([]Element, error)) (values [][]byte) {
	all, err := read(s.table(t), s.body)
	require.NoError(t, err)
	if Present(s.body) {
		values = [][]byte{}
	}
	for _, e := range all {
		values = append(values, e.Value)
	}
	return values
}

func drawTo(t *rapid.T, alphabet string) [][]byte {
	if rapid.IntRange(0, 9).Draw(t, "unset") == 0 {
		return nil
	}
	return valuesOf(drawLetters(t, alphabet))
}

// Whatever three replicas wrote before, a list that is turned into another reads as that,
// and in the end all replicas have one body.
func TestPropertyAListReadsAsItWasWritten(t *testing.T) {
	histories(t, 500, 5000, func(t *rapid.T) {
		shelves := []*shelf{{self: 0}, {self: 1, now: 5}, {self: 2}}
		var deltas [][]byte
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			s := rapid.SampledFrom(shelves).Draw(t, "replica")
			switch action := rapid.IntRange(0, 4).Draw(t, "action"); {
			case action < 3 || len(deltas) == 0:
				from, to := s.shown(t, ListElements), drawTo(t, "abcde")
				delta := s.turn(t, from, to)
				require.Equal(t, to, s.shown(t, ListElements), "from %v", from)
				if slices.EqualFunc(from, to, bytes.Equal) && (from == nil) == (to == nil) {
					require.Empty(t, delta, "nothing changed")
				} else {
					deltas = append(deltas, delta)
				}
			default:
				s.join(t, rapid.SampledFrom(deltas).Draw(t, "delta"))
			}
		}
		for _, s := range shelves {
			for _, delta := range deltas {
				s.join(t, delta)
			}
			require.Equal(t, shelves[0].body, s.body)
		}
	})
}

// A write renews what it moves or inserts and nothing else, and values that it moves stay
// the elements they were.
func TestPropertyAListWriteTouchesWhatChanges(t *testing.T) {
	histories(t, 500, 5000, func(t *rapid.T) {
		s := &shelf{}
		s.turn(t, nil, valuesOf(drawLetters(t, "abc")))
		for range 3 {
			before, err := ListElements(s.table(t), s.body)
			require.NoError(t, err)
			from, to := s.shown(t, ListElements), valuesOf(drawLetters(t, "abc"))
			s.turn(t, from, to)
			after, err := ListElements(s.table(t), s.body)
			require.NoError(t, err)
			renewed, ids := 0, make(map[named]bool)
			for _, e := range before {
				ids[named{string(e.Value), e.Occurrence}] = true
			}
			same := 0
			for _, e := range after {
				if e.Version.Time == s.now {
					renewed++
				}
				if ids[named{string(e.Value), e.Occurrence}] {
					same++
				}
			}
			require.Equal(t, len(to)-longestCommon(from, to), renewed)
			letters := lettersOf(t, to)
			want := 0
			for _, r := range "abc" {
				want += min(strings.Count(letters, string(r)), strings.Count(lettersOf(t, from), string(r)))
			}
			require.Equal(t, want, same, "elements of both")
		}
	})
}

// Stories of two replicas that write at once, from a list that both have seen.
func TestListsWrittenAtOnce(t *testing.T) {
	for name, c := range map[string]struct{ base, one, other, want string }{
		"inserts at two places":         {"abc", "aXbc", "abYc", "aXbYc"},
		"inserts at one place":          {"ab", "aXb", "aYb", "aXYb"},
		"appends":                       {"ab", "abX", "abY", "abXY"},
		"first values":                  {"", "X", "Y", "XY"},
		"a removal and an insert":       {"abc", "ac", "abXc", "aXc"},
		"a move wins over a removal":    {"abc", "bca", "bc", "bca"},
		"two moves of one":              {"abcd", "bacd", "bcda", "bcda"},
		"removals of one":               {"abc", "ac", "ac", "ac"},
		"replaced and removed":          {"abc", "aXc", "ac", "aXc"},
		"replaced by two":               {"abc", "aXc", "aYc", "aXYc"},
		"emptied and added to":          {"abc", "", "abcX", "X"},
		"a duplicate, a removal of one": {"aba", "abaa", "ba", "baa"},
		"one value from both":           {"ab", "abX", "Xab", "Xab"},
	} {
		base := &shelf{self: 2}
		base.turn(t, nil, valuesOf(c.base))
		one, other := &shelf{self: 0, now: 20, body: base.body}, &shelf{self: 1, now: 30, body: base.body}
		a, b := one.turn(t, valuesOf(c.base), valuesOf(c.one)), other.turn(t, valuesOf(c.base), valuesOf(c.other))
		one.join(t, b)
		other.join(t, a)
		require.Equal(t, one.body, other.body, name)
		require.Equal(t, c.want, lettersOf(t, one.shown(t, ListElements)), name)
	}
}

// The list that a writer saw may be older than the one that its change meets.
func TestAListThatChangedMeanwhile(t *testing.T) {
	for name, c := range map[string]struct{ saw, now, to, want string }{
		"inserted before and after":     {"ab", "xaybz", "aXb", "xaXybz"},
		"insert in front":               {"ab", "xab", "Xab", "xXab"},
		"neighbour removed":             {"abc", "ac", "abXc", "aXc"},
		"both neighbours removed":       {"abcd", "ad", "abXcd", "aXd"},
		"removed by both":               {"abc", "ac", "ac", "ac"},
		"everything removed":            {"ab", "", "aXb", "X"},
		"everything else":               {"ab", "xy", "cd", "xycd"},
		"emptied, but for what is new":  {"ab", "axb", "", "x"},
		"moved meanwhile":               {"abc", "cab", "abXc", "cabX"},
		"a value moved that is gone":    {"abc", "bc", "bca", "bca"},
		"fewer of a value":              {"aaa", "a", "aa", "a"},
		"more of a value":               {"a", "aa", "", "a"},
		"a value that came as well":     {"a", "ab", "ba", "bab"},
		"insert behind the last of two": {"ab", "abxy", "abX", "abXxy"},
	} {
		s := &shelf{}
		s.turn(t, nil, valuesOf(c.saw))
		s.turn(t, valuesOf(c.saw), valuesOf(c.now))
		s.turn(t, valuesOf(c.saw), valuesOf(c.to))
		require.Equal(t, c.want, lettersOf(t, s.shown(t, ListElements)), name)
	}
}

// An item that is replaced again and again in the middle keeps a short position.
func TestReplacingAnItemKeepsPositionsShort(t *testing.T) {
	s := &shelf{}
	last := "abc"
	s.turn(t, nil, valuesOf(last))
	for i := range 100 {
		next := "a" + string(rune('A'+i%20)) + "c"
		s.turn(t, valuesOf(last), valuesOf(next))
		last = next
	}
	all, err := ListElements(s.table(t), s.body)
	require.NoError(t, err)
	require.Len(t, all, 3)
	require.LessOrEqual(t, len(all[1].Position), 2)
	require.Less(t, len(s.body), 60)
}

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
