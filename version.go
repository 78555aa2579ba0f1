package fieldwise

import (
	"cmp"
	"fmt"
	"time"
)

const (
	counterBits = 16
	counterMask = 1<<counterBits - 1

	// MaxTimestamp is the last moment that a Timestamp can express, in the year 10889.
	MaxTimestamp Timestamp = 1<<64 - 1
)

// Timestamp is a reading of a hybrid logical clock: 48 bits of Unix milliseconds
// above 16 bits of counter. Timestamps compare as integers. A counter that
// overflows carries into the milliseconds. Zero is before every reading.
//
// Source: Kulkarni, Demirbas, Madappa, Avva and Leone, "Logical Physical Clocks and
// Consistent Snapshots in Globally Distributed Databases" (2014).
type Timestamp uint64

// NewTimestamp is the first timestamp of t's millisecond. Times before 1970 become
// zero; times that need more than 48 bits of milliseconds become the last
// millisecond that fits.
func NewTimestamp(t time.Time) Timestamp {
	ms := t.UnixMilli()
	switch {
	case ms < 0:
		return 0
	case ms > int64(MaxTimestamp>>counterBits):
		return MaxTimestamp &^ counterMask
	}
	return Timestamp(ms) << counterBits
}

// Time is the wall-clock part, in UTC and whole milliseconds.
func (t Timestamp) Time() time.Time { return time.UnixMilli(int64(t >> counterBits)).UTC() }

// Counter is the logical part.
func (t Timestamp) Counter() uint16 { return uint16(t & counterMask) }

// String is the time in RFC 3339 with milliseconds, '+' and the counter. [ParseTimestamp]
// reads it.
func (t Timestamp) String() string {
	return fmt.Sprintf("%s+%d", t.Time().Format(timestampLayout), t.Counter())
}

const timestampLayout = "2006-01-02T15:04:05.000Z07:00"

// Version names one write and orders it among all others: by timestamp, then by
// the bytes of the region, then by incarnation. Two different writes never have
// equal versions unless an identity was reused, which [Merger] still survives.
type Version struct {
	Time   Timestamp
	Origin Origin
}

// IsZero reports whether v is the zero Version, which is before every other.
func (v Version) IsZero() bool { return v == Version{} }

// Compare is negative, zero or positive as v is before, equal to or after w. This
// is the one tie-break of the library: timestamp, region bytes, incarnation.
func (v Version) Compare(w Version) int {
	if c := cmp.Compare(v.Time, w.Time); c != 0 {
		return c
	}
	return v.Origin.Compare(w.Origin)
}

// String is the timestamp, '@' and the origin. [ParseVersion] reads it.
func (v Version) String() string { return v.Time.String() + "@" + v.Origin.String() }

// Seq numbers the entries of one origin from 1 without a gap. It says which entries
// a replica has and says nothing about which value is newer. Zero means none.
type Seq uint64

// Receipt names one write: what to wait for, in this region or in another. Seq says
// where its entry stands among those of its origin, and Time tells it from another
// entry that was given the same number after this one failed to become durable. The
// zero Receipt means that nothing needed to be written.
type Receipt struct {
	Origin Origin
	Seq    Seq
	Time   Timestamp
}

// IsZero reports whether nothing was written.
func (r Receipt) IsZero() bool { return r == Receipt{} }

// Version is the version that the write carries.
func (r Receipt) Version() Version { return Version{Time: r.Time, Origin: r.Origin} }

// String is the version, '/' and the sequence number; empty for the zero Receipt.
// [ParseReceipt] reads it.
func (r Receipt) String() string {
	if r.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s/%d", r.Version(), r.Seq)
}
