package main

import (
	"context"
	"fmt"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/lww"
	"github.com/fieldwise/fieldwise/regionpriority"
)

// profiles is all that this program asks of a strategy.
type profiles interface {
	Create(ctx context.Context, key string, doc record) (fieldwise.Receipt, error)
	Replace(ctx context.Context, key string, from, to record) (fieldwise.Receipt, error)
	Delete(ctx context.Context, key string) (fieldwise.Receipt, error)
	Get(ctx context.Context, key string) (record, error)
}

// documents writes what changed in a profile.
type documents struct{ *fieldmerge.Documents }

func (d documents) Delete(ctx context.Context, key string) (fieldwise.Receipt, error) {
	return d.Documents.Delete(ctx, key)
}

// wholeRecords writes a profile as one value, whatever was changed in it: what a
// service does that stores a profile as one document.
type wholeRecords struct {
	*crdt.Registers[record]
}

func (w wholeRecords) Create(ctx context.Context, key string, doc record) (fieldwise.Receipt, error) {
	return w.Put(ctx, key, doc)
}

func (w wholeRecords) Replace(ctx context.Context, key string, _, to record) (fieldwise.Receipt, error) {
	return w.Put(ctx, key, to)
}

// strategy is one way to resolve conflicts.
type strategy struct {
	Name  string // of the flag
	Title string
	Open  func(fieldwise.Host) (profiles, error)
}

const (
	domain     = "profiles"
	fieldMerge = "fieldmerge"
)

// The fields of profiles that are no values under field merge, and no lists either.
const (
	loginsPath = "stats.logins"
	pointsPath = "stats.points"
	topicsPath = "prefs.topics"
)

// isCounter reports whether people count in the field at a path, whatever a strategy makes
// of that.
func isCounter(path string) bool { return path == loginsPath || path == pointsPath }

// isSet reports whether the list at a path has each value once, in no order.
func isSet(path string) bool { return path == topicsPath }

func strategies() ([]strategy, error) {
	ranks := []fieldwise.Region{us, eu, ap} // the first prevails
	// Fields merge one by one, and so do lists and what is in them; of concurrent values of one
	// field the newest shows.
	schema, err := fieldmerge.NewDocumentSchema(
		fieldmerge.Default(fieldmerge.ByShape),
		fieldmerge.Field(loginsPath, fieldmerge.GCounter),
		fieldmerge.Field(pointsPath, fieldmerge.PNCounter),
		fieldmerge.Field(topicsPath, fieldmerge.ORSet),
	)
	if err != nil {
		return nil, err
	}
	return []strategy{
		{
			Name: "lww", Title: "last write wins",
			Open: func(h fieldwise.Host) (profiles, error) {
				d, err := lww.Open[record](h, domain)
				return wholeRecords{d}, err
			},
		},
		{
			Name: "priority", Title: "region priority",
			Open: func(h fieldwise.Host) (profiles, error) {
				d, err := regionpriority.Open[record](h, domain, ranks...)
				return wholeRecords{d}, err
			},
		},
		{
			Name: fieldMerge, Title: "field merge",
			Open: func(h fieldwise.Host) (profiles, error) {
				d, err := fieldmerge.OpenDocuments(h, domain, schema)
				return documents{d}, err
			},
		},
	}, nil
}

// choose returns the strategy of that name, or all of them for the empty name.
func choose(name string) ([]strategy, error) {
	all, err := strategies()
	if err != nil || name == "" {
		return all, err
	}
	for _, s := range all {
		if s.Name == name {
			return []strategy{s}, nil
		}
	}
	return nil, fmt.Errorf("-strategy %q: use lww, priority or fieldmerge", name)
}
