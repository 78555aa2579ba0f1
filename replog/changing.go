package replog

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"sync"

	"github.com/fieldwise/fieldwise"
)

// changing knows which goroutines are inside a change, and of what: a write that one of
// them asks for would wait for itself. The zero value is ready to use.
type changing struct {
	mu     sync.Mutex
	inside map[goroutine]keyName
}

// goroutine is the number of a goroutine, which no other ever has; zero is none.
type goroutine uint64

// thisGoroutine is the number of the goroutine that calls it.
//
// Go tells it nowhere but in the first line of a stack trace, "goroutine 7 [running]:", and
// so it is read from there: a Store's change has no context or other argument that could
// carry a mark to the write it asks for. A release of Go that words the line in another way
// gives zero, and then nested writes wait, as they would without this. It takes microseconds,
// the more the deeper the stack. And it does not see a change that starts another
// goroutine and waits for a write there.
func thisGoroutine() goroutine {
	var buf [64]byte
	return parseGoroutine(buf[:runtime.Stack(buf[:], false)])
}

func parseGoroutine(trace []byte) goroutine {
	rest, ok := bytes.CutPrefix(trace, []byte("goroutine "))
	if !ok {
		return 0
	}
	number, _, _ := bytes.Cut(rest, []byte(" "))
	n, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil {
		return 0
	}
	return goroutine(n)
}

// check returns an error that matches fieldwise.ErrNested if g is inside a change.
func (c *changing) check(g goroutine) error {
	c.mu.Lock()
	outer, nested := c.inside[g]
	c.mu.Unlock()
	if !nested {
		return nil
	}
	return fmt.Errorf("%w: of key %.80q in domain %q", fieldwise.ErrNested, outer.key, outer.domain)
}

// enter marks that g begins a change of the key and leave that it ended.
func (c *changing) enter(g goroutine, key keyName) (leave func()) {
	if g == 0 {
		return func() {}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inside == nil {
		c.inside = make(map[goroutine]keyName)
	}
	c.inside[g] = key
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.inside, g)
	}
}
