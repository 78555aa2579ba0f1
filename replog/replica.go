package replog

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
	"github.com/fieldwise/fieldwise/replog/wal"
)

// Replica is one region's copy of the records, with its log. It is safe for concurrent
// use. [Open] is the only way to make one.
type Replica struct {
	cfg Config
	log *wal.Log

	mu      sync.RWMutex
	engine  *engine.Engine
	batches map[uint64]*outcome // staged and not yet committed, by number
	end     wal.Position        // of the last frame that is published
	changed chan struct{}       // closed, and made anew, when there is news for who waits
	err     error               // why nothing can be written any more
	links   map[*Link]bool
	joining chan struct{} // holds a token while a snapshot is taken from a peer
	patient time.Time     // until then writes wait for the identity; zero: none has waited yet
	told    bool          // the Logger knows that a fresh incarnation began
	round   uint64        // of the questions about the identity

	keys      keyLocks
	staged    chan struct{} // holds a token while the committer has work
	closing   chan struct{} // closed when Close begins
	closeOnce sync.Once
	done      chan struct{} // closed when the committer has ended
}

// outcome is how the commit of a batch went; err and unknown are set before done is
// closed.
type outcome struct {
	done    chan struct{}
	err     error
	unknown bool // the batch may be durable all the same
}

var _ fieldwise.Host = (*Replica)(nil)

// Open opens the replica of a region on its data directory, which it creates if
// needed. It reads the whole log before it returns. A fresh directory begins a fresh
// incarnation; an existing one continues its own once the other members have confirmed it,
// for which the first write waits. ErrLocked means that the directory is open already, in this
// process or another.
func Open(ctx context.Context, cfg Config) (*Replica, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	log, recovery, err := wal.Open(cfg.Dir, engine.AppendIdentity(nil, newOrigin(cfg.Region)), wal.Options{FS: cfg.fs})
	if err != nil {
		return nil, fmt.Errorf("replog: open %s: %w", cfg.Dir, err)
	}
	r, err := open(ctx, cfg, log, recovery.Created)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("replog: open %s: %w", cfg.Dir, err), log.Close())
	}
	if recovery.DroppedBytes > 0 {
		cfg.Logger.Warn("dropped the torn end of the log: what a crash cut off, or a damaged last batch, of which the other regions have what they acknowledged", "region", cfg.Region, "bytes", recovery.DroppedBytes)
	}
	return r, nil
}

func open(ctx context.Context, cfg Config, log *wal.Log, begun bool) (*Replica, error) {
	origin, err := engine.ParseIdentity(log.Meta())
	if err != nil {
		return nil, err
	}
	if origin.Region != cfg.Region {
		return nil, fmt.Errorf("%w: it is %q, Config.Region is %q", ErrOtherRegion, origin.Region, cfg.Region)
	}
	r := &Replica{
		cfg: cfg, log: log,
		engine: engine.New(engine.Config{
			Origin: origin, MaxSkew: cfg.MaxSkew, MaxRecord: cfg.MaxRecord, MaxOpen: cfg.MaxOpen, RelayAfter: cfg.RelayAfter, Bootstrap: cfg.Bootstrap,
			Members: cfg.Members.Regions, Epoch: cfg.Members.Epoch,
			Begun: begun, Opening: newIncarnation(), Fresh: newIncarnation(),
		}),
		batches: make(map[uint64]*outcome),
		changed: make(chan struct{}),
		links:   make(map[*Link]bool),
		joining: make(chan struct{}, 1),
		staged:  make(chan struct{}, 1),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
	for frame, err := range log.Frames(0) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = r.engine.Recover(int64(frame.Position), frame.Payload)
		}
		if err != nil {
			return nil, err
		}
	}
	r.engine.Recovered(cfg.Wall())
	r.heedLocked() // though nobody else has it yet
	r.end = log.Durable()
	go r.commit()
	return r, nil
}

// newOrigin is the identity of a fresh log. Incarnations are time and randomness rather
// than a count, since one backup that is restored twice would count to the same number.
func newOrigin(region fieldwise.Region) fieldwise.Origin {
	return fieldwise.Origin{Region: region, Incarnation: newIncarnation()}
}

func newIncarnation() uint64 {
	const randomBits = 20 // below 44 bits of milliseconds
	var random [8]byte
	rand.Read(random[:]) // never fails, says its documentation
	return uint64(time.Now().UnixMilli())<<randomBits | binary.BigEndian.Uint64(random[:])>>(64-randomBits)
}

// Region is the region of this replica.
func (r *Replica) Region() fieldwise.Region { return r.cfg.Region }

// Vector is what is durable here: per origin, how many entries.
func (r *Replica) Vector() fieldwise.Vector {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.engine.Vector()
}

// Domain implements [fieldwise.Host]: it opens the domain under the merger, or returns
// the open one. Entries that came before are merged now. The log keeps the merger's name
// with the first entry that is merged, and the directory opens the domain under that name
// alone. Names have 1 to 63 bytes of UTF-8, those of mergers 1 to 255.
func (r *Replica) Domain(name string, m fieldwise.Merger) (fieldwise.Store, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isClosing() {
		return nil, fieldwise.ErrClosed
	}
	open := r.engine.IsOpen(name)
	if err := r.engine.OpenDomain(name, m); err != nil {
		return nil, err
	}
	if !open {
		r.kick()            // the merger's name, and the conflicts that were found meanwhile
		r.broadcastLocked() // peers are told the merger's name
	}
	return &Domain{replica: r, name: name}, nil
}

// Digest is a SHA-256 over the keys and states of an open domain, deleted records
// included. Replicas that hold the same entries have equal digests. It is made of one
// moment's states: writes wait until it is.
func (r *Replica) Digest(ctx context.Context, domain string) (sum [sha256.Size]byte, err error) {
	if err := r.usable(ctx); err != nil {
		return sum, err
	}
	h := sha256.New()
	var buf []byte
	add := func(key string, state []byte) error {
		buf = binary.BigEndian.AppendUint64(buf[:0], uint64(len(key)))
		buf = binary.BigEndian.AppendUint64(append(buf, key...), uint64(len(state)))
		h.Write(buf)
		h.Write(state)
		return ctx.Err()
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if !r.engine.IsOpen(domain) {
		return sum, fmt.Errorf("replog: digest: domain %q is not open in %s", domain, r.Region())
	}
	if err := r.engine.States(domain, add); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// Close stops taking writes, commits those that were taken, closes the replica's links
// and its log. It may be called more than once and at once; each call returns when
// everything has ended.
func (r *Replica) Close() error {
	r.closeOnce.Do(func() {
		r.mu.Lock()
		close(r.closing)
		links := maps.Clone(r.links)
		r.mu.Unlock()
		for l := range links {
			_ = l.Close() // has nothing to say
		}
	})
	<-r.done
	return r.log.Close()
}

func (r *Replica) isClosing() bool {
	select {
	case <-r.closing:
		return true
	default:
		return false
	}
}

// kick wakes the committer. It is called whenever something may have been staged.
func (r *Replica) kick() {
	select {
	case r.staged <- struct{}{}:
	default:
	}
}

// outcomeOfLocked returns what to wait for until a batch is committed; the batch is
// staged or being written.
func (r *Replica) outcomeOfLocked(batch uint64) *outcome {
	o := r.batches[batch]
	if o == nil {
		o = &outcome{done: make(chan struct{})}
		r.batches[batch] = o
	}
	return o
}

// commit is the committer: it writes one batch after the other, and what is staged
// while a batch is being synced becomes the next.
func (r *Replica) commit() {
	defer close(r.done)
	for {
		select {
		case <-r.staged:
			r.commitAll()
		case <-r.closing:
			r.commitAll()
			return
		}
	}
}

func (r *Replica) commitAll() {
	for {
		r.mu.Lock()
		b := r.engine.TakeBatch()
		r.mu.Unlock()
		if b == nil {
			return
		}
		frame, err := r.log.Append(b.Payload)
		if err == nil {
			err = r.log.Sync()
		}
		r.finish(b, int64(frame), err)
		if err != nil {
			return // what was staged since has its token, and the rest waits for the next
		}
	}
}

// finish publishes a committed batch, or throws away all that is staged after a
// failure, and wakes who waits.
func (r *Replica) finish(b *engine.Batch, frame int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.engine.Committed(b, frame)
		r.end = r.log.Durable()
		r.settleLocked(b.Number, nil, false)
	} else {
		r.cfg.Logger.Error("cannot write the log", "region", r.Region(), "error", err)
		poisoned := errors.Is(err, ErrPoisoned)
		if poisoned {
			r.err = err
			r.engine.LogFailed()
		}
		for _, number := range r.engine.Failed() {
			r.settleLocked(number, err, poisoned && number == b.Number)
		}
	}
	r.broadcastLocked()
}

// broadcastLocked wakes everybody who waits for more to be durable somewhere.
func (r *Replica) broadcastLocked() {
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *Replica) settleLocked(batch uint64, err error, unknown bool) {
	if o := r.batches[batch]; o != nil {
		o.err, o.unknown = err, unknown
		close(o.done)
		delete(r.batches, batch)
	}
}

// writableLocked says why nothing can be written now, or returns nil.
func (r *Replica) writableLocked(ctx context.Context) error {
	if r.isClosing() {
		return fieldwise.ErrClosed
	}
	if r.err != nil {
		return r.err
	}
	return ctx.Err()
}
