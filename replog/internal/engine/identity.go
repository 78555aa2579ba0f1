package engine

import (
	"encoding/binary"
	"fmt"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// A log signs its entries as one origin, and cannot tell whether it is the only one: a disk
// that was restored or copied looks like any other. What it lacks of its own entries, peers
// may have. So a log that was there before it was opened signs nothing until each member has
// confirmed that it holds no more of the origin than the log does. Otherwise, a fresh
// incarnation signs from then on, and the entries of the old one come back from peers like
// anyone's.
//
// What a member says is worth nothing while entries of the origin are still on their way to
// it, from the process that had them, and could arrive afterwards. Two rules see to that.
//
// Draining: who answers the question of another opening of a region's log throws away from
// then on what it had asked of that region before. And what was asked by an earlier process of
// a replica is not taken in by the next.
//
// Rounds: a member that was opened itself counts once it is drained, that is, once all others
// have answered it, so that nothing is left on its way from its own earlier process either. The
// answers of one round count when all members were drained in an earlier one, and none was
// opened again in between. By then, every entry of the origin that can still arrive anywhere
// is held, durably, by somebody who is about to be asked.
//
// Both rest on the list of members. Who has heard of a newer list than its own is not confirmed,
// since there may be members whom it does not ask. And a member with an older list than that of
// who asks is not drained: there may be members whom it never asked.

// AppendIdentity appends what a log says about who signs in it: in its header, and in a part
// where another incarnation begins.
func AppendIdentity(dst []byte, o fieldwise.Origin) []byte {
	dst = wire.AppendString(dst, o.Region)
	return binary.BigEndian.AppendUint64(dst, o.Incarnation)
}

// ParseIdentity is the inverse of AppendIdentity.
func ParseIdentity(b []byte) (fieldwise.Origin, error) {
	region, rest, err := wire.String(b)
	if err != nil || len(rest) != 8 {
		return fieldwise.Origin{}, fmt.Errorf("%w: identity of a log", fieldwise.ErrMalformed)
	}
	o := fieldwise.Origin{Region: fieldwise.Region(region), Incarnation: binary.BigEndian.Uint64(rest)}
	return o, o.Region.Validate()
}

// Standing is how things are with the origin that signs here.
type Standing uint8

// The standings of an origin. From Waiting it goes to one of the others, once.
const (
	Confirmed Standing = iota // it may sign
	Waiting                   // it may sign nothing until it is confirmed, or another is begun
	Fresh                     // it may sign, and was begun since the log was opened
)

// Identity is who signs.
type Identity struct {
	Origin   fieldwise.Origin
	Standing Standing
	Why      string // the origin is fresh; empty if the log is
}

// identity is what an engine knows of who signs here, and of who asked it.
type identity struct {
	Identity
	signed fieldwise.Origin // who signs, as the log says
	naming bool             // the log is being told of another

	members map[fieldwise.Region]*member // besides this region
	mark    fieldwise.Timestamp          // the highest that the origin has signed in this log
	round   uint64
	epoch   uint64                       // of the newest list of members that anybody spoke of
	asked   map[fieldwise.Region]opening // by their questions
}

// member is what another member said.
type member struct {
	answered bool   // anything
	opening  uint64 // of the one that counts, of a round
	round    uint64 // of that; zero: none
	before   uint64 // the opening that was drained in an earlier round
	suspect  bool   // it seemed to hold what the log does not
}

// opening is the last one of a peer's log that asked, and which of them that is.
type opening struct {
	name  uint64
	count uint64
}

func newIdentity(cfg Config) identity {
	id := identity{
		Identity: Identity{Origin: cfg.Origin},
		signed:   cfg.Origin,
		members:  make(map[fieldwise.Region]*member),
		round:    1,
		epoch:    cfg.Epoch,
		asked:    make(map[fieldwise.Region]opening),
	}
	for _, region := range cfg.Members {
		if region != cfg.Origin.Region {
			id.members[region] = &member{}
		}
	}
	switch {
	case cfg.Begun:
		id.Standing = Fresh
	case len(id.members) > 0:
		id.Standing = Waiting
	}
	return id
}

// Identity says who signs here.
func (e *Engine) Identity() Identity { return e.identity.Identity }

// recoverIdentity takes in that another incarnation signs from here on.
func (e *Engine) recoverIdentity(body []byte) error {
	o, err := ParseIdentity(body)
	if err != nil {
		return err
	}
	if o.Region != e.cfg.Origin.Region || e.vector[o] > 0 {
		return fmt.Errorf("%w: %v begins in a log of %v that holds %d entries of it", fieldwise.ErrMalformed, o, e.cfg.Origin.Region, e.vector[o])
	}
	e.identity.Origin, e.identity.signed, e.identity.mark = o, o, 0
	return nil
}

// BeginAfresh lets a fresh incarnation sign if the one that the log has is not confirmed. It
// is in use from its first durable entry on.
func (e *Engine) BeginAfresh(why string) {
	if e.identity.Standing != Waiting {
		return
	}
	highest := e.identity.Origin.Incarnation
	for o := range e.staged {
		if o.Region == e.cfg.Origin.Region {
			highest = max(highest, o.Incarnation)
		}
	}
	fresh := e.cfg.Fresh
	if fresh <= highest { // by a clock that was ahead then, or is behind now
		const random = 1<<40 - 1
		fresh = highest + 1 + fresh&random
	}
	e.identity.Identity = Identity{
		Origin:   fieldwise.Origin{Region: e.cfg.Origin.Region, Incarnation: fresh},
		Standing: Fresh,
		Why:      why,
	}
}

// recoverClock lets the clock go on above all that was signed here. If that is far ahead of the
// clock and of what other regions wrote, it was a mistake of the clock, which a fresh incarnation
// does not inherit.
func (e *Engine) recoverClock() {
	id := &e.identity
	skew := e.cfg.MaxSkew
	if skew == 0 {
		skew = fieldwise.DefaultMaxSkew
	}
	others := fieldwise.NewTimestamp(e.now)
	for o, h := range e.index {
		if o.Region != id.Origin.Region {
			others = max(others, h.latest())
		}
	}
	if ahead := id.mark.Time().Sub(others.Time()); id.Standing == Waiting && ahead > skew {
		e.BeginAfresh(fmt.Sprintf("%v has signed at %v, %v ahead of the clock and of other regions", id.Origin, id.mark, ahead))
		return
	}
	e.clock.Restore(id.mark)
}

// needsIdentity reports whether the log is still to be told who signs.
func (e *Engine) needsIdentity(o fieldwise.Origin) bool {
	return o == e.identity.Origin && o != e.identity.signed && !e.identity.naming
}

func (b *Batch) addIdentity(id *identity) {
	b.Payload = appendEntryPart(b.Payload, partIdentity, AppendIdentity(nil, id.Origin))
	b.identity = id.Origin
	id.naming = true
}

// Question asks a member what it holds of an origin, on behalf of one opening of a log.
type Question struct {
	Origin  fieldwise.Origin // the one that signs in the log
	Epoch   uint64           // of its list of members
	Opening uint64           // of the log
	Round   uint64
}

// Answer is what a member says to a question. It repeats what it answers.
type Answer struct {
	Question Question

	From    fieldwise.Region
	Epoch   uint64 // of the newest list of members that it knows of
	Opening uint64 // of its log
	Drained bool   // nothing is on its way any more that its log sent before it was opened, to anybody on the list of who asks

	Seq   fieldwise.Seq // what it holds of the origin, staged entries included
	Chain uint64        // there
}

// Ask returns the question for a member; ok is false if there is nothing to ask it now, as
// when it has answered this round or is no member.
func (e *Engine) Ask(region fieldwise.Region) (q Question, ok bool) {
	m := e.identity.members[region]
	if m == nil || m.answered && !m.suspect && (e.identity.Standing != Waiting || m.round == e.identity.round) {
		return Question{}, false
	}
	return Question{Origin: e.identity.Origin, Epoch: e.cfg.Epoch, Opening: e.cfg.Opening, Round: e.identity.round}, true
}

// Answer answers a member's question, and drains what is on its way from that region.
func (e *Engine) Answer(q Question) (Answer, error) {
	region := q.Origin.Region
	if region == e.cfg.Origin.Region {
		return Answer{}, fmt.Errorf("replog: a peer names itself %v, which is this region; give each region a name of its own", q.Origin)
	}
	if last := e.identity.asked[region]; last.name != q.Opening || last.count == 0 {
		e.identity.asked[region] = opening{name: q.Opening, count: last.count + 1}
		e.peer(region).rest = nil
	}
	e.identity.epoch = max(e.identity.epoch, q.Epoch)
	seq, chain := e.last(q.Origin)
	return Answer{
		Question: q, From: e.cfg.Origin.Region, Epoch: e.identity.epoch, Opening: e.cfg.Opening,
		Drained: q.Epoch <= e.cfg.Epoch && e.drained(), Seq: seq, Chain: chain,
	}, nil
}

// drained reports whether all members have answered, and so thrown away what was on its way to
// them from this region before.
func (e *Engine) drained() bool {
	for _, m := range e.identity.members {
		if !m.answered {
			return false
		}
	}
	return true
}

// Confirm takes a member's answer, which may come late, again, or never. News reports whether
// there may be something new to ask or to answer, or the identity changed.
func (e *Engine) Confirm(a Answer) (news bool) {
	id := &e.identity
	m := id.members[a.From]
	if m == nil || a.Question.Opening != e.cfg.Opening {
		return false
	}
	id.epoch = max(id.epoch, a.Epoch)
	news = !m.answered
	m.answered = true
	if a.Question.Origin != id.Origin || a.Question.Round != id.round || id.Standing != Waiting && !m.suspect {
		return news
	}
	m.suspect = false
	have := e.vector[id.Origin]
	switch {
	case a.Seq > have:
		_ = e.exceeded(a.Seq, string(a.From)) // shown by Err
		return true
	case e.isAnother(id.Origin, a.Seq, a.Chain):
		_ = e.forked(id.Origin, a.Seq, string(a.From)) // shown by Err
		return true
	}
	if id.Standing != Waiting || !a.Drained || id.epoch > e.cfg.Epoch {
		return news
	}
	m.round, m.opening = id.round, a.Opening
	again := true
	for _, m := range id.members {
		if m.round != id.round {
			return news
		}
		again = again && id.round > 1 && m.opening == m.before
	}
	if again {
		id.Standing = Confirmed
		return true
	}
	for _, m := range id.members {
		m.before = m.opening
	}
	id.round++
	return true
}

// exceeded is told that somebody holds more of the origin that signs here than the log does.
// It returns an error if that origin has signed already.
func (e *Engine) exceeded(seq fieldwise.Seq, where string) error {
	o := e.identity.Origin
	what := fmt.Sprintf("%v ends at %d here, %s has it up to %d", o, e.staged[o], where, seq)
	if e.identity.Standing == Waiting {
		e.BeginAfresh(what)
		return nil
	}
	err := fmt.Errorf("%w: %s; the log is an old copy, or another process signs as the same; let one process open it again, with Config.Members", ErrLogRegressed, what)
	e.poison(err)
	return err
}

// evidence reports whether a request shows what its sender holds now. It may be an old one, of
// a process that has ended, from before its log was restored: then the member is asked.
func (e *Engine) evidence(p *Pull) bool {
	m := e.identity.members[p.From.Region]
	if m == nil || m.round > 0 && m.opening == p.Opening {
		return true
	}
	if !m.suspect && e.identity.Standing != Waiting {
		m.suspect = true
		e.identity.round++
	}
	return false
}

// Round is the number of the questions: there is something new to ask when it went up.
func (e *Engine) Round() uint64 { return e.identity.round }
