package fieldmerge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise/fieldmerge"
)

// tally has integers that count, at all the places where a patch can set them.
type tally struct {
	Stock int             `merge:"stock,pncounter"`
	Shelf shelf           `merge:"shelf,nested"`
	Spare *shelf          `merge:"spare,nested"`
	Halls map[string]hall `merge:"halls,each=nested"`
	Votes map[string]int  `merge:"votes,each=pncounter"`
}

type shelf struct {
	Label string `merge:"label,lww"`
	Count int    `merge:"count,pncounter"`
	Seen  uint   `merge:"seen,gcounter"`
	Box   box    `merge:"box,nested"`
}

type box struct {
	Count int `merge:"count,pncounter"`
}

type hall struct {
	Count int   `merge:"count,pncounter"`
	Guest *int  `merge:"guest,lww"`
	Shelf shelf `merge:"shelf,nested"`
}

func tallySchema(t *testing.T) *fieldmerge.Schema[tally] {
	t.Helper()
	s, err := fieldmerge.NewSchema[tally]()
	require.NoError(t, err)
	return s
}

// tallyOf has n in each counter.
func tallyOf(n int) tally {
	s := shelf{Count: n, Seen: uint(n), Box: box{Count: n}}
	return tally{Stock: n, Shelf: s, Spare: &s, Halls: map[string]hall{"r": {Count: n, Shelf: s}}, Votes: map[string]int{"v": n}}
}

// patches set, in different ways, what is in a tally.
func tallyPatches(to tally) map[string]fieldmerge.Patch {
	set := func(path string, v any) fieldmerge.Patch {
		return fieldmerge.Patch{Set: map[string]any{path: v}}
	}
	return map[string]fieldmerge.Patch{
		"a field":                   set("stock", to.Stock),
		"a field of a struct":       set("shelf.count", to.Shelf.Count),
		"a struct":                  set("shelf", to.Shelf),
		"a struct in a struct":      set("shelf.box", to.Shelf.Box),
		"a pointer":                 set("spare", to.Spare),
		"a map of structs":          set("halls", to.Halls),
		"a struct in a map":         set("halls.r", to.Halls["r"]),
		"a map of counters":         set("votes", to.Votes),
		"a counter in a map":        set("votes.v", to.Votes["v"]),
		"a struct in one in a map":  set("halls.r.shelf", to.Halls["r"].Shelf),
		"all of them, one by one":   {Set: map[string]any{"stock": to.Stock, "shelf": to.Shelf, "spare": to.Spare, "halls": to.Halls, "votes": to.Votes}},
		"fields of a struct, alone": {Set: map[string]any{"shelf.seen": to.Shelf.Seen, "shelf.box.count": to.Shelf.Box.Count}},
	}
}

// counts lists what a tally has in its counters, by path.
func (v tally) counts() map[string]int {
	all := map[string]int{"stock": v.Stock, "votes.v": v.Votes["v"], "halls.r.count": v.Halls["r"].Count}
	add := func(path string, s shelf) {
		all[path+".count"], all[path+".seen"], all[path+".box.count"] = s.Count, int(s.Seen), s.Box.Count
	}
	add("shelf", v.Shelf)
	add("halls.r.shelf", v.Halls["r"].Shelf)
	if v.Spare != nil {
		add("spare", *v.Spare)
	}
	return all
}

// covers reports whether a patch sets what is at a path.
func covers(p fieldmerge.Patch, path string) bool {
	for at := range p.Set {
		if path == at || len(path) > len(at) && path[:len(at)+1] == at+"." {
			return true
		}
	}
	return false
}

// Under a token a number says how many more or less there are than were shown: what others
// counted since, or here, is not taken back.
func TestANumberInAPatchUnderATokenCountsOnFromWhatItShowed(t *testing.T) {
	for _, counter := range []string{"another region", "this region"} {
		for name, p := range tallyPatches(tallyOf(7)) {
			t.Run(name+"/"+counter, func(t *testing.T) {
				s := tallySchema(t)
				a, da := on(t, s, "a")
				b, db := on(t, s, "b")
				_, err := da.Create(ctx(), key, tallyOf(5))
				require.NoError(t, err)
				b.join(t, a.State)
				_, token, err := da.Read(ctx(), key)
				require.NoError(t, err)
				by, from := da, tallyOf(5)
				if counter == "another region" {
					by = db
				}
				_, err = by.Replace(ctx(), key, from, tallyOf(6))
				require.NoError(t, err)
				a.join(t, b.State)

				_, err = da.Patch(ctx(), key, p, fieldmerge.IfMatch(token))
				require.NoError(t, err)
				v, err := da.Get(ctx(), key)
				require.NoError(t, err)
				for path, n := range v.counts() {
					want := 6
					if covers(p, path) {
						want = 8 // 5 were shown: 1 more there, and 2 more here
					}
					require.Equal(t, want, n, path)
				}
			})
		}
	}
}

// Without a token the writer is taken to have seen what its region holds.
func TestANumberInAPatchIsWhatReadersSee(t *testing.T) {
	for name, p := range tallyPatches(tallyOf(7)) {
		_, d := on(t, tallySchema(t), "a")
		_, err := d.Create(ctx(), key, tallyOf(6))
		require.NoError(t, err)
		_, err = d.Patch(ctx(), key, p)
		require.NoError(t, err)
		v, err := d.Get(ctx(), key)
		require.NoError(t, err)
		for path, n := range v.counts() {
			want := 6
			if covers(p, path) {
				want = 7
			}
			require.Equal(t, want, n, "%s: %s", name, path)
		}
	}
}

// A zero in a struct is a number like any other one: it is counted down to, a counter that
// only grows refuses it, and the counters of what is not named are reset.
func TestAZeroInAPatchOfAStructIsCounted(t *testing.T) {
	s := tallySchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err := da.Create(ctx(), key, tallyOf(5))
	require.NoError(t, err)
	b.join(t, a.State)
	state := a.State
	for path, v := range map[string]any{"shelf": shelf{Label: "x"}, "spare": &shelf{}, "halls": map[string]hall{"r": {}}, "halls.r": hall{}} {
		_, err = da.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{path: v}})
		require.ErrorIs(t, err, fieldmerge.ErrDirection, path)
		require.Equal(t, state, a.State, path)
	}

	_, token, err := da.Read(ctx(), key)
	require.NoError(t, err)
	_, err = da.Update(ctx(), key, func(v *tally) error { v.Shelf.Count++; return nil })
	require.NoError(t, err)
	_, err = db.Update(ctx(), key, func(v *tally) error { v.Shelf.Box.Count++; return nil })
	require.NoError(t, err)
	a.join(t, b.State)
	patch := func(path string, v any) {
		_, err := da.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{path: v}}, fieldmerge.IfMatch(token))
		require.NoError(t, err)
	}
	patch("shelf", shelf{Seen: 5})
	patch("halls", map[string]hall{})
	v, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, shelf{Count: 1, Seen: 5, Box: box{Count: 1}}, v.Shelf, "what was counted since stays")
	require.Empty(t, v.Halls)
	_, err = da.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{"halls": map[string]hall{"r": {Count: 2}}}})
	require.NoError(t, err)
	v, err = da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, hall{Count: 2}, v.Halls["r"])
}

// A token that was read in another region may show what has not arrived here.
func TestAPatchOfAStructUnderATokenTakesBackWhatHasNotArrived(t *testing.T) {
	s := tallySchema(t)
	a, da := on(t, s, "a")
	b, db := on(t, s, "b")
	_, err := da.Create(ctx(), key, tally{})
	require.NoError(t, err)
	b.join(t, a.State)
	guest := 4
	_, err = db.Update(ctx(), key, func(v *tally) error {
		v.Shelf = shelf{Label: "b", Count: 3}
		v.Halls = map[string]hall{"r": {Guest: &guest}}
		v.Votes = map[string]int{"v": 3}
		return nil
	})
	require.NoError(t, err)
	_, token, err := db.Read(ctx(), key)
	require.NoError(t, err)
	_, err = da.Patch(ctx(), key, fieldmerge.Patch{Set: map[string]any{
		"shelf": shelf{Count: 1}, "halls": map[string]hall{"q": {Count: 2}}, "votes.v": 5,
	}}, fieldmerge.IfMatch(token))
	require.NoError(t, err)
	a.join(t, b.State)
	v, err := da.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, tally{Shelf: shelf{Count: 1}, Halls: map[string]hall{"q": {Count: 2}}, Votes: map[string]int{"v": 5}}, v)
}

func TestAFieldIsSettledOnANumberOnFromWhatATokenShowed(t *testing.T) {
	_, d := on(t, tallySchema(t), "a")
	_, err := d.Create(ctx(), key, tallyOf(5))
	require.NoError(t, err)
	_, token, err := d.Read(ctx(), key)
	require.NoError(t, err)
	_, err = d.Update(ctx(), key, func(v *tally) error { v.Stock++; return nil })
	require.NoError(t, err)
	_, err = d.Resolve(ctx(), key, "stock", fieldmerge.KeepValue(7), fieldmerge.IfMatch(token))
	require.NoError(t, err)
	_, err = d.Resolve(ctx(), key, "stock", fieldmerge.KeepShown(), fieldmerge.IfMatch(token))
	require.NoError(t, err)
	v, err := d.Get(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, 8, v.Stock)
}
