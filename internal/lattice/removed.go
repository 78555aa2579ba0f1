package lattice

import "github.com/fieldwise/fieldwise"

// Removed is a run of elements that a write to a set or a list took away or renewed: those to
// which one version gave the ordinals from First to Last.
type Removed struct {
	Version     fieldwise.Version
	First, Last uint32
}

// RemovedBy lists what the delta of a write to a set or a list takes away, in the order of its
// bytes: the dots that its context names one by one. It may be asked of any body; where writes
// have been joined, what is listed may still be there.
func RemovedBy(t Table, body []byte) (all []Removed, err error) {
	context, _, ok := Bin(body)
	if !ok {
		return nil, malformed("context ends early")
	}
	origins := t.Origins()
	for len(context) > 0 {
		iv, rest, ok := cutInterval(context)
		if !ok || iv.index >= len(origins) {
			return nil, malformed("context ends inside an interval")
		}
		if context = rest; iv.isPart() {
			at := fieldwise.Version{Time: iv.from, Origin: origins[iv.index]}
			all = append(all, Removed{Version: at, First: iv.first, Last: iv.last})
		}
	}
	return all, nil
}
