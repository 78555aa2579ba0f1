package fieldwise_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
)

// openSets is mergeSet with records that are kept open, and a fault in that.
type openSets struct{ fault string }

func (openSets) Name() string                           { return "test/open" }
func (openSets) Merge(dst, a, b []byte) ([]byte, error) { return mergeSet(dst, a, b) }

// A set with the element 255 is deleted.
func (openSets) Live(state []byte) bool { return len(state) > 0 && state[len(state)-1] != 255 }

func (m openSets) Delete(dst, state []byte, _ fieldwise.Version) ([]byte, error) {
	if m.Live(state) {
		dst = append(dst, 255)
	}
	return dst, nil
}

// Conflicts reports the largest element of a state that hides a smaller one of the delta.
func (openSets) Conflicts(dst []fieldwise.Conflict, state, delta []byte) ([]fieldwise.Conflict, error) {
	if len(state) > 0 && len(delta) > 0 && delta[0] < state[len(state)-1] && !bytes.Equal(state, delta) {
		dst = append(dst, fieldwise.Conflict{Policy: "open", Loser: fieldwise.Sibling{Value: slices.Clone(delta[:1])}})
	}
	return dst, nil
}

func (m openSets) Open(state []byte, from int) (fieldwise.Opened, error) {
	if m.fault == "Open panics" {
		panic("open")
	}
	if m.fault == "Open fails" {
		return nil, errState
	}
	if m.fault == "Open writes next to its input" {
		_ = append(state, 9)
	}
	if len(state) < from {
		return nil, nil
	}
	o := &openSet{fault: m.fault, elements: slices.Clone(state)}
	if m.fault == "keeps its input" {
		o.elements = state
	}
	return o, nil
}

type openSet struct {
	fault    string
	elements []byte
	cloned   bool
}

func (o *openSet) Merge(delta []byte) error {
	switch {
	case o.fault == "Merge panics":
		panic("merge")
	case o.fault == "Merge fails":
		return errState
	case o.fault == "a second Merge fails" && !o.cloned:
		return errState
	case o.fault == "Merge writes next to its input":
		_ = append(delta, 9)
	case o.fault == "Merge keeps its input":
		if len(o.elements) == 0 || ascending(slices.Concat(o.elements, delta)) == nil {
			o.elements = append(o.elements, delta...)
			return nil
		}
		if bytes.Equal(union(o.elements, delta), delta) {
			o.elements = delta
			return nil
		}
	case o.fault == "Merge loses the smallest" && len(o.elements) > 0:
		o.elements = union(o.elements[1:], delta)
		return nil
	case o.fault == "Merge does nothing to a clone" && o.cloned:
		return nil
	case o.fault == "clones share":
		o.elements = append(o.elements[:0], union(o.elements, delta)...)
		return nil
	}
	o.elements = union(o.elements, delta)
	return nil
}

func (o *openSet) Clone() fieldwise.Opened {
	c := *o
	c.cloned = true
	switch o.fault {
	case "Clone panics":
		panic("clone")
	case "Clone is the same":
		return o
	case "clones share":
		c.elements = o.elements[:len(o.elements):cap(o.elements)]
		return &c
	}
	c.elements = slices.Clone(o.elements)
	return &c
}

func (o *openSet) AppendState(dst []byte) []byte {
	if o.fault == "AppendState ignores dst" {
		dst = nil
	}
	return append(dst, o.elements...)
}

func (o *openSet) Size() int {
	if o.fault == "Size is wrong" {
		return len(o.elements) + 1
	}
	return len(o.elements)
}

func (o *openSet) Live() bool {
	if o.fault == "Live is wrong" {
		return true
	}
	return openSets{}.Live(o.elements)
}

func (o *openSet) Conflicts(dst []fieldwise.Conflict, delta []byte) ([]fieldwise.Conflict, error) {
	if o.fault == "Conflicts fails" {
		return nil, errState
	}
	if o.fault == "Conflicts reports nothing" {
		return dst, nil
	}
	return openSets{}.Conflicts(dst, o.elements, delta)
}

func TestCheckLawsChecksRecordsThatAreKeptOpen(t *testing.T) {
	require.NoError(t, fieldwise.CheckLaws(always(openSets{}), setSamples...))
	for _, f := range []struct{ fault, law string }{
		{"Open panics", "no panic"},
		{"Open fails", "never fails"},
		{"Open writes next to its input", "inputs unchanged"},
		{"keeps its input", "open"},
		{"Merge panics", "no panic"},
		{"Merge fails", "never fails"},
		{"a second Merge fails", "never fails"},
		{"Merge writes next to its input", "inputs unchanged"},
		{"Merge keeps its input", "open"},
		{"Merge loses the smallest", "open"},
		{"Merge does nothing to a clone", "open"},
		{"Clone panics", "no panic"},
		{"Clone is the same", "open"},
		{"clones share", "open"},
		{"AppendState ignores dst", "appends to dst"},
		{"Size is wrong", "open"},
		{"Live is wrong", "open"},
		{"Conflicts fails", "never fails"},
		{"Conflicts reports nothing", "open"},
	} {
		t.Run(f.fault, func(t *testing.T) {
			err := fieldwise.CheckLaws(always(openSets{f.fault}), setSamples...)
			assert.Equal(t, []string{f.law}, brokenLaws(t, err), "%v", err)
		})
	}
}
