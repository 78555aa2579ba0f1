package fieldmerge_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Card is what the typed histories with tokens write.
type Card struct {
	A    string            `merge:"a,lww"`
	B    int               `merge:"b,priority"`
	C    *string           `merge:"c,earliest"`
	Blob []byte            `merge:"blob,lww"`
	M    map[string]string `merge:"m,each=lww"`
	N    *CardPart         `merge:"n,nested"`
	P    int               `merge:"p,lww,group=g"`
	Q    *string           `merge:"q,lww,group=g"`
}

type CardPart struct {
	X string `merge:"x,lww"`
	Y int    `merge:"y,lww"`
}

func boxed[V any](v V, token fieldmerge.Token, err error) (any, fieldmerge.Token, error) {
	return v, token, err
}

// cards are the records of one of the two faces in a region.
type cards interface {
	read(r *region) (v any, token fieldmerge.Token, err error)
	get(r *region) (v any, err error)
	draw(t *rapid.T, from any) any
	flat(v any) structFlat
	create(r *region, v any) error
	update(r *region, to any, options ...fieldmerge.WriteOption) error
	patch(t *rapid.T, r *region, now, to any, options ...fieldmerge.WriteOption) (really any, err error)
	put(r *region, token fieldmerge.Token, to any) error
	delete(r *region, options ...fieldmerge.WriteOption) error
	isGroup(path string) bool
}

type structCards[T any] struct {
	schema *fieldmerge.Schema[T]
	t      require.TestingT
}

// isGroup reports whether a group of the struct, or of one in it, is stored at the path.
func (structCards[T]) isGroup(path string) bool {
	return hasGroup(reflect.TypeFor[T](), path[strings.LastIndexByte(path, '.')+1:])
}

func hasGroup(t reflect.Type, name string) bool {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	for i := 0; t.Kind() == reflect.Struct && i < t.NumField(); i++ {
		tag := t.Field(i).Tag.Get("merge")
		if strings.HasSuffix(tag, ",group="+name) || strings.HasSuffix(tag, "nested") && hasGroup(t.Field(i).Type, name) {
			return true
		}
	}
	return false
}

func (c structCards[T]) on(r *region) *fieldmerge.Domain[T] {
	d, err := fieldmerge.Open(r, "d", c.schema)
	require.NoError(c.t, err)
	return d
}

func (c structCards[T]) read(r *region) (any, fieldmerge.Token, error) {
	return boxed(c.on(r).Read(ctx(), key))
}

func (c structCards[T]) get(r *region) (any, error) { return c.on(r).Get(ctx(), key) }

func (c structCards[T]) draw(t *rapid.T, from any) any {
	v, _ := from.(T)
	return drawStruct(t, v, false)
}
func (c structCards[T]) flat(v any) structFlat { return flattenStruct(v) }

func (c structCards[T]) create(r *region, v any) error {
	_, err := c.on(r).Create(ctx(), key, v.(T))
	return err
}

func (c structCards[T]) update(r *region, to any, options ...fieldmerge.WriteOption) error {
	_, err := c.on(r).Update(ctx(), key, func(p *T) error { *p = to.(T); return nil }, options...)
	return err
}

func (c structCards[T]) patch(_ *rapid.T, r *region, now, to any, options ...fieldmerge.WriteOption) (any, error) {
	_, err := c.on(r).Patch(ctx(), key, patchOf(now, to), options...)
	return to, err
}

func (c structCards[T]) put(r *region, token fieldmerge.Token, to any) error {
	_, err := c.on(r).Put(ctx(), key, token, to.(T))
	return err
}

func (c structCards[T]) delete(r *region, options ...fieldmerge.WriteOption) error {
	_, err := c.on(r).Delete(ctx(), key, options...)
	return err
}

type documentCards struct {
	schema *fieldmerge.DocumentSchema
	t      require.TestingT
}

func (documentCards) isGroup(string) bool { return false }

func (c documentCards) on(r *region) *fieldmerge.Documents {
	d, err := fieldmerge.OpenDocuments(r, "d", c.schema)
	require.NoError(c.t, err)
	return d
}

func (c documentCards) read(r *region) (any, fieldmerge.Token, error) {
	return boxed(c.on(r).Read(ctx(), key))
}
func (c documentCards) get(r *region) (any, error) { return c.on(r).Get(ctx(), key) }

func (c documentCards) draw(t *rapid.T, from any) any {
	if from == nil {
		return drawDoc(t)
	}
	doc := clone(from.(map[string]any))
	mutate(t, doc)
	if rapid.IntRange(0, 4).Draw(t, "long") == 0 {
		doc["a"] = long + rapid.SampledFrom([]string{"", "1"}).Draw(t, "end")
	}
	return doc
}

func (c documentCards) flat(v any) structFlat { return structFlat{flat: flatten(v.(map[string]any))} }

func (c documentCards) create(r *region, v any) error {
	_, err := c.on(r).Create(ctx(), key, v.(map[string]any))
	return err
}

func (c documentCards) update(r *region, to any, options ...fieldmerge.WriteOption) error {
	_, err := c.on(r).Update(ctx(), key, func(doc map[string]any) error {
		clear(doc)
		maps.Copy(doc, clone(to.(map[string]any)))
		return nil
	}, options...)
	return err
}

// patch sets or unsets one of the names in which the two differ.
func (c documentCards) patch(t *rapid.T, r *region, now, to any, options ...fieldmerge.WriteOption) (any, error) {
	from, next := now.(map[string]any), to.(map[string]any)
	var names []string
	for name := range next {
		names = append(names, name)
	}
	for name := range from {
		if _, ok := next[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	p, really := fieldmerge.Patch{Set: make(map[string]any)}, clone(from)
	if len(names) > 0 {
		name := rapid.SampledFrom(names).Draw(t, "name")
		if v, ok := next[name]; ok {
			p.Set[fieldmerge.JoinPath(name)], really[name] = v, v
		} else {
			p.Unset = []string{fieldmerge.JoinPath(name)}
			delete(really, name)
		}
	}
	_, err := c.on(r).Patch(ctx(), key, p, options...)
	return really, err
}

func (c documentCards) put(r *region, token fieldmerge.Token, to any) error {
	_, err := c.on(r).Put(ctx(), key, token, to.(map[string]any))
	return err
}

func (c documentCards) delete(r *region, options ...fieldmerge.WriteOption) error {
	_, err := c.on(r).Delete(ctx(), key, options...)
	return err
}

// held is a token with what its reader was shown.
type held struct {
	token fieldmerge.Token
	v     any
	flat  structFlat
	past  uint64 // ids of the writes that its reader's region held
	life  uint64
}

// tokenHistory is a random history of readers and writers with and without tokens.
type tokenHistory struct {
	*world
	cards  cards
	tokens []*held
	knew   map[int]uint64 // by write: what it was made on
}

func (h *tokenHistory) shown(r *region) (structFlat, any, bool) {
	v, err := h.cards.get(r)
	if errors.Is(err, fieldwise.ErrNotFound) {
		return structFlat{}, nil, false
	}
	require.NoError(h.t, err)
	return h.cards.flat(v), v, true
}

func lifeOf(state []byte) uint64 {
	if len(state) == 0 {
		return 0
	}
	life, _, err := wire.Uint(state)
	if err != nil {
		panic(err)
	}
	return life
}

// item is one origin's part of a register, or of a tombstone's context.
type item struct {
	version    fieldwise.Version
	superseded bool
	val        string // unset where it has none
}

// created stands for the path of what says that a record without fields was created.
const created = "\x00created"

// registers takes the state of a live record apart.
func registers(state []byte) map[string][]item {
	all := make(map[string][]item)
	if lifeOf(state)%2 == 0 {
		return all
	}
	_, rest, _ := wire.Uint(state)
	t, fields, _ := lattice.Cut(rest)
	origins := t.Origins()
	for len(fields) > 0 {
		f, after, ok := lattice.CutField(fields)
		if !ok {
			panic("a field ends early")
		}
		fields = after
		name := string(f.Name)
		if f.Kind == lattice.KindCreated {
			name = created
		}
		for body := f.Body; len(body) > 0; {
			it, after, ok := lattice.CutItem(body)
			if !ok {
				panic("an item ends early")
			}
			body = after
			one := item{version: fieldwise.Version{Time: it.Time, Origin: origins[it.Index]}, superseded: it.Superseded}
			if !it.Superseded && !it.IsAbsent() {
				one.val = string(it.Value)
			}
			all[name] = append(all[name], one)
		}
	}
	return all
}

// contextOf is what a tombstone knows.
func contextOf(state []byte) map[fieldwise.Origin]fieldwise.Timestamp {
	known := make(map[fieldwise.Origin]fieldwise.Timestamp)
	_, rest, _ := wire.Uint(state)
	t, seen, _ := lattice.Cut(rest)
	origins := t.Origins()
	for len(seen) > 0 {
		s, after, ok := lattice.CutSeen(seen)
		if !ok {
			panic("a context ends early")
		}
		known[origins[s.Index]], seen = s.Time, after
	}
	return known
}

// act makes one read or write in a region.
func (h *tokenHistory) act(r *region) {
	t := h.t
	now, v, live := h.shown(r)
	k := rapid.IntRange(0, 19).Draw(t, "act")
	switch {
	case !live:
		if rapid.IntRange(0, 2).Draw(t, "dead") > 0 {
			to := h.cards.draw(t, nil)
			h.plain(r, "create", func() error { return h.cards.create(r, to) }, effectsOf(structFlat{}, h.cards.flat(to)))
		} else if len(h.tokens) > 0 {
			tk := rapid.SampledFrom(h.tokens).Draw(t, "token")
			require.ErrorIs(t, h.cards.put(r, tk.token, tk.v), fieldwise.ErrNotFound)
			require.ErrorIs(t, h.cards.delete(r, fieldmerge.IfMatch(tk.token)), fieldwise.ErrNotFound)
		}
	case k < 5:
		v, token, err := h.cards.read(r)
		require.NoError(t, err)
		parsed, err := fieldmerge.ParseToken(token.String())
		require.NoError(t, err)
		require.Equal(t, token, parsed)
		h.tokens = append(h.tokens, &held{parsed, v, h.cards.flat(v), h.past(r.held), lifeOf(r.State)})
	case k < 8:
		to := h.cards.draw(t, v)
		h.plain(r, "update", func() error { return h.cards.update(r, to) }, effectsOf(now, h.cards.flat(to)))
	case k == 8:
		h.plain(r, "delete", func() error { return h.cards.delete(r) }, nil)
	case len(h.tokens) > 0:
		tk := rapid.SampledFrom(h.tokens).Draw(t, "token")
		h.conditional(r, k, tk, now, v)
	}
}

// plain makes a write without a token.
func (h *tokenHistory) plain(r *region, name string, write func() error, want map[string]string) {
	now, _, _ := h.shown(r)
	r.made = nil
	require.NoError(h.t, write())
	if r.made == nil {
		return
	}
	h.knew[r.made.id] = r.made.past
	h.finish(r, name, want, now)
}

func (h *tokenHistory) finish(r *region, name string, want map[string]string, now structFlat) {
	if name != "create" {
		dropNoOps(want, now.flat)
	}
	made := registers(r.made.delta)
	maps.DeleteFunc(want, func(path, val string) bool { // zero because nobody ever set it
		return val == unset && now.zero[path] && made[path] == nil
	})
	r.made.name, r.made.effects, r.made.deletes = name, want, name == "delete"
	h.logf("%s made on %b", r.made, h.knew[r.made.id])
}

// conditional makes a write under a token and checks all that is promised of it.
func (h *tokenHistory) conditional(r *region, k int, tk *held, now structFlat, v any) {
	t := h.t
	before, reported := bytes.Clone(r.State), len(h.reports)
	r.made = nil
	name := "put"
	var want map[string]string
	var err error
	switch {
	case k < 14:
		to := h.cards.draw(t, tk.v)
		want = effectsOf(tk.flat, h.cards.flat(to))
		err = h.cards.put(r, tk.token, to)
	case k < 16:
		name = "update"
		to := h.cards.draw(t, v)
		want = effectsOf(now, h.cards.flat(to))
		err = h.cards.update(r, to, fieldmerge.IfMatch(tk.token))
	case k < 18:
		name = "patch"
		to, wrong := h.cards.patch(t, r, v, h.cards.draw(t, v), fieldmerge.IfMatch(tk.token))
		want, err = effectsOf(now, h.cards.flat(to)), wrong
	default:
		name = "delete"
		err = h.cards.delete(r, fieldmerge.IfMatch(tk.token))
	}
	h.logf("region %d: %s under the token of a reader who knew %b: %v", r.number, name, tk.past, err)
	stored := registers(before)
	newer := make(map[string]bool) // what the region wrote and the token does not know of
	for path, items := range stored {
		for _, it := range items {
			x := h.find(it.version)
			if x == nil {
				h.fatalf("%q has an item that nobody wrote: %v", path, it.version)
			}
			if path == created && name != "delete" {
				continue
			}
			rests := name == "patch" && h.cards.isGroup(path) // on the fields that it does not name
			newer[path] = newer[path] || (x.region == r.number || rests) && tk.past&(1<<x.id) == 0
		}
	}
	if tk.life != lifeOf(before) {
		var changed *fieldmerge.ChangedError
		require.ErrorAs(t, err, &changed)
		require.ErrorIs(t, err, fieldmerge.ErrChanged)
		require.True(t, changed.Recreated)
		require.Empty(t, changed.Fields)
		require.Nil(t, r.made)
		return
	}
	must := h.mustRefuse(name, want, newer, now, stored)
	if err != nil {
		h.refused(r, err, must, newer, tk, want, now, name, hidesSome(stored))
		if !bytes.Equal(r.State, before) || r.made != nil {
			h.fatalf("region %d: refused, and wrote all the same", r.number)
		}
		return
	}
	if len(must) > 0 {
		h.fatalf("region %d: %s overwrites %q, which this region changed since the token's reader saw it", r.number, name, must)
	}
	if r.made == nil {
		for path, val := range want {
			got, ok := now.flat[path]
			gone := val == unset && (!ok || now.zero[path] || got == marker)
			if !gone && (!ok || got != val) {
				h.fatalf("region %d: %s of %q=%x wrote nothing, and %q shows", r.number, name, path, val, now.flat)
			}
		}
		return
	}
	h.knew[r.made.id] = tk.past
	if name == "put" && !hidesSome(stored) {
		h.onlyWanted(r, want)
	}
	h.supersedesOnlyKnown(r, tk, stored)
	h.finish(r, name, want, now)
	h.othersSurvive(r, tk, before, stored, now, h.reports[reported:])
}

// mustRefuse lists the fields for which a write has to be refused: those that it changes,
// and that the region changed since.
func (h *tokenHistory) mustRefuse(name string, want map[string]string, newer map[string]bool, now structFlat, stored map[string][]item) (must []string) {
	for path := range newer {
		if !newer[path] {
			continue
		}
		if name == "delete" {
			must = append(must, path)
			continue
		}
		val, changes := want[path]
		if !changes || hidesSome(stored) {
			continue // what the shape asks for is not known here
		}
		if got, ok := now.flat[path]; ok && got != val || !ok && val != unset {
			if !now.zero[path] || val != unset {
				must = append(must, path)
			}
		}
	}
	slices.Sort(must)
	return must
}

// hidesSome reports whether a reader does not see something for its shape: a value with
// something below it.
func hidesSome(stored map[string][]item) bool {
	for path, items := range stored {
		for _, it := range items {
			if it.superseded || it.val == unset || it.val == marker {
				continue
			}
			for other := range stored {
				if below(other, path) {
					return true
				}
			}
		}
	}
	return false
}

// refused checks what a ChangedError says.
func (h *tokenHistory) refused(r *region, err error, must []string, newer map[string]bool, tk *held, want map[string]string, now structFlat, name string, hides bool) {
	t := h.t
	var changed *fieldmerge.ChangedError
	require.ErrorAs(t, err, &changed)
	require.Equal(t, key, changed.Key)
	require.False(t, changed.Recreated)
	if len(changed.Fields) == 0 && !newer[created] {
		h.fatalf("region %d: refused for nothing", r.number)
	}
	var told []string
	for _, f := range changed.Fields {
		told = append(told, f.Path)
		if !newer[f.Path] {
			h.fatalf("region %d: %q is said to have changed here, and did not", r.number, f.Path)
		}
		val, wanted := want[f.Path]
		if !wanted && name != "delete" && name != "patch" && !hides { // a patch may make a map of what shows as one
			near := false
			for path := range want {
				near = near || below(path, f.Path) || below(f.Path, path)
			}
			if !near {
				h.fatalf("region %d: refused for %q, which %q does not change", r.number, f.Path, want)
			}
		}
		read, was := tk.flat.flat[f.Path]
		large := was && (len(read) > 32 || wire.KindOf([]byte(read)) == wire.KindBin)
		require.Equal(t, large, f.Hashed, f.Path)
		if large {
			require.Nil(t, f.Read)
		} else {
			h.says(f.Path, "read", f.Read, read, was, tk.flat)
		}
		shows, is := now.flat[f.Path]
		h.says(f.Path, "now", f.Now, shows, is, now)
		if name == "delete" {
			require.Nil(t, f.Wanted)
		} else if wanted {
			h.says(f.Path, "wanted", f.Wanted, val, val != unset, tk.flat)
		}
	}
	require.True(t, slices.IsSorted(told))
	for _, path := range must {
		if path != created && !slices.Contains(told, path) {
			h.fatalf("region %d: %q changed here, and the error tells of %q alone", r.number, path, told)
		}
	}
}

// says demands that a ChangedError tells the value of a field in its Go type.
func (h *tokenHistory) says(path, what string, got any, want string, there bool, f structFlat) {
	if got == nil && (!there || f.zero[path] || want == encode(nil) || want == marker) {
		return // of a map nothing but the fields below may tell
	}
	if !there || encode(got) != want {
		h.fatalf("%s of %q is told as %v, and was %x", what, path, got, want)
	}
	if typ := f.types[path]; typ != nil && reflect.TypeOf(got) != typ {
		h.fatalf("%s of %q is told as %T, and is %v", what, path, got, typ)
	}
}

// onlyWanted demands that a write changes what the writer changed, and what its shape
// asks for.
func (h *tokenHistory) onlyWanted(r *region, want map[string]string) {
	if lifeOf(r.made.delta)%2 == 0 {
		return
	}
	for path, items := range registers(r.made.delta) {
		for _, it := range items {
			if it.version != r.made.version {
				continue
			}
			val, wanted := want[path]
			if wanted && val != unset && val != it.val {
				h.fatalf("region %d: %q was to be %x and is %x", r.number, path, val, it.val)
			}
			near := wanted
			for p := range want {
				near = near || below(path, p) || below(p, path)
			}
			if !near {
				h.fatalf("region %d: the write of %q touches %q", r.number, want, path)
			}
		}
	}
}

// supersedesOnlyKnown demands that a write under a token replaces nothing that the
// token's reader was not shown.
func (h *tokenHistory) supersedesOnlyKnown(r *region, tk *held, stored map[string][]item) {
	replaced := func(path string, v fieldwise.Version) {
		x := h.find(v)
		if x == nil || tk.past&(1<<x.id) == 0 {
			h.fatalf("region %d: #%d replaces %q of %v, which the token's reader was not shown", r.number, r.made.id, path, v)
		}
	}
	if lifeOf(r.made.delta)%2 == 0 {
		known := contextOf(r.made.delta)
		for path, items := range stored {
			for _, it := range items {
				if it.version.Time <= known[it.version.Origin] {
					replaced(path, it.version)
				}
			}
		}
		return
	}
	for path, items := range registers(r.made.delta) {
		for _, it := range items {
			if it.superseded {
				replaced(path, it.version)
				continue
			}
			for _, old := range stored[path] {
				if old.version.Origin == it.version.Origin {
					replaced(path, old.version)
				}
			}
		}
	}
}

// othersSurvive demands that what the token's reader was not shown is still there after
// the write and, where the write hides it, that a report says so.
func (h *tokenHistory) othersSurvive(r *region, tk *held, before []byte, stored map[string][]item, now structFlat, reports []report) {
	after, _, live := h.shown(r)
	left := registers(r.State)
	for path, items := range stored {
		for _, it := range items {
			x := h.find(it.version)
			if it.superseded || path == created || tk.past&(1<<x.id) != 0 {
				continue
			}
			if live && !slices.Contains(left[path], it) {
				h.fatalf("region %d: #%d drops %q of %v, which the token's reader was not shown", r.number, r.made.id, path, it.version)
			}
			got, showed := now.flat[path]
			if !showed || got != it.val || live && after.flat[path] == it.val {
				continue
			}
			if it.val == marker {
				continue // of a map that stays or goes with what is in it
			}
			if !slices.ContainsFunc(reports, func(rep report) bool {
				return rep.Field == path && (rep.Loser.Version == it.version || string(rep.Loser.Value) == it.val)
			}) {
				h.fatalf("region %d: #%d hides %q=%x of %v without a report", r.number, r.made.id, path, it.val, it.version)
			}
		}
	}
}

// survival is that of a world, with what the writes were made on.
func (h *tokenHistory) survival() {
	shown, _, live := h.shown(h.regions[0])
	for _, x := range h.writes {
	effects:
		for path, val := range x.effects {
			got, ok := shown.flat[path]
			if live && (val == unset && (!ok || shown.zero[path]) || ok && got == val) || !live && val == unset {
				continue
			}
			for _, y := range h.writes {
				if h.knew[y.id]&(1<<x.id) != 0 && (y.deletes || y.touches(path)) {
					continue effects
				}
			}
			for _, rep := range h.reports {
				if rep.Field == path && (rep.Loser.Version == x.version || rep.Loser.Value != nil && string(rep.Loser.Value) == val) {
					continue effects
				}
			}
			h.fatalf("lost without a trace: %q=%x of write %s\nthe record shows %q", path, val, x, shown.flat)
		}
	}
}

func tokenHistories(t *testing.T, n, long, regions int, m fieldwise.Merger, open func(t require.TestingT) cards, strategy func(path string) string) {
	randtest.Check(t, n, long, func(t *rapid.T) {
		least := min(2, regions)
		h := &tokenHistory{world: newWorld(t, m, rapid.IntRange(least, regions).Draw(t, "regions")), cards: open(t), knew: make(map[int]uint64)}
		h.causal = true
		if strategy != nil {
			h.check = func(r *region, rep report) { failsAloud(h.world, r, rep, strategy) }
		}
		for range rapid.IntRange(3, 30).Draw(t, "steps") {
			r := h.regions[rapid.IntRange(0, len(h.regions)-1).Draw(t, "region")]
			switch k := rapid.IntRange(0, 29).Draw(t, "step"); {
			case k < 20:
				if len(h.writes) < 60 {
					h.act(r)
				}
			case k < 29:
				r.deliver(false)
			default:
				r.restart(false)
			}
		}
		h.heal()
		h.converged()
		h.survival()
		if strategy != nil {
			shown, _, _ := h.shown(h.regions[0])
			resolves(h.world, h.regions[0], shown, strategy)
		}
	})
}

func TestPropertyTokensOverwriteOnlyWhatTheyShowed(t *testing.T) {
	schema, err := fieldmerge.NewSchema[Card](fieldmerge.Ranks("c", "a"))
	require.NoError(t, err)
	documents := mixedSchema(t)
	for name, regions := range map[string]int{"one region": 1, "several regions": 4} {
		t.Run("structs, "+name, func(t *testing.T) {
			tokenHistories(t, 1000, 2500, regions, schema.Merger(), func(t require.TestingT) cards { return structCards[Card]{schema, t} }, nil)
		})
		t.Run("documents, "+name, func(t *testing.T) {
			tokenHistories(t, 1000, 2500, regions, documents.Merger(), func(t require.TestingT) cards { return documentCards{documents, t} }, nil)
		})
	}
}

// A token goes through text, JSON and back.
func TestPropertyTokensRoundTrip(t *testing.T) {
	schema, err := fieldmerge.NewSchema[Wider](wideOptions()...)
	require.NoError(t, err)
	randtest.Check(t, 1000, 2500, func(t *rapid.T) {
		a, b := newStepped(schema.Merger(), "a", 1), newStepped(schema.Merger(), "bb", 1<<63)
		da, err := fieldmerge.Open(a, "d", schema)
		require.NoError(t, err)
		db, err := fieldmerge.Open(b, "d", schema)
		require.NoError(t, err)
		b.time = fieldwise.Timestamp(rapid.Uint64Range(0, 1<<63).Draw(t, "clock"))
		_, err = da.Create(ctx(), key, drawStruct(t, Wider{}, false))
		require.NoError(t, err)
		_, err = db.Create(ctx(), key, drawStruct(t, Wider{}, false))
		require.NoError(t, err)
		b.join(t, a.State)
		_, token, err := db.Read(ctx(), key)
		require.NoError(t, err)
		text := token.String()
		parsed, err := fieldmerge.ParseToken(text)
		require.NoError(t, err)
		require.Equal(t, token, parsed)
		require.Equal(t, text, parsed.String())
		var mail struct{ Match, None fieldmerge.Token }
		mail.Match = token
		raw, err := json.Marshal(mail)
		require.NoError(t, err)
		var got struct{ Match, None fieldmerge.Token }
		got.None = token
		require.NoError(t, json.Unmarshal(raw, &got))
		require.Equal(t, token, got.Match)
		require.True(t, got.None.IsZero())
		// What is not a token is refused, what is one has one text.
		damaged := []byte(text)
		i := rapid.IntRange(0, len(damaged)-1).Draw(t, "byte")
		switch rapid.IntRange(0, 2).Draw(t, "damage") {
		case 0:
			damaged[i] = rapid.SampledFrom([]byte("AZaz09-_+=")).Draw(t, "to")
		case 1:
			damaged = damaged[:i]
		case 2:
			damaged = slices.Insert(damaged, i, 'A')
		}
		if parsed, err := fieldmerge.ParseToken(string(damaged)); err != nil {
			require.ErrorIs(t, err, fieldmerge.ErrToken)
			require.True(t, parsed.IsZero())
		} else {
			require.Equal(t, string(damaged), parsed.String())
		}
	})
}

// On any text nothing panics and little is allocated; a token has one text.
func FuzzParseToken(f *testing.F) {
	schema := mixedSchema(f)
	a, b := newStepped(schema.Merger(), "a", 1), newStepped(schema.Merger(), "bb", 1<<63)
	for _, doc := range []doc{nil, {"a": 1, "": "x", "n": doc{"x": []byte("0123456789abcdef")}}, {"a": long, "b": []any{nil, 1.5}}} {
		for _, site := range []*stepped{a, b} {
			d, err := fieldmerge.OpenDocuments(site, "d", schema)
			require.NoError(f, err)
			_, err = d.Upsert(ctx(), key, setting(doc))
			require.NoError(f, err)
			b.join(f, a.State)
			_, token, err := d.Read(ctx(), key)
			require.NoError(f, err)
			f.Add(token.String())
		}
	}
	for _, text := range []string{"", "A", "AQ", "AQHEAA", "AQHEAKDA", "AQH_", "AQHG_____w"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		limit := uint64(64*len(text) + 64<<10)
		var token fieldmerge.Token
		var err error
		if n := allocated(limit, func() { token, err = fieldmerge.ParseToken(text) }); n > limit {
			t.Fatalf("a text of %d bytes allocates %d", len(text), n)
		}
		if err != nil {
			require.ErrorIs(t, err, fieldmerge.ErrToken)
			require.True(t, token.IsZero())
			return
		}
		require.False(t, token.IsZero())
		require.Equal(t, text, token.String())
		// Whoever makes one up cannot bring a write down.
		for _, state := range [][]byte{a.State, b.State} {
			site := newStepped(schema.Merger(), "c", 1)
			site.State, site.time = state, 1<<62
			d, err := fieldmerge.OpenDocuments(site, "d", schema)
			require.NoError(t, err)
			_, _ = d.Put(ctx(), key, token, doc{"a": 2, "n": 3})
			_, _ = d.Delete(ctx(), key, fieldmerge.IfMatch(token))
		}
	})
}

// Two regions create the record, and one of them knows only of the other's: its own has no
// fields that could be told of.
func TestADeleteThatDoesNotKnowOfACreateWithoutFieldsIsRefused(t *testing.T) {
	s := deviceSchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err := da.Create(ctx(), key, device{})
	require.NoError(t, err)
	_, err = db.Create(ctx(), key, device{Name: "x"})
	require.NoError(t, err)
	_, token, err := db.Read(ctx(), key)
	require.NoError(t, err)
	a.join(t, b.State)
	state := a.State
	_, err = da.Delete(ctx(), key, fieldmerge.IfMatch(token))
	require.EqualError(t, err, `d: delete "k": fieldmerge: the record has changed since it was read; read it again: it was created here, too, without fields`)
	var changed *fieldmerge.ChangedError
	require.ErrorAs(t, err, &changed)
	require.Equal(t, &fieldmerge.ChangedError{Key: key}, changed)
	require.Equal(t, state, a.State)

	_, err = da.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"name": "y"}})
	require.NoError(t, err)
	_, err = da.Delete(ctx(), key, fieldmerge.IfMatch(token))
	require.ErrorAs(t, err, &changed)
	require.Len(t, changed.Fields, 1, "the mark is none of them")
	require.Equal(t, "name", changed.Fields[0].Path)

	_, token, err = da.Read(ctx(), key)
	require.NoError(t, err)
	_, err = da.Delete(ctx(), key, fieldmerge.IfMatch(token))
	require.NoError(t, err)
}
