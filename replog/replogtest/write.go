package replogtest

import (
	"fmt"
	"strings"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// unset stands for "no value" among effects: no value is encoded like that. marker says
// that there is a map.
const (
	unset  = ""
	marker = "\x80"
)

// write is an acknowledged write of a record, and what it knew of.
type write struct {
	step    *step
	region  *region
	version fieldwise.Version
	doing   string // "creates"
	delta   []byte
	past    set // what comes before it in the log: what its region held, and all before that
	knew    set // what it takes the place of knowingly: its past, or what its token showed
	line    int // of the story

	changes
}

// changes are what a delta does to a record.
type changes struct {
	effects map[string]string // by path: the encoded value, or unset
	bare    bool              // it creates a record without fields
	deletes bool
	life    uint64 // of the record: odd, and higher each time that it is created again
}

// newWrite reads from a delta what it does.
func newWrite(s *step, r *region, at fieldwise.Version, delta []byte) (*write, error) {
	made := &write{step: s, region: r, version: at, delta: delta, past: r.w.closure(r.now.held)}
	made.knew = made.past
	var err error
	made.changes, err = changesOf(delta)
	return made, err
}

func (w *write) id() int { return w.step.id }

// changesOf takes a delta apart. What is expected of a write comes from the bytes, so
// that it does not come from the code that reads records.
func changesOf(delta []byte) (changes, error) {
	table, fields, live, err := cutState(delta)
	c := changes{effects: make(map[string]string), deletes: !live, life: lifeOf(delta)}
	for err == nil && live && len(fields) > 0 {
		f, rest, ok := lattice.CutField(fields)
		if !ok {
			return c, fmt.Errorf("%w: field ends early", fieldwise.ErrMalformed)
		}
		fields = rest
		if f.Kind == lattice.KindCreated {
			c.bare = true
			continue
		}
		var siblings []fieldwise.Sibling
		siblings, err = lattice.Siblings(nil, table, f.Body)
		for _, s := range siblings {
			c.effects[string(f.Name)] = string(s.Value)
		}
	}
	return c, err
}

// pathsOf lists the fields of a record.
func pathsOf(state []byte) (paths []string, live bool, err error) {
	_, fields, live, err := cutState(state)
	for err == nil && live && len(fields) > 0 {
		f, rest, ok := lattice.CutField(fields)
		if !ok {
			return nil, false, fmt.Errorf("%w: field ends early", fieldwise.ErrMalformed)
		}
		if fields = rest; f.Kind != lattice.KindCreated {
			paths = append(paths, string(f.Name))
		}
	}
	return paths, live, err
}

// siblingsAt lists the values of a field that are current in a state. Under one schema a
// field is of one kind.
func siblingsAt(state []byte, path string) ([]fieldwise.Sibling, error) {
	table, fields, live, err := cutState(state)
	for err == nil && live && len(fields) > 0 {
		f, rest, ok := lattice.CutField(fields)
		if !ok {
			return nil, fmt.Errorf("%w: field ends early", fieldwise.ErrMalformed)
		}
		if fields = rest; f.Kind != lattice.KindCreated && string(f.Name) == path {
			return lattice.Siblings(nil, table, f.Body)
		}
	}
	return nil, err
}

// lifeOf is zero where the record was never created.
func lifeOf(state []byte) uint64 {
	life, _, _ := wire.Uint(state)
	return life
}

func cutState(state []byte) (table lattice.Table, fields []byte, live bool, err error) {
	if len(state) == 0 {
		return nil, nil, false, nil
	}
	life, rest, err := wire.Uint(state)
	if err != nil {
		return nil, nil, false, err
	}
	table, fields, ok := lattice.Cut(rest)
	if !ok {
		return nil, nil, false, fmt.Errorf("%w: origin table", fieldwise.ErrMalformed)
	}
	return table, fields, life%2 == 1, nil
}

// touches reports whether w set or unset something at the path, above or below it.
func (w *write) touches(path string) bool {
	if _, ok := w.effects[path]; ok {
		return true
	}
	for p := range w.effects {
		if below(path, p) || below(p, path) {
			return true
		}
	}
	return false
}

func below(path, parent string) bool { return strings.HasPrefix(path, parent+".") }
