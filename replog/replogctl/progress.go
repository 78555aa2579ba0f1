package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress shows how far a long reading is. A nil progress shows nothing.
type progress struct {
	to    io.Writer
	now   func() time.Time
	last  time.Time // when something was shown
	shown bool
}

// showEvery is how long a line of progress stands, and how long a command is silent at first.
const showEvery = 200 * time.Millisecond

// newProgress returns nil where nobody would see it.
func newProgress(to io.Writer) *progress {
	f, ok := to.(*os.File)
	if !ok {
		return nil
	}
	if st, err := f.Stat(); err != nil || st.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return &progress{to: f, now: time.Now, last: time.Now()}
}

// at says what is being done, and how much of it.
func (p *progress) at(doing string, done, all int64) {
	if p == nil {
		return
	}
	now := p.now()
	if now.Sub(p.last) < showEvery {
		return
	}
	p.last, p.shown = now, true
	text := doing
	if all > 0 {
		text = fmt.Sprintf("%s: %d%% of %s", doing, 100*done/all, byteText(all))
	}
	_, _ = fmt.Fprintf(p.to, "\r\x1b[K%s", text) // it is not worth an error
}

// clear takes away what is shown.
func (p *progress) clear() {
	if p != nil && p.shown {
		_, _ = io.WriteString(p.to, "\r\x1b[K")
		p.shown = false
	}
}
