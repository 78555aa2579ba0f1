package engine

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/fieldwise/fieldwise"
)

// Basis is what a local change is made on.
type Basis struct {
	State State             // staged state of the key; it never changes
	At    fieldwise.Version // of the change

	// Batch is what the state rests on and what is not durable yet: an outcome that
	// writes nothing holds when this batch is committed. Zero if all of it is durable.
	Batch      uint64
	generation uint64
}

// Begin starts a local change. Changes of one key are begun one at a time. ErrWaiting says
// that the identity is to be confirmed first, or another to be begun.
func (e *Engine) Begin(now time.Time, domain, key string) (Basis, error) {
	if key == "" || !utf8.ValidString(key) {
		return Basis{}, fmt.Errorf("replog: key %.80q: need at least one byte of UTF-8", key)
	}
	if len(key) > MaxKey {
		return Basis{}, &fieldwise.LimitError{Limit: "bytes of a key", Got: len(key), Max: MaxKey, Key: key}
	}
	if e.err != nil {
		return Basis{}, e.err
	}
	if e.identity.Standing == Waiting {
		return Basis{}, ErrWaiting
	}
	e.now = now
	d := e.domains[domain]
	b := Basis{generation: e.generation, At: fieldwise.Version{Time: e.clock.Now(), Origin: e.identity.Origin}}
	if s, ok := d.staged[key]; ok {
		b.State, b.Batch = s.state, s.batch
	} else {
		b.State = e.Read(nil, domain, key)
	}
	return b, nil
}

// Stage stages a local change that was made on a basis: delta is not kept. It returns
// what names the entry and the number of the batch to wait for. ErrRestaged asks to
// begin again.
func (e *Engine) Stage(basis Basis, domain, key string, delta []byte, note string) (fieldwise.Receipt, uint64, error) {
	if e.err != nil {
		return fieldwise.Receipt{}, 0, e.err
	}
	if basis.generation != e.generation {
		return fieldwise.Receipt{}, 0, ErrRestaged
	}
	if len(note) > MaxNote {
		return fieldwise.Receipt{}, 0, &fieldwise.LimitError{Limit: "bytes of a note", Got: len(note), Max: MaxNote, Key: key}
	}
	if !utf8.ValidString(note) {
		return fieldwise.Receipt{}, 0, fmt.Errorf("replog: note %q is not UTF-8", note)
	}
	d := e.domains[domain]
	state := d.current(key)
	entry := Entry{
		Origin: basis.At.Origin, Seq: e.staged[basis.At.Origin] + 1, Time: basis.At.Time,
		Domain: domain, Key: key, Delta: delta, Note: note,
	}
	// Looked for although nothing may have arrived since the change was begun: a change can
	// be made knowing less than its basis, and leaves the rest beside its own value.
	conflicts, joined, err := d.join(state, &entry, true)
	if err != nil {
		return fieldwise.Receipt{}, 0, fmt.Errorf("replog: delta of a write: %w", err)
	}
	if size := joined.Size(); size > e.cfg.MaxRecord && size > state.Size() {
		return fieldwise.Receipt{}, 0, &fieldwise.LimitError{Limit: "bytes of a record", Got: size, Max: e.cfg.MaxRecord, Key: key}
	}
	if err := e.stage(entry, partEntry, joined, conflicts); err != nil {
		return fieldwise.Receipt{}, 0, err
	}
	return fieldwise.Receipt{Origin: entry.Origin, Seq: entry.Seq, Time: entry.Time}, e.filling.Number, nil
}

// stage adds an entry and the reports that it causes to the batch that is being filled.
// The state is zero where the entry's domain is not open.
func (e *Engine) stage(entry Entry, kind byte, state State, conflicts []fieldwise.Conflict) error {
	body := entry.Append(e.filling.body[:0])
	e.filling.body = body
	if len(body) > MaxEntry {
		return &fieldwise.LimitError{Limit: "bytes of an entry", Got: len(body), Max: MaxEntry, Key: entry.Key}
	}
	b := e.room(len(body) + MaxDomain + MaxMerger)
	if e.needsIdentity(entry.Origin) {
		b.addIdentity(&e.identity)
	}
	if d := e.domains[entry.Domain]; !state.IsZero() && d.needsName() {
		b.addMerger(entry.Domain, d, d.merger.Name())
	}
	b.Payload = appendEntryPart(b.Payload, kind, body)
	if state.IsZero() {
		entry.Delta = append([]byte(nil), entry.Delta...)
	} else {
		entry.Delta = nil
		e.domains[entry.Domain].staged[entry.Key] = stagedState{state: state, batch: b.Number}
	}
	e.chains[entry.Origin] = append(e.chains[entry.Origin], link{entry.Seq, e.next(entry.Origin, body)})
	b.entries = append(b.entries, stagedEntry{entry: entry, size: len(body), state: state})
	for i := range conflicts {
		b.addReport(&conflicts[i])
	}
	e.staged[entry.Origin] = entry.Seq
	return nil
}
