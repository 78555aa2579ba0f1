package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
)

// client asks the service, and fails the test where there is no answer at all.
type client struct {
	t    *testing.T
	http http.Client
}

// reply is an answer.
type reply struct {
	status int
	header http.Header
	body   string
}

// newClient returns a client with connections of its own.
func newClient(t *testing.T) *client {
	c := &client{t: t, http: http.Client{Transport: &http.Transport{}}}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// do sends a request; headers are "Name: value".
func (c *client) do(method, url, body string, headers ...string) reply {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, url, strings.NewReader(body))
	require.NoError(c.t, err)
	for _, h := range headers {
		name, value, ok := strings.Cut(h, ": ")
		require.True(c.t, ok, h)
		r.Header.Set(name, value)
	}
	answer, err := c.http.Do(r)
	require.NoError(c.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(c.t, err)
	return reply{answer.StatusCode, answer.Header, string(text)}
}

// ok is do where nothing may go wrong.
func (c *client) ok(method, url, body string, headers ...string) reply {
	c.t.Helper()
	got := c.do(method, url, body, headers...)
	require.Less(c.t, got.status, 300, got.body)
	return got
}

// create makes a profile and returns the header that waits for it.
func (c *client) create(region, key, body string) (receipt string) {
	c.t.Helper()
	return receiptOf(c.ok(http.MethodPut, region+"/profiles/"+key, body, "If-None-Match: *"))
}

func (c *client) patch(region, key, body string, headers ...string) (receipt string) {
	c.t.Helper()
	return receiptOf(c.ok(http.MethodPatch, region+"/profiles/"+key, body, headers...))
}

// get returns a profile and the header that makes a write conditional on it.
func (c *client) get(region, key string, headers ...string) (p Profile, match string) {
	c.t.Helper()
	got := c.ok(http.MethodGet, region+"/profiles/"+key, "", headers...)
	require.NoError(c.t, json.Unmarshal([]byte(got.body), &p))
	return p, "If-Match: " + got.header.Get("ETag")
}

// conflicts returns the fields of a profile that have several values, and these.
func (c *client) conflicts(region, key string, headers ...string) []conflict {
	c.t.Helper()
	got := c.ok(http.MethodGet, region+"/profiles/"+key+"/conflicts", "", headers...)
	var list struct{ Conflicts []conflict }
	require.NoError(c.t, json.Unmarshal([]byte(got.body), &list))
	return list.Conflicts
}

func receiptOf(r reply) string { return receiptHeader + ": " + r.header.Get(receiptHeader) }

// problemOf is the body of an answer that is an error.
func problemOf(t *testing.T, r reply) (p problem) {
	t.Helper()
	require.Equal(t, "application/json", r.header.Get("Content-Type"), r.body)
	require.NoError(t, json.Unmarshal([]byte(r.body), &p), r.body)
	return p
}

// newPair is two linked regions and a client of both.
func newPair(t *testing.T) (p *pair, us, eu string, c *client) {
	t.Helper()
	return newPairAt(t, nil)
}

// newPairAt is newPair under a wall clock of the test's.
func newPairAt(t *testing.T, wall func() time.Time) (p *pair, us, eu string, c *client) {
	t.Helper()
	p, err := startPair(t.Context(), t.TempDir(), wall, hclog.NewNullLogger())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.stop(context.Background())) }) // t.Context has ended by then
	return p, p.us.url(), p.eu.url(), newClient(t)
}
