package fieldmerge_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

// Rules of the design's section on records that no other file holds: each is a test of its
// name. The others are in rules_test.go, counterexample_test.go, struct_test.go,
// explain_test.go, evolution_test.go and tokens_test.go.

// Records.

func TestLifeIsOddWhileAliveAndEvenWhileDeletedAndCountsBoth(t *testing.T) {
	a := newSite(t, lwwSchema(t), "a")
	for life := uint64(1); life < 300; life += 2 { // past one byte
		a.create(fieldwise.Timestamp(10*life), doc{"f": int64(1)})
		a.set(fieldwise.Timestamp(10*life+1), doc{"f": int64(2)})
		e, err := a.domain.Explain(ctx(), key)
		require.NoError(t, err)
		require.Equal(t, life, e.Life, "an update does not count")
		require.Nil(t, e.Deleted)
		a.delete(fieldwise.Timestamp(10*life + 2))
		e, err = a.domain.Explain(ctx(), key)
		require.NoError(t, err)
		require.Equal(t, life+1, e.Life)
		require.NotNil(t, e.Deleted)
	}
}

func TestEqualLivesJoinFieldByField(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	x, y := a.create(1, doc{"f": int64(1), "m": doc{"x": int64(1)}}), b.create(2, doc{"g": int64(2), "m": doc{"y": int64(2)}})
	agree(t, s, doc{"f": int64(1), "g": int64(2), "m": doc{"x": int64(1), "y": int64(2)}}, x, y)
}

func TestARecordWithoutFieldsExists(t *testing.T) {
	a := newStepped(lwwSchema(t).Merger(), "a", 1)
	d := release[named1](t, a)
	_, err := d.Create(ctx(), key, named1{})
	require.NoError(t, err)
	got, err := d.Get(ctx(), key)
	require.NoError(t, err)
	require.Zero(t, got)
	n, err := d.Len(ctx())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	_, err = d.Create(ctx(), key, named1{})
	require.ErrorIs(t, err, fieldwise.ErrExists)
}

func TestATombstoneHoldsNoValuesAndStays(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	b.take(a.create(1, doc{"name of a field": "a secret"}))
	a.set(2, doc{"name of a field": "another secret"})
	a.delete(3)
	require.NotContains(t, string(a.State), "secret")
	require.NotContains(t, string(a.State), "name of a field")
	state := a.State
	a.take(b.State) // a replica that comes back with the record
	require.Equal(t, state, a.State)
}

// What tombstones have seen is joined by maximum, so that what either delete knew of is
// reported by nobody.
func TestTombstonesJoinWhatTheirDeletesHadSeen(t *testing.T) {
	s := lwwSchema(t)
	a, b, c := newSite(t, s, "a"), newSite(t, s, "b"), newSite(t, s, "c")
	base := c.create(1, doc{"f": int64(1)})
	a.take(base)
	b.take(base)
	late := c.set(5, doc{"f": int64(2)})
	b.take(late)
	knew, ignorant := b.delete(6), a.delete(7)
	require.Len(t, a.take(late), 1, "this delete did not know of it")
	z := newSite(t, s, "z")
	z.take(ignorant, knew)
	require.Empty(t, z.take(base, late))
	z = newSite(t, s, "z")
	z.take(knew, ignorant)
	require.Empty(t, z.take(late, base))
}

// Paths.

func TestNestedStructsAndMapsAreFieldsWithDottedPaths(t *testing.T) {
	site := written(t, struct {
		Home Home1                       `merge:"home,nested"`
		Deep map[string]map[string]Home1 `merge:"a.b,each=each=nested"`
	}{Home1{City: "Pune"}, map[string]map[string]Home1{`x.y\`: {"": {Zip: "1"}}}})
	require.ElementsMatch(t, []string{"home", "home.city", `a\.b`, `a\.b.x\.y\\`, `a\.b.x\.y\\.`, `a\.b.x\.y\\..zip`}, paths(t, site))
}

func TestTheStoredNameIsTheTagsOrTheGoFieldsOwn(t *testing.T) {
	type place struct {
		City string `merge:",lww"`
	}
	require.ElementsMatch(t, []string{"Name", "tel", "Home", "Home.City"}, paths(t, written(t, struct {
		Name  string `merge:",lww"`
		Phone string `merge:"tel,lww"`
		Home  place  `merge:",nested"`
	}{"n", "1", place{"Pune"}})))
}

// Policies.

// policed is what three regions show that write "of a", "of b" and "of c" at times 30, 20
// and 10, knowing nothing of each other, and then what a write that saw them makes of it.
func policed(t *testing.T, options ...fieldmerge.Option) (shown any, reports []fieldwise.Conflict) {
	s := newSchema(t, options...)
	a, b, c := newSite(t, s, "a"), newSite(t, s, "b"), newSite(t, s, "c")
	base := a.create(1, doc{})
	b.take(base)
	c.take(base)
	deltas := [][]byte{a.set(30, doc{"f": "of a"}), b.set(20, doc{"f": "of b"}), c.set(10, doc{"f": "of c"})}
	everyOrder(deltas, func(order [][]byte) {
		z := newSite(t, s, "z")
		z.take(base)
		reports = z.take(order...)
		got, err := z.domain.Get(ctx(), key)
		require.NoError(t, err)
		require.True(t, shown == nil || shown == got["f"], "the order of arrival does not count")
		shown = got["f"]
		z.set(5, doc{"f": "of z"}) // the lowest time, and no rank
		z.shows(doc{"f": "of z"})
	})
	return shown, reports
}

func TestPoliciesChooseAmongConcurrentValuesOnlyAndInAnyOrderTheSame(t *testing.T) {
	first := func(s []fieldmerge.Sibling[any]) (any, error) { return s[0].Value, nil }
	for name, c := range map[string]struct {
		options []fieldmerge.Option
		want    string
	}{
		"lww shows the largest version":            {[]fieldmerge.Option{fieldmerge.Default(fieldmerge.LWW)}, "of a"},
		"earliest shows the smallest":              {[]fieldmerge.Option{fieldmerge.Default(fieldmerge.Earliest)}, "of c"},
		"priority shows the highest rank":          {[]fieldmerge.Option{fieldmerge.Default(fieldmerge.Priority), fieldmerge.Ranks("b", "a", "c")}, "of b"},
		"unranked regions come after ranked ones":  {[]fieldmerge.Option{fieldmerge.Default(fieldmerge.Priority), fieldmerge.Ranks("c")}, "of c"},
		"of those without a rank the newest shows": {[]fieldmerge.Option{fieldmerge.Default(fieldmerge.Priority), fieldmerge.Ranks("x")}, "of a"},
		"a function gets the oldest version first": {[]fieldmerge.Option{fieldmerge.Default("custom=first"), fieldmerge.Custom("first", first)}, "of c"},
		"a function may compute a value": {[]fieldmerge.Option{fieldmerge.Default("custom=all"), fieldmerge.Custom("all", func(s []fieldmerge.Sibling[any]) (any, error) {
			var all []string
			for _, one := range s {
				all = append(all, one.Value.(string))
			}
			return strings.Join(all, " "), nil
		})}, "of c of b of a"},
	} {
		shown, _ := policed(t, c.options...)
		require.Equal(t, c.want, shown, name)
	}
}

func TestAPolicyThatFailsShowsTheNewestAndIsReported(t *testing.T) {
	for name, f := range map[string]func([]fieldmerge.Sibling[any]) (any, error){
		"an error": func([]fieldmerge.Sibling[any]) (any, error) { return nil, errors.New("boom") },
		"a panic":  func([]fieldmerge.Sibling[any]) (any, error) { panic("boom") },
	} {
		shown, reports := policed(t, fieldmerge.Default("custom=fails"), fieldmerge.Custom("fails", f))
		require.Equal(t, "of a", shown, name)
		require.NotEmpty(t, reports)
		for _, c := range reports {
			require.Equal(t, fieldwise.ConflictPolicy, c.Kind, name)
			require.Contains(t, c.Reason, "boom")
		}
	}
}

func TestARegionOfLowPriorityCanCorrectAFieldThatItSaw(t *testing.T) {
	s := newSchema(t, fieldmerge.Default(fieldmerge.Priority), fieldmerge.Ranks("a", "b"))
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	base := a.create(9, doc{"f": "of a"})
	b.take(base)
	agree(t, s, doc{"f": "of b"}, base, b.set(2, doc{"f": "of b"}))
}

// Writes.

func TestANilPointerIsUnsetAndAZeroValueIsWritten(t *testing.T) {
	type record struct {
		A *string `merge:"a,lww"`
		B string  `merge:"b,lww"`
		C *Home1  `merge:"c,nested"`
	}
	site := written(t, record{ptr("x"), "y", &Home1{City: "Pune"}})
	change(t, release[record](t, site), func(r *record) { *r = record{} })
	require.Equal(t, []string{"unset by a"}, stored(t, site, "a"))
	require.Equal(t, []string{" of a"}, stored(t, site, "b"))
	require.Equal(t, []string{"unset by a"}, stored(t, site, "c"))
	require.Equal(t, []string{"unset by a"}, stored(t, site, "c.city"))
}

func TestAWriteUnderATokenIsRefusedWhereThisRegionChangedWhatItChanges(t *testing.T) {
	site := written(t, named1{"Asha", "1"})
	d := release[named1](t, site)
	read, token, err := d.Read(ctx(), key)
	require.NoError(t, err)
	change(t, d, func(n *named1) { n.Phone = "2" })
	state := site.State
	for name, write := range map[string]func() (fieldwise.Receipt, error){
		"put": func() (fieldwise.Receipt, error) { return d.Put(ctx(), key, token, named1{"Asha R.", "3"}) },
		"update": func() (fieldwise.Receipt, error) {
			return d.Update(ctx(), key, func(n *named1) error { n.Name, n.Phone = "Asha R.", "3"; return nil }, fieldmerge.IfMatch(token))
		},
		"patch": func() (fieldwise.Receipt, error) {
			return d.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"name": "Asha R.", "phone": "3"}}, fieldmerge.IfMatch(token))
		},
	} {
		_, err := write()
		var changed *fieldmerge.ChangedError
		require.ErrorIs(t, err, fieldmerge.ErrChanged, name)
		require.ErrorAs(t, err, &changed, name)
		require.Equal(t, key, changed.Key)
		require.Equal(t, []fieldmerge.ChangedField{{Path: "phone", Read: "1", Now: "2", Wanted: "3"}}, changed.Fields, name)
		require.Equal(t, state, site.State, "nothing is written")
	}
	// What it does not change may have changed.
	read.Name = "Asha R."
	_, err = d.Put(ctx(), key, token, read)
	require.NoError(t, err)
	got, err := d.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, named1{"Asha R.", "2"}, got)
}

func TestWhatAnotherRegionWroteSinceATokenStaysBesideTheNewValue(t *testing.T) {
	m := mix[named1, named1](t, named1{"Asha", "1"})
	_, token, err := m.old.Read(ctx(), key)
	require.NoError(t, err)
	m.changeNext(func(n *named1) { n.Phone = "of b" })
	m.sync()
	m.a.time = 200
	_, err = m.old.Put(ctx(), key, token, named1{"Asha", "of a"})
	require.NoError(t, err)
	require.Equal(t, []string{"of b of b", "of a of a"}, stored(t, m.a, "phone"))
}
