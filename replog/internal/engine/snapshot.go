package engine

import (
	"maps"
	"slices"
)

// Snapshot is what a replica holds at one moment: of each origin, where it stands, and of each
// domain the states, or what is held for it until it is opened. Conflict reports are none of it.
//
// It is walked while writes go on. Taking it copies and sorts the keys, and nothing else happens
// meanwhile; from then on it costs a copy of each state that is overwritten before the walk gets
// there. It is to be closed.
type Snapshot struct {
	engine  *Engine
	writer  pieceWriter
	marks   []originMark
	domains []*domainSnapshot // those that were not walked yet
	begun   bool
	ended   bool
	rest    []byte // of a state of which the first bytes were written
}

// domainSnapshot is what is left to be walked of a domain.
type domainSnapshot struct {
	name, merger string
	domain       *domain
	begun        bool
	keys         []string          // in order
	saved        map[string][]byte // states of them that were overwritten since
	held         []held            // of a domain that is not open
}

// NeedsSnapshot reports whether Serve refuses the request with ErrBehind.
func (e *Engine) NeedsSnapshot(p Pull) bool {
	holds, err := e.unfold(&p)
	if err != nil {
		return false // that comes first
	}
	_, behind := e.behind(holds, p.Stopped)
	return behind || p.Snapshot && !holds.Covers(e.vector)
}

// Snapshot takes a snapshot for a peer that makes a request, on the same conditions as Serve
// answers it. It is nil where Serve would not answer now.
func (e *Engine) Snapshot(p Pull) (*Snapshot, error) {
	if holds, _, err := e.admit(&p); holds == nil || err != nil {
		return nil, err
	}
	return e.snapshot(), nil
}

func (e *Engine) snapshot() *Snapshot {
	s := &Snapshot{engine: e, writer: pieceWriter{full: e.cfg.PieceBytes, most: e.cfg.PieceBytes}}
	for o, h := range e.index {
		if h.end.seq > 0 {
			s.marks = append(s.marks, originMark{o, h.end})
		}
	}
	slices.SortFunc(s.marks, func(a, b originMark) int { return a.origin.Compare(b.origin) })
	for _, name := range slices.Sorted(maps.Keys(e.domains)) {
		d := e.domains[name]
		ds := &domainSnapshot{name: name, merger: d.mergerName(), domain: d, held: slices.Clip(d.held)}
		if d.merger != nil {
			ds.keys, ds.saved = d.keys(), make(map[string][]byte)
		}
		if len(ds.keys)+len(ds.held) > 0 {
			s.domains = append(s.domains, ds)
		}
	}
	e.snapshots[s] = true
	return s
}

// Close ends the walk.
func (s *Snapshot) Close() {
	delete(s.engine.snapshots, s)
	s.ended, s.domains, s.rest = true, nil, nil
}

// Next returns the next piece, nil when there are no more. It is the caller's.
func (s *Snapshot) Next() []byte {
	if s.ended {
		return nil
	}
	w := &s.writer
	w.piece = make([]byte, 0, w.full)
	if !s.begun {
		s.begun = true
		w.begin(s.engine.cfg.Origin.Region)
	}
	for len(w.piece) < w.full && s.step() {
	}
	return w.piece
}

// step adds an item. It reports whether there is another.
func (s *Snapshot) step() bool {
	w := &s.writer
	switch {
	case len(s.rest) > 0:
		s.rest = w.more(s.rest)
	case len(s.marks) > 0:
		w.origin(s.marks[0])
		s.marks = s.marks[1:]
	case len(s.domains) > 0:
		s.stepDomain(s.domains[0])
	default:
		w.end()
		s.Close()
		return false
	}
	return true
}

func (s *Snapshot) stepDomain(d *domainSnapshot) {
	w := &s.writer
	switch {
	case !d.begun:
		d.begun = true
		w.domain(d.name, d.merger)
	case len(d.keys) > 0:
		key := d.keys[0]
		state, ok := d.saved[key]
		if !ok {
			state = d.domain.published(key).bytes()
		}
		s.rest = slices.Clone(w.record(key, state)) // what is published may be overwritten
		delete(d.saved, key)
		d.keys = d.keys[1:]
	case len(d.held) > 0:
		s.rest = w.record(d.held[0].entry.Key, d.held[0].entry.Delta)
		d.held = d.held[1:]
	default:
		s.domains = s.domains[1:]
	}
}

// keep is told that a state is about to be overwritten.
func (s *Snapshot) keep(d *domain, key string, old State) {
	for _, ds := range s.domains {
		if ds.domain != d {
			continue
		}
		if _, left := slices.BinarySearch(ds.keys, key); !left {
			return // it was walked, or is new
		}
		if _, ok := ds.saved[key]; !ok {
			ds.saved[key] = old.Append(nil)
		}
		return
	}
}
