package fieldmerge_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/mapstore"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

// With one region nothing is concurrent, and a domain is a map of documents.
func TestPropertyOneRegionIsAMapOfDocuments(t *testing.T) {
	schema := mixedSchema(t)
	randtest.Check(t, 1500, 2500, func(t *rapid.T) {
		host := mapstore.New(fieldwise.Origin{Region: "a", Incarnation: 1}, func() time.Time { return time.UnixMilli(1) })
		d, err := fieldmerge.OpenDocuments(host, "d", schema)
		require.NoError(t, err)
		model := make(map[string]map[string]any)
		keys := []string{"", "k", "ka", "kb", "z"}
		// check compares a call with what the model says; apply changes the model.
		check := func(receipt fieldwise.Receipt, err, want error, changes bool) {
			if want != nil {
				require.ErrorIs(t, err, want)
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, changes && want == nil, !receipt.IsZero(), "a write that changes nothing writes nothing")
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			k := rapid.SampledFrom(keys).Draw(t, "key")
			old, live := model[k]
			missing, exists := fieldwise.ErrNotFound, fieldwise.ErrExists
			if live {
				missing = nil
			} else {
				exists = nil
			}
			switch rapid.IntRange(0, 6).Draw(t, "call") {
			case 0, 1:
				doc := drawDoc(t)
				receipt, err := d.Create(ctx(), k, doc)
				check(receipt, err, exists, true)
				if !live {
					model[k] = clone(doc)
				}
			case 2:
				next := clone(old)
				if live {
					mutate(t, next)
				}
				receipt, err := d.Update(ctx(), k, func(doc map[string]any) error {
					require.Equal(t, old, doc)
					clear(doc)
					maps.Copy(doc, clone(next))
					return nil
				})
				check(receipt, err, missing, !maps.Equal(flatten(old), flatten(next)))
				if live {
					model[k] = next
				}
			case 3:
				next := clone(old)
				if live {
					mutate(t, next)
				}
				receipt, err := d.Replace(ctx(), k, old, next)
				check(receipt, err, missing, !maps.Equal(flatten(old), flatten(next)))
				if live {
					model[k] = next
				}
			case 4:
				name := rapid.SampledFrom(segments).Draw(t, "name")
				next := clone(old)
				var p fieldmerge.Patch
				if rapid.Bool().Draw(t, "unset") {
					p.Unset = []string{fieldmerge.JoinPath(name)}
					delete(next, name)
				} else {
					v := drawAny(t)
					p.Set = map[string]any{fieldmerge.JoinPath(name): v}
					if live {
						next[name] = v
					}
				}
				receipt, err := d.Patch(ctx(), k, p)
				check(receipt, err, missing, !maps.Equal(flatten(old), flatten(next)))
				if live {
					model[k] = clone(next)
				}
			case 5:
				doc := drawDoc(t)
				next := clone(old)
				if !live {
					next = make(map[string]any)
				}
				overlay(next, clone(doc))
				receipt, err := d.Upsert(ctx(), k, setting(doc))
				check(receipt, err, nil, !live || !maps.Equal(flatten(old), flatten(next)))
				model[k] = next
			case 6:
				receipt, err := d.Delete(ctx(), k)
				check(receipt, err, missing, true)
				delete(model, k)
			}
			got, err := d.Get(ctx(), k)
			if want, live := model[k]; live {
				require.NoError(t, err)
				require.Equal(t, want, got)
			} else {
				require.ErrorIs(t, err, fieldwise.ErrNotFound)
			}
		}
		for _, prefix := range []string{"", "k", "x"} {
			var want []fieldmerge.Record[map[string]any]
			for _, k := range slices.Sorted(maps.Keys(model)) {
				if len(k) >= len(prefix) && k[:len(prefix)] == prefix {
					want = append(want, fieldmerge.Record[map[string]any]{Key: k, Value: model[k]})
				}
			}
			var got []fieldmerge.Record[map[string]any]
			for document, err := range d.All(ctx(), prefix) {
				require.NoError(t, err)
				got = append(got, document)
			}
			require.Equal(t, want, got)
		}
	})
}

// setting is a change that sets what doc names.
func setting(doc map[string]any) func(map[string]any) error {
	return func(d map[string]any) error { overlay(d, clone(doc)); return nil }
}

// overlay sets what doc names; maps are laid over maps.
func overlay(into, doc map[string]any) {
	for k, v := range doc {
		if m, ok := v.(map[string]any); ok {
			if old, ok := into[k].(map[string]any); ok {
				overlay(old, m)
				continue
			}
		}
		into[k] = v
	}
}
