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
		return d.appendUnset(dst, body, current, from)
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
	return d.appendChange(dst, body, marked, add, remove, from == nil)
}

// appendUnset appends the body of a delta after which there is no set, unless from says
// that there was none. What is added concurrently makes that a set again.
func (d *Delta) appendUnset(dst, body []byte, current []Element, from [][]byte) ([]byte, error) {
	if from == nil || !Present(body) {
		return dst, nil
	}
	return d.AppendDots(dst, body, []Element{{}}, current)
}

// appendChange appends the body of a delta after which there is a set, unless it would
// change nothing. marked says that body has the mark that the set was unset, create that
// the write makes a set where there is none, though it may add nothing to it.
func (d *Delta) appendChange(dst, body []byte, marked bool, add, remove []Element, create bool) ([]byte, error) {
	if len(add) == 0 && len(remove) == 0 && (!create || Present(body)) {
		return dst, nil
	}
	if marked {
		remove = append(remove, Element{})
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
