package randtest

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// named is a test of some name, which logs nothing.
type named struct {
	testing.TB
	name  string
	fatal bool
}

func (n *named) Helper()               {}
func (n *named) Name() string          { return n.name }
func (n *named) Logf(string, ...any)   {}
func (n *named) Fatalf(string, ...any) { n.fatal = true }

func TestSeedIsAMatterOfNameAndNumber(t *testing.T) {
	a, b := &named{name: "TestA"}, &named{name: "TestA/b"}
	t.Setenv(seedVariable, "")
	first := Seed(a)
	require.Equal(t, first, Seed(a))
	require.NotEqual(t, first, Seed(b))
	require.Equal(t, uint64(0xe3841638a333614f), first, "other histories than yesterday")

	t.Setenv(seedVariable, "1")
	require.Equal(t, first, Seed(a))

	t.Setenv(seedVariable, "2")
	require.NotEqual(t, first, Seed(a))

	t.Setenv(seedVariable, "random")
	random := Seed(a)
	require.NotEqual(t, first, random)
	require.Equal(t, random, Seed(a), "one number a process")

	t.Setenv(seedVariable, "seven")
	Seed(a)
	require.True(t, a.fatal)
}

func TestHistoriesAreAsManyAsTheEnvironmentSays(t *testing.T) {
	part := func(n int) int {
		if testing.Short() {
			return n / 5
		}
		return n
	}
	t.Setenv("FIELDWISE_LONG", "")
	t.Setenv("FIELDWISE_HISTORIES", "")
	require.Equal(t, part(10), Histories(t, 10, 50))
	t.Setenv("FIELDWISE_LONG", "1")
	require.Equal(t, part(50), Histories(t, 10, 50))
	t.Setenv("FIELDWISE_HISTORIES", "70")
	require.Equal(t, part(70), Histories(t, 10, 50))
	t.Setenv("FIELDWISE_HISTORIES", "0")
	require.Equal(t, 1, Histories(t, 10, 50))
	t.Setenv("FIELDWISE_HISTORIES", "many")
	n := &named{}
	Histories(n, 10, 50)
	require.True(t, n.fatal)
}

// Checks of one name draw the same, whatever ran between them.
func TestCheckPlaysTheSameHistories(t *testing.T) {
	t.Setenv("FIELDWISE_HISTORIES", "20")
	play := func() (drew []uint64) {
		Check(t, 1, 1, func(t *rapid.T) { drew = append(drew, rapid.Uint64().Draw(t, "n")) })
		return drew
	}
	t.Setenv(seedVariable, "5")
	first := play()
	require.Len(t, first, Histories(t, 1, 1))
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(first))), len(first), "each is another")
	t.Run("between", func(t *testing.T) { Check(t, 1, 1, func(t *rapid.T) { rapid.Bool().Draw(t, "b") }) })
	require.Equal(t, first, play())
	t.Setenv(seedVariable, "6")
	require.NotEqual(t, first, play())
}
