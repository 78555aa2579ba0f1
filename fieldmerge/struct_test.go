package fieldmerge_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

type Tier string

type Base struct {
	Created time.Time `merge:"created,earliest"`
	By      string    `merge:"by,lww"`
}

type Address struct {
	Street string   `merge:"street,lww"`
	City   string   `merge:"city,priority"`
	Geo    *float64 `merge:"geo,lww"`
}

// Everything has a field of every kind that a schema takes.
type Everything struct {
	Base
	Name    string            `merge:"name,lww"`
	Nick    *string           `merge:"nick,lww"`
	Tier    Tier              `merge:"tier,custom=tier"`
	Age     int32             `merge:"age,lww"`
	Quota   uint64            `merge:"quota,lww"`
	Score   float32           `merge:"score,lww"`
	On      bool              `merge:"on,lww"`
	Avatar  []byte            `merge:"avatar,lww"`
	Wait    time.Duration     `merge:"wait,lww"`
	Addr    netip.Addr        `merge:"addr,lww"`
	Tags    []string          `merge:"tags,lww"`
	Whole   map[string]int    `merge:"whole,lww"`
	Home    Address           `merge:"home,nested"`
	Work    *Address          `merge:"work,nested"`
	Prefs   map[string]string `merge:"prefs,each=lww"`
	Places  map[Tier]Address  `merge:"places,each=nested"`
	Amount  int               `merge:"amount,lww,group=price"`
	Unit    *string           `merge:"unit,lww,group=price"`
	Title   string            `merge:"title,lww,was=heading"`
	Any     any               `merge:"any,lww"`
	Dotted  string            `merge:"a.b,lww"`
	Ignored func()            `merge:"-"`
}

func higherTier(siblings []fieldmerge.Sibling[Tier]) (Tier, error) {
	best := siblings[0].Value
	for _, s := range siblings {
		best = max(best, s.Value)
	}
	return best, nil
}

func everythingSchema(t require.TestingT) *fieldmerge.Schema[Everything] {
	s, err := fieldmerge.NewSchema[Everything](fieldmerge.Ranks("c", "a"), fieldmerge.Custom("tier", higherTier))
	require.NoError(t, err)
	return s
}

func ptr[V any](v V) *V { return &v }

func full() Everything {
	return Everything{
		Base: Base{Created: time.UnixMilli(1000).UTC(), By: "ops"}, Name: "Asha", Nick: ptr(""), Tier: "gold", Age: -3, Quota: 1 << 63, Score: 1.5, On: true,
		Avatar: []byte{1, 2}, Wait: time.Second, Addr: netip.MustParseAddr("10.0.0.1"), Tags: []string{"a", "b"}, Whole: map[string]int{"x": 1},
		Home: Address{Street: "1 Main", City: "Pune", Geo: ptr(1.25)}, Work: &Address{}, Prefs: map[string]string{"theme": "dark", "": "x", "a.b": ""},
		Places: map[Tier]Address{"p": {City: "Goa"}, "q": {}}, Amount: 5, Unit: ptr("EUR"), Title: "t", Any: []any{int64(1), "x"}, Dotted: "d",
	}
}

// on opens a domain of T on a site of its own.
func on[T any](t *testing.T, s *fieldmerge.Schema[T], name fieldwise.Region) (*stepped, *fieldmerge.Domain[T]) {
	site := newStepped(s.Merger(), name, 1)
	d, err := fieldmerge.Open(site, "d", s)
	require.NoError(t, err)
	return site, d
}

func TestAStructRoundTrips(t *testing.T) {
	for name, v := range map[string]Everything{
		"zero": {}, "full": full(), "empty maps": {Prefs: map[string]string{}, Places: map[Tier]Address{}, Work: &Address{}},
	} {
		site, d := on(t, everythingSchema(t), "a")
		_, err := d.Create(ctx(), key, v)
		require.NoError(t, err)
		got, err := d.Get(ctx(), key)
		require.NoError(t, err)
		require.Equal(t, v, got, name)
		state := site.State
		receipt, err := d.Update(ctx(), key, func(*Everything) error { return nil })
		require.NoError(t, err)
		require.True(t, receipt.IsZero())
		require.Equal(t, state, site.State, name)
		// And from any record to any other.
		for other, w := range map[string]Everything{"zero": {}, "full": full()} {
			_, err = d.Update(ctx(), key, func(p *Everything) error { *p = w; return nil })
			require.NoError(t, err)
			got, err = d.Get(ctx(), key)
			require.NoError(t, err)
			require.Equal(t, w, got, "%s to %s", name, other)
		}
	}
}

func TestZeroValuesAreNotWrittenByCreateAndAreByUpdate(t *testing.T) {
	s := everythingSchema(t)
	site, d := on(t, s, "a")
	_, err := d.Create(ctx(), key, Everything{Name: "x"})
	require.NoError(t, err)
	require.Equal(t, []string{"name"}, paths(t, site))
	_, err = d.Update(ctx(), key, func(p *Everything) error { p.Name = ""; return nil })
	require.NoError(t, err)
	siblings, err := d.Siblings(ctx(), key, "name")
	require.NoError(t, err)
	require.Equal(t, "", siblings[0].Value)
	require.False(t, siblings[0].Absent)
}

// paths lists the fields of a site's record that show a value, as a document has them.
func paths(t *testing.T, site *stepped) (all []string) {
	d, err := fieldmerge.OpenDocuments(site, "d", lwwSchema(t))
	require.NoError(t, err)
	doc, err := d.Get(ctx(), key)
	require.NoError(t, err)
	for path := range flatten(doc) {
		all = append(all, path)
	}
	return all
}

func TestConcurrentChangesOfAStructMergeFieldByField(t *testing.T) {
	s := everythingSchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err := da.Create(ctx(), key, full())
	require.NoError(t, err)
	b.join(t, a.State)
	update := func(d *fieldmerge.Domain[Everything], change func(*Everything)) {
		_, err := d.Update(ctx(), key, func(p *Everything) error { change(p); return nil })
		require.NoError(t, err)
	}
	update(da, func(p *Everything) {
		p.Home.City = "A"
		p.Prefs["theme"] = "light"
		p.Tier = "lead"
		p.Amount = 7
		delete(p.Places, "q")
	})
	update(db, func(p *Everything) {
		p.Home.City, p.Home.Street = "B", "2 Main"
		p.Prefs["lang"] = "en"
		p.Tier = "zinc"
		p.Places["q"] = Address{Street: "new"}
		p.Unit = ptr("USD")
	})
	state := a.State
	found := a.join(t, b.State)
	b.join(t, state)
	require.Equal(t, a.State, b.State)
	want := full()
	want.Home.City, want.Home.Street = "A", "2 Main"
	want.Prefs["theme"], want.Prefs["lang"] = "light", "en"
	want.Tier = "zinc"
	want.Amount = 7 // of one group there is one winner: a's write, which is the later one
	want.Places["q"] = Address{Street: "new"}
	for _, d := range []*fieldmerge.Domain[Everything]{da, db} {
		got, err := d.Get(ctx(), key)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	var reports []string
	for _, c := range found {
		reports = append(reports, fmt.Sprintf("%v %s: %s, %s", c.Kind, c.Field, c.Policy, c.Reason))
	}
	slices.Sort(reports)
	require.Equal(t, []string{
		`shape places.q: newer shape, `,
		`update/update home.city: priority, "a" has rank 2, "b" has none`,
		`update/update price: lww, newer within the same millisecond`,
		`update/update tier: custom=tier, tier chose the other`,
	}, reports)
}

func TestAPointerThatOnlyWhatIsBelowItTellsOfStaysUnset(t *testing.T) {
	type badge struct {
		No int `merge:"no,lww"`
	}
	type work struct {
		Badge *badge `merge:"badge,nested"`
	}
	type person struct {
		Work *work `merge:"work,nested"`
	}
	s, err := fieldmerge.NewSchema[person]()
	require.NoError(t, err)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err = da.Create(ctx(), key, person{Work: &work{}})
	require.NoError(t, err)
	first := a.delta
	_, err = da.Update(ctx(), key, func(p *person) error { p.Work.Badge = &badge{}; return nil })
	require.NoError(t, err)
	b.join(t, a.delta)
	_, err = db.Update(ctx(), key, func(p *person) error { p.Work = nil; return nil })
	require.NoError(t, err)
	b.join(t, first)
	p, err := db.Get(ctx(), key)
	require.NoError(t, err)
	require.Nil(t, p.Work)
}
