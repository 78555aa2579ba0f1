package sim

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

var (
	seed    = flag.Uint64("sim.seed", 0, "the history that TestSeed plays; where seeds begin in TestPropertyHistoriesKeepWhatWasPromised")
	count   = flag.Int("sim.histories", 0, "how many histories TestPropertyHistoriesKeepWhatWasPromised plays; 0: as the environment says")
	shrink  = flag.Bool("sim.shrink", true, "shrink a history that breaks a promise")
	writes  = flag.Int("sim.writes", 0, "how many writes TestSeed makes at most")
	with    Faults
	without Faults
)

func init() {
	flag.Var(&with, "sim.with", "kinds of faults that strike in any case, in TestSeed and TestPropertyHistoriesKeepWhatWasPromised")
	flag.Var(&without, "sim.without", "kinds of faults that those two leave out")
}

// TestSeed plays one history and tells it.
func TestSeed(t *testing.T) {
	if *seed == 0 {
		t.Skip("no -sim.seed")
	}
	r := Run(Plan{Seed: *seed, With: with, Without: without, Writes: *writes}, true)
	if r.Violation != "" && *shrink {
		r = Shrink(r)
	}
	t.Logf("%s\n%v", strings.Join(r.Story, "\n"), r.Counts)
	require.Empty(t, r.Violation)
}

// histories is how many are played.
func histories(t *testing.T, usual, long int) int {
	n := usual
	if *count > 0 {
		return *count
	}
	if testing.Short() {
		n = usual / 10
	}
	if os.Getenv("FIELDWISE_LONG") == "1" {
		n = long
	}
	if s := os.Getenv("FIELDWISE_HISTORIES"); s != "" {
		asked, err := strconv.Atoi(s)
		require.NoError(t, err)
		n = max(asked/10, 1) // each has hundreds of writes
	}
	return n
}

func TestPropertyHistoriesKeepWhatWasPromised(t *testing.T) {
	counts, n := play(t, Plan{With: with, Without: without}, histories(t, 100, 2000))
	if n < 100 || with|without != 0 {
		return
	}
	all := []string{
		"acknowledged", "add", "asked to relay", "batches", "bodies that came twice", "city", "clock jumps", "clocks in 2099", "create", "cut off", "cut off starts", "dead links", "delayed", "delete", "delivered",
		"disk failures", "failed batches", "hit", "kills", "lang", "lost", "name", "partitions", "poisoned", "power cuts",
		"relayed", "remove", "repeated", "reports", "skew alarms", "slow syncs", "stalls",
		"clones", "confirmed", "floors", "floors that differ", "members that came back", "members that left", "members that were told",
		"note", "stopped origins", "stopped origins that went on", "upgrades", "lost with their only disk", "restores", "waited in vain", "waiting writes",
	}
	if n >= 1000 { // one history of ten or twenty has them
		all = append(all, "begun afresh", "directories that were thrown away", "forks that were found", "members that were away for long")
	}
	for _, what := range all {
		require.NotZero(t, counts[what], "no history had %q: the test has gone blind there", what)
	}
}

// Disks that are put back to an earlier copy again and again, all of them at once at times,
// while messages are on their way for long, and nothing else that would keep a log from being
// confirmed meanwhile.
func TestPropertyHistoriesWithRestores(t *testing.T) {
	play(t, Plan{With: Restores | Delays, Without: Clones | FarFuture | Jumps | Kills | PowerCuts | DiskErrors | FullDisks | Partitions | Stalls}, histories(t, 40, 300))
}

// firstSeed is where the seeds of a test begin.
func firstSeed(t *testing.T) uint64 {
	if *seed != 0 {
		return *seed
	}
	first := randtest.Seed(t) >> 16 // short enough to be typed
	t.Logf("seed: %d (repeat with -sim.seed)", first)
	return first
}

// Two releases that show different values of one state, while links are cut so that values are
// written at the same time.
func TestPropertyHistoriesWithTwoReleases(t *testing.T) {
	p := Plan{
		With: Rolling | Partitions, Without: allFaults &^ (Rolling | Partitions | Kills),
		aim: func(c *conditions) { c.keys, c.often[Partitions] = 1, 500*time.Millisecond },
	}
	counts, n := play(t, p, max(histories(t, 40, 300)/2, 1))
	if n >= 20 {
		require.NotZero(t, counts["stopped origins that went on"])
	}
}

// repeat is what plays a history again.
func repeat(t *testing.T, r *Report) string {
	if r.aim == nil {
		return r.Command()
	}
	return fmt.Sprintf("go test ./replog/replogtest/internal/sim -run '%s' -v -sim.seed=%d -sim.histories=1", t.Name(), r.Seed)
}

// Logs that lack their beginning, and regions that begin with an empty disk, again and again, so
// that states come as snapshots; and nothing else that keeps regions from each other for long.
func TestPropertyHistoriesWithSnapshots(t *testing.T) {
	counts, n := play(t, Plan{With: Snapshots, Without: FarFuture | Clones | Members | Rolling}, histories(t, 60, 300))
	if n < 60 {
		return
	}
	for _, what := range []string{"bases raised", "emptied", "pieces of snapshots", "snapshots", "snapshots that are joined"} {
		require.NotZero(t, counts[what], "no history had %q: the test has gone blind there", what)
	}
}

// play plays n histories of a kind.
func play(t *testing.T, p Plan, n int) (map[string]int, int) {
	first := firstSeed(t)
	counts := make(map[string]int)
	for i := range n {
		p.Seed = first + uint64(i)
		r := Run(p, false)
		if r.Violation != "" {
			shrunk := r
			if *shrink {
				shrunk = Shrink(r)
			}
			t.Fatalf("%s\n%s\nfound after %d histories\nrepeat with: %s", strings.Join(shrunk.Story, "\n"), shrunk.Violation, i+1, repeat(t, r))
		}
		for what, times := range r.Counts {
			counts[what] += times
		}
		counts["simulated seconds"] += int(r.Simulated.Seconds())
	}
	t.Logf("histories: %d", n)
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%s: %d", what, counts[what])
	}
	return counts, n
}

// One seed is one history, whatever else the process does.
func TestOneSeedIsOneHistory(t *testing.T) {
	seeds := uint64(10)
	if os.Getenv("FIELDWISE_LONG") == "1" {
		seeds = 100
	}
	for s := range seeds {
		a, b := Run(Plan{Seed: s + 1}, false), Run(Plan{Seed: s + 1}, false)
		require.Equal(t, a.Hash, b.Hash, "seed %d", s+1)
		require.Equal(t, a.Counts, b.Counts)
		require.Equal(t, a.Violation, b.Violation)
	}
}

func TestFaultsAreNamed(t *testing.T) {
	var f Faults
	require.NoError(t, f.Set("powercuts,loss"))
	require.Equal(t, PowerCuts|Loss, f)
	require.Equal(t, "loss,powercuts", f.String())
	require.NoError(t, f.Set(Faults(allFaults).String()))
	require.Equal(t, Faults(allFaults), f)
	require.ErrorContains(t, f.Set("rain"), "unknown kind of fault")
	require.Equal(t, "go test ./replog/replogtest/internal/sim -run TestSeed -v -sim.seed=7 -sim.without=loss -sim.writes=3",
		Plan{Seed: 7, Without: Loss, Writes: 3}.Command())
}

// Without failures each body crosses a link to a region once, from the region that wrote it:
// what a history with nothing but odd clocks holds at its end.
func TestPropertyEachBodyComesOnceWhereNothingFails(t *testing.T) {
	counts, _ := play(t, Plan{Without: allFaults &^ (Skews | Jumps | FarFuture)}, histories(t, 15, 300))
	require.Positive(t, counts["bodies that come once"])
}

// Where nothing fails but links that others make up for, all comes within RelayAfter for each
// region on its way, whether or not the links ever work, unless answers are so small that they
// do not keep up; and little comes twice.
func TestPropertyDeadLinksHealThroughOthers(t *testing.T) {
	n := histories(t, 60, 600)
	first := firstSeed(t)
	counts := make(map[string]int)
	for i := range n {
		p := Plan{Seed: first + uint64(i), Without: allFaults &^ DeadLinks}
		drawn := p.conditions()
		if drawn.faults == 0 {
			continue
		}
		r := Run(p, false)
		if r.Violation != "" {
			t.Fatalf("%s\nrepeat with: %s", r.Violation, r.Command())
		}
		if late, most := r.Simulated-drawn.phase, time.Duration(drawn.regions)*engine.DefaultRelayAfter; late > most && drawn.ship >= 25 {
			t.Fatalf("the last entry came after %v, more than %v\nrepeat with: %s", late, most, r.Command())
		}
		for what, times := range r.Counts {
			counts[what] += times
		}
	}
	t.Logf("%d bodies, %d relayed, %d twice", counts["bodies"], counts["relayed"], counts["duplicates"])
	if n >= 60 {
		require.NotZero(t, counts["relayed"])
		require.Less(t, counts["duplicates"]*20, counts["bodies"])
	}
}
