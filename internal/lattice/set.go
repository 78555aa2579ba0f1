package lattice

// AppendSet appends the body of the delta that adds the values of to that are not in from
// to a set and removes those of from that are not in to: encoded values, nil where there
// is no set. The rest is that of AppendList.
func (d *Delta) AppendSet(dst, body []byte, t Table, from, to [][]byte) ([]byte, error) {
	current, marked, err := readDots(t, body)
	if err != nil {
		return nil, err
	}
	if to == nil {
		return d.appendUnset(dst, body, current, marked, from)
	}
	had, wanted := valueSet(from), valueSet(to)
	var add, remove []Element
	for _, v := range to {
		if !had[string(v)] {
			add = append(add, Element{Value: v})
		}
	}
	for _, e := range current {
		if had[string(e.Value)] && !wanted[string(e.Value)] {
			remove = append(remove, e)
		}
	}
	return d.appendChange(dst, body, add, remove, emptied(from, to) && len(remove) == len(current) && !marked)
}

// emptied reports whether a write turns from, which is something else, into a set or a
// list without elements.
func emptied(from, to [][]byte) bool { return len(to) == 0 && (from == nil || len(from) > 0) }

// appendUnset appends the body of a delta after which there is no set, unless from says
// that there was none.
func (d *Delta) appendUnset(dst, body []byte, current []Element, marked bool, from [][]byte) ([]byte, error) {
	if from == nil {
		return dst, nil
	}
	if marked {
		current = append(current, Element{})
	}
	return d.appendChange(dst, body, nil, current, false)
}

// appendChange appends the body of a delta unless it would change nothing. mark says to
// add the mark that the set exists.
func (d *Delta) appendChange(dst, body []byte, add, remove []Element, mark bool) ([]byte, error) {
	if mark {
		add = append(add, Element{})
	}
	if len(add) == 0 && len(remove) == 0 {
		return dst, nil
	}
	return d.AppendDots(dst, body, add, remove)
}

func valueSet(values [][]byte) map[string]bool {
	set := make(map[string]bool, len(values))
	for _, v := range values {
		set[string(v)] = true
	}
	return set
}
