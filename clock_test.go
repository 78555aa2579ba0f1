package fieldwise_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

// wallClock is a wall clock that is set by hand.
type wallClock struct{ now time.Time }

func (w *wallClock) read() time.Time { return w.now }

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestClockFollowsTheWallClock(t *testing.T) {
	wall := &wallClock{noon}
	c := fieldwise.NewClock(wall.read, 0)
	assert.Zero(t, c.Mark())
	first := fieldwise.NewTimestamp(noon)
	assert.Equal(t, first, c.Now())
	assert.Equal(t, first+1, c.Now(), "the wall clock stands still")
	wall.now = noon.Add(-time.Hour)
	assert.Equal(t, first+2, c.Now(), "the wall clock goes back")
	wall.now = noon.Add(time.Second)
	assert.Equal(t, fieldwise.NewTimestamp(wall.now), c.Now(), "the counter starts again")
	assert.Equal(t, fieldwise.NewTimestamp(wall.now), c.Mark())
}

func TestClockCounterCarriesIntoTheMilliseconds(t *testing.T) {
	c := fieldwise.NewClock((&wallClock{noon}).read, 0)
	last := c.Now()
	for range 3 * 65536 {
		now := c.Now()
		if now <= last {
			t.Fatalf("%v after %v", now, last)
		}
		last = now
	}
	assert.Equal(t, noon.Add(3*time.Millisecond), last.Time())
	assert.Zero(t, last.Counter())
}

func TestClockStopsAtTheEndOfTime(t *testing.T) {
	c := fieldwise.NewClock((&wallClock{noon}).read, 0)
	c.Restore(fieldwise.MaxTimestamp - 1)
	assert.Equal(t, fieldwise.MaxTimestamp, c.Now())
	assert.Equal(t, fieldwise.MaxTimestamp, c.Now(), "it does not start over")
}

func TestClockBefore1970(t *testing.T) {
	c := fieldwise.NewClock((&wallClock{time.Time{}}).read, 0)
	assert.Equal(t, fieldwise.Timestamp(1), c.Now(), "zero is before every reading")
}

func TestClockRestoreNeverGoesBack(t *testing.T) {
	wall := &wallClock{noon}
	earlier := fieldwise.NewClock(wall.read, 0)
	mark := earlier.Now()

	wall.now = noon.Add(-time.Hour) // and the machine restarts an hour early
	c := fieldwise.NewClock(wall.read, 0)
	c.Restore(mark)
	assert.Equal(t, mark, c.Mark())
	assert.Equal(t, mark+1, c.Now())
	c.Restore(mark)
	assert.Equal(t, mark+1, c.Mark(), "an older mark changes nothing")
	c.Restore(0)
	assert.Equal(t, mark+2, c.Now())
}

func TestClockObserve(t *testing.T) {
	at := func(ahead time.Duration) fieldwise.Timestamp { return fieldwise.NewTimestamp(noon.Add(ahead)) }
	cases := []struct {
		name    string
		maxSkew time.Duration
		observe fieldwise.Timestamp
		moves   bool
		fails   bool
	}{
		{"the past", 0, at(-time.Hour), false, false},
		{"zero", 0, 0, false, false},
		{"now", 0, at(0), false, false},
		{"now, higher counter", 0, at(0) + 9, true, false},
		{"within the default skew", 0, at(499 * time.Millisecond), true, false},
		{"the default skew", 0, at(500*time.Millisecond) + 65535, true, false},
		{"beyond the default skew", 0, at(501 * time.Millisecond), false, true},
		{"within a skew of its own", time.Minute, at(time.Minute), true, false},
		{"beyond a skew of its own", time.Minute, at(time.Minute + time.Millisecond), false, true},
		{"no skew, this millisecond", -1, at(0) + 65535, true, false},
		{"no skew, the next millisecond", -1, at(time.Millisecond), false, true},
		{"the year 2099", 0, fieldwise.NewTimestamp(time.UnixMilli(4070908800000)), false, true}, // CE21
		{"the end of time", 0, fieldwise.MaxTimestamp, false, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			clock := fieldwise.NewClock((&wallClock{noon}).read, c.maxSkew)
			before := clock.Now()
			err := clock.Observe(c.observe)
			if c.moves {
				assert.Equal(t, c.observe, clock.Mark())
				assert.Equal(t, c.observe+1, clock.Now())
			} else {
				assert.Equal(t, before, clock.Mark())
				assert.Equal(t, before+1, clock.Now())
			}
			if !c.fails {
				assert.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, fieldwise.ErrClockSkew)
			var skew *fieldwise.SkewError
			require.ErrorAs(t, err, &skew)
			assert.Equal(t, c.observe, skew.Timestamp)
			assert.Equal(t, noon, skew.Wall)
			assert.ErrorContains(t, err, "ahead of the wall clock")
		})
	}
}

// CE21: a region whose clock reads 2099 is heard of, alarms, and moves nobody.
func TestClockCE21AlarmIsRepeatedAndNamesTheTime(t *testing.T) {
	clock := fieldwise.NewClock((&wallClock{noon}).read, 0)
	bad := fieldwise.NewTimestamp(time.UnixMilli(4070908800000))
	for range 3 {
		assert.ErrorContains(t, clock.Observe(bad), "2099-01-01T00:00:00.000Z+0 is 632076h0m0s ahead of the wall clock, at most 500ms")
	}
	assert.Equal(t, fieldwise.NewTimestamp(noon), clock.Now())
}

// Whatever the wall clock does and whatever is heard, readings ascend, are above all
// that was accepted, and are moved by nothing from beyond the skew.
func TestClockReadingsAscendUnderAnyWallClock(t *testing.T) {
	randtest.Check(t, 100, 1000, func(t *rapid.T) {
		wall := &wallClock{noon}
		skew := time.Duration(rapid.Int64Range(-1, 2000).Draw(t, "skew")) * time.Millisecond
		clock := fieldwise.NewClock(wall.read, skew)
		switch {
		case skew == 0:
			skew = fieldwise.DefaultMaxSkew
		case skew < 0:
			skew = 0
		}
		jumps := rapid.OneOf(rapid.Int64Range(-3, 3), rapid.Int64Range(-1e6, 1e6), rapid.Int64Range(-1e14, 1e14))
		var floor fieldwise.Timestamp // the highest reading, mark or accepted timestamp
		var given bool
		t.Repeat(map[string]func(*rapid.T){
			"jump": func(t *rapid.T) {
				wall.now = time.UnixMilli(noon.UnixMilli() + jumps.Draw(t, "ms"))
			},
			"now": func(t *rapid.T) {
				got := clock.Now()
				if given && got <= floor {
					t.Fatalf("%v is not above %v", got, floor)
				}
				if wallNow := fieldwise.NewTimestamp(wall.now); got < wallNow {
					t.Fatalf("%v is behind the wall clock %v", got, wallNow)
				}
				floor, given = got, true
			},
			"observe": func(t *rapid.T) {
				heard := fieldwise.NewTimestamp(wall.now.Add(time.Duration(jumps.Draw(t, "ms")%1e6) * time.Millisecond))
				heard += fieldwise.Timestamp(rapid.Uint16().Draw(t, "counter"))
				err := clock.Observe(heard)
				tooFar := heard > floor && heard>>16 > fieldwise.NewTimestamp(wall.now.Add(skew))>>16
				if (err != nil) != tooFar {
					t.Fatalf("observing %v at %v: %v", heard, wall.now, err)
				}
				if err == nil && heard > floor {
					floor, given = heard, true
				}
			},
			"restore": func(t *rapid.T) {
				mark := fieldwise.NewTimestamp(time.UnixMilli(noon.UnixMilli() + jumps.Draw(t, "ms")))
				clock.Restore(mark)
				if mark > floor {
					floor, given = mark, true
				}
			},
			"": func(t *rapid.T) {
				if got := clock.Mark(); got != floor {
					t.Fatalf("mark is %v, want %v", got, floor)
				}
			},
		})
	})
}

func TestClockGivesNoReadingTwice(t *testing.T) {
	clock := fieldwise.NewClock((&wallClock{noon}).read, 0)
	const goroutines, readings = 4, 1000
	var all [goroutines][]fieldwise.Timestamp
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for range readings {
				all[g] = append(all[g], clock.Now())
			}
		})
	}
	wg.Wait()
	seen := map[fieldwise.Timestamp]bool{}
	for _, own := range all {
		assert.IsIncreasing(t, own)
		for _, ts := range own {
			seen[ts] = true
		}
	}
	assert.Len(t, seen, goroutines*readings)
}

func TestClockOverTimeNow(t *testing.T) {
	before := fieldwise.NewTimestamp(time.Now())
	now := fieldwise.NewClock(nil, 0).Now()
	after := fieldwise.NewTimestamp(time.Now())
	assert.True(t, before <= now && now <= after, "%v is not between %v and %v", now, before, after)
}
