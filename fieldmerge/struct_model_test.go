package fieldmerge_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/mapstore"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

// modelRead is what a caller of the model test read earlier, and still holds.
type modelRead struct {
	key   string
	v     Wider
	token fieldmerge.Token
	life  int
}

// With one region nothing is concurrent, and a domain is a map of structs.
func TestPropertyOneRegionIsAMapOfStructs(t *testing.T) {
	schema, err := fieldmerge.NewSchema[Wider](wideOptions()...)
	require.NoError(t, err)
	boom := errors.New("boom")
	randtest.Check(t, 1000, 4000, func(t *rapid.T) {
		host := mapstore.New(fieldwise.Origin{Region: "a", Incarnation: 1}, func() time.Time { return time.UnixMilli(1) })
		d, err := fieldmerge.Open(host, "d", schema)
		require.NoError(t, err)
		model, lives := make(map[string]Wider), make(map[string]int)
		var reads []modelRead
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			k := rapid.SampledFrom([]string{"", "k", "ka", "z"}).Draw(t, "key")
			old, live := model[k]
			next := drawStruct(t, old, false)
			same := len(effectsOf(flattenStruct(old), flattenStruct(next))) == 0
			missing := fieldwise.ErrNotFound
			if live {
				missing = nil
			}
			var receipt fieldwise.Receipt
			var wrong, want error
			writes, deletes := live && !same, false
			set := func(p *Wider) error {
				require.Equal(t, old, *p)
				*p = cloneStruct(next)
				return nil
			}
			switch call := rapid.IntRange(0, 10).Draw(t, "call"); {
			case call == 0 || !live && call < 5:
				receipt, wrong = d.Create(ctx(), k, cloneStruct(next))
				if writes = !live; live {
					want = fieldwise.ErrExists
				}
			case call < 3:
				receipt, wrong = d.Update(ctx(), k, set)
				want = missing
			case call == 3:
				_, wrong = d.Upsert(ctx(), k, func(p *Wider) error { *p = Wider{Title: "gone"}; return boom })
				require.ErrorIs(t, wrong, boom)
				receipt, wrong = d.Upsert(ctx(), k, set)
				writes = !live || !same
			case call < 6:
				receipt, wrong = d.Patch(ctx(), k, patchOf(old, next))
				want = missing
			case call == 6:
				receipt, wrong = d.Replace(ctx(), k, cloneStruct(old), cloneStruct(next))
				want = missing
			case call == 7:
				receipt, wrong = d.Delete(ctx(), k)
				want, writes, deletes = missing, live, true
			case call == 8 && live:
				v, token, err := d.Read(ctx(), k)
				require.NoError(t, err)
				require.Equal(t, old, v)
				reads = append(reads, modelRead{k, v, token, lives[k]})
				continue
			default:
				if len(reads) == 0 {
					continue
				}
				put(t, d, model, lives, reads[rapid.IntRange(0, len(reads)-1).Draw(t, "read")])
				continue
			}
			if want != nil {
				require.ErrorIs(t, wrong, want)
			} else {
				require.NoError(t, wrong)
			}
			require.Equal(t, writes && want == nil, !receipt.IsZero(), "a write that changes nothing writes nothing")
			switch {
			case want != nil:
			case deletes:
				delete(model, k)
			default:
				model[k] = next
				if !live {
					lives[k]++
				}
			}
			check(t, d, model)
		}
	})
}

// put makes a Put of what an earlier read makes possible: fields of it that others changed
// since are refused, those that nobody changed are written.
func put(t *rapid.T, d *fieldmerge.Domain[Wider], model map[string]Wider, lives map[string]int, r modelRead) {
	now, live := model[r.key]
	to := drawStruct(t, r.v, true)
	receipt, err := d.Put(ctx(), r.key, r.token, cloneStruct(to))
	if !live {
		require.ErrorIs(t, err, fieldwise.ErrNotFound)
		return
	}
	var changed *fieldmerge.ChangedError
	if lives[r.key] != r.life {
		require.ErrorAs(t, err, &changed)
		require.True(t, changed.Recreated)
		return
	}
	read, shown := flattenStruct(r.v), flattenStruct(now)
	want := effectsOf(read, flattenStruct(to))
	must := false // be refused; where a value came back, it may be
	may := false
	for path, val := range want {
		if shown.flat[path] == val {
			continue
		}
		may = true
		_, was := read.flat[path]
		unwritten := !was && shown.zero[path] // of a struct that is there by now
		must = must || read.flat[path] != shown.flat[path] && !unwritten
	}
	if errors.As(err, &changed) {
		require.True(t, may, "%v", err)
		require.NotEmpty(t, changed.Fields)
		return
	}
	require.NoError(t, err)
	require.False(t, must, "%v", want)
	got, err := d.Get(ctx(), r.key)
	require.NoError(t, err)
	after := flattenStruct(got)
	expected := maps.Clone(shown.flat)
	for path, val := range want {
		if val != unset {
			expected[path] = val
		} else {
			delete(expected, path)
		}
	}
	for path := range after.flat { // fields of a struct that a put made or found again are zero
		if _, ok := expected[path]; !ok && after.zero[path] {
			expected[path] = after.flat[path]
		}
	}
	require.Equal(t, expected, after.flat)
	require.Equal(t, receipt.IsZero(), maps.Equal(shown.flat, after.flat))
	model[r.key] = got
}

// check compares all that a domain shows with the model.
func check(t *rapid.T, d *fieldmerge.Domain[Wider], model map[string]Wider) {
	n, err := d.Len(ctx())
	require.NoError(t, err)
	require.Equal(t, len(model), n)
	prefix := rapid.SampledFrom([]string{"", "k", "x"}).Draw(t, "prefix")
	var want, got []fieldmerge.Record[Wider]
	for _, k := range slices.Sorted(maps.Keys(model)) {
		if strings.HasPrefix(k, prefix) {
			want = append(want, fieldmerge.Record[Wider]{Key: k, Value: model[k]})
		}
	}
	for record, err := range d.All(ctx(), prefix) {
		require.NoError(t, err)
		got = append(got, record)
		v, err := d.Get(ctx(), record.Key)
		require.NoError(t, err)
		require.Equal(t, record.Value, v)
	}
	require.Equal(t, want, got)
}
