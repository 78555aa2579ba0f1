package main

import (
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise/fieldmerge"
)

func TestListIsOneProfileALine(t *testing.T) {
	_, us, _, c := newPair(t)
	for _, key := range []string{"in/b", "in/a", "us/c"} {
		c.create(us, strings.ReplaceAll(key, "/", "%2F"), `{"name":"`+key+`","created":"2026-11-02T09:00:00Z"}`)
	}
	got := c.ok(http.MethodGet, us+"/profiles?prefix=in/", "")
	require.Equal(t, `{"key":"in/a","profile":{"name":"in/a","created":"2026-11-02T09:00:00Z"}}
{"key":"in/b","profile":{"name":"in/b","created":"2026-11-02T09:00:00Z"}}
`, got.body)
	require.Equal(t, 3, strings.Count(c.ok(http.MethodGet, us+"/profiles", "").body, "\n"))
	require.Empty(t, c.ok(http.MethodGet, us+"/profiles?prefix=x", "").body)
}

// yields is a sequence of values that ends with an error.
func yields(n int, err error) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
		yield(nil, err)
	}
}

func TestAListThatFailsDoesNotLookComplete(t *testing.T) {
	s, broken := &service{log: hclog.NewNullLogger()}, errors.New("broken")
	require.ErrorIs(t, s.lines(httptest.NewRecorder(), yields(0, broken)), broken, "an answer of its own")
	w := httptest.NewRecorder()
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { _ = s.lines(w, yields(2, broken)) })
	require.Equal(t, "0\n1\n", w.Body.String())
}

// A field of another type, as another release of the service writes it, reads as zero and
// does not take the rest of the profile away.
func TestAFieldOfAnotherReleaseDoesNotHideTheProfile(t *testing.T) {
	type newer struct {
		Name  string `merge:"name,lww"`
		Phone []int  `merge:"phone,lww"`
	}
	p, us, _, c := newPair(t)
	schema, err := fieldmerge.NewSchema[newer]()
	require.NoError(t, err)
	profiles, err := fieldmerge.Open(p.us.replica, "profiles", schema)
	require.NoError(t, err)
	_, err = profiles.Create(t.Context(), "asha", newer{Name: "Asha", Phone: []int{1, 2}})
	require.NoError(t, err)
	got, match := c.get(us, "asha")
	require.Equal(t, Profile{Name: "Asha"}, got)
	require.Contains(t, c.ok(http.MethodGet, us+"/profiles", "").body, `"name":"Asha"`)
	c.ok(http.MethodPut, us+"/profiles/asha", `{"name":"Usha"}`, match)
	kept, err := profiles.Get(t.Context(), "asha")
	require.NoError(t, err)
	require.Equal(t, newer{Name: "Usha", Phone: []int{1, 2}}, kept)
}
