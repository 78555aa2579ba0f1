package replogtest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/replog/replogtest/internal/sim"
)

// closed is a merger that keeps no records open, so that all goes through Merge.
type closed struct {
	fieldwise.Merger
	fieldwise.Deleter
	fieldwise.ConflictReporter
}

// simulationOf simulates a schema with a fault.
func simulationOf(t testing.TB, name string) *simulation {
	t.Helper()
	all := slices.Concat(faults, mechanismFaults, restoreFaults)
	fault := all[slices.IndexFunc(all, func(f fault) bool { return f.name == name })]
	s, err := newSimulation(Options{Seed: 1}, fault.face(t))
	require.NoError(t, err)
	if fault.plant.merger != nil {
		m := fault.plant.merger(s.merger)
		s.merger = closed{m, m.(fieldwise.Deleter), m.(fieldwise.ConflictReporter)}
	}
	if fault.plant.domain != nil {
		s.writing = func(d domain) domain { return fault.plant.domain(nil, d) }
	}
	return s
}

// Faults of schemas and of mergers that CheckSchema finds are found with replicas, too.
func TestSimulateFindsPlantedFaults(t *testing.T) {
	for name, says := range map[string]string{
		"a policy that depends on the clock":                              "show different records",
		"a policy that fails":                                             `no plan "b"`,
		"a merger that drops the older value of a field in silence":       "is gone without a trace",
		"a reporter that reports nothing":                                 "is gone without a trace",
		"a reporter that does not report deletes":                         "is gone without a trace",
		"a reporter that takes the winner for the loser":                  "and is shown",
		"a reporter that takes what a max does not show for lost":         "a field of max: that is no conflict",
		"a reporter that takes concurrent adds for a conflict":            "that is no conflict",
		"a counter that joins by sum":                                     "is not in the state of all regions",
		"a merger that takes the set with more elements":                  "in another order",
		"a reporter that does not report what a delete drops of counters": "is gone without a trace",
		"a reporter that does not report what a delete drops of sets":     "is gone without a trace",
		"a store that ignores tokens":                                     "is gone without a trace",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := simulationOf(t, name)
			r := record(func(t testing.TB) { s.run(t) })
			require.Contains(t, r.fatal, says)
			require.Contains(t, r.fatal, "go test -run '^TestProfilesConverge$' .")
		})
	}
}

// Simulate restores disks: what harms nobody until then is found.
func TestSimulateFindsWhatRestoresBringToLight(t *testing.T) {
	s := simulationOf(t, "a merger in which the newest incarnation of a region speaks for all of them")
	s.with = sim.Restores
	for i := range 60 {
		r := sim.Run(s.plan(s.seeds(50+i)), true) // it is rare: the first ones do not find it
		if r.Violation != "" {
			require.Contains(t, r.Violation, "is gone without a trace")
			require.Contains(t, strings.Join(r.Story, "\n"), "is restored: it has")
			return
		}
	}
	t.Fatal("not found")
}

// The story is read as a diff when it changes; go test -update writes it.
func TestSimulateTellsAStory(t *testing.T) {
	got := record(func(t2 testing.TB) {
		simulationOf(t, "a reporter that does not report what a delete drops of sets").run(t2)
	}).fatal
	path := filepath.Join("testdata", "simulate.txt")
	if *rewrite {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestSimulateFailureIsPlayedAgainByItsSeed(t *testing.T) {
	schema, err := fieldmerge.NewSchema[chosen](fieldmerge.Custom("plan", func(s []fieldmerge.Sibling[string]) (string, error) {
		return "", fmt.Errorf("cannot choose among %d plans", len(s))
	}))
	require.NoError(t, err)
	check := func(t testing.TB) { Simulate(t, schema, Options{Seed: 1}) }
	first := record(check)
	last := regexp.MustCompile(seedVariable + `=(\S+) go test -run '\^TestProfilesConverge\$' \.`).FindStringSubmatch(first.fatal)
	require.NotNil(t, last, first.fatal)

	t.Setenv(seedVariable, last[1])
	count := regexp.MustCompile(`history \d+ of \d+`)
	require.Equal(t, count.ReplaceAllString(first.fatal, ""), count.ReplaceAllString(record(check).fatal, ""))

	t.Setenv(seedVariable, "seven")
	require.Contains(t, record(check).fatal, "REPLOGTEST_SEED=seven")
}

func TestSimulateLogsWhatThereWas(t *testing.T) {
	docs := plainDocuments(t)
	r := record(func(t testing.TB) { SimulateDocuments(t, docs, Options{Histories: 10, Seed: 1}) })
	require.Empty(t, r.fatal)
	require.Len(t, r.logs, 1)
	require.Regexp(t, `^histories: 10, writes: [1-9]\d*, of which \d+ lost with restores, conflicts: [1-9]\d*, simulated: [1-9]\d* s; ([a-z0-9 ]+: [1-9]\d*, )*[a-z0-9 ]+: [1-9]\d*$`, r.logs[0])
}

func TestSimulateSaysWhatIsWrongWithTheCall(t *testing.T) {
	docs := plainDocuments(t)
	for says, check := range map[string]func(testing.TB){
		"the schema is nil; make one with fieldmerge.NewSchema":         func(t testing.TB) { Simulate[chosen](t, nil, Options{}) },
		"the schema is nil; make one with fieldmerge.NewDocumentSchema": func(t testing.TB) { SimulateDocuments(t, nil, Options{}) },
		"Options.Histories is -1":                                       func(t testing.TB) { SimulateDocuments(t, docs, Options{Histories: -1}) },
		"nothing was concurrent": func(t testing.TB) {
			SimulateDocuments(t, docs, Options{Sample: func(*rand.Rand) any { return document{} }})
		},
	} {
		require.Contains(t, record(check).fatal, says)
	}
}

// A history is a matter of its seed, whatever the schema is.
func TestPropertySimulatedHistoriesAreMattersOfTheirSeeds(t *testing.T) {
	s, err := newSimulation(Options{Seed: 1}, tallies(t))
	require.NoError(t, err)
	for seed := range uint64(fewer(20)) {
		a, b := sim.Run(s.plan(seed), false), sim.Run(s.plan(seed), false)
		require.Empty(t, a.Violation)
		require.Equal(t, a.Hash, b.Hash, "seed %d", seed)
		require.Equal(t, a.Counts, b.Counts)
	}
}

// Disks that are put back to earlier copies again and again, under clients who hold on to what
// they read before.
func TestPropertyTokensOutliveRestores(t *testing.T) {
	for name, f := range map[string]face{"people": people(t), "counted": counted(t), "tallies": tallies(t)} {
		t.Run(name, func(t *testing.T) {
			s, err := newSimulation(Options{Histories: fewer(40), Seed: randtest.Seed(t)}, f)
			require.NoError(t, err)
			s.with = sim.Restores | sim.Delays
			counts := s.play(t)
			if testing.Short() {
				return
			}
			for _, what := range []string{"restores", "lost with their only disk", "tokens of what was lost", "writes under them"} {
				require.NotZero(t, counts[what], "no history had %q: the test has gone blind there", what)
			}
		})
	}
}

func plainDocuments(t testing.TB) *fieldmerge.DocumentSchema {
	t.Helper()
	schema, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW))
	require.NoError(t, err)
	return schema
}
