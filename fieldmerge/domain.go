package fieldmerge

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
)

// Domain is a set of records of Go type T that merge field by field. It is safe for
// concurrent use; the values that it returns are the caller's.
type Domain[T any] struct {
	records
	plan *plan
}

// Open opens the domain name of a host, usually a replog.Replica, under a schema.
func Open[T any](host fieldwise.Host, name string, schema *Schema[T]) (*Domain[T], error) {
	if schema == nil || schema.plan == nil {
		return nil, failOpen(name, fmt.Errorf("%w: it is nil or empty; make one with NewSchema", ErrSchema))
	}
	records, err := openRecords(host, name, schema.rules, structFace{schema.plan, schema.rules})
	if err != nil {
		return nil, err
	}
	return &Domain[T]{records: records, plan: schema.plan}, nil
}

// Create creates a record; a live one under the key is ErrExists. Fields with the zero
// value of their type are not written, and read as zero; a pointer to a zero value is
// written. The same key created in two regions at once is one record whose fields are
// merged.
func (d *Domain[T]) Create(ctx context.Context, key string, v T) (fieldwise.Receipt, error) {
	img, err := d.plan.image(reflect.ValueOf(&v).Elem())
	if err != nil {
		return fieldwise.Receipt{}, d.fail("create", key, err)
	}
	u, err := d.plan.created(img)
	if err != nil {
		return fieldwise.Receipt{}, d.fail("create", key, err)
	}
	return d.writePart(ctx, "create", key, func(dst []byte, rec record, at fieldwise.Version) ([]byte, error) {
		if rec.live() {
			return nil, errExists
		}
		return d.rules.appendCreate(dst, rec, u, at)
	})
}

// Update calls change with a copy of the record and writes the fields that change changed
// in it; concurrent changes of other fields stay. A field that is set to the zero value is
// written, a pointer that is set to nil is unset. What changes nothing writes nothing: the
// receipt is then zero. An error of change is returned wrapped, and nothing is written.
//
// One update of a key runs at a time. change sees the newest state, which may not be durable
// yet; Update returns when that is, too. change may be called again, must have no effect
// outside its argument, and must not write to a domain (ErrNested). It is called twice on a
// record that is kept open (see [Merger.Open]) if the first call shows that all of a large
// field is needed. A record that is not live is ErrNotFound. Fields whose stored value does not fit the Go type are zero, and stay
// as they are unless change sets them.
func (d *Domain[T]) Update(ctx context.Context, key string, change func(*T) error, options ...WriteOption) (fieldwise.Receipt, error) {
	if change == nil {
		return fieldwise.Receipt{}, d.fail("update", key, errNilChange)
	}
	return d.update(ctx, "update", key, options, d.changed(change))
}

var errNilChange = errors.New("fieldmerge: the change is a nil function; pass one that changes its argument")

// changed is the update that a change makes of a copy of a live record.
func (d *Domain[T]) changed(change func(*T) error) makeUpdate {
	return func(rec *record) (update, error) {
		if !d.plan.holds(*rec) {
			*rec = rec.whole()
		}
		return d.change(*rec, change)
	}
}

func (d *Domain[T]) change(rec record, change func(*T) error) (update, error) {
	rd, err := d.plan.read(d.rules, rec)
	if err != nil {
		return update{}, err
	}
	v := new(T)
	rv := reflect.ValueOf(v).Elem()
	d.plan.root.fill(rd, "", rv)
	before, err := d.plan.image(rv)
	if err != nil {
		return update{}, err
	}
	if err := change(v); err != nil {
		return update{}, err
	}
	after, err := d.plan.image(rv)
	if err != nil {
		return update{}, err
	}
	if err := after.checkBonds(d.plan, before); err != nil {
		return update{}, err
	}
	u := d.plan.turn(rd, before, after)
	u.changes.unsetMaps(rd)
	return u, nil
}

// turn is the update that makes of a record what differs between two images.
func (p *plan) turn(rd *reading, before, after *image) update {
	c := after.changes(p, before, func(path string) []byte { return rd.stored(p, path) })
	u := update{changes: c, unsets: p.unsets(c, rd)}
	if p.mixed {
		u.note(p, before, after)
	}
	return u
}

// note adds what fields of mechanisms other than the register need of two images.
func (u *update) note(p *plan, before, after *image) {
	u.from, u.intents = make(map[string]cell), make(map[string][]lattice.Intent)
	add := func(path string, was, c cell) {
		if _, ok := u.changes[path]; !ok {
			return
		}
		u.from[path] = was
		if c.acted() {
			u.intents[path] = c.held.Intents
		}
	}
	for i, at := range p.places {
		if !at.register.Registers() {
			add(at.rel, before.slots[i], after.slots[i])
		}
	}
	for path, c := range after.entries {
		add(path, before.entries[path], c)
	}
	for path, was := range before.entries {
		add(path, was, after.entries[path])
	}
}

// unsets lists what the changes unset that shows and is not stored in its place: in a
// former one, or as the members of a group that was never written.
func (p *plan) unsets(c changes, rd *reading) map[string]bool {
	var all map[string]bool
	for path, val := range c {
		if val != nil {
			continue
		}
		if t, err := p.find(path); err == nil && t.showsFormer(rd) {
			if all == nil {
				all = make(map[string]bool)
			}
			all[path] = true
		}
	}
	return all
}

// unsetMaps makes changes that unset a map unset all below it, too, what only other
// releases know of included.
func (c changes) unsetMaps(rd *reading) {
	if rd.view == nil {
		return
	}
	for path, val := range c {
		if val != nil {
			continue
		}
		for i := rd.view.firstBelow(path); i < len(rd.view.fields) && isBelow(rd.view.fields[i].path, path); i++ {
			c[rd.view.fields[i].path] = nil
		}
	}
}

// created are the fields that a new record of the image has.
func (p *plan) created(img *image) (update, error) {
	none := &image{slots: make([]cell, len(img.slots))}
	u := update{changes: img.changes(p, none, func(string) []byte { return nil }).addMarkers()}
	if !p.mixed {
		return u, nil
	}
	u.note(p, none, img)
	return u, img.checkBonds(p, none)
}

// Replace writes a new version of a record, to, against the version it was made from:
// the fields in which the two differ are written, all others stay as they are now. A
// field that differs is written even if it changed here since from was read: the region
// knew of that change, so it counts as overwritten knowingly and is not reported. [Domain.Put]
// refuses instead. There is no call that takes the new version alone, since that would
// put back every field that changed since the caller read it. A record that is not live is
// ErrNotFound.
func (d *Domain[T]) Replace(ctx context.Context, key string, from, to T) (fieldwise.Receipt, error) {
	before, err := d.plan.image(reflect.ValueOf(&from).Elem())
	if err != nil {
		return fieldwise.Receipt{}, d.fail("replace", key, fmt.Errorf("from: %w", err))
	}
	after, err := d.plan.image(reflect.ValueOf(&to).Elem())
	if err != nil {
		return fieldwise.Receipt{}, d.fail("replace", key, fmt.Errorf("to: %w", err))
	}
	return d.update(ctx, "replace", key, nil, func(rec *record) (update, error) {
		rd, err := d.plan.read(d.rules, *rec)
		if err != nil {
			return update{}, err
		}
		return d.plan.turn(rd, before.onlyValues(), after.onlyValues()), nil
	})
}

// Read returns a record like [Domain.Get], and a token for a later write on just that.
func (d *Domain[T]) Read(ctx context.Context, key string) (v T, token Token, err error) {
	var wrong error
	err = d.read(ctx, "read", key, func(rec record) error {
		if wrong, err = d.into(&v, rec); err != nil {
			return err
		}
		img, err := d.plan.image(reflect.ValueOf(&v).Elem())
		if err != nil {
			return err
		}
		token, err = newToken(rec, img.values(d.plan))
		return err
	})
	if err == nil {
		err = d.fail("read", key, wrong)
	}
	return v, token, err
}

// Put writes a new version of a record, to, against what the token's reader was shown: the
// fields in which the two differ are written under the rules of [IfMatch], all others stay
// as they are now.
func (d *Domain[T]) Put(ctx context.Context, key string, token Token, to T) (fieldwise.Receipt, error) {
	after, err := d.plan.image(reflect.ValueOf(&to).Elem())
	if err != nil {
		return fieldwise.Receipt{}, d.fail("put", key, err)
	}
	return d.update(ctx, "put", key, []WriteOption{IfMatch(token)}, func(rec *record) (update, error) {
		rd, err := d.plan.read(d.rules, *rec)
		if err != nil {
			return update{}, err
		}
		return d.plan.turn(rd, token.image(d.plan), after.onlyValues()), nil
	})
}

// Upsert updates a record like [Domain.Update], or creates it like [Domain.Create] from
// what change makes of the zero value.
func (d *Domain[T]) Upsert(ctx context.Context, key string, change func(*T) error) (fieldwise.Receipt, error) {
	if change == nil {
		return fieldwise.Receipt{}, d.fail("upsert", key, errNilChange)
	}
	return d.writePart(ctx, "upsert", key, func(dst []byte, rec record, at fieldwise.Version) ([]byte, error) {
		if rec.live() {
			return d.appendUpdate(dst, rec, nil, d.changed(change), at)
		}
		v := new(T)
		if err := change(v); err != nil {
			return nil, err
		}
		img, err := d.plan.image(reflect.ValueOf(v).Elem())
		if err != nil {
			return nil, err
		}
		u, err := d.plan.created(img)
		if err != nil {
			return nil, err
		}
		return d.rules.appendCreate(dst, rec, u, at)
	})
}

// Get returns a record as the policies show it, or ErrNotFound. Where a stored value does
// not fit the Go type of its field, as between two releases of which one changed the type,
// the record comes with an error that matches [ErrField]: the fields it names are zero,
// all others are good.
func (d *Domain[T]) Get(ctx context.Context, key string) (v T, err error) {
	var wrong error
	err = d.read(ctx, "get", key, func(rec record) error {
		wrong, err = d.into(&v, rec)
		return err
	})
	if err == nil {
		err = d.fail("get", key, wrong)
	}
	return v, err
}

// into makes *v, which is zero, what readers see of a live record. misfit, which matches
// ErrField, says what does not fit.
func (d *Domain[T]) into(v *T, rec record) (misfit, err error) {
	rd, err := d.plan.read(d.rules, rec)
	if err != nil {
		return nil, err
	}
	d.plan.root.fill(rd, "", reflect.ValueOf(v).Elem())
	if len(rd.errs) > 0 {
		all := make([]error, len(rd.errs))
		for i, e := range rd.errs {
			all[i] = e
		}
		misfit = fmt.Errorf("%w\n%w", errMisfit, errors.Join(all...))
	}
	return misfit, nil
}

// value is a live record as a T; an error that matches ErrField comes with it.
func (d *Domain[T]) value(rec record) (v T, err error) {
	misfit, err := d.into(&v, rec)
	if err == nil {
		err = misfit
	}
	return v, err
}

var errMisfit = errors.New("these fields do not fit their Go types and are zero here; write them anew, or give them the types they had")

// All yields the live records whose keys start with prefix, in the byte order of their
// keys. Each record is read when it is its turn: the sequence is no snapshot of the
// domain, a record that comes or goes meanwhile may be in it or not, and each is as
// [Domain.Get] would return it at that moment. A record with fields that do not fit
// comes with its error; any other error ends the sequence.
func (d *Domain[T]) All(ctx context.Context, prefix string) iter.Seq2[Record[T], error] {
	return all(ctx, &d.records, prefix, d.value)
}
