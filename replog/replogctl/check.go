package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
	"github.com/fieldwise/fieldwise/replog/wal"
)

// checked is what verify knows of one directory.
type checked struct {
	Directory string                   `json:"directory"`
	Region    fieldwise.Region         `json:"region"`
	Frames    int                      `json:"frames"`
	Entries   int                      `json:"entries"`
	Reports   int                      `json:"reports"`
	Snapshots int                      `json:"snapshots,omitempty"` // of states that stand for entries which are not in the log
	Vector    map[string]fieldwise.Seq `json:"vector"`              // by origin, the last entry without a gap in front
	Torn      *tornEnd                 `json:"torn,omitempty"`
	Domains   []*checkedDomain         `json:"domains"`

	source *source // nil if the log could not be opened
	ends   fieldwise.Vector
	chains map[fieldwise.Origin]uint64        // there
	based  map[fieldwise.Origin]bool          // origins that a snapshot stands for up to some number
	gapped map[fieldwise.Origin]fieldwise.Seq // the last entry of origins that have a gap
	partly bool                               // not everything could be read
}

// checkedDomain is what verify knows of one domain of a directory.
type checkedDomain struct {
	Name    string `json:"name"`
	Merger  string `json:"merger"`            // empty until the domain is opened
	Assumed string `json:"assumed,omitempty"` // then the merger that other directories have for it
	Known   bool   `json:"known"`             // the merger is one of this module: changes were checked
	Entries int    `json:"entries"`
	Records int    `json:"records,omitempty"`
	Digest  string `json:"digest,omitempty"` // of all states; none where they were not joined

	bad bool // it has a change that is no state
}

// mergerName is the name of the merger that the domain has, or is assumed to have.
func (d *checkedDomain) mergerName() string { return cmp.Or(d.Merger, d.Assumed) }

// merging is that merger, nil if it is none of this module.
func (d *checkedDomain) merging() *merging { return mergers[d.mergerName()] }

func newChecked(dir string, s *source) *checked {
	c := &checked{
		Directory: dir, Vector: make(map[string]fieldwise.Seq), Domains: []*checkedDomain{}, source: s,
		ends: make(fieldwise.Vector), chains: make(map[fieldwise.Origin]uint64), gapped: make(map[fieldwise.Origin]fieldwise.Seq), based: make(map[fieldwise.Origin]bool),
		partly: s == nil,
	}
	if s != nil {
		c.Region, c.Torn = s.began.Region, s.torn()
	}
	return c
}

// check reads all of a log.
func (v *verifier) check(ctx context.Context, c *checked) error {
	k := checker{v: v, c: c, names: newNames(c.source), domains: make(map[string]*checkedDomain), merged: make(map[string]string), signed: c.source.began}
	k.parts = engine.Parts{
		Entry: func(e engine.Entry, body []byte, _ bool) error {
			k.entry(ctx, &e, body)
			return ctx.Err()
		},
		Report: func(fieldwise.Conflict) error {
			c.Reports++
			return nil
		},
		Merger:   k.merger,
		Identity: k.identity,
		Snapshot: func(s *engine.Pieces) error {
			c.install(s)
			return nil
		},
	}
	for f, err := range c.source.frames(ctx, "checking", 0) {
		if damaged(err) {
			c.partly = true
			v.found(finding{Directory: c.Directory, Kind: "corrupt", Problem: err.Error()})
			break
		}
		if err != nil {
			return err
		}
		c.Frames++
		k.at = f.Position
		if err := k.frame(f.Payload); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(k.domains)) {
		c.Domains = append(c.Domains, k.domains[name])
	}
	for o, seq := range c.ends {
		c.Vector[o.String()] = seq
	}
	return nil
}

// checker checks the frames of one log.
type checker struct {
	parts   engine.Parts
	v       *verifier
	c       *checked
	names   *names
	domains map[string]*checkedDomain
	merged  map[string]string // domains and their mergers, so far
	signed  fieldwise.Origin
	at      wal.Position
}

func (k *checker) found(f finding) {
	f.Directory, f.Position = k.c.Directory, k.at
	k.v.found(f)
}

// frame checks a frame. The error is none of the log's.
func (k *checker) frame(payload []byte) error {
	err := k.parts.Read(payload)
	if errors.Is(err, fieldwise.ErrMalformed) {
		k.c.partly = true
		k.found(finding{Kind: "unreadable part", Problem: err.Error() + "; what follows in the frame was not checked"})
		return nil
	}
	return err
}

func (k *checker) entry(ctx context.Context, e *engine.Entry, body []byte) {
	k.c.Entries++
	wrong := func(kind, problem string) {
		k.found(finding{Kind: kind, Origin: &e.Origin, Seq: e.Seq, Domain: e.Domain, Key: e.Key, Problem: problem})
	}
	if err := e.Check(); err != nil {
		wrong("change", err.Error())
	}
	if gap := k.c.follow(e, body); gap != "" {
		wrong("gap", gap)
	}
	d := k.domains[e.Domain]
	if d == nil {
		d = &checkedDomain{Name: e.Domain, Merger: k.names.of(ctx, e.Domain)}
		d.Known = mergers[d.Merger] != nil
		k.domains[e.Domain] = d
	}
	d.Entries++
	if d.Known {
		if err := mergers[d.Merger].check(e.Delta); err != nil {
			d.bad = true
			wrong("change", err.Error())
		}
	}
}

// follow counts an entry, and says what is wrong with its number.
func (c *checked) follow(e *engine.Entry, body []byte) (gap string) {
	last, broken := c.gapped[e.Origin]
	if !broken {
		last = c.ends[e.Origin]
	}
	if e.Seq != last+1 {
		gap = fmt.Sprintf("entry %d stands where %d is next", e.Seq, last+1)
		broken = true
	}
	if broken {
		c.gapped[e.Origin] = e.Seq
		return gap
	}
	c.ends[e.Origin] = e.Seq
	c.chains[e.Origin] = engine.NextChain(c.chains[e.Origin], body)
	return ""
}

// install takes in that a snapshot of states stands for the entries that it covers.
func (c *checked) install(s *engine.Pieces) {
	c.Snapshots++
	for o, seq := range s.Vector() {
		if seq > c.ends[o] {
			c.ends[o], c.based[o] = seq, true
			delete(c.gapped, o)
		}
	}
}

func (k *checker) merger(domain, merger string) error {
	if first := k.merged[domain]; first != "" && first != merger {
		k.found(finding{Kind: "merger", Domain: domain, Problem: fmt.Sprintf("merged under %q and under %q", first, merger)})
		return nil
	}
	k.merged[domain] = merger
	return nil
}

func (k *checker) identity(o fieldwise.Origin) error {
	if o.Region != k.signed.Region || k.c.ends[o] > 0 {
		k.found(finding{Kind: "identity", Origin: &o, Problem: fmt.Sprintf("begins to sign in a log of %s that holds %d entries of it", k.signed.Region, k.c.ends[o])})
	}
	k.signed = o
	return nil
}

// whole reports whether everything was read, and all that the states are made of is in entries.
func (c *checked) whole() bool { return !c.partly && len(c.gapped) == 0 && c.Snapshots == 0 }
