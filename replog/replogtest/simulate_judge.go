package replogtest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/replog/replogtest/internal/sim"
)

// Report implements [sim.Records].
func (r *simulatedRecords) Report(c *fieldwise.Conflict, loser []byte, last bool) error {
	if c.Kind == fieldwise.ConflictPolicy && !r.AllowPolicyErrors {
		return fmt.Errorf("the policy %s of %q fails: %s", c.Policy, c.Field, c.Reason)
	}
	x, err := changesOf(loser)
	if err != nil {
		return err
	}
	over := c.Kind == fieldwise.ConflictUpdate || c.Kind == fieldwise.ConflictCreate
	if _, extreme := r.fields.extreme(c.Field); over && (r.fields.isMechanism(c.Field) || extreme && c.Loser.Value != nil) {
		return fmt.Errorf("%v lost %s of %s, a field of %s: that is no conflict", c.Loser.Version, valueText(string(c.Loser.Value)), fieldText(c.Field), r.face.strategy(c.Field))
	}
	if r.fields.isMechanism(c.Field) || x.bare && c.Field == "" {
		return nil
	}
	if wrote, ok := x.effects[c.Field]; !ok || wrote != string(c.Loser.Value) {
		return fmt.Errorf("%v lost %s of %s, and wrote %s there", c.Loser.Version, valueText(string(c.Loser.Value)), fieldText(c.Field), effectText(wrote, ok))
	}
	// A record that was created anew may show what the one before it showed. Of two markers
	// of one map either may be reported, and the map shows all the same. And what beat an
	// unset may be hidden in its turn, by the shape.
	if val := string(c.Loser.Value); !last || c.Kind == fieldwise.ConflictDelete || val == marker || val == unset {
		return nil
	}
	d, err := r.face.open(r.host, c.Key)
	if err != nil {
		return err
	}
	all, err := d.siblings(c.Field)
	if errors.Is(err, fieldwise.ErrNotFound) {
		return nil
	}
	holds, shown := false, fieldwise.Version{}
	for _, s := range all {
		holds = holds || s.Version == c.Winner.Version
		if s.Shown {
			shown = s.Version
		}
	}
	if holds && shown == c.Loser.Version {
		return fmt.Errorf("%v lost %s of %s to %v, and is shown", c.Loser.Version, valueText(string(c.Loser.Value)), fieldText(c.Field), c.Winner.Version)
	}
	return err
}

// ending is the end of a history of one record.
type ending struct {
	*simulated
	key     string
	life    uint64
	shown   map[string]string // nil: there is no record
	writes  []*ended          // in any order
	reports []fieldwise.Conflict
}

// ended is a write that all regions hold.
type ended struct {
	*sim.Written
	changes
}

// Judge implements [sim.Schema].
func (s *simulated) Judge(end *sim.End) error {
	records := make(map[string]*ending)
	for _, x := range end.Writes {
		e := records[x.Key]
		if e == nil {
			e = &ending{simulated: s, key: x.Key}
			records[x.Key] = e
			if err := e.read(end.Regions); err != nil {
				return fmt.Errorf("%s cannot be read: %w", x.Key, err)
			}
		}
		c, err := changesOf(x.Delta)
		if err != nil {
			return err
		}
		e.writes = append(e.writes, &ended{x, c})
	}
	for _, c := range end.Reports {
		end.Count("conflicts")
		if e := records[c.Key]; e != nil {
			e.reports = append(e.reports, c)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(records)) {
		e := records[key]
		if err := e.survived(); err != nil {
			return err
		}
		if e.concurrent() {
			end.Count("concurrent")
		}
	}
	return nil
}

// read takes in what readers see, and demands that it is the same in all regions.
func (e *ending) read(regions []sim.Records) error {
	r := regions[0].(*simulatedRecords)
	state, err := r.state(e.key)
	if err != nil {
		return err
	}
	paths, live, err := pathsOf(state)
	if e.life = lifeOf(state); err != nil || !live {
		return err
	}
	d, err := e.face.open(r.host, e.key)
	if err != nil {
		return err
	}
	record, err := d.get()
	if err != nil {
		return err
	}
	for _, other := range regions {
		other := other.(*simulatedRecords)
		if d, err = e.face.open(other.host, e.key); err != nil {
			return err
		}
		again, err := d.get()
		if err != nil {
			return err
		}
		if diff := e.face.differ(record, again); diff != "" {
			return fmt.Errorf("of equal states, %s and %s show different records: %s\nA policy must depend on the values it is given alone: "+
				"not on a clock, a counter, randomness or the order of a map", r.region, other.region, diff)
		}
	}
	e.shown = make(map[string]string)
	for _, path := range paths {
		siblings, err := d.siblings(path)
		if err != nil {
			return err
		}
		all, err := siblingsAt(state, path)
		if err != nil {
			return err
		}
		for _, s := range siblings {
			i := slices.IndexFunc(all, func(a fieldwise.Sibling) bool { return a.Version == s.Version })
			if s.Shown && i >= 0 {
				e.shown[path] = string(all[i].Value)
			}
		}
	}
	return nil
}

// survived demands for each effect of each write that it shows, that a later write that knew
// of it took its place, or that a report names it. That states are what the writes come to is
// known.
func (e *ending) survived() error {
	for _, x := range e.writes {
		if x.bare && e.shown == nil && e.lost(x, "", marker) {
			return fmt.Errorf("the record %s without fields that %v created is gone without a trace: no delete knew of it, and no report names it", e.key, x.Version)
		}
		for _, path := range slices.Sorted(maps.Keys(x.effects)) {
			if val := x.effects[path]; e.lost(x, path, val) {
				return fmt.Errorf("%s of %s of %s, which %v wrote, is gone without a trace: no region shows it, no write that knew of it took its place, and no report names it",
					effectText(val, true), fieldText(path), e.key, x.Version)
			}
		}
		for _, path := range x.others {
			if x.life == e.life || e.replaced(x, path) {
				continue
			}
			val, err := e.dropped(x, path)
			if err != nil {
				return err
			}
			if val != nil {
				return fmt.Errorf("%s in %s of %s, which %v put there, is gone without a trace: no delete knew of it, no write that knew of it changed the field, and no report names it",
					valueText(string(val)), fieldText(path), e.key, x.Version)
			}
		}
	}
	return nil
}

// replaced reports whether a write that knew of x, under a token by that, took its place at a path.
func (e *ending) replaced(x *ended, path string) bool {
	return slices.ContainsFunc(e.writes, func(y *ended) bool { return y.Knew(x.Written) && (y.deletes || y.touches(path)) })
}

func (e *ending) lost(x *ended, path, val string) bool {
	beyond := func(other string) bool {
		extreme, ok := e.fields.extreme(path)
		return ok && val != unset && other != unset && extreme.Beyond([]byte(other), []byte(val))
	}
	if isVisible(path, val, e.shown) || x.life == e.life && beyond(e.shown[path]) || e.replaced(x, path) {
		return false
	}
	return !slices.ContainsFunc(e.reports, func(c fieldwise.Conflict) bool {
		if val == unset && c.Loser.Version == x.Version && c.Loser.Value == nil && e.fields.isObjectOn(c.Field, path) {
			return true
		}
		return c.Field == path && (c.Loser.Version == x.Version || c.Loser.Value != nil && string(c.Loser.Value) == val || beyond(string(c.Loser.Value)))
	})
}

// dropped is what x put into a field that is no register and that no report names, though it
// went with its life of the record. A report of a counter names all that an origin counted up
// to its last write.
func (e *ending) dropped(x *ended, path string) ([]byte, error) {
	table, f, err := fieldAt(x.Delta, path)
	if err != nil {
		return nil, err
	}
	put, err := lattice.Unseen(nil, f.Kind, table, f.Body, nil)
	for _, s := range put {
		counter := f.Kind == lattice.KindCounter
		if s.Version != x.Version || s.Value == nil || counter && e.cameToNothing(x, path) {
			continue
		}
		if !slices.ContainsFunc(e.reports, func(c fieldwise.Conflict) bool {
			l := c.Loser
			return c.Field == path && (counter && l.Version.Origin == x.Version.Origin && l.Version.Time >= x.Version.Time ||
				l.Version == x.Version && bytes.Equal(l.Value, s.Value))
		}) {
			return s.Value, nil
		}
	}
	return nil, err
}

// cameToNothing reports whether what the region of x counted in its life of the record, up to
// some write behind x, was nothing: there is nothing to report then.
func (e *ending) cameToNothing(x *ended, path string) bool {
	return slices.ContainsFunc(e.writes, func(y *ended) bool {
		if y.Version.Origin != x.Version.Origin || y.Version.Time < x.Version.Time || y.life != x.life || !slices.Contains(y.others, path) {
			return false
		}
		all, err := siblingsAt(y.Delta, path)
		return err == nil && (len(all) == 0 || number(all[0].Value).Sign() == 0)
	})
}

// concurrent reports whether two writes changed one field without knowing of each other.
func (e *ending) concurrent() bool {
	for i, x := range e.writes {
		for _, y := range e.writes[:i] {
			if x.Knew(y.Written) || y.Knew(x.Written) {
				continue
			}
			for path, val := range x.effects {
				if other, ok := y.effects[path]; ok && other != val {
					return true
				}
			}
			if slices.ContainsFunc(x.others, func(path string) bool { return slices.Contains(y.others, path) }) {
				return true
			}
		}
	}
	return false
}
