package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog"
)

// An edits file has one JSON object a line: a record as it was, and as two people left it
// who did not know of each other.
//
//	{"id":1, "base":{...}, "ours":{...}, "theirs":{...}, "ours_time":1395305007, "theirs_time":1395265321}
//
// A base of null means that there was no record, a side of null that this side deleted
// it. Times are Unix seconds. Other fields are passed over, and so are empty lines.
const editsExample = `{"id":1,"base":{...},"ours":{...},"theirs":{...},"ours_time":1395305007,"theirs_time":1395265321}`

// pair is a line of an edits file.
type pair struct {
	line                int
	id                  int64
	base, ours, theirs  record // nil for null
	oursTime, theirTime time.Time
}

func (p *pair) key() string { return strconv.FormatInt(p.id, 10) }

// inputError says where an input is wrong and what was expected there.
type inputError struct {
	file string
	line int
	text string
}

func (e *inputError) Error() string { return fmt.Sprintf("%s:%d: %s", e.file, e.line, e.text) }

// readEdits reads and checks a whole edits file.
func readEdits(file string) (pairs []pair, hash string, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(b)
	seen := make(map[int64]int) // lines by id
	number := 0
	for line := range bytes.Lines(b) {
		number++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		p, err := parsePair(line)
		if err == nil && seen[p.id] > 0 {
			err = fmt.Errorf("id %d is on line %d already; expected each id once", p.id, seen[p.id])
		}
		if err != nil {
			return nil, "", &inputError{file, number, err.Error()}
		}
		p.line = number
		seen[p.id] = number
		pairs = append(pairs, p)
	}
	if len(pairs) == 0 {
		return nil, "", &inputError{file, max(number, 1), "no edits; expected one JSON object a line, such as " + editsExample}
	}
	return pairs, hex.EncodeToString(sum[:]), nil
}

func parsePair(line []byte) (pair, error) {
	var p pair
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return p, fmt.Errorf("not JSON: %w at byte %d; expected one object a line, such as %s", syntax, syntax.Offset, editsExample)
		}
		return p, fmt.Errorf("found %s; expected an object, such as %s", jsonType(line), editsExample)
	}
	if fields == nil {
		return p, fmt.Errorf("found null; expected an object, such as %s", editsExample)
	}
	var err error
	whole := func(name, expected string, low, high int64) (n int64) {
		raw, ok := fields[name]
		switch {
		case err != nil:
		case !ok:
			err = fmt.Errorf("%q is missing; expected %s", name, expected)
		default:
			n, err = strconv.ParseInt(string(raw), 10, 64)
			if err != nil || n < low || n > high {
				err = fmt.Errorf("%q is %s; expected %s", name, clip(raw), expected)
			}
		}
		return n
	}
	object := func(name, expected string) (r record) {
		raw, ok := fields[name]
		switch {
		case err != nil:
		case !ok:
			err = fmt.Errorf("%q is missing; expected %s", name, expected)
		case string(raw) == "null":
		case raw[0] != '{':
			err = fmt.Errorf("%q is %s; expected %s", name, jsonType(raw), expected)
		default:
			if r, err = decodeRecord(raw); err != nil {
				err = fmt.Errorf("%q: %w", name, err)
			}
		}
		return r
	}
	const seconds = "Unix seconds, a whole number from 1 to 253402300799"
	const lastSecond = 253402300799 // of the year 9999
	p.id = whole("id", "a whole number", math.MinInt64, math.MaxInt64)
	p.base = object("base", "an object, or null where there was no record before")
	p.ours = object("ours", "an object, or null where this side deleted the record")
	p.theirs = object("theirs", "an object, or null where this side deleted the record")
	p.oursTime = time.Unix(whole("ours_time", seconds, 1, lastSecond), 0)
	p.theirTime = time.Unix(whole("theirs_time", seconds, 1, lastSecond), 0)
	return p, err
}

func jsonType(raw []byte) string {
	switch bytes.TrimSpace(raw)[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// clip shortens a value for a message.
func clip(raw []byte) string {
	const most = 40
	if len(raw) <= most {
		return string(raw)
	}
	return strings.ToValidUTF8(string(raw[:most]), "") + "..."
}

// decodeRecord decodes a JSON object. Integers stay integers and are not rounded.
func decodeRecord(raw []byte) (record, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var r record
	if err := d.Decode(&r); err != nil {
		return nil, err
	}
	v, err := plain(r)
	if err != nil {
		return nil, err
	}
	return v.(record), nil
}

// plain turns the numbers in decoded JSON into what the library returns for them.
func plain(v any) (any, error) {
	var err error
	switch v := v.(type) {
	case json.Number:
		if !strings.ContainsAny(v.String(), ".eE") {
			if i, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
				return i, nil
			}
			if u, err := strconv.ParseUint(v.String(), 10, 64); err == nil {
				return u, nil
			}
		}
		f, err := v.Float64()
		if err != nil {
			return nil, fmt.Errorf("the number %s is too large for a float64", clip([]byte(v)))
		}
		return f, nil
	case []any:
		for i := range v {
			if v[i], err = plain(v[i]); err != nil {
				return nil, err
			}
		}
	case record:
		for name := range v {
			if v[name], err = plain(v[name]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// What each region does in an edits script.
const (
	baseRegion   = ap
	oursRegion   = us
	theirsRegion = eu
)

// scriptOf makes a script of pairs: all bases first, then each side's edits in the order
// of their times while no region hears of another.
func scriptOf(input, hash string, pairs []pair) *Script {
	var bases, sides []Edit
	first, last := pairs[0].oursTime, pairs[0].oursTime
	for i := range pairs {
		p := &pairs[i]
		for _, t := range []time.Time{p.oursTime, p.theirTime} {
			if t.Before(first) {
				first = t
			}
			if t.After(last) {
				last = t
			}
		}
		if p.base != nil {
			bases = append(bases, Edit{Region: baseRegion, Key: p.key(), Op: create, To: p.base, Changes: created(p.base)})
		}
		if e, ok := side(p, oursRegion, p.ours, p.oursTime); ok {
			sides = append(sides, e)
		}
		if e, ok := side(p, theirsRegion, p.theirs, p.theirTime); ok {
			sides = append(sides, e)
		}
	}
	before := first.Add(-time.Second)
	for i := range bases {
		bases[i].Time = before
	}
	slices.SortStableFunc(sides, func(a, b Edit) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Region, b.Region))
	})
	s := &Script{
		Input: input,
		Hash:  hash,
		Phases: []Phase{
			{Name: "the records as they were, written in " + string(baseRegion), Start: before, Edits: bases},
			{Name: "both sides' edits, no region linked to another", Start: before, Cut: links, Edits: sides},
		},
		End: last.Add(time.Second),
	}
	s.number()
	return s
}

// side is what one side did to the record, if anything.
func side(p *pair, in fieldwise.Region, to record, at time.Time) (e Edit, ok bool) {
	e = Edit{Region: in, Key: p.key(), Time: at, From: p.base, To: to}
	switch {
	case p.base == nil && to == nil:
		return e, false
	case p.base == nil:
		e.Op, e.Changes = create, created(to)
	case to == nil:
		e.Op, e.Changes = remove, []Change{{Kind: noRecord}}
	default:
		d := compare(p.base, to)
		e.Op, e.Changes, e.Moves = replace, d.sorted(), d.moves
	}
	return e, true
}

// check makes each pair's edits in memory, so that a record which a strategy would not
// take is found before anything is written.
func check(ctx context.Context, file string, pairs []pair, sts []strategy) error {
	for i := range pairs {
		p := &pairs[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, s := range []struct {
			name string
			in   fieldwise.Region
			to   record
		}{{"ours", oursRegion, p.ours}, {"theirs", theirsRegion, p.theirs}} {
			e, ok := side(p, s.in, s.to, p.oursTime)
			for _, st := range sts {
				host := &scratch{region: baseRegion}
				in, err := st.Open(host)
				if err != nil {
					return err
				}
				if p.base != nil {
					if _, err := in.Create(ctx, p.key(), p.base); err != nil {
						return &inputError{file, p.line, fmt.Sprintf(`"base" cannot be written: %v`, err)}
					}
				}
				host.region = s.in
				if ok {
					if _, err := perform(ctx, in, &e); err != nil {
						return &inputError{file, p.line, fmt.Sprintf("%q cannot be written: %v", s.name, err)}
					}
				}
			}
		}
	}
	return nil
}

// scratch is a host with one domain of one record in memory: a strategy needs no more of
// the log than a [fieldwise.Store].
type scratch struct {
	region fieldwise.Region // that writes
	merger fieldwise.Merger
	state  []byte
	time   fieldwise.Timestamp
}

func (s *scratch) Domain(_ string, m fieldwise.Merger) (fieldwise.Store, error) {
	s.merger = m
	return s, nil
}

func (s *scratch) Read(_ context.Context, _ string, use func([]byte) error) error {
	return use(s.state)
}

func (s *scratch) Write(_ context.Context, key string, change func(dst, state []byte, at fieldwise.Version) ([]byte, error)) (fieldwise.Receipt, error) {
	s.time++
	at := fieldwise.Version{Time: s.time, Origin: fieldwise.Origin{Region: s.region, Incarnation: math.MaxUint64}}
	delta, err := change(nil, s.state, at)
	if err != nil || len(delta) == 0 {
		return fieldwise.Receipt{}, err
	}
	joined, err := s.merger.Merge(nil, s.state, delta)
	if err == nil && len(joined) > replog.DefaultMaxRecord {
		err = &fieldwise.LimitError{Limit: "bytes of a record", Got: len(joined), Max: replog.DefaultMaxRecord, Key: key}
	}
	s.state = joined
	return fieldwise.Receipt{Origin: at.Origin, Seq: 1, Time: at.Time}, err
}

func (s *scratch) Keys(context.Context, string) iter.Seq2[string, error] {
	return func(func(string, error) bool) {}
}

// writeRecords writes the records that a region shows in the end, one
// {"id":N,"record":{...}|null} a line, in the order of the input.
func writeRecords(w io.Writer, pairs []pair, final map[string]record) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for i := range pairs {
		line := struct {
			ID     int64  `json:"id"`
			Record record `json:"record"`
		}{pairs[i].id, final[pairs[i].key()]}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return nil
}
