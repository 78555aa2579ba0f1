package main

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog"
)

func TestReadinessDependsOnTheRegionAndNotOnItsPeers(t *testing.T) {
	origin := fieldwise.Origin{Region: "us-east-1", Incarnation: 1}
	for _, c := range []struct {
		name  string
		stats replog.Stats
		want  health
	}{
		{"alone", replog.Stats{}, health{true, []check{{Name: "log", OK: true}}}},
		{"cannot write", replog.Stats{Err: errors.New("sync")}, health{false, []check{{Name: "log", Detail: "sync"}}}},
		{"a peer is behind", replog.Stats{Peers: []replog.PeerStats{
			{Region: "us-east-1"},
			{Region: "eu-west-1", Lag: []replog.Lag{{Entries: 2, Bytes: 30, Age: time.Second}, {Entries: 1, Bytes: 12, Age: time.Minute}}},
		}}, health{true, []check{{Name: "log", OK: true}, {Name: "peer us-east-1", OK: true}, {Name: "peer eu-west-1", Entries: 3, Bytes: 42, Seconds: 60}}}},
		{"an origin is stopped", replog.Stats{Stopped: map[fieldwise.Origin]error{origin: errors.New("kind")}}, health{true, []check{{Name: "log", OK: true}, {Name: "origin us-east-1#1", Detail: "kind"}}}},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, healthOf(c.stats)) })
	}
}

func TestReadyAndLive(t *testing.T) {
	_, us, _, c := newPair(t)
	require.Equal(t, "ok\n", c.ok(http.MethodGet, us+"/livez", "").body)
	require.Equal(t, "ok\n", c.ok(http.MethodGet, us+"/readyz", "").body)
	require.True(t, strings.HasPrefix(c.ok(http.MethodGet, us+"/readyz?verbose", "").body, "{\n  \"ready\": true,"))
}
