package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/mapstore"
)

func ptr[V any](v V) *V { return &v }

func TestParsePatch(t *testing.T) {
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	type set = map[string]any
	for _, c := range []struct {
		name, text string
		want       fieldmerge.Patch
	}{
		{"nothing", `{}`, fieldmerge.Patch{Set: set{}}},
		{"the example", `{"phone":"222","address":{"city":"Mumbai"},"nick":null}`, fieldmerge.Patch{Set: set{"phone": "222", "address.city": "Mumbai"}, Unset: []string{"nick"}}},
		{"Go types", `{"nick":"n","plan":"pro","creditLimit":9007199254740993,"created":"2026-11-02T09:00:00Z","tags":["a"]}`, fieldmerge.Patch{Set: set{
			"nick": ptr("n"), "plan": Plan("pro"), "creditLimit": int64(9007199254740993), "created": at, "tags": []string{"a"},
		}}},
		{"in an object", `{"address":{"city":null,"street":""},"prefs":{"a":"1","b":null}}`, fieldmerge.Patch{Set: set{"address.street": "", "prefs.a": "1"}, Unset: []string{"address.city", "prefs.b"}}},
		{"whole objects", `{"address":null,"prefs":null}`, fieldmerge.Patch{Set: set{}, Unset: []string{"address", "prefs"}}},
		{"keys with dots", `{"prefs":{"a.b":"1","":"2"}}`, fieldmerge.Patch{Set: set{`prefs.a\.b`: "1", "prefs.": "2"}}},
		{"the last of two", `{"phone":"1","phone":"2"}`, fieldmerge.Patch{Set: set{"phone": "2"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parsePatch(strings.NewReader(c.text))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	for text, want := range map[string]string{
		``:                          "the body: EOF",
		`null`:                      "null is no patch",
		`"x"`:                       "cannot unmarshal string",
		`{} x`:                      "more behind its JSON value",
		`{"Phone":"1"}`:             `there is no field "Phone"`,
		`{"credit":{}}`:             `there is no field "credit"`,
		`{"address":{"zip":null}}`:  `there is no field "address.zip"`,
		`{"address":"x"}`:           `field "address": json: cannot unmarshal string`,
		`{"prefs":{"a":1}}`:         `field "prefs.a": json: cannot unmarshal number`,
		`{"prefs":{"a":{"b":"1"}}}`: `field "prefs.a": json: cannot unmarshal object`,
		`{"creditLimit":1.5}`:       `field "creditLimit"`,
		`{"created":"today"}`:       `field "created"`,
		`{"plan":"gold"}`:           `there is no plan "gold"`,
	} {
		_, err := parsePatch(strings.NewReader(text))
		require.ErrorIs(t, err, errRequest, text)
		require.ErrorContains(t, err, want, text)
	}
}

// merged is RFC 7396 word for word: what a patch makes of a document.
func merged(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	doc, ok := target.(map[string]any)
	if !ok {
		doc = map[string]any{}
	}
	for name, v := range changes {
		if v == nil {
			delete(doc, name)
		} else {
			doc[name] = merged(doc[name], v)
		}
	}
	return doc
}

// What a patch makes of a profile is what RFC 7396 makes of its JSON.
func FuzzPatchIsAJSONMergePatch(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `[]`, `{"phone":"222","address":{"city":"Mumbai"},"nick":null}`, `{"address":null}`, `{"address":{}}`,
		`{"prefs":{"theme":null,"a.b":"","":"x"}}`, `{"prefs":null}`, `{"tags":[],"plan":"pro"}`, `{"tags":[null]}`, `{"creditLimit":7}`,
		`{"prefs":{"` + strings.Repeat("k", 1100) + `":"x"}}`, `{"creditCurrency":null,"creditLimit":null}`, `{"created":"2026-11-02T09:00:00.123456789+05:30","lastLogin":null}`,
		`{"phone":"1","phone":null}`, `{"name":"\ud800"}`, `{"nick":""}`,
	} {
		f.Add(seed)
	}
	schema, err := profileSchema()
	require.NoError(f, err)
	const base = `{"name":"Asha","nick":"ash","phone":"111","address":{"city":"Pune","country":"IN"},"prefs":{"theme":"dark"},
		"tags":["a","b"],"creditLimit":5,"creditCurrency":"EUR","plan":"free","created":"2026-11-02T09:00:00Z","lastLogin":"2026-11-02T10:00:00Z"}`
	f.Fuzz(func(t *testing.T, text string) {
		patch, err := parsePatch(strings.NewReader(text))
		if err != nil {
			require.ErrorIs(t, err, errRequest)
			return
		}
		var before, want Profile
		require.NoError(t, json.Unmarshal([]byte(base), &before))
		host := mapstore.New(fieldwise.Origin{Region: "us-east-1", Incarnation: 1}, nil)
		profiles, err := fieldmerge.Open(host, "profiles", schema)
		require.NoError(t, err)
		_, err = profiles.Create(t.Context(), "asha", before)
		require.NoError(t, err)
		_, err = profiles.Patch(t.Context(), "asha", patch)
		if errors.Is(err, fieldwise.ErrLimit) {
			return // a key longer than a path may be
		}
		require.NoError(t, err)
		got, err := profiles.Get(t.Context(), "asha")
		require.NoError(t, err)

		var doc, changes any
		require.NoError(t, json.Unmarshal([]byte(base), &doc))
		require.NoError(t, json.Unmarshal([]byte(text), &changes))
		result, err := json.Marshal(merged(doc, changes))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(result, &want))
		require.JSONEq(t, asJSON(t, want), asJSON(t, got), "patch %s", text)
	})
}

// asJSON is a profile as clients see it, times in UTC.
func asJSON(t *testing.T, p Profile) string {
	p.Created = p.Created.UTC()
	if p.LastLogin != nil {
		p.LastLogin = ptr(p.LastLogin.UTC())
	}
	b, err := json.Marshal(p)
	require.NoError(t, err)
	return string(b)
}
