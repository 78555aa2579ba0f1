package replog

import (
	"context"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

// isEmpty reports whether there is nothing here from other regions.
func (r *Replica) isEmpty() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for o := range r.engine.Vector() {
		if o.Region != r.Region() {
			return false
		}
	}
	return true
}

// join takes a snapshot of a peer's states and joins it with what is here, unless it is not needed
// any more when its turn comes: one is taken at a time.
func (r *Replica) join(ctx context.Context, peer *Replica) error {
	select {
	case r.joining <- struct{}{}:
		defer func() { <-r.joining }()
	case <-r.closing:
		return fieldwise.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	r.mu.Lock()
	request := r.engine.NextPull(time.Now(), peer.Region())
	r.mu.Unlock()
	pieces, err := peer.snapshot(ctx, request)
	if err != nil || pieces == nil {
		return err
	}
	err = r.take(ctx, request, func() (engine.Delivered, error) {
		return r.engine.Install(r.cfg.Wall(), request.To, pieces)
	})
	if err == nil {
		r.cfg.Logger.Info("took a snapshot of the states of a peer", "region", r.Region(), "peer", peer.Region(), "records", pieces.Records(), "bytes", pieces.Bytes())
	}
	return err
}

// snapshot returns a snapshot for the peer that makes the request, or nil if it lacks nothing but
// entries that this log holds.
func (r *Replica) snapshot(ctx context.Context, request engine.Pull) (*engine.Pieces, error) {
	s, err := r.beginSnapshot(request)
	if err != nil || s == nil {
		return nil, err
	}
	defer func() {
		r.mu.Lock()
		s.Close()
		r.mu.Unlock()
	}()
	pieces := &engine.Pieces{}
	for {
		r.mu.Lock()
		piece := s.Next()
		r.mu.Unlock()
		if piece == nil {
			return pieces, nil
		}
		if err := r.usable(ctx); err != nil {
			return nil, err
		}
		if err := pieces.Add(piece); err != nil {
			return nil, err
		}
	}
}

func (r *Replica) beginSnapshot(request engine.Pull) (*engine.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.engine.NeedsSnapshot(request) {
		return nil, nil
	}
	s, err := r.engine.Snapshot(request)
	if r.heedLocked() {
		r.broadcastLocked()
	}
	return s, err
}
