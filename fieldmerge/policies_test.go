package fieldmerge_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

// Policies that compute, and some that fail.

var errPicky = errors.New("picky")

// joined computes a value that nobody wrote.
func joined[V any](siblings []fieldmerge.Sibling[V]) string {
	var all []string
	for _, s := range siblings {
		if !s.Absent {
			all = append(all, fmt.Sprint(s.Value))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "|")
}

// picky chooses the sibling with the largest bytes, and nothing where somebody unset it. It
// fails at "x" and panics at "y".
func picky(values []any, absent bool) (int, error) {
	best := 0
	for i, v := range values {
		switch v {
		case "x":
			return 0, errPicky
		case "y":
			panic("y")
		}
		if encode(v) > encode(values[best]) {
			best = i
		}
	}
	if absent {
		best = -1
	}
	return best, nil
}

func documentPolicies(t require.TestingT) *fieldmerge.DocumentSchema {
	return newSchema(t,
		fieldmerge.Custom("join", func(siblings []fieldmerge.Sibling[any]) (any, error) { return joined(siblings), nil }),
		fieldmerge.Custom("choosy", func(siblings []fieldmerge.Sibling[any]) (any, error) {
			var values []any
			absent := false
			for _, s := range siblings {
				if absent = absent || s.Absent; !s.Absent {
					values = append(values, s.Value)
				}
			}
			i, err := picky(values, absent)
			if err != nil || i < 0 {
				return nil, err
			}
			return values[i], nil
		}),
		fieldmerge.Default("custom=join"), fieldmerge.Field("a", fieldmerge.Earliest), fieldmerge.Field("n.**", fieldmerge.Earliest),
		fieldmerge.Field("ab", "custom=choosy"), fieldmerge.Field("address", "custom=choosy"))
}

// Deal is a struct under all of these policies.
type Deal struct {
	Best   int               `merge:"best,custom=max"`
	Sum    int64             `merge:"sum,custom=sum"`
	First  string            `merge:"first,earliest"`
	Log    string            `merge:"log,custom=join"`
	Picky  *string           `merge:"picky,custom=picky"`
	Notes  map[string]string `merge:"notes,each=custom=join"`
	Amount int               `merge:"amount,custom=dear,group=price"`
	Unit   string            `merge:"unit,custom=dear,group=price"`
	From   *int              `merge:"from,earliest,group=span"`
	Until  *int              `merge:"until,earliest,group=span"`
	Place  *DealPart         `merge:"place,nested"`
}

type DealPart struct {
	Log  string `merge:"log,custom=join"`
	Best int    `merge:"best,custom=max"`
}

func dealSchema(t require.TestingT) *fieldmerge.Schema[Deal] {
	s, err := fieldmerge.NewSchema[Deal](
		fieldmerge.Custom("max", func(siblings []fieldmerge.Sibling[int]) (int, error) {
			best := siblings[0].Value
			for _, s := range siblings {
				best = max(best, s.Value)
			}
			return best, nil
		}),
		fieldmerge.Custom("sum", func(siblings []fieldmerge.Sibling[int64]) (sum int64, err error) {
			for _, s := range siblings {
				sum += s.Value
			}
			return sum, nil
		}),
		fieldmerge.Custom("join", func(siblings []fieldmerge.Sibling[string]) (string, error) { return joined(siblings), nil }),
		fieldmerge.Custom("picky", func(siblings []fieldmerge.Sibling[*string]) (*string, error) {
			var values []any
			var pointers []*string
			absent := false
			for _, s := range siblings {
				if absent = absent || s.Absent; !s.Absent {
					values, pointers = append(values, *s.Value), append(pointers, s.Value)
				}
			}
			i, err := picky(values, absent)
			if err != nil || i < 0 {
				return nil, err
			}
			return pointers[i], nil
		}),
		// The price with the largest amount; two with the same amount are an error.
		fieldmerge.Custom("dear", func(siblings []fieldmerge.Sibling[map[string]any]) (map[string]any, error) {
			var best map[string]any
			var most int64
			for _, s := range siblings {
				amount, ok := s.Value["amount"].(int64)
				switch {
				case !ok || best != nil && amount == most:
					return nil, errPicky
				case best == nil || amount > most:
					best, most = s.Value, amount
				}
			}
			return best, nil
		}))
	require.NoError(t, err)
	return s
}

// resolved is what the policies show of a register, written anew: by the field's
// strategy, from its current values, oldest first. failed says that the policy fails.
func resolved(strategy string, items []item) (val string, failed bool) {
	var values []any // without those that come again later
	absent := false
	newest := items[len(items)-1].val
	for i, it := range items {
		if slices.ContainsFunc(items[i+1:], func(later item) bool { return later.val == it.val }) {
			continue
		}
		if it.val == unset {
			absent = true
			continue
		}
		var v any
		decodeInto(noTest{}, it.val, reflect.ValueOf(&v).Elem())
		values = append(values, v)
	}
	if absent && len(values) == 0 || !absent && len(values) == 1 {
		return newest, false
	}
	switch strategy {
	case "lww":
		return newest, false
	case "earliest":
		return items[0].val, false
	case "custom=join":
		var all []string
		for _, v := range values {
			all = append(all, fmt.Sprint(v))
		}
		slices.Sort(all)
		return encode(strings.Join(all, "|")), false
	case "custom=max", "custom=sum":
		sum, most := int64(0), int64(-1<<63)
		if absent {
			most = 0
		}
		for _, v := range values {
			sum, most = sum+v.(int64), max(most, v.(int64))
		}
		if strategy == "custom=sum" {
			return encode(sum), false
		}
		return encode(most), false
	case "custom=picky", "custom=choosy":
		if slices.Contains(values, any("x")) || slices.Contains(values, any("y")) {
			return newest, true
		}
		if absent && strategy == "custom=choosy" {
			return encode(nil), false // only a nil pointer is unset
		}
		if absent {
			return unset, false
		}
		all := make([]string, len(values))
		for i, v := range values {
			all[i] = encode(v)
		}
		return slices.Max(all), false
	case "custom=dear":
		var best string
		most := int64(-1 << 63)
		for _, v := range values {
			amount := v.(map[string]any)["amount"].(int64)
			if amount == most {
				return newest, true
			}
			if amount > most {
				best, most = encode(v), amount
			}
		}
		if absent {
			return newest, true
		}
		return best, false
	}
	panic(strategy)
}

// noTest fails by a panic.
type noTest struct{}

func (noTest) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (noTest) FailNow()                          {}

// current are the current values of a register, oldest first.
func current(items []item) []item {
	all := slices.DeleteFunc(slices.Clone(items), func(it item) bool { return it.superseded })
	slices.SortFunc(all, func(a, b item) int { return a.version.Compare(b.version) })
	return all
}

// resolves demands that a region shows what the policies, written anew, say.
func resolves(w *world, r *region, shown structFlat, strategy func(path string) string) {
	stored := registers(r.State)
	for path, items := range stored {
		items = current(items)
		if path == created || len(items) == 0 {
			continue
		}
		want, _ := resolved(strategy(path), items)
		got, ok := shown.flat[path]
		if want == unset && (!ok || shown.zero[path]) || ok && got == want {
			continue
		}
		if near(stored, path) {
			continue // the shape has a say
		}
		w.fatalf("region %d: %q=%v is to show %x, and shows %x", r.number, path, items, want, got)
	}
}

// near reports whether something is stored above or below a path.
func near(stored map[string][]item, path string) bool {
	for other := range stored {
		if below(other, path) || below(path, other) {
			return true
		}
	}
	return false
}

// failsAloud demands that a conflict says whether the policy failed, and then names the
// newest value as the winner.
func failsAloud(w *world, r *region, rep report, strategy func(path string) string) {
	if rep.Kind != fieldwise.ConflictUpdate && rep.Kind != fieldwise.ConflictCreate && rep.Kind != fieldwise.ConflictPolicy {
		return
	}
	items := current(registers(r.State)[rep.Field])
	if !slices.ContainsFunc(items, func(it item) bool { return it.version == rep.Loser.Version }) {
		return // the record is another one by now
	}
	val, failed := resolved(strategy(rep.Field), items)
	if failed != (rep.Kind == fieldwise.ConflictPolicy) || rep.Policy != strategy(rep.Field) || failed && rep.Reason == "" {
		w.fatalf("region %d: the policy of %q fails: %v, and the report is %v", r.number, rep.Field, failed, rep.Conflict)
	}
	if string(rep.Winner.Value) != val || failed && rep.Winner.Version != items[len(items)-1].version {
		w.fatalf("region %d: %q shows %x, and the report is %v", r.number, rep.Field, val, rep.Conflict)
	}
}

func documentStrategy(path string) string {
	switch {
	case path == "a" || below(path, "n"):
		return "earliest"
	case path == "ab" || path == "address":
		return "custom=choosy"
	}
	return "custom=join"
}

func dealStrategy(path string) string {
	switch {
	case path == "best" || path == "place.best":
		return "custom=max"
	case path == "first" || path == "span":
		return "earliest"
	case path == "sum":
		return "custom=sum"
	case path == "picky":
		return "custom=picky"
	case path == "price":
		return "custom=dear"
	case path == "log" || path == "place.log" || below(path, "notes"):
		return "custom=join"
	}
	return "lww" // markers have no policy of their own
}

func survivalUnderPolicies(t *testing.T, how mode) {
	schema := documentPolicies(t)
	doc := docOf(t, schema)
	randtest.Check(t, 1000, 4000, func(t *rapid.T) {
		a := &fieldActs{schema: schema, reads: make(map[int][]map[string]any)}
		w := history(t, schema.Merger(), how, doc, func(w *world, r *region) {
			if w.causal {
				w.check = func(r *region, rep report) {
					w.truthful(r, rep)
					failsAloud(w, r, rep, documentStrategy)
				}
			}
			a.act(w, r)
			resolves(w, r, structFlat{flat: doc(r.State)}, documentStrategy)
		})
		w.survival()
		resolves(w, w.regions[0], structFlat{flat: doc(w.regions[0].State)}, documentStrategy)
	})
}

func TestSurvivalUnderCustomPoliciesUnderCausalDelivery(t *testing.T) {
	survivalUnderPolicies(t, causal)
}

func TestSurvivalAndConvergenceUnderCustomPoliciesInChaos(t *testing.T) {
	survivalUnderPolicies(t, chaotic)
}

// The same of structs with groups, written with and without tokens.
func TestSurvivalOfStructsUnderCustomPolicies(t *testing.T) {
	schema := dealSchema(t)
	tokenHistories(t, 1500, 2500, 4, schema.Merger(), func(t require.TestingT) cards { return structCards[Deal]{schema, t} }, dealStrategy)
}

func TestLawsUnderCustomPolicies(t *testing.T) {
	schema, deals := documentPolicies(t), dealSchema(t)
	none := func(*region, int) {}
	randtest.Check(t, 1000, 2500, func(t *rapid.T) {
		a := &fieldActs{schema: schema, reads: make(map[int][]map[string]any)}
		obeysLaws(t, schema.Merger(), states(t, schema.Merger(), docOf(t, schema), a.act, none, func(*region) {}))
		h := &tokenHistory{cards: structCards[Deal]{deals, t}, knew: make(map[int]uint64)}
		obeysLaws(t, deals.Merger(), states(t, deals.Merger(), nil, func(w *world, r *region) {
			h.world = w
			v, _ := h.cards.get(r)
			if _, err := h.cards.get(r); err != nil {
				require.NoError(t, h.cards.create(r, h.cards.draw(t, nil)))
			} else if rapid.IntRange(0, 5).Draw(t, "delete") == 0 {
				require.NoError(t, h.cards.delete(r))
			} else {
				require.NoError(t, h.cards.update(r, h.cards.draw(t, v)))
			}
		}, none, func(*region) {}))
	})
}

// What shows is the map, whatever a policy computes of its marker and another value: setting
// the path to just that is a write like any other.
func TestSettingWhatAPolicyComputesUnderAMapThatShowsIsWritten(t *testing.T) {
	s := newSchema(t, fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("f", "custom=nothing"),
		fieldmerge.Custom("nothing", func([]fieldmerge.Sibling[any]) (any, error) { return nil, nil }))
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	a.create(4, doc{"f": doc{"x": 0}})
	a.take(b.create(3, doc{"f": 5}))
	a.shows(doc{"f": doc{"x": int64(0)}})
	a.set(10, doc{"f": nil})
	a.shows(doc{"f": nil})
	siblings, err := a.domain.Siblings(ctx(), key, "f")
	require.NoError(t, err)
	require.Equal(t, []fieldmerge.Sibling[any]{{Version: version(10, "a"), Shown: true}}, siblings)
}
