package crdt_test

import (
	"flag"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// histories runs the property over n random cases, or long under FIELDWISE_LONG=1, or
// as many as FIELDWISE_HISTORIES says, and prints how many there were. rapid logs the
// seed of a failure and shrinks it; -rapid.seed replays it.
func histories(t *testing.T, n, long int, property func(*rapid.T)) {
	t.Helper()
	if os.Getenv("FIELDWISE_LONG") == "1" {
		n = long
	}
	if s := os.Getenv("FIELDWISE_HISTORIES"); s != "" {
		given, err := strconv.Atoi(s)
		require.NoError(t, err, "FIELDWISE_HISTORIES")
		n = given
	}
	for name, value := range map[string]string{"rapid.checks": strconv.Itoa(n), "rapid.nofailfile": "true"} {
		old := flag.Lookup(name).Value.String()
		require.NoError(t, flag.Set(name, value))
		defer func() { _ = flag.Set(name, old) }()
	}
	floor := n
	if testing.Short() {
		floor = n / 5 // rapid runs a fifth
	}
	ran := 0
	rapid.Check(t, func(t *rapid.T) {
		property(t)
		ran++
	})
	t.Logf("histories: %d", ran)
	require.GreaterOrEqual(t, ran, floor, "histories")
}
