package replogtest

// restore takes the region back to an earlier copy of its disk, and on from there as a
// fresh incarnation: that no other may have used a sequence number or a timestamp which
// the copy does not know of is what incarnations are for. Callers keep their tokens, and
// what others have comes back.
func (r *region) restore() {
	w := r.w
	var ids []int
	for i := range r.past {
		ids = append(ids, r.past[i].step)
	}
	if len(ids) == 0 {
		return
	}
	id := w.step.pick(ids)
	var from view
	for i := range r.past {
		if r.past[i].step == id {
			from = r.past[i]
		}
	}
	text := ""
	if gone := r.now.held &^ from.held; gone != 0 {
		text = ", without " + w.writesText(gone)
	}
	w.tell("%s is restored from a copy of its disk%s", r, text)
	for i := range w.lines {
		w.lines[i].report = "" // what is reported again is told again
	}
	before := r.origin
	r.past = append(r.past, r.now)
	r.now, r.shown = from, nil
	r.begin()
	if w.plant.begun != nil {
		w.plant.begun(r, before)
	}
}

// sortOut finds, once everything has arrived, the writes that were lost with a restore:
// those that no other region had heard of.
func (w *world) sortOut() {
	for _, x := range w.order {
		if w.regions[0].now.held.has(x.id()) {
			w.kept = append(w.kept, x)
		} else {
			w.gone |= only(x.id())
		}
	}
	if w.gone != 0 {
		w.note("lost with a restore, as no other region had heard of it: %s", w.writesText(w.gone))
	}
}

// lacksCause reports whether a write is of an object of a list by key, and knew of writes that
// were lost with a restore: perhaps of the one that put the object there. A log brings no
// write before those; only chaos does.
func (w *world) lacksCause(x *write, path string) bool {
	return x.past&w.gone != 0 && w.isInObject(path)
}
