package fieldmerge_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// benchNames are names of five to nine bytes, as those of profiles are.
var benchNames = []string{"address", "birthday", "city", "country", "email", "language", "name", "phone", "plan", "timezone"}

func benchOrigin(i int) fieldwise.Origin {
	return fieldwise.Origin{Region: []fieldwise.Region{"ap-south-1", "eu-west-1", "us-east-1", "sa-east-1"}[i], Incarnation: 0x123456789abcdef0 + uint64(i)}
}

var value16 = wire.AppendString(nil, "sixteen-byte-val")

// benchRecord encodes fields that the given origins wrote, each at its time; a time of
// zero leaves the item out.
func benchRecord(names []string, origins []int, timeOf func(field, origin int) fieldwise.Timestamp) []byte {
	var used []fieldwise.Origin
	for _, o := range origins {
		used = append(used, benchOrigin(o))
	}
	b := lattice.AppendTable([]byte{1}, used)
	for f, name := range names {
		var body []byte
		for i, o := range origins {
			if at := timeOf(f, o); at > 0 {
				body = lattice.AppendItem(body, lattice.Item{Index: i, Time: at, Value: value16})
			}
		}
		if len(body) > 0 {
			b = lattice.AppendField(b, lattice.Field{Name: []byte(name), Kind: lattice.KindRegister, Body: body})
		}
	}
	return b
}

// withCounter is a record of one origin with a counter more.
func withCounter(record []byte, n uint64) []byte {
	body := lattice.AppendCount(nil, lattice.Count{Time: now + fieldwise.Timestamp(n), Up: n})
	return lattice.AppendField(bytes.Clone(record), lattice.Field{Name: []byte("visits"), Kind: lattice.KindCounter, Body: body})
}

func always(at fieldwise.Timestamp) func(int, int) fieldwise.Timestamp {
	return func(int, int) fieldwise.Timestamp { return at }
}

type mergeCase struct {
	name string
	a, b []byte
}

const now = 1800000000000 << 16

func mergeCases() []mergeCase {
	one := benchRecord(benchNames, []int{0}, always(now))
	three := benchRecord(benchNames, []int{0, 1, 2}, func(f, o int) fieldwise.Timestamp {
		if f%3 == o {
			return now
		}
		return 0
	})
	allThree := benchRecord(benchNames, []int{0, 1, 2}, always(now))
	rng := rand.New(rand.NewPCG(3, 4))
	half := func(int, int) fieldwise.Timestamp { return now + fieldwise.Timestamp(rng.IntN(3)) - 1 }
	var thousand []string
	for i := range 1000 {
		thousand = append(thousand, fmt.Sprintf("field-%04d", i))
	}
	big := benchRecord(thousand, []int{0}, always(now))
	email := benchNames[4:5]
	return []mergeCase{
		{"1 into 10, equal tables", one, benchRecord(email, []int{0}, always(now+1))},
		{"1 into 10, the first", one, benchRecord(benchNames[:1], []int{0}, always(now+1))},
		{"1 into 10, the last", one, benchRecord(benchNames[9:], []int{0}, always(now+1))},
		{"1 into 10, one of three origins", three, benchRecord(email, []int{1}, always(now+1))},
		{"1 into 10, new origin", one, benchRecord(email, []int{3}, always(now+1))},
		{"10 into 10, random half", one, benchRecord(benchNames, []int{0}, half)},
		{"10 into 10, three items each", allThree, benchRecord(benchNames, []int{0, 1, 2}, half)},
		{"a counter into 10", withCounter(one, 1000), withCounter(benchRecord(nil, []int{0}, always(now)), 1001)},
		{"1 into 1000", big, benchRecord(thousand[500:501], []int{0}, always(now+1))},
		{"identical", one, bytes.Clone(one)},
		{"check of 10", nil, one},
	}
}

func BenchmarkMerge(b *testing.B) {
	m := fieldmerge.Merger{}
	for _, c := range mergeCases() {
		b.Run(strings.ReplaceAll(c.name, " ", "_"), func(b *testing.B) {
			dst := make([]byte, 0, 4*(len(c.a)+len(c.b))+1024)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Merge(dst, c.a, c.b); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestMergeAllocatesNothing(t *testing.T) {
	m := fieldmerge.Merger{}
	for _, c := range mergeCases() {
		for _, x := range [][]byte{c.a, c.b} {
			_, err := m.Merge(nil, nil, x)
			require.NoError(t, err, c.name)
		}
		dst := make([]byte, 0, 4*(len(c.a)+len(c.b))+1024)
		allocs := testing.AllocsPerRun(100, func() { _, _ = m.Merge(dst, c.a, c.b) })
		require.Zero(t, allocs, c.name)
	}
}

// floorField is what a merge cannot do without.
type floorField struct {
	name      string
	timestamp uint64
	origin    uint32
	value     []byte
}

func floorFields(names []string, times func(int) uint64) (fs []floorField) {
	for i, n := range names {
		fs = append(fs, floorField{name: n, timestamp: times(i), origin: 1, value: []byte("sixteen-byte-val")})
	}
	return fs
}

// floorMerge merges sorted fields out of place: the higher timestamp wins, then the
// higher origin. What comes before a field of b leaves in one copy.
func floorMerge(dst, a, b []floorField) []floorField {
	for len(b) > 0 {
		i := 0
		for i < len(a) && a[i].name < b[0].name {
			i++
		}
		dst, a = append(dst, a[:i]...), a[i:]
		if len(a) == 0 {
			break
		}
		winner := &b[0]
		if a[0].name == b[0].name {
			if a[0].timestamp > b[0].timestamp || a[0].timestamp == b[0].timestamp && a[0].origin > b[0].origin {
				winner = &a[0]
			}
			a = a[1:]
		}
		dst, b = append(dst, *winner), b[1:]
	}
	return append(append(dst, a...), b...)
}

// floorMap merges into a map of structs, in place.
func floorMap(into map[string]floorField, b []floorField) {
	for i := range b {
		old, ok := into[b[i].name]
		if !ok || b[i].timestamp > old.timestamp || b[i].timestamp == old.timestamp && b[i].origin > old.origin {
			into[b[i].name] = b[i]
		}
	}
}

// floors returns the two floors as functions to measure: one field into ten, and ten
// into ten, half of which are newer each time.
func floors() (one, ten func()) {
	at := func(t uint64) func(int) uint64 { return func(int) uint64 { return t } }
	a, b := floorFields(benchNames, at(1)), floorFields(benchNames[4:5], at(2))
	dst := make([]floorField, 0, 16)
	one = func() { dst = floorMerge(dst[:0], a, b) }
	into := make(map[string]floorField)
	floorMap(into, a)
	time := uint64(1)
	more := floorFields(benchNames, at(1))
	ten = func() {
		time++
		for i := range more {
			if i%2 == 0 {
				more[i].timestamp = time
			}
		}
		floorMap(into, more)
	}
	return one, ten
}

// manyPairs is how many pairs of states take turns where one pair would teach the machine
// which field is the newer.
const manyPairs = 512

// floorOfMany is the floor of ten into ten where another random half is newer each time.
func floorOfMany() func() {
	into := make(map[string]floorField)
	floorMap(into, floorFields(benchNames, func(int) uint64 { return 1 }))
	more := floorFields(benchNames, func(int) uint64 { return 1 })
	rng := rand.New(rand.NewPCG(5, 6))
	var halves [manyPairs][10]uint64 // one or zero
	for i := range halves {
		for f := range halves[i] {
			halves[i][f] = rng.Uint64N(2)
		}
	}
	time := uint64(1)
	return func() {
		time++
		for f, newer := range halves[time%manyPairs] {
			more[f].timestamp = time * newer
		}
		floorMap(into, more)
	}
}

// pairs are pairs of states of ten fields, each with an item of every one of the origins;
// a random half of b's are newer, and the others older.
func pairs(origins []int) (all [manyPairs]mergeCase) {
	rng := rand.New(rand.NewPCG(7, 8))
	for i := range all {
		all[i] = mergeCase{
			a: benchRecord(benchNames, origins, always(now)),
			b: benchRecord(benchNames, origins, func(int, int) fieldwise.Timestamp { return now - 1 + 2*fieldwise.Timestamp(rng.IntN(2)) }),
		}
	}
	return all
}

func BenchmarkFloor(b *testing.B) {
	one, ten := floors()
	for _, c := range []struct {
		name string
		f    func()
	}{{"slice_1_into_10", one}, {"map_10_into_10", ten}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.f()
			}
		})
	}
}

// BenchmarkRatio measures floor and merge by turns, since a machine is faster at one
// time than at another, and reports the medians and their ratio. The goals are those of
// section 11 of the design.
func BenchmarkRatio(b *testing.B) {
	const rounds, n = 9, 100_000
	m := fieldmerge.Merger{}
	cases := mergeCases()
	dst := make([]byte, 0, 1<<14)
	merge := func(i int) func() {
		c := cases[i]
		return func() { _, _ = m.Merge(dst, c.a, c.b) }
	}
	checked := func(i int) func() {
		c := cases[i]
		return func() {
			_, _ = m.Merge(dst, nil, c.a)
			_, _ = m.Merge(dst, nil, c.b)
			_, _ = m.Merge(dst, c.a, c.b)
		}
	}
	inTurn := func(origins ...int) func() {
		all, i := pairs(origins), 0
		return func() {
			i = (i + 1) % manyPairs
			_, _ = m.Merge(dst, all[i].a, all[i].b)
		}
	}
	one, ten := floors()
	many := floorOfMany()
	for _, c := range []struct {
		name         string
		floor, merge func()
	}{
		{"1_into_10", one, merge(0)},
		{"1_into_10_both_checked", one, checked(0)},
		{"1_into_10_one_of_three", one, merge(3)},
		{"1_into_10_new_origin", one, merge(4)},
		{"10_into_10", ten, merge(5)},
		{"10_into_10_both_checked", ten, checked(5)},
		{"10_into_10_many_pairs", many, inTurn(0)},
		{"10_into_10_three_items", ten, merge(6)},
		{"10_into_10_three_items_both_checked", ten, checked(6)},
		{"10_into_10_three_items_many_pairs", many, inTurn(0, 1, 2)},
	} {
		b.Run(c.name, func(b *testing.B) {
			var floor, merged []float64
			for b.Loop() {
				floor, merged = nil, nil
				for range rounds {
					for _, side := range []struct {
						f   func()
						out *[]float64
					}{{c.floor, &floor}, {c.merge, &merged}} {
						start := time.Now()
						for range n {
							side.f()
						}
						*side.out = append(*side.out, float64(time.Since(start).Nanoseconds())/n)
					}
				}
			}
			slices.Sort(floor)
			slices.Sort(merged)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(floor[rounds/2], "floor-ns")
			b.ReportMetric(merged[rounds/2], "merge-ns")
			b.ReportMetric(merged[rounds/2]/floor[rounds/2], "x-floor")
		})
	}
}

// BenchmarkCounter counts up in a record of ten fields and a counter: it makes the delta and
// merges it.
func BenchmarkCounter(b *testing.B) {
	m := fieldmerge.Merger{}
	state := withCounter(benchRecord(benchNames, []int{0}, always(now)), 1)
	_, rest, ok := lattice.Cut(state[1:])
	require.True(b, ok)
	dst := make([]byte, 0, 4*len(state)+1024)
	room, delta := make([]byte, 0, 64), make([]byte, 0, 256)
	inc := []lattice.Intent{{Op: lattice.OpInc, Amount: 1}}
	name := []byte("visits")
	at := fieldwise.Version{Time: now + 5000, Origin: benchOrigin(0)}
	b.ReportAllocs()
	for b.Loop() {
		t, _, _ := lattice.Cut(state[1:])
		d, err := lattice.NewDelta(t, at)
		if err != nil {
			b.Fatal(err)
		}
		body, err := d.AppendCounts(room, lattice.FindField(rest, "visits", lattice.KindCounter), inc)
		if err != nil {
			b.Fatal(err)
		}
		fields := [1]lattice.Field{{Name: name, Kind: lattice.KindCounter, Body: body}}
		delta = d.AppendFields(append(delta[:0], 1), fields[:])
		if _, err := m.Merge(dst, state, delta); err != nil {
			b.Fatal(err)
		}
	}
}
