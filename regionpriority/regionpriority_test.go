package regionpriority_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/mapstore"
	"github.com/fieldwise/fieldwise/regionpriority"
)

func sibling(time fieldwise.Timestamp, r fieldwise.Region, incarnation uint64) fieldwise.Sibling {
	return fieldwise.Sibling{Version: fieldwise.Version{Time: time, Origin: fieldwise.Origin{Region: r, Incarnation: incarnation}}}
}

func TestPolicyRanksRegionsThenVersions(t *testing.T) {
	p, err := regionpriority.NewPolicy("home", "eu")
	require.NoError(t, err)
	require.Equal(t, "priority", p.Name())
	for name, c := range map[string]struct {
		siblings []fieldwise.Sibling
		want     int
	}{
		"one":                            {[]fieldwise.Sibling{sibling(1, "x", 1)}, 0},
		"rank beats time":                {[]fieldwise.Sibling{sibling(1, "home", 1), sibling(2, "eu", 1), sibling(3, "x", 1)}, 0},
		"unranked after ranked":          {[]fieldwise.Sibling{sibling(1, "x", 1), sibling(2, "eu", 1), sibling(3, "y", 1)}, 1},
		"unranked by version":            {[]fieldwise.Sibling{sibling(1, "x", 1), sibling(2, "a", 1)}, 1},
		"incarnations of one by version": {[]fieldwise.Sibling{sibling(1, "home", 9), sibling(2, "home", 1), sibling(3, "x", 1)}, 1},
	} {
		s, err := p.Resolve(c.siblings)
		require.NoError(t, err)
		require.Equal(t, c.siblings[c.want], s, name)
	}
	s, err := regionpriority.Policy{}.Resolve([]fieldwise.Sibling{sibling(1, "home", 1), sibling(2, "x", 1)})
	require.NoError(t, err)
	require.Equal(t, sibling(2, "x", 1), s, "the zero value ranks nobody")
}

func TestRanksAreChecked(t *testing.T) {
	_, err := regionpriority.NewPolicy()
	require.EqualError(t, err, "regionpriority: invalid ranks: no region; name at least the one that prevails")
	_, err = regionpriority.NewMerger("a", "", "a", "B_")
	require.ErrorIs(t, err, regionpriority.ErrRanks)
	require.ErrorIs(t, err, fieldwise.ErrRegion)
	require.EqualError(t, err, strings.Join([]string{
		`regionpriority: invalid ranks: rank 2: fieldwise: invalid region name: empty; name the place that takes the writes, such as "eu-west-1"`,
		`regionpriority: invalid ranks: "a" has ranks 1 and 3; name each region once`,
		`regionpriority: invalid ranks: rank 4: fieldwise: invalid region name: "B_" has 'B' at byte 0; only a-z, 0-9 and '-' are allowed`,
	}, "\n"))
	_, err = regionpriority.Open[string](mapstore.New(fieldwise.Origin{Region: "a"}, nil), "d")
	require.ErrorIs(t, err, regionpriority.ErrRanks)
}

// A low rank that has seen a value replaces it.
func TestRankDecidesBetweenConcurrentValuesOnly(t *testing.T) {
	ctx := context.Background()
	var stores []*mapstore.Store
	open := func(r fieldwise.Region) func(v string) {
		h := mapstore.New(fieldwise.Origin{Region: r, Incarnation: 1}, nil)
		d, err := regionpriority.Open[string](h, "d", "home")
		require.NoError(t, err)
		m, err := regionpriority.NewMerger("home")
		require.NoError(t, err)
		s, err := h.Domain("d", m)
		require.NoError(t, err)
		stores = append(stores, s.(*mapstore.Store))
		return func(v string) {
			_, err := d.Put(ctx, "k", v)
			require.NoError(t, err)
		}
	}
	home, branch := open("home"), open("branch")
	show := func(want string) {
		t.Helper()
		require.NoError(t, stores[0].Merge("k", stores[1].State("k")))
		require.NoError(t, stores[1].Merge("k", stores[0].State("k")))
		for _, s := range stores {
			require.Equal(t, stores[0].State("k"), s.State("k"))
			m, err := regionpriority.NewMerger("home")
			require.NoError(t, err)
			all, err := m.Siblings(s.State("k"))
			require.NoError(t, err)
			p, err := regionpriority.NewPolicy("home")
			require.NoError(t, err)
			shown, err := p.Resolve(all)
			require.NoError(t, err)
			require.Equal(t, want, string(shown.Value[1:]))
		}
	}
	home("h")
	branch("b")
	show("h")
	branch("c")
	show("c")
}
