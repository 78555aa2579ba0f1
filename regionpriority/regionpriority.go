// Package regionpriority keeps whole records under a ranking of regions: of the writes
// that did not know of each other, readers see the one from the region of the highest
// rank.
//
// It suits records that have a natural home: a catalogue that head office maintains
// while branches may correct it, an account whose home region should prevail. The
// ranking decides between concurrent values only. A region of low rank that has seen a
// value can still replace it, since causality comes first; a rule that ranked every
// pair of values would not even be associative, so that replicas would end up
// different.
package regionpriority

import (
	"errors"
	"fmt"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/lww"
)

// ErrRanks says that a list of ranks is not valid.
var ErrRanks = errors.New("regionpriority: invalid ranks")

// Policy shows the sibling of the highest-ranked region; between siblings of one rank,
// such as two of unranked regions, the largest version. Regions without a rank come
// after all others. [NewPolicy] is the only way to make a useful one: the zero value
// ranks nobody.
type Policy struct {
	rank map[fieldwise.Region]int
}

var (
	_ crdt.Policy   = Policy{}
	_ crdt.Reasoner = Policy{}
)

// NewPolicy ranks regions, the one that prevails first. It returns all that is wrong
// with the list at once: no region at all, a name that is not valid, a region that is
// ranked twice.
func NewPolicy(ranks ...fieldwise.Region) (Policy, error) {
	var problems []error
	if len(ranks) == 0 {
		problems = append(problems, fmt.Errorf("%w: no region; name at least the one that prevails", ErrRanks))
	}
	p := Policy{rank: make(map[fieldwise.Region]int, len(ranks))}
	for i, r := range ranks {
		if err := r.Validate(); err != nil {
			problems = append(problems, fmt.Errorf("%w: rank %d: %w", ErrRanks, i+1, err))
		} else if first, twice := p.rank[r]; twice {
			problems = append(problems, fmt.Errorf("%w: %q has ranks %d and %d; name each region once", ErrRanks, r, first+1, i+1))
		} else {
			p.rank[r] = i
		}
	}
	return p, errors.Join(problems...)
}

// Name is "priority".
func (Policy) Name() string { return "priority" }

// Resolve implements [crdt.Policy].
func (p Policy) Resolve(siblings []fieldwise.Sibling) (best fieldwise.Sibling, err error) {
	bestRank := len(p.rank)
	for _, s := range siblings {
		if rank := p.rankOf(s); rank <= bestRank { // equal rank: the later one, which has the larger version
			best, bestRank = s, rank
		}
	}
	return best, nil
}

func (p Policy) rankOf(s fieldwise.Sibling) int {
	if rank, ok := p.rank[s.Version.Origin.Region]; ok {
		return rank
	}
	return len(p.rank)
}

// Reason implements [crdt.Reasoner].
func (p Policy) Reason(winner, loser fieldwise.Sibling) string {
	w, l := winner.Version.Origin.Region, loser.Version.Origin.Region
	switch {
	case p.rankOf(winner) == p.rankOf(loser):
		return "of the same rank; " + lww.Policy{}.Reason(winner, loser)
	case p.rankOf(loser) == len(p.rank):
		return fmt.Sprintf("%q has rank %d, %q has none", w, p.rankOf(winner)+1, l)
	}
	return fmt.Sprintf("%q has rank %d, %q rank %d", w, p.rankOf(winner)+1, l, p.rankOf(loser)+1)
}

// NewMerger returns the merger of whole records under the ranks. Its states are those
// of every register, so a domain can change to lww and back.
func NewMerger(ranks ...fieldwise.Region) (crdt.MVRegister, error) {
	p, err := NewPolicy(ranks...)
	return crdt.NewMVRegister(p), err
}

// Open opens the domain name for records of type T under the ranks, the region that
// prevails first.
func Open[T any](host fieldwise.Host, name string, ranks ...fieldwise.Region) (*crdt.Registers[T], error) {
	p, err := NewPolicy(ranks...)
	if err != nil {
		return nil, err
	}
	return crdt.OpenRegisters[T](host, name, p)
}
