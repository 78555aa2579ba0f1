package fieldmerge

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// maxLife bounds the lives of a record that comes from outside, far above what creates
// and deletes can reach.
const maxLife = 1 << 53

// record is a state taken apart: its life, and the bytes of table and fields behind
// it, or of table and context where the record is deleted.
type record struct {
	life  uint64
	rest  []byte
	large *lattice.Open // nil, or sets and lists of which rest has a part
}

func (r record) live() bool { return live(r.life) }

func live(life uint64) bool { return life%2 == 1 }

// cutRecord takes a state apart. The empty state has life zero: never created.
func cutRecord(state []byte) (record, error) {
	if len(state) == 0 {
		return record{}, nil
	}
	life, rest, err := cutLife(state)
	return record{life: life, rest: rest}, err
}

// cutLife cuts the life off a state that is not empty.
func cutLife(state []byte) (life uint64, rest []byte, err error) {
	if c := state[0]; c > 0 && c < 0x80 {
		return uint64(c), state[1:], nil
	}
	return cutLongLife(state)
}

func cutLongLife(state []byte) (life uint64, rest []byte, err error) {
	life, rest, err = wire.Uint(state)
	if err != nil || life == 0 || life > maxLife {
		return 0, nil, fmt.Errorf("%w: life of a record", fieldwise.ErrMalformed)
	}
	return life, rest, nil
}

// fields returns the origin table and the fields of a live record.
func (r record) fields() (t lattice.Table, fields []byte, err error) {
	if len(r.rest) == 0 {
		return nil, nil, nil
	}
	t, fields, ok := lattice.Cut(r.rest)
	if !ok {
		return nil, nil, fmt.Errorf("%w: origin table", fieldwise.ErrMalformed)
	}
	return t, fields, nil
}

// Merger joins records of fields; see the package comment for the rules and
// [Schema.Merger] for how to get one. The zero value has no policies: it joins all the
// same and reports no conflicts. It is safe for concurrent use.
type Merger struct {
	rules *rules
}

var (
	_ fieldwise.Merger           = Merger{}
	_ fieldwise.Deleter          = Merger{}
	_ fieldwise.ConflictReporter = Merger{}
	_ fieldwise.Opener           = Merger{}
)

// Name is "fields/1".
func (Merger) Name() string { return "fields/1" }

// Merge implements [fieldwise.Merger]: the higher life wins whole; equal lives join
// field by field.
func (Merger) Merge(dst, a, b []byte) ([]byte, error) {
	switch {
	case len(a) == 0 && len(b) == 0:
		return dst, nil
	case len(a) == 0:
		return appendChecked(dst, b)
	case len(b) == 0:
		return appendChecked(dst, a)
	case bytes.Equal(a, b):
		return append(dst, a...), nil
	}
	lifeA, restA, err := cutLife(a)
	if err != nil {
		return nil, err
	}
	lifeB, restB, err := cutLife(b)
	if err != nil {
		return nil, err
	}
	switch {
	case lifeA > lifeB:
		return append(dst, a...), nil
	case lifeA < lifeB:
		return append(dst, b...), nil
	}
	dst = append(slices.Grow(dst, len(a)+len(b)), a[:len(a)-len(restA)]...)
	if live(lifeA) {
		return lattice.JoinFields(dst, restA, restB)
	}
	return lattice.JoinSeen(dst, restA, restB)
}

// appendChecked appends a state, which is not empty, after checking all of it.
func appendChecked(dst, state []byte) ([]byte, error) {
	life, rest, err := cutLife(state)
	if err != nil {
		return nil, err
	}
	if live(life) {
		err = lattice.CheckPaths(rest, checkName)
	} else {
		err = lattice.CheckSeen(rest)
	}
	if err != nil {
		return nil, err
	}
	return append(dst, state...), nil
}

// checkName refuses a field's name that is not a path.
func checkName(name []byte) error {
	_, err := SplitPath(string(name))
	return err
}

// Live implements [fieldwise.Deleter].
func (Merger) Live(state []byte) bool {
	r, err := cutRecord(state)
	return err == nil && r.live()
}

// Delete implements [fieldwise.Deleter]: the delta is a tombstone that keeps, without
// values, what the delete had seen.
func (Merger) Delete(dst, state []byte, at fieldwise.Version) ([]byte, error) {
	r, err := cutRecord(state)
	if err != nil || !r.live() {
		return dst, err
	}
	t, fields, err := r.fields()
	if err != nil {
		return nil, err
	}
	return appendDelete(dst, r, t, fields, at, nil)
}

// appendDelete appends the delta that deletes a live record; under a token it has seen
// what the token has.
func appendDelete(dst []byte, r record, t lattice.Table, fields []byte, at fieldwise.Version, token *Token) ([]byte, error) {
	d, err := lattice.NewDelta(t, at)
	if err != nil {
		return nil, err
	}
	if token != nil {
		d.Knowing(token.seen)
	}
	return d.AppendSeen(wire.AppendUint(dst, r.life+1), fields)
}
