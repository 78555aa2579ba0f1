package fieldwise

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrText says that a text is not one that this package writes.
var ErrText = errors.New("fieldwise: malformed text")

func malformed(what, text string) error {
	return fmt.Errorf("%w: %.100q is no %s", ErrText, text, what)
}

// ParseOrigin is the inverse of [Origin.String]. Text in another form gives ErrText.
func ParseOrigin(text string) (Origin, error) {
	region, incarnation, _ := strings.Cut(text, "#")
	n, err := strconv.ParseUint(incarnation, 16, 64)
	o := Origin{Region: Region(region), Incarnation: n}
	if err != nil || o.Region.Validate() != nil || o.String() != text {
		return Origin{}, malformed("origin", text)
	}
	return o, nil
}

// ParseTimestamp is the inverse of [Timestamp.String] up to the year 9999. Text in another
// form gives ErrText.
func ParseTimestamp(text string) (Timestamp, error) {
	at := strings.LastIndexByte(text, '+')
	if at < 0 {
		return 0, malformed("timestamp", text)
	}
	wall, err := time.Parse(timestampLayout, text[:at])
	counter, errCounter := strconv.ParseUint(text[at+1:], 10, counterBits)
	t := NewTimestamp(wall) | Timestamp(counter)
	if err != nil || errCounter != nil || t.String() != text {
		return 0, malformed("timestamp", text)
	}
	return t, nil
}

// ParseVersion is the inverse of [Version.String]. Text in another form gives ErrText.
func ParseVersion(text string) (Version, error) {
	at, origin, _ := strings.Cut(text, "@")
	t, err := ParseTimestamp(at)
	o, errOrigin := ParseOrigin(origin)
	if err != nil || errOrigin != nil {
		return Version{}, malformed("version", text)
	}
	return Version{Time: t, Origin: o}, nil
}

// ParseReceipt is the inverse of [Receipt.String]; empty text is the zero Receipt. Text in
// another form gives ErrText.
func ParseReceipt(text string) (Receipt, error) {
	if text == "" {
		return Receipt{}, nil
	}
	version, seq, _ := strings.Cut(text, "/")
	v, err := ParseVersion(version)
	n, errSeq := strconv.ParseUint(seq, 10, 64)
	r := Receipt{Origin: v.Origin, Seq: Seq(n), Time: v.Time}
	if err != nil || errSeq != nil || n == 0 || r.String() != text {
		return Receipt{}, malformed("receipt", text)
	}
	return r, nil
}

// MarshalText implements encoding.TextMarshaler.
func (o Origin) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Origin) UnmarshalText(text []byte) (err error) {
	*o, err = ParseOrigin(string(text))
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Version) UnmarshalText(text []byte) (err error) {
	*v, err = ParseVersion(string(text))
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (r Receipt) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Receipt) UnmarshalText(text []byte) (err error) {
	*r, err = ParseReceipt(string(text))
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (id ConflictID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }
