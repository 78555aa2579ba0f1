package fieldmerge_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

// everyMechanism has a field of each, and again in a map, in a list and in a struct.
type everyMechanism struct {
	mechanisms
	In   mechanisms            `merge:"in,nested"`
	Each map[string]mechanisms `merge:"each,each=nested"`
	All  []keyedMechanisms     `merge:"all,list=id"`
}

type mechanisms struct {
	One  string              `merge:"one,lww"`
	Top  int                 `merge:"top,max"`
	Low  *int                `merge:"low,min"`
	Up   crdt.GCounter       `merge:"up,gcounter"`
	Sum  crdt.PNCounter      `merge:"sum,pncounter"`
	N    int64               `merge:"n,pncounter"`
	Tags crdt.ORSet[string]  `merge:"tags,orset"`
	Seen crdt.GSet[int]      `merge:"seen,gset"`
	Set  []string            `merge:"set,orset"`
	On   crdt.EWFlag         `merge:"on,ewflag"`
	List []string            `merge:"list,list"`
	Map  map[string][]string `merge:"map,each=list"`
}

type keyedMechanisms struct {
	ID string `merge:"id,lww"`
	mechanisms
}

func drawValues(t *rapid.T) []string {
	return rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 4).Draw(t, "values")
}

// drawMechanismChange draws one or a few things to do to the fields.
func drawMechanismChange(t *rapid.T) func(m *mechanisms) {
	var all []func(m *mechanisms)
	for range rapid.IntRange(1, 3).Draw(t, "changes") {
		v := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "value")
		n := rapid.IntRange(0, 3).Draw(t, "n")
		field := rapid.IntRange(0, 15).Draw(t, "field")
		var values []string
		if field == 12 || field >= 14 {
			values = drawValues(t)
		}
		all = append(all, func(m *mechanisms) { m.change(field, v, n, slices.Clone(values)) })
	}
	return func(m *mechanisms) {
		for _, change := range all {
			change(m)
		}
	}
}

func (m *mechanisms) change(field int, v string, n int, values []string) {
	switch field {
	case 0:
		m.One = v
	case 1:
		m.Top += n
	case 2:
		if low := -n; m.Low == nil || *m.Low > low {
			m.Low = &low
		}
	case 3:
		m.Up.Inc(uint64(n))
	case 4:
		m.Sum.Inc(uint64(n))
	case 5:
		m.Sum.Dec(uint64(n))
	case 6:
		m.Sum.Reset()
	case 7:
		m.N -= int64(n)
	case 8:
		m.Tags.Add(v)
	case 9:
		m.Tags.Remove(v)
	case 10:
		m.Tags.Clear()
	case 11:
		m.Seen.Add(n)
	case 12:
		m.Set = values
	case 13:
		if m.On.Enable(); n > 1 {
			m.On.Disable()
		}
	case 14:
		m.List = values
		if n == 0 {
			m.List = nil
		}
	case 15:
		if m.Map == nil || n == 0 {
			m.Map = make(map[string][]string)
		}
		m.Map[v] = values
	}
}

func drawChangeOfEvery(t *rapid.T) func(e *everyMechanism) {
	key := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "key")
	where := rapid.IntRange(0, 9).Draw(t, "where")
	change := func(*mechanisms) {}
	if where < 5 || where > 7 {
		change = drawMechanismChange(t)
	}
	return func(e *everyMechanism) {
		switch where {
		case 0, 1:
			change(&e.mechanisms)
		case 2:
			change(&e.In)
		case 3, 4:
			if e.Each == nil {
				e.Each = make(map[string]mechanisms)
			}
			m := e.Each[key]
			change(&m)
			e.Each[key] = m
		case 5:
			delete(e.Each, key)
		case 6:
			e.All = slices.DeleteFunc(e.All, func(m keyedMechanisms) bool { return m.ID == key })
		case 7:
			slices.Reverse(e.All)
		default:
			i := slices.IndexFunc(e.All, func(m keyedMechanisms) bool { return m.ID == key })
			if i < 0 {
				e.All, i = append(e.All, keyedMechanisms{ID: key}), len(e.All)
			}
			change(&e.All[i].mechanisms)
		}
	}
}

func mechanismSchema(t require.TestingT) *fieldmerge.Schema[everyMechanism] {
	s, err := fieldmerge.NewSchema[everyMechanism]()
	require.NoError(t, err)
	return s
}

// States of all mechanisms, alone and within each other, with deletes and creates anew,
// from deltas that come in any order, twice or never, obey the laws, and regions that have
// heard of the same hold the same bytes and show the same.
func TestPropertyMechanismsObeyTheLawsAndConverge(t *testing.T) {
	schema := mechanismSchema(t)
	randtest.Check(t, 200, 2000, func(t *rapid.T) {
		var sites []*stepped
		var all []*fieldmerge.Domain[everyMechanism]
		for _, name := range []fieldwise.Region{"a", "b", "c"} {
			site := newStepped(schema.Merger(), name, 1)
			d, err := fieldmerge.Open(site, "d", schema)
			require.NoError(t, err)
			sites, all = append(sites, site), append(all, d)
		}
		states := [][]byte{nil}
		var tokens []fieldmerge.Token
		for range rapid.IntRange(1, 14).Draw(t, "steps") {
			i := rapid.IntRange(0, 2).Draw(t, "region")
			site, d := sites[i], all[i]
			switch k := rapid.IntRange(0, 19).Draw(t, "step"); {
			case k == 0:
				if _, err := d.Delete(ctx(), key); err != nil {
					require.ErrorIs(t, err, fieldwise.ErrNotFound)
				}
			case k == 1: // restored, and under a fresh incarnation
				site.origin.Incarnation += 10
			case k == 2:
				if _, token, err := d.Read(ctx(), key); err == nil {
					tokens = append(tokens, token)
				}
			case k < 5 && len(tokens) > 0:
				on := fieldmerge.IfMatch(rapid.SampledFrom(tokens).Draw(t, "token"))
				var err error
				if k == 3 {
					_, err = d.Delete(ctx(), key, on)
				} else {
					change := drawChangeOfEvery(t)
					_, err = d.Update(ctx(), key, func(v *everyMechanism) error { change(v); return nil }, on)
				}
				if err != nil && !errors.Is(err, fieldwise.ErrNotFound) {
					var changed *fieldmerge.ChangedError
					require.ErrorAs(t, err, &changed)
				}
			case k < 12:
				change := drawChangeOfEvery(t)
				_, err := d.Upsert(ctx(), key, func(v *everyMechanism) error { change(v); return nil })
				require.NoError(t, err)
			default:
				site.join(t, rapid.SampledFrom(states).Draw(t, "state"))
			}
			states = append(states, slices.Clone(site.State), slices.Clone(site.delta))
		}
		obeysLaws(t, schema.Merger(), states)
		for range 2 {
			for _, site := range sites {
				for _, state := range states {
					site.join(t, state)
				}
				for _, other := range sites {
					site.join(t, other.State)
				}
			}
		}
		require.Equal(t, sites[0].State, sites[1].State)
		require.Equal(t, sites[0].State, sites[2].State)
		var shown [2]everyMechanism
		for i := range shown {
			v, err := all[i].Get(ctx(), key)
			if err != nil {
				require.ErrorIs(t, err, fieldwise.ErrNotFound)
			}
			shown[i] = v
		}
		for i := range shown { // and what is shown can be written anew, which changes nothing
			before := sites[i].State
			_, err := all[i].Update(ctx(), key, func(*everyMechanism) error { return nil })
			if err != nil {
				require.ErrorIs(t, err, fieldwise.ErrNotFound)
			}
			require.Equal(t, before, sites[i].State)
			require.Equal(t, text(t, shown[0]), text(t, shown[i]))
		}
	})
}

func text(t require.TestingT, v any) string {
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}
