package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
)

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
		hidden:   make(map[*fieldwise.Conflict]any),
		counts:   make(map[string]map[*Edit]bool),
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
		var hidden any
		if r.Loser.Value != nil {
			if _, err := crdt.DecodeValue(r.Loser.Value, &hidden); err != nil {
				continue // it accounts for nothing
			}
		}
		j.hidden[r] = hidden
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
	hidden  map[*fieldwise.Conflict]any // the losing values; nil if it was an unset or a delete
	counts  map[string]map[*Edit]bool   // what counted has found, by key and path
}

func (j *judge) outcome(e *Edit, c Change) outcome {
	o := outcome{Edit: e, Change: c}
	later := j.later(e, c)
	switch {
	case j.shows(e, c):
		o.Fate = visible
		o.Back = len(later) > 0 && !slices.ContainsFunc(later, func(l Change) bool { return l.shownBy(j.final[e.Key]) })
		return o
	case len(later) > 0:
		o.Fate = replaced
		return o
	}
	o.Report = j.report(e, c)
	switch {
	case o.Report != nil:
		o.Fate = reported
	case j.gaveWay(e, c):
		o.Fate = outdone
	default:
		o.Fate = lost
	}
	return o
}

// knows reports whether the region of an edit had the other one when the edit was made
// there: it stands before it in that region's own log.
func (j *judge) knows(e, other *Edit) bool {
	at, ok := j.place[e.Region][e.N]
	before, had := j.place[e.Region][other.N]
	return ok && had && before <= at
}

// later lists the changes that replaced a change of e knowingly.
func (j *judge) later(e *Edit, c Change) []Change {
	var all []Change
	for _, other := range j.onKey[e.Key] {
		if other != e && j.knows(other, e) {
			all = append(all, other.touching(c)...)
		}
	}
	return all
}

// touching lists the changes of an edit that are about the same as a change, or about the
// whole record. To store the record as a whole is not enough: what counts is what the
// person who made the edit changed.
func (e *Edit) touching(c Change) []Change {
	if e.Op != replace {
		return e.Changes
	}
	var all []Change
	for _, own := range e.Changes {
		if own.replaces(c) {
			all = append(all, own)
		}
	}
	return all
}

// replaces reports whether the change, made with knowledge of another one, takes its place:
// it is of the same, or of what is above or below. What is counted, and what is changed in
// an object of a list, adds to what was there.
func (c Change) replaces(other Change) bool {
	switch {
	case c.Path == other.Path && c.element() && other.element():
		return same(c.Value, other.Value)
	case c.Path == other.Path:
		return c.Kind != addCount || other.Kind != addCount
	case strings.HasPrefix(c.Path, other.Path+"."):
		return other.Kind != newObject
	case strings.HasPrefix(other.Path, c.Path+"."):
		return true
	}
	return c.rekeys(other)
}

// rekeys reports whether the changes are in objects of the same list that are told apart by
// other keys. Whoever wrote the list under another key wrote all of it.
func (c Change) rekeys(other Change) bool {
	if c.Keys == nil || other.Keys == nil {
		return false
	}
	before := other.at()
	for i, s := range c.at() {
		switch {
		case i == len(before):
			return false
		case s.key != before[i].key:
			return true
		case s.name != before[i].name:
			return false
		}
	}
	return false
}

// shows reports whether the final record shows a change of e. To unset a counter takes back
// what its author knew of: what others counted meanwhile stays.
func (j *judge) shows(e *Edit, c Change) bool {
	final := j.final[e.Key]
	switch {
	case c.Kind == addCount:
		return j.counted(e.Key, c.Path)[e]
	case c.Kind == unsetField && isCounter(c.Path):
		for other, included := range j.counted(e.Key, c.Path) {
			if included && j.knows(e, other) {
				return false
			}
		}
		return true
	}
	return c.shownBy(final)
}

// gaveWay reports whether what a change of e took out of a list is there because somebody
// whom its author did not know of put it there, or moved it.
func (j *judge) gaveWay(e *Edit, c Change) bool {
	if c.Kind != dropElement && c.Kind != noObject {
		return false
	}
	for _, other := range j.onKey[e.Key] {
		if j.knows(e, other) {
			continue
		}
		for _, put := range append(other.Moves, other.Changes...) {
			if put.puts(c) && put.shownBy(j.final[e.Key]) {
				return true
			}
		}
	}
	return false
}

// puts reports whether the change puts what another one takes out.
func (c Change) puts(taken Change) bool {
	if taken.Kind == noObject {
		return c.Kind == newObject && c.Path == taken.Path
	}
	return c.Kind == addElement && c.Path == taken.Path && same(c.Value, taken.Value)
}

// counted says of each edit that counted at a path whether the final count includes it.
// The count is a sum, so this is the reading of it that makes the least assumptions: of
// changes that were replaced knowingly nothing is in it, of those that a report names, and
// somebody wrote the record without, as little as need be is missing, and nothing else is.
func (j *judge) counted(key, path string) map[*Edit]bool {
	id := key + "\x00" + path
	if all, ok := j.counts[id]; ok {
		return all
	}
	const back, hidden, unexplained = 2, 1, 1000 // what speaks against a reading
	type reading struct {
		against int
		last    *Edit // the newest that it includes
		before  *reading
	}
	readings := map[int64]*reading{0: {}} // by their sums: the best
	for _, e := range j.onKey[key] {
		amount, ok := e.counts(path)
		if !ok {
			continue
		}
		c := Change{Kind: addCount, Path: path, Value: amount}
		with, without := 0, unexplained
		switch {
		case len(j.later(e, c)) > 0:
			with, without = back, 0
		case j.passedOver(e) && j.report(e, c) != nil:
			without = hidden
		}
		next := make(map[int64]*reading, 2*len(readings))
		for sum, r := range readings {
			if best := next[sum+amount]; best == nil || r.against+with <= best.against {
				next[sum+amount] = &reading{r.against + with, e, r}
			}
			if best := next[sum]; best == nil || r.against+without < best.against {
				next[sum] = &reading{r.against + without, nil, r}
			}
		}
		readings = next
	}
	included := make(map[*Edit]bool)
	if final := j.final[key]; final != nil {
		v, _ := lookup(final, path)
		n, _ := v.(int64)
		for r := readings[n]; r != nil; r = r.before {
			if r.last != nil {
				included[r.last] = true
			}
		}
	}
	j.counts[id] = included
	return included
}

// counts is what the edit counted at a path.
func (e *Edit) counts(path string) (n int64, ok bool) {
	for _, c := range e.Changes {
		if c.Kind == addCount && c.Path == path {
			return c.Value.(int64), true
		}
	}
	return 0, false
}

// passedOver reports whether somebody wrote the record who did not know of an edit and of
// whom that edit did not know.
func (j *judge) passedOver(e *Edit) bool {
	return slices.ContainsFunc(j.onKey[e.Key], func(other *Edit) bool { return !j.knows(e, other) && !j.knows(other, e) })
}

// report returns a conflict report that accounts for a change of e, nil if there is none.
func (j *judge) report(e *Edit, c Change) *fieldwise.Conflict {
	for _, r := range j.about[e.Key] {
		if j.names(r, e, c) {
			return r
		}
	}
	return nil
}

// names reports whether a conflict report accounts for a change: its losing value is the
// field as this edit wrote it, or a whole record, list, element or count that knew of this
// edit and shows what it changed.
func (j *judge) names(r *fieldwise.Conflict, e *Edit, c Change) bool {
	loser := j.writer[r.Loser.Version]
	if loser == nil || !j.knows(loser, e) {
		return false
	}
	hidden := j.hidden[r]
	list, isList := hidden.([]any)
	object, _ := hidden.(record)
	switch {
	case r.Field == "" && c.Kind == addCount:
		v, _ := lookup(object, c.Path)
		n, ok := v.(int64)
		return ok && j.mayInclude(n, loser, e, c)
	case r.Field == "":
		return c.shownBy(object)
	case c.element() && r.Field == c.Path:
		return isList && c.shownAs(list, true) || c.Kind == addElement && r.Loser.Value != nil && same(hidden, c.Value)
	case c.Kind == newObject:
		p := c.at()
		key := p[len(p)-1]
		if r.Field == c.Path {
			return object != nil
		}
		if !isList {
			list = []any{hidden}
		}
		_, ok := indexOf(list, key)
		return ok && r.Field == Change{}.put(p[:len(p)-1]).Path
	case c.Kind == addCount:
		n, ok := hidden.(int64)
		return ok && r.Field == c.Path && loser.Region == e.Region && n == j.countedIn(loser, c.Path)
	}
	return r.Field == c.Path && r.Loser.Version == j.version[e.N]
}

// mayInclude reports whether a count that its writer left at n can have a change of e in it.
func (j *judge) mayInclude(n int64, writer, e *Edit, c Change) bool {
	sums := map[int64]bool{c.Value.(int64): true}
	for _, other := range j.onKey[e.Key] {
		amount, ok := other.counts(c.Path)
		if !ok || other == e || !j.knows(writer, other) {
			continue
		}
		for _, sum := range slices.Collect(maps.Keys(sums)) {
			sums[sum+amount] = true
		}
	}
	return sums[n]
}

// countedIn is what the region of an edit counted at a path up to that edit, since it last
// knew of a delete.
func (j *judge) countedIn(last *Edit, path string) (n int64) {
	for _, e := range j.onKey[last.Key] {
		amount, ok := e.counts(path)
		if !ok || e.Region != last.Region || !j.knows(last, e) {
			continue
		}
		if !slices.ContainsFunc(j.onKey[last.Key], func(d *Edit) bool { return d.Op == remove && j.knows(d, e) && j.knows(last, d) }) {
			n += amount
		}
	}
	return n
}
