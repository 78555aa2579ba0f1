package fieldmerge

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldwise/fieldwise"
)

// fingerprint collects what a schema's fingerprint is computed from: lines that depend on
// nothing but the schema, so that every process and release comes to the same one.
type fingerprint struct {
	head  string
	lines []string
}

func newFingerprint(kind string, ranks []fieldwise.Region) *fingerprint {
	parts := []string{kind}
	for _, r := range ranks {
		parts = append(parts, string(r))
	}
	return &fingerprint{head: line(parts)}
}

func (f *fingerprint) add(parts ...string) { f.lines = append(f.lines, line(parts)) }

func line(parts []string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(strconv.Quote(p))
	}
	return b.String()
}

// sum is the first half of a SHA-256 in hexadecimal. The order of the lines does not count;
// patterns, the order of which does, have their rank in theirs.
func (f *fingerprint) sum() string {
	slices.Sort(f.lines)
	sum := sha256.Sum256([]byte(f.head + "\n" + strings.Join(f.lines, "\n")))
	return hex.EncodeToString(sum[:16])
}
