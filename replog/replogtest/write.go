package replogtest

import (
	"fmt"
	"math/big"
	"slices"
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
	past    set                                      // what comes before it in the log: what its region held, and all before that
	knew    set                                      // what it takes the place of knowingly: its past, or what its token showed
	seen    map[fieldwise.Origin]fieldwise.Timestamp // what its token showed; nil: it has none
	line    int                                      // of the story

	changes
	does    map[string]effect   // to fields that are no registers, by path
	counted map[string]*big.Int // in counters, by path
	comes   holding             // what the delta shall come to
}

// changes are what a delta does to a record.
type changes struct {
	effects map[string]string // of registers, by path: the encoded value, or unset
	others  []string          // the paths of fields that are no registers
	bare    bool              // it creates a record without fields
	deletes bool
	life    uint64 // of the record: odd, and higher each time that it is created again
}

// newWrite reads from a delta what it does.
func newWrite(s *step, r *region, at fieldwise.Version, delta []byte) (*write, error) {
	made := &write{step: s, region: r, version: at, delta: delta, past: r.w.closure(r.now.held)}
	made.knew = made.past
	var err error
	if made.changes, err = changesOf(delta); err != nil {
		return nil, err
	}
	if under := r.w.act.under; under != nil {
		made.knew, made.seen = under.knew, under.seen
	}
	if made.does, err = r.w.act.effectsOf(made); err != nil {
		return nil, err
	}
	made.counted = make(map[string]*big.Int)
	for path, f := range made.does {
		made.counted[path] = f.amount
	}
	return made, nil
}

func (w *write) id() int { return w.step.id }

// view is the delta as it arrives elsewhere.
func (w *write) view() view { return view{state: w.delta, held: only(w.id()), shall: w.comes} }

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
		if !f.Kind.Registers() {
			c.others = append(c.others, string(f.Name))
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

// siblingsAt lists the values of a field that are current in a state: one at most where it
// is no register. Under one schema a field is of one kind.
func siblingsAt(state []byte, path string) ([]fieldwise.Sibling, error) {
	table, f, err := fieldAt(state, path)
	if err != nil || f.Body == nil {
		return nil, err
	}
	return lattice.Read(nil, f.Kind, table, f.Body)
}

// fieldAt finds a field of a live record; without a body there is none.
func fieldAt(state []byte, path string) (table lattice.Table, f lattice.Field, err error) {
	table, fields, live, err := cutState(state)
	for err == nil && live && len(fields) > 0 {
		f, rest, ok := lattice.CutField(fields)
		if !ok {
			return nil, lattice.Field{}, fmt.Errorf("%w: field ends early", fieldwise.ErrMalformed)
		}
		if fields = rest; f.Kind != lattice.KindCreated && string(f.Name) == path {
			return table, f, nil
		}
	}
	return table, lattice.Field{}, err
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

// touches reports whether something is set or unset at the path, above or below it.
func (c *changes) touches(path string) bool {
	if _, ok := c.effects[path]; ok || slices.Contains(c.others, path) {
		return true
	}
	for p := range c.effects {
		if below(path, p) || below(p, path) {
			return true
		}
	}
	return false
}

func below(path, parent string) bool { return strings.HasPrefix(path, parent+".") }
