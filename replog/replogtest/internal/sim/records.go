package sim

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/fieldwise/fieldwise"
)

// Schema is what a history has to know of the records that its clients write: package
// replogtest knows it of any schema of package fieldmerge. Each history has one of its own.
type Schema interface {
	Merger() fieldwise.Merger

	// Open opens the domain in a region that starts.
	Open(h fieldwise.Host, region fieldwise.Region) (Records, error)

	// Tell says what a delta does.
	Tell(delta []byte) string

	// Judge says what is wrong in the end, when all regions hold the same.
	Judge(*End) error
}

// Records is the domain of one region while it runs.
type Records interface {
	// Write writes a record, as luck has it, and says in a word what that is. held is what
	// readers see now, and is not changed; a write under a token returns what held was when
	// the token was read. An error is one that a client does not expect.
	Write(key string, luck uint64, held fieldwise.Vector) (did string, under fieldwise.Vector, err error)

	// Report says what is wrong with a report of a conflict that became durable just now, of
	// a value that the delta of the loser wrote; last says that nothing else happened to the
	// record since.
	Report(c *fieldwise.Conflict, loser []byte, last bool) error
}

// End is how a history ends.
type End struct {
	Writes  []*Written // that are in the log of all regions
	Reports []fieldwise.Conflict
	Regions []Records
	Count   func(what string)
}

// Written is a write that is in the log of all regions.
type Written struct {
	Key     string
	Delta   []byte
	Version fieldwise.Version
	write   *write
}

// Knew reports whether who made x was shown y: by the region of x, or by an earlier read where
// x was made under its token.
func (x *Written) Knew(y *Written) bool { return x.write.knew(y.write) }

// knew reports whether who made a write was shown another. Whether others lost it with a disk
// since the token was read makes no difference.
func (m *write) knew(other *write) bool {
	shown := m.saw
	if m.under != nil {
		shown = m.under
	}
	return m != other && shown[other.receipt.Origin] >= other.receipt.Seq
}

// records is a workload of records of any schema.
type records struct{ schema Schema }

func (s records) merger() fieldwise.Merger { return s.schema.Merger() }

func (s records) open(r *region) (client, error) {
	all, err := s.schema.Open(r, r.name)
	return recordsClient{s.schema, r, all}, err
}

func (s records) draw(rng *rand.Rand, keys, _ int) *write {
	return &write{key: keyNames[rng.IntN(keys)], what: "write", luck: rng.Uint64()}
}

func (s records) report(r *region, c *fieldwise.Conflict, last bool) error {
	m := r.w.byOrigin[c.Loser.Version]
	err := r.client.(recordsClient).records.Report(c, m.delta, last)
	if !r.w.inFork(m) {
		return err
	}
	for _, twin := range r.w.writes { // of two writes with one version, it is about one
		if err != nil && twin != m && twin.receipt.Version() == c.Loser.Version {
			err = r.client.(recordsClient).records.Report(c, twin.delta, last)
		}
	}
	return err
}

func (s records) judge(w *world) {
	end := End{
		Count: func(what string) { w.counts[what]++ },
	}
	for _, r := range w.regions {
		end.Regions = append(end.Regions, r.client.(recordsClient).records)
	}
	for _, m := range w.writes {
		if m.logged {
			end.Writes = append(end.Writes, &Written{Key: m.key, Delta: m.delta, Version: m.receipt.Version(), write: m})
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(w.reports), func(a, b fieldwise.ConflictID) int { return bytes.Compare(a[:], b[:]) }) {
		end.Reports = append(end.Reports, w.reports[id])
	}
	if err := s.schema.Judge(&end); err != nil {
		w.fail("%v", err)
	}
}

// recordsClient writes records of any schema in a region.
type recordsClient struct {
	schema  Schema
	region  *region
	records Records
}

func (c recordsClient) write(m *write) (err error) {
	m.what, m.under, err = c.records.Write(m.key, m.luck, c.region.held.Clone())
	if m.delta != nil {
		m.value = c.schema.Tell(m.delta)
	}
	return err
}
