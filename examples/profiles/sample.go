package main

import (
	"crypto/sha256"
	_ "embed" // the sample's text
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

//go:embed sample.txt
var sampleText string

const (
	sampleName = "the built-in sample"
	editStep   = time.Second            // between two edits
	moment     = 100 * time.Millisecond // between two that are made at nearly the same time
	phaseStep  = time.Minute            // between two phases
)

var sampleStart = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)

// sampleSkew is what clocks of good servers are off by. It decides some of the sample's
// conflicts against the order in which people really made the edits.
var sampleSkew = map[fieldwise.Region]time.Duration{
	eu: 180 * time.Millisecond,
	ap: -220 * time.Millisecond,
}

var shortNames = map[string]fieldwise.Region{"us": us, "eu": eu, "ap": ap}

func sample() (*Script, error) { return parseSample("sample.txt", sampleText) }

// parseSample reads the form that sample.txt describes.
func parseSample(file, text string) (*Script, error) {
	sum := sha256.Sum256([]byte(text))
	s := &Script{Input: sampleName, Hash: hex.EncodeToString(sum[:]), Skew: sampleSkew}
	now := sampleStart
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		var err error
		switch title, isPhase := strings.CutPrefix(line, "=="); {
		case line == "" || line[0] == '#':
		case isPhase:
			now = now.Add(phaseStep)
			p := Phase{Start: now}
			p.Name, p.Cut, err = parsePhase(title)
			s.Phases = append(s.Phases, p)
		case len(s.Phases) == 0:
			err = fmt.Errorf(`an edit before the first phase; expected a line that begins with "=="`)
		default:
			step := editStep
			if rest, ok := strings.CutPrefix(line, "~"); ok {
				step, line = moment, strings.TrimSpace(rest)
			}
			now = now.Add(step)
			e := Edit{Time: now}
			err = e.parse(line)
			p := &s.Phases[len(s.Phases)-1]
			p.Edits = append(p.Edits, e)
		}
		if err != nil {
			return nil, &inputError{file, number, err.Error()}
		}
	}
	s.End = now.Add(phaseStep)
	s.number()
	return s, nil
}

func parsePhase(title string) (name string, cut []link, err error) {
	name, cuts, _ := strings.Cut(title, "; cut ")
	for _, text := range strings.Fields(cuts) {
		a, b, _ := strings.Cut(text, "-")
		l := link{shortNames[a], shortNames[b]}
		if !slices.Contains(links, l) {
			return "", nil, fmt.Errorf("no link %q; expected us-eu, us-ap or eu-ap", text)
		}
		cut = append(cut, l)
	}
	return strings.TrimSpace(name), cut, nil
}

func (e *Edit) parse(line string) error {
	words := fields(line)
	if len(words) < 3 {
		return fmt.Errorf("found %q; expected region, profile, what is done, and fields", line)
	}
	e.Region, e.Key, e.Op = shortNames[words[0]], words[1], op(words[2])
	if e.Region == "" {
		return fmt.Errorf("no region %q; expected us, eu or ap", words[0])
	}
	for _, word := range words[3:] {
		c, err := parseChange(word)
		if err != nil {
			return err
		}
		e.Changes = append(e.Changes, c)
	}
	switch e.Op {
	case create:
		e.To = apply(nil, e.Changes)
		e.Changes = created(e.To)
	case remove:
		e.Changes = []Change{{Kind: noRecord}}
	case replace:
	default:
		return fmt.Errorf("cannot %q; expected create, set or delete", words[2])
	}
	return nil
}

func parseChange(word string) (Change, error) {
	if path, ok := strings.CutPrefix(word, "-"); ok {
		return Change{Kind: unsetField, Path: path}, nil
	}
	path, text, ok := strings.Cut(word, "=")
	if !ok {
		return Change{}, fmt.Errorf("found %q; expected field=value or -field", word)
	}
	if _, err := fieldmerge.SplitPath(path); err != nil {
		return Change{}, err
	}
	var v any = text // a bare word is a string
	if json.Valid([]byte(text)) {
		r, err := decodeRecord([]byte(`{"v":` + text + `}`))
		if err != nil {
			return Change{}, err
		}
		v = r["v"]
	}
	return Change{Kind: setField, Path: path, Value: v}, nil
}

// fields splits a line at blanks that are not between quotes.
func fields(line string) []string {
	quoted := false
	return strings.FieldsFunc(line, func(c rune) bool {
		if c == '"' {
			quoted = !quoted
		}
		return c == ' ' && !quoted
	})
}
