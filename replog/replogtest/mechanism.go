package replogtest

import (
	"bytes"
	"math"
	"math/big"
	"slices"

	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// mechanism is what counts, or comes together, in a field that is no register.
type mechanism struct {
	kind  lattice.Kind // a counter, a set, a list or a flag
	grows bool         // it is only written upwards
}

var mechanisms = map[fieldmerge.Strategy]mechanism{
	fieldmerge.PNCounter: {kind: lattice.KindCounter},
	fieldmerge.GCounter:  {kind: lattice.KindCounter, grows: true},
	fieldmerge.ORSet:     {kind: lattice.KindSet},
	fieldmerge.GSet:      {kind: lattice.KindSet, grows: true},
	fieldmerge.EWFlag:    {kind: lattice.KindFlag},
	fieldmerge.List:      {kind: lattice.KindList},
}

// mechanismOf is the mechanism of a strategy; ok is false where it is a register.
func mechanismOf(s fieldmerge.Strategy) (m mechanism, ok bool) {
	if _, keyed := keyOf(s); keyed {
		return mechanism{kind: lattice.KindKeyed}, true
	}
	m, ok = mechanisms[s]
	return m, ok
}

// ordered reports whether it is a list.
func (m mechanism) ordered() bool { return m.kind == lattice.KindList || m.kind == lattice.KindKeyed }

func (w *world) mechanism(path string) (m mechanism, ok bool) {
	return mechanismOf(w.strategies(path)[0])
}

// mechanism is that of a field in the release that the writer runs.
func (a *act) mechanism(path string) mechanism {
	m, _ := a.w.mechanism(path)
	if !a.r.ignores(path) {
		m, _ = mechanismOf(a.r.face().strategy(path))
	}
	return m
}

func (w *world) isMechanism(path string) bool {
	_, ok := w.mechanism(path)
	return ok
}

// partsOf takes an encoded set or list apart; what is no list has no elements.
func partsOf(val []byte) (all [][]byte) {
	n, rest, err := wire.ArrayHeader(val)
	for range n {
		length := 0
		if err == nil {
			length, err = wire.Skip(rest)
		}
		if err != nil {
			return nil
		}
		all, rest = append(all, rest[:length]), rest[length:]
	}
	return all
}

// listOf is the list of encoded elements.
func listOf(parts [][]byte) []byte {
	val := wire.AppendArrayHeader(nil, len(parts))
	for _, p := range parts {
		val = append(val, p...)
	}
	return val
}

// setOf is a set of encoded elements: each once, in the order that readers see.
func setOf(parts [][]byte) []byte {
	slices.SortFunc(parts, lattice.Compare)
	return listOf(slices.CompactFunc(parts, bytes.Equal))
}

// number is what a counter shows; nothing is zero.
func number(val []byte) *big.Int {
	n := new(big.Int)
	if u, _, err := wire.Uint(val); err == nil {
		return n.SetUint64(u)
	}
	i, _, _ := wire.Int(val)
	return n.SetInt64(i)
}

// encodedSum is what a counter shows of a sum: nil for zero, and the end of the integers of
// 64 bits where the sum is beyond it.
func encodedSum(sum *big.Int) []byte {
	switch {
	case sum.Sign() == 0:
		return nil
	case sum.IsUint64():
		return wire.AppendUint(nil, sum.Uint64())
	case sum.IsInt64():
		return wire.AppendInt(nil, sum.Int64())
	case sum.Sign() < 0:
		return wire.AppendInt(nil, math.MinInt64)
	}
	return wire.AppendUint(nil, math.MaxUint64)
}

// normal is a value as readers get it back: nil for a counter of zero, a set or a list
// without elements and a flag that is off.
func (m mechanism) normal(val []byte) []byte {
	parts := partsOf(val)
	switch {
	case m.kind == lattice.KindCounter && number(val).Sign() == 0, m.kind != lattice.KindCounter && !isOn(val) && len(parts) == 0:
		return nil
	case m.kind == lattice.KindSet:
		return setOf(parts)
	}
	return val
}

func isOn(val []byte) bool {
	on, _, err := wire.Bool(val)
	return err == nil && on
}

// elements are what a set, a list or a flag has: the element of a flag is true.
func (m mechanism) elements(val []byte) [][]byte {
	if m.kind == lattice.KindFlag && isOn(val) {
		return [][]byte{val}
	}
	return partsOf(val)
}
