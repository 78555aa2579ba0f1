package crdt_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/replog"
)

// region is a replica with one domain of each mechanism.
type region struct {
	*replog.Replica
	counters *crdt.Counters
	sets     *crdt.Sets[string]
	lists    *crdt.Lists[string]
	flags    *crdt.Flags
	high     *crdt.Max[int]
	low      *crdt.Min[int]
}

func openRegion(t *testing.T, dir string, name fieldwise.Region, ms int64) *region {
	r, err := replog.Open(ctx(), replog.Config{
		Region: name, Dir: filepath.Join(dir, string(name)),
		Wall: func() time.Time { return time.UnixMilli(1_800_000_000_000 + ms) },
	})
	require.NoError(t, err)
	out := &region{Replica: r}
	out.counters, err = crdt.OpenCounters(r, "counters")
	require.NoError(t, err)
	out.sets, err = crdt.OpenSets[string](r, "sets")
	require.NoError(t, err)
	out.lists, err = crdt.OpenLists[string](r, "lists")
	require.NoError(t, err)
	out.flags, err = crdt.OpenFlags(r, "flags")
	require.NoError(t, err)
	out.high, err = crdt.OpenMax[int](r, "high")
	require.NoError(t, err)
	out.low, err = crdt.OpenMin[int](r, "low")
	require.NoError(t, err)
	return out
}

// expect checks what a region shows under the key.
func (r *region) expect(t *testing.T, count int64, set, list []string, flag bool, high, low int) {
	t.Helper()
	n, err := r.counters.Get(ctx(), "k")
	require.NoError(t, err)
	s, err := r.sets.Get(ctx(), "k")
	require.NoError(t, err)
	l, err := r.lists.Get(ctx(), "k")
	require.NoError(t, err)
	f, err := r.flags.Get(ctx(), "k")
	require.NoError(t, err)
	h, err := r.high.Get(ctx(), "k")
	require.NoError(t, err)
	m, err := r.low.Get(ctx(), "k")
	require.NoError(t, err)
	require.Equal(t, []any{count, set, list, flag, high, low}, []any{n, s, l, f, h, m})
}

// Two linked regions that write while the link is cut show the same after it heals, and after
// they were closed and opened again.
func TestDomainsInLinkedReplicas(t *testing.T) {
	dir := t.TempDir()
	eu, us := openRegion(t, dir, "eu-west-1", 0), openRegion(t, dir, "us-east-1", 100)
	link, err := replog.Connect(eu.Replica, us.Replica)
	require.NoError(t, err)
	settle := func() {
		t.Helper()
		require.NoError(t, us.WaitVector(ctx(), eu.Vector()))
		require.NoError(t, eu.WaitVector(ctx(), us.Vector()))
		for _, domain := range []string{"counters", "sets", "lists", "flags", "high", "low"} {
			a, err := eu.Digest(ctx(), domain)
			require.NoError(t, err)
			b, err := us.Digest(ctx(), domain)
			require.NoError(t, err)
			require.Equal(t, a, b, "%s: both hold the same bytes", domain)
		}
		require.NoError(t, link.Err())
	}
	wrote := func(receipt fieldwise.Receipt, err error) {
		t.Helper()
		require.NoError(t, err)
		require.False(t, receipt.IsZero())
	}
	wrote(eu.counters.Inc(ctx(), "k", 10))
	wrote(eu.sets.Add(ctx(), "k", "a", "b", "c"))
	wrote(eu.lists.Append(ctx(), "k", "a", "b", "c"))
	wrote(eu.flags.Enable(ctx(), "k"))
	wrote(eu.high.Raise(ctx(), "k", 5))
	wrote(eu.low.Lower(ctx(), "k", 5))
	settle()

	link.Cut()
	wrote(eu.counters.Reset(ctx(), "k"))
	wrote(us.counters.Dec(ctx(), "k", 3))
	wrote(eu.sets.Remove(ctx(), "k", "a", "b"))
	wrote(us.sets.Add(ctx(), "k", "b", "d"))
	wrote(eu.lists.Update(ctx(), "k", func(list []string) ([]string, error) { return append([]string{"x"}, list[1:]...), nil }))
	wrote(us.lists.Update(ctx(), "k", func(list []string) ([]string, error) { return []string{list[0], list[2], "y"}, nil }))
	wrote(eu.flags.Disable(ctx(), "k"))
	wrote(us.flags.Enable(ctx(), "k"))
	wrote(eu.high.Raise(ctx(), "k", 7))
	wrote(us.high.Raise(ctx(), "k", 9))
	wrote(eu.low.Delete(ctx(), "k"))
	wrote(us.low.Lower(ctx(), "k", 4))
	check := func(r *region) { r.expect(t, -3, []string{"b", "c", "d"}, []string{"x", "c", "y"}, true, 9, 4) }
	link.Heal()
	settle()
	check(eu)
	check(us)

	require.NoError(t, eu.Close())
	eu = openRegion(t, dir, "eu-west-1", 200)
	check(eu)
	require.NoError(t, eu.Close())
	require.NoError(t, us.Close())
}

// Sets and lists that are large enough to be kept open are the same in both regions, and after
// opening again.
func TestLargeSetsAndListsInLinkedReplicas(t *testing.T) {
	dir := t.TempDir()
	eu, us := openRegion(t, dir, "eu-west-1", 0), openRegion(t, dir, "us-east-1", 100)
	link, err := replog.Connect(eu.Replica, us.Replica)
	require.NoError(t, err)
	var want []string
	for i := range 400 {
		want = append(want, fmt.Sprintf("element %03d", i))
	}
	for chunk := range slices.Chunk(want, 100) {
		_, err = eu.sets.Add(ctx(), "k", chunk...)
		require.NoError(t, err)
		_, err = eu.lists.Append(ctx(), "k", chunk...)
		require.NoError(t, err)
	}
	require.NoError(t, us.WaitVector(ctx(), eu.Vector()))
	link.Cut()
	_, err = eu.sets.Remove(ctx(), "k", want[:300]...)
	require.NoError(t, err)
	_, err = us.sets.Add(ctx(), "k", want[0], "new")
	require.NoError(t, err)
	_, err = us.sets.Remove(ctx(), "k", want[399])
	require.NoError(t, err)
	_, err = us.lists.Append(ctx(), "k", "new")
	require.NoError(t, err)
	_, err = eu.lists.Update(ctx(), "k", func(l []string) ([]string, error) { return l[300:], nil })
	require.NoError(t, err)
	link.Heal()
	check := func(r *region) {
		t.Helper()
		set, err := r.sets.Get(ctx(), "k")
		require.NoError(t, err)
		require.Equal(t, slices.Concat(want[:1], want[300:399], []string{"new"}), set)
		for _, v := range []string{want[0], want[1], want[399], "new"} {
			has, err := r.sets.Has(ctx(), "k", v)
			require.NoError(t, err)
			require.Equal(t, slices.Contains(set, v), has, v)
		}
		list, err := r.lists.Get(ctx(), "k")
		require.NoError(t, err)
		require.Equal(t, append(slices.Clone(want[300:]), "new"), list)
		n := 0
		for record, err := range r.sets.All(ctx(), "") {
			require.NoError(t, err)
			require.Equal(t, set, record.Value)
			n++
		}
		require.Equal(t, 1, n)
	}
	require.NoError(t, us.WaitVector(ctx(), eu.Vector()))
	require.NoError(t, eu.WaitVector(ctx(), us.Vector()))
	check(eu)
	check(us)
	for _, domain := range []string{"sets", "lists"} {
		a, err := eu.Digest(ctx(), domain)
		require.NoError(t, err)
		b, err := us.Digest(ctx(), domain)
		require.NoError(t, err)
		require.Equal(t, a, b, domain)
	}
	require.NoError(t, eu.Close())
	eu = openRegion(t, dir, "eu-west-1", 200)
	check(eu)
	require.NoError(t, eu.Close())
	require.NoError(t, us.Close())
}
