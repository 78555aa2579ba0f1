package crdt_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/lww"
	"github.com/fieldwise/fieldwise/regionpriority"
)

func siblings(t *testing.T, state []byte) (values []string) {
	all, err := crdt.MVRegister{}.Siblings(state)
	require.NoError(t, err)
	for _, s := range all {
		values = append(values, string(s.Version.Origin.Region)+"="+hex.EncodeToString(s.Value))
	}
	return values
}

func conflicts(t *testing.T, m crdt.MVRegister, state, delta []byte) []fieldwise.Conflict {
	found, err := m.Conflicts(nil, state, delta)
	require.NoError(t, err)
	return found
}

func shown(t *testing.T, m crdt.MVRegister, p crdt.Policy, state []byte) byte {
	all, err := m.Siblings(state)
	require.NoError(t, err)
	s, err := p.Resolve(all)
	require.NoError(t, err)
	return s.Value[0]
}

func TestLawsHoldByCheckLaws(t *testing.T) {
	ranked, err := regionpriority.NewMerger("b", "a")
	require.NoError(t, err)
	for name, m := range map[string]crdt.MVRegister{"no policy": {}, "lww": lww.NewMerger(), "priority": ranked} {
		require.NoError(t, fieldwise.CheckLaws(func() fieldwise.Merger { return m }, samples(t)...), name)
	}
}

func TestCE01TieIsDecidedByRegionInBothOrders(t *testing.T) {
	x, y := set(t, nil, at(100, "a"), 1), set(t, nil, at(100, "b"), 2)
	require.Equal(t, merge(t, x, y), merge(t, y, x))
	require.Equal(t, byte(2), shown(t, lww.NewMerger(), lww.Policy{}, merge(t, x, y)))
	require.Equal(t, []string{"a=01", "b=02"}, siblings(t, merge(t, y, x)))
	// Of one region the larger incarnation wins.
	later := set(t, nil, fieldwise.Version{Time: 100, Origin: origin("b", 2)}, 0)
	require.Equal(t, byte(0), shown(t, lww.NewMerger(), lww.Policy{}, merge(t, later, y, x)))
}

func TestCE02LargerBytesOfOneStampWinEverywhere(t *testing.T) {
	v1, v2 := set(t, nil, at(100, "a"), 1), set(t, nil, at(100, "a"), 2)
	require.Equal(t, v2, merge(t, v1, v2))
	require.Equal(t, v2, merge(t, v2, v1))
	gone := set(t, nil, at(100, "a")) // absent is 0xc1
	require.Equal(t, gone, merge(t, v2, gone))
	for _, p := range [][2][]byte{{v1, v2}, {v2, v1}} {
		found := conflicts(t, lww.NewMerger(), p[0], p[1])
		require.Equal(t, []fieldwise.Conflict{{
			Kind: fieldwise.ConflictStamp, Policy: "larger bytes",
			Loser:  fieldwise.Sibling{Version: at(100, "a"), Value: []byte{1}},
			Winner: fieldwise.Sibling{Version: at(100, "a"), Value: []byte{2}},
		}}, found)
	}
}

// A rule that ranks two single values gives other results in another order. Siblings do
// not: what saw a value has replaced it, and what is left is ranked.
func TestCE07CausalityFirstThenPriority(t *testing.T) {
	p, err := regionpriority.NewPolicy("a", "c", "b")
	require.NoError(t, err)
	m := crdt.NewMVRegister(p)
	x := set(t, nil, at(1, "a"), 'x')
	y := set(t, x, at(2, "b"), 'y')
	z := set(t, nil, at(3, "c"), 'z')
	for _, state := range [][]byte{merge(t, x, y, z), merge(t, merge(t, x, z), y), merge(t, x, merge(t, y, z)), merge(t, z, y, x)} {
		require.Equal(t, merge(t, x, y, z), state)
		require.Equal(t, byte('z'), shown(t, m, p, state))
	}
}

func TestCE21OnlyWhatSawAValueFrom2099ReplacesIt(t *testing.T) {
	bad := set(t, nil, at(4070908800000<<16, "c"), 'b')
	fix := set(t, bad, at(1800000000000<<16, "a"), 'f')
	blind := set(t, nil, at(1800000000001<<16, "b"), 'o')
	require.Equal(t, []string{"a=66"}, siblings(t, merge(t, bad, fix)))
	require.Equal(t, []string{"a=66"}, siblings(t, merge(t, fix, bad)))
	require.Equal(t, byte('b'), shown(t, lww.NewMerger(), lww.Policy{}, merge(t, bad, blind)))
	require.Equal(t, byte('o'), shown(t, lww.NewMerger(), lww.Policy{}, merge(t, bad, blind, fix)), "the newer of what is left")
}

func TestWriteReplacesAllThatItSaw(t *testing.T) {
	a, b := set(t, nil, at(1, "a"), 1), set(t, nil, at(2, "b"), 2)
	c := set(t, nil, at(9, "c"), 3)
	both := merge(t, a, b)
	next := set(t, both, at(3, "a"), 4)
	require.Equal(t, []string{"a=04"}, siblings(t, merge(t, both, next)))
	require.Equal(t, []string{"a=04", "c=03"}, siblings(t, merge(t, both, next, c)), "c was not seen")
	require.Empty(t, conflicts(t, lww.NewMerger(), both, next), "what was replaced knowingly is no conflict")
	require.Equal(t, []string{"a=04"}, siblings(t, merge(t, next, b)), "a mark that comes first works")
	require.Equal(t, []string{"a=04", "b=07"}, siblings(t, merge(t, next, b, set(t, nil, at(5, "b"), 7))), "a later write of b was not seen")
}

func TestMarkBeatsValueOfEqualStamp(t *testing.T) {
	a := set(t, nil, at(1, "a"), 0x7f)
	b := set(t, a, at(2, "b"), 1)
	again := set(t, nil, at(1, "a"), 0) // the identity was reused
	for _, x := range [][]byte{a, again} {
		require.Equal(t, []string{"b=01"}, siblings(t, merge(t, b, x)))
		require.Equal(t, merge(t, b, x), merge(t, x, b))
	}
}

func TestEqualValuesAreNoConflict(t *testing.T) {
	a, b := set(t, nil, at(1, "a"), 1), set(t, nil, at(2, "b"), 1)
	require.Empty(t, conflicts(t, lww.NewMerger(), a, b))
	// Hidden together, both are reported; hidden before, not again.
	c := set(t, nil, at(3, "c"), 2)
	found := conflicts(t, lww.NewMerger(), merge(t, a, b), c)
	require.Len(t, found, 2)
	require.Empty(t, conflicts(t, lww.NewMerger(), merge(t, a, b, c), c))
}

// A value that comes to light when what hid it is replaced, and is hidden again, is
// reported again.
func TestValueThatIsHiddenAgainIsReportedAgain(t *testing.T) {
	a, b := set(t, nil, at(1, "a"), 1), set(t, nil, at(2, "b"), 2)
	c := set(t, b, at(1, "c"), 3) // saw b only
	d := set(t, nil, at(9, "d"), 4)
	state := merge(t, a, b)
	state = merge(t, state, c)
	require.Equal(t, []string{"a=01", "c=03"}, siblings(t, state))
	found := conflicts(t, lww.NewMerger(), state, d)
	require.Len(t, found, 1)
	require.Equal(t, at(1, "c"), found[0].Loser.Version)
}

func TestDeleteCompetesLikeAnyValue(t *testing.T) {
	m := lww.NewMerger()
	a := set(t, nil, at(1, "a"), 1)
	gone, err := m.Delete(nil, a, at(2, "b"))
	require.NoError(t, err)
	require.False(t, m.Live(merge(t, a, gone)))
	none, err := m.Delete([]byte("dst"), merge(t, a, gone), at(3, "b"))
	require.NoError(t, err)
	require.Equal(t, "dst", string(none), "what is not live gives no delta")
	newer := set(t, a, at(3, "a"), 5)
	require.True(t, m.Live(merge(t, a, gone, newer)), "a concurrent write that is newer wins")
	found := conflicts(t, m, merge(t, a, gone), newer)
	require.Len(t, found, 1)
	require.Nil(t, found[0].Loser.Value, "the delete lost")
	older := set(t, a, at(2, "a"), 5)
	require.False(t, m.Live(merge(t, a, gone, older)))
	require.True(t, crdt.MVRegister{}.Live(merge(t, a, gone, older)), "without a policy a record lives as long as any value")
	require.False(t, m.Live(nil))
}

func TestStaleVersionIsRefused(t *testing.T) {
	a := set(t, nil, at(5, "a"), 1)
	b := set(t, a, at(1, "b"), 2)
	for _, state := range [][]byte{a, merge(t, a, b)} {
		for _, time := range []fieldwise.Timestamp{4, 5} {
			_, err := crdt.MVRegister{}.Set(nil, state, at(time, "a"), []byte{3})
			require.ErrorIs(t, err, fieldwise.ErrStaleVersion)
		}
		_, err := crdt.MVRegister{}.Set(nil, state, at(6, "a"), []byte{3})
		require.NoError(t, err)
	}
}

func TestSetRefusesWhatIsNoCanonicalValue(t *testing.T) {
	for _, bad := range [][]byte{{}, {0xc1}, {1, 2}, {0xcc, 1}, bytes.Repeat([]byte{0x91}, 17)} {
		_, err := crdt.MVRegister{}.Set(nil, nil, at(1, "a"), bad)
		require.Error(t, err, "%x", bad)
	}
	_, err := crdt.MVRegister{}.Set(nil, nil, at(1, "A"), []byte{1})
	require.ErrorIs(t, err, fieldwise.ErrRegion)
	_, err = crdt.MVRegister{}.Merge(nil, nil, []byte{0xc4, 5})
	require.ErrorIs(t, err, fieldwise.ErrMalformed)
}

// Policies change what is shown and nothing that is stored: all names are one name.
func TestPolicyIsNotStored(t *testing.T) {
	ranked, err := regionpriority.NewMerger("a")
	require.NoError(t, err)
	p, err := regionpriority.NewPolicy("a")
	require.NoError(t, err)
	require.Equal(t, "register/1", ranked.Name())
	require.Equal(t, ranked.Name(), lww.NewMerger().Name())
	a, b := set(t, nil, at(1, "a"), 1), set(t, nil, at(2, "b"), 2)
	x, err := ranked.Merge(nil, a, b)
	require.NoError(t, err)
	y, err := lww.NewMerger().Merge(nil, a, b)
	require.NoError(t, err)
	require.Equal(t, x, y)
	require.Equal(t, byte(1), shown(t, ranked, p, x))
	require.Equal(t, byte(2), shown(t, ranked, lww.Policy{}, x))
}

// The bytes of a register. If this fails, the format changed: once there is a release, give Name a new number.
func TestGoldenRegister(t *testing.T) {
	a := set(t, nil, fieldwise.Version{Time: 0x0102030405060708, Origin: origin("eu-west-1", 0x1112131415161718)}, 0xa1, 'x')
	b := set(t, a, fieldwise.Version{Time: 0x0102030405060709, Origin: origin("us-east-1", 1)})
	got := merge(t, a, b)
	require.Equal(t, strings.Join([]string{
		"c424",                                         // table of 36 bytes
		"1112131415161718", "a9", "65752d776573742d31", // eu-west-1
		"0000000000000001", "a9", "75732d656173742d31", // us-east-1
		"01", "0102030405060708", // origin 0, superseded
		"04", "0102030405060709", "c1", // origin 1, absent
	}, ""), hex.EncodeToString(got))
	require.Equal(t, "c412"+"1112131415161718a965752d776573742d31"+"00"+"0102030405060708"+"a178", hex.EncodeToString(a))
}
