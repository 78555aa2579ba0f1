package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/wal"
)

// The exit codes; the package's documentation says more.
const (
	exitWell        = 0
	exitFound       = 1
	exitUsage       = 2
	exitUnreadable  = 3 // or the output could not be written
	exitInterrupted = 130
)

// errFound says that verify has printed what it found.
var errFound = errors.New("damage or differences were found")

// usageError says that the call is wrong, and how to make it right.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func misused(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// closedPipe reports whether the reader of the output went away, as head does.
func closedPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }

func exitCode(err error) int {
	var usage *usageError
	switch {
	case err == nil || closedPipe(err):
		return exitWell
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, errFound) || damaged(err):
		return exitFound
	}
	return exitUnreadable
}

// damaged reports whether an error of reading says that the log is damaged.
func damaged(err error) bool {
	return errors.Is(err, wal.ErrCorrupt) || errors.Is(err, fieldwise.ErrMalformed)
}
