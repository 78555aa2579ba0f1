package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/fieldwise/fieldwise"
)

var (
	// ErrGap says that entries of an origin arrived without those before them.
	ErrGap = errors.New("replog: gap in the entries of an origin")
	// ErrLogRegressed says that a peer holds entries of this replica's own origin
	// that its log does not: the log lost them, or the directory was copied.
	ErrLogRegressed = errors.New("replog: a peer holds entries that this log signed and lost")
	// ErrWaiting says that nothing can be signed until the identity is confirmed.
	ErrWaiting = errors.New("replog: the identity that signs here is not confirmed yet")
	// ErrForked says that two different entries have one origin and one number: two
	// processes signed as one, each from a copy of the same directory.
	ErrForked = errors.New("replog: two entries have one origin and number")
	// ErrBehind says that a peer lacks entries which the log of this replica does not hold
	// any more: only a snapshot of the states brings it up to date.
	ErrBehind = errors.New("replog: the peer lacks entries that this log no longer holds: it needs a snapshot")
	// ErrReplaced says that the write which a receipt names did not become durable: its
	// number was given to another, or will be.
	ErrReplaced = errors.New("replog: the write failed; its number goes to another")
	// ErrRestaged says that the staged state which a change was made on was thrown
	// away: the change is to be made again.
	ErrRestaged = errors.New("replog: staged state was thrown away")
)

// Limits of what the engine takes, whatever a configuration says.
const (
	MaxKey    = 1 << 10 // bytes of a key
	MaxEntry  = 4 << 20 // bytes of an entry
	MaxDomain = 63      // bytes of a domain's name
	MaxMerger = 255     // bytes of a merger's name
	MaxReason = 1 << 10 // bytes of a conflict's reason; what is longer is cut
)

// Config is what an engine needs to know.
type Config struct {
	Origin    fieldwise.Origin // this replica, as the header of its log says
	MaxSkew   time.Duration    // zero: fieldwise.DefaultMaxSkew
	MaxRecord int              // bytes of a record's state; zero: 1 MiB
	OpenFrom  int              // bytes of a state that is offered to its merger to be kept open; zero: 4 KiB
	MaxOpen   int              // bytes of all states that are kept open; zero: 16 MiB

	RelayAfter time.Duration // zero: DefaultRelayAfter
	BatchBytes int           // of a batch, from which on another is begun; zero: 16 MiB
	PieceBytes int           // that a piece of a snapshot has, about, and at most 256 KiB; zero: that
	Bootstrap  bool          // ask for a snapshot rather than for entries while there are none of other regions

	// Who takes part, as the list of an epoch says, and may hold more of this replica's
	// entries than its log does. Without members, nobody is asked.
	Members []fieldwise.Region
	Epoch   uint64

	Begun   bool   // the log was begun when it was opened: nobody can hold more
	Opening uint64 // names this opening of the log among all that there ever are
	Fresh   uint64 // the incarnation to begin if that has to be: one that nobody ever had
}

// Engine is the state of one replica. Its methods must not be called at once, but for
// those that change nothing.
type Engine struct {
	cfg   Config
	now   time.Time
	clock *fieldwise.Clock

	domains map[string]*domain
	open    openRecords

	// What is durable.
	vector  fieldwise.Vector
	index   map[fieldwise.Origin]*history
	bytes   int64 // of all entries
	reports reports

	// What is staged on top of it: batches that the log is writing, those that are
	// full, and the one being filled.
	staged     fieldwise.Vector            // covers what is durable and staged
	chains     map[fieldwise.Origin][]link // of what is staged and not durable
	writing    []*Batch
	full       []*Batch
	filling    *Batch
	nextBatch  uint64
	maxReports int    // the constant, but in tests
	generation uint64 // counts how often staged state was thrown away
	unknown    bool   // some of what was thrown away may be in the log

	identity identity

	err       error // why nothing more is taken in; nil while all is well
	stopped   map[fieldwise.Origin]error
	skewed    uint64 // timestamps that were too far ahead
	installed uint64 // snapshots
	peers     map[fieldwise.Region]*peer
	relays    relays

	snapshots map[*Snapshot]bool // that are walked
	pieces    *Pieces            // of a snapshot, while the log that has them is recovered
}

// place is where the log keeps an entry and what stands before it.
type place struct {
	frame int64 // position of its frame in the log
	bytes int64 // of this origin's bodies up to and including this one
	time  fieldwise.Timestamp
	chain uint64 // of this origin's bodies, likewise
}

// New returns the engine of an empty log.
func New(cfg Config) *Engine {
	if cfg.MaxRecord == 0 {
		cfg.MaxRecord = 1 << 20
	}
	if cfg.OpenFrom == 0 {
		cfg.OpenFrom = 4096
	}
	if cfg.MaxOpen == 0 {
		cfg.MaxOpen = 16 << 20
	}
	if cfg.BatchBytes == 0 {
		cfg.BatchBytes = maxBatch
	}
	if cfg.PieceBytes == 0 {
		cfg.PieceBytes = pieceSize
	}
	if cfg.RelayAfter == 0 {
		cfg.RelayAfter = DefaultRelayAfter
	}
	e := &Engine{
		cfg:     cfg,
		domains: make(map[string]*domain),
		open:    openRecords{max: cfg.MaxOpen},
		vector:  make(fieldwise.Vector),
		index:   make(map[fieldwise.Origin]*history),
		staged:  make(fieldwise.Vector),
		chains:  make(map[fieldwise.Origin][]link),
		stopped: make(map[fieldwise.Origin]error),
		peers:   make(map[fieldwise.Region]*peer),
		relays:  relays{via: make(map[fieldwise.Origin]fieldwise.Region)},

		snapshots:  make(map[*Snapshot]bool),
		maxReports: maxReports,
	}
	e.identity = newIdentity(cfg)
	e.clock = fieldwise.NewClock(func() time.Time { return e.now }, cfg.MaxSkew)
	e.filling = e.newBatch()
	return e
}

// Recover takes in a batch that the log holds. All of the log is recovered, in log
// order, and Recovered called, before anything else happens.
func (e *Engine) Recover(frame int64, payload []byte) error {
	var reports int
	err := parts(payload, func(kind byte, body []byte) error {
		switch kind {
		case partEntry, partHeld:
			entry, err := ParseEntry(body)
			if err != nil {
				return err
			}
			if want := e.vector[entry.Origin] + 1; entry.Seq != want {
				return fmt.Errorf("%w: %v has %d where %d is next", ErrGap, entry.Origin, entry.Seq, want)
			}
			if entry.Origin == e.identity.Origin {
				e.identity.mark = max(e.identity.mark, entry.Time)
			}
			e.count(frame, entry, len(body), e.next(entry.Origin, body))
			e.staged[entry.Origin] = entry.Seq
			d := e.domain(entry.Domain)
			entry.Delta = append([]byte(nil), entry.Delta...)
			d.held = append(d.held, held{entry: entry, unreported: kind == partHeld})
		case partReport:
			c, err := parseReport(body)
			if err != nil {
				return err
			}
			reports++
			d := e.domain(c.Domain)
			if d.reported == nil {
				d.reported = make(map[fieldwise.ConflictID]bool)
			}
			d.reported[c.ID()] = true
		case partMerger:
			name, merger, err := parseMerger(body)
			if err != nil {
				return err
			}
			d := e.domain(name)
			if d.named != "" && d.named != merger {
				return fmt.Errorf("%w: domain %q is merged under %q and under %q", fieldwise.ErrMalformed, name, d.named, merger)
			}
			d.named = merger
		case partIdentity:
			return e.recoverIdentity(body)
		case partPiece:
			return e.recoverPiece(body)
		case partInstalled:
			return e.recoverInstalled(body)
		default:
			return fmt.Errorf("%w: part of kind %d; a newer release wrote this log", fieldwise.ErrMalformed, kind)
		}
		return nil
	})
	e.reports.add(frame, reports)
	return err
}

// Recovered ends the recovery. The clock goes on above what was applied from elsewhere,
// as it did when that arrived: a write that knows of another is stamped above it.
func (e *Engine) Recovered(now time.Time) {
	e.now = now
	e.pieces = nil // those of one that was not installed, if there are any
	e.recoverClock()
	for _, h := range e.index {
		_ = e.clock.Observe(h.base.time)
		for _, p := range h.places {
			_ = e.clock.Observe(p.time) // one that is too far ahead raised its alarm when it arrived
		}
	}
	e.skipTimestamps()
}

// skipTimestamps lets the clock go on a little above what is in the log, by another step at each
// opening. A write that an earlier process signed and that never reached the log has a number which
// is given again. Where the wall clock is behind the log, the first write of each process would
// also have the same time, and the receipt of the one that was lost would name the other.
func (e *Engine) skipTimestamps() {
	const steps = 1 << 16 // a millisecond
	if mark, step := e.clock.Mark(), fieldwise.Timestamp(e.cfg.Opening%steps); mark > 0 && mark <= fieldwise.MaxTimestamp-step {
		e.clock.Restore(mark + step)
	}
}

// count takes a durable entry into vector and index.
func (e *Engine) count(frame int64, entry Entry, size int, chain uint64) {
	e.history(entry.Origin).add(frame, &entry, size, chain)
	e.vector[entry.Origin] = entry.Seq
	e.bytes += int64(size)
}

// Vector is what is durable here. The result is the caller's.
func (e *Engine) Vector() fieldwise.Vector { return e.vector.Clone() }

// Covers reports whether everything in v is durable here.
func (e *Engine) Covers(v fieldwise.Vector) bool { return e.vector.Covers(v) }

// Generation counts how often staged state was thrown away.
func (e *Engine) Generation() uint64 { return e.generation }

// Has reports whether the write that the receipt names is durable here, as the zero
// receipt always is. ErrReplaced says that it never will be: another entry has its
// place, or it was made here and is neither durable nor staged. Of an entry that the log no
// longer holds, nothing is known but that it is in the states.
func (e *Engine) Has(r fieldwise.Receipt) (bool, error) {
	if r.IsZero() {
		return true, nil
	}
	if r.Origin == e.identity.Origin && e.identity.Standing != Waiting && r.Seq > e.staged[r.Origin] && !e.unknown {
		return false, fmt.Errorf("%w: %v is neither in the log nor on its way there", ErrReplaced, r)
	}
	if r.Seq == 0 || e.vector[r.Origin] < r.Seq {
		return false, nil
	}
	if p := e.index[r.Origin].at(r.Seq); p != nil && p.time != r.Time {
		return false, fmt.Errorf("%w: what has the number of %v was written at %v", ErrReplaced, r, p.time)
	}
	return true, nil
}

// reports finds the frames that hold conflict reports, which are numbered from 1.
type reports struct {
	total  uint64
	frames []reportFrame
}

type reportFrame struct {
	before uint64 // reports in earlier frames
	frame  int64
}

func (r *reports) add(frame int64, n int) {
	if n > 0 {
		r.frames = append(r.frames, reportFrame{before: r.total, frame: frame})
		r.total += uint64(n)
	}
}

// FindReport returns the frame that holds report number n, and how many reports
// stand in front of that frame; ok is false if there is no such report yet.
func (e *Engine) FindReport(n uint64) (frame int64, before uint64, ok bool) {
	if n == 0 || n > e.reports.total {
		return 0, 0, false
	}
	lo, hi := 0, len(e.reports.frames) // the last frame with before < n is in [lo, hi)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; e.reports.frames[mid].before < n {
			lo = mid
		} else {
			hi = mid
		}
	}
	f := e.reports.frames[lo]
	return f.frame, f.before, true
}
