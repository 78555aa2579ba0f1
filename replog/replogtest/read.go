package replogtest

import (
	"errors"
	"math/rand/v2"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

// read reads the record and keeps it, with its token.
func (w *world) read(r *region) {
	v, token, err := w.open(r).read()
	if errors.Is(err, fieldwise.ErrNotFound) {
		return
	}
	if err == nil {
		token, err = fieldmerge.ParseToken(token.String()) // the way to a client and back
	}
	if err != nil {
		w.fail(oracleErrors, "%s cannot be read: %v", r, err)
	}
	seen, err := seenIn(r.now.state)
	if err != nil {
		w.fail(oracleErrors, "%s cannot be read: %v", r, err)
	}
	r.reads = append(r.reads, reading{
		step: w.step.id, release: r.release, value: v, token: token, held: r.now.held, knew: w.closure(r.now.held), seen: seen,
		line: w.tell("somebody reads the record in %s", r),
	})
}

// reading chooses something that was read earlier, here or, seldom, in another region.
func (w *world) reading(r *region, rnd *rand.Rand, ofRelease bool) *reading {
	var all []int
	roaming := rnd.IntN(6) == 0
	for _, p := range w.regions {
		for i := range p.reads {
			if (p == r || roaming) && (!ofRelease || p.reads[i].release == r.release) {
				all = append(all, p.reads[i].step)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	id := w.step.pick(all)
	for _, p := range w.regions {
		for i := range p.reads {
			if p.reads[i].step == id {
				return &p.reads[i]
			}
		}
	}
	return nil
}
