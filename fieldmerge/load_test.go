package fieldmerge_test

import (
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/mapstore"
)

// numbered yields n profiles, then the error if there is one.
func numbered(n int, err error) iter.Seq2[fieldmerge.Record[profile], error] {
	return func(yield func(fieldmerge.Record[profile], error) bool) {
		for i := range n {
			if !yield(fieldmerge.Record[profile]{Key: fmt.Sprintf("k%04d", i), Value: profile{Name: fmt.Sprint(i)}}, nil) {
				return
			}
		}
		if err != nil {
			yield(fieldmerge.Record[profile]{}, err)
		}
	}
}

func TestLoadCreatesWhatIsNotThere(t *testing.T) {
	d, err := fieldmerge.Open(mapstore.New(fieldwise.Origin{Region: "a", Incarnation: 1}, nil), "profiles", profileSchema(t))
	require.NoError(t, err)
	gone := errors.New("the source is gone")
	result, err := d.Load(ctx(), numbered(1500, gone), fieldmerge.LoadOptions{})
	require.ErrorIs(t, err, gone)
	require.EqualError(t, err, "profiles: load: the source is gone")
	require.LessOrEqual(t, result.Created, 1500)

	var progress []int
	result, err = d.Load(ctx(), numbered(2500, nil), fieldmerge.LoadOptions{Writers: 3, Progress: func(r fieldmerge.LoadResult) {
		progress = append(progress, r.Created+r.Skipped)
	}})
	require.NoError(t, err)
	require.Equal(t, 2500, result.Created+result.Skipped)
	require.GreaterOrEqual(t, result.Created, 1000)
	require.Equal(t, []int{1000, 2000, 2500}, progress)
	n, err := d.Len(ctx())
	require.NoError(t, err)
	require.Equal(t, 2500, n)

	bad := func(yield func(fieldmerge.Record[profile], error) bool) {
		for i := 0; yield(fieldmerge.Record[profile]{Key: fmt.Sprint(i), Value: profile{Name: "\xff"}}, nil); i++ {
		}
	}
	_, err = d.Load(ctx(), bad, fieldmerge.LoadOptions{})
	require.ErrorIs(t, err, fieldmerge.ErrField, "it ends, and says why")
	_, err = d.Load(ctx(), numbered(1, nil), fieldmerge.LoadOptions{Writers: -1})
	require.ErrorContains(t, err, "Writers is -1")
	// What one domain has is another's import.
	other, err := fieldmerge.Open(mapstore.New(fieldwise.Origin{Region: "b", Incarnation: 1}, nil), "profiles", profileSchema(t))
	require.NoError(t, err)
	result, err = other.Load(ctx(), d.All(ctx(), "k000"), fieldmerge.LoadOptions{})
	require.NoError(t, err)
	require.Equal(t, fieldmerge.LoadResult{Created: 10}, result)
}
