package fieldmerge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Patch changes single fields of a record. Paths are those of [JoinPath].
type Patch struct {
	// Set gives each path a value: in a domain of structs of the field's Go type, or one
	// that is stored alike, such as an int for an int64. A map, and a struct whose fields
	// are fields, sets all of it: what it does not name is unset, but for what the schema
	// does not know of a struct that stays. A counter is brought to the value, an integer that is
	// zero in a struct included: from what the region shows or, under [IfMatch], by as much as the
	// value differs from what the token's reader was shown, so that what was counted since stays.
	Set map[string]any
	// Unset removes what is at each path, and all below it.
	Unset []string
}

// check says what is wrong with the patch's paths.
func (p Patch) check() error {
	for _, path := range p.Unset {
		if err := checkPath(path); err != nil {
			return err
		}
	}
	var few [8]string
	for _, path := range appendSorted(few[:0], p.Set) {
		if err := checkPath(path); err != nil {
			return err
		}
		for above := range parents(path) {
			if _, ok := p.Set[above]; ok {
				return fmt.Errorf("%w: the patch sets %q and, below it, %q; set one of them", ErrPath, above, path)
			}
		}
		for _, unset := range p.Unset {
			if path == unset || isBelow(unset, path) || isBelow(path, unset) {
				return fmt.Errorf("%w: the patch unsets %q and sets %q; do one of them", ErrPath, unset, path)
			}
		}
	}
	return nil
}

// Patch sets and unsets single fields of a record; one that is not live is ErrNotFound.
func (d *Documents) Patch(ctx context.Context, key string, p Patch, options ...WriteOption) (fieldwise.Receipt, error) {
	if err := p.check(); err != nil {
		return fieldwise.Receipt{}, d.fail("patch", key, err)
	}
	return d.update(ctx, "patch", key, options, func(rec *record) (update, error) {
		c := make(changes)
		for path, v := range p.Set {
			l, err := d.rules.flattenAt(path, v)
			if err != nil {
				return update{}, err
			}
			maps.Copy(c, changes(l))
		}
		return update{changes: c, given: true}, c.replaceMaps(d.rules, nil, *rec, optionsOf(options).shown(), p, nil)
	})
}

// Patch sets and unsets single fields of a record; one that is not live is ErrNotFound.
// Fields of a group are set by their own paths, and the group is written whole: under
// [IfMatch] that is a ChangedError if any region wrote the group since.
func (d *Domain[T]) Patch(ctx context.Context, key string, p Patch, options ...WriteOption) (fieldwise.Receipt, error) {
	if err := p.check(); err != nil {
		return fieldwise.Receipt{}, d.fail("patch", key, err)
	}
	return d.update(ctx, "patch", key, options, func(rec *record) (update, error) {
		c := make(changes)
		var members []string // of groups
		for path, v := range p.Set {
			isMember, err := c.set(d.plan, path, v)
			if err != nil {
				return update{}, err
			}
			if isMember {
				members = append(members, path)
			}
		}
		for _, path := range p.Unset {
			t, err := d.plan.find(path)
			if err != nil {
				return update{}, err
			}
			isMember, err := t.inGroup(path)
			if err != nil {
				return update{}, err
			}
			if isMember {
				members = append(members, path)
			}
		}
		if err := c.replaceMaps(d.rules, d.plan, *rec, optionsOf(options).shown(), p, members); err != nil {
			return update{}, err
		}
		if len(members) == 0 && !c.unset() {
			return update{changes: c, given: true}, nil // what the record holds makes no difference
		}
		rd, err := d.plan.read(d.rules, *rec)
		if err != nil {
			return update{}, err
		}
		if err := c.setMembers(d.plan, rd, p, members); err != nil {
			return update{}, err
		}
		rests := make(map[string]bool, len(members))
		for _, path := range members {
			rests[d.plan.standing(path).now] = true
		}
		return update{changes: c, given: true, unsets: d.plan.unsets(c, rd), rests: rests}, nil
	})
}

// unset reports whether the changes unset something.
func (c changes) unset() bool {
	for _, val := range c {
		if val == nil {
			return true
		}
	}
	return false
}

// replaceMaps adds what of a record, and of what a token showed, goes when maps are set as a
// whole, and what the patch unsets, members of groups left out. Documents have no plan.
func (c changes) replaceMaps(r *rules, plan *plan, rec record, shown map[string]cell, p Patch, members []string) error {
	_, fields, err := rec.fields()
	if err != nil {
		return err
	}
	var current leaves
	if nestedFields(fields) {
		v, err := r.view(rec)
		if err != nil {
			return err
		}
		current = v.visible()
		for i := range v.fields {
			if f := &v.fields[i]; f.sibling.Value != nil {
				current[f.path] = f.sibling.Value
			}
		}
	}
	gone := func(path string, becomes func(below string) (val []byte, stays bool)) {
		note := func(p string) {
			if _, set := c[p]; set || !isBelow(p, path) {
				return
			}
			if val, stays := becomes(p); !stays {
				c[p] = val
			}
		}
		for p := range current {
			note(p)
		}
		for p := range shown { // what has not arrived here yet goes, too
			note(p)
		}
	}
	for path := range p.Set {
		gone(path, func(below string) ([]byte, bool) {
			if plan == nil {
				return nil, false
			}
			return c.zeroCount(plan, below, path), c.leavesAlone(plan, below, path)
		})
	}
	for _, path := range p.Unset {
		if !slices.Contains(members, path) {
			c[path] = nil
		}
		gone(path, func(string) ([]byte, bool) { return nil, false })
	}
	return nil
}

// leavesAlone reports whether changes that set all that is at a path leave alone what is below it
// at another one: a field that the schema does not know, or a struct that is no pointer and so
// always there, in what stays.
func (c changes) leavesAlone(p *plan, path, set string) bool {
	return (p.standing(path).state == FieldUnknown || p.alwaysThere(path)) && c.keepsAbove(p, path, set)
}

// zeroCount is the value of an integer that counts, in a struct that stays, for which changes
// that set all that is at another path say zero: a number like any other one, and not that the
// counter is reset. It is nil at all other paths.
func (c changes) zeroCount(p *plan, path, set string) []byte {
	t, err := p.find(path)
	if l, ok := t.node.(*leaf); err == nil && ok && l.register == lattice.KindCounter && !l.held && l.rel != "" && c.keepsAbove(p, path, set) {
		return l.zero
	}
	return nil
}

// keepsAbove reports whether what a path is in stays under changes that set all that is at
// another one.
func (c changes) keepsAbove(p *plan, path, set string) bool {
	for above := range parents(path) {
		if _, err := p.find(above); err != nil {
			break
		}
		if (above == set || isBelow(above, set)) && c[above] == nil && !p.alwaysThere(above) {
			return false
		}
	}
	return true
}

// alwaysThere reports whether at a path there is a struct that is no pointer, in another one.
func (p *plan) alwaysThere(path string) bool {
	t, err := p.find(path)
	n, ok := t.node.(*structNode)
	return err == nil && ok && !n.pointer && n.rel != ""
}

// flattenAt takes the value apart that a patch sets at a path.
func (r *rules) flattenAt(path string, v any) (leaves, error) {
	segments, err := SplitPath(path)
	if err != nil {
		return nil, err
	}
	if len(segments) > MaxDepth {
		return nil, tooDeep(path, len(segments))
	}
	l := &flattener{rules: r, to: make(leaves)}
	return l.to, l.add([]byte(path), v, len(segments))
}

// set adds what setting the field at path to v changes. Members of groups are left to
// setMembers.
func (c changes) set(p *plan, path string, v any) (isMember bool, err error) {
	t, err := p.find(path)
	if err != nil {
		return false, err
	}
	switch n := t.node.(type) {
	case *group:
		return t.inGroup(path)
	case *leaf:
		c[path], err = n.convert(path, v)
		return false, err
	}
	rv := reflect.ValueOf(v)
	want := goType(t.node)
	if !rv.IsValid() || rv.Type() != want {
		err := fmt.Errorf("%v is needed, not %T; or patch what is in it by paths below", want, v)
		if v == nil {
			err = errNilForMap
		}
		return false, &FieldError{Field: path, GoField: t.node.at().goName, Err: err}
	}
	img := &image{slots: make([]cell, len(p.places))}
	if err := t.node.flatten(img, t.prefix, rv); err != nil {
		return false, err
	}
	none := &image{slots: make([]cell, len(p.places))}
	made := img.changes(p, none, func(string) []byte { return nil })
	if _, ok := made[path]; !ok {
		made[path] = emptyMap
		if _, isList := t.node.(*keyedNode); isList {
			made[path] = nil // as an update to a nil slice has it
		}
	}
	maps.Copy(c, made)
	return false, nil
}

// goType is the type of the Go field that a node stands for.
func goType(n node) reflect.Type {
	switch n := n.(type) {
	case *structNode:
		if n.pointer {
			return reflect.PointerTo(n.typ)
		}
		return n.typ
	case *mapNode:
		return n.typ
	case *keyedNode:
		return n.typ
	}
	return nil
}

// convert encodes a value for the field: one of its type, or one that is stored alike.
func (l *leaf) convert(path string, v any) ([]byte, error) {
	rv := reflect.ValueOf(v)
	if l.pointer && rv.IsValid() && rv.Type() == reflect.PointerTo(l.typ) {
		if rv.IsNil() {
			return nil, nil
		}
		rv = rv.Elem()
	}
	if l.held {
		return l.convertHeld(path, rv, v)
	}
	if rv.IsValid() && rv.Type() == l.typ {
		val, err := l.codec.Append(make([]byte, 0, 32), rv)
		if err != nil {
			err = &FieldError{Field: path, GoField: l.goName, Err: err}
		}
		return val, err
	}
	switch {
	case v == nil && l.pointer:
		return nil, nil
	case v == nil && wire.KindOf(l.zero) != wire.KindNil:
		return nil, &FieldError{Field: path, GoField: l.goName, Err: fmt.Errorf("nil is no %v; list the path under Unset to unset it", l.typ)}
	}
	val, err := encode(v)
	if err == nil {
		into := reflect.New(l.typ).Elem()
		if err = l.codec.Decode(val, into); err == nil {
			val, err = l.codec.Append(val[:0], into)
		}
		switch {
		case err == nil:
		case errors.Unwrap(err) == wire.ErrType: //nolint:errorlint // not within the value: the types say all
			err = fmt.Errorf("%v is needed, not %T", l.typ, v)
		default:
			err = fmt.Errorf("%v is needed, not %T: %w", l.typ, v, err)
		}
	}
	if err != nil {
		return nil, &FieldError{Field: path, GoField: l.goName, Err: err}
	}
	return val, nil
}

// convertHeld encodes what a patch sets a CRDT value to: what one comes to, or a value of
// that form.
func (l *leaf) convertHeld(path string, rv reflect.Value, v any) ([]byte, error) {
	in := reflect.New(l.typ)
	var val []byte
	var err error
	switch {
	case v == nil:
		err = fmt.Errorf("nil is no %v; list the path under Unset to unset it", l.typ)
	case rv.Type() == l.typ:
		in.Elem().Set(rv)
	default:
		if val, err = encode(v); err == nil {
			err = crdt.Hold(in.Interface().(crdt.Value), val, nil)
		}
	}
	var held lattice.Held
	if err == nil {
		held, err = crdt.HeldBy(in.Interface().(crdt.Value))
	}
	if err != nil {
		return nil, &FieldError{Field: path, GoField: l.goName, Err: err}
	}
	return held.Value, nil
}

var errNilForMap = errors.New("nil is no map or struct; list the path under Unset to unset it")

// setMembers adds what changes in the groups whose members the patch names.
func (c changes) setMembers(p *plan, rd *reading, patch Patch, paths []string) error {
	type write struct {
		at            target
		before, after *image
		owner         reflect.Value
	}
	writes := make(map[string]*write) // by the group's path
	for _, path := range paths {
		t, err := p.find(path)
		if err != nil {
			return err
		}
		g := t.node.(*group)
		at := g.path(t.prefix)
		w := writes[at]
		if w == nil {
			w = &write{at: t, before: &image{slots: make([]cell, len(p.places))}, owner: reflect.New(g.owner).Elem()}
			g.fill(rd, t.prefix, w.owner)
			if err := g.flatten(w.before, t.prefix, w.owner); err != nil {
				return err
			}
			writes[at] = w
		}
		field := w.owner.FieldByIndex(t.member.index)
		field.SetZero()
		if v, set := patch.Set[path]; set {
			val, err := t.member.convert(path, v)
			if err != nil {
				return err
			}
			if val != nil {
				if err := t.member.decode(val, field); err != nil {
					return err
				}
			}
		}
	}
	for _, w := range writes {
		w.after = &image{slots: make([]cell, len(p.places))}
		if err := w.at.node.flatten(w.after, w.at.prefix, w.owner); err != nil {
			return err
		}
		maps.Copy(c, w.after.changes(p, w.before, func(path string) []byte { return rd.stored(p, path) }))
	}
	return nil
}

// appendSorted appends the keys of a map in order to what is empty.
func appendSorted[V any, M ~map[string]V](paths []string, m M) []string {
	for path := range m {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

func pathTooLong(path string) error {
	return fmt.Errorf("field %.40q...: %w", path, &fieldwise.LimitError{Limit: "bytes of a field path", Got: len(path), Max: MaxPathLen})
}

func tooDeep(path string, depth int) error {
	return fmt.Errorf("field %.40q: %w", path, &fieldwise.LimitError{Limit: "maps within each other", Got: depth, Max: MaxDepth})
}

func checkPath(path string) error {
	if len(path) > MaxPathLen {
		return pathTooLong(path)
	}
	if !utf8.ValidString(path) {
		return fmt.Errorf("%w: %q is not UTF-8, as paths and with them the keys of maps are", ErrPath, path)
	}
	if plain(path) {
		return nil
	}
	_, err := SplitPath(path)
	return err
}
