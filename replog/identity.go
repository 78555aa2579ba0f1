package replog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

// DefaultIdentityWait is how long the first write waits until the other members have
// confirmed who signs here.
const DefaultIdentityWait = 5 * time.Second

// Members is the list of the regions that take part.
type Members struct {
	// Epoch numbers the lists: a list that differs from an earlier one has a higher number.
	// A member that has a list of a higher number than this replica confirms nothing to it,
	// since there may be regions that this replica does not ask.
	Epoch uint64
	// Regions are all of them, this one included, in any order.
	Regions []fieldwise.Region
}

// problems is all that is wrong with the list.
func (m Members) problems(self fieldwise.Region) (all []error) {
	if len(m.Regions) == 0 {
		if m.Epoch != 0 {
			all = append(all, fmt.Errorf("replog: Config.Members has epoch %d and no regions", m.Epoch))
		}
		return all
	}
	for i, region := range m.Regions {
		if err := region.Validate(); err != nil {
			all = append(all, fmt.Errorf("replog: Config.Members.Regions: %w", err))
		} else if slices.Contains(m.Regions[:i], region) {
			all = append(all, fmt.Errorf("replog: Config.Members.Regions has %q twice", region))
		}
	}
	if !slices.Contains(m.Regions, self) {
		all = append(all, fmt.Errorf("replog: Config.Members.Regions lacks %q, which is Config.Region", self))
	}
	return all
}

// Identity is how things are with the origin that signs in a replica.
type Identity uint8

const (
	// IdentityConfirmed says that the origin of the directory goes on: the other members
	// have confirmed that they hold no more of it, or there are none to ask.
	IdentityConfirmed Identity = iota
	// IdentityWaiting says that there are members who have not confirmed yet. The first write
	// waits for them.
	IdentityWaiting
	// IdentityFresh says that the origin began after the replica was opened, because its
	// directory was empty, was found to lack entries that others have, or was not confirmed in
	// time.
	IdentityFresh
)

// String is "confirmed", "waiting" or "fresh".
func (i Identity) String() string {
	switch i {
	case IdentityConfirmed:
		return "confirmed"
	case IdentityWaiting:
		return "waiting"
	case IdentityFresh:
		return "fresh"
	}
	return fmt.Sprintf("identity %d", uint8(i))
}

func identityOf(s engine.Standing) Identity {
	switch s {
	case engine.Waiting:
		return IdentityWaiting
	case engine.Fresh:
		return IdentityFresh
	}
	return IdentityConfirmed
}

// Origin is the identity that signs the writes of this replica. It may change once, at or
// before the first write: as long as [Stats.Identity] is waiting, it is the one that signed in
// this directory before.
func (r *Replica) Origin() fieldwise.Origin {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.engine.Identity().Origin
}

// awaitIdentity waits until it is settled who signs here, and settles it when the time is
// over.
func (r *Replica) awaitIdentity(ctx context.Context) error {
	for {
		r.mu.Lock()
		changed := r.changed
		left, err := r.identityLocked(ctx)
		r.mu.Unlock()
		if err != nil || left <= 0 {
			return err
		}
		timer := time.NewTimer(left)
		select {
		case <-changed:
		case <-timer.C:
		case <-r.closing:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// identityLocked returns how long there is still to wait for the identity.
func (r *Replica) identityLocked(ctx context.Context) (left time.Duration, err error) {
	if err := r.writableLocked(ctx); err != nil {
		return 0, err
	}
	if r.engine.Identity().Standing != engine.Waiting {
		return 0, nil
	}
	if r.patient.IsZero() {
		r.patient = time.Now().Add(r.cfg.IdentityWait)
	}
	if left = time.Until(r.patient); left <= 0 {
		r.engine.BeginAfresh(fmt.Sprintf("not all members confirmed the old one within %v", max(r.cfg.IdentityWait, 0)))
		r.heedLocked()
		r.broadcastLocked()
	}
	return left, nil
}

// heedLocked looks at what the engine found out about its identity, and tells the Logger. News
// reports whether there is something that others may wait for.
func (r *Replica) heedLocked() (news bool) {
	if id := r.engine.Identity(); id.Why != "" && !r.told {
		r.told, news = true, true
		r.cfg.Logger.Warn("a fresh incarnation begins", "region", r.Region(), "origin", id.Origin, "reason", id.Why)
	}
	if err := r.engine.Err(); err != nil && r.err == nil {
		r.err, news = err, true
		r.cfg.Logger.Error("nothing more is written", "region", r.Region(), "error", err)
	}
	if round := r.engine.Round(); round != r.round {
		r.round, news = round, true
	}
	return news
}

// confirm asks a peer whatever there is to ask about who signs here, until ctx ends or one of
// the two is closed.
func (r *Replica) confirm(ctx context.Context, peer *Replica) {
	for {
		r.mu.RLock()
		question, ok := r.engine.Ask(peer.Region())
		changed := r.changed
		r.mu.RUnlock()
		peer.mu.RLock()
		theirs := peer.changed
		peer.mu.RUnlock()
		if ok && !r.isClosing() && !peer.isClosing() && r.ask(peer, question) {
			continue
		}
		if !ok {
			theirs = nil
		}
		select {
		case <-changed:
		case <-theirs:
		case <-r.closing:
			return
		case <-peer.closing:
			return
		case <-ctx.Done():
			return
		}
	}
}

// ask puts a question to a peer, and reports whether the answer changed anything.
func (r *Replica) ask(peer *Replica, question engine.Question) bool {
	peer.mu.Lock()
	answer, err := peer.engine.Answer(question)
	peer.mu.Unlock()
	if err != nil { // of the same region: Connect refuses that
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	news := r.engine.Confirm(answer)
	if r.heedLocked() || news {
		r.broadcastLocked()
		return true
	}
	return false
}
