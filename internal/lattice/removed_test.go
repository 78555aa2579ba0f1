package lattice

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
)

func TestRemovedByListsWhatADeltaTakesAway(t *testing.T) {
	origins := threeOrigins()
	table := tableOf(t, origins)
	body, delta := dotsOf(t, nil, 0, 5, elementsOf("a", "b", "c", "d"), nil)
	all, err := RemovedBy(table, delta)
	require.NoError(t, err)
	require.Empty(t, all, "what only adds")

	body, delta = dotsOf(t, body, 1, 6, elementsOf("e"), elementsOf("b", "c"))
	all, err = RemovedBy(table, delta)
	require.NoError(t, err)
	at := fieldwise.Version{Time: 5, Origin: origins[0]}
	require.Equal(t, []Removed{{Version: at, First: 1, Last: 2}}, all, "neighbours are one run")

	_, delta = dotsOf(t, body, 1, 7, nil, elementsOf("a", "d", "e"))
	all, err = RemovedBy(table, delta)
	require.NoError(t, err)
	require.Equal(t, []Removed{
		{Version: at, First: 0, Last: 0},
		{Version: at, First: 3, Last: 3},
		{Version: fieldwise.Version{Time: 6, Origin: origins[1]}},
	}, all)

	_, err = RemovedBy(nil, delta)
	require.ErrorIs(t, err, fieldwise.ErrMalformed)
	for n := range delta {
		_, _ = RemovedBy(table, delta[:n]) // no panic
	}
}
