package engine

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

func TestFindIsOfDurableEntries(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b").openAll()
	// The second takes its time before the first and is staged after it.
	late, err := a.e.Begin(a.now, "tokens", "late")
	require.NoError(t, err)
	first, _ := a.stage("tokens", "k", "1")
	second, _, err := a.e.Stage(late, "tokens", "late", []byte("2;"), "")
	require.NoError(t, err)
	require.Less(t, second.Time, first.Time)
	_, ok := a.e.Find(first.Version())
	require.False(t, ok, "it is only staged")
	a.commit()
	third := a.write("tokens", "k", "3")
	b.write("tokens", "k", "b")
	b.sync(a)

	for _, h := range []*host{a, a.reopened()} {
		for i, r := range []fieldwise.Receipt{first, second, third} {
			frame, ok := h.e.Find(r.Version())
			require.True(t, ok)
			require.Equal(t, framePos(i/2), frame)
		}
	}
	frame, ok := b.e.Find(third.Version())
	require.True(t, ok, "the entries of others are here too")
	require.Equal(t, framePos(1), frame)
	for _, none := range []fieldwise.Version{
		{},
		{Time: third.Time, Origin: originOf("b")},
		{Time: third.Time, Origin: originOf("nobody")},
		{Time: third.Time + 1, Origin: originOf("a")},
		{Time: second.Time - 1, Origin: originOf("a")},
	} {
		_, ok := b.e.Find(none)
		require.False(t, ok, "%v", none)
	}
}

// In whatever order the timestamps stand, Find finds what a look at each of them finds.
func TestLawsOfFind(t *testing.T) {
	o := originOf("a")
	times := rapid.SliceOfNDistinct(rapid.IntRange(1, 99), 0, 40, rapid.ID[int])
	randtest.Check(t, 2000, 5000, func(t *rapid.T) {
		e := New(Config{Origin: o})
		frames := make(map[int]int64)
		for i, at := range times.Draw(t, "times") {
			frames[at] = framePos(i)
			e.count(framePos(i), Entry{Origin: o, Seq: fieldwise.Seq(i + 1), Time: fieldwise.Timestamp(at)}, 1, 0)
		}
		for at := range 101 {
			frame, ok := e.Find(fieldwise.Version{Time: fieldwise.Timestamp(at), Origin: o})
			want, is := frames[at]
			if ok != is || frame != want {
				t.Fatalf("time %d of %v: frame %d, %v; want %d, %v", at, frames, frame, ok, want, is)
			}
		}
	})
}
