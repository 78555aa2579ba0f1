package fieldmerge

import (
	"errors"
	"fmt"

	"github.com/fieldwise/fieldwise"
)

// ErrField says that a field of a record and its Go type do not fit; the detail is a
// [FieldError].
var ErrField = errors.New("fieldmerge: field and Go type do not fit")

// ErrDirection says that a write goes back in a field of max or min, which shows more, or
// less, already.
var ErrDirection = errors.New("fieldmerge: the field goes in one direction")

// ErrSibling says that a field has no such value to resolve it to.
var ErrSibling = errors.New("fieldmerge: no such sibling")

// fail completes an error with the domain, what was being done, and the key.
func (d *records) fail(doing, key string, err error) error {
	if err == nil {
		return nil
	}
	setKey(err, key)
	if limit, ok := err.(*fieldwise.LimitError); ok { //nolint:errorlint // by itself, its text has the key
		return fmt.Errorf("%s: %s: %w", d.name, doing, limit)
	}
	return fmt.Errorf("%s: %s %.80q: %w", d.name, doing, key, err)
}

// What to do about a record that is there, and one that is not.
var (
	errExists = fmt.Errorf("%w; use Update, or Upsert", fieldwise.ErrExists)
	errAbsent = fmt.Errorf("%w; use Create first, or Upsert", fieldwise.ErrNotFound)
)

var errNilHost = errors.New("fieldmerge: the host is nil; pass the replica that replog.Open returns")

// failOpen completes an error of opening a domain.
func failOpen(name string, err error) error {
	return fmt.Errorf("open %.80q: %w", name, err)
}

// setKey tells the errors that have a key which one it is.
func setKey(err error, key string) {
	switch e := err.(type) { //nolint:errorlint // it looks at all that is wrapped
	case *fieldwise.LimitError:
		e.Key = key
	case *ChangedError:
		e.Key = key
	case *FieldError:
		e.Key = key
	}
	switch e := err.(type) { //nolint:errorlint // the same
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			setKey(inner, key)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			setKey(inner, key)
		}
	}
}

// failAll is fail where no single record is meant.
func (d *records) failAll(doing string, err error) error {
	return fmt.Errorf("%s: %s: %w", d.name, doing, err)
}

func isFieldError(err error) bool { return errors.Is(err, ErrField) }
