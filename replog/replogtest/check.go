package replogtest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

// seedVariable names the environment variable whose value, as a failure prints it,
// plays one history again and nothing else.
const seedVariable = "REPLOGTEST_SEED"

// Options says how a schema is checked. The zero Options is a good choice.
type Options struct {
	// Histories is how many histories are played; zero means 500, and 25 for Simulate.
	Histories int

	// Seed decides which histories are drawn; zero means others each time.
	Seed uint64

	// Regions are the names of the regions: each history has the first two of them, or
	// more. Nil means the first five that the schema ranks, filled up with names of cloud
	// regions, so name them only to have others; two to seven.
	Regions []fieldwise.Region

	// Sample makes one record: a value of the schema's struct type, or a map[string]any
	// for documents. It depends on r alone. It should choose among few values, so that
	// different writers often choose the same, and numbers, times or strings for fields of
	// max and min. CRDT values are made by their constructors, and writes do what turns those
	// that are there into others like them. Nil makes structs by their types, and documents of the fields that the
	// schema names and a few others, of which some are values here and maps there.
	Sample func(r *rand.Rand) any

	// AllowPolicyErrors accepts that a function of the schema fails or panics, so that
	// readers see the value with the largest version instead.
	AllowPolicyErrors bool
}

var defaultRegions = []fieldwise.Region{"us-east-1", "eu-west-1", "ap-south-1", "sa-east-1", "af-south-1"}

const (
	defaultHistories = 500
	maxRegions       = 7
)

// CheckSchema fails the test if records of the schema diverge, lose a write in silence,
// or break another promise that the package comment lists. It logs how many histories,
// writes and conflicts there were.
func CheckSchema[T any](t testing.TB, schema *fieldmerge.Schema[T], o Options) {
	t.Helper()
	if schema == nil {
		t.Fatal("replogtest: the schema is nil; make one with fieldmerge.NewSchema")
	}
	check(t, o, &typed[T]{schema: schema, made: o.Sample, maker: newMaker()})
}

// CheckDocuments is CheckSchema for records that are JSON-shaped.
func CheckDocuments(t testing.TB, schema *fieldmerge.DocumentSchema, o Options) {
	t.Helper()
	if schema == nil {
		t.Fatal("replogtest: the schema is nil; make one with fieldmerge.NewDocumentSchema")
	}
	check(t, o, &documents{schema: schema, made: o.Sample})
}

func check(t testing.TB, o Options, releases ...face) {
	t.Helper()
	c, err := newChecker(o, releases...)
	if err != nil {
		t.Fatal("replogtest: " + err.Error())
	}
	if text := os.Getenv(seedVariable); text != "" {
		seed, err := strconv.ParseUint(text, 0, 64)
		if err != nil {
			t.Fatalf("replogtest: %s=%s: %v", seedVariable, text, err)
		}
		c.seeds = func(int) uint64 { return seed }
		c.Histories = 1
	}
	found := c.check()
	if found != nil {
		t.Fatal(found.story(t.Name()))
		return
	}
	t.Logf("histories: %d, writes: %d, of which %d lost with restores, conflicts: %d", c.Histories, c.writes, c.lost, c.conflicts)
	for _, name := range c.poor() {
		t.Logf("replogtest: of %s only the zero value could be made; give Options.Sample to check it with others", name)
	}
	if c.concurrent == 0 && c.Histories > 1 {
		t.Fatalf("replogtest: in %d histories no two writes to one field were concurrent, so nothing was checked; "+
			"does Options.Sample make different values of the fields?", c.Histories)
	}
}

// checker plays histories.
type checker struct {
	Options
	faces []face
	plant plant
	seeds func(i int) uint64

	tries int // how many histories are played to understand one that fails

	writes, lost, conflicts, concurrent int
}

func newChecker(o Options, releases ...face) (*checker, error) {
	if o.Histories == 0 {
		o.Histories = defaultHistories
	}
	if o.Histories < 0 {
		return nil, fmt.Errorf("Options.Histories is %d; zero means %d", o.Histories, defaultHistories)
	}
	if o.Regions == nil {
		o.Regions = regionsFor(releases[len(releases)-1].ranks())
	}
	if n := len(o.Regions); n < 2 || n > maxRegions {
		return nil, fmt.Errorf("Options.Regions has %d names; 2 to %d are needed: conflicts need two regions, and histories are short", n, maxRegions)
	}
	seen := make(map[fieldwise.Region]bool)
	for _, r := range o.Regions {
		if err := r.Validate(); err != nil {
			return nil, fmt.Errorf("Options.Regions: %w", err)
		}
		if seen[r] {
			return nil, fmt.Errorf("Options.Regions names %q twice", r)
		}
		seen[r] = true
	}
	for _, f := range releases {
		if err := f.checkSample(); err != nil {
			return nil, err
		}
	}
	first := o.Seed
	if first == 0 {
		first = rand.Uint64()
	}
	return &checker{Options: o, faces: releases, tries: shrinkRuns, seeds: func(i int) uint64 { return mix(first + uint64(i)) }}, nil
}

// regionsFor are the regions that a schema ranks, filled up to as many as a history has.
func regionsFor(ranks []fieldwise.Region) []fieldwise.Region {
	all := ranks
	for _, r := range defaultRegions {
		if !slices.Contains(ranks, r) {
			all = append(all, r)
		}
	}
	return all[:len(defaultRegions)]
}

// draw makes the history at i.
func (c *checker) draw(i int) *history { return draw(c.seeds(i), c.Regions, len(c.faces) > 1) }

// poor are the types that no values could be made of.
func (c *checker) poor() (types []string) {
	for _, f := range c.faces {
		types = append(types, f.poor()...)
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// finding is the shrunk failure of a history.
type finding struct {
	*failure
	seed           uint64
	index          int // of the history, from 1
	histories      int
	steps, regions int // before shrinking
}

// check plays the histories up to the first that fails.
func (c *checker) check() *finding {
	for i := range c.Histories {
		h := c.draw(i)
		w, f := c.run(h)
		if f != nil {
			found := &finding{seed: h.seed, index: i + 1, histories: c.Histories, steps: len(h.steps), regions: len(h.regions)}
			found.failure = c.shrink(h, c.again(h, f))
			return found
		}
		c.writes += len(w.order)
		c.lost += len(w.order) - len(w.kept)
		c.concurrent += w.concurrent()
		seen := make(map[fieldwise.ConflictID]bool)
		for i := range w.reports {
			seen[w.reports[i].ID()] = true
		}
		c.conflicts += len(seen)
	}
	return nil
}

// again plays a history that failed some times more. A policy that depends on more than
// its values may make anything fail, and shows what it is another time.
func (c *checker) again(h *history, f *failure) *failure {
	for range min(50, c.tries) {
		if _, g := c.run(h); g != nil && g.oracle == oracleConverge {
			return g
		}
	}
	return f
}

// replay is the command that plays the history of a test again.
func replay(seed uint64, test string) string {
	return fmt.Sprintf("%s=%#x go test -run '^%s$' .", seedVariable, seed, strings.ReplaceAll(test, "/", "$/^"))
}
