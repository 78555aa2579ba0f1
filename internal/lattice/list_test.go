package lattice

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/internal/wire"
)

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
	return &d
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

// Whatever three replicas wrote before, a list or a set that is turned into another reads
// as that, and in the end all replicas have one body.
func TestPropertyAListReadsAsItWasWritten(t *testing.T) {
	randtest.Check(t, 500, 5000, func(t *rapid.T) {
		turn, read, isSet := (*shelf).turn, ListElements, rapid.Bool().Draw(t, "set")
		if isSet {
			turn, read = (*shelf).turnSet, Elements
		}
		shelves := []*shelf{{self: 0}, {self: 1, now: 5}, {self: 2}}
		var deltas [][]byte
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			s := rapid.SampledFrom(shelves).Draw(t, "replica")
			switch action := rapid.IntRange(0, 4).Draw(t, "action"); {
			case action < 3 || len(deltas) == 0:
				from, to := s.shown(t, read), drawTo(t, "abcde")
				if isSet {
					slices.SortFunc(to, bytes.Compare)
					to = slices.CompactFunc(to, bytes.Equal)
				}
				delta := turn(s, t, from, to)
				require.Equal(t, to, s.shown(t, read), "from %v", from)
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
	randtest.Check(t, 500, 5000, func(t *rapid.T) {
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

// An item that is replaced again and again keeps a short position.
func TestReplacingAnItemKeepsPositionsShort(t *testing.T) {
	for at := range 3 {
		s := &shelf{}
		last := valuesOf("abc")
		s.turn(t, nil, last)
		for i := range 100 {
			next := slices.Clone(last)
			next[at] = wire.AppendUint(nil, uint64(i))
			s.turn(t, last, next)
			require.Equal(t, next, s.shown(t, ListElements))
			last = next
		}
		all, err := ListElements(s.table(t), s.body)
		require.NoError(t, err)
		require.LessOrEqual(t, len(all[at].Position), 2)
		require.Less(t, len(s.body), 60)
	}
}

// Two items that were written at one place at once stand at one position. They are left
// there until something goes in between; what a writer did not see is left there anyway.
func TestRoomBetweenItemsAtOnePosition(t *testing.T) {
	base := &shelf{self: 2}
	base.turn(t, nil, valuesOf("ab"))
	s, other := &shelf{self: 0, now: 20, body: base.body}, &shelf{self: 1, now: 25, body: base.body}
	s.turn(t, valuesOf("ab"), valuesOf("aXb"))
	other.turn(t, valuesOf("ab"), valuesOf("aYb"))
	s.join(t, other.body)
	all, err := ListElements(s.table(t), s.body)
	require.NoError(t, err)
	require.Equal(t, all[1].Position, all[2].Position)
	both := s.body
	for _, c := range []struct{ from, to, shown, renewed string }{
		{"aXYb", "aXYbZ", "aXYbZ", "Z"},
		{"aXYb", "aZXYb", "aZXYb", "Z"},
		{"aXYb", "aXYZb", "aXYZb", "Z"},
		{"aXYb", "aXZYb", "aXZYb", "ZY"},
		{"aXYb", "aYXb", "aYXb", "X"},
		{"aXb", "aXZb", "aXYZb", "Z"},
		{"aYb", "aYZb", "aXYZb", "Z"},
		{"Yb", "ZYb", "aZXYb", "Z"},
	} {
		s.body = both
		s.turn(t, valuesOf(c.from), valuesOf(c.to))
		require.Equal(t, c.shown, lettersOf(t, s.shown(t, ListElements)), "from %s to %s", c.from, c.to)
		all, err := ListElements(s.table(t), s.body)
		require.NoError(t, err)
		var renewed [][]byte
		for _, e := range all {
			if e.Version.Time == s.now {
				renewed = append(renewed, e.Value)
			}
		}
		require.Equal(t, c.renewed, lettersOf(t, renewed), "from %s to %s", c.from, c.to)
	}
}
