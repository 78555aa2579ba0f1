package fieldwise

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Vector is a version vector: per origin, the highest Seq that a replica has applied
// with no gap below it. It says what a replica has, not which value is newer. A nil
// Vector has nothing and can be read; like any map it is not safe for concurrent use.
type Vector map[Origin]Seq

// Covers reports whether v has everything that w has.
func (v Vector) Covers(w Vector) bool {
	for o, seq := range w {
		if v[o] < seq {
			return false
		}
	}
	return true
}

// Clone returns a copy, which is never nil.
func (v Vector) Clone() Vector {
	c := make(Vector, len(v))
	maps.Copy(c, v)
	return c
}

// String lists the origins in order, such as "eu-west-1#1f:3 us-east-1#2e:7".
func (v Vector) String() string {
	parts := make([]string, 0, len(v))
	for _, o := range slices.SortedFunc(maps.Keys(v), Origin.Compare) {
		parts = append(parts, fmt.Sprintf("%s:%d", o, v[o]))
	}
	return strings.Join(parts, " ")
}
