package sim

import (
	"cmp"
	"container/heap"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// Report is what came of a history.
type Report struct {
	Plan
	Violation string // of a promise; empty if none is broken
	Hash      uint64 // of the trace: equal for equal histories
	Story     []string
	Counts    map[string]int // how often things happened
	Simulated time.Duration

	drawn     int
	lastWrite time.Duration
}

// broken is what a violation panics with.
type broken string

// world is all of one history.
type world struct {
	conditions
	plan    Plan
	work    workload
	now     time.Duration
	events  events
	order   int           // of events at one time
	done    time.Duration // when all regions held the same, in the end
	regions []*region
	healing bool    // faults have stopped
	members members // as the operator says them

	dead                     map[pair]bool // links
	deadForGood, deadIsKnown bool          // the faults do not end that; the hosts do not try them

	drawn     int           // writes
	lastWrite time.Duration // when it was made

	model
	trace  hash.Hash64
	story  []string // nil: none is kept
	counts map[string]int

	clients, network, strikes, operator *rand.Rand
}

func newWorld(p Plan, told bool) *world {
	w := &world{
		conditions: p.conditions(), plan: p, model: newModel(), dead: make(map[pair]bool), trace: fnv.New64a(), counts: make(map[string]int),
		clients: p.stream("clients"), members: members{epoch: 1}, network: p.stream("network"), strikes: p.stream("strikes"), operator: p.stream("operator"), work: p.workload(),
	}
	if told {
		w.story = []string{}
	}
	return w
}

// Run plays a history. told says whether it is written down as a story.
func Run(p Plan, told bool) (r *Report) {
	w := newWorld(p, told)
	r = &Report{Plan: p, Counts: w.counts}
	defer func() {
		switch v := recover().(type) {
		case nil:
		case broken:
			r.Violation = string(v)
		default:
			r.Violation = fmt.Sprintf("panic: %v\n%s", v, debug.Stack())
		}
		for _, re := range w.regions {
			re.stop()
		}
		r.Hash, r.Story, r.Simulated, r.drawn, r.lastWrite = w.trace.Sum64(), w.story, cmp.Or(w.done, w.now), w.drawn, w.lastWrite
	}()
	w.play()
	return r
}

func (w *world) play() {
	w.tell("%d regions, faults: %v", w.conditions.regions, w.faults)
	for _, name := range w.plan.names()[:w.conditions.regions] {
		w.addRegion(name)
	}
	if w.faults&DeadLinks != 0 {
		w.killLinks()
	}
	w.rolling()
	for _, r := range w.regions {
		for _, peer := range w.regions {
			if peer != r {
				w.link(r, peer)
			}
		}
		r.start()
		w.client(r)
	}
	w.strike()
	w.after(watchEvery, w.watch)
	w.after(w.phase, w.heal)
	if w.faults&Rolling != 0 {
		w.stepUntil(func() bool { return w.healing && w.settled() })
		if !w.settled() {
			w.fail("what the older release does not know holds up the rest: %s", w.vectors())
		}
		w.upgradeAll()
	}
	w.stepUntil(func() bool { return w.healing && w.converged() })
	w.done = w.now
	if at, ok := w.fork(); ok {
		w.fail("there are two entries %v/%d, and nobody says so: %s", at.origin, at.seq, w.vectors())
	}
	if !w.converged() {
		w.fail("the regions do not converge within %v after the last fault: %s", patience, w.vectors())
	}
	w.stepUntil(func() bool { return w.converged() && w.acknowledged() }) // a write may still have waited
	if !w.converged() || !w.acknowledged() {
		w.fail("the regions hold the same, and do not know that of each other")
	}
	w.judge()
}

// patience is how long it may take for everything to come, once no faults strike.
const patience = 120 * time.Second

// stepUntil lets events happen until something is so, or takes too long.
func (w *world) stepUntil(done func() bool) {
	for len(w.events) > 0 && w.now < w.phase+patience && !done() {
		w.step()
	}
}

// step lets the next event happen.
func (w *world) step() {
	e := heap.Pop(&w.events).(event)
	w.now = e.at
	e.do()
}

// heal stops all faults, and the clients.
func (w *world) heal() {
	w.healing = true
	w.tell("all faults stop")
	for _, r := range w.regions {
		r.heal()
		w.comeBack(r)
	}
	w.rollOut()
	w.after(10*time.Second, w.endWaiting)
}

// fail ends the history: a promise is broken.
func (w *world) fail(format string, args ...any) { panic(broken(fmt.Sprintf(format, args...))) }

// tell adds to trace and story.
func (w *world) tell(format string, args ...any) {
	line := fmt.Sprintf("%9.3fs ", w.now.Seconds()) + fmt.Sprintf(format, args...)
	_, _ = w.trace.Write([]byte(line)) // a hash never fails
	if w.story != nil {
		w.story = append(w.story, line)
	}
}

// hash adds to the trace what is too long to tell.
func (w *world) hash(b []byte) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(b)))
	_, _ = w.trace.Write(n[:])
	_, _ = w.trace.Write(b)
}

// event is something that happens at a time.
type event struct {
	at    time.Duration
	order int
	do    func()
}

type events []event

func (h events) Len() int { return len(h) }
func (h events) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].order < h[j].order
}
func (h events) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *events) Push(e any)   { *h = append(*h, e.(event)) }
func (h *events) Pop() any {
	old := *h
	e := old[len(old)-1]
	*h = old[:len(old)-1]
	return e
}

// after lets something happen after a while.
func (w *world) after(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.events, event{at: w.now + d, order: w.order, do: do})
}

// spread is a time around d.
func spread(rng *rand.Rand, d time.Duration) time.Duration {
	return d/2 + time.Duration(rng.Int64N(int64(d)+1))
}
