package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog"
)

// healWithin bounds how long regions that are linked may take to agree. They take
// milliseconds; a link that cannot ship would let them wait for ever.
const healWithin = time.Minute

// cluster is three regions in this process: a replica each with its log on disk, and
// links between them.
type cluster struct {
	strategy strategy
	skew     map[fieldwise.Region]time.Duration
	now      clock
	replicas map[fieldwise.Region]*replog.Replica
	profiles map[fieldwise.Region]profiles
	links    map[link]*replog.Link
}

// clock is the time of day that the regions are told, so that every run of a script
// gives the same result.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

// openCluster opens the regions on their logs below dir. They are not linked yet.
func openCluster(ctx context.Context, dir string, st strategy, s *Script) (_ *cluster, err error) {
	c := &cluster{
		strategy: st,
		skew:     s.Skew,
		replicas: make(map[fieldwise.Region]*replog.Replica),
		profiles: make(map[fieldwise.Region]profiles),
		links:    make(map[link]*replog.Link),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	c.now.set(s.Phases[0].Start)
	for _, name := range regions {
		r, err := replog.Open(ctx, replog.Config{
			Region: name,
			Dir:    filepath.Join(dir, string(name)),
			Wall:   func() time.Time { return c.now.read().Add(c.skew[name]) },
		})
		if err != nil {
			return nil, err
		}
		c.replicas[name] = r
		if c.profiles[name], err = st.Open(r); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *cluster) close() error {
	var problems []error
	for _, name := range regions {
		if r := c.replicas[name]; r != nil {
			problems = append(problems, r.Close())
		}
	}
	return errors.Join(problems...)
}

// connect links the regions as a phase has them, and waits until those that reach each
// other hold the same.
func (c *cluster) connect(ctx context.Context, p *Phase) error {
	for _, l := range links {
		switch have := c.links[l]; {
		case have == nil && p.up(l):
			made, err := replog.Connect(c.replicas[l[0]], c.replicas[l[1]])
			if err != nil {
				return err
			}
			c.links[l] = made
		case have != nil && p.up(l):
			have.Heal()
		case have != nil:
			have.Cut()
		}
	}
	return c.inTime(ctx, func(ctx context.Context) error {
		for _, from := range regions {
			for _, to := range p.reaches(from) {
				if err := c.replicas[to].WaitVector(ctx, c.replicas[from].Vector()); err != nil {
					return fmt.Errorf("wait until %s has what %s has: %w", to, from, err)
				}
			}
		}
		return nil
	})
}

// arrive waits until every region that hears from a region in this phase has applied what
// was written there.
func (c *cluster) arrive(ctx context.Context, p *Phase, from fieldwise.Region, written fieldwise.Receipt) error {
	return c.inTime(ctx, func(ctx context.Context) error {
		for _, to := range p.reaches(from) {
			if err := c.replicas[to].WaitApplied(ctx, written); err != nil {
				return fmt.Errorf("wait until %v is in %s: %w", written, to, err)
			}
		}
		return nil
	})
}

// inTime gives wait a minute, and says what is wrong with the links if that is too short.
func (c *cluster) inTime(ctx context.Context, wait func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, healWithin)
	defer cancel()
	err := wait(ctx)
	if err != nil {
		for _, l := range links {
			if link := c.links[l]; link != nil {
				err = errors.Join(err, link.Err())
			}
		}
	}
	return err
}

// digest is a hash of all states that a region holds.
func (c *cluster) digest(ctx context.Context, name fieldwise.Region) ([sha256.Size]byte, error) {
	return c.replicas[name].Digest(ctx, domain)
}
