package fieldmerge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

// A panic of a change is the caller's: it comes out as it is, nothing is written, and key
// and domain go on working.
func TestAPanicOfAChangeLeavesTheDomainUsable(t *testing.T) {
	m := &misuse{t: t}
	r, d := m.customers()
	s, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW))
	require.NoError(t, err)
	docs, err := fieldmerge.OpenDocuments(r, "documents", s)
	require.NoError(t, err)
	_, err = docs.Create(ctx(), "asha", nil)
	require.NoError(t, err)
	before := r.Vector()
	for name, call := range map[string]func(){
		"Update":           func() { _, _ = d.Update(ctx(), "asha", func(p *Customer) error { p.Name = "x"; panic("boom") }) },
		"Upsert":           func() { _, _ = d.Upsert(ctx(), "ravi", func(*Customer) error { panic("boom") }) },
		"Documents.Update": func() { _, _ = docs.Update(ctx(), "asha", func(map[string]any) error { panic("boom") }) },
		"Documents.Upsert": func() { _, _ = docs.Upsert(ctx(), "ravi", func(map[string]any) error { panic("boom") }) },
	} {
		require.PanicsWithValue(t, "boom", call, name)
	}
	require.Equal(t, before, r.Vector())
	for _, key := range []string{"asha", "ravi"} {
		_, err = d.Upsert(ctx(), key, func(p *Customer) error { p.Name = "after"; return nil })
		require.NoError(t, err)
		got, err := d.Get(ctx(), key)
		require.NoError(t, err)
		require.Equal(t, "after", got.Name)
		_, err = docs.Upsert(ctx(), key, func(doc map[string]any) error { doc["name"] = "after"; return nil })
		require.NoError(t, err)
	}
}

// A custom function that panics shows the newest value, and a report says what happened.
func TestAPanicOfACustomFunctionIsAPolicyError(t *testing.T) {
	type record struct {
		Plan string `merge:"plan,custom=plan"`
		Name string `merge:"name,lww"`
	}
	var nilMap map[string]int
	s, err := fieldmerge.NewSchema[record](fieldmerge.Custom("plan", func(siblings []fieldmerge.Sibling[string]) (string, error) {
		nilMap[siblings[0].Value]++
		return "", nil
	}))
	require.NoError(t, err)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err = da.Create(ctx(), key, record{Plan: "gold", Name: "x"})
	require.NoError(t, err)
	b.time++
	_, err = db.Create(ctx(), key, record{Plan: "tin"})
	require.NoError(t, err)
	found := a.join(t, b.State)
	require.Len(t, found, 1)
	require.Equal(t, fieldwise.ConflictPolicy, found[0].Kind)
	require.Equal(t, "policy custom=plan panicked: assignment to entry in nil map", found[0].Reason)

	got, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, record{Plan: "tin", Name: "x"}, got)
	_, err = da.Update(ctx(), key, func(r *record) error { r.Name = "y"; return nil })
	require.NoError(t, err)
	all, err := da.Siblings(ctx(), key, "plan")
	require.NoError(t, err)
	require.Len(t, all, 2, "an update of another field settles nothing")
	_, err = da.Update(ctx(), key, func(r *record) error { r.Plan = "iron"; return nil })
	require.NoError(t, err)
	got, err = da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, record{Plan: "iron", Name: "y"}, got)
}

// A nil map is an unset one: it is read, patched and made like any other field.
func TestNilMapsAreUnset(t *testing.T) {
	s := everythingSchema(t)
	_, d := on(t, s, "a")
	_, err := d.Create(ctx(), key, Everything{Name: "x"})
	require.NoError(t, err)
	got, err := d.Get(ctx(), key)
	require.NoError(t, err)
	require.Nil(t, got.Prefs)
	require.PanicsWithError(t, "assignment to entry in nil map", func() {
		_, _ = d.Update(ctx(), key, func(p *Everything) error { p.Prefs["theme"] = "dark"; return nil })
	})
	_, err = d.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"prefs.theme": "dark"}, Unset: []string{"places"}})
	require.NoError(t, err)
	_, err = d.Update(ctx(), key, func(p *Everything) error { p.Prefs["lang"] = "en"; return nil })
	require.NoError(t, err)
	got, err = d.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"theme": "dark", "lang": "en"}, got.Prefs)
	_, err = d.Update(ctx(), key, func(p *Everything) error { p.Prefs = nil; return nil })
	require.NoError(t, err)
	got, err = d.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, Everything{Name: "x"}, got)

	docs, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW))
	require.NoError(t, err)
	dd, err := fieldmerge.OpenDocuments(newStepped(docs.Merger(), "a", 1), "d", docs)
	require.NoError(t, err)
	_, err = dd.Create(ctx(), key, nil)
	require.NoError(t, err)
	_, err = dd.Update(ctx(), key, func(doc map[string]any) error { doc["a"] = map[string]any(nil); return nil })
	require.NoError(t, err)
	doc, err := dd.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"a": map[string]any{}}, doc)
	_, err = dd.Upsert(ctx(), "other", func(doc map[string]any) error { doc["b"] = 1; return nil })
	require.NoError(t, err)
}
