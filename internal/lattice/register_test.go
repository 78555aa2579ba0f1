package lattice

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

func TestSingleIsTheOneCurrentValue(t *testing.T) {
	value := []byte{0xa1, 'x'}
	current := AppendItem(nil, Item{Index: 1, Time: 5, Value: value})
	for name, c := range map[string]struct {
		register []byte
		value    []byte
		ok       bool
	}{
		"a value":       {current, value, true},
		"of a create":   {AppendItem(nil, Item{Time: 5, Created: true, Value: value}), value, true},
		"unset":         {AppendItem(nil, Item{Time: 5, Value: []byte{Absent}}), nil, true},
		"superseded":    {AppendItem(nil, Item{Time: 5, Superseded: true}), nil, false},
		"two items":     {AppendItem(current, Item{Index: 2, Time: 5, Value: value}), nil, false},
		"value or mark": {AppendItem(current, Item{Index: 2, Time: 5, Superseded: true}), nil, false},
		"nothing":       {nil, nil, false},
		"half an item":  {current[:5], nil, false},
	} {
		got, ok := Single(c.register)
		require.Equal(t, c.ok, ok, name)
		require.Equal(t, c.value, got, name)
	}
}

// Short items are read together with what lies behind them: never with what is not the
// states' own, and where a register ends inside an item nothing panics.
func TestJoinRegistersCutShort(t *testing.T) {
	origins := threeOrigins()
	state := func(at fieldwise.Timestamp) []byte {
		b := AppendTable(nil, origins)
		for i := range origins {
			b = AppendItem(b, Item{Index: i, Time: at, Value: wire.AppendString(nil, "sixteen bytes it")})
		}
		return b
	}
	x, y := state(1), state(2)
	for n := range x {
		require.NotPanics(t, func() {
			_, _ = JoinStates(make([]byte, 0, 1<<10), KindRegister, x[:n], y)
			_, _ = JoinStates(make([]byte, 0, 1<<10), KindRegister, y, x[:n])
		}, "%d bytes", n)
	}
	var field [2][]byte
	for i, s := range [][]byte{x, y} {
		_, body, _ := Cut(s)
		body = body[:len(body)-i] // what is missing of y, the next field has
		field[i] = AppendTable(nil, origins)
		for _, name := range []string{"alpha", "beta"} {
			field[i] = AppendField(field[i], Field{Name: []byte(name), Kind: KindRegister, Body: body})
		}
	}
	require.NotPanics(t, func() {
		_, _ = JoinFields(make([]byte, 0, 1<<10), field[0], field[1])
		_, _ = JoinFields(make([]byte, 0, 1<<10), field[1], field[0])
	})
}

// A writer may be at work on what lies behind a state in the same room; the race
// detector sees it if a join reads that.
func TestJoinReadsNothingBehindAState(t *testing.T) {
	for _, kind := range []body{items, fields} {
		state := func(at fieldwise.Timestamp) []byte {
			b := AppendTable(make([]byte, 0, 1<<10), threeOrigins()[:1])
			register := AppendItem(nil, Item{Time: at, Value: []byte{7}})
			if kind == items {
				return append(b, register...)
			}
			register = AppendItem(register, Item{Index: 1, Time: at, Value: []byte{7}})
			return AppendField(b, Field{Name: []byte("name"), Kind: KindRegister, Body: register})
		}
		x, y := state(1), state(2)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, s := range [][]byte{x, y} {
				for i, room := 0, s[len(s):len(s)+shortItem]; i < len(room); i++ {
					room[i] = byte(i) // clear would go unseen
				}
			}
		}()
		_, err := join(make([]byte, 0, 1<<10), x, y, kind)
		_, bodyX, _ := Cut(x)
		_, bodyY, _ := Cut(y)
		if kind == fields && err == nil {
			_, err = joinFields(make([]byte, 0, 1<<10), bodyX, bodyY) // as open records do
		}
		<-done
		require.NoError(t, err)
	}
}
