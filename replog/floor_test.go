package replog

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

// A peer that was put back to an earlier copy does not hold what it said before. It is asked
// again with all that is held here, though nothing has come from it meanwhile.
func TestAPeerThatLostWhatAFloorStandsForIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fresh := func(c *Config) { c.IdentityWait = -1 }
		theirs, ours := disk.NewMem(), disk.NewMem()
		b := memberOn(t, "b", theirs)
		old := theirs.CrashSoft()
		a := memberOn(t, "a", ours)
		a.write(t, a.tokens, "k", token("1"))
		require.NoError(t, a.Close())
		a = memberOn(t, "a", ours, fresh)
		a.write(t, a.tokens, "k", token("2")) // under another incarnation
		require.Len(t, a.Vector(), 2)

		l := connect(t, a, b)
		settle(t, a, b)
		synctest.Wait() // b says what it has
		require.NoError(t, l.Close())
		require.NoError(t, b.Close())
		b = memberOn(t, "b", old, fresh)
		b.write(t, b.tokens, "k", token("3"))

		floors := func() int { return len(a.engine.NextPull(b.cfg.Wall(), "b").Floors) }
		require.Equal(t, 1, floors())
		require.NoError(t, a.pullFrom(ctx, b.Replica, func() {}), "it is no failure")
		require.Zero(t, floors())
		require.Equal(t, "1;2;", read(t, a.tokens, "k"))
		require.NoError(t, a.pullFrom(ctx, b.Replica, func() {}))
		require.Equal(t, "1;2;3;", read(t, a.tokens, "k"))
	})
}
