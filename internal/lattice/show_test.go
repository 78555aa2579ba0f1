package lattice

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
)

// policyFunc is a policy, and counts how often it is asked.
type policyFunc func([]fieldwise.Sibling) (fieldwise.Sibling, error)

func (policyFunc) Name() string { return "custom test" }

func (f policyFunc) Resolve(siblings []fieldwise.Sibling) (fieldwise.Sibling, error) {
	return f(siblings)
}

func siblingAt(time fieldwise.Timestamp, value ...byte) fieldwise.Sibling {
	return fieldwise.Sibling{Version: fieldwise.Version{Time: time, Origin: fieldwise.Origin{Region: "a"}}, Value: value}
}

func TestShowTakesWhatThePolicyGives(t *testing.T) {
	all := []fieldwise.Sibling{siblingAt(1, 1), siblingAt(2, 2), siblingAt(3, 1)}
	for name, c := range map[string]struct {
		policy policyFunc
		want   fieldwise.Sibling
		fails  string
	}{
		"one of them":            {func(s []fieldwise.Sibling) (fieldwise.Sibling, error) { return s[1], nil }, all[1], ""},
		"a value of one of them": {func([]fieldwise.Sibling) (fieldwise.Sibling, error) { return fieldwise.Sibling{Value: []byte{1}}, nil }, all[2], ""},
		"a value of its own":     {func([]fieldwise.Sibling) (fieldwise.Sibling, error) { return siblingAt(9, 7), nil }, fieldwise.Sibling{Value: []byte{7}}, ""},
		"nothing":                {func([]fieldwise.Sibling) (fieldwise.Sibling, error) { return fieldwise.Sibling{}, nil }, fieldwise.Sibling{}, ""},
		"bytes that are no value": {
			func([]fieldwise.Sibling) (fieldwise.Sibling, error) {
				return fieldwise.Sibling{Value: []byte{0xc1}}, nil
			},
			all[2], "policy custom test: the value that it computed is not canonical",
		},
		"an error":           {func([]fieldwise.Sibling) (fieldwise.Sibling, error) { return all[0], errors.New("no idea") }, all[2], "no idea"},
		"a panic":            {func([]fieldwise.Sibling) (fieldwise.Sibling, error) { panic("ouch") }, all[2], "policy custom test panicked: ouch"},
		"an index too large": {func(s []fieldwise.Sibling) (fieldwise.Sibling, error) { return s[len(s)], nil }, all[2], "index out of range"},
	} {
		got, err := Show(c.policy, all)
		require.Equal(t, c.want, got, name)
		if c.fails == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, c.fails, name)
		}
	}
}

func TestEqualValuesNeedNoPolicy(t *testing.T) {
	never := policyFunc(func([]fieldwise.Sibling) (fieldwise.Sibling, error) { return fieldwise.Sibling{}, errors.New("asked") })
	got, err := Show(never, []fieldwise.Sibling{siblingAt(1, 1), siblingAt(2, 1)})
	require.NoError(t, err)
	require.Equal(t, siblingAt(2, 1), got)
	gone := fieldwise.Sibling{Version: fieldwise.Version{Time: 3}}
	_, err = Show(never, []fieldwise.Sibling{siblingAt(1, []byte{}...), gone})
	require.ErrorContains(t, err, "asked", "an empty value is not the absence of one")
}

func TestExtremeShowsTheLargestOrSmallestValue(t *testing.T) {
	gone := fieldwise.Sibling{Version: fieldwise.Version{Time: 9}}
	all := []fieldwise.Sibling{siblingAt(1, 5), siblingAt(2, 0xff), siblingAt(3, 7), gone} // 5, -1, 7, unset
	for e, want := range map[Extreme]int{Extreme(KindMax): 2, Extreme(KindMin): 1} {
		got, err := e.Resolve(all)
		require.NoError(t, err)
		require.Equal(t, all[want], got, e.Name())
		got, err = e.Resolve([]fieldwise.Sibling{gone, gone})
		require.NoError(t, err)
		require.Equal(t, gone, got)
	}
	require.True(t, Extreme(KindMax).Beyond([]byte{7}, []byte{5}))
	require.False(t, Extreme(KindMax).Beyond([]byte{5}, []byte{5}))
	require.True(t, Extreme(KindMin).Beyond([]byte{0xff}, []byte{5}))
}
