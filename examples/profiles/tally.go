package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
)

// fate is what became of a change.
type fate string

const (
	visible  fate = "visible"  // the final record shows it
	replaced fate = "replaced" // by a later edit that knew of it
	reported fate = "reported" // not that, and a conflict report names it
	lost     fate = "lost"     // none of these: lost without a trace
)

// outcome is one change that somebody made, and what became of it.
type outcome struct {
	Edit   *Edit
	Change Change
	Fate   fate
	Back   bool                // visible only because the edit that replaced it is not
	Report *fieldwise.Conflict // where the fate is reported
}

// evidence is what is known after a script was played. It comes from the replicas alone:
// their records, their logs and their conflict reports.
type evidence struct {
	edits   []*Edit // edit N at N-1
	final   map[string]record
	logs    map[fieldwise.Region][]logged
	reports []fieldwise.Conflict // of all regions, each hidden write once
}

// gather reads the evidence. Records are those of one region: that all regions hold the
// same is for the digests to say.
func (c *cluster) gather(ctx context.Context, s *Script) (*evidence, error) {
	ev := &evidence{edits: s.edits(), final: make(map[string]record)}
	var err error
	if ev.logs, err = c.readLogs(ctx, s); err != nil {
		return nil, err
	}
	for _, e := range ev.edits {
		r, err := c.profiles[us].Get(ctx, e.Key)
		if err == nil {
			ev.final[e.Key] = r
		} else if !errors.Is(err, fieldwise.ErrNotFound) {
			return nil, err
		}
	}
	seen := make(map[fieldwise.ConflictID]bool)
	for _, name := range regions {
		for report, err := range c.replicas[name].Conflicts(ctx, 0) {
			if err != nil {
				return nil, err
			}
			if id := report.ID(); !seen[id] {
				seen[id] = true
				ev.reports = append(ev.reports, report.Conflict)
			}
		}
	}
	slices.SortFunc(ev.reports, func(a, b fieldwise.Conflict) int {
		if c := a.Loser.Version.Compare(b.Loser.Version); c != 0 {
			return c
		}
		return strings.Compare(a.Key+"\x00"+a.Field, b.Key+"\x00"+b.Field)
	})
	return ev, nil
}

// judge decides the fate of every change. An edit that left no entry in the log of its
// region changed nothing and is passed over.
func (ev *evidence) judge() []outcome {
	j := judge{
		evidence: ev,
		place:    make(map[fieldwise.Region]map[int]int),
		version:  make(map[int]fieldwise.Version),
		writer:   make(map[fieldwise.Version]*Edit),
		onKey:    make(map[string][]*Edit),
		about:    make(map[string][]*fieldwise.Conflict),
	}
	for region, log := range ev.logs {
		j.place[region] = make(map[int]int)
		for i, entry := range log {
			j.place[region][entry.N] = i
			j.version[entry.N] = entry.Version
			j.writer[entry.Version] = ev.edits[entry.N-1]
		}
	}
	for _, e := range ev.edits {
		if j.knows(e, e) {
			j.onKey[e.Key] = append(j.onKey[e.Key], e)
		}
	}
	for i := range ev.reports {
		r := &ev.reports[i]
		j.about[r.Key] = append(j.about[r.Key], r)
	}
	var all []outcome
	for _, e := range ev.edits {
		if !j.knows(e, e) {
			continue
		}
		for _, c := range e.Changes {
			all = append(all, j.outcome(e, c))
		}
	}
	return all
}

type judge struct {
	*evidence
	place   map[fieldwise.Region]map[int]int // in each region's log, by edit
	version map[int]fieldwise.Version        // by edit
	writer  map[fieldwise.Version]*Edit
	onKey   map[string][]*Edit // that are in the logs
	about   map[string][]*fieldwise.Conflict
}

func (j *judge) outcome(e *Edit, c Change) outcome {
	o := outcome{Edit: e, Change: c}
	var later []Change // that replaced this one knowingly
	for _, other := range j.onKey[e.Key] {
		if other != e && j.knows(other, e) {
			later = append(later, other.touching(c)...)
		}
	}
	final := j.final[e.Key]
	switch {
	case c.shownBy(final):
		o.Fate = visible
		o.Back = len(later) > 0 && !slices.ContainsFunc(later, func(l Change) bool { return l.shownBy(final) })
		return o
	case len(later) > 0:
		o.Fate = replaced
		return o
	}
	for _, r := range j.about[e.Key] {
		if j.names(r, e, c) {
			o.Fate, o.Report = reported, r
			return o
		}
	}
	o.Fate = lost
	return o
}

// knows reports whether the region of an edit had the other one when the edit was made
// there: it stands before it in that region's own log.
func (j *judge) knows(e, other *Edit) bool {
	at, ok := j.place[e.Region][e.N]
	before, had := j.place[e.Region][other.N]
	return ok && had && before <= at
}

// touching lists the changes of an edit that are about the same field as a change, or
// about the whole record. To store the record as a whole is not enough: what counts is
// what the person who made the edit changed.
func (e *Edit) touching(c Change) []Change {
	if e.Op != replace {
		return e.Changes
	}
	var all []Change
	for _, own := range e.Changes {
		if own.Path == c.Path || strings.HasPrefix(own.Path, c.Path+".") || strings.HasPrefix(c.Path, own.Path+".") {
			all = append(all, own)
		}
	}
	return all
}

// names reports whether a conflict report accounts for a change: its losing value is the
// field as this edit wrote it, or a whole record that knew of this edit and shows what it
// changed.
func (j *judge) names(r *fieldwise.Conflict, e *Edit, c Change) bool {
	if r.Field != "" {
		return r.Field == c.Path && r.Loser.Version == j.version[e.N]
	}
	loser := j.writer[r.Loser.Version]
	if loser == nil || !j.knows(loser, e) {
		return false
	}
	var hidden record // nil if it was a delete
	if r.Loser.Value != nil {
		if _, err := crdt.DecodeValue(r.Loser.Value, &hidden); err != nil {
			return false
		}
	}
	return c.shownBy(hidden)
}

// Tally counts what became of the changes under one strategy.
type Tally struct {
	Edits    int `json:"edits"`     // that are in the logs
	NoChange int `json:"no_change"` // edits that changed nothing, or were refused

	Changes  int `json:"changes"` // of fields; a delete is one
	Visible  int `json:"visible"`
	Back     int `json:"back"` // of the visible: old values, since the newer ones were overwritten
	Replaced int `json:"replaced"`
	Reported int `json:"reported"`
	Lost     int `json:"lost"`

	Conflicts  int   `json:"conflicts"`   // hidden writes that a report names
	Records    int   `json:"records"`     // that were ever there
	LogBytes   int64 `json:"log_bytes"`   // of the entries in one region's log
	StateBytes int64 `json:"state_bytes"` // of all records in one region, with their keys
}

func (t *Tally) count(ev *evidence, all []outcome) {
	written := make(map[int]bool)
	for _, log := range ev.logs {
		for _, entry := range log {
			written[entry.N] = true
		}
	}
	t.Edits, t.NoChange = len(written), len(ev.edits)-len(written)
	t.Conflicts = len(ev.reports)
	for _, o := range all {
		t.Changes++
		switch o.Fate {
		case visible:
			t.Visible++
			if o.Back {
				t.Back++
			}
		case replaced:
			t.Replaced++
		case reported:
			t.Reported++
		case lost:
			t.Lost++
		}
	}
}
