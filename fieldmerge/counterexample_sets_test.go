package fieldmerge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

// ceRecord is the record of the counterexamples of sets and counters.
type ceRecord struct {
	Name string             `merge:"name,lww"`
	Tags crdt.ORSet[string] `merge:"tags,orset"`
	Hits crdt.GCounter      `merge:"hits,gcounter"`
}

// ceSite is one region of a counterexample.
type ceSite struct {
	*stepped
	t *testing.T
	d *fieldmerge.Domain[ceRecord]
}

func ceSites(t *testing.T, names ...fieldwise.Region) map[fieldwise.Region]*ceSite {
	schema, err := fieldmerge.NewSchema[ceRecord]()
	require.NoError(t, err)
	all := make(map[fieldwise.Region]*ceSite)
	for _, name := range names {
		site, d := on(t, schema, name)
		all[name] = &ceSite{site, t, d}
	}
	return all
}

func (s *ceSite) create(v ceRecord) []byte {
	s.t.Helper()
	_, err := s.d.Create(ctx(), key, v)
	require.NoError(s.t, err)
	return s.delta
}

// update returns the delta of a change.
func (s *ceSite) update(change func(*ceRecord)) []byte {
	s.t.Helper()
	_, err := s.d.Update(ctx(), key, func(v *ceRecord) error { change(v); return nil })
	require.NoError(s.t, err)
	return s.delta
}

func (s *ceSite) tags() []string {
	s.t.Helper()
	v, err := s.d.Get(ctx(), key)
	require.NoError(s.t, err)
	return v.Tags.Values()
}

func (s *ceSite) hits() uint64 {
	s.t.Helper()
	v, err := s.d.Get(ctx(), key)
	require.NoError(s.t, err)
	return v.Hits.Value()
}

func add(tags ...string) func(*ceRecord)    { return func(v *ceRecord) { v.Tags.Add(tags...) } }
func remove(tags ...string) func(*ceRecord) { return func(v *ceRecord) { v.Tags.Remove(tags...) } }
func inc(n uint64) func(*ceRecord)          { return func(v *ceRecord) { v.Hits.Inc(n) } }

// syncAll lets all regions hear of each other.
func syncAll(t *testing.T, sites map[fieldwise.Region]*ceSite) {
	for range 2 {
		for _, s := range sites {
			for _, other := range sites {
				s.join(t, other.State)
			}
		}
	}
}

func TestCE08DeleteAgainstACounterAndASet(t *testing.T) {
	orders := [][3]fieldwise.Region{{"a", "b", "c"}, {"a", "c", "b"}, {"b", "a", "c"}, {"b", "c", "a"}, {"c", "a", "b"}, {"c", "b", "a"}}
	for _, order := range orders {
		sites := ceSites(t, "a", "b", "c", "d")
		first := sites["a"].create(ceRecord{Name: "n", Hits: crdt.NewGCounter(1)})
		for _, s := range sites {
			s.join(t, first)
			s.time = 100
		}
		deltas := make(map[fieldwise.Region][]byte)
		_, err := sites["a"].d.Delete(ctx(), key)
		require.NoError(t, err)
		deltas["a"] = sites["a"].delta
		deltas["b"] = sites["b"].update(inc(5))
		sites["c"].time = 90
		deltas["c"] = sites["c"].update(add("t"))
		var reported []string
		for _, name := range order {
			for _, c := range sites["d"].join(t, deltas[name]) {
				require.Equal(t, fieldwise.ConflictDelete, c.Kind)
				reported = append(reported, c.Field)
			}
		}
		_, err = sites["d"].d.Get(ctx(), key)
		require.ErrorIs(t, err, fieldwise.ErrNotFound, "%v", order)
		require.ElementsMatch(t, []string{"hits", "tags"}, reported, "%v", order)
		_, err = sites["d"].d.Create(ctx(), key, ceRecord{Name: "again"})
		require.NoError(t, err)
		require.Empty(t, sites["d"].tags())
		require.Zero(t, sites["d"].hits())
	}
}

func TestCE10AnAddThatARemoveDidNotSeeStays(t *testing.T) {
	sites := ceSites(t, "a", "b")
	sites["a"].create(ceRecord{Tags: crdt.NewORSet("x")})
	syncAll(t, sites)
	sites["a"].update(remove("x"))
	sites["b"].update(add("x"))
	syncAll(t, sites)
	require.Equal(t, []string{"x"}, sites["a"].tags())
	sites["b"].update(remove("x"))
	syncAll(t, sites)
	require.Empty(t, sites["a"].tags())
}

func TestCE12AStateThatKnowsMoreDoesNotBringBackWhatWasRemoved(t *testing.T) {
	sites := ceSites(t, "a", "b", "c", "d")
	sites["a"].create(ceRecord{Tags: crdt.NewORSet("foo", "bar")})
	sites["b"].create(ceRecord{Tags: crdt.NewORSet("baz")})
	sites["c"].join(t, sites["a"].State)
	sites["c"].join(t, sites["b"].State)
	sites["a"].update(remove("bar"))
	sites["d"].join(t, sites["a"].State)
	sites["d"].join(t, sites["c"].State)
	require.Equal(t, []string{"baz", "foo"}, sites["d"].tags())
}

func TestCE13AGapIsNoDelete(t *testing.T) {
	sites := ceSites(t, "a", "b")
	sites["b"].join(t, sites["a"].create(ceRecord{}))
	sites["a"].update(add("x"))
	sites["b"].join(t, sites["a"].update(add("y"))) // that of x has not come yet
	require.Equal(t, []string{"y"}, sites["b"].tags())
	sites["a"].join(t, sites["b"].State)
	require.Equal(t, []string{"x", "y"}, sites["a"].tags())
	syncAll(t, sites)
	require.Equal(t, []string{"x", "y"}, sites["b"].tags())
}

func TestCE14ARemoveThatComesBeforeTheAdd(t *testing.T) {
	sites := ceSites(t, "a", "b", "c")
	created := sites["a"].create(ceRecord{})
	added := sites["a"].update(add("x"))
	removed := sites["a"].update(remove("x"))
	for name, order := range map[fieldwise.Region][][]byte{"b": {created, added, removed}, "c": {created, removed, added}} {
		for _, delta := range order {
			sites[name].join(t, delta)
		}
		require.Empty(t, sites[name].tags(), name)
	}
	require.Equal(t, sites["b"].State, sites["c"].State)
}

func TestCE17ACounterThatWasResetCountsWhatTheResetDidNotSee(t *testing.T) {
	sites := ceSites(t, "a", "b")
	sites["a"].create(ceRecord{})
	sites["a"].update(inc(10))
	syncAll(t, sites)
	sites["a"].update(func(v *ceRecord) { v.Hits.Reset() })
	sites["a"].update(inc(1))
	sites["b"].update(inc(1))
	syncAll(t, sites)
	require.EqualValues(t, 2, sites["a"].hits())

	sites = ceSites(t, "a", "b") // b had counted before, and the reset saw it
	sites["a"].create(ceRecord{})
	syncAll(t, sites)
	sites["b"].update(inc(5))
	syncAll(t, sites)
	sites["a"].update(func(v *ceRecord) { v.Hits.Reset() })
	sites["b"].update(inc(1))
	syncAll(t, sites)
	require.EqualValues(t, 1, sites["b"].hits())
}

func TestCE19ARestoredRegionUnderAFreshIncarnationIsHeard(t *testing.T) {
	sites := ceSites(t, "a", "b")
	sites["a"].create(ceRecord{})
	var backup []byte
	for i, tag := range []string{"1", "2", "3", "4"} {
		if sites["a"].update(add(tag)); i == 1 {
			backup = sites["a"].State
		}
	}
	sites["a"].update(remove("1", "2", "3", "4"))
	syncAll(t, sites)
	restored := sites["a"]
	restored.State, restored.Open, restored.origin.Incarnation, restored.time = backup, nil, 2, 3
	require.Equal(t, []string{"1", "2"}, restored.tags())
	restored.update(add("new"))
	syncAll(t, sites)
	require.Equal(t, []string{"new"}, sites["b"].tags())
	require.Equal(t, sites["a"].State, sites["b"].State)
}
