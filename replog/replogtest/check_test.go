package replogtest

import (
	"errors"
	"flag"
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
	"github.com/fieldwise/fieldwise/internal/lattice"
)

var rewrite = flag.Bool("update", false, "rewrite the stories in testdata")

// recorder is a test that notes how it ends.
type recorder struct {
	testing.TB
	name  string
	logs  []string
	fatal string
}

var errFatal = errors.New("the test ended")

func (r *recorder) Helper() {}

func (r *recorder) Name() string { return r.name }

func (r *recorder) Logf(format string, args ...any) {
	r.logs = append(r.logs, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatal(args ...any) {
	r.fatal = fmt.Sprint(args...)
	panic(errFatal)
}

func (r *recorder) Fatalf(format string, args ...any) { r.Fatal(fmt.Sprintf(format, args...)) }

// record runs a check as the test TestProfilesConverge would.
func record(check func(testing.TB)) (r *recorder) {
	r = &recorder{name: "TestProfilesConverge"}
	defer func() {
		if p := recover(); p != nil && p != errFatal {
			panic(p)
		}
	}()
	check(r)
	return r
}

func faultNamed(t *testing.T, name string) (c *checker) {
	t.Helper()
	all := slices.Concat(faults, mechanismFaults, restoreFaults)
	i := slices.IndexFunc(all, func(f fault) bool { return f.name == name })
	require.GreaterOrEqual(t, i, 0, name)
	c, err := newChecker(Options{Seed: max(all[i].seed, 1)}, all[i].face(t))
	require.NoError(t, err)
	c.plant = all[i].plant
	return c
}

// The stories are read as diffs when they change; go test -update writes them.
func TestSurvivalFailuresAreToldAsStories(t *testing.T) {
	for file, fault := range map[string]string{
		"count.txt":   "a reset under a token that takes back what its own region counted since",
		"delete.txt":  "a reporter that does not report deletes",
		"remove.txt":  "a remove that beats a concurrent add",
		"token.txt":   "a store that ignores tokens",
		"policy.txt":  "a policy that fails",
		"restore.txt": "a merger in which the newest incarnation of a region speaks for all of them",
	} {
		got := faultNamed(t, fault).check().story("TestProfilesConverge")
		path := filepath.Join("testdata", file)
		if *rewrite {
			require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestSurvivalFailureIsPlayedAgainByItsSeed(t *testing.T) {
	schema, err := fieldmerge.NewSchema[chosen](fieldmerge.Custom("plan", func(s []fieldmerge.Sibling[string]) (string, error) {
		return "", fmt.Errorf("cannot choose among %d plans", len(s))
	}))
	require.NoError(t, err)
	check := func(t testing.TB) { CheckSchema(t, schema, Options{Seed: 1}) }
	first := record(check)
	require.Contains(t, first.fatal, "replogtest: replogtest.chosen fails: policy")
	last := regexp.MustCompile(seedVariable + `=(\S+) go test -run '\^TestProfilesConverge\$' \.`).FindStringSubmatch(first.fatal)
	require.NotNil(t, last, first.fatal)

	t.Setenv(seedVariable, last[1])
	again := record(check)
	count := regexp.MustCompile(`history \d+ of \d+`)
	require.Equal(t, count.ReplaceAllString(first.fatal, ""), count.ReplaceAllString(again.fatal, ""))

	t.Setenv(seedVariable, "seven")
	require.Contains(t, record(check).fatal, "REPLOGTEST_SEED=seven")
}

func TestConvergeLogsWhatThereWas(t *testing.T) {
	schema, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW))
	require.NoError(t, err)
	r := record(func(t testing.TB) { CheckDocuments(t, schema, Options{Histories: 20, Seed: 1}) })
	require.Empty(t, r.fatal)
	require.Len(t, r.logs, 1)
	require.Regexp(t, `^histories: 20, writes: [1-9]\d*, of which [1-9]\d* lost with restores, conflicts: [1-9]\d*$`, r.logs[0])
}

func TestConvergeSaysWhatIsWrongWithTheCall(t *testing.T) {
	flat, err := fieldmerge.NewSchema[chosen](fieldmerge.Custom("plan", func(s []fieldmerge.Sibling[string]) (string, error) { return s[0].Value, nil }))
	require.NoError(t, err)
	docs, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW))
	require.NoError(t, err)
	typed := func(o Options) func(testing.TB) { return func(t testing.TB) { CheckSchema(t, flat, o) } }
	for says, check := range map[string]func(testing.TB){
		"the schema is nil; make one with fieldmerge.NewSchema":           func(t testing.TB) { CheckSchema[chosen](t, nil, Options{}) },
		"the schema is nil; make one with fieldmerge.NewDocumentSchema":   func(t testing.TB) { CheckDocuments(t, nil, Options{}) },
		"Options.Histories is -1":                                         typed(Options{Histories: -1}),
		"replogtest: a schema is nil; make one with fieldmerge.NewSchema": func(t testing.TB) { CheckReleases[chosen](t, flat, (*fieldmerge.Schema[person])(nil), Options{}) },
		"Options.Sample makes records of one release": func(t testing.TB) {
			CheckReleases(t, flat, flat, Options{Sample: func(*rand.Rand) any { return chosen{} }})
		},
		`"stock" is pncounter in one release and lww in the other`: releases[tally, struct {
			Stock int `merge:"stock,lww"`
		}],
		`"in.*.stock" is lww in one release and max in the other`: releases[struct {
			In map[string]stock `merge:"in,each=nested"`
		}, struct {
			In map[string]*limit `merge:"in,each=nested"`
		}],
		`"price" has a former name or is in a group`: releases[stock, struct {
			Price int `merge:"price,lww,was=cost"`
		}],
		"the schema has fields under fieldmerge.ByShape": func(t testing.TB) {
			s, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.ByShape))
			if err != nil {
				panic(err)
			}
			CheckDocuments(t, s, Options{})
		},
		"name the strategies of lists": func(t testing.TB) {
			s, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("a.*", fieldmerge.ByShape))
			if err != nil {
				panic(err)
			}
			CheckDocuments(t, s, Options{})
		},
		"Options.Regions has 1 names":                     typed(Options{Regions: []fieldwise.Region{"a"}}),
		`Options.Regions names "a" twice`:                 typed(Options{Regions: []fieldwise.Region{"a", "b", "a"}}),
		"Options.Regions: fieldwise: invalid region name": typed(Options{Regions: []fieldwise.Region{"a", "B"}}),
		"Options.Sample returns a *replogtest.chosen; want a replogtest.chosen": typed(Options{
			Sample: func(*rand.Rand) any { return &chosen{} },
		}),
		"Options.Sample returns a string; want a map[string]any": func(t testing.TB) {
			CheckDocuments(t, docs, Options{Sample: func(*rand.Rand) any { return "x" }})
		},
		"no two writes to one field were concurrent": typed(Options{
			Histories: 50,
			Sample:    func(*rand.Rand) any { return chosen{Name: "always the same"} },
		}),
	} {
		if r := record(check); !strings.Contains(r.fatal, says) {
			t.Errorf("got %q, want %q", r.fatal, says)
		}
	}
}

type stock struct {
	Stock int `merge:"stock,lww"`
}

type limit struct {
	Stock int `merge:"stock,max"`
}

// releases checks two releases.
func releases[Old, New any](t testing.TB) {
	old, err := fieldmerge.NewSchema[Old]()
	if err != nil {
		panic(err)
	}
	next, err := fieldmerge.NewSchema[New]()
	if err != nil {
		panic(err)
	}
	CheckReleases(t, old, next, Options{Seed: 1})
}

// What panics in a test of the user's is told like any failure.
func TestConvergeTellsOfAPanic(t *testing.T) {
	schema, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW))
	require.NoError(t, err)
	made := 0
	r := record(func(t testing.TB) {
		CheckDocuments(t, schema, Options{Seed: 1, Sample: func(r *rand.Rand) any {
			if made++; made > 100 {
				panic("no more samples")
			}
			return document{"a": r.IntN(3)}
		}})
	})
	require.Contains(t, r.fatal, "fails: errors")
	require.Regexp(t, `errors: panic at \S+TestConvergeTellsOfAPanic\S+, line \d+: no more samples`, r.fatal)
}

// fewer is a fifth of n under -short.
func fewer(n int) int {
	if testing.Short() {
		n /= 5
	}
	return n
}

// A history is a matter of its seed, or nobody could play it again.
func TestPropertyOneSeedIsOneHistory(t *testing.T) {
	n := fewer(100)
	c, err := newChecker(Options{Seed: 1}, people(t))
	require.NoError(t, err)
	for i := range n {
		var texts [2]string
		for j := range texts {
			w, f := c.run(c.draw(i))
			require.Nil(t, f)
			texts[j] = fmt.Sprintf("%v %x", w.lines, w.met)
		}
		require.Equal(t, texts[0], texts[1])
	}
	t.Logf("histories: %d", n)
}

// What the histories are for has to happen in them.
func TestPropertyHistoriesHoldAllThatMatters(t *testing.T) {
	n := fewer(500)
	c, err := newChecker(Options{Seed: 1}, people(t))
	require.NoError(t, err)
	happened := make(map[string]int)
	for i := range n {
		w, f := c.run(c.draw(i))
		require.Nil(t, f)
		for _, l := range w.lines {
			for _, what := range []string{
				"creates", "updates", "patches", "upserts", "puts", "replaces", "deletes", "settles",
				"under the token", "is refused", "is cut", "links of", "receives #", "receives all", "years ahead", "behind",
				"reports update/update", "reports create/create", "reports update/delete", "each region receives",
				"is restored", "lost with a restore",
			} {
				if strings.Contains(l.text, what) {
					happened[what]++
				}
			}
		}
		for _, x := range w.order {
			if x.knew != x.past {
				happened["stale token"]++
			}
		}
		happened[fmt.Sprintf("%d regions", len(w.regions))]++
	}
	t.Logf("histories: %d, %v", n, happened)
	for what, times := range happened {
		if times < n/50 {
			t.Errorf("%q happened %d times in %d histories", what, times, n)
		}
	}
	require.Len(t, happened, 27)
}

// Writes of fields of max and min mostly go on: some are refused, and most are not.
func TestPropertyFieldsOfMaxAndMinGoOn(t *testing.T) {
	n := fewer(300)
	c, err := newChecker(Options{Seed: 1}, gauges(t))
	require.NoError(t, err)
	refused, highs, overtaken := 0, 0, 0
	for i := range n {
		w, f := c.run(c.draw(i))
		require.Nil(t, f)
		for _, l := range w.lines {
			if strings.Contains(l.text, "goes in one direction") {
				refused++
			}
		}
		for _, x := range w.order {
			if x.effects["high"] != "" {
				highs++
			}
		}
		for _, r := range w.regions {
			if all, _ := siblingsAt(r.now.state, "high"); len(all) > 1 {
				overtaken++
			}
		}
	}
	t.Logf("histories: %d, of %d writes of a max %d refused; several values in %d regions", n, highs+refused, refused, overtaken)
	require.Greater(t, refused, n/10)
	require.Greater(t, highs, 5*refused)
	require.Greater(t, overtaken, n/10)
}

// Of all that can be done to counters, sets, flags and lists, each is done, some of it
// where others do something to the same field, and some takes back only what it knew of.
func TestPropertyAllIsDoneToCountersSetsFlagsAndLists(t *testing.T) {
	const n = 300
	c, err := newChecker(Options{Seed: 1}, tallies(t))
	require.NoError(t, err)
	happened := make(map[string]int)
	note := func(what string, is bool) {
		if is {
			happened[what]++
		}
	}
	for i := range n {
		w, f := c.run(c.draw(i))
		require.Nil(t, f)
		for _, l := range w.lines {
			note("refused since it goes back", strings.Contains(l.text, "goes in one direction"))
			note("a reset refused under a token", strings.Contains(l.text, "the record has changed since") && strings.Contains(l.text, ", wanted (unset)"))
		}
		for _, x := range w.order {
			for path, f := range x.does {
				added, removed, renewed := f.elements()
				stale := false
				for id := range x.past.all {
					_, also := w.writes[id].does[path]
					stale = stale || also && w.writes[id].life == x.life && !x.knows(w.writes[id])
				}
				switch f.kind {
				case lattice.KindCounter:
					note("counts up", f.amount.Sign() > 0)
					note("counts down", f.amount.Sign() < 0)
					note("resets", f.resets && len(f.gone) > 0)
				case lattice.KindFlag:
					note("turns on", len(f.added) > 0)
					note("turns off", len(f.added) == 0)
				default:
					note("adds to "+path, len(added) > 0)
					note("removes from "+path, len(removed) > 0)
					note("renews in "+path, len(renewed) > 0)
				}
				note("under a token that was overtaken", stale)
				note("orders", len(f.order) > 1)
			}
			for _, y := range w.order {
				if x.past.has(y.id()) || y.past.has(x.id()) || x == y {
					continue
				}
				for path := range x.does {
					note("concurrent in one field", len(y.does[path].added) > 0 || len(y.does[path].gone) > 0)
				}
			}
		}
		for _, r := range w.reports {
			_, ok := w.mechanism(r.Field)
			note("a delete drops it", ok && r.Kind == fieldwise.ConflictDelete)
		}
	}
	t.Logf("histories: %d, %v", n, happened)
	for what, times := range happened {
		if times < n/150 {
			t.Errorf("%q happened %d times in %d histories", what, times, n)
		}
	}
	require.Len(t, happened, 21)
}

func TestPropertyHistoriesHaveTheRegionsThatAreRanked(t *testing.T) {
	for want, ranks := range map[string][]fieldwise.Region{
		"[us-east-1 eu-west-1 ap-south-1 sa-east-1 af-south-1]": nil,
		"[mars-1 eu-west-1 us-east-1 ap-south-1 sa-east-1]":     {"mars-1", "eu-west-1"},
		"[a b c d e]": {"a", "b", "c", "d", "e", "f"},
	} {
		require.Equal(t, want, fmt.Sprint(regionsFor(ranks)))
	}
}

// Documents have the fields that the schema names, with values that they can hold.
func TestPropertyDocumentsHaveTheFieldsOfTheSchema(t *testing.T) {
	schema, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("a.b", fieldmerge.Earliest),
		fieldmerge.Field("score.*", fieldmerge.Max), fieldmerge.Field("phone", fieldmerge.Min), fieldmerge.Field("phone.home", fieldmerge.LWW))
	require.NoError(t, err)
	f := &documents{schema: schema}
	r := rand.New(rand.NewPCG(1, 1))
	seen := make(map[string]bool)
	for range 1000 {
		doc := f.sample(r, false)
		for _, path := range []string{"a.b", "score.city", "score.zip", `score.x\.y`, "phone", "phone.home", "tags"} {
			segments, err := fieldmerge.SplitPath(path)
			require.NoError(t, err)
			val := f.at("", doc, segments)
			if val == nil {
				continue
			}
			seen[path] = true
			if _, ok := extremeOf(schema.Strategy(path)); ok {
				require.True(t, lattice.Ordered(val), "%s: %v", path, doc)
			}
		}
	}
	require.Len(t, seen, 6, "all but phone.home: %v", seen)
}

// A shrunk history fails, and without any of its steps it does not fail in this way.
func TestPropertyStoriesAreAsShortAsTheyCanBe(t *testing.T) {
	for _, name := range []string{"a reporter that reports nothing", "a reporter that does not report deletes", "a store that ignores tokens"} {
		c := faultNamed(t, name)
		found := c.check()
		h := found.world.history
		_, again := c.run(h)
		require.NotNil(t, again, name)
		require.Equal(t, found.what, again.what)
		for i := range h.steps {
			_, f := c.run(h.with(func(h *history) { h.steps = slices.Delete(h.steps, i, i+1) }))
			require.True(t, f == nil || f.oracle != found.oracle, "%s: step %d can go", name, i)
		}
	}
}

// Of several steps the same one is chosen for as long as it is there.
func TestPropertyAChoiceStaysWhenOthersGo(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		s := step{seed: r.Uint64()}
		ids := r.Perm(2 + r.IntN(maxSteps-2))
		chosen := s.pick(ids)
		fewer := slices.DeleteFunc(slices.Clone(ids), func(id int) bool { return id != chosen && r.IntN(2) == 0 })
		require.Equal(t, chosen, s.pick(fewer))
	}
}
