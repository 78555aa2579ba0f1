package value

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/fieldwise/fieldwise/internal/wire"
)

// A failure has a text for people and a sentinel for errors.Is.
type failure struct {
	text string
	is   error // may be nil
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.is }

func failf(is error, format string, args ...any) error {
	return &failure{fmt.Sprintf(format, args...), is}
}

// A placed error knows where in a value it happened. The path grows at the front while the error is
// handed up, so that values without errors pay nothing for it.
type placed struct {
	path string // ".Field", "[3]", `["key"]`, in any number
	err  error
}

func (p *placed) Error() string { return p.path + ": " + p.err.Error() }
func (p *placed) Unwrap() error { return p.err }

const maxPath = 64 // bytes of a path that are told

// in says that err happened in the part of a value that step leads to.
func in(step string, err error) error {
	if p, ok := err.(*placed); ok { //nolint:errorlint // in alone wraps, and finds its own at the top
		if p.path = step + p.path; len(p.path) > maxPath { // the outer steps tell more
			p.path = strings.ToValidUTF8(p.path[:maxPath], "") + "..."
		}
		return p
	}
	return &placed{step, err}
}

func index(i int) string    { return "[" + strconv.Itoa(i) + "]" }
func keyed(k string) string { return "[" + strconv.QuoteToASCII(clip(k)) + "]" }

// clip keeps error texts short.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

// explain completes an error with the operation and the Go type of the whole value, which may be nil.
func explain(operation string, t reflect.Type, err error) error {
	name := ""
	if t != nil {
		name = " " + t.String()
	}
	if p, ok := err.(*placed); ok { //nolint:errorlint // see in
		return fmt.Errorf("value: %s%s at %w", operation, name, p)
	}
	return fmt.Errorf("value: %s%s: %w", operation, name, err)
}

func tooDeep() error {
	return failf(wire.ErrDepth, "nested deeper than %d containers: flatten the value, or break its cycle", MaxDepth)
}
