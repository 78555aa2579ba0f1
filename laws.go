package fieldwise

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
)

// The names of the laws, in the order in which CheckLaws reports them: a fault
// higher up often causes those below it.
const (
	lawName        = "name"
	lawPanic       = "no panic"
	lawLength      = "trusts no length"
	lawInputs      = "inputs unchanged"
	lawSame        = "deterministic"
	lawShared      = "shares no memory"
	lawKept        = "keeps nothing"
	lawConcurrent  = "concurrent"
	lawAppends     = "appends to dst"
	lawFails       = "never fails"
	lawNeutral     = "neutral"
	lawCanonical   = "canonical"
	lawIdempotent  = "idempotent"
	lawCommutative = "commutative"
	lawAssociative = "associative"
	lawDeleter     = "deleter"
	lawConflicts   = "conflicts"
	lawOpen        = "open"
)

var laws = []string{
	lawName, lawPanic, lawLength, lawInputs, lawSame, lawShared, lawKept, lawConcurrent, lawAppends,
	lawFails, lawNeutral, lawCanonical, lawIdempotent, lawCommutative, lawAssociative, lawDeleter, lawConflicts,
	lawOpen,
}

// The bounds of the work. Beyond them CheckLaws takes a selection that is spread
// over all cases and is the same in every run.
const (
	maxPairs   = 20_000    // pairs: all of them up to 199 states
	maxTriples = 1 << 15   // triples: all of them up to 56 states
	maxJoins   = 16        // joins of samples that are used as states
	maxDeletes = 4         // deletes that are used as states, and as many deleted states
	maxDamaged = 100_000   // damaged states, over all samples
	maxBytes   = 192 << 20 // bytes given to the merger, in each of the large steps
	fewPairs   = 64        // pairs that are called again and again
)

// CheckLaws checks a [Merger] against its laws, byte for byte, on the given states
// and on states derived from them. It is meant for a test:
//
//	err := fieldwise.CheckLaws(func() fieldwise.Merger { return myMerger{} }, samples...)
//
// newMerger returns a fresh instance each time; instances must behave alike. At
// least three different samples are needed, since every pair can pass where a triple
// fails. The result is nil or joins one [LawError] for each broken law, causes before
// consequences: where the first is "deterministic", mend that and look again.
//
// The laws, by the name that LawError gives them; a+b stands for Merge(nil, a, b):
//
//	name              Name is not empty and equal over instances
//	no panic          on any bytes at all: states that are cut, flipped or overwritten
//	trusts no length  nothing large is allocated for a length that was only claimed
//	inputs unchanged  nor is anything written before or behind them
//	deterministic     equal inputs give equal bytes: again, in another order, fresh
//	shares no memory  the result survives damage to the inputs, and later calls
//	keeps nothing     inputs and result may be damaged after the call
//	concurrent        calls from several goroutines give the same bytes
//	appends to dst    behind what dst holds, whatever its spare capacity holds
//	never fails       when both states are valid
//	neutral           empty+x = x+empty = x
//	canonical         damaged bytes are refused, or are themselves what comes back
//	idempotent        x+x = x
//	commutative       a+b = b+a
//	associative       (a+b)+c = a+(b+c)
//	deleter           what [Deleter] says, with a version above all samples
//	conflicts         what [ConflictReporter] says; x with x or empty hides nothing
//	open              what [Opener] says, of states that it opens
//
// A state is valid if empty+x accepts it; so a damaged state that is accepted has to
// obey the laws too. This finds ties that nobody thought of: a flipped bit often is a
// second value under the same version.
//
// # Samples
//
// Take real states and deltas of one record, many and small: a case is printed whole.
// Let three regions write the same thing without knowing of each other; let one
// overwrite another knowingly; give two writes one timestamp, and two values one
// version; delete, and write again after that; use every kind of field. States drawn
// by a property test are good samples too.
//
// # Limits
//
// The check finds counterexamples among the states that it can reach and proves
// nothing beyond them. It does not know what the merger is for: one that keeps the
// larger bytes obeys every law. Run it with -race as well, which sees unsynchronised
// memory that happened to give the right bytes. A panic is recovered and reported; an
// endless loop, unbounded recursion, exhausted memory and what else Go cannot recover
// from end the test binary, whose stack trace then names Merge.
//
// # Cost
//
// 30 samples of 200 bytes take a million calls at most: less than two seconds with a
// merger that takes a microsecond, several times as long under -race. Some joins of
// the samples, and some deletes, are states like the samples. All triples are tried up to 32 samples
// of a few hundred bytes, all pairs up to 170, each bit is flipped up to 6 KB of
// samples in all; beyond that a fixed selection is.
func CheckLaws(newMerger func() Merger, samples ...[]byte) error {
	if newMerger == nil || newMerger() == nil {
		return errors.New("fieldwise: CheckLaws needs a function that returns a fresh Merger")
	}
	c := &lawCheck{newMerger: newMerger, m: newMerger(), broken: map[string]*LawError{}}
	states := c.addNew(nil, samples...)
	if len(states) < 3 {
		return fmt.Errorf("fieldwise: CheckLaws needs at least three different states that are not empty, got %d: "+
			"supply what three regions wrote to one record without knowing of each other", len(states))
	}
	c.checkName()
	states = c.checkNeutral(states)
	samples = slices.Clone(states)
	states = c.addNew(states, c.joins(states)...)
	states = c.addNew(states, c.checkDeleter(states)...)
	few := c.fewPairs(states)
	c.checkSame(few)
	c.checkMemory(few)
	c.checkKept(few)
	c.checkConcurrent(few)
	c.checkAppends(few)
	c.checkPairs(states)
	c.checkTriples(states)
	c.checkConflicts(few)
	c.checkOpen(few)
	c.checkDamaged(samples)

	var errs []error
	for _, law := range laws {
		if e := c.broken[law]; e != nil {
			errs = append(errs, e)
		}
	}
	return errors.Join(errs...)
}

// LawError is one broken law of a [Merger], with the smallest case that was found.
type LawError struct {
	Law    string   // the law's name, as listed at [CheckLaws]
	Detail string   // what was done to the inputs, which it calls a, b and c
	Inputs [][]byte // a, b and c
	Got    []byte
	Want   []byte
	Cases  int // how many cases broke the law
}

// Error names the law and prints the case in hexadecimal, 256 bytes of each state.
func (e *LawError) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "fieldwise: broken law %q: %s", e.Law, e.Detail)
	if e.Cases > 1 {
		fmt.Fprintf(&s, " (the smallest of %d cases)", e.Cases)
	}
	line := func(name string, b []byte) {
		switch {
		case len(b) == 0:
			fmt.Fprintf(&s, "\n\t%-4s = empty", name)
		case len(b) > 256:
			fmt.Fprintf(&s, "\n\t%-4s = %x... (%d bytes)", name, b[:256], len(b))
		default:
			fmt.Fprintf(&s, "\n\t%-4s = %x", name, b)
		}
	}
	for i, in := range e.Inputs {
		line(string(rune('a'+i)), in)
	}
	if len(e.Got)+len(e.Want) > 0 {
		line("got", e.Got)
		line("want", e.Want)
	}
	return s.String()
}

// lawCheck is one run of CheckLaws.
type lawCheck struct {
	newMerger func() Merger
	m         Merger // the instance that takes most calls, so that it has a past

	mu     sync.Mutex
	broken map[string]*LawError
}

// report takes note of a broken law and keeps the case with the smallest inputs.
func (c *lawCheck) report(law, detail string, got, want []byte, inputs ...[]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.broken[law]
	if e == nil {
		e = &LawError{Law: law}
		c.broken[law] = e
	}
	e.Cases++
	if e.Cases > 1 && compareInputs(inputs, e.Inputs) >= 0 {
		return
	}
	e.Detail, e.Got, e.Want, e.Inputs = detail, bytes.Clone(got), bytes.Clone(want), nil
	for _, in := range inputs {
		e.Inputs = append(e.Inputs, bytes.Clone(in))
	}
}

// compareInputs orders cases by total length, then number, then bytes.
func compareInputs(a, b [][]byte) int {
	return cmp.Or(
		cmp.Compare(size(a...), size(b...)),
		cmp.Compare(len(a), len(b)),
		slices.CompareFunc(a, b, bytes.Compare))
}

func (c *lawCheck) isBroken(law string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken[law] != nil
}

// addNew appends copies of those of more that are not empty and not in states yet.
func (c *lawCheck) addNew(states [][]byte, more ...[]byte) [][]byte {
	seen := map[string]bool{"": true}
	for _, x := range states {
		seen[string(x)] = true
	}
	for _, x := range more {
		if !seen[string(x)] {
			seen[string(x)] = true
			states = append(states, bytes.Clone(x))
		}
	}
	return states
}

// The merger at work.

// panicError is a panic of the merger.
type panicError struct {
	value any
	where string // the frame that panicked
}

func (e *panicError) Error() string { return fmt.Sprintf("panic at %s: %v", e.where, e.value) }

func panicked(err error) bool {
	return errors.As(err, new(*panicError))
}

// safely calls f and returns its panic, if any, as a panicError.
func safely(f func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, panicFrame()}
		}
	}()
	f()
	return nil
}

// panicFrame names the innermost frame outside the runtime below a recovered panic.
func panicFrame() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		if f.Function != "" && !strings.HasPrefix(f.Function, "runtime.") {
			return fmt.Sprintf("%s (%s:%d)", f.Function, filepath.Base(f.File), f.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}

// tryMerge calls Merge and returns a panic as an error.
func tryMerge(m Merger, dst, a, b []byte) (out []byte, err error) {
	if p := safely(func() { out, err = m.Merge(dst, a, b) }); p != nil {
		return nil, p
	}
	return out, err
}

// loan is a copy of two states for one call, with rubbish around each of them that
// an append to them would overwrite.
type loan struct{ mem, a, b []byte }

const (
	rubbish  = 0xC3
	nRubbish = 8
)

func lend(a, b []byte) loan {
	n := len(a) + nRubbish
	l := loan{mem: make([]byte, nRubbish+n+len(b)+nRubbish)}
	for _, at := range [...]int{0, n, n + nRubbish + len(b)} {
		for i := range nRubbish {
			l.mem[at+i] = rubbish
		}
	}
	if len(a) > 0 {
		l.a = l.mem[nRubbish : nRubbish+len(a) : nRubbish+n]
		copy(l.a, a)
	}
	if len(b) > 0 {
		l.b = l.mem[nRubbish+n : nRubbish+n+len(b)]
		copy(l.b, b)
	}
	return l
}

// isIntact reports whether the loan is as lend made it of a and b.
func (l loan) isIntact(a, b []byte) bool {
	rest := l.mem
	for i, part := range [...][]byte{nil, a, b} {
		if i > 0 {
			if !bytes.Equal(rest[:len(part)], part) {
				return false
			}
			rest = rest[len(part):]
		}
		for _, r := range rest[:nRubbish] {
			if r != rubbish {
				return false
			}
		}
		rest = rest[nRubbish:]
	}
	return true
}

func invert(b []byte) {
	for i := range b {
		b[i] ^= 0xFF
	}
}

// merge gives m copies of a and b, which it reports if they are changed, and returns
// a copy of the result. It reports a panic too, and leaves other errors to the caller.
func (c *lawCheck) merge(m Merger, a, b []byte) ([]byte, error) {
	l := lend(a, b)
	out, err := tryMerge(m, nil, l.a, l.b)
	if panicked(err) {
		c.report(lawPanic, "Merge(nil, a, b): "+err.Error(), nil, nil, a, b)
	}
	if !l.isIntact(a, b) {
		c.report(lawInputs, "Merge(nil, a, b) writes to the memory of a or b, or next to it", nil, nil, a, b)
	}
	return bytes.Clone(out), err
}

// join is the join of two valid states; it is not ok if there is none, which is
// reported.
func (c *lawCheck) join(m Merger, a, b []byte) (out []byte, ok bool) {
	out, err := c.merge(m, a, b)
	if err != nil && !panicked(err) {
		c.report(lawFails, "Merge(nil, a, b) of two valid states: "+err.Error(), nil, nil, a, b)
	}
	return out, err == nil
}

// The selections.

// spread maps 0, 1, 2 ... to numbers below n that cover them evenly: multiples of
// the golden ratio.
func spread(t, n int) int {
	hi, _ := bits.Mul64(uint64(t)*0x9E3779B97F4A7C15, uint64(n))
	return int(hi)
}

// selection yields 0 to n-1, or limit of them where these are fewer.
func selection(n, limit int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for t := range min(n, limit) {
			i := t
			if n > limit {
				i = spread(t, n)
			}
			if !yield(i) {
				return
			}
		}
	}
}

func size(states ...[]byte) int {
	n := 0
	for _, x := range states {
		n += len(x)
	}
	return n
}

// affordable is how many steps of so many calls with such states the budget allows,
// limit at most.
func affordable(limit, calls int, states [][]byte) int {
	perCall := 64 + 3*size(states...)/max(len(states), 1)
	return max(16, min(limit, maxBytes/(calls*perCall)))
}

// joins are states that several samples meet in: faults often show on these only.
func (c *lawCheck) joins(samples [][]byte) [][]byte {
	n := len(samples)
	if n < 2 {
		return nil
	}
	var more [][]byte
	for t := 0; t < 10*maxJoins && len(more) < maxJoins-1; t++ {
		i := spread(t, n)
		if out, ok := c.join(c.m, samples[i], samples[(i+1+t%(n-1))%n]); ok {
			more = c.addNew(more, out)
		}
	}
	var all []byte
	for i := range selection(n, affordable(1000, 1, samples)) {
		if out, ok := c.join(c.m, all, samples[i]); ok {
			all = out
		}
	}
	return append(more, all)
}

// pair holds two states and, once checkSame has seen it, their join.
type pair struct {
	a, b []byte
	want []byte
	err  error
}

// fewPairs is the choice of pairs for the checks that call each pair many times: each
// of some states with empty, with itself and with others.
func (c *lawCheck) fewPairs(states [][]byte) []pair {
	var pairs []pair
	n := len(states)
	for t := range selection(n, fewPairs/4) {
		x, y := states[t], states[(t+1)%n]
		pairs = append(pairs, pair{b: x}, pair{a: x, b: y}, pair{a: x, b: states[(t+n/2)%n]}, pair{a: y, b: x})
	}
	return pairs
}

// The laws.

func (c *lawCheck) checkName() {
	var names [3]string
	for i, m := range []Merger{c.m, c.newMerger(), c.newMerger()} {
		if err := safely(func() { names[i] = m.Name() }); err != nil {
			c.report(lawPanic, "Name(): "+err.Error(), nil, nil)
			return
		}
	}
	if names[0] == "" {
		c.report(lawName, "Name is empty; it names the lattice and its format, such as \"fields/1\"", nil, nil)
	}
	if names[1] != names[0] || names[2] != names[0] {
		c.report(lawName, fmt.Sprintf("Name differs between instances: %q", names), nil, nil)
	}
}

// checkNeutral returns the states that pass the merger's own check.
func (c *lawCheck) checkNeutral(samples [][]byte) (valid [][]byte) {
	empty := []byte{rubbish}[:0]
	for _, none := range [...][]byte{nil, empty} {
		call := fmt.Sprintf("Merge(nil, %#v, nil)", none)
		out, err := tryMerge(c.m, nil, none, nil)
		if panicked(err) {
			c.report(lawPanic, call+": "+err.Error(), nil, nil)
		} else if err != nil || len(out) > 0 {
			c.report(lawNeutral, fmt.Sprintf("%s is not empty; error: %v", call, err), out, nil)
		}
	}
	for _, x := range samples {
		out, err := c.merge(c.m, nil, x)
		if err != nil {
			if !panicked(err) {
				c.report(lawFails, "Merge(nil, nil, a) refuses a sample: "+err.Error(), nil, nil, x)
			}
			continue
		}
		valid = append(valid, x)
		if !bytes.Equal(out, x) {
			c.report(lawNeutral, "Merge(nil, nil, a) is not a: empty is not neutral, or a not canonical", out, x, x)
		}
		if out, ok := c.join(c.m, x, nil); ok && !bytes.Equal(out, x) {
			c.report(lawNeutral, "Merge(nil, a, nil) is not a: empty is not neutral, or a not canonical", out, x, x)
		}
		l := lend(x, nil)
		out, err = tryMerge(c.m, nil, empty, l.a)
		if !panicked(err) && (err != nil || !bytes.Equal(out, x)) {
			c.report(lawNeutral, "Merge(nil, []byte{}, a) is not a: only nil is taken for empty", out, x, x)
		}
	}
	return valid
}

// checkSame finds what a result depends on besides its inputs, and records the right
// results in pairs.
func (c *lawCheck) checkSame(pairs []pair) {
	if len(pairs) == 0 {
		return
	}
	total := 0
	for i := range pairs {
		p := &pairs[i]
		p.want, p.err = c.merge(c.newMerger(), p.a, p.b)
		total += 64 + size(p.a, p.b)
	}
	m := c.m
	for round := range max(4, min(maxBytes/4/total, max(32, 2048/len(pairs)))) {
		detail := "Merge(nil, a, b) again, after other calls, gives other bytes"
		if round%4 == 3 {
			m, detail = c.newMerger(), "Merge(nil, a, b) of a fresh merger gives other bytes"
		}
		for t := range pairs {
			i := (t + round) % len(pairs)
			if round%2 == 1 {
				i = len(pairs) - 1 - i
			}
			p := &pairs[i]
			out, err := c.merge(m, p.a, p.b)
			if (err != nil) != (p.err != nil) {
				c.report(lawSame, fmt.Sprintf("%s: error %v, then %v", detail, p.err, err), nil, nil, p.a, p.b)
			} else if !bytes.Equal(out, p.want) {
				c.report(lawSame, detail, out, p.want, p.a, p.b)
			}
		}
	}
}

// checkMemory finds results that are not the caller's own memory.
func (c *lawCheck) checkMemory(pairs []pair) {
	for i, p := range pairs {
		l := lend(p.a, p.b)
		out, err := tryMerge(c.m, nil, l.a, l.b)
		if err != nil {
			continue
		}
		was := bytes.Clone(out)
		invert(l.mem)
		if !bytes.Equal(out, was) {
			c.report(lawShared, "the result of Merge(nil, a, b) changes with the memory of a or b", out, was, p.a, p.b)
			continue
		}
		next := pairs[(i+1)%len(pairs)]
		_, _ = c.merge(c.m, next.a, next.b)
		if !bytes.Equal(out, was) {
			c.report(lawShared, "the result of Merge(nil, a, b) changes in a later call", out, was, p.a, p.b)
		}
	}
}

// checkKept finds memory of earlier calls that the merger still reads.
func (c *lawCheck) checkKept(pairs []pair) {
	if c.isBroken(lawSame) {
		return // it would be taken for this
	}
	for _, p := range pairs {
		m := c.newMerger()
		out, err := tryMerge(m, nil, bytes.Clone(p.a), bytes.Clone(p.b))
		if err != nil {
			continue
		}
		invert(out)
		if out, err := tryMerge(m, nil, bytes.Clone(p.a), bytes.Clone(p.b)); err != nil || !bytes.Equal(out, p.want) {
			c.report(lawKept, "Merge(nil, a, b) again differs after its first result was overwritten", out, p.want, p.a, p.b)
		}
		for _, second := range [...]bool{false, true} {
			c.checkKeptInput(p, second, pairs)
		}
	}
}

// checkKeptInput overwrites one input of p after the call with another state, and
// calls with that state: a merger that knows an input by its memory is taken in.
func (c *lawCheck) checkKeptInput(p pair, second bool, pairs []pair) {
	pick := func(a, b []byte) []byte {
		if second {
			return b
		}
		return a
	}
	old := pick(p.a, p.b)
	if len(old) == 0 {
		return
	}
	other := bytes.Clone(old)
	other[len(other)-1] ^= 1 // no more than that: it might be read as a length
	for _, q := range pairs {
		if len(q.b) == len(old) && !bytes.Equal(q.b, old) {
			other = q.b
			break
		}
	}
	a, b := p.a, p.b
	if second {
		b = other
	} else {
		a = other
	}
	m := c.newMerger()
	_, _ = tryMerge(m, nil, bytes.Clone(p.a), bytes.Clone(p.b))
	want, wantErr := tryMerge(m, nil, bytes.Clone(a), bytes.Clone(b))

	m = c.newMerger()
	l := lend(p.a, p.b)
	_, _ = tryMerge(m, nil, l.a, l.b)
	copy(pick(l.a, l.b), other)
	got, err := tryMerge(m, nil, bytes.Clone(a), bytes.Clone(b))
	if (err != nil) != (wantErr != nil) || !bytes.Equal(got, want) {
		c.report(lawKept, "Merge(nil, a, b) differs when memory of an earlier call's inputs was overwritten", got, want, a, b)
	}
}

// checkConcurrent calls one merger from several goroutines, which share the inputs
// so that the race detector sees a write to them.
func (c *lawCheck) checkConcurrent(pairs []pair) {
	if c.isBroken(lawSame) || c.isBroken(lawInputs) {
		return // it would be taken for this
	}
	const goroutines = 4
	m, start := c.newMerger(), make(chan struct{})
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			<-start
			for t := range 4 * len(pairs) {
				p := &pairs[(t+g*len(pairs)/goroutines)%len(pairs)]
				out, err := tryMerge(m, nil, p.a, p.b)
				switch {
				case panicked(err) && !panicked(p.err):
					c.report(lawConcurrent, "Merge(nil, a, b) beside other calls: "+err.Error(), nil, nil, p.a, p.b)
				case (err != nil) != (p.err != nil):
					c.report(lawConcurrent, fmt.Sprintf("Merge(nil, a, b) alone: error %v, beside other calls: %v", p.err, err), nil, nil, p.a, p.b)
				case !bytes.Equal(out, p.want):
					c.report(lawConcurrent, "Merge(nil, a, b) gives other bytes beside other calls", out, p.want, p.a, p.b)
				}
			}
		})
	}
	close(start)
	wg.Wait()
}

// checkAppends checks what Merge does to dst.
func (c *lawCheck) checkAppends(pairs []pair) {
	for _, p := range pairs {
		if p.err != nil {
			continue
		}
		for _, prefix := range [...][]byte{nil, []byte("dst"), p.b} {
			for _, spare := range [...]int{0, len(p.want) / 2, len(p.want) + nRubbish} {
				dst := slices.Concat(prefix, bytes.Repeat([]byte{rubbish}, spare))[:len(prefix)]
				l := lend(p.a, p.b)
				out, err := tryMerge(c.m, dst, l.a, l.b)
				call := fmt.Sprintf("Merge(dst, a, b) with %d bytes in dst and room for %d", len(prefix), spare)
				want := slices.Concat(prefix, p.want)
				switch {
				case panicked(err):
					c.report(lawPanic, call+": "+err.Error(), nil, nil, p.a, p.b)
				case err != nil:
					c.report(lawAppends, call+": "+err.Error(), nil, nil, p.a, p.b)
				case !bytes.Equal(out, want):
					c.report(lawAppends, call+" is not dst followed by Merge(nil, a, b)", out, want, p.a, p.b)
				case !bytes.Equal(dst, prefix):
					c.report(lawAppends, call+" changes what dst held", dst, prefix, p.a, p.b)
				}
				if !l.isIntact(p.a, p.b) {
					c.report(lawInputs, call+" writes to the memory of a or b, or next to it", nil, nil, p.a, p.b)
				}
			}
		}
	}
}

// checkPairs checks the laws of one and of two states.
func (c *lawCheck) checkPairs(states [][]byte) {
	for _, x := range states {
		if out, ok := c.join(c.m, x, x); ok && !bytes.Equal(out, x) {
			c.report(lawIdempotent, "a+a is not a", out, x, x)
		}
	}
	for i, j := range tuples(len(states), affordable(maxPairs, 2, states)) {
		c.checkCommutes(states[i], states[j])
	}
}

// tuples yields all i < j < n, or a selection of limit pairs.
func tuples(n, limit int) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		if n*(n-1)/2 > limit {
			for t := range limit {
				if i, j := t%n, spread(t, n); i != j && !yield(i, j) {
					return
				}
			}
			return
		}
		for j := range n {
			for i := range j {
				if !yield(i, j) {
					return
				}
			}
		}
	}
}

func (c *lawCheck) checkCommutes(a, b []byte) {
	ab, ok := c.join(c.m, a, b)
	ba, ok2 := c.join(c.m, b, a)
	if ok && ok2 && !bytes.Equal(ab, ba) {
		c.report(lawCommutative, "a+b is not b+a", ab, ba, a, b)
	}
}

// checkTriples checks associativity on i <= j <= k and its rotations: with
// commutativity, all orders of these follow.
func (c *lawCheck) checkTriples(states [][]byte) {
	n := len(states)
	type ij struct{ i, j int }
	known := map[ij][]byte{}
	join := func(i, j int) ([]byte, bool) {
		if out, ok := known[ij{i, j}]; ok {
			return out, out != nil
		}
		out, ok := c.join(c.m, states[i], states[j])
		if !ok {
			out = nil
		} else if out == nil {
			out = []byte{}
		}
		known[ij{i, j}] = out
		return out, ok
	}
	check := func(i, j, k int) {
		for range 3 {
			ab, ok := join(i, j)
			bc, ok2 := join(j, k)
			if ok && ok2 {
				c.checkGroupings(states[i], ab, states[j], bc, states[k])
			}
			i, j, k = j, k, i
		}
	}
	if limit := affordable(maxTriples, 6, states); n*(n+1)*(n+2)/6 > limit {
		for t := range limit {
			jk := spread(t, n*n)
			check(t%n, jk/n, jk%n)
		}
		return
	}
	for k := range n {
		for j := range k + 1 {
			for i := range j + 1 {
				check(i, j, k)
			}
		}
	}
}

// Damaged states.

// checkDamaged gives the merger states that are cut, flipped and overwritten. The
// smallest samples come first, and it ends when memory was given for a length that
// was only claimed: the next length might take all there is.
func (c *lawCheck) checkDamaged(samples [][]byte) {
	samples = slices.Clone(samples)
	slices.SortStableFunc(samples, func(a, b []byte) int { return cmp.Compare(len(a), len(b)) })
	for i, x := range samples {
		share := max(16, min(maxDamaged, maxBytes/(64+10*len(x)))/len(samples))
		y, z := samples[(i+1)%len(samples)], samples[(i+2)%len(samples)]
		for what, d := range damaged(x, y, share) {
			if !c.checkOneDamaged(what, d, x, y, z) {
				return
			}
		}
	}
}

// checkOneDamaged reports false when memory was given for a claimed length.
func (c *lawCheck) checkOneDamaged(what string, d, x, y, z []byte) bool {
	allowed := uint64(1<<20 + 64*size(d, x, y, z))
	least := ^uint64(0)
	for range 5 { // others allocate too: the least of several runs is this merger's
		before := allocated()
		c.tryDamaged(what, d, x, y, z)
		least = min(least, allocated()-before)
		if least <= allowed {
			return true
		}
		if least > 64*allowed {
			break
		}
	}
	c.report(lawLength, fmt.Sprintf("%d bytes are allocated for a, which is a sample %s", least, what), nil, nil, d)
	return false
}

// tryDamaged calls the merger with the damaged state d of the sample x. If d is
// accepted, it is a state and the laws hold for it, with x and with other samples.
func (c *lawCheck) tryDamaged(what string, d, x, y, z []byte) {
	try := func(a, b []byte) ([]byte, error) {
		out, err := c.merge(c.m, a, b)
		if panicked(err) {
			c.m = c.newMerger() // who knows what the panic left behind
		}
		return out, err
	}
	out, err := try(nil, d)
	if err != nil {
		if len(d) > 0 {
			_, _ = try(d, x)
			_, _ = try(x, d)
		}
		return
	}
	if !bytes.Equal(out, d) {
		c.report(lawCanonical, "Merge(nil, nil, a) accepts a sample "+what+" and is not a", out, d, d)
		return
	}
	if out, ok := c.join(c.m, d, nil); ok && !bytes.Equal(out, d) {
		c.report(lawNeutral, "Merge(nil, a, nil) is not a", out, d, d)
	}
	if out, ok := c.join(c.m, d, d); ok && !bytes.Equal(out, d) {
		c.report(lawIdempotent, "a+a is not a", out, d, d)
	}
	c.checkCommutes(d, x)
	c.checkAssociates(d, x, y)
	c.checkAssociates(d, y, z)
}

func (c *lawCheck) checkAssociates(x, y, z []byte) {
	xy, ok := c.join(c.m, x, y)
	yz, ok2 := c.join(c.m, y, z)
	if ok && ok2 {
		c.checkGroupings(x, xy, y, yz, z)
	}
}

// checkGroupings is checkAssociates with the joins of x and y and of y and z at hand.
func (c *lawCheck) checkGroupings(x, xy, y, yz, z []byte) {
	left, ok := c.join(c.m, xy, z)
	right, ok2 := c.join(c.m, x, yz)
	if ok && ok2 && !bytes.Equal(left, right) {
		c.report(lawAssociative, "(a+b)+c is not a+(b+c)", left, right, x, y, z)
	}
}

// allocated is the number of bytes that the process has allocated on the heap so far.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s[0].Value.Uint64()
}

// Claims of a length or a count, in the encodings that are common: big endian, little
// endian, varint, and the headers of msgpack.
var (
	smallClaims = []string{
		"\x00\x40\x00\x00", "\x00\x00\x40\x00", "\x80\x80\x80\x02",
		"\xdd\x00\x40\x00\x00", "\xdf\x00\x40\x00\x00", "\xc6\x00\x40\x00\x00", "\xdb\x00\x40\x00\x00", "\xc9\x00\x40\x00\x00",
	}
	largeClaims = []string{
		"\xff\xff\xff\xff", "\x7f\xff\xff\xff", "\xff\xff\xff\x7f", "\xff\xff\xff\xff\x0f",
		"\x7f\xff\xff\xff\xff\xff\xff\xff", "\xff\xff\xff\xff\xff\xff\xff\x7f", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff", "\xc6\xff\xff\xff\xff", "\xdb\xff\xff\xff\xff", "\xc9\xff\xff\xff\xff",
	}
)

// damaged yields damaged states of x, at most about share of them, with what was done.
func damaged(x, other []byte, share int) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		overwritten := func(claims []string) bool {
			for _, claim := range claims {
				for at := range selection(len(x)+1, max(1, share/6/len(claims))) {
					d := append(slices.Clone(x[:at]), claim...)
					if len(d) < len(x) {
						d = append(d, x[len(d):]...)
					}
					if !yield(fmt.Sprintf("with %x written at byte %d", claim, at), d) {
						return false
					}
				}
			}
			return true
		}
		for n := range selection(len(x), share/6) {
			if !yield(fmt.Sprintf("cut to %d bytes", n), bytes.Clone(x[:n])) {
				return
			}
		}
		for _, tail := range [...][]byte{{0}, {1}, {0xC0}, {0xFF}, x, other} {
			if !yield(fmt.Sprintf("with %d bytes added at its end", len(tail)), slices.Concat(x, tail)) {
				return
			}
		}
		if !overwritten(smallClaims) {
			return
		}
		for bit := range selection(8*len(x), share/2) {
			d := bytes.Clone(x)
			d[bit/8] ^= 1 << (bit % 8)
			if !yield(fmt.Sprintf("with bit %d of byte %d flipped", bit%8, bit/8), d) {
				return
			}
		}
		overwritten(largeClaims)
	}
}

// The optional powers.

// lateVersion is above every version that a real sample holds, and not the last one.
var lateVersion = Version{
	Time:   MaxTimestamp - 1<<counterBits,
	Origin: Origin{Region: Region(strings.Repeat("z", MaxRegionLen)), Incarnation: 1<<64 - 2},
}

// checkDeleter returns some of the deltas and deleted states that it saw.
func (c *lawCheck) checkDeleter(states [][]byte) (more [][]byte) {
	if _, ok := c.m.(Deleter); !ok {
		return nil
	}
	if c.isLive(nil) {
		c.report(lawDeleter, "Live(nil) is true; the empty state shows no record", nil, nil)
	}
	for i := range selection(len(states), affordable(1000, 8, states)) {
		x := states[i]
		live := c.isLive(x)
		delta, ok := c.delete(x)
		switch {
		case !ok:
		case !live && len(delta) > 0:
			c.report(lawDeleter, "Delete gives a delta for a, which is not live", delta, nil, x)
		case live:
			if out, ok := c.join(c.m, nil, delta); ok && !bytes.Equal(out, delta) {
				c.report(lawNeutral, "Merge(nil, nil, a) is not a, which is a delta of Delete", out, delta, delta)
			}
			for _, p := range [...]pair{{a: x, b: delta}, {a: delta, b: x}} {
				out, ok := c.join(c.m, p.a, p.b)
				if ok && c.isLive(out) {
					c.report(lawDeleter, fmt.Sprintf("a joined with the delta of Delete(nil, a, %v), which is b, is still live", lateVersion), nil, nil, x, delta)
				}
				if ok && len(more) < 2*maxDeletes {
					more = c.addNew(more, delta, out)
				}
			}
		}
	}
	for _, x := range more {
		if delta, ok := c.delete(x); ok && !c.isLive(x) && len(delta) > 0 {
			c.report(lawDeleter, "Delete gives a delta for a, which is not live", delta, nil, x)
		}
	}
	return more
}

// isLive asks two mergers whether x is live and reports it if they disagree.
func (c *lawCheck) isLive(x []byte) bool {
	var live [2]bool
	for i, m := range [...]Merger{c.m, c.newMerger()} {
		l := lend(x, nil)
		if err := safely(func() { live[i] = m.(Deleter).Live(l.a) }); err != nil {
			c.report(lawPanic, "Live(a): "+err.Error(), nil, nil, x)
		}
		if !l.isIntact(x, nil) {
			c.report(lawInputs, "Live(a) writes to the memory of a, or next to it", nil, nil, x)
		}
	}
	if live[0] != live[1] {
		c.report(lawDeleter, fmt.Sprintf("Live(a) is %v, and %v of a fresh merger", live[0], live[1]), nil, nil, x)
	}
	return live[0]
}

// delete returns the delta that deletes x; it is not ok if there is none to speak of.
func (c *lawCheck) delete(x []byte) (delta []byte, ok bool) {
	var results [2][]byte
	for i, m := range [...]Merger{c.m, c.newMerger()} {
		var out []byte
		var err error
		l := lend(x, nil)
		held := []byte("dst")[:3*(1-i)] // and nothing the second time
		dst := append([]byte(nil), held...)
		if p := safely(func() { out, err = m.(Deleter).Delete(dst, l.a, lateVersion) }); p != nil {
			c.report(lawPanic, "Delete(dst, a, at): "+p.Error(), nil, nil, x)
			return nil, false
		}
		if !l.isIntact(x, nil) {
			c.report(lawInputs, "Delete(dst, a, at) writes to the memory of a, or next to it", nil, nil, x)
		}
		if err != nil {
			c.report(lawDeleter, fmt.Sprintf("Delete(dst, a, %v): %v", lateVersion, err), nil, nil, x)
			return nil, false
		}
		was := bytes.Clone(out)
		invert(l.mem)
		if !bytes.Equal(out, was) {
			c.report(lawShared, "the result of Delete(dst, a, at) changes with the memory of a", out, was, x)
		}
		var appends bool
		if results[i], appends = bytes.CutPrefix(was, held); !appends {
			c.report(lawAppends, "Delete(dst, a, at) does not keep what dst holds", was, held, x)
			return nil, false
		}
	}
	if !bytes.Equal(results[0], results[1]) {
		c.report(lawDeleter, "Delete(nil, a, at) of a fresh merger gives other bytes", results[1], results[0], x)
	}
	return results[0], true
}

func (c *lawCheck) checkConflicts(pairs []pair) {
	if _, ok := c.m.(ConflictReporter); !ok {
		return
	}
	for _, p := range pairs {
		for _, q := range [...]pair{p, {a: p.b, b: p.b}, {a: p.b}} {
			c.checkConflictsOf(q.a, q.b)
		}
	}
}

func (c *lawCheck) checkConflictsOf(a, b []byte) {
	var first []Conflict
	for i, m := range [...]Merger{c.m, c.newMerger(), c.m} {
		var out []Conflict
		var err error
		l := lend(a, b)
		held := Conflict{Field: "held by dst"}
		if p := safely(func() { out, err = m.(ConflictReporter).Conflicts([]Conflict{held}, l.a, l.b) }); p != nil {
			c.report(lawPanic, "Conflicts(dst, a, b): "+p.Error(), nil, nil, a, b)
			return
		}
		if !l.isIntact(a, b) {
			c.report(lawInputs, "Conflicts(dst, a, b) writes to the memory of a or b, or next to it", nil, nil, a, b)
		}
		if err != nil {
			c.report(lawFails, "Conflicts(dst, a, b) of two valid states: "+err.Error(), nil, nil, a, b)
			return
		}
		if len(out) == 0 || !reflect.DeepEqual(out[0], held) {
			c.report(lawAppends, "Conflicts(dst, a, b) does not keep what dst holds", nil, nil, a, b)
			return
		}
		out = out[1:]
		was := cloneConflicts(out)
		invert(l.mem)
		if !reflect.DeepEqual(out, was) {
			c.report(lawShared, "the result of Conflicts(dst, a, b) changes with the memory of a or b", nil, nil, a, b)
		}
		if i == 0 {
			first = was
		} else if !reflect.DeepEqual(was, first) {
			c.report(lawConflicts, fmt.Sprintf("Conflicts(dst, a, b) again gives %+v, not %+v", was, first), nil, nil, a, b)
			return
		}
	}
	if len(first) > 0 && (len(a) == 0 || len(b) == 0 || bytes.Equal(a, b)) {
		c.report(lawConflicts, fmt.Sprintf("Conflicts(dst, a, b) where nothing can be hidden gives %+v", first), nil, nil, a, b)
	}
}

// cloneConflicts copies everything that could be shared with a state, strings too.
func cloneConflicts(cs []Conflict) []Conflict {
	cs = slices.Clone(cs)
	for i := range cs {
		c := &cs[i]
		c.Field, c.Policy = strings.Clone(c.Field), strings.Clone(c.Policy)
		for _, s := range [...]*Sibling{&c.Loser, &c.Winner} {
			s.Value = bytes.Clone(s.Value)
			s.Version.Origin.Region = Region(strings.Clone(string(s.Version.Origin.Region)))
		}
	}
	return cs
}
