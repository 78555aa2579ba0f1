package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/fieldwise/fieldwise"
)

// timeLayout is how times are written: RFC 3339 with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

func timeText(t fieldwise.Timestamp) string { return t.Time().Format(timeLayout) }

func parseTime(text string) (time.Time, error) { return time.Parse(time.RFC3339, text) }

// byteText is a number of bytes for people.
func byteText(n int64) string {
	const units = "KMGTPE"
	if n < 1<<10 {
		return fmt.Sprintf("%d bytes", n)
	}
	size, unit := float64(n), -1
	for size >= 1<<10 {
		size /= 1 << 10
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", size, units[unit])
}

// nameText is a name, quoted where it would not be told from what stands around it.
func nameText(name string) string {
	for _, r := range name {
		if r == '"' || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return strconv.Quote(name)
		}
	}
	if name == "" {
		return `""`
	}
	return name
}

// count is a number of things: "1 entry", "2 entries".
func count[N int | int64 | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// printJSON writes a value as a line; programs read it, so nothing is escaped for the sake of HTML.
func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// cut cuts a text to what fits in a line.
func cut(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}

// oneLine replaces what would break a line, or change how a terminal works.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// aligned sets lines whose cells end in tabs in columns.
func aligned(text string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = io.WriteString(w, text) // writing to a Builder does not fail
	_ = w.Flush()
	return b.String()
}

// mergerText is the name of a domain's merger, which it may have elsewhere only.
func mergerText(merger, elsewhere string) string {
	switch {
	case merger != "":
		return nameText(merger)
	case elsewhere != "":
		return "(not opened; " + nameText(elsewhere) + " elsewhere)"
	}
	return "(not opened)"
}
