package fieldmerge_test

import (
	"context"
	"iter"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
)

// stepped is a region whose clock and messages a test moves by hand.
type stepped struct {
	merger fieldwise.Merger
	origin fieldwise.Origin
	time   fieldwise.Timestamp // of the last write; the next one's is one higher
	state  []byte
	delta  []byte // of the last write
}

func newStepped(m fieldwise.Merger, name fieldwise.Region, incarnation uint64) *stepped {
	return &stepped{merger: m, origin: fieldwise.Origin{Region: name, Incarnation: incarnation}}
}

func (s *stepped) Domain(string, fieldwise.Merger) (fieldwise.Store, error) { return s, nil }

func (s *stepped) Read(_ context.Context, _ string, use func([]byte) error) error {
	return use(s.state)
}

func (s *stepped) Keys(_ context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if s.merger.(fieldwise.Deleter).Live(s.state) && strings.HasPrefix(key, prefix) {
			yield(key, nil)
		}
	}
}

func (s *stepped) Write(_ context.Context, _ string, change func(dst, state []byte, at fieldwise.Version) ([]byte, error)) (fieldwise.Receipt, error) {
	s.time++
	at := fieldwise.Version{Time: s.time, Origin: s.origin}
	delta, err := change(nil, s.state, at)
	if err != nil || len(delta) == 0 {
		return fieldwise.Receipt{}, err
	}
	if _, err := s.merger.Merge(nil, nil, delta); err != nil {
		return fieldwise.Receipt{}, err
	}
	s.delta = delta
	s.state, err = s.merger.Merge(nil, s.state, delta)
	return fieldwise.Receipt{Origin: s.origin, Seq: 1, Time: at.Time}, err
}

// join takes in a state or a delta and returns the conflicts that it reports.
func (s *stepped) join(t require.TestingT, state []byte) []fieldwise.Conflict {
	found, err := s.merger.(fieldwise.ConflictReporter).Conflicts(nil, s.state, state)
	require.NoError(t, err)
	checked, err := s.merger.Merge(nil, nil, state)
	require.NoError(t, err)
	require.Equal(t, state, checked)
	s.state, err = s.merger.Merge(nil, s.state, state)
	require.NoError(t, err)
	return found
}
