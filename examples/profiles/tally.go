package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/fieldwise/fieldwise"
)

// fate is what became of a change.
type fate string

const (
	visible  fate = "visible"  // the final record shows it
	replaced fate = "replaced" // by a later edit that knew of it
	reported fate = "reported" // not that, and a conflict report names it
	outdone  fate = "outdone"  // not that: it took out of a list what somebody put there meanwhile, which wins
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
	seen := make(map[string]bool)
	for _, name := range regions {
		for report, err := range c.replicas[name].Conflicts(ctx, 0) {
			if err != nil {
				return nil, err
			}
			// A write of a list may add several elements, each of which can be reported.
			if id := report.ID().String() + string(report.Loser.Value); !seen[id] {
				seen[id] = true
				ev.reports = append(ev.reports, report.Conflict)
			}
		}
	}
	slices.SortFunc(ev.reports, func(a, b fieldwise.Conflict) int {
		if c := a.Loser.Version.Compare(b.Loser.Version); c != 0 {
			return c
		}
		return cmp.Or(strings.Compare(a.Key+"\x00"+a.Field, b.Key+"\x00"+b.Field), bytes.Compare(a.Loser.Value, b.Loser.Value))
	})
	return ev, nil
}

// Tally counts what became of the changes under one strategy.
type Tally struct {
	Edits    int `json:"edits"`     // that are in the logs
	NoChange int `json:"no_change"` // edits that changed nothing, or were refused

	Fates                  // of all changes
	Kinds map[string]Fates `json:"kinds"` // of the changes of each kind, as changeKinds has them

	Conflicts  int   `json:"conflicts"`   // hidden writes that a report names
	Records    int   `json:"records"`     // that were ever there
	LogBytes   int64 `json:"log_bytes"`   // of the entries in one region's log
	StateBytes int64 `json:"state_bytes"` // of all records in one region, with their keys
}

// Fates counts changes by what became of them.
type Fates struct {
	Changes  int `json:"changes"` // a delete of a record is one
	Visible  int `json:"visible"`
	Back     int `json:"back"` // of the visible: old values, since the newer ones were overwritten
	Replaced int `json:"replaced"`
	Reported int `json:"reported"`
	Outdone  int `json:"outdone"`
	Lost     int `json:"lost"`
}

func (f *Fates) add(o outcome) {
	f.Changes++
	switch o.Fate {
	case visible:
		f.Visible++
		if o.Back {
			f.Back++
		}
	case replaced:
		f.Replaced++
	case reported:
		f.Reported++
	case outdone:
		f.Outdone++
	case lost:
		f.Lost++
	}
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
	t.Kinds = make(map[string]Fates)
	for _, o := range all {
		t.add(o)
		of := t.Kinds[o.Change.of()]
		of.add(o)
		t.Kinds[o.Change.of()] = of
	}
}

// The kinds of what people change.
const (
	ofField       = "field"
	ofCounter     = "counter"
	ofSetElement  = "set element"
	ofListElement = "list element"
	ofRecord      = "record"
)

var changeKinds = []string{ofField, ofCounter, ofSetElement, ofListElement, ofRecord}

// of is the kind of what the change is of. A field of an object in a list is a field.
func (c Change) of() string {
	switch c.Kind {
	case newRecord, noRecord:
		return ofRecord
	case newObject, noObject:
		return ofListElement
	case addElement, dropElement:
		if isSet(c.Path) {
			return ofSetElement
		}
		return ofListElement
	}
	if isCounter(c.Path) {
		return ofCounter
	}
	return ofField
}
