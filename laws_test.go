package fieldwise_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

// Small mergers that obey the laws. The broken ones below differ from them in the
// one thing that their name says.

var errState = errors.New("not a state")

// mergeFunc is a Merger without a state of its own.
type mergeFunc func(dst, a, b []byte) ([]byte, error)

func (mergeFunc) Name() string                             { return "test/1" }
func (f mergeFunc) Merge(dst, a, b []byte) ([]byte, error) { return f(dst, a, b) }
func stateless(f mergeFunc) func() fieldwise.Merger        { return func() fieldwise.Merger { return f } }

func always(m fieldwise.Merger) func() fieldwise.Merger { return func() fieldwise.Merger { return m } }

func fresh[M fieldwise.Merger](f func() M) func() fieldwise.Merger {
	return func() fieldwise.Merger { return f() }
}

// joinOf makes a Merge function of a check and of a join of two states that pass it.
func joinOf(check func(x []byte) error, join func(a, b []byte) []byte) mergeFunc {
	return func(dst, a, b []byte) ([]byte, error) {
		for _, x := range [][]byte{a, b} {
			if len(x) > 0 && check(x) != nil {
				return nil, errState
			}
		}
		switch {
		case len(a) == 0:
			return append(dst, b...), nil
		case len(b) == 0:
			return append(dst, a...), nil
		}
		return append(dst, join(a, b)...), nil
	}
}

func fourBytes(x []byte) error {
	if len(x) != 4 {
		return errState
	}
	return nil
}

func largerBytes(a, b []byte) []byte {
	if bytes.Compare(a, b) > 0 {
		return a
	}
	return b
}

// mergeMax: a state is four bytes, and the larger ones win.
var mergeMax = joinOf(fourBytes, largerBytes)

// mergeSet: a state is the elements of a set, single bytes in ascending order.
var mergeSet = joinOf(ascending, union)

func ascending(x []byte) error {
	for i := 1; i < len(x); i++ {
		if x[i-1] >= x[i] {
			return errState
		}
	}
	return nil
}

func union(a, b []byte) []byte {
	u := slices.Concat(a, b)
	slices.Sort(u)
	return slices.Compact(u)
}

// A write is one value with its stamp: time, region, the value's length, the value.
func write(time byte, region byte, value string) []byte {
	return append([]byte{time, region, byte(len(value))}, value...)
}

func isWrite(x []byte) error {
	if len(x) < 3 || len(x) != 3+int(x[2]) {
		return errState
	}
	return nil
}

// mergeLWW keeps the write with the larger stamp; of two values under one stamp the
// larger bytes win.
var mergeLWW = joinOf(isWrite, func(a, b []byte) []byte {
	if c := bytes.Compare(a[:2], b[:2]); c > 0 || c == 0 && bytes.Compare(a[3:], b[3:]) > 0 {
		return a
	}
	return b
})

var (
	maxSamples = [][]byte{{0, 0, 0, 1}, {0, 0, 1, 0}, {0, 1, 0, 0}, {9, 0, 0, 0}}
	setSamples = [][]byte{{1}, {2}, {1, 2}, {3, 7, 200}, {2, 7, 9}}
	lwwSamples = [][]byte{
		write(100, 'A', "x"), write(100, 'B', "y"), write(99, 'C', "z"),
		write(100, 'A', "xx"), write(101, 'C', ""),
	}
)

// brokenLaws are the names of the laws that err reports, in its order.
func brokenLaws(t *testing.T, err error) (names []string) {
	t.Helper()
	for _, e := range lawErrors(t, err) {
		names = append(names, e.Law)
	}
	return names
}

func lawErrors(t *testing.T, err error) (found []*fieldwise.LawError) {
	t.Helper()
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok, "not a joined error: %v", err)
	for _, e := range joined.Unwrap() {
		var law *fieldwise.LawError
		require.ErrorAs(t, e, &law)
		found = append(found, law)
	}
	return found
}

func TestCheckLawsPassesLawfulMergers(t *testing.T) {
	assert.NoError(t, fieldwise.CheckLaws(stateless(mergeMax), maxSamples...))
	assert.NoError(t, fieldwise.CheckLaws(stateless(mergeSet), setSamples...))
	assert.NoError(t, fieldwise.CheckLaws(stateless(mergeLWW), lwwSamples...))
	assert.NoError(t, fieldwise.CheckLaws(always(deletable{}), lwwSamples...), "deleter")
	assert.NoError(t, fieldwise.CheckLaws(always(reporter{}), lwwSamples...), "conflict reporter")
}

func TestCheckLawsPassesLawfulMergersOnRandomSamples(t *testing.T) {
	randtest.Check(t, 100, 1000, func(t *rapid.T) {
		sample := rapid.Custom(func(t *rapid.T) string {
			value := rapid.StringN(0, 2, 2).Draw(t, "value")
			return string(write(rapid.ByteRange(1, 2).Draw(t, "time"), rapid.ByteRange('A', 'C').Draw(t, "region"), value))
		})
		var samples [][]byte
		for _, s := range rapid.SliceOfNDistinct(sample, 3, 4, rapid.ID).Draw(t, "samples") {
			samples = append(samples, []byte(s))
		}
		if err := fieldwise.CheckLaws(stateless(mergeLWW), samples...); err != nil {
			t.Fatal(err)
		}
	})
}

// Counterexamples of FAULTS.md.

// CE01: the incoming write wins if its time is not lower.
var ce01 = joinOf(isWrite, func(a, b []byte) []byte {
	if b[0] >= a[0] {
		return b
	}
	return a
})

// CE02: stamps decide, and two values under one stamp are not thought of.
var ce02 = joinOf(isWrite, func(a, b []byte) []byte {
	if bytes.Compare(b[:2], a[:2]) > 0 {
		return b
	}
	return a
})

// CE06: within ten ticks the region of higher priority (A before B before C) wins,
// else the newest write.
var ce06 = joinOf(isWrite, func(a, b []byte) []byte {
	apart := int(a[0]) - int(b[0])
	switch {
	case a[1] == b[1], max(apart, -apart) > 10:
		if c := bytes.Compare([]byte{a[0], a[1]}, []byte{b[0], b[1]}); c != 0 {
			return map[bool][]byte{true: a, false: b}[c > 0]
		}
		return map[bool][]byte{true: a, false: b}[bytes.Compare(a[3:], b[3:]) > 0]
	case a[1] < b[1]:
		return a
	}
	return b
})

var ce06Samples = [][]byte{write(0, 'A', "x"), write(8, 'B', "y"), write(16, 'C', "z")}

// CE07: one value with a version vector, counters of A, B and C and then the region
// that wrote it. Causality decides, and else priority: A before C before B.
var ce07 = joinOf(func(x []byte) error {
	if len(x) != 4 || x[3] > 2 || x[x[3]] == 0 {
		return errState
	}
	return nil
}, func(a, b []byte) []byte {
	covers := func(a, b []byte) bool { return a[0] >= b[0] && a[1] >= b[1] && a[2] >= b[2] }
	switch known, knows := covers(a, b), covers(b, a); {
	case known && !knows:
		return a
	case knows && !known:
		return b
	}
	priority := [...]byte{0: 3, 1: 1, 2: 2}
	winner := a[3]
	if priority[b[3]] > priority[a[3]] {
		winner = b[3]
	}
	return []byte{max(a[0], b[0]), max(a[1], b[1]), max(a[2], b[2]), winner}
})

var ce07Samples = [][]byte{{1, 0, 0, 0}, {1, 1, 0, 1}, {0, 0, 1, 2}}

func TestCheckLawsCounterexamples(t *testing.T) {
	t.Run("CE01 incoming wins ties", func(t *testing.T) {
		err := fieldwise.CheckLaws(stateless(ce01), write(100, 'A', "x"), write(100, 'B', "y"), write(1, 'C', "z"))
		assert.Contains(t, brokenLaws(t, err), "commutative")
	})
	t.Run("CE02 one stamp and two values", func(t *testing.T) {
		err := fieldwise.CheckLaws(stateless(ce02), write(100, 'A', "v1"), write(100, 'A', "v2"), write(1, 'B', "z"))
		assert.Equal(t, []string{"commutative"}, brokenLaws(t, err))
	})
	t.Run("CE02 found by flipped bits alone", func(t *testing.T) {
		err := fieldwise.CheckLaws(stateless(ce02), write(100, 'A', "v1"), write(101, 'A', "v2"), write(1, 'B', "z"))
		assert.Equal(t, []string{"commutative"}, brokenLaws(t, err))
	})
	t.Run("CE06 priority inside a time window", func(t *testing.T) {
		requirePairsPass(t, ce06, ce06Samples)
		err := fieldwise.CheckLaws(stateless(ce06), ce06Samples...)
		assert.Equal(t, []string{"associative"}, brokenLaws(t, err))
	})
	t.Run("CE06 found by flipped bits alone", func(t *testing.T) {
		err := fieldwise.CheckLaws(stateless(ce06), write(0, 'A', "x"), write(8, 'B', "y"), write(0, 'C', "z"))
		assert.Equal(t, []string{"associative"}, brokenLaws(t, err))
	})
	t.Run("CE07 causality, else priority", func(t *testing.T) {
		requirePairsPass(t, ce07, ce07Samples)
		err := fieldwise.CheckLaws(stateless(ce07), ce07Samples...)
		assert.Equal(t, []string{"associative"}, brokenLaws(t, err))
	})
}

// requirePairsPass shows that no law of two states is broken by the samples.
func requirePairsPass(t *testing.T, m fieldwise.Merger, samples [][]byte) {
	t.Helper()
	merge := func(a, b []byte) []byte {
		out, err := m.Merge(nil, a, b)
		require.NoError(t, err)
		return out
	}
	for _, a := range samples {
		require.Equal(t, a, merge(a, a))
		require.Equal(t, a, merge(nil, a))
		for _, b := range samples {
			require.Equal(t, merge(a, b), merge(b, a))
			require.Equal(t, merge(a, b), merge(a, merge(a, b)))
		}
	}
}

// caching knows its last inputs by reference.
type caching struct {
	mu        sync.Mutex
	a, b, out []byte
}

func (*caching) Name() string { return "test/1" }

func (m *caching) Merge(dst, a, b []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.out == nil || !bytes.Equal(a, m.a) || !bytes.Equal(b, m.b) {
		out, err := mergeSet(nil, a, b)
		if err != nil {
			return nil, err
		}
		m.a, m.b, m.out = a, b, out
	}
	return append(dst, m.out...), nil
}

// remembering keeps results in a map and gives the same memory again.
type remembering struct {
	mu    sync.Mutex
	known map[string][]byte
}

func (*remembering) Name() string { return "test/1" }

func (m *remembering) Merge(dst, a, b []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := string(a) + "+" + string(b)
	if _, ok := m.known[key]; !ok {
		out, err := mergeSet(nil, a, b)
		if err != nil {
			return nil, err
		}
		m.known[key] = slices.Clip(out)
	}
	if dst == nil {
		return m.known[key], nil
	}
	return append(dst, m.known[key]...), nil
}

// scratch returns one buffer again and again, except beside other calls, where the
// race detector would end the test.
type scratch struct {
	mu  sync.Mutex
	buf []byte
}

func (*scratch) Name() string { return "test/1" }

func (m *scratch) Merge(dst, a, b []byte) (out []byte, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if dst != nil || beside() {
		return mergeSet(dst, a, b)
	}
	m.buf, err = mergeSet(m.buf[:0], a, b)
	return m.buf, err
}

// counting has a past: each 97th join is lost.
type counting struct{ calls atomic.Int64 }

func (*counting) Name() string { return "test/1" }

func (m *counting) Merge(dst, a, b []byte) ([]byte, error) {
	if m.calls.Add(1)%97 == 0 {
		return append(dst, a...), nil
	}
	return mergeSet(dst, a, b)
}

// crowded goes wrong when it is called while another call runs, which it waits for.
type crowded struct {
	running *atomic.Int64
	fault   func() ([]byte, error)
}

func (crowded) Name() string { return "test/1" }

func (m crowded) Merge(dst, a, b []byte) ([]byte, error) {
	defer m.running.Add(-1)
	alone := m.running.Add(1) == 1
	for i := 0; alone && i < 1000 && beside(); i++ {
		runtime.Gosched()
		alone = m.running.Load() == 1
	}
	if !alone {
		return m.fault()
	}
	return mergeSet(dst, a, b)
}

// goroutines is how many there are while CheckLaws calls from one.
var goroutines int

// beside reports whether CheckLaws calls from several goroutines.
func beside() bool { return runtime.NumGoroutine() > goroutines }

type unnamed struct{ mergeFunc }

func (unnamed) Name() string { panic("no name") }

type named struct {
	mergeFunc
	name string
}

func (m named) Name() string { return m.name }

func TestCheckLawsCatchesBrokenMergers(t *testing.T) {
	goroutines = runtime.NumGoroutine() + 1 // the subtest's own
	var instances int
	var clock atomic.Int64 // stands in for the wall clock: each reading is a tick later

	cases := []struct {
		fault   string
		law     string
		only    bool // no other law is named
		merger  func() fieldwise.Merger
		samples [][]byte
	}{
		{"empty name", "name", true, always(named{mergeSet, ""}), setSamples},
		{"name of the instance", "name", true, fresh(func() named {
			instances++
			return named{mergeSet, fmt.Sprint("set/", instances)}
		}), setSamples},
		{"name panics", "no panic", true, always(unnamed{mergeSet}), setSamples},
		{"panic on two empty states", "no panic", true, stateless(func(dst, a, b []byte) ([]byte, error) {
			_ = slices.Max(slices.Concat(a, b))
			return mergeSet(dst, a, b)
		}), setSamples},
		{"panic on a short state", "no panic", true, stateless(joinOf(func(x []byte) error {
			if len(x) != 3+int(x[2]) {
				return errState
			}
			return nil
		}, largerBytes)), lwwSamples},
		{"trusts a length and panics", "no panic", true, stateless(func(dst, a, b []byte) ([]byte, error) {
			for _, x := range [][]byte{a, b} {
				if len(x) > 2 && len(x[3:3+int(x[2])]) != len(x)-3 {
					return nil, errState
				}
			}
			return mergeLWW(dst, a, b)
		}), lwwSamples},
		{"trusts a length and allocates", "trusts no length", true, stateless(joinOf(func(x []byte) error {
			if len(x) < 4 {
				return errState
			}
			value := make([]byte, binary.BigEndian.Uint32(x))
			if copy(value, x[4:]) != len(value) || len(x) != 4+len(value) {
				return errState
			}
			return nil
		}, largerBytes)), [][]byte{{0, 0, 0, 1, 7}, {0, 0, 0, 1, 8}, {0, 0, 0, 2, 1, 1}}},
		{"changes its input", "inputs unchanged", false, stateless(func(dst, a, b []byte) ([]byte, error) {
			n := len(dst)
			dst, err := mergeSet(dst, a, b)
			if err == nil && len(dst)-n > 1 {
				slices.Reverse(a)
			}
			return dst, err
		}), setSamples},
		{"writes behind its input", "inputs unchanged", false, stateless(joinOf(ascending, func(a, b []byte) []byte {
			u := append(a, b...)
			slices.Sort(u[len(a):])
			return union(nil, u)
		})), setSamples},
		{"depends on map order", "deterministic", false, stateless(joinOf(ascending, func(a, b []byte) []byte {
			set := map[byte]bool{}
			for _, e := range slices.Concat(a, b) {
				set[e] = true
			}
			var out []byte
			for e := range set {
				out = append(out, e)
			}
			return out
		})), setSamples},
		{"reads the clock", "deterministic", false, stateless(joinOf(isWrite, func(a, b []byte) []byte {
			if now := clock.Add(1); now%1000 < 10 {
				return a
			}
			return largerBytes(a, b)
		})), lwwSamples},
		{"depends on chance", "deterministic", false, fresh(func() mergeFunc {
			var mu sync.Mutex
			rng := rand.New(rand.NewPCG(1, 2))
			return joinOf(ascending, func(a, b []byte) []byte {
				mu.Lock()
				defer mu.Unlock()
				if rng.IntN(100) == 0 {
					return a
				}
				return union(a, b)
			})
		}), setSamples},
		{"counts its calls", "deterministic", false, fresh(func() *counting { return &counting{} }), setSamples},
		{"fails at times", "deterministic", false, fresh(func() mergeFunc {
			var calls atomic.Int64
			return func(dst, a, b []byte) ([]byte, error) {
				if calls.Add(1)%97 == 0 {
					return nil, errState
				}
				return mergeSet(dst, a, b)
			}
		}), setSamples},
		{"instances differ", "deterministic", false, fresh(func() mergeFunc {
			instances++
			if instances%2 == 0 {
				return mergeMax
			}
			return joinOf(fourBytes, func(a, b []byte) []byte {
				if bytes.Compare(a, b) < 0 {
					return a
				}
				return b
			})
		}), maxSamples},
		{"returns its input", "shares no memory", true, stateless(func(dst, a, b []byte) ([]byte, error) {
			if dst == nil && len(a) == 0 && ascending(b) == nil {
				return b, nil
			}
			return mergeSet(dst, a, b)
		}), setSamples},
		{"returns a scratch buffer", "shares no memory", true, fresh(func() *scratch { return &scratch{} }), setSamples},
		{"knows its input by reference", "keeps nothing", true, fresh(func() *caching { return &caching{} }), setSamples},
		{"gives a result twice", "keeps nothing", true, fresh(func() *remembering {
			return &remembering{known: map[string][]byte{}}
		}), setSamples},
		{"other bytes beside other calls", "concurrent", true, fresh(func() crowded {
			return crowded{new(atomic.Int64), func() ([]byte, error) { return []byte{1}, nil }}
		}), setSamples},
		{"an error beside other calls", "concurrent", true, fresh(func() crowded {
			return crowded{new(atomic.Int64), func() ([]byte, error) { return nil, errState }}
		}), setSamples},
		{"a panic beside other calls", "concurrent", true, fresh(func() crowded {
			return crowded{new(atomic.Int64), func() ([]byte, error) { panic("crowded") }}
		}), setSamples},
		{"ignores dst", "appends to dst", true, stateless(func(_, a, b []byte) ([]byte, error) {
			return mergeSet(nil, a, b)
		}), setSamples},
		{"overwrites dst", "appends to dst", true, stateless(func(dst, a, b []byte) ([]byte, error) {
			return mergeSet(dst[:0], a, b)
		}), setSamples},
		{"cannot append", "appends to dst", true, stateless(func(dst, a, b []byte) ([]byte, error) {
			if len(dst) > 0 {
				return nil, errState
			}
			return mergeSet(dst, a, b)
		}), setSamples},
		{"panics over dst", "no panic", true, stateless(func(dst, a, b []byte) ([]byte, error) {
			return mergeSet(dst[:len(dst):len(dst)/4*4], a, b)
		}), setSamples},
		{"uses what dst holds as room", "appends to dst", true, stateless(func(dst, a, b []byte) ([]byte, error) {
			out, err := mergeSet(slices.Clone(dst), a, b)
			copy(dst, "used")
			return out, err
		}), setSamples},
		{"changes its input when there is room", "inputs unchanged", true, stateless(func(dst, a, b []byte) ([]byte, error) {
			out, err := mergeSet(dst, a, b)
			if cap(dst) > len(dst) {
				clear(b)
			}
			return out, err
		}), setSamples},
		{"reads the capacity of dst", "appends to dst", true, stateless(func(dst, a, b []byte) ([]byte, error) {
			if spare := dst[len(dst):cap(dst)]; len(spare) > 0 {
				return mergeSet(dst, a, union(b, spare[:1]))
			}
			return mergeSet(dst, a, b)
		}), setSamples},
		{"a limit where states meet", "never fails", true, stateless(func(dst, a, b []byte) ([]byte, error) {
			if len(a) > 0 && len(b) > 0 && len(union(a, b)) > 4 {
				return nil, errors.New("too large")
			}
			return mergeSet(dst, a, b)
		}), setSamples},
		{"refuses a sample", "never fails", true, stateless(mergeSet), append([][]byte{{2, 1}}, setSamples...)},
		{"refuses the empty state", "neutral", true, stateless(func(dst, a, b []byte) ([]byte, error) {
			if len(a)+len(b) == 0 {
				return nil, errState
			}
			return mergeSet(dst, a, b)
		}), setSamples},
		{"rewrites bytes", "neutral", false, stateless(func(dst, a, b []byte) ([]byte, error) {
			return append(dst, union(a, b)...), nil
		}), append([][]byte{{2, 1}}, setSamples...)},
		{"takes nil alone for empty", "neutral", true, stateless(func(dst, a, b []byte) ([]byte, error) {
			if a != nil && len(a) == 0 && len(b) > 0 {
				return nil, errState
			}
			return mergeSet(dst, a, b)
		}), setSamples},
		{"neutral on one side only", "neutral", false, stateless(func(dst, a, b []byte) ([]byte, error) {
			if len(b) == 0 {
				return dst, nil
			}
			return mergeSet(dst, a, b)
		}), setSamples},
		{"empty is zero", "neutral", false, stateless(func(dst, a, b []byte) ([]byte, error) {
			return mergeSet(dst, union(a, []byte{0}), b)
		}), setSamples},
		{"drops trailing bytes", "canonical", true, stateless(func(dst, a, b []byte) ([]byte, error) {
			return mergeMax(dst, a[:min(4, len(a))], b[:min(4, len(b))])
		}), maxSamples},
		{"repairs what it reads", "canonical", true, stateless(func(dst, a, b []byte) ([]byte, error) {
			return append(dst, union(a, b)...), nil
		}), setSamples},
		{"adds", "idempotent", false, stateless(joinOf(fourBytes, func(a, b []byte) []byte {
			return binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(a)+binary.BigEndian.Uint32(b))
		})), maxSamples},
		{"keeps the first", "commutative", true, stateless(joinOf(fourBytes, func(a, _ []byte) []byte { return a })), maxSamples},
		{"takes the mean", "associative", true, stateless(joinOf(fourBytes, func(a, b []byte) []byte {
			sum := uint64(binary.BigEndian.Uint32(a)) + uint64(binary.BigEndian.Uint32(b))
			return binary.BigEndian.AppendUint32(nil, uint32(sum/2))
		})), maxSamples},
	}
	for _, c := range cases {
		t.Run(c.fault, func(t *testing.T) {
			for runtime.NumGoroutine() > goroutines {
				runtime.Gosched() // those of the case before have done their work, and are ending
			}
			err := fieldwise.CheckLaws(c.merger, c.samples...)
			names := brokenLaws(t, err)
			if c.only {
				assert.Equal(t, []string{c.law}, names, "%v", err)
			} else {
				assert.Contains(t, names, c.law, "%v", err)
				assert.Equal(t, c.law, slices.Concat(names, []string{""})[0], "the cause comes first\n%v", err)
			}
		})
	}
}

// powers counts calls of the powers below, in place of chance.
var powers atomic.Int64

// deletable is mergeLWW with an empty value for a deleted record.
type deletable struct{ fault string }

func (deletable) Name() string                           { return "test/1" }
func (deletable) Merge(dst, a, b []byte) ([]byte, error) { return mergeLWW(dst, a, b) }
func (d deletable) Live(x []byte) bool {
	switch d.fault {
	case "the empty state is live":
		return len(x) == 0 || x[2] > 0
	case "what is deleted is live":
		return len(x) > 0
	case "Live panics":
		return x[2] > 0
	case "Live changes its input":
		clear(x)
		return false
	case "Live asks chance":
		return len(x) > 0 && powers.Add(1)%2 == 0
	}
	return len(x) > 0 && x[2] > 0
}

func (d deletable) Delete(dst, x []byte, at fieldwise.Version) ([]byte, error) {
	if !(deletable{}).Live(x) && d.fault != "deletes what is dead" {
		return dst, nil
	}
	switch d.fault {
	case "Delete fails":
		return nil, errState
	case "Delete forgets":
		return dst, nil
	case "Delete at the old version":
		return append(dst, x[0], x[1], 0), nil
	case "Delete gives rubbish":
		return append(dst, 1, 2, 3), nil
	case "Delete panics":
		panic("no deletes here")
	case "Delete asks chance":
		return append(dst, 255, 255-byte(powers.Add(1)%2), 0), nil
	case "Delete gives its input":
		if copy(x, "\xff\xff\x00"); dst == nil {
			return x[:3], nil
		}
	case "Delete changes its input":
		x[2] = 0
	case "Delete ignores dst":
		dst = nil
	}
	if at.Origin.Region == "" || at.Time == 0 {
		return nil, errState
	}
	return append(dst, 255, 255, 0), nil
}

// reporter is mergeLWW that reports the write with the lower stamp.
type reporter struct{ fault string }

func (reporter) Name() string                           { return "test/1" }
func (reporter) Merge(dst, a, b []byte) ([]byte, error) { return mergeLWW(dst, a, b) }

func (r reporter) Conflicts(dst []fieldwise.Conflict, a, b []byte) ([]fieldwise.Conflict, error) {
	switch r.fault {
	case "Conflicts panics":
		_ = a[2]
	case "Conflicts fails":
		return nil, errState
	case "Conflicts ignores dst":
		dst = nil
	case "Conflicts changes its input":
		clear(a)
	}
	if len(a) == 0 || len(b) == 0 {
		if r.fault == "reports against empty" {
			dst = append(dst, fieldwise.Conflict{})
		}
		return dst, nil
	}
	won, err := mergeLWW(nil, a, b)
	if err != nil {
		return dst, err
	}
	for _, x := range [][]byte{a, b} {
		if bytes.Equal(x, won) && r.fault != "reports equal states" {
			continue
		}
		c := fieldwise.Conflict{Kind: fieldwise.ConflictUpdate, Policy: "lww"}
		c.Loser.Value = bytes.Clone(x[3:])
		switch r.fault {
		case "a report keeps its input":
			c.Loser.Value = x[3:]
		case "reports differ":
			c.Policy = fmt.Sprint(powers.Add(1))
		}
		dst = append(dst, c)
	}
	return dst, nil
}

func TestCheckLawsCatchesBrokenPowers(t *testing.T) {
	faults := []struct{ fault, law string }{
		{"the empty state is live", "deleter"},
		{"what is deleted is live", "deleter"},
		{"Live panics", "no panic"},
		{"Live changes its input", "inputs unchanged"},
		{"Live asks chance", "deleter"},
		{"deletes what is dead", "deleter"},
		{"Delete panics", "no panic"},
		{"Delete asks chance", "deleter"},
		{"Delete fails", "deleter"},
		{"Delete forgets", "deleter"},
		{"Delete at the old version", "deleter"},
		{"Delete gives rubbish", "never fails"},
		{"Delete changes its input", "inputs unchanged"},
		{"Delete gives its input", "shares no memory"},
		{"Delete ignores dst", "appends to dst"},

		{"Conflicts panics", "no panic"},
		{"Conflicts fails", "never fails"},
		{"Conflicts ignores dst", "appends to dst"},
		{"Conflicts changes its input", "inputs unchanged"},
		{"reports against empty", "conflicts"},
		{"reports equal states", "conflicts"},
		{"a report keeps its input", "shares no memory"},
		{"reports differ", "conflicts"},
	}
	for _, f := range faults {
		t.Run(f.fault, func(t *testing.T) {
			deleterErr := fieldwise.CheckLaws(always(deletable{f.fault}), lwwSamples...)
			reporterErr := fieldwise.CheckLaws(always(reporter{f.fault}), lwwSamples...)
			names := slices.Concat(brokenLaws(t, deleterErr), brokenLaws(t, reporterErr))
			assert.Contains(t, names, f.law, "%v\n%v", deleterErr, reporterErr)
		})
	}
}

func TestCheckLawsPrintsTheSmallestCase(t *testing.T) {
	keepFirst := joinOf(ascending, func(a, _ []byte) []byte { return a })
	err := fieldwise.CheckLaws(stateless(keepFirst), []byte{1, 2, 3}, []byte{5}, []byte{4}, []byte{7, 8})
	found := lawErrors(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "commutative", found[0].Law)
	assert.Equal(t, [][]byte{{0}, {4}}, found[0].Inputs, "{0} is {4} with a bit flipped")
	assert.Equal(t, []byte{0}, found[0].Got)
	assert.Equal(t, []byte{4}, found[0].Want)
	assert.Greater(t, found[0].Cases, 10)
}

func TestLawErrorPrintsTheCase(t *testing.T) {
	e := &fieldwise.LawError{
		Law: "commutative", Detail: "a+b is not b+a", Cases: 3,
		Inputs: [][]byte{{0xAB}, {}}, Got: []byte{1, 2}, Want: bytes.Repeat([]byte{7}, 300),
	}
	assert.Equal(t, "fieldwise: broken law \"commutative\": a+b is not b+a (the smallest of 3 cases)\n"+
		"\ta    = ab\n\tb    = empty\n\tgot  = 0102\n\twant = "+strings.Repeat("07", 256)+"... (300 bytes)", e.Error())
}

func TestCheckLawsAsksForSamples(t *testing.T) {
	for _, samples := range [][][]byte{nil, {{1}, {2}}, {{1}, {2}, {2}, {}}} {
		err := fieldwise.CheckLaws(stateless(mergeSet), samples...)
		require.ErrorContains(t, err, "at least three different states")
		assert.ErrorContains(t, err, "three regions")
	}
	assert.ErrorContains(t, fieldwise.CheckLaws(nil), "fresh Merger")
	assert.ErrorContains(t, fieldwise.CheckLaws(always(nil)), "fresh Merger")
}

func TestCheckLawsLeavesSamplesAlone(t *testing.T) {
	samples := [][]byte{{1}, {2}, {1, 2}}
	reverse := mergeFunc(func(dst, a, b []byte) ([]byte, error) {
		dst, err := mergeSet(dst, a, b)
		slices.Reverse(a)
		slices.Reverse(b)
		return dst, err
	})
	require.Error(t, fieldwise.CheckLaws(stateless(reverse), samples...))
	assert.Equal(t, [][]byte{{1}, {2}, {1, 2}}, samples)
}

// The number of calls bounds the time, and unlike the time it is the same everywhere.
func TestCheckLawsBoundsItsWork(t *testing.T) {
	cases := []struct {
		samples, bytes int
		calls, volume  int64
	}{
		{3, 8, 20_000, 1 << 20},
		{30, 200, 1_500_000, 1 << 30},
		{400, 20, 2_000_000, 1 << 30},
		{10, 20_000, 200_000, 2 << 30},
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%d of %d bytes", c.samples, c.bytes), func(t *testing.T) {
			if testing.Short() {
				t.Skip("takes a second")
			}
			rng := rand.New(rand.NewPCG(1, 2))
			var samples [][]byte
			for range c.samples {
				x := binary.BigEndian.AppendUint32(nil, rng.Uint32())
				samples = append(samples, append(x, make([]byte, c.bytes-4)...))
			}
			var calls, volume atomic.Int64
			err := fieldwise.CheckLaws(stateless(func(dst, a, b []byte) ([]byte, error) {
				calls.Add(1)
				volume.Add(int64(len(a) + len(b)))
				check := func(x []byte) error {
					if len(x) != c.bytes {
						return errState
					}
					return nil
				}
				return joinOf(check, largerBytes)(dst, a, b)
			}), samples...)
			require.NoError(t, err)
			t.Logf("%d calls, %d bytes", calls.Load(), volume.Load())
			assert.Less(t, calls.Load(), c.calls)
			assert.Less(t, volume.Load(), c.volume)
		})
	}
}
