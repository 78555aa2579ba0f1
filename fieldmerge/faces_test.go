package fieldmerge_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/internal/value"
)

func decodeInto(t require.TestingT, encoded string, v reflect.Value) {
	require.NoError(t, value.Decode([]byte(encoded), v.Addr().Interface()))
}

// twin is a region twice: once behind a domain of structs and once behind one of documents.
type twin struct {
	typed, plain *stepped
	structs      *fieldmerge.Domain[Wide]
	documents    *fieldmerge.Documents
	reads        []faceRead
}

type faceRead struct {
	v            Wide
	doc          map[string]any
	typed, plain fieldmerge.Token
}

func wideOptions() []fieldmerge.Option {
	return []fieldmerge.Option{fieldmerge.Ranks("c", "a"), fieldmerge.Custom("tier", higherTier)}
}

// Whether a struct or a document is written, through whatever call, the bytes are the
// same, and so are the conflicts.
func TestPropertyStructsAndDocumentsAreStoredAlike(t *testing.T) {
	schema, err := fieldmerge.NewSchema[Wide](wideOptions()...)
	require.NoError(t, err)
	documents := newSchema(t, append(append(strategiesOf(reflect.TypeFor[Wide]()), wideOptions()...), fieldmerge.Default(fieldmerge.LWW))...)
	randtest.Check(t, 1000, 4000, func(t *rapid.T) {
		faces := make([]*twin, rapid.IntRange(2, 3).Draw(t, "regions"))
		for i := range faces {
			name := []fieldwise.Region{"a", "b", "c"}[i]
			f := &twin{typed: newStepped(schema.Merger(), name, 1), plain: newStepped(documents.Merger(), name, 1)}
			f.structs, err = fieldmerge.Open(f.typed, "d", schema)
			require.NoError(t, err)
			f.documents, err = fieldmerge.OpenDocuments(f.plain, "d", documents)
			require.NoError(t, err)
			faces[i] = f
		}
		var deltas [][]byte
		for range rapid.IntRange(2, 14).Draw(t, "steps") {
			f := faces[rapid.IntRange(0, len(faces)-1).Draw(t, "region")]
			if rapid.IntRange(0, 2).Draw(t, "step") == 0 {
				from := faces[rapid.IntRange(0, len(faces)-1).Draw(t, "from")]
				arrives := from.typed.State
				if len(deltas) > 0 && rapid.Bool().Draw(t, "delta") {
					arrives = deltas[rapid.IntRange(0, len(deltas)-1).Draw(t, "which")]
				}
				if len(arrives) > 0 {
					require.Equal(t, f.plain.join(t, arrives), f.typed.join(t, arrives))
				}
			} else if f.step(t) {
				deltas = append(deltas, f.typed.delta)
			}
			require.Equal(t, f.plain.State, f.typed.State)
			f.showsAlike(t)
		}
	})
}

// showsAlike demands that both faces show the same.
func (f *twin) showsAlike(t *rapid.T) {
	got, err := f.structs.Get(ctx(), key)
	doc, errDoc := f.documents.Get(ctx(), key)
	require.Equal(t, errors.Is(errDoc, fieldwise.ErrNotFound), errors.Is(err, fieldwise.ErrNotFound))
	if err != nil {
		require.ErrorIs(t, err, fieldwise.ErrNotFound)
		return
	}
	require.NoError(t, errDoc)
	var want Wide
	structOfDoc(t, doc, reflect.ValueOf(&want).Elem())
	require.Equal(t, want, got)
}

// step makes one write through both faces, and reports whether it wrote something.
func (f *twin) step(t *rapid.T) bool {
	f.typed.time = max(f.typed.time, fieldwise.Timestamp(rapid.IntRange(1, 20).Draw(t, "clock")))
	f.plain.time = f.typed.time
	shown, err := f.structs.Get(ctx(), key)
	live := err == nil
	if live && rapid.Bool().Draw(t, "read") {
		var r faceRead
		r.v, r.typed, err = f.structs.Read(ctx(), key)
		require.NoError(t, err)
		r.doc, r.plain, err = f.documents.Read(ctx(), key)
		require.NoError(t, err)
		f.reads = append(f.reads, r)
	}
	k := rapid.IntRange(0, 11).Draw(t, "write")
	if !live && k > 1 {
		k = 0
	}
	var receipt, other fieldwise.Receipt
	var errDoc error
	switch {
	case k == 0 || k == 1:
		v := drawStruct(t, Wide{}, false)
		receipt, err = f.structs.Create(ctx(), key, v)
		other, errDoc = f.documents.Create(ctx(), key, docOfStruct(v))
	case k == 2:
		receipt, err = f.structs.Delete(ctx(), key)
		other, errDoc = f.documents.Delete(ctx(), key)
	case k < 6:
		to := drawStruct(t, shown, false)
		receipt, err = f.structs.Update(ctx(), key, func(p *Wide) error { *p = to; return nil })
		other, errDoc = f.documents.Update(ctx(), key, func(doc map[string]any) error {
			docDiff(doc, reflect.ValueOf(shown), reflect.ValueOf(to))
			return nil
		})
	case k == 6:
		to := drawStruct(t, shown, false)
		receipt, err = f.structs.Upsert(ctx(), key, func(p *Wide) error { *p = to; return nil })
		other, errDoc = f.documents.Upsert(ctx(), key, func(doc map[string]any) error {
			docDiff(doc, reflect.ValueOf(shown), reflect.ValueOf(to))
			return nil
		})
	case k < 9:
		p := patchOf(shown, drawStruct(t, shown, false))
		doc := fieldmerge.Patch{Set: make(map[string]any), Unset: p.Unset}
		for path, v := range p.Set {
			doc.Set[path] = patchValue(v)
		}
		receipt, err = f.structs.Patch(ctx(), key, p)
		other, errDoc = f.documents.Patch(ctx(), key, doc)
	default:
		if len(f.reads) == 0 {
			return false
		}
		r := f.reads[rapid.IntRange(0, len(f.reads)-1).Draw(t, "which")]
		to := drawStruct(t, r.v, true)
		doc := clone(r.doc)
		docDiff(doc, reflect.ValueOf(r.v), reflect.ValueOf(to))
		if k < 10 {
			receipt, err = f.structs.Replace(ctx(), key, r.v, to)
			other, errDoc = f.documents.Replace(ctx(), key, r.doc, doc)
			break
		}
		receipt, err = f.structs.Put(ctx(), key, r.typed, to)
		other, errDoc = f.documents.Put(ctx(), key, r.plain, doc)
		var a, b *fieldmerge.ChangedError
		require.Equal(t, errors.As(errDoc, &b), errors.As(err, &a))
		if a != nil {
			require.Equal(t, b.Recreated, a.Recreated)
			require.Len(t, a.Fields, len(b.Fields))
			for i := range a.Fields {
				require.Equal(t, b.Fields[i].Path, a.Fields[i].Path)
			}
			return false
		}
	}
	require.Equal(t, errors.Is(errDoc, fieldwise.ErrExists), errors.Is(err, fieldwise.ErrExists))
	if !live || k > 1 {
		require.NoError(t, err)
		require.NoError(t, errDoc)
	}
	require.Equal(t, other, receipt)
	return !receipt.IsZero()
}

// patchValue is what sets in a document what v sets in a struct.
func patchValue(v any) any {
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer {
		rv = rv.Elem()
	}
	switch {
	case rv.Kind() == reflect.Map:
		m := make(map[string]any)
		for it := rv.MapRange(); it.Next(); {
			m[it.Key().String()] = patchValue(it.Value().Interface())
		}
		return m
	case rv.Kind() == reflect.Struct && len(partsOf(rv.Type())) > 0:
		return docOfStruct(rv.Interface())
	}
	return v
}

// An update of a struct writes what a slow comparison says, whatever the record went
// through before.
func TestPropertyUpdateIsThePatchOfASlowDiff(t *testing.T) {
	schema, err := fieldmerge.NewSchema[Wider](wideOptions()...)
	require.NoError(t, err)
	randtest.Check(t, 1000, 4000, func(t *rapid.T) {
		open := func(name fieldwise.Region) (*stepped, *fieldmerge.Domain[Wider]) {
			site := newStepped(schema.Merger(), name, 1)
			d, err := fieldmerge.Open(site, "d", schema)
			require.NoError(t, err)
			return site, d
		}
		a, da := open("a")
		b, db := open("b")
		other, dother := open("a")
		_, err := da.Create(ctx(), key, drawStruct(t, Wider{}, false))
		require.NoError(t, err)
		if rapid.Bool().Draw(t, "create") {
			_, err := db.Create(ctx(), key, drawStruct(t, Wider{}, false))
			require.NoError(t, err)
			b.join(t, a.State)
			a.join(t, b.State)
		} else {
			b.join(t, a.State)
		}
		for range rapid.IntRange(1, 4).Draw(t, "steps") {
			other.State, other.time = a.State, a.time
			shown, err := da.Get(ctx(), key)
			require.NoError(t, err)
			receipt, err := da.Update(ctx(), key, func(p *Wider) error { *p = cloneStruct(shown); return nil })
			require.NoError(t, err)
			require.True(t, receipt.IsZero(), "A to A writes nothing")
			a.time = other.time
			to := drawStruct(t, shown, false)
			receipt, err = da.Update(ctx(), key, func(p *Wider) error { *p = cloneStruct(to); return nil })
			require.NoError(t, err)
			want, err := dother.Patch(ctx(), key, patchOf(shown, to))
			require.NoError(t, err)
			require.Equal(t, want, receipt)
			require.Equal(t, other.State, a.State)
			got, err := da.Get(ctx(), key)
			require.NoError(t, err)
			require.Equal(t, to, got)
			require.Equal(t, len(effectsOf(flattenStruct(shown), flattenStruct(to))) == 0, receipt.IsZero())
			// And the other region goes on at the same time.
			b.time = max(b.time, fieldwise.Timestamp(rapid.IntRange(1, 10).Draw(t, "clock")))
			theirs, err := db.Get(ctx(), key)
			require.NoError(t, err)
			theirs = drawStruct(t, theirs, false)
			_, err = db.Update(ctx(), key, func(p *Wider) error { *p = theirs; return nil })
			require.NoError(t, err)
			if rapid.Bool().Draw(t, "meet") {
				mine := a.State
				a.join(t, b.State)
				b.join(t, mine)
			}
		}
	})
}
