package replogtest

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/replog/replogtest/internal/sim"
)

// simulatedHistories is how many histories Simulate plays. Each has hundreds of writes.
const simulatedHistories = 25

// Simulate fails the test if replicas that keep records of the schema break a promise while
// links, disks, clocks and processes fail. Where [CheckSchema] plays what happens to one
// record, and its histories are short, this plays the replicas themselves: the engine and
// the log of package replog in two to five regions, on disks in memory and in virtual time,
// with clients that write several records all along. Messages are lost, late and repeated, links
// are cut in one direction, processes are killed, machines lose their power and what was not
// synced, writes fail and disks fill up, disks are put back to earlier copies, or a second process
// starts on a copy, clocks are wrong, jump and go to 2099. Then all faults stop, and everything has
// to converge. The package comment lists what is checked.
//
// Options.Histories is 25 where it is zero, and each lasts for some seconds of virtual time.
// It logs how many histories, writes, conflicts and faults of each kind there were.
func Simulate[T any](t testing.TB, schema *fieldmerge.Schema[T], o Options) {
	t.Helper()
	if schema == nil {
		t.Fatal("replogtest: the schema is nil; make one with fieldmerge.NewSchema")
	}
	simulate(t, o, &typed[T]{schema: schema, made: o.Sample, maker: newMaker()})
}

// SimulateDocuments is Simulate for records that are JSON-shaped.
func SimulateDocuments(t testing.TB, schema *fieldmerge.DocumentSchema, o Options) {
	t.Helper()
	if schema == nil {
		t.Fatal("replogtest: the schema is nil; make one with fieldmerge.NewDocumentSchema")
	}
	simulate(t, o, &documents{schema: schema, made: o.Sample})
}

func simulate(t testing.TB, o Options, f face) {
	t.Helper()
	s, err := newSimulation(o, f)
	if err != nil {
		t.Fatal("replogtest: " + err.Error())
	}
	s.run(t)
}

// simulation plays histories with replicas.
type simulation struct {
	Options
	face   face
	seeds  func(i int) uint64
	merger fieldwise.Merger // of the schema; the tests of this package put another in its place,

	writing func(domain) domain // and make mistakes in writing,
	with    sim.Faults          // and let faults strike in any case
}

func newSimulation(o Options, f face) (*simulation, error) {
	if o.Histories == 0 {
		o.Histories = simulatedHistories
	}
	c, err := newChecker(o, f)
	if err != nil {
		return nil, err
	}
	return &simulation{Options: c.Options, face: f, merger: f.merger(), seeds: c.seeds}, nil
}

func (s *simulation) run(t testing.TB) {
	t.Helper()
	if text := os.Getenv(seedVariable); text != "" {
		seed, err := strconv.ParseUint(text, 0, 64)
		if err != nil {
			t.Fatalf("replogtest: %s=%s: %v", seedVariable, text, err)
		}
		s.seeds = func(int) uint64 { return seed }
		s.Histories = 1
	}
	counts := s.play(t)
	for _, name := range s.face.poor() {
		t.Logf("replogtest: of %s only the zero value could be made; give Options.Sample to simulate others", name)
	}
	if s.Histories < enoughHistories {
		return
	}
	for _, what := range []string{"acknowledged", "concurrent", "delivered", "faults"} {
		if counts[what] == 0 {
			t.Fatalf("replogtest: in %d histories nothing was %s, so nothing was checked; "+
				"does Options.Sample make different values of the fields?", s.Histories, what)
		}
	}
}

// play plays all histories, and says how often things happened in them.
func (s *simulation) play(t testing.TB) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	var took float64 // simulated seconds
	for i := range s.Histories {
		r := sim.Run(s.plan(s.seeds(i)), false)
		if r.Violation != "" {
			t.Fatal(s.story(sim.Shrink(r), i, t.Name()))
		}
		for what, n := range r.Counts {
			if counts[what] += n; sim.IsFault(what) {
				counts["faults"] += n
			}
		}
		took += r.Simulated.Seconds()
	}
	t.Logf("histories: %d, writes: %d, of which %d lost with restores, conflicts: %d, simulated: %.0f s; %s",
		s.Histories, counts["writes"], counts["lost with their only disk"], counts["conflicts"], took, faultsText(counts))
	return counts
}

// enoughHistories is how many histories have some of everything that matters.
const enoughHistories = 10

func (s *simulation) plan(seed uint64) sim.Plan {
	return sim.Plan{Seed: seed, With: s.with, Without: sim.Snapshots, Regions: s.Regions, Schema: func() sim.Schema { return newSimulated(s) }}
}

// faultsText says how often faults struck.
func faultsText(counts map[string]int) string {
	var all []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		if sim.IsFault(what) {
			all = append(all, fmt.Sprintf("%s: %d", what, counts[what]))
		}
	}
	return strings.Join(all, ", ")
}

// story tells a failure to a person.
func (s *simulation) story(r *sim.Report, i int, test string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "replogtest: replicas that keep %s fail\n\n", s.face.name())
	for _, line := range r.Story {
		b.WriteString(line + "\n")
	}
	fmt.Fprintf(&b, "\n%s\n\nThis is history %d of %d, cut down to %d writes. To play it again:\n  %s\n",
		r.Violation, i+1, s.Histories, r.Counts["writes"], replay(r.Seed, test))
	return b.String()
}

// simulated is what one history with replicas knows of its records.
type simulated struct {
	*simulation
	fields *world // of no region: it says what is in which field
	reads  map[place][]simulatedReading
}

// simulatedReading is what a client read and still holds, whatever becomes of the region's disk.
type simulatedReading struct {
	reading
	held fieldwise.Vector // by the region, then
}

// place is a record in a region.
type place struct {
	region fieldwise.Region
	key    string
}

func newSimulated(s *simulation) *simulated {
	return &simulated{simulation: s, fields: &world{faces: []face{s.face}}, reads: make(map[place][]simulatedReading)}
}

// Merger implements [sim.Schema].
func (s *simulated) Merger() fieldwise.Merger { return s.merger }

// Open implements [sim.Schema].
func (s *simulated) Open(h fieldwise.Host, region fieldwise.Region) (sim.Records, error) {
	host := mergerHost{h, s.merger}
	store, err := host.Domain(domainName, s.face.merger())
	return &simulatedRecords{simulated: s, region: region, host: host, store: store}, err
}

// mergerHost opens domains under one merger, whatever the schema's is.
type mergerHost struct {
	fieldwise.Host
	merger fieldwise.Merger
}

// Domain implements [fieldwise.Host].
func (h mergerHost) Domain(name string, _ fieldwise.Merger) (fieldwise.Store, error) {
	return h.Host.Domain(name, h.merger)
}

// Tell implements [sim.Schema].
func (s *simulated) Tell(delta []byte) string {
	c, err := changesOf(delta)
	switch {
	case err != nil:
		return err.Error()
	case c.deletes:
		return "the record"
	}
	all := make([]string, 0, 2)
	if len(c.effects) > 0 {
		all = append(all, effectsText(c.effects))
	}
	for _, path := range c.others {
		all = append(all, "something in "+fieldText(path))
	}
	if len(all) == 0 {
		return "a record without fields"
	}
	return strings.Join(all, ", ")
}

// simulatedRecords is the domain of a region while it runs.
type simulatedRecords struct {
	*simulated
	region fieldwise.Region
	host   fieldwise.Host
	store  fieldwise.Store
}

// state is what the region holds of a record.
func (r *simulatedRecords) state(key string) (state []byte, err error) {
	err = r.store.Read(ctx, key, func(s []byte) error {
		state = slices.Clone(s)
		return nil
	})
	return state, err
}
