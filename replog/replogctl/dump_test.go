package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

// dumpedLines runs dump and returns what it prints.
func dumpedLines(t testing.TB, args ...string) (all []dumpedEntry) {
	t.Helper()
	for line := range strings.Lines(shown(t, append([]string{"dump"}, args...)...)) {
		var e dumpedEntry
		require.NoError(t, json.Unmarshal([]byte(line), &e), line)
		all = append(all, e)
	}
	return all
}

func TestDumpHasWhatTheReplicaHas(t *testing.T) {
	c := filled(t)
	for _, dir := range []string{c.us, c.eu} {
		all := dumpedLines(t, dir)
		r := c.open(t, dir)
		i := 0
		for e, err := range r.Entries(t.Context()) {
			require.NoError(t, err)
			got := all[i]
			require.Equal(t, e.Receipt(), fieldwise.Receipt{Origin: got.Origin, Seq: got.Seq, Time: got.Version.Time})
			require.Equal(t, []any{e.Domain, e.Key, e.Note, e.Delta}, []any{got.Domain, got.Key, got.Note, got.Delta})
			require.Empty(t, got.Problem)
			i++
		}
		require.Len(t, all, i)
		require.NoError(t, r.Close())
	}
}

func TestDumpFilters(t *testing.T) {
	c := filled(t)
	all := dumpedLines(t, c.us)
	require.Len(t, all, 18)
	eu := all[4].Origin
	for args, want := range map[string]string{
		"":                                  "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
		"--domain visits":                   "8 9 10",
		"--domain visits --limit 2":         "8 9",
		"--key asha":                        "0 2 4",
		"--domain settings --key asha":      "",
		"--origin eu-west-1":                "4 5",
		"--origin " + eu.String():           "4 5",
		"--origin eu-west-1#1":              "",
		"--since 2026-11-28T09:00:16Z":      "16 17",
		"--since 2026-11-28T10:00:16+01:00": "16 17",
		"--until 2026-11-28T09:00:02Z":      "0 1",
		"--since 2026-11-28T09:00:03Z --until 2026-11-28T09:00:05Z": "4 5",
		fmt.Sprintf("--from %d", all[15].Position):                  "15 16 17",
		fmt.Sprintf("--from %d --limit 1", all[5].Position):         "4",
		"--limit 3":     "0 1 2",
		"--limit 99":    "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
		"--domain none": "",
	} {
		got := dumpedLines(t, append([]string{c.us}, strings.Fields(args)...)...)
		var indices []string
		for _, e := range got {
			for i := range all {
				if all[i].Origin == e.Origin && all[i].Seq == e.Seq {
					require.Equal(t, all[i], e, "whatever else is shown")
					indices = append(indices, fmt.Sprint(i))
				}
			}
		}
		require.Equal(t, want, strings.Join(indices, " "), args)
		require.Len(t, got, len(indices))
	}
}

func TestDumpLeavesOutWhatAnotherReplicaHas(t *testing.T) {
	c := filled(t)
	all := dumpedLines(t, c.us)
	last := all[len(all)-1]
	covered := fieldwise.Vector{last.Origin: last.Seq - 1}
	for _, e := range all {
		if e.Origin != last.Origin {
			covered[e.Origin] = max(covered[e.Origin], e.Seq)
		}
	}
	require.Greater(t, len(covered), 1)
	require.Equal(t, []dumpedEntry{last}, dumpedLines(t, c.us, "--beyond", covered.String()))
	require.Equal(t, all, dumpedLines(t, c.us, "--beyond", ""))
}

// Names of mergers are found also where they stand behind the entries, and only then.
func TestDumpKnowsMergersOfEntriesThatWereHeld(t *testing.T) {
	c := filled(t)
	held := dumpedLines(t, c.eu, "--domain", "visits")
	require.Len(t, held, 3)
	for _, e := range held {
		require.True(t, e.Held)
		require.Empty(t, e.Merger)
		require.Nil(t, e.Change)
	}
	r := c.open(t, c.eu)
	must[fieldwise.Store](t)(r.Domain("visits", mergers["counter/1"].Merger))
	require.NoError(t, r.Close())
	for _, e := range dumpedLines(t, c.eu, "--domain", "visits") {
		require.Equal(t, "counter/1", e.Merger)
		require.NotNil(t, e.Change)
	}
}

func TestDumpSaysWhyAChangeCannotBeRead(t *testing.T) {
	c := small(t)
	good := entriesOf(t, c.us)[2]
	bad := rewritten(t, c.us, "-bad", func(i int, payload []byte) [][]byte {
		if i == 2 {
			good.Delta = append(good.Delta, 0xc1)
			return [][]byte{payload, entryWith(good, func(*engine.Entry) {})}
		}
		return [][]byte{payload}
	})
	last := dumpedLines(t, bad)[3]
	require.Nil(t, last.Change)
	require.Contains(t, last.Problem, "malformed state")
	require.Equal(t, good.Delta, last.Delta)
}

func TestDumpRefusesPositions(t *testing.T) {
	c := small(t)
	all := dumpedLines(t, c.us)
	for from, says := range map[string]string{
		fmt.Sprint(all[1].Position + 1): "no frame begins there",
		"999999999":                     "there is no such position",
		"18446744073709551615":          "is no position of any log",
		"-1":                            "invalid value",
		"x":                             "invalid value",
	} {
		code, stdout, stderr := call(t, "dump", c.us, "--from", from)
		require.Equal(t, exitUsage, code, from)
		require.Empty(t, stdout)
		require.Contains(t, stderr, says, from)
	}
}

func TestDumpShowsWhatStandsInFrontOfDamage(t *testing.T) {
	c := small(t)
	bad := rewritten(t, c.us, "-bad", func(i int, payload []byte) [][]byte {
		if i == 1 {
			return [][]byte{payload, part(99, nil)}
		}
		return [][]byte{payload}
	})
	code, stdout, stderr := call(t, "dump", bad)
	require.Equal(t, exitFound, code)
	require.Equal(t, 2, strings.Count(stdout, "\n"))
	require.Contains(t, stderr, "a newer release wrote this log")
}
