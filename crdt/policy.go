package crdt

import "github.com/fieldwise/fieldwise"

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
