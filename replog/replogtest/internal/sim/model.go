package sim

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

// write is what the model knows of one write.
type write struct {
	key     string
	what    string                    // a word for it
	value   string                    // what it sets, adds or removes, to be told
	luck    uint64                    // what it draws from
	delta   []byte                    // nil: nothing was written
	saw     fieldwise.Vector          // what the writer's state held
	blind   map[fieldwise.Origin]bool // origins that were stopped where it was made
	under   fieldwise.Vector          // what it held when the token of the write was read; nil: there is none
	receipt fieldwise.Receipt
	batch   uint64
	outcome outcome
	sum     sum  // of its entry
	size    int  // of that, in bytes
	logged  bool // in the end, in the log of all regions
	lost    bool // the only disk that held it was thrown away, or restored from an earlier copy
}

type outcome uint8

const (
	nothing outcome = iota // was written
	pending
	acknowledged
	failed
	unknown
)

// model is what is known of a history besides its regions.
type model struct {
	writes   []*write
	byOrigin map[fieldwise.Version]*write
	bySum    map[sum]*write
	content  map[place]sum // of entries in logs
	reports  map[fieldwise.ConflictID]fieldwise.Conflict
	forks
	stopped  map[fieldwise.Origin]bool // ever, by anybody
	origins  map[fieldwise.Origin]bool // that ever signed
	taken    map[uint64]snapshot
	frameMax int // the most entries that a frame ever had
}

// sum tells one entry from all others.
type sum [sha256.Size]byte

// entrySum is the sum of the entry that a write makes, and how many bytes that has.
func (m *write) entrySum() (sum, int) {
	e := engine.Entry{Origin: m.receipt.Origin, Seq: m.receipt.Seq, Time: m.receipt.Time, Domain: name, Key: m.key, Delta: m.delta}
	body := e.Append(nil)
	return sha256.Sum256(body), len(body)
}

// place is the place of an entry among its origin's.
type place struct {
	origin fieldwise.Origin
	seq    fieldwise.Seq
}

// reported is a value that a report names.
type reported struct {
	key     string
	version fieldwise.Version
}

func newModel() model {
	return model{
		byOrigin: make(map[fieldwise.Version]*write), bySum: make(map[sum]*write), content: make(map[place]sum), taken: make(map[uint64]snapshot),
		reports: make(map[fieldwise.ConflictID]fieldwise.Conflict), forks: forks{from: make(map[fieldwise.Origin]fieldwise.Seq)}, stopped: make(map[fieldwise.Origin]bool), origins: make(map[fieldwise.Origin]bool),
	}
}

// readFrame takes in a payload that is durable in a region's log, behind what has counts.
func (w *world) readFrame(r *region, payload []byte, has fieldwise.Vector) {
	entries := 0
	err := engine.Installed(payload, func(e engine.Entry, body []byte) error {
		entries++
		at, is := place{e.Origin, e.Seq}, sum(sha256.Sum256(body))
		m := w.bySum[is]
		switch was, ok := w.content[at]; {
		case e.Seq != has[e.Origin]+1:
			w.fail("the log of %s has %s/%d behind %d", r.name, e.Origin.Region, e.Seq, has[e.Origin])
		case m == nil:
			w.fail("the log of %s has %s/%d, which nobody wrote", r.name, e.Origin.Region, e.Seq)
		case ok && was != is && !w.mayFork:
			w.fail("the log of %s has another %s/%d than others", r.name, e.Origin.Region, e.Seq)
		case ok && was != is:
			w.forkedAt(at)
		case !has.Covers(w.known(m.saw)):
			w.fail("the log of %s has %s/%d before what its writer knew, %v: it has %v", r.name, e.Origin.Region, e.Seq, short(m.saw), short(has))
		}
		has[e.Origin], w.origins[e.Origin] = e.Seq, true
		w.content[at], r.sums[at] = is, is
		return nil
	}, func(sum uint64) error {
		w.readSnapshot(r, sum, has)
		return nil
	})
	w.frameMax = max(w.frameMax, entries)
	if err == nil {
		err = engine.Reports(payload, func(c fieldwise.Conflict) error {
			if w.byOrigin[c.Loser.Version] == nil {
				w.fail("%s reports %v of %s, which nobody wrote", r.name, c.Loser.Version, c.Key)
			}
			if !r.reports[reported{c.Key, c.Loser.Version}] {
				w.counts["reports"]++
			}
			r.reports[reported{c.Key, c.Loser.Version}] = true
			if id := c.ID(); w.reports[id].Kind == 0 {
				c.Loser.Value, c.Winner.Value = bytes.Clone(c.Loser.Value), bytes.Clone(c.Winner.Value)
				w.reports[id] = c
			}
			return nil
		})
	}
	if err != nil {
		w.fail("the log of %s holds what cannot be read: %v", r.name, err)
	}
}

// settled reports whether all regions are up, have nothing staged, and hold what those hold that
// they pull from, but for what they stopped.
func (w *world) settled() bool {
	for _, r := range w.regions {
		if !r.up || r.committing || len(r.mine) > 0 || !r.held.Covers(r.staged) {
			return false
		}
		for _, d := range r.links {
			if !d.dead && !r.flows(d.from) {
				return false
			}
		}
	}
	return true
}

// converged reports whether all regions are up, have nothing staged, and hold the same entries.
func (w *world) converged() bool {
	for _, r := range w.regions {
		if !r.up || r.committing || len(r.mine) > 0 || !r.held.Covers(r.staged) || !r.held.Covers(w.regions[0].held) || !w.regions[0].held.Covers(r.held) {
			return false
		}
	}
	_, forked := w.fork() // which somebody has to find
	return !forked
}

// short is a vector with as much of the incarnations as tells them apart.
func short(v fieldwise.Vector) string {
	var parts []string
	for o, seq := range v {
		parts = append(parts, fmt.Sprintf("%s#%02x:%d", o.Region, o.Incarnation&0xff, seq))
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

func (w *world) vectors() (text string) {
	for _, r := range w.regions {
		text += fmt.Sprintf(" %s (up %v) has %v;", r.name, r.up, short(r.held))
	}
	return text
}

// judge holds the end of a history against what was promised.
func (w *world) judge() {
	states := w.sameStates()
	for _, r := range w.regions {
		w.judgeTraffic(r)
	}
	for _, m := range w.writes {
		if m.outcome == acknowledged {
			w.counts["acknowledged"]++
			if !m.lost && !w.regions[0].logs(m) {
				w.fail("%v, which was acknowledged, is in no log", m.receipt)
			}
		}
	}
	w.rebuild(states)
	w.work.judge(w)
	if w.counts["acknowledged"] == 0 && w.plan.Writes == 0 && w.phase > 5*time.Second && w.faults&(DiskErrors|FullDisks|PowerCuts|Kills|Stalls|Restores|Members) == 0 {
		w.fail("nothing was acknowledged: the history is empty")
	}
}

// logs reports whether the log of the region has the entry that a write makes.
func (r *region) logs(m *write) bool {
	return m.outcome != nothing && r.sums[place{m.receipt.Origin, m.receipt.Seq}] == m.sum
}

// sameStates demands that all regions hold the same bytes, and know that they do.
func (w *world) sameStates() map[string][]byte {
	first := w.regions[0]
	for _, m := range w.writes {
		// An entry that never became durable may be made again, number, time and all, by a process
		// whose clock is behind what it signed.
		m.logged = w.bySum[m.sum] == m && first.logs(m)
	}
	states := make(map[string][]byte)
	_ = first.engine.States(name, func(key string, state []byte) error {
		states[key] = slices.Clone(state)
		return nil
	})
	for _, r := range w.regions {
		n := 0
		_ = r.engine.States(name, func(key string, state []byte) error {
			n++
			if !slices.Equal(state, states[key]) {
				w.fail("%s of %s and %s differs: %x, %x", key, first.name, r.name, states[key], state)
			}
			return nil
		})
		if n != len(states) {
			w.fail("%s has %d records, %s has %d", r.name, n, first.name, len(states))
		}
		if v := r.engine.Vector(); !v.Covers(r.held) || !r.held.Covers(v) {
			w.fail("the engine of %s says %v, its log %v", r.name, v, r.held)
		}
		for _, p := range r.engine.Stats(r.wall()).Peers {
			if len(p.Lag) > 0 && p.Acked.Covers(r.held) {
				w.fail("%s says that %s lags: %+v", r.name, p.Region, p.Lag)
			}
		}
	}
	return states
}

// judgeTraffic holds what came to a region against what had to: where no link and no process
// fails, each body comes once, from its own region.
func (w *world) judgeTraffic(r *region) {
	for _, p := range r.engine.Stats(r.wall()).Peers {
		w.counts["bodies"] += int(p.Received.Entries)
		w.counts["relayed"] += int(p.Received.Relayed)
		w.counts["duplicates"] += int(p.Received.Duplicates)
		if w.faults&^(Skews|Jumps|FarFuture) == 0 {
			var own int64
			for o, seq := range r.held {
				if o.Region == p.Region {
					own += int64(seq)
				}
			}
			w.counts["bodies that come once"] += int(own)
			if p.Received.Entries != own || p.Received.Duplicates != 0 || p.Received.Relayed != 0 {
				w.fail("nothing failed, and %s sent %s not each of its %d entries once: %+v", p.Region, r.name, own, p.Received)
			}
		}
	}
}

// rebuild demands that the states are what the writes in the logs come to, joined in another
// order, and that each write is in them: joined once more, it adds nothing.
func (w *world) rebuild(states map[string][]byte) {
	merger, rng := w.work.merger(), w.plan.stream("rebuild")
	rebuilt := make(map[string][]byte)
	for _, i := range rng.Perm(len(w.writes)) {
		m := w.writes[i]
		if !m.logged {
			continue
		}
		joined, err := merger.Merge(nil, rebuilt[m.key], m.delta)
		if err != nil {
			w.fail("%v cannot be joined: %v", m.receipt, err)
		}
		rebuilt[m.key] = joined
		if again, err := merger.Merge(nil, states[m.key], m.delta); err != nil || !bytes.Equal(again, states[m.key]) {
			w.fail("%s of %s by %v is not in the state of all regions: it would change %x to %x, %v", m.what, m.key, m.receipt, states[m.key], again, err)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(states)) {
		if !bytes.Equal(states[key], rebuilt[key]) {
			w.fail("%s is %x in all regions, and its writes come to %x in another order", key, states[key], rebuilt[key])
		}
	}
}
