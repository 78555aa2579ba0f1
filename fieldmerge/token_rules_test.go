package fieldmerge_test

import (
	"bytes"
	"encoding/base64"
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

// What one release does not know of a group stays, whoever writes the group; and a group
// that was unset does not read what its members held before.
func TestAGroupOfTwoReleases(t *testing.T) {
	type small struct {
		Amount *int    `merge:"amount,lww,group=price"`
		Unit   *string `merge:"unit,lww,group=price"`
	}
	type large struct {
		Amount *int    `merge:"amount,lww,group=price"`
		Unit   *string `merge:"unit,lww,group=price"`
		Tax    *int    `merge:"tax,lww,group=price"`
	}
	type before struct {
		Amount *int    `merge:"amount,lww"`
		Unit   *string `merge:"unit,lww"`
	}
	open := func(name string, site *stepped) (ds *fieldmerge.Domain[small], dl *fieldmerge.Domain[large], db *fieldmerge.Domain[before]) {
		s, err := fieldmerge.NewSchema[small]()
		require.NoError(t, err, name)
		l, err := fieldmerge.NewSchema[large]()
		require.NoError(t, err, name)
		b, err := fieldmerge.NewSchema[before]()
		require.NoError(t, err, name)
		ds, err = fieldmerge.Open(site, "d", s)
		require.NoError(t, err, name)
		dl, err = fieldmerge.Open(site, "d", l)
		require.NoError(t, err, name)
		db, err = fieldmerge.Open(site, "d", b)
		require.NoError(t, err, name)
		return ds, dl, db
	}
	for name, write := range map[string]func(d *fieldmerge.Domain[small], token fieldmerge.Token) error{
		"update": func(d *fieldmerge.Domain[small], _ fieldmerge.Token) error {
			_, err := d.Update(ctx(), key, func(p *small) error { p.Amount = ptr(2); return nil })
			return err
		},
		"patch": func(d *fieldmerge.Domain[small], _ fieldmerge.Token) error {
			_, err := d.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"amount": 2}})
			return err
		},
		"replace": func(d *fieldmerge.Domain[small], _ fieldmerge.Token) error {
			_, err := d.Replace(ctx(), key, small{ptr(1), ptr("EUR")}, small{ptr(2), ptr("EUR")})
			return err
		},
		"put": func(d *fieldmerge.Domain[small], token fieldmerge.Token) error {
			_, err := d.Put(ctx(), key, token, small{ptr(2), ptr("EUR")})
			return err
		},
	} {
		site := newStepped(fieldmerge.Merger{}, "a", 1)
		ds, dl, _ := open(name, site)
		_, err := dl.Create(ctx(), key, large{ptr(1), ptr("EUR"), ptr(19)})
		require.NoError(t, err, name)
		_, token, err := ds.Read(ctx(), key)
		require.NoError(t, err, name)
		require.NoError(t, write(ds, token), name)
		got, err := dl.Get(ctx(), key)
		require.NoError(t, err, name)
		require.Equal(t, large{ptr(2), ptr("EUR"), ptr(19)}, got, name)
	}
	site := newStepped(fieldmerge.Merger{}, "a", 1)
	ds, _, db := open("unset", site)
	_, err := db.Create(ctx(), key, before{ptr(1), ptr("EUR")})
	require.NoError(t, err)
	got, err := ds.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, small{ptr(1), ptr("EUR")}, got)
	_, err = ds.Update(ctx(), key, func(p *small) error { *p = small{ptr(2), ptr("EUR")}; return nil })
	require.NoError(t, err)
	_, err = ds.Update(ctx(), key, func(p *small) error { *p = small{}; return nil })
	require.NoError(t, err)
	got, err = ds.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, small{}, got)
}

func TestWhatIsNoTokenIsRefused(t *testing.T) {
	a := newSite(t, lwwSchema(t), "a")
	a.create(1, doc{"f": 1, "g": 2})
	_, token, err := a.domain.Read(ctx(), key)
	require.NoError(t, err)
	whole, err := base64.RawURLEncoding.DecodeString(token.String())
	require.NoError(t, err)
	n := len(whole) - len("\xa1f\x01\xa1g\x02") // of what is before the fields
	for name, b := range map[string][]byte{
		"nothing":                     {},
		"another format":              append([]byte{2}, whole[1:]...),
		"a record that was deleted":   append([]byte{1, 2}, whole[2:]...),
		"a record that never lived":   append([]byte{1, 0}, whole[2:]...),
		"too many lives":              append([]byte{1, 0xcf, 0, 0x20, 0, 0, 0, 0, 0, 1}, whole[2:]...),
		"no origins":                  whole[:2],
		"a field twice":               append(bytes.Clone(whole), "\xa1g\x02"...),
		"fields in another order":     append(bytes.Clone(whole[:n]), "\xa1g\x02\xa1f\x01"...),
		"a field without a value":     append(bytes.Clone(whole), "\xa1h"...),
		"a value that is too large":   append(bytes.Clone(whole), "\xa1h\xd9\x20eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"...),
		"a hash that is no hash":      append(bytes.Clone(whole), "\xa1h\xc4\x21eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"...),
		"a value that is not minimal": append(bytes.Clone(whole), "\xa1h\xcc\x01"...),
		"times that end early":        whole[:n-1],
	} {
		parsed, err := fieldmerge.ParseToken(base64.RawURLEncoding.EncodeToString(b))
		require.ErrorIs(t, err, fieldmerge.ErrToken, name)
		require.True(t, parsed.IsZero(), name)
	}
	parsed, err := fieldmerge.ParseToken(base64.RawURLEncoding.EncodeToString(whole[:n]))
	require.NoError(t, err, "a record without fields")
	require.False(t, parsed.IsZero())
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
	require.Equal(t, a.State, b.State)
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
		b.join(t, a.State)
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

func TestUnsettingAStructUnsetsWhatOnlyAnotherReleaseKnowsOf(t *testing.T) {
	type part struct {
		X string `merge:"x,lww"`
	}
	type wider struct {
		X string `merge:"x,lww"`
		Y string `merge:"y,lww"`
	}
	type older struct {
		N *part `merge:"n,nested"`
	}
	type newer struct {
		N *wider `merge:"n,nested"`
	}
	one, err := fieldmerge.NewSchema[older]()
	require.NoError(t, err)
	two, err := fieldmerge.NewSchema[newer]()
	require.NoError(t, err)
	site, first := on(t, one, "a")
	second, err := fieldmerge.Open(site, "d", two)
	require.NoError(t, err)
	_, err = second.Upsert(ctx(), key, func(p *newer) error { p.N = &wider{"x", "y"}; return nil })
	require.NoError(t, err)
	_, err = first.Update(ctx(), key, func(p *older) error { p.N = nil; return nil })
	require.NoError(t, err)
	got, err := second.Get(ctx(), key)
	require.NoError(t, err)
	require.Nil(t, got.N)
}
