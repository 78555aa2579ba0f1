package replog

import (
	"reflect"
	"runtime"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

// change is what a write does: see fieldwise.Store.
type change = func(dst, state []byte, open fieldwise.Opened, at fieldwise.Version) ([]byte, error)

// call calls a change. Its frame on the stack is how a write that the change asks for
// recognises that it would wait for itself.
//
//go:noinline
func call(c change, state engine.State, at fieldwise.Version) ([]byte, error) {
	return c(nil, state.Bytes, state.Open, at)
}

var callEntry = reflect.ValueOf(call).Pointer()

// maxFrames is how far up the stack insideChange looks.
const maxFrames = 64

// insideChange reports whether the caller was called by a change, of this replica or
// another. A Store's change has no context or other argument that could carry a mark to the
// write it asks for, so the stack is asked. It does not see a change that starts another
// goroutine and waits for a write there, nor one that is more than maxFrames above; and
// what is deferred and runs while a change panics is still within it.
func insideChange() bool {
	var pcs [maxFrames]uintptr
	for _, pc := range pcs[:runtime.Callers(2, pcs[:])] {
		if f := runtime.FuncForPC(pc - 1); f != nil && f.Entry() == callEntry {
			return true
		}
	}
	return false
}
