package engine

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/lww"
)

// start is when the stories of these tests begin.
var start = time.UnixMilli(1_800_000_000_000).UTC()

// tokenSet is a merger of two methods, as a user might write one: a state is a set of
// tokens, sorted, each ended by a semicolon.
type tokenSet struct{}

func (tokenSet) Name() string { return "tokens/1" }

func (tokenSet) Merge(dst, a, b []byte) ([]byte, error) {
	as, err := tokensOf(a)
	if err != nil {
		return nil, err
	}
	bs, err := tokensOf(b)
	if err != nil {
		return nil, err
	}
	all := append(as, bs...)
	slices.Sort(all)
	for _, token := range slices.Compact(all) {
		dst = append(append(dst, token...), ';')
	}
	return dst, nil
}

func tokensOf(state []byte) ([]string, error) {
	if len(state) == 0 {
		return nil, nil
	}
	text, ok := strings.CutSuffix(string(state), ";")
	if !ok {
		return nil, errors.New("tokens: the last one has no end")
	}
	all := strings.Split(text, ";")
	if !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) || all[0] == "" {
		return nil, errors.New("tokens: out of order")
	}
	return all, nil
}

// tokens2 is another format under another name.
type tokens2 struct{ tokenSet }

func (tokens2) Name() string { return "tokens/2" }

// host is the least host that an engine can have: a log in memory and no goroutine.
type host struct {
	t      require.TestingT
	cfg    Config
	e      *Engine
	now    time.Time
	frames [][]byte // of the log; the position of frame i is framePos(i)
}

func framePos(i int) int64 { return int64(100 + 10*i) }

func frameIndex(pos int64) int { return int(pos-100) / 10 }

func originOf(region fieldwise.Region) fieldwise.Origin {
	return fieldwise.Origin{Region: region, Incarnation: 7}
}

func newHost(t require.TestingT, region fieldwise.Region) *host {
	return newHostWith(t, Config{Origin: originOf(region)})
}

func newHostWith(t require.TestingT, cfg Config) *host {
	return &host{t: t, cfg: cfg, e: New(cfg), now: start}
}

// openAll opens the three domains of these tests: tokens, notes (registers), and more
// tokens.
func (h *host) openAll() *host {
	h.open("tokens", tokenSet{})
	h.open("notes", lww.NewMerger())
	return h
}

func (h *host) open(name string, m fieldwise.Merger) {
	require.NoError(h.t, h.e.OpenDomain(name, m))
}

// stage makes a local change: a token, or the value of a register.
func (h *host) stage(domain, key, token string) (fieldwise.Receipt, uint64) {
	basis, err := h.e.Begin(h.now, domain, key)
	require.NoError(h.t, err)
	receipt, batch, err := h.e.Stage(basis, domain, key, deltaFor(h.t, domain, basis, token), "")
	require.NoError(h.t, err)
	return receipt, batch
}

func deltaFor(t require.TestingT, domain string, basis Basis, token string) []byte {
	if strings.HasPrefix(domain, "tokens") {
		return []byte(token + ";")
	}
	delta, err := crdt.MVRegister{}.Set(nil, basis.State.Append(nil), basis.At, valueOf(token))
	require.NoError(t, err)
	return delta
}

// valueOf is a token as a msgpack string.
func valueOf(token string) []byte { return append([]byte{0xa0 | byte(len(token))}, token...) }

// write stages a change and commits it.
func (h *host) write(domain, key, token string) fieldwise.Receipt {
	receipt, _ := h.stage(domain, key, token)
	h.commit()
	return receipt
}

// commit takes one batch to the log.
func (h *host) commit() {
	b := h.e.TakeBatch()
	require.NotNil(h.t, b, "nothing is staged")
	h.committed(b)
}

func (h *host) committed(b *Batch) {
	h.frames = append(h.frames, bytes.Clone(b.Payload))
	h.e.Committed(b, framePos(len(h.frames)-1))
}

// reopened is the same log under a new engine, without domains.
func (h *host) reopened() *host {
	r := &host{t: h.t, cfg: h.cfg, e: New(h.cfg), now: h.now, frames: slices.Clone(h.frames)}
	for i, payload := range r.frames {
		payload = bytes.Clone(payload)
		require.NoError(h.t, r.e.Recover(framePos(i), payload))
		for i := range payload {
			payload[i] = 0xee // the engine must have kept nothing of it
		}
	}
	r.e.Recovered(r.now)
	return r
}

// asks is the request that h makes of a peer now: another one if the peer does not hold what
// a floor stands for.
func (h *host) asks(peer *host) Pull {
	region := peer.cfg.Origin.Region
	p := h.e.NextPull(h.now, region)
	if _, err := peer.e.unfold(&p); err != nil {
		require.ErrorIs(h.t, err, ErrFloor)
		h.e.Unfold(region)
		p = h.e.NextPull(h.now, region)
		require.Empty(h.t, p.Floors)
	}
	return p
}

// answer is what a peer's host sends for a request: all parts from the frame on.
func (h *host) answer(p Pull) []Part {
	frame, ok, _, err := h.e.Serve(p)
	require.NoError(h.t, err)
	if !ok {
		return nil
	}
	s := h.e.Ship(&p)
	for _, payload := range h.frames[frameIndex(frame):] {
		require.NoError(h.t, Entries(payload, func(e Entry, body []byte) error {
			s.Add(&e, body)
			return nil
		}))
	}
	h.e.Sent(p.From.Region, s.Traffic)
	return s.Parts
}

// pull brings over what h lacks, without committing it; the peer relays what does not come
// from its own region.
func (h *host) pull(from *host) Delivered {
	p := h.asks(from)
	for o := range from.e.vector {
		if o.Region != p.To && !h.e.linked(o.Region) && !slices.Contains(p.Relay, o) {
			p.Relay = append(p.Relay, o)
		}
	}
	d, err := h.e.Deliver(h.now, p.To, from.answer(p))
	require.NoError(h.t, err)
	return d
}

// sync pulls and commits.
func (h *host) sync(from *host) {
	h.pull(from)
	if b := h.e.TakeBatch(); b != nil {
		h.committed(b)
	}
}

func (h *host) read(domain, key string) string {
	state := h.e.Read(nil, domain, key).Append(nil)
	if strings.HasPrefix(domain, "tokens") {
		return string(state)
	}
	siblings, err := crdt.MVRegister{}.Siblings(state)
	require.NoError(h.t, err)
	var all []string
	for _, s := range siblings {
		all = append(all, string(s.Value[1:]))
	}
	return strings.Join(all, "|")
}

// seen is the staged state, as the next write of the key would see it.
func (h *host) seen(domain, key string) string {
	return string(h.e.domains[domain].current(key).Append(nil))
}

// reports lists the conflict reports of the log as "key: loser < winner".
func (h *host) reports() []string {
	var all []string
	for _, payload := range h.frames {
		require.NoError(h.t, Reports(payload, func(c fieldwise.Conflict) error {
			all = append(all, fmt.Sprintf("%s: %s < %s", c.Key, c.Loser.Value[1:], c.Winner.Value[1:]))
			return nil
		}))
	}
	return all
}

// bodies are parts without markers.
func bodies(all ...[]byte) (parts []Part) {
	for _, b := range all {
		parts = append(parts, Part{Body: b})
	}
	return parts
}

// body makes an entry as it travels.
func body(region fieldwise.Region, seq fieldwise.Seq, domain, key, delta string) []byte {
	e := Entry{
		Origin: originOf(region), Seq: seq, Time: fieldwise.NewTimestamp(start) + fieldwise.Timestamp(seq),
		Domain: domain, Key: key, Delta: []byte(delta),
	}
	return e.Append(nil)
}

func requireVector(t testing.TB, e *Engine, want string) {
	t.Helper()
	require.Equal(t, want, e.Vector().String())
}
