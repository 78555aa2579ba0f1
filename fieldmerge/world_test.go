package fieldmerge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/bits"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/value"
)

// The key that all regions write. One record is enough: records know nothing of each other.
const key = "k"

// flat is a document taken apart: encoded values by path, with the marker at the path
// of each map. This is written anew here so that what tests expect does not come from
// the code that they test. JoinPath is tested on its own.
type flat map[string]string

const marker = "\x80"

func flatten(doc map[string]any) flat {
	f := make(flat)
	f.add("", doc)
	return f
}

func (f flat) add(prefix string, doc map[string]any) {
	for k, v := range doc {
		path := prefix + escape(k)
		if m, ok := v.(map[string]any); ok {
			f[path] = marker
			f.add(path+".", m)
			continue
		}
		f[path] = encode(v)
	}
}

var escape = strings.NewReplacer(`\`, `\\`, ".", `\.`, "\x01", `\x01`).Replace

func encode(v any) string {
	b, err := value.Append(nil, v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func below(path, parent string) bool { return strings.HasPrefix(path, parent+".") }

// unset stands for "no value" among effects; no value is encoded like that.
const unset = ""

// write is what the oracle knows of one write.
type write struct {
	id      int
	region  int
	version fieldwise.Version
	name    string
	delta   []byte
	past    uint64            // ids of the writes that it knew of
	effects map[string]string // by path: the encoded value, or unset
	deletes bool              // it deleted the record
}

func (w *write) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "#%d %s by region %d at %d@%s knowing %b", w.id, w.name, w.region, w.version.Time, w.version.Origin, w.past)
	for _, p := range slices.Sorted(maps.Keys(w.effects)) {
		fmt.Fprintf(&s, " %q=%x", p, w.effects[p])
	}
	return s.String()
}

// message is a delta, or a full state with all the writes that are in it.
type message struct {
	state  []byte
	writes uint64
	write  *write // nil for a full state
	safe   bool   // is not lost: it may be the last copy
}

// report is a conflict that a region reported, with what it showed after the join.
type report struct {
	fieldwise.Conflict
	region int
}

// region is a model replica: a state, the ids of the writes that are in it, and what it
// has not taken in yet. It is its own Host and Store.
type region struct {
	w      *world
	number int
	origin fieldwise.Origin
	last   fieldwise.Timestamp
	State  []byte
	held   uint64
	inbox  []message

	made *write // by the write that is going on
}

// world is some regions that write one record, and all that happened to them.
type world struct {
	t       *rapid.T
	merger  fieldwise.Merger
	regions []*region
	writes  []*write
	reports []report
	log     []string
	crowds  uint64 // how many crowds of incarnations wrote

	causal bool                        // deltas are taken in after all they knew of, once
	doc    func(state []byte) flat     // what a reader sees; nil where there is no record
	check  func(r *region, rep report) // called for each report right after its join
}

var _ interface {
	fieldwise.Host
	fieldwise.Store
} = (*region)(nil)

func newWorld(t *rapid.T, m fieldwise.Merger, regions int) *world {
	w := &world{t: t, merger: m}
	for i := range regions {
		w.regions = append(w.regions, &region{w: w, number: i, origin: fieldwise.Origin{
			Region: []fieldwise.Region{"a", "b", "a-b", "c", "d"}[i], Incarnation: uint64(i),
		}})
	}
	return w
}

func (w *world) logf(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

func (w *world) fatalf(format string, args ...any) {
	w.t.Helper()
	for _, line := range w.log {
		w.t.Log(line)
	}
	w.t.Fatalf(format, args...)
}

func (r *region) Domain(string, fieldwise.Merger) (fieldwise.Store, error) { return r, nil }

func (r *region) Read(_ context.Context, _ string, use func([]byte) error) error { return use(r.State) }

// Keys is not used by the histories.
func (r *region) Keys(context.Context, string) iter.Seq2[string, error] {
	return func(func(string, error) bool) {}
}

// tick draws the time of the next write: above this origin's last one, and otherwise
// what it likes, since clocks differ.
func (r *region) tick() fieldwise.Timestamp {
	r.last = max(r.last+1, fieldwise.Timestamp(rapid.IntRange(1, 20).Draw(r.w.t, "clock")))
	return r.last
}

func (r *region) Write(_ context.Context, _ string, change func(dst, state []byte, at fieldwise.Version) ([]byte, error)) (fieldwise.Receipt, error) {
	w := r.w
	at := fieldwise.Version{Time: r.tick(), Origin: r.origin}
	delta, err := change(nil, bytes.Clone(r.State), at)
	if err != nil || len(delta) == 0 {
		return fieldwise.Receipt{}, err
	}
	r.made = &write{id: len(w.writes), region: r.number, version: at, delta: delta, past: w.past(r.held)}
	w.writes = append(w.writes, r.made)
	r.take(message{state: delta, writes: 1 << r.made.id, write: r.made})
	for _, peer := range w.regions {
		if peer != r {
			peer.inbox = append(peer.inbox, message{state: delta, writes: 1 << r.made.id, write: r.made})
		}
	}
	return fieldwise.Receipt{Origin: at.Origin, Seq: 1, Time: at.Time}, nil
}

// past is a set of writes and all that these knew of.
func (w *world) past(held uint64) uint64 {
	all := held
	for ; held != 0; held &= held - 1 {
		all |= w.writes[bits.TrailingZeros64(held)].past
	}
	return all
}

// take joins a message into the region's state and collects the reports.
func (r *region) take(m message) {
	w := r.w
	checked, err := w.merger.Merge(nil, nil, m.state)
	if err != nil || !bytes.Equal(checked, m.state) {
		w.fatalf("region %d: Merge(nil, nil, %x) = %x, %v", r.number, m.state, checked, err)
	}
	before := bytes.Clone(r.State)
	found, err := w.merger.(fieldwise.ConflictReporter).Conflicts(nil, r.State, m.state)
	if err != nil {
		w.fatalf("region %d: Conflicts(%x, %x): %v", r.number, r.State, m.state, err)
	}
	joined, err := w.merger.Merge(nil, r.State, m.state)
	if err != nil {
		w.fatalf("region %d: Merge(%x, %x): %v", r.number, r.State, m.state, err)
	}
	if !bytes.Equal(r.State, before) {
		w.fatalf("region %d: Merge changed its input", r.number)
	}
	r.State, r.held = joined, r.held|m.writes
	for _, c := range found {
		rep := report{Conflict: c, region: r.number}
		w.reports = append(w.reports, rep)
		w.logf("    region %d reports %s of %q: %d@%s %x lost to %d@%s %x (%s)", r.number, c.Kind, c.Field,
			c.Loser.Version.Time, c.Loser.Version.Origin, c.Loser.Value, c.Winner.Version.Time, c.Winner.Version.Origin, c.Winner.Value, c.Policy)
		if w.check != nil {
			w.check(r, rep)
		}
	}
}

// deliverable lists the messages of r's inbox that may be taken in now.
func (r *region) deliverable() (indices []int) {
	for i, m := range r.inbox {
		if !r.w.causal || m.write.past&^r.held == 0 {
			indices = append(indices, i)
		}
	}
	return indices
}

// deliver takes in one message of r's inbox; mess may lose or repeat it.
func (r *region) deliver(mess bool) bool {
	can := r.deliverable()
	if len(can) == 0 {
		return false
	}
	w := r.w
	i := can[rapid.IntRange(0, len(can)-1).Draw(w.t, "message")]
	m := r.inbox[i]
	what, id := "state", -1
	if m.write != nil {
		what, id = "delta", m.write.id
	}
	fate := 9
	if mess {
		fate = rapid.IntRange(0, 9).Draw(w.t, "fate")
	}
	if fate > 1 { // fate 1 delivers it and keeps it for another time
		r.inbox = slices.Delete(r.inbox, i, i+1)
	}
	if fate == 2 && !m.safe {
		w.logf("%s %d to region %d is lost", what, id, r.number)
		return true
	}
	w.logf("%s %d reaches region %d", what, id, r.number)
	r.take(m)
	return true
}

// sendState puts a full state of r into the inbox of another region.
func (r *region) sendState(to *region) {
	if len(r.State) > 0 {
		to.inbox = append(to.inbox, message{state: bytes.Clone(r.State), writes: r.held})
	}
}

// restart goes on under a fresh incarnation, with the state or without. What is lost
// was acknowledged by a peer.
func (r *region) restart(lost bool) {
	r.origin.Incarnation += 10
	r.last = 0
	if lost {
		peer := r.w.regions[(r.number+1)%len(r.w.regions)]
		peer.inbox = append(peer.inbox, message{state: bytes.Clone(r.State), writes: r.held, safe: true})
		r.State, r.held = nil, 0
	}
	r.w.logf("region %d restarts as %s, lost %v", r.number, r.origin, lost)
}

// heal lets everybody take in everything, then exchanges full states.
func (w *world) heal() {
	for _, r := range w.regions {
		for r.deliver(!w.causal) {
		}
	}
	if w.causal {
		for w.deliverAny() {
		}
		for _, r := range w.regions {
			if len(r.inbox) > 0 {
				w.fatalf("region %d cannot take in what is left", r.number)
			}
		}
		return
	}
	for range 2 {
		for _, from := range w.regions {
			for _, to := range w.regions {
				if from != to && len(from.State) > 0 {
					to.take(message{state: bytes.Clone(from.State), writes: from.held})
				}
			}
		}
	}
}

func (w *world) deliverAny() (some bool) {
	for _, r := range w.regions {
		for r.deliver(false) {
			some = true
		}
	}
	return some
}

// converged demands that all regions hold the same bytes, and that these are what any
// order of all deltas gives.
func (w *world) converged() {
	for _, r := range w.regions {
		if !bytes.Equal(r.State, w.regions[0].State) {
			w.fatalf("region 0 holds\n%x, region %d\n%x", w.regions[0].State, r.number, r.State)
		}
		if checked, err := w.merger.Merge(nil, nil, r.State); err != nil || !bytes.Equal(checked, r.State) {
			w.fatalf("Merge(nil, nil, %x) = %x, %v", r.State, checked, err)
		}
	}
	if len(w.writes) == 0 {
		return
	}
	ids := make([]int, len(w.writes))
	for i := range ids {
		ids[i] = i
	}
	var folded []byte
	for _, i := range rapid.Permutation(ids).Draw(w.t, "order") {
		out, err := w.merger.Merge(nil, w.writes[i].delta, folded)
		if err != nil {
			w.fatalf("fold: %v", err)
		}
		folded = out
	}
	if !bytes.Equal(folded, w.regions[0].State) {
		w.fatalf("all deltas together are\n%x, the regions hold\n%x", folded, w.regions[0].State)
	}
}

// survival demands for each effect of each write that it shows, that a later write that
// knew of it took its place, or that a report names it.
func (w *world) survival() {
	shown := w.doc(w.regions[0].State)
	for _, x := range w.writes {
		if x.name == "create" && len(x.effects) == 0 && shown == nil && !w.accounted(x) {
			w.fatalf("lost without a trace: the record without fields of write %s", x)
		}
		for path, val := range x.effects {
			if why := w.lost(x, path, val, shown); why != "" {
				w.fatalf("lost without a trace: %q=%x of write %s\nthe record shows %q", path, val, x, shown)
			}
		}
	}
}

// accounted reports whether a delete knew of the record that x created without fields,
// or a report names it.
func (w *world) accounted(x *write) bool {
	for _, y := range w.writes {
		if y.deletes && y.past&(1<<x.id) != 0 {
			return true
		}
	}
	for _, r := range w.reports {
		if r.Field == "" && r.Loser.Version == x.version {
			return true
		}
	}
	return false
}

func (w *world) lost(x *write, path, val string, shown flat) string {
	if got, ok := shown[path]; val == unset && !ok || ok && got == val {
		return ""
	}
	for _, y := range w.writes {
		knew := y.past&(1<<x.id) != 0
		if knew && (y.deletes || y.touches(path)) {
			return ""
		}
	}
	for _, r := range w.reports {
		if r.Field != path || r.Loser.Version != x.version && (r.Loser.Value == nil || string(r.Loser.Value) != val) {
			continue
		}
		return ""
	}
	return "lost"
}

// touches reports whether w set or unset something at the path, above or below it.
func (w *write) touches(path string) bool {
	if _, ok := w.effects[path]; ok {
		return true
	}
	for p := range w.effects {
		if below(path, p) || below(p, path) {
			return true
		}
	}
	return false
}

// truthful demands of a report, made right after a join under causal delivery, that its
// loser is not shown and that nobody who knew of it took its place.
func (w *world) truthful(r *region, rep report) {
	path, shown := rep.Field, w.doc(r.State)
	val := unset
	if rep.Loser.Value != nil {
		val = string(rep.Loser.Value)
	}
	// Of two markers of one map either may be reported; the map may show all the same.
	// A record that was created anew may show what the one before it showed. And what
	// beat an unset may be hidden in its turn, by the shape.
	if got, ok := shown[path]; val != marker && val != unset && rep.Kind != fieldwise.ConflictDelete && ok && got == val {
		w.fatalf("region %d reports that %q=%x lost, and shows it: %q", r.number, path, val, shown)
	}
	loser := w.find(rep.Loser.Version)
	if loser == nil {
		w.fatalf("region %d reports a loser that nobody wrote: %v", r.number, rep.Loser.Version)
	}
	// A value that was reported, came to light when what hid it was replaced, and is hidden
	// again by its shape is reported under the same ID: consumers drop that.
	for _, earlier := range w.reports[:len(w.reports)-1] {
		if earlier.ID() == rep.ID() {
			return
		}
	}
	if !rep.Winner.Version.IsZero() {
		winner := w.find(rep.Winner.Version)
		if winner == nil {
			w.fatalf("region %d reports a winner that nobody wrote: %v", r.number, rep.Winner.Version)
		}
		if winner.past&(1<<loser.id) != 0 {
			w.fatalf("region %d reports #%d as a loser to #%d, which knew of it", r.number, loser.id, winner.id)
		}
	}
	_, wrote := loser.effects[path]
	for held := r.held; held != 0; held &= held - 1 {
		y := w.writes[bits.TrailingZeros64(held)]
		other, same := y.effects[path]
		if y.past&(1<<loser.id) != 0 && (same && wrote && other != val || y.deletes) {
			w.fatalf("region %d reports #%d, which #%d replaced knowingly", r.number, loser.id, y.id)
		}
	}
}

func (w *world) find(v fieldwise.Version) *write {
	for _, x := range w.writes {
		if x.version == v {
			return x
		}
	}
	return nil
}

// expected are the errors that writes may give in a history.
func expected(err error) bool {
	return err == nil || errors.Is(err, fieldwise.ErrExists) || errors.Is(err, fieldwise.ErrNotFound)
}
