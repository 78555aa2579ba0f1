package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
	"github.com/fieldwise/fieldwise/replog/wal"
)

// compare checks that all directories hold the same entries of each origin, as far as they go. Each
// is compared with the one that has most of the origin: two that agree with it agree with each other.
// Entries that a snapshot stands for are not there to be compared, nor are those behind them.
func (v *verifier) compare(ctx context.Context) error {
	most := make(map[fieldwise.Origin]*checked)
	for _, c := range v.Directories {
		for o, seq := range c.ends {
			if m := most[o]; !c.based[o] && (m == nil || seq > m.ends[o]) {
				most[o] = c
			}
		}
	}
	// Where the others end, the chains of those that have most are looked up in one pass each.
	wanted := make(map[*checked]map[fieldwise.Origin][]fieldwise.Seq)
	for o, m := range most {
		for _, c := range v.Directories {
			if seq := c.ends[o]; c != m && seq > 0 && !c.based[o] {
				if wanted[m] == nil {
					wanted[m] = make(map[fieldwise.Origin][]fieldwise.Seq)
				}
				wanted[m][o] = append(wanted[m][o], seq)
			}
		}
	}
	chains := make(map[*checked]map[fieldwise.Origin]map[fieldwise.Seq]uint64)
	for _, m := range v.Directories {
		if wanted[m] == nil {
			continue
		}
		var err error
		if chains[m], err = m.chainsAt(ctx, wanted[m]); err != nil {
			return err
		}
	}
	for _, o := range slices.SortedFunc(maps.Keys(most), fieldwise.Origin.Compare) {
		m := most[o]
		agree := []string{m.Directory}
		for _, c := range v.Directories {
			seq := c.ends[o]
			if c == m || seq == 0 || c.based[o] {
				continue
			}
			if chains[m][o][seq] != c.chains[o] {
				if err := v.forked(ctx, m, c, o, seq); err != nil {
					return err
				}
				continue
			}
			agree = append(agree, c.Directory)
		}
		if len(agree) > 1 {
			v.Equal = append(v.Equal, agreement{Origin: &o, Directories: agree})
		}
	}
	return nil
}

// chainsAt returns the chains of origins at the wanted numbers. It reads the log once.
func (c *checked) chainsAt(ctx context.Context, wanted map[fieldwise.Origin][]fieldwise.Seq) (map[fieldwise.Origin]map[fieldwise.Seq]uint64, error) {
	found := make(map[fieldwise.Origin]map[fieldwise.Seq]uint64, len(wanted))
	type link struct {
		seq   fieldwise.Seq
		chain uint64
	}
	last := make(map[fieldwise.Origin]link, len(wanted))
	for o, seqs := range wanted {
		slices.Sort(seqs)
		found[o] = make(map[fieldwise.Seq]uint64, len(seqs))
	}
	parts := engine.Parts{Entry: func(e engine.Entry, body []byte, _ bool) error {
		seqs, at := wanted[e.Origin], last[e.Origin]
		if len(seqs) == 0 || e.Seq > seqs[len(seqs)-1] || e.Seq != at.seq+1 {
			return nil
		}
		at = link{e.Seq, engine.NextChain(at.chain, body)}
		last[e.Origin] = at
		if _, ok := slices.BinarySearch(seqs, e.Seq); ok {
			found[e.Origin][e.Seq] = at.chain
		}
		return nil
	}}
	err := c.read(ctx, "comparing", &parts)
	return found, err
}

// read goes through a log that was checked, and passes over what is damaged: that was told.
func (c *checked) read(ctx context.Context, doing string, parts *engine.Parts) error {
	for f, err := range c.source.frames(ctx, doing, 0) {
		if damaged(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := parts.Read(f.Payload); err != nil && !errors.Is(err, fieldwise.ErrMalformed) {
			return err
		}
	}
	return nil
}

// forked finds the first entry of an origin that is not the same in two directories, given that the
// one at a number or one in front of it is not.
func (v *verifier) forked(ctx context.Context, a, b *checked, o fieldwise.Origin, differ fieldwise.Seq) error {
	same := fieldwise.Seq(0)
	for differ-same > 1 {
		var seqs []fieldwise.Seq
		step := max(1, (differ-same)/(v.samples+1))
		for seq := same + step; seq < differ; seq += step {
			seqs = append(seqs, seq)
		}
		wanted := map[fieldwise.Origin][]fieldwise.Seq{o: seqs}
		inA, err := a.chainsAt(ctx, wanted)
		if err != nil {
			return err
		}
		inB, err := b.chainsAt(ctx, wanted)
		if err != nil {
			return err
		}
		for _, seq := range seqs {
			if inA[o][seq] != inB[o][seq] {
				differ = seq
				break
			}
			same = seq
		}
	}
	inA, atA, err := a.entry(ctx, o, differ)
	if err != nil {
		return err
	}
	inB, _, err := b.entry(ctx, o, differ)
	if err != nil {
		return err
	}
	v.found(finding{
		Directory: a.Directory, Kind: "forked", Position: atA, Origin: &o, Seq: differ,
		Problem: fmt.Sprintf("two entries have one origin and number: %s here, %s in %s; two processes signed as one, from copies of one directory", inA, inB, b.Directory),
	})
	return nil
}

// entry tells an entry, and where it is.
func (c *checked) entry(ctx context.Context, o fieldwise.Origin, seq fieldwise.Seq) (text string, at wal.Position, err error) {
	err = c.source.read(ctx, "looking up an entry in", 0, func(position wal.Position) *engine.Parts {
		return &engine.Parts{Entry: func(e engine.Entry, _ []byte, _ bool) error {
			if e.Origin != o || e.Seq != seq {
				return nil
			}
			text, at = fmt.Sprintf("%s %q of %s", nameText(e.Domain), e.Key, timeText(e.Time)), position
			return errEnough
		}}
	})
	if errors.Is(err, errEnough) || damaged(err) {
		err = nil
	}
	return text, at, err
}
