package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog"
)

// demoClock is the time of day in the demo: a minute passes with every command, so
// that it tells the same story each time.
type demoClock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *demoClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *demoClock) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(time.Minute)
}

// pair is two linked regions in one process.
type pair struct {
	us, eu *region
	link   *replog.Link
}

func startPair(ctx context.Context, dir string, wall func() time.Time, log hclog.Logger) (_ *pair, err error) {
	var p pair
	defer func() {
		if err != nil {
			err = errors.Join(err, p.stop(ctx))
		}
	}()
	start := func(name fieldwise.Region) (*region, error) {
		return startRegion(ctx, settings{name: name, dir: filepath.Join(dir, string(name)), listen: "127.0.0.1:0", wall: wall, log: log})
	}
	if p.us, err = start("us-east-1"); err != nil {
		return nil, err
	}
	if p.eu, err = start("eu-west-1"); err != nil {
		return nil, err
	}
	p.link, err = replog.Connect(p.us.replica, p.eu.replica)
	return &p, err
}

func (p *pair) stop(ctx context.Context) error {
	var regions []*region
	for _, r := range []*region{p.us, p.eu} {
		if r != nil {
			regions = append(regions, r)
		}
	}
	var links []*replog.Link
	if p.link != nil {
		links = append(links, p.link)
	}
	return stop(ctx, links, regions...)
}

// demo plays the session and prints it.
func demo(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "fieldwise-service-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	clock := &demoClock{t: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}
	p, err := startPair(ctx, dir, clock.now, hclog.NewNullLogger())
	if err != nil {
		return err
	}
	defer func() {
		drain, cancel := context.WithTimeout(context.Background(), drainWithin)
		defer cancel()
		err = errors.Join(err, p.stop(drain))
	}()
	s := &session{out: out, vars: make(map[string]string)}
	defer s.client.CloseIdleConnections()
	p.play(ctx, s, clock)
	return s.err
}

// play is the session.
func (p *pair) play(ctx context.Context, s *session, clock *demoClock) {
	curl := func(c call) (receipt string) {
		clock.tick()
		return receiptHeader + ": " + s.curl(ctx, c).Get(receiptHeader)
	}
	s.say("Two regions in one process. Of the answers' headers those are shown that matter, and of\n" +
		"a long one its ends. A minute passes with each command.")
	s.set("US", p.us.url())
	s.set("EU", p.eu.url())

	s.print("\n")
	s.say("A new profile in the one region. The receipt makes a GET in the other wait for it.")
	created := curl(call{
		method: http.MethodPut, url: "$US/profiles/asha", want: http.StatusCreated,
		headers: []string{"If-None-Match: *", "X-Actor: signup"},
		body: `{"name":"Asha","nick":"ash","email":"asha@example.com","phone":"111","plan":"free",
         "address":{"city":"Bangalore","country":"IN"},"prefs":{"theme":"light"},
         "creditLimit":500,"creditCurrency":"EUR"}`,
	})
	curl(call{method: http.MethodGet, url: "$EU/profiles/asha", headers: []string{created}, want: http.StatusOK})

	s.say("Now the regions cannot reach each other, and both go on taking writes.")
	p.cut(ctx, s, created)
	inUS := curl(call{
		method: http.MethodPatch, url: "$US/profiles/asha", headers: []string{"X-Actor: anna"}, want: http.StatusNoContent,
		body: `{"phone":"222","address":{"city":"Mumbai"},"nick":null,"plan":"pro"}`,
	})
	inEU := curl(call{
		method: http.MethodPatch, url: "$EU/profiles/asha", headers: []string{"X-Actor: ben"}, want: http.StatusNoContent,
		body: `{"phone":"333","prefs":{"lang":"hi"},"plan":"enterprise"}`,
	})
	curl(call{method: http.MethodGet, url: "$US/readyz?verbose", want: http.StatusOK})

	s.say("The regions reach each other again. Different fields are all kept, the higher plan wins,\n" +
		"and of the two phones readers see the newer one. The other is not gone:")
	p.link.Heal()
	curl(call{method: http.MethodGet, url: "$US/profiles/asha", headers: []string{inEU}, want: http.StatusOK})
	curl(call{method: http.MethodGet, url: "$EU/profiles/asha/conflicts", headers: []string{inUS}, want: http.StatusOK})
	curl(call{method: http.MethodGet, url: "$EU/profiles/asha/explain", want: http.StatusOK})

	s.say("A form that was opened before somebody else saved: the ETag says what its reader saw.")
	s.capture(ctx, "etag", "ETag", "$US/profiles/asha")
	curl(call{
		method: http.MethodPatch, url: "$US/profiles/asha", headers: []string{"X-Actor: anna"}, want: http.StatusNoContent,
		body: `{"email":"asha@example.org"}`,
	})
	curl(call{
		method: http.MethodPut, url: "$US/profiles/asha", headers: []string{"If-Match: $etag", "X-Actor: ben"}, want: http.StatusPreconditionFailed,
		body: `{"name":"Asha","email":"asha@example.net","phone":"333","plan":"enterprise",
         "address":{"city":"Mumbai","country":"IN"},"prefs":{"lang":"hi","theme":"light"},
         "creditLimit":500,"creditCurrency":"EUR","created":"2026-11-02T09:01:00Z"}`,
	})

	s.say("Somebody called her, and knows which phone is hers: that settles the conflict everywhere.")
	curl(call{
		method: http.MethodPost, url: "$US/profiles/asha/resolve", headers: []string{"X-Actor: anna"}, want: http.StatusNoContent,
		body: `{"field":"phone","keep":"value","value":"222"}`,
	})
	settled := curl(call{
		method: http.MethodPost, url: "$US/profiles/asha/resolve", headers: []string{"X-Actor: anna"}, want: http.StatusNoContent,
		body: `{"field":"plan","keep":"shown"}`,
	})
	curl(call{method: http.MethodGet, url: "$EU/profiles/asha/explain", headers: []string{settled}, want: http.StatusOK})

	s.say("Cut off again, one region deletes what the other updates. The delete wins, and each\n" +
		"region reports what it dropped. The reports have positions, to go on from.")
	p.cut(ctx, s, settled)
	deleted := curl(call{method: http.MethodDelete, url: "$US/profiles/asha", headers: []string{"X-Actor: anna"}, want: http.StatusNoContent})
	updated := curl(call{
		method: http.MethodPatch, url: "$EU/profiles/asha", headers: []string{"X-Actor: ben"}, want: http.StatusNoContent,
		body: `{"tags":["vip"]}`,
	})
	p.link.Heal()
	curl(call{method: http.MethodGet, url: "$EU/profiles/asha", headers: []string{deleted}, want: http.StatusNotFound})
	curl(call{method: http.MethodGet, url: "$US/conflicts?after=0", headers: []string{updated}, want: http.StatusOK})
	s.say("That is all. To type along, serve one region: -region us-east-1 -dir DIR.")
}

// cut takes the link down once the write with the receipt is in both regions, and both know
// that.
func (p *pair) cut(ctx context.Context, s *session, header string) {
	receipt, err := fieldwise.ParseReceipt(strings.TrimPrefix(header, receiptHeader+": "))
	if err == nil {
		err = p.us.replica.WaitReplicated(ctx, receipt, p.eu.replica.Region())
	}
	if err != nil && s.err == nil {
		s.err = err
	}
	p.link.Cut()
}
