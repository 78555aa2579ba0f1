package fieldwise

import (
	"fmt"
	"sync"
	"time"
)

// DefaultMaxSkew is how far ahead of the wall clock a timestamp from elsewhere may
// be and still move a [Clock].
const DefaultMaxSkew = 500 * time.Millisecond

// Clock is a hybrid logical clock: it follows the wall clock, never goes back, and
// never gives one reading twice. It is safe for concurrent use. [NewClock] is the
// only way to make one.
type Clock struct {
	wall    func() time.Time
	maxSkew time.Duration

	mu   sync.Mutex
	last Timestamp
}

// NewClock returns a clock over wall; nil means time.Now. A maxSkew of zero means
// [DefaultMaxSkew]; a negative one lets no timestamp from the future move the clock.
func NewClock(wall func() time.Time, maxSkew time.Duration) *Clock {
	if wall == nil {
		wall = time.Now
	}
	if maxSkew == 0 {
		maxSkew = DefaultMaxSkew
	}
	return &Clock{wall: wall, maxSkew: max(maxSkew, 0)}
}

// Now returns a reading above every earlier one and above everything that Observe
// accepted and Restore was given. When the wall clock stands still or goes back,
// the counter goes on, and carries into the milliseconds when it is used up. At the
// very end of time it stays at [MaxTimestamp].
func (c *Clock) Now() Timestamp {
	c.mu.Lock()
	defer c.mu.Unlock()
	if wall := NewTimestamp(c.wall()); wall > c.last {
		c.last = wall
	} else if c.last < MaxTimestamp {
		c.last++
	}
	return c.last
}

// Observe takes note of a timestamp from elsewhere, so that later readings are
// above it. One that is more than the allowed skew ahead of the wall clock does not
// move the clock: Observe then returns a [SkewError], and the value that carries
// the timestamp is still good, since causality decides before timestamps do.
func (c *Clock) Observe(t Timestamp) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t <= c.last {
		return nil
	}
	wall := c.wall()
	if t > NewTimestamp(wall.Add(c.maxSkew))|counterMask {
		return &SkewError{Timestamp: t, Wall: wall, MaxSkew: c.maxSkew}
	}
	c.last = t
	return nil
}

// Restore sets the high-water mark that an earlier life of this clock reached; it
// never moves the clock back.
func (c *Clock) Restore(mark Timestamp) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(c.last, mark)
}

// Mark is the highest timestamp given or accepted so far: what Restore takes.
func (c *Clock) Mark() Timestamp {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// SkewError says that a timestamp was too far ahead of the wall clock to be
// trusted. It matches [ErrClockSkew].
type SkewError struct {
	Timestamp Timestamp
	Wall      time.Time
	MaxSkew   time.Duration
}

func (e *SkewError) Error() string {
	return fmt.Sprintf("%v: %v is %v ahead of the wall clock, at most %v is allowed",
		ErrClockSkew, e.Timestamp, e.Timestamp.Time().Sub(e.Wall).Round(time.Millisecond), e.MaxSkew)
}

// Is reports whether target is [ErrClockSkew].
func (e *SkewError) Is(target error) bool { return target == ErrClockSkew }
