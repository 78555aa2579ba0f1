package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
)

// document is all that a run has to say; -json prints it as it is.
type document struct {
	Input   string    `json:"input"`
	Edits   int       `json:"edits"`
	Records int       `json:"records"`
	Classic []scene   `json:"classic,omitempty"`
	Results []*result `json:"strategies"`
	OK      bool      `json:"ok"`
}

// conflict is a conflict report for people.
type conflict struct {
	Key    string `json:"key"`
	Field  string `json:"field,omitempty"` // none for a whole record
	Kind   string `json:"kind"`
	Policy string `json:"policy"`
	Loser  write  `json:"loser"`
	Winner *write `json:"winner,omitempty"`
}

type write struct {
	Region fieldwise.Region `json:"region"`
	Time   string           `json:"time"`
	Edit   int              `json:"edit,omitempty"`
	Value  any              `json:"value"` // null if it was an unset or a delete
}

// readable turns conflict reports into what people read.
func readable(ev *evidence) []conflict {
	edits := make(map[fieldwise.Version]int)
	for _, log := range ev.logs {
		for _, entry := range log {
			edits[entry.Version] = entry.N
		}
	}
	side := func(s fieldwise.Sibling) write {
		w := write{Region: s.Version.Origin.Region, Time: s.Version.Time.String(), Edit: edits[s.Version]}
		if _, err := crdt.DecodeValue(s.Value, &w.Value); err != nil {
			w.Value = err.Error()
		}
		return w
	}
	all := []conflict{}
	for _, r := range ev.reports {
		c := conflict{Key: r.Key, Field: r.Field, Kind: r.Kind.String(), Policy: r.Policy, Loser: side(r.Loser)}
		if !r.Winner.Version.IsZero() {
			w := side(r.Winner)
			c.Winner = &w
		}
		all = append(all, c)
	}
	return all
}

func printJSON(w io.Writer, doc *document) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(doc)
}

// printText prints the document as tables.
func printText(w io.Writer, doc *document) error {
	p := &printer{w: w}
	if len(doc.Classic) > 0 {
		p.classic(doc.Classic)
	}
	p.tables(doc)
	p.proof(doc)
	return p.err
}

// printer keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// table prints rows in columns; the cells of a row are separated by tabs.
func (p *printer) table(flags uint, rows ...string) {
	const indent = 2
	margin := strings.Repeat(" ", indent)
	if flags == tabwriter.AlignRight {
		margin = "" // tabwriter puts the padding in front
	}
	t := tabwriter.NewWriter(p.w, 0, 0, 3, ' ', flags)
	for _, row := range rows {
		if p.err == nil {
			_, p.err = fmt.Fprintln(t, margin+row)
		}
	}
	if p.err == nil {
		p.err = t.Flush()
	}
	p.line("")
}

func cells(all ...any) string {
	text := make([]string, len(all))
	for i, c := range all {
		text[i] = fmt.Sprint(c)
	}
	return strings.Join(text, "\t")
}

func (p *printer) classic(scenes []scene) {
	p.line("The classic conflict\n")
	p.line("  A profile is {name Asha, phone 111, address Bangalore}. While the regions are cut off from")
	p.line("  each other, somebody sets phone 222 in %s and somebody else address Mumbai in %s.", us, ap)
	p.line("  Then the links heal, and everybody reads:\n")
	rows := []string{cells("STRATEGY", "LATER CLOCK", "PHONE", "ADDRESS", "GONE", "CONFLICT REPORT")}
	for _, s := range scenes {
		gone, report := "nothing", "none needed"
		if len(s.Lost) > 0 {
			gone, report = strings.Join(s.Lost, ", "), strings.Join(s.Report, "; ")
		}
		rows = append(rows, cells(s.Title, s.Later, s.Record["phone"], s.Record["address"], gone, report))
	}
	p.table(0, rows...)
}

// counts are the rows of the table.
var counts = []struct {
	title string
	of    func(*Tally) any
}{
	{"edits in the logs", func(t *Tally) any { return t.Edits }},
	{"edits that wrote nothing", func(t *Tally) any { return t.NoChange }},
	{"changes made", func(t *Tally) any { return t.Changes }},
	{"  visible at the end", func(t *Tally) any { return t.Visible }},
	{"    of these, old values that came back", func(t *Tally) any { return t.Back }},
	{"  replaced by a later edit that knew of them", func(t *Tally) any { return t.Replaced }},
	{"  overwritten unknowingly, and reported", func(t *Tally) any { return t.Reported }},
	{"  taken out of a list, and put there meanwhile", func(t *Tally) any { return t.Outdone }},
	{"  lost without a trace", func(t *Tally) any { return t.Lost }},
	{"conflicts reported", func(t *Tally) any { return t.Conflicts }},
	{"bytes of log, one region", func(t *Tally) any { return t.LogBytes }},
	{"bytes per record, one region", func(t *Tally) any { return t.StateBytes / int64(max(t.Records, 1)) }},
}

func (p *printer) tables(doc *document) {
	p.line("%s: %d edits of %d records in %s, %s and %s\n", capital(doc.Input), doc.Edits, doc.Records, us, eu, ap)
	head := []any{""}
	for _, r := range doc.Results {
		head = append(head, strings.ToUpper(r.Title))
	}
	// The first column is made equally wide by hand, since tabwriter aligns all columns to
	// one side.
	wide := 0
	for _, c := range counts {
		wide = max(wide, len(c.title))
	}
	head[0] = strings.Repeat(" ", wide)
	rows := []string{cells(head...) + "\t"}
	for _, c := range counts {
		row := []any{c.title + strings.Repeat(" ", wide-len(c.title))}
		for _, r := range doc.Results {
			row = append(row, c.of(&r.Tally))
		}
		rows = append(rows, cells(row...)+"\t")
	}
	p.table(tabwriter.AlignRight, rows...)
	p.kinds(doc)
	p.examples(doc)
}

// kinds shows what is to be seen of the changes of each kind no more, although no later
// edit knew of them.
func (p *printer) kinds(doc *document) {
	p.line("What nobody sees in the end although no later edit knew of it, by what was changed:\n")
	head := []any{"CHANGE OF A"}
	for _, r := range doc.Results {
		head = append(head, strings.ToUpper(r.Title))
	}
	rows := []string{cells(head...)}
	for _, kind := range changeKinds {
		row, made := []any{kind}, 0
		for _, r := range doc.Results {
			f := r.Tally.Kinds[kind]
			made += f.Changes
			row = append(row, fmt.Sprintf("%d of %d", f.Reported+f.Outdone+f.Lost, f.Changes))
		}
		if made > 0 {
			rows = append(rows, cells(row...))
		}
	}
	p.table(0, rows...)
}

// examples shows a few conflict reports of the last strategy.
func (p *printer) examples(doc *document) {
	const most = 5
	r := doc.Results[len(doc.Results)-1]
	if len(r.Reports) == 0 {
		return
	}
	shown := r.Reports[:min(most, len(r.Reports))]
	p.line("The first %d of %d conflict reports of %s:\n", len(shown), len(r.Reports), r.Title)
	rows := []string{cells("PROFILE", "FIELD", "HIDDEN", "WRITTEN IN", "SHOWN", "WRITTEN IN", "RULE")}
	for _, c := range shown {
		winner := write{}
		if c.Winner != nil {
			winner = *c.Winner
		}
		field := c.Field
		if field == "" {
			field = "(record)"
		}
		rows = append(rows, cells(c.Key, field, brief(c.Loser.Value), c.Loser.Region, brief(winner.Value), winner.Region, c.Policy))
	}
	p.table(0, rows...)
}

// brief is a value in a few characters.
func brief(v any) string {
	if v == nil {
		return "-"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	const most = 32
	text := []rune(string(b))
	if len(text) > most {
		text = append(text[:most], '.', '.', '.')
	}
	return string(text)
}

func (p *printer) proof(doc *document) {
	p.line("The proof: a hash of all states that a region holds, and again after its log was read from disk\n")
	head := []any{"STRATEGY"}
	for _, name := range regions {
		head = append(head, strings.ToUpper(string(name)))
	}
	rows := []string{cells(append(head, "REOPENED", "RESULT")...)}
	for _, r := range doc.Results {
		row := []any{r.Title}
		for _, pr := range r.Proof {
			row = append(row, pr.Hash[:16])
		}
		reopened, verdict := "the same", "equal"
		for _, pr := range r.Proof {
			if pr.Reopened != pr.Hash {
				reopened = fmt.Sprintf("%s differs: %.16s", pr.Region, pr.Reopened)
			}
		}
		if len(r.Problems) > 0 {
			verdict = "FAILED"
		}
		rows = append(rows, cells(append(row, reopened, verdict)...))
	}
	p.table(0, rows...)
	for _, problem := range doc.problems() {
		p.line("FAILED: %s", problem)
	}
}

// problems lists what must not be, of all strategies.
func (doc *document) problems() []string {
	var all []string
	for _, s := range doc.Classic {
		for _, text := range s.Problems {
			all = append(all, "the classic conflict, "+s.Title+": "+text)
		}
	}
	for _, r := range doc.Results {
		for _, text := range r.Problems {
			all = append(all, r.Title+": "+text)
		}
	}
	return slices.Clip(all)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
