package fieldwise

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// MaxRegionLen is the length in bytes of the longest region name.
const MaxRegionLen = 63

// Region is the stable name of a place that takes writes, such as "eu-west-1":
// 1 to 63 bytes of a-z, 0-9 and '-'. It is compared byte by byte and is never used
// as a file name. The zero value is not a valid region.
type Region string

// Validate says what is wrong with the name, or returns nil.
func (r Region) Validate() error {
	if r == "" {
		return fmt.Errorf("%w: empty; name the place that takes the writes, such as \"eu-west-1\"", ErrRegion)
	}
	if len(r) > MaxRegionLen {
		return fmt.Errorf("%w: %.20q... has %d bytes, at most %d are allowed", ErrRegion, r.copy(), len(r), MaxRegionLen)
	}
	for i := range len(r) {
		if c := r[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("%w: %q has %q at byte %d; only a-z, 0-9 and '-' are allowed", ErrRegion, r.copy(), c, i)
		}
	}
	return nil
}

// copy keeps the name out of an error's reach, so that checking one that was just
// converted from bytes, as every state's check does, allocates nothing.
func (r Region) copy() string { return strings.Clone(string(r)) }

// Origin is the identity that signs writes: a region and one unbroken life of its
// data directory. A region that starts over with an empty or restored directory
// signs under a fresh incarnation, so that two lives never sign the same thing.
type Origin struct {
	Region      Region
	Incarnation uint64
}

// IsZero reports whether o is the zero Origin, which signs nothing.
func (o Origin) IsZero() bool { return o == Origin{} }

// Compare orders origins by region bytes, then by incarnation.
func (o Origin) Compare(p Origin) int {
	if c := cmp.Compare(o.Region, p.Region); c != 0 {
		return c
	}
	return cmp.Compare(o.Incarnation, p.Incarnation)
}

// String is the region, '#' and the incarnation in hexadecimal.
func (o Origin) String() string {
	return string(o.Region) + "#" + strconv.FormatUint(o.Incarnation, 16)
}
