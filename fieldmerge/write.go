package fieldmerge

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// changes are what a write sets and unsets, by path. An encoded value sets, nil unsets.
type changes map[string][]byte

// appendCreate appends the delta that creates a record over one that is not live.
func (r *rules) appendCreate(dst []byte, rec record, u update, at fieldwise.Version) ([]byte, error) {
	fields := u.changes
	if rec.life >= maxLife-1 {
		return nil, &fieldwise.LimitError{Limit: "lives of a record", Got: int(min(rec.life, math.MaxInt)), Max: min(maxLife, math.MaxInt)}
	}
	if len(fields) > MaxFields {
		return nil, &fieldwise.LimitError{Limit: "fields of a record", Got: len(fields), Max: MaxFields}
	}
	d, err := lattice.NewDelta(nil, at)
	if err != nil {
		return nil, err
	}
	d.Creating()
	all := make([]lattice.Field, 0, len(fields))
	buf := make([]byte, 0, 48*len(fields)) // for names and registers
	for path, val := range fields {
		if err := r.checkOrdered(path, val); err != nil {
			return nil, err
		}
		start := len(buf)
		buf = append(buf, path...)
		name := buf[start:]
		k := r.kindOf(path, val)
		if k.Registers() {
			buf, err = d.AppendWrite(buf, nil, val)
		} else {
			var body []byte
			body, err = r.appendEdit(&d, path, k, nil, nil, val, &u)
			buf = append(buf, body...)
		}
		if err != nil {
			return nil, err
		}
		if body := buf[start+len(name):]; len(body) > 0 {
			all = append(all, lattice.Field{Name: name, Kind: k, Body: body})
		}
	}
	if len(all) == 0 { // a version to report, should a delete drop the record unseen
		register, err := d.AppendWrite(nil, nil, emptyMap)
		if err != nil {
			return nil, err
		}
		all = append(all, lattice.Field{Kind: lattice.KindCreated, Body: register})
	}
	return d.AppendFields(wire.AppendUint(dst, rec.life+1), all), nil
}

// update is a write to a live record.
type update struct {
	changes changes
	settles string                            // a path whose value is written even if it shows already, where there are siblings
	unsets  map[string]bool                   // paths to unset although nothing is stored there: what shows is stored elsewhere
	rests   map[string]bool                   // paths whose value is made from what is there: under a token, from what it shows
	given   bool                              // the values are the writer's own, and not made from what is there
	token   *Token                            // what the writer was shown; nil: all that the region holds
	decode  func(path string, val []byte) any // for a ChangedError

	// Of fields of mechanisms other than the register:
	from    map[string]cell             // what the writer saw; where there is none, what is there now
	intents map[string][]lattice.Intent // what was done to CRDT values
	removed map[string][]keyedObject    // what lists have and do not show
	hidden  map[string]bool             // paths of which readers see nothing, though something is there
}

// edit is what the update does to a field of a mechanism other than the register that
// shows now and is to show val. A number that is given under a token counts on from what the
// token showed: what others counted unseen stays beside it, as another value does in a register.
func (u *update) edit(r *rules, path string, k lattice.Kind, now, val []byte) lattice.Edit {
	e := lattice.Edit{From: now, To: val, Intents: u.intents[path]}
	c, ok := u.from[path]
	if u.given && u.token != nil && k == lattice.KindCounter && val != nil {
		c, ok = u.token.values[path], true
	}
	switch {
	case !ok || c.hash != nil:
	case isMap(c.val): // fields below it: objects that arrived before their list
		e.From = nil
	case r.kindOf(path, c.val) == k:
		e.From = c.val
	case val != nil && c.val != nil: // the writer saw a value of another mechanism
		e.From = nil
	}
	return e
}

// resets reports whether the update takes back what was counted in a field that is a
// counter: of its own region all of it.
func (u *update) resets(path string) bool {
	intents := u.intents[path]
	return len(intents) == 0 && u.changes[path] == nil || u.hidden[path] ||
		slices.ContainsFunc(intents, func(in lattice.Intent) bool { return in.Op == lattice.OpReset })
}

// isNoOp reports whether an edit changes nothing.
func isNoOp(e lattice.Edit) bool {
	return len(e.Intents) == 0 && bytes.Equal(e.From, e.To) && (e.From == nil) == (e.To == nil)
}

// appendUpdate appends the delta that makes the changes to a live record, or nothing
// if the record shows all of them already.
func (r *rules) appendUpdate(dst []byte, rec record, u update, at fieldwise.Version) ([]byte, error) {
	t, fields, err := rec.fields()
	if err != nil {
		return nil, err
	}
	c := u.changes
	var asked changes
	if u.token != nil {
		// What shows here already may be what the reader saw replaced, and wants back.
		if ahead, err := u.token.ahead(t, fields); err != nil {
			return nil, err
		} else if ahead {
			asked = maps.Clone(c)
		}
	}
	if err := r.completeChanges(rec, t, fields, &u); err != nil {
		return nil, err
	}
	for path, val := range asked {
		if _, ok := c[path]; !ok && r.kindOf(path, val) == lattice.KindRegister {
			c[path] = val
		}
	}
	if len(c) == 0 {
		return dst, nil
	}
	if err := c.checkFields(fields); err != nil {
		return nil, err
	}
	d, err := lattice.NewDelta(t, at)
	if err != nil {
		return nil, err
	}
	if u.token != nil {
		d.Knowing(u.token.seen)
	}
	all := make([]lattice.Field, 0, len(c))
	var changed []string
	err = c.each(r, t, fields, func(path string, k lattice.Kind, val, register []byte) error {
		from := at.Origin.Region
		rests, replaces := u.rests[path], k.Registers()
		if !k.Registers() {
			rests, replaces = u.from[path].hash != nil, k == lattice.KindCounter && u.resets(path)
		}
		if rests {
			from = ""
		}
		if u.token != nil && (rests || replaces) && u.token.missed(t, k, register, from) {
			changed = append(changed, path)
			return nil
		}
		var body []byte
		var err error
		if k.Registers() {
			if val == nil {
				val = absent
			}
			body, err = d.AppendWrite(nil, register, val)
		} else {
			body, err = r.appendEdit(&d, path, k, t, register, val, &u)
		}
		if err != nil {
			return err
		}
		if len(body) > 0 {
			all = append(all, lattice.Field{Name: []byte(path), Kind: k, Body: body})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	switch {
	case len(changed) > 0:
		return nil, r.changedError(rec, changed, u)
	case len(all) == 0:
		return dst, nil
	}
	const small = 128 // bytes: the delta of most writes has fewer
	return d.AppendFields(wire.AppendUint(slices.Grow(dst, small), rec.life), all), nil
}

var absent = []byte{lattice.Absent}

// appendEdit makes the body of a field of a mechanism other than the register that an
// update changes: nothing where there is nothing to do.
func (r *rules) appendEdit(d *lattice.Delta, path string, k lattice.Kind, t lattice.Table, body, val []byte, u *update) ([]byte, error) {
	now, _, err := r.shown(path, k, t, body)
	if err != nil {
		return nil, err
	}
	e := u.edit(r, path, k, now, val)
	if k == lattice.KindKeyed {
		e.From = withUnseen(e.From, e.To, now, u.removed[path])
	}
	if u.hidden[path] {
		e.From, e.Anew = now, true
	}
	if m, ok := r.policy(path).(lattice.Mechanism); ok && m.Grows && !e.Grows(k) {
		return nil, &FieldError{Field: path, Err: fmt.Errorf("%w: a %s only grows", ErrDirection, m.Named)}
	}
	delta, err := d.AppendEdit(nil, k, t, body, e)
	if err != nil {
		return nil, &FieldError{Field: path, Err: err}
	}
	return delta, nil
}

// completeChanges drops the changes that the record shows already, and adds those that
// its shape asks for.
func (r *rules) completeChanges(rec record, t lattice.Table, fields []byte, u *update) error {
	c := u.changes
	if !r.lists && !nested(c) && !nestedFields(fields) {
		err := c.each(r, t, fields, func(path string, k lattice.Kind, val, register []byte) error {
			now, siblings, err := r.shown(path, k, t, register)
			if err == nil && !k.Registers() {
				if isNoOp(u.edit(r, path, k, now, val)) {
					delete(c, path)
				}
				return nil
			}
			same := bytes.Equal(now, val) && (now == nil) == (val == nil)
			if err == nil && same && !u.unsets[path] && (path != u.settles || siblings < 2) {
				delete(c, path)
			}
			return err
		})
		if err != nil {
			return err
		}
		return r.checkDirections(t, fields, *u)
	}
	v, err := r.view(rec)
	if err != nil {
		return err
	}
	current := make(leaves, len(v.fields))
	for i := range v.fields {
		f := &v.fields[i]
		if len(f.removed) > 0 {
			if u.removed == nil {
				u.removed = make(map[string][]keyedObject)
			}
			u.removed[f.path] = f.removed
		}
		if f.sibling.Value != nil && !f.other && !f.rival {
			current[f.path] = f.sibling.Value
		}
	}
	seen := v.visible()
	if err := r.checkObjects(u, current, seen); err != nil {
		return err
	}
	c.keepShape(r, current, seen)
	for path, val := range c {
		if _, there := current[path]; there && seen[path] == nil && val != nil && !r.kindOf(path, val).Registers() {
			if u.hidden == nil {
				u.hidden = make(map[string]bool)
			}
			u.hidden[path] = true
		}
	}
	settled, settles := c[u.settles]
	c.dropNoOps(r, v, current, seen, u)
	if settles {
		if f := v.find(u.settles); f != nil && f.siblings > 1 {
			c[u.settles] = settled
		}
	}
	for path := range u.unsets {
		c[path] = nil
	}
	return r.checkDirections(t, fields, *u)
}

// checkOrdered refuses a value for a field of max or min that has no order.
func (r *rules) checkOrdered(path string, val []byte) error {
	if !r.mixed || lattice.Ordered(val) {
		return nil
	}
	if k := r.kind(path); k == lattice.KindMax || k == lattice.KindMin {
		return &FieldError{Field: path, Err: fmt.Errorf("a %v field holds numbers, times and strings, and the write sets a value of kind %v", k, wire.KindOf(val))}
	}
	return nil
}

// checkDirections refuses changes that go back in a field of max or min. Under a token one
// that goes on from what the reader was shown, and was overtaken since, is dropped instead:
// the field shows more than it already.
func (r *rules) checkDirections(t lattice.Table, fields []byte, u update) error {
	if !r.mixed {
		return nil
	}
	return u.changes.each(r, t, fields, func(path string, _ lattice.Kind, val, register []byte) error {
		e, ok := r.policy(path).(lattice.Extreme)
		if !ok || val == nil {
			return nil
		}
		if err := r.checkOrdered(path, val); err != nil {
			return err
		}
		now, _, err := r.shown(path, lattice.Kind(e), t, register)
		switch {
		case err != nil:
			return err
		case now == nil || bytes.Equal(now, val) || e.Beyond(val, now):
			return nil
		case u.token != nil && u.token.values[path].hash == nil:
			if read := u.token.values[path].val; read == nil || e.Beyond(val, read) {
				delete(u.changes, path)
				return nil
			}
		}
		return &FieldError{Field: path, Err: fmt.Errorf("%w: %v is written, and the %s is %v", ErrDirection, u.decode(path, val), e.Name(), u.decode(path, now))}
	})
}

// each calls use for each change by path, with the mechanism that it is for and the body
// that the fields have there. Where the value says what the mechanism is, what the others have
// is unset; and so is all that is at a path that the schema does not know.
func (c changes) each(r *rules, t lattice.Table, fields []byte, use func(path string, k lattice.Kind, val, body []byte) error) error {
	var few [8]string
	for _, path := range appendSorted(few[:0], c) {
		var body []byte
		k := r.kindOf(path, c[path])
		infers := r.infers(path)
		gone := c[path] == nil && !r.declares(path) // with what it is in, and of whatever mechanism
		there := false                              // a map may be there through what is below it alone
		for len(fields) > 0 {
			f, rest, ok := lattice.CutField(fields)
			if !ok {
				return errFieldEnds
			}
			if string(f.Name) > path {
				break
			}
			fields = rest
			if string(f.Name) != path {
				continue
			}
			there = true
			switch {
			case f.Kind == k:
				body = f.Body
			case infers && slices.Contains(inferred, f.Kind), gone && f.Kind != lattice.KindCreated:
				if now, _, err := r.shown(path, f.Kind, t, f.Body); err != nil {
					return err
				} else if now == nil {
					continue
				}
				if err := use(path, f.Kind, nil, f.Body); err != nil {
					return err
				}
			}
		}
		if gone && there && body == nil {
			continue
		}
		if err := use(path, k, c[path], body); err != nil {
			return err
		}
	}
	return nil
}

// nestedFields reports whether a field's path may lead into a map.
func nestedFields(fields []byte) bool {
	if bytes.IndexByte(fields, '.') < 0 {
		return false
	}
	for len(fields) > 0 {
		f, rest, ok := lattice.CutField(fields)
		if !ok {
			return false
		}
		if bytes.IndexByte(f.Name, '.') >= 0 {
			return true
		}
		fields = rest
	}
	return false
}

// keepShape adds what makes a reader see the changes and nothing else new: a value that
// takes the place of a map unsets all below it, what is set below a path makes a map of
// it, and what the shape hid stays hidden when that which hid it goes. current is what
// the registers show, seen is what of it the shape does not hide.
func (c changes) keepShape(r *rules, current, seen leaves) {
	want := make(leaves, len(seen)+len(c)) // what is to be seen near the changes
	set, had := r.listsIn(leaves(c)), r.listsIn(seen)
	for path, val := range seen {
		if !c.setsValueAbove(set, path) {
			want[path] = val
		}
	}
	for path, val := range c {
		if val == nil {
			delete(want, path)
		} else {
			want[path] = val
		}
	}
	above := make(map[string]bool) // the paths above those that change
	for path, val := range c {
		for p := range parents(path) {
			above[p] = true
			own, changed := c[p]
			switch {
			case val == nil, own != nil && !isMap(own): // the caller sets both: the shape rule decides, or it is a list
			case !changed && had[p]:
			default:
				want[p] = emptyMap
			}
		}
	}
	made := make(changes)
	lists := shapes{had: had, has: r.listsIn(want), seen: seen, want: want, was: make(objectIndex), is: make(objectIndex)}
	for path, val := range want {
		if _, changed := c[path]; changed || above[path] {
			made[path] = val
		}
	}
	for path := range current {
		if _, ok := want[path]; !ok && (c.setsValueAbove(set, path) || lists.uncovered(path)) {
			made[path] = nil
		}
	}
	c.keepObjects(made, set, current, seen)
	for path, val := range made {
		c[path] = val
	}
}

// keepObjects makes lists that are set and were not seen show all their objects: who saw them
// elsewhere, and leaves an object as it was, does not change its mark.
func (c changes) keepObjects(made changes, lists map[string]bool, current, seen leaves) {
	for list := range lists {
		if seen[list] != nil {
			continue
		}
		for _, o := range keyedObjects(c[list]) {
			mark := list + "." + JoinPath(o.text)
			if _, changed := c[mark]; !changed && current[mark] != nil {
				made[mark] = emptyMap
			}
		}
	}
}

// setsValueAbove reports whether the changes put a value that is no map above path.
func (c changes) setsValueAbove(lists map[string]bool, path string) bool {
	for p := range parents(path) {
		if val := c[p]; val != nil && !isMap(val) && !lists[p] {
			return true
		}
	}
	return false
}

// shapes are what was seen and what is to be seen, with the lists in them whose objects are
// fields.
type shapes struct {
	seen, want leaves
	had, has   map[string]bool // the lists' paths
	was, is    objectIndex
}

// uncovered reports whether a value that was seen above path, and hid it, is to be seen
// no more, or a list above it is to have an object that it has not now.
func (s *shapes) uncovered(path string) bool {
	for p := range parents(path) {
		if val, ok := s.seen[p]; ok && !isMap(val) && !s.had[p] && !bytes.Equal(val, s.want[p]) {
			return true
		}
	}
	if len(s.has) == 0 {
		return false
	}
	for list, key := range objectsOn(path, func(p string) bool { return s.has[p] }) {
		if s.is.has(list, s.want[list], key) && (!s.had[list] || !s.was.has(list, s.seen[list], key)) {
			return true
		}
	}
	return false
}

// nested reports whether a path may lead into a map.
func nested(c changes) bool {
	for path := range c {
		if strings.IndexByte(path, '.') >= 0 {
			return true
		}
	}
	return false
}

// dropNoOps removes changes that the record shows already. A map is there to be unset
// even where nothing but the fields below it says so; and a value that a policy computes,
// and the shape hides, is there only once it is written. What is set to one of several values
// that the shape hides is settled: of those of an object that comes again not all were reported.
func (c changes) dropNoOps(r *rules, v *view, current, seen leaves, u *update) {
	for path, val := range c {
		if k := r.kindOf(path, val); !k.Registers() {
			if u.hidden[path] {
				continue
			}
			if now := current[path]; (now == nil || r.kindOf(path, now) == k) && isNoOp(u.edit(r, path, k, now, val)) {
				delete(c, path)
			}
			continue
		}
		if val == nil && (seen[path] != nil || !r.declares(path) && v.holds(path)) {
			continue
		}
		if f := v.find(path); val != nil && f != nil && f.hidden && (f.sibling.Version.IsZero() || f.siblings > 1) {
			continue
		}
		if old, ok := current[path]; bytes.Equal(old, val) && ok == (val != nil) {
			delete(c, path)
		}
	}
}

// checkFields refuses changes that add fields and bring the record over the limit. One
// that a join took over it takes changes of what it has.
func (c changes) checkFields(fields []byte) error {
	const short = 8 // bytes; every field has more
	if len(fields)/short+len(c) <= MaxFields {
		return nil
	}
	n, known := len(c), 0
	for len(fields) > 0 {
		f, rest, ok := lattice.CutField(fields)
		if !ok {
			return fmt.Errorf("%w: field ends early", fieldwise.ErrMalformed)
		}
		fields = rest
		if _, ok := c[string(f.Name)]; ok {
			known++
		} else {
			n++
		}
	}
	if n > MaxFields && known < len(c) {
		return &fieldwise.LimitError{Limit: "fields of a record", Got: n, Max: MaxFields}
	}
	return nil
}
