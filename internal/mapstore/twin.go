package mapstore

import (
	"bytes"
	"fmt"
	"reflect"

	"github.com/fieldwise/fieldwise"
)

// Twin is a record that is kept twice, as bytes and, if its merger can do that, open: whatever
// is asked of both has to come out the same. It is not safe for concurrent use. The records
// that it gives away stay as they are.
type Twin struct {
	Merger   fieldwise.Merger
	OpenFrom int // bytes of a state, or of a part of it, that is kept open; zero: none is
	State    []byte
	Open     fieldwise.Opened // nil while it is not open
}

// Merge joins a state or a delta, which is checked, into the record.
func (w *Twin) Merge(delta []byte) error {
	if _, err := w.Merger.Merge(nil, nil, delta); err != nil {
		return err
	}
	joined, err := w.Merger.Merge(nil, w.State, delta)
	if err != nil {
		return err
	}
	open := w.Open
	if opener, ok := w.Merger.(fieldwise.Opener); ok && open == nil && w.OpenFrom > 0 {
		open, err = opener.Open(joined, w.OpenFrom)
	} else if open != nil {
		open = open.Clone()
		err = open.Merge(delta)
	}
	if err != nil {
		return fmt.Errorf("mapstore: an open record: %w", err)
	}
	if open != nil {
		live := true
		if d, ok := w.Merger.(fieldwise.Deleter); ok {
			live = d.Live(joined)
		}
		if got := open.AppendState(nil); !bytes.Equal(got, joined) || open.Size() != len(joined) || open.Live() != live {
			return fmt.Errorf("mapstore: a record kept open is %x, %d bytes, live %v; as bytes %x, live %v", got, open.Size(), open.Live(), joined, live)
		}
	}
	w.State, w.Open = joined, open
	return nil
}

// Conflicts are those that a delta causes.
func (w *Twin) Conflicts(delta []byte) ([]fieldwise.Conflict, error) {
	r, ok := w.Merger.(fieldwise.ConflictReporter)
	if !ok {
		return nil, nil
	}
	found, err := r.Conflicts(nil, w.State, delta)
	if err == nil && w.Open != nil {
		var same []fieldwise.Conflict
		if same, err = w.Open.Conflicts(nil, delta); err == nil && len(found)+len(same) > 0 && !reflect.DeepEqual(found, same) {
			err = fmt.Errorf("mapstore: a record kept open reports %+v; as bytes %+v", same, found)
		}
	}
	return found, err
}

// Change returns the delta that a change makes, which is called for both. An error is that of
// the second call.
func (w *Twin) Change(change func(state []byte, open fieldwise.Opened) ([]byte, error)) ([]byte, error) {
	if w.Open == nil {
		return change(w.State, nil)
	}
	of, errOf := change(nil, w.Open)
	delta, err := change(w.State, nil)
	if !bytes.Equal(of, delta) || (errOf == nil) != (err == nil) || err != nil && errOf.Error() != err.Error() {
		err = fmt.Errorf("mapstore: a change of a record kept open makes %x, %w; of its bytes %x, %w", of, errOf, delta, err)
	}
	return delta, err
}
