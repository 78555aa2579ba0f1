package engine

import (
	"bytes"
	"container/list"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fieldwise/fieldwise"
)

// domain is the records under one merger. Until it is opened there is no merger, and
// entries are held as they came.
type domain struct {
	merger   fieldwise.Merger
	deleter  fieldwise.Deleter          // nil if the merger has not the power
	reporter fieldwise.ConflictReporter // nil if the merger has not the power
	opener   fieldwise.Opener           // nil if the merger has not the power
	openFrom int                        // Config.OpenFrom

	committed table
	open      map[string]*list.Element // committed, too, and kept open: see openRecords
	staged    map[string]stagedState
	bytes     int64 // of committed states

	named  string // merger that the log says the domain is merged under; empty: none yet
	naming string // one that is on its way to the log

	held     []held
	reported map[fieldwise.ConflictID]bool // until the domain is opened
}

type stagedState struct {
	state State
	batch uint64 // the last one that the state rests on
}

// held is an entry, or a state from a snapshot, that was logged before its domain was opened.
type held struct {
	entry      Entry
	unreported bool // nobody has looked for its conflicts
}

func (e *Engine) domain(name string) *domain {
	d := e.domains[name]
	if d == nil {
		d = &domain{}
		e.domains[name] = d
	}
	return d
}

// IsOpen reports whether the domain has its merger.
func (e *Engine) IsOpen(name string) bool {
	d := e.domains[name]
	return d != nil && d.merger != nil
}

// mergerName is the name of the merger that the domain is open under or, before it is
// opened, that the log holds it under, or is about to; empty if there is none yet.
func (d *domain) mergerName() string {
	switch {
	case d.merger != nil:
		return d.merger.Name()
	case d.named != "":
		return d.named
	}
	return d.naming
}

// OpenDomain gives the domain its merger and joins the entries that were held for it.
// Conflicts among them that were not reported yet are staged, and the merger's name if
// the log does not have it: from then on the domain is opened under that name alone. A
// domain that is open under a merger of the same name keeps the merger it has.
func (e *Engine) OpenDomain(name string, m fieldwise.Merger) (err error) {
	if name == "" || len(name) > MaxDomain || !utf8.ValidString(name) {
		return fmt.Errorf("replog: domain name %.80q: need 1 to %d bytes of UTF-8", name, MaxDomain)
	}
	if merger := m.Name(); merger == "" || len(merger) > MaxMerger || !utf8.ValidString(merger) {
		return fmt.Errorf("replog: domain %q: merger name %.80q: need 1 to %d bytes of UTF-8", name, merger, MaxMerger)
	}
	d := e.domain(name)
	if d.merger != nil {
		if d.merger.Name() != m.Name() {
			return fmt.Errorf("%w: %q is open under %q, not %q; a domain keeps its kind of merger, so use another name", fieldwise.ErrMergerMismatch, name, d.merger.Name(), m.Name())
		}
		return nil
	}
	if is := d.mergerName(); is != "" && is != m.Name() {
		return fmt.Errorf("%w: the log holds %q merged under %q, not %q; a domain keeps its kind of merger, so use another name", fieldwise.ErrMergerMismatch, name, is, m.Name())
	}
	opened := domain{
		merger:   m,
		openFrom: e.cfg.OpenFrom,
		named:    d.named,
		naming:   d.naming,
		open:     make(map[string]*list.Element),
		staged:   make(map[string]stagedState),
	}
	opened.deleter, _ = m.(fieldwise.Deleter)
	opened.reporter, _ = m.(fieldwise.ConflictReporter)
	opened.opener, _ = m.(fieldwise.Opener)

	defer func() {
		if err != nil {
			e.open.removeAll(&opened)
		}
	}()
	var late []lateReport
	for i, h := range d.held {
		if i%group == 0 {
			opened.touch(d.held[i:min(i+group, len(d.held))])
		}
		conflicts, state, err := opened.join(opened.published(h.entry.Key), &h.entry, h.unreported)
		if err != nil {
			return fmt.Errorf("replog: domain %q under %q: %v: %w", name, m.Name(), &h.entry, err)
		}
		for i := range conflicts {
			if !d.reported[conflicts[i].ID()] {
				late = append(late, lateReport{conflict: conflicts[i]})
			}
		}
		e.publish(&opened, h.entry.Key, state)
	}
	// Entries on their way to the log were staged without a state.
	states := make(map[*stagedEntry]State)
	for _, b := range e.notCommitted() {
		for i := range b.entries {
			s := &b.entries[i]
			if s.entry.Domain != name {
				continue
			}
			conflicts, state, err := opened.join(opened.current(s.entry.Key), &s.entry, true)
			if err != nil {
				return fmt.Errorf("replog: domain %q under %q: %v: %w", name, m.Name(), &s.entry, err)
			}
			for i := range conflicts {
				late = append(late, lateReport{conflict: conflicts[i], batch: b.Number})
			}
			states[s] = state
			opened.staged[s.entry.Key] = stagedState{state: state, batch: b.Number}
		}
	}
	for s, state := range states {
		s.state = state
	}
	*d = opened
	for _, at := range d.open {
		at.Value.(*openRecord).domain = d
	}
	if d.records()+len(d.staged) > 0 && d.needsName() {
		e.room(MaxDomain+MaxMerger).addMerger(name, d, m.Name())
	}
	for _, r := range late {
		e.addLate(r)
	}
	for _, p := range e.peers { // what waits may have been written under another merger
		p.rest = nil
	}
	return nil
}

// join checks an entry's delta and joins it into a state; conflicts are looked for on
// demand. The state is fresh memory.
func (d *domain) join(state State, entry *Entry, report bool) (conflicts []fieldwise.Conflict, joined State, err error) {
	delta, err := d.merger.Merge(nil, nil, entry.Delta)
	if err != nil {
		return nil, State{}, err
	}
	if len(delta) == 0 {
		return nil, State{}, fmt.Errorf("%w: merger %q makes the empty state of a change", fieldwise.ErrMalformed, d.merger.Name())
	}
	if state.IsZero() {
		return nil, State{Bytes: delta}, nil
	}
	if report {
		if conflicts, err = d.conflicts(state, delta); err != nil {
			return nil, State{}, err
		}
		for i := range conflicts {
			c := &conflicts[i]
			c.Domain, c.Key = entry.Domain, entry.Key
			c.Field, c.Policy, c.Reason = loggable(c.Field), loggable(c.Policy), loggable(c.Reason[:min(len(c.Reason), MaxReason)])
		}
	}
	joined, err = d.joinInto(state, delta)
	return conflicts, joined, err
}

// loggable replaces what is not UTF-8, which a merger may quote, such as in the error of
// a policy: a log that holds it could not be opened again.
func loggable(s string) string { return strings.ToValidUTF8(s, "?") }

// current is the newest state of a key, staged or committed, to be used before the next
// one is published.
func (d *domain) current(key string) State {
	if s, ok := d.staged[key]; ok {
		return s.state
	}
	return d.published(key)
}

// published is the committed state of a key, to be used before the next one is published.
func (d *domain) published(key string) State {
	if at := d.open[key]; at != nil {
		return State{Open: at.Value.(*openRecord).open}
	}
	return State{Bytes: d.committed.get(key)}
}

// touch has the records of up to group entries fetched from memory at one time.
func (d *domain) touch(entries []held) {
	var keys [group]string
	for i := range entries {
		keys[i] = entries[i].entry.Key
	}
	d.committed.touch(keys[:len(entries)])
}

// records counts the keys with a committed state.
func (d *domain) records() int { return d.committed.len() + len(d.open) }

// publish makes a state the committed one of its key. It does not keep its bytes.
func (e *Engine) publish(d *domain, key string, state State) {
	old := d.published(key)
	for s := range e.snapshots {
		s.keep(d, key, old)
	}
	d.bytes += int64(state.Size() - old.Size())
	if old.IsZero() {
		d.bytes += int64(len(key))
	}
	if state.Open != nil {
		d.committed.remove(key)
		e.open.put(d, key, state.Open)
	} else {
		e.open.remove(d, key)
		d.committed.put(key, state.Bytes)
	}
}

// Read returns the committed state of a key. Its bytes are appended to dst: they are the
// caller's.
func (e *Engine) Read(dst []byte, domain, key string) State {
	s := e.domains[domain].published(key)
	if s.Open == nil {
		s.Bytes = append(dst, s.Bytes...)
	}
	return s
}

// keys lists the keys with a committed state, in byte order.
func (d *domain) keys() []string {
	keys := make([]string, 0, d.records())
	for key := range d.committed.all() {
		keys = append(keys, string(key))
	}
	keys = slices.AppendSeq(keys, maps.Keys(d.open))
	slices.Sort(keys)
	return keys
}

// Keys returns the keys with a prefix whose committed states are live, in byte order.
func (e *Engine) Keys(domain, prefix string) []string {
	d := e.domains[domain]
	var keys []string
	for key, state := range d.committed.all() {
		if bytes.HasPrefix(key, []byte(prefix)) && (d.deleter == nil || d.deleter.Live(state)) {
			keys = append(keys, string(key))
		}
	}
	for key, at := range d.open {
		if strings.HasPrefix(key, prefix) && at.Value.(*openRecord).open.Live() {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// States calls use for each key of a domain and its committed state, in byte order, until
// use returns an error. The state must neither be changed nor kept.
func (e *Engine) States(domain string, use func(key string, state []byte) error) error {
	d := e.domains[domain]
	for _, key := range d.keys() {
		if err := use(key, d.published(key).bytes()); err != nil {
			return err
		}
	}
	return nil
}
