package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/fieldwise/fieldwise"
)

// result is what came of a script under one strategy.
type result struct {
	Strategy string     `json:"strategy"`
	Title    string     `json:"-"`
	Tally    Tally      `json:"tally"`
	Proof    []proof    `json:"proof"`
	Problems []string   `json:"problems"` // what must not be; empty if all is well
	Reports  []conflict `json:"conflicts"`
	outcomes []outcome
	final    map[string]record
}

// proof is the hash of the states that one region holds.
type proof struct {
	Region   fieldwise.Region `json:"region"`
	Hash     string           `json:"sha256"`
	Reopened string           `json:"reopened"` // after the logs were closed and read again
}

// listener hears of a run; its functions may be nil.
type listener struct {
	acknowledged func(st strategy, e *Edit, wrote bool)
	phase        func(st strategy, name string)
}

// runStrategy plays a script under one strategy with the logs below dir, from where an
// earlier run got to, and says what came of it.
func runStrategy(ctx context.Context, dir string, st strategy, s *Script, hear listener) (res *result, err error) {
	dir = filepath.Join(dir, st.Name)
	c, err := openCluster(ctx, dir, st, s)
	if err != nil {
		return nil, err
	}
	res, err = c.run(ctx, s, hear)
	if err := errors.Join(err, c.close()); err != nil {
		return nil, fmt.Errorf("%s: %w", st.Name, err)
	}

	// What counts is what the disk has.
	c, err = openCluster(ctx, dir, st, s)
	if err != nil {
		return nil, err
	}
	for i := range res.Proof {
		var sum [sha256.Size]byte
		if sum, err = c.digest(ctx, res.Proof[i].Region); err != nil {
			break
		}
		res.Proof[i].Reopened = hex.EncodeToString(sum[:])
	}
	if err := errors.Join(err, c.close()); err != nil {
		return nil, fmt.Errorf("%s: %w", st.Name, err)
	}
	res.examine()
	return res, nil
}

// run plays what is left of the script and gathers what can be known afterwards.
func (c *cluster) run(ctx context.Context, s *Script, hear listener) (*result, error) {
	logs, err := c.readLogs(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := c.play(ctx, s, nextEdit(s, logs), hear); err != nil {
		return nil, err
	}
	ev, err := c.gather(ctx, s)
	if err != nil {
		return nil, err
	}
	res := &result{Strategy: c.strategy.Name, Title: c.strategy.Title, outcomes: ev.judge(), final: ev.final, Problems: []string{}}
	res.Tally.count(ev, res.outcomes)
	stats := c.replicas[us].Stats()
	res.Tally.LogBytes = stats.Bytes
	for _, d := range stats.Domains {
		res.Tally.Records, res.Tally.StateBytes = d.Records, d.Bytes
	}
	res.Reports = readable(ev)
	for _, name := range regions {
		sum, err := c.digest(ctx, name)
		if err != nil {
			return nil, err
		}
		res.Proof = append(res.Proof, proof{Region: name, Hash: hex.EncodeToString(sum[:])})
	}
	return res, nil
}

// examine lists what must not be.
func (r *result) examine() {
	first := r.Proof[0]
	for _, p := range r.Proof {
		if p.Hash != first.Hash {
			r.Problems = append(r.Problems, fmt.Sprintf("%s holds other states than %s", p.Region, first.Region))
		}
		if p.Reopened != p.Hash {
			r.Problems = append(r.Problems, fmt.Sprintf("%s holds other states after its log was read again", p.Region))
		}
	}
	if r.Tally.Lost > 0 && r.Strategy == fieldMerge {
		r.Problems = append(r.Problems, fmt.Sprintf("%d changes were lost without a trace", r.Tally.Lost))
	}
}
