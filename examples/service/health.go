package main

import (
	"net/http"
	"time"

	"github.com/fieldwise/fieldwise/replog"
)

// lateAfter is how far a peer region may be behind before its check says so.
const lateAfter = 30 * time.Second

// check is one thing that was looked at.
type check struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"`
	Detail  string  `json:"detail,omitempty"`
	Entries int64   `json:"entries,omitempty"` // that the peer lacks
	Bytes   int64   `json:"bytes,omitempty"`
	Seconds float64 `json:"seconds,omitempty"` // age of the oldest of them
}

// health is how a region is. Ready says whether it can serve. That does not depend on its
// peers: a region that cannot reach them is what this service is made for, and a load
// balancer that took it out would take out the other one, too.
type health struct {
	Ready  bool    `json:"ready"`
	Checks []check `json:"checks"`
}

func healthOf(stats replog.Stats) health {
	log := check{Name: "log", OK: stats.Err == nil}
	if stats.Err != nil {
		log.Detail = stats.Err.Error()
	}
	h := health{Ready: log.OK, Checks: []check{log}}
	for origin, err := range stats.Stopped {
		h.Checks = append(h.Checks, check{Name: "origin " + origin.String(), Detail: err.Error()})
	}
	for _, peer := range stats.Peers {
		c := check{Name: "peer " + string(peer.Region)}
		var oldest time.Duration
		for _, lag := range peer.Lag {
			c.Entries += lag.Entries
			c.Bytes += lag.Bytes
			oldest = max(oldest, lag.Age)
		}
		c.Seconds, c.OK = oldest.Seconds(), oldest <= lateAfter
		h.Checks = append(h.Checks, c)
	}
	return h
}

// live answers that the process is there, whatever it can do.
func (s *service) live(w http.ResponseWriter, _ *http.Request) {
	s.wrote(w.Write([]byte("ok\n")))
}

// ready answers whether the region can serve; with ?verbose it tells what it looked at.
func (s *service) ready(w http.ResponseWriter, r *http.Request) {
	h, status := healthOf(s.replica.Stats()), http.StatusOK
	if !h.Ready {
		status = http.StatusServiceUnavailable
	}
	if r.URL.Query().Has("verbose") {
		s.answer(w, status, h)
		return
	}
	w.WriteHeader(status)
	s.wrote(w.Write([]byte(map[bool]string{true: "ok\n", false: "not ready\n"}[h.Ready])))
}
