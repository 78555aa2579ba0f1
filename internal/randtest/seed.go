// Package randtest draws for random tests, so that they play the same histories each
// time: what a test draws depends on its name and on FIELDWISE_SEED alone, and not on
// which tests run beside it, before it, or how often.
//
// FIELDWISE_SEED is a number, 1 if it is not set. FIELDWISE_SEED=random draws one for
// each run of a test binary: .ci/long does that. Tests log the number, so that it can be
// given again.
package randtest

import (
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
)

const seedVariable = "FIELDWISE_SEED"

// Seed is a seed for a test, and logs how to have it again. It is never zero. Tests and
// subtests with other names get others.
func Seed(t testing.TB) uint64 {
	t.Helper()
	number, err := parse(os.Getenv(seedVariable))
	if err != nil {
		t.Fatalf("%s: %v", seedVariable, err)
	}
	t.Logf("seed: %s=%d repeats it", seedVariable, number)
	return mix(number, t.Name())
}

func parse(text string) (uint64, error) {
	switch text {
	case "":
		return 1, nil
	case "random":
		return drawn(), nil
	}
	return strconv.ParseUint(text, 0, 64)
}

// drawn is the number of this process.
var drawn = sync.OnceValue(func() uint64 { return rand.Uint64() >> 32 })

func mix(number uint64, name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash never fails
	return max(rand.NewPCG(number, h.Sum64()).Uint64(), 1)
}
