package replogtest

import (
	"bytes"
	"math/rand/v2"
)

// merge joins two states, which must not fail, and gives the same in all releases.
func (w *world) merge(a, b []byte) []byte {
	joined, err := w.mergers[0].Merge(nil, a, b)
	if err != nil {
		w.fail(oracleLaws, "Merge never fails on valid states: %x + %x gives %v", a, b, err)
	}
	for _, m := range w.mergers[1:] {
		if other, err := m.Merge(nil, a, b); err != nil || !bytes.Equal(joined, other) {
			w.fail(oracleLaws, "the releases merge two states to different ones\na    %x\nb    %x\nold  %x\nnew  %x, %v", a, b, joined, other, err)
		}
	}
	return joined
}

// checkPair checks the laws of two states that met.
func (w *world) checkPair(a, b, joined []byte) {
	if other := w.merge(b, a); !bytes.Equal(joined, other) {
		w.fail(oracleLaws, "a + b is not b + a\na    %x\nb    %x\na+b  %x\nb+a  %x", a, b, joined, other)
	}
	for _, x := range [][]byte{a, b, joined} {
		if again := w.merge(joined, x); !bytes.Equal(joined, again) {
			w.fail(oracleLaws, "what was merged already changes a state\nstate   %x\nmerged  %x\ngives   %x", joined, x, again)
		}
	}
}

// checkTriple checks the law of three on two states that met and one that was met before.
func (w *world) checkTriple(a, b, joined []byte) {
	if len(w.met) == 0 {
		return
	}
	c := w.met[mix(w.step.seed+uint64(len(w.met)))%uint64(len(w.met))]
	left, right := w.merge(joined, c), w.merge(a, w.merge(b, c))
	if !bytes.Equal(left, right) {
		w.fail(oracleLaws, "(a + b) + c is not a + (b + c)\na        %x\nb        %x\nc        %x\n(a+b)+c  %x\na+(b+c)  %x", a, b, c, left, right)
	}
}

// anyOrder demands that all writes, merged in another order, give the final state.
func (w *world) anyOrder() {
	r := rand.New(rand.NewPCG(w.history.seed, 3))
	var all []byte
	for _, i := range r.Perm(len(w.kept)) {
		all = w.merge(w.kept[i].delta, all)
	}
	if final := w.regions[0].now.state; !bytes.Equal(all, final) {
		w.fail(oracleLaws, "all writes merged in another order are not what the regions hold\nmerged   %x\nregions  %x", all, final)
	}
}
