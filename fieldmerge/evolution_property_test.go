package fieldmerge_test

import (
	"bytes"
	"errors"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

// account3 is a third release, which changes what the second one changed once more.
type account3 struct {
	Label  string            `merge:"label,lww,was=full_name"`
	Phone  *int              `merge:"phone,custom=sum"`
	Age    string            `merge:"age,priority"`
	Amount int               `merge:"amount,lww"`
	Unit   *string           `merge:"unit,lww"`
	Home   map[string]string `merge:"home,each=lww"`
	Prefs  map[string]string `merge:"prefs,earliest"`
	Old    int               `merge:"old,lww"`
}

// sum resolves the phones of release three: their sum, and an error where one is negative.
func sum(siblings []fieldmerge.Sibling[int]) (n int, err error) {
	for _, s := range siblings {
		if s.Value < 0 {
			return 0, errors.New("negative")
		}
		n += s.Value
	}
	return n, nil
}

// rolling is a region in which a release of the service runs, and then another.
type rolling struct {
	*stepped
	release int
	held    uint64 // ids of the writes that are in its state
	inbox   []int  // ids of writes that are on their way
}

// rolled is a write as the oracle knows it.
type rolled struct {
	version fieldwise.Version
	delta   []byte
	life    uint64
	past    uint64            // ids of the writes that it knew of
	fields  map[string]string // by path: the encoded value, or unset
}

// deployment is some regions between which releases are mixed.
type deployment struct {
	t        *rapid.T
	releases []runs
	sites    []*rolling
	writes   []rolled
	reports  []fieldwise.Conflict
}

// runs is what a release does with the record of a site.
type runs struct {
	merger fieldwise.Merger
	knows  []string // the first segments of the paths that it may write
	create func(t *rapid.T, site *stepped) error
	update func(t *rapid.T, site *stepped) error
}

// runsOf is a release whose records are T.
func runsOf[T any](t *testing.T, draw func(t *rapid.T, v *T), knows string, options ...fieldmerge.Option) runs {
	s, err := fieldmerge.NewSchema[T](options...)
	require.NoError(t, err)
	// get reads a record; what does not fit is zero, and Explain says so.
	get := func(t *rapid.T, d *fieldmerge.Domain[T]) T {
		v, err := d.Get(ctx(), key)
		if err != nil {
			require.ErrorIs(t, err, fieldmerge.ErrField)
			e, err := d.Explain(ctx(), key)
			require.NoError(t, err)
			require.True(t, slices.ContainsFunc(e.Fields, func(f fieldmerge.FieldExplanation) bool { return f.Problem != "" }), "Explain shows no problem: %v", e)
		}
		return v
	}
	open := func(t *rapid.T, site *stepped) *fieldmerge.Domain[T] {
		d, err := fieldmerge.Open(site, "d", s)
		require.NoError(t, err)
		return d
	}
	return runs{s.Merger(), strings.Split(knows, " "), func(t *rapid.T, site *stepped) error {
		d := open(t, site)
		var v T
		draw(t, &v)
		_, err := d.Create(ctx(), key, v)
		if err == nil {
			require.Equal(t, v, get(t, d))
		}
		return err
	}, func(t *rapid.T, site *stepped) error {
		d := open(t, site)
		var v T
		_, err := d.Update(ctx(), key, func(p *T) error {
			draw(t, p)
			v = *p
			return nil
		})
		if err == nil {
			require.Equal(t, v, get(t, d), "a reader sees what the change made, and all else as it was")
		}
		return err
	}}
}

var (
	drawText   = rapid.SampledFrom([]string{"", "x", "y", "zz"})
	drawNumber = rapid.IntRange(-1, 3)
	drawFields = rapid.IntRange(1, 255)
)

// drawMap changes an entry of a map.
func drawMap(t *rapid.T, m *map[string]string) {
	if *m == nil {
		*m = make(map[string]string)
	}
	k := rapid.SampledFrom([]string{"city", "zip", "k"}).Draw(t, "entry")
	if rapid.IntRange(0, 3).Draw(t, "gone") == 0 {
		delete(*m, k)
	} else {
		(*m)[k] = drawText.Draw(t, "value")
	}
}

// some calls one function for each bit that is drawn.
func some(t *rapid.T, change ...func()) {
	set := drawFields.Draw(t, "fields")
	set &= drawFields.Draw(t, "of them")
	for i, f := range change {
		if set&(1<<i) != 0 {
			f()
		}
	}
}

func threeReleases(t *testing.T) []runs {
	ranks := fieldmerge.Ranks("b", "a")
	text := func(t *rapid.T) string { return drawText.Draw(t, "text") }
	number := func(t *rapid.T) int { return drawNumber.Draw(t, "number") }
	return []runs{
		runsOf(t, func(t *rapid.T, v *account1) {
			some(t, func() { v.Name = text(t) }, func() { v.Phone = text(t) }, func() { v.Age = number(t) }, func() { v.Amount = number(t) },
				func() { v.Unit = text(t) }, func() { v.Home.City = text(t) }, func() { drawMap(t, &v.Prefs) }, func() { v.Old = text(t) })
		}, "name phone age amount unit home prefs old"),
		runsOf(t, func(t *rapid.T, v *account2) {
			some(t, func() { v.FullName = text(t) }, func() { v.Phone = text(t) }, func() { v.Age = text(t) }, func() { v.Amount = int64(number(t)) },
				func() { v.Unit = text(t) }, func() { v.Home.City = text(t) }, func() { drawMap(t, &v.Prefs) }, func() { v.New = text(t) })
		}, "full_name phone age price home prefs new", ranks),
		runsOf(t, func(t *rapid.T, v *account3) {
			some(t, func() { v.Label = text(t) }, func() { v.Phone = ptr(number(t)) }, func() { v.Age = text(t) }, func() { v.Amount = number(t) },
				func() { v.Unit = ptr(text(t)) }, func() { drawMap(t, &v.Home) }, func() { v.Prefs = map[string]string{"k": text(t)} }, func() { v.Phone = nil })
		}, "label phone age amount unit home prefs", ranks, fieldmerge.Custom("sum", sum)),
	}
}

func (d *deployment) past(held uint64) uint64 {
	all := held
	for ; held != 0; held &= held - 1 {
		all |= d.writes[bits.TrailingZeros64(held)].past
	}
	return all
}

// take joins a state into a site, under the policies of the release that runs there.
func (d *deployment) take(s *rolling, state []byte, held uint64) {
	d.reports = append(d.reports, s.join(d.t, state)...)
	s.held |= held
}

// write makes a random write in a site.
func (d *deployment) write(s *rolling) {
	t, run := d.t, d.releases[s.release]
	s.time += fieldwise.Timestamp(rapid.IntRange(0, 6).Draw(t, "later"))
	s.delta = nil
	var err error
	switch live := s.Merger.(fieldwise.Deleter).Live(s.State); {
	case !live:
		err = run.create(t, s.stepped)
	case rapid.IntRange(0, 11).Draw(t, "delete") == 0:
		err = func() error {
			domain, err := fieldmerge.OpenDocuments(s.stepped, "d", lwwSchema(t))
			require.NoError(t, err)
			_, err = domain.Delete(ctx(), key)
			return err
		}()
	default:
		err = run.update(t, s.stepped)
	}
	require.NoError(t, err)
	if s.delta == nil {
		return // it changed nothing
	}
	w := rolled{version: fieldwise.Version{Time: s.time, Origin: s.origin}, delta: s.delta, past: d.past(s.held)}
	life, siblings := takeApart(t, s.delta)
	w.life, w.fields = life, make(map[string]string)
	for path, all := range siblings {
		for _, one := range all {
			require.Equal(t, w.version, one.Version, "a delta has its own values only")
			w.fields[path] = string(one.Value)
		}
		first, _, _ := strings.Cut(path, ".")
		require.Contains(t, append(run.knows, "created"), first, "release %d leaves alone what it does not know", s.release+1)
	}
	id := len(d.writes)
	d.writes = append(d.writes, w)
	s.held |= 1 << id
	for _, other := range d.sites {
		if other != s {
			other.inbox = append(other.inbox, id)
		}
	}
}

// takeApart lists the current values in a state, by path; of a deleted record there are
// none. An unset one has no Value.
func takeApart(t require.TestingT, state []byte) (life uint64, siblings map[string][]fieldwise.Sibling) {
	siblings = make(map[string][]fieldwise.Sibling)
	life = uint64(state[0])
	if life%2 == 0 {
		return life, siblings
	}
	table, fields, ok := lattice.Cut(state[1:])
	require.True(t, ok)
	for len(fields) > 0 {
		f, rest, ok := lattice.CutField(fields)
		require.True(t, ok)
		fields = rest
		path := string(f.Name)
		if f.Kind != lattice.KindRegister {
			path = "created"
		}
		var err error
		siblings[path], err = lattice.Siblings(nil, table, f.Body)
		require.NoError(t, err)
	}
	return life, siblings
}

// nothingIsLost demands of each value of each write that it is in the state byte for byte,
// that a later write which knew of it replaced it, or that a delete dropped it and a region
// said so.
func (d *deployment) nothingIsLost(state []byte) {
	life, siblings := takeApart(d.t, state)
	for id, w := range d.writes {
		for path, val := range w.fields {
			switch {
			case slices.ContainsFunc(siblings[path], func(s fieldwise.Sibling) bool { return s.Version == w.version && string(s.Value) == val }):
			case slices.ContainsFunc(d.writes, func(y rolled) bool {
				_, same := y.fields[path]
				return y.past&(1<<id) != 0 && (same && y.life == w.life || y.life == w.life+1 && y.life%2 == 0)
			}):
			case path == "created" && life == w.life: // another write gave the record fields
			case life > w.life && slices.ContainsFunc(d.reports, func(c fieldwise.Conflict) bool {
				return c.Loser.Version == w.version && (c.Field == path || path == "created")
			}):
			default:
				d.t.Fatalf("lost without a trace: %q = %x, written by %v in life %d; the state has life %d and %v", path, val, w.version, w.life, life, siblings[path])
			}
		}
	}
}

func TestPropertyMixedReleasesConvergeAndLoseNothing(t *testing.T) {
	releases := threeReleases(t)
	randtest.Check(t, 2500, 5000, func(t *rapid.T) {
		d := &deployment{t: t, releases: releases}
		for i := range rapid.IntRange(2, 3).Draw(t, "regions") {
			run := rapid.IntRange(0, 2).Draw(t, "release")
			d.sites = append(d.sites, &rolling{stepped: newStepped(releases[run].merger, []fieldwise.Region{"a", "b", "c"}[i], 1), release: run})
		}
		for range rapid.IntRange(4, 25).Draw(t, "steps") {
			s := d.sites[rapid.IntRange(0, len(d.sites)-1).Draw(t, "region")]
			switch k := rapid.IntRange(0, 19).Draw(t, "step"); {
			case k < 10:
				d.write(s)
			case k < 16 && len(s.inbox) > 0:
				i := rapid.IntRange(0, len(s.inbox)-1).Draw(t, "message")
				id := s.inbox[i]
				s.inbox = slices.Delete(s.inbox, i, i+1)
				d.take(s, d.writes[id].delta, 1<<id)
			case k < 18:
				from := d.sites[rapid.IntRange(0, len(d.sites)-1).Draw(t, "from")]
				if from != s && len(from.State) > 0 {
					d.take(s, bytes.Clone(from.State), from.held)
				}
			default: // a deploy
				s.release = rapid.IntRange(0, 2).Draw(t, "release")
				s.Merger = releases[s.release].merger
			}
		}
		for range 2 {
			for _, from := range d.sites {
				for _, to := range d.sites {
					if from != to && len(from.State) > 0 {
						d.take(to, bytes.Clone(from.State), from.held)
					}
				}
			}
		}
		for _, s := range d.sites {
			require.Equal(t, d.sites[0].State, s.State, "all regions hold the same bytes")
		}
		if len(d.writes) > 0 {
			d.nothingIsLost(d.sites[0].State)
		}
	})
}
