package lattice

import (
	"bytes"

	"github.com/fieldwise/fieldwise"
)

// MaxElements bounds the elements of a set or a list where a write is made. States that meet
// may have more together: a join never fails.
const MaxElements = 1_000_000

// The functions below are of states that are one body behind a table: a record that is one
// field, and has no name. Where a state is read or written, the empty one is a record of which
// nothing is known.

// CheckState verifies a state of kind k that came from outside.
func CheckState(k Kind, state []byte) error {
	form, ok := k.body()
	if !ok {
		return unsupported(k)
	}
	_, err := check(state, form)
	return err
}

// JoinStates appends the join of two states of kind k, which have passed CheckState.
func JoinStates(dst []byte, k Kind, a, b []byte) ([]byte, error) {
	form, ok := k.body()
	if !ok {
		return nil, unsupported(k)
	}
	return join(dst, a, b, form)
}

// ReadState lists the current values of a state of kind k, as [Read] does.
func ReadState(dst []fieldwise.Sibling, k Kind, state []byte) ([]fieldwise.Sibling, error) {
	t, b, err := cutState(state)
	if err != nil {
		return nil, err
	}
	return Read(dst, k, t, b)
}

// WriteState appends the delta of a write at version at to a state of kind k; nothing where
// there is nothing to do. A register is given the value of e.To, nil to make it absent; on
// other kinds the write does what AppendEdit says.
func WriteState(dst []byte, k Kind, state []byte, e Edit, at fieldwise.Version) ([]byte, error) {
	form, ok := k.body()
	if !ok {
		return nil, unsupported(k)
	}
	t, b, err := cutState(state)
	if err != nil {
		return nil, err
	}
	d, err := NewDelta(t, at)
	if err != nil {
		return nil, err
	}
	if form == items {
		if e.To == nil {
			e.To = []byte{Absent}
		}
		b, err = d.AppendWrite(nil, b, e.To)
	} else {
		b, err = d.AppendEdit(nil, k, t, b, e)
	}
	switch {
	case err != nil:
		return nil, err
	case len(b) == 0:
		return dst, nil
	}
	return d.finish(dst, form, b), nil
}

// Live reports whether anything is there in a state of kind k: a value, a count since the
// last reset, an element, or a flag that is on or off. A set or a list without elements is not
// there, whether it was unset or emptied. Live allocates nothing that grows with the state.
func Live(k Kind, state []byte) bool {
	_, b, err := cutState(state)
	form, ok := k.body()
	if err != nil || !ok {
		return false
	}
	switch {
	case form == items:
		for len(b) > 0 {
			it, rest, ok := CutItem(b)
			if !ok {
				return false
			}
			if !it.Superseded && !it.IsAbsent() {
				return true
			}
			b = rest
		}
		return false
	case form == counts:
		val, _, err := Total(nil, b)
		return err == nil && val != nil
	case k == KindFlag:
		return Present(b)
	}
	found := false
	err = eachValue(b, func([]byte) bool {
		found = true
		return false
	})
	return err == nil && found
}

// FindElements returns those of the encoded values that a set's state has, and how many
// elements a set or a list has in all. The values are sorted by their bytes, each once.
func FindElements(state []byte, values [][]byte) (found [][]byte, n int, err error) {
	_, b, err := cutState(state)
	if err != nil {
		return nil, 0, err
	}
	err = eachValue(b, func(v []byte) bool {
		n++
		for len(values) > 0 && bytes.Compare(values[0], v) < 0 {
			values = values[1:]
		}
		if len(values) > 0 && bytes.Equal(values[0], v) {
			found, values = append(found, values[0]), values[1:]
		}
		return true
	})
	return found, n, err
}

// eachValue yields the values of the elements of a body, which may be empty, in the order of
// their bytes until yield returns false, without the mark that the set exists.
func eachValue(b []byte, yield func(value []byte) bool) error {
	if len(b) == 0 {
		return nil
	}
	_, b, ok := Bin(b)
	if !ok {
		return malformed("context ends early")
	}
	for len(b) > 0 {
		k, dots, ok := cutKey(b)
		if !ok {
			return malformed("element ends early")
		}
		if k.value[0] != Absent && !yield(k.value) {
			return nil
		}
		if b, ok = skipDots(dots); !ok {
			return malformed("element ends inside a dot")
		}
	}
	return nil
}

func cutState(state []byte) (t Table, b []byte, err error) {
	if len(state) == 0 {
		return nil, nil, nil
	}
	t, b, ok := Cut(state)
	if !ok {
		return nil, nil, malformed("origin table")
	}
	return t, b, nil
}
