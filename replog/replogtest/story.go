package replogtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/value"
)

// line is one thing that happened, as people read it.
type line struct {
	at   string // the clock that counted; empty where none did
	text string
	note bool // belongs to the line before

	report string // without who reports it
}

// tell adds a line to the story and returns its number.
func (w *world) tell(format string, args ...any) int {
	w.lines = append(w.lines, line{text: fmt.Sprintf(format, args...)})
	return w.number()
}

// note adds a line that belongs to the one before.
func (w *world) note(format string, args ...any) {
	w.lines = append(w.lines, line{text: fmt.Sprintf(format, args...), note: true})
}

// number is how many numbered lines there are.
func (w *world) number() (n int) {
	for _, l := range w.lines {
		if !l.note {
			n++
		}
	}
	return n
}

// name names a write by its line and region.
func (w *world) name(x *write) string { return fmt.Sprintf("#%d of %s", x.line, x.region) }

// tellReport adds a report; what another region has reported already is told in short.
func (w *world) tellReport(r *region, c *fieldwise.Conflict) {
	text := fmt.Sprintf("%s of %s: %s of %s lost", c.Kind, fieldText(c.Field), valueText(string(c.Loser.Value)), w.versionText(c.Loser.Version))
	if !c.Winner.Version.IsZero() {
		text += " to "
		if c.Winner.Value != nil {
			text += valueText(string(c.Winner.Value)) + " of "
		}
		text += w.versionText(c.Winner.Version)
	}
	text += " (" + c.Policy
	if c.Reason != "" {
		text += ": " + c.Reason
	}
	text += ")"
	for i := range w.lines {
		if w.lines[i].report == text {
			w.lines[i].text += fmt.Sprintf("; so does %s", r)
			return
		}
	}
	w.lines = append(w.lines, line{text: fmt.Sprintf("%s reports %s", r, text), note: true, report: text})
}

func (w *world) versionText(v fieldwise.Version) string {
	if x := w.find(v); x != nil {
		return w.name(x)
	}
	return v.String()
}

// writesText names writes by their lines.
func (w *world) writesText(s set) string {
	var all []string
	for id := range s.all {
		all = append(all, "#"+strconv.Itoa(w.writes[id].line))
	}
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, " ")
}

func effectsText(effects map[string]string) string {
	var all []string
	paths := slices.Sorted(maps.Keys(effects))
	for _, path := range paths {
		if effects[path] == marker && slices.ContainsFunc(paths, func(p string) bool { return below(p, path) && effects[p] != unset }) {
			continue // a map that has entries is there
		}
		all = append(all, fieldText(path)+" = "+effectText(effects[path], true))
	}
	return strings.Join(all, ", ")
}

func fieldText(path string) string {
	if path == "" || strings.ContainsAny(path, " ,=:") {
		return strconv.Quote(path)
	}
	return path
}

func effectText(val string, wrote bool) string {
	switch {
	case !wrote:
		return "nothing"
	case val == unset:
		return "unset"
	}
	return valueText(val)
}

// valueText is an encoded value as people read it.
func valueText(encoded string) string {
	if encoded == unset {
		return "unset"
	}
	v, err := value.Any([]byte(encoded))
	if err != nil {
		return fmt.Sprintf("%x", encoded)
	}
	text := []rune(anyText(v))
	if len(text) > longestValue {
		text = append(text[:longestValue-3], '.', '.', '.')
	}
	return string(text)
}

const longestValue = 100 // characters of a value in a story

func anyText(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case []byte:
		return fmt.Sprintf("%q", v)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case []any:
		all := make([]string, len(v))
		for i, e := range v {
			all[i] = anyText(e)
		}
		return "[" + strings.Join(all, ", ") + "]"
	case map[string]any:
		var all []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			all = append(all, fieldmerge.JoinPath(k)+": "+anyText(v[k]))
		}
		return "{" + strings.Join(all, ", ") + "}"
	}
	return fmt.Sprint(v)
}

func aheadText(d time.Duration) string {
	switch {
	case d > 365*24*time.Hour:
		return fmt.Sprintf("%d years ahead", int(d.Hours()/24/365))
	case d > 0:
		return fmt.Sprintf("%v ahead", d)
	case d < 0:
		return fmt.Sprintf("%v behind", -d)
	}
	return "the right time"
}

// story tells a failure to a person.
func (f *finding) story(test string) string {
	w := f.world
	var b strings.Builder
	fmt.Fprintf(&b, "replogtest: %s fails: %s\n\n", w.schemaNames(), f.oracle)
	width := 0
	for _, l := range w.lines {
		width = max(width, len(l.at))
	}
	n := 0
	for _, l := range w.lines {
		mark := ""
		if !l.note {
			n++
			mark = fmt.Sprintf("#%d", n)
		}
		fmt.Fprintf(&b, "  %4s  %-*s  %s\n", mark, width, l.at, l.text)
	}
	b.WriteString("\nWhat readers see now:\n")
	width = 0
	for _, r := range w.regions {
		width = max(width, len(r.origin.Region))
	}
	for _, r := range w.regions {
		fmt.Fprintf(&b, "  %-*s  %s\n", width, r, w.recordText(r))
	}
	fmt.Fprintf(&b, "\n%s: %s\n", f.oracle, f.what)
	fmt.Fprintf(&b, "\nThis is history %d of %d, cut down from %d steps in %d regions to %d in %d. To play it again:\n  %s\n",
		f.index, f.histories, f.steps, f.regions, len(w.history.steps), len(w.history.regions), replay(f.seed, test))
	return b.String()
}

// recordText is the record as a reader in a region sees it.
func (w *world) recordText(r *region) (text string) {
	defer func() {
		if p := recover(); p != nil {
			text = fmt.Sprintf("reading panics: %v", p)
		}
	}()
	v, err := w.open(r).get()
	switch {
	case errors.Is(err, fieldwise.ErrNotFound):
		return "no record"
	case err != nil:
		return err.Error()
	}
	return r.face().text(v)
}

// tellWrite adds a write to the story.
func (w *world) tellWrite(x *write) {
	what := " " + effectsText(x.effects)
	if others := w.doesText(x); len(others) > 0 {
		what += ", " + others
		if len(x.effects) == 0 {
			what = ": " + others
		}
	}
	switch {
	case x.deletes:
		what = " the record"
	case x.bare:
		what = " a record without fields"
	}
	under := ""
	if w.act != nil && w.act.under != nil {
		under = w.act.underText()
	}
	x.line = w.tell("%s %s%s%s, knowing of %s", x.region, x.doing, what, under, w.writesText(x.knew))
	w.lines[len(w.lines)-1].at = timeText(x.version.Time)
}

// doesText tells what a write does to fields that are no registers.
func (w *world) doesText(x *write) string {
	var all []string
	paths := append(slices.Collect(maps.Keys(x.does)), x.others...)
	slices.Sort(paths)
	for _, path := range slices.Compact(paths) {
		if f, ok := x.does[path]; ok {
			all = append(all, f.text(path))
		} else {
			all = append(all, "leaves "+fieldText(path)+" empty")
		}
	}
	return strings.Join(all, ", ")
}

func (f *effect) text(path string) string {
	name := fieldText(path)
	if f.kind == lattice.KindCounter {
		counts := fmt.Sprintf("counts %+d", f.amount)
		switch {
		case f.resets && f.amount.Sign() == 0:
			return "resets " + name
		case f.resets:
			return "resets " + name + " and " + counts
		}
		return counts + " to " + name
	}
	added, removed, renewed := f.elements()
	if f.kind == lattice.KindFlag {
		if len(f.added) > 0 {
			return "turns " + name + " on"
		}
		return "turns " + name + " off"
	}
	var all []string
	for _, one := range []struct {
		does, at string
		values   []string
	}{{"adds ", " to ", added}, {"removes ", " from ", removed}, {"renews ", " in ", renewed}} {
		if len(one.values) == 0 {
			continue
		}
		text := one.does + strings.Join(one.values, " ")
		if len(all) == 0 {
			text += one.at + name
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// elements are those that a write adds, that it removes, and that were there before and
// are put there anew.
func (f *effect) elements() (added, removed, renewed []string) {
	is := func(all []dot, d dot) bool {
		return slices.ContainsFunc(all, func(other dot) bool { return other.value == d.value && other.occurrence == d.occurrence })
	}
	for _, d := range f.added {
		if is(f.gone, d) {
			renewed = append(renewed, valueText(d.value))
		} else {
			added = append(added, valueText(d.value))
		}
	}
	for i, d := range f.gone {
		if !is(f.added, d) && !is(f.gone[:i], d) {
			removed = append(removed, valueText(d.value))
		}
	}
	return added, removed, renewed
}

// dotText is what one write put into a field.
func (w *world) dotText(path string, d dot) string {
	if d.value == "" {
		return fmt.Sprintf("%+d", w.writes[d.write].counted[path])
	}
	return valueText(d.value)
}

// dotsText tells where what a field holds comes from.
func (w *world) dotsText(path string, all dots) string {
	var texts []string
	for _, d := range slices.SortedFunc(maps.Keys(all), dot.compare) {
		text := fmt.Sprintf("%s of %s", w.dotText(path, d), w.name(w.writes[d.write]))
		if !all[d] {
			text += ", taken back"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

// mechanismText is the value of a field that is no register.
func mechanismText(m mechanism, val []byte) string {
	if m.kind == lattice.KindCounter {
		return number(val).String()
	}
	if val == nil {
		return "nothing"
	}
	return valueText(string(val))
}

func (a *act) underText() string {
	if a.under == nil {
		return ""
	}
	return fmt.Sprintf(" under the token of #%d", a.under.line)
}

// holdsText says which writes a full state has.
func (w *world) holdsText(held set) string { return " (" + w.writesText(held) + ")" }

// timeText is a clock's time of the day, with the date where it is another one.
func timeText(t fieldwise.Timestamp) string {
	layout := "15:04:05.000"
	if y, m, d := t.Time().Date(); y != start.Year() || m != start.Month() || d != start.Day() {
		layout = "2006-01-02 15:04:05.000"
	}
	text := t.Time().Format(layout)
	if n := t.Counter(); n > 0 {
		text += fmt.Sprintf("+%d", n)
	}
	return text
}

// siblingsText lists the values of a field that are current in a region.
func (w *world) siblingsText(r *region, path string) string {
	all, err := siblingsAt(r.now.state, path)
	if err != nil {
		return err.Error()
	}
	texts := make([]string, len(all))
	for i, s := range all {
		texts[i] = valueText(string(s.Value)) + " of " + w.versionText(s.Version)
	}
	return strings.Join(texts, ", ")
}
