package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/wire"
)

var (
	firstWrite  = fieldwise.Version{Time: fieldwise.Timestamp(1 << 16), Origin: fieldwise.Origin{Region: "a", Incarnation: 1}}
	secondWrite = fieldwise.Version{Time: fieldwise.Timestamp(2 << 16), Origin: fieldwise.Origin{Region: "b", Incarnation: 1}}
)

// requireChange requires that a delta of a write reads like this.
func requireChange(t testing.TB, want, merger string, delta []byte, at fieldwise.Version) {
	t.Helper()
	change, err := mergers[merger].change(delta, at)
	require.NoError(t, err)
	got, err := json.Marshal(change)
	require.NoError(t, err)
	require.JSONEq(t, want, string(got))
}

func TestChangeOfASetThatIsUnset(t *testing.T) {
	state := setOf(t, firstWrite, 5, 7)
	requireChange(t, `{"kind":"set","adds":[5,7]}`, "set/1", state, firstWrite)
	delta, err := crdt.SetMerger{}.Delete(nil, state, secondWrite)
	require.NoError(t, err)
	requireChange(t, `{"kind":"set","unset":true,"removes":[{"by":"1970-01-01T00:00:00.001Z+0@a#1","first":0,"last":1}]}`, "set/1", delta, secondWrite)
}

// A delta may carry more than the write's own value, as one of another program's might.
func TestChangeTellsTheWriteFromOthers(t *testing.T) {
	var m crdt.MVRegister
	a, err := m.Set(nil, nil, firstWrite, wire.AppendString(nil, "x"))
	require.NoError(t, err)
	b, err := m.Set(nil, nil, secondWrite, nil)
	require.NoError(t, err)
	both, err := m.Merge(nil, a, b)
	require.NoError(t, err)
	requireChange(t, `{"kind":"one value","value":"x","others":[{"by":"1970-01-01T00:00:00.002Z+0@b#1","unset":true}]}`, "register/1", both, firstWrite)
	requireChange(t, `{"kind":"one value","unset":true,"others":[{"by":"1970-01-01T00:00:00.001Z+0@a#1","value":"x"}]}`, "register/1", both, secondWrite)
}

// What passes the check of a merger can be read and printed.
func FuzzChange(f *testing.F) {
	for _, e := range entriesOf(f, filled(f).us) {
		f.Add(e.Delta)
	}
	f.Fuzz(func(t *testing.T, delta []byte) {
		for name, m := range mergers {
			checked := m.check(delta)
			change, err := m.change(delta, firstWrite)
			if checked != nil {
				require.Equal(t, checked, err, name)
				continue
			}
			if len(delta) == 0 {
				continue
			}
			require.NoError(t, err, name)
			_, err = json.Marshal(change)
			require.NoError(t, err, name)
		}
	})
}
