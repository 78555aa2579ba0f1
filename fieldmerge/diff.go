package fieldmerge

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/fieldwise/fieldwise/internal/value"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Limits of what a write may make of a record. They are checked where the write is
// made, never where states meet.
const (
	MaxPathLen = 1 << 10 // bytes of a field's path
	MaxFields  = 4096    // fields of a record, those that were unset included
	MaxDepth   = 16      // maps within each other; and lists and maps within one value
)

// leaves are the fields of a JSON-shaped record: encoded values by path, with the
// empty map at the path of each map.
type leaves map[string][]byte

// flattener takes JSON-shaped records apart.
type flattener struct {
	rules *rules
	was   leaves // as the record was before, of which lists keep their keys
	to    leaves
}

// flatten takes a JSON-shaped record apart, which was made from another one. nil has no fields.
func (r *rules) flatten(doc map[string]any, was leaves) (leaves, error) {
	l := &flattener{r, was, make(leaves, len(doc))}
	return l.to, l.addEntries(nil, doc, 1)
}

// cells are the leaves as a token has them.
func (l leaves) cells() map[string]cell {
	all := make(map[string]cell, len(l))
	for path, val := range l {
		all[path] = cell{val: val}
	}
	return all
}

// add takes the value at path apart; depth counts the maps around it.
func (l *flattener) add(path []byte, v any, depth int) error {
	if len(path) > MaxPathLen {
		return pathTooLong(string(path))
	}
	if m, ok := v.(map[string]any); ok {
		l.to[string(path)] = emptyMap
		return l.addEntries(append(path, '.'), m, depth+1)
	}
	val, err := encode(v)
	if err != nil {
		return &FieldError{Field: string(path), Err: err}
	}
	if l.rules.mixed && wire.KindOf(val) == wire.KindArray {
		if key, err := l.rules.keyOf(string(path), val, l.was[string(path)]); err != nil {
			return &FieldError{Field: string(path), Err: err}
		} else if key != "" {
			return l.addList(path, val, key, depth)
		}
	}
	l.to[string(path)] = val
	return nil
}

// encode is a value in its canonical form; the error says what of the value cannot be
// stored, and not what was being done.
func encode(v any) ([]byte, error) {
	val, err := value.Append(nil, v)
	return val, errors.Unwrap(err)
}

func (l *flattener) addEntries(prefix []byte, m map[string]any, depth int) error {
	if depth > MaxDepth {
		return tooDeep(strings.TrimSuffix(string(prefix), "."), depth)
	}
	for key, v := range m {
		if !utf8.ValidString(key) {
			return fmt.Errorf("%w: %q is not UTF-8, as paths and with them the keys of maps are", ErrPath, string(prefix)+key)
		}
		if err := l.add(appendSegment(prefix[:len(prefix):len(prefix)], key), v, depth); err != nil {
			return err
		}
	}
	return nil
}

// diff is what turns from into to.
func diff(from, to leaves) changes {
	c := make(changes)
	for path, val := range to {
		if old, ok := from[path]; !ok || !bytes.Equal(old, val) {
			c[path] = val
		}
	}
	for path := range from {
		if _, ok := to[path]; !ok {
			c[path] = nil
		}
	}
	return c
}
