package fieldmerge_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/replog"
)

// account1 and account2 are the records of two releases between which everything changes
// that can change.
type account1 struct {
	Name   string            `merge:"name,lww"`
	Phone  string            `merge:"phone,lww"`
	Age    int               `merge:"age,lww"`
	Amount int               `merge:"amount,lww"`
	Unit   string            `merge:"unit,lww"`
	Home   Home1             `merge:"home,lww"`
	Prefs  map[string]string `merge:"prefs,each=lww"`
	Old    string            `merge:"old,lww"`
}

type account2 struct {
	FullName string            `merge:"full_name,lww,was=name"`
	Phone    string            `merge:"phone,priority"`
	Age      string            `merge:"age,lww"`
	Amount   int64             `merge:"amount,earliest,group=price"`
	Unit     string            `merge:"unit,earliest,group=price"`
	Home     Home1             `merge:"home,nested"`
	Prefs    map[string]string `merge:"prefs,each=lww"`
	New      string            `merge:"new,lww"`
}

var secondOptions = []fieldmerge.Option{fieldmerge.Ranks("eu-west-1", "us-east-1")}

// openRegion opens a region with a directory of its own. Wall clocks are ahead of each
// other by ms.
func openRegion(t *testing.T, dir string, region fieldwise.Region, ms int64) *replog.Replica {
	r, err := replog.Open(ctx(), replog.Config{
		Region: region, Dir: filepath.Join(dir, string(region)),
		Wall: func() time.Time { return time.UnixMilli(1_800_000_000_000 + ms) },
	})
	require.NoError(t, err)
	return r
}

// Two regions of a rolling deploy, linked, one of them a release ahead; then the other
// one follows.
func TestTwoReleasesInLinkedReplicasAndARoll(t *testing.T) {
	dir := t.TempDir()
	eu, us := openRegion(t, dir, "eu-west-1", 0), openRegion(t, dir, "us-east-1", 100)
	link, err := replog.Connect(eu, us)
	require.NoError(t, err)
	old, next := release[account1](t, eu), release[account2](t, us, secondOptions...)
	settle := func(link *replog.Link, eu, us *replog.Replica) {
		t.Helper()
		require.NoError(t, us.WaitVector(ctx(), eu.Vector()))
		require.NoError(t, eu.WaitVector(ctx(), us.Vector()))
		a, err := eu.Digest(ctx(), "d")
		require.NoError(t, err)
		b, err := us.Digest(ctx(), "d")
		require.NoError(t, err)
		require.Equal(t, a, b, "both hold the same bytes")
		require.NoError(t, link.Err())
	}
	_, err = old.Create(ctx(), key, account1{Name: "Asha", Phone: "1", Age: 30, Amount: 5, Unit: "EUR", Home: Home1{City: "Pune"}, Old: "o"})
	require.NoError(t, err)
	settle(link, eu, us)

	link.Cut()
	change(t, old, func(a *account1) {
		a.Phone, a.Old, a.Prefs = "of eu", "o2", map[string]string{"theme": "dark"}
	})
	change(t, next, func(a *account2) {
		require.Equal(t, account2{FullName: "Asha", Phone: "1", Amount: 5, Unit: "EUR"}, *a)
		a.FullName, a.Phone, a.Age, a.Amount, a.New, a.Prefs = "Asha R.", "of us", "thirty", 6, "n", map[string]string{"lang": "en"}
	})
	link.Heal()
	settle(link, eu, us)

	got1, err := old.Get(ctx(), key)
	require.ErrorIs(t, err, fieldmerge.ErrField, "the age")
	prefs := map[string]string{"theme": "dark", "lang": "en"}
	require.Equal(t, account1{Name: "Asha", Phone: "of us", Amount: 5, Unit: "EUR", Home: Home1{City: "Pune"}, Prefs: prefs, Old: "o2"}, got1)
	got2, err := next.Get(ctx(), key)
	require.ErrorIs(t, err, fieldmerge.ErrField, "the home")
	require.Equal(t, account2{FullName: "Asha R.", Phone: "of eu", Age: "thirty", Amount: 6, Unit: "EUR", Prefs: prefs, New: "n"}, got2)
	for _, phones := range [][]fieldmerge.Sibling[any]{siblings(t, old, "phone"), siblings(t, next, "phone")} {
		require.Equal(t, []any{"of eu", "of us"}, []any{phones[0].Value, phones[1].Value})
	}
	require.Equal(t, []string{
		"age type 1 k: age of account1.Age", "full_name unknown 1 k", "new unknown 1 k", "price unknown 1 k",
	}, driftOf[account1](t, eu))
	require.Equal(t, []string{"home type 1 k: home of account2.Home", "old unknown 1 k"}, driftOf[account2](t, us, secondOptions...))

	documents, err := fieldmerge.OpenDocuments(eu, "d", lwwSchema(t))
	require.NoError(t, err)
	all, err := documents.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, doc{
		"name": "Asha", "full_name": "Asha R.", "phone": "of us", "age": "thirty", "amount": int64(5), "unit": "EUR", "price": doc{"amount": int64(6), "unit": "EUR"},
		"home": doc{"City": "Pune", "Zip": ""}, "prefs": doc{"theme": "dark", "lang": "en"}, "new": "n", "old": "o2",
	}, all, "a document has every field")

	// The region with the old release restarts with the new one.
	require.NoError(t, eu.Close())
	eu = openRegion(t, dir, "eu-west-1", 200)
	link, err = replog.Connect(eu, us)
	require.NoError(t, err)
	rolled := release[account2](t, eu, secondOptions...)
	same, err := rolled.Get(ctx(), key)
	require.ErrorIs(t, err, fieldmerge.ErrField)
	require.Equal(t, got2, same)
	change(t, rolled, func(a *account2) { a.Home.City = "Pune" })
	settle(link, eu, us)
	for _, site := range []*replog.Replica{eu, us} {
		require.Equal(t, []string{"old unknown 1 k"}, driftOf[account2](t, site, secondOptions...))
	}
	got2.Home.City = "Pune"
	same, err = next.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, got2, same)
	require.NoError(t, eu.Close())
	require.NoError(t, us.Close())
}

func siblings[T any](t *testing.T, d *fieldmerge.Domain[T], path string) []fieldmerge.Sibling[any] {
	t.Helper()
	all, err := d.Siblings(ctx(), key, path)
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}
