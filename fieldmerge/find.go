package fieldmerge

import (
	"fmt"
	"slices"
	"strings"
)

// target is what a path leads to in a plan.
type target struct {
	node    node
	member  *member  // of the group that node is; nil for the group itself
	prefix  string   // path of the map entry that the node is in
	pattern []string // the path, with "*" for the keys of maps, as far as it leads somewhere
}

// find follows a path. The error names what there is instead, and comes with how far the
// path leads.
func (p *plan) find(path string) (target, error) {
	segments, err := SplitPath(path)
	if err != nil {
		return target{}, err
	}
	t := target{node: p.root}
	for i, segment := range segments {
		switch n := t.node.(type) {
		case *structNode:
			t.pattern = append(t.pattern, segment)
			if c, ok := n.byName[segment]; ok {
				t.node, t.member = c.node, c.member
			} else if g := n.groupAt(segment); g != nil {
				t.node = g
			} else {
				return t, fmt.Errorf("%w: %s has no field %q; it has %s", ErrPath, n.goName, segment, n.names())
			}
		case *keyedNode:
			t.pattern = append(t.pattern, "*")
			t.node, t.prefix = n.elem, JoinPath(segments[:i+1]...)
		case *mapNode:
			t.pattern = append(t.pattern, "*")
			t.node, t.prefix = n.elem, JoinPath(segments[:i+1]...)
		default:
			return t, fmt.Errorf("%w: %q is one value, and has no field %q", ErrPath, JoinPath(segments[:i]...), segment)
		}
	}
	return t, nil
}

// showsFormer reports whether a reader sees what is stored in a former place.
func (t *target) showsFormer(rd *reading) bool {
	switch n := t.node.(type) {
	case *leaf:
		at, f := n.stored(rd, t.prefix)
		return at != &n.place && f.val != nil
	case *group:
		if rd.at(&n.place, t.prefix).written {
			return false
		}
		for _, m := range n.members {
			if rd.at(&m.leaf.place, t.prefix).val != nil {
				return true
			}
		}
	}
	return false
}

// inGroup reports whether the target is a member of a group; the group itself is no field.
func (t target) inGroup(path string) (bool, error) {
	if g, ok := t.node.(*group); ok && t.member == nil {
		return false, fmt.Errorf("%w: %q is the group of the fields %s; set or unset these by their own names", ErrPath, path, g.names())
	}
	return t.member != nil, nil
}

// groupAt returns the group with a name; nil if there is none.
func (n *structNode) groupAt(name string) *group {
	for _, c := range n.children {
		if g, ok := c.node.(*group); ok && g.goName == n.goName+"."+name {
			return g
		}
	}
	return nil
}

// groupAt returns the group whose value is stored at a path; nil if there is none.
func (p *plan) groupAt(path string) *group {
	t, err := p.find(path)
	if err != nil {
		return nil
	}
	g, _ := t.node.(*group)
	return g
}

func (n *structNode) names() string {
	var all []string
	for name := range n.byName {
		all = append(all, fmt.Sprintf("%q", name))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// leafAt returns the field at a path, its own or its former one, that is one value; nil if
// there is none.
func (p *plan) leafAt(path string) *leaf {
	t, err := p.find(path)
	if err != nil {
		return t.formerly(path)
	}
	if t.member != nil {
		return &t.member.leaf
	}
	l, _ := t.node.(*leaf)
	return l
}

// standing is what a schema knows of a path.
type standing struct {
	goName  string
	state   FieldState // FieldShown, FieldFormer or FieldUnknown
	now     string     // of a former place: where the field is stored now
	above   string     // of an unknown field below one that is one value: the path of that
	changed bool       // the field reads what was stored under its own name by other mechanisms
	group   *group     // whose register is at the path; nil if there is none
	pattern string     // the path with "*" for the keys of maps; of an unknown field no more than tells it
}

func (p *plan) standing(path string) standing {
	t, err := p.find(path)
	if t.node == nil { // it is no path
		return standing{state: FieldUnknown, pattern: path}
	}
	st := standing{goName: t.node.at().goName, state: FieldShown, pattern: JoinPath(t.pattern...)}
	switch {
	case err != nil:
		st.goName, st.state = "", FieldUnknown
		if l := t.formerly(path); l != nil {
			st.goName, st.state, st.now = l.goName, FieldFormer, l.path(t.prefix)
		}
		if _, ok := t.node.(*structNode); !ok {
			st.above = t.node.at().path(t.prefix)
		}
	case t.member != nil:
		st.goName, st.state, st.now = t.member.goName, FieldFormer, t.node.at().path(t.prefix)
	default:
		st.group, _ = t.node.(*group)
		if l, ok := t.node.(*leaf); ok && len(l.formers) > 0 {
			st.changed = l.formers[0].rel == l.rel
		}
	}
	return st
}

// formerly returns the field that was at the path, which leads no further than the target,
// before it had its own; nil if there is none.
func (t target) formerly(path string) *leaf {
	n, ok := t.node.(*structNode)
	if !ok {
		return nil
	}
	for _, c := range n.children {
		if l, ok := c.node.(*leaf); ok && len(l.formers) > 0 && l.formers[0].path(t.prefix) == path {
			return l
		}
	}
	return nil
}
