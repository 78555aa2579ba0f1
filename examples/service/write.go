package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

// put writes a whole profile: a new one under If-None-Match: *, or under If-Match what
// differs from what the reader of that ETag was shown: a field that the body leaves out
// is set to nothing. Fields that others changed meanwhile and this writer did not stay as
// they are.
func (s *service) put(w http.ResponseWriter, r *http.Request) error {
	token, conditional, err := ifMatch(r)
	if err != nil {
		return err
	}
	none := r.Header.Get("If-None-Match")
	switch {
	case none != "" && none != "*":
		return badRequest("If-None-Match is %.80q; it may only be *, to create", none)
	case none != "" && conditional:
		return badRequest("If-Match and If-None-Match contradict each other; send one of them")
	case none == "" && !conditional:
		return errUnconditional
	}
	var p Profile
	if err := decode(r.Body, &p); err != nil {
		return err
	}
	key := r.PathValue("key")
	if conditional {
		receipt, err := s.profiles.Put(r.Context(), key, token, p)
		return written(w, http.StatusNoContent, receipt, err)
	}
	if p.Created.IsZero() {
		p.Created = s.now().UTC()
	}
	receipt, err := s.profiles.Create(r.Context(), key, p)
	return written(w, http.StatusCreated, receipt, err)
}

// patch changes the fields that the body names, and no others. Under If-Match a field that
// somebody in this region changed since stops it.
func (s *service) patch(w http.ResponseWriter, r *http.Request) error {
	options, err := conditions(r)
	if err != nil {
		return err
	}
	p, err := parsePatch(r.Body)
	if err != nil {
		return err
	}
	receipt, err := s.profiles.Patch(r.Context(), r.PathValue("key"), p, options...)
	return written(w, http.StatusNoContent, receipt, err)
}

// remove deletes a profile; under If-Match only if nobody in this region changed it since.
func (s *service) remove(w http.ResponseWriter, r *http.Request) error {
	options, err := conditions(r)
	if err != nil {
		return err
	}
	receipt, err := s.profiles.Delete(r.Context(), r.PathValue("key"), options...)
	return written(w, http.StatusNoContent, receipt, err)
}

// written answers a write. A write that had nothing to change has no receipt.
func written(w http.ResponseWriter, status int, receipt fieldwise.Receipt, err error) error {
	if err != nil {
		return err
	}
	if !receipt.IsZero() {
		w.Header().Set(receiptHeader, receipt.String())
	}
	w.WriteHeader(status)
	return nil
}

// etag is the token of a reader as an entity tag.
func etag(t fieldmerge.Token) string { return `"` + t.String() + `"` }

// ifMatch is the inverse of etag. A client that sends none, or *, does not say what it has
// read.
func ifMatch(r *http.Request) (token fieldmerge.Token, conditional bool, err error) {
	text := r.Header.Get("If-Match")
	if text == "" || text == "*" {
		return token, false, nil
	}
	inner, opens := strings.CutPrefix(text, `"`)
	inner, closes := strings.CutSuffix(inner, `"`)
	if !opens || !closes || inner == "" {
		return token, false, badRequest("If-Match is %.80q; send one ETag as a GET has answered it, quotes included", text)
	}
	token, err = fieldmerge.ParseToken(inner)
	return token, true, err
}

// conditions are those of a write that may have none.
func conditions(r *http.Request) ([]fieldmerge.WriteOption, error) {
	token, conditional, err := ifMatch(r)
	if err != nil || !conditional {
		return nil, err
	}
	return []fieldmerge.WriteOption{fieldmerge.IfMatch(token)}, nil
}

// decode reads a body that is one JSON value without unknown fields.
func decode(body io.Reader, into any) error {
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return badRequest("the body: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badRequest("the body has more behind its JSON value")
	}
	return nil
}
