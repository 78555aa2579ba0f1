package fieldmerge

import (
	"bytes"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldwise/fieldwise/internal/wire"
)

// groupEntry is one member of a group's value: its encoded name and its value.
type groupEntry struct{ name, val []byte }

// entriesOf takes a group's value apart; anything but a map has no entries.
func entriesOf(val []byte) (all []groupEntry) {
	if len(val) == 0 || wire.KindOf(val) != wire.KindMap {
		return nil
	}
	n, rest, err := wire.MapHeader(val)
	for range n {
		var name, v int
		if err == nil {
			name, err = wire.Skip(rest)
		}
		if err == nil {
			v, err = wire.Skip(rest[name:])
		}
		if err != nil {
			return all
		}
		all = append(all, groupEntry{rest[:name], rest[name : name+v]})
		rest = rest[name+v:]
	}
	return all
}

func find(all []groupEntry, name []byte) (val []byte, ok bool) {
	for _, e := range all {
		if bytes.Equal(e.name, name) {
			return e.val, true
		}
	}
	return nil, false
}

// write is the value of the group that a write changes from before to after where stored
// is what is there: it is after as a whole, but for the bytes of members that are read as
// after has them, or that cannot be read, and for members that this release does not know.
func (g *group) write(stored, before, after []byte) []byte {
	old, was, will := entriesOf(stored), entriesOf(before), entriesOf(after)
	all := slices.Clone(will)
	for i, e := range all {
		if prior, ok := find(was, e.name); ok && bytes.Equal(prior, e.val) {
			if kept, ok := find(old, e.name); ok && g.keeps(e.name, kept, e.val) {
				all[i].val = kept
			}
		}
	}
	for _, e := range old {
		_, known := find(was, e.name)
		if _, set := find(will, e.name); !set && !known && g.keeps(e.name, e.val, nil) {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(x, y groupEntry) int { return bytes.Compare(x.name, y.name) })
	b := wire.AppendMapHeader(nil, len(all))
	for _, e := range all {
		b = append(append(b, e.name...), e.val...)
	}
	return b
}

// keeps reports whether what is stored of a member stays where val is written, nil for
// nothing: it does where it is read as just that, or not at all.
func (g *group) keeps(name, stored, val []byte) bool {
	for _, m := range g.members {
		if !bytes.Equal(name, wire.AppendString(nil, m.name)) {
			continue
		}
		if m.pointer && wire.KindOf(stored) == wire.KindNil {
			return val == nil
		}
		v := reflect.New(m.typ).Elem()
		if err := m.codec.Decode(stored, v); err != nil {
			return true
		}
		read, err := m.codec.Append(nil, v)
		return err != nil || val != nil && bytes.Equal(read, val)
	}
	return true
}

// others yields the names that a group's value has and the group has not. No group has none.
func (g *group) others(val []byte) func(yield func(name string) bool) {
	return func(yield func(name string) bool) {
		if g == nil {
			return
		}
		for _, e := range entriesOf(val) {
			name, _, err := wire.String(e.name)
			known := slices.ContainsFunc(g.members, func(m *member) bool { return m.name == string(name) })
			if err == nil && !known && !yield(string(name)) {
				return
			}
		}
	}
}

// gather makes the group's value of what a token has of its members' own registers, from a
// release in which they were no group; of values too large for the token it makes nothing.
func (g *group) gather(t *Token, prefix string) cell {
	b, n := []byte(nil), 0
	for _, m := range g.members {
		c, ok := t.values[m.path(prefix)]
		switch {
		case c.hash != nil:
			return cell{}
		case !ok:
			c.val = m.zero
		}
		if c.val != nil {
			b = append(wire.AppendString(b, m.name), c.val...)
			n++
		}
	}
	return cell{val: append(wire.AppendMapHeader(nil, n), b...)}
}

func (g *group) names() string {
	var all []string
	for _, m := range g.members {
		all = append(all, strconv.Quote(m.name))
	}
	return strings.Join(all, ", ")
}
