package fieldmerge

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// ErrToken says that a token is malformed, or that none was given where one is needed.
var ErrToken = errors.New("fieldmerge: invalid token")

// ErrChanged says that a record changed since a token was made; the detail is a
// [ChangedError].
var ErrChanged = errors.New("fieldmerge: the record has changed since it was read; read it again")

// Token says what a reader was shown of a record, so that a later write can be made on
// just that: an ETag. It stays good for as long as the record lives, in the region that
// made it and in any other. It is a value of text form ([Token.String], [ParseToken]) and
// carries the names of the record's fields and their values, those of more than 32 bytes as
// a hash: about 30 bytes a field. It is neither secret nor signed; somebody who makes
// one up can at most overwrite what they have not read. The zero Token says nothing and is
// refused.
type Token struct {
	life   uint64
	seen   map[fieldwise.Origin]fieldwise.Timestamp // the highest of each origin's in the record
	values map[string]cell                          // by path; without val: too large
}

const (
	tokenFormat = 1
	maxInline   = 32 // bytes of a value that a token carries
	hashLen     = 16
)

// newToken is the token of a reader who was shown the cells.
func newToken(rec record, values map[string]cell) (Token, error) {
	t, fields, err := rec.fields()
	if err != nil {
		return Token{}, err
	}
	seen, err := lattice.Context(t, fields)
	if err != nil {
		return Token{}, err
	}
	for path, c := range values {
		if len(c.val) > maxInline || wire.KindOf(c.val) == wire.KindBin { // a bin in a token is a hash
			c = cell{hash: c.digest()}
		}
		values[path] = cell{val: slices.Clone(c.val), hash: c.hash}
	}
	return Token{life: rec.life, seen: seen, values: values}, nil
}

// IsZero reports whether t is the zero Token.
func (t Token) IsZero() bool { return t.life == 0 }

// String is the token as text of A-Z, a-z, 0-9, '-' and '_'; empty for the zero Token.
func (t Token) String() string {
	if t.IsZero() {
		return ""
	}
	origins := slices.SortedFunc(maps.Keys(t.seen), fieldwise.Origin.Compare)
	b := wire.AppendUint([]byte{tokenFormat}, t.life)
	b = lattice.AppendTable(b, origins)
	for _, o := range origins {
		b = binary.BigEndian.AppendUint64(b, uint64(t.seen[o]))
	}
	for _, path := range slices.Sorted(maps.Keys(t.values)) {
		c := t.values[path]
		b = wire.AppendString(b, path)
		if c.hash != nil {
			b = wire.AppendBin(b, c.hash)
		} else {
			b = append(b, c.val...)
		}
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseToken is the inverse of [Token.String]. Text in another form gives ErrToken.
func ParseToken(text string) (Token, error) {
	if text == "" {
		return Token{}, fmt.Errorf("%w: it is empty; use one that Read returned", ErrToken)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err == nil && base64.RawURLEncoding.EncodedLen(len(b)) != len(text) {
		err = errors.New("line breaks in it") // which the decoder passes over
	}
	if err != nil {
		return Token{}, fmt.Errorf("%w: %.20q is not what Token.String returns: %w", ErrToken, text, err)
	}
	t, err := parseToken(b)
	if err != nil {
		return Token{}, fmt.Errorf("%w: cut short, or of another release: %w", ErrToken, err)
	}
	return t, nil
}

func parseToken(b []byte) (Token, error) {
	if len(b) == 0 || b[0] != tokenFormat {
		return Token{}, errors.New("unknown format")
	}
	life, b, err := wire.Uint(b[1:])
	if err != nil || life == 0 || life > maxLife || life%2 == 0 {
		return Token{}, errors.New("life of the record")
	}
	content, b, err := wire.Bin(b)
	if err != nil {
		return Token{}, fmt.Errorf("origins: %w", err)
	}
	table := lattice.Table(content)
	n, err := table.Check()
	if err != nil {
		return Token{}, err
	}
	if len(b) < 8*n {
		return Token{}, errors.New("ends early")
	}
	t := Token{life: life, seen: make(map[fieldwise.Origin]fieldwise.Timestamp, n), values: make(map[string]cell)}
	for i, o := range table.Origins() {
		t.seen[o] = fieldwise.Timestamp(binary.BigEndian.Uint64(b[8*i:]))
	}
	last := ""
	for b = b[8*n:]; len(b) > 0; {
		name, rest, err := wire.String(b)
		if err != nil {
			return Token{}, fmt.Errorf("name of a field: %w", err)
		}
		path := string(name)
		if len(t.values) > 0 && path <= last {
			return Token{}, errors.New("fields are not sorted")
		}
		last = path
		n, err := wire.Skip(rest)
		if err == nil {
			err = wire.Check(rest[:n], lattice.MaxDepth)
		}
		if err != nil {
			return Token{}, fmt.Errorf("field %q: %w", path, err)
		}
		val := rest[:n]
		if hash, after, err := wire.Bin(val); err == nil && len(hash) == hashLen && len(after) == 0 {
			t.values[path] = cell{hash: hash}
		} else if n > maxInline {
			return Token{}, fmt.Errorf("field %q: a value of %d bytes", path, n)
		} else {
			t.values[path] = cell{val: val}
		}
		b = rest[n:]
	}
	return t, nil
}

// MarshalText implements encoding.TextMarshaler.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; empty text is the zero Token.
func (t *Token) UnmarshalText(text []byte) (err error) {
	if *t = (Token{}); len(text) > 0 {
		*t, err = ParseToken(string(text))
	}
	return err
}

// missed reports whether the region, or any for "", wrote the field since the token was
// made.
func (t *Token) missed(table lattice.Table, k lattice.Kind, body []byte, region fieldwise.Region) bool {
	origins := table.Origins()
	return !k.Times(body, func(i int, time fieldwise.Timestamp) bool {
		return i < len(origins) && (region != "" && origins[i].Region != region || time <= t.seen[origins[i]])
	})
}

// ahead reports whether the token's reader knew of writes that a record lacks yet.
func (t *Token) ahead(table lattice.Table, fields []byte) (bool, error) {
	known, err := lattice.Context(table, fields)
	for o, time := range t.seen {
		if time > known[o] {
			return true, err
		}
	}
	return false, err
}

// image is what the token says the reader was shown, by the places of a plan. Another
// release may have made the token: what the plan does not know is left out, and what it
// stores elsewhere by now is found where it was.
func (t *Token) image(p *plan) *image {
	img := &image{slots: make([]cell, len(p.places))}
	for path, c := range t.values {
		at, err := p.find(path)
		switch g, _ := at.node.(*group); {
		case err != nil:
			if l := at.formerly(path); l != nil && !t.has(l.path(at.prefix)) {
				img.set(&l.place, at.prefix, c)
			}
		case at.member == nil:
			img.set(at.node.at(), at.prefix, c)
		case !t.has(g.path(at.prefix)):
			img.set(&g.place, at.prefix, g.gather(t, at.prefix))
		}
	}
	return img
}

// sawAll is what the token says was shown at the paths of changes.
func (t *Token) sawAll(c changes) map[string]cell {
	all := make(map[string]cell, len(c))
	for path := range c {
		all[path] = t.values[path]
	}
	return all
}

func (t *Token) has(path string) bool { _, ok := t.values[path]; return ok }

// values are the cells of an image that hold a value, by path.
func (img *image) values(p *plan) map[string]cell {
	all := make(map[string]cell, len(img.slots)+len(img.entries))
	for path, c := range img.entries {
		if c.val != nil { // else a CRDT value of which nothing is stored
			all[path] = c
		}
	}
	for i, c := range img.slots {
		if c.val != nil {
			all[p.places[i].rel] = c
		}
	}
	return all
}

// ChangedError says that fields which a write under a token would change were changed in
// this region since, or that the record was deleted and created again. Nothing was
// written. It matches [ErrChanged].
type ChangedError struct {
	Key       string
	Recreated bool // the record that the token tells of is gone; Fields is then empty

	// Fields are by path. They are empty, too, where a delete does not know that this region
	// created the record as well, without fields.
	Fields []ChangedField
}

// ChangedField is one field of a ChangedError, its values in the field's Go type or, in
// JSON-shaped records, as a document has them; nil where the field was or is unset.
type ChangedField struct {
	Path   string
	Read   any  // what the token's reader was shown
	Hashed bool // Read is not known: the value was too large for the token
	Now    any  // what is shown now
	Wanted any  // what the write would have made of it
}

func (e *ChangedError) Error() string {
	if e.Recreated {
		return fmt.Sprintf("%v: it was deleted and created again", ErrChanged)
	}
	if len(e.Fields) == 0 {
		return fmt.Sprintf("%v: it was created here, too, without fields", ErrChanged)
	}
	var paths []string
	for _, f := range e.Fields {
		read := valueText(f.Read, f.Read == nil)
		if f.Hashed {
			read = "(a large value)"
		}
		paths = append(paths, fmt.Sprintf("%.80s: read %s, is now %s, wanted %s", f.Path, read, valueText(f.Now, f.Now == nil), valueText(f.Wanted, f.Wanted == nil)))
	}
	return fmt.Sprintf("%v: %s", ErrChanged, strings.Join(paths, "; "))
}

// Is reports whether target is [ErrChanged].
func (e *ChangedError) Is(target error) bool { return target == ErrChanged }

// changedError tells what of the paths that a write changes the token, the record and the
// write say.
func (r *rules) changedError(rec record, paths []string, u update) error {
	v, err := r.view(rec)
	if err != nil {
		return err
	}
	decode := func(path string, val []byte) any {
		if val == nil {
			return nil
		}
		return u.decode(path, val)
	}
	e := &ChangedError{}
	for _, path := range paths {
		read := u.token.values[path]
		f := ChangedField{Path: path, Read: decode(path, read.val), Hashed: read.hash != nil, Wanted: decode(path, u.changes[path])}
		if now := v.find(path); now != nil {
			f.Now = decode(path, now.found().val)
		}
		e.Fields = append(e.Fields, f)
	}
	return e
}
