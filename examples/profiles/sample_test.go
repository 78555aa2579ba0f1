package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
)

func mustSample(t *testing.T) *Script {
	t.Helper()
	s, err := sample()
	require.NoError(t, err)
	return s
}

func mustChoose(t *testing.T, name string) []strategy {
	t.Helper()
	sts, err := choose(name)
	require.NoError(t, err)
	return sts
}

func TestSampleUnderEachStrategy(t *testing.T) {
	// Numbers change with the sample, and LogBytes and StateBytes with the formats. Lost is
	// 0 whatever happens.
	want := map[string]Tally{
		"lww":      {Edits: 203, NoChange: 1, Changes: 500, Visible: 322, Back: 52, Replaced: 125, Reported: 53, Conflicts: 65, Records: 50},
		"priority": {Edits: 203, NoChange: 1, Changes: 500, Visible: 300, Back: 33, Replaced: 144, Reported: 56, Conflicts: 60, Records: 50},
		fieldMerge: {Edits: 203, NoChange: 1, Changes: 500, Visible: 308, Replaced: 181, Reported: 11, Conflicts: 26, Records: 50},
	}
	s := mustSample(t)
	for _, st := range mustChoose(t, "") {
		t.Run(st.Name, func(t *testing.T) {
			res, err := runStrategy(t.Context(), t.TempDir(), st, s, listener{})
			require.NoError(t, err)
			got := res.Tally
			assert.Positive(t, got.LogBytes)
			assert.Positive(t, got.StateBytes)
			got.LogBytes, got.StateBytes = 0, 0
			assert.Equal(t, want[st.Name], got)
			assert.Equal(t, got.Changes, got.Visible+got.Replaced+got.Reported+got.Lost)
			assert.Empty(t, res.Problems)
			require.Len(t, res.Proof, len(regions))
			for _, p := range res.Proof {
				assert.Equal(t, res.Proof[0].Hash, p.Hash, "%s against %s", p.Region, res.Proof[0].Region)
				assert.Equal(t, p.Hash, p.Reopened, "%s after reopening", p.Region)
			}
		})
	}
}

// Some records that a reader of sample.txt can work out by hand.
func TestSampleRecords(t *testing.T) {
	res, err := runStrategy(t.Context(), t.TempDir(), mustChoose(t, fieldMerge)[0], mustSample(t), listener{})
	require.NoError(t, err)
	for key, want := range map[string]record{
		"asha.rao": {
			"name": "Asha Rao-Mehta", "phone": "+1 202 555 0501", "plan": "pro",
			"address": record{"street": "7 Linking Road", "city": "Mumbai"},
			"prefs":   record{"lang": "en", "mail": record{"digest": "weekly"}},
		},
		"luis.ortega": {
			"name": "Luis Ortega", "phone": "+1 213 555 0112", "plan": "free",
			"address": record{"street": "905 Sunset Terrace", "city": "Los Angeles"},
			"prefs":   record{"lang": "en", "mail": record{}},
		},
		"dirk.janssen": { // what stands below the address is newer than the text in its place
			"name": "Dirk Janssen", "phone": "+31 20 555 0104", "plan": "pro",
			"address": record{"country": "NL"}, "prefs": record{"lang": "nl", "push": true},
		},
		"nils.hansen":  {"name": "Nils Hansen", "phone": "+45 35 55 03 14", "plan": "pro"},
		"orla.byrne":   nil, // a delete wins over an update
		"olivia.brown": nil,
		"noah.fischer": nil,
		"quinn.taylor": {
			"name": "Quinn Taylor", "phone": "+1 702 555 0217", "plan": "team", "seats": int64(2),
			"address": record{"city": "Sydney"}, "prefs": record{"lang": "en"},
		},
	} {
		assert.Equal(t, want, res.final[key], key)
	}
}

// checked looks at each replacement on its way to a strategy.
type checked struct {
	profiles
	changes *[]Change
}

func (c checked) Replace(ctx context.Context, key string, from, to record) (fieldwise.Receipt, error) {
	*c.changes = diff(from, to)
	return c.profiles.Replace(ctx, key, from, to)
}

// The tally takes an edit by its word, so each field that an edit names must be one that
// it changes, under every strategy. The exception is an edit that changes nothing at all.
func TestSampleEditsChangeWhatTheyName(t *testing.T) {
	s := mustSample(t)
	for _, st := range mustChoose(t, "") {
		t.Run(st.Name, func(t *testing.T) {
			c, err := openCluster(t.Context(), t.TempDir(), st, s)
			require.NoError(t, err)
			var made []Change
			for name, in := range c.profiles {
				c.profiles[name] = checked{in, &made}
			}
			require.NoError(t, c.play(t.Context(), s, 1, listener{acknowledged: func(_ strategy, e *Edit, wrote bool) {
				if e.Op != replace {
					assert.True(t, wrote, "edit %d, %s of %s", e.N, e.Op, e.Key)
					return
				}
				assert.Equal(t, wrote, len(made) > 0, "edit %d", e.N)
				for _, change := range e.Changes {
					if wrote {
						assert.Contains(t, made, change, "edit %d of %s", e.N, e.Key)
					}
				}
			}}))
			require.NoError(t, c.close())
		})
	}
}

// Wherever a region writes, its clock is ahead of everything that it has: so no logical
// clock ever had to step in, and a run that was interrupted gives the same timestamps.
func TestSampleTimestampsAreThoseOfItsClocks(t *testing.T) {
	s := mustSample(t)
	c, err := openCluster(t.Context(), t.TempDir(), mustChoose(t, fieldMerge)[0], s)
	require.NoError(t, err)
	require.NoError(t, c.play(t.Context(), s, 1, listener{}))
	logs, err := c.readLogs(t.Context(), s)
	require.NoError(t, err)
	edits := s.edits()
	for _, entry := range logs[us] {
		e := edits[entry.N-1]
		assert.Equal(t, fieldwise.NewTimestamp(e.Time.Add(s.Skew[e.Region])), entry.Version.Time, "edit %d", e.N)
	}
	require.NoError(t, c.close())
}

func TestSampleIsWhatItSays(t *testing.T) {
	s := mustSample(t)
	assert.Len(t, s.keys(), 50)
	assert.Len(t, s.Phases, 7)
	ops := make(map[op]int)
	in := make(map[fieldwise.Region]int)
	for _, e := range s.edits() {
		ops[e.Op]++
		in[e.Region]++
	}
	assert.Equal(t, map[op]int{create: 58, replace: 135, remove: 11}, ops)
	for _, name := range regions {
		assert.Greater(t, in[name], 50, name)
	}
}

func TestReaches(t *testing.T) {
	for _, c := range []struct {
		name string
		cut  []link
		want map[fieldwise.Region][]fieldwise.Region
	}{
		{"all linked", nil, map[fieldwise.Region][]fieldwise.Region{us: {us, eu, ap}, eu: {us, eu, ap}, ap: {us, eu, ap}}},
		{"through the third", []link{{us, eu}}, map[fieldwise.Region][]fieldwise.Region{us: {us, eu, ap}, eu: {us, eu, ap}, ap: {us, eu, ap}}},
		{"one alone", []link{{us, eu}, {us, ap}}, map[fieldwise.Region][]fieldwise.Region{us: {us}, eu: {eu, ap}, ap: {eu, ap}}},
		{"all alone", links, map[fieldwise.Region][]fieldwise.Region{us: {us}, eu: {eu}, ap: {ap}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for from, want := range c.want {
				assert.ElementsMatch(t, want, (&Phase{Cut: c.cut}).reaches(from), from)
			}
		})
	}
}

func TestParseSampleErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no phase", "us a create x=1", `f:1: an edit before the first phase; expected a line that begins with "=="`},
		{"cut", "== p; cut us-uk", `f:1: no link "us-uk"; expected us-eu, us-ap or eu-ap`},
		{"short", "# c\n\n== p\nus a", `f:4: found "us a"; expected region, profile, what is done, and fields`},
		{"region", "== p\nuk a create x=1", `f:2: no region "uk"; expected us, eu or ap`},
		{"op", "== p\nus a drop x=1", `f:2: cannot "drop"; expected create, set or delete`},
		{"field", "== p\nus a set x", `f:2: found "x"; expected field=value or -field`},
		{"path", "== p\nus a set x\\y=1", "f:2: fieldmerge: invalid path: `x\\y` " + `has a lone "\" at byte 1; write "\\"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseSample("f", c.text)
			assert.EqualError(t, err, c.want)
		})
	}
}
