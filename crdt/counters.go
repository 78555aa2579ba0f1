package crdt

import (
	"context"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
)

// Counters is the typed face of a domain whose records are one counter each, which goes up
// and down: what regions count without knowledge of each other adds up. It is safe for
// concurrent use.
//
// Get gives [fieldwise.ErrNotFound] where nothing was counted since the last Reset, and else
// the count, which may be 0. A count beyond the ends of int64 reads as the end.
type Counters struct{ counters[int64] }

// OpenCounters opens a domain of counters under [CounterMerger].
func OpenCounters(host fieldwise.Host, name string) (*Counters, error) {
	d, err := openCounters(host, name, total.int64)
	if err != nil {
		return nil, err
	}
	return &Counters{d}, nil
}

// Dec takes n away. With an n of 0 nothing is written and the receipt is zero.
func (c *Counters) Dec(ctx context.Context, key string, n uint64) (fieldwise.Receipt, error) {
	return c.count(ctx, "decrement", key, lattice.OpDec, n)
}

// GCounters is [Counters] without a way down but Reset. The records are the same, so a domain
// can change its face. A count below 0, which only Counters can bring about, reads as 0, and
// one beyond uint64 as the largest uint64.
type GCounters struct{ counters[uint64] }

// OpenGCounters opens a domain of counters that only grow under [CounterMerger].
func OpenGCounters(host fieldwise.Host, name string) (*GCounters, error) {
	d, err := openCounters(host, name, total.uint64)
	if err != nil {
		return nil, err
	}
	return &GCounters{d}, nil
}

// counters is what both faces share.
type counters[N int64 | uint64] struct{ domain[N] }

func openCounters[N int64 | uint64](host fieldwise.Host, name string, narrow func(total) N) (counters[N], error) {
	d, err := openMechanism(host, name, lattice.KindCounter, CounterMerger{}, func(val []byte) (N, error) {
		sum, err := readTotal("counter", val)
		return narrow(sum), err
	})
	return counters[N]{d}, err
}

// Inc adds n. With an n of 0 nothing is written and the receipt is zero. One region counts up
// to 2^64-1 in each direction; more is an error.
func (c *counters[N]) Inc(ctx context.Context, key string, n uint64) (fieldwise.Receipt, error) {
	return c.count(ctx, "increment", key, lattice.OpInc, n)
}

// Reset takes back all that this region knows of; what others count meanwhile stays. It is
// not a decrement by what Get returns: two regions that reset at the same time leave nothing,
// and two that both take the count away take it away twice. Where nothing was counted, nothing
// is written and the receipt is zero.
func (c *counters[N]) Reset(ctx context.Context, key string) (fieldwise.Receipt, error) {
	return c.empty(ctx, "reset", key)
}

func (c *counters[N]) count(ctx context.Context, doing, key string, op lattice.Op, n uint64) (fieldwise.Receipt, error) {
	return c.write(ctx, doing, key, func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
		if n == 0 {
			return dst, nil
		}
		e := lattice.Edit{Intents: []lattice.Intent{{Op: op, Amount: n}}}
		return lattice.WriteState(dst, lattice.KindCounter, state, e, at)
	})
}
