package engine

import (
	"cmp"
	"slices"

	"github.com/fieldwise/fieldwise"
)

// Find returns the frame of the log that holds the entry of a version; ok is false if no
// entry that is durable here, and still in the log, has it.
//
// An origin never gives a timestamp twice, so the entry that has it is the one. Timestamps
// rise with the numbers of the entries but where a write took its time before another and
// was staged after it, so a binary search ends at the entry or not far from it. From there
// the search goes on to both sides, until every entry was looked at: it is right in any
// order, and long only for a version that is not here.
func (e *Engine) Find(v fieldwise.Version) (frame int64, ok bool) {
	places := e.index[v.Origin].held()
	at, _ := slices.BinarySearchFunc(places, v.Time, func(p place, t fieldwise.Timestamp) int {
		return cmp.Compare(p.time, t)
	})
	for lo, hi := at-1, at; lo >= 0 || hi < len(places); lo, hi = lo-1, hi+1 {
		if hi < len(places) && places[hi].time == v.Time {
			return places[hi].frame, true
		}
		if lo >= 0 && places[lo].time == v.Time {
			return places[lo].frame, true
		}
	}
	return 0, false
}
