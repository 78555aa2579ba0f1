package fieldmerge

import (
	"errors"
	"fmt"

	"github.com/fieldwise/fieldwise"
)

// ErrField says that a field of a record and its Go type do not fit; the detail is a
// [FieldError].
var ErrField = errors.New("fieldmerge: field and Go type do not fit")

// ErrSibling says that a field has no such value to resolve it to.
var ErrSibling = errors.New("fieldmerge: no such sibling")

// fail completes an error with the domain, what was being done, and the key.
func (d *records) fail(doing, key string, err error) error {
	if err == nil {
		return nil
	}
	var (
		limit   *fieldwise.LimitError
		changed *ChangedError
		field   *FieldError
	)
	switch {
	case errors.As(err, &limit):
		limit.Key = key
	case errors.As(err, &changed):
		changed.Key = key
	case errors.As(err, &field):
		field.Key = key
	}
	return fmt.Errorf("%s: %s %.80q: %w", d.name, doing, key, err)
}

// failAll is fail where no single record is meant.
func (d *records) failAll(doing string, err error) error {
	return fmt.Errorf("%s: %s: %w", d.name, doing, err)
}

func isFieldError(err error) bool { return errors.Is(err, ErrField) }
