package engine

import (
	"encoding/binary"
	"fmt"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// AppendIdentity appends what the header of a log says about who signs in it.
func AppendIdentity(dst []byte, o fieldwise.Origin) []byte {
	dst = wire.AppendString(dst, o.Region)
	return binary.BigEndian.AppendUint64(dst, o.Incarnation)
}

// ParseIdentity is the inverse of AppendIdentity.
func ParseIdentity(b []byte) (fieldwise.Origin, error) {
	region, rest, err := wire.String(b)
	if err != nil || len(rest) != 8 {
		return fieldwise.Origin{}, fmt.Errorf("%w: identity of a log", fieldwise.ErrMalformed)
	}
	o := fieldwise.Origin{Region: fieldwise.Region(region), Incarnation: binary.BigEndian.Uint64(rest)}
	return o, o.Region.Validate()
}
