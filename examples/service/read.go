package main

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/fieldwise/fieldwise/fieldmerge"
)

// get answers with a profile. Its ETag says what the reader was shown; it is good in every
// region, for as long as the profile lives.
func (s *service) get(w http.ResponseWriter, r *http.Request) error {
	key := r.PathValue("key")
	p, token, err := s.profiles.Read(r.Context(), key)
	if err := s.tolerate(err); err != nil {
		return err
	}
	w.Header().Set("ETag", etag(token))
	s.answer(w, http.StatusOK, p)
	return nil
}

// tolerate lets a profile pass whose stored fields do not all fit the struct, since another
// release of the service wrote them: those read as zero, and writes leave them alone.
func (s *service) tolerate(err error) error {
	if errors.Is(err, fieldmerge.ErrField) {
		s.log.Warn("fields of a profile are not shown", "error", err)
		return nil
	}
	return err
}

// line is one profile in a list.
type line struct {
	Key     string  `json:"key"`
	Profile Profile `json:"profile"`
}

// list answers with the profiles whose keys start with ?prefix=, one a line.
func (s *service) list(w http.ResponseWriter, r *http.Request) error {
	return s.lines(w, s.all(r.Context(), r.URL.Query().Get("prefix")))
}

func (s *service) all(ctx context.Context, prefix string) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		for record, err := range s.profiles.All(ctx, prefix) {
			if !yield(line{record.Key, record.Value}, s.tolerate(err)) {
				return
			}
		}
	}
}

// explain answers how a profile came to look as it does: in text for people, or in JSON
// where the client accepts that.
func (s *service) explain(w http.ResponseWriter, r *http.Request) error {
	e, err := s.profiles.Explain(r.Context(), r.PathValue("key"))
	if err != nil {
		return err
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		s.answer(w, http.StatusOK, e)
		return nil
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	s.wrote(w.Write([]byte(e.String())))
	return nil
}

// answer writes a JSON body.
func (s *service) answer(w http.ResponseWriter, status int, body any) {
	b, err := json.MarshalIndent(body, "", "  ")
	if err != nil {
		s.log.Error("cannot encode an answer", "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	s.wrote(w.Write(append(b, '\n')))
}

// lines writes a line of JSON for all that a sequence yields. An error before the first is
// answered as such; a later one breaks off the connection, so that nobody takes what they
// got for all there is.
func (s *service) lines(w http.ResponseWriter, all iter.Seq2[any, error]) error {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out, control, begun := json.NewEncoder(w), http.NewResponseController(w), false
	for v, err := range all {
		if err != nil && !begun {
			return err
		}
		begun = true
		if err == nil {
			_ = control.SetWriteDeadline(time.Now().Add(writeWithin)) // not every writer has one
			err = out.Encode(v)
		}
		if err != nil {
			s.log.Error("a list broke off", "error", err)
			panic(http.ErrAbortHandler)
		}
	}
	return nil
}

// wrote notes that a client left before it had its answer.
func (s *service) wrote(_ int, err error) {
	if err != nil {
		s.log.Debug("cannot answer", "error", err)
	}
}
