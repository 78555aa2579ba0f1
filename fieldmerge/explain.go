package fieldmerge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
)

// Explanation says how a record came to look as it does: what a reader sees of each
// field, who wrote it, and what it beat. It is for people ([Explanation.String]) and for
// tools (encoding/json).
type Explanation struct {
	Domain  string             `json:"domain"`
	Key     string             `json:"key"`
	Life    uint64             `json:"life"` // odd: it is live; even: it is deleted
	Deleted *Cause             `json:"deleted,omitempty"`
	Fields  []FieldExplanation `json:"fields"` // by path; none of a deleted record
}

// Cause is a write: its version, and the note that it carried where the store knows it.
type Cause struct {
	Version fieldwise.Version
	Note    string
}

// FieldExplanation explains one field. Values have the field's Go type or, where they do
// not fit or are not in the schema, the form that a JSON-shaped record has.
type FieldExplanation struct {
	Path    string     `json:"path"`
	GoField string     `json:"goField,omitempty"` // "Profile.Phone"; empty in JSON-shaped records
	State   FieldState `json:"state"`
	Value   any        `json:"value"`
	By      *Cause     `json:"by,omitempty"` // nil: the policy computed the value
	Policy  string     `json:"policy"`
	Beat    []Beaten   `json:"beat,omitempty"`    // what else is current, oldest first
	Problem string     `json:"problem,omitempty"` // why the policy failed, or why the value does not fit
}

// FieldState says what a reader sees of a field.
type FieldState string

// The states of a field.
const (
	FieldShown   FieldState = "shown"
	FieldUnset   FieldState = "unset"
	FieldHidden  FieldState = "hidden"            // a newer value stands above or below it
	FieldUnknown FieldState = "not in the schema" // of another release: kept, not shown
	FieldFormer  FieldState = "former"            // under a name, or by itself, as it was stored before
	FieldOther   FieldState = "of another kind"   // written under another mechanism: max or min, or neither
)

// Beaten is a value that a reader does not see although it is current.
type Beaten struct {
	Value  any    `json:"value"`
	Absent bool   `json:"absent,omitempty"` // the write unset the field
	By     Cause  `json:"by"`
	Reason string `json:"reason,omitempty"` // why it lost
}

// Explain explains a record, live or deleted. A key that was never written is ErrNotFound.
func (d *records) Explain(ctx context.Context, key string) (*Explanation, error) {
	e := &Explanation{Domain: d.name, Key: key, Fields: []FieldExplanation{}}
	err := d.store.Read(ctx, key, func(state []byte) error {
		rec, err := cutRecord(bytes.Clone(state))
		if err != nil {
			return err
		}
		e.Life = rec.life
		switch {
		case rec.life == 0:
			return fieldwise.ErrNotFound
		case rec.live():
			return d.explainFields(e, rec)
		}
		_, by, err := seen(rec)
		e.Deleted = &Cause{Version: by}
		return err
	})
	if err == nil {
		err = d.addNotes(ctx, e)
	}
	if err != nil {
		return nil, d.fail("explain", key, err)
	}
	return e, nil
}

func (d *records) explainFields(e *Explanation, rec record) error {
	v, err := d.rules.view(rec)
	if err != nil {
		return err
	}
	root, err := v.tree()
	if err != nil {
		return err
	}
	covers := make(map[string]fieldwise.Version) // by hidden path: of what hides it
	root.hidden(func(loser *shown, winner fieldwise.Version) { covers[loser.path] = winner })
	misfits := make(map[string]string)
	all, err := d.face.misfits(rec)
	if err != nil {
		return err
	}
	for _, m := range all {
		misfits[m.register] = m.Err.Error()
	}
	t, fields, err := rec.fields()
	if err != nil {
		return err
	}
	for i := range v.fields {
		f := &v.fields[i]
		body := lattice.FindField(fields, f.path, f.kind)
		siblings, err := lattice.Read(nil, f.kind, t, body)
		if err != nil {
			return err
		}
		one := d.explainField(v, f, siblings)
		if f.kind == lattice.KindCounter {
			if _, exact, err := lattice.Total(nil, body); err == nil && !exact {
				one.Problem = "the sum is beyond what an integer of 64 bits holds, and the nearest is shown"
			}
		}
		if cover, hidden := covers[f.path]; hidden {
			one.Problem = "a newer value stands above or below it"
			if !cover.IsZero() {
				one.Problem += fmt.Sprintf(", by %v", cover)
			}
		}
		misfit := misfits[f.path]
		if above := d.face.standing(f.path).above; above != "" && v.find(above) == nil {
			misfit = misfits[above] // nothing at that path can tell
		}
		if misfit != "" {
			one.Problem = misfit
		}
		if isMap(f.sibling.Value) && len(one.Beat) == 0 && one.Problem == "" && v.below(f.path) {
			continue // the fields below tell as much
		}
		e.Fields = append(e.Fields, one)
	}
	return nil
}

func (d *records) explainField(v *view, f *shown, siblings []fieldwise.Sibling) FieldExplanation {
	policy := d.rules.policyOf(f.path, f.kind)
	one := FieldExplanation{Path: f.path, Policy: policy.Name(), State: FieldShown}
	st := d.face.standing(f.path)
	one.GoField, one.State = st.goName, st.state
	if st.state == FieldFormer && v.find(st.now) == nil {
		one.State = FieldShown // until the field is first written in its new place
	}
	switch {
	case one.State != FieldShown:
	case f.other && (!st.changed || v.find(f.path) != nil):
		one.State = FieldOther
	case f.other: // until the field is first written under its new mechanism
	case f.hidden:
		one.State = FieldHidden
	case f.sibling.Value == nil:
		one.State = FieldUnset
	}
	if f.sibling.Value != nil {
		one.Value = d.face.decode(f.path, f.sibling.Value)
	}
	if !f.sibling.Version.IsZero() {
		one.By = &Cause{Version: f.sibling.Version}
	}
	_, failed := lattice.Show(policy, siblings)
	if failed != nil {
		one.Problem = failed.Error()
	}
	for _, s := range siblings {
		if lattice.SameValue(s, f.sibling) {
			continue
		}
		b := Beaten{Absent: s.Value == nil, By: Cause{Version: s.Version}}
		if failed == nil {
			b.Reason = lattice.Reason(policy, f.sibling, s)
		}
		if s.Value != nil {
			b.Value = d.face.decode(f.path, s.Value)
		}
		one.Beat = append(one.Beat, b)
	}
	return one
}

// addNotes asks the store for the notes of all writes that the explanation names.
func (d *records) addNotes(ctx context.Context, e *Explanation) error {
	noter, ok := d.store.(fieldwise.Noter)
	if !ok {
		return nil
	}
	known := make(map[fieldwise.Version]string)
	add := func(c *Cause) (err error) {
		if c == nil {
			return nil
		}
		note, ok := known[c.Version]
		if !ok {
			if note, err = noter.Note(ctx, c.Version); err != nil {
				return err
			}
			known[c.Version] = note
		}
		c.Note = note
		return nil
	}
	if err := add(e.Deleted); err != nil {
		return err
	}
	for i := range e.Fields {
		f := &e.Fields[i]
		if err := add(f.By); err != nil {
			return err
		}
		for j := range f.Beat {
			if err := add(&f.Beat[j].By); err != nil {
				return err
			}
		}
	}
	return nil
}

// String tells it in lines of text: a line a field, and below it a line for each value
// that it beat.
func (e *Explanation) String() string {
	var b strings.Builder
	if e.Deleted != nil {
		fmt.Fprintf(&b, "%s %q: deleted by %v (life %d)\n", e.Domain, e.Key, *e.Deleted, e.Life)
		return b.String()
	}
	fmt.Fprintf(&b, "%s %q: live (life %d), %d fields\n", e.Domain, e.Key, e.Life, len(e.Fields))
	width := 0
	for _, f := range e.Fields {
		width = max(width, len(f.Path))
	}
	for _, f := range e.Fields {
		fmt.Fprintf(&b, "  %-*s = %s", width, f.Path, valueText(f.Value, f.By != nil && f.Value == nil && f.State == FieldUnset))
		if f.By != nil {
			fmt.Fprintf(&b, " by %v", *f.By)
		} else {
			b.WriteString(" computed")
		}
		fmt.Fprintf(&b, " (%s", f.Policy)
		if f.State != FieldShown && f.State != FieldUnset {
			fmt.Fprintf(&b, "; %s", f.State)
		}
		b.WriteString(")\n")
		for _, l := range f.Beat {
			fmt.Fprintf(&b, "  %-*s   beat %s by %v", width, "", valueText(l.Value, l.Absent), l.By)
			if l.Reason != "" {
				b.WriteString(": " + l.Reason)
			}
			b.WriteString("\n")
		}
		if f.Problem != "" {
			fmt.Fprintf(&b, "  %-*s   problem: %s\n", width, "", f.Problem)
		}
	}
	return b.String()
}

// String is the region, the time and the note.
func (c Cause) String() string {
	text := fmt.Sprintf("%s at %s", c.Version.Origin.Region, c.Version.Time.Time().Format("2006-01-02T15:04:05.000Z07:00"))
	if c.Note != "" {
		text += fmt.Sprintf(" (%s)", c.Note)
	}
	return text
}

// MarshalJSON writes region, time, the whole version as text, and the note.
func (c Cause) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Region  fieldwise.Region `json:"region"`
		Time    time.Time        `json:"time"`
		Version string           `json:"version"`
		Note    string           `json:"note,omitempty"`
	}{c.Version.Origin.Region, c.Version.Time.Time(), c.Version.String(), c.Note})
}

// valueText is a value in a line of text, cut short.
func valueText(v any, absent bool) string {
	if absent {
		return "(unset)"
	}
	if val, err := encode(v); err == nil {
		v = documentFace{}.decode("", val) // what pointers point to, not the pointers
	}
	text := fmt.Sprintf("%v", v)
	if t, ok := v.(time.Time); ok {
		text = t.Format(time.RFC3339Nano)
	}
	verb, more := "%s%s", ""
	if _, ok := v.(string); ok {
		verb = "%q%s"
	}
	if runes := []rune(text); len(runes) > 60 {
		text, more = string(runes[:60]), "..."
	}
	return fmt.Sprintf(verb, text, more)
}
