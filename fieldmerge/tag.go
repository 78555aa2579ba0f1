package fieldmerge

import (
	"fmt"
	"reflect"
	"strings"
)

// tagKey is the key of the struct tags that schemas are made of.
const tagKey = "merge"

// tag is a struct tag taken apart: NAME,STRATEGY[,group=NAME][,was=NAME].
type tag struct {
	name     string // as it is stored, one segment of a path
	strategy Strategy
	group    string // the group that the field is written with; empty: by itself
	was      string // the name under which the field was stored before
}

const (
	nestedStrategy = "nested"
	eachPrefix     = "each="
)

// parseTag takes the tag of a struct's field apart. ok is false where the field is left out.
func parseTag(f reflect.StructField) (t tag, ok bool, err error) {
	text, tagged := f.Tag.Lookup(tagKey)
	if !tagged {
		return tag{}, false, fmt.Errorf("no strategy; add a tag such as `merge:\"%s,lww\"`, or `merge:\"-\"` to leave the field out", strings.ToLower(f.Name))
	}
	if text == "-" {
		return tag{}, false, nil
	}
	parts := strings.Split(text, ",")
	if len(parts) < 2 || parts[1] == "" {
		name := parts[0]
		if name == "" || isStrategy(name) {
			name = strings.ToLower(f.Name)
		}
		return tag{}, false, fmt.Errorf("the tag %q names no strategy; write `merge:\"%s,lww\"` or another strategy behind the comma", text, name)
	}
	if t.name = parts[0]; t.name == "" {
		t.name = f.Name
	}
	t.strategy = Strategy(parts[1])
	for _, option := range parts[2:] {
		name, value, _ := strings.Cut(option, "=")
		switch {
		case name == "group" && value != "" && t.group == "":
			t.group = value
		case name == "was" && value != "" && t.was == "":
			t.was = value
		case name == "group" && value != "":
			return tag{}, false, fmt.Errorf("the tag %q puts the field into two groups; name one", text)
		default:
			return tag{}, false, fmt.Errorf("the tag %q has the option %q; the options are group=NAME and was=NAME, each once", text, option)
		}
	}
	return t, true, nil
}

// isStrategy reports whether a text is a strategy, whatever field it would be for.
func isStrategy(text string) bool {
	switch s := Strategy(text); s {
	case LWW, Earliest, Priority, nestedStrategy:
		return true
	}
	return strings.HasPrefix(text, customPrefix) || strings.HasPrefix(text, eachPrefix)
}
