package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog"
)

const (
	// readWithin bounds how long a client may take to send a request, headers included.
	readWithin = 10 * time.Second
	// writeWithin bounds how long it may take an answer; a list gets as much for each line.
	writeWithin = 30 * time.Second
	// idleFor is how long a connection without requests is kept.
	idleFor = time.Minute
	// drainWithin is how long requests may take to finish when the region is stopped.
	drainWithin = 15 * time.Second
)

// region is one region that serves: a replica on its directory, and a server in front.
type region struct {
	replica  *replog.Replica
	server   *http.Server
	listener net.Listener
	served   chan error // what Serve returned, once
}

// settings are what a region needs to know.
type settings struct {
	name   fieldwise.Region
	dir    string
	listen string
	wall   func() time.Time // nil: time.Now
	log    hclog.Logger
}

// startRegion opens a region's replica and serves it.
func startRegion(ctx context.Context, o settings) (*region, error) {
	r, err := openRegion(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := r.serve(ctx, o.listen); err != nil {
		return nil, errors.Join(err, r.replica.Close())
	}
	return r, nil
}

// openRegion opens a region's replica, and does not listen yet.
func openRegion(ctx context.Context, o settings) (*region, error) {
	replica, err := replog.Open(ctx, replog.Config{Region: o.name, Dir: o.dir, Wall: o.wall, Logger: o.log.Named("replog")})
	if err != nil {
		return nil, err
	}
	now := o.wall
	if now == nil {
		now = time.Now
	}
	service, err := newService(replica, o.log, now)
	if err != nil {
		return nil, errors.Join(err, replica.Close())
	}
	return &region{replica: replica, served: make(chan error, 1), server: &http.Server{
		Handler:           service.routes(),
		ReadHeaderTimeout: readWithin,
		ReadTimeout:       readWithin,
		WriteTimeout:      writeWithin,
		IdleTimeout:       idleFor,
		ErrorLog:          o.log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Warn}),
	}}, nil
}

// serve begins to listen and to answer.
func (r *region) serve(ctx context.Context, address string) (err error) {
	var lc net.ListenConfig
	if r.listener, err = lc.Listen(ctx, "tcp", address); err != nil {
		return err
	}
	go func() {
		r.served <- r.server.Serve(r.listener)
		close(r.served)
	}()
	return nil
}

func (r *region) url() string { return "http://" + r.listener.Addr().String() }

// stop takes regions down in the order that keeps every promise: their servers take no more
// connections and finish the requests they have, which may wait for writes of each other;
// then the links go, and at last the replicas, which commit what they have taken. When ctx
// ends, the requests that are left are broken off.
func stop(ctx context.Context, links []*replog.Link, regions ...*region) error {
	var problems []error
	for _, r := range regions {
		if err := r.server.Shutdown(ctx); err != nil {
			problems = append(problems, fmt.Errorf("%s: requests were broken off: %w", r.replica.Region(), err), r.server.Close())
		}
		if err := <-r.served; !errors.Is(err, http.ErrServerClosed) { // nil: somebody has seen it
			problems = append(problems, err)
		}
	}
	for _, l := range links {
		problems = append(problems, l.Close())
	}
	for _, r := range regions {
		problems = append(problems, r.replica.Close())
	}
	return errors.Join(problems...)
}
