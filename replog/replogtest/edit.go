package replogtest

import (
	"bytes"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// leaf is what a record has in a field that is no register.
type leaf struct {
	val     []byte           // encoded; nil: nothing is there
	intents []lattice.Intent // what was done to a CRDT value
}

// edit is what a write was asked to do to a field that is no register: what the intents
// say or, where there are none, what makes of one value another.
type edit struct {
	mechanism
	from, to []byte // encoded; nil: nothing is there
	intents  []lattice.Intent
	current  bool // from is what the region shows
	hidden   bool // the shape hides what is there, and what is made there begins with nothing
}

// tokenInline is how long a value is at most of which a token knows more than that it
// changed.
const tokenInline = 32

// edits are what the write that goes on was asked to do, by path. What asks for no change
// is not in it.
func (a *act) edits() map[string]edit {
	all := make(map[string]edit)
	for path, to := range a.wanted() {
		m := a.mechanism(path)
		now := orNothing(a.now(path))
		e := edit{mechanism: m, from: now, to: to.val, intents: to.intents}
		saw, other := a.saw(path, to)
		if other {
			e.from = saw
		}
		if !a.byMethods() {
			e.intents = nil
		}
		kept := a.base != nil && other && bytes.Equal(saw, to.val) // what the writer saw elsewhere, and left alone
		if _, visible := a.was[path]; now != nil && !visible && to.val != nil && !kept {
			e.hidden, e.from = true, now
		}
		if e.hidden && m.kind == lattice.KindCounter {
			e.from = nil
		} else if len(e.intents) == 0 && bytes.Equal(e.from, e.to) && (e.from == nil) == (e.to == nil) {
			continue
		}
		e.current = bytes.Equal(m.normal(now), m.normal(e.from))
		all[path] = e
	}
	return all
}

// byMethods reports whether the writer changes CRDT values rather than gives values.
func (a *act) byMethods() bool {
	return a.doing == "creates" || a.doing == "upserts" || a.doing == "updates"
}

// wanted is what the fields that the write is about are to have.
func (a *act) wanted() map[string]leaf {
	all := make(map[string]leaf)
	seen := a.base
	if seen == nil && a.live {
		seen = a.shown
	}
	gone := func(at string) {
		if seen == nil {
			return
		}
		for path := range a.r.face().leaves("", seen) {
			if at == "" || path == at || below(path, at) {
				all[path] = leaf{}
			}
		}
	}
	for _, at := range a.unsets {
		gone(at)
		if _, ok := a.w.mechanism(at); ok { // though the shape may hide it
			all[at] = leaf{}
		}
	}
	for at, v := range a.asks {
		named := a.r.face().leaves(at, v)
		if a.doing == "settles" { // which leaves alone what it does not name
			maps.DeleteFunc(named, func(path string, l leaf) bool { return path != at && a.isLeftOut(path, l) })
		} else {
			gone(at)
		}
		maps.Copy(all, named)
	}
	return all
}

// isLeftOut reports whether a struct does not name a field by its value: the zero value, as a
// new record leaves it out.
func (a *act) isLeftOut(path string, l leaf) bool {
	f, typed := a.r.face().(interface{ under(path string) string })
	segments, m := segmentsOf(path), a.mechanism(path)
	if typed && m.kind == lattice.KindKeyed && l.val == nil {
		return true // an entry that is a nil list is as good as none
	}
	if !typed || strings.HasPrefix(f.under(fieldmerge.JoinPath(segments[:len(segments)-1]...)), "each=") {
		return false // an entry is there because somebody put it there
	}
	switch {
	case len(l.intents) > 0 || m.ordered() || m.kind == lattice.KindSet:
		return len(l.intents) == 0 && l.val == nil
	default:
		return m.normal(l.val) == nil
	}
}

// saw is what the writer compares with, if that is another record than the one that is
// shown. A number that is given under a token counts on from what the token showed.
func (a *act) saw(path string, to leaf) (val []byte, ok bool) {
	if a.given && a.under != nil && to.val != nil && a.mechanism(path).kind == lattice.KindCounter {
		return a.r.face().leaves("", a.under.value)[path].val, true
	}
	if a.base == nil {
		return nil, false
	}
	val = a.r.face().leaves("", a.base)[path].val
	if a.under != nil && (len(val) > tokenInline || wire.KindOf(val) == wire.KindBin) {
		return nil, false
	}
	return val, true
}

// now is what the region shows of a field before the write.
func (a *act) now(path string) []byte {
	if !a.live {
		return nil
	}
	if all := a.siblings(a.before.state, path); len(all) > 0 {
		m, _ := a.w.mechanism(path)
		return withoutRemoved(m, path, all[0].Value, a.was)
	}
	return nil
}

// orNothing is a value, and nil for that of msgpack.
func orNothing(val []byte) []byte {
	if wire.KindOf(val) == wire.KindNil {
		return nil
	}
	return val
}

// goesBack reports whether an edit takes something away of what it goes on from.
func (e *edit) goesBack() bool {
	if len(e.intents) > 0 || e.to == nil || e.hidden {
		return false // there is a method for it, all of it goes, or nothing was to be seen
	}
	if e.kind == lattice.KindCounter {
		return number(e.to).Cmp(number(e.from)) < 0
	}
	return len(without(e.elements(e.from), e.elements(e.to))) > 0
}

// without lists the elements of one set that another has not.
func without(all, others [][]byte) [][]byte {
	return slices.DeleteFunc(slices.Clone(all), func(v []byte) bool { return has(others, v) })
}

func has(all [][]byte, v []byte) bool {
	return slices.ContainsFunc(all, func(other []byte) bool { return bytes.Equal(v, other) })
}

// effect is what a write does to a field that is no register.
type effect struct {
	mechanism
	amount *big.Int // that it counts
	resets bool     // it takes back what was counted before
	added  []dot
	gone   []dot // taken back
	order  []dot // of a list: what the writer put in this order
}

// after is what a field comes to that was now.
func (f *effect) after(now dots) dots {
	all := maps.Clone(now)
	if all == nil {
		all = make(dots)
	}
	for _, d := range f.added {
		all[d] = true
	}
	for _, d := range f.gone {
		all[d] = false
	}
	return all
}

// empty reports whether there is nothing to write.
func (e *effect) empty() bool {
	return len(e.added) == 0 && len(e.gone) == 0 && !e.resets
}

// counts is the effect of an edit of a counter.
func (e *edit) counts(made *write, now dots) effect {
	f := effect{mechanism: e.mechanism, amount: new(big.Int), resets: e.hidden}
	switch {
	case len(e.intents) == 0 && e.to == nil && len(now) == 0:
		return f // nobody has counted
	case len(e.intents) == 0 && e.to == nil:
		f.resets = true
	case len(e.intents) == 0:
		f.amount.Sub(number(e.to), number(e.from))
	}
	for _, in := range e.intents {
		n := new(big.Int).SetUint64(in.Amount)
		switch in.Op {
		case lattice.OpInc:
			f.amount.Add(f.amount, n)
		case lattice.OpDec:
			f.amount.Sub(f.amount, n)
		case lattice.OpReset:
			f.resets, f.amount = true, new(big.Int)
		}
	}
	if len(e.intents) == 0 && !f.resets && f.amount.Sign() == 0 {
		return f
	}
	f.added = []dot{{write: made.id()}}
	if !f.resets {
		return f
	}
	for d, stays := range now {
		if stays && made.takesBack(now, d) {
			f.gone = append(f.gone, d)
		}
	}
	return f
}

// takesBack reports whether a reset takes back what d counted. What an origin counts goes
// as a whole: what it has counted since the writer saw it keeps the rest, too.
func (x *write) takesBack(now dots, d dot) bool {
	by := x.region.w.writes[d.write].version.Origin
	if by == x.version.Origin {
		return true
	}
	for other := range now {
		if y := x.region.w.writes[other.write]; y.version.Origin == by && !x.knows(y) {
			return false
		}
	}
	return true
}

// comes is the effect of an edit of a set or a flag.
func (e *edit) comes(made *write, now dots) effect {
	f := effect{mechanism: e.mechanism}
	added := make(map[string]bool)
	removed := func(value string) bool { return !added[value] } // of what was there
	switch from, to := e.elements(e.from), e.elements(e.to); {
	case len(e.intents) > 0:
		cleared := e.hidden
		taken := make(map[string]bool)
		for _, in := range e.intents {
			switch v := string(in.Element); in.Op {
			case lattice.OpAdd:
				added[v], taken[v] = true, false
			case lattice.OpRemove:
				added[v], taken[v] = false, true
			case lattice.OpClear:
				cleared = true
				clear(added)
			}
		}
		removed = func(value string) bool { return cleared || taken[value] }
	case e.to != nil:
		for _, v := range without(to, from) {
			added[string(v)] = true
		}
		removed = func(value string) bool { return has(from, []byte(value)) && !has(to, []byte(value)) }
	}
	for d, stays := range now {
		if stays && (added[d.value] || removed(d.value)) && made.knows(made.region.w.writes[d.write]) {
			f.gone = append(f.gone, d)
		}
	}
	for v, is := range added {
		if is {
			f.added = append(f.added, dot{write: made.id(), value: v})
		}
	}
	return f
}

// listed is the effect of a write on a list, from the bytes of its delta: which of several
// equal elements goes, and which gets another place, is for the writer to choose.
func (w *world) listed(made *write, path string, now dots) (f effect, err error) {
	f.mechanism, _ = w.mechanism(path)
	elements, err := elementsAt(made.delta, path)
	if err != nil {
		return f, err
	}
	for _, e := range elements {
		if e.Version == made.version {
			f.added = append(f.added, dot{made.id(), string(e.Value), e.Occurrence})
		}
	}
	again := func(d dot) bool {
		return slices.ContainsFunc(f.added, func(n dot) bool { return n.value == d.value && n.occurrence == d.occurrence })
	}
	for _, d := range slices.SortedFunc(maps.Keys(now), dot.compare) {
		x := w.writes[d.write]
		switch {
		case !now[d]:
		case again(d):
			if made.knows(x) {
				f.gone = append(f.gone, d)
			}
		default:
			stays, err := staysListed(made, x, path, d)
			if err != nil {
				return f, err
			}
			if !stays {
				f.gone = append(f.gone, d)
			}
		}
	}
	return f, nil
}

// staysListed reports whether a delta, merged into that of x, leaves an element that x put
// into a list.
func staysListed(made, x *write, path string, d dot) (bool, error) {
	joined, err := fieldmerge.Merger{}.Merge(nil, x.delta, made.delta)
	if err != nil {
		return false, err
	}
	elements, err := elementsAt(joined, path)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(elements, func(e lattice.Element) bool {
		return string(e.Value) == d.value && e.Occurrence == d.occurrence && e.Version == x.version
	}), nil
}

// elementsAt lists the elements that a state has in a list.
func elementsAt(state []byte, path string) ([]lattice.Element, error) {
	table, f, err := fieldAt(state, path)
	if err != nil {
		return nil, err
	}
	return lattice.ListElements(table, f.Body)
}

// effectsOf are what the write that is made does to fields that are no registers. What its
// delta has of fields that nobody asked about can only be what goes with a map or gives
// way to one.
func (a *act) effectsOf(made *write) (map[string]effect, error) {
	all, w := make(map[string]effect), a.w
	if made.deletes {
		return all, nil
	}
	edits := a.edits()
	for _, path := range made.others {
		if _, ok := edits[path]; ok {
			continue
		}
		if !a.related(made, path) {
			w.fail(oracleErrors, "%s %s the record, and changes %s, which nobody asked for", a.r, a.doing, fieldText(path))
		}
		m, _ := w.mechanism(path)
		edits[path] = edit{mechanism: m, from: orNothing(a.now(path))}
	}
	for path, e := range edits {
		var now dots
		if a.r.now.shall.life == made.life {
			now = a.r.now.shall.fields[path]
		}
		f, err := a.effect(made, path, e, now)
		if err != nil {
			return nil, err
		}
		if !f.empty() {
			all[path] = f
		}
	}
	return all, nil
}

// effect is what an edit of a field that holds now makes of it.
func (a *act) effect(made *write, path string, e edit, now dots) (f effect, err error) {
	switch {
	case e.kind == lattice.KindCounter:
		f = e.counts(made, now)
	case e.ordered():
		if f, err = a.w.listed(made, path, now); e.current && made.seen == nil {
			f.order = inOrder(e.to, f.after(now))
		}
	default:
		f = e.comes(made, now)
	}
	slices.SortFunc(f.added, dot.compare)
	slices.SortFunc(f.gone, dot.compare)
	return f, err
}

// related reports whether a write is about something above or below a path: a value that
// it sets above it may be there already. What is hidden below a path that is set, unset or settled
// goes.
func (a *act) related(made *write, path string) bool {
	for _, at := range append(slices.Collect(maps.Keys(a.asks)), a.unsets...) {
		if at != "" && below(path, at) {
			return true
		}
	}
	if a.settles != "" && below(path, a.settles) {
		return true
	}
	for p := range made.effects {
		if below(path, p) || below(p, path) {
			return true
		}
	}
	segments, _ := fieldmerge.SplitPath(path)
	for n := 1; n < len(segments); n++ {
		if val := a.asked(fieldmerge.JoinPath(segments[:n]...)); val != nil && wire.KindOf(val) != wire.KindMap {
			return true
		}
	}
	return false
}

// knows reports whether a write takes the place of what another one did knowingly.
func (x *write) knows(other *write) bool {
	if x.seen == nil {
		return true // its region held it
	}
	return other.version.Time <= x.seen[other.version.Origin]
}

// shall is what the delta of a write shall come to.
func (x *write) shall(now holding) holding {
	made := holding{life: x.life, fields: make(map[string]dots)}
	for path, f := range x.does {
		all := make(dots)
		if now.life == x.life {
			for d, stays := range now.fields[path] {
				if f.tells(x, now.fields[path], d) {
					all[d] = stays
				}
			}
		}
		made.fields[path] = f.after(all)
	}
	return made
}

// tells reports whether a delta says what became of d, which its write did not touch: an
// origin tells all that it ever counted, and a reset what was ever taken back.
func (f *effect) tells(x *write, now dots, d dot) bool {
	return f.kind == lattice.KindCounter &&
		(x.region.w.writes[d.write].version.Origin == x.version.Origin || f.resets && x.takesBack(now, d))
}

// seenIn is what a token says that its reader was shown, by the bytes of the state.
func seenIn(state []byte) (map[fieldwise.Origin]fieldwise.Timestamp, error) {
	table, fields, _, err := cutState(state)
	if err != nil {
		return nil, err
	}
	return lattice.Context(table, fields)
}
