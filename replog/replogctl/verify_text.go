package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

func (v *verifier) print(t *terminal, asJSON bool) error {
	if asJSON {
		return printJSON(t.out, &v.verdict)
	}
	for _, c := range v.Directories {
		if err := printChecked(t, c); err != nil {
			return err
		}
	}
	for _, what := range v.Equal {
		fmt.Fprintln(t.out, what)
	}
	for i := range v.Findings {
		fmt.Fprintf(t.out, "PROBLEM %s: %s: %s\n", v.Findings[i].Kind, v.Findings[i].where(), v.Findings[i].Problem)
	}
	if v.More > 0 {
		fmt.Fprintf(t.out, "and %d more\n", v.More)
	}
	text := "all is well"
	if !v.Well {
		text = count(len(v.Findings)+v.More, "problem", "problems")
	}
	_, err := fmt.Fprintln(t.out, text)
	return err
}

// String tells it in a line of text.
func (a agreement) String() string {
	dirs := strings.Join(a.Directories, ", ")
	if a.Origin != nil {
		return fmt.Sprintf("the same entries of %v, as far as they go: %s", a.Origin, dirs)
	}
	return fmt.Sprintf("equal states of %s: %s", nameText(a.Domain), dirs)
}

func printChecked(t *terminal, c *checked) error {
	if c.source == nil {
		_, err := fmt.Fprintf(t.out, "%s: could not be read\n", c.Directory)
		return err
	}
	fmt.Fprintf(t.out, "%s: %s, %s, %s, %s\n", c.Directory, c.Region,
		count(c.Frames, "frame", "frames"), count(c.Entries, "entry", "entries"), count(c.Reports, "conflict report", "conflict reports"))
	if c.Torn != nil {
		fmt.Fprintf(t.out, "  torn end, which was never acknowledged: %v\n", c.Torn)
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	for _, d := range c.Domains {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", nameText(d.Name), d.mergerText(), count(d.Entries, "entry", "entries"), d.digestText())
	}
	return w.Flush()
}

func (d *checkedDomain) mergerText() string {
	switch {
	case d.Merger != "":
		return nameText(d.Merger)
	case d.Assumed != "":
		return "(not opened; " + nameText(d.Assumed) + " elsewhere)"
	}
	return "(not opened)"
}

func (d *checkedDomain) digestText() string {
	switch {
	case d.Digest != "":
		return fmt.Sprintf("%s, digest %s", count(d.Records, "record", "records"), d.Digest)
	case d.mergerName() == "":
		return "changes not checked"
	case d.merging() == nil:
		return "a merger of your own: changes not checked"
	}
	return "states not joined"
}
