package main

import (
	"context"
	"flag"
	"maps"
	"os"
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
	"github.com/fieldwise/fieldwise/replog/wal"
)

var inspectCommand = command{
	name: "inspect", args: "DIR", what: "who signs, origins, domains, size, the torn end",
	text: `
Reads the whole log of the replica whose data directory is DIR and tells what is in it: the
incarnations of the region that signed in it, one after the other; how many entries there are of
each origin, which region and incarnation are; the domains and their mergers; conflict reports; and
the torn end, if a crash left one: the next opening drops it.

  replogctl inspect /var/lib/app/data
  replogctl inspect --json /var/lib/app/data | jq .domains`,
	prepare: func(flags *flag.FlagSet) func(context.Context, *terminal, []string) error {
		asJSON := flags.Bool("json", false, "print one JSON object")
		return func(ctx context.Context, t *terminal, dirs []string) error {
			dir, err := oneDir("inspect", dirs)
			if err != nil {
				return err
			}
			return inspect(ctx, t, dir, *asJSON)
		}
	},
}

// summary is what a log holds.
type summary struct {
	Directory string             `json:"directory"`
	Region    fieldwise.Region   `json:"region"`
	Signs     []fieldwise.Origin `json:"signs"`  // one after the other
	Format    int                `json:"format"` // version, of the log
	Bytes     int64              `json:"bytes"`  // of all files of the directory
	End       wal.Position       `json:"end"`    // where the next frame will start
	Torn      *tornEnd           `json:"torn,omitempty"`
	Frames    int                `json:"frames"`
	Entries   int                `json:"entries"`
	Reports   int                `json:"reports"`
	First     string             `json:"first,omitempty"` // the earliest entry's time
	Last      string             `json:"last,omitempty"`
	Origins   []originSummary    `json:"origins"`
	Domains   []domainSummary    `json:"domains"`
}

// tornEnd is what a crash left behind the last whole frame.
type tornEnd struct {
	Position wal.Position `json:"position"`
	Bytes    int64        `json:"bytes"`
	Reason   string       `json:"reason"`
}

// originSummary is what a log holds of an origin.
type originSummary struct {
	Origin  fieldwise.Origin `json:"origin"`
	From    fieldwise.Seq    `json:"from"`
	To      fieldwise.Seq    `json:"to"`
	Entries int              `json:"entries"`
	Bytes   int64            `json:"bytes"` // of their bodies, without framing
	First   string           `json:"first"`
	Last    string           `json:"last"`

	times span
}

// domainSummary is what a log holds of a domain.
type domainSummary struct {
	Name    string `json:"name"`
	Merger  string `json:"merger"` // empty until the domain is opened
	Entries int    `json:"entries"`
	Reports int    `json:"reports"`
}

// span is from the earliest to the latest of some timestamps.
type span struct {
	first, last fieldwise.Timestamp
	some        bool
}

func (s *span) add(t fieldwise.Timestamp) {
	if !s.some || t < s.first {
		s.first = t
	}
	s.last, s.some = max(s.last, t), true
}

func (s *span) texts() (first, last string) {
	if !s.some {
		return "", ""
	}
	return timeText(s.first), timeText(s.last)
}

func (s *source) torn() *tornEnd {
	if s.recovery.DroppedBytes == 0 {
		return nil
	}
	return &tornEnd{Position: s.recovery.DroppedFrom, Bytes: s.recovery.DroppedBytes, Reason: s.recovery.Reason}
}

func inspect(ctx context.Context, t *terminal, dir string, asJSON bool) error {
	s, err := openSource(ctx, t, dir)
	if err != nil {
		return err
	}
	defer s.close()
	sum, err := summarize(ctx, s)
	if err != nil {
		return err
	}
	return t.print(sum, asJSON)
}

// summarize reads all of a log.
func summarize(ctx context.Context, s *source) (*summary, error) {
	size, err := sizeOf(s.dir)
	if err != nil {
		return nil, err
	}
	sum := &summary{
		Directory: s.dir, Region: s.began.Region, Signs: []fieldwise.Origin{s.began}, Format: wal.FormatVersion,
		Bytes: size, End: s.log.Durable(), Torn: s.torn(),
	}
	origins, domains := make(map[fieldwise.Origin]*originSummary), make(map[string]*domainSummary)
	domain := func(name string) *domainSummary { return made(domains, name, domainSummary{Name: name}) }
	var times span
	parts := engine.Parts{
		Entry: func(e engine.Entry, body []byte, _ bool) error {
			sum.Entries++
			domain(e.Domain).Entries++
			times.add(e.Time)
			made(origins, e.Origin, originSummary{Origin: e.Origin, From: e.Seq}).add(&e, len(body))
			return nil
		},
		Report: func(c fieldwise.Conflict) error {
			sum.Reports++
			domain(c.Domain).Reports++
			return nil
		},
		Merger: func(name, merger string) error {
			domain(name).Merger = merger
			return nil
		},
		Identity: func(o fieldwise.Origin) error {
			sum.Signs = append(sum.Signs, o)
			return nil
		},
	}
	err = s.read(ctx, "reading", 0, func(wal.Position) *engine.Parts {
		sum.Frames++
		return &parts
	})
	if err != nil {
		return nil, err
	}
	sum.First, sum.Last = times.texts()
	sum.Origins, sum.Domains = []originSummary{}, []domainSummary{}
	for _, o := range slices.SortedFunc(maps.Keys(origins), fieldwise.Origin.Compare) {
		one := origins[o]
		one.First, one.Last = one.times.texts()
		sum.Origins = append(sum.Origins, *one)
	}
	for _, name := range slices.Sorted(maps.Keys(domains)) {
		sum.Domains = append(sum.Domains, *domains[name])
	}
	return sum, nil
}

func (o *originSummary) add(e *engine.Entry, size int) {
	o.From, o.To = min(o.From, e.Seq), max(o.To, e.Seq)
	o.Entries++
	o.Bytes += int64(size)
	o.times.add(e.Time)
}

// made returns what a map has under a key, which is what fresh says at first.
func made[K comparable, V any](m map[K]*V, key K, fresh V) *V {
	if m[key] == nil {
		m[key] = &fresh
	}
	return m[key]
}

// sizeOf is the size of all files of a directory. One that goes away meanwhile counts nothing.
func sizeOf(dir string) (size int64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if st, err := e.Info(); err == nil && st.Mode().IsRegular() {
			size += st.Size()
		} else if err != nil && !os.IsNotExist(err) {
			return 0, err
		}
	}
	return size, nil
}
