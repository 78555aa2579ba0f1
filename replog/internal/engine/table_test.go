package engine

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

// checkTable compares a table with the map it stands for, and checks its books.
func checkTable(t require.TestingT, table *table, want map[string][]byte) {
	require.Equal(t, len(want), table.len())
	found := 0
	for key, state := range table.all() {
		if other, ok := want[string(key)]; !ok || !bytes.Equal(other, state) {
			require.Fail(t, "a record", "%.80q: %.80x, want %.80x", key, state, other)
		}
		found++
	}
	require.Equal(t, len(want), found)
	for key, state := range want {
		if got := table.get(key); got == nil || !bytes.Equal(got, state) || cap(got) != len(got) {
			require.Fail(t, "a lookup", "%.80q: %.80x, want %.80x", key, got, state)
		}
	}

	segments := make(map[*segment]bool)
	for _, s := range table.segments {
		segments[s] = true
	}
	used := 0
	for s := range segments {
		taken := 0
		for _, at := range s.slots {
			if at != 0 {
				taken++
			}
		}
		require.Equal(t, taken, s.used)
		used += taken
	}
	require.Equal(t, len(want), used)

	memory, live, free := 0, 0, 0
	for i, c := range table.chunks {
		inUse := 0
		for mem := c.mem; len(mem) > 0; mem = mem[roomSize(mem):] {
			if isFree(mem) {
				free++
			} else {
				inUse += need(mem)
			}
		}
		if inUse != c.live {
			require.Equal(t, inUse, c.live)
		}
		live += inUse
		if memory += cap(c.mem); i == int(table.filling) {
			memory += len(c.mem) - cap(c.mem)
		}
	}
	require.Equal(t, live, table.live)
	require.Equal(t, memory, table.memory)
	require.LessOrEqual(t, memory-live, memory/16+2*maxShared, "waste")
	for class, first := range table.free {
		before := place64(0)
		for p := first; p != 0; p = linkOf(table.room(p), nextLink) {
			room := table.room(p)
			if !isFree(room) || classOf(roomSize(room)) != class || linkOf(room, beforeLink) != before {
				require.Fail(t, "a list of free rooms", "%x", room[:minRoom])
			}
			before = p
			free--
		}
	}
	require.Zero(t, free, "free rooms that are in no list")
}

// tableModel is a table and the map that it stands for.
type tableModel struct {
	t     *rapid.T
	table table
	want  map[string][]byte
}

func (m *tableModel) put(key string, state []byte) {
	m.want[key] = bytes.Clone(state)
	m.table.put(key, state)
	for i := range state {
		state[i] = 0xee // the table must have kept nothing of it
	}
}

func (m *tableModel) remove(key string) {
	delete(m.want, key)
	m.table.remove(key)
}

// stateOf returns n bytes that tell states apart.
func (m *tableModel) stateOf(n int) []byte {
	return bytes.Repeat([]byte{rapid.Byte().Draw(m.t, "state"), byte(n), byte(n >> 8)}, n/3+1)[:n]
}

func TestATableIsAMap(t *testing.T) {
	split, given := 0, 0
	randtest.Check(t, 100, 5000, func(t *rapid.T) {
		m := &tableModel{t: t, want: make(map[string][]byte)}
		m.table.clear = one(t, "cleared bits", 0,
			^uint64(0xff),              // keys collide, and segments cannot be split
			^uint64(0xff<<56),          // keys collide, and segments can be split
			^uint64(0xfff<<52|7),       // more of them
			^uint64(tagMask>>maxDepth), // the tag tells keys apart, and nothing else
		)
		keys := upTo(t, "keys", 100)
		drawKey := func() string {
			n := upTo(t, "key", keys)
			return string(bytes.Repeat([]byte{byte('a' + n%7)}, n%40)) + fmt.Sprint(n)
		}
		drawSize := func() int {
			scale := one(t, "scale", 1, 1, 10, 10, 100, 2*maxShared/100)
			return scale * (upTo(t, "bytes", 100) - 1)
		}
		t.Repeat(map[string]func(*rapid.T){
			"put":    func(*rapid.T) { m.put(drawKey(), m.stateOf(drawSize())) },
			"shrink": func(*rapid.T) { k := drawKey(); m.put(k, m.stateOf(len(m.want[k])/2)) },
			"remove": func(*rapid.T) { m.remove(drawKey()) },
			"grow many": func(*rapid.T) {
				more := upTo(t, "more", 60)
				for _, k := range slices.Sorted(maps.Keys(m.want)) {
					m.put(k, append(m.stateOf(more), m.want[k]...))
				}
			},
			"put many": func(*rapid.T) {
				n := 10 * upTo(t, "many", 100)
				for i := range n {
					m.put(fmt.Sprintf("many-%d", i), []byte{byte(i), byte(n)})
				}
			},
			"remove many": func(*rapid.T) {
				every := upTo(t, "every", 4)
				for i, k := range slices.Sorted(maps.Keys(m.want)) {
					if i%every == 0 {
						m.remove(k)
					}
				}
			},
			"split": func(*rapid.T) { // as chance does with many records, so that segments differ in depth
				if m.table.segments == nil {
					return
				}
				hash := m.table.hash(drawKey())
				if s := m.table.segments[hash>>(64-m.table.depth)]; s.depth < maxDepth {
					m.table.split(s, hash)
				}
			},
			"touch": func(*rapid.T) {
				all := slices.Sorted(maps.Keys(m.want))
				m.table.touch(append(all[:min(len(all), group-1)], "not there"))
			},
			"": func(t *rapid.T) {
				checkTable(t, &m.table, m.want)
				split += int(m.table.depth)
				given += len(m.table.numbers)
			},
		})
	})
	require.NotZero(t, split, "no segment was ever split")
	require.NotZero(t, given, "no chunk was ever given up")
}

// profileFields are names of five to nine bytes, as those of profiles are.
var profileFields = []string{"address", "birthday", "city", "country", "email", "language", "name", "phone", "plan", "timezone"}

const profileTime = fieldwise.Timestamp(1_800_000_000_000 << 16)

// profile is the state of a record of which each field was written by n origins, one after
// the other.
func profile(fields []string, n int, at fieldwise.Timestamp) []byte {
	var origins []fieldwise.Origin
	for i, r := range []fieldwise.Region{"ap-south-1", "eu-west-1", "us-east-1"}[:n] {
		origins = append(origins, fieldwise.Origin{Region: r, Incarnation: 0x123456789abcdef0 + uint64(i)})
	}
	b := lattice.AppendTable([]byte{1}, origins)
	for _, name := range fields {
		var body []byte
		for i := range n {
			item := lattice.Item{Index: i, Time: at + fieldwise.Timestamp(i), Superseded: i < n-1}
			if !item.Superseded {
				item.Value = valueOf("sixteen-byte-val")
			}
			body = lattice.AppendItem(body, item)
		}
		b = lattice.AppendField(b, lattice.Field{Name: []byte(name), Kind: lattice.KindRegister, Body: body})
	}
	return b
}

func profileKey(i int) string { return fmt.Sprintf("profile-%08d", i) }

// heapInUse is how many bytes of the heap are in use.
func heapInUse() int {
	runtime.GC()
	runtime.GC() // what finalizers let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func TestATableTakesLittleMemory(t *testing.T) {
	const records = 150_000
	rng := rand.New(rand.NewPCG(1, 2))
	var table table
	before := heapInUse()
	for _, c := range []struct{ origins, most int }{{1, 460}, {2, 600}, {3, 720}} {
		state := profile(profileFields, c.origins, profileTime)
		_, err := fieldmerge.Merger{}.Merge(nil, nil, state)
		require.NoError(t, err)
		for _, i := range rng.Perm(records) {
			table.put(profileKey(i), state)
		}
		got := (heapInUse() - before) / records
		t.Logf("%d origins: states of %d bytes take %d", c.origins, len(state), got)
		require.LessOrEqual(t, got, c.most, "%d origins", c.origins)
	}
	runtime.KeepAlive(&table)
}

// pointersIn counts what a collection has to follow from v.
func pointersIn(v reflect.Value) (n int) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			n = 1 + pointersIn(v.Elem())
		}
	case reflect.String:
		n = 1
	case reflect.Struct:
		for _, field := range v.Fields() {
			n += pointersIn(field)
		}
	case reflect.Map:
		for at := v.MapRange(); at.Next(); {
			n += 1 + pointersIn(at.Key()) + pointersIn(at.Value())
		}
	case reflect.Slice, reflect.Array:
		n = 1
		if k := v.Type().Elem().Kind(); k < reflect.Bool || k > reflect.Complex128 {
			for i := range v.Len() {
				n += pointersIn(v.Index(i))
			}
		}
	}
	return n
}

func TestACollectionFollowsNoPointerPerRecord(t *testing.T) {
	const records = 50_000
	var table table
	state := profile(profileFields, 1, profileTime)
	for i := range records {
		table.put(profileKey(i), state)
	}
	require.Less(t, pointersIn(reflect.ValueOf(table)), records/100)
}

// BenchmarkRatioOfTable measures deltas of one field joined into records at random, by
// turns in a map of byte slices, in a table one by one, and in a table in groups. It
// reports the medians and how much faster than the map the table is; the goal is that of
// section 11 of the design.
func BenchmarkRatioOfTable(b *testing.B) {
	const records, n, rounds = 1_000_000, 200_000, 9
	var m fieldmerge.Merger
	var table table
	floor := make(map[string][]byte)
	keys := make([]string, records)
	state := profile(profileFields, 1, profileTime)
	for i := range keys {
		keys[i] = profileKey(i)
		table.put(keys[i], state)
		floor[keys[i]] = bytes.Clone(state)
	}
	var deltas [10][]byte
	order := make([]string, n)
	var joined []byte
	join := func(state []byte, i int) {
		var err error
		if joined, err = m.Merge(joined[:0], state, deltas[i%len(deltas)]); err != nil {
			b.Fatal(err)
		}
	}
	runs := []func(){
		func() {
			for i, key := range order {
				state := floor[key]
				join(state, i)
				if len(joined) == len(state) {
					copy(state, joined)
				} else {
					floor[key] = append(state[:0], joined...)
				}
			}
		},
		func() {
			for i, key := range order {
				join(table.get(key), i)
				table.put(key, joined)
			}
		},
		func() {
			for i := 0; i < n; i += group {
				table.touch(order[i : i+group])
				for j, key := range order[i : i+group] {
					join(table.get(key), i+j)
					table.put(key, joined)
				}
			}
		},
	}
	took := make([][]float64, len(runs))
	rng := rand.New(rand.NewPCG(3, 4))
	at := profileTime
	for b.Loop() {
		for range rounds {
			for i := range runs {
				for f := range deltas {
					at++
					deltas[f] = profile(profileFields[f:f+1], 1, at)
				}
				for j := range order {
					order[j] = strings.Clone(keys[rng.IntN(records)]) // in the cache, as one that was just parsed
				}
				start := time.Now()
				runs[i]()
				took[i] = append(took[i], float64(time.Since(start).Nanoseconds())/n)
			}
		}
	}
	for i := range took {
		slices.Sort(took[i])
	}
	median := func(i int) float64 { return took[i][len(took[i])/2] }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(0), "map-ns")
	b.ReportMetric(median(1), "single-ns")
	b.ReportMetric(median(2), "group-ns")
	b.ReportMetric(median(0)/median(1), "x-single")
	b.ReportMetric(median(0)/median(2), "x-group")
}
