package main

import (
	"fmt"
	"strings"
)

// String tells it to people.
func (v *verdict) String() string {
	var b strings.Builder
	for _, c := range v.Directories {
		b.WriteString(c.String())
	}
	for _, what := range v.Equal {
		fmt.Fprintln(&b, what)
	}
	for i := range v.Findings {
		fmt.Fprintf(&b, "PROBLEM %s: %s: %s\n", v.Findings[i].Kind, v.Findings[i].where(), oneLine(v.Findings[i].Problem))
	}
	if v.More > 0 {
		fmt.Fprintf(&b, "and %d more\n", v.More)
	}
	if v.Well {
		b.WriteString("all is well\n")
	} else {
		fmt.Fprintln(&b, count(len(v.Findings)+v.More, "problem", "problems"))
	}
	return b.String()
}

// String tells it in lines of text.
func (c *checked) String() string {
	if c.source == nil {
		return c.Directory + ": could not be read\n"
	}
	var b, rows strings.Builder
	fmt.Fprintf(&b, "%s: %s, %s, %s, %s\n", c.Directory, c.Region,
		count(c.Frames, "frame", "frames"), count(c.Entries, "entry", "entries"), count(c.Reports, "conflict report", "conflict reports"))
	if c.Snapshots > 0 {
		b.WriteString("  began with a snapshot of states: the entries it stands for are elsewhere, and neither they nor states are compared\n")
	}
	if c.Torn != nil {
		fmt.Fprintf(&b, "  torn end, as a crash leaves one: %v\n", c.Torn)
	}
	for _, d := range c.Domains {
		fmt.Fprintf(&rows, "  %s\t%s\t%s\t%s\n", nameText(d.Name), mergerText(d.Merger, d.Assumed), count(d.Entries, "entry", "entries"), d.states())
	}
	b.WriteString(aligned(rows.String()))
	return b.String()
}

// states tells what is known of the domain's states.
func (d *checkedDomain) states() string {
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

// String tells it in a line of text.
func (a agreement) String() string {
	dirs := strings.Join(a.Directories, ", ")
	if a.Origin != nil {
		return fmt.Sprintf("the same entries of %v, as far as they go: %s", a.Origin, dirs)
	}
	return fmt.Sprintf("equal states of %s: %s", nameText(a.Domain), dirs)
}

// where says what a finding is about, in front of the problem.
func (f *finding) where() string {
	text := f.Directory
	if f.Position > 0 {
		text += fmt.Sprintf(": position %d", f.Position)
	}
	if f.Origin != nil {
		text += fmt.Sprintf(": %v", f.Origin)
		if f.Seq > 0 {
			text += fmt.Sprintf("/%d", f.Seq)
		}
	}
	if f.Domain != "" {
		text += ": " + nameText(f.Domain)
		if f.Key != "" {
			text += fmt.Sprintf(" %q", f.Key)
		}
	}
	return text
}
