package fieldmerge_test

import (
	"context"
	"iter"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/mapstore"
)

// stepped is a region whose clock and messages a test moves by hand.
type stepped struct {
	mapstore.Twin
	origin fieldwise.Origin
	time   fieldwise.Timestamp // of the last write; the next one's is one higher
	delta  []byte              // of the last write
}

func newStepped(m fieldwise.Merger, name fieldwise.Region, incarnation uint64) *stepped {
	return &stepped{Twin: mapstore.Twin{Merger: m, OpenFrom: 1}, origin: fieldwise.Origin{Region: name, Incarnation: incarnation}}
}

func (s *stepped) Domain(string, fieldwise.Merger) (fieldwise.Store, error) { return s, nil }

func (s *stepped) Read(_ context.Context, _ string, use func([]byte) error) error {
	return use(s.State)
}

func (s *stepped) Keys(_ context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if s.Merger.(fieldwise.Deleter).Live(s.State) && strings.HasPrefix(key, prefix) {
			yield(key, nil)
		}
	}
}

func (s *stepped) ReadOpen(_ context.Context, _ string, use func([]byte, fieldwise.Opened) error) error {
	if s.Open != nil {
		return use(nil, s.Open)
	}
	return use(s.State, nil)
}

func (s *stepped) Write(_ context.Context, _ string, change func(dst, state []byte, at fieldwise.Version) ([]byte, error)) (fieldwise.Receipt, error) {
	return s.write(func(at fieldwise.Version) ([]byte, error) { return change(nil, s.State, at) })
}

func (s *stepped) WriteOpen(_ context.Context, _ string, change func(dst, state []byte, open fieldwise.Opened, at fieldwise.Version) ([]byte, error)) (fieldwise.Receipt, error) {
	return s.write(func(at fieldwise.Version) ([]byte, error) {
		return s.Change(func(state []byte, open fieldwise.Opened) ([]byte, error) { return change(nil, state, open, at) })
	})
}

func (s *stepped) write(change func(at fieldwise.Version) ([]byte, error)) (fieldwise.Receipt, error) {
	s.time++
	at := fieldwise.Version{Time: s.time, Origin: s.origin}
	delta, err := change(at)
	if err != nil || len(delta) == 0 {
		return fieldwise.Receipt{}, err
	}
	s.delta = delta
	return fieldwise.Receipt{Origin: s.origin, Seq: 1, Time: at.Time}, s.Merge(delta)
}

// join takes in a state or a delta and returns the conflicts that it reports.
func (s *stepped) join(t require.TestingT, state []byte) []fieldwise.Conflict {
	found, err := s.Conflicts(state)
	require.NoError(t, err)
	require.NoError(t, s.Merge(state))
	return found
}
