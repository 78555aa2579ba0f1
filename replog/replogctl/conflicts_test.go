package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog"
)

// reportLines runs conflicts and returns what it prints.
func reportLines(t testing.TB, args ...string) (all []report) {
	t.Helper()
	for line := range strings.Lines(shown(t, append([]string{"conflicts", "--json"}, args...)...)) {
		var one struct {
			report
			ID string `json:"id"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &one), line)
		require.Len(t, one.ID, 32)
		all = append(all, one.report)
	}
	return all
}

func TestConflictsAreThoseOfTheReplica(t *testing.T) {
	c := filled(t)
	for _, dir := range []string{c.us, c.eu} {
		stdout := shown(t, "conflicts", "--json", dir)
		all := reportLines(t, dir)
		r := c.open(t, dir)
		i := 0
		for want, err := range r.Conflicts(t.Context(), 0) {
			require.NoError(t, err)
			got := all[i]
			require.Equal(t, want.Position, got.Number)
			require.Contains(t, stdout, want.ID().String())
			require.Equal(t, []string{want.Kind.String(), want.Domain, want.Key, want.Field, want.Policy, want.Reason, want.LoserNote, want.WinnerNote},
				[]string{got.Kind, got.Domain, got.Key, got.Field, got.Policy, got.Reason, got.Loser.Note, got.Winner.Note})
			require.Equal(t, want.Loser.Version, *got.Loser.By)
			require.JSONEq(t, string(valueJSON(want.Loser.Value)), string(got.Loser.Value))
			i++
		}
		require.Len(t, all, i)
		require.Equal(t, 2, i)
		require.NoError(t, r.Close())
	}
}

func TestConflictsFilters(t *testing.T) {
	c := filled(t)
	all := reportLines(t, c.us)
	for args, want := range map[string]string{
		"":                             "1 2",
		"--kind update/delete":         "2",
		"--kind shape":                 "",
		"--domain profiles --key asha": "1",
		"--key none":                   "",
		"--origin us-east-1":           "1 2",
		"--origin ap-south-1":          "",
		"--since 2026-11-28T09:00:03Z": "2",
		"--until 2026-11-28T09:00:03Z": "1",
		"--limit 1":                    "1",
		fmt.Sprintf("--from %d", all[1].Position):   "1 2",
		fmt.Sprintf("--from %d", all[1].Position+1): "",
	} {
		var numbers []string
		for _, r := range reportLines(t, append([]string{c.us}, strings.Fields(args)...)...) {
			numbers = append(numbers, fmt.Sprint(r.Number))
		}
		require.Equal(t, want, strings.Join(numbers, " "), args)
	}
}

func TestConflictsWithoutNotes(t *testing.T) {
	c := filled(t)
	require.NotContains(t, shown(t, "conflicts", "--no-notes", c.us), "ticket 7")
	require.NotContains(t, shown(t, "conflicts", "--no-notes", "--json", c.us), "ticket 7")
}

func TestConflictsRefusesKinds(t *testing.T) {
	code, _, stderr := call(t, "conflicts", "--kind", "deletes", t.TempDir())
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr, "the kinds are update/update, update/delete, shape, duplicate stamp, create/create, policy error, kind")
}

// More reports than are kept at a time are printed in as many passes as it takes.
func TestConflictsPrintsAnyNumber(t *testing.T) {
	c := newCluster(t)
	us, eu := c.open(t, c.us), c.open(t, c.eu)
	here, there := profiles(t, us), profiles(t, eu)
	link := must[*replog.Link](t)(replog.Connect(us, eu))
	require.NoError(t, eu.WaitApplied(t.Context(), must[fieldwise.Receipt](t)(here.Create(t.Context(), "asha", profile{Name: "Asha"}))))
	link.Cut()
	const tags = perPass + perPass/2
	noted := replog.WithNote(t.Context(), "many tags")
	must[fieldwise.Receipt](t)(there.Update(noted, "asha", func(p *profile) error {
		for i := range tags {
			p.Tags.Add(fmt.Sprint(i))
		}
		return nil
	}))
	must[fieldwise.Receipt](t)(here.Delete(t.Context(), "asha"))
	link.Heal()
	require.NoError(t, us.WaitVector(t.Context(), eu.Vector()))
	require.NoError(t, link.Close())
	require.NoError(t, us.Close())

	all := reportLines(t, c.us)
	require.GreaterOrEqual(t, len(all), tags)
	for i, r := range all {
		require.EqualValues(t, i+1, r.Number)
		require.Equal(t, "many tags", r.Loser.Note)
	}
	limited := reportLines(t, c.us, "--limit", fmt.Sprint(perPass+1))
	require.Equal(t, all[:perPass+1], limited)
}
