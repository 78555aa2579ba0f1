package crdt

import (
	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/value"
)

// Policy says what a reader sees of several siblings. Resolution happens when
// someone reads and changes nothing that is stored or shipped, so any deterministic
// function converges: replicas that hold the same siblings show the same value.
// A Policy is used from several goroutines at once.
type Policy interface {
	// Name is shown in conflict reports.
	Name() string

	// Resolve returns what a reader sees: one of the siblings, or one without a Version
	// whose Value was computed from them and is canonical msgpack (nil: nothing). It is
	// called where there are at least two different values. The siblings are sorted by
	// version, oldest first, and must not be changed or kept; the result may share
	// memory with them and depends on them alone. An error or a panic shows the sibling
	// with the highest version instead, and is reported.
	Resolve(siblings []fieldwise.Sibling) (fieldwise.Sibling, error)
}

// Reasoner is the optional power of a [Policy] to say why it shows one sibling and not
// another, in a few words for conflict reports: "newer by 2s".
type Reasoner interface {
	Reason(winner, loser fieldwise.Sibling) string
}

// DecodeValue decodes the value of a [fieldwise.Sibling], as policies and conflict
// reports have it, into what the pointer into points to; an *any receives nil, bool,
// int64 (uint64 above its range), float64, string, []byte, time.Time, []any or
// map[string]any. A nil value, which says that the field was unset or deleted, leaves
// *into as it is and returns false.
func DecodeValue(val []byte, into any) (present bool, err error) {
	if val == nil {
		return false, nil
	}
	return true, value.Decode(val, into)
}
