package fieldwise_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

// versions draws from few values, so that ties are common, and sometimes from all.
func versions() *rapid.Generator[fieldwise.Version] {
	return rapid.Custom(func(t *rapid.T) fieldwise.Version {
		times := rapid.OneOf(rapid.Uint64Range(1, 3), rapid.Uint64())
		lives := rapid.OneOf(rapid.Uint64Range(1, 2), rapid.Uint64())
		return fieldwise.Version{
			Time: fieldwise.Timestamp(times.Draw(t, "time")),
			Origin: fieldwise.Origin{
				Region:      fieldwise.Region(rapid.StringMatching(`[a0-]{1,3}`).Draw(t, "region")),
				Incarnation: lives.Draw(t, "incarnation"),
			},
		}
	})
}

func TestVersionOrderIsTotal(t *testing.T) {
	randtest.Check(t, 100, 1000, func(t *rapid.T) {
		a, b, c := versions().Draw(t, "a"), versions().Draw(t, "b"), versions().Draw(t, "c")
		if got, back := a.Compare(b), b.Compare(a); got != -back {
			t.Fatalf("not antisymmetric: a to b is %d, b to a is %d", got, back)
		}
		if got := a.Compare(b); (got == 0) != (a == b) {
			t.Fatalf("Compare gives %d, but a == b is %v", got, a == b)
		}
		if a.Compare(b) <= 0 && b.Compare(c) <= 0 && a.Compare(c) > 0 {
			t.Fatalf("not transitive: a <= b <= c < a")
		}
	})
}

func TestVersionOrderIsTimeThenRegionThenIncarnation(t *testing.T) {
	randtest.Check(t, 100, 1000, func(t *rapid.T) {
		a, b := versions().Draw(t, "a"), versions().Draw(t, "b")
		want := cmp.Or(
			cmp.Compare(uint64(a.Time), uint64(b.Time)),
			slices.Compare([]byte(a.Origin.Region), []byte(b.Origin.Region)),
			cmp.Compare(a.Origin.Incarnation, b.Origin.Incarnation))
		if got := a.Compare(b); got != want {
			t.Fatalf("got %d, want %d", got, want)
		}
	})
}

func TestVersionOrderByExample(t *testing.T) {
	version := func(at uint64, region string, life uint64) fieldwise.Version {
		return fieldwise.Version{
			Time:   fieldwise.Timestamp(at),
			Origin: fieldwise.Origin{Region: fieldwise.Region(region), Incarnation: life},
		}
	}
	ascending := []fieldwise.Version{
		{},
		version(0, "a", 0),
		version(1, "a", 1<<63), // incarnations are unsigned
		version(1, "a-b", 0),   // a prefix is smaller
		version(1, "a0", 0),    // '-' is before the digits, and they are before the letters
		version(1, "aa", 0),
		version(1, "b", 0),
		version(2, "a", 0),
		version(1<<63, "a", 0), // timestamps are unsigned
		version(1<<64-1, "a", 0),
	}
	for i, v := range ascending {
		for j, w := range ascending {
			assert.Equal(t, cmp.Compare(i, j), v.Compare(w), "%v to %v", v, w)
		}
	}
}

func TestTimestampParts(t *testing.T) {
	moment := time.Date(2026, 11, 23, 14, 5, 6, 789_999_999, time.FixedZone("", 3600))
	ts := fieldwise.NewTimestamp(moment)
	assert.Equal(t, moment.Truncate(time.Millisecond).UTC(), ts.Time())
	assert.Zero(t, ts.Counter())
	assert.Equal(t, "2026-11-23T13:05:06.789Z+0", ts.String())
	assert.Equal(t, "2026-11-23T13:05:06.789Z+65535", (ts + 65535).String())
	assert.Equal(t, "2026-11-23T13:05:06.790Z+0", (ts + 65536).String(), "the counter carries into the milliseconds")
}

func TestTimestampBounds(t *testing.T) {
	last := fieldwise.MaxTimestamp.Time()
	assert.Equal(t, 10889, last.Year())
	cases := []struct {
		name string
		time time.Time
		want fieldwise.Timestamp
	}{
		{"the zero time", time.Time{}, 0},
		{"before 1970", time.UnixMilli(-1), 0},
		{"1970", time.UnixMilli(0), 0},
		{"a millisecond later", time.UnixMilli(1), 1 << 16},
		{"the last millisecond", last, fieldwise.MaxTimestamp - 65535},
		{"after the last", last.Add(time.Millisecond), fieldwise.MaxTimestamp - 65535},
		{"far after", time.Date(200_000, 1, 1, 0, 0, 0, 0, time.UTC), fieldwise.MaxTimestamp - 65535},
	}
	for _, c := range cases {
		assert.Equal(t, c.want, fieldwise.NewTimestamp(c.time), c.name)
	}
}

func TestTimestampFollowsTime(t *testing.T) {
	millis := rapid.Int64Range(-1000, 1<<48+1000)
	randtest.Check(t, 100, 1000, func(t *rapid.T) {
		a, b := millis.Draw(t, "a"), millis.Draw(t, "b")
		ta, tb := fieldwise.NewTimestamp(time.UnixMilli(a)), fieldwise.NewTimestamp(time.UnixMilli(b))
		if a <= b && ta > tb {
			t.Fatalf("%d ms is %d, %d ms is %d", a, ta, b, tb)
		}
		if 0 <= a && a < 1<<48 && ta.Time().UnixMilli() != a {
			t.Fatalf("%d ms became %v", a, ta.Time())
		}
	})
}

func TestVersionNames(t *testing.T) {
	v := fieldwise.Version{Time: 1<<16 | 7, Origin: fieldwise.Origin{Region: "eu-west-1", Incarnation: 0xbeef}}
	assert.Equal(t, "1970-01-01T00:00:00.001Z+7@eu-west-1#beef", v.String())
	receipt := fieldwise.Receipt{Origin: v.Origin, Seq: 42, Time: v.Time}
	assert.Equal(t, "1970-01-01T00:00:00.001Z+7@eu-west-1#beef/42", receipt.String())
	assert.Equal(t, v, receipt.Version())
}

func TestZeroValuesSayThatTheyAreZero(t *testing.T) {
	origin := fieldwise.Origin{Region: "a"}
	assert.True(t, fieldwise.Version{}.IsZero())
	assert.False(t, fieldwise.Version{Time: 1}.IsZero())
	assert.False(t, fieldwise.Version{Origin: origin}.IsZero())
	assert.True(t, fieldwise.Origin{}.IsZero())
	assert.False(t, origin.IsZero())
	assert.False(t, fieldwise.Origin{Incarnation: 1}.IsZero())
	assert.True(t, fieldwise.Receipt{}.IsZero())
	assert.False(t, fieldwise.Receipt{Origin: origin}.IsZero())
	assert.False(t, fieldwise.Receipt{Seq: 1}.IsZero())
	assert.False(t, fieldwise.Receipt{Time: 1}.IsZero())
}
