package crdt

import (
	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/value"
)

// Policy says which of several siblings a reader sees. Resolution happens when
// someone reads and changes nothing that is stored or shipped, so any deterministic
// function converges: replicas that hold the same siblings show the same one.
// A Policy is used from several goroutines at once.
type Policy interface {
	// Name is shown in conflict reports.
	Name() string

	// Choose returns the index of the sibling to show. There is at least one; they
	// are sorted by version, oldest first, and must not be changed or kept. The
	// result depends on them alone.
	Choose(siblings []fieldwise.Sibling) int
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
