// Package mapstore keeps domains in maps: what stands in for the replicated log in the
// tests of the strategies. It makes nothing durable and ships nothing by itself.
package mapstore

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fieldwise/fieldwise"
)

// Host is a region whose domains are maps. It is safe for concurrent use.
type Host struct {
	// OpenFrom is how many bytes the records have at least that are kept open, if their
	// merger can do that; zero: none are. It is set before the first domain is opened.
	OpenFrom int

	writing sync.Mutex // held during a write, its change included; taken before mu
	mu      sync.Mutex
	origin  fieldwise.Origin
	clock   *fieldwise.Clock
	seq     fieldwise.Seq
	domains map[string]*Store
}

var _ fieldwise.Host = (*Host)(nil)

// New returns an empty host that signs as origin by the given wall clock, nil for
// time.Now.
func New(origin fieldwise.Origin, wall func() time.Time) *Host {
	return &Host{origin: origin, clock: fieldwise.NewClock(wall, 0), domains: make(map[string]*Store)}
}

// Domain implements [fieldwise.Host].
func (h *Host) Domain(name string, m fieldwise.Merger) (fieldwise.Store, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.domains[name]
	if s == nil {
		s = &Store{host: h, merger: m, records: make(map[string]Twin)}
		h.domains[name] = s
	}
	if s.merger.Name() != m.Name() {
		return nil, fmt.Errorf("%w: %q is open under %q", fieldwise.ErrMergerMismatch, name, s.merger.Name())
	}
	return s, nil
}

// Store is one domain in a map.
type Store struct {
	host    *Host
	merger  fieldwise.Merger
	records map[string]Twin // guarded by host.mu

	// Deltas are those that Write made, by key, in order.
	deltas map[string][][]byte
}

var (
	_ fieldwise.Store     = (*Store)(nil)
	_ fieldwise.OpenStore = (*Store)(nil)
)

// Read implements [fieldwise.Store].
func (s *Store) Read(ctx context.Context, key string, use func(state []byte) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	state := slices.Clone(s.State(key))
	defer spoil(state)
	return use(state)
}

// ReadOpen implements [fieldwise.OpenStore].
func (s *Store) ReadOpen(ctx context.Context, key string, use func(state []byte, open fieldwise.Opened) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := s.record(key)
	if r.Open != nil {
		return use(nil, r.Open)
	}
	state := slices.Clone(r.State)
	defer spoil(state)
	return use(state, nil)
}

// spoil overwrites a state that was lent, so that it shows when it was kept.
func spoil(state []byte) {
	for i := range state {
		state[i] = 0xee
	}
}

// Write implements [fieldwise.Store]; all writes of the host happen one at a time. A change
// may read. One that writes to the host waits for ever: it is not recognised as nested.
func (s *Store) Write(ctx context.Context, key string, change func(dst, state []byte, at fieldwise.Version) ([]byte, error)) (fieldwise.Receipt, error) {
	return s.write(ctx, key, func(at fieldwise.Version) ([]byte, error) {
		state := slices.Clone(s.State(key))
		defer spoil(state)
		return change(nil, state, at)
	})
}

// WriteOpen implements [fieldwise.OpenStore]. Of a record that is kept open the change is made
// twice, of that and of its state, and has to come out the same.
func (s *Store) WriteOpen(ctx context.Context, key string, change func(dst, state []byte, open fieldwise.Opened, at fieldwise.Version) ([]byte, error)) (fieldwise.Receipt, error) {
	return s.write(ctx, key, func(at fieldwise.Version) ([]byte, error) {
		r := s.record(key)
		return r.Change(func(state []byte, open fieldwise.Opened) ([]byte, error) {
			state = slices.Clone(state)
			defer spoil(state)
			return change(nil, state, open, at)
		})
	})
}

func (s *Store) write(ctx context.Context, key string, change func(at fieldwise.Version) ([]byte, error)) (fieldwise.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return fieldwise.Receipt{}, err
	}
	h := s.host
	h.writing.Lock()
	defer h.writing.Unlock()
	at := fieldwise.Version{Time: h.clock.Now(), Origin: h.origin}
	delta, err := change(at)
	if err != nil || len(delta) == 0 {
		return fieldwise.Receipt{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := s.mergeLocked(key, delta); err != nil {
		return fieldwise.Receipt{}, err
	}
	if s.deltas == nil {
		s.deltas = make(map[string][][]byte)
	}
	s.deltas[key] = append(s.deltas[key], delta)
	h.seq++
	return fieldwise.Receipt{Origin: h.origin, Seq: h.seq, Time: at.Time}, nil
}

// Keys implements [fieldwise.Store].
func (s *Store) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		deleter, _ := s.merger.(fieldwise.Deleter)
		var keys []string
		s.host.mu.Lock()
		for key, r := range s.records {
			if strings.HasPrefix(key, prefix) && (deleter == nil || deleter.Live(r.State)) {
				keys = append(keys, key)
			}
		}
		s.host.mu.Unlock()
		slices.Sort(keys)
		for _, key := range keys {
			if err := ctx.Err(); err != nil || !yield(key, nil) {
				if err != nil {
					yield("", err)
				}
				return
			}
		}
	}
}

// State returns the state of a key.
func (s *Store) State(key string) []byte { return s.record(key).State }

func (s *Store) record(key string) Twin {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	return s.records[key]
}

// Deltas returns the deltas that Write made for a key, oldest first.
func (s *Store) Deltas(key string) [][]byte {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	return slices.Clone(s.deltas[key])
}

// Merge joins a state or a delta from another host into a key.
func (s *Store) Merge(key string, state []byte) error {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	return s.mergeLocked(key, state)
}

func (s *Store) mergeLocked(key string, delta []byte) error {
	r := s.records[key]
	r.Merger, r.OpenFrom = s.merger, s.host.OpenFrom
	err := r.Merge(delta)
	if err == nil {
		s.records[key] = r
	}
	return err
}
