package replog

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

var threeMembers = Members{Epoch: 1, Regions: []fieldwise.Region{"a", "b", "c"}}

// memberOn opens a region of three on a disk.
func memberOn(t *testing.T, region fieldwise.Region, fs disk.FS, set ...func(*Config)) *node {
	t.Helper()
	cfg := Config{Region: region, Dir: "data", fs: fs, Members: threeMembers}
	for _, s := range set {
		s(&cfg)
	}
	r, err := Open(ctx, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	n := &node{Replica: r}
	n.tokens, n.notes = domain(t, r, "tokens", tokenSet{}), domain(t, r, "notes", lwwMerger)
	return n
}

// threeNodes are all members, linked each with each, and their disks.
func threeNodes(t *testing.T) (nodes []*node, disks []*disk.Mem, links []*Link) {
	for _, region := range threeMembers.Regions {
		disks = append(disks, disk.NewMem())
		nodes = append(nodes, memberOn(t, region, disks[len(disks)-1]))
	}
	return nodes, disks, connectAll(t, nodes...)
}

func connectAll(t *testing.T, nodes ...*node) (links []*Link) {
	for i, a := range nodes {
		for _, b := range nodes[:i] {
			links = append(links, connect(t, a, b))
		}
	}
	return links
}

func TestADirectoryThatIsOpenedAgainGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, disks, _ := threeNodes(t)
		origin := nodes[0].Origin()
		require.Equal(t, IdentityFresh, nodes[0].Stats().Identity)
		nodes[0].write(t, nodes[0].tokens, "k", token("1"))
		for _, n := range nodes { // all of them at once
			require.NoError(t, n.Close())
		}
		for i, region := range threeMembers.Regions {
			nodes[i] = memberOn(t, region, disks[i])
			require.Equal(t, IdentityWaiting, nodes[i].Stats().Identity)
		}
		a := nodes[0]
		require.Equal(t, "1;", read(t, a.tokens, "k"), "reading does not wait")
		w := start(ctx, a.tokens, "k", token("2"))
		require.False(t, w.ended.Load())
		l := connect(t, a, nodes[1])
		synctest.Wait()
		require.False(t, w.ended.Load(), "one member is away")
		l.Cut()
		connectAll(t, nodes...)
		r, err := w.wait()
		require.NoError(t, err)
		require.Equal(t, origin, r.Origin)
		require.EqualValues(t, 2, r.Seq)
		synctest.Wait()
		for _, n := range nodes {
			require.Equal(t, IdentityConfirmed, n.Stats().Identity)
			require.Equal(t, 1, n.Stats().Origins)
		}
		require.Less(t, time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), DefaultIdentityWait)
	})
}

func TestARestoredDirectoryGetsBackWhatItLostUnderAFreshIncarnation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, disks, _ := threeNodes(t)
		a, b, c := nodes[0], nodes[1], nodes[2]
		a.write(t, a.tokens, "k", token("1"))
		backup := disks[0].CrashSoft()
		require.NoError(t, b.WaitApplied(ctx, a.write(t, a.tokens, "k", token("2"))))
		old := a.Origin()
		require.NoError(t, a.Close())

		for round, fs := range []*disk.Mem{backup.CrashSoft(), backup.CrashSoft()} { // one backup, twice
			var out bytes.Buffer
			a = memberOn(t, "a", fs, func(c *Config) {
				c.Logger = hclog.New(&hclog.LoggerOptions{Output: &out})
			})
			require.Equal(t, old, a.Origin())
			connect(t, a, b)
			connect(t, a, c)
			r := a.write(t, a.tokens, "k", token(fmt.Sprint(3+round)))
			require.NotEqual(t, old, r.Origin)
			require.EqualValues(t, 1, r.Seq)
			require.Equal(t, r.Origin, a.Origin())
			require.NoError(t, c.WaitApplied(ctx, r))
			settle(t, a, b, c)
			require.Equal(t, []string{"1;2;3;", "1;2;3;4;"}[round], read(t, a.tokens, "k"))
			s := a.Stats()
			require.Equal(t, IdentityFresh, s.Identity)
			require.Equal(t, 2+round, s.Origins)
			require.NoError(t, s.Err)
			require.NoError(t, a.Close())
			require.Contains(t, out.String(), "[WARN]  a fresh incarnation begins: region=a")
			require.Contains(t, out.String(), "ends at 1 here")
		}
	})
}

func TestAMemberThatIsAwayIsWaitedForForAWhile(t *testing.T) {
	for wait, want := range map[time.Duration]time.Duration{0: DefaultIdentityWait, time.Minute: time.Minute, -1: 0} {
		t.Run(wait.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nodes, disks, _ := threeNodes(t)
				a, b := nodes[0], nodes[1]
				a.write(t, a.tokens, "k", token("1"))
				synctest.Wait()
				old := a.Origin()
				require.NoError(t, a.Close())
				a = memberOn(t, "a", disks[0], func(c *Config) { c.IdentityWait = wait })
				connect(t, a, b)
				time.Sleep(time.Hour) //nolint:forbidigo // of synctest's clock: nobody writes
				require.Equal(t, IdentityWaiting, a.Stats().Identity)
				began := time.Now()
				one, two := start(ctx, a.tokens, "k", token("2")), start(ctx, a.tokens, "j", token("3"))
				_, err := one.wait()
				require.NoError(t, err)
				require.Equal(t, want, time.Since(began))
				r, err := two.wait()
				require.NoError(t, err)
				require.Equal(t, a.Origin(), r.Origin)
				require.NotEqual(t, old, r.Origin)
				require.Equal(t, want, time.Since(began), "they wait together")
				settle(t, a, b)
			})
		})
	}
}

func TestAWriteThatWaitsForTheIdentityEndsWithItsContextAndWithTheReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, disks, _ := threeNodes(t)
		nodes[0].write(t, nodes[0].tokens, "k", token("1"))
		require.NoError(t, nodes[0].Close())
		a := memberOn(t, "a", disks[0])
		limited, cancel := context.WithCancel(ctx)
		w := start(limited, a.tokens, "k", token("2"))
		cancel()
		_, err := w.wait()
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, ErrOutcomeUnknown, "nothing is staged")
		w = start(ctx, a.tokens, "k", token("2"))
		require.NoError(t, a.Close())
		_, err = w.wait()
		require.ErrorIs(t, err, fieldwise.ErrClosed)
		require.Equal(t, "1;", read(t, memberOn(t, "a", disks[0]).tokens, "k"))
	})
}

func TestTwoProcessesOnCopiesOfOneDirectoryAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, disks, links := threeNodes(t)
		a, b, c := nodes[0], nodes[1], nodes[2]
		require.NoError(t, b.WaitApplied(ctx, a.write(t, a.tokens, "k", token("1"))))
		require.NoError(t, c.WaitApplied(ctx, a.write(t, a.tokens, "k", token("2"))))
		synctest.Wait()
		twin := memberOn(t, "a", disks[0].CrashSoft())
		connect(t, twin, b)
		connect(t, twin, c)
		synctest.Wait()
		require.Equal(t, IdentityConfirmed, twin.Stats().Identity, "nobody can tell yet")
		links[0].Cut() // a and b
		links[1].Cut() // a and c
		a.write(t, a.tokens, "k", token("original"))
		twin.write(t, twin.tokens, "k", token("twin"))
		synctest.Wait()
		links[0].Heal()
		synctest.Wait()
		require.Equal(t, "1;2;twin;", read(t, b.tokens, "k"))
		err := a.Stats().Err
		require.ErrorIs(t, err, ErrForked)
		require.ErrorContains(t, err, a.Origin().String()+", at or before 3")
		_, err = a.tokens.Write(ctx, "k", token("more"))
		require.ErrorIs(t, err, ErrForked)
		require.Equal(t, "1;2;original;", read(t, a.tokens, "k"), "it can be read")
	})
}

// Where nobody is asked, a copy that is behind is found once somebody pulls from it.
func TestAnOldDirectoryWithoutMembersEndsOnceAPeerHasMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newNode(t, "a"), newNode(t, "b")
		a.write(t, a.tokens, "k", token("1"))
		backup := a.fs.FS.(*disk.Mem).CrashSoft()
		l := connect(t, a, b)
		require.NoError(t, b.WaitApplied(ctx, a.write(t, a.tokens, "k", token("2"))))
		require.NoError(t, l.Close())
		restored := nodeOn(t, "a", &hookFS{FS: backup})
		connect(t, restored, b)
		synctest.Wait()
		require.ErrorIs(t, restored.Stats().Err, ErrLogRegressed)
		_, err := restored.tokens.Write(ctx, "k", token("3"))
		require.ErrorIs(t, err, ErrLogRegressed)
	})
}

// The first batch of a fresh incarnation is there whole, with the name of who signs, or not.
func TestCrashInTheFirstBatchOfAFreshIncarnation(t *testing.T) {
	began := disk.NewMem()
	n := memberOn(t, "a", began)
	n.write(t, n.tokens, "k", token("1"))
	old := n.Origin()
	require.NoError(t, n.Close())
	impatient := func(c *Config) { c.IdentityWait = -1 }
	fresh, same := 0, 0
	for op := 1; ; op++ {
		mem := began.CrashSoft()
		faults := disk.NewFault(mem, 1)
		n := memberOn(t, "a", faults, impatient)
		faults.StopAt(faults.Ops() + op)
		_, err := n.tokens.Write(ctx, "k", token("2"))
		_ = n.Close()
		for crashed := range mem.Crashes() {
			n := memberOn(t, "a", crashed, impatient)
			vector := n.Vector()
			require.EqualValues(t, 1, vector[old])
			before := n.Origin()
			if before == old {
				require.Error(t, err)
				require.Len(t, vector, 1)
				same++
			} else {
				require.Equal(t, fieldwise.Vector{old: 1, before: 1}, vector)
				require.Equal(t, "1;2;", read(t, n.tokens, "k"))
				fresh++
			}
			r := n.write(t, n.tokens, "k", token("3"))
			require.NotEqual(t, before, r.Origin, "it is not confirmed")
			require.EqualValues(t, 1, r.Seq)
			require.NoError(t, n.Close())
		}
		if err == nil {
			break
		}
	}
	require.NotZero(t, fresh)
	require.NotZero(t, same)
}

// A full disk fails the first batch, and the same incarnation is begun by the next.
func TestAFreshIncarnationIsBegunAgainAfterAFullDisk(t *testing.T) {
	mem := disk.NewMem()
	n := memberOn(t, "a", mem)
	n.write(t, n.tokens, "k", token("1"))
	require.NoError(t, n.Close())
	fs := &hookFS{FS: mem}
	n = memberOn(t, "a", fs, func(c *Config) { c.IdentityWait = -1 })
	fs.writing(func() error { return errENOSPC })
	_, err := n.tokens.Write(ctx, "k", token("2"))
	require.ErrorIs(t, err, ErrNoSpace)
	origin := n.Origin()
	fs.writing(nil)
	r := n.write(t, n.tokens, "k", token("3"))
	require.Equal(t, origin, r.Origin)
	require.NoError(t, n.Close())
	n = memberOn(t, "a", mem)
	require.Equal(t, origin, n.Origin())
	require.Equal(t, "1;3;", read(t, n.tokens, "k"))
}

func TestMembersAreChecked(t *testing.T) {
	for want, m := range map[string]Members{
		"has epoch 3 and no regions":         {Epoch: 3},
		`has "b" twice`:                      {Regions: []fieldwise.Region{"a", "b", "b"}},
		`lacks "a", which is Config.Region`:  {Regions: []fieldwise.Region{"b"}},
		"Config.Members.Regions: fieldwise:": {Regions: []fieldwise.Region{"a", "B"}},
	} {
		require.ErrorContains(t, Config{Region: "a", Dir: "d", Members: m}.Validate(), want)
	}
	require.NoError(t, Config{Region: "a", Dir: "d", Members: threeMembers}.Validate())
	require.Equal(t, "confirmed waiting fresh identity 9", fmt.Sprint(IdentityConfirmed, IdentityWaiting, IdentityFresh, Identity(9)))
}
