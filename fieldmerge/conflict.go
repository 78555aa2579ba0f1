package fieldmerge

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
)

const (
	deleteWins = "delete wins"
	shapeRule  = "newer shape"
	kindRule   = "other kind"
)

// Conflicts implements [fieldwise.ConflictReporter] under the schema's policies.
func (m Merger) Conflicts(dst []fieldwise.Conflict, state, delta []byte) ([]fieldwise.Conflict, error) {
	if m.rules == nil || len(state) == 0 || len(delta) == 0 || bytes.Equal(state, delta) {
		return dst, nil
	}
	rs, err := cutRecord(state)
	if err != nil {
		return nil, err
	}
	rd, err := cutRecord(delta)
	switch {
	case err != nil:
		return nil, err
	case rs.life < rd.life:
		return m.dropped(dst, rs, rd)
	case rs.life > rd.life:
		return m.dropped(dst, rd, rs)
	case !rs.live():
		return dst, nil
	}
	ts, fs, err := rs.fields()
	if err != nil {
		return nil, err
	}
	td, fd, err := rd.fields()
	if err != nil {
		return nil, err
	}
	stored := fs
	for rest := fd; len(rest) > 0; {
		f, after, ok := lattice.CutField(rest)
		if !ok {
			return nil, errFieldEnds
		}
		rest = after
		var own []byte // of both, in the order of their fields
		for len(stored) > 0 {
			o, after, ok := lattice.CutField(stored)
			if !ok {
				return nil, errFieldEnds
			}
			c := cmp.Or(bytes.Compare(o.Name, f.Name), cmp.Compare(o.Kind, f.Kind))
			if c > 0 {
				break
			}
			if stored = after; c == 0 {
				own = o.Body
				break
			}
		}
		if f.Kind == lattice.KindCreated {
			continue
		}
		path := string(f.Name)
		if !m.rules.reads(path, f.Kind) {
			if !m.rules.declares(path) {
				continue // a field of another release
			}
			if dst, err = m.otherKind(dst, f, td, ts, own); err != nil {
				return nil, err
			}
			continue
		}
		if own == nil || !f.Kind.Registers() {
			continue
		}
		if dst, err = lattice.AppendConflicts(dst, path, f.Kind, m.rules.policyOf(path, f.Kind), ts, own, td, f.Body); err != nil {
			return nil, err
		}
	}
	if !m.rules.lists && !nestedFields(fd) && !nestedFields(fs) {
		return dst, nil
	}
	return m.misshapen(dst, rs, state, delta)
}

// otherKind reports the values that a field of another mechanism than the schema's brings:
// readers under this schema do not see them. before is the same field as it was.
func (m Merger) otherKind(dst []fieldwise.Conflict, f lattice.Field, t, before lattice.Table, own []byte) ([]fieldwise.Conflict, error) {
	arrived, err := lattice.Read(nil, f.Kind, t, f.Body)
	if err != nil {
		return nil, err
	}
	known, err := lattice.Read(nil, f.Kind, before, own)
	if err != nil {
		return nil, err
	}
	path := string(f.Name)
	for _, s := range arrived {
		if slices.ContainsFunc(known, func(k fieldwise.Sibling) bool { return k.Version == s.Version }) {
			continue
		}
		s.Value = bytes.Clone(s.Value)
		dst = append(dst, fieldwise.Conflict{
			Kind: fieldwise.ConflictMechanism, Field: path, Loser: s, Policy: kindRule,
			Reason: fmt.Sprintf("written as %v, and the schema here reads %v", f.Kind, m.rules.kind(path)),
		})
	}
	return dst, nil
}

// dropped reports the values that a record of a lower life holds, unset ones included, and
// that the higher life, which drops them, did not know of: hidden ones, too, since those
// may never have been reported if the policy was another one meanwhile. A tombstone that
// follows directly tells what it had seen; otherwise nothing is known to have been seen.
func (m Merger) dropped(dst []fieldwise.Conflict, low, high record) ([]fieldwise.Conflict, error) {
	if !low.live() {
		return dst, nil
	}
	var known map[fieldwise.Origin]fieldwise.Timestamp
	var winner fieldwise.Sibling
	if !high.live() && high.life == low.life+1 {
		var err error
		if known, winner.Version, err = seen(high); err != nil {
			return nil, err
		}
	}
	t, fields, err := low.fields()
	if err != nil {
		return nil, err
	}
	for len(fields) > 0 {
		f, rest, ok := lattice.CutField(fields)
		if !ok {
			return nil, errFieldEnds
		}
		fields = rest
		unseen, err := lattice.Unseen(nil, f.Kind, t, f.Body, known)
		if err != nil {
			return nil, err
		}
		for _, s := range unseen {
			s.Value = bytes.Clone(s.Value)
			dst = append(dst, fieldwise.Conflict{
				Kind: fieldwise.ConflictDelete, Field: string(f.Name), Loser: s, Winner: winner, Policy: deleteWins,
			})
		}
	}
	return dst, nil
}

// seen returns the context of a tombstone, and the version of its newest delete.
func seen(r record) (map[fieldwise.Origin]fieldwise.Timestamp, fieldwise.Version, error) {
	t, context, ok := lattice.Cut(r.rest)
	if !ok {
		return nil, fieldwise.Version{}, fmt.Errorf("%w: origin table", fieldwise.ErrMalformed)
	}
	origins := t.Origins()
	known := make(map[fieldwise.Origin]fieldwise.Timestamp, len(origins))
	var newest fieldwise.Version
	for len(context) > 0 {
		s, rest, ok := lattice.CutSeen(context)
		if !ok || s.Index >= len(origins) {
			return nil, fieldwise.Version{}, fmt.Errorf("%w: tombstone's context", fieldwise.ErrMalformed)
		}
		context = rest
		known[origins[s.Index]] = s.Time
		if v := (fieldwise.Version{Time: s.Time, Origin: origins[s.Index]}); s.Delete && v.Compare(newest) > 0 {
			newest = v
		}
	}
	return known, newest, nil
}

// misshapen reports the values that stand above or below a newer one once state and
// delta are joined, and did not in state already.
func (m Merger) misshapen(dst []fieldwise.Conflict, before record, state, delta []byte) ([]fieldwise.Conflict, error) {
	joined, err := m.Merge(nil, state, delta)
	if err != nil {
		return nil, err
	}
	after, err := cutRecord(joined)
	if err != nil {
		return nil, err
	}
	known, _, err := m.rules.hiddenByShape(before)
	if err != nil {
		return nil, err
	}
	now, gone, err := m.rules.hiddenByShape(after)
	if err != nil {
		return nil, err
	}
	// That a field of an object which is gone was unset with it is what removing the object means.
	dst = slices.DeleteFunc(dst, func(c fieldwise.Conflict) bool { return gone[c.Field] && c.Loser.Value == nil })
	first := len(dst)
	for w, c := range now {
		if _, ok := known[w]; !ok {
			c.Loser.Value = bytes.Clone(c.Loser.Value)
			dst = append(dst, c)
		}
	}
	slices.SortFunc(dst[first:], func(a, b fieldwise.Conflict) int {
		return cmp.Or(strings.Compare(a.Field, b.Field), a.Loser.Version.Compare(b.Loser.Version))
	})
	return dst, nil
}

// fieldWrite is one write of one field.
type fieldWrite struct {
	path    string
	version fieldwise.Version
}

// hiddenByShape lists what the shape of the record hides, by the writes that made it, and the
// paths in objects that are no longer in their list.
func (r *rules) hiddenByShape(rec record) (found map[fieldWrite]fieldwise.Conflict, gone map[string]bool, err error) {
	v, err := r.view(rec)
	if err != nil {
		return nil, nil, err
	}
	root, err := v.tree()
	if err != nil {
		return nil, nil, err
	}
	gone = r.goneObjects(v)
	found = make(map[fieldWrite]fieldwise.Conflict)
	report := func(loser *shown, winner fieldwise.Version) {
		if loser.sibling.Version.IsZero() {
			return // computed by a policy: its siblings were reported when they met
		}
		for _, at := range append([]fieldwise.Version{loser.sibling.Version}, loser.equal...) {
			found[fieldWrite{loser.path, at}] = fieldwise.Conflict{
				Kind: fieldwise.ConflictShape, Field: loser.path, Policy: shapeRule,
				Loser:  fieldwise.Sibling{Version: at, Value: loser.sibling.Value},
				Winner: fieldwise.Sibling{Version: winner},
			}
		}
	}
	root.hidden(report)
	for i := range v.fields {
		if f := &v.fields[i]; f.rival && f.sibling.Value != nil {
			report(f, v.find(f.path).sibling.Version)
		}
	}
	for i := range v.fields { // a map that was unset, and shows what others wrote below it meanwhile
		f := &v.fields[i]
		if f.sibling.Value != nil || f.other || f.rival || gone[f.path] || f.kind == lattice.KindKeyed {
			continue
		}
		n, err := root.find(f.path)
		if err != nil {
			return nil, nil, err
		}
		if n != nil && len(n.children) > 0 {
			report(f, n.by)
		}
	}
	return found, gone, nil
}
