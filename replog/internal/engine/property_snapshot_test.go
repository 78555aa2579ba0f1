package engine

import (
	"bytes"
	"hash/crc64"
	"maps"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
)

// truth is what a log comes to.
type truth struct {
	vector fieldwise.Vector
	sizes  map[fieldwise.Origin][]sized // of all that vector counts
	folded map[string]map[string][]byte // states by domain and key
}

type sized struct {
	size  int
	time  fieldwise.Timestamp
	chain uint64
}

func newTruth() truth {
	return truth{make(fieldwise.Vector), make(map[fieldwise.Origin][]sized), make(map[string]map[string][]byte)}
}

func (t *truth) clone() truth {
	c := truth{t.vector.Clone(), make(map[fieldwise.Origin][]sized), make(map[string]map[string][]byte)}
	for o, all := range t.sizes {
		c.sizes[o] = slices.Clone(all)
	}
	for name, states := range t.folded {
		c.folded[name] = maps.Clone(states)
	}
	return c
}

// add adds an entry.
func (t *truth) add(w *world, e Entry, body []byte) {
	chain := crc64.Update(t.chain(e.Origin, e.Seq-1), chainTable, body)
	t.vector[e.Origin] = e.Seq
	t.sizes[e.Origin] = append(t.sizes[e.Origin], sized{len(body), e.Time, chain})
	t.join(w, e.Domain, e.Key, e.Delta)
}

func (t *truth) join(w *world, domain, key string, state []byte) {
	if t.folded[domain] == nil {
		t.folded[domain] = make(map[string][]byte)
	}
	joined, err := w.merger(domain).Merge(nil, t.folded[domain][key], state)
	require.NoError(w, err)
	t.folded[domain][key] = joined
}

func (t *truth) total() (entries, bytes int64) {
	for _, all := range t.sizes {
		entries += int64(len(all))
		for _, e := range all {
			bytes += int64(e.size)
		}
	}
	return entries, bytes
}

// latest is the highest timestamp of an origin up to a number.
func (t truth) latest(o fieldwise.Origin, seq fieldwise.Seq) (latest fieldwise.Timestamp) {
	for _, e := range t.sizes[o][:seq] {
		latest = max(latest, e.time)
	}
	return latest
}

func (t truth) chain(o fieldwise.Origin, seq fieldwise.Seq) uint64 {
	if seq == 0 {
		return 0
	}
	return t.sizes[o][seq-1].chain
}

// walk is a snapshot on its way out.
type walk struct {
	of, to   *region
	snapshot *Snapshot
	pieces   [][]byte
	truth    truth
	frames   int
}

// take begins a snapshot of a region for another.
func (w *world) take(of, to *region) *walk {
	w.counts["snapshots"]++
	s, err := of.e.Snapshot(to.asks(of.host))
	require.NoError(w, err)
	s.writer.full, s.writer.most = upTo(w.T, "bytes of a piece", 127), upTo(w.T, "bytes of an item", 40)
	k := &walk{of: of, to: to, snapshot: s, truth: of.clone(), frames: len(of.frames)}
	w.walks = append(w.walks, k)
	return k
}

// walkOn walks a snapshot on by a piece.
func (w *world) walkOn() {
	if len(w.walks) == 0 {
		return
	}
	k := one(w.T, "walk", w.walks...)
	for range upTo(w.T, "pieces", 6) {
		if !k.next(w) {
			return
		}
	}
}

func (k *walk) next(w *world) bool {
	piece := k.snapshot.Next()
	if piece != nil {
		w.counts["pieces"]++
		k.pieces = append(k.pieces, piece)
		return true
	}
	if len(k.of.frames) > k.frames {
		w.counts["overwritten while it is walked"]++
	}
	w.walks = slices.DeleteFunc(w.walks, func(other *walk) bool { return other == k })
	require.False(w, k.of.e.snapshots[k.snapshot], "nothing is kept for it any more")
	w.truths[k.sum(w)] = k.truth
	w.messages = append(w.messages, message{to: k.to, from: k.of, pieces: k.pieces})
	return false
}

// sum takes the pieces in, and compares them with what the log came to when the snapshot was
// taken.
func (k *walk) sum(w *world) uint64 {
	s, got := w.collect(k.pieces), newTruth()
	domain := ""
	require.NoError(w, s.walk(func(name, merger string) error {
		domain = name
		require.Contains(w, []string{"", w.merger(name).Name()}, merger)
		return nil
	}, func(key string, state []byte) error {
		if len(state) > k.snapshot.writer.most {
			w.counts["large"]++
		}
		got.join(w, domain, key, state)
		return nil
	}))
	require.Equal(w, k.of.cfg.Origin.Region, s.Region())
	require.Equal(w, k.truth.vector, s.Vector())
	for _, m := range s.marks {
		var bytes int64
		for _, e := range k.truth.sizes[m.origin] {
			bytes += int64(e.size)
		}
		require.Equal(w, bytes, m.bytes)
		require.Equal(w, k.truth.chain(m.origin, m.seq), m.chain)
		require.Equal(w, k.truth.latest(m.origin, m.seq), m.time)
	}
	for _, name := range worldDomains {
		if !maps.EqualFunc(got.folded[name], k.truth.folded[name], bytes.Equal) {
			w.Fatalf("a snapshot of %v has %q in %s, it held %q", k.of.cfg.Origin, got.folded[name], name, k.truth.folded[name])
		}
	}
	return s.sum
}

func (w *world) collect(pieces [][]byte) *Pieces {
	s := &Pieces{}
	for _, piece := range pieces {
		require.False(w, s.Complete())
		require.NoError(w, s.Add(bytes.Clone(piece)))
	}
	require.True(w, s.Complete())
	return s
}

// whole is a snapshot of a region for another, walked in one go.
func (w *world) whole(of, to *region) [][]byte {
	k := w.take(of, to)
	for k.next(w) {
	}
	w.messages = nil
	return k.pieces
}

// dropWalks is what becomes of them when the process ends.
func (r *region) dropWalks() {
	r.w.walks = slices.DeleteFunc(r.w.walks, func(k *walk) bool {
		if k.of == r {
			k.snapshot.Close()
		}
		return k.of == r
	})
}

// install stages a snapshot, which may be an old one.
func (r *region) install(from *region, pieces [][]byte) {
	s := r.w.collect(pieces)
	v, before := s.Vector(), r.e.staged.Clone()
	d, err := r.e.Install(r.wall(), from.cfg.Origin.Region, s)
	require.NoError(r.w, err)
	r.w.counts["installed"]++
	require.Empty(r.w, d.Alarms)
	require.Equal(r.w, v, d.Want)
	after := before.Clone()
	for o, seq := range v {
		if seq > before[o] {
			r.w.counts["raised"]++
			after[o] = seq
			r.clock = max(r.clock, r.w.truths[s.sum].latest(o, seq))
		}
		if seq < before[o] {
			r.w.counts["installed where more is known"]++
		}
	}
	require.Equal(r.w, after, r.e.staged)
	for o, seq := range after {
		_, known := r.e.chain(o, seq)
		require.True(r.w, known)
	}
	require.True(r.w, r.e.peer(from.cfg.Origin.Region).want.Covers(v))
	if len(r.open) < len(worldDomains) {
		r.w.counts["installed in a domain that is not open"]++
	}
}

// installs takes in that the log installs a snapshot, whose pieces are the last in it.
func (r *region) installs(body []byte, frame int64) error {
	p := parser{b: body}
	n, sum := p.uint(), p.uint()
	require.NoError(r.w, p.end("installed"))
	t, ok := r.w.truths[sum]
	require.True(r.w, ok, "nobody took this snapshot")
	s := r.w.collect(r.pieces)
	r.pieces = nil
	require.Len(r.w, s.all, int(n))
	for o, seq := range t.vector {
		if seq > r.vector[o] {
			r.vector[o], r.sizes[o] = seq, slices.Clone(t.sizes[o])
			r.base[o], r.logBase[o] = seq, seq
		}
	}
	domain := ""
	return s.walk(func(name, _ string) error {
		domain = name
		return nil
	}, func(key string, state []byte) error {
		r.log = append(r.log, logged{entry: Entry{Domain: domain, Key: key, Delta: bytes.Clone(state)}, frame: frame})
		r.join(r.w, domain, key, state)
		return nil
	})
}

// countInstalls counts the snapshots that are lost with batches.
func (r *region) countInstalls(as string, lost []*Batch) {
	for _, b := range lost {
		if slices.ContainsFunc(b.entries, func(s stagedEntry) bool { return s.raised != nil }) {
			r.w.counts[as]++
		}
	}
}

// forget drops some of what the log holds.
func (r *region) forget() {
	r.w.counts["forget"]++
	v := make(fieldwise.Vector)
	for _, o := range slices.SortedFunc(maps.Keys(r.vector), fieldwise.Origin.Compare) {
		v[o] = fieldwise.Seq(upTo(r.w.T, "base", min(int(r.vector[o])+1, 100)))
		r.base[o] = max(r.base[o], min(v[o], r.vector[o]))
	}
	r.e.Forget(v)
}

// checkBases holds bases and ends against the log.
func (r *region) checkBases() {
	for o, h := range r.e.index {
		entries := r.sizes[o]
		var size int64
		for i, e := range entries {
			size += int64(e.size)
			if seq := fieldwise.Seq(i + 1); seq == h.base.seq && (h.base.bytes != size || h.base.time != r.latest(o, seq)) {
				r.w.Fatalf("%v: base of %v is %+v, in truth %d bytes", r.cfg.Origin, o, h.base, size)
			}
		}
		if h.base.seq != r.base[o] || h.end.seq != r.vector[o] || h.end.bytes != size || h.end.time != r.latest(o, r.vector[o]) || len(h.places) != int(h.end.seq-h.base.seq) ||
			h.end.chain != r.chain(o, h.end.seq) || h.base.chain != r.chain(o, h.base.seq) {
			r.w.Fatalf("%v: %v stands at %+v behind %+v, in truth at %d behind %d, %d bytes", r.cfg.Origin, o, h.end, h.base, r.vector[o], r.base[o], size)
		}
	}
}
