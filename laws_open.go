package fieldwise

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
)

// checkOpen compares records that are kept open with their states.
func (c *lawCheck) checkOpen(pairs []pair) {
	if _, ok := c.m.(Opener); !ok {
		return
	}
	for _, p := range pairs {
		for _, from := range []int{1, max(1, len(p.a)/2)} { // all is kept open, and what is large
			c.checkOpenOf(p.a, p.b, from)
			c.checkOpenOf(p.a, p.a, from)
		}
	}
}

func (c *lawCheck) checkOpenOf(a, b []byte, from int) {
	l := lend(a, nil)
	var open Opened
	err := errors.New("not called")
	if p := safely(func() { open, err = c.m.(Opener).Open(l.a, from) }); p != nil {
		c.report(lawPanic, "Open(a): "+p.Error(), nil, nil, a)
		return
	}
	if !l.isIntact(a, nil) {
		c.report(lawInputs, "Open(a) writes to the memory of a, or next to it", nil, nil, a)
	}
	if err != nil {
		c.report(lawFails, "Open(a) of a valid state: "+err.Error(), nil, nil, a)
		return
	}
	if open == nil {
		return
	}
	joined, ok := c.join(c.m, a, b)
	if !ok {
		return
	}
	invert(l.mem) // Open keeps nothing of it
	l = lend(b, nil)
	var clone, twice Opened
	if p := safely(func() {
		c.requireOpen("Open(a)", open, a, b)
		clone, twice = open.Clone(), open.Clone()
		err = clone.Merge(l.a)
	}); p != nil {
		c.report(lawPanic, "an open record: "+p.Error(), nil, nil, a, b)
		return
	}
	if !l.isIntact(b, nil) {
		c.report(lawInputs, "Merge(b) of Open(a) writes to the memory of b, or next to it", nil, nil, a, b)
	}
	if err != nil {
		c.report(lawFails, "Merge(b) of Open(a): "+err.Error(), nil, nil, a, b)
		return
	}
	invert(l.mem)
	if p := safely(func() {
		c.requireOpen("Open(a) after Merge(b) into its clone", open, a, b)
		c.requireOpen("Merge(b) into a clone of Open(a)", clone, joined, b)
		if err = open.Merge(b); err == nil {
			c.requireOpen("Merge(b) into Open(a)", open, joined, b)
			c.requireOpen("a clone of Open(a) from before Merge(b)", twice, a, b)
		}
	}); p != nil {
		c.report(lawPanic, "an open record: "+p.Error(), nil, nil, a, b)
	}
	if err != nil {
		c.report(lawFails, "Merge(b) of Open(a) after one into its clone: "+err.Error(), nil, nil, a, b)
	}
}

// requireOpen compares an open record with its state.
func (c *lawCheck) requireOpen(what string, open Opened, state, delta []byte) {
	got := open.AppendState([]byte("dst"))
	if rest, ok := bytes.CutPrefix(got, []byte("dst")); !ok {
		c.report(lawAppends, what+": AppendState(dst) does not keep what dst holds", got, []byte("dst"), state, delta)
	} else if !bytes.Equal(rest, state) {
		c.report(lawOpen, what+": AppendState gives other bytes than Merge", rest, state, state, delta)
	}
	if size := open.Size(); size != len(state) {
		c.report(lawOpen, fmt.Sprintf("%s: Size is %d, of a state of %d bytes", what, size, len(state)), nil, nil, state, delta)
	}
	live := true
	if d, ok := c.m.(Deleter); ok {
		live = d.Live(state)
	}
	if got := open.Live(); got != live {
		c.report(lawOpen, fmt.Sprintf("%s: Live is %v, of a state whose Live is %v", what, got, live), nil, nil, state, delta)
	}
	var want []Conflict
	if r, ok := c.m.(ConflictReporter); ok {
		var err error
		if want, err = r.Conflicts(nil, state, delta); err != nil {
			return // checkConflicts reports it
		}
	}
	conflicts, err := open.Conflicts(nil, delta)
	if err != nil {
		c.report(lawFails, what+": Conflicts(nil, b): "+err.Error(), nil, nil, state, delta)
	} else if len(conflicts)+len(want) > 0 && !reflect.DeepEqual(conflicts, want) {
		c.report(lawOpen, fmt.Sprintf("%s: Conflicts(nil, b) gives %+v, and that of the states %+v", what, conflicts, want), nil, nil, state, delta)
	}
}
