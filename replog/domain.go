package replog

import (
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

// Domain is the states of the records under one merger: what [fieldwise.Store]
// promises, on a durable log, and the notes of their writes. It is safe for concurrent use.
type Domain struct {
	replica *Replica
	name    string
}

var (
	_ fieldwise.Store     = (*Domain)(nil)
	_ fieldwise.OpenStore = (*Domain)(nil)
	_ fieldwise.Noter     = (*Domain)(nil)
)

// Name is the domain's name.
func (d *Domain) Name() string { return d.name }

// Read implements [fieldwise.Store].
func (d *Domain) Read(ctx context.Context, key string, use func(state []byte) error) error {
	return d.ReadOpen(ctx, key, func(state []byte, open fieldwise.Opened) error {
		if open != nil {
			state = open.AppendState(nil)
		}
		return use(state)
	})
}

// ReadOpen implements [fieldwise.OpenStore].
func (d *Domain) ReadOpen(ctx context.Context, key string, use func(state []byte, open fieldwise.Opened) error) error {
	if err := d.usable(ctx); err != nil {
		return err
	}
	buf := readBuffers.Get().(*[]byte)
	d.replica.mu.RLock()
	state := d.replica.engine.Read((*buf)[:0], d.name, key)
	d.replica.mu.RUnlock()
	if state.Open == nil {
		*buf = state.Bytes
	}
	err := use(state.Bytes, state.Open)
	if cap(*buf) <= maxReadBuffer {
		readBuffers.Put(buf)
	}
	return err
}

// readBuffers hold the states that are being read, as they were when the reading began.
var readBuffers = sync.Pool{New: func() any { return new([]byte) }}

// maxReadBuffer is the largest buffer that is kept for other reads.
const maxReadBuffer = 64 << 10

// Keys implements [fieldwise.Store]. The keys are listed when the iteration begins.
func (d *Domain) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := d.usable(ctx); err != nil {
			yield("", err)
			return
		}
		d.replica.mu.RLock()
		keys := d.replica.engine.Keys(d.name, prefix)
		d.replica.mu.RUnlock()
		for _, key := range keys {
			if err := d.usable(ctx); err != nil {
				yield("", err)
				return
			}
			if !yield(key, nil) {
				return
			}
		}
	}
}

func (d *Domain) usable(ctx context.Context) error { return d.replica.usable(ctx) }

// Write implements [fieldwise.Store]. When ctx ends after the change was handed to the
// log, the error is an [OutcomeError]; the same goes for a failure of the log that
// leaves open whether the change is durable. The first write after the replica was opened may
// wait for the other members (see Config.IdentityWait).
//
// A change may read, this domain and others. A Write that it calls, of whatever domain, key
// and replica, is ErrNested at once. Other goroutines are not concerned, also those that
// the change starts: a change that waits for one of them to write the same key waits for
// ever.
func (d *Domain) Write(ctx context.Context, key string, change func(dst, state []byte, at fieldwise.Version) ([]byte, error)) (fieldwise.Receipt, error) {
	return d.WriteOpen(ctx, key, func(dst, state []byte, open fieldwise.Opened, at fieldwise.Version) ([]byte, error) {
		if open != nil {
			state = open.AppendState(nil)
		}
		return change(dst, state, at)
	})
}

// WriteOpen implements [fieldwise.OpenStore]. All else is as with Write.
func (d *Domain) WriteOpen(ctx context.Context, key string, change func(dst, state []byte, open fieldwise.Opened, at fieldwise.Version) ([]byte, error)) (fieldwise.Receipt, error) {
	if insideChange() {
		return fieldwise.Receipt{}, fieldwise.ErrNested
	}
	unlock, err := d.replica.keys.lock(ctx, d.name, key)
	if err != nil {
		return fieldwise.Receipt{}, err
	}
	defer unlock()
	for {
		a, err := d.attempt(ctx, key, change)
		switch {
		case errors.Is(err, engine.ErrWaiting):
			if err := d.replica.awaitIdentity(ctx); err != nil {
				return fieldwise.Receipt{}, err
			}
		case errors.Is(err, engine.ErrRestaged):
		case err != nil:
			return fieldwise.Receipt{}, err
		case !a.staged:
			// The result rests on what is staged: it holds once that is durable, and
			// the change is made again if that fails.
			settled, err := a.rests.wait(ctx)
			switch {
			case settled && err == nil:
				return fieldwise.Receipt{}, a.err
			case !settled || errors.Is(err, ErrPoisoned):
				return fieldwise.Receipt{}, err // what the change said may not hold
			}
		default:
			unlock() // the key's next write builds on the staged state
			return a.settle(ctx)
		}
	}
}

// attempt is what came of making a change once.
type attempt struct {
	staged  bool
	receipt fieldwise.Receipt
	err     error    // of the change, where nothing is staged
	rests   *outcome // of the batch to wait for; nil if there is none
}

// attempt makes the change once and stages what comes of it.
func (d *Domain) attempt(ctx context.Context, key string, change change) (a attempt, err error) {
	r := d.replica
	basis, rests, err := d.begin(ctx, key)
	if err != nil {
		return attempt{}, err
	}
	delta, err := call(change, basis.State, basis.At)
	if err != nil || len(delta) == 0 {
		return attempt{err: err, rests: rests}, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.writableLocked(ctx); err != nil {
		return attempt{}, err
	}
	receipt, batch, err := r.engine.Stage(basis, d.name, key, delta, noteOf(ctx))
	if err != nil {
		return attempt{}, err
	}
	r.kick()
	return attempt{staged: true, receipt: receipt, rests: r.outcomeOfLocked(batch)}, nil
}

func (d *Domain) begin(ctx context.Context, key string) (basis engine.Basis, rests *outcome, err error) {
	r := d.replica
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.writableLocked(ctx); err != nil {
		return engine.Basis{}, nil, err
	}
	basis, err = r.engine.Begin(r.cfg.Wall(), d.name, key)
	if err == nil && basis.Batch != 0 {
		rests = r.outcomeOfLocked(basis.Batch)
	}
	return basis, rests, err
}

// settle waits for what was staged.
func (a attempt) settle(ctx context.Context) (fieldwise.Receipt, error) {
	settled, err := a.rests.wait(ctx)
	if err == nil {
		return a.receipt, nil
	}
	if !settled || a.rests.unknown {
		err = &OutcomeError{Receipt: a.receipt, Err: err}
	}
	return fieldwise.Receipt{}, err
}

// wait waits for the batch and returns how that went; nil waits for nothing. The batch
// is not settled if ctx ended before.
func (o *outcome) wait(ctx context.Context) (settled bool, err error) {
	if o == nil {
		return true, nil
	}
	select {
	case <-o.done:
		return true, o.err
	case <-ctx.Done():
	}
	select { // both at once: the outcome is known
	case <-o.done:
		return true, o.err
	default:
		return false, ctx.Err()
	}
}
