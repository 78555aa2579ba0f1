package sim

import (
	"fmt"
	"hash/fnv"
	"math/bits"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/fieldwise/fieldwise"
)

// Faults is a set of kinds of faults.
type Faults uint32

// The kinds of faults.
const (
	Loss       Faults = 1 << iota // of messages
	Repeats                       // of messages
	Delays                        // of messages, long and uneven, so that they overtake each other
	Partitions                    // of one direction of a link
	Stalls                        // of a region, which does nothing for a while, or of its disk
	Kills                         // of a process; what it wrote is there
	PowerCuts                     // of a machine; what it did not sync may be there or not
	DiskErrors                    // of single operations, failed syncs among them
	FullDisks                     // for a while
	Skews                         // of clocks, by a constant
	Jumps                         // of clocks, there and back
	FarFuture                     // a clock that is in 2099 for a while
	DeadLinks                     // between pairs of regions that others connect, from the beginning
	Restores                      // of disks from an earlier copy; what only they held since is gone
	Clones                        // of a process, on a copy of its disk, which runs beside it
	Members                       // that leave, and come back with the disk that they had
	Rolling                       // no fault: an older release of the service runs beside a newer one
	Snapshots                     // of states: logs lose their beginning, and regions their disks, and begin with one; only where a plan asks for them, as less is known then of what is to be

	allFaults = 1<<iota - 1

	ownFaults = Members | Rolling // that histories of a schema of somebody else do not have
)

var faultNames = [...]string{
	"loss", "repeats", "delays", "partitions", "stalls", "kills", "powercuts", "diskerrors", "fulldisks", "skews", "jumps", "farfuture", "deadlinks", "restores", "clones", "members", "rolling", "snapshots",
}

// String lists the kinds by name, separated by commas.
func (f Faults) String() string {
	var names []string
	for i, name := range faultNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// IsFault reports whether what a [Report] counts under a name is a fault.
func IsFault(what string) bool {
	switch what {
	case "clock jumps", "clocks in 2099", "clones", "cut off", "cut off starts", "dead links", "delayed", "disk failures", "kills", "lost", "partitions", "power cuts", "repeated", "restores", "stalls":
		return true
	}
	return false
}

// Set reads what String writes, and implements [flag.Value].
func (f *Faults) Set(s string) error {
	*f = 0
next:
	for name := range strings.SplitSeq(s, ",") {
		if name == "" {
			continue
		}
		for i, known := range faultNames {
			if name == known {
				*f |= 1 << i
				continue next
			}
		}
		return fmt.Errorf("unknown kind of fault %q; there are %s", name, Faults(allFaults))
	}
	return nil
}

// Plan is one history. All that it leaves open is drawn from the seed, each concern from a
// stream of its own: what is left out changes nothing else.
type Plan struct {
	Seed    uint64
	With    Faults // kinds of faults that strike in any case
	Without Faults // kinds of faults that are left out
	Writes  int    // how many writes are asked for at most; 0: as many as drawn

	Skip  map[int]bool  // writes that are left out, by their numbers
	Until time.Duration // that faults strike; 0: as drawn

	Regions []fieldwise.Region // the first two of them, or more; nil: a to g
	Schema  func() Schema      // of the records that are written; nil: profiles of this package's own

	aim func(*conditions) // bends what is drawn; nil: nothing
}

// names are the regions' names.
func (p Plan) names() []fieldwise.Region {
	if p.Regions != nil {
		return p.Regions
	}
	return []fieldwise.Region{"a", "b", "c", "d", "e", "f", "g"}
}

// workload is what clients write.
func (p Plan) workload() workload {
	if p.Schema != nil {
		return records{p.Schema()}
	}
	return newProfiles()
}

// Command is what repeats a history of profiles, before it is shrunk.
func (p Plan) Command() string {
	s := fmt.Sprintf("go test ./replog/replogtest/internal/sim -run TestSeed -v -sim.seed=%d", p.Seed)
	if p.With != 0 {
		s += " -sim.with=" + p.With.String()
	}
	if p.Without != 0 {
		s += " -sim.without=" + p.Without.String()
	}
	if p.Writes != 0 {
		s += fmt.Sprintf(" -sim.writes=%d", p.Writes)
	}
	return s
}

// stream is the random numbers of one concern.
func (p Plan) stream(concern string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(concern))
	return rand.New(rand.NewPCG(p.Seed, h.Sum64()))
}

// conditions are what a seed draws for a whole run.
type conditions struct {
	regions int
	faults  Faults
	phase   time.Duration // that faults strike
	between time.Duration // writes of one region
	keys    int
	latency time.Duration // of links
	sync    time.Duration // of disks
	ship    int           // entries in one answer
	patient time.Duration // that the first write waits for the identity

	unsupported bool // the older release cannot merge what the newer one writes

	loss, repeats float64 // of messages
	often         map[Faults]time.Duration
}

func (p Plan) conditions() conditions {
	rng := p.stream("conditions")
	span := func(least, most time.Duration) time.Duration {
		return least + time.Duration(rng.Int64N(int64(most-least)))
	}
	c := conditions{
		regions: 2 + rng.IntN(3),
		faults:  Faults(rng.Uint32()&rng.Uint32()|1<<rng.IntN(bits.Len(allFaults))) & allFaults,
		phase:   span(2*time.Second, 12*time.Second),
		between: span(20*time.Millisecond, 300*time.Millisecond),
		keys:    1 + rng.IntN(4),
		latency: span(time.Millisecond, 80*time.Millisecond),
		sync:    span(time.Millisecond/2, 20*time.Millisecond),
		ship:    1 + rng.IntN(50),
		loss:    rng.Float64() * 0.3,
		repeats: rng.Float64() * 0.5,
		often:   make(map[Faults]time.Duration),
	}
	if rng.IntN(4) == 0 {
		c.regions = 5 + rng.IntN(3)
	}
	for f := Faults(1); f < allFaults; f <<= 1 {
		c.often[f] = span(300*time.Millisecond, 4*time.Second)
	}
	c.patient = span(0, 3*time.Second)
	c.unsupported = rng.IntN(2) == 0
	if p.aim != nil {
		p.aim(&c)
	}
	c.regions = min(c.regions, len(p.names()))
	if p.Until > 0 {
		c.phase = p.Until
	}
	c.faults = (c.faults&^Snapshots | p.With) &^ p.Without
	if p.Schema != nil {
		c.faults &^= ownFaults
	}
	return c
}
