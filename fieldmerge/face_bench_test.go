package fieldmerge_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

// Contact is the record that the costs of the face are measured with.
type Contact struct {
	Address  string `merge:"address,lww" msgpack:"address"`
	Birthday string `merge:"birthday,lww" msgpack:"birthday"`
	City     string `merge:"city,lww" msgpack:"city"`
	Country  string `merge:"country,lww" msgpack:"country"`
	Email    string `merge:"email,lww" msgpack:"email"`
	Language string `merge:"language,lww" msgpack:"language"`
	Name     string `merge:"name,lww" msgpack:"name"`
	Phone    string `merge:"phone,lww" msgpack:"phone"`
	Plan     string `merge:"plan,lww" msgpack:"plan"`
	Timezone string `merge:"timezone,lww" msgpack:"timezone"`
}

// Nested has fields in maps, which are read through a view of the whole record.
type Nested struct {
	Name  string            `merge:"name,lww" msgpack:"name"`
	Home  Contact           `merge:"home,nested" msgpack:"home"`
	Prefs map[string]string `merge:"prefs,each=lww" msgpack:"prefs"`
}

const sixteen = "sixteen-byte-val"

func contact() Contact {
	return Contact{sixteen, sixteen, sixteen, sixteen, sixteen, sixteen, sixteen, sixteen, sixteen, sixteen}
}

func nestedRecord() Nested {
	n := Nested{Name: sixteen, Home: contact(), Prefs: make(map[string]string)}
	for _, name := range benchNames {
		n.Prefs[name] = sixteen
	}
	return n
}

// benchDomain is a domain with v under key. Its host does what a log has to do in memory
// for one record: it checks the delta of a write and joins it. (A mapstore.Host would
// keep every delta, too.)
func benchDomain[T any](b require.TestingT, v T) (*stepped, *fieldmerge.Domain[T]) {
	s, err := fieldmerge.NewSchema[T]()
	require.NoError(b, err)
	site := newStepped(s.Merger(), "eu-west-1", 0x123456789abcdef0)
	site.OpenFrom = 0
	site.time = now
	d, err := fieldmerge.Open(site, "contacts", s)
	require.NoError(b, err)
	_, err = d.Create(ctx(), key, v)
	require.NoError(b, err)
	return site, d
}

// other turns between two values, so that each write changes something.
func other(s string) string {
	if s == sixteen {
		return "sixteen-byte-new"
	}
	return sixteen
}

// face is one cost and what it is compared with.
type face struct {
	name        string
	floor, call func()
	goal        float64 // times the floor; 0: none
}

// floorOf returns what reading a struct, and reading and writing it, cost with msgpack/v5.
func floorOf[T any](b require.TestingT, v T) (unmarshal, both func()) {
	encoded, err := msgpack.Marshal(v)
	require.NoError(b, err)
	unmarshal = func() {
		var v T
		if err := msgpack.Unmarshal(encoded, &v); err != nil {
			panic(err)
		}
	}
	both = func() {
		var v T
		if err := msgpack.Unmarshal(encoded, &v); err != nil {
			panic(err)
		}
		if _, err := msgpack.Marshal(&v); err != nil {
			panic(err)
		}
	}
	return unmarshal, both
}

func faces(b require.TestingT) []face {
	must := func(_ any, err error) {
		if err != nil {
			panic(err)
		}
	}
	site, d := benchDomain(b, contact())
	_, n := benchDomain(b, nestedRecord())
	empty := newStepped(fieldmerge.Merger{}, "eu-west-1", 1)
	s, err := fieldmerge.NewSchema[Contact]()
	require.NoError(b, err)
	fresh, err := fieldmerge.Open(empty, "contacts", s)
	require.NoError(b, err)
	unmarshal, both := floorOf(b, contact())
	unmarshalNested, bothNested := floorOf(b, nestedRecord())
	turn := sixteen
	patch := func() map[string]any {
		turn = other(turn)
		return map[string]any{"email": turn}
	}
	full, email := site.State, []byte(nil)
	_, err = d.Patch(ctx(), key, fieldmerge.Patch{Set: patch()})
	require.NoError(b, err)
	email = site.delta
	v := contact()
	return []face{
		{"Update", both, func() {
			must(d.Update(ctx(), key, func(c *Contact) error { c.Email = other(c.Email); return nil }))
		}, 4},
		{"Patch", both, func() { must(d.Patch(ctx(), key, fieldmerge.Patch{Set: patch()})) }, 1.5},
		{"Get", unmarshal, func() { must(d.Get(ctx(), key)) }, 1.5},
		{"Read", unmarshal, func() { _, _, err := d.Read(ctx(), key); must(nil, err) }, 0},
		{"Read_and_Put", both, func() {
			v, token, err := d.Read(ctx(), key)
			must(nil, err)
			v.Email = other(v.Email)
			must(d.Put(ctx(), key, token, v))
		}, 0},
		{"Create", both, func() { empty.State = nil; must(fresh.Create(ctx(), key, v)) }, 0},
		{"Conflicts", both, func() { must(s.Merger().Conflicts(nil, full, email)) }, 0},
		{"nested_Update", bothNested, func() {
			must(n.Update(ctx(), key, func(v *Nested) error { v.Prefs["email"] = other(v.Prefs["email"]); return nil }))
		}, 0},
		{"nested_Patch", bothNested, func() {
			turn = other(turn)
			must(n.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"prefs.email": turn}}))
		}, 0},
		{"nested_Get", unmarshalNested, func() { must(n.Get(ctx(), key)) }, 0},
	}
}

// BenchmarkFace measures the face and its floor, which is reading a struct with msgpack/v5
// and, where the face writes, writing it, too. As in BenchmarkRatio the two take turns; the
// turns are short, so that what else the machine does falls on both.
func BenchmarkFace(b *testing.B) {
	const rounds, turns, n = 9, 200, 25
	for _, c := range faces(b) {
		b.Run(c.name, func(b *testing.B) {
			var floor, call []float64
			for b.Loop() {
				floor, call = nil, nil
				for range rounds {
					var of, oc time.Duration
					for range turns {
						of += timed(n, c.floor)
						oc += timed(n, c.call)
					}
					floor = append(floor, float64(of.Nanoseconds())/(turns*n))
					call = append(call, float64(oc.Nanoseconds())/(turns*n))
				}
			}
			slices.Sort(floor)
			slices.Sort(call)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(floor[rounds/2], "floor-ns")
			b.ReportMetric(call[rounds/2], "face-ns")
			b.ReportMetric(call[rounds/2]/floor[rounds/2], "x-floor")
			b.ReportMetric(testing.AllocsPerRun(100, c.floor), "floor-allocs")
			b.ReportMetric(testing.AllocsPerRun(100, c.call), "face-allocs")
		})
	}
}

func timed(n int, f func()) time.Duration {
	start := time.Now()
	for range n {
		f()
	}
	return time.Since(start)
}

// BenchmarkFaceOf measures one call at a time, for profiles.
func BenchmarkFaceOf(b *testing.B) {
	for _, c := range faces(b) {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.call()
			}
		})
	}
}

// What the face is measured with is what it is said to be.
func TestFacesDoWhatIsMeasured(t *testing.T) {
	site, d := benchDomain(t, contact())
	for _, name := range benchNames {
		require.Contains(t, string(site.State), name)
	}
	size := len(site.State)
	for range 3 {
		receipt, err := d.Update(ctx(), key, func(c *Contact) error { c.Email = other(c.Email); return nil })
		require.NoError(t, err)
		require.NotEqual(t, fieldwise.Receipt{}, receipt)
	}
	require.Len(t, site.State, size)
}
