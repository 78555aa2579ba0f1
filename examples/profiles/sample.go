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
		changes, err := parseChanges(word)
		if err != nil {
			return err
		}
		e.Changes = append(e.Changes, changes...)
	}
	switch e.Op {
	case create:
		e.To = apply(nil, e.Changes)
		e.Changes = created(e.To)
	case remove:
		e.Changes = []Change{{Kind: noRecord}}
	case replace:
		for _, c := range e.Changes {
			list, _ := c.Value.([]any)
			if c.Kind == setField && (len(list) > 0 || isCounter(c.Path)) {
				return fmt.Errorf("cannot set %q once the profile is there; expected field+=value or field-=value", c.Path)
			}
		}
	default:
		return fmt.Errorf("cannot %q; expected create, set or delete", words[2])
	}
	return nil
}

// parseChanges parses one word of an edit. To add an object to a list is several changes: it
// is there, and has each of its fields.
func parseChanges(word string) ([]Change, error) {
	if path, ok := strings.CutPrefix(word, "-"); ok {
		p, err := parsePlace(path)
		if err != nil {
			return nil, err
		}
		c := Change{Kind: unsetField}
		if p[len(p)-1].key != "" {
			c.Kind = noObject
		}
		return []Change{c.put(p)}, nil
	}
	path, text, ok := cutAssignment(word)
	if !ok {
		return nil, fmt.Errorf("found %q; expected field=value, field+=value, field-=value or -field", word)
	}
	path, more := strings.CutSuffix(path, "+")
	path, less := strings.CutSuffix(path, "-")
	p, err := parsePlace(path)
	if err != nil {
		return nil, err
	}
	var v any = text // a bare word is a string
	if json.Valid([]byte(text)) {
		r, err := decodeRecord([]byte(`{"v":` + text + `}`))
		if err != nil {
			return nil, err
		}
		v = r["v"]
	}
	n, isNumber := v.(int64)
	_, isObject := v.(record)
	c := Change{Kind: setField, Value: v}
	switch {
	case !more && !less:
	case isCounter(path):
		if !isNumber || n == 0 {
			return nil, fmt.Errorf("cannot count %s; expected a whole number", text)
		}
		if less {
			n = -n
		}
		c = Change{Kind: addCount, Value: n}
	case less:
		c.Kind = dropElement
	case isObject:
		var d differ
		d.list(p, nil, []any{v})
		return d.sorted(), nil
	default:
		c.Kind, c.Count = addElement, 1
	}
	return []Change{c.put(p)}, nil
}

// cutAssignment splits a word at the first "=" that is not in brackets.
func cutAssignment(word string) (path, text string, ok bool) {
	depth := 0
	for i, c := range word {
		switch {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == '=' && depth == 0:
			return word[:i], word[i+1:], true
		}
	}
	return "", "", false
}

// parsePlace parses a path, in which "devices[id=7]" is the object of a list that has 7
// as its id.
func parsePlace(path string) (place, error) {
	segments, err := fieldmerge.SplitPath(path)
	if err != nil {
		return nil, err
	}
	var p place
	for _, segment := range segments {
		list, object, ok := strings.Cut(strings.TrimSuffix(segment, "]"), "[")
		p = append(p, step{name: list})
		if ok {
			key, name, _ := strings.Cut(object, "=")
			if key == "" || name == "" || !strings.HasSuffix(segment, "]") {
				return nil, fmt.Errorf("found %q; expected an object of a list as in devices[id=7]", segment)
			}
			p = append(p, step{name, key})
		}
	}
	return p, nil
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
