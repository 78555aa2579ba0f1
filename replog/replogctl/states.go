package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

// states joins the changes of all domains whose mergers are known, and compares the states where
// directories hold the same entries.
func (v *verifier) states(ctx context.Context) error {
	v.assume()
	for _, c := range v.Directories {
		for _, d := range c.Domains {
			if err := v.digest(ctx, c, d); err != nil {
				return err
			}
		}
	}
	first := make(map[string]*checked) // by vector
	for _, c := range v.Directories {
		if !c.whole() {
			continue
		}
		vector := c.ends.String()
		if first[vector] == nil {
			first[vector] = c
			continue
		}
		if err := v.compareStates(ctx, first[vector], c); err != nil {
			return err
		}
	}
	return nil
}

// assume lets a domain that a directory has not opened have the merger that another has for it, if
// all that have one agree.
func (v *verifier) assume() {
	mergers := make(map[string][]string) // by domain
	for _, c := range v.Directories {
		for _, d := range c.Domains {
			if d.Merger != "" && !slices.Contains(mergers[d.Name], d.Merger) {
				mergers[d.Name] = append(mergers[d.Name], d.Merger)
			}
		}
	}
	for _, c := range v.Directories {
		for _, d := range c.Domains {
			if d.Merger == "" && len(mergers[d.Name]) == 1 {
				d.Assumed = mergers[d.Name][0]
			}
		}
	}
}

// digest joins the states of one domain.
func (v *verifier) digest(ctx context.Context, c *checked, d *checkedDomain) error {
	if d.merging() == nil || d.bad || c.Snapshots > 0 {
		return nil
	}
	states, err := c.join(ctx, d, v.found)
	if err != nil || d.bad {
		return err
	}
	d.Records, d.Digest = len(states), digestOf(states)
	return nil
}

// compareStates compares what two directories make of the same entries.
func (v *verifier) compareStates(ctx context.Context, a, b *checked) error {
	for _, d := range a.Domains {
		i := slices.IndexFunc(b.Domains, func(o *checkedDomain) bool { return o.Name == d.Name })
		if i < 0 || d.Digest == "" || b.Domains[i].Digest == "" {
			continue
		}
		o := b.Domains[i]
		if d.mergerName() == o.mergerName() && d.Digest == o.Digest {
			v.Equal = append(v.Equal, agreement{Domain: d.Name, Directories: []string{a.Directory, b.Directory}})
			continue
		}
		problem, err := difference(ctx, a, b, d, o)
		if err != nil {
			return err
		}
		v.found(finding{Directory: a.Directory, Kind: "states", Domain: d.Name, Problem: problem})
	}
	return nil
}

// difference names records whose states differ.
func difference(ctx context.Context, a, b *checked, d, o *checkedDomain) (string, error) {
	if d.mergerName() != o.mergerName() {
		return fmt.Sprintf("merged under %q here and under %q in %s", d.mergerName(), o.mergerName(), b.Directory), nil
	}
	ignore := func(finding) {} // told before
	inA, err := a.join(ctx, d, ignore)
	if err != nil {
		return "", err
	}
	inB, err := b.join(ctx, o, ignore)
	if err != nil {
		return "", err
	}
	var keys []string
	for key, state := range inA {
		if !bytes.Equal(state, inB[key]) {
			keys = append(keys, key)
		}
	}
	for key := range inB {
		if _, ok := inA[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return fmt.Sprintf("%s not the same state as in %s: %s", count(len(keys), "record has", "records have"), b.Directory, listed(keys)), nil
}

// listed names the first few keys.
func listed(keys []string) string {
	const most = 10
	var b strings.Builder
	for i, key := range keys {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(keys)-most)
			break
		}
		if i > 0 {
			b.WriteString(" ")
		}
		fmt.Fprintf(&b, "%q", key)
	}
	return b.String()
}

// digestOf is what Replica.Digest says of the same states.
func digestOf(states map[string][]byte) string {
	h := sha256.New()
	var b []byte
	for _, key := range slices.Sorted(maps.Keys(states)) {
		b = binary.BigEndian.AppendUint64(b[:0], uint64(len(key)))
		b = binary.BigEndian.AppendUint64(append(b, key...), uint64(len(states[key])))
		h.Write(b)
		h.Write(states[key])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// join joins all changes of a domain whose merger is known. One that cannot be joined is told to
// found.
func (c *checked) join(ctx context.Context, d *checkedDomain, found func(finding)) (map[string][]byte, error) {
	m := d.merging()
	j := newJoiner(m)
	parts := engine.Parts{Entry: func(e engine.Entry, _ []byte, _ bool) error {
		if e.Domain != d.Name {
			return nil
		}
		var err error
		if !d.Known { // else it was checked before
			err = m.check(e.Delta)
		}
		if err == nil {
			err = j.add(e.Key, e.Delta)
		}
		if err != nil {
			d.bad = true
			found(finding{
				Directory: c.Directory, Kind: "change", Origin: &e.Origin, Seq: e.Seq, Domain: e.Domain, Key: e.Key,
				Problem: fmt.Sprintf("cannot be joined: %v", err),
			})
		}
		return nil
	}}
	if err := c.read(ctx, "joining "+nameText(d.Name)+" in", &parts); err != nil {
		return nil, err
	}
	return j.states(), nil
}

// joiner joins changes into states. Large records are kept open, up to a few.
type joiner struct {
	merger fieldwise.Merger
	opener fieldwise.Opener // nil if the merger has not the power
	closed map[string][]byte
	open   map[string]fieldwise.Opened
}

const (
	openFrom = 4096 // bytes of a state that is kept open
	maxOpen  = 64   // records
)

func newJoiner(m *merging) *joiner {
	j := &joiner{merger: m, closed: make(map[string][]byte), open: make(map[string]fieldwise.Opened)}
	j.opener, _ = m.Merger.(fieldwise.Opener)
	return j
}

// add joins a change that was checked.
func (j *joiner) add(key string, delta []byte) error {
	if o := j.open[key]; o != nil {
		return o.Merge(delta)
	}
	state := j.closed[key]
	if j.opener != nil && len(state) >= openFrom {
		o, err := j.opener.Open(state, openFrom)
		if err != nil {
			return err
		}
		if o != nil {
			if len(j.open) == maxOpen {
				j.closeAll()
			}
			delete(j.closed, key)
			j.open[key] = o
			return o.Merge(delta)
		}
	}
	joined, err := j.merger.Merge(nil, state, delta)
	if err == nil {
		j.closed[key] = joined
	}
	return err
}

func (j *joiner) closeAll() {
	for key, o := range j.open {
		j.closed[key] = o.AppendState(nil)
	}
	clear(j.open)
}

func (j *joiner) states() map[string][]byte {
	j.closeAll()
	return j.closed
}
