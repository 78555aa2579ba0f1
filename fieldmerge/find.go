package fieldmerge

import (
	"fmt"
	"slices"
	"strings"
)

// target is what a path leads to in a plan.
type target struct {
	node   node
	member *member // of the group that node is; nil for the group itself
	prefix string  // path of the map entry that the node is in
}

// find follows a path. The error names what there is instead.
func (p *plan) find(path string) (target, error) {
	segments, err := SplitPath(path)
	if err != nil {
		return target{}, err
	}
	t := target{node: p.root}
	for i, segment := range segments {
		switch n := t.node.(type) {
		case *structNode:
			c, ok := n.byName[segment]
			if !ok {
				if t.node = n.groupAt(segment); t.node == nil {
					return target{}, fmt.Errorf("%w: %s has no field %q; it has %s", ErrPath, n.goName, segment, n.names())
				}
				continue
			}
			t.node, t.member = c.node, c.member
		case *mapNode:
			t.node, t.prefix = n.elem, JoinPath(segments[:i+1]...)
		default:
			return target{}, fmt.Errorf("%w: %q is one value, and has no field %q", ErrPath, JoinPath(segments[:i]...), segment)
		}
	}
	return t, nil
}

// groupAt returns the group with a name; nil if there is none.
func (n *structNode) groupAt(name string) node {
	for _, c := range n.children {
		if g, ok := c.node.(*group); ok && g.goName == n.goName+"."+name {
			return g
		}
	}
	return nil
}

func (n *structNode) names() string {
	var all []string
	for name := range n.byName {
		all = append(all, fmt.Sprintf("%q", name))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// leafAt returns the field at a path that is one value; nil if there is none.
func (p *plan) leafAt(path string) *leaf {
	t, err := p.find(path)
	if err != nil {
		return nil
	}
	if t.member != nil {
		return &t.member.leaf
	}
	l, _ := t.node.(*leaf)
	return l
}

// goName is the name of the Go field whose value, marker or group is stored at a path.
func (p *plan) goName(path string) (name string, ok bool) {
	t, err := p.find(path)
	if err != nil {
		return "", false
	}
	if t.member != nil {
		return t.member.goName, true
	}
	return t.node.at().goName, true
}
