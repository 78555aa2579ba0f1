package fieldmerge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise/fieldmerge"
)

// Two releases of one record: the second added a field and a map, gave one field a new
// name and put two into a group.
type firstRelease struct {
	Name   string  `merge:"name,lww"`
	Title  string  `merge:"heading,lww"`
	Amount int     `merge:"amount,lww"`
	Unit   *string `merge:"unit,lww"`
}

type secondRelease struct {
	Name   string            `merge:"name,lww"`
	Title  string            `merge:"title,lww,was=heading"`
	Amount int               `merge:"amount,lww,group=price"`
	Unit   *string           `merge:"unit,lww,group=price"`
	Email  string            `merge:"email,lww"`
	Prefs  map[string]string `merge:"prefs,each=lww"`
}

// A token that one release gave out is good in another: what that does not know of, and
// what it stores elsewhere, stays as it is.
func TestATokenOfAnotherReleaseTouchesOnlyWhatTheWriterChanged(t *testing.T) {
	one, err := fieldmerge.NewSchema[firstRelease]()
	require.NoError(t, err)
	two, err := fieldmerge.NewSchema[secondRelease]()
	require.NoError(t, err)
	site, first := on(t, one, "a")
	second, err := fieldmerge.Open(site, "d", two)
	require.NoError(t, err)
	written := func() (all []string) {
		for path := range registers(site.delta) {
			all = append(all, path)
		}
		return all
	}

	_, err = second.Create(ctx(), key, secondRelease{Name: "x", Title: "t", Amount: 1, Email: "e", Prefs: map[string]string{"p": "q"}})
	require.NoError(t, err)
	_, token, err := second.Read(ctx(), key)
	require.NoError(t, err)
	_, err = first.Put(ctx(), key, token, firstRelease{Name: "y"})
	require.NoError(t, err)
	require.Equal(t, []string{"name"}, written())
	got, err := second.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, secondRelease{Name: "y", Title: "t", Amount: 1, Email: "e", Prefs: map[string]string{"p": "q"}}, got)

	_, err = first.Delete(ctx(), key)
	require.NoError(t, err)
	_, err = first.Create(ctx(), key, firstRelease{Name: "x", Title: "t", Amount: 1, Unit: ptr("EUR")})
	require.NoError(t, err)
	_, token, err = first.Read(ctx(), key)
	require.NoError(t, err)
	v, err := second.Get(ctx(), key)
	require.NoError(t, err)
	v.Name = "y"
	_, err = second.Put(ctx(), key, token, v)
	require.NoError(t, err)
	require.Equal(t, []string{"name"}, written())
}

// A region that is behind the token writes all that the writer changed, even what it shows
// itself for not knowing better.
func TestARegionBehindATokenWritesWhatItShowsAlready(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	b.take(a.create(1, doc{"f": 1}))
	ahead := b.set(2, doc{"f": 2})
	_, token, err := b.domain.Read(ctx(), key)
	require.NoError(t, err)
	receipt, err := a.domain.Put(ctx(), key, token, doc{"f": 1})
	require.NoError(t, err)
	require.False(t, receipt.IsZero(), "the writer changed 2 to 1")
	b.take(a.delta)
	found := a.take(ahead)
	require.Equal(t, a.state, b.state)
	got, err := a.domain.Get(ctx(), key)
	require.NoError(t, err)
	if got["f"] != int64(1) {
		require.Len(t, found, 1)
	}
}

// The members of a group are those of one writer, whatever is there when the write is made.
func TestAGroupIsWrittenAsTheTokensReaderSawIt(t *testing.T) {
	for name, unit := range map[string]string{"in the token": "EUR", "too large for the token": long} {
		schema, err := fieldmerge.NewSchema[Priced]()
		require.NoError(t, err)
		a, da := on(t, schema, "a")
		b, db := on(t, schema, "b")
		_, err = da.Create(ctx(), key, Priced{Amount: 1, Unit: &unit})
		require.NoError(t, err)
		b.join(t, a.state)
		v, token, err := da.Read(ctx(), key)
		require.NoError(t, err)
		b.time = 2
		_, err = db.Update(ctx(), key, func(p *Priced) error { p.Amount, p.Unit = 100, ptr("JPY"); return nil })
		require.NoError(t, err)
		a.join(t, b.delta)
		to := v
		to.Amount = 2
		a.time = 3
		_, err = da.Put(ctx(), key, token, to)
		require.NoError(t, err)
		got, err := da.Get(ctx(), key)
		require.NoError(t, err)
		require.Equal(t, to, got, name)
		siblings, err := da.Siblings(ctx(), key, "price")
		require.NoError(t, err)
		require.Len(t, siblings, 2, "the other region's stays beside it")
		_, err = da.Replace(ctx(), key, v, Priced{Amount: 3, Unit: &unit})
		require.NoError(t, err)
		got, err = da.Get(ctx(), key)
		require.NoError(t, err)
		require.Equal(t, Priced{Amount: 3, Unit: &unit}, got, name)
	}
}

func TestAMemberOfALargeGroupIsUnsetUnderAToken(t *testing.T) {
	schema, err := fieldmerge.NewSchema[Priced]()
	require.NoError(t, err)
	_, d := on(t, schema, "a")
	_, err = d.Create(ctx(), key, Priced{Amount: 1, Unit: &long})
	require.NoError(t, err)
	_, token, err := d.Read(ctx(), key)
	require.NoError(t, err)
	_, err = d.Put(ctx(), key, token, Priced{Amount: 1})
	require.NoError(t, err)
	got, err := d.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, Priced{Amount: 1}, got)
}
