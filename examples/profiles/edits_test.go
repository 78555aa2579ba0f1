package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func writeEdits(t *testing.T, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "edits.jsonl")
	require.NoError(t, os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	return file
}

// tinyEdits has one pair of each kind. ours is later in the first, theirs in the others.
var tinyEdits = []string{
	`{"id":7,"class":"both_changed","base":{"a":1,"b":"x","p":{"q":true}},"ours":{"a":2,"b":"x","p":{"q":true}},"theirs":{"a":1,"b":"y","p":{"q":true,"r":null}},"ours_time":1395305007,"theirs_time":1395265321,"identical":false}`,
	`{"id":8,"class":"both_changed","base":{"a":1},"ours":{"a":2,"n":12345678901234567890},"theirs":{"a":3,"f":1.5},"ours_time":1395305000,"theirs_time":1395305001}`,
	``,
	`{"id":9,"class":"both_added","base":null,"ours":{"a":"us"},"theirs":{"a":"eu","b":[1,{"c":2}]},"ours_time":1400000000,"theirs_time":1400000001}`,
	`{"id":-1,"class":"change_delete","base":{"a":1,"b":2},"ours":null,"theirs":{"a":1,"b":3},"ours_time":1300000000,"theirs_time":1300000009}`,
	`{"id":0,"class":"change_delete","base":{"a":1,"b":2},"ours":{"a":5,"b":2},"theirs":null,"ours_time":1300000000,"theirs_time":1300000009}`,
	`{"id":10,"class":"both_changed","base":{"a":1},"ours":{"a":2},"theirs":{"a":2},"ours_time":1310000000,"theirs_time":1310000000,"identical":true}`,
	`{"id":11,"class":"what is this","base":{},"ours":{"a<b":"&"},"theirs":{},"ours_time":1310000000,"theirs_time":1310000000}`,
	`{"id":12,"class":"both_added","base":null,"ours":null,"theirs":{},"ours_time":1310000000,"theirs_time":1310000000}`,
}

func TestEditsEndToEnd(t *testing.T) {
	file := writeEdits(t, tinyEdits...)
	for _, c := range []struct{ strategy, want string }{
		{fieldMerge, `{"id":7,"record":{"a":2,"b":"y","p":{"q":true,"r":null}}}
{"id":8,"record":{"a":3,"f":1.5,"n":12345678901234567890}}
{"id":9,"record":{"a":"eu","b":[1,{"c":2}]}}
{"id":-1,"record":null}
{"id":0,"record":null}
{"id":10,"record":{"a":2}}
{"id":11,"record":{"a<b":"&"}}
{"id":12,"record":{}}
`},
		{"lww", `{"id":7,"record":{"a":2,"b":"x","p":{"q":true}}}
{"id":8,"record":{"a":3,"f":1.5}}
{"id":9,"record":{"a":"eu","b":[1,{"c":2}]}}
{"id":-1,"record":{"a":1,"b":3}}
{"id":0,"record":null}
{"id":10,"record":{"a":2}}
{"id":11,"record":{"a<b":"&"}}
{"id":12,"record":{}}
`},
		{"priority", `{"id":7,"record":{"a":2,"b":"x","p":{"q":true}}}
{"id":8,"record":{"a":2,"n":12345678901234567890}}
{"id":9,"record":{"a":"us"}}
{"id":-1,"record":null}
{"id":0,"record":{"a":5,"b":2}}
{"id":10,"record":{"a":2}}
{"id":11,"record":{"a<b":"&"}}
{"id":12,"record":{}}
`},
	} {
		t.Run(c.strategy, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			result := filepath.Join(t.TempDir(), "result.jsonl")
			out := runProfiles(t, "-edits", file, "-strategy", c.strategy, "-out", result)
			require.Equal(t, statusOK, out.status, out.stderr)
			assert.Empty(t, out.stderr)
			assert.Contains(t, out.stdout, "The edits of "+file+": 21 edits of 8 records")
			got, err := os.ReadFile(result)
			require.NoError(t, err)
			assert.Equal(t, c.want, string(got))
			for line := range bytes.Lines(got) {
				assert.True(t, json.Valid(line), string(line))
			}
			left, err := os.ReadDir(filepath.Dir(result))
			require.NoError(t, err)
			assert.Len(t, left, 1, "what was written aside is gone")
			assertEmptyDir(t, os.Getenv("TMPDIR"))
		})
	}
}

func TestEditsTally(t *testing.T) {
	doc := runJSON(t, "-edits", writeEdits(t, tinyEdits...))
	tallies := make(map[string]map[string]any)
	for _, r := range doc["strategies"].([]any) {
		r := r.(map[string]any)
		tallies[r["strategy"].(string)] = r["tally"].(map[string]any)
	}
	// In id 8 both sides change a, in 9 both add it, -1 and 0 delete against a change: four
	// changes that the others of their record hide.
	merged := tallies[fieldMerge]
	assert.EqualValues(t, 4, merged["reported"])
	assert.EqualValues(t, 0, merged["lost"])
	assert.EqualValues(t, 4, merged["conflicts"])
	assert.EqualValues(t, 0, merged["back"])
	assert.EqualValues(t, 1, merged["no_change"], "theirs of id 11")
	assert.EqualValues(t, 20, merged["edits"])
	assert.EqualValues(t, 0, tallies["lww"]["lost"])
	assert.EqualValues(t, 7, tallies["lww"]["reported"], "7: b, p.r; 8: a, n; 9: a; -1: the delete; 0: a")
}

// Lists merge by element, and each of their elements is judged by itself.
func TestEditsOfLists(t *testing.T) {
	file := writeEdits(t,
		`{"id":1,"base":{"l":[{"id":"a","n":1},{"id":"b","n":1}],"t":["x","y"]},"ours":{"l":[{"id":"a","n":2},{"id":"b","n":2}],"t":["x","y","z"]},"theirs":{"l":[{"id":"b","m":3,"n":1}],"t":["w","y"]},"ours_time":1300000000,"theirs_time":1300000001}`,
		`{"id":2,"base":{"t":["x","y","z"]},"ours":{"t":["x","y"]},"theirs":{"t":["z","x","y"]},"ours_time":1300000000,"theirs_time":1300000001}`)
	for name, want := range map[string]struct {
		record string
		fates  Fates
	}{
		fieldMerge: {`{"id":1,"record":{"l":[{"id":"b","m":3,"n":2}],"t":["w","y","z"]}}`, Fates{Changes: 17, Visible: 11, Back: 1, Replaced: 4, Reported: 1, Outdone: 1}},
		"lww":      {`{"id":1,"record":{"l":[{"id":"b","m":3,"n":1}],"t":["w","y"]}}`, Fates{Changes: 17, Visible: 10, Back: 2, Replaced: 3, Reported: 4}},
	} {
		out := filepath.Join(t.TempDir(), "out")
		doc := runProfiles(t, "-edits", file, "-strategy", name, "-out", out, "-json")
		require.Equal(t, statusOK, doc.status, doc.stderr)
		records, err := os.ReadFile(out)
		require.NoError(t, err)
		assert.Equal(t, want.record, strings.SplitN(string(records), "\n", 2)[0], name)
		var parsed struct{ Strategies []struct{ Tally Tally } }
		require.NoError(t, json.Unmarshal([]byte(doc.stdout), &parsed))
		assert.Equal(t, want.fates, parsed.Strategies[0].Tally.Fates, name)
	}
}

// Both sides' edits come in the order of their times, after all bases.
func TestScriptOfPairs(t *testing.T) {
	pairs, hash, err := readEdits(writeEdits(t, tinyEdits...))
	require.NoError(t, err)
	s := scriptOf("x", hash, pairs)
	require.Len(t, s.Phases, 2)
	assert.Empty(t, s.Phases[0].Cut)
	assert.Equal(t, links, s.Phases[1].Cut)
	for _, e := range s.Phases[0].Edits {
		assert.Equal(t, baseRegion, e.Region)
		assert.Equal(t, int64(1299999999), e.Time.Unix())
	}
	var order []string
	for _, e := range s.Phases[1].Edits {
		order = append(order, fmt.Sprintf("%s %s %s %d", e.Key, e.Region, e.Op, e.Time.Unix()))
	}
	assert.Equal(t, []string{
		"-1 us-east-1 delete 1300000000",
		"0 us-east-1 set 1300000000",
		"-1 eu-west-1 set 1300000009",
		"0 eu-west-1 delete 1300000009",
		"10 eu-west-1 set 1310000000",
		"11 eu-west-1 set 1310000000",
		"12 eu-west-1 create 1310000000",
		"10 us-east-1 set 1310000000",
		"11 us-east-1 set 1310000000",
		"7 eu-west-1 set 1395265321",
		"8 us-east-1 set 1395305000",
		"8 eu-west-1 set 1395305001",
		"7 us-east-1 set 1395305007",
		"9 us-east-1 create 1400000000",
		"9 eu-west-1 create 1400000001",
	}, order)
	assert.False(t, s.End.Before(s.Phases[1].Edits[14].Time))
	for i, e := range s.edits() {
		assert.Equal(t, i+1, e.N)
	}
}

func TestBadInput(t *testing.T) {
	const good = `{"id":1,"base":{},"ours":{"a":1},"theirs":{"a":2},"ours_time":1300000000,"theirs_time":1300000001}`
	with := func(old, replacement string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, replacement, 1)
	}
	const times = "Unix seconds, a whole number from 1 to 253402300799"
	for _, c := range []struct {
		name  string
		lines []string
		want  string // behind the file's name
	}{
		{"not JSON", []string{good, "id,base,ours"}, ":2: not JSON: invalid character 'i' looking for beginning of value at byte 1; expected one object a line, such as " + editsExample},
		{"ends early", []string{good[:50]}, ":1: not JSON: unexpected end of JSON input at byte 50; expected one object a line, such as " + editsExample},
		{"two on a line", []string{good + good}, fmt.Sprintf(":1: not JSON: invalid character '{' after top-level value at byte %d; expected one object a line, such as %s", len(good)+1, editsExample)},
		{"a list", []string{"[" + good + "]"}, ":1: found a list; expected an object, such as " + editsExample},
		{"a number", []string{"", "12"}, ":2: found a number; expected an object, such as " + editsExample},
		{"null", []string{"null"}, ":1: found null; expected an object, such as " + editsExample},
		{"no id", []string{with(`"id":1,`, "")}, `:1: "id" is missing; expected a whole number`},
		{"id in other letters", []string{with(`"id"`, `"ID"`)}, `:1: "id" is missing; expected a whole number`},
		{"id twice", []string{good, with(`"id":1`, `"id":2`), "", good}, `:4: id 1 is on line 1 already; expected each id once`},
		{"id a string", []string{with(`"id":1`, `"id":"1"`)}, `:1: "id" is "1"; expected a whole number`},
		{"id a fraction", []string{with(`"id":1`, `"id":1.5`)}, `:1: "id" is 1.5; expected a whole number`},
		{"no base", []string{with(`"base":{},`, "")}, `:1: "base" is missing; expected an object, or null where there was no record before`},
		{"base a list", []string{with(`"base":{}`, `"base":[]`)}, `:1: "base" is a list; expected an object, or null where there was no record before`},
		{"no ours", []string{with(`"ours":{"a":1},`, "")}, `:1: "ours" is missing; expected an object, or null where this side deleted the record`},
		{"no theirs", []string{good, with(`"id":1`, `"id":2,"x":1`), strings.Replace(with(`"id":1`, `"id":3`), `"theirs":{"a":2},`, "", 1)}, `:3: "theirs" is missing; expected an object, or null where this side deleted the record`},
		{"ours a string", []string{with(`{"a":1}`, `"gone"`)}, `:1: "ours" is a string; expected an object, or null where this side deleted the record`},
		{"theirs a boolean", []string{with(`{"a":2}`, `false`)}, `:1: "theirs" is a boolean; expected an object, or null where this side deleted the record`},
		{"no time", []string{with(`"ours_time":1300000000,`, "")}, `:1: "ours_time" is missing; expected ` + times},
		{"time a date", []string{with(`1300000001`, `"2011-03-13"`)}, `:1: "theirs_time" is "2011-03-13"; expected ` + times},
		{"time null", []string{with(`1300000001`, `null`)}, `:1: "theirs_time" is null; expected ` + times},
		{"time in milliseconds", []string{with(`1300000001`, `1300000000000`)}, `:1: "theirs_time" is 1300000000000; expected ` + times},
		{"time zero", []string{with(`1300000000`, `0`)}, `:1: "ours_time" is 0; expected ` + times},
		{"number too large", []string{with(`"a":1`, `"a":[1e999]`)}, `:1: "ours": the number 1e999 is too large for a float64`},
		{"too deep", []string{with(`{"a":2}`, strings.Repeat(`{"a":`, 20)+"1"+strings.Repeat("}", 20))}, `:1: "theirs" cannot be written: profiles: replace "1": to: field "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a": fieldwise: limit exceeded: maps within each other: 17, at most 16`},
		{"empty", nil, `:1: no edits; expected one JSON object a line, such as ` + editsExample},
		{"empty lines", []string{"", "", ""}, `:2: no edits; expected one JSON object a line, such as ` + editsExample},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			file := filepath.Join(t.TempDir(), "edits.jsonl")
			require.NoError(t, os.WriteFile(file, []byte(strings.Join(c.lines, "\n")), 0o600))
			dir := filepath.Join(t.TempDir(), "logs")
			result := filepath.Join(t.TempDir(), "result.jsonl")
			out := runProfiles(t, "-edits", file, "-strategy", fieldMerge, "-dir", dir, "-out", result)
			assert.Equal(t, output{status: statusFailed, stderr: "profiles: " + file + c.want + "\n"}, out)
			assert.NoDirExists(t, dir, "nothing is written")
			assert.NoFileExists(t, result)
			assertEmptyDir(t, os.Getenv("TMPDIR"))
		})
	}
}

func TestMissingFilesAndDirectories(t *testing.T) {
	at := t.TempDir()
	out := runProfiles(t, "-edits", filepath.Join(at, "none"))
	assert.Equal(t, output{status: statusFailed, stderr: "profiles: open " + filepath.Join(at, "none") + ": no such file or directory\n"}, out)

	dir := filepath.Join(at, "logs")
	out = runProfiles(t, "-edits", writeEdits(t, tinyEdits...), "-strategy", "lww", "-dir", dir, "-out", filepath.Join(at, "no", "r"))
	assert.Equal(t, output{status: statusFailed, stderr: "profiles: -out: stat " + filepath.Join(at, "no") + ": no such file or directory\n"}, out)
	assert.NoDirExists(t, dir)
}

// A line may be longer than any buffer.
func TestLongLine(t *testing.T) {
	long := strings.Repeat("y", 4*bufio.MaxScanTokenSize)
	file := writeEdits(t, `{"id":1,"base":null,"ours":{"a":"`+long+`"},"theirs":null,"ours_time":1300000000,"theirs_time":1300000001}`)
	result := filepath.Join(t.TempDir(), "r")
	out := runProfiles(t, "-edits", file, "-strategy", "lww", "-out", result)
	require.Equal(t, statusOK, out.status, out.stderr)
	got, err := os.ReadFile(result)
	require.NoError(t, err)
	assert.Equal(t, `{"id":1,"record":{"a":"`+long+`"}}`+"\n", string(got))
}

// A record that no region would take is found before any is written.
func TestTooLargeARecord(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	for _, st := range mustChoose(t, "") {
		for part, line := range map[string]string{
			"base":   `{"id":2,"base":{"a":"%s"},"ours":{},"theirs":{},"ours_time":1300000000,"theirs_time":1300000001}`,
			"ours":   `{"id":2,"base":{},"ours":{"a":"%s"},"theirs":{},"ours_time":1300000000,"theirs_time":1300000001}`,
			"theirs": `{"id":2,"base":null,"ours":{},"theirs":{"a":"%s"},"ours_time":1300000000,"theirs_time":1300000001}`,
		} {
			file := writeEdits(t, tinyEdits[0], fmt.Sprintf(line, strings.Repeat("x", 1<<20)))
			out := runProfiles(t, "-edits", file, "-strategy", st.Name, "-dir", dir)
			assert.Equal(t, statusFailed, out.status)
			assert.Contains(t, out.stderr, file+`:2: "`+part+`" cannot be written: `)
			assert.Contains(t, out.stderr, "limit exceeded: bytes of a record: ")
			assert.NoDirExists(t, dir)
		}
	}
}
