package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog"
)

// play plays the edits of a script from number next on; those before are in the logs
// already. In the end all regions are linked and hold the same.
func (c *cluster) play(ctx context.Context, s *Script, next int, hear listener) error {
	for i := range s.Phases {
		p := &s.Phases[i]
		if len(p.Edits) == 0 || p.Edits[len(p.Edits)-1].N < next {
			continue
		}
		if hear.phase != nil {
			hear.phase(c.strategy, p.Name)
		}
		c.now.set(p.Start)
		if p.Edits[0].N >= next {
			// The phase begins: what came before it gets everywhere first. Were the
			// phase half done, linking the regions now would change what its other
			// edits know of.
			if err := c.connect(ctx, allUp); err != nil {
				return err
			}
		}
		if err := c.connect(ctx, p); err != nil {
			return err
		}
		for j := range p.Edits {
			e := &p.Edits[j]
			if e.N < next {
				continue
			}
			c.now.set(e.Time)
			receipt, err := c.edit(ctx, e)
			if err != nil {
				return fmt.Errorf("edit %d in %s: %w", e.N, e.Region, err)
			}
			if hear.acknowledged != nil {
				hear.acknowledged(c.strategy, e, !receipt.IsZero())
			}
			// Whoever edits next knows of this edit if the links allow it: that is the
			// same on every run, however fast the machine is.
			if err := c.arrive(ctx, p, e.Region, receipt); err != nil {
				return err
			}
		}
	}
	if hear.phase != nil {
		hear.phase(c.strategy, "everything is linked")
	}
	c.now.set(s.End)
	return c.connect(ctx, allUp)
}

// edit makes one edit in its region. The receipt is zero if the edit changed nothing, or
// if the region refused it: the record that it is for is not there, or is there already.
func (c *cluster) edit(ctx context.Context, e *Edit) (fieldwise.Receipt, error) {
	ctx = replog.WithNote(ctx, note(e))
	receipt, err := perform(ctx, c.profiles[e.Region], e)
	if errors.Is(err, fieldwise.ErrNotFound) || errors.Is(err, fieldwise.ErrExists) {
		return fieldwise.Receipt{}, nil
	}
	return receipt, err
}

func perform(ctx context.Context, in profiles, e *Edit) (fieldwise.Receipt, error) {
	switch e.Op {
	case create:
		return in.Create(ctx, e.Key, e.To)
	case remove:
		return in.Delete(ctx, e.Key)
	}
	from, to := e.From, e.To
	if from == nil {
		shown, err := in.Get(ctx, e.Key)
		if err != nil {
			return fieldwise.Receipt{}, err
		}
		from, to = shown, apply(shown, e.Changes)
	}
	return in.Replace(ctx, e.Key, from, to)
}
