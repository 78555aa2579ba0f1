package fieldmerge_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

// EVOLUTION.md, claim by claim: a region with the old release of a service and one with
// the new release replicate one record with each other.

// mixed is a region a whose release has records of type A, and a region b with B.
type mixed[A, B any] struct {
	t    *testing.T
	a, b *stepped
	old  *fieldmerge.Domain[A]
	next *fieldmerge.Domain[B]

	options []fieldmerge.Option // of b's schema
}

// mix starts with a record that the old release created. Writes of b are newer than those
// of a until it is told otherwise.
func mix[A, B any](t *testing.T, first A, options ...fieldmerge.Option) *mixed[A, B] {
	old, err := fieldmerge.NewSchema[A]()
	require.NoError(t, err)
	next, err := fieldmerge.NewSchema[B](options...)
	require.NoError(t, err)
	m := &mixed[A, B]{t: t, a: newStepped(old.Merger(), "a", 1), b: newStepped(next.Merger(), "b", 1), options: options}
	m.old, m.next = release[A](t, m.a), release[B](t, m.b, options...)
	_, err = m.old.Create(ctx(), key, first)
	require.NoError(t, err)
	m.b.time = 100
	m.sync()
	return m
}

// sync brings the writes of each region to the other.
func (m *mixed[A, B]) sync() (reports []fieldwise.Conflict) {
	m.t.Helper()
	state := m.a.State
	reports = append(m.a.join(m.t, m.b.State), m.b.join(m.t, state)...)
	require.Equal(m.t, m.a.State, m.b.State, "both hold the same bytes")
	return reports
}

func (m *mixed[A, B]) changeOld(f func(*A))  { m.t.Helper(); change(m.t, m.old, f) }
func (m *mixed[A, B]) changeNext(f func(*B)) { m.t.Helper(); change(m.t, m.next, f) }

// reads demands what the releases read of the record, without an error.
func (m *mixed[A, B]) reads(old A, next B) {
	m.t.Helper()
	a, err := m.old.Get(ctx(), key)
	require.NoError(m.t, err)
	require.Equal(m.t, old, a)
	b, err := m.next.Get(ctx(), key)
	require.NoError(m.t, err)
	require.Equal(m.t, next, b)
}

// drifts demands what Drift says to the releases.
func (m *mixed[A, B]) drifts(old, next []string) {
	m.t.Helper()
	require.Equal(m.t, old, driftOf[A](m.t, m.a), "drift of the old release")
	require.Equal(m.t, next, driftOf[B](m.t, m.b, m.options...), "drift of the new release")
}

var none = []string{}

// stored are the current values at a path, oldest first, as they are in the record.
func stored(t *testing.T, site *stepped, path string) (all []string) {
	t.Helper()
	d, err := fieldmerge.OpenDocuments(site, "d", lwwSchema(t))
	require.NoError(t, err)
	siblings, err := d.Siblings(ctx(), key, path)
	require.NoError(t, err)
	for _, s := range siblings {
		text := fmt.Sprintf("%v of %s", s.Value, s.Version.Origin.Region)
		if s.Absent {
			text = "unset by " + string(s.Version.Origin.Region)
		}
		all = append(all, text)
	}
	return all
}

// misfit demands that Get returns the record with an error that names the field.
func misfit[T any](t *testing.T, d *fieldmerge.Domain[T], field string, want T) {
	t.Helper()
	got, err := d.Get(ctx(), key)
	var e *fieldmerge.FieldError
	require.ErrorIs(t, err, fieldmerge.ErrField)
	require.ErrorAs(t, err, &e)
	require.Equal(t, field, e.Field)
	require.Equal(t, key, e.Key)
	require.Equal(t, want, got, "the record comes with the error")
	got, token, err := d.Read(ctx(), key)
	require.ErrorIs(t, err, fieldmerge.ErrField)
	require.Equal(t, want, got)
	require.False(t, token.IsZero())
	for record, err := range d.All(ctx(), "") {
		require.ErrorIs(t, err, fieldmerge.ErrField)
		require.Equal(t, want, record.Value)
	}
}

// Fields.

type person1 struct {
	Name string            `merge:"name,lww"`
	Home *place1           `merge:"home,nested"`
	Pets map[string]place1 `merge:"pets,each=nested"`
}

type place1 struct {
	City string `merge:"city,lww"`
}

type person2 struct {
	Name string            `merge:"name,lww"`
	Nick string            `merge:"nick,lww"`
	Home *place2           `merge:"home,nested"`
	Pets map[string]place2 `merge:"pets,each=nested"`
}

type place2 struct {
	City string `merge:"city,lww"`
	Zip  string `merge:"zip,lww"`
}

func TestMixedReleasesWithAnAddedField(t *testing.T) {
	first := person1{Name: "Asha", Home: &place1{City: "Pune"}, Pets: map[string]place1{"cat": {City: "Goa"}, "dog": {City: "Goa"}}}
	m := mix[person1, person2](t, first)
	want := person2{Name: "Asha", Home: &place2{City: "Pune"}, Pets: map[string]place2{"cat": {City: "Goa"}, "dog": {City: "Goa"}}}
	m.reads(first, want) // the new field is zero
	m.drifts(none, none)

	m.changeNext(func(p *person2) {
		p.Nick, p.Home.Zip = "A", "411001"
		p.Pets["cat"] = place2{City: "Goa", Zip: "403001"}
	})
	m.changeOld(func(p *person1) { p.Name = "Asha R." }) // at the same time
	require.Empty(t, m.sync())
	first.Name, want.Name, want.Nick, want.Home.Zip = "Asha R.", "Asha R.", "A", "411001"
	want.Pets["cat"] = place2{City: "Goa", Zip: "403001"}
	m.reads(first, want)
	m.drifts([]string{"home.zip unknown 1 k", "nick unknown 1 k", "pets.*.zip unknown 1 k"}, none)
	require.Contains(t, explained[person1](t, m.a), "nick=A not in the schema")

	// No way to write of the old release touches what it does not know.
	_, err := m.old.Replace(ctx(), key, first, person1{Home: &place1{City: "Agra"}, Pets: map[string]place1{"cat": {City: "Delhi"}}})
	require.NoError(t, err)
	m.sync()
	want.Name, want.Home.City = "", "Agra"
	want.Pets = map[string]place2{"cat": {City: "Delhi", Zip: "403001"}}
	got, err := m.next.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, token, err := m.old.Read(ctx(), key)
	require.NoError(t, err)
	_, err = m.old.Put(ctx(), key, token, person1{Name: "n", Home: &place1{}, Pets: map[string]place1{"cat": {}}})
	require.NoError(t, err)
	_, err = m.old.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"home.city": "Agra"}, Unset: []string{"name"}})
	require.NoError(t, err)
	m.sync()
	want.Pets["cat"] = place2{Zip: "403001"}
	got, err = m.next.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, want, got)

	// But an entry, or a struct, that it removes goes whole, and so does a record.
	m.changeOld(func(p *person1) { p.Home = nil; delete(p.Pets, "cat") })
	m.sync()
	m.reads(person1{Pets: map[string]place1{}}, person2{Nick: "A", Pets: map[string]place2{}})
	_, err = m.old.Delete(ctx(), key)
	require.NoError(t, err)
	m.sync()
	_, err = m.next.Get(ctx(), key)
	require.ErrorIs(t, err, fieldwise.ErrNotFound)
}

func TestMixedReleasesWithARemovedField(t *testing.T) {
	m := mix[person2, person1](t, person2{Name: "Asha", Nick: "A", Home: &place2{City: "Pune", Zip: "1"}})
	m.reads(person2{Name: "Asha", Nick: "A", Home: &place2{City: "Pune", Zip: "1"}}, person1{Name: "Asha", Home: &place1{City: "Pune"}})
	m.drifts(none, []string{"home.zip unknown 1 k", "nick unknown 1 k"})
	m.changeNext(func(p *person1) { p.Name = "Asha R." })
	m.changeOld(func(p *person2) { p.Nick = "B" })
	require.Empty(t, m.sync())
	m.reads(person2{Name: "Asha R.", Nick: "B", Home: &place2{City: "Pune", Zip: "1"}}, person1{Name: "Asha R.", Home: &place1{City: "Pune"}})
	require.Equal(t, []string{"B of a"}, stored(t, m.b, "nick"), "it stays stored")
}

func TestMixedReleasesWithARenamedGoField(t *testing.T) {
	type next struct {
		FullName string            `merge:"name,lww"`
		Address  *place1           `merge:"home,nested"`
		Animals  map[string]place1 `merge:"pets,each=nested"`
	}
	m := mix[person1, next](t, person1{Name: "Asha"})
	m.changeOld(func(p *person1) { p.Name = "Asha R." })
	m.sync()
	m.changeNext(func(p *next) { p.Address = &place1{City: "Pune"} })
	m.sync()
	m.reads(person1{Name: "Asha R.", Home: &place1{City: "Pune"}}, next{FullName: "Asha R.", Address: &place1{City: "Pune"}})
	m.drifts(none, none)
	require.Equal(t, fingerprintOf[person1](t), fingerprintOf[next](t))
}

type named1 struct {
	Name  string `merge:"name,lww"`
	Phone string `merge:"phone,lww"`
}

type named2 struct {
	FullName string `merge:"full_name,lww,was=name"`
	Phone    string `merge:"phone,lww"`
}

func TestMixedReleasesWithARenamedField(t *testing.T) {
	m := mix[named1, named2](t, named1{Name: "Asha", Phone: "1"})
	m.reads(named1{"Asha", "1"}, named2{"Asha", "1"})
	m.changeOld(func(n *named1) { n.Name = "Asha R." })
	m.sync()
	m.reads(named1{"Asha R.", "1"}, named2{"Asha R.", "1"}) // until the new name is first written
	m.drifts(none, none)

	m.changeNext(func(n *named2) { n.Phone = "2" }) // copies nothing
	m.sync()
	require.Empty(t, stored(t, m.a, "full_name"))

	m.changeNext(func(n *named2) { n.FullName = "Asha Rao" })
	m.sync()
	m.reads(named1{"Asha R.", "2"}, named2{"Asha Rao", "2"}) // the old release does not see it
	m.drifts([]string{"full_name unknown 1 k"}, none)

	m.a.time = 200
	m.changeOld(func(n *named1) { n.Name = "Asha X." })
	m.sync()
	m.reads(named1{"Asha X.", "2"}, named2{"Asha Rao", "2"})
	m.drifts([]string{"full_name unknown 1 k"}, []string{"name former 1 k"})
	require.Equal(t, []string{"Asha X. of a"}, stored(t, m.b, "name"))
	require.Equal(t, []string{"Asha Rao of b"}, stored(t, m.b, "full_name"))
	require.Contains(t, explained[named2](t, m.b), "name=Asha X. former named2.FullName")

	// What it wrote can be found and taken over.
	e, err := m.next.Explain(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, fieldmerge.FieldFormer, e.Fields[1].State)
	m.b.time = 300
	m.changeNext(func(n *named2) { n.FullName = e.Fields[1].Value.(string) })
	m.drifts([]string{"full_name unknown 1 k"}, none)
	m.reads(named1{"Asha X.", "2"}, named2{"Asha X.", "2"})
}

// An old release's write whose time is not later than that of the new place is not
// counted, even if the two knew nothing of each other: Explain shows it.
func TestMixedReleasesWriteARenamedFieldAtTheSameTime(t *testing.T) {
	m := mix[named1, named2](t, named1{Name: "Asha"})
	m.changeNext(func(n *named2) { n.FullName = "of the new one" })
	m.changeOld(func(n *named1) { n.Name = "of the old one" }) // an earlier time
	require.Empty(t, m.sync(), "they are two fields: no conflict")
	m.reads(named1{Name: "of the old one"}, named2{FullName: "of the new one"})
	m.drifts([]string{"full_name unknown 1 k"}, none)
	require.Contains(t, explained[named2](t, m.b), "name=of the old one former named2.FullName")
}

func TestMixedReleasesWithAFieldRenamedWithoutSayingSo(t *testing.T) {
	type next struct {
		FullName string `merge:"full_name,lww"`
		Phone    string `merge:"phone,lww"`
	}
	m := mix[named1, next](t, named1{Name: "Asha", Phone: "1"})
	m.reads(named1{"Asha", "1"}, next{"", "1"}) // one field is removed, another added
	m.changeNext(func(n *next) { n.FullName = "Asha R." })
	m.changeOld(func(n *named1) { n.Name = "Asha X." })
	m.sync()
	m.reads(named1{"Asha X.", "1"}, next{"Asha R.", "1"})
	m.drifts([]string{"full_name unknown 1 k"}, []string{"name unknown 1 k"})
}

// Policies.

func TestMixedReleasesWithAChangedPolicy(t *testing.T) {
	type next struct {
		Name  string `merge:"name,priority"`
		Phone string `merge:"phone,custom=longest"`
	}
	m := mix[named1, next](t, named1{Name: "Asha", Phone: "1"}, fieldmerge.Ranks("a", "b"), fieldmerge.Custom("longest", longest))
	m.changeOld(func(n *named1) { *n = named1{"of a", "a long one"} })
	m.changeNext(func(n *next) { *n = next{"of b", "short"} })
	reports := m.sync()
	m.reads(named1{"of b", "short"}, next{"of a", "a long one"}) // each by its own policies
	m.drifts(none, none)
	for path, want := range map[string][]string{"name": {"of a of a", "of b of b"}, "phone": {"a long one of a", "short of b"}} {
		require.Equal(t, want, stored(t, m.a, path))
		require.Equal(t, want, stored(t, m.b, path))
	}
	losers := map[string]string{}
	for _, c := range reports {
		losers[c.Field+" by "+c.Policy] = string(c.Loser.Version.Origin.Region)
	}
	require.Equal(t, map[string]string{"name by lww": "a", "phone by lww": "a", "name by priority": "b", "phone by custom=longest": "b"}, losers,
		"each region reports what it hides")
	require.NotEqual(t, fingerprintOf[named1](t), fingerprintOf[next](t, fieldmerge.Ranks("a", "b"), fieldmerge.Custom("longest", longest)))

	// A write settles it for both.
	m.changeOld(func(n *named1) { n.Name = "settled" })
	require.Empty(t, m.sync())
	m.reads(named1{"settled", "short"}, next{"settled", "a long one"})
}

// A value that the new policy hides and the old one showed was never reported as hidden:
// the delete that drops it reports it.
func TestADeleteReportsWhatAChangedPolicyHid(t *testing.T) {
	type next struct {
		Name string `merge:"name,priority"`
	}
	m := mix[named1, next](t, named1{Name: "Asha"}, fieldmerge.Ranks("a", "b"))
	deleter := newStepped(lwwSchema(t).Merger(), "c", 1)
	deleter.join(t, m.a.State)
	deleter.time = 50
	m.changeOld(func(n *named1) { n.Name = "of a" })
	m.changeNext(func(n *next) { n.Name = "of b" })
	reported := m.a.join(t, m.b.State)
	require.Len(t, reported, 1)
	require.Equal(t, fieldwise.Region("a"), reported[0].Loser.Version.Origin.Region, "under lww")
	m.a.Merger = m.b.Merger // the deploy
	require.Empty(t, m.a.join(t, m.b.State), "nothing is reported anew")
	_, err := release[named1](t, deleter).Delete(ctx(), key)
	require.NoError(t, err)
	var dropped []fieldwise.Region
	for _, c := range m.a.join(t, deleter.State) {
		require.Equal(t, fieldwise.ConflictDelete, c.Kind)
		dropped = append(dropped, c.Loser.Version.Origin.Region)
	}
	require.Equal(t, []fieldwise.Region{"a", "b"}, dropped)
}

func TestMixedReleasesWithAPolicyThatComputesAValue(t *testing.T) {
	type next struct {
		Name  string `merge:"name,lww"`
		Phone string `merge:"phone,custom=longest"`
	}
	m := mix[named1, next](t, named1{}, fieldmerge.Custom("longest", longest))
	m.changeOld(func(n *named1) { n.Phone = "11" })
	m.changeNext(func(n *next) { n.Phone = "22" })
	m.sync()
	m.reads(named1{Phone: "22"}, next{Phone: "11+22"})
	m.changeNext(func(n *next) { n.Name = "Asha" })
	m.sync()
	m.reads(named1{"Asha", "22"}, next{"Asha", "11+22"})
	require.Len(t, stored(t, m.a, "phone"), 2, "what is computed is not stored")
}

func TestMixedReleasesWithAMaximum(t *testing.T) {
	type old struct {
		Best int    `merge:"best,lww"`
		Name string `merge:"name,lww"`
	}
	type next struct {
		Best int    `merge:"best,max,was=best"`
		Name string `merge:"name,lww"`
	}
	m := mix[old, next](t, old{5, "n"})
	m.reads(old{5, "n"}, next{5, "n"})
	m.drifts(none, none)
	m.changeNext(func(n *next) { n.Best = 7 })
	m.sync()
	m.reads(old{5, "n"}, next{7, "n"}) // the old release does not see it
	m.drifts(none, none)
	m.a.time = 200
	m.changeOld(func(o *old) { o.Best, o.Name = 6, "n2" })
	reports := m.sync()
	m.reads(old{6, "n2"}, next{7, "n2"})
	m.drifts(none, []string{"best former 1 k"})
	require.Len(t, reports, 1)
	require.Equal(t, fieldwise.ConflictMechanism, reports[0].Kind)
	site := newStepped(m.b.Merger, "b", 1)
	_, err := release[next](t, site).Create(ctx(), key, next{Best: 1})
	require.NoError(t, err)
	require.Equal(t, []string{"best kind 1 k"}, driftOf[old](t, site), "there is none that it reads")
}

// Types.

type typed1 struct {
	Note  string `merge:"note,lww"`
	Age   int32  `merge:"age,lww"`
	Count int64  `merge:"count,lww"`
}

type typed2 struct {
	Note  string `merge:"note,lww"`
	Age   string `merge:"age,lww"`
	Count string `merge:"count,lww"`
}

func TestMixedReleasesWithAnotherType(t *testing.T) {
	m := mix[typed1, typed2](t, typed1{Note: "n", Age: 3, Count: 4})
	misfit(t, m.next, "age", typed2{Note: "n"})
	m.drifts(none, []string{"age type 1 k: age of typed2.Age", "count type 1 k: count of typed2.Count"})

	// What the closure does not set stays as it is, and so does what it sets to zero.
	m.changeNext(func(v *typed2) {
		require.Equal(t, typed2{Note: "n"}, *v)
		v.Note, v.Count = "n2", ""
	})
	require.Empty(t, m.sync())
	got, err := m.old.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, typed1{Note: "n2", Age: 3, Count: 4}, got)

	// What it sets is written, knowingly, and does not fit the old release.
	m.changeNext(func(v *typed2) { v.Age = "three" })
	require.Empty(t, m.sync())
	misfit(t, m.old, "age", typed1{Note: "n2", Count: 4})
	misfit(t, m.next, "count", typed2{Note: "n2", Age: "three"})
	m.drifts([]string{"age type 1 k: age of typed1.Age"}, []string{"count type 1 k: count of typed2.Count"})
	require.Equal(t, []string{"three of b"}, stored(t, m.a, "age"))

	// The fields that both know keep working.
	m.a.time = 200
	m.changeOld(func(v *typed1) { v.Note = "n3" })
	m.sync()
	misfit(t, m.next, "count", typed2{Note: "n3", Age: "three"})

	// Both types at the same time: two values of one field, both kept.
	m.changeOld(func(v *typed1) { v.Age = 5 })
	m.b.time = 300
	m.changeNext(func(v *typed2) { v.Age = "six" })
	reports := m.sync()
	require.Len(t, reports, 2, "each region reports the one that lost")
	require.Equal(t, []string{"5 of a", "six of b"}, stored(t, m.a, "age"))
	misfit(t, m.old, "age", typed1{Note: "n3", Count: 4})
	siblings, err := m.old.Siblings(ctx(), key, "age")
	require.NoError(t, err)
	require.Equal(t, []any{int32(5), "six"}, []any{siblings[0].Value, siblings[1].Value}, "each in the form that it has")

	// A patch sets it to zero, and Resolve settles it.
	_, err = m.next.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"count": ""}})
	require.NoError(t, err)
	_, err = m.old.Resolve(ctx(), key, "age", fieldmerge.KeepValue(int32(7)))
	require.NoError(t, err)
	m.sync()
	require.Equal(t, []string{"7 of a"}, stored(t, m.b, "age"))
	require.Equal(t, []string{" of b"}, stored(t, m.b, "count"))
}

func TestMixedReleasesWithAWiderInteger(t *testing.T) {
	type narrow struct {
		N int32 `merge:"n,lww"`
	}
	type wide struct {
		N int64 `merge:"n,lww"`
	}
	m := mix[narrow, wide](t, narrow{7})
	m.reads(narrow{7}, wide{7})
	m.drifts(none, none)
	require.Equal(t, fingerprintOf[narrow](t), fingerprintOf[wide](t))
	m.changeNext(func(w *wide) { w.N = 8 })
	m.sync()
	m.reads(narrow{8}, wide{8})
	m.changeNext(func(w *wide) { w.N = 1 << 40 })
	m.sync()
	misfit(t, m.old, "n", narrow{})
	m.drifts([]string{"n type 1 k: n of narrow.N"}, none)
}

func TestMixedReleasesWithAPointerForAValue(t *testing.T) {
	type value struct {
		A string `merge:"a,lww"`
		B string `merge:"b,lww"`
	}
	type pointer struct {
		A *string `merge:"a,lww"`
		B *string `merge:"b,lww"`
	}
	m := mix[value, pointer](t, value{A: "x"})
	m.reads(value{A: "x"}, pointer{A: ptr("x")}) // what was never written is nil
	m.changeNext(func(p *pointer) { p.A, p.B = nil, ptr("") })
	m.sync()
	m.reads(value{}, pointer{B: ptr("")}) // unset reads as zero
	m.changeOld(func(v *value) { v.A = "y" })
	m.sync()
	m.reads(value{A: "y"}, pointer{A: ptr("y"), B: ptr("")})
	m.a.time = 200
	m.changeOld(func(v *value) { v.A = "" })
	m.sync()
	m.reads(value{}, pointer{A: ptr(""), B: ptr("")}) // it writes the zero value, and does not unset
	m.drifts(none, none)
	require.Equal(t, fingerprintOf[value](t), fingerprintOf[pointer](t))
}

// Kinds.

func TestMixedReleasesWithAStructForOneValueThatBecomesFields(t *testing.T) {
	home := Home1{City: "Pune", Zip: "411001"}
	m := mix[asValue, asNested](t, asValue{N: "n", F: home})
	misfit(t, m.next, "f", asNested{N: "n"})
	m.drifts(none, []string{"f type 1 k: f of asNested.F"})
	m.changeNext(func(v *asNested) { v.N = "n2" })
	m.sync()
	got, err := m.old.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, asValue{N: "n2", F: home}, got, "it is left alone")

	// A field of it takes the place of the whole value.
	m.changeNext(func(v *asNested) { v.F.City = "Goa" })
	require.Empty(t, m.sync())
	got, err = m.old.Get(ctx(), key)
	require.ErrorIs(t, err, fieldmerge.ErrField)
	require.Equal(t, asValue{N: "n2"}, got)
	next, err := m.next.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, asNested{N: "n2", F: Home1{City: "Goa"}}, next)
	m.drifts([]string{"f type 1 k: f of asValue.F"}, none)

	// Both at the same time: the newer shape shows, the other is reported and kept.
	m.a.time = 200
	m.changeOld(func(v *asValue) { v.F = Home1{City: "Agra"} })
	m.changeNext(func(v *asNested) { v.F.Zip = "403001" })
	reports := m.sync()
	var shapes int
	for _, c := range reports {
		if c.Kind == fieldwise.ConflictShape {
			require.Equal(t, "f.zip", c.Field)
			shapes++
		}
	}
	require.Equal(t, 2, shapes, "by each region")
	got, err = m.old.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, asValue{N: "n2", F: Home1{City: "Agra"}}, got)
	misfit(t, m.next, "f", asNested{N: "n2"})
	require.Equal(t, []string{"403001 of b"}, stored(t, m.a, "f.zip"))
	require.Contains(t, explained[asNested](t, m.b), "f.zip=403001 hidden asNested.F.Zip: misfit")
}

func TestMixedReleasesWithFieldsThatBecomeOneValue(t *testing.T) {
	m := mix[asNested, asValue](t, asNested{N: "n", F: Home1{City: "Pune"}})
	misfit(t, m.next, "f", asValue{N: "n"})
	m.changeNext(func(v *asValue) { v.N = "n2" })
	m.sync()
	m.changeOld(func(v *asNested) { require.Equal(t, "Pune", v.F.City); v.F.Zip = "1" })
	m.sync()
	require.Equal(t, []string{"Pune of a"}, stored(t, m.b, "f.city"))
	m.changeNext(func(v *asValue) { v.F.City = "Goa" })
	m.sync()
	got, err := m.next.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, asValue{N: "n2", F: Home1{City: "Goa"}}, got)
	misfit(t, m.old, "f", asNested{N: "n2"})
	require.Equal(t, []string{"unset by b"}, stored(t, m.a, "f.city"), "it replaced the fields, knowingly")
}

func TestMixedReleasesWithAMapForOneValueThatBecomesEntries(t *testing.T) {
	type whole struct {
		N string            `merge:"n,lww"`
		F map[string]string `merge:"f,lww"`
	}
	m := mix[whole, asEntries](t, whole{N: "n", F: map[string]string{"a": "x"}})
	misfit(t, m.next, "f", asEntries{N: "n"})
	m.drifts(none, []string{"f type 1 k: f of asEntries.F"})
	m.changeNext(func(v *asEntries) { v.F = map[string]string{"b": "y"} })
	m.sync()
	misfit(t, m.old, "f", whole{N: "n"})
	m.drifts([]string{"f type 1 k: f of whole.F"}, none)
	require.Equal(t, []string{"y of b"}, stored(t, m.a, "f.b"))
	m.a.time = 200
	m.changeOld(func(v *whole) { v.F = map[string]string{"c": "z"} })
	m.sync()
	misfit(t, m.next, "f", asEntries{N: "n"})
	m.changeOld(func(v *whole) { v.F = map[string]string{} })
	m.sync()
	m.reads(whole{N: "n", F: map[string]string{}}, asEntries{N: "n", F: map[string]string{}}) // an empty map is one to both
}

func TestMixedReleasesWithAStructThatBecomesAMapOfEntries(t *testing.T) {
	m := mix[asNested, asEntries](t, asNested{F: Home1{City: "Pune"}})
	m.changeNext(func(v *asEntries) { v.F["zip"] = "1" })
	m.sync()
	m.reads(asNested{F: Home1{City: "Pune", Zip: "1"}}, asEntries{F: map[string]string{"city": "Pune", "zip": "1"}})
	m.drifts(none, none)
}

// Groups.

type loose struct {
	Amount int    `merge:"amount,lww"`
	Unit   string `merge:"unit,lww"`
	Note   string `merge:"note,lww"`
}

type bound struct {
	Amount int    `merge:"amount,lww,group=price"`
	Unit   string `merge:"unit,lww,group=price"`
	Note   string `merge:"note,lww"`
}

func TestMixedReleasesWithFieldsPutIntoAGroup(t *testing.T) {
	m := mix[loose, bound](t, loose{5, "EUR", "n"})
	m.changeOld(func(l *loose) { l.Amount = 6 })
	m.sync()
	m.reads(loose{6, "EUR", "n"}, bound{6, "EUR", "n"}) // until the group is first written
	m.changeNext(func(b *bound) { b.Note = "n2" })
	require.Empty(t, stored(t, m.b, "price"))
	m.changeNext(func(b *bound) { b.Amount = 7 })
	m.sync()
	require.Equal(t, []string{"map[amount:7 unit:EUR] of b"}, stored(t, m.a, "price"), "it is written whole")
	m.reads(loose{6, "EUR", "n2"}, bound{7, "EUR", "n2"}) // the old release does not see it
	m.drifts([]string{"price unknown 1 k"}, none)
	m.a.time = 200
	m.changeOld(func(l *loose) { l.Unit, l.Note = "USD", "n3" })
	require.Empty(t, m.sync())
	m.reads(loose{6, "USD", "n3"}, bound{7, "EUR", "n3"})
	m.drifts([]string{"price unknown 1 k"}, []string{"unit former 1 k"})
	require.Equal(t, []string{"USD of a"}, stored(t, m.b, "unit"))
	require.Contains(t, explained[bound](t, m.b), "unit=USD former bound.Unit")
}

func TestMixedReleasesWithAGroupDissolved(t *testing.T) {
	m := mix[bound, loose](t, bound{5, "EUR", "n"})
	m.reads(bound{5, "EUR", "n"}, loose{Note: "n"}) // it reads the fields' own places
	m.drifts(none, []string{"price unknown 1 k"})
	m.changeNext(func(l *loose) { l.Unit, l.Note = "USD", "n2" })
	require.Empty(t, m.sync())
	m.reads(bound{5, "EUR", "n2"}, loose{0, "USD", "n2"})
	m.drifts([]string{"unit former 1 k"}, []string{"price unknown 1 k"})
	require.Equal(t, []string{"map[amount:5 unit:EUR] of a"}, stored(t, m.b, "price"), "nothing is lost")
}

func TestMixedReleasesWithAFieldAddedToAGroup(t *testing.T) {
	type more struct {
		Amount int    `merge:"amount,lww,group=price"`
		Unit   string `merge:"unit,lww,group=price"`
		Tax    int    `merge:"tax,lww,group=price"`
		Note   string `merge:"note,lww"`
	}
	m := mix[bound, more](t, bound{5, "EUR", "n"})
	m.reads(bound{5, "EUR", "n"}, more{5, "EUR", 0, "n"})
	m.changeNext(func(v *more) { v.Tax = 19 })
	m.sync()
	m.drifts([]string{"price.tax unknown 1 k"}, none)
	m.a.time = 200
	m.changeOld(func(b *bound) { b.Amount = 6 })
	m.sync()
	m.reads(bound{6, "EUR", "n"}, more{6, "EUR", 19, "n"}) // the old release kept it
	m.changeOld(func(b *bound) { b.Amount = 7 })
	m.b.time = 300
	m.changeNext(func(v *more) { v.Tax = 20 })
	m.sync()
	require.Equal(t, []string{"map[amount:7 tax:19 unit:EUR] of a", "map[amount:6 tax:20 unit:EUR] of b"}, stored(t, m.a, "price"), "one field: one of the two shows")
	m.reads(bound{6, "EUR", "n"}, more{6, "EUR", 20, "n"})
}

func TestPathsThatAreNoneOfTheSchemas(t *testing.T) {
	m := mix[loose, bound](t, loose{5, "EUR", "n"})
	for _, path := range []string{`a\`, "", "other", "price.x", "note.x"} {
		siblings, err := m.next.Siblings(ctx(), key, path)
		require.NoError(t, err)
		require.Empty(t, siblings)
		_, err = m.next.Resolve(ctx(), key, path, fieldmerge.KeepShown())
		require.ErrorIs(t, err, fieldmerge.ErrSibling)
	}
}

// A rename, to its end: what the new name does not have yet is copied, and was= dropped.
func TestARenameCanBeCompleted(t *testing.T) {
	type last struct {
		FullName string `merge:"full_name,lww"`
		Phone    string `merge:"phone,lww"`
	}
	m := mix[named1, named2](t, named1{Name: "Asha", Phone: "1"})
	receipt, err := m.next.Update(ctx(), key, func(n *named2) error { n.FullName = "Asha"; return nil })
	require.NoError(t, err)
	require.True(t, receipt.IsZero(), "Update finds nothing changed")
	for record, err := range m.next.All(ctx(), "") {
		require.NoError(t, err)
		_, err = m.next.Patch(ctx(), record.Key, fieldmerge.Patch{Set: map[string]any{"full_name": record.Value.FullName}})
		require.NoError(t, err)
	}
	got, err := release[last](t, m.b).Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, last{"Asha", "1"}, got)
}

// A change of type in steps, under a new name: neighbouring releases understand each other.
func TestAChangeInStepsIsSeenByAll(t *testing.T) {
	type zero struct {
		Age int `merge:"age,lww"`
	}
	type both struct { // releases 1 and 2: they differ in what they read
		Age   int    `merge:"age,lww"`
		Years string `merge:"years,lww"`
	}
	type three struct {
		Years string `merge:"years,lww"`
	}
	set := func(n int) func(*both) { return func(b *both) { b.Age, b.Years = n, fmt.Sprint(n) } }
	m := mix[zero, both](t, zero{1})
	m.changeNext(set(2))
	m.sync()
	m.reads(zero{2}, both{2, "2"})
	m.a.time = 200
	m.changeOld(func(z *zero) { z.Age = 3 })
	m.sync()
	m.reads(zero{3}, both{3, "2"}) // release 1 reads the old field
	m.b.time = 300
	for record, err := range m.next.All(ctx(), "") {
		require.NoError(t, err)
		change(t, m.next, set(record.Value.Age))
	}
	m.sync()
	// Release 3 beside release 2.
	old, last := release[both](t, m.a), release[three](t, m.b)
	got, err := last.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, three{"3"}, got)
	require.Equal(t, []string{"age unknown 1 k"}, driftOf[three](t, m.b))
	change(t, last, func(v *three) { v.Years = "4" })
	m.a.join(t, m.b.State)
	after, err := old.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, both{3, "4"}, after) // release 2 reads the new field
}

// The name of a removed field that is given to another one shows the old values, unless
// they were unset.
func TestTheNameOfARemovedFieldIsNotFree(t *testing.T) {
	type next struct {
		Name  string `merge:"name,lww"`
		Alias string `merge:"nick,lww"`
	}
	m := mix[person2, next](t, person2{Name: "Asha", Nick: "A"})
	m.reads(person2{Name: "Asha", Nick: "A"}, next{"Asha", "A"})
	_, err := m.old.Patch(ctx(), key, fieldmerge.Patch{Unset: []string{"nick"}})
	require.NoError(t, err)
	m.sync()
	m.reads(person2{Name: "Asha"}, next{Name: "Asha"})
}

func TestACustomPolicyFallsBackWhereAValueIsOfAnotherType(t *testing.T) {
	type next struct {
		Phone int    `merge:"phone,custom=sum"`
		Name  string `merge:"name,lww"`
	}
	m := mix[named1, next](t, named1{}, fieldmerge.Custom("sum", sum))
	m.changeOld(func(n *named1) { n.Phone = "one" })
	m.changeNext(func(n *next) { n.Phone = 2 })
	m.sync()
	got, err := m.next.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, next{Phone: 2}, got, "the newest")
	e, err := m.next.Explain(ctx(), key)
	require.NoError(t, err)
	require.Contains(t, e.Fields[0].Problem, "a value of another type")
}

func TestANarrowerIntegerAndAnotherSign(t *testing.T) {
	type wide struct {
		N int64 `merge:"n,lww"`
	}
	type narrow struct {
		N uint8 `merge:"n,lww"`
	}
	m := mix[wide, narrow](t, wide{200})
	m.reads(wide{200}, narrow{200})
	m.changeOld(func(w *wide) { w.N = -1 })
	m.sync()
	misfit(t, m.next, "n", narrow{})
	m.drifts(none, []string{"n type 1 k: n of narrow.N"})
}
