package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog"
)

func start(t *testing.T, dir string, name fieldwise.Region) *region {
	r, err := startRegion(t.Context(), settings{name: name, dir: dir, listen: "127.0.0.1:0", log: hclog.NewNullLogger()})
	require.NoError(t, err)
	return r
}

const body = `{"name":"Asha"}`

// inFlight is a request that the service has begun to handle and whose body is still to
// come: the server has asked for it.
func inFlight(t *testing.T, r *region) (net.Conn, *bufio.Reader) {
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", r.listener.Addr().String())
	require.NoError(t, err)
	_, err = io.WriteString(conn, "PUT /profiles/asha HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\nContent-Length: 15\r\nExpect: 100-continue\r\n\r\n")
	require.NoError(t, err)
	from := bufio.NewReader(conn)
	line, err := from.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
	line, err = from.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "\r\n", line)
	return conn, from
}

func TestStopListensNoMoreAndFinishesWhatIsInFlight(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, "eu-west-1")
	conn, from := inFlight(t, r)
	defer conn.Close()
	begun := make(chan struct{})
	r.server.RegisterOnShutdown(sync.OnceFunc(func() { close(begun) }))
	stopped := make(chan error, 1)
	go func() { stopped <- stop(t.Context(), nil, r) }()
	<-begun
	var d net.Dialer
	_, err := d.DialContext(t.Context(), "tcp", r.listener.Addr().String())
	require.Error(t, err, "nobody listens")
	select {
	case err := <-stopped:
		t.Fatalf("stopped with a request in flight: %v", err)
	default:
	}
	_, err = io.WriteString(conn, body)
	require.NoError(t, err)
	answer, err := http.ReadResponse(from, nil)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusCreated, answer.StatusCode)
	require.NoError(t, <-stopped)
	require.NoError(t, stop(t.Context(), nil, r), "again")

	again := start(t, dir, "eu-west-1")
	p, _ := newClient(t).get(again.url(), "asha")
	require.Equal(t, "Asha", p.Name)
	require.NoError(t, stop(t.Context(), nil, again))
}

func TestStopBreaksOffWhatDoesNotFinishInTime(t *testing.T) {
	r := start(t, t.TempDir(), "eu-west-1")
	conn, _ := inFlight(t, r)
	defer conn.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := stop(ctx, nil, r)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "eu-west-1: requests were broken off")
}

// A request may wait for a write in the other region: stopping both lets it have that.
func TestStopFinishesARequestThatWaitsForTheOtherRegion(t *testing.T) {
	us := start(t, t.TempDir(), "us-east-1")
	eu, err := openRegion(t.Context(), settings{name: "eu-west-1", dir: t.TempDir(), log: hclog.NewNullLogger()})
	require.NoError(t, err)
	entered, inner := make(chan struct{}), eu.server.Handler
	eu.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		inner.ServeHTTP(w, r)
	})
	require.NoError(t, eu.serve(t.Context(), "127.0.0.1:0"))
	link, err := replog.Connect(us.replica, eu.replica)
	require.NoError(t, err)
	link.Cut()
	c := newClient(t)
	receipt := c.create(us.url(), "asha", body)
	got := make(chan reply, 1)
	go func() {
		defer close(got)
		got <- c.do(http.MethodGet, eu.url()+"/profiles/asha", "", receipt)
	}()
	<-entered
	begun := make(chan struct{})
	eu.server.RegisterOnShutdown(sync.OnceFunc(func() { close(begun) }))
	stopped := make(chan error, 1)
	go func() { stopped <- stop(t.Context(), []*replog.Link{link}, us, eu) }()
	<-begun
	link.Heal()
	require.Equal(t, http.StatusOK, (<-got).status)
	require.NoError(t, <-stopped)
}
