package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldwise/fieldwise"
)

// Every entry in the logs carries a note that names its edit. So the logs alone say, after
// any crash, how far a script was played: nothing else is kept.

const notePrefix = "edit "

func note(e *Edit) string { return notePrefix + strconv.Itoa(e.N) }

// logged is one entry of a log: the edit that it records, and the version that the edit
// was given.
type logged struct {
	N       int
	Version fieldwise.Version
}

// readLogs lists the edits in each region's log, in the order of the log: causes before
// effects, and what a region wrote behind everything that it had applied by then.
func (c *cluster) readLogs(ctx context.Context, s *Script) (map[fieldwise.Region][]logged, error) {
	edits := s.edits()
	logs := make(map[fieldwise.Region][]logged)
	for _, name := range regions {
		for e, err := range c.replicas[name].Entries(ctx) {
			if err != nil {
				return nil, err
			}
			text, ok := strings.CutPrefix(e.Note, notePrefix)
			n, err := strconv.Atoi(text)
			if !ok || err != nil || n < 1 || n > len(edits) || edits[n-1].Key != e.Key || edits[n-1].Region != e.Origin.Region {
				return nil, fmt.Errorf("the log of %s has an entry for %q noted %q, which is no edit of %s", name, e.Key, e.Note, s.Input)
			}
			logs[name] = append(logs[name], logged{N: n, Version: e.Receipt().Version()})
		}
	}
	return logs, nil
}

// nextEdit is the number of the first edit that was not acknowledged, as far as the logs
// can tell. Edits are made one after the other, so everything before the last one in the
// logs is done, although an edit that changed nothing left no entry.
//
// Such edits at the end of a phase need care: they are made again, which again changes
// nothing, but only while the phase lasts. Once the regions are linked again they hold
// more than they did. That linking began shows in the logs: an edit is in a region that
// the cut kept it from.
func nextEdit(s *Script, logs map[fieldwise.Region][]logged) int {
	next := 1
	phases := make(map[int]*Phase) // by edit
	for i := range s.Phases {
		for j := range s.Phases[i].Edits {
			phases[s.Phases[i].Edits[j].N] = &s.Phases[i]
		}
	}
	edits := s.edits()
	for name, log := range logs {
		for _, entry := range log {
			next = max(next, entry.N+1)
			if p := phases[entry.N]; !slices.Contains(p.reaches(edits[entry.N-1].Region), name) {
				next = max(next, p.Edits[len(p.Edits)-1].N+1)
			}
		}
	}
	return next
}
