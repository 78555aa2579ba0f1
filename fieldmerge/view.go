package fieldmerge

import (
	"fmt"
	"strings"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/value"
)

// emptyMap is the value of a map's marker: the register at the path of a map says that
// it exists, so that a map without entries survives.
var emptyMap = []byte{0x80}

func isMap(val []byte) bool { return len(val) == 1 && val[0] == emptyMap[0] }

// shown is what a reader sees of one field.
type shown struct {
	path    string
	sibling fieldwise.Sibling
	equal   []fieldwise.Version // of further siblings with the same value
}

// resolve lists what the policies show of each field, by path, and apart from it the
// fields that are unset.
func (s *Schema) resolve(r record) (all, unset []shown, err error) {
	t, fields, err := r.fields()
	if err != nil {
		return nil, nil, err
	}
	var siblings []fieldwise.Sibling
	for len(fields) > 0 {
		f, rest, ok := lattice.CutField(fields)
		if !ok {
			return nil, nil, fmt.Errorf("%w: field ends early", fieldwise.ErrMalformed)
		}
		fields = rest
		if f.Kind != lattice.KindRegister {
			continue
		}
		if siblings, err = lattice.Siblings(siblings[:0], t, f.Body); err != nil {
			return nil, nil, err
		}
		if len(siblings) == 0 {
			continue
		}
		path := string(f.Name)
		one := shown{path: path, sibling: siblings[0]}
		if len(siblings) > 1 {
			one.sibling, _ = lattice.Show(s.policy(path), siblings)
		}
		for _, s := range siblings {
			if s.Version != one.sibling.Version && lattice.SameValue(s, one.sibling) {
				one.equal = append(one.equal, s.Version)
			}
		}
		if one.sibling.Value != nil {
			all = append(all, one)
		} else {
			unset = append(unset, one)
		}
	}
	return all, unset, nil
}

// node is a value in the tree that a record's paths span.
type node struct {
	own      *shown // the value at the node's own path; nil if there is none
	children map[string]*node
	newest   fieldwise.Version // of the values below
}

// tree hangs what is shown of each field up at its path.
func tree(all []shown) (*node, error) {
	root := &node{}
	for i := range all {
		f := &all[i]
		segments, err := SplitPath(f.path)
		if err != nil {
			return nil, err
		}
		n := root
		for _, segment := range segments {
			if f.sibling.Version.Compare(n.newest) > 0 {
				n.newest = f.sibling.Version
			}
			child := n.children[segment]
			if child == nil {
				if n.children == nil {
					n.children = make(map[string]*node)
				}
				child = &node{}
				n.children[segment] = child
			}
			n = child
		}
		n.own = f
	}
	return root, nil
}

// find returns the node at a path below n, nil if nothing is there or below it.
func (n *node) find(path string) (*node, error) {
	segments, err := SplitPath(path)
	for _, segment := range segments {
		if n = n.children[segment]; n == nil {
			break
		}
	}
	return n, err
}

// value reports whether n shows its own value rather than a map. Where a value and
// something below it are both present, the side with the greater version shows.
func (n *node) value() bool {
	return n.own != nil && !isMap(n.own.sibling.Value) &&
		(len(n.children) == 0 || n.own.sibling.Version.Compare(n.newest) > 0)
}

// document is the tree as ordinary Go values.
func (n *node) document() (map[string]any, error) {
	doc := make(map[string]any, len(n.children))
	for segment, child := range n.children {
		var err error
		if child.value() {
			doc[segment], err = value.Any(child.own.sibling.Value)
		} else {
			doc[segment], err = child.document()
		}
		if err != nil {
			return nil, err
		}
	}
	return doc, nil
}

// addTo adds what of the tree a reader sees to l, by path.
func (n *node) addTo(l leaves, prefix []byte) {
	for segment, child := range n.children {
		path := appendSegment(prefix[:len(prefix):len(prefix)], segment)
		if child.value() {
			l[string(path)] = child.own.sibling.Value
			continue
		}
		l[string(path)] = emptyMap
		child.addTo(l, append(path, '.'))
	}
}

// hidden calls report for each value that the shape hides, with the newest version of
// the side that shows.
func (n *node) hidden(report func(loser *shown, winner fieldwise.Version)) {
	for _, child := range n.children {
		switch {
		case child.value():
			child.below(func(f *shown) { report(f, child.own.sibling.Version) })
		case child.own != nil && !isMap(child.own.sibling.Value):
			report(child.own, child.newest)
			fallthrough
		default:
			child.hidden(report)
		}
	}
}

func (n *node) below(each func(*shown)) {
	for _, child := range n.children {
		if child.own != nil {
			each(child.own)
		}
		child.below(each)
	}
}

// document is the record as readers see it.
func (s *Schema) document(r record) (map[string]any, error) {
	all, _, err := s.resolve(r)
	if err != nil {
		return nil, err
	}
	root, err := tree(all)
	if err != nil {
		return nil, err
	}
	return root.document()
}

// isBelow reports whether path lies below parent.
func isBelow(path, parent string) bool {
	return len(path) > len(parent) && path[len(parent)] == '.' && strings.HasPrefix(path, parent)
}
