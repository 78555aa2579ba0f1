package replog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
	"github.com/fieldwise/fieldwise/replog/wal"
)

const (
	// maxShip bounds the bytes of entries that go to a peer at once; what one frame of the
	// log holds goes whatever its size.
	maxShip = 1 << 20
	// maxSkip bounds the bytes of the entries that an answer only marks: a peer is not kept
	// waiting while a whole log is read.
	maxSkip = 16 << 20
	// retryAfter is how long a direction of a link rests after a failure that may pass.
	retryAfter = time.Second
)

// Link joins two replicas of one process in both directions: each side pulls from the
// other's log what its version vector does not cover, the other's own entries and those that
// do not come from their own region; asking for more acknowledges what is durable. It is for tests, demonstrations, and for trying out a failover. It
// is safe for concurrent use; [Connect] is the only way to make one.
type Link struct {
	a, b *Replica

	mu     sync.Mutex
	cancel context.CancelFunc // nil while cut
	closed bool
	pulls  sync.WaitGroup

	errMu sync.Mutex
	errs  [2]error // of what a pulls from b, and b from a
}

// Connect links two replicas of different regions. The link is up at once.
func Connect(a, b *Replica) (*Link, error) {
	if a.Region() == b.Region() {
		return nil, fmt.Errorf("replog: cannot link %v to %v: both are region %q; give each region a name of its own", a.Origin(), b.Origin(), a.Region())
	}
	l := &Link{a: a, b: b}
	for _, r := range []*Replica{a, b} {
		if err := r.addLink(l); err != nil {
			return nil, errors.Join(fmt.Errorf("replog: cannot link %s to %s: %w", a.Region(), b.Region(), err), l.Close())
		}
	}
	l.Heal()
	return l, nil
}

func (r *Replica) addLink(l *Link) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isClosing() {
		return fieldwise.ErrClosed
	}
	r.links[l] = true
	return nil
}

func (r *Replica) dropLink(l *Link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.links, l)
}

// Heal brings a link that was cut up again. Nothing that was missed is lost: the
// version vectors say what to send.
func (l *Link) Heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.pulls.Go(func() { l.pull(ctx, l.a, l.b, 0) })
	l.pulls.Go(func() { l.pull(ctx, l.b, l.a, 1) })
	l.pulls.Go(func() { l.a.confirm(ctx, l.b) })
	l.pulls.Go(func() { l.b.confirm(ctx, l.a) })
}

// Cut takes the link down and returns when nothing crosses it any more.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cutLocked()
}

func (l *Link) cutLocked() {
	if l.cancel != nil {
		l.cancel()
		l.cancel = nil
		l.pulls.Wait()
	}
}

// Close takes the link down for good. It may be called more than once.
func (l *Link) Close() error {
	l.mu.Lock()
	l.closed = true
	l.cutLocked()
	l.mu.Unlock()
	l.a.dropLink(l)
	l.b.dropLink(l)
	return nil
}

// Err says what keeps the link from shipping, or returns nil. It is tried again every
// second; a link that was cut keeps the error that it had.
func (l *Link) Err() error {
	l.errMu.Lock()
	defer l.errMu.Unlock()
	return errors.Join(l.errs[0], l.errs[1])
}

func (l *Link) setErr(direction int, err error) (news bool) {
	l.errMu.Lock()
	defer l.errMu.Unlock()
	old := l.errs[direction]
	l.errs[direction] = err
	return err != nil && (old == nil || old.Error() != err.Error())
}

// pull brings entries from one replica to the other until ctx ends or one is closed.
func (l *Link) pull(ctx context.Context, to, from *Replica, direction int) {
	works, refused := false, false
	turn := func(is bool) {
		if works != is {
			works = is
			to.setLinked(from.Region(), is)
		}
	}
	turn(true) // as is to be expected, or all would send everything at first
	defer turn(false)
	for {
		empty := to.isEmpty()
		err := to.pullFrom(ctx, from, func() {
			l.setErr(direction, nil)
			turn(true)
		})
		if errors.Is(err, ErrBehind) && (refused || empty) {
			err = to.join(ctx, from)
		}
		refused = errors.Is(err, ErrBehind) // what is lacking may come from elsewhere
		if ctx.Err() != nil {
			return
		}
		news := l.setErr(direction, err)
		if errors.Is(err, fieldwise.ErrClosed) {
			return
		}
		if news {
			to.cfg.Logger.Error("cannot pull", "region", to.Region(), "peer", from.Region(), "error", err)
		}
		turn(err == nil)
		if err != nil {
			rest := time.NewTimer(retryAfter)
			select {
			case <-rest.C:
			case <-ctx.Done():
				rest.Stop()
				return
			}
		}
	}
}

// setLinked says whether a region answers, so that its entries come from there.
func (r *Replica) setLinked(region fieldwise.Region, works bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if works {
		r.engine.Link(region)
	} else {
		r.engine.Unlink(region)
	}
	r.broadcastLocked() // others that have its entries need not be waited for, or are to wait
}

// pullFrom makes one request of a peer and applies what comes back; idle is called when
// there is nothing to wait for but news.
func (r *Replica) pullFrom(ctx context.Context, peer *Replica, idle func()) error {
	r.mu.Lock()
	request, stale := r.engine.NextPull(time.Now(), peer.Region()), r.changed
	r.mu.Unlock()
	shipment, err := peer.serve(ctx, request, stale, idle)
	if errors.Is(err, engine.ErrFloor) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.engine.Unfold(peer.Region())
		return nil
	}
	if err != nil || shipment == nil {
		return err
	}
	return r.deliver(ctx, request, shipment)
}

// serve waits until there is something that the peer which makes the request lacks and
// returns the next of it, in log order. It returns nothing when the request is stale.
func (r *Replica) serve(ctx context.Context, request engine.Pull, stale <-chan struct{}, idle func()) (*engine.Shipment, error) {
	for {
		r.mu.Lock()
		frame, ok, advanced, err := r.engine.Serve(request)
		if news := r.heedLocked(); advanced || news {
			r.broadcastLocked()
		}
		changed, end, shipment := r.changed, r.end, r.engine.Ship(&request)
		r.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if ok {
			if err := r.fill(shipment, wal.Position(frame), end); err != nil {
				return nil, err
			}
			if shipment.Empty() {
				return nil, fmt.Errorf("replog: the log of %s does not hold what its vector says", r.Region())
			}
			r.mu.Lock()
			r.engine.Sent(request.From.Region, shipment.Traffic)
			r.mu.Unlock()
			return shipment, nil
		}
		idle()
		select {
		case <-changed:
		case <-stale:
			return nil, nil
		case <-r.closing:
			return nil, fieldwise.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// fill reads what the peer lacks from the log, up to maxShip bytes. It stops at end: what is
// behind it is not published, and a peer that has it before we know that we have it would
// look like one that holds what we lost.
func (r *Replica) fill(s *engine.Shipment, from, end wal.Position) error {
	for frame, err := range r.log.Frames(from) {
		if err == nil && frame.Position >= end {
			break
		}
		if err == nil {
			err = engine.Entries(frame.Payload, func(e engine.Entry, body []byte) error {
				s.Add(&e, body)
				return nil
			})
		}
		if err != nil {
			return fmt.Errorf("replog: read the log of %s: %w", r.Region(), err)
		}
		if s.Traffic.Bytes >= maxShip || s.Skipped >= maxSkip {
			break
		}
	}
	return nil
}

// deliver stages what a peer sent for the request, and waits until it is durable and what
// waits behind markers is staged too, or is to be asked for.
func (r *Replica) deliver(ctx context.Context, request engine.Pull, shipment *engine.Shipment) error {
	return r.take(ctx, request, func() (engine.Delivered, error) {
		return r.engine.Deliver(r.cfg.Wall(), request.To, shipment.Parts)
	})
}

// take stages what came in answer to the request, and waits as deliver does.
func (r *Replica) take(ctx context.Context, request engine.Pull, stage func() (engine.Delivered, error)) error {
	r.mu.Lock()
	if err := r.writableLocked(ctx); err != nil {
		r.mu.Unlock()
		return err
	}
	if !r.engine.Current(&request) {
		r.mu.Unlock()
		return nil // the next request names the merger, and the peer may refuse it
	}
	generation := r.engine.Generation()
	delivered, err := stage()
	for {
		if r.heedLocked() {
			r.broadcastLocked()
		}
		if len(delivered.Want) > 0 {
			r.kick()
			if r.engine.Waits() {
				r.broadcastLocked() // what came from another peer may wait for this
			}
		}
		if err == nil {
			err = r.writableLocked(ctx)
		}
		if err == nil && r.engine.Generation() != generation {
			err = engine.ErrRestaged
		}
		ready, due := r.engine.Ready(time.Now(), request.To)
		changed := r.changed
		r.mu.Unlock()
		for _, alarm := range delivered.Alarms {
			r.cfg.Logger.Error("entry from a peer", "region", r.Region(), "error", alarm)
		}
		if ready || err != nil {
			return err
		}
		if err := r.sleep(ctx, changed, due); err != nil {
			return err
		}
		r.mu.Lock()
		delivered, err = r.engine.Resume(r.cfg.Wall(), request.To)
	}
}

// sleep waits until there is news, or it is due if that is a time.
func (r *Replica) sleep(ctx context.Context, news <-chan struct{}, due time.Time) error {
	var over <-chan time.Time
	if !due.IsZero() {
		timer := time.NewTimer(time.Until(due))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-news:
	case <-over:
	case <-r.closing:
		return fieldwise.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
