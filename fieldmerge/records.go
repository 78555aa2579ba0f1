package fieldmerge

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
)

// records are the records of a domain as they are stored: what [Domain] and [Documents]
// have in common.
type records struct {
	name  string
	store fieldwise.Store
	open  fieldwise.OpenStore // the store, if it has that power
	rules *rules
	face  face
}

// face is what a record looks like to the program: a Go struct, or a document.
type face interface {
	// decode is a field's value as the program has it.
	decode(path string, val []byte) any
	// standing is what the schema knows of a path.
	standing(path string) standing
	// set are the changes that set one field of a live record, and the register that they
	// are about.
	set(rec record, path string, v any) (c changes, register string, err error)
	// misfits lists what of a live record does not fit the schema.
	misfits(rec record) ([]*FieldError, error)
}

func openRecords(host fieldwise.Host, name string, r *rules, f face) (records, error) {
	if host == nil {
		return records{}, failOpen(name, errNilHost)
	}
	store, err := host.Domain(name, Merger{rules: r})
	if err != nil {
		return records{}, failOpen(name, err)
	}
	open, _ := store.(fieldwise.OpenStore)
	return records{name: name, store: store, open: open, rules: r, face: f}, nil
}

// Record is one record of a domain with its key.
type Record[V any] struct {
	Key   string
	Value V
}

// WriteOption is a condition of a write.
type WriteOption func(*writeOptions)

type writeOptions struct {
	conditional bool
	token       Token
}

// IfMatch makes a write on what the token's reader was shown. If this region changed one of
// the fields that the write changes since then, nothing is written and the error is a
// [ChangedError]; what another region wrote to them since is not replaced but stays
// beside the new value, as if the two had been written at the same time.
func IfMatch(t Token) WriteOption {
	return func(o *writeOptions) { o.conditional, o.token = true, t }
}

// optionsOf returns what the options say, nil for none.
func optionsOf(options []WriteOption) *writeOptions {
	if len(options) == 0 {
		return nil
	}
	o := &writeOptions{}
	for _, set := range options {
		set(o)
	}
	return o
}

// shown is what the token says that the writer was shown, by path; nil without one.
func (o *writeOptions) shown() map[string]cell {
	if o == nil {
		return nil
	}
	return o.token.values
}

// tokenFor returns the token that a write is made on, nil for none.
func (o *writeOptions) tokenFor(rec record) (*Token, error) {
	switch {
	case o == nil || !o.conditional:
		return nil, nil
	case o.token.IsZero():
		return nil, fmt.Errorf("%w: the zero Token says nothing; use one that Read returned", ErrToken)
	case o.token.life != rec.life:
		return nil, &ChangedError{Recreated: true}
	}
	return &o.token, nil
}

// Delete deletes a record; one that is not live is ErrNotFound. A delete wins over
// updates that do not know of it; each region reports what it drops. Under [IfMatch] it
// deletes only what the token's reader was shown: changes of this region since are a
// ChangedError, those of other regions are dropped and reported.
func (d *records) Delete(ctx context.Context, key string, options ...WriteOption) (fieldwise.Receipt, error) {
	o := optionsOf(options)
	return d.writePart(ctx, "delete", key, func(dst []byte, rec record, at fieldwise.Version) ([]byte, error) {
		if !rec.live() {
			return nil, fieldwise.ErrNotFound
		}
		token, err := o.tokenFor(rec)
		if err != nil {
			return nil, err
		}
		t, fields, err := rec.fields()
		if err != nil {
			return nil, err
		}
		if token != nil {
			var changed []string
			created := false
			for rest := fields; len(rest) > 0; {
				f, after, ok := lattice.CutField(rest)
				if !ok {
					return nil, errFieldEnds
				}
				if rest = after; !token.missed(t, f.Kind, f.Body, at.Origin.Region) {
					continue
				}
				if f.Kind == lattice.KindCreated {
					created = true
				} else {
					changed = append(changed, string(f.Name))
				}
			}
			if created || len(changed) > 0 {
				return nil, d.rules.changedError(rec, changed, update{token: token, decode: d.face.decode})
			}
		}
		return appendDelete(dst, rec, t, fields, at, token)
	})
}

// Len counts the live records. One that comes or goes meanwhile may count or not. It looks
// at the key of every one: its cost grows with the domain.
func (d *records) Len(ctx context.Context) (n int, err error) {
	for _, err := range d.store.Keys(ctx, "") {
		if err != nil {
			return 0, d.failAll("count", err)
		}
		n++
	}
	return n, nil
}

// Siblings lists the values of one field of a live record that were written without
// knowledge of each other, oldest first, whatever the policy shows: one where there is no
// conflict, none where nothing was ever written at the path. Values have the field's Go
// type or, where the path is not in the schema or the value of another type, the form
// that a JSON-shaped record has. For a field of a group they are those of the group, maps
// of all its fields. Shown is set where a reader sees the value; where a policy computed
// what is shown, it is set nowhere.
func (d *records) Siblings(ctx context.Context, key, path string) (all []Sibling[any], err error) {
	err = d.store.Read(ctx, key, func(state []byte) error {
		rec, err := liveRecord(state)
		if err != nil {
			return err
		}
		t, fields, err := rec.fields()
		if err != nil {
			return err
		}
		path = d.register(fields, path)
		v, err := d.rules.view(rec)
		if err != nil {
			return err
		}
		shown := v.find(path)
		if shown == nil {
			return nil
		}
		siblings, err := lattice.Read(nil, shown.kind, t, lattice.FindField(fields, path, shown.kind))
		if err != nil {
			return err
		}
		shown.leaveOutRemoved(siblings)
		for _, s := range siblings {
			one := Sibling[any]{Version: s.Version, Absent: s.Value == nil}
			if s.Value != nil {
				one.Value = d.face.decode(path, bytes.Clone(s.Value))
			}
			one.Shown = !shown.hidden && lattice.SameValue(s, shown.sibling)
			all = append(all, one)
		}
		return nil
	})
	return all, d.fail("siblings of", key, err)
}

// register is where the field at a path is stored: elsewhere if it is in a group, or was
// given another name, and has been written there.
func (d *records) register(fields []byte, path string) string {
	if now := d.face.standing(path).now; now != "" && lattice.FindField(fields, now, d.rules.kind(now)) != nil {
		return now
	}
	return path
}

// liveRecord takes the state of a record apart that has to be live.
func liveRecord(state []byte) (record, error) {
	rec, err := cutRecord(state)
	if err == nil && !rec.live() {
		err = fieldwise.ErrNotFound
	}
	return rec, err
}

func (d *records) read(ctx context.Context, doing, key string, use func(record) error) error {
	err := d.store.Read(ctx, key, func(state []byte) error {
		rec, err := liveRecord(state)
		if err != nil {
			return err
		}
		return use(rec)
	})
	return d.fail(doing, key, err)
}

// writePart makes a change that may be given a record with a part of what is large in it.
func (d *records) writePart(ctx context.Context, doing, key string, change func(dst []byte, rec record, at fieldwise.Version) ([]byte, error)) (receipt fieldwise.Receipt, err error) {
	onState := func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
		rec, err := cutRecord(state)
		if err != nil {
			return nil, err
		}
		return change(dst, rec, at)
	}
	if d.open == nil {
		receipt, err = d.store.Write(ctx, key, onState)
	} else {
		receipt, err = d.open.WriteOpen(ctx, key, func(dst, state []byte, open fieldwise.Opened, at fieldwise.Version) ([]byte, error) {
			if o, ok := open.(*opened); ok {
				return change(dst, o.record(), at)
			}
			return onState(dst, state, at)
		})
	}
	return receipt, d.fail(doing, key, err)
}

// makeUpdate is what makes an update of a live record. It may be given one with a part of
// what is large in it, and may take the whole one instead.
type makeUpdate func(rec *record) (update, error)

// update writes to a live record what change makes of it.
func (d *records) update(ctx context.Context, doing, key string, options []WriteOption, change makeUpdate) (fieldwise.Receipt, error) {
	o := optionsOf(options)
	return d.writePart(ctx, doing, key, func(dst []byte, rec record, at fieldwise.Version) ([]byte, error) {
		if !rec.live() {
			return nil, errAbsent
		}
		return d.appendUpdate(dst, rec, o, change, at)
	})
}

// appendUpdate appends the delta of an update of a live record, which may have a part of what
// is large in it.
func (d *records) appendUpdate(dst []byte, rec record, o *writeOptions, change makeUpdate, at fieldwise.Version) ([]byte, error) {
	token, err := o.tokenFor(rec)
	if err != nil {
		return nil, err
	}
	u, err := change(&rec)
	if err != nil {
		return nil, err
	}
	rec, enough := rec.forUpdate(u)
	if !enough {
		rec = rec.whole()
		if u, err = change(&rec); err != nil {
			return nil, err
		}
	}
	u.token, u.decode = token, d.face.decode
	return d.rules.appendUpdate(dst, rec, u, at)
}

// all yields the live records whose keys start with prefix.
func all[V any](ctx context.Context, d *records, prefix string, read func(rec record) (V, error)) iter.Seq2[Record[V], error] {
	return func(yield func(Record[V], error) bool) {
		for key, err := range d.store.Keys(ctx, prefix) {
			if err != nil {
				yield(Record[V]{}, d.failAll("list", err))
				return
			}
			one, live := Record[V]{Key: key}, false
			err = d.store.Read(ctx, key, func(state []byte) error {
				rec, err := cutRecord(state)
				if live = rec.live(); err != nil || !live {
					return err // deleted since it was listed
				}
				one.Value, err = read(rec)
				return err
			})
			if err == nil && !live {
				continue
			}
			if !yield(one, d.fail("read", key, err)) || err != nil && !isFieldError(err) {
				return
			}
		}
	}
}
