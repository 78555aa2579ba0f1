package fieldmerge

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/value"
)

// plan says where the fields of a Go struct are stored. It is made once, with the schema,
// and never changes.
type plan struct {
	typ    reflect.Type
	root   *structNode
	mixed  bool     // some fields are of another mechanism than the register
	places []*place // of all registers whose path is known beforehand, sorted by it
}

// place is where a node is stored: a path below that of the map entry that the node is
// in, or below the record itself.
type place struct {
	rel      string
	register lattice.Kind
	slot     int    // in plan.places; -1 where the node is in a map's entries
	goName   string // for messages: "Profile.Address.City"
	kind     string // for the fingerprint: what the values are
}

// before reports whether p comes before the field in the order of a record's fields.
func (p *place) before(name []byte, k lattice.Kind) bool {
	return p.rel < string(name) || p.rel == string(name) && p.register < k
}

// path is where the node is stored below prefix, the path of the map entry it is in.
func (p *place) path(prefix string) string {
	switch {
	case prefix == "":
		return p.rel
	case p.rel == "":
		return prefix
	}
	return prefix + "." + p.rel
}

// node is a part of a plan: it takes Go values apart into cells and puts them together.
type node interface {
	at() *place
	// flatten adds the cells of v to the image; prefix is the path of the map entry that
	// the node is in.
	flatten(img *image, prefix string, v reflect.Value) error
	// fill sets v, which is zero, to what the reading shows.
	fill(rd *reading, prefix string, v reflect.Value)
}

// leaf is one value in a register of its own.
type leaf struct {
	place
	pointer bool // the field is a pointer: nil is unset
	typ     reflect.Type
	codec   value.Codec // of what the pointer points to
	zero    []byte      // the encoded zero value; nil for pointers
	held    bool        // it is a CRDT value, which has no codec
	was     string      // the name that it had before; empty: none
	formers []*place    // where it may be stored under that
}

// group is several fields in one register, which is written whole: a map from their names.
type group struct {
	place
	owner   reflect.Type // the struct whose fields they are
	members []*member    // in the order of their encoded names
}

type member struct {
	leaf  // its place is that of its own register, which is read until the group is first written
	name  string
	index []int
}

// structNode is a struct whose fields are fields. All but the root have a marker.
type structNode struct {
	place
	pointer  bool
	typ      reflect.Type
	children []child
	byName   map[string]child // by the segment that leads there; members of groups, too
}

type child struct {
	index  []int // of the field; empty for a group, which is a matter of the whole struct
	node   node
	member *member // of the group that node is
}

// mapNode is a map whose entries are fields.
type mapNode struct {
	place
	typ  reflect.Type
	elem node
}

func (p *place) at() *place { return p }

// planner makes a plan and collects what is wrong with the struct.
type planner struct {
	draft  *draft
	rules  *rules
	prints *fingerprint
	places []*place
	nested []reflect.Type // the structs that lead here
}

// newPlan makes the plan of a struct type, adds its policies to the rules and what is
// wrong to the draft.
func newPlan(t reflect.Type, d *draft, r *rules, f *fingerprint) *plan {
	b := planner{draft: d, rules: r, prints: f}
	p := &plan{typ: t}
	switch {
	case t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct:
		d.problem("%v is a pointer; use NewSchema[%v]", t, t.Elem())
		return p
	case t.Kind() != reflect.Struct:
		d.problem("%v is no struct; use a struct whose fields have `merge` tags, or NewDocumentSchema for JSON-shaped records", t)
		return p
	}
	name := t.Name()
	if name == "" {
		name = "struct"
	}
	p.root = b.structNode(place{register: lattice.KindRegister, slot: -1, goName: name}, t, nil, true)
	slices.SortFunc(b.places, func(x, y *place) int {
		return cmp.Or(strings.Compare(x.rel, y.rel), cmp.Compare(x.register, y.register))
	})
	for i, one := range b.places {
		one.slot = i
	}
	p.places, p.mixed = b.places, r.mixed
	return p
}

func (b *planner) problem(p *place, format string, args ...any) {
	b.draft.problem("%s: "+format, append([]any{p.goName}, args...)...)
}

// structNode plans the fields of a struct. segments is the pattern of its path; static
// says that the path is known beforehand.
func (b *planner) structNode(at place, t reflect.Type, segments []string, static bool) *structNode {
	n := &structNode{place: at, typ: t, byName: make(map[string]child)}
	if slices.Contains(b.nested, t) {
		b.problem(&at, "the struct %v is nested in itself; give the field a strategy for one value, such as lww", t)
		return n
	}
	if len(segments) >= MaxDepth {
		b.problem(&at, "nested %d deep, at most %d is allowed", len(segments)+1, MaxDepth)
		return n
	}
	problems := len(b.draft.problems)
	b.nested = append(b.nested, t)
	b.fields(n, t, nil, at.goName, segments, static)
	b.nested = b.nested[:len(b.nested)-1]
	if len(n.children) == 0 && len(b.draft.problems) == problems {
		b.problem(&at, "the struct has no field to store; give its exported fields `merge` tags")
	}
	former := make(map[string]bool)
	for _, c := range n.children {
		switch node := c.node.(type) {
		case *group:
			b.finishGroup(n, node)
		case *leaf:
			was := node.was
			if was == "" {
				continue
			}
			if other, taken := n.byName[was]; taken && other.node != c.node {
				b.problem(&node.place, "was=%s: that is the name of %s; a former name is one that no field has", was, other.place().goName)
			} else if former[was] {
				b.problem(&node.place, "was=%s: another field has that former name, too", was)
			}
			former[was] = true
		}
	}
	return n
}

// fields plans the fields of t, which is n's struct or one that it embeds.
func (b *planner) fields(n *structNode, t reflect.Type, index []int, goName string, segments []string, static bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		at := place{register: lattice.KindRegister, slot: -1, goName: goName + "." + f.Name}
		path := append(index[:len(index):len(index)], i)
		_, tagged := f.Tag.Lookup(tagKey)
		if f.Anonymous && !tagged && f.Type.Kind() == reflect.Struct {
			b.fields(n, f.Type, path, at.goName, segments, static)
			continue
		}
		if !f.IsExported() {
			if tagged && f.Tag.Get(tagKey) != "-" {
				b.problem(&at, "the field is not exported, and cannot be stored; export it, or drop the tag")
			}
			continue
		}
		tag, ok, err := parseTag(f)
		switch {
		case err != nil && f.Anonymous:
			b.problem(&at, "embedded without a tag; only structs can be embedded so: embed the struct itself, or add a tag")
		case err != nil:
			b.problem(&at, "%w", err)
		case ok && (isWildcard(tag.name) || isWildcard(tag.group)):
			b.problem(&at, "names \"*\" and \"**\" stand for others in patterns; use another name")
		case ok && (!utf8.ValidString(tag.name) || len(tag.name) > MaxPathLen/4):
			b.problem(&at, "the name %.40q is not UTF-8 of at most %d bytes", tag.name, MaxPathLen/4)
		case ok:
			b.field(n, at, f.Type, path, tag, segments, static)
		}
	}
}

// field plans one field of n's struct.
func (b *planner) field(n *structNode, at place, t reflect.Type, index []int, tag tag, segments []string, static bool) {
	own := append(segments[:len(segments):len(segments)], tag.name)
	at.rel = relative(n, tag.name)
	if other, twice := n.byName[tag.name]; twice {
		b.problem(&at, "%s is stored under the name %q, too; change one of them", other.place().goName, tag.name)
		return
	}
	if tag.group != "" {
		b.member(n, at, t, index, tag, segments, static)
		return
	}
	node := b.node(at, t, tag.strategy, own, static)
	if node == nil {
		return
	}
	if tag.was != "" {
		l, ok := node.(*leaf)
		if !ok {
			b.problem(&at, "was=%s: only a field that is one value can be renamed", tag.was)
			return
		}
		l.was = tag.was
		if !l.register.Registers() {
			b.problem(&at, "was=%s: what is stored there is no %v; a field under %q starts anew", tag.was, l.register, tag.strategy)
			return
		}
		for _, k := range []lattice.Kind{lattice.KindRegister, lattice.KindMax, lattice.KindMin} {
			if tag.was == tag.name && k == l.register {
				continue
			}
			former := &place{rel: relative(n, tag.was), register: k, slot: -1, goName: at.goName}
			l.formers = append(l.formers, former)
			b.enlist(former, static)
		}
	}
	c := child{index: index, node: node}
	n.children = append(n.children, c)
	n.byName[tag.name] = c
	b.prints.add(JoinPath(own...), string(tag.strategy), node.at().kind, "was", tag.was)
}

// place is where a child is stored, or its own register for a member of a group.
func (c child) place() *place {
	if c.member != nil {
		return &c.member.place
	}
	return c.node.at()
}

// relative is the path of a field of n, below the map entry that n is in.
func relative(n *structNode, name string) string {
	if n.rel == "" {
		return JoinPath(name)
	}
	return n.rel + "." + JoinPath(name)
}

// enlist gives a register that is known beforehand its place in the plan.
func (b *planner) enlist(p *place, static bool) {
	if static {
		b.places = append(b.places, p)
	}
}

// node plans a value of type t under a strategy.
func (b *planner) node(at place, t reflect.Type, s Strategy, segments []string, static bool) node {
	inner, each := strings.CutPrefix(string(s), eachPrefix)
	key, isKeyed := strings.CutPrefix(string(s), listPrefix)
	switch {
	case s == nestedStrategy:
		at.kind = "nested"
		elem, pointer := t, t.Kind() == reflect.Pointer
		if pointer {
			elem = t.Elem()
		}
		if elem.Kind() != reflect.Struct {
			b.problem(&at, "strategy %q is for structs, and the field is %v; use \"each=lww\" for the entries of a map, or %s for one value", s, t, policyNames)
			return nil
		}
		n := b.structNode(at, elem, segments, static)
		n.pointer = pointer
		b.enlist(&n.place, static)
		return n
	case isKeyed && key != "":
		n := b.keyedNode(at, t, key, segments)
		if n != nil {
			b.enlist(n.at(), static)
		}
		return n
	case each:
		at.kind = "each"
		if t.Kind() != reflect.Map || t.Key().Kind() != reflect.String {
			b.problem(&at, "strategy %q is for maps with string keys, and the field is %v; use %s for one value", s, t, policyNames)
			return nil
		}
		n := &mapNode{place: at, typ: t}
		entry := place{register: lattice.KindRegister, slot: -1, goName: at.goName + "[]"}
		if n.elem = b.node(entry, t.Elem(), Strategy(inner), append(segments[:len(segments):len(segments)], "*"), false); n.elem == nil {
			return nil
		}
		n.kind += " " + n.elem.at().kind
		b.enlist(&n.place, static)
		return n
	}
	l := &leaf{place: at}
	if !b.leaf(l, t, s) {
		return nil
	}
	policy := b.policy(l, s)
	b.rules.add(segments, policy)
	l.register = mechanismOf(policy)
	b.enlist(&l.place, static)
	return l
}

// leaf fills in what a field of type t has as one value.
func (b *planner) leaf(l *leaf, t reflect.Type, s Strategy) bool {
	if l.pointer = t.Kind() == reflect.Pointer; l.pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[crdt.Value]()) {
		return b.heldLeaf(l, t)
	}
	codec, err := value.CodecOf(t)
	if err != nil {
		b.problem(&l.place, "%w; `merge:\"-\"` leaves the field out", err)
		return false
	}
	l.typ, l.codec = t, codec
	l.kind = kindOf(t)
	if !l.pointer {
		if l.zero, err = codec.Append(nil, reflect.Zero(t)); err != nil {
			b.problem(&l.place, "the zero value of %v cannot be stored: %w; use a pointer, *%v", t, err, t)
			return false
		}
	}
	return true
}

// heldLeaf fills in what a field has that is a CRDT value.
func (b *planner) heldLeaf(l *leaf, t reflect.Type) bool {
	if l.pointer {
		b.problem(&l.place, "a CRDT value is always there; use %v instead of a pointer", t)
		return false
	}
	l.typ, l.held = t, true
	v := reflect.New(t)
	l.kind = crdt.StrategyOf(v.Interface().(crdt.Value))
	held, err := crdt.HeldBy(v.Interface().(crdt.Value))
	if err != nil {
		b.problem(&l.place, "%w", err)
		return false
	}
	l.zero = held.Value
	return true
}

// plainType says which Go types a mechanism's values have that are no CRDT values.
type plainType struct {
	text  string
	holds func(reflect.Type) bool
}

var plainTypes = map[lattice.Kind]plainType{
	lattice.KindCounter: {"a crdt.PNCounter or crdt.GCounter, or an integer", func(t reflect.Type) bool { return kindOf(t) == "integer" }},
	lattice.KindSet:     {"a crdt.ORSet or crdt.GSet, or a slice", isList},
	lattice.KindList:    {"a slice", isList},
	lattice.KindFlag:    {"a crdt.EWFlag, or a bool", func(t reflect.Type) bool { return t.Kind() == reflect.Bool }},
}

// isList reports whether values of the type are lists that can be of any length.
func isList(t reflect.Type) bool { return t.Kind() == reflect.Slice && kindOf(t) == "list" }

// goType is the field's type.
func (l *leaf) goType() reflect.Type {
	if l.pointer {
		return reflect.PointerTo(l.typ)
	}
	return l.typ
}

func (b *planner) policy(l *leaf, s Strategy) crdt.Policy {
	p := b.draft.policy(l.goName, s)
	m, isMechanism := p.(lattice.Mechanism)
	switch {
	case l.held:
		if own := crdt.StrategyOf(reflect.New(l.typ).Interface().(crdt.Value)); p != nil && own != string(s) {
			b.problem(&l.place, "a %v is stored under the strategy %q, not %q; an ordinary Go type has its value under others", l.typ, own, s)
		}
		return p
	case isMechanism:
		if want := plainTypes[m.Kind]; l.pointer || !want.holds(l.typ) {
			b.problem(&l.place, "strategy %q is for %s, and the field is %v", s, want.text, l.goType())
		}
		return p
	}
	if c, ok := p.(*custom); ok && c.typ != l.typ && (!l.pointer || c.typ != reflect.PointerTo(l.typ)) {
		b.problem(&l.place, "Custom(%q) resolves values of type %v, and the field holds %v; let it take %v", c.name, c.typ, l.typ, l.typ)
	}
	if _, ok := p.(lattice.Extreme); ok {
		if zero, err := l.codec.Append(nil, reflect.Zero(l.typ)); err != nil || !lattice.Ordered(zero) {
			b.problem(&l.place, "strategy %q is for numbers, times and strings, and the field is %v; use another strategy", s, l.typ)
		}
	}
	return p
}

// member plans a field of n's struct that is written with others.
func (b *planner) member(n *structNode, at place, t reflect.Type, index []int, tag tag, segments []string, static bool) {
	m := &member{leaf: leaf{place: at}, name: tag.name, index: index}
	switch {
	case tag.strategy == nestedStrategy || strings.HasPrefix(string(tag.strategy), eachPrefix):
		b.problem(&at, "a field of the group %q is one value; use %s", tag.group, policyNames)
		return
	case tag.strategy == Max || tag.strategy == Min || mechanisms[tag.strategy].Kind != 0:
		b.problem(&at, "strategy %q is a mechanism of its own, and a field of the group %q is a part of its value; use another strategy", tag.strategy, tag.group)
		return
	case tag.was != "":
		b.problem(&at, "was=%s: a field of a group cannot be renamed", tag.was)
		return
	case !b.leaf(&m.leaf, t, tag.strategy):
		return
	}
	own := append(segments[:len(segments):len(segments)], tag.group)
	var g *group
	for _, c := range n.children {
		if one, ok := c.node.(*group); ok && one.rel == relative(n, tag.group) {
			g = one
		}
	}
	if g == nil {
		g = &group{place: place{rel: relative(n, tag.group), register: lattice.KindRegister, slot: -1, goName: n.goName + "." + tag.group, kind: "group " + string(tag.strategy)}, owner: n.typ}
		n.children = append(n.children, child{node: g})
		p := b.draft.policy(at.goName, tag.strategy)
		if c, ok := p.(*custom); ok && c.typ != reflect.TypeFor[map[string]any]() {
			b.problem(&at, "Custom(%q) resolves values of type %v, and those of the group %q are map[string]any; let it take these", c.name, c.typ, tag.group)
		}
		b.rules.add(own, p)
		b.enlist(&g.place, static)
	}
	if g.kind != "group "+string(tag.strategy) {
		b.problem(&at, "the fields of the group %q have different strategies, %q and %q; a group is resolved as one: give them one strategy", tag.group, strings.TrimPrefix(g.kind, "group "), tag.strategy)
	}
	b.enlist(&m.place, static)
	g.members = append(g.members, m)
	n.byName[tag.name] = child{node: g, member: m}
	b.prints.add(JoinPath(append(segments[:len(segments):len(segments)], tag.name)...), string(tag.strategy), m.kind, "group", tag.group)
}

// finishGroup checks a group once all its fields are known.
func (b *planner) finishGroup(n *structNode, g *group) {
	name := strings.TrimPrefix(g.goName, n.goName+".")
	if other, taken := n.byName[name]; taken {
		b.problem(other.place(), "the field has the name of the group %q; rename one of them", name)
	}
	if len(g.members) < 2 {
		b.problem(&g.members[0].place, "the group %q has no other field; give it one, or drop group=%s", name, name)
	}
	slices.SortFunc(g.members, func(x, y *member) int {
		if c := len(x.name) - len(y.name); c != 0 { // the order of encoded names
			return c
		}
		return strings.Compare(x.name, y.name)
	})
}

// kindOf says what the values of a type are, for fingerprints: changes of a type that
// leave the stored form as it is do not count.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "integer"
	case reflect.Float32, reflect.Float64:
		return "float"
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
		return "list"
	case reflect.Struct:
		return fmt.Sprintf("struct %s", t.Name())
	}
	return t.Kind().String()
}
