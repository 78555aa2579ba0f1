package engine

import (
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/lww"
)

// conflicting returns a log of region a that holds writes of a, b and c to one register,
// none of which knew of another, in the domain "notes".
func conflicting(t *testing.T) *host {
	a := newHost(t, "a").openAll()
	a.write("notes", "k", "a1")
	for i, region := range []fieldwise.Region{"b", "c"} {
		p := newHost(t, region).openAll()
		p.now = start.Add(time.Duration(i+1) * time.Millisecond)
		p.write("notes", "k", string(region)+"1")
		a.sync(p)
	}
	require.Equal(t, "a1|b1|c1", a.read("notes", "k"))
	require.Equal(t, []string{"k: a1 < b1", "k: b1 < c1"}, a.reports())
	return a
}

func TestOpenDomainNames(t *testing.T) {
	e := newHost(t, "a").e
	for _, bad := range []string{"", strings.Repeat("d", MaxDomain+1), "\xff"} {
		require.Error(t, e.OpenDomain(bad, tokenSet{}), "%q", bad)
	}
	require.NoError(t, e.OpenDomain(strings.Repeat("d", MaxDomain), tokenSet{}))
	require.NoError(t, e.OpenDomain("tokens", tokenSet{}))
	require.NoError(t, e.OpenDomain("tokens", tokenSet{}), "again is no error")
	err := e.OpenDomain("tokens", tokens2{})
	require.ErrorIs(t, err, fieldwise.ErrMergerMismatch)
	require.ErrorContains(t, err, `"tokens" is open under "tokens/1", not "tokens/2"`)
}

func TestEntriesBeforeTheirDomainAreHeldPassedOnAndMergedWhenItIsOpened(t *testing.T) {
	a := conflicting(t)
	d := newHost(t, "d")
	d.sync(a)
	requireVector(t, d.e, "a#7:1 b#7:1 c#7:1")
	require.Empty(t, d.reports(), "without the merger nobody knows of conflicts")
	stats := d.e.Stats(d.now).Domains
	require.Equal(t, []DomainStats{{Name: "notes", Held: 3}}, stats)

	// They are passed on before anybody could merge them.
	f := newHost(t, "f").openAll()
	f.sync(d)
	require.Equal(t, "a1|b1|c1", f.read("notes", "k"))

	d.open("notes", lww.NewMerger())
	require.Equal(t, "a1|b1|c1", d.read("notes", "k"))
	require.Equal(t, a.e.Read(nil, "notes", "k"), d.e.Read(nil, "notes", "k"))
	d.commit()
	require.Equal(t, a.reports(), d.reports())
	require.Zero(t, d.e.Stats(d.now).Domains[0].Held)
	require.Equal(t, a.e.Stats(a.now).Domains[0].Bytes, d.e.Stats(d.now).Domains[0].Bytes)
}

// A domain can be opened while its entries are anywhere on their way into the log.
func TestADomainOpenedWhileItsEntriesAreStaged(t *testing.T) {
	for _, when := range []string{"filling", "writing", "one writing and one filling", "committed"} {
		t.Run(when, func(t *testing.T) {
			a := conflicting(t)
			parts := a.answer(Pull{From: originOf("d"), To: "a", Relay: []fieldwise.Origin{originOf("b"), originOf("c")}})
			require.Len(t, parts, 3)
			d := newHost(t, "d")
			deliver := func(parts []Part) {
				_, err := d.e.Deliver(d.now, "a", parts)
				require.NoError(t, err)
			}
			var taken []*Batch
			switch when {
			case "filling":
				deliver(parts)
			case "writing":
				deliver(parts)
				taken = append(taken, d.e.TakeBatch())
			case "one writing and one filling":
				deliver(parts[:2])
				taken = append(taken, d.e.TakeBatch())
				deliver(parts[2:])
			case "committed":
				deliver(parts)
				d.commit()
			}
			d.open("notes", lww.NewMerger())
			require.Equal(t, string(a.e.Read(nil, "notes", "k").Bytes), d.seen("notes", "k"))
			basis, err := d.e.Begin(d.now, "notes", "k")
			require.NoError(t, err)
			require.Equal(t, when == "committed", basis.Batch == 0)
			if when != "committed" {
				require.Empty(t, d.read("notes", "k"))
			}
			for _, b := range taken {
				d.committed(b)
			}
			for d.e.TakeBatch() != nil {
				d.committed(d.e.writing[0])
			}
			require.Equal(t, "a1|b1|c1", d.read("notes", "k"))
			require.Equal(t, a.reports(), d.reports())

			// Reopening, several times, reports nothing again.
			for range 3 {
				d = reopenedWithAll(d)
				require.Nil(t, d.e.TakeBatch())
				require.Equal(t, "a1|b1|c1", d.read("notes", "k"))
				require.EqualValues(t, 2, d.e.Stats(d.now).Conflicts)
			}
		})
	}
}

func TestReportsOfHeldEntriesThatDidNotReachTheLogAreMadeAgain(t *testing.T) {
	a := conflicting(t)
	d := newHost(t, "d")
	d.sync(a)
	d.open("notes", lww.NewMerger())
	require.NotNil(t, d.e.TakeBatch(), "the reports are staged, and the machine dies")

	d = d.reopened()
	require.Empty(t, d.reports())
	d.open("notes", lww.NewMerger())
	d.commit()
	require.Equal(t, a.reports(), d.reports())
	d = reopenedWithAll(d)
	require.Nil(t, d.e.TakeBatch())
}

// A full disk must not lose the reports until the next start of the process.
func TestReportsOfHeldEntriesSurviveAFailedBatch(t *testing.T) {
	for _, open := range []string{"after the entries were committed", "while the entries are written"} {
		t.Run(open, func(t *testing.T) {
			a := conflicting(t)
			d := newHost(t, "d")
			d.pull(a)
			b := d.e.TakeBatch()
			if open == "while the entries are written" {
				d.open("notes", lww.NewMerger())
				d.committed(b)
			} else {
				d.committed(b)
				d.open("notes", lww.NewMerger())
			}
			for range 3 { // the disk is full for a while
				require.NotNil(t, d.e.TakeBatch())
				d.e.Failed()
			}
			d.open("tokens", tokenSet{})
			d.write("tokens", "x", "1")
			require.Equal(t, a.reports(), d.reports())
			require.EqualValues(t, 2, d.e.Stats(d.now).Conflicts)
			require.Nil(t, d.e.TakeBatch())
			d = reopenedWithAll(d)
			require.Nil(t, d.e.TakeBatch())
		})
	}
	t.Run("and the entries fail too", func(t *testing.T) {
		a := conflicting(t)
		d := newHost(t, "d")
		d.pull(a)
		d.e.TakeBatch()
		d.open("notes", lww.NewMerger())
		d.e.Failed()
		require.Nil(t, d.e.TakeBatch(), "nothing is held any more")
		d.sync(a)
		require.Equal(t, a.reports(), d.reports(), "each is reported once")
	})
}

func TestAMergerThatRefusesWhatIsHeldOpensNothing(t *testing.T) {
	a := conflicting(t)
	d := newHost(t, "d")
	d.pull(a)
	err := d.e.OpenDomain("notes", tokenSet{})
	require.ErrorContains(t, err, `domain "notes" under "tokens/1": entry a#7/1`)
	d.commit()
	require.Error(t, d.e.OpenDomain("notes", tokenSet{}))
	require.Nil(t, d.e.TakeBatch())
	d.open("notes", lww.NewMerger())
	require.Equal(t, "a1|b1|c1", d.read("notes", "k"))
	d.commit()
	require.Equal(t, a.reports(), d.reports())
}

func TestKeysListsLiveRecordsInByteOrder(t *testing.T) {
	h := newHost(t, "a").openAll()
	for _, key := range []string{"b", "a", "ab", "é", "z"} {
		h.write("notes", key, "v")
	}
	basis, err := h.e.Begin(h.now, "notes", "z")
	require.NoError(t, err)
	delta, err := lww.NewMerger().Delete(nil, basis.State.Bytes, basis.At)
	require.NoError(t, err)
	_, _, err = h.e.Stage(basis, "notes", "z", delta, "")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "ab", "b", "z", "é"}, h.e.Keys("notes", ""))
	h.commit()
	require.Equal(t, []string{"a", "ab", "b", "é"}, h.e.Keys("notes", ""))
	require.Equal(t, []string{"a", "ab"}, h.e.Keys("notes", "a"))
	var all []string
	require.NoError(t, h.e.States("notes", func(key string, _ []byte) error {
		all = append(all, key)
		return nil
	}))
	require.Equal(t, []string{"a", "ab", "b", "z", "é"}, all, "deleted ones have a state too")
	require.ErrorIs(t, h.e.States("notes", func(key string, _ []byte) error {
		require.Equal(t, "a", key)
		return io.EOF
	}), io.EOF)
	require.Equal(t, 5, h.e.Stats(h.now).Domains[0].Records)
}

func TestRecoverGivesBackWhatWasThere(t *testing.T) {
	a := conflicting(t)
	a.now = start.Add(time.Hour)
	a.write("tokens", "t", "1")
	a.stage("tokens", "t", "2")
	d := newHost(t, "d")
	d.open("tokens", tokenSet{})
	d.sync(a)

	r := reopenedWithAll(a)
	require.Equal(t, a.e.Vector(), r.e.Vector())
	require.Equal(t, a.e.Vector(), r.e.staged, "what was only staged is gone")
	require.Equal(t, "1;", r.read("tokens", "t"))
	require.Equal(t, a.e.Read(nil, "notes", "k"), r.e.Read(nil, "notes", "k"))
	require.Equal(t, a.e.index, r.e.index)
	require.Equal(t, a.e.reports, r.e.reports)
	was, is := a.e.Stats(a.now), r.e.Stats(r.now)
	was.Peers = nil // who acknowledged what is asked again
	require.Equal(t, was, is)
	require.Nil(t, r.e.TakeBatch())

	// The clock goes on from the mark, whatever the wall says now.
	mark := fieldwise.NewTimestamp(a.now)
	basis, err := r.e.Begin(start, "tokens", "t")
	require.NoError(t, err)
	require.Greater(t, basis.At.Time, mark)
	require.Less(t, basis.At.Time, mark+10)
}

// An effect has a higher timestamp than its cause, over a restart too.
func TestRecoverBringsTheClockAboveWhatWasAppliedFromElsewhere(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b").openAll()
	a.now = start.Add(400 * time.Millisecond) // within the skew that is allowed
	cause := a.write("notes", "k", "a1")
	b.sync(a)
	basis, err := b.e.Begin(b.now, "notes", "k")
	require.NoError(t, err)
	require.Greater(t, basis.At.Time, cause.Time)
	b = reopenedWithAll(b)
	basis, err = b.e.Begin(b.now, "notes", "k")
	require.NoError(t, err)
	require.Greater(t, basis.At.Time, cause.Time)
}

func TestRecoverRefusesWhatIsNotALog(t *testing.T) {
	h := newHost(t, "a").openAll()
	h.write("tokens", "k", "1")
	h.write("tokens", "k", "2")
	cfg := Config{Origin: originOf("a")}
	require.ErrorIs(t, New(cfg).Recover(1, h.frames[1]), ErrGap, "the first frame is missing")
	e := New(cfg)
	require.NoError(t, e.Recover(1, h.frames[0]))
	require.ErrorIs(t, e.Recover(2, h.frames[0]), ErrGap, "a frame twice")
	for cut := 1; cut < len(h.frames[1]); cut++ { // one part
		require.ErrorIs(t, New(cfg).Recover(1, h.frames[1][:cut]), fieldwise.ErrMalformed, "%d", cut)
	}
	err := New(cfg).Recover(1, appendEntryPart(nil, 9, []byte("?")))
	require.ErrorIs(t, err, fieldwise.ErrMalformed)
	require.ErrorContains(t, err, "part of kind 9")
}

func TestFindReport(t *testing.T) {
	e := New(Config{Origin: originOf("a")})
	_, _, ok := e.FindReport(1)
	require.False(t, ok)
	type found struct {
		frame  int64
		before uint64
	}
	var truth []found // of report i+1
	for frame, n := range []int{0, 3, 0, 1, 1, 0, 5, 2, 0} {
		before := uint64(len(truth))
		for range n {
			truth = append(truth, found{int64(frame), before})
		}
		e.reports.add(int64(frame), n)
	}
	for i, want := range truth {
		frame, before, ok := e.FindReport(uint64(i + 1))
		require.True(t, ok)
		require.Equal(t, want, found{frame, before}, "report %d", i+1)
	}
	for _, none := range []uint64{0, uint64(len(truth)) + 1, 1<<64 - 1} {
		_, _, ok = e.FindReport(none)
		require.False(t, ok, "report %d", none)
	}
}

// BenchmarkOpenDomain folds held deltas of one field into records at random.
func BenchmarkOpenDomain(b *testing.B) {
	const records, deltas = 200_000, 400_000
	rng := rand.New(rand.NewPCG(5, 6))
	var all []held
	entry := func(i int, delta []byte) {
		all = append(all, held{entry: Entry{Origin: originOf("a"), Seq: fieldwise.Seq(len(all) + 1), Domain: "profiles", Key: profileKey(i), Delta: delta}})
	}
	state := profile(profileFields, 1, profileTime)
	for i := range records {
		entry(i, state)
	}
	for i := range deltas {
		f := rng.IntN(len(profileFields))
		entry(rng.IntN(records), profile(profileFields[f:f+1], 1, profileTime+fieldwise.Timestamp(i)))
	}
	for b.Loop() {
		e := New(Config{Origin: originOf("a")})
		e.domain("profiles").held = all
		require.NoError(b, e.OpenDomain("profiles", fieldmerge.Merger{}))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(all)), "ns/entry")
}
