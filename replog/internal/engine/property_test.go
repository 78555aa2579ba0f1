package engine

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"maps"
	"math/bits"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/lww"
)

// evenly holds a generator for each number below 128 that draws from [0, n), each with the
// same chance: rapid's own prefer small numbers, so that the rare actions of a list get
// rarer still. It shrinks towards 0.
var evenly = func() (all [128]*rapid.Generator[int]) {
	for n := range all {
		all[n] = rapid.Custom(func(t *rapid.T) int {
			v := 0
			for range bits.Len(uint(n)) + 2 {
				v <<= 1
				if coin.Draw(t, "") {
					v |= 1
				}
			}
			return v % n
		})
	}
	return all
}()

var coin = rapid.Bool()

// one draws an element of a list that is not empty.
func one[T any](t *rapid.T, what string, list ...T) T {
	return list[evenly[len(list)].Draw(t, what)]
}

// upTo draws a number from [1, n].
func upTo(t *rapid.T, what string, n int) int { return 1 + evenly[n].Draw(t, what) }

// The model: each region's log in memory, decoded, and what every write knew.
type world struct {
	*rapid.T
	now      time.Time
	schema   *fieldmerge.DocumentSchema
	regions  []*region
	messages []message
	token    int

	wrote   map[fieldwise.Version]*wrote // staged or durable, by version
	durable map[fieldwise.Version]bool   // in some log
	truths  map[uint64]truth             // of snapshots, by their checksums
	walks   []*walk
	counts  map[string]int
}

// wrote is what the model knows of one write.
type wrote struct {
	receipt fieldwise.Receipt
	domain  string
	key     string
	token   string           // tokens and notes
	saw     fieldwise.Vector // what the writer's state held
	behind  fieldwise.Vector // what was staged before it
}

type region struct {
	*host
	w       *world
	peers   []*region // all others
	log     []logged
	truth                    // of the log
	base    fieldwise.Vector // what the log does not hold, or need not hold
	logBase fieldwise.Vector // what it does not hold
	pieces  [][]byte         // the last ones in the log
	named   map[string]bool  // truth, from the log: domains whose merger it names
	writing []*Batch
	open    map[string]bool
	begun   []begun // writes in their closure, at most one a key
	clock   fieldwise.Timestamp
	acked   []fieldwise.Receipt
	wasOpen map[string]bool
}

// logged is an entry of a log, or a record of a snapshot that was installed: an entry without
// an origin.
type logged struct {
	entry Entry
	size  int
	frame int64
}

type begun struct {
	basis       Basis
	state       []byte // of the basis
	saw         fieldwise.Vector
	domain, key string
	generation  uint64
}

// message is a request or its answer, on its way.
type message struct {
	to, from *region
	pull     *Pull
	parts    []Part
	pieces   [][]byte
}

var worldDomains = []string{"notes", "records", "tokens"}

func (w *world) merger(domain string) fieldwise.Merger {
	switch domain {
	case "notes":
		return openNotes{lww.NewMerger()}
	case "records":
		return w.schema.Merger()
	}
	return openTokens{}
}

func TestPropertyReplicasConverge(t *testing.T) {
	schema, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW))
	require.NoError(t, err)
	counts := make(map[string]int)
	randtest.Check(t, 3000, 5000, func(rt *rapid.T) {
		w := &world{T: rt, now: start, schema: schema, wrote: make(map[fieldwise.Version]*wrote), durable: make(map[fieldwise.Version]bool), truths: make(map[uint64]truth), counts: counts}
		for i := range 1 + upTo(rt, "regions", 3) {
			r := &region{host: newHostWith(rt, Config{
				Origin:   originOf(fieldwise.Region('a' + rune(i))),
				OpenFrom: one(rt, "open from", 6, 20, 52),
				MaxOpen:  one(rt, "max open", 1, 60, 1<<20),

				BatchBytes: one(rt, "bytes of a batch", 0, 1000, 300),
			}), w: w}
			r.truth, r.open = newTruth(), make(map[string]bool)
			r.base, r.logBase = make(fieldwise.Vector), make(fieldwise.Vector)
			r.named = make(map[string]bool)
			w.regions = append(w.regions, r)
			r.openSome()
		}
		for _, r := range w.regions {
			for _, p := range w.regions {
				if p != r {
					r.peers = append(r.peers, p)
				}
			}
			r.linkSome()
		}
		for range 20 + upTo(rt, "steps", 127) {
			w.step()
		}
		w.heal()
	})
	t.Logf("%v", counts)
	if randtest.Histories(t, 3000, 5000) < 1000 {
		return
	}
	for _, what := range []string{
		"write", "begin", "finish", "restaged", "take", "commit", "fail", "ask", "answer", "deliver",
		"lost", "again", "crash", "crash after append", "open", "held", "replaced", "reports", "stale", "other merger",
		"hidden by a write", "reasons", "creates", "opened", "closed", "ends", "markers", "relayed", "waits", "resume", "relink",
		"forget", "behind", "snapshots", "pieces", "overwritten while it is walked", "large", "installed", "raised", "installed where more is known", "named by a snapshot that is staged", "pieces without an end", "installed in a domain that is not open", "installs lost in a crash", "installs lost in a failure",
	} {
		if counts[what] == 0 {
			t.Errorf("no history had %q: the test has gone blind there", what)
		}
	}
}

// step lets one thing happen somewhere.
func (w *world) step() {
	r := one(w.T, "region", w.regions...)
	switch action := one(w.T, "action",
		"write", "write", "write", "begin", "finish", "take", "take", "commit", "commit", "commit",
		"ask", "ask", "ask", "message", "message", "message", "message", "message", "message",
		"open", "open", "fail", "crash", "later", "resume", "resume", "relink", "forget", "walk", "walk", "snapshot",
	); action {
	case "forget":
		r.forget()
	case "walk":
		w.walkOn()
	case "snapshot": // also one that nobody needs
		w.take(r, one(w.T, "peer", r.peers...))
	case "write":
		r.write()
	case "begin":
		r.begin()
	case "finish":
		r.finish()
	case "take":
		if b := r.e.TakeBatch(); b != nil {
			w.counts["take"]++
			r.writing = append(r.writing, b)
		}
	case "commit":
		if len(r.writing) > 0 {
			w.counts["commit"]++
			r.commitOldest()
		}
	case "fail":
		if len(r.writing) > 0 {
			w.counts["fail"]++
			r.countInstalls("installs lost in a failure", r.writing)
			r.e.Failed()
			r.writing = nil
		}
	case "ask":
		w.counts["ask"]++
		peer := one(w.T, "peer", r.peers...)
		p := r.asks(peer.host) // whether it is ready or not
		w.messages = append(w.messages, message{to: peer, from: r, pull: &p})
	case "resume":
		r.resume(one(w.T, "peer", r.peers...))
	case "message":
		w.message()
	case "open":
		r.openOne()
	case "crash":
		if one(w.T, "really", false, true, false) {
			r.crash(coin.Draw(w.T, "appended"))
		}
	case "relink":
		peer := one(w.T, "peer", r.peers...).cfg.Origin.Region
		w.counts["relink"]++
		if r.e.linked(peer) {
			r.e.Unlink(peer)
		} else {
			r.e.Link(peer)
		}
	case "later":
		w.later(time.Duration(upTo(w.T, "ms", 100)) * 3 * time.Millisecond)
	}
	r.check()
}

// wall is a region's clock: up to 300 ms from the true time, each region by its own.
func (r *region) wall() time.Time {
	return r.w.now.Add(time.Duration(r.cfg.Origin.Region[0]-'a') * 100 * time.Millisecond)
}

func (r *region) pick() (domain, key string, ok bool) {
	open := slices.Sorted(maps.Keys(r.open))
	if len(open) == 0 {
		return "", "", false
	}
	return one(r.w.T, "domain", open...), one(r.w.T, "key", "x", "y"), true
}

// busy reports whether a write of the key is in its closure: the host lets one in.
func (r *region) busy(domain, key string) bool {
	return slices.ContainsFunc(r.begun, func(b begun) bool { return b.domain == domain && b.key == key })
}

func (r *region) write() {
	domain, key, ok := r.pick()
	if !ok || r.busy(domain, key) {
		return
	}
	r.w.counts["write"]++
	b := r.beginOn(domain, key)
	require.NoError(r.w, r.finishOf(b))
}

func (r *region) begin() {
	if domain, key, ok := r.pick(); ok && !r.busy(domain, key) {
		r.w.counts["begin"]++
		r.begun = append(r.begun, r.beginOn(domain, key))
	}
}

func (r *region) beginOn(domain, key string) begun {
	basis, err := r.e.Begin(r.wall(), domain, key)
	require.NoError(r.w, err)
	if basis.At.Time <= r.clock {
		r.w.Fatalf("%v: timestamp %v after %v", r.cfg.Origin, basis.At.Time, r.clock)
	}
	r.clock = basis.At.Time
	return begun{basis: basis, state: basis.State.Append(nil), saw: r.e.staged.Clone(), domain: domain, key: key, generation: r.e.Generation()}
}

func (r *region) finish() {
	if len(r.begun) == 0 {
		return
	}
	r.w.counts["finish"]++
	i := upTo(r.w.T, "which", len(r.begun)) - 1
	b := r.begun[i]
	r.begun = slices.Delete(r.begun, i, i+1)
	require.Equal(r.w, string(b.state), string(b.basis.State.Append(nil)), "the basis of a change is not what it was")
	before := len(r.w.wrote)
	err := r.finishOf(b)
	if err == nil && len(r.w.wrote) == before {
		return // it changed nothing; the host would ask what it rests on
	}
	if b.generation != r.e.Generation() {
		r.w.counts["restaged"]++
		require.ErrorIs(r.w, err, ErrRestaged)
		return
	}
	require.NoError(r.w, err)
}

// finishOf makes the change of a write that was begun, and stages it.
func (r *region) finishOf(b begun) error {
	r.w.token++
	wr := &wrote{domain: b.domain, key: b.key, token: "t" + strconv.Itoa(r.w.token), saw: b.saw, behind: r.e.staged.Clone()}
	var delta []byte
	switch {
	case b.domain == "records":
		wr.token = ""
		delta = r.recordDelta(b, wr)
	case b.domain == "notes" && coin.Draw(r.w.T, "long"):
		wr.token += strings.Repeat(".", 31-len(wr.token)) // as long as valueOf takes
		delta = deltaFor(r.w, b.domain, b.basis, wr.token)
	case b.domain == "notes" && one(r.w.T, "knows", "all", "all", "own") == "own":
		// It leaves what other regions wrote beside its own value.
		own := r.cfg.Origin
		wr.saw = fieldwise.Vector{own: b.saw[own]}
		delta = deltaFor(r.w, b.domain, Basis{At: b.basis.At}, wr.token)
		r.countHidden(b, delta)
	default:
		delta = deltaFor(r.w, b.domain, b.basis, wr.token)
	}
	if len(delta) == 0 {
		return nil
	}
	batch := r.e.filling.Number
	receipt, in, err := r.e.Stage(b.basis, b.domain, b.key, delta, "")
	if err != nil {
		return err
	}
	if in < batch || in > r.e.filling.Number || receipt.Time != b.basis.At.Time || receipt.Seq != wr.behind[r.cfg.Origin]+1 {
		r.w.Fatalf("%v in batch %d: want batch %d, behind %v", receipt, in, batch, wr.behind)
	}
	wr.receipt = receipt
	r.w.wrote[receipt.Version()] = wr
	return nil
}

// countHidden counts the writes that hide something in the very state they were made on.
func (r *region) countHidden(b begun, delta []byte) {
	if b.generation != r.e.Generation() || !bytes.Equal(b.basis.State.Append(nil), r.e.domains[b.domain].current(b.key).Append(nil)) {
		return
	}
	hidden, err := lww.NewMerger().Conflicts(nil, b.basis.State.Append(nil), delta)
	require.NoError(r.w, err)
	if len(hidden) > 0 {
		r.w.counts["hidden by a write"]++
	}
}

// recordDelta lets fieldmerge make the change, through the Store that it asks for.
func (r *region) recordDelta(b begun, wr *wrote) (delta []byte) {
	s := &oneWrite{state: b.basis.State.Bytes, at: b.basis.At}
	d, err := fieldmerge.OpenDocuments(s, "records", r.w.schema)
	require.NoError(r.w, err)
	switch one(r.w.T, "change", "upsert", "upsert", "patch", "delete") {
	case "upsert":
		field := one(r.w.T, "field", "name", "phone", "a.b")
		_, err = d.Upsert(context.Background(), b.key, func(doc map[string]any) error {
			doc[field] = "v" + strconv.Itoa(r.w.token)
			return nil
		})
	case "patch":
		_, err = d.Patch(context.Background(), b.key, fieldmerge.Patch{Set: map[string]any{"phone": "v" + strconv.Itoa(r.w.token)}})
	case "delete":
		_, err = d.Delete(context.Background(), b.key)
	}
	if err != nil && !errors.Is(err, fieldwise.ErrNotFound) {
		r.w.Fatalf("%v: %v", wr, err)
	}
	return s.delta
}

// oneWrite is a Store that makes one change on one state.
type oneWrite struct {
	state, delta []byte
	at           fieldwise.Version
}

func (s *oneWrite) Domain(string, fieldwise.Merger) (fieldwise.Store, error) { return s, nil }

func (s *oneWrite) Read(context.Context, string, func([]byte) error) error { panic("not used") }

func (s *oneWrite) Keys(context.Context, string) iter.Seq2[string, error] { panic("not used") }

func (s *oneWrite) Write(_ context.Context, _ string, change func(dst, state []byte, at fieldwise.Version) ([]byte, error)) (r fieldwise.Receipt, err error) {
	s.delta, err = change(nil, s.state, s.at)
	return r, err
}

// toLog appends a batch to the log, and brings the truth up to date.
func (r *region) toLog(b *Batch) (frame int64) {
	r.frames = append(r.frames, bytes.Clone(b.Payload))
	frame = framePos(len(r.frames) - 1)
	r.checkNames(r.frames[len(r.frames)-1])
	require.NoError(r.w, parts(r.frames[len(r.frames)-1], func(kind byte, body []byte) error {
		switch kind {
		case partPiece:
			p := parser{b: body}
			if number := p.uint(); number == 0 {
				if r.pieces != nil {
					r.w.counts["pieces without an end"]++
				}
				r.pieces = nil
			}
			r.pieces = append(r.pieces, p.b)
		case partInstalled:
			return r.installs(body, frame)
		}
		if kind != partEntry && kind != partHeld {
			return nil
		}
		e, err := ParseEntry(body)
		require.NoError(r.w, err)
		wr := r.w.wrote[e.Version()]
		switch {
		case e.Seq != r.vector[e.Origin]+1:
			r.w.Fatalf("log of %v: %v/%d after %v", r.cfg.Origin, e.Origin, e.Seq, r.vector)
		case wr == nil:
			r.w.Fatalf("log of %v: nobody wrote %v/%d", r.cfg.Origin, e.Origin, e.Seq)
		case !r.vector.Covers(wr.behind) || !r.vector.Covers(wr.saw):
			r.w.Fatalf("log of %v: %v/%d stands before its causes %v, %v: %v", r.cfg.Origin, e.Origin, e.Seq, wr.behind, wr.saw, r.vector)
		}
		r.log = append(r.log, logged{entry: e, size: len(body), frame: frame})
		r.w.durable[e.Version()] = true
		if e.Origin == r.cfg.Origin {
			r.acked = append(r.acked, wr.receipt)
		}
		r.add(r.w, e, body)
		return nil
	}))
	return frame
}

// checkNames takes in the names of mergers in a payload of the log: each domain's stands
// there once, before anything that was made with the merger.
func (r *region) checkNames(payload []byte) {
	require.NoError(r.w, parts(payload, func(kind byte, body []byte) error {
		var domain string
		switch kind {
		case partMerger:
			domain, merger, err := parseMerger(body)
			if err != nil || merger != r.w.merger(domain).Name() || r.named[domain] {
				r.w.Fatalf("log of %v: %q under %q, named before: %v: %v", r.cfg.Origin, domain, merger, r.named[domain], err)
			}
			r.named[domain] = true
			return nil
		case partEntry:
			e, err := ParseEntry(body)
			require.NoError(r.w, err)
			domain = e.Domain
		case partReport:
			c, err := parseReport(body)
			require.NoError(r.w, err)
			domain = c.Domain
		default:
			return nil
		}
		if !r.named[domain] {
			r.w.Fatalf("log of %v: kind %d of %q before the name of its merger", r.cfg.Origin, kind, domain)
		}
		return nil
	}))
}

// renamed is a merger that takes the same states under another name.
type renamed struct{ fieldwise.Merger }

func (m renamed) Name() string { return m.Merger.Name() + " renamed" }

func (r *region) commitOldest() {
	b := r.writing[0]
	r.writing = r.writing[1:]
	frame := r.toLog(b)
	r.e.Committed(b, frame)
	require.NoError(r.w, Entries(r.frames[len(r.frames)-1], func(e Entry, _ []byte) error {
		if r.open[e.Domain] {
			if got, want := r.e.Read(nil, e.Domain, e.Key).Append(nil), r.folded[e.Domain][e.Key]; !bytes.Equal(got, want) {
				r.w.Fatalf("%v: %s/%s is %q, its log says %q", r.cfg.Origin, e.Domain, e.Key, got, want)
			}
		}
		return nil
	}))
}

// crash loses all that is not in the log; appended says that the oldest batch just got in
// there.
func (r *region) crash(appended bool) {
	r.w.counts["crash"]++
	if appended && len(r.writing) > 0 {
		r.w.counts["crash after append"]++
		r.toLog(r.writing[0])
		r.writing = r.writing[1:]
	}
	r.countInstalls("installs lost in a crash", r.e.notCommitted())
	r.dropWalks()
	r.base = r.logBase.Clone()
	r.e, r.writing, r.begun = New(r.cfg), nil, nil
	clear(r.open)
	r.wasOpen = nil
	for i, payload := range r.frames {
		require.NoError(r.w, r.e.Recover(framePos(i), payload))
	}
	r.e.Recovered(r.wall())
	r.clock = 0
	for o := range r.vector {
		r.clock = max(r.clock, r.latest(o, r.vector[o]))
	}
	r.linkSome()
	r.openSome()
}

// linkSome is which peers a process pulls from when it starts: all others are asked all the
// same, now and then.
func (r *region) linkSome() {
	for _, p := range r.peers {
		if one(r.w.T, "link", true, true, false) {
			r.e.Link(p.cfg.Origin.Region)
		}
	}
}

// openSome is what a process does when it starts: it opens the domains that it knows.
func (r *region) openSome() {
	for _, name := range worldDomains {
		if one(r.w.T, "open "+name, true, true, true, false) {
			r.openDomain(name)
		}
	}
}

func (r *region) openOne() {
	var closed []string
	for _, name := range worldDomains {
		if !r.open[name] {
			closed = append(closed, name)
		}
	}
	if len(closed) == 0 {
		return
	}
	r.openDomain(one(r.w.T, "domain", closed...))
}

func (r *region) openDomain(name string) {
	r.w.counts["open"]++
	d := r.e.domains[name]
	if d != nil && len(d.held) > 0 {
		r.w.counts["held"]++
	}
	pending := d != nil && d.naming != "" // a snapshot does that in a domain that is not open
	if pending {
		r.w.counts["named by a snapshot that is staged"]++
	}
	if r.named[name] || pending {
		r.w.counts["other merger"]++
		require.ErrorIs(r.w, r.e.OpenDomain(name, renamed{r.w.merger(name)}), fieldwise.ErrMergerMismatch)
	}
	require.NoError(r.w, r.e.OpenDomain(name, r.w.merger(name)))
	r.open[name] = true
	r.checkStates(name)
}

// message handles one message, loses it, or handles it and keeps it for another time.
func (w *world) message() {
	if len(w.messages) == 0 {
		return
	}
	i := upTo(w.T, "message", min(len(w.messages), 127)) - 1
	m := w.messages[i]
	switch one(w.T, "fate", "take", "take", "take", "keep", "lose") {
	case "lose":
		w.counts["lost"]++
		w.messages = slices.Delete(w.messages, i, i+1)
		return
	case "take":
		w.messages = slices.Delete(w.messages, i, i+1)
	default:
		w.counts["again"]++
	}
	if m.pieces != nil {
		m.to.install(m.from, m.pieces)
		m.to.check()
		return
	}
	if m.pull != nil {
		parts, behind := m.to.serve(m.pull, upTo(w.T, "entries", 5))
		if behind {
			w.take(m.to, m.from)
		}
		if len(parts) > 0 {
			w.messages = append(w.messages, message{to: m.from, from: m.to, parts: parts})
		}
		m.to.check()
		return
	}
	m.to.deliver(m.from, m.parts)
	m.to.check()
}

// serve answers a request, at most so many entries of it.
func (r *region) serve(p *Pull, most int) (parts []Part, behind bool) {
	r.w.counts["answer"]++
	before := r.e.Acked(p.From.Region)
	frame, ok, advanced, err := r.e.Serve(*p)
	if behind = !p.Vector.Covers(r.base); behind {
		r.w.counts["behind"]++
		require.ErrorIs(r.w, err, ErrBehind)
	} else {
		require.NoError(r.w, err)
	}
	if advanced == before.Covers(p.Vector) {
		r.w.Fatalf("advanced is %v from %v to %v", advanced, before, p.Vector)
	}
	if !p.Vector.Covers(before) {
		r.w.counts["stale"]++
	}
	if behind {
		return nil, true
	}
	first := slices.IndexFunc(r.log, func(l logged) bool { return p.lacks(&l.entry) })
	if ok != (first >= 0) || (ok && frame != r.log[first].frame) {
		r.w.Fatalf("%v serves %v from frame %d, %v; the first lacking is entry %d", r.cfg.Origin, p, frame, ok, first)
	}
	ship := r.e.Ship(p)
	most += len(ship.Parts)
	for _, l := range r.log {
		if ok && l.frame >= frame && len(ship.Parts) < most && !l.entry.Origin.IsZero() {
			ship.Add(&l.entry, l.entry.Append(nil))
		}
	}
	r.checkShipment(p, ship)
	if !ok {
		return nil, false
	}
	return ship.Parts, false
}

// checkShipment holds a shipment against the log, entry by entry: a body of the region itself
// and of the origins that it is to relay, in the order of the log, and in front of each a
// marker over all else.
func (r *region) checkShipment(p *Pull, ship *Shipment) {
	covered := p.Vector.Clone()
	var traffic Traffic
	at := 0
	for _, part := range ship.Parts {
		if part.Body == nil && part.From == 0 {
			if part.To != r.vector[part.Origin] || part.To >= p.Vector[part.Origin] || r.e.isAnother(part.Origin, part.To, part.Chain) {
				r.w.Fatalf("%v: end %+v in answer to %+v, at %v", r.cfg.Origin, part, p, r.vector)
			}
			r.w.counts["ends"]++
			continue
		}
		if part.Body == nil {
			if part.From != covered[part.Origin]+1 || part.To < part.From || part.Origin.Region == p.To || slices.Contains(p.Relay, part.Origin) {
				r.w.Fatalf("%v: marker %+v in answer to %+v, behind %v", r.cfg.Origin, part, p, covered)
			}
			covered[part.Origin] = part.To
			r.w.counts["markers"]++
			continue
		}
		e, err := ParseEntry(part.Body)
		require.NoError(r.w, err)
		for ; r.log[at].entry.Version() != e.Version(); at++ {
			if before := r.log[at].entry; before.Seq > covered[before.Origin] && !slices.Contains(p.Stopped, before.Origin) {
				r.w.Fatalf("%v: %v/%d is not marked in front of %v/%d", r.cfg.Origin, before.Origin, before.Seq, e.Origin, e.Seq)
			}
		}
		if e.Seq != covered[e.Origin]+1 || e.Origin.Region != p.To && !slices.Contains(p.Relay, e.Origin) {
			r.w.Fatalf("%v: body of %v/%d in answer to %+v, behind %v", r.cfg.Origin, e.Origin, e.Seq, p, covered)
		}
		covered[e.Origin] = e.Seq
		traffic.Entries++
		traffic.Bytes += int64(len(part.Body))
		if e.Origin.Region != p.To {
			r.w.counts["relayed"]++
			traffic.Relayed++
		}
	}
	require.Equal(r.w, traffic, ship.Traffic)
}

// deliver hands an answer to the engine, which may be an old one.
func (r *region) deliver(from *region, parts []Part) {
	r.w.counts["deliver"]++
	// An answer starts where the durable vector ended, which never goes back: however late
	// it comes, there is no gap.
	r.takes(from, parts, func() (Delivered, error) { return r.e.Deliver(r.wall(), from.cfg.Origin.Region, parts) })
}

func (r *region) resume(from *region) {
	rest := r.e.peer(from.cfg.Origin.Region).rest
	if len(rest) > 0 {
		r.w.counts["resume"]++
	}
	r.takes(from, rest, func() (Delivered, error) { return r.e.Resume(r.wall(), from.cfg.Origin.Region) })
}

// takes holds what the engine takes of the parts against what it is to take.
func (r *region) takes(from *region, parts []Part, take func() (Delivered, error)) {
	staged, want := r.e.staged.Clone(), make(fieldwise.Vector)
	rest := 0
	for i, part := range parts {
		at, seq := part.Origin, part.To
		if part.Body == nil && part.From == 0 {
			continue
		}
		if part.Body != nil {
			e, err := ParseEntry(part.Body)
			require.NoError(r.w, err)
			at, seq = e.Origin, e.Seq
			if e.Seq > staged[e.Origin] {
				staged[e.Origin] = e.Seq
				r.clock = max(r.clock, e.Time) // the clocks are within the skew that is allowed
			}
		} else if seq > staged[at] {
			r.w.counts["waits"]++
			rest = len(parts) - i
			break
		}
		want[at] = max(want[at], seq)
	}
	d, err := take()
	require.NoError(r.w, err)
	p := r.e.peer(from.cfg.Origin.Region)
	if len(d.Alarms) > 0 || !maps.Equal(want, d.Want) || !maps.Equal(staged, r.e.staged) || len(p.rest) != rest {
		r.w.Fatalf("%v: delivered %+v, staged %v, %d parts wait; want %v, %v, %d", r.cfg.Origin, d, r.e.staged, len(p.rest), want, staged, rest)
	}
	if !p.want.Covers(want) {
		r.w.Fatalf("%v: %v asks %v again when %v is durable, took %v", r.cfg.Origin, r.cfg.Origin, from.cfg.Origin, p.want, want)
	}
}

// check holds what must be true after every step.
func (r *region) check() {
	e := r.e
	r.checkOpen()
	if !maps.Equal(e.vector, r.vector) {
		r.w.Fatalf("%v: vector %v, its log says %v", r.cfg.Origin, e.vector, r.vector)
	}
	if !e.staged.Covers(e.vector) {
		r.w.Fatalf("%v: staged %v does not cover %v", r.cfg.Origin, e.staged, e.vector)
	}
	s := e.Stats(r.wall())
	if entries, bytes := r.total(); s.Entries != entries || s.Bytes != bytes {
		r.w.Fatalf("%v: %d entries of %d bytes, its log says %d of %d", r.cfg.Origin, s.Entries, s.Bytes, entries, bytes)
	}
	r.checkBases()
	for _, p := range s.Peers {
		i := slices.IndexFunc(r.peers, func(peer *region) bool { return peer.cfg.Origin.Region == p.Region })
		if !r.peers[i].vector.Covers(p.Acked) {
			r.w.Fatalf("%v: %s acknowledged %v, it has %v", r.cfg.Origin, p.Region, p.Acked, r.peers[i].vector)
		}
		if want := r.lag(p.Acked); !slices.Equal(p.Lag, want) {
			r.w.Fatalf("%v: lag of %s is %v, in truth %v", r.cfg.Origin, p.Region, p.Lag, want)
		}
	}
}

// lag counts in the log what acked does not cover.
func (r *region) lag(acked fieldwise.Vector) []Lag {
	var all []Lag
	for o, seq := range r.vector {
		have := acked[o]
		if have >= seq {
			continue
		}
		l := Lag{Origin: o, Entries: int64(seq - have), Behind: have < r.base[o]}
		oldest := r.sizes[o][have].time
		if l.Behind {
			oldest, have = r.latest(o, r.base[o]), 0
		}
		l.Age = max(0, r.wall().Sub(oldest.Time()))
		for _, e := range r.sizes[o][have:] {
			l.Bytes += int64(e.size)
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Lag) int { return a.Origin.Compare(b.Origin) })
	return all
}

// checkStates compares the committed states of an open domain with the fold of the log.
func (r *region) checkStates(name string) {
	n, size := 0, int64(0)
	last := ""
	require.NoError(r.w, r.e.States(name, func(key string, state []byte) error {
		if n++; n > 1 && key <= last {
			r.w.Fatalf("%v: %s/%s comes after %s", r.cfg.Origin, name, key, last)
		}
		last = key
		size += int64(len(key) + len(state))
		if want := r.folded[name][key]; !bytes.Equal(state, want) {
			r.w.Fatalf("%v: %s/%s is %q, its log says %q", r.cfg.Origin, name, key, state, want)
		}
		return nil
	}))
	if n != len(r.folded[name]) {
		r.w.Fatalf("%v: %s has %d records, its log has %d", r.cfg.Origin, name, n, len(r.folded[name]))
	}
	for _, d := range r.e.Stats(r.wall()).Domains {
		if d.Name == name && (d.Records != n || d.Bytes != size) {
			r.w.Fatalf("%v: %+v, in truth %d records of %d bytes", r.cfg.Origin, d, n, size)
		}
	}
}

// heal ends all that is under way, brings every entry everywhere, and compares.
func (w *world) heal() {
	w.messages = nil
	for _, r := range w.regions {
		r.dropWalks()
		for len(r.begun) > 0 {
			r.finish()
		}
		for _, name := range worldDomains {
			if !r.open[name] {
				r.openDomain(name)
			}
		}
		r.flush()
	}
	w.converge()
	for _, r := range w.regions {
		r.check()
		for _, name := range worldDomains {
			r.checkStates(name)
		}
		r.checkReports()
		for _, name := range worldDomains {
			if len(r.folded[name]) > 0 && !r.named[name] {
				w.Fatalf("%v: %s is merged, and the log does not say under what", r.cfg.Origin, name)
			}
		}
		for _, p := range r.peers {
			for _, name := range worldDomains {
				if !maps.EqualFunc(r.folded[name], p.folded[name], bytes.Equal) {
					w.Fatalf("%s differs: %q in %v, %q in %v", name, r.folded[name], r.cfg.Origin, p.folded[name], p.cfg.Origin)
				}
			}
			for _, receipt := range p.acked {
				if ok, err := r.e.Has(receipt); !ok || err != nil {
					w.Fatalf("%v lacks %v, which was acknowledged: %v", r.cfg.Origin, receipt, err)
				}
			}
		}
	}
	w.checkSurvival()
}

// converge lets everybody ask as soon as they are ready, over the links that work, which are
// enough to reach everybody.
func (w *world) converge() {
	for i, r := range w.regions {
		if next := w.regions[(i+1)%len(w.regions)].cfg.Origin.Region; !r.e.linked(next) {
			r.e.Link(next)
		}
	}
	var total int
	for _, r := range w.regions {
		entries, _ := r.total()
		total += int(entries)
	}
	for idle := 0; idle < 2; {
		idle++
		for _, r := range w.regions {
			for _, p := range r.peers {
				if !r.e.linked(p.cfg.Origin.Region) {
					continue
				}
				r.resume(p)
				r.flush()
				for rounds := 0; ; rounds++ {
					if rounds > total+len(w.regions) {
						w.Fatalf("%v asks %v again and again: %v", r.cfg.Origin, p.cfg.Origin, r.asks(p.host))
					}
					if ok, _ := r.e.Ready(r.now, p.cfg.Origin.Region); !ok {
						break
					}
					pull := r.asks(p.host)
					parts, behind := p.serve(&pull, 7)
					if len(parts) == 0 && !behind {
						break
					}
					idle = 0
					if behind {
						r.install(p, w.whole(p, r))
					} else {
						r.deliver(p, parts)
					}
					r.flush()
				}
			}
		}
		w.later(DefaultRelayAfter) // for what comes from neither its region nor a relay
	}
}

// later lets time pass.
func (w *world) later(d time.Duration) {
	w.now = w.now.Add(d)
	for _, r := range w.regions {
		r.now = w.now
	}
}

func (r *region) flush() {
	for {
		if b := r.e.TakeBatch(); b != nil {
			r.writing = append(r.writing, b)
		}
		if len(r.writing) == 0 {
			return
		}
		r.commitOldest()
	}
}

// checkReports compares the log's reports with those that its entries make when they are
// joined one by one, in the order of the log.
func (r *region) checkReports() {
	truth := make(map[fieldwise.ConflictID][]fieldwise.Conflict)
	states := make(map[[2]string][]byte)
	for _, l := range r.log {
		at := [2]string{l.entry.Domain, l.entry.Key}
		m := r.w.merger(l.entry.Domain)
		if reporter, ok := m.(fieldwise.ConflictReporter); ok && states[at] != nil {
			conflicts, err := reporter.Conflicts(nil, states[at], l.entry.Delta)
			require.NoError(r.w, err)
			for _, c := range conflicts {
				c.Domain, c.Key = l.entry.Domain, l.entry.Key
				truth[c.ID()] = append(truth[c.ID()], c)
			}
		}
		joined, err := m.Merge(nil, states[at], l.entry.Delta)
		require.NoError(r.w, err)
		states[at] = joined
	}
	got := make(map[fieldwise.ConflictID]bool)
	total := uint64(0)
	for i, payload := range r.frames {
		before := total
		require.NoError(r.w, Reports(payload, func(c fieldwise.Conflict) error {
			total++
			got[c.ID()] = true
			if !slices.ContainsFunc(truth[c.ID()], func(want fieldwise.Conflict) bool { return reflect.DeepEqual(c, want) }) {
				r.w.Fatalf("%v: reports %+v, in truth one of %+v", r.cfg.Origin, c, truth[c.ID()])
			}
			if c.Reason != "" {
				r.w.counts["reasons"]++
			}
			if c.Loser.Created || c.Winner.Created {
				r.w.counts["creates"]++
			}
			if frame, first, ok := r.e.FindReport(total); !ok || frame != framePos(i) || first != before {
				r.w.Fatalf("%v: report %d is in frame %d behind %d, found %d behind %d", r.cfg.Origin, total, framePos(i), before, frame, first)
			}
			return nil
		}))
	}
	if len(got) != len(truth) {
		r.w.Fatalf("%v: %d conflicts are reported, there were %d", r.cfg.Origin, len(got), len(truth))
	}
	if s := r.e.Stats(r.wall()); s.Conflicts != total {
		r.w.Fatalf("%v: %d reports are counted, %d logged", r.cfg.Origin, s.Conflicts, total)
	}
	r.w.counts["reports"] += len(got)
}

// checkSurvival: a value that was acknowledged is current, or a later write that knew of
// it replaced it. A token is always there.
func (w *world) checkSurvival() {
	for version, wr := range w.wrote {
		seq := w.regions[0].vector[version.Origin]
		ok, err := w.regions[0].e.Has(wr.receipt)
		if ok != w.durable[version] && wr.receipt.Seq > w.regions[0].base[version.Origin] {
			w.Fatalf("%v is durable here: %v, in truth %v", wr.receipt, ok, w.durable[version])
		}
		if !ok && seq >= wr.receipt.Seq {
			w.counts["replaced"]++
			require.ErrorIs(w, err, ErrReplaced)
		}
		if !w.durable[version] {
			continue
		}
		state := w.regions[0].folded[wr.domain][wr.key]
		switch wr.domain {
		case "tokens":
			if !bytes.Contains(append([]byte(";"), state...), []byte(";"+wr.token+";")) {
				w.Fatalf("token %s of %v is not in %q", wr.token, wr.receipt, state)
			}
		case "notes":
			siblings, err := crdt.MVRegister{}.Siblings(state)
			require.NoError(w, err)
			current := slices.ContainsFunc(siblings, func(s fieldwise.Sibling) bool { return s.Version == version })
			if !current && !w.overwritten(wr) {
				w.Fatalf("value %s of %v is gone from %q, and nobody who knew of it wrote", wr.token, wr.receipt, state)
			}
		}
	}
}

func (w *world) overwritten(wr *wrote) bool {
	for _, later := range w.wrote {
		if later != wr && later.domain == wr.domain && later.key == wr.key && later.saw[wr.receipt.Origin] >= wr.receipt.Seq {
			if w.durable[later.receipt.Version()] {
				return true
			}
		}
	}
	return false
}
