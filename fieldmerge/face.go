package fieldmerge

import (
	"fmt"
	"reflect"

	"github.com/fieldwise/fieldwise/internal/value"
)

// structFace is the face of records that are Go structs.
type structFace struct {
	plan  *plan
	rules *rules
}

// decode is the value of a field as its Go type has it or, where it does not fit or is not
// in the schema, as a document has it.
func (f structFace) decode(path string, val []byte) any {
	if l := f.plan.leafAt(path); l != nil && !l.held {
		v := reflect.New(l.typ).Elem()
		if err := l.codec.Decode(val, v); err == nil {
			return v.Interface()
		}
	}
	return documentFace{}.decode(path, val)
}

func (f structFace) standing(path string) standing { return f.plan.standing(path) }

func (f structFace) misfits(rec record) ([]*FieldError, error) {
	rd, err := f.plan.read(f.rules, rec)
	if err != nil {
		return nil, err
	}
	f.plan.root.fill(rd, "", reflect.New(f.plan.typ).Elem())
	return rd.errs, nil
}

func (f structFace) set(rec record, path string, v any) (changes, string, error) {
	c := make(changes)
	isMember, err := c.set(f.plan, path, v)
	if err != nil || !isMember {
		return c, path, err
	}
	rd, err := f.plan.read(f.rules, rec)
	if err != nil {
		return nil, "", err
	}
	register := f.plan.standing(path).now
	if err := c.setMembers(f.plan, rd, Patch{Set: map[string]any{path: v}}, []string{path}); err != nil {
		return nil, "", err
	}
	if len(c) == 0 { // it holds that value already: the group is settled on what it shows
		c[register], err = KeepShown().find(f.rules, rec, register)
	}
	return c, register, err
}

// documentFace is the face of JSON-shaped records.
type documentFace struct{ rules *rules }

func (documentFace) decode(_ string, val []byte) any {
	v, err := value.Any(val)
	if err != nil {
		return fmt.Sprintf("(%d bytes: %v)", len(val), err)
	}
	return v
}

func (documentFace) standing(path string) standing {
	return standing{state: FieldShown, pattern: path}
}

func (documentFace) misfits(record) ([]*FieldError, error) { return nil, nil }

func (f documentFace) set(_ record, path string, v any) (changes, string, error) {
	if err := checkPath(path); err != nil {
		return nil, "", err
	}
	l, err := f.rules.flattenAt(path, v)
	return changes(l), path, err
}
