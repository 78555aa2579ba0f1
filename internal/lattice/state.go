package lattice

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// body is the form of what stands behind the table of a state, or in a field.
type body uint8

const (
	items  body = iota // a register
	counts             // a counter
	dots               // a set, a list or a flag
	fields             // fields to the end
	seen               // the context of a tombstone
)

func (k body) renumber(dst, b []byte, to renumbering) ([]byte, bool) {
	switch k {
	case items:
		return renumberItems(dst, b, to)
	case counts:
		return renumberCounts(dst, b, to)
	case dots:
		return renumberDots(dst, b, to)
	case fields:
		return renumberFields(dst, b, to)
	}
	return renumberSeen(dst, b, to)
}

func (k body) check(b []byte, origins int, used *usage) error {
	switch k {
	case items:
		return checkItems(b, origins, used)
	case counts:
		return checkCounts(b, origins, used)
	case dots:
		return checkDots(b, origins, used)
	case fields:
		return checkFields(b, origins, used)
	}
	return checkSeen(b, origins, used)
}

func (k body) join(dst, a, b []byte) ([]byte, error) {
	switch k {
	case items:
		return joinItems(dst, a, b)
	case counts:
		return joinCounts(dst, a, b)
	case dots:
		return joinDots(dst, a, b)
	case fields:
		return joinFields(dst, a, b)
	}
	return joinSeen(dst, a, b)
}

// times calls yield with the highest timestamps, one or several an origin, that a field's
// body holds until yield returns false. It returns false then, too, and where the body ends early.
func (k body) times(b []byte, yield func(index int, t fieldwise.Timestamp) bool) bool {
	switch k {
	case items:
		return itemTimes(b, yield)
	case counts:
		return countTimes(b, yield)
	case dots:
		return dotTimes(b, yield)
	}
	return false
}

// check verifies a state that came from outside, and says whether the name of a field in it
// holds an escape.
func check(state []byte, kind body) (escapes bool, err error) {
	content, b, err := wire.Bin(state)
	if err != nil {
		return false, malformed("origin table: " + err.Error())
	}
	origins, err := Table(content).Check()
	if err != nil {
		return false, err
	}
	used := newUsage(origins)
	if err := kind.check(b, origins, &used); err != nil {
		return false, err
	}
	if !used.all(origins) {
		return false, malformed("origin table names an origin that nothing uses")
	}
	return used.escapes, nil
}

func join(dst, a, b []byte, kind body) ([]byte, error) {
	ta, bodyA, oka := Cut(a)
	tb, bodyB, okb := Cut(b)
	if !oka || !okb {
		return nil, malformed("origin table")
	}
	dst, bodyA, bodyB, err := uniteBodies(dst, kind, ta, bodyA, tb, bodyB)
	if err != nil {
		return nil, err
	}
	return kind.join(dst, slices.Clip(bodyA), slices.Clip(bodyB))
}

// Cut returns the table that a state opens with and the body behind it.
func Cut(state []byte) (t Table, b []byte, ok bool) {
	content, b, ok := Bin(state)
	return Table(content), b, ok
}

// CheckFields verifies table and fields that came from outside.
func CheckFields(state []byte) error {
	_, err := check(state, fields)
	return err
}

// CheckPaths is CheckFields where names are paths: those that hold an escape are given to
// path, which says whether it is in its place.
func CheckPaths(state []byte, path func(name []byte) error) error {
	escapes, err := check(state, fields)
	if err != nil || !escapes {
		return err
	}
	_, rest, _ := Cut(state)
	for len(rest) > 0 {
		f, after, _ := CutField(rest)
		if bytes.IndexByte(f.Name, '\\') >= 0 {
			if err := path(f.Name); err != nil {
				return fmt.Errorf("%w: %w", fieldwise.ErrMalformed, err)
			}
		}
		rest = after
	}
	return nil
}

// CheckSeen verifies table and context of a tombstone that came from outside.
func CheckSeen(state []byte) error {
	_, err := check(state, seen)
	return err
}

// JoinFields appends the join of two sequences of fields, each behind its table.
func JoinFields(dst, a, b []byte) ([]byte, error) { return join(dst, a, b, fields) }

// JoinSeen appends the join of two tombstone contexts, each behind its table.
func JoinSeen(dst, a, b []byte) ([]byte, error) { return join(dst, a, b, seen) }
