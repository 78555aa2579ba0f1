package lattice

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise/internal/wire"
)

// Sets read in the order of values, lists in that of positions, then versions.
func TestElementsInOrder(t *testing.T) {
	number, text := wire.AppendUint(nil, 200), wire.AppendString(nil, "a")
	float, nothing := wire.AppendFloat(nil, 3.5), wire.AppendNil(nil)
	body, _ := dotsOf(t, nil, 1, 10, []Element{
		{Value: number, Position: []byte{0x80}}, {Value: text, Position: []byte{0x80}}, {Value: nothing, Position: []byte{0x90}}, {},
	}, nil)
	body, _ = dotsOf(t, body, 0, 10, []Element{{Value: float, Position: []byte{0x80}}, {Value: text, Occurrence: 1}}, nil)
	read := func(elements func(Table, []byte) ([]Element, error)) (got [][]byte) {
		all, err := elements(tableOf(t, threeOrigins()), body)
		require.NoError(t, err)
		for _, e := range all {
			got = append(got, e.Value)
		}
		return got
	}
	require.Equal(t, [][]byte{nothing, float, number, text, text}, read(Elements))
	require.Equal(t, [][]byte{text, float, text, number, nothing}, read(ListElements))
}
