package main

import (
	"encoding/json"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/fieldwise/fieldwise/fieldmerge"
)

// parsePatch reads a JSON merge patch (RFC 7396) of a profile: what it names is set, null
// removes, and in objects that merge field by field the same goes for what is in them.
//
//	{"phone":"222", "address":{"city":"Mumbai"}, "nick":null}
func parsePatch(body io.Reader) (fieldmerge.Patch, error) {
	p := fieldmerge.Patch{Set: make(map[string]any)}
	var members map[string]json.RawMessage
	if err := decode(body, &members); err != nil {
		return p, err
	}
	if members == nil {
		return p, badRequest("the body: null is no patch; send an object of the fields to change")
	}
	return p, profileField.patch(&p, nil, members)
}

// field is one field of a profile as the patch sees it: its Go type, and whether it merges
// as one value or field by field.
type field struct {
	typ      reflect.Type
	strategy string
}

var profileField = field{reflect.TypeFor[Profile](), "nested"}

// below returns the field of a nested struct, or the entry of a map, under a name.
func (f field) below(name string) (field, bool) {
	if entry, ok := strings.CutPrefix(f.strategy, "each="); ok {
		return field{f.typ.Elem(), entry}, true
	}
	if f.strategy != "nested" {
		return field{}, false
	}
	for i := range f.typ.NumField() {
		tag := strings.Split(f.typ.Field(i).Tag.Get("merge"), ",")
		if tag[0] == name && len(tag) > 1 {
			return field{f.typ.Field(i).Type, tag[1]}, true
		}
	}
	return field{}, false
}

func (f field) isOneValue() bool {
	return f.strategy != "nested" && !strings.HasPrefix(f.strategy, "each=")
}

// fieldAt follows a path from a profile.
func fieldAt(path string) (field, error) {
	segments, err := fieldmerge.SplitPath(path)
	if err != nil {
		return field{}, err
	}
	f := profileField
	for i, name := range segments {
		below, ok := f.below(name)
		if !ok {
			return field{}, badRequest("there is no field %q", fieldmerge.JoinPath(segments[:i+1]...))
		}
		f = below
	}
	return f, nil
}

// decode reads a value of the field.
func (f field) decode(path string, raw json.RawMessage) (any, error) {
	v := reflect.New(f.typ)
	if err := json.Unmarshal(raw, v.Interface()); err != nil {
		return nil, badRequest("field %q: %w", path, err)
	}
	return v.Elem().Interface(), nil
}

// patch adds to p what the members of the object at a path change.
func (f field) patch(p *fieldmerge.Patch, above []string, members map[string]json.RawMessage) error {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		segments, raw := append(slices.Clip(above), name), members[name]
		path := fieldmerge.JoinPath(segments...)
		member, ok := f.below(name)
		if !ok {
			return badRequest("there is no field %q", path)
		}
		var err error
		switch {
		case string(raw) == "null":
			p.Unset = append(p.Unset, path)
		case member.isOneValue():
			p.Set[path], err = member.decode(path, raw)
		default:
			var inner map[string]json.RawMessage
			if err := json.Unmarshal(raw, &inner); err != nil {
				return badRequest("field %q: %w", path, err)
			}
			err = member.patch(p, segments, inner)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
