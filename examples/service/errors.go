package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/replog"
)

var (
	// errRequest says that a request is not what this service understands.
	errRequest = errors.New("bad request")
	// errUnconditional says that a PUT does not say what its writer had read.
	errUnconditional = errors.New("a PUT replaces what its writer has read: send the ETag of the GET as If-Match, or If-None-Match: * to create")
)

func badRequest(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errRequest, fmt.Errorf(format, args...))
}

// answers says how errors are answered; the first that matches counts. What is not listed
// is a fault of this service.
var answers = []struct {
	is     error
	status int
	code   string
}{
	{fieldwise.ErrNotFound, http.StatusNotFound, "not found"},
	{fieldwise.ErrExists, http.StatusPreconditionFailed, "exists"},
	{fieldmerge.ErrChanged, http.StatusPreconditionFailed, "changed"},
	{errUnconditional, http.StatusPreconditionRequired, "precondition required"},
	{fieldmerge.ErrSibling, http.StatusConflict, "no such sibling"},
	{replog.ErrReplaced, http.StatusConflict, "write failed"},
	{fieldwise.ErrLimit, http.StatusRequestEntityTooLarge, "limit"},
	{errRequest, http.StatusBadRequest, "bad request"},
	{fieldmerge.ErrToken, http.StatusBadRequest, "bad token"},
	{fieldmerge.ErrPath, http.StatusBadRequest, "bad path"},
	{fieldmerge.ErrField, http.StatusBadRequest, "bad value"},
	{replog.ErrOutcomeUnknown, http.StatusServiceUnavailable, "outcome unknown"},
	{replog.ErrNoSpace, http.StatusServiceUnavailable, "no space"},
	{replog.ErrPoisoned, http.StatusServiceUnavailable, "read only"},
	{fieldwise.ErrClosed, http.StatusServiceUnavailable, "closing"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "timeout"},
	{context.Canceled, http.StatusServiceUnavailable, "canceled"}, // by the client, who does not see it
}

// problem is the body of an answer that is an error.
type problem struct {
	Code    string `json:"error"`
	Message string `json:"message"`

	// Of "changed": what changed in this region since the token's reader saw it.
	Recreated bool      `json:"recreated,omitempty"` // the whole record: it was deleted and created again
	Fields    []changed `json:"fields,omitempty"`
}

type changed struct {
	Field  string `json:"field"`
	Read   any    `json:"read"`
	Now    any    `json:"now"`
	Wanted any    `json:"wanted"`
}

// describe turns an error into what is answered.
func describe(err error) (status int, p problem) {
	status, p = http.StatusInternalServerError, problem{Code: "internal", Message: "something went wrong; the log of the service has more"}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge, problem{Code: "limit", Message: fmt.Sprintf("the body has more than %d bytes", tooLarge.Limit)}
	}
	for _, a := range answers {
		if errors.Is(err, a.is) {
			status, p = a.status, problem{Code: a.code, Message: err.Error()}
			break
		}
	}
	var change *fieldmerge.ChangedError
	if errors.As(err, &change) {
		p.Recreated = change.Recreated
		for _, f := range change.Fields {
			one := changed{Field: f.Path, Read: f.Read, Now: f.Now, Wanted: f.Wanted}
			if f.Hashed {
				one.Read = "(a large value)"
			}
			p.Fields = append(p.Fields, one)
		}
	}
	return status, p
}

// fail answers a request with an error.
func (s *service) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, p := describe(err)
	if status >= http.StatusInternalServerError {
		s.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "status", status, "error", err)
	}
	var outcome *replog.OutcomeError
	if errors.As(err, &outcome) { // a later request that carries it learns how the write went
		w.Header().Set(receiptHeader, outcome.Receipt.String())
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	s.answer(w, status, p)
}
