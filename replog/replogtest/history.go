package replogtest

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fieldwise/fieldwise"
)

// kind says what happens in a step.
type kind uint8

const (
	create  kind = iota
	update       // by a closure
	patch        // by paths
	put          // under the token of an earlier read
	replace      // against an earlier read
	upsert       //
	remove       // delete, sometimes under a token
	resolve      // settle a field
	read         // and keep what was read, with its token
	take         // one write of another region arrives
	catchUp      // all that a peer holds arrives
	state        // a full state of a peer arrives, which may be an old one
	skew         // the region's wall clock is set anew
	cut          // the link to a peer is cut
	mend         // all links of the region work again
	restore      // the region goes back to an earlier copy of its state, as a new origin
	deploy       // the region goes to the other release
)

// weights say how often each kind comes up. Only a chaotic history has full states, and only
// one of two releases has deploys.
var weights = [...]int{
	create: 3, update: 24, patch: 8, put: 14, replace: 5, upsert: 3, remove: 4, resolve: 6,
	read: 12, take: 24, catchUp: 10, state: 6, skew: 4, cut: 4, mend: 3, restore: 3, deploy: 8,
}

// hasPeer reports whether the kind is of something between two regions.
func (k kind) hasPeer() bool { return k == catchUp || k == state || k == cut }

// maxSteps is how many steps a history has at most: a set has a bit for each.
const maxSteps = 40

// set is a set of steps, or of the writes that they made.
type set uint64

func only(id int) set { return 1 << id }

func (s set) has(id int) bool { return s&only(id) != 0 }

// all yields the members in rising order.
func (s set) all(yield func(int) bool) {
	for ; s != 0; s &= s - 1 {
		if !yield(bits.TrailingZeros64(uint64(s))) {
			return
		}
	}
}

// history is what happens to one record in some regions. It is drawn from a seed, and
// depends on nothing else.
type history struct {
	seed    uint64
	regions []fieldwise.Region
	chaos   bool // writes arrive in any order, twice or never; full states heal
	steps   []step
}

// step is one thing that happens. It draws what it needs from a seed of its own, and
// its time and id stay what they are when other steps are left out.
type step struct {
	id     int
	kind   kind
	region int
	peer   int           // another region
	at     time.Duration // true time since the start
	seed   uint64
	plain  bool // shrunk: values are as simple as they can be
}

// draw makes the history of a seed, among at least two of the named regions.
func draw(seed uint64, names []fieldwise.Region, deploys bool) *history {
	r := rand.New(rand.NewPCG(seed, 1))
	h := &history{seed: seed, regions: names[:2+r.IntN(len(names)-1)], chaos: r.IntN(4) == 0}
	n := len(h.regions)
	happens := func(k kind) bool { return k != state && k != deploy || k == state && h.chaos || k == deploy && deploys }
	total := 0
	for k, w := range weights {
		if happens(kind(k)) {
			total += w
		}
	}
	var now time.Duration
	add := func(k kind, region, peer int) {
		now += time.Duration(r.IntN(3)) * time.Millisecond
		h.steps = append(h.steps, step{id: len(h.steps), kind: k, region: region, peer: peer, at: now, seed: r.Uint64()})
	}
	for i := range n {
		if r.IntN(3) == 0 {
			add(skew, i, (i+1)%n)
		}
	}
	first := r.IntN(n)
	add(create, first, (first+1)%n)
	for i := range n {
		if i != first && r.IntN(4) > 0 {
			add(catchUp, i, first)
		}
	}
	for last := len(h.steps) + 3 + r.IntN(maxSteps-len(h.steps)-2); len(h.steps) < last; {
		at, k := r.IntN(total), kind(0)
		for ; at >= weights[k] || !happens(k); k++ {
			if happens(k) {
				at -= weights[k]
			}
		}
		region := r.IntN(n)
		add(k, region, (region+1+r.IntN(n-1))%n)
	}
	return h
}

// rand is the step's own source of choices.
func (s *step) rand() *rand.Rand { return rand.New(rand.NewPCG(s.seed, 2)) }

// pick chooses one of several steps by their ids: the same one for as long as it is
// among them, whatever the others are. There is at least one.
func (s *step) pick(ids []int) int {
	return slices.MinFunc(ids, func(a, b int) int {
		if mix(s.seed+uint64(a)) < mix(s.seed+uint64(b)) {
			return -1
		}
		return 1
	})
}

// mix makes a seed of a number, so that seeds of neighbours have nothing in common.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
