package fieldmerge_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/lww"
	"github.com/fieldwise/fieldwise/replog"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// misuse writes down mistakes that a user makes and what the library says to each.
type misuse struct {
	t    *testing.T
	text strings.Builder
}

func (m *misuse) chapter(title string) { fmt.Fprintf(&m.text, "# %s\n\n", title) }

// did tells what the user did and what came of it, which has to be an error that matches
// want.
func (m *misuse) did(what string, err, want error) {
	m.t.Helper()
	require.Error(m.t, err, what)
	if want != nil {
		assert.ErrorIs(m.t, err, want, what)
	}
	m.check(err.Error())
	fmt.Fprintf(&m.text, "%s\n    %s\n\n", what, strings.ReplaceAll(err.Error(), "\n", "\n    "))
}

var address = regexp.MustCompile(`0x[0-9a-f]{4,}|/tmp|\.go\b|%!|<nil>`)

// check holds what is true of every text: it has no pointer's address and no path of the
// machine, is not endless, and no line says one thing twice.
func (m *misuse) check(text string) {
	m.t.Helper()
	assert.NotRegexp(m.t, address, text)
	assert.NotContains(m.t, text, os.TempDir())
	for line := range strings.Lines(text) {
		assert.Less(m.t, len(line), 600, line)
		said := make(map[string]bool)
		for _, part := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(":;,()\n", r) }) {
			part = strings.TrimSpace(part)
			assert.False(m.t, len(part) > 14 && said[part], "%q is said twice in %q", part, line)
			said[part] = true
		}
	}
}

func (m *misuse) golden(path string) {
	m.t.Helper()
	if *update {
		require.NoError(m.t, os.WriteFile(path, []byte(m.text.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(m.t, err, "write it with -update")
	if diff := cmp.Diff(string(want), m.text.String()); diff != "" {
		m.t.Errorf("%s (-want +got), rewrite it with -update:\n%s", path, diff)
	}
}

// ofSchema is the error of a schema of T.
func ofSchema[T any](options ...fieldmerge.Option) error {
	_, err := fieldmerge.NewSchema[T](options...)
	return err
}

func ofDocuments(options ...fieldmerge.Option) error {
	_, err := fieldmerge.NewDocumentSchema(options...)
	return err
}

// Celsius can be written as text and not read back.
type Celsius struct{ degrees float64 }

func (c Celsius) MarshalText() ([]byte, error) { return fmt.Append(nil, c.degrees), nil }

// Percent cannot store its zero value.
type Percent struct{ Value int }

func (p Percent) MarshalText() ([]byte, error) {
	if p.Value == 0 {
		return nil, errors.New("no percentage")
	}
	return fmt.Append(nil, p.Value), nil
}

func (p *Percent) UnmarshalText(text []byte) (err error) {
	_, err = fmt.Sscan(string(text), &p.Value)
	return err
}

type Person struct {
	Name    string   `merge:"name,lww"`
	Manager *Person  `merge:"manager,nested"`
	Friends []Person `merge:"friends,lww"`
}

func newest(siblings []fieldmerge.Sibling[string]) (string, error) {
	return siblings[len(siblings)-1].Value, nil
}

func TestMisuseReadsWell(t *testing.T) {
	m := &misuse{t: t}
	m.tags()
	m.structs()
	m.options()
	m.documentSchemas()
	m.opening()
	m.writing()
	m.patching()
	m.values()
	m.conditions()
	m.readingOtherTypes()
	m.settling()
	m.limits()
	m.documents()
	m.closed()
	m.golden(filepath.Join("testdata", "misuse.txt"))
}

func (m *misuse) tags() {
	m.chapter("Tags")
	bad := fieldmerge.ErrSchema
	{
		type Profile struct{ Name string }
		m.did("a field without a tag", ofSchema[Profile](), bad)
	}
	{
		type Profile struct {
			Name string `json:"name" merge:""`
		}
		m.did("an empty tag", ofSchema[Profile](), bad)
	}
	{
		type Profile struct {
			Name string `merge:"name"`
		}
		m.did("a name and no strategy", ofSchema[Profile](), bad)
	}
	{
		type Profile struct {
			Name string `merge:"name,"`
		}
		m.did("a comma and no strategy", ofSchema[Profile](), bad)
	}
	{
		type Profile struct {
			Name string `merge:"lww"`
		}
		m.did("a strategy where the name belongs", ofSchema[Profile](), bad)
	}
	{
		type Profile struct {
			Name string `merge:"name,last-write-wins"`
		}
		m.did("an unknown strategy", ofSchema[Profile](), bad)
	}
	{
		type Profile struct {
			Name string `merge:"name, lww"`
		}
		m.did("a blank behind the comma", ofSchema[Profile](), bad)
	}
	{
		type Profile struct {
			Name string `merge:"name,lww,grp=x"`
		}
		m.did("a misspelt option", ofSchema[Profile](), bad)
	}
	{
		type Profile struct {
			Name string `merge:"name,lww,omitempty"`
		}
		m.did("an option of another library", ofSchema[Profile](), bad)
	}
	{
		type Profile struct {
			Name string `merge:"name,lww"`
			//lint:ignore U1000 what the test is about
			secret string `merge:"secret,lww"`
		}
		m.did("a tag on a field that is not exported", ofSchema[Profile](), bad)
	}
	{
		type Profile struct {
			All string `merge:"*,lww"`
		}
		m.did("a name that patterns give a meaning", ofSchema[Profile](), bad)
	}
	{
		type Profile struct {
			Name string `merge:"name,lww"`
			Nick string `merge:"name,lww"`
		}
		m.did("two fields under one name", ofSchema[Profile](), bad)
	}
	{
		type Base struct {
			Name string `merge:"name,lww"`
		}
		type Profile struct {
			Base
			Name string `merge:"name,lww"`
		}
		m.did("a field under the name of an embedded struct's field", ofSchema[Profile](), bad)
	}
	{
		type Profile struct {
			Name  string `merge:"name,lww,was=title"`
			Title string `merge:"title,lww"`
		}
		m.did("a former name that another field has", ofSchema[Profile](), bad)
	}
	{
		type Price struct {
			Amount int `merge:"amount,lww,group=price"`
		}
		m.did("a group of one field", ofSchema[Price](), bad)
	}
	{
		type Price struct {
			Amount   int    `merge:"amount,lww,group=price"`
			Currency string `merge:"currency,earliest,group=price"`
		}
		m.did("a group with two strategies", ofSchema[Price](), bad)
	}
	{
		type Price struct {
			Amount   int    `merge:"amount,lww,group=price"`
			Currency string `merge:"currency,lww,group=price"`
			Price    string `merge:"price,lww"`
		}
		m.did("a group with the name of a field", ofSchema[Price](), bad)
	}
	{
		type Price struct {
			Amount   int               `merge:"amount,lww,group=price"`
			Currency string            `merge:"currency,lww,group=price"`
			Extra    map[string]string `merge:"extra,each=lww,group=price"`
		}
		m.did("a map with fields of its own in a group", ofSchema[Price](), bad)
	}
}

func (m *misuse) structs() {
	m.chapter("Types")
	bad := fieldmerge.ErrSchema
	m.did("NewSchema[string]", ofSchema[string](), bad)
	m.did("NewSchema[map[string]any]", ofSchema[map[string]any](), bad)
	m.did("NewSchema[*Person]", ofSchema[*Person](), bad)
	m.did("a struct without fields", ofSchema[struct{}](), bad)
	{
		type Profile struct {
			Name string `merge:"-"`
		}
		m.did("a struct whose fields are all left out", ofSchema[Profile](), bad)
	}
	{
		type Profile struct {
			Tags []string `merge:"tags,nested"`
		}
		m.did("nested on what is no struct", ofSchema[Profile](), bad)
	}
	{
		type Profile struct {
			Scores map[int]string `merge:"scores,each=lww"`
		}
		m.did("each= on a map with int keys", ofSchema[Profile](), bad)
	}
	{
		type Profile struct {
			Tags []string `merge:"tags,each=lww"`
		}
		m.did("each= on a slice", ofSchema[Profile](), bad)
	}
	{
		type Profile struct {
			Prefs map[string]string `merge:"prefs,each="`
		}
		m.did("each= of nothing", ofSchema[Profile](), bad)
	}
	m.did("a struct that is nested in itself", ofSchema[Person](), bad)
	{
		type Base struct {
			By string `merge:"by,lww"`
		}
		type Profile struct {
			*Base
			Name string `merge:"name,lww"`
		}
		m.did("an embedded pointer", ofSchema[Profile](), bad)
	}
	{
		type Profile struct {
			Done   chan int              `merge:"done,lww"`
			Notify func()                `merge:"notify,lww"`
			Source io.Reader             `merge:"source,lww"`
			Temp   Celsius               `merge:"temp,lww"`
			Temps  map[string][]any      `merge:"temps,lww"`
			Deep   []map[string]chan int `merge:"deep,lww"`
			Share  Percent               `merge:"share,lww"`
		}
		m.did("types that cannot be stored", ofSchema[Profile](), bad)
	}
	{
		type Secret struct{ key string }
		type Profile struct {
			Secret Secret `merge:"secret,lww"`
			Open   Secret `merge:"open,nested"`
		}
		_ = Secret{}.key
		m.did("structs with nothing but unexported fields", ofSchema[Profile](), bad)
	}
	{
		type Address struct {
			Street string
			City   string `merge:"city,priority"`
			Zip    int    `merge:"city,lww"`
		}
		type Profile struct {
			Name   string             `merge:"name,newest"`
			Plan   string             `merge:"plan,custom=plan"`
			Home   Address            `merge:"home,nested"`
			Places map[string]Address `merge:"places,each=nested"`
			Done   chan int           `merge:"done,lww"`
		}
		m.did("all of it at once", ofSchema[Profile](), bad)
	}
}

func (m *misuse) options() {
	m.chapter("Options")
	bad := fieldmerge.ErrSchema
	type Profile struct {
		Plan string `merge:"plan,custom=plan"`
	}
	type Ranked struct {
		Plan string `merge:"plan,priority"`
	}
	type Price struct {
		Amount   int    `merge:"amount,custom=price,group=price"`
		Currency string `merge:"currency,custom=price,group=price"`
	}
	m.did("custom=plan without Custom", ofSchema[Profile](), bad)
	m.did("Custom under a misspelt name", ofSchema[Profile](fieldmerge.Custom("plans", newest)), bad)
	m.did("Custom that nobody uses", ofSchema[Ranked](fieldmerge.Ranks("eu-west-1"), fieldmerge.Custom("plan", newest)), bad)
	m.did("Custom of another type", ofSchema[Profile](fieldmerge.Custom("plan", func([]fieldmerge.Sibling[int]) (int, error) { return 0, nil })), bad)
	m.did("Custom of a member's type for a group", ofSchema[Price](fieldmerge.Custom("price", newest)), bad)
	m.did("Custom with a nil function", ofSchema[Profile](fieldmerge.Custom[string]("plan", nil)), bad)
	m.did("Custom twice", ofSchema[Profile](fieldmerge.Custom("plan", newest), fieldmerge.Custom("plan", newest)), bad)
	m.did("Custom without a name", ofSchema[Ranked](fieldmerge.Ranks("eu-west-1"), fieldmerge.Custom("", newest)), bad)
	m.did("Custom of a type that cannot be stored", ofSchema[Ranked](fieldmerge.Ranks("eu-west-1"), fieldmerge.Custom("plan", func([]fieldmerge.Sibling[chan int]) (chan int, error) { return nil, nil })), bad)
	m.did("priority without Ranks", ofSchema[Ranked](), bad)
	m.did("Ranks of bad region names", ofSchema[Ranked](fieldmerge.Ranks("eu_west_1", "", "us-east-1", "us-east-1")), bad)
	m.did("Field and Default for a struct", ofSchema[Ranked](fieldmerge.Ranks("eu-west-1"), fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("plan", fieldmerge.LWW)), bad)
	m.did("a nil option", ofSchema[Ranked](fieldmerge.Ranks("eu-west-1"), nil), bad)
}

func (m *misuse) documentSchemas() {
	m.chapter("Schemas of documents")
	bad := fieldmerge.ErrSchema
	m.did("no Default", ofDocuments(), bad)
	m.did("Default twice", ofDocuments(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Default(fieldmerge.Earliest)), bad)
	m.did("strategies that only tags have", ofDocuments(fieldmerge.Default("nested"), fieldmerge.Field("prefs", "each=lww")), bad)
	m.did("patterns that are none", ofDocuments(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("a.**.b", fieldmerge.LWW), fieldmerge.Field(`a\b`, fieldmerge.LWW),
		fieldmerge.Field("a", fieldmerge.LWW), fieldmerge.Field("a", fieldmerge.Earliest)), bad)
}

// Customer is the record of the mistakes that are made with a good schema.
type Customer struct {
	Name  string            `merge:"name,lww"`
	Age   uint8             `merge:"age,lww"`
	Nick  *string           `merge:"nick,lww"`
	Home  Address           `merge:"home,nested"`
	Prefs map[string]string `merge:"prefs,each=lww"`
	Total int               `merge:"total,lww,group=price"`
	Unit  string            `merge:"unit,lww,group=price"`
	Extra any               `merge:"extra,lww"`
}

func (m *misuse) replica() *replog.Replica {
	m.t.Helper()
	r, err := replog.Open(ctx(), replog.Config{Region: "eu-west-1", Dir: m.t.TempDir(), MaxRecord: 16 << 10, Wall: func() time.Time { return time.UnixMilli(1_800_000_000_000) }})
	require.NoError(m.t, err)
	m.t.Cleanup(func() { _ = r.Close() })
	return r
}

func (m *misuse) schema() *fieldmerge.Schema[Customer] {
	m.t.Helper()
	s, err := fieldmerge.NewSchema[Customer](fieldmerge.Ranks("eu-west-1", "us-east-1"))
	require.NoError(m.t, err)
	return s
}

// customers is a domain on a real replica, with a record under "asha".
func (m *misuse) customers() (*replog.Replica, *fieldmerge.Domain[Customer]) {
	m.t.Helper()
	r := m.replica()
	d, err := fieldmerge.Open(r, "customers", m.schema())
	require.NoError(m.t, err)
	_, err = d.Create(ctx(), "asha", Customer{Name: "Asha"})
	require.NoError(m.t, err)
	return r, d
}

func (m *misuse) opening() {
	m.chapter("Opening")
	r, _ := m.customers()
	_, err := fieldmerge.Open[Customer](r, "customers", nil)
	m.did("Open with a nil schema", err, fieldmerge.ErrSchema)
	_, err = fieldmerge.Open(r, "customers", &fieldmerge.Schema[Customer]{})
	m.did("Open with a schema that NewSchema did not make", err, fieldmerge.ErrSchema)
	_, err = fieldmerge.OpenDocuments(r, "customers", nil)
	m.did("OpenDocuments with a nil schema", err, fieldmerge.ErrSchema)
	_, err = fieldmerge.OpenDocuments(r, "customers", &fieldmerge.DocumentSchema{})
	m.did("OpenDocuments with a schema that NewDocumentSchema did not make", err, fieldmerge.ErrSchema)
	_, err = fieldmerge.Open(nil, "customers", m.schema())
	m.did("Open on a nil host", err, nil)
	_, err = fieldmerge.Open(r, "", m.schema())
	m.did("Open without a name", err, nil)
	_, err = lww.Open[string](r, "settings")
	require.NoError(m.t, err)
	_, err = fieldmerge.Open(r, "settings", m.schema())
	m.did("Open of a domain that lww.Open holds", err, fieldwise.ErrMergerMismatch)
}

func (m *misuse) writing() {
	m.chapter("Writing")
	_, d := m.customers()
	same := func(*Customer) error { return nil }

	_, err := d.Create(ctx(), "asha", Customer{})
	m.did("Create of a record that exists", err, fieldwise.ErrExists)
	_, err = d.Update(ctx(), "ravi", same)
	m.did("Update of a key that nobody created", err, fieldwise.ErrNotFound)
	_, err = d.Patch(ctx(), "ravi", fieldmerge.Patch{Set: map[string]any{"name": "Ravi"}})
	m.did("Patch of a key that nobody created", err, fieldwise.ErrNotFound)
	_, token, err := d.Read(ctx(), "asha")
	require.NoError(m.t, err)
	_, err = d.Put(ctx(), "ravi", token, Customer{})
	m.did("Put of a key that nobody created", err, fieldwise.ErrNotFound)
	_, err = d.Replace(ctx(), "ravi", Customer{}, Customer{Name: "Ravi"})
	m.did("Replace of a key that nobody created", err, fieldwise.ErrNotFound)
	_, err = d.Delete(ctx(), "ravi")
	m.did("Delete of a key that nobody created", err, fieldwise.ErrNotFound)
	_, err = d.Get(ctx(), "ravi")
	m.did("Get of a key that nobody created", err, fieldwise.ErrNotFound)

	_, err = d.Update(ctx(), "asha", nil)
	m.did("Update without a function", err, nil)
	_, err = d.Upsert(ctx(), "asha", nil)
	m.did("Upsert without a function", err, nil)
	closed := errors.New("the shop is closed")
	_, err = d.Update(ctx(), "asha", func(*Customer) error { return closed })
	m.did("a closure that returns an error", err, closed)
	nested := func(change func() error) error {
		_, err := d.Update(ctx(), "asha", func(*Customer) error { return change() })
		return err
	}
	m.did("a closure that updates the same record", nested(func() error {
		_, err := d.Update(ctx(), "asha", same)
		return err
	}), fieldwise.ErrNested)
	m.did("a closure that creates another record", nested(func() error {
		_, err := d.Create(ctx(), "ravi", Customer{})
		return err
	}), fieldwise.ErrNested)
	_, err = d.Update(ctx(), "asha", func(p *Customer) error { p.Name = "Ash\xffa"; return nil })
	m.did("Update to a string that is not UTF-8", err, fieldmerge.ErrField)
	_, err = d.Update(ctx(), "asha", func(p *Customer) error { p.Prefs = map[string]string{"theme": "\xff"}; return nil })
	m.did("Update of an entry to a string that is not UTF-8", err, fieldmerge.ErrField)
	_, err = d.Update(ctx(), "asha", func(p *Customer) error { p.Prefs = map[string]string{"\xff": "dark"}; return nil })
	m.did("Update to a map key that is not UTF-8", err, fieldmerge.ErrPath)
	_, err = d.Create(ctx(), "ravi", Customer{Extra: map[string]any{"done": make(chan int)}})
	m.did("Create with a channel in an any", err, fieldmerge.ErrField)
	loop := map[string]any{}
	loop["self"] = loop
	_, err = d.Update(ctx(), "asha", func(p *Customer) error { p.Extra = loop; return nil })
	m.did("Update to a value that contains itself", err, fieldmerge.ErrField)
	_, err = d.Replace(ctx(), "asha", Customer{}, Customer{Name: "\xff"})
	m.did("Replace by a string that is not UTF-8", err, fieldmerge.ErrField)

	_, err = d.Create(ctx(), "", Customer{})
	m.did("Create under an empty key", err, nil)
	_, err = d.Create(ctx(), "\xff", Customer{})
	m.did("Create under a key that is not UTF-8", err, nil)
	_, err = d.Create(ctx(), strings.Repeat("k", 1025), Customer{})
	m.did("Create under a key that is too long", err, fieldwise.ErrLimit)
	_, err = d.Get(ctx(), "")
	m.did("Get of an empty key", err, fieldwise.ErrNotFound)
	done, cancel := context.WithCancel(ctx())
	cancel()
	_, err = d.Update(done, "asha", same)
	m.did("Update under a context that was cancelled", err, context.Canceled)
}

func (m *misuse) patching() {
	m.chapter("Patching")
	_, d := m.customers()
	patch := func(what string, want error, p fieldmerge.Patch) {
		m.t.Helper()
		_, err := d.Patch(ctx(), "asha", p)
		m.did(what, err, want)
	}
	set := func(path string, v any) fieldmerge.Patch {
		return fieldmerge.Patch{Set: map[string]any{path: v}}
	}
	patch("a path that is no field", fieldmerge.ErrPath, set("nickname", "Asha"))
	patch("the Go field's name instead of the stored one", fieldmerge.ErrPath, set("Name", "Asha"))
	patch("an empty path", fieldmerge.ErrPath, set("", "Asha"))
	patch("a path into a nested struct that is no field of it", fieldmerge.ErrPath, set("home.town", "Pune"))
	patch("a path below one value", fieldmerge.ErrPath, set("name.first", "Asha"))
	patch("a path with a slash for the dot", fieldmerge.ErrPath, set("home/city", "Pune"))
	patch("a path with a lone backslash", fieldmerge.ErrPath, set(`prefs.a\b`, "x"))
	patch("an unknown path under Unset", fieldmerge.ErrPath, fieldmerge.Patch{Unset: []string{"nickname"}})
	patch("a group by its name", fieldmerge.ErrPath, set("price", map[string]any{"total": 1}))
	patch("a group by its name under Unset", fieldmerge.ErrPath, fieldmerge.Patch{Unset: []string{"price"}})
	patch("one path set and unset", fieldmerge.ErrPath, fieldmerge.Patch{Set: map[string]any{"name": "Asha"}, Unset: []string{"name"}})
	patch("a map unset and its entry set", fieldmerge.ErrPath, fieldmerge.Patch{Set: map[string]any{"prefs.theme": "dark"}, Unset: []string{"prefs"}})
	patch("a map set and its entry set, too", fieldmerge.ErrPath, fieldmerge.Patch{Set: map[string]any{"prefs": map[string]string{}, "prefs.theme": "dark"}})
	patch("a number for a string", fieldmerge.ErrField, set("name", 7))
	patch("a string for a number", fieldmerge.ErrField, set("age", "7"))
	patch("a number that does not fit", fieldmerge.ErrField, set("age", 300))
	patch("nil for what is no pointer", fieldmerge.ErrField, set("name", nil))
	patch("nil for a member of a group", fieldmerge.ErrField, set("total", nil))
	patch("a string for a member of a group", fieldmerge.ErrField, set("total", "7"))
	patch("a string that is not UTF-8", fieldmerge.ErrField, set("name", "\xff"))
	patch("another struct for a nested one", fieldmerge.ErrField, set("home", struct{ City string }{"Pune"}))
	patch("a pointer to the struct for a nested one", fieldmerge.ErrField, set("home", &Address{}))
	patch("a map[string]any for a map[string]string", fieldmerge.ErrField, set("prefs", map[string]any{"theme": "dark"}))
	patch("nil for a map", fieldmerge.ErrField, set("prefs", nil))
	patch("a function", fieldmerge.ErrField, set("extra", func() {}))
	_, err := d.Siblings(ctx(), "asha", "nickname")
	require.NoError(m.t, err) // nothing was ever written there
}

// Shop is what a shop counts and lists.
type Shop struct {
	Visits crdt.GCounter        `merge:"visits,gcounter"`
	Stock  crdt.PNCounter       `merge:"stock,pncounter"`
	Sold   int64                `merge:"sold,gcounter"`
	Tags   crdt.ORSet[string]   `merge:"tags,orset"`
	Codes  []int                `merge:"codes,gset"`
	Lines  []string             `merge:"lines,list"`
	Open   bool                 `merge:"open,ewflag"`
	Rooms  map[string]ShopsRoom `merge:"rooms,each=nested"`
}

type ShopsRoom struct {
	Guests crdt.PNCounter `merge:"guests,pncounter"`
}

func (m *misuse) values() {
	m.chapter("Counters, sets and lists")
	m.did("a counter that is a text", ofSchema[struct {
		Hits string `merge:"hits,pncounter"`
	}](), fieldmerge.ErrSchema)
	m.did("a counter behind a pointer", ofSchema[struct {
		Hits *int64 `merge:"hits,pncounter"`
	}](), fieldmerge.ErrSchema)
	m.did("a crdt.PNCounter behind a pointer", ofSchema[struct {
		Hits *crdt.PNCounter `merge:"hits,pncounter"`
	}](), fieldmerge.ErrSchema)
	m.did("a crdt.PNCounter under lww", ofSchema[struct {
		Hits crdt.PNCounter `merge:"hits,lww"`
	}](), fieldmerge.ErrSchema)
	m.did("a crdt.GCounter under pncounter", ofSchema[struct {
		Hits crdt.GCounter `merge:"hits,pncounter"`
	}](), fieldmerge.ErrSchema)
	m.did("a set of functions", ofSchema[struct {
		Hooks crdt.ORSet[chan int] `merge:"hooks,orset"`
	}](), fieldmerge.ErrSchema)
	m.did("a list that is a map", ofSchema[struct {
		Lines map[string]string `merge:"lines,list"`
	}](), fieldmerge.ErrSchema)
	m.did("a list that is bytes", ofSchema[struct {
		Body []byte `merge:"body,list"`
	}](), fieldmerge.ErrSchema)
	m.did("a flag that is a number", ofSchema[struct {
		Open int `merge:"open,ewflag"`
	}](), fieldmerge.ErrSchema)
	m.did("a counter in a group", ofSchema[struct {
		Sold int64  `merge:"sold,pncounter,group=sales"`
		Unit string `merge:"unit,lww,group=sales"`
	}](), fieldmerge.ErrSchema)
	m.did("a counter that was one value before", ofSchema[struct {
		Sold int64 `merge:"sold,pncounter,was=sold"`
	}](), fieldmerge.ErrSchema)

	r, err := replog.Open(ctx(), replog.Config{Region: "eu-west-1", Dir: m.t.TempDir()})
	require.NoError(m.t, err)
	m.t.Cleanup(func() { r.Close() })
	schema, err := fieldmerge.NewSchema[Shop]()
	require.NoError(m.t, err)
	d, err := fieldmerge.Open(r, "shops", schema)
	require.NoError(m.t, err)
	_, err = d.Create(ctx(), "pune", Shop{Visits: crdt.NewGCounter(3), Stock: crdt.NewPNCounter(4), Sold: 5, Tags: crdt.NewORSet("tea"), Codes: []int{1}, Rooms: map[string]ShopsRoom{"bar": {}}})
	require.NoError(m.t, err)
	pune, err := d.Get(ctx(), "pune")
	require.NoError(m.t, err)
	update := func(what string, want error, change func(*Shop)) {
		m.t.Helper()
		_, err := d.Update(ctx(), "pune", func(s *Shop) error { change(s); return nil })
		m.did(what, err, want)
	}
	update("a counter that was read outside of the closure", fieldmerge.ErrAssigned, func(s *Shop) { s.Stock = pune.Stock })
	update("a counter made anew", fieldmerge.ErrAssigned, func(s *Shop) { s.Stock = crdt.NewPNCounter(9) })
	update("a set made anew", fieldmerge.ErrAssigned, func(s *Shop) { s.Tags = crdt.NewORSet("coffee") })
	update("another counter of the same record", fieldmerge.ErrAssigned, func(s *Shop) { s.Stock = s.Rooms["bar"].Guests })
	_, err = d.Create(ctx(), "mumbai", pune)
	m.did("Create of a record that was read under another key", err, fieldmerge.ErrAssigned)
	update("a grow-only counter that goes down", fieldmerge.ErrDirection, func(s *Shop) { s.Sold-- })
	update("an element taken from a grow-only set", fieldmerge.ErrDirection, func(s *Shop) { s.Codes = nil; s.Codes = append(s.Codes, 2) })
	update("a counter beyond its end", fieldmerge.ErrField, func(s *Shop) { s.Visits.Inc(1 << 63); s.Visits.Inc(1 << 63) })
	update("an element that is not UTF-8", fieldmerge.ErrField, func(s *Shop) { s.Tags.Add("\xff") })
	patch := func(what string, path string, v any) {
		m.t.Helper()
		_, err := d.Patch(ctx(), "pune", fieldmerge.Patch{Set: map[string]any{path: v}})
		m.did(what, err, fieldmerge.ErrField)
	}
	patch("a patch of a counter with a fraction", "stock", 1.5)
	patch("a patch of a list with a text", "lines", "tea")
	patch("a patch of a set of texts with numbers", "tags", []int{1})
	patch("a patch of a flag with a text", "open", "yes")
	patch("a patch of a counter with nil", "stock", nil)
}

func (m *misuse) conditions() {
	m.chapter("Tokens")
	_, d := m.customers()
	rename := func(name string) func(*Customer) error {
		return func(p *Customer) error { p.Name = name; return nil }
	}
	_, err := d.Put(ctx(), "asha", fieldmerge.Token{}, Customer{})
	m.did("Put with the zero token", err, fieldmerge.ErrToken)
	_, err = d.Update(ctx(), "asha", rename("x"), fieldmerge.IfMatch(fieldmerge.Token{}))
	m.did("IfMatch with the zero token", err, fieldmerge.ErrToken)
	_, err = fieldmerge.ParseToken(`"abc"`)
	m.did("a token in the quotes of an ETag", err, fieldmerge.ErrToken)
	_, err = fieldmerge.ParseToken("")
	m.did("an empty token", err, fieldmerge.ErrToken)
	_, err = fieldmerge.ParseToken("hello")
	m.did("a token that somebody made up", err, fieldmerge.ErrToken)
	_, token, err := d.Read(ctx(), "asha")
	require.NoError(m.t, err)
	text := token.String()
	_, err = fieldmerge.ParseToken(text[:len(text)/2])
	m.did("a token cut in half", err, fieldmerge.ErrToken)

	_, err = d.Update(ctx(), "asha", func(p *Customer) error {
		p.Name, p.Nick, p.Prefs = "Asha R.", ptr("ash"), map[string]string{"bio": strings.Repeat("b", 100)}
		return nil
	})
	require.NoError(m.t, err)
	_, err = d.Put(ctx(), "asha", token, Customer{Name: "Aisha", Nick: ptr("ai"), Prefs: map[string]string{"bio": strings.Repeat("c", 100)}})
	m.did("Put of what has changed since", err, fieldmerge.ErrChanged)
	_, err = d.Delete(ctx(), "asha", fieldmerge.IfMatch(token))
	m.did("Delete of what has changed since", err, fieldmerge.ErrChanged)
	_, token, err = d.Read(ctx(), "asha")
	require.NoError(m.t, err)
	_, err = d.Update(ctx(), "asha", func(p *Customer) error { p.Nick, p.Prefs = nil, nil; return nil })
	require.NoError(m.t, err)
	_, err = d.Patch(ctx(), "asha", fieldmerge.Patch{Set: map[string]any{"nick": "a", "prefs.bio": "b"}}, fieldmerge.IfMatch(token))
	m.did("Patch of what was unset since", err, fieldmerge.ErrChanged)
	_, err = d.Delete(ctx(), "asha")
	require.NoError(m.t, err)
	_, err = d.Put(ctx(), "asha", token, Customer{})
	m.did("Put of a record that was deleted since", err, fieldwise.ErrNotFound)
	_, err = d.Create(ctx(), "asha", Customer{Name: "Asha"})
	require.NoError(m.t, err)
	_, err = d.Put(ctx(), "asha", token, Customer{})
	m.did("Put of a record that was created again", err, fieldmerge.ErrChanged)
}

func (m *misuse) readingOtherTypes() {
	m.chapter("Stored values of another type")
	r, d := m.customers()
	type Address struct {
		City int `merge:"city,lww"`
	}
	type Customer struct {
		Name  int              `merge:"name,lww"`
		Age   int              `merge:"age,lww"`
		Home  string           `merge:"home,lww"`
		Nick  Address          `merge:"nick,nested"`
		Prefs map[string]int   `merge:"prefs,each=lww"`
		Total string           `merge:"total,lww,group=price"`
		Unit  map[string]int   `merge:"unit,lww,group=price"`
		Extra map[string]int16 `merge:"extra,lww"`
	}
	_, err := d.Update(ctx(), "asha", func(p *formerCustomer) error {
		p.Nick, p.Home.City, p.Prefs, p.Total, p.Unit = ptr("ash"), "Pune", map[string]string{"theme": "dark", "tone": ""}, 3, "EUR"
		p.Extra = map[string]any{"a": 1, "b": 100_000}
		return nil
	})
	require.NoError(m.t, err)
	s, err := fieldmerge.NewSchema[Customer]()
	require.NoError(m.t, err)
	other, err := fieldmerge.Open(r, "customers", s)
	require.NoError(m.t, err)
	_, err = other.Get(ctx(), "asha")
	m.did("Get under a schema with other types", err, fieldmerge.ErrField)
	for _, err := range other.All(ctx(), "") {
		m.did("All under a schema with other types", err, fieldmerge.ErrField)
	}
}

// formerCustomer is the type that customers had before.
type formerCustomer = Customer

func (m *misuse) settling() {
	m.chapter("Settling and loading")
	_, d := m.customers()
	_, err := d.Resolve(ctx(), "asha", "nick", fieldmerge.KeepShown())
	m.did("Resolve of a field that was never written", err, fieldmerge.ErrSibling)
	_, err = d.Resolve(ctx(), "asha", "name", fieldmerge.KeepVersion(version(7, "us-east-1")))
	m.did("Resolve to a version that is not there", err, fieldmerge.ErrSibling)
	_, err = d.Resolve(ctx(), "asha", "name", fieldmerge.Choice{})
	m.did("Resolve to the zero Choice", err, fieldmerge.ErrSibling)
	_, err = d.Resolve(ctx(), "asha", "name", fieldmerge.KeepValue(7))
	m.did("Resolve to a value of another type", err, fieldmerge.ErrField)
	_, err = d.Resolve(ctx(), "asha", "nickname", fieldmerge.KeepValue("Asha"))
	m.did("Resolve of a path that is no field", err, fieldmerge.ErrPath)
	_, err = d.Resolve(ctx(), "ravi", "name", fieldmerge.KeepShown())
	m.did("Resolve of a key that nobody created", err, fieldwise.ErrNotFound)
	_, err = d.Explain(ctx(), "ravi")
	m.did("Explain of a key that nobody created", err, fieldwise.ErrNotFound)
	load := func(v Customer, o fieldmerge.LoadOptions) error {
		_, err := d.Load(ctx(), func(yield func(fieldmerge.Record[Customer], error) bool) {
			yield(fieldmerge.Record[Customer]{Key: "ravi", Value: v}, nil)
		}, o)
		return err
	}
	m.did("Load by less than no writer", load(Customer{}, fieldmerge.LoadOptions{Writers: -1}), nil)
	m.did("Load of a string that is not UTF-8", load(Customer{Name: "\xff"}, fieldmerge.LoadOptions{}), fieldmerge.ErrField)
}

func (m *misuse) limits() {
	m.chapter("Limits")
	_, d := m.customers()
	_, err := d.Update(ctx(), "asha", func(p *Customer) error { p.Extra = strings.Repeat("x", 20_000); return nil })
	m.did("Update to a record that is too large", err, fieldwise.ErrLimit)
	long := strings.Repeat("k", 1100)
	_, err = d.Update(ctx(), "asha", func(p *Customer) error { p.Prefs = map[string]string{long: "x"}; return nil })
	m.did("Update to a map key that is too long for a path", err, fieldwise.ErrLimit)
	_, err = d.Patch(ctx(), "asha", fieldmerge.Patch{Set: map[string]any{"prefs." + long: "x"}})
	m.did("Patch of a path that is too long", err, fieldwise.ErrLimit)
	many := make(map[string]string)
	for i := range 4096 {
		many[fmt.Sprint(i)] = "x"
	}
	_, err = d.Update(ctx(), "asha", func(p *Customer) error { p.Prefs = many; return nil })
	m.did("Update to too many fields", err, fieldwise.ErrLimit)
	_, err = d.Create(ctx(), "ravi", Customer{Prefs: many})
	m.did("Create with too many fields", err, fieldwise.ErrLimit)
	var deep any = "x"
	for range 17 {
		deep = []any{deep}
	}
	_, err = d.Update(ctx(), "asha", func(p *Customer) error { p.Extra = deep; return nil })
	m.did("Update to a value that is nested too deep", err, fieldmerge.ErrField)
}

func (m *misuse) documents() {
	m.chapter("Documents")
	s, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW))
	require.NoError(m.t, err)
	d, err := fieldmerge.OpenDocuments(m.replica(), "carts", s)
	require.NoError(m.t, err)
	_, err = d.Create(ctx(), "c1", nil) // a record without fields
	require.NoError(m.t, err)
	update := func(change func(doc map[string]any)) error {
		_, err := d.Update(ctx(), "c1", func(doc map[string]any) error { change(doc); return nil })
		return err
	}
	_, err = d.Update(ctx(), "c1", nil)
	m.did("Update without a function", err, nil)
	_, err = d.Create(ctx(), "c2", map[string]any{"items": map[string]any{"a": make(chan int)}})
	m.did("Create with a channel", err, fieldmerge.ErrField)
	m.did("Update to a string that is not UTF-8", update(func(doc map[string]any) { doc["name"] = "\xff" }), fieldmerge.ErrField)
	m.did("Update to a key that is not UTF-8", update(func(doc map[string]any) { doc["\xff"] = 1 }), fieldmerge.ErrPath)
	m.did("Update to a path that is too long", update(func(doc map[string]any) { doc[strings.Repeat("k", 1100)] = 1 }), fieldwise.ErrLimit)
	m.did("Update to a document that contains itself", update(func(doc map[string]any) { doc["self"] = doc }), fieldwise.ErrLimit)
	m.did("Update to too many fields", update(func(doc map[string]any) {
		for i := range 4097 {
			doc[fmt.Sprint(i)] = i
		}
	}), fieldwise.ErrLimit)
	_, err = d.Replace(ctx(), "c1", nil, map[string]any{"a": func() {}})
	m.did("Replace by a function", err, fieldmerge.ErrField)
	_, err = d.Patch(ctx(), "c1", fieldmerge.Patch{Set: map[string]any{"a": map[string]any{}, "a.b": 1}})
	m.did("Patch of a map and its entry", err, fieldmerge.ErrPath)
	_, err = d.Patch(ctx(), "c1", fieldmerge.Patch{Set: map[string]any{"a\x00": 1}})
	m.did("Patch of a path with a control character", err, fieldmerge.ErrPath)
	_, err = d.Patch(ctx(), "c1", fieldmerge.Patch{Set: map[string]any{"a": make(chan int)}})
	m.did("Patch with a channel", err, fieldmerge.ErrField)
}

func (m *misuse) closed() {
	m.chapter("After Close")
	r, d := m.customers()
	require.NoError(m.t, r.Close())
	_, err := d.Get(ctx(), "asha")
	m.did("Get", err, fieldwise.ErrClosed)
	_, err = d.Update(ctx(), "asha", func(*Customer) error { return nil })
	m.did("Update", err, fieldwise.ErrClosed)
	_, err = d.Len(ctx())
	m.did("Len", err, fieldwise.ErrClosed)
	for _, err := range d.All(ctx(), "") {
		m.did("All", err, fieldwise.ErrClosed)
	}
	_, err = d.Siblings(ctx(), "asha", "name")
	m.did("Siblings", err, fieldwise.ErrClosed)
	_, err = fieldmerge.Open(r, "customers", m.schema())
	m.did("Open", err, fieldwise.ErrClosed)
}
