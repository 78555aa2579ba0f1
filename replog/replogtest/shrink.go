package replogtest

import "slices"

// shrinkRuns bounds how many histories are played to make one that fails shorter.
const shrinkRuns = 3000

// shrink looks for a shorter and simpler history that fails in the same way, and
// returns the failure of the best.
func (c *checker) shrink(h *history, f *failure) *failure {
	runs := 0
	try := func(candidate *history) bool {
		if runs++; runs > c.tries {
			return false
		}
		_, g := c.run(candidate)
		if g == nil || g.oracle != f.oracle {
			return false
		}
		h, f = candidate, g
		return true
	}
	for again := true; again && runs < c.tries; {
		again = false
		if h.chaos && try(h.with(func(h *history) { h.chaos = false })) {
			again = true
		}
		for i := len(h.regions) - 1; i >= 0 && len(h.regions) > 2; i-- {
			again = try(h.withoutRegion(i)) || again
		}
		for n := max(len(h.steps)/2, 1); n > 0; n /= 2 {
			for i := len(h.steps) - n; i >= 0; i -= n {
				again = try(h.with(func(h *history) { h.steps = slices.Delete(h.steps, i, i+n) })) || again
			}
		}
		for i := range h.steps {
			for _, simpler := range simplifications(h.steps[i]) {
				if try(h.with(func(h *history) { h.steps[i] = simpler })) {
					again = true
					break
				}
			}
		}
	}
	return f
}

// simplifications are what a step may be instead, the simplest first.
func simplifications(s step) (all []step) {
	simple := s
	if simple.plain = true; !s.plain {
		all = append(all, simple)
	}
	switch simple.kind {
	case patch, put, replace, upsert, resolve:
		simple.kind = update
		all = append([]step{simple}, all...)
	case state:
		simple.kind = catchUp
		all = append([]step{simple}, all...)
	}
	return all
}

// with returns a copy of the history that f has changed.
func (h *history) with(f func(*history)) *history {
	c := *h
	c.steps = slices.Clone(h.steps)
	f(&c)
	return &c
}

// withoutRegion leaves out a region and all that happens there.
func (h *history) withoutRegion(i int) *history {
	return h.with(func(h *history) {
		h.regions = slices.Delete(slices.Clone(h.regions), i, i+1)
		h.steps = slices.DeleteFunc(h.steps, func(s step) bool { return s.region == i || s.kind.hasPeer() && s.peer == i })
		for n := range h.steps {
			s := &h.steps[n]
			if s.region > i {
				s.region--
			}
			if s.peer > i || s.peer == len(h.regions) {
				s.peer--
			}
		}
	})
}
