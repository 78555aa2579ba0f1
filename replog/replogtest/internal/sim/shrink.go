package sim

import (
	"maps"
	"sort"
	"time"
)

// shrinkRuns bounds how many histories are played to make one smaller.
const shrinkRuns = 400

// Shrink makes a history that breaks a promise smaller: it leaves out kinds of faults,
// regions and writes, and what comes after the last write, as long as a promise is broken. It
// returns the story of the smallest.
func Shrink(r *Report) *Report {
	s := shrinking{best: r}
	s.faults()
	for n := 2; n < r.conditions().regions && !s.try(func(p *Plan) { p.Regions = p.names()[:n] }); n++ {
	}
	// Fewer writes may hide what more show, so that this need not find the least.
	all := s.best.drawn
	sort.Search(all, func(n int) bool { return s.try(func(p *Plan) { p.Writes = n + 1 }) })
	s.try(func(p *Plan) { p.Until = s.best.lastWrite + time.Second })
	s.writes()
	s.faults()
	s.try(func(p *Plan) { p.Until = s.best.lastWrite + 100*time.Millisecond })
	return Run(s.best.Plan, true)
}

// shrinking looks for a smaller history.
type shrinking struct {
	best *Report
	runs int
}

// try reports whether a promise is broken in the best history with a change, too, which is
// the best then.
func (s *shrinking) try(change func(*Plan)) bool {
	if s.runs++; s.runs > shrinkRuns {
		return false
	}
	p := s.best.Plan
	change(&p)
	smaller := Run(p, false)
	if smaller.Violation == "" {
		return false
	}
	s.best = smaller
	return true
}

func (s *shrinking) faults() {
	for again := true; again; {
		again = false
		for f := Faults(1); f < allFaults; f <<= 1 {
			if s.best.conditions().faults&f != 0 {
				again = s.try(func(p *Plan) { p.Without |= f }) || again
			}
		}
	}
}

// writes leaves out writes, many together first.
func (s *shrinking) writes() {
	for n := max(s.best.drawn/2, 1); n > 0; n /= 2 {
		for last := s.best.drawn; last > 0; last -= n {
			s.try(func(p *Plan) {
				if p.Skip = maps.Clone(p.Skip); p.Skip == nil {
					p.Skip = make(map[int]bool)
				}
				for i := max(last-n, 0); i < last; i++ {
					p.Skip[i+1] = true
				}
			})
		}
	}
}
