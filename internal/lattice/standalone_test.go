package lattice

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/internal/wire"
)

func writeAt(time fieldwise.Timestamp, r fieldwise.Region) fieldwise.Version {
	return fieldwise.Version{Time: time, Origin: fieldwise.Origin{Region: r, Incarnation: 1}}
}

// written is the state after a write to a state, with what it was before.
func written(t require.TestingT, k Kind, state []byte, e Edit, at fieldwise.Version) []byte {
	delta, err := WriteState([]byte("dst"), k, state, e, at)
	require.NoError(t, err)
	require.Equal(t, "dst", string(delta[:3]))
	if delta = delta[3:]; len(delta) == 0 {
		return state
	}
	require.NoError(t, CheckState(k, delta))
	if len(state) == 0 {
		return delta
	}
	joined, err := JoinStates(nil, k, state, delta)
	require.NoError(t, err)
	require.NoError(t, CheckState(k, joined))
	return joined
}

func array(letters string) []byte {
	values := valuesOf(letters)
	b := wire.AppendArrayHeader(nil, len(values))
	for _, v := range values {
		b = append(b, v...)
	}
	return b
}

// aStateOf is a state of the kind that two origins wrote, one of them twice, and in which
// something is there.
func aStateOf(t require.TestingT, k Kind) []byte {
	edits := []Edit{{To: []byte{5}}, {From: []byte{5}, To: []byte{7}}, {From: []byte{7}, To: []byte{9}}}
	switch k {
	case KindSet, KindList:
		edits = []Edit{{To: array("abc")}, {From: array("abc"), To: array("cab")}, {From: array("abc"), To: array("cbd")}}
	case KindFlag:
		on, off := wire.AppendBool(nil, true), wire.AppendBool(nil, false)
		edits = []Edit{{To: on}, {From: on, To: off}, {From: off, To: on}}
	}
	state := written(t, k, nil, edits[0], writeAt(1, "a"))
	state = written(t, k, state, edits[1], writeAt(2, "b"))
	return written(t, k, state, edits[2], writeAt(3, "a"))
}

var standaloneKinds = []Kind{KindRegister, KindMax, KindMin, KindCounter, KindSet, KindList, KindFlag}

func TestAStateIsLiveUntilItIsWrittenAway(t *testing.T) {
	for _, k := range standaloneKinds {
		state := aStateOf(t, k)
		require.True(t, Live(k, state), "%v", k)
		require.False(t, Live(k, nil), "%v", k)
		now, err := ReadState(nil, k, state)
		require.NoError(t, err)
		require.Len(t, now, 1, "%v", k)
		gone := written(t, k, state, Edit{From: now[0].Value}, writeAt(9, "c"))
		require.False(t, Live(k, gone), "%v", k)
		require.NotEqual(t, state, gone, "%v", k)
	}
}

// Two that take different elements away leave a set without the mark that it exists, and one
// that takes the last leaves the mark: neither is there.
func TestASetWithoutElementsIsNotThere(t *testing.T) {
	remove := func(letters string) (e Edit) {
		for _, v := range valuesOf(letters) {
			e.Intents = append(e.Intents, Intent{Op: OpRemove, Element: v})
		}
		return e
	}
	state := written(t, KindSet, nil, Edit{To: array("ab")}, writeAt(1, "a"))
	marked := written(t, KindSet, state, remove("ab"), writeAt(2, "b"))
	_, body, _ := Cut(marked)
	require.True(t, Present(body))
	require.False(t, Live(KindSet, marked))

	one, two := written(t, KindSet, state, remove("a"), writeAt(2, "a")), written(t, KindSet, state, remove("b"), writeAt(2, "b"))
	both, err := JoinStates(nil, KindSet, one, two)
	require.NoError(t, err)
	require.True(t, Live(KindSet, one))
	require.False(t, Live(KindSet, both))
}

func TestAFlagThatIsOffIsThere(t *testing.T) {
	off := wire.AppendBool(nil, false)
	state := written(t, KindFlag, nil, Edit{To: off}, writeAt(1, "a"))
	require.True(t, Live(KindFlag, state))
	now, err := ReadState(nil, KindFlag, state)
	require.NoError(t, err)
	require.Equal(t, []fieldwise.Sibling{{Version: writeAt(1, "a"), Value: off}}, now)
}

func TestPropertyElementsThatAreFoundAreThoseThatAreThere(t *testing.T) {
	randtest.Check(t, 500, 5000, func(t *rapid.T) {
		var state []byte
		var there [][]byte
		for i := range rapid.IntRange(0, 4).Draw(t, "writes") {
			to := rapid.SampledFrom([]string{"", "a", "ab", "bcd", "adf"}).Draw(t, "to")
			e := Edit{From: array(lettersOf(t, there)), To: array(to)}
			state = written(t, KindSet, state, e, writeAt(fieldwise.Timestamp(i+1), rapid.SampledFrom([]fieldwise.Region{"a", "b"}).Draw(t, "region")))
			there = valuesOf(to)
		}
		asked := valuesOf(lettersOf(t, rapid.SliceOfNDistinct(rapid.SampledFrom(valuesOf("abcdefg")), 0, 7, func(v []byte) string { return string(v) }).Draw(t, "asked")))
		slices.SortFunc(asked, bytes.Compare)
		want := slices.DeleteFunc(slices.Clone(asked), func(v []byte) bool {
			return !slices.ContainsFunc(there, func(o []byte) bool { return bytes.Equal(o, v) })
		})
		found, n, err := FindElements(state, asked)
		require.NoError(t, err)
		require.Equal(t, len(there), n)
		require.Equal(t, lettersOf(t, want), lettersOf(t, found))
	})
}

// What is cut or damaged gives an error or another state, and never a panic.
func TestDamagedStatesAreReadWithoutPanic(t *testing.T) {
	for _, k := range standaloneKinds {
		state := aStateOf(t, k)
		use := func(b []byte) {
			_ = Live(k, b)
			_, _, _ = FindElements(b, valuesOf("ab"))
			_, _ = ReadState(nil, k, b)
			for _, e := range []Edit{{}, {Intents: []Intent{{Op: OpReset}}}, {Intents: []Intent{{Op: OpClear}}}} {
				_, _ = WriteState(nil, k, b, e, writeAt(9, "c"))
			}
		}
		for i := range state {
			use(state[:i])
			for bit := range 8 {
				bad := bytes.Clone(state)
				bad[i] ^= 1 << bit
				use(bad)
			}
		}
	}
}

func TestKindsThatThisReleaseDoesNotKnow(t *testing.T) {
	const unknown = Kind(0x1e)
	state := aStateOf(t, KindCounter)
	_, errJoin := JoinStates(nil, unknown, state, state)
	_, errRead := ReadState(nil, unknown, state)
	_, errWrite := WriteState(nil, unknown, state, Edit{}, writeAt(9, "c"))
	for _, err := range []error{CheckState(unknown, state), errJoin, errRead, errWrite} {
		require.ErrorIs(t, err, fieldwise.ErrUnsupportedKind)
	}
	require.False(t, Live(unknown, state))
}

func TestAWriteRefusesWhatNamesAnOriginOutsideTheTable(t *testing.T) {
	table := encodeTable([]fieldwise.Origin{{Region: "a", Incarnation: 1}})
	far := append(wire.AppendUint(nil, 4096<<headShift), 0, 0, 0, 0, 0, 0, 0, 1, 5)
	for _, k := range []Kind{KindRegister, KindCounter} {
		_, err := WriteState(nil, k, slices.Concat(table, far), Edit{Intents: []Intent{{Op: OpReset}}}, writeAt(9, "c"))
		require.ErrorIs(t, err, fieldwise.ErrMalformed, "%v", k)
	}
}
