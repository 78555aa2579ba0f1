package sim

import "sort"

// Shrink makes a history that breaks a promise smaller: it leaves out kinds of faults, and
// then writes, as long as a promise is broken. It returns the story of the smallest.
func Shrink(r *Report) *Report {
	best := r
	try := func(p Plan) bool {
		if smaller := Run(p, false); smaller.Violation != "" {
			best = smaller
			return true
		}
		return false
	}
	for again := true; again; {
		again = false
		for f := Faults(1); f < allFaults; f <<= 1 {
			if p := best.Plan; best.conditions().faults&f != 0 {
				p.Without |= f
				again = try(p) || again
			}
		}
	}
	p := best.Plan
	if p.Writes == 0 {
		p.Writes = max(1, best.Counts["asked"])
	}
	// Fewer writes may hide what more show, so that this need not find the least.
	sort.Search(p.Writes, func(n int) bool {
		p.Writes = n + 1
		return try(p)
	})
	return Run(best.Plan, true)
}
