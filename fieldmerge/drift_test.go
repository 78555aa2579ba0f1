package fieldmerge_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/mapstore"
)

// release opens a domain of T, as one release of a service declares it, over the records
// that a site holds.
func release[T any](t require.TestingT, site fieldwise.Host, options ...fieldmerge.Option) *fieldmerge.Domain[T] {
	s, err := fieldmerge.NewSchema[T](options...)
	require.NoError(t, err)
	d, err := fieldmerge.Open(site, "d", s)
	require.NoError(t, err)
	return d
}

// written is a site with a record that a release whose records are T created.
func written[T any](t *testing.T, v T) *stepped {
	site := newStepped(lwwSchema(t).Merger(), "a", 1)
	_, err := release[T](t, site).Create(ctx(), key, v)
	require.NoError(t, err)
	return site
}

// change updates the one record.
func change[T any](t *testing.T, d *fieldmerge.Domain[T], f func(*T)) {
	t.Helper()
	receipt, err := d.Update(ctx(), key, func(v *T) error { f(v); return nil })
	require.NoError(t, err)
	require.False(t, receipt.IsZero(), "it changes something")
}

// driftOf is what Drift says to a release whose records are T, in lines.
func driftOf[T any](t require.TestingT, site fieldwise.Host, options ...fieldmerge.Option) []string {
	found, err := release[T](t, site, options...).Drift(ctx(), "")
	require.NoError(t, err)
	lines := make([]string, 0, len(found))
	for _, f := range found {
		line := fmt.Sprintf("%s %s %d %s", f.Path, f.Kind, f.Records, f.Example)
		if f.Kind == fieldmerge.DriftType {
			var e *fieldmerge.FieldError
			require.ErrorIs(t, f.Err, fieldmerge.ErrField)
			require.ErrorAs(t, f.Err, &e)
			line += ": " + e.Field + " of " + e.GoField
		} else {
			require.NoError(t, f.Err)
		}
		lines = append(lines, line)
	}
	return lines
}

// explained is what Explain says of each field to a release whose records are T.
func explained[T any](t require.TestingT, site fieldwise.Host) []string {
	e, err := release[T](t, site).Explain(ctx(), key)
	require.NoError(t, err)
	var lines []string
	for _, f := range e.Fields {
		line := fmt.Sprintf("%s=%v %s", f.Path, f.Value, f.State)
		if f.GoField != "" {
			line += " " + f.GoField
		}
		if f.Problem != "" {
			line += ": misfit"
		}
		lines = append(lines, line)
	}
	return lines
}

func TestDriftIsNothingWhereTheSchemaShowsAllThatIsStored(t *testing.T) {
	require.Empty(t, driftOf[Everything1](t, written(t, Everything1{})))
	site := written(t, Everything1{Name: "n", Prefs: map[string]string{"a": "b"}, Home: Home1{City: "Pune"}})
	require.Empty(t, driftOf[Everything1](t, site))
	require.Empty(t, driftOf[struct {
		Name string `merge:"name,lww"`
	}](t, newStepped(fieldmerge.Merger{}, "a", 1)), "there are no records")
}

type Home1 struct {
	City string `merge:"city,lww"`
	Zip  string `merge:"zip,lww"`
}

type Everything1 struct {
	Name  string            `merge:"name,lww"`
	Age   int               `merge:"age,lww"`
	Home  Home1             `merge:"home,nested"`
	Prefs map[string]string `merge:"prefs,each=lww"`
	Sites map[string]Home1  `merge:"sites,each=nested"`
}

func TestDriftOfWrongTypes(t *testing.T) {
	type home struct {
		City int `merge:"city,lww"`
	}
	type next struct {
		Name  int             `merge:"name,lww"`
		Age   int             `merge:"age,lww"`
		Home  home            `merge:"home,nested"`
		Prefs map[string]int  `merge:"prefs,each=lww"`
		Sites map[string]home `merge:"sites,each=nested"`
	}
	site := written(t, Everything1{
		Name: "n", Age: 3, Home: Home1{City: "Pune"},
		Prefs: map[string]string{"a": "x", "b": "y"}, Sites: map[string]Home1{"p": {City: "Goa"}, "q": {City: "Agra"}, "r": {}},
	})
	require.Equal(t, []string{
		"home.city type 1 k: home.city of next.Home.City",
		"name type 1 k: name of next.Name",
		"prefs.* type 1 k: prefs.a of next.Prefs[]",
		"sites.*.city type 1 k: sites.p.city of next.Sites[].City",
	}, driftOf[next](t, site), "one entry of a map, and the first one, stands for all")
	require.Equal(t, []string{
		"age=3 shown next.Age",
		"home.city=Pune shown next.Home.City: misfit",
		"name=n shown next.Name: misfit",
		"prefs.a=x shown next.Prefs[]: misfit",
		"prefs.b=y shown next.Prefs[]: misfit",
		"sites.p.city=Goa shown next.Sites[].City: misfit",
		"sites.q.city=Agra shown next.Sites[].City: misfit",
		"sites.r=map[] shown next.Sites[]",
	}, explained[next](t, site))
}

// A register can hold marks alone, where its value is still under way: what else is in the
// record counts all the same.
func TestDriftGoesOnBehindARegisterWithoutValues(t *testing.T) {
	site := written(t, Everything1{Name: "n"})
	marks := lattice.AppendItem(nil, lattice.Item{Time: 9, Superseded: true})
	site.State = append(lattice.AppendTable([]byte{1}, []fieldwise.Origin{{Region: "a", Incarnation: 1}}),
		lattice.AppendField(nil, lattice.Field{Name: []byte("a"), Kind: lattice.KindRegister, Body: marks})...)
	site.State = lattice.AppendField(site.State, lattice.Field{Name: []byte("b"), Kind: lattice.KindRegister, Body: lattice.AppendItem(nil, lattice.Item{Time: 9, Value: []byte{1}})})
	_, err := site.Merger.Merge(nil, nil, site.State)
	require.NoError(t, err)
	require.Equal(t, []string{"b unknown 1 k"}, driftOf[Everything1](t, site))
}

func TestDriftOfAFieldErrorNamesTheRecord(t *testing.T) {
	site := written(t, Everything1{Name: "n"})
	found, err := release[struct {
		Name bool `merge:"name,lww"`
	}](t, site).Drift(ctx(), "")
	require.NoError(t, err)
	var e *fieldmerge.FieldError
	require.ErrorAs(t, found[0].Err, &e)
	require.Equal(t, key, e.Key)
}

// The three kinds that a field can have, and what each says of a record that another kind
// wrote.
type (
	asValue struct {
		N string `merge:"n,lww"`
		F Home1  `merge:"f,lww"`
	}
	asNested struct {
		N string `merge:"n,lww"`
		F Home1  `merge:"f,nested"`
	}
	asEntries struct {
		N string            `merge:"n,lww"`
		F map[string]string `merge:"f,each=lww"`
	}
	asText struct {
		N string `merge:"n,lww"`
		F string `merge:"f,lww"`
	}
)

func TestDriftOfAFieldOfAnotherKind(t *testing.T) {
	home := Home1{City: "Pune", Zip: "411001"}
	value, nested := written(t, asValue{N: "n", F: home}), written(t, asNested{N: "n", F: home})
	entries := written(t, asEntries{N: "n", F: map[string]string{"city": "Pune", "other": "x"}})
	text := written(t, asText{N: "n", F: "Pune"})

	require.Equal(t, []string{"f type 1 k: f of asNested.F"}, driftOf[asNested](t, value))
	require.Equal(t, []string{"f type 1 k: f of asEntries.F"}, driftOf[asEntries](t, value))
	require.Equal(t, []string{"f type 1 k: f of asText.F"}, driftOf[asText](t, value))

	require.Equal(t, []string{"f type 1 k: f of asValue.F"}, driftOf[asValue](t, nested))
	require.Equal(t, []string{"f type 1 k: f of asText.F"}, driftOf[asText](t, nested))
	require.Empty(t, driftOf[asEntries](t, nested), "its fields are the entries")

	require.Equal(t, []string{"f type 1 k: f of asValue.F"}, driftOf[asValue](t, entries))
	require.Equal(t, []string{"f type 1 k: f of asText.F"}, driftOf[asText](t, entries))
	require.Equal(t, []string{"f.other unknown 1 k"}, driftOf[asNested](t, entries), "the others are fields of that name")

	require.Equal(t, []string{"f type 1 k: f of asNested.F"}, driftOf[asNested](t, text))
	require.Equal(t, []string{"f type 1 k: f of asEntries.F"}, driftOf[asEntries](t, text))

	empty := written(t, asEntries{F: map[string]string{}})
	require.Empty(t, driftOf[asNested](t, empty), "an empty map is one in every kind")
	require.Empty(t, driftOf[asValue](t, empty))
}

func TestDriftOfAGroupThatIsNoMapOfItsFields(t *testing.T) {
	type priced struct {
		Amount int    `merge:"amount,lww,group=f"`
		Unit   string `merge:"unit,lww,group=f"`
	}
	nested, text := written(t, asNested{F: Home1{City: "Pune"}}), written(t, asText{F: "Pune"})
	require.Equal(t, []string{"f type 1 k: f of priced.f"}, driftOf[priced](t, nested))
	require.Equal(t, []string{"f type 1 k: f of priced.f"}, driftOf[priced](t, text))
	group := written(t, priced{Amount: 1, Unit: "EUR"})
	require.Equal(t, []string{"f type 1 k: f of asText.F"}, driftOf[asText](t, group))
	require.Equal(t, []string{"f type 1 k: f of asNested.F"}, driftOf[asNested](t, group))
}

// Where a newer value hides what is below it, that is a conflict and no drift.
func TestWhatTheShapeHidesIsNoDrift(t *testing.T) {
	a, b := written(t, asNested{F: Home1{City: "Pune"}}), newStepped(lwwSchema(t).Merger(), "b", 1)
	b.time = 10
	_, err := release[asText](t, b).Create(ctx(), key, asText{F: "Goa"})
	require.NoError(t, err)
	a.join(t, b.State)
	require.Empty(t, driftOf[asText](t, a))
	require.Equal(t, []string{"f type 1 k: f of asNested.F"}, driftOf[asNested](t, a))
}

type grouped struct {
	Amount int    `merge:"amount,lww,group=price"`
	Unit   string `merge:"unit,lww,group=price"`
	Note   string `merge:"title,lww,was=note"`
}

type ungrouped struct {
	Amount string `merge:"amount,lww"`
	Unit   string `merge:"unit,lww"`
	Note   int    `merge:"note,lww"`
}

// A misfit is told of where the value is: in the group's register, or under the former name.
func TestExplainTellsOfMisfitsWhereTheyAreStored(t *testing.T) {
	site := written(t, ungrouped{Amount: "five", Unit: "EUR", Note: 7})
	require.Equal(t, []string{
		"amount=five shown grouped.Amount: misfit",
		"note=7 shown grouped.Note: misfit",
		"unit=EUR shown grouped.Unit",
	}, explained[grouped](t, site))
	require.Equal(t, []string{"amount type 1 k: amount of grouped.Amount", "title type 1 k: title of grouped.Note"}, driftOf[grouped](t, site))

	site = written(t, struct {
		Amount string `merge:"amount,lww,group=price"`
		Unit   string `merge:"unit,lww,group=price"`
	}{"five", "EUR"})
	site.time = 20
	change(t, release[ungrouped](t, site), func(v *ungrouped) { v.Amount = "six" })
	require.Equal(t, []string{
		"amount=six former grouped.Amount",
		"price=map[amount:five unit:EUR] shown grouped.price: misfit",
	}, explained[grouped](t, site))
}

type Site2 struct {
	Place string        `merge:"place,lww,was=city"`
	Stay  time.Duration `merge:"stay,lww,was=zip"`
}

type renamed struct {
	FullName string           `merge:"full_name,lww,was=name"`
	Age      time.Duration    `merge:"years,lww,was=age"`
	Home     Site2            `merge:"home,nested"`
	Sites    map[string]Site2 `merge:"sites,each=nested"`
}

// What a release that knows only the old name writes after the new one was first written
// is kept, and not shown: in records, in structs and in the entries of maps.
func TestDriftOfFormerNames(t *testing.T) {
	site := written(t, Everything1{Name: "n", Age: 3, Home: Home1{City: "Pune"}, Sites: map[string]Home1{"p": {City: "Goa"}, "q": {City: "Agra"}}})
	old, next := release[Everything1](t, site), release[renamed](t, site)
	require.Empty(t, driftOf[renamed](t, site), "the old names are read")
	require.Equal(t, []string{
		"age=3ns shown renamed.Age", // in the field's Go type
		"home.city=Pune shown renamed.Home.Place",
		"name=n shown renamed.FullName",
		"sites.p.city=Goa shown renamed.Sites[].Place",
		"sites.q.city=Agra shown renamed.Sites[].Place",
	}, explained[renamed](t, site))
	require.Equal(t, []string{}, driftOf[Everything1](t, site))

	change(t, next, func(r *renamed) {
		r.FullName, r.Home.Place = "N", "PUNE"
		r.Sites["q"] = Site2{Place: "AGRA"}
	})
	require.Empty(t, driftOf[renamed](t, site), "the old values were there before the new ones")
	require.Equal(t, []string{"full_name unknown 1 k", "home.place unknown 1 k", "sites.*.place unknown 1 k"}, driftOf[Everything1](t, site))

	change(t, old, func(e *Everything1) {
		e.Name, e.Age, e.Home.City = "n2", 4, "Pune 2"
		e.Sites["p"], e.Sites["q"] = Home1{City: "Goa 2"}, Home1{City: "Agra 2"}
	})
	require.Equal(t, []string{"home.city former 1 k", "name former 1 k", "sites.*.city former 1 k"}, driftOf[renamed](t, site))
	got, err := next.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, renamed{FullName: "N", Age: 4, Home: Site2{Place: "PUNE"}, Sites: map[string]Site2{"p": {Place: "Goa 2"}, "q": {Place: "AGRA"}}}, got)
	require.Equal(t, []string{
		"age=4ns shown renamed.Age",
		"full_name=N shown renamed.FullName",
		"home.city=Pune 2 former renamed.Home.Place",
		"home.place=PUNE shown renamed.Home.Place",
		"name=n2 former renamed.FullName",
		"sites.p.city=Goa 2 shown renamed.Sites[].Place",
		"sites.q.city=Agra 2 former renamed.Sites[].Place",
		"sites.q.place=AGRA shown renamed.Sites[].Place",
	}, explained[renamed](t, site))

	// Writing the field anew under the new name settles it.
	change(t, next, func(r *renamed) { r.FullName, r.Home.Place, r.Sites["q"] = "n2", "Pune 2", Site2{Place: "Agra 2"} })
	require.Empty(t, driftOf[renamed](t, site))
}

// Members of a group that a release without the group writes by themselves.
func TestDriftOfMembersWrittenAfterTheirGroup(t *testing.T) {
	type single struct {
		Amount int    `merge:"amount,lww"`
		Unit   string `merge:"unit,lww"`
	}
	type priced struct {
		Amount int    `merge:"amount,lww,group=price"`
		Unit   string `merge:"unit,lww,group=price"`
	}
	site := written(t, single{1, "EUR"})
	old, next := release[single](t, site), release[priced](t, site)
	require.Empty(t, driftOf[priced](t, site), "the group reads them where they are")
	change(t, next, func(p *priced) { p.Amount = 2 })
	require.Empty(t, driftOf[priced](t, site))
	require.Equal(t, []string{"price unknown 1 k"}, driftOf[single](t, site))
	change(t, old, func(s *single) { s.Unit = "USD" })
	require.Equal(t, []string{"unit former 1 k"}, driftOf[priced](t, site))
	require.Equal(t, []string{
		"amount=1 former priced.Amount",
		"price=map[amount:2 unit:EUR] shown priced.price",
		"unit=USD former priced.Unit",
	}, explained[priced](t, site))
	change(t, next, func(p *priced) { p.Unit = "USD" })
	require.Empty(t, driftOf[priced](t, site))
}

func TestDriftOfUnknownFieldsCountsEachOnce(t *testing.T) {
	type known struct {
		Name  string           `merge:"name,lww"`
		Home  Home2            `merge:"home,nested"`
		Sites map[string]Home2 `merge:"sites,each=nested"`
	}
	full := Everything1{
		Name: "n", Age: 3, Home: Home1{City: "Pune", Zip: "1"},
		Prefs: map[string]string{"a": "x", "b": "y", "c.d": "z"},
		Sites: map[string]Home1{"p": {City: "Goa", Zip: "2"}, "q": {City: "Agra", Zip: "3"}},
	}
	site := written(t, full)
	require.Equal(t, []string{"age unknown 1 k", "home.zip unknown 1 k", "prefs unknown 1 k", "sites.*.zip unknown 1 k"}, driftOf[known](t, site))
	require.Equal(t, []string{
		"age=3 not in the schema",
		"home.city=Pune shown known.Home.City",
		"home.zip=1 not in the schema",
		"name=n shown known.Name",
		"prefs.a=x not in the schema",
		"prefs.b=y not in the schema",
		"prefs.c\\.d=z not in the schema",
		"sites.p.city=Goa shown known.Sites[].City",
		"sites.p.zip=2 not in the schema",
		"sites.q.city=Agra shown known.Sites[].City",
		"sites.q.zip=3 not in the schema",
	}, explained[known](t, site))

	// What somebody who knows them unset is drift no more.
	d, err := fieldmerge.OpenDocuments(site, "d", lwwSchema(t))
	require.NoError(t, err)
	_, err = d.Patch(ctx(), key, fieldmerge.Patch{Unset: []string{"age", "prefs", "home.zip", "sites.q.zip"}})
	require.NoError(t, err)
	require.Equal(t, []string{"sites.*.zip unknown 1 k"}, driftOf[known](t, site))
}

type Home2 struct {
	City string `merge:"city,lww"`
}

// An unset that another region's value stands beside does not hide the value from Drift.
func TestDriftCountsAnUnknownValueBesideAnUnset(t *testing.T) {
	a, b := written(t, Everything1{Name: "n", Age: 3}), newStepped(lwwSchema(t).Merger(), "b", 1)
	b.join(t, a.State)
	change(t, release[Everything1](t, a), func(e *Everything1) { e.Age = 4 })
	b.time = 30
	d, err := fieldmerge.OpenDocuments(b, "d", lwwSchema(t))
	require.NoError(t, err)
	_, err = d.Patch(ctx(), key, fieldmerge.Patch{Unset: []string{"age"}})
	require.NoError(t, err)
	require.Empty(t, driftOf[struct {
		Name string `merge:"name,lww"`
	}](t, b))
	b.join(t, a.State)
	require.Equal(t, []string{"age unknown 1 k"}, driftOf[struct {
		Name string `merge:"name,lww"`
	}](t, b))
}

func TestDriftOfFieldsThatAGroupHasBesides(t *testing.T) {
	type priced struct {
		Amount int    `merge:"amount,lww,group=price"`
		Unit   string `merge:"unit,lww,group=price"`
		Tax    int    `merge:"a.tax,lww,group=price"`
	}
	type without struct {
		Amount int    `merge:"amount,lww,group=price"`
		Unit   string `merge:"unit,lww,group=price"`
	}
	site := written(t, priced{1, "EUR", 7})
	require.Equal(t, []string{`price.a\.tax unknown 1 k`}, driftOf[without](t, site))
	change(t, release[without](t, site), func(w *without) { w.Amount = 2 })
	require.Equal(t, []string{`price.a\.tax unknown 1 k`}, driftOf[without](t, site), "a release that does not know it keeps it")
	require.Empty(t, driftOf[priced](t, site))
}

func TestDriftCountsRecordsAndNamesTheFirst(t *testing.T) {
	host := mapstore.New(fieldwise.Origin{Region: "a", Incarnation: 1}, nil)
	old := release[Everything1](t, host)
	for i, k := range []string{"b", "a", "c", "gone", "other"} {
		v := Everything1{Name: k}
		if k != "a" {
			v.Age = i + 1
		}
		_, err := old.Create(ctx(), k, v)
		require.NoError(t, err)
	}
	_, err := old.Delete(ctx(), "gone")
	require.NoError(t, err)
	type next struct {
		Age string `merge:"age,lww"`
	}
	require.Equal(t, []string{"age type 3 b: age of next.Age", "name unknown 4 a"}, driftOf[next](t, host))
	found, err := release[next](t, host).Drift(ctx(), "c")
	require.NoError(t, err)
	require.Len(t, found, 2)
	require.Equal(t, 1, found[0].Records)
	require.Equal(t, "c", found[1].Example)
}

// Fields can arrive before the marker of the map that they are in.
func TestExplainTellsOfAMisfitWhereNothingIsAtItsPath(t *testing.T) {
	a, b := written(t, asEntries{F: map[string]string{}}), newStepped(lwwSchema(t).Merger(), "b", 1)
	change(t, release[asEntries](t, a), func(v *asEntries) { v.F["k"] = "x" })
	b.join(t, a.delta)
	require.Equal(t, []string{"f.k=x not in the schema: misfit"}, explained[asText](t, b))
	require.Equal(t, []string{"f type 1 k: f of asText.F"}, driftOf[asText](t, b))
	b.join(t, a.State)
	require.Equal(t, []string{"f=map[] shown asText.F: misfit", "f.k=x not in the schema"}, explained[asText](t, b))
}
