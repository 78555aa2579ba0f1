package lattice

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// requireOpenBody requires that the trees hold a body and nothing else.
func requireOpenBody(t require.TestingT, s *openDots, want []byte) {
	got := s.appendBody(nil)
	if !bytes.Equal(got, want) {
		require.Failf(t, "the body differs", "%x, want\n%x", got, want)
	}
	require.Equal(t, len(want), s.bodyLen())
	fresh, err := openBody(want, s.ordered)
	require.NoError(t, err)
	require.Equal(t, listed(&fresh.dots), listed(&s.dots))
	require.Equal(t, listed(&fresh.order), listed(&s.order))
	n := 0
	require.NoError(t, eachValue(want, func([]byte) bool { n++; return true }))
	require.Equal(t, n, s.len())
}

func listed(t *tree) (all []row) {
	t.all(func(it row) bool { all = append(all, it); return true })
	return all
}

func TestPropertyAnOpenBodyIsJoinedLikeBytes(t *testing.T) {
	randtest.Check(t, 800, 6000, func(t *rapid.T) {
		all := drawMoments(t)
		at := encodeDots(drawDotted(t, all), same)
		s, err := openBody(at, rapid.Bool().Draw(t, "ordered"))
		require.NoError(t, err)
		for range rapid.IntRange(1, 4).Draw(t, "merges") {
			before, was := s, at
			if rapid.Bool().Draw(t, "clone") {
				s = s.clone()
			}
			delta := encodeDots(drawDotted(t, all), same)
			at = joinedDots(t, at, delta)
			require.NoError(t, s.merge(delta))
			requireOpenBody(t, s, at)
			if before != s {
				requireOpenBody(t, before, was)
			}
		}
	})
}

// writes draws writes of three regions to a record of a register, a counter, a set and a
// list, which know of each other or not.
type writes struct {
	states [3][]byte // per region
	time   fieldwise.Timestamp
}

var openFieldsOf = []struct {
	name string
	kind Kind
}{{"a", KindRegister}, {"list", KindList}, {"m", KindCounter}, {"tags", KindSet}, {"z", KindRegister}}

// write makes a write at a region and returns its delta; nothing where it changes nothing.
func (w *writes) write(t *rapid.T) (region int, delta []byte) {
	region = rapid.IntRange(0, 2).Draw(t, "region")
	w.time++
	at := fieldwise.Version{Time: w.time, Origin: threeOrigins()[region]}
	state := w.states[region]
	f := openFieldsOf[rapid.IntRange(0, len(openFieldsOf)-1).Draw(t, "field")]
	var e Edit
	switch f.kind {
	case KindSet:
		for range rapid.IntRange(1, 6).Draw(t, "intents") {
			op := rapid.SampledFrom([]Op{OpAdd, OpAdd, OpRemove}).Draw(t, "op")
			e.Intents = append(e.Intents, Intent{Op: op, Element: smallValue(t)})
		}
	case KindCounter:
		e.Intents = []Intent{{Op: OpInc, Amount: 1}}
	}
	delta = writeField(t, state, f.name, f.kind, e, at, rapid.SliceOfN(rapid.Custom(smallValue), 1, 4).Draw(t, "values"))
	if len(delta) > 0 {
		w.take(t, region, delta)
	}
	return region, delta
}

func smallValue(t *rapid.T) []byte {
	return wire.AppendString(nil, fmt.Sprintf("value-%d", rapid.IntRange(0, 12).Draw(t, "value")))
}

// writeField makes the delta of a write of one field: the edit of a set or a counter; a
// register is given the first of the values, and to a list they are appended.
func writeField(t require.TestingT, state []byte, name string, k Kind, e Edit, at fieldwise.Version, values [][]byte) []byte {
	table, fs, err := cutState(state)
	require.NoError(t, err)
	d, err := NewDelta(table, at)
	require.NoError(t, err)
	body := FindField(fs, name, k)
	var out []byte
	switch k {
	case KindRegister:
		out, err = d.AppendWrite(nil, body, values[0])
	case KindList:
		var from [][]byte
		all, errList := ListElements(table, body)
		require.NoError(t, errList)
		for _, one := range all {
			from = append(from, one.Value)
		}
		out, err = d.AppendList(nil, body, table, from, append(slices.Clip(from), values...))
	default:
		out, err = d.AppendEdit(nil, k, table, body, e)
	}
	require.NoError(t, err)
	if len(out) == 0 {
		return nil
	}
	return d.AppendFields(nil, []Field{{Name: []byte(name), Kind: k, Body: out}})
}

func (w *writes) take(t require.TestingT, region int, delta []byte) {
	require.NoError(t, CheckFields(delta), "%x", delta)
	if len(w.states[region]) == 0 {
		w.states[region] = delta
		return
	}
	joined, err := JoinFields(nil, w.states[region], delta)
	require.NoError(t, err)
	w.states[region] = joined
}

// What is kept open joins like bytes, whatever comes: deltas, whole states, origins that are
// new to it. And a write that is made from the part of the state that it concerns is the one
// that is made from all of it.
func TestPropertyAnOpenRecordIsThatOfItsBytes(t *testing.T) {
	randtest.Check(t, 800, 8000, func(t *rapid.T) {
		w := &writes{}
		var opened *Open
		for range rapid.IntRange(1, 25).Draw(t, "writes") {
			region, delta := w.write(t)
			came := [][]byte{delta}
			if rapid.IntRange(0, 3).Draw(t, "meet") == 0 {
				if all := w.states[rapid.IntRange(0, 2).Draw(t, "from")]; len(all) > 0 {
					w.take(t, region, all)
					came = append(came, all)
				}
			}
			at := w.states[0]
			if len(at) == 0 {
				continue
			}
			if opened == nil {
				var err error
				opened, err = OpenFields(at, 1)
				require.NoError(t, err)
				continue
			}
			if region == 0 {
				if rapid.Bool().Draw(t, "clone") {
					opened = opened.Clone()
				}
				for _, c := range came {
					if len(c) > 0 {
						require.NoError(t, opened.Merge(c))
					}
				}
			}
			require.Equal(t, at, opened.AppendState(nil))
			require.Equal(t, len(at), opened.Size())
			requireParts(t, opened, at, w.time+1)
		}
	})
}

func requireParts(t *rapid.T, opened *Open, at []byte, time fieldwise.Timestamp) {
	for _, l := range opened.Large() {
		require.Equal(t, string(l.key[:len(l.key)-1]), string(l.Name()))
		table, fs, err := cutState(at)
		require.NoError(t, err)
		all, err := Elements(table, FindField(fs, string(l.Name()), l.Kind()))
		require.NoError(t, err)
		require.Equal(t, len(all), l.Len())
		values := rapid.SliceOfN(rapid.Custom(smallValue), 1, 3).Draw(t, "named")
		for _, v := range values {
			has := slices.ContainsFunc(all, func(e Element) bool { return bytes.Equal(e.Value, v) })
			require.Equal(t, has, l.Has(v))
		}
		var e Edit
		for _, v := range values {
			e.Intents = append(e.Intents, Intent{Op: rapid.SampledFrom([]Op{OpAdd, OpRemove}).Draw(t, "op"), Element: v})
		}
		part := opened.AppendPart(nil, func(name []byte, k Kind) [][]byte {
			if string(name) == string(l.Name()) && k == l.Kind() {
				return values
			}
			return nil
		})
		by := fieldwise.Version{Time: time, Origin: rapid.SampledFrom(append(threeOrigins(), fieldwise.Origin{Region: "new"})).Draw(t, "by")}
		whole := writeField(t, at, string(l.Name()), l.Kind(), e, by, values)
		require.Equal(t, whole, writeField(t, part, string(l.Name()), l.Kind(), e, by, values))
	}
}

// Of states that are one body, too.
func TestPropertyAnOpenStateIsThatOfItsBytes(t *testing.T) {
	randtest.Check(t, 300, 3000, func(t *rapid.T) {
		k := rapid.SampledFrom([]Kind{KindSet, KindList}).Draw(t, "kind")
		var state []byte
		var opened *Open
		for i := range rapid.IntRange(2, 20).Draw(t, "writes") {
			by := fieldwise.Version{Time: fieldwise.Timestamp(i + 1), Origin: rapid.SampledFrom(threeOrigins()).Draw(t, "by")}
			e := Edit{Intents: []Intent{{Op: rapid.SampledFrom([]Op{OpAdd, OpAdd, OpRemove}).Draw(t, "op"), Element: smallValue(t)}}}
			basis := state
			if opened != nil {
				require.Nil(t, opened.Large()[0].Name())
				basis = opened.AppendPart(nil, func([]byte, Kind) [][]byte { return [][]byte{e.Intents[0].Element} })
			}
			if k == KindList {
				from, err := ReadState(nil, k, basis)
				require.NoError(t, err)
				e = Edit{To: wire.AppendArrayHeader(nil, 1)}
				e.To = append(e.To, smallValue(t)...)
				if len(from) > 0 {
					e = Edit{From: from[0].Value, To: from[0].Value}
				}
			}
			delta, err := WriteState(nil, k, basis, e, by)
			require.NoError(t, err)
			if len(delta) == 0 {
				continue
			}
			if len(state) == 0 {
				state = delta
				opened, err = OpenState(k, state, 1)
				require.NoError(t, err)
				continue
			}
			state, err = JoinStates(nil, k, state, delta)
			require.NoError(t, err)
			require.NoError(t, opened.Merge(delta))
			require.Equal(t, state, opened.AppendState(nil))
			require.Equal(t, len(state), opened.Size())
		}
	})
}

func TestSmallStatesAreNotOpened(t *testing.T) {
	at := fieldwise.Version{Time: 1, Origin: threeOrigins()[0]}
	state, err := WriteState(nil, KindSet, nil, Edit{Intents: []Intent{{Op: OpAdd, Element: []byte{1}}}}, at)
	require.NoError(t, err)
	for _, k := range []Kind{KindCounter, Kind(9)} {
		o, err := OpenState(k, state, 1)
		require.NoError(t, err)
		require.Nil(t, o)
	}
	for from := range len(state) + 2 {
		o, err := OpenState(KindSet, state, from)
		require.NoError(t, err)
		require.Equal(t, from <= len(state), o != nil)
	}
	o, err := OpenState(KindSet, nil, 0)
	require.NoError(t, err)
	require.Nil(t, o)
	o, err = OpenFields(writeField(t, nil, "a", KindRegister, Edit{}, at, [][]byte{wire.AppendString(nil, string(make([]byte, 100)))}), 1)
	require.NoError(t, err)
	require.Nil(t, o, "a large register gains nothing")
}
