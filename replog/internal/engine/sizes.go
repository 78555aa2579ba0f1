package engine

import "github.com/fieldwise/fieldwise"

// Sizes is how much an engine keeps besides its records and the index of its log, all of which
// has bounds.
type Sizes struct {
	Waiting map[fieldwise.Region]int // parts of what came from a region and is behind a marker
	Staged  int                      // entries that are not durable
	Chains  int                      // of those; as many
	Staging int                      // origins that have chains of staged entries
	Relayed int                      // origins that others are asked for than their regions
	Asked   int                      // regions that asked who signs
	Peers   int                      // regions of which anything is known
}

// Sizes returns the sizes as they are now.
func (e *Engine) Sizes() Sizes {
	s := Sizes{
		Waiting: make(map[fieldwise.Region]int), Staging: len(e.chains), Relayed: len(e.relays.via),
		Asked: len(e.identity.asked), Peers: len(e.peers),
	}
	for region, p := range e.peers {
		s.Waiting[region] = len(p.rest)
	}
	for o, seq := range e.staged {
		s.Staged += int(seq - e.vector[o])
	}
	for _, chain := range e.chains {
		s.Chains += len(chain)
	}
	return s
}
