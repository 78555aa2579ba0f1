package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

// conflict is a field with several values that were written without knowledge of each
// other and are all still current.
type conflict struct {
	Field    string    `json:"field"`
	Shown    any       `json:"shown"` // one of the siblings, or what the policy computed from them
	Policy   string    `json:"policy"`
	Siblings []sibling `json:"siblings"`
}

// sibling is one of these values: a write that is current.
type sibling struct {
	write
	Value  any    `json:"value"`           // null if the write unset the field
	Shown  bool   `json:"shown,omitempty"` // readers see it
	Reason string `json:"reason,omitempty"`
}

// write says which write it was.
type write struct {
	Region  fieldwise.Region `json:"region"`
	Time    time.Time        `json:"time"`
	Version string           `json:"version"` // to be sent to /resolve
	Who     string           `json:"who,omitempty"`
}

func writeOf(c fieldmerge.Cause) write {
	return write{Region: c.Version.Origin.Region, Time: c.Version.Time.Time(), Version: c.Version.String(), Who: c.Note}
}

// conflicts answers with the fields of a profile that somebody may want to settle.
func (s *service) conflicts(w http.ResponseWriter, r *http.Request) error {
	e, err := s.profiles.Explain(r.Context(), r.PathValue("key"))
	if err != nil {
		return err
	}
	if e.Deleted != nil {
		return fmt.Errorf("%w: %q was deleted", fieldwise.ErrNotFound, e.Key)
	}
	all := []conflict{}
	for _, f := range e.Fields {
		if len(f.Beat) == 0 {
			continue
		}
		c := conflict{Field: f.Path, Shown: f.Value, Policy: f.Policy}
		if f.By != nil {
			c.Siblings = append(c.Siblings, sibling{write: writeOf(*f.By), Value: f.Value, Shown: f.State == fieldmerge.FieldShown})
		}
		for _, b := range f.Beat {
			c.Siblings = append(c.Siblings, sibling{write: writeOf(b.By), Value: b.Value, Reason: b.Reason})
		}
		all = append(all, c)
	}
	s.answer(w, http.StatusOK, struct {
		Key       string     `json:"key"`
		Conflicts []conflict `json:"conflicts"`
	}{e.Key, all})
	return nil
}

// resolution is what /resolve is asked for: which value of a field is to stay.
type resolution struct {
	Field   string          `json:"field"`
	Keep    string          `json:"keep"`    // "shown", "version" or "value"
	Version string          `json:"version"` // with "version": of one of the siblings
	Value   json.RawMessage `json:"value"`   // with "value"
}

// resolve settles a conflict of one field.
func (s *service) resolve(w http.ResponseWriter, r *http.Request) error {
	options, err := conditions(r)
	if err != nil {
		return err
	}
	var asked resolution
	if err := decode(r.Body, &asked); err != nil {
		return err
	}
	choice, err := choiceOf(asked)
	if err != nil {
		return err
	}
	receipt, err := s.profiles.Resolve(r.Context(), r.PathValue("key"), asked.Field, choice, options...)
	return written(w, http.StatusNoContent, receipt, err)
}

func choiceOf(asked resolution) (fieldmerge.Choice, error) {
	switch {
	case asked.Keep == "shown":
		return fieldmerge.KeepShown(), nil
	case asked.Keep == "version" && asked.Version != "":
		v, err := fieldwise.ParseVersion(asked.Version)
		if err != nil {
			return fieldmerge.Choice{}, badRequest("version: %v", err)
		}
		return fieldmerge.KeepVersion(v), nil
	case asked.Keep == "value" && asked.Value != nil:
		f, err := fieldAt(asked.Field)
		if err != nil {
			return fieldmerge.Choice{}, err
		}
		v, err := f.decode(asked.Field, asked.Value)
		return fieldmerge.KeepValue(v), err
	}
	return fieldmerge.Choice{}, badRequest(`say what to keep: "keep":"shown", "keep":"version" with a "version", or "keep":"value" with a "value"`)
}

// report is a conflict report of this region: a write that readers do not see although
// nobody overwrote it knowingly, and what won over it.
type report struct {
	Position uint64   `json:"position"` // to be sent as ?after= of the next request
	ID       string   `json:"id"`       // the same in every region that reports it
	Kind     string   `json:"kind"`
	Key      string   `json:"key"`
	Field    string   `json:"field"`
	Policy   string   `json:"policy"`
	Reason   string   `json:"reason,omitempty"`
	Loser    sibling  `json:"loser"`
	Winner   *sibling `json:"winner,omitempty"` // none where a policy computed a value
}

// reports answers with this region's conflict reports behind the position ?after=, one a
// line, and ends with the last one.
func (s *service) reports(w http.ResponseWriter, r *http.Request) error {
	var after uint64
	if text := r.URL.Query().Get("after"); text != "" {
		var err error
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			return badRequest("after=%.80q is no position; send that of the last report you have, or 0", text)
		}
	}
	return s.lines(w, s.reported(r.Context(), after))
}

func (s *service) reported(ctx context.Context, after uint64) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		for c, err := range s.replica.Conflicts(ctx, after) {
			if err != nil {
				yield(nil, err)
				return
			}
			one := report{
				Position: c.Position, ID: c.ID().String(), Kind: c.Kind.String(), Key: c.Key, Field: c.Field,
				Policy: c.Policy, Reason: c.Reason, Loser: reportedSibling(c.Loser, c.LoserNote),
			}
			if !c.Winner.Version.IsZero() {
				winner := reportedSibling(c.Winner, c.WinnerNote)
				one.Winner = &winner
			}
			if !yield(one, nil) {
				return
			}
		}
	}
}

func reportedSibling(s fieldwise.Sibling, note string) sibling {
	one := sibling{write: writeOf(fieldmerge.Cause{Version: s.Version, Note: note})}
	if _, err := crdt.DecodeValue(s.Value, &one.Value); err != nil {
		one.Reason = err.Error()
	}
	return one
}
