package lattice

import (
	"bytes"
	"fmt"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// Policy says what readers see of several siblings; crdt.Policy, whose comments say
// more, is this.
type Policy interface {
	Name() string
	Resolve(siblings []fieldwise.Sibling) (fieldwise.Sibling, error)
}

// Reasoner is the optional power of a Policy to say why it shows winner and not loser.
type Reasoner interface {
	Reason(winner, loser fieldwise.Sibling) string
}

// Show returns what readers see of the siblings, of which there is at least one, oldest
// first: one of them, or a computed value without a version. Equal values are one and
// need no policy. Where the policy fails, or gives
// something that cannot be a value, the newest sibling is shown and the error says why.
func Show(p Policy, siblings []fieldwise.Sibling) (fieldwise.Sibling, error) {
	newest := siblings[len(siblings)-1]
	if Agree(siblings) {
		return newest, nil
	}
	shown, err := resolve(p, siblings)
	if err != nil {
		return newest, err
	}
	for i := len(siblings) - 1; i >= 0; i-- {
		if SameValue(siblings[i], shown) && (shown.Version.IsZero() || shown.Version == siblings[i].Version) {
			return siblings[i], nil
		}
	}
	if shown.Value != nil {
		if err := wire.Check(shown.Value, MaxDepth); err != nil {
			return newest, fmt.Errorf("policy %s: the value that it computed is not canonical: %w", p.Name(), err)
		}
	}
	return fieldwise.Sibling{Value: shown.Value}, nil
}

func resolve(p Policy, siblings []fieldwise.Sibling) (shown fieldwise.Sibling, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("policy %s panicked: %v", p.Name(), r)
		}
	}()
	return p.Resolve(siblings)
}

// Agree reports whether all siblings have one value.
func Agree(siblings []fieldwise.Sibling) bool {
	for i := 1; i < len(siblings); i++ {
		if !SameValue(siblings[i-1], siblings[i]) {
			return false
		}
	}
	return true
}

// SameValue reports whether two siblings have the same value, or are both without one.
func SameValue(a, b fieldwise.Sibling) bool {
	return (a.Value == nil) == (b.Value == nil) && bytes.Equal(a.Value, b.Value)
}

// Reason says why the policy shows winner and not loser, as far as it tells.
func Reason(p Policy, winner, loser fieldwise.Sibling) string {
	if r, ok := p.(Reasoner); ok {
		return r.Reason(winner, loser)
	}
	return ""
}

// Extreme is the policy of KindMax and KindMin: it shows the largest or the smallest value.
// What was unset shows where there is no value at all.
type Extreme Kind

// Name is "max" or "min".
func (e Extreme) Name() string { return Kind(e).String() }

// Resolve implements Policy.
func (e Extreme) Resolve(siblings []fieldwise.Sibling) (fieldwise.Sibling, error) {
	best := siblings[len(siblings)-1]
	for _, s := range siblings {
		if s.Value != nil && (best.Value == nil || e.Beyond(s.Value, best.Value)) {
			best = s
		}
	}
	return best, nil
}

// Beyond reports whether a write of the value a may follow one of b.
func (e Extreme) Beyond(a, b []byte) bool {
	if Kind(e) == KindMin {
		return Compare(a, b) < 0
	}
	return Compare(a, b) > 0
}

// Reason implements Reasoner.
func (e Extreme) Reason(_, loser fieldwise.Sibling) string {
	if loser.Value == nil {
		return "a value goes before its absence"
	}
	return "it is the " + e.Name()
}
