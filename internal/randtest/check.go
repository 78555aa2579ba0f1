package randtest

import (
	"flag"
	"os"
	"strconv"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// Histories is how many histories a test plays: usual, or long under FIELDWISE_LONG=1, or
// as many as FIELDWISE_HISTORIES says, and at least one. Under -short it is a fifth.
func Histories(t testing.TB, usual, long int) int {
	t.Helper()
	n := usual
	if os.Getenv("FIELDWISE_LONG") == "1" {
		n = long
	}
	if s := os.Getenv("FIELDWISE_HISTORIES"); s != "" {
		given, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("FIELDWISE_HISTORIES: %v", err)
		}
		n = given
	}
	if testing.Short() {
		n /= 5
	}
	return max(n, 1)
}

// rapids is held while rapid runs: how it runs is a matter of flags, of which there is one
// set for the whole process.
var rapids sync.Mutex

// Check demands a property of as many random histories as [Histories] says, logs how many
// there were, and fails below that. rapid shrinks a failure, and logs a seed that
// -rapid.seed takes; without that, Check draws from [Seed].
func Check(t *testing.T, usual, long int, property func(*rapid.T)) {
	t.Helper()
	rapids.Lock()
	defer rapids.Unlock()
	n := Histories(t, usual, long)
	checks := n
	if testing.Short() {
		checks *= 5 // of which rapid runs a fifth
	}
	defer set(t, "rapid.checks", strconv.Itoa(checks))()
	defer set(t, "rapid.nofailfile", "true")()
	if flag.Lookup("rapid.seed").Value.String() == "0" {
		defer set(t, "rapid.seed", strconv.FormatUint(Seed(t), 10))()
	}
	ran := 0
	rapid.Check(t, func(t *rapid.T) {
		property(t)
		ran++
	})
	t.Logf("histories: %d", ran)
	if ran < n {
		t.Fatalf("%d histories ran, %d were asked for", ran, n)
	}
}

// set gives a flag a value, and returns what takes it back.
func set(t *testing.T, name, value string) func() {
	old := flag.Lookup(name).Value.String()
	if err := flag.Set(name, value); err != nil {
		t.Fatalf("-%s: %v", name, err)
	}
	return func() { _ = flag.Set(name, old) }
}
