package lattice

import (
	"testing"

	"github.com/stretchr/testify/require"
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
