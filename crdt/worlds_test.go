package crdt_test

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/mapstore"
)

func ctx() context.Context { return context.Background() }

// world is three regions that each keep one domain in a map, and the deltas that are on their way.
type world struct {
	t      require.TestingT
	merger fieldwise.Merger
	hosts  []*mapstore.Host
	stores []*mapstore.Store
	models []*bag
	sent   []message
	ids    int
}

// message is the delta of one write and what it means: what it adds, and of what its writer
// knew, what it takes away.
type message struct {
	delta []byte
	adds  []added
	kills []added
}

// added is one value that one write added.
type added struct {
	id     int // rises with the writes
	write  int
	author int
	value  int64
}

// bag is what one region holds of a record, in the obvious form: all that arrived.
type bag struct {
	added  map[added]bool
	killed map[added]bool
	heard  bool // of any write
}

// current lists what was added and not taken away, by value.
func (b *bag) current() (all []added) {
	for a := range b.added {
		if !b.killed[a] {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b added) int { return cmp.Or(cmp.Compare(a.value, b.value), a.id-b.id) })
	return all
}

// values lists the values of current, each once.
func (b *bag) values() (vs []int64) {
	for _, a := range b.current() {
		vs = append(vs, a.value)
	}
	return slices.Compact(vs)
}

// of lists what of current has one of the values.
func (b *bag) of(values ...int64) (all []added) {
	for _, a := range b.current() {
		if slices.Contains(values, a.value) {
			all = append(all, a)
		}
	}
	return all
}

const regions = 3

func newWorld(t require.TestingT, m fieldwise.Merger) *world {
	w := &world{t: t, merger: m}
	for i := range regions {
		// Wall clocks that stand still, and are apart.
		wall := time.UnixMilli(int64(1000 * (i + 1)))
		h := mapstore.New(origin(fieldwise.Region([]byte{'a' + byte(i)}), 1), func() time.Time { return wall })
		h.OpenFrom = []int{0, 1, 40}[i]
		s, err := h.Domain("d", m)
		require.NoError(t, err)
		w.hosts, w.stores = append(w.hosts, h), append(w.stores, s.(*mapstore.Store))
		w.models = append(w.models, &bag{added: map[added]bool{}, killed: map[added]bool{}})
	}
	return w
}

// wrote takes note of what a write of a region means, if it wrote anything: whether it did
// is what it returns.
func (w *world) wrote(region int, receipt fieldwise.Receipt, err error, kills []added, values ...int64) bool {
	require.NoError(w.t, err)
	if receipt.IsZero() {
		return false
	}
	deltas := w.stores[region].Deltas("k")
	m := message{delta: deltas[len(deltas)-1], kills: kills}
	for _, v := range values {
		w.ids++
		m.adds = append(m.adds, added{w.ids, len(w.sent), region, v})
	}
	w.sent = append(w.sent, m)
	w.learn(region, m)
	return true
}

func (w *world) learn(region int, m message) {
	w.models[region].heard = true
	for _, a := range m.adds {
		w.models[region].added[a] = true
	}
	for _, a := range m.kills {
		w.models[region].killed[a] = true
	}
}

func (w *world) receive(region int, m message) {
	require.NoError(w.t, w.stores[region].Merge("k", m.delta))
	w.learn(region, m)
}

// deliver gives a region one of the messages, be it for the first time or not.
func (w *world) deliver(t *rapid.T, region int) {
	if len(w.sent) > 0 {
		w.receive(region, rapid.SampledFrom(w.sent).Draw(t, "message"))
	}
}

// settle gives all messages to all regions, checks the laws on what they held before and
// that they hold the same bytes after.
func (w *world) settle() {
	var states [regions][]byte
	for i, s := range w.stores {
		states[i] = s.State("k")
	}
	join := func(a, b []byte) []byte {
		joined, err := w.merger.Merge(nil, a, b)
		require.NoError(w.t, err)
		return joined
	}
	a, b, c := states[0], states[1], states[2]
	require.Equal(w.t, join(a, b), join(b, a), "commutative")
	require.Equal(w.t, join(join(a, b), c), join(a, join(b, c)), "associative")
	require.Equal(w.t, join(a, b), join(join(a, b), a), "idempotent")
	for i, s := range w.stores {
		for _, m := range w.sent {
			w.receive(i, m)
		}
		require.True(w.t, bytes.Equal(w.stores[0].State("k"), s.State("k")), "converged")
		require.True(w.t, bytes.Equal(join(join(a, b), c), s.State("k")), "states and deltas come to the same")
	}
}
