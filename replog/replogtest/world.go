package replogtest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/fieldwise/fieldwise"
)

// What is checked, by the names that failures have.
const (
	oracleConverge  = "convergence"
	oracleSurvival  = "survival"
	oracleRoundTrip = "round trip"
	oracleSums      = "sums and elements"
	oracleNoOp      = "no-op"
	oracleReports   = "true reports"
	oracleTokens    = "tokens"
	oraclePolicy    = "policy"
	oracleLaws      = "merge laws"
	oracleErrors    = "errors"
)

// failure is a history that went wrong.
type failure struct {
	oracle string
	what   string // one paragraph
	world  *world
}

// plant puts something else in the place of what is checked. The tests of this package
// plant faults.
type plant struct {
	merger func(fieldwise.Merger) fieldwise.Merger
	store  func(*region) fieldwise.Store
	domain func(*world, domain) domain
	begun  func(r *region, before fieldwise.Origin) // after a restore
}

// world is a history while it goes on.
type world struct {
	faces   []face // of one release, or of the old and the new one
	plant   plant
	allow   bool // failing policies
	history *history
	mergers []fieldwise.Merger // of the releases
	regions []*region

	step    *step
	act     *act             // of the step, if it writes
	made    *write           // by the step
	writes  [maxSteps]*write // by the step that made them
	order   []*write         // in the order in which they happened
	kept    []*write         // in the end, those that were not lost with a restore
	gone    set              // those that were
	reports []report         // in that order, too
	met     [][]byte         // states
	failing bool
	lines   []line // the story
}

// report is a conflict that a region reported.
type report struct {
	fieldwise.Conflict
	region *region
	id     int
}

// run plays a history and checks it; nil is well.
func (c *checker) run(h *history) (w *world, f *failure) {
	w = &world{faces: c.faces, plant: c.plant, allow: c.AllowPolicyErrors, history: h}
	for _, f := range c.faces {
		m := f.merger()
		if c.plant.merger != nil {
			m = c.plant.merger(m)
		}
		w.mergers = append(w.mergers, m)
	}
	w.step = &step{}
	for i, name := range h.regions {
		w.regions = append(w.regions, newRegion(w, i, name))
	}
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *failure:
			f = p
		default:
			f = &failure{oracle: oracleErrors, what: fmt.Sprintf("panic at %s: %v", panicked(), p), world: w}
		}
	}()
	for i := range h.steps {
		w.step, w.act, w.made = &h.steps[i], nil, nil
		w.play()
	}
	w.heal()
	w.sortOut()
	w.anyOrder()
	w.converged()
	w.survived()
	return w, nil
}

// panicked says where a panic that was recovered came from.
func panicked() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	seen := false
	for {
		frame, more := frames.Next()
		if seen && !strings.HasPrefix(frame.Function, "runtime.") && !strings.HasPrefix(frame.Function, "reflect.") {
			return fmt.Sprintf("%s, line %d", frame.Function, frame.Line)
		}
		seen = seen || frame.Function == "runtime.gopanic"
		if !more {
			return "an unknown place"
		}
	}
}

// fail ends the history. Where a record is not steady, that is the cause of what was found.
func (w *world) fail(oracle, format string, args ...any) {
	if !w.failing && oracle != oracleConverge && oracle != oraclePolicy {
		w.failing = true
		w.steady()
	}
	panic(&failure{oracle: oracle, what: fmt.Sprintf(format, args...), world: w})
}

// steady demands that a record is the same however often it is read. A map of few
// entries seldom changes its order, so it is read often, where there is something to
// choose from.
func (w *world) steady() {
	for _, r := range w.regions {
		if !r.hasSiblings() {
			continue
		}
		d := w.open(r)
		v, err := d.get()
		for range 100 {
			again, errAgain := d.get()
			if err == nil && errAgain == nil {
				w.sameTwice(r, v, again)
			}
		}
	}
}

// hasSiblings reports whether a field has several values.
func (r *region) hasSiblings() bool {
	paths, _, _ := pathsOf(r.now.state)
	return slices.ContainsFunc(paths, func(path string) bool {
		all, _ := siblingsAt(r.now.state, path)
		return len(all) > 1
	})
}

func (w *world) sameTwice(r *region, v, again any) {
	if d := r.face().differ(v, again); d != "" {
		w.fail(oracleConverge, "%s, read twice, shows different records: %s\n%s", r, d, w.policyAdvice(r))
	}
}

// closure is a set of writes and all that was known to them.
func (w *world) closure(held set) set {
	all := held
	for id := range held.all {
		all |= w.writes[id].past
	}
	return all
}

func (w *world) find(v fieldwise.Version) *write {
	for _, x := range w.order {
		if x.version == v {
			return x
		}
	}
	return nil
}
