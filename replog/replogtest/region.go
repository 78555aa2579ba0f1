package replogtest

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

// key is the one record that all regions write: records know nothing of each other.
const key = "record"

// start is when a history begins.
var start = time.Date(2026, time.January, 1, 10, 0, 0, 0, time.UTC)

// region is a replica in memory, and its own Host and Store. It does what the log does
// with a write, and with one that arrives.
type region struct {
	w      *world
	number int
	origin fieldwise.Origin
	clock  *fieldwise.Clock
	ahead  time.Duration // of the wall clock
	cut    map[*region]bool

	incarnations uint64 // that it has had
	release      int    // of the service that it runs

	now   view   // what it holds
	past  []view // what it held before: copies of it, and states that were sent
	reads []reading
	seq   fieldwise.Seq
	shown map[string]string // of now, once it was asked for
}

// view is a state with the writes that are in it.
type view struct {
	state []byte
	held  set
	shall holding // what the state shall come to

	// Of a state of a region's own, what a copy of its disk has beside it.
	step int                 // in which it came to be
	mark fieldwise.Timestamp // of the clock
	told []int               // the reports that were made on the way, by their ids
}

// reading is what a caller read and still holds.
type reading struct {
	step    int
	release int // that value is of
	value   any
	token   fieldmerge.Token
	held    set // of the writes that were in the state
	knew    set // those, and all that was known to them
	seen    map[fieldwise.Origin]fieldwise.Timestamp
	line    int // of the story
}

var _ interface {
	fieldwise.Host
	fieldwise.Store
} = (*region)(nil)

func newRegion(w *world, number int, name fieldwise.Region) *region {
	r := &region{w: w, number: number, cut: make(map[*region]bool), now: view{step: beforeAll}}
	r.origin.Region = name
	r.begin()
	return r
}

const beforeAll = -1 // the step in which a region holds nothing

// begin makes a fresh incarnation of what the region holds: one that nobody knows.
func (r *region) begin() {
	r.incarnations++
	r.origin.Incarnation, r.seq = r.incarnations, 0
	r.clock = fieldwise.NewClock(func() time.Time { return start.Add(r.w.step.at + r.ahead) }, 0)
	r.clock.Restore(r.now.mark)
}

func (r *region) String() string { return string(r.origin.Region) }

// Domain implements [fieldwise.Host].
func (r *region) Domain(string, fieldwise.Merger) (fieldwise.Store, error) {
	if r.w.plant.store != nil {
		return r.w.plant.store(r), nil
	}
	return r, nil
}

// Read implements [fieldwise.Store].
func (r *region) Read(_ context.Context, _ string, use func(state []byte) error) error {
	return use(r.now.state)
}

// Keys implements [fieldwise.Store].
func (r *region) Keys(_ context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		d, ok := r.merger().(fieldwise.Deleter)
		if strings.HasPrefix(key, prefix) && len(r.now.state) > 0 && (!ok || d.Live(r.now.state)) {
			yield(key, nil)
		}
	}
}

// Write implements [fieldwise.Store].
func (r *region) Write(_ context.Context, _ string, change func(dst, state []byte, at fieldwise.Version) ([]byte, error)) (fieldwise.Receipt, error) {
	w := r.w
	at := fieldwise.Version{Time: r.clock.Now(), Origin: r.origin}
	delta, err := change(nil, bytes.Clone(r.now.state), at)
	if err != nil || len(delta) == 0 {
		return fieldwise.Receipt{}, err
	}
	made, err := newWrite(w.step, r, at, delta)
	if err != nil {
		return fieldwise.Receipt{}, fmt.Errorf("delta of a write: %w", err)
	}
	if w.made != nil {
		w.fail(oracleErrors, "one step wrote twice")
	}
	made.doing = w.act.doing
	w.made = made
	w.tellWrite(made)
	w.act.leftAlone(made)
	w.writes[made.id()] = made
	w.order = append(w.order, made)
	made.comes = made.shall(r.now.shall)
	r.join(made.view())
	r.seq++
	return fieldwise.Receipt{Origin: r.origin, Seq: r.seq, Time: at.Time}, nil
}

// join takes in a write or a full state, as the log does: it is checked, conflicts are
// looked for, and it is merged.
func (r *region) join(v view) {
	w, m := r.w, r.merger()
	checked, err := m.Merge(nil, nil, v.state)
	if err != nil || !bytes.Equal(checked, v.state) {
		w.fail(oracleLaws, "empty + x is not x: %x gives %x, %v", v.state, checked, err)
	}
	before, arrives := bytes.Clone(r.now.state), bytes.Clone(v.state)
	var found []fieldwise.Conflict
	if reporter, ok := m.(fieldwise.ConflictReporter); ok && len(before) > 0 {
		if found, err = reporter.Conflicts(nil, r.now.state, v.state); err != nil {
			w.fail(oracleErrors, "%s cannot report conflicts: %v", r, err)
		}
	}
	joined := w.merge(before, arrives)
	if !bytes.Equal(before, r.now.state) || !bytes.Equal(arrives, v.state) {
		w.fail(oracleLaws, "Merge or Conflicts changes what it is given")
	}
	w.checkPair(before, arrives, joined)
	w.checkTriple(before, arrives, joined)
	r.past = append(r.past, r.now)
	dropped := r.now.shall
	if v.shall.life < dropped.life {
		dropped = v.shall
	}
	r.now.state, r.now.held, r.now.shall = joined, r.now.held|v.held, r.now.shall.join(v.shall)
	r.now.step, r.now.mark, r.shown = w.step.id, r.clock.Mark(), nil
	w.met = append(w.met, v.state, joined)
	for i := range found {
		w.reported(r, found[i], dropped)
	}
	w.showsMechanisms(r)
}

// observe moves the clock, as the log does with what arrives.
func (r *region) observe(v view) {
	for id := range v.held.all {
		_ = r.clock.Observe(r.w.writes[id].version.Time) // one from far ahead does not move it
	}
}
