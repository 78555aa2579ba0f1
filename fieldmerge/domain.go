package fieldmerge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
)

// Domain is a set of JSON-shaped records that merge field by field. It is safe for
// concurrent use; the documents that it returns are the caller's.
type Domain struct {
	name   string
	store  fieldwise.Store
	schema *Schema
}

// Document is one record of a domain with its key. Fields holds nil, bool, int64
// (uint64 above the range of int64), float64, string, []byte, time.Time, []any and
// map[string]any.
type Document struct {
	Key    string
	Fields map[string]any
}

// Open opens the domain name of a host under a schema.
func Open(host fieldwise.Host, name string, schema *Schema) (*Domain, error) {
	if schema == nil {
		return nil, fmt.Errorf("%w: nil; make one with NewSchema", ErrSchema)
	}
	store, err := host.Domain(name, schema.Merger())
	if err != nil {
		return nil, err
	}
	return &Domain{name: name, store: store, schema: schema}, nil
}

// Create creates a record; a live one under the key is ErrExists. A nil document is a
// record without fields. The same key created in two regions at once is one record
// whose fields are merged.
func (d *Domain) Create(ctx context.Context, key string, doc map[string]any) (fieldwise.Receipt, error) {
	fields, err := flatten(doc)
	if err != nil {
		return fieldwise.Receipt{}, d.fail("create", key, err)
	}
	return d.write(ctx, "create", key, func(dst []byte, r record, at fieldwise.Version) ([]byte, error) {
		if r.live() {
			return nil, fieldwise.ErrExists
		}
		return appendCreate(dst, r, fields, at)
	})
}

// Update calls change with a copy of the record and writes the fields that change
// changed in it; concurrent changes of other fields stay. What changes nothing writes
// nothing: the receipt is then zero. An error of change is returned wrapped, and nothing
// is written. change may be called again, must have no effect outside its
// argument, and must not call the domain. A record that is not live is ErrNotFound.
func (d *Domain) Update(ctx context.Context, key string, change func(doc map[string]any) error) (fieldwise.Receipt, error) {
	return d.update(ctx, "update", key, func(r record) (changes, error) {
		doc, err := d.schema.document(r)
		if err != nil {
			return nil, err
		}
		before, err := flatten(doc)
		if err != nil {
			return nil, err
		}
		if err := change(doc); err != nil {
			return nil, err
		}
		after, err := flatten(doc)
		if err != nil {
			return nil, err
		}
		return diff(before, after), nil
	})
}

// Patch sets and unsets single fields of a record; one that is not live is ErrNotFound.
func (d *Domain) Patch(ctx context.Context, key string, p Patch) (fieldwise.Receipt, error) {
	return d.update(ctx, "patch", key, func(r record) (changes, error) {
		all, _, err := d.schema.resolve(r)
		if err != nil {
			return nil, err
		}
		root, err := tree(all)
		if err != nil {
			return nil, err
		}
		current := make(leaves, len(all))
		for _, f := range all {
			current[f.path] = f.sibling.Value
		}
		root.addTo(current, nil) // maps that only the fields below them tell of
		return p.changes(current)
	})
}

// Replace writes a new version of a record, to, against the version it was made from:
// the fields in which the two differ are written, all others stay as they are now. A
// field that differs is written even if it changed here since from was read: the region
// knew of that change, so it counts as overwritten knowingly and is not reported.
// There is no call that takes the new version alone, since that would put back every
// field that changed since the caller read it. A record that is not live is
// ErrNotFound.
func (d *Domain) Replace(ctx context.Context, key string, from, to map[string]any) (fieldwise.Receipt, error) {
	before, err := flatten(from)
	if err != nil {
		return fieldwise.Receipt{}, d.fail("replace", key, fmt.Errorf("from: %w", err))
	}
	after, err := flatten(to)
	if err != nil {
		return fieldwise.Receipt{}, d.fail("replace", key, fmt.Errorf("to: %w", err))
	}
	return d.update(ctx, "replace", key, func(record) (changes, error) { return diff(before, after), nil })
}

// Upsert creates the record, or sets the given fields of a live one; fields that doc
// does not name stay.
func (d *Domain) Upsert(ctx context.Context, key string, doc map[string]any) (fieldwise.Receipt, error) {
	fields, err := flatten(doc)
	if err != nil {
		return fieldwise.Receipt{}, d.fail("upsert", key, err)
	}
	return d.write(ctx, "upsert", key, func(dst []byte, r record, at fieldwise.Version) ([]byte, error) {
		if !r.live() {
			return appendCreate(dst, r, fields, at)
		}
		return d.schema.appendUpdate(dst, r, diff(nil, fields), at)
	})
}

// Delete deletes a record; one that is not live is ErrNotFound. A delete wins over
// updates that do not know of it; each region reports what it drops.
func (d *Domain) Delete(ctx context.Context, key string) (fieldwise.Receipt, error) {
	m := d.schema.Merger()
	receipt, err := d.store.Write(ctx, key, func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
		if !m.Live(state) {
			return nil, fieldwise.ErrNotFound
		}
		return m.Delete(dst, state, at)
	})
	return receipt, d.fail("delete", key, err)
}

// Get returns a record as the policies show it, or ErrNotFound.
func (d *Domain) Get(ctx context.Context, key string) (map[string]any, error) {
	doc, live, err := d.read(ctx, key)
	if err == nil && !live {
		err = fieldwise.ErrNotFound
	}
	return doc, d.fail("get", key, err)
}

// Siblings lists the values of one field of a live record that were written without
// knowledge of each other, oldest first, whatever the policy shows: one where there is no
// conflict, none where nothing was ever written at the path. crdt.DecodeValue decodes
// them; they are the caller's.
func (d *Domain) Siblings(ctx context.Context, key, path string) ([]fieldwise.Sibling, error) {
	var all []fieldwise.Sibling
	err := d.store.Read(ctx, key, func(state []byte) error {
		r, err := cutRecord(state)
		if err != nil {
			return err
		}
		if !r.live() {
			return fieldwise.ErrNotFound
		}
		t, fields, err := r.fields()
		if err != nil {
			return err
		}
		all, err = lattice.Siblings(nil, t, bytes.Clone(lattice.FindField(fields, path, lattice.KindRegister)))
		return err
	})
	return all, d.fail("siblings of", key, err)
}

// All yields the live records whose keys start with prefix, in the byte order of their
// keys. Each record is read when it is its turn: the sequence is not a snapshot of the
// domain. An error ends it.
func (d *Domain) All(ctx context.Context, prefix string) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for key, err := range d.store.Keys(ctx, prefix) {
			var doc map[string]any
			live := true
			if err == nil {
				doc, live, err = d.read(ctx, key)
			}
			if !live && err == nil {
				continue // deleted since it was listed
			}
			if !yield(Document{Key: key, Fields: doc}, d.fail("read", key, err)) || err != nil {
				return
			}
		}
	}
}

func (d *Domain) read(ctx context.Context, key string) (doc map[string]any, live bool, err error) {
	err = d.store.Read(ctx, key, func(state []byte) error {
		r, err := cutRecord(state)
		if live = r.live(); err != nil || !live {
			return err
		}
		doc, err = d.schema.document(r)
		return err
	})
	return doc, live, err
}

// update writes changes to a live record.
func (d *Domain) update(ctx context.Context, doing, key string, change func(record) (changes, error)) (fieldwise.Receipt, error) {
	return d.write(ctx, doing, key, func(dst []byte, r record, at fieldwise.Version) ([]byte, error) {
		if !r.live() {
			return nil, fieldwise.ErrNotFound
		}
		c, err := change(r)
		if err != nil {
			return nil, err
		}
		return d.schema.appendUpdate(dst, r, c, at)
	})
}

func (d *Domain) write(ctx context.Context, doing, key string, change func(dst []byte, r record, at fieldwise.Version) ([]byte, error)) (fieldwise.Receipt, error) {
	receipt, err := d.store.Write(ctx, key, func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
		r, err := cutRecord(state)
		if err != nil {
			return nil, err
		}
		return change(dst, r, at)
	})
	return receipt, d.fail(doing, key, err)
}

func (d *Domain) fail(doing, key string, err error) error {
	if err == nil {
		return nil
	}
	if limit := (*fieldwise.LimitError)(nil); errors.As(err, &limit) {
		limit.Key = key
	}
	return fmt.Errorf("%s: %s %.80q: %w", d.name, doing, key, err)
}
