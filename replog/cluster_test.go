package replog

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

// cluster is regions that are linked each with each, and any of which may be cut off,
// closed, or lose its power while others write.
type cluster struct {
	t     *testing.T
	slots []*slot

	mu    sync.Mutex
	links map[[2]int]*Link
}

// slot holds the replica of a region; who uses it holds the lock for reading.
type slot struct {
	sync.RWMutex
	node  *node
	acked map[string][]string // tokens by key, guarded by own
	own   sync.Mutex
}

func (c *cluster) connect(i, j int) {
	if i > j {
		i, j = j, i
	}
	l, err := Connect(c.slots[i].node.Replica, c.slots[j].node.Replica)
	if err != nil {
		return // one of them is just being closed; who reopens it connects it
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.links[[2]int{i, j}]; old != nil {
		assert.NotErrorIs(c.t, old.Err(), ErrLogRegressed)
		assert.NotErrorIs(c.t, old.Err(), ErrGap)
		_ = old.Close()
	}
	c.links[[2]int{i, j}] = l
}

func (c *cluster) link(rng *rand.Rand) *Link {
	i, j := rng.IntN(len(c.slots)), rng.IntN(len(c.slots)-1)
	if j >= i {
		j++
	} else {
		i, j = j, i
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.links[[2]int{i, j}]
}

// restart opens a region again: after Close, or after a power cut.
func (c *cluster) restart(i int, power bool, rng *rand.Rand) {
	s := c.slots[i]
	s.Lock()
	region, fs := s.node.Region(), s.node.fs
	if power {
		fs = &hookFS{FS: fs.FS.(*disk.Mem).CrashRand(rng)} // as it is now: nobody writes here
	}
	assert.NoError(c.t, s.node.Close())
	s.node = nodeOn(c.t, region, fs)
	s.Unlock()
	for j := range c.slots {
		if j == i {
			continue
		}
		lo, hi := min(i, j), max(i, j)
		c.slots[lo].RLock()
		c.slots[hi].RLock()
		c.connect(i, j)
		c.slots[hi].RUnlock()
		c.slots[lo].RUnlock()
	}
}

func (c *cluster) write(s *slot, key, value string) {
	s.RLock()
	defer s.RUnlock()
	if _, err := s.node.tokens.Write(ctx, key, token(value)); !assert.NoError(c.t, err) {
		return
	}
	s.own.Lock()
	s.acked[key] = append(s.acked[key], value)
	s.own.Unlock()
	_, err := s.node.notes.Write(ctx, key, note(value))
	assert.NoError(c.t, err)
}

func TestConvergeUnderCutsRestartsAndPowerCuts(t *testing.T) {
	seed := randtest.Seed(t) // of the choices, not of the schedule
	rounds, writes := 10, 60
	if testing.Short() {
		rounds, writes = 3, 30
	}
	for round := range rounds {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		c := &cluster{t: t, links: map[[2]int]*Link{}}
		for i := range 3 + round%2 {
			region := fieldwise.Region('a' + rune(i))
			c.slots = append(c.slots, &slot{node: nodeOn(t, region, newHookFS()), acked: map[string][]string{}})
		}
		for i := range c.slots {
			for j := range i {
				c.connect(i, j)
			}
		}
		var writers, trouble sync.WaitGroup
		over := make(chan struct{})
		for i, s := range c.slots {
			for w := range 2 {
				writers.Go(func() {
					for n := range writes {
						c.write(s, fmt.Sprint("k", n%5), fmt.Sprintf("r%d-%d-%d-%d", round, i, w, n))
					}
				})
			}
		}
		for who := range 2 {
			own := rand.New(rand.NewPCG(rng.Uint64(), uint64(who)))
			trouble.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-over:
						return
					default:
					}
					switch k := own.IntN(10); {
					case who == 0 && k < 8:
						c.restart(own.IntN(len(c.slots)), own.IntN(2) == 0, own)
					case k < 5:
						c.link(own).Cut()
					default:
						c.link(own).Heal()
					}
				}
			})
		}
		writers.Wait()
		close(over)
		trouble.Wait()
		for _, l := range c.links {
			l.Heal()
		}
		var nodes []*node
		for _, s := range c.slots {
			nodes = append(nodes, s.node)
		}
		limited, cancel := context.WithTimeout(ctx, time.Minute)
		for _, n := range nodes {
			for _, other := range nodes {
				require.NoError(t, n.WaitVector(limited, other.Vector()), "%v lacks something of %v", n.Vector(), other.Vector())
			}
		}
		cancel()
		settle(t, nodes...)
		for _, s := range c.slots {
			for key, all := range s.acked {
				for _, n := range nodes {
					state := []byte(read(t, n.tokens, key))
					for _, value := range all {
						require.NoError(t, mustHold(state, value), "round %d, seed %d, in %s", round, seed, n.Region())
					}
				}
			}
		}
		for _, l := range c.links {
			if err := l.Err(); err != nil {
				require.NotErrorIs(t, err, ErrLogRegressed)
				require.NotErrorIs(t, err, ErrGap)
			}
		}
		// And all of it again from the disks.
		for i, n := range nodes {
			nodes[i] = n.reopened(t)
		}
		settle(t, nodes...)
		for _, n := range nodes {
			require.NoError(t, n.Close())
		}
	}
}
