package main

import (
	"fmt"
	"strings"
)

// String tells it to people.
func (s *summary) String() string {
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%s\t%s\n", what, fmt.Sprintf(format, args...))
	}
	line("directory", "%s", s.Directory)
	line("region", "%s", s.Region)
	for i, o := range s.Signs {
		what := "signs"
		if i < len(s.Signs)-1 {
			what = "signed before"
		}
		line(what, "%v", o)
	}
	line("format", "%d", s.Format)
	line("size", "%s in files, log ends at position %d", byteText(s.Bytes), s.End)
	line("holds", "%s, %s, %s", count(s.Frames, "frame", "frames"), count(s.Entries, "entry", "entries"), count(s.Reports, "conflict report", "conflict reports"))
	if s.First != "" {
		line("from", "%s", s.First)
		line("to", "%s", s.Last)
	}
	if s.Torn != nil {
		line("torn end", "%v", s.Torn)
	}
	b.WriteString("\norigin\tfrom\tto\tentries\tbytes\tfirst\tlast\n")
	for _, o := range s.Origins {
		fmt.Fprintf(&b, "%v\t%d\t%d\t%d\t%d\t%s\t%s\n", o.Origin, o.From, o.To, o.Entries, o.Bytes, o.First, o.Last)
	}
	b.WriteString("\ndomain\tmerger\tentries\treports\n")
	for _, d := range s.Domains {
		fmt.Fprintf(&b, "%s\t%s\t%d\t%d\n", nameText(d.Name), mergerText(d.Merger, ""), d.Entries, d.Reports)
	}
	return aligned(b.String())
}

// String tells it in a line.
func (e *tornEnd) String() string {
	return fmt.Sprintf("%s from position %d: %s", count(e.Bytes, "byte", "bytes"), e.Position, e.Reason)
}
