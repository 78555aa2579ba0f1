package lattice

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// longestCommon is the length of a longest common subsequence, by the textbook.
func longestCommon(a, b [][]byte) int {
	rows := make([][]int, len(a)+1)
	rows[0] = make([]int, len(b)+1)
	for i := range a {
		rows[i+1] = make([]int, len(b)+1)
		for j := range b {
			rows[i+1][j+1] = max(rows[i][j+1], rows[i+1][j])
			if bytes.Equal(a[i], b[j]) {
				rows[i+1][j+1] = rows[i][j] + 1
			}
		}
	}
	return rows[len(a)][len(b)]
}

func TestPropertyMatchingIsALongestCommonSubsequence(t *testing.T) {
	randtest.Check(t, 2000, 10_000, func(t *rapid.T) {
		from, to := valuesOf(drawLetters(t, "abcd")), valuesOf(drawLetters(t, "abcd"))
		n, last := 0, -1
		for j, i := range matching(from, to) {
			if i < 0 {
				continue
			}
			require.Greater(t, i, last, "in order")
			require.Equal(t, from[i], to[j])
			n, last = n+1, i
		}
		require.Equal(t, longestCommon(from, to), n, "%s", fmt.Sprint(from, to))
	})
}

// Lists that differ in too much match where they begin and end alike.
func TestMatchingIsBounded(t *testing.T) {
	numbers := func(n, first int) (values [][]byte) {
		for i := range n {
			values = append(values, wire.AppendUint(nil, uint64(first+i)))
		}
		return values
	}
	ends := numbers(3, 0)
	from := slices.Concat(ends, numbers(5000, 100_000), ends)
	to := slices.Concat(ends, numbers(5000, 200_000), numbers(1, 100_000), ends)
	match := matching(from, to)
	require.Equal(t, []int{0, 1, 2}, match[:3])
	require.Equal(t, []int{5003, 5004, 5005}, match[len(match)-3:])
	for _, i := range match[3 : len(match)-3] {
		require.Equal(t, -1, i)
	}
	large := numbers(200_000, 0)
	changed := slices.Delete(slices.Clone(large), 1000, 1010)
	changed[150_000] = from[0]
	n := 0
	for _, i := range matching(large, changed) {
		if i >= 0 {
			n++
		}
	}
	require.Equal(t, len(large)-11, n, "few changes in a large list")
}
