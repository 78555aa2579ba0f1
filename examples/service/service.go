package main

import (
	"context"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/replog"
)

const (
	// maxBody bounds what a client may send, in bytes.
	maxBody = 1 << 20
	// patience is how long a request may wait, for a receipt from elsewhere or for the log.
	patience = 5 * time.Second
)

// The headers of the service's own.
const (
	// actorHeader says who asks: it goes into the log with the write, and is shown by
	// /conflicts and /explain in every region.
	actorHeader = "X-Actor"
	// receiptHeader is what a write answers with. Any later request that carries it, to
	// any region, waits until that region has the write: so clients read what they wrote.
	receiptHeader = "X-Receipt"
)

// service is the HTTP face of one region.
type service struct {
	replica  *replog.Replica
	profiles *fieldmerge.Domain[Profile]
	log      hclog.Logger
	now      func() time.Time
	patience time.Duration
}

// newService opens the profiles of a replica.
func newService(replica *replog.Replica, log hclog.Logger, now func() time.Time) (*service, error) {
	schema, err := profileSchema()
	if err != nil {
		return nil, err
	}
	profiles, err := fieldmerge.Open(replica, "profiles", schema)
	if err != nil {
		return nil, err
	}
	return &service{replica: replica, profiles: profiles, log: log, now: now, patience: patience}, nil
}

// handler answers a request, or returns an error before it has written anything.
type handler func(w http.ResponseWriter, r *http.Request) error

// routes is all that the service answers.
func (s *service) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /profiles/{key}", s.handle(s.bounded(s.get)))
	mux.Handle("PUT /profiles/{key}", s.handle(s.bounded(s.put)))
	mux.Handle("PATCH /profiles/{key}", s.handle(s.bounded(s.patch)))
	mux.Handle("DELETE /profiles/{key}", s.handle(s.bounded(s.remove)))
	mux.Handle("GET /profiles/{key}/conflicts", s.handle(s.bounded(s.conflicts)))
	mux.Handle("GET /profiles/{key}/explain", s.handle(s.bounded(s.explain)))
	mux.Handle("POST /profiles/{key}/resolve", s.handle(s.bounded(s.resolve)))
	mux.Handle("GET /profiles", s.handle(s.list))
	mux.Handle("GET /conflicts", s.handle(s.reports))
	mux.HandleFunc("GET /livez", s.live)
	mux.HandleFunc("GET /readyz", s.ready)
	return mux
}

// handle does what all requests have in common: the actor's name, the limit of the body,
// the receipt to wait for, and errors.
func (s *service) handle(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		actor := r.Header.Get(actorHeader)
		r = r.WithContext(replog.WithNote(r.Context(), actor))
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		var err error
		if key := r.PathValue("key"); !utf8.ValidString(key) || !utf8.ValidString(actor) {
			err = badRequest("key %.80q, %s %.80q: both are UTF-8", key, actorHeader, actor)
		} else {
			err = s.bounded(s.await)(w, r)
		}
		if err == nil {
			err = h(w, r)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	})
}

// bounded gives a handler so much time, and no more.
func (s *service) bounded(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), s.patience)
		defer cancel()
		return h(w, r.WithContext(ctx))
	}
}

// await waits until this region has applied the write whose receipt the request carries.
func (s *service) await(_ http.ResponseWriter, r *http.Request) error {
	text := r.Header.Get(receiptHeader)
	if text == "" {
		return nil
	}
	receipt, err := fieldwise.ParseReceipt(text)
	if err != nil {
		return badRequest("%s %.100q is no receipt; send one as a write has answered it", receiptHeader, text)
	}
	return s.replica.WaitApplied(r.Context(), receipt)
}
