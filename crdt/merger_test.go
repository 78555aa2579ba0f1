package crdt_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// mechanisms are the mergers of records that are one mechanism each, and their kinds.
var mechanisms = []struct {
	merger interface {
		fieldwise.Merger
		fieldwise.Deleter
	}
	kind lattice.Kind
}{
	{crdt.CounterMerger{}, lattice.KindCounter},
	{crdt.SetMerger{}, lattice.KindSet},
	{crdt.ListMerger{}, lattice.KindList},
	{crdt.FlagMerger{}, lattice.KindFlag},
	{crdt.MaxMerger{}, lattice.KindMax},
	{crdt.MinMerger{}, lattice.KindMin},
}

// editsOf are three things to write to a record of the kind: the second takes back
// something of the first.
func editsOf(k lattice.Kind) [3]lattice.Edit {
	list := func(elems ...string) []byte {
		b := wire.AppendArrayHeader(nil, len(elems))
		for _, e := range elems {
			b = wire.AppendString(b, e)
		}
		return b
	}
	intents := func(all ...lattice.Intent) lattice.Edit { return lattice.Edit{Intents: all} }
	switch k {
	case lattice.KindCounter:
		return [3]lattice.Edit{
			intents(lattice.Intent{Op: lattice.OpInc, Amount: 300}),
			intents(lattice.Intent{Op: lattice.OpReset}, lattice.Intent{Op: lattice.OpDec, Amount: 2}),
			intents(lattice.Intent{Op: lattice.OpInc, Amount: 1}),
		}
	case lattice.KindSet, lattice.KindList:
		return [3]lattice.Edit{
			{To: list("a", "b", "c")},
			{From: list("a", "b", "c"), To: list("d", "a", "b")},
			{From: list("a"), To: list()},
		}
	case lattice.KindFlag:
		yes, no := wire.AppendBool(nil, true), wire.AppendBool(nil, false)
		return [3]lattice.Edit{{To: yes}, {From: yes, To: no}, {From: no, To: yes}}
	}
	return [3]lattice.Edit{{To: []byte{7}}, {To: []byte{9}}, {To: wire.AppendFloat(nil, 8.5)}}
}

// samplesOf are states of all shapes of the kind: of one write and several, concurrent and
// not, written away and written again, one version with two contents.
func samplesOf(t require.TestingT, m fieldwise.Deleter, k lattice.Kind) [][]byte {
	edits := editsOf(k)
	write := func(state []byte, e lattice.Edit, v fieldwise.Version) []byte {
		delta, err := lattice.WriteState(nil, k, state, e, v)
		require.NoError(t, err)
		return delta
	}
	join := func(a []byte, more ...[]byte) []byte {
		for _, b := range more {
			out, err := m.(fieldwise.Merger).Merge(nil, a, b)
			require.NoError(t, err)
			a = out
		}
		return a
	}
	a := write(nil, edits[0], at(1, "a"))
	b := write(nil, edits[0], at(1, "b"))
	both := join(a, b)
	c := write(both, edits[1], at(2, "c"))
	d := write(join(a, c), edits[2], at(3, "a"))
	gone, err := m.Delete(nil, both, at(4, "b"))
	require.NoError(t, err)
	again := write(join(both, gone), edits[0], at(5, "b"))
	twice := write(nil, edits[2], at(1, "a"))
	all := [][]byte{a, b, both, c, join(both, c), d, join(a, c, d), gone, join(both, gone), join(c, gone), again}
	if len(twice) > 0 { // there is something to do on nothing
		all = append(all, twice, join(twice, c))
	}
	return all
}

// crowdOf is a state of more origins than the first 64, which are dealt with apart.
func crowdOf(t require.TestingT, m fieldwise.Merger, k lattice.Kind) (crowd []byte) {
	for i := range uint64(70) {
		delta, err := lattice.WriteState(nil, k, nil, editsOf(k)[0], fieldwise.Version{Time: 5, Origin: origin("a-b", i)})
		require.NoError(t, err)
		crowd, err = m.Merge(nil, crowd, delta)
		require.NoError(t, err)
	}
	return crowd
}

func TestLawsOfEveryMechanismHoldByCheckLaws(t *testing.T) {
	for _, m := range mechanisms {
		t.Run(m.merger.Name(), func(t *testing.T) {
			samples := samplesOf(t, m.merger, m.kind)
			require.NoError(t, fieldwise.CheckLaws(func() fieldwise.Merger { return m.merger }, samples...))
		})
	}
}

// The names stand in the logs of regions: another name is another format.
func TestNamesOfMechanisms(t *testing.T) {
	var names []string
	for _, m := range mechanisms {
		names = append(names, m.merger.Name())
		_, reports := m.merger.(fieldwise.ConflictReporter)
		require.Equal(t, m.kind.Registers(), reports, "only registers can hide what was written")
	}
	require.Equal(t, []string{"counter/1", "set/1", "list/1", "flag/1", "max/1", "min/1"}, names)
}

// Deletes take away what they know of, and what they do not know of stays.
func TestADeleteTakesAwayWhatItKnowsOf(t *testing.T) {
	for _, m := range mechanisms {
		first, err := lattice.WriteState(nil, m.kind, nil, editsOf(m.kind)[0], at(1, "a"))
		require.NoError(t, err)
		other, err := lattice.WriteState(nil, m.kind, nil, editsOf(m.kind)[0], at(1, "b"))
		require.NoError(t, err)
		require.True(t, m.merger.Live(first))
		gone, err := m.merger.Delete(nil, first, at(2, "c"))
		require.NoError(t, err)
		after, err := m.merger.Merge(nil, first, gone)
		require.NoError(t, err)
		require.False(t, m.merger.Live(after), m.merger.Name())
		none, err := m.merger.Delete([]byte("dst"), after, at(3, "c"))
		require.NoError(t, err)
		require.Equal(t, "dst", string(none), "what is not live gives no delta")
		survived, err := m.merger.Merge(nil, after, other)
		require.NoError(t, err)
		require.True(t, m.merger.Live(survived), m.merger.Name())
	}
}

func TestADeleteOfAMaximumThatIsOverruledIsReported(t *testing.T) {
	for _, m := range []interface {
		fieldwise.Deleter
		fieldwise.ConflictReporter
	}{crdt.MaxMerger{}, crdt.MinMerger{}} {
		k, policy := lattice.KindMax, "max"
		if m == (crdt.MinMerger{}) {
			k, policy = lattice.KindMin, "min"
		}
		first, err := lattice.WriteState(nil, k, nil, lattice.Edit{To: []byte{5}}, at(1, "a"))
		require.NoError(t, err)
		gone, err := m.Delete(nil, first, at(3, "c"))
		require.NoError(t, err)
		raised, err := lattice.WriteState(nil, k, first, lattice.Edit{To: []byte{6}}, at(2, "b"))
		require.NoError(t, err)
		found, err := m.Conflicts(nil, gone, raised)
		require.NoError(t, err)
		require.Equal(t, []fieldwise.Conflict{{
			Kind: fieldwise.ConflictUpdate, Policy: policy, Reason: "a value goes before its absence",
			Loser:  fieldwise.Sibling{Version: at(3, "c")},
			Winner: fieldwise.Sibling{Version: at(2, "b"), Value: []byte{6}},
		}}, found)
		other, err := lattice.WriteState(nil, k, nil, lattice.Edit{To: []byte{9}}, at(2, "a"))
		require.NoError(t, err)
		found, err = m.Conflicts(nil, raised, other)
		require.NoError(t, err)
		require.Empty(t, found, "that the other value is not shown is what such a record means")
	}
}
