package fieldmerge

import (
	"cmp"
	"fmt"
	"sort"
	"strings"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/value"
)

// emptyMap is the value of a map's marker: the register at the path of a map says that
// it exists, so that a map without entries survives.
var emptyMap = []byte{0x80}

func isMap(val []byte) bool { return len(val) == 1 && val[0] == emptyMap[0] }

var errFieldEnds = fmt.Errorf("%w: field ends early", fieldwise.ErrMalformed)

// view is what the policies show of a record.
type view struct {
	fields []shown // by path, unset ones included
	nested bool    // a path leads into a map
}

// shown is what a reader sees of one field.
type shown struct {
	path     string
	sibling  fieldwise.Sibling   // without a Value: unset
	newest   fieldwise.Version   // of what the field's siblings are, for the shape
	equal    []fieldwise.Version // of further siblings with the same value
	siblings int
	hidden   bool // by the shape, or other
	kind     lattice.Kind
	other    bool          // of another mechanism than the schema's
	rival    bool          // another mechanism has the newer value at this path
	removed  []keyedObject // of a list: what it has and does not show
}

func (f *shown) found() found {
	if f.hidden && !f.other {
		return found{written: true}
	}
	return found{val: f.sibling.Value, written: true}
}

// shown returns the value that a reader sees of a register, and how many siblings there
// are; of a register without any, nothing.
func (r *rules) shown(path string, k lattice.Kind, t lattice.Table, register []byte) (val []byte, siblings int, err error) {
	if k.Registers() {
		if val, ok := lattice.Single(register); ok {
			return val, 1, nil
		}
	}
	all, err := lattice.Read(nil, k, t, register)
	if err != nil || len(all) == 0 {
		return nil, 0, err
	}
	s, _ := lattice.Show(r.policyOf(path, k), all)
	return s.Value, len(all), nil
}

// view reads a record by the rules.
func (r *rules) view(rec record) (*view, error) {
	t, fields, err := rec.fields()
	if err != nil {
		return nil, err
	}
	v := &view{}
	var siblings []fieldwise.Sibling
	for len(fields) > 0 {
		f, rest, ok := lattice.CutField(fields)
		if !ok {
			return nil, errFieldEnds
		}
		fields = rest
		if f.Kind == lattice.KindCreated {
			continue
		}
		if siblings, err = lattice.Read(siblings[:0], f.Kind, t, f.Body); err != nil {
			return nil, err
		}
		if len(siblings) == 0 {
			continue
		}
		one := shown{path: string(f.Name), sibling: siblings[0], newest: siblings[len(siblings)-1].Version, siblings: len(siblings), kind: f.Kind}
		one.other = !r.reads(one.path, f.Kind)
		one.hidden = one.other
		if len(siblings) > 1 {
			one.sibling, _ = lattice.Show(r.policyOf(one.path, f.Kind), siblings)
			if !one.sibling.Version.IsZero() {
				one.newest = one.sibling.Version
			}
		}
		for _, s := range siblings {
			if s.Version != one.sibling.Version && lattice.SameValue(s, one.sibling) {
				one.equal = append(one.equal, s.Version)
			}
		}
		v.nested = v.nested || strings.IndexByte(one.path, '.') >= 0
		v.fields = append(v.fields, one)
	}
	if r.lists {
		v.findRivals()
		v.dropRemoved()
	}
	if v.nested && v.clashes() {
		root, err := v.tree()
		if err != nil {
			return nil, err
		}
		root.hidden(func(loser *shown, _ fieldwise.Version) { loser.hidden = true })
	}
	return v, nil
}

// findRivals finds the paths at which mechanisms have a value that readers of the schema
// would see: the newest of these shows, and an empty list not before what is there.
func (v *view) findRivals() {
	for i := 0; i < len(v.fields); {
		best, end := -1, i
		for ; end < len(v.fields) && v.fields[end].path == v.fields[i].path; end++ {
			if f := &v.fields[end]; !f.other && (best < 0 || f.goesBefore(&v.fields[best])) {
				best = end
			}
		}
		for ; i < end; i++ {
			if f := &v.fields[i]; !f.other && i != best {
				f.rival, f.hidden = true, true
			}
		}
	}
}

// dropRemoved leaves out of lists the objects whose marks were unset: somebody removed them
// while another one moved them.
func (v *view) dropRemoved() {
	for i := range v.fields {
		f := &v.fields[i]
		if f.kind != lattice.KindKeyed || f.sibling.Value == nil || f.other {
			continue
		}
		var kept []keyedObject
		for _, o := range keyedObjects(f.sibling.Value) {
			if mark := v.find(f.path + "." + JoinPath(o.text)); mark != nil && mark.sibling.Value == nil {
				f.removed = append(f.removed, o)
			} else {
				kept = append(kept, o)
			}
		}
		if len(f.removed) > 0 {
			f.sibling.Value = listOfKeys(kept)
		}
	}
}

// leaveOutRemoved makes of what is stored of a list what it shows.
func (f *shown) leaveOutRemoved(siblings []fieldwise.Sibling) {
	if len(f.removed) > 0 && len(siblings) > 0 {
		siblings[0].Value = f.sibling.Value
	}
}

// goesBefore reports whether f shows, and not another one at its path.
func (f *shown) goesBefore(other *shown) bool {
	weight := func(f *shown) int {
		switch {
		case f.sibling.Value == nil:
			return 0
		case len(f.sibling.Value) == 1 && f.sibling.Value[0] == 0x90: // an empty list
			return 1
		}
		return 2
	}
	if c := cmp.Compare(weight(f), weight(other)); c != 0 {
		return c > 0
	}
	return f.newest.Compare(other.newest) > 0
}

// clashes reports whether a path holds a value and something is below it, too.
func (v *view) clashes() bool {
	for i := range v.fields {
		if f := &v.fields[i]; f.kind == lattice.KindKeyed && !f.other {
			return true
		} else if f.sibling.Value != nil && !f.other && !isMap(f.sibling.Value) && v.below(f.path) {
			return true
		}
	}
	return false
}

// find returns the field at a path that is of the schema's mechanism, nil if there is none.
func (v *view) find(path string) *shown {
	for i := v.search(path); i < len(v.fields) && v.fields[i].path == path; i++ {
		if f := &v.fields[i]; !f.other && !f.rival {
			return f
		}
	}
	return nil
}

// findKind returns the field at a path that is of a mechanism, nil if there is none.
func (v *view) findKind(path string, k lattice.Kind) *shown {
	for i := v.search(path); i < len(v.fields) && v.fields[i].path == path; i++ {
		if v.fields[i].kind == k {
			return &v.fields[i]
		}
	}
	return nil
}

func (v *view) search(path string) int {
	return sort.Search(len(v.fields), func(i int) bool { return v.fields[i].path >= path })
}

// holds reports whether there is a value at a path, of whatever mechanism.
func (v *view) holds(path string) bool {
	for i := v.search(path); i < len(v.fields) && v.fields[i].path == path; i++ {
		if v.fields[i].sibling.Value != nil {
			return true
		}
	}
	return false
}

// firstBelow is where the fields below a path begin, which are neighbours.
func (v *view) firstBelow(path string) int {
	return sort.Search(len(v.fields), func(i int) bool {
		p := v.fields[i].path
		if len(p) > len(path) && p[:len(path)] == path {
			return p[len(path)] >= '.'
		}
		return p > path
	})
}

// below reports whether a reader sees something below a path.
func (v *view) below(path string) bool {
	for i := v.firstBelow(path); i < len(v.fields) && isBelow(v.fields[i].path, path); i++ {
		if f := &v.fields[i]; f.sibling.Value != nil && !f.hidden {
			return true
		}
	}
	return false
}

// entries yields key and path of each entry of the map at a path that a reader sees.
func (v *view) entries(path string) func(yield func(key, entry string) bool) {
	return func(yield func(key, entry string) bool) {
		last := ""
		for i := v.firstBelow(path); i < len(v.fields) && isBelow(v.fields[i].path, path); i++ {
			f := &v.fields[i]
			if f.sibling.Value == nil || f.hidden {
				continue
			}
			entry := f.path
			for p := range parents(f.path) {
				if len(p) > len(path) {
					entry = p
					break
				}
			}
			if entry == last {
				continue
			}
			last = entry
			key, err := SplitPath(entry[len(path)+1:])
			if err == nil && !yield(key[0], entry) {
				return
			}
		}
	}
}

// visible lists the values that a reader sees, by path.
func (v *view) visible() leaves {
	l := make(leaves, len(v.fields))
	for i := range v.fields {
		f := &v.fields[i]
		if f.sibling.Value == nil || f.hidden {
			continue
		}
		l[f.path] = f.sibling.Value
		for p := range parents(f.path) {
			if l[p] == nil {
				l[p] = emptyMap // a map that only the fields below it tell of
			}
		}
	}
	return l
}

// document is the record as readers see it: the values that are visible, as ordinary Go values.
func (v *view) document() (map[string]any, error) {
	doc := make(map[string]any, len(v.fields))
	lists := make(map[string]map[string]any) // by the path of each object of a list: the object
	for i := range v.fields {
		f := &v.fields[i]
		if f.sibling.Value == nil || f.hidden {
			continue
		}
		segments, err := SplitPath(f.path)
		if err != nil {
			return nil, err
		}
		at, depth := doc, 0
		for parent := range parents(f.path) {
			s := segments[depth]
			depth++
			if object := lists[parent]; object != nil {
				at = object
				continue
			}
			switch inner := at[s].(type) {
			case map[string]any:
				at = inner
			case []any: // a list of objects, one of which the next segment leads to
			default:
				made := make(map[string]any)
				at[s], at = made, made
			}
		}
		name := segments[len(segments)-1]
		if f.kind == lattice.KindKeyed {
			at[name] = f.objects(lists)
			continue
		}
		if lists[f.path] != nil {
			continue // the mark that the object is a map
		}
		if isMap(f.sibling.Value) {
			if at[name] == nil {
				at[name] = make(map[string]any)
			}
			continue
		}
		if at[name], err = value.Any(f.sibling.Value); err != nil {
			return nil, &FieldError{Field: f.path, Err: err}
		}
	}
	return doc, nil
}

// objects makes the objects of a list, with their keys alone, and adds them to all by their
// paths.
func (f *shown) objects(all map[string]map[string]any) []any {
	keyed := keyedObjects(f.sibling.Value)
	list := make([]any, 0, len(keyed))
	for _, o := range keyed {
		key, err := value.Any(o.key)
		path := f.path + "." + JoinPath(o.text)
		if err != nil || all[path] != nil { // the same key in two forms, written at the same time
			continue
		}
		object := map[string]any{o.name: key}
		all[path] = object
		list = append(list, object)
	}
	return list
}

// node of a tree is what is shown at a path, with what is below it.
type treeNode struct {
	own      *shown // the value at the node's own path; nil if there is none
	list     *shown // the list whose objects are below, which may be unset; nil if there never was one
	children map[string]*treeNode
	newest   fieldwise.Version // of the values below
	by       fieldwise.Version // the write that newest is of; zero if a policy computed the value
}

// tree hangs the values that the registers show up at their paths.
func (v *view) tree() (*treeNode, error) {
	root := &treeNode{}
	for i := range v.fields {
		f := &v.fields[i]
		list := f.kind == lattice.KindKeyed
		if f.sibling.Value == nil && !list || f.other || f.rival {
			continue
		}
		segments, err := SplitPath(f.path)
		if err != nil {
			return nil, err
		}
		n := root
		for _, segment := range segments {
			if f.sibling.Value != nil && f.newest.Compare(n.newest) > 0 {
				n.newest, n.by = f.newest, f.sibling.Version
			}
			child := n.children[segment]
			if child == nil {
				if n.children == nil {
					n.children = make(map[string]*treeNode)
				}
				child = &treeNode{}
				n.children[segment] = child
			}
			n = child
		}
		if f.sibling.Value != nil {
			n.own = f
		}
		if list {
			n.list = f
		}
	}
	return root, nil
}

// find returns the node at a path below n, nil if nothing is there or below it.
func (n *treeNode) find(path string) (*treeNode, error) {
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
func (n *treeNode) value() bool {
	return n.own != nil && n.list == nil && !isMap(n.own.sibling.Value) &&
		(len(n.children) == 0 || n.own.newest.Compare(n.newest) > 0)
}

// hidden calls report for each value that the shape hides, with the write that is the
// newest of the side that shows, which is zero where a policy computed the value.
func (n *treeNode) hidden(report func(loser *shown, winner fieldwise.Version)) {
	for _, child := range n.children {
		switch {
		case child.list != nil:
			objects := make(objectIndex)
			for key, object := range child.children {
				if !objects.has("", child.list.sibling.Value, key) {
					object.all(func(f *shown) { report(f, child.list.sibling.Version) })
				} else {
					one := treeNode{children: map[string]*treeNode{key: object}}
					one.hidden(report)
				}
			}
		case child.value():
			child.below(func(f *shown) { report(f, child.own.sibling.Version) })
		case child.own != nil && !isMap(child.own.sibling.Value):
			report(child.own, child.by)
			fallthrough
		default:
			child.hidden(report)
		}
	}
}

func (n *treeNode) below(each func(*shown)) {
	for _, child := range n.children {
		child.all(each)
	}
}

// all calls each for what n shows at its own path and below.
func (n *treeNode) all(each func(*shown)) {
	if n.own != nil {
		each(n.own)
	}
	n.below(each)
}

// isBelow reports whether path lies below parent.
func isBelow(path, parent string) bool {
	return len(path) > len(parent) && path[len(parent)] == '.' && strings.HasPrefix(path, parent)
}
