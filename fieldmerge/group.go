package fieldmerge

import (
	"bytes"
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

// writeGroup is the value of a group that a write changes from before to after where
// stored is what is there: members that the write does not change stay as they are
// stored, and so do those that this release does not know.
func writeGroup(stored, before, after []byte) []byte {
	old, was, will := entriesOf(stored), entriesOf(before), entriesOf(after)
	all := slices.Clone(will)
	for i, e := range all {
		if prior, ok := find(was, e.name); ok && bytes.Equal(prior, e.val) {
			if kept, ok := find(old, e.name); ok {
				all[i].val = kept
			}
		}
	}
	for _, e := range old {
		_, known := find(was, e.name)
		if _, set := find(will, e.name); !set && !known {
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

func (g *group) names() string {
	var all []string
	for _, m := range g.members {
		all = append(all, strconv.Quote(m.name))
	}
	return strings.Join(all, ", ")
}
