package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// progress is a bar on a terminal; on anything else it prints nothing.
type progress struct {
	w           io.Writer // nil if there is no terminal
	done, total int
	shown       string
}

func newProgress(w io.Writer, total int) *progress {
	p := &progress{total: max(total, 1)}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.w = w
		}
	}
	return p
}

// step counts one edit.
func (p *progress) step(doing string) {
	p.done++
	p.draw(doing)
}

func (p *progress) draw(doing string) {
	const width = 40
	if p.w == nil {
		return
	}
	full := min(p.done, p.total) * width / p.total
	bar := fmt.Sprintf("[%s%s] %3d %%  %s", strings.Repeat("=", full), strings.Repeat(" ", width-full), min(p.done, p.total)*100/p.total, doing)
	if bar != p.shown {
		say(p.w, "\r%s\x1b[K", bar)
		p.shown = bar
	}
}

// clear takes the bar away.
func (p *progress) clear() {
	if p.w != nil && p.shown != "" {
		say(p.w, "\r\x1b[K")
		p.shown = ""
	}
}

// say prints for people who watch; if that fails there is nobody to tell.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}
