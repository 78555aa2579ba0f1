package sim

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/value"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

var rewrite = flag.Bool("update", false, "rewrite what the scenarios in testdata say")

// TestScenarios plays the stories in testdata/scenarios, and compares what comes of each of
// their commands with what stands below it. The package comment has the commands.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			got := playScenario(string(text))
			if *rewrite {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
				text = []byte(got)
			}
			if diff := cmp.Diff(string(text), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
			require.NotContains(t, got, outputIndent+"broken:")
			require.NotContains(t, got, outputIndent+"mistake:")
		})
	}
}

// What a scenario cannot be is said below the command, as what comes of it.
func TestScenariosNameMistakes(t *testing.T) {
	for command, says := range map[string]string{
		"regions a b\nrain a":             `there is no command "rain"`,
		"regions a b\nwrite c k name=x":   `there is no region "c"`,
		"regions a b\nclock a soon":       `want 2099, right or a time`,
		"regions a b\nwrite a k name":     `want FIELD=VALUE`,
		"regions a b\nrun\n":              `run needs 1`,
		"regions a b\nrelease a 3":        `there is no release "3"`,
		"write a k name=x":                `there is no region "a"`,
		"regions a b\nkill a\nshow k\n":   "a is down",
		"regions a b\ncount a k hits one": `invalid syntax`,
	} {
		require.Contains(t, playScenario(command), says, command)
	}
}

const outputIndent = "    "

// holding are lines of a story that say what a region has by now.
var holding = regexp.MustCompile(`s \S+ has \S+:\d`)

// playScenario returns the script with what comes of its commands.
func playScenario(script string) string {
	var out strings.Builder
	s := &scenario{release: make(map[fieldwise.Region]string), doing: make(map[*write]func(*fieldmerge.Documents) error)}
	for lines := bufio.NewScanner(strings.NewReader(script)); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, outputIndent) {
			continue // what came of a command before
		}
		out.WriteString(line + "\n")
		if words := strings.Fields(line); len(words) > 0 && words[0] != "#" {
			for _, said := range s.command(words) {
				out.WriteString(outputIndent + said + "\n")
			}
		}
	}
	return out.String()
}

// scenario is a story while it goes on, and its workload. What it does not have of a workload
// is of histories that are drawn.
type scenario struct {
	workload
	world   *world
	release map[fieldwise.Region]string // of the service, that a region runs
	doing   map[*write]func(*fieldmerge.Documents) error
}

type mistake string

func mistaken(format string, args ...any) { panic(mistake(fmt.Sprintf(format, args...))) }

// command does what a line says, and returns what comes of it.
func (s *scenario) command(words []string) (said []string) {
	before := 0
	if s.world != nil {
		before = len(s.world.story)
	}
	defer func() {
		last := recover()
		if s.world != nil {
			for _, line := range s.world.story[before:] {
				if !holding.MatchString(line) {
					said = append(said, strings.TrimSpace(line))
				}
			}
		}
		switch v := last.(type) {
		case nil:
		case broken:
			said = append(said, "broken: "+string(v))
		case ended:
			said = append(said, "found: "+v.err.Error())
		case mistake:
			said = append(said, "mistake: "+string(v))
		default:
			panic(v)
		}
	}()
	name, args := words[0], words[1:]
	c, ok := scenarioCommands[name]
	switch {
	case !ok:
		mistaken("there is no command %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(scenarioCommands)), ", "))
	case len(args) < c.least:
		mistaken("%s needs %d words: %s", name, c.least, c.form)
	}
	c.do(s, args)
	return nil
}

// scenarioCommands are the commands by their names, as the package comment has them.
var scenarioCommands map[string]scenarioCommand

type scenarioCommand struct {
	least int // words behind the name
	form  string
	do    func(s *scenario, args []string)
}

func init() { // several of them look at others
	scenarioCommands = map[string]scenarioCommand{
		"regions": {2, "REGION REGION ...", (*scenario).begin},
		"release": {2, "REGION RELEASE", (*scenario).deploy},
		"write": {3, "REGION KEY FIELD=VALUE ...", func(s *scenario, args []string) {
			s.change("sets", args, func(doc map[string]any) error {
				for _, arg := range args[2:] {
					field, val, ok := strings.Cut(arg, "=")
					if !ok {
						mistaken("want FIELD=VALUE, got %q", arg)
					}
					doc[field] = val
				}
				return nil
			})
		}},
		"unset": {3, "REGION KEY FIELD", func(s *scenario, args []string) {
			s.change("unsets", args, func(doc map[string]any) error { delete(doc, args[2]); return nil })
		}},
		"count": {4, "REGION KEY FIELD AMOUNT", func(s *scenario, args []string) {
			by, err := strconv.ParseInt(args[3], 10, 64)
			if err != nil {
				mistaken("%v", err)
			}
			s.change("counts", args, func(doc map[string]any) error {
				n, _ := doc[args[2]].(int64)
				doc[args[2]] = n + by
				return nil
			})
		}},
		"add": {4, "REGION KEY FIELD VALUE", func(s *scenario, args []string) {
			s.change("adds to", args, func(doc map[string]any) error {
				all, _ := doc[args[2]].([]any)
				doc[args[2]] = append(slices.Clone(all), args[3])
				return nil
			})
		}},
		"remove": {4, "REGION KEY FIELD VALUE", func(s *scenario, args []string) {
			s.change("removes from", args, func(doc map[string]any) error {
				all, _ := doc[args[2]].([]any)
				doc[args[2]] = slices.DeleteFunc(slices.Clone(all), func(v any) bool { return v == args[3] })
				return nil
			})
		}},
		"delete": {2, "REGION KEY", func(s *scenario, args []string) {
			s.write(args, "deletes", "", func(d *fieldmerge.Documents) error {
				_, err := d.Delete(context.Background(), args[1])
				return err
			})
		}},
		"cut": {2, "REGION REGION", func(s *scenario, args []string) { s.cut(s.region(args[0]), s.region(args[1]), forever) }},
		"heal": {0, "[REGION REGION]", func(s *scenario, args []string) {
			for _, a := range s.world.regions {
				for _, b := range s.world.regions {
					if len(args) < 2 || slices.Contains(args, string(a.name)) && slices.Contains(args, string(b.name)) {
						s.cut(a, b, 0)
					}
				}
			}
		}},
		"kill": {1, "REGION", func(s *scenario, args []string) {
			r := s.region(args[0])
			r.restart(r.machine.CrashSoft(), time.Second)
		}},
		"power": {1, "REGION", func(s *scenario, args []string) {
			r := s.region(args[0])
			r.restart(r.machine.CrashRand(r.drop), time.Second)
		}},
		"backup": {1, "REGION", func(s *scenario, args []string) { s.world.copyDisk(s.region(args[0])) }},
		"restore": {1, "REGION ...", func(s *scenario, args []string) {
			for _, name := range args {
				s.world.putBack(s.region(name))
			}
		}},
		"discard": {1, "REGION", func(s *scenario, args []string) { s.world.discard(s.region(args[0])) }},
		"empty": {1, "REGION", func(s *scenario, args []string) {
			s.world.faults |= Snapshots // or it would ask for every entry that there ever was
			s.world.empty(s.region(args[0]))
		}},
		"forget": {1, "REGION", func(s *scenario, args []string) { s.world.raise(s.region(args[0]), 1) }},
		"clone":  {1, "REGION", func(s *scenario, args []string) { s.world.twin(s.region(args[0])) }},
		"clock":  {2, "REGION 2099|right|TIME", func(s *scenario, args []string) { s.region(args[0]).offset = offset(args[1]) }},
		"run":    {1, "TIME", func(s *scenario, args []string) { s.run(duration(args[0])) }},
		"show":   {1, "KEY", (*scenario).show},
	}
}

const forever = 1 << 62

// begin starts the regions.
func (s *scenario) begin(names []string) {
	w := newWorld(Plan{Seed: 1}, true)
	w.conditions = conditions{regions: len(names), latency: 20 * time.Millisecond, sync: 2 * time.Millisecond, ship: 100, patient: 5 * time.Second}
	w.work, w.byHand = s, true
	s.world = w
	for _, name := range names {
		w.addRegion(fieldwise.Region(name))
	}
	for _, r := range w.regions {
		for _, peer := range w.regions {
			if peer != r {
				w.link(r, peer)
			}
		}
		r.start()
	}
}

func (s *scenario) region(name string) *region {
	if s.world != nil {
		for _, r := range s.world.regions {
			if string(r.name) == name || r.twin && name == string(r.name)+"'" {
				return r
			}
		}
	}
	mistaken("there is no region %q", name)
	return nil
}

// deploy starts a region anew with another release of the service.
func (s *scenario) deploy(args []string) {
	r := s.region(args[0])
	if releases[args[1]] == nil {
		mistaken("there is no release %q", args[1])
	}
	s.release[r.name] = args[1]
	r.stop()
	r.start()
}

// cut takes a link down in both directions, until some time.
func (s *scenario) cut(a, b *region, until time.Duration) {
	for _, d := range slices.Concat(a.links, b.links) {
		if d.to == a && d.from == b || d.to == b && d.from == a {
			d.cut = [2]time.Duration{until, until}
		}
	}
}

// run lets time pass.
func (s *scenario) run(d time.Duration) {
	if s.world == nil {
		mistaken("there are no regions")
	}
	w := s.world
	for until := w.now + d; ; w.step() {
		if len(w.events) == 0 || w.events[0].at > until {
			w.now = until
			return
		}
	}
}

func duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		mistaken("want 2099, right or a time such as 5m: %v", err)
	}
	return d
}

// offset is how wrong a clock is.
func offset(text string) time.Duration {
	switch text {
	case "2099":
		return time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC).Sub(epoch)
	case "right":
		return 0
	}
	return duration(text)
}

// change updates a document, or creates it.
func (s *scenario) change(what string, args []string, change func(doc map[string]any) error) {
	s.write(args, what, strings.Join(args[2:], " "), func(d *fieldmerge.Documents) error {
		_, err := d.Upsert(context.Background(), args[1], change)
		return err
	})
}

func (s *scenario) write(args []string, what, value string, do func(*fieldmerge.Documents) error) {
	r := s.region(args[0])
	if !r.up {
		s.world.tell("%s is down", r.name)
		return
	}
	m := &write{key: args[1], what: what, value: value}
	s.doing[m] = do
	s.world.write(r, m)
	if r.engine.Identity().Standing == engine.Waiting {
		s.world.tell("%s waits to know who signs", r.name)
	}
	s.run(10 * time.Millisecond) // until it is durable
}

// show tells what readers see in each region, and what stands still there.
func (s *scenario) show(args []string) {
	for _, r := range s.world.regions {
		name := string(r.name)
		if r.twin {
			name += "'"
		}
		if !r.up {
			s.world.tell("%s is down", name)
			continue
		}
		doc, err := r.client.(scenarioClient).docs.Get(context.Background(), args[0])
		text, _ := json.Marshal(doc) // of strings, numbers and lists
		switch {
		case errors.Is(err, fieldwise.ErrNotFound):
			text = []byte("nothing")
		case err != nil:
			s.world.fail("%s cannot be read: %v", args[0], err)
		}
		s.world.tell("%s shows %s, knowing %s", name, text, short(r.held))
		stopped := r.engine.Stats(r.wall()).Stopped
		for _, o := range slices.SortedFunc(maps.Keys(stopped), fieldwise.Origin.Compare) {
			s.world.tell("%s takes nothing of %s", name, o.Region)
		}
	}
}

// releases are the schemas of the service, by release. The second ranks the values of plan by
// region, and has notes: a list, of which the first cannot even merge states.
var releases = map[string]func() (*fieldmerge.DocumentSchema, error){
	"1": func() (*fieldmerge.DocumentSchema, error) {
		return fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("tags", fieldmerge.ORSet), fieldmerge.Field("hits", fieldmerge.PNCounter))
	},
	"2": func() (*fieldmerge.DocumentSchema, error) {
		return fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("tags", fieldmerge.ORSet), fieldmerge.Field("hits", fieldmerge.PNCounter),
			fieldmerge.Ranks("a"), fieldmerge.Field("plan", fieldmerge.Priority), fieldmerge.Field("notes", fieldmerge.List))
	},
}

// open implements workload.
func (s *scenario) open(r *region) (client, error) {
	release := s.release[r.name]
	if release == "" {
		release = "1"
	}
	schema, err := releases[release]()
	if err != nil {
		return nil, err
	}
	var host fieldwise.Host = r
	if release == "1" {
		host = newOlderHost(r, schema.Merger())
	}
	docs, err := fieldmerge.OpenDocuments(host, name, schema)
	return scenarioClient{s, r, docs}, err
}

// report implements workload.
func (s *scenario) report(r *region, c *fieldwise.Conflict, _ bool) error {
	s.world.tell("%s reports %v: %s of %s, which %s wrote, lost to %s of %s (%s)", r.name, c.Kind,
		valueText(c.Loser.Value), c.Field, s.writer(c.Loser.Version), valueText(c.Winner.Value), s.writer(c.Winner.Version), c.Policy)
	return nil
}

// writer names a write by its receipt.
func (s *scenario) writer(v fieldwise.Version) string {
	if m := s.world.byOrigin[v]; m != nil {
		return fmt.Sprintf("%s/%d", v.Origin.Region, m.receipt.Seq)
	}
	return "nobody"
}

func valueText(encoded []byte) string {
	if encoded == nil {
		return "nothing"
	}
	v, err := value.Any(encoded)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%q", fmt.Sprint(v))
}

// scenarioClient does in a region what a command says.
type scenarioClient struct {
	scenario *scenario
	region   *region
	docs     *fieldmerge.Documents
}

func (c scenarioClient) write(m *write) error {
	err := c.scenario.doing[m](c.docs)
	if errors.Is(err, fieldwise.ErrNotFound) {
		c.region.w.tell("%s has no %s", c.region.name, m.key)
		return nil
	}
	return err
}
