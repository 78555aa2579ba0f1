package lww_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/mapstore"
	"github.com/fieldwise/fieldwise/lww"
)

type settings struct {
	Theme string
	Size  int
}

func stopped() time.Time { return time.UnixMilli(1000) }

func openMap(t *testing.T, r fieldwise.Region) (*crdt.Registers[settings], *mapstore.Store) {
	h := mapstore.New(fieldwise.Origin{Region: r, Incarnation: 1}, stopped)
	d, err := lww.Open[settings](h, "settings")
	require.NoError(t, err)
	s, err := h.Domain("settings", lww.NewMerger())
	require.NoError(t, err)
	return d, s.(*mapstore.Store)
}

func TestTypedFace(t *testing.T) {
	ctx := context.Background()
	d, s := openMap(t, "a")
	_, err := d.Get(ctx, "k")
	require.ErrorIs(t, err, fieldwise.ErrNotFound)
	require.EqualError(t, err, `settings: get "k": fieldwise: record not found`)
	_, err = d.Delete(ctx, "k")
	require.ErrorIs(t, err, fieldwise.ErrNotFound)
	all, err := d.Siblings(ctx, "k")
	require.NoError(t, err)
	require.Empty(t, all)

	dark := settings{"dark", 3}
	receipt, err := d.Put(ctx, "k", dark)
	require.NoError(t, err)
	require.False(t, receipt.IsZero())
	state := s.State("k")
	receipt, err = d.Put(ctx, "k", dark)
	require.NoError(t, err)
	require.True(t, receipt.IsZero(), "what is there already is not written")
	require.Equal(t, state, s.State("k"))
	got, err := d.Get(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, dark, got)

	_, err = d.Put(ctx, "ka", settings{"x", 1})
	require.NoError(t, err)
	_, err = d.Put(ctx, "b", settings{"y", 1})
	require.NoError(t, err)
	receipt, err = d.Delete(ctx, "ka")
	require.NoError(t, err)
	require.False(t, receipt.IsZero())
	_, err = d.Get(ctx, "ka")
	require.ErrorIs(t, err, fieldwise.ErrNotFound)
	_, err = d.Put(ctx, "kb", settings{"z", 1})
	require.NoError(t, err)
	var keys []string
	for r, err := range d.All(ctx, "k") {
		require.NoError(t, err)
		keys = append(keys, r.Key+" "+r.Value.Theme)
	}
	require.Equal(t, []string{"k dark", "kb z"}, keys)
	_, err = d.Put(ctx, "ka", settings{"again", 1})
	require.NoError(t, err, "a deleted record can be written again")
}

func TestSiblingsNameWhatIsShown(t *testing.T) {
	ctx := context.Background()
	a, sa := openMap(t, "a")
	b, sb := openMap(t, "b")
	_, err := a.Put(ctx, "k", settings{"a", 1})
	require.NoError(t, err)
	require.NoError(t, sb.Merge("k", sa.State("k")))
	_, err = a.Put(ctx, "k", settings{"a2", 1})
	require.NoError(t, err)
	_, err = b.Put(ctx, "k", settings{"b", 1})
	require.NoError(t, err)
	_, err = b.Delete(ctx, "k") // at the time of a's second write; b is the larger region
	require.NoError(t, err)
	require.NoError(t, sa.Merge("k", sb.State("k")))
	all, err := a.Siblings(ctx, "k")
	require.NoError(t, err)
	for i := range all {
		all[i].Version.Time = 0
	}
	require.Equal(t, []crdt.Sibling[settings]{
		{Version: fieldwise.Version{Origin: fieldwise.Origin{Region: "a", Incarnation: 1}}, Value: settings{"a2", 1}},
		{Version: fieldwise.Version{Origin: fieldwise.Origin{Region: "b", Incarnation: 1}}, Absent: true, Shown: true},
	}, all)
	_, err = a.Get(ctx, "k")
	require.ErrorIs(t, err, fieldwise.ErrNotFound)
}

func TestErrors(t *testing.T) {
	ctx := context.Background()
	h := mapstore.New(fieldwise.Origin{Region: "a", Incarnation: 1}, stopped)
	text, err := lww.Open[any](h, "d")
	require.NoError(t, err)
	_, err = text.Put(ctx, "k", make(chan int))
	require.Error(t, err)
	_, err = text.Put(ctx, "k", "text")
	require.NoError(t, err)
	number, err := lww.Open[int](h, "d")
	require.NoError(t, err)
	_, err = number.Get(ctx, "k")
	require.Error(t, err, "a value of another type")
	require.False(t, errors.Is(err, fieldwise.ErrNotFound))
	for _, err := range number.All(ctx, "") {
		require.Error(t, err)
	}
	bad := mapstore.New(fieldwise.Origin{Region: "A"}, stopped)
	wrong, err := lww.Open[int](bad, "d")
	require.NoError(t, err)
	_, err = wrong.Put(ctx, "k", 1)
	require.ErrorIs(t, err, fieldwise.ErrRegion)
}
