package main

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/wal"
)

// filter says which entries or reports are wanted.
type filter struct {
	domain, key  string // empty: any
	origin       originFlag
	since, until timeFlag
	beyond       vectorFlag
	from         uint64
	limit        uint
}

func (f *filter) declare(flags *flag.FlagSet, of, by, when string) {
	flags.StringVar(&f.domain, "domain", "", "only "+of+" of the domain `NAME`")
	flags.StringVar(&f.key, "key", "", "only "+of+" of the record `KEY`")
	flags.Var(&f.origin, "origin", "only "+by+" `ORIGIN`: a region, or one incarnation as region#incarnation")
	flags.Var(&f.since, "since", "only "+when+" at or after `TIME`, in RFC 3339: 2026-11-28T09:00:00Z")
	flags.Var(&f.until, "until", "only "+when+" before `TIME`")
	flags.Uint64Var(&f.from, "from", 0, "begin at this `POSITION`, as shown before")
	flags.UintVar(&f.limit, "limit", 0, "end after `N` of them; 0: no limit")
}

// position is where to begin.
func (f *filter) position() (wal.Position, error) {
	if f.from > 1<<63-1 {
		return 0, misused("--from %d is no position of any log; take one that was shown", f.from)
	}
	return wal.Position(f.from), nil
}

func (f *filter) record(domain, key string) bool {
	return (f.domain == "" || f.domain == domain) && (f.key == "" || f.key == key)
}

func (f *filter) time(t fieldwise.Timestamp) bool {
	at := t.Time()
	return !at.Before(f.since.Time) && (f.until.IsZero() || at.Before(f.until.Time))
}

// full reports whether n are as many as are wanted.
func (f *filter) full(n uint) bool { return f.limit > 0 && n >= f.limit }

// originFlag is a region or an origin; its zero value is any.
type originFlag struct {
	region fieldwise.Region
	origin fieldwise.Origin
}

func (o *originFlag) String() string { return "" }

// Set implements [flag.Value].
func (o *originFlag) Set(text string) (err error) {
	if strings.Contains(text, "#") {
		if o.origin, err = fieldwise.ParseOrigin(text); err != nil {
			return fmt.Errorf("need a region, such as eu-west-1, or an origin as inspect shows it, such as eu-west-1#1f: %w", err)
		}
		return nil
	}
	o.region = fieldwise.Region(text)
	return o.region.Validate()
}

func (o *originFlag) has(by fieldwise.Origin) bool {
	return (o.region == "" || o.region == by.Region) && (o.origin.IsZero() || o.origin == by)
}

// vectorFlag is a version vector in the form of its String; its zero value covers nothing.
type vectorFlag struct{ fieldwise.Vector }

func (v *vectorFlag) String() string { return "" }

// Set implements [flag.Value].
func (v *vectorFlag) Set(text string) error {
	v.Vector = make(fieldwise.Vector)
	for part := range strings.FieldsSeq(text) {
		colon := max(strings.LastIndexByte(part, ':'), 0)
		o, err := fieldwise.ParseOrigin(part[:colon])
		seq, errSeq := strconv.ParseUint(strings.TrimPrefix(part[colon:], ":"), 10, 64)
		if err != nil || errSeq != nil {
			return fmt.Errorf("%q in it is no origin with a number; need a vector as Replica.Vector prints it, such as \"eu-west-1#1f:3 us-east-1#2e:7\"", part)
		}
		v.Vector[o] = fieldwise.Seq(seq)
	}
	return nil
}

// timeFlag is a time; its zero value is none.
type timeFlag struct{ time.Time }

func (t *timeFlag) String() string { return "" }

// Set implements [flag.Value].
func (t *timeFlag) Set(text string) (err error) {
	if t.Time, err = parseTime(text); err != nil {
		return fmt.Errorf("need a time in RFC 3339 with its zone, such as 2026-11-28T09:00:00Z")
	}
	return nil
}
