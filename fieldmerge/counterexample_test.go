package fieldmerge_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

// The counterexamples of shared/FAULTS.md that apply to records of fields.

type doc = map[string]any

func ctx() context.Context { return context.Background() }

func lwwSchema(t require.TestingT) *fieldmerge.DocumentSchema {
	return newSchema(t, fieldmerge.Default(fieldmerge.LWW))
}

// site is a stepped region with its domain.
type site struct {
	*stepped
	t      *testing.T
	domain *fieldmerge.Documents
}

func newSite(t *testing.T, s *fieldmerge.DocumentSchema, name fieldwise.Region) *site {
	st := newStepped(s.Merger(), name, 1)
	d, err := fieldmerge.OpenDocuments(st, "d", s)
	require.NoError(t, err)
	return &site{stepped: st, t: t, domain: d}
}

// at makes the next write happen at the time and returns its delta.
func (s *site) at(time fieldwise.Timestamp, write func(*fieldmerge.Documents) (fieldwise.Receipt, error)) []byte {
	s.t.Helper()
	s.time = time - 1
	receipt, err := write(s.domain)
	require.NoError(s.t, err)
	require.False(s.t, receipt.IsZero())
	return s.delta
}

func (s *site) create(time fieldwise.Timestamp, d doc) []byte {
	s.t.Helper()
	return s.at(time, func(f *fieldmerge.Documents) (fieldwise.Receipt, error) { return f.Create(ctx(), key, d) })
}

func (s *site) set(time fieldwise.Timestamp, d doc) []byte {
	s.t.Helper()
	return s.at(time, func(f *fieldmerge.Documents) (fieldwise.Receipt, error) {
		return f.Patch(ctx(), key, fieldmerge.Patch{Set: d})
	})
}

func (s *site) unset(time fieldwise.Timestamp, paths ...string) []byte {
	s.t.Helper()
	return s.at(time, func(f *fieldmerge.Documents) (fieldwise.Receipt, error) {
		return f.Patch(ctx(), key, fieldmerge.Patch{Unset: paths})
	})
}

func (s *site) delete(time fieldwise.Timestamp) []byte {
	s.t.Helper()
	return s.at(time, func(f *fieldmerge.Documents) (fieldwise.Receipt, error) { return f.Delete(ctx(), key) })
}

func (s *site) take(deltas ...[]byte) (found []fieldwise.Conflict) {
	for _, d := range deltas {
		found = append(found, s.join(s.t, d)...)
	}
	return found
}

func (s *site) shows(want doc) {
	s.t.Helper()
	got, err := s.domain.Get(ctx(), key)
	if want == nil {
		require.ErrorIs(s.t, err, fieldwise.ErrNotFound)
		return
	}
	require.NoError(s.t, err)
	require.Equal(s.t, want, got)
}

// everyOrder calls f with the deltas in every order.
func everyOrder(deltas [][]byte, f func(order [][]byte)) {
	var permute func(done, left [][]byte)
	permute = func(done, left [][]byte) {
		if len(left) == 0 {
			f(done)
		}
		for i := range left {
			rest := append(append([][]byte{}, left[:i]...), left[i+1:]...)
			permute(append(done[:len(done):len(done)], left[i]), rest)
		}
	}
	permute(nil, deltas)
}

// agree demands that a third region shows the same in every order of the deltas.
func agree(t *testing.T, s *fieldmerge.DocumentSchema, want doc, deltas ...[]byte) {
	t.Helper()
	everyOrder(deltas, func(order [][]byte) {
		z := newSite(t, s, "z")
		z.take(order...)
		z.shows(want)
	})
}

func version(time fieldwise.Timestamp, r fieldwise.Region) fieldwise.Version {
	return fieldwise.Version{Time: time, Origin: fieldwise.Origin{Region: r, Incarnation: 1}}
}

func TestCE01TieIsDecidedByRegionEverywhere(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	x, y := a.create(100, doc{"f": "x"}), b.create(100, doc{"f": "y"})
	foundA, foundB := a.take(y), b.take(x)
	a.shows(doc{"f": "y"})
	b.shows(doc{"f": "y"})
	require.Equal(t, a.State, b.State)
	require.Len(t, foundA, 1)
	require.Equal(t, foundA, foundB, "both report the same loser")
	require.Equal(t, fieldwise.Conflict{
		Kind: fieldwise.ConflictCreate, Field: "f", Policy: "lww", Reason: `same time; "b" comes after "a"`,
		Loser:  fieldwise.Sibling{Version: version(100, "a"), Value: []byte(encode("x")), Created: true},
		Winner: fieldwise.Sibling{Version: version(100, "b"), Value: []byte(encode("y")), Created: true},
	}, foundA[0])
	agree(t, s, doc{"f": "y"}, x, y)
}

func TestCE02OneStampWithTwoValuesIsSeenAndReported(t *testing.T) {
	s := lwwSchema(t)
	first, second := newSite(t, s, "a"), newSite(t, s, "a") // one identity, used twice
	v1, v2 := first.create(100, doc{"f": "v1"}), second.create(100, doc{"f": "v2"})
	b, c := newSite(t, s, "b"), newSite(t, s, "c")
	b.take(v1)
	c.take(v2)
	for _, found := range [][]fieldwise.Conflict{b.take(v2), c.take(v1)} {
		require.Len(t, found, 1)
		require.Equal(t, fieldwise.ConflictStamp, found[0].Kind)
		require.Equal(t, "f", found[0].Field)
		require.Equal(t, encode("v1"), string(found[0].Loser.Value))
		require.Equal(t, encode("v2"), string(found[0].Winner.Value))
		require.Equal(t, version(100, "a"), found[0].Loser.Version)
	}
	b.shows(doc{"f": "v2"})
	c.shows(doc{"f": "v2"})
	require.Equal(t, b.State, c.State)
}

func TestCE04TieDoesNotTearARow(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	x := a.create(100, doc{"lat": int64(1), "lon": int64(1)})
	y := b.create(100, doc{"lat": int64(2), "lon": int64(0)})
	agree(t, s, doc{"lat": int64(2), "lon": int64(0)}, x, y)
}

// Field merge keeps the price of one region and the currency of the other: what belongs
// together has to be one value (groups come later). Nothing disappears in silence.
func TestCE05FieldsMergeOnTheirOwn(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	base := a.create(1, doc{"price": int64(1), "cur": "USD"})
	b.take(base)
	x := a.set(100, doc{"price": int64(10)})
	y := b.set(99, doc{"price": int64(2), "cur": "EUR"})
	agree(t, s, doc{"price": int64(10), "cur": "EUR"}, base, x, y)
	found := a.take(y)
	require.Len(t, found, 1)
	require.Equal(t, "price", found[0].Field)
	require.Equal(t, version(99, "b"), found[0].Loser.Version)
	require.Empty(t, a.take(y, base), "the same again hides nothing new")
}

func TestCE07CausalityFirstThenPriority(t *testing.T) {
	s := newSchema(t, fieldmerge.Default(fieldmerge.Priority), fieldmerge.Ranks("a", "c", "b"))
	a, b, c := newSite(t, s, "a"), newSite(t, s, "b"), newSite(t, s, "c")
	x := a.create(1, doc{"f": "x"})
	b.take(x)
	y := b.set(2, doc{"f": "y"}) // saw x
	z := c.create(3, doc{"f": "z"})
	agree(t, s, doc{"f": "z"}, x, y, z)
	m := s.Merger()
	xz, err := m.Merge(nil, x, z)
	require.NoError(t, err)
	left, err := m.Merge(nil, xz, y)
	require.NoError(t, err)
	yz, err := m.Merge(nil, y, z)
	require.NoError(t, err)
	right, err := m.Merge(nil, x, yz)
	require.NoError(t, err)
	require.Equal(t, left, right)
}

// A delete and what was concurrent to it: delete wins, whatever the clocks and the order,
// and each region reports what it dropped.
func TestCE08DeleteAgainstConcurrentUpdates(t *testing.T) {
	s := lwwSchema(t)
	a, b, c := newSite(t, s, "a"), newSite(t, s, "b"), newSite(t, s, "c")
	base := a.create(1, doc{"name": "n", "hits": int64(1), "tags": []any{}})
	b.take(base)
	c.take(base)
	del := a.delete(100)
	hits, tags := b.set(101, doc{"hits": int64(6)}), c.set(99, doc{"tags": []any{"t"}})
	agree(t, s, nil, base, del, hits, tags)
	found := a.take(hits, tags)
	require.Len(t, found, 2)
	for i, want := range []string{"hits", "tags"} {
		require.Equal(t, fieldwise.ConflictDelete, found[i].Kind)
		require.Equal(t, want, found[i].Field, "what the delete had seen is not reported")
		require.Equal(t, version(100, "a"), found[i].Winner.Version)
		require.Equal(t, "delete wins", found[i].Policy)
	}
	found = b.take(del)
	require.Len(t, found, 1)
	require.Equal(t, "hits", found[0].Field)
	require.Equal(t, version(101, "b"), found[0].Loser.Version)
	require.Equal(t, encode(int64(6)), string(found[0].Loser.Value))

	b.take(tags)
	again := b.create(102, doc{"name": "again"}) // saw the delete
	b.shows(doc{"name": "again"})
	agree(t, s, doc{"name": "again"}, base, del, hits, tags, again)
}

// What saw the value from the year 2099 replaces it; nothing older does.
func TestCE21ValueFrom2099IsReplacedByWhoSawIt(t *testing.T) {
	s := lwwSchema(t)
	const y2099, y2027 = 4070908800000 << 16, 1800000000000 << 16
	a, b, c := newSite(t, s, "a"), newSite(t, s, "b"), newSite(t, s, "c")
	base := a.create(1, doc{"f": "base"})
	b.take(base)
	c.take(base)
	bad := c.set(y2099, doc{"f": "bad"})
	blind := b.set(y2027-1, doc{"f": "blind"}) // did not see it
	a.take(bad)
	fix := a.set(y2027, doc{"f": "fix"})
	a.shows(doc{"f": "fix"})
	agree(t, s, doc{"f": "bad"}, base, bad, blind)
	agree(t, s, doc{"f": "fix"}, base, bad, fix)
	agree(t, s, doc{"f": "fix"}, base, bad, blind, fix)
	b.take(bad)
	require.Empty(t, b.take(base))
	found := b.take(fix)
	require.Empty(t, found, "blind was reported when it lost to bad; nobody lost to fix now but bad, knowingly")
	b.shows(doc{"f": "fix"})
}

// A tombstone stays: a replica that comes back with the old record takes it.
func TestCE24StaleReplicaDoesNotResurrect(t *testing.T) {
	s := lwwSchema(t)
	a, c := newSite(t, s, "a"), newSite(t, s, "c")
	c.take(a.create(50, doc{"f": "v"}))
	a.delete(100)
	require.Empty(t, a.take(c.State), "the delete had seen all of it")
	a.shows(nil)
	require.Empty(t, c.take(a.State))
	c.shows(nil)
	require.Equal(t, a.State, c.State)
}

// A state that is installed is joined, so that what was not shipped yet stays.
func TestCE25StateOverLocalWritesIsAJoin(t *testing.T) {
	s := lwwSchema(t)
	a, d := newSite(t, s, "a"), newSite(t, s, "d")
	a.create(10, doc{"g": int64(1)})
	a.set(150, doc{"f": "snap"})
	d.create(200, doc{"f": "local"})
	found := d.take(a.State)
	require.Len(t, found, 1)
	require.Equal(t, version(150, "a"), found[0].Loser.Version)
	d.shows(doc{"f": "local", "g": int64(1)})
}
