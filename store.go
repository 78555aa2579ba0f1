package fieldwise

import (
	"context"
	"iter"
)

// Store holds the states of one domain. It is one half of the seam between
// strategies and the log: typed faces are written against Store, and anything that
// keeps bytes by key can stand in for the log in a test. *replog.Domain is one. A
// Store is safe for concurrent use.
type Store interface {
	// Read calls use with the committed state of key, which is empty when nothing is
	// known of the key. The state is only valid until use returns and must not be
	// changed. An error of use is returned as it is.
	Read(ctx context.Context, key string, use func(state []byte) error) error

	// Write calls change with the newest state of key and with the version of the
	// write, joins the delta that change appends to dst, and returns when the change
	// is durable. Writes to one key happen one at a time. The arguments are only
	// valid until change returns, and state must not be changed; change may be called
	// again, must have no effect but its result, and must not write to the Store, which
	// is ErrNested where the Store can tell.
	//
	// A delta without bytes writes nothing: the Receipt is then zero. An error of
	// change is returned as it is and nothing is written. In both cases Write returns
	// only when the state that change was shown is durable.
	Write(ctx context.Context, key string, change func(dst, state []byte, at Version) (delta []byte, err error)) (Receipt, error)

	// Keys yields the keys that start with prefix and whose records are live, in
	// byte order. A record that comes or goes meanwhile may or may not be among them.
	// An error ends the sequence.
	Keys(ctx context.Context, prefix string) iter.Seq2[string, error]
}

// Noter is the optional power of a [Store] to tell what notes its writes carried.
type Noter interface {
	// Note returns the note of the write that made version v, such as who made it and
	// why; empty where it carried none, or where the store does not have the write.
	Note(ctx context.Context, v Version) (string, error)
}

// Host opens domains: the other half of the seam. *replog.Replica is one.
type Host interface {
	// Domain opens the domain under the merger, or returns the open one. A domain
	// that is held under a merger of another Name gives ErrMergerMismatch. A domain
	// that is open keeps the merger it was opened with, and so the policy of its
	// reports and of Keys: to change a policy, open the host again.
	Domain(name string, m Merger) (Store, error)
}
