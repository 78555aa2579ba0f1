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
		"lww": {
			Edits: 238, NoChange: 1, Conflicts: 88, Records: 50,
			Fates: Fates{Changes: 615, Visible: 398, Back: 61, Replaced: 136, Reported: 81},
			Kinds: map[string]Fates{
				ofField:       {Changes: 506, Visible: 326, Back: 53, Replaced: 124, Reported: 56},
				ofCounter:     {Changes: 39, Visible: 29, Back: 3, Replaced: 2, Reported: 8},
				ofSetElement:  {Changes: 18, Visible: 12, Back: 2, Replaced: 3, Reported: 3},
				ofListElement: {Changes: 41, Visible: 28, Back: 3, Replaced: 3, Reported: 10},
				ofRecord:      {Changes: 11, Visible: 3, Replaced: 4, Reported: 4},
			},
		},
		"priority": {
			Edits: 238, NoChange: 1, Conflicts: 77, Records: 50,
			Fates: Fates{Changes: 615, Visible: 361, Back: 38, Replaced: 160, Reported: 94},
			Kinds: map[string]Fates{
				ofField:       {Changes: 506, Visible: 298, Back: 35, Replaced: 142, Reported: 66},
				ofCounter:     {Changes: 39, Visible: 23, Back: 1, Replaced: 4, Reported: 12},
				ofSetElement:  {Changes: 18, Visible: 8, Back: 1, Replaced: 5, Reported: 5},
				ofListElement: {Changes: 41, Visible: 26, Back: 1, Replaced: 5, Reported: 10},
				ofRecord:      {Changes: 11, Visible: 6, Replaced: 4, Reported: 1},
			},
		},
		fieldMerge: {
			Edits: 238, NoChange: 1, Conflicts: 45, Records: 50,
			Fates: Fates{Changes: 615, Visible: 383, Replaced: 203, Reported: 28, Outdone: 1},
			Kinds: map[string]Fates{
				ofField:       {Changes: 506, Visible: 309, Replaced: 181, Reported: 16},
				ofCounter:     {Changes: 39, Visible: 28, Replaced: 6, Reported: 5},
				ofSetElement:  {Changes: 18, Visible: 9, Replaced: 5, Reported: 3, Outdone: 1},
				ofListElement: {Changes: 41, Visible: 30, Replaced: 7, Reported: 4},
				ofRecord:      {Changes: 11, Visible: 7, Replaced: 4},
			},
		},
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
			assert.Equal(t, got.Changes, got.Visible+got.Replaced+got.Reported+got.Outdone+got.Lost)
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
			"prefs":   record{"lang": "en", "mail": record{}, "topics": []any{"music", "news", "travel"}},
		},
		"henry.walker": {
			"name": "Henry Walker", "phone": "+1 512 555 0108", "plan": "free",
			"address": record{"street": "8 Congress Avenue", "city": "Austin"},
			"prefs":   record{"lang": "en", "topics": []any{"chess"}},
			"stats":   record{"logins": int64(9), "points": int64(110)},
		},
		"jack.nguyen": {
			"name": "Jack Nguyen", "phone": "+1 408 555 0110", "plan": "team", "seats": int64(9), "prefs": record{"lang": "vi"},
			"address": record{"street": "64 First Street", "city": "San Jose"},
			"stats":   record{"logins": int64(8)},
			"devices": []any{
				record{"id": "j1", "name": "Work phone", "os": record{"name": "Android"}},
				record{"id": "j2", "name": "Desk laptop"},
				record{"id": "j3", "name": "Tablet"},
			},
		},
		"mei.chen": {
			"name": "Mei Chen-Walker", "phone": "+65 5550 0213", "plan": "pro", "prefs": record{"lang": "en"},
			"address": record{"street": "10 Duxton Road", "city": "Singapore"},
			"places":  []any{record{"lat": 48.85, "lon": 2.35}, record{"lat": 35.68, "lon": 139.69}},
		},
		"dirk.janssen": { // what stands below the address is newer than the text in its place
			"name": "Dirk Janssen", "phone": "+31 20 555 0104", "plan": "pro",
			"address": record{"country": "NL"}, "prefs": record{"lang": "nl", "push": true},
		},
		// A record that was created again has nothing of what it was before.
		"nils.hansen":  {"name": "Nils Hansen", "phone": "+45 35 55 03 14", "plan": "pro", "stats": record{"logins": int64(1)}, "tags": []any{"press"}},
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
	assert.Equal(t, map[op]int{create: 58, replace: 170, remove: 11}, ops)
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

func TestParseChanges(t *testing.T) {
	id := []string{"", "id", ""}
	for word, want := range map[string][]Change{
		"a.b=x":                     {{Path: "a.b", Value: "x"}},
		"-a":                        {{Kind: unsetField, Path: "a"}},
		"a=[]":                      {{Path: "a", Value: []any{}}},
		"a=b=c":                     {{Path: "a", Value: "b=c"}},
		"a+=7":                      {{Kind: addElement, Path: "a", Value: int64(7), Count: 1}},
		"a-=x":                      {{Kind: dropElement, Path: "a", Value: "x"}},
		"stats.points+=7":           {{Kind: addCount, Path: "stats.points", Value: int64(7)}},
		"stats.points-=7":           {{Kind: addCount, Path: "stats.points", Value: int64(-7)}},
		"a[id=7].n+=x":              {{Kind: addElement, Path: "a.7.n", Keys: id, Value: "x", Count: 1}},
		"a[id=7].n=x":               {{Path: "a.7.n", Keys: id, Value: "x"}},
		"-a[id=7]":                  {{Kind: noObject, Path: "a.7", Keys: id[:2]}},
		"-a[id=7].n":                {{Kind: unsetField, Path: "a.7.n", Keys: id}},
		`a+={"id":7,"n":"x","m":1}`: {{Kind: newObject, Path: "a.7", Keys: id[:2], Value: int64(7)}, {Path: "a.7.m", Keys: id, Value: int64(1)}, {Path: "a.7.n", Keys: id, Value: "x"}},
		`a+={"n":1.5}`:              {{Kind: addElement, Path: "a", Value: record{"n": 1.5}, Count: 1}},
	} {
		got, err := parseChanges(word)
		require.NoError(t, err, word)
		assert.Equal(t, want, got, word)
	}
}

func TestParseSampleErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no phase", "us a create x=1", `f:1: an edit before the first phase; expected a line that begins with "=="`},
		{"cut", "== p; cut us-uk", `f:1: no link "us-uk"; expected us-eu, us-ap or eu-ap`},
		{"short", "# c\n\n== p\nus a", `f:4: found "us a"; expected region, profile, what is done, and fields`},
		{"region", "== p\nuk a create x=1", `f:2: no region "uk"; expected us, eu or ap`},
		{"op", "== p\nus a drop x=1", `f:2: cannot "drop"; expected create, set or delete`},
		{"field", "== p\nus a set x", `f:2: found "x"; expected field=value, field+=value, field-=value or -field`},
		{"list", "== p\nus a set x=[\"y\"]", `f:2: cannot set "x" once the profile is there; expected field+=value or field-=value`},
		{"counter", "== p\nus a set stats.logins=3", `f:2: cannot set "stats.logins" once the profile is there; expected field+=value or field-=value`},
		{"count", "== p\nus a set stats.logins+=many", "f:2: cannot count many; expected a whole number"},
		{"count nothing", "== p\nus a set stats.logins+=0", "f:2: cannot count 0; expected a whole number"},
		{"object", "== p\nus a set l[7].x=1", `f:2: found "l[7]"; expected an object of a list as in devices[id=7]`},
		{"open bracket", "== p\nus a set -l[id=7", `f:2: found "l[id=7"; expected an object of a list as in devices[id=7]`},
		{"path", "== p\nus a set x\\y=1", "f:2: fieldmerge: invalid path: `x\\y` " + `has a lone "\" at byte 1; write "\\"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseSample("f", c.text)
			assert.EqualError(t, err, c.want)
		})
	}
}
