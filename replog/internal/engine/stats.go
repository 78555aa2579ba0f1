package engine

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/fieldwise/fieldwise"
)

// Lag is what a destination has not acknowledged of one origin.
type Lag struct {
	Origin  fieldwise.Origin
	Entries int64
	Bytes   int64         // of entry bodies
	Age     time.Duration // of the oldest entry not acknowledged, by its timestamp

	// Behind says that the destination lacks entries that this log no longer holds: it needs a
	// snapshot. Bytes are then those of all entries of the origin, and Age is of the newest one
	// that the log does not hold.
	Behind bool
}

// Stats is a snapshot of the engine's counters.
type Stats struct {
	Entries   int64 // durable, of all origins
	Bytes     int64 // of their bodies
	Conflicts uint64
	Skewed    uint64
	Domains   []DomainStats
	Peers     []PeerStats
	Stopped   map[fieldwise.Origin]error
	Installed uint64 // snapshots, since the log was opened
}

// DomainStats counts one domain.
type DomainStats struct {
	Name    string
	Merger  string // empty while the domain is not open
	Records int    // with a state, deleted ones included
	Bytes   int64  // of keys and states
	Held    int    // entries that wait for the domain to be opened
}

// PeerStats is what is known of one peer.
type PeerStats struct {
	Region fieldwise.Region
	Acked  fieldwise.Vector
	Lag    []Lag // by origin; origins without lag are left out

	Sent, Received Traffic
}

// Stats returns the counters as of now.
func (e *Engine) Stats(now time.Time) Stats {
	s := Stats{
		Bytes: e.bytes, Conflicts: e.reports.total, Skewed: e.skewed,
		Stopped: maps.Clone(e.stopped), Installed: e.installed,
	}
	for _, seq := range e.vector {
		s.Entries += int64(seq)
	}
	for name, d := range e.domains {
		ds := DomainStats{Name: name, Records: d.records(), Bytes: d.bytes, Held: len(d.held)}
		if d.merger != nil {
			ds.Merger = d.merger.Name()
		}
		s.Domains = append(s.Domains, ds)
	}
	slices.SortFunc(s.Domains, func(a, b DomainStats) int { return cmp.Compare(a.Name, b.Name) })
	for region, p := range e.peers {
		s.Peers = append(s.Peers, PeerStats{
			Region: region, Acked: p.acked.Clone(), Lag: e.lag(now, p.acked), Sent: p.sent, Received: p.received,
		})
	}
	slices.SortFunc(s.Peers, func(a, b PeerStats) int { return cmp.Compare(a.Region, b.Region) })
	return s
}

func (e *Engine) lag(now time.Time, acked fieldwise.Vector) []Lag {
	var all []Lag
	for o, h := range e.index {
		have := acked[o]
		if have >= h.end.seq {
			continue
		}
		l := Lag{Origin: o, Entries: int64(h.end.seq - have), Bytes: h.end.bytes, Behind: have < h.base.seq}
		oldest := h.base.time
		if !l.Behind {
			oldest = h.at(have + 1).time
			l.Bytes -= h.bytesUpTo(have)
		}
		l.Age = max(0, now.Sub(oldest.Time()))
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Lag) int { return a.Origin.Compare(b.Origin) })
	return all
}
