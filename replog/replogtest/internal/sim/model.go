package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

// profile is what clients write. Every value that is set, and every tag that is added, is there
// once in a history, so that it is known whose it is.
type profile struct {
	Name string             `merge:"name,lww"`
	City string             `merge:"city,earliest"`
	Tags crdt.ORSet[string] `merge:"tags,orset"`
	Hits crdt.PNCounter     `merge:"hits,pncounter"`
	Lang map[string]string  `merge:"lang,each=lww"`
}

// write is what the model knows of one write.
type write struct {
	key     string
	what    string           // "name", "city", "lang", "add", "remove", "hit", "create", "delete"
	value   string           // set, added or removed
	saw     fieldwise.Vector // what the writer's state held
	receipt fieldwise.Receipt
	batch   uint64
	outcome outcome
	logged  bool // in the log of some region
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
	content  map[place][sha256.Size]byte // of entries in logs
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
	return model{byOrigin: make(map[fieldwise.Version]*write), content: make(map[place][sha256.Size]byte)}
}

// client lets writes happen in a region now and then.
func (w *world) client(r *region) {
	w.after(spread(w.clients, w.between), func() {
		if w.healing || w.plan.Writes > 0 && len(w.writes) >= w.plan.Writes {
			return
		}
		// Drawn whether or not the region is there, so that what a history leaves out changes
		// little else.
		m := &write{
			key:  string('k' + rune(w.clients.IntN(w.keys))),
			what: pick(w.clients.IntN(100)), value: "v" + strconv.Itoa(len(w.writes)+1),
		}
		which := w.clients.IntN(1000)
		if r.up && r.stalled <= w.now {
			w.write(r, m, which)
		}
		w.client(r)
	})
}

// pick is what a write does: n is below 100.
func pick(n int) string {
	for _, c := range []struct {
		below int
		what  string
	}{{22, "name"}, {37, "city"}, {45, "lang"}, {65, "add"}, {75, "remove"}, {92, "hit"}, {97, "create"}} {
		if n < c.below {
			return c.what
		}
	}
	return "delete"
}

func (w *world) write(r *region, m *write, which int) {
	ctx := context.Background()
	r.making = m
	w.counts["asked"]++
	w.writes = append(w.writes, m)
	var err error
	switch m.what {
	case "create":
		_, err = r.domain.Create(ctx, m.key, profile{Name: m.value})
	case "delete":
		_, err = r.domain.Delete(ctx, m.key)
	default:
		_, err = r.domain.Upsert(ctx, m.key, func(p *profile) error {
			switch m.what {
			case "name":
				p.Name = m.value
			case "city":
				p.City = m.value
			case "lang":
				if p.Lang == nil {
					p.Lang = make(map[string]string)
				}
				p.Lang["x"] = m.value
			case "add":
				p.Tags.Add(m.value)
			case "remove":
				if tags := p.Tags.Values(); len(tags) > 0 {
					m.value = tags[which%len(tags)]
					p.Tags.Remove(m.value)
				}
			case "hit":
				p.Hits.Inc(1)
			}
			return nil
		})
	}
	if err != nil && !errors.Is(err, fieldwise.ErrExists) && !errors.Is(err, fieldwise.ErrNotFound) {
		w.fail("%s cannot %s: %v", r.name, m.what, err)
	}
	if m.outcome == nothing {
		return
	}
	w.counts["writes"]++
	w.counts[m.what]++
	w.byOrigin[m.receipt.Version()] = m
	w.tell("%s writes %s/%d: %s %s %s, knowing %v", r.name, r.name, m.receipt.Seq, m.key, m.what, m.value, short(m.saw))
}

// readFrame takes in a payload that is durable in a region's log, behind what has counts.
func (w *world) readFrame(r *region, payload []byte, has fieldwise.Vector) {
	err := engine.Entries(payload, func(e engine.Entry, body []byte) error {
		at, sum := place{e.Origin, e.Seq}, sha256.Sum256(body)
		m := w.byOrigin[e.Version()]
		switch was, ok := w.content[at]; {
		case e.Seq != has[e.Origin]+1:
			w.fail("the log of %s has %s/%d behind %d", r.name, e.Origin.Region, e.Seq, has[e.Origin])
		case m == nil:
			w.fail("the log of %s has %s/%d, which nobody wrote", r.name, e.Origin.Region, e.Seq)
		case ok && was != sum:
			w.fail("the log of %s has another %s/%d than others", r.name, e.Origin.Region, e.Seq)
		case !has.Covers(m.saw):
			w.fail("the log of %s has %s/%d before what its writer knew, %v: it has %v", r.name, e.Origin.Region, e.Seq, short(m.saw), short(has))
		}
		has[e.Origin] = e.Seq
		w.content[at] = sum
		m.logged = true
		return nil
	})
	if err == nil {
		err = engine.Reports(payload, func(c fieldwise.Conflict) error {
			if w.byOrigin[c.Loser.Version] == nil {
				w.fail("%s reports %v of %s, which nobody wrote", r.name, c.Loser.Version, c.Key)
			}
			if !r.reports[reported{c.Key, c.Loser.Version}] {
				w.counts["reports"]++
			}
			r.reports[reported{c.Key, c.Loser.Version}] = true
			return nil
		})
	}
	if err != nil {
		w.fail("the log of %s holds what cannot be read: %v", r.name, err)
	}
}

// converged reports whether all regions are up, have nothing staged, and hold the same entries.
func (w *world) converged() bool {
	for _, r := range w.regions {
		if !r.up || r.committing || len(r.mine) > 0 || !r.held.Covers(r.staged) || !r.held.Covers(w.regions[0].held) || !w.regions[0].held.Covers(r.held) {
			return false
		}
	}
	return true
}

// short is a vector without incarnations: a region has one.
func short(v fieldwise.Vector) string {
	var parts []string
	for o, seq := range v {
		parts = append(parts, fmt.Sprintf("%s:%d", o.Region, seq))
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
	ctx := context.Background()
	first := w.regions[0]
	states := make(map[string][]byte)
	_ = first.engine.States(name, func(key string, state []byte) error {
		states[key] = slices.Clone(state)
		return nil
	})
	reports := make(map[reported]bool)
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
		for at := range r.reports {
			reports[at] = true
		}
		w.judgeTraffic(r)
	}
	shown := make(map[string]*profile)
	for _, m := range w.writes {
		if _, ok := shown[m.key]; !ok {
			p, err := first.domain.Get(ctx, m.key)
			switch {
			case err == nil:
				shown[m.key] = &p
			case errors.Is(err, fieldwise.ErrNotFound):
				shown[m.key] = nil
			default:
				w.fail("%s cannot be read: %v", m.key, err)
			}
		}
		if m.outcome == acknowledged {
			w.counts["acknowledged"]++
			if !first.held.Covers(fieldwise.Vector{m.receipt.Origin: m.receipt.Seq}) || !m.logged {
				w.fail("%v, which was acknowledged, is in no log", m.receipt)
			}
		}
		w.account(m, shown[m.key], reports)
	}
	w.countHits(shown, reports)
	if w.counts["acknowledged"] == 0 && w.plan.Writes == 0 && w.phase > 5*time.Second && w.faults&(DiskErrors|FullDisks|PowerCuts|Kills|Stalls) == 0 {
		w.fail("nothing was acknowledged: the history is empty")
	}
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

// visible reports whether what a write set or added is shown; ok is false where it did neither.
func (m *write) visible(shown *profile) (is, ok bool) {
	switch m.what {
	case "name", "create":
		return shown != nil && shown.Name == m.value, true
	case "city":
		return shown != nil && shown.City == m.value, true
	case "lang":
		return shown != nil && shown.Lang["x"] == m.value, true
	case "add":
		return shown != nil && shown.Tags.Has(m.value), true
	}
	return false, false
}

// account checks that what a write set or added is shown, or else was replaced or removed by
// somebody who knew of it, or is named in a report; and that it is shown in the first case alone.
func (w *world) account(m *write, shown *profile, reports map[reported]bool) {
	visible, ok := m.visible(shown)
	if !ok || !m.logged {
		return
	}
	i := slices.IndexFunc(w.writes, func(later *write) bool { return later.logged && later.replaces(m) })
	switch {
	case visible && i >= 0:
		w.fail("%s %s by %v is shown, though %s by %v took its place", m.what, m.value, m.receipt, w.writes[i].what, w.writes[i].receipt)
	case !visible && i < 0 && !reports[reported{m.key, m.receipt.Version()}]:
		w.fail("%s %s by %v is gone, and nobody who knew of it wrote, and nobody reports it; %+v is shown", m.what, m.value, m.receipt, shown)
	}
}

// replaces reports whether a write knew of another, and took its place.
func (m *write) replaces(other *write) bool {
	if m == other || m.key != other.key || m.saw[other.receipt.Origin] < other.receipt.Seq {
		return false
	}
	switch {
	case m.what == "delete":
		return true
	case m.what == "remove":
		return other.what == "add" && m.value == other.value
	case m.what == "create" || other.what == "create":
		return m.what == "create" || m.what == "name"
	}
	return m.what == other.what && m.what != "add"
}

// countHits holds the sums of counters against the hits that were logged.
func (w *world) countHits(shown map[string]*profile, reports map[reported]bool) {
	least, most := make(map[string]int64), make(map[string]int64)
	for _, m := range w.writes {
		if m.what != "hit" || !m.logged {
			continue
		}
		most[m.key]++
		dropped := slices.ContainsFunc(w.writes, func(d *write) bool { return d.logged && d.what == "delete" && d.replaces(m) })
		for at := range reports { // one report tells of all that its origin had counted
			dropped = dropped || at.key == m.key && at.version.Origin == m.receipt.Origin && at.version.Time >= m.receipt.Time
		}
		if !dropped {
			least[m.key]++
		}
	}
	for key, p := range shown {
		if p == nil {
			continue
		}
		if n := p.Hits.Value(); n < least[key] || n > most[key] {
			w.fail("%s counts %d hits, of which there were %d to %d", key, n, least[key], most[key])
		}
	}
}
