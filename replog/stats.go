package replog

import (
	"time"

	"github.com/fieldwise/fieldwise"
)

// Stats is a snapshot of what one replica knows of itself and its peers.
type Stats struct {
	Region   fieldwise.Region
	Origin   fieldwise.Origin // that signs here; see Replica.Origin
	Identity Identity         // whether it may
	Origins  int              // that this replica holds entries of
	Vector   fieldwise.Vector
	Entries  int64 // durable, of all origins
	Bytes    int64 // of their bodies, without framing

	// Conflicts counts the durable conflict reports of this replica.
	Conflicts uint64
	// Snapshots counts those that were taken from peers and joined with what was here, since
	// the replica was opened.
	Snapshots uint64
	// Skewed counts the entries whose timestamps were too far ahead of the wall clock,
	// since the replica was opened.
	Skewed uint64
	// Stopped names the origins whose entries cannot be applied here, and why: nothing
	// of them behind the last applied entry is taken in until the replica is opened
	// again by a release that can.
	Stopped map[fieldwise.Origin]error
	// Err says why nothing can be written any more; nil while all is well.
	Err error

	Domains []DomainStats // by name
	Peers   []PeerStats   // by region
}

// DomainStats counts one domain.
type DomainStats struct {
	Name    string
	Merger  string // name of its merger; empty while the domain is not open
	Records int    // with a state, deleted ones included
	Bytes   int64  // of keys and states in memory
	Held    int    // entries that wait for the domain to be opened
}

// PeerStats is what this replica knows of another that it is or was linked to.
type PeerStats struct {
	Region fieldwise.Region
	Acked  fieldwise.Vector // what is durable there, as far as it said
	Lag    []Lag            // by origin; origins without lag are left out

	Sent     Traffic // to it, since this replica was opened
	Received Traffic // from it
}

// Traffic counts the entries that cross a link with their bodies. While all links work, each
// entry comes once, from the region that wrote it.
type Traffic struct {
	Entries    int64
	Bytes      int64 // of their bodies, without framing
	Relayed    int64 // entries of other regions than the one that sent them
	Duplicates int64 // received entries that were here already
}

// Lag is what a peer has not acknowledged of one origin's entries that this replica
// has.
type Lag struct {
	Origin  fieldwise.Origin
	Entries int64
	Bytes   int64         // of entry bodies
	Age     time.Duration // of the oldest of them, by its timestamp and this wall clock

	// Behind says that the peer lacks entries that this replica's log no longer holds: only
	// a snapshot brings it up to date. Bytes are then those of all entries of the origin, and
	// Age is of the newest one that the log does not hold.
	Behind bool
}

// Stats returns the counters as of now.
func (r *Replica) Stats() Stats {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s, id := r.engine.Stats(r.cfg.Wall()), r.engine.Identity()
	out := Stats{
		Region: r.Region(), Origin: id.Origin, Identity: identityOf(id.Standing), Vector: r.engine.Vector(),
		Entries: s.Entries, Bytes: s.Bytes, Conflicts: s.Conflicts, Snapshots: s.Installed, Skewed: s.Skewed,
		Stopped: s.Stopped, Err: r.err,
	}
	out.Origins = len(out.Vector)
	for _, d := range s.Domains {
		out.Domains = append(out.Domains, DomainStats(d))
	}
	for _, p := range s.Peers {
		peer := PeerStats{Region: p.Region, Acked: p.Acked, Sent: Traffic(p.Sent), Received: Traffic(p.Received)}
		for _, l := range p.Lag {
			peer.Lag = append(peer.Lag, Lag(l))
		}
		out.Peers = append(out.Peers, peer)
	}
	return out
}
