package replog

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/lww"
)

// What the README advises instead of restoring one region from a backup: a region whose
// directory was emptied signs under a fresh incarnation and gets everything back, its own
// earlier writes included.
func TestARegionThatStartsOverGetsEverythingBackUnderAFreshIncarnation(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	open := func(region fieldwise.Region) (*Replica, func(key, value string) fieldwise.Receipt) {
		r, err := Open(ctx, Config{Region: region, Dir: filepath.Join(dir, string(region))})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, r.Close()) })
		d, err := lww.Open[string](r, "d")
		require.NoError(t, err)
		return r, func(key, value string) fieldwise.Receipt {
			receipt, err := d.Put(ctx, key, value)
			require.NoError(t, err)
			return receipt
		}
	}
	eu, putEU := open("eu")
	us, putUS := open("us")
	_, err := Connect(eu, us)
	require.NoError(t, err)
	putEU("a", "from eu")
	putUS("b", "from us")
	require.NoError(t, us.WaitVector(ctx, eu.Vector()))
	first := eu.Origin()
	require.NoError(t, eu.Close())
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "eu")))

	eu, putEU = open("eu")
	require.NotEqual(t, first, eu.Origin())
	_, err = Connect(eu, us)
	require.NoError(t, err)
	require.NoError(t, eu.WaitVector(ctx, us.Vector()))
	again := putEU("a", "eu again")
	require.NoError(t, us.WaitApplied(ctx, again))
	require.Equal(t, fieldwise.Seq(1), eu.Vector()[first], "its earlier life is an origin like any other")

	a, err := eu.Digest(ctx, "d")
	require.NoError(t, err)
	b, err := us.Digest(ctx, "d")
	require.NoError(t, err)
	require.Equal(t, a, b)
	require.Zero(t, us.Stats().Conflicts, "the new life knew of the old one's write")
}
