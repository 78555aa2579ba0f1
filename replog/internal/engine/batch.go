package engine

import (
	"fmt"
	"slices"

	"github.com/fieldwise/fieldwise"
)

// Batch is what the log writes and syncs as one: it becomes durable whole or not at all.
type Batch struct {
	Number  uint64 // from 1, in the order of the log
	Payload []byte

	entries  []stagedEntry
	identity fieldwise.Origin // who signs from here on, if another than before
	mergers  []string         // domains whose merger is named here
	reports  int
	installs int // snapshots
	late     []lateReport
	body     []byte // scratch
}

// maxBatch bounds a batch: one that would grow beyond it is closed and the next is
// begun. It is well below what the log takes in one piece, since an entry is up to
// MaxEntry and its reports may be larger still.
const maxBatch = 16 << 20

// lateReport is a conflict report about an entry that was logged, or on its way to the
// log, before its domain was opened: nothing brings it up again while the domain is open.
type lateReport struct {
	conflict fieldwise.Conflict
	batch    uint64 // of the entry; zero once that is durable
}

// stagedEntry is an entry. Two others stand among them: a state from a snapshot, as an entry
// without an origin, and what a snapshot raises an origin to.
type stagedEntry struct {
	entry  Entry // without its delta where there is a state
	size   int
	state  State // of its key, with the entry; zero if the domain is not open
	raised *mark // of the entry's origin: all else is zero
}

func (e *Engine) newBatch() *Batch {
	e.nextBatch++
	return &Batch{Number: e.nextBatch}
}

// room returns the batch to add n bytes to.
func (e *Engine) room(n int) *Batch {
	if b := e.filling; len(b.Payload) > 0 && len(b.Payload)+n > e.cfg.BatchBytes {
		b.body = nil
		e.full = append(e.full, b)
		e.filling = e.newBatch()
	}
	return e.filling
}

// notCommitted lists what is staged, in the order of the log.
func (e *Engine) notCommitted() []*Batch {
	return append(slices.Concat(e.writing, e.full), e.filling)
}

func (e *Engine) addLate(r lateReport) {
	b := e.room(len(r.conflict.Loser.Value) + len(r.conflict.Winner.Value) + MaxReason)
	b.addReport(&r.conflict)
	b.late = append(b.late, r)
}

// needsName reports whether the log is still to be told the name of the domain's merger.
func (d *domain) needsName() bool { return d.named == "" && d.naming == "" }

func (b *Batch) addMerger(domain string, d *domain, merger string) {
	b.Payload = appendEntryPart(b.Payload, partMerger, appendMerger(nil, domain, merger))
	b.mergers = append(b.mergers, domain)
	d.naming = merger
}

func (b *Batch) addReport(c *fieldwise.Conflict) {
	b.body = appendReport(b.body[:0], c)
	b.Payload = appendEntryPart(b.Payload, partReport, b.body)
	b.reports++
}

// TakeBatch returns the next batch for the log, or nil if nothing is staged. The host
// appends its payload to the log in one piece and says how that went with Committed or
// Failed, in the order in which batches were taken.
func (e *Engine) TakeBatch() *Batch {
	var b *Batch
	switch {
	case len(e.full) > 0:
		b, e.full = e.full[0], e.full[1:]
	case len(e.filling.Payload) > 0:
		b, e.filling = e.filling, e.newBatch()
		b.body = nil
	default:
		return nil
	}
	e.writing = append(e.writing, b)
	return b
}

// Committed says that the batch is durable in the frame at a position of the log. Its
// states are published, and its entries count.
func (e *Engine) Committed(b *Batch, frame int64) {
	if len(e.writing) == 0 || e.writing[0] != b {
		panic(fmt.Sprintf("engine: batch %d committed out of turn", b.Number))
	}
	e.writing = e.writing[1:]
	if !b.identity.IsZero() {
		e.identity.signed, e.identity.naming = b.identity, false
	}
	for _, name := range b.mergers {
		d := e.domains[name]
		d.named, d.naming = d.naming, ""
	}
	for _, s := range b.entries {
		o := s.entry.Origin
		if s.raised != nil {
			e.unstage(o, s.raised.seq)
			e.raise(o, *s.raised)
			continue
		}
		if !o.IsZero() {
			chain, _ := e.chain(o, s.entry.Seq)
			e.unstage(o, s.entry.Seq)
			e.count(frame, s.entry, s.size, chain)
		}
		d := e.domains[s.entry.Domain]
		if s.state.IsZero() {
			d.held = append(d.held, held{entry: s.entry, unreported: true})
			continue
		}
		e.publish(d, s.entry.Key, s.state)
		if d.staged[s.entry.Key].batch == b.Number {
			delete(d.staged, s.entry.Key)
		}
	}
	e.reports.add(frame, b.reports)
	e.installed += uint64(b.installs)
	for _, waiting := range e.notCommitted() {
		for i := range waiting.late {
			if waiting.late[i].batch == b.Number {
				waiting.late[i].batch = 0
			}
		}
	}
}

// LogFailed says that the log is closed to writing and may hold some of what Failed throws
// away: only recovering it tells.
func (e *Engine) LogFailed() { e.unknown = true }

// Failed says that the batch did not get into the log. Everything that is staged is
// thrown away, since it rests on the batch; the numbers of the batches that are gone
// with it are returned. Reports about entries that are durable, and the names of mergers
// that durable entries were joined under, are staged anew, and go with the next batch:
// the host need not try at once.
func (e *Engine) Failed() (gone []uint64) {
	var again []lateReport
	var mergers []string
	for _, b := range e.notCommitted() {
		gone = append(gone, b.Number)
		mergers = append(mergers, b.mergers...)
		for _, r := range b.late {
			if r.batch == 0 {
				again = append(again, r)
			}
		}
	}
	e.writing, e.full, e.filling = nil, nil, e.newBatch()
	e.staged = e.vector.Clone()
	clear(e.chains)
	e.identity.naming = false
	e.generation++
	for _, p := range e.peers { // what waits goes on where something staged ended
		p.rest, p.want = nil, nil
	}
	for _, d := range e.domains {
		clear(d.staged)
		d.naming = ""
	}
	for _, name := range mergers {
		if d := e.domains[name]; d.records() > 0 {
			e.filling.addMerger(name, d, d.merger.Name())
		}
	}
	for _, r := range again {
		e.addLate(r)
	}
	return gone
}
