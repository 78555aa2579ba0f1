package engine

import (
	"fmt"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Install stages a snapshot that came from a region: it becomes durable, is published and counts
// as one. It is joined with what is here and takes nothing away; what that hides is reported.
// Where the snapshot has more of an origin than this log, the log's base rises to there. The
// pieces are not to be used any more. On an error, nothing is staged.
//
// The time it takes, in which nothing else happens, grows with the number of records, as does
// the time to publish them; until that is done, they are in memory three times.
func (e *Engine) Install(now time.Time, from fieldwise.Region, s *Pieces) (Delivered, error) {
	switch {
	case e.err != nil:
		return Delivered{}, e.err
	case !s.Complete():
		return Delivered{}, fmt.Errorf("%w: the snapshot ends early", fieldwise.ErrMalformed)
	case s.region != from:
		return Delivered{}, fmt.Errorf("%w: snapshot of %q from %q", fieldwise.ErrMalformed, s.region, from)
	}
	e.now = now
	if err := e.compare(s); err != nil {
		return Delivered{}, err
	}
	in := install{engine: e}
	if err := s.walk(in.begin, in.join); err != nil {
		return Delivered{}, err
	}
	d := in.stage(s)
	p := e.peer(from)
	if p.want == nil {
		p.want = make(fieldwise.Vector)
	}
	for o, seq := range d.Want {
		p.want[o] = max(p.want[o], seq)
	}
	return d, nil
}

// compare looks for other entries than here under the numbers where the snapshot's origins stand,
// and for more of the origin that signs here.
func (e *Engine) compare(s *Pieces) error {
	own := e.identity.Origin
	var fork *originMark
	for i := range s.marks {
		m := &s.marks[i]
		if m.seq <= e.staged[m.origin] && e.isAnother(m.origin, m.seq, m.chain) && (fork == nil || m.origin == own) {
			fork = m
		}
	}
	if fork != nil {
		return e.forked(fork.origin, fork.seq, "a snapshot of "+string(s.region))
	}
	for _, m := range s.marks {
		if m.origin == own && m.seq > e.staged[own] {
			return e.exceeded(m.seq, "a snapshot of "+string(s.region))
		}
	}
	return nil
}

// install is what comes of the records of a snapshot, aside.
type install struct {
	engine  *Engine
	domains []*installDomain
	records []stagedEntry

	conflicts []fieldwise.Conflict
}

type installDomain struct {
	name   string
	merger string           // empty: not known
	domain *domain          // nil: there is none here
	states map[string]State // of records that were joined
	n      int
}

func (in *install) begin(name, merger string) error {
	d := &installDomain{name: name, merger: merger, domain: in.engine.domains[name], states: make(map[string]State)}
	if d.domain != nil {
		if ours := d.domain.mergerName(); ours != "" && merger != "" && ours != merger {
			return fmt.Errorf("%w: %q is %q here and %q in a snapshot", fieldwise.ErrMergerMismatch, name, ours, merger)
		}
	}
	in.domains = append(in.domains, d)
	return nil
}

func (in *install) join(key string, state []byte) error {
	d := in.domains[len(in.domains)-1]
	d.n++
	entry := Entry{Domain: d.name, Key: key, Delta: state}
	if d.domain == nil || d.domain.merger == nil {
		in.records = append(in.records, stagedEntry{entry: entry})
		return nil
	}
	now, ok := d.states[key]
	if !ok {
		now = d.domain.current(key)
	}
	conflicts, joined, err := d.domain.join(now, &entry, true)
	if err != nil {
		return fmt.Errorf("domain %q: %v: %w", d.name, &entry, err)
	}
	entry.Delta = nil
	d.states[key] = joined
	in.records = append(in.records, stagedEntry{entry: entry, state: joined})
	in.conflicts = append(in.conflicts, conflicts...)
	return nil
}

// stage puts the pieces, and what came of them, on their way to the log.
func (in *install) stage(s *Pieces) Delivered {
	e := in.engine
	for i, piece := range s.all {
		e.room(len(piece)+16).addPiece(i, piece)
	}
	b := e.room((MaxDomain + MaxMerger) * (1 + len(in.domains)))
	for _, d := range in.domains {
		here := e.domain(d.name)
		if here.merger != nil {
			d.merger = here.merger.Name()
		}
		if d.merger != "" && d.n > 0 && here.needsName() {
			b.addMerger(d.name, here, d.merger)
		}
		for key, state := range d.states {
			here.staged[key] = stagedState{state: state, batch: b.Number}
		}
	}
	b.Payload = appendEntryPart(b.Payload, partInstalled, wire.AppendUint(wire.AppendUint(nil, uint64(len(s.all))), s.sum))
	b.installs++
	b.entries = append(b.entries, in.records...)
	d := e.stageMarks(b, s.marks)
	in.report(b)
	return d
}

// maxReports is how many bytes of a batch with which a snapshot counts leave room for a report.
const maxReports = 2 * maxBatch

// report adds the conflicts to the batch with which the snapshot counts: from then on, nobody may
// have what it hides but this log. What is too much for one batch follows.
func (in *install) report(b *Batch) {
	for i := range in.conflicts {
		if c := &in.conflicts[i]; len(b.Payload) < in.engine.maxReports {
			b.addReport(c)
		} else {
			in.engine.addLate(lateReport{conflict: *c, batch: b.Number})
		}
	}
}

func (e *Engine) stageMarks(b *Batch, marks []originMark) Delivered {
	d := Delivered{Want: make(fieldwise.Vector)}
	for _, m := range marks {
		d.Want[m.origin] = m.seq
		if m.seq <= e.staged[m.origin] {
			continue
		}
		b.entries = append(b.entries, stagedEntry{entry: Entry{Origin: m.origin}, raised: &m.mark})
		e.chains[m.origin] = append(e.chains[m.origin], link{m.seq, m.chain})
		e.staged[m.origin] = m.seq
		delete(e.stopped, m.origin) // what could not be applied is in the states
		if err := e.clock.Observe(m.time); err != nil {
			e.skewed++
			d.Alarms = append(d.Alarms, fmt.Errorf("%v up to %d: %w", m.origin, m.seq, err))
		}
	}
	return d
}

func (b *Batch) addPiece(number int, piece []byte) {
	n := wire.AppendUint(nil, uint64(number))
	b.Payload = wire.AppendBinHeader(b.Payload, 1+len(n)+len(piece))
	b.Payload = append(append(append(b.Payload, partPiece), n...), piece...)
}

// logged adds a piece from a log to those in front of it; the first one begins another snapshot.
func (s *Pieces) logged(body []byte) (*Pieces, error) {
	p := parser{b: body}
	number := p.uint()
	if p.err == nil && number == 0 {
		s = &Pieces{}
	}
	if p.err != nil || s == nil || number != uint64(len(s.all)) {
		return nil, fmt.Errorf("%w: piece %d of a snapshot in a log does not follow on the one in front of it", fieldwise.ErrMalformed, number)
	}
	return s, s.Add(append([]byte(nil), p.b...))
}

// installed checks that these are the pieces of the snapshot that a log says is installed.
func (s *Pieces) installed(body []byte) error {
	n, sum, err := parseInstalled(body)
	if err != nil {
		return err
	}
	if s == nil || !s.Complete() || uint64(len(s.all)) != n || s.sum != sum {
		return fmt.Errorf("%w: a log without the pieces of a snapshot that it has installed", fieldwise.ErrMalformed)
	}
	return nil
}

func (e *Engine) recoverPiece(body []byte) (err error) {
	e.pieces, err = e.pieces.logged(body)
	return err
}

func parseInstalled(body []byte) (pieces, sum uint64, err error) {
	p := parser{b: body}
	pieces, sum = p.uint(), p.uint()
	return pieces, sum, p.end("installed snapshot")
}

func (e *Engine) recoverInstalled(body []byte) error {
	s := e.pieces
	if err := s.installed(body); err != nil {
		return err
	}
	e.pieces = nil
	for _, m := range s.marks {
		if m.origin == e.identity.Origin && m.seq > e.vector[m.origin] {
			e.identity.mark = max(e.identity.mark, m.time)
		}
		if m.seq > e.vector[m.origin] {
			e.raise(m.origin, m.mark)
			e.staged[m.origin] = m.seq
		}
	}
	var domain string
	return s.walk(func(name, _ string) error {
		domain = name
		return nil
	}, func(key string, state []byte) error {
		// What was reported when it was installed is not reported again.
		d := e.domain(domain)
		d.held = append(d.held, held{entry: Entry{Domain: domain, Key: key, Delta: state}, unreported: true})
		return nil
	})
}
