package lattice

import (
	"bytes"
	"slices"

	"github.com/fieldwise/fieldwise"
)

// AppendConflicts appends what joining two registers hides: each sibling of the join
// that the policy does not show and that was not hidden in the first register
// already, and each value that lost to another under its own version. Of kinds that show
// one value for all, only those without a value can be hidden.
func AppendConflicts(dst []fieldwise.Conflict, field string, k Kind, policy Policy, ta Table, a []byte, tb Table, b []byte) ([]fieldwise.Conflict, error) {
	if replaces(ta, a, tb, b) {
		return dst, nil
	}
	before, err := Siblings(nil, ta, a)
	if err != nil {
		return nil, err
	}
	arrived, err := Siblings(nil, tb, b)
	if err != nil {
		return nil, err
	}
	for _, s := range arrived {
		i := slices.IndexFunc(before, func(x fieldwise.Sibling) bool { return x.Version == s.Version })
		if i < 0 || SameValue(before[i], s) {
			continue
		}
		winner, loser := before[i], s
		if bytes.Compare(encoded(winner), encoded(loser)) < 0 {
			winner, loser = loser, winner
		}
		dst = append(dst, conflict(fieldwise.ConflictStamp, field, "larger bytes", "", loser, winner))
	}
	joined, err := joinedSiblings(ta, a, tb, b)
	if err != nil || len(joined) < 2 {
		return dst, err
	}
	var was fieldwise.Sibling
	if len(before) > 0 {
		was, _ = Show(policy, before)
	}
	winner, failed := Show(policy, joined)
	for _, s := range joined {
		known := slices.ContainsFunc(before, func(x fieldwise.Sibling) bool { return x.Version == s.Version })
		if SameValue(s, winner) || known && !SameValue(s, was) || k != KindRegister && s.Value != nil {
			continue
		}
		kind, reason := fieldwise.ConflictUpdate, ""
		switch {
		case failed != nil:
			kind, reason = fieldwise.ConflictPolicy, failed.Error()
		case s.Created && winner.Created:
			kind, reason = fieldwise.ConflictCreate, Reason(policy, winner, s)
		default:
			reason = Reason(policy, winner, s)
		}
		dst = append(dst, conflict(kind, field, policy.Name(), reason, s, winner))
	}
	return dst, nil
}

// replaces reports whether b brings one value that knows of all that is current in a, as
// nearly every write does. No is an answer that is never wrong to act on.
func replaces(ta Table, a []byte, tb Table, b []byte) bool {
	current := 0
	for rest := b; len(rest) > 0; {
		it, after, ok := CutItem(rest)
		if !ok {
			return false
		}
		if !it.Superseded {
			current++
		}
		rest = after
	}
	if current > 1 {
		return false
	}
	for len(a) > 0 {
		it, rest, ok := CutItem(a)
		if !ok || !it.Superseded && !beaten(&it, ta.entry(it.Index), tb, b) {
			return false
		}
		a = rest
	}
	return true
}

// beaten reports whether a register has a later item of the origin than it, or the mark
// that it was superseded.
func beaten(it *Item, origin entry, t Table, register []byte) bool {
	for len(register) > 0 {
		other, rest, ok := CutItem(register)
		if !ok {
			return false
		}
		register = rest
		if other.Time < it.Time || other.Time == it.Time && !other.Superseded {
			continue
		}
		if bytes.Equal(t.entry(other.Index), origin) {
			return true
		}
	}
	return false
}

// joinedSiblings lists the siblings of the join of two registers, oldest first.
func joinedSiblings(ta Table, a []byte, tb Table, b []byte) ([]fieldwise.Sibling, error) {
	table, a, b, err := uniteBodies(nil, items, ta, a, tb, b)
	if err != nil {
		return nil, err
	}
	register, err := joinItems(nil, slices.Clip(a), slices.Clip(b))
	if err != nil {
		return nil, err
	}
	t, _, _ := Cut(table)
	return Siblings(nil, t, register)
}

func conflict(kind fieldwise.ConflictKind, field, policy, reason string, loser, winner fieldwise.Sibling) fieldwise.Conflict {
	loser.Value, winner.Value = bytes.Clone(loser.Value), bytes.Clone(winner.Value)
	return fieldwise.Conflict{Kind: kind, Field: field, Loser: loser, Winner: winner, Policy: policy, Reason: reason}
}

// encoded is the value as items carry it.
func encoded(s fieldwise.Sibling) []byte {
	if s.Value == nil {
		return []byte{Absent}
	}
	return s.Value
}
