package mapstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/mapstore"
	"github.com/fieldwise/fieldwise/lww"
	"github.com/fieldwise/fieldwise/regionpriority"
)

func origin(r fieldwise.Region) fieldwise.Origin {
	return fieldwise.Origin{Region: r, Incarnation: 1}
}

func stopped() time.Time { return time.UnixMilli(1000) }

func TestHostsExchangeDeltasAndStates(t *testing.T) {
	ctx := context.Background()
	a, b := mapstore.New(origin("a"), stopped), mapstore.New(origin("b"), stopped)
	var stores []*mapstore.Store
	for _, h := range []*mapstore.Host{a, b} {
		d, err := lww.Open[string](h, "d")
		require.NoError(t, err)
		for _, v := range []string{"1", "2"} {
			receipt, err := d.Put(ctx, "k", v+v)
			require.NoError(t, err)
			require.False(t, receipt.IsZero())
		}
		s, err := h.Domain("d", lww.NewMerger())
		require.NoError(t, err)
		stores = append(stores, s.(*mapstore.Store))
	}
	require.Len(t, stores[0].Deltas("k"), 2)
	for _, delta := range stores[0].Deltas("k") {
		require.NoError(t, stores[1].Merge("k", delta))
	}
	require.NoError(t, stores[0].Merge("k", stores[1].State("k")))
	require.Equal(t, stores[0].State("k"), stores[1].State("k"))
	require.ErrorIs(t, stores[0].Merge("k", []byte{1}), fieldwise.ErrMalformed)
}

func TestDomainIsHeldUnderOneName(t *testing.T) {
	h := mapstore.New(origin("a"), stopped)
	first, err := h.Domain("d", lww.NewMerger())
	require.NoError(t, err)
	ranked, err := regionpriority.NewMerger("a")
	require.NoError(t, err)
	again, err := h.Domain("d", ranked)
	require.NoError(t, err, "policies may change")
	require.Same(t, first, again)
	_, err = h.Domain("d", fieldmerge.Merger{})
	require.ErrorIs(t, err, fieldwise.ErrMergerMismatch)
}

// As in the log, what arrives while a change is made is joined with what it makes.
func TestAChangeMayReadAndStatesMayArriveMeanwhile(t *testing.T) {
	ctx := context.Background()
	a, b := mapstore.New(origin("a"), stopped), mapstore.New(origin("b"), stopped)
	db, err := lww.Open[string](b, "d")
	require.NoError(t, err)
	_, err = db.Put(ctx, "k", "b")
	require.NoError(t, err)
	sa, err := a.Domain("d", lww.NewMerger())
	require.NoError(t, err)
	sb, err := b.Domain("d", lww.NewMerger())
	require.NoError(t, err)
	store := sa.(*mapstore.Store)
	_, err = store.Write(ctx, "k", func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
		require.NoError(t, store.Merge("k", sb.(*mapstore.Store).State("k")))
		require.NoError(t, store.Read(ctx, "k", func(now []byte) error { require.NotEmpty(t, now); return nil }))
		return lww.NewMerger().Set(dst, state, at, []byte("\xa1a"))
	})
	require.NoError(t, err)
	siblings, err := lww.NewMerger().Siblings(store.State("k"))
	require.NoError(t, err)
	require.Len(t, siblings, 2)
}

func TestErrorsAndCancelledContexts(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	h := mapstore.New(origin("a"), stopped)
	s, err := h.Domain("d", lww.NewMerger())
	require.NoError(t, err)
	boom := errors.New("boom")
	_, err = s.Write(ctx, "k", func([]byte, []byte, fieldwise.Version) ([]byte, error) { return nil, boom })
	require.Equal(t, boom, err)
	require.Equal(t, boom, s.Read(ctx, "k", func(state []byte) error { require.Empty(t, state); return boom }))
	cancel()
	_, err = s.Write(ctx, "k", nil)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, s.Read(ctx, "k", nil), context.Canceled)
	for key, err := range s.Keys(ctx, "") {
		t.Fatal(key, err)
	}
}
