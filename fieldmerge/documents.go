package fieldmerge

import (
	"context"
	"fmt"
	"iter"

	"github.com/fieldwise/fieldwise"
)

// Documents is a set of JSON-shaped records that merge field by field: what [Domain] is
// for structs, for records whose fields are not known when the program is written. A
// document is a map[string]any of nil, bool, int64 (uint64 above the range of int64),
// float64, string, []byte, time.Time, []any and map[string]any; what is written may hold
// all other types that msgpack/v5 encodes. It is safe for concurrent use; the documents
// that it returns are the caller's.
type Documents struct {
	records
}

// OpenDocuments opens the domain name of a host under a schema.
func OpenDocuments(host fieldwise.Host, name string, schema *DocumentSchema) (*Documents, error) {
	if schema == nil || schema.rules == nil {
		return nil, failOpen(name, fmt.Errorf("%w: it is nil or empty; make one with NewDocumentSchema", ErrSchema))
	}
	records, err := openRecords(host, name, schema.rules, documentFace{schema.rules})
	if err != nil {
		return nil, err
	}
	return &Documents{records}, nil
}

// Create creates a record; a live one under the key is ErrExists. A nil document is a
// record without fields. The same key created in two regions at once is one record
// whose fields are merged.
func (d *Documents) Create(ctx context.Context, key string, doc map[string]any) (fieldwise.Receipt, error) {
	fields, err := d.rules.flatten(doc, nil)
	if err != nil {
		return fieldwise.Receipt{}, d.fail("create", key, err)
	}
	return d.writePart(ctx, "create", key, func(dst []byte, rec record, at fieldwise.Version) ([]byte, error) {
		if rec.live() {
			return nil, errExists
		}
		return d.rules.appendCreate(dst, rec, update{changes: changes(fields)}, at)
	})
}

// Update calls change with a copy of the record and writes the fields that change
// changed in it; concurrent changes of other fields stay. What changes nothing writes
// nothing: the receipt is then zero. See [Domain.Update] for how change is called.
func (d *Documents) Update(ctx context.Context, key string, change func(doc map[string]any) error, options ...WriteOption) (fieldwise.Receipt, error) {
	if change == nil {
		return fieldwise.Receipt{}, d.fail("update", key, errNilChange)
	}
	return d.update(ctx, "update", key, options, d.changed(change))
}

// changed runs a change on a copy of a live record.
func (d *Documents) changed(change func(doc map[string]any) error) makeUpdate {
	return func(rec *record) (update, error) {
		doc, before, err := d.seen(rec)
		if err != nil {
			return update{}, err
		}
		if err := change(doc); err != nil {
			return update{}, err
		}
		after, err := d.rules.flatten(doc, before)
		return update{changes: diff(before, after)}, err
	}
}

// Replace writes a new version of a record, to, against the version it was made from: see
// [Domain.Replace].
func (d *Documents) Replace(ctx context.Context, key string, from, to map[string]any) (fieldwise.Receipt, error) {
	return d.update(ctx, "replace", key, nil, func(rec *record) (update, error) {
		_, seen, err := d.seen(rec)
		if err != nil {
			return update{}, err
		}
		before, err := d.rules.flatten(from, seen)
		if err != nil {
			return update{}, fmt.Errorf("from: %w", err)
		}
		after, err := d.rules.flatten(to, seen)
		if err != nil {
			return update{}, fmt.Errorf("to: %w", err)
		}
		c := diff(before, after)
		saw := make(map[string]cell, len(c))
		for path := range c {
			saw[path] = cell{val: before[path]}
		}
		return update{changes: c, from: saw}, nil
	})
}

// Read returns a record like [Documents.Get], and a token for a later write on just that.
func (d *Documents) Read(ctx context.Context, key string) (doc map[string]any, token Token, err error) {
	err = d.read(ctx, "read", key, func(rec record) error {
		var fields leaves
		if doc, fields, err = d.seen(&rec); err != nil {
			return err
		}
		token, err = newToken(rec, fields.cells())
		return err
	})
	return doc, token, err
}

// Put writes a new version of a record, to, against what the token's reader was shown: see
// [Domain.Put].
func (d *Documents) Put(ctx context.Context, key string, token Token, to map[string]any) (fieldwise.Receipt, error) {
	return d.update(ctx, "put", key, []WriteOption{IfMatch(token)}, func(rec *record) (update, error) {
		_, seen, err := d.seen(rec)
		if err != nil {
			return update{}, err
		}
		after, err := d.rules.flatten(to, seen)
		if err != nil {
			return update{}, err
		}
		c := make(changes)
		for path, val := range after {
			if !token.values[path].same(cell{val: val}) {
				c[path] = val
			}
		}
		for path := range token.values {
			if _, ok := after[path]; !ok {
				c[path] = nil
			}
		}
		return update{changes: c, from: token.sawAll(c)}, nil
	})
}

// Upsert updates a record like [Documents.Update], or creates it from what change makes
// of an empty document.
func (d *Documents) Upsert(ctx context.Context, key string, change func(doc map[string]any) error) (fieldwise.Receipt, error) {
	if change == nil {
		return fieldwise.Receipt{}, d.fail("upsert", key, errNilChange)
	}
	return d.writePart(ctx, "upsert", key, func(dst []byte, rec record, at fieldwise.Version) ([]byte, error) {
		if rec.live() {
			return d.appendUpdate(dst, rec, nil, d.changed(change), at)
		}
		doc := make(map[string]any)
		if err := change(doc); err != nil {
			return nil, err
		}
		fields, err := d.rules.flatten(doc, nil)
		if err != nil {
			return nil, err
		}
		return d.rules.appendCreate(dst, rec, update{changes: changes(fields)}, at)
	})
}

// Get returns a record as the policies show it, or ErrNotFound.
func (d *Documents) Get(ctx context.Context, key string) (doc map[string]any, err error) {
	err = d.read(ctx, "get", key, func(rec record) error {
		doc, err = d.document(rec)
		return err
	})
	return doc, err
}

// seen is what readers see of a live record: as a document, and its fields. The record is
// whole then.
func (d *Documents) seen(rec *record) (map[string]any, leaves, error) {
	*rec = rec.whole()
	v, err := d.rules.view(*rec)
	if err != nil {
		return nil, nil, err
	}
	doc, err := v.document()
	if err != nil {
		return nil, nil, err
	}
	fields, err := d.rules.flatten(doc, v.visible())
	return doc, fields, err
}

func (d *Documents) document(rec record) (map[string]any, error) {
	v, err := d.rules.view(rec)
	if err != nil {
		return nil, err
	}
	return v.document()
}

// All yields the live records whose keys start with prefix, in the byte order of their
// keys: see [Domain.All].
func (d *Documents) All(ctx context.Context, prefix string) iter.Seq2[Record[map[string]any], error] {
	return all(ctx, &d.records, prefix, d.document)
}
