package replog

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/disk"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

// DefaultMaxRecord is the number of bytes that the state of a record may have.
const DefaultMaxRecord = 1 << 20

// DefaultMaxOpen is the number of bytes of states that a replica keeps open.
const DefaultMaxOpen = 16 << 20

// DefaultRelayAfter is how long an entry is waited for before another region is asked for it.
const DefaultRelayAfter = engine.DefaultRelayAfter

// Config is what a replica needs to know. Zero fields mean the defaults that stand
// beside them; Region and Dir have none.
type Config struct {
	// Region is the name of the region that this replica takes writes in. A data
	// directory belongs to one region for good.
	Region fieldwise.Region

	// Dir is the data directory. It is created if needed, and one process at a time
	// can have it open.
	Dir string

	// Members are the regions that take part. If they are named, a replica that goes on
	// with an existing directory signs no write until each of them has confirmed that the
	// directory has all of this region's writes; see "Restored directories" in the package's
	// documentation. The zero value asks nobody: the directory is trusted, so that one that
	// is restored or copied signs what others have already.
	Members Members

	// IdentityWait is how long the first write waits for that. Then a fresh incarnation of
	// the region begins. Zero means DefaultIdentityWait; a negative value lets the first
	// write begin one at once, unless the confirmation was there before it.
	IdentityWait time.Duration

	// Wall is the wall clock, for tests and simulations; nil means time.Now. It is
	// called from several goroutines.
	Wall func() time.Time

	// MaxSkew is how far ahead of the wall clock a timestamp from another region may
	// be before it raises an alarm and no longer moves the clock of this one. Zero
	// means fieldwise.DefaultMaxSkew.
	MaxSkew time.Duration

	// MaxRecord bounds the bytes of a record's state where a write is made. Zero
	// means DefaultMaxRecord.
	MaxRecord int

	// MaxOpen bounds the records that are kept open (see fieldwise.Opener), by the bytes of
	// their states; in memory they take some ten times that. Those that were written longest
	// ago are closed: the next write of one costs the size of the record. One is kept open
	// however large it is. Zero means DefaultMaxOpen.
	MaxOpen int

	// RelayAfter is how long an entry that another region has is expected from the region
	// that wrote it, while that is linked to this one and sends nothing: then the other is
	// asked for it. Entries of regions that are not linked to this one are asked for at once.
	// Zero means DefaultRelayAfter.
	RelayAfter time.Duration

	// Bootstrap lets a replica that has nothing of other regions yet, such as one on an empty
	// directory, take a snapshot of the states of the first peer that has something, instead of
	// every entry that there ever was. The log of the replica then lacks those entries: see
	// "Snapshots" in the package's documentation. It may stay set; it changes nothing later.
	Bootstrap bool

	// Logger gets what an operator should know; nil is silent. Its level is never
	// changed.
	Logger hclog.Logger

	fs disk.FS // for tests; nil means the operating system's
}

// Validate returns all that is wrong with the configuration, or nil.
func (c Config) Validate() error {
	var problems []error
	if err := c.Region.Validate(); err != nil {
		problems = append(problems, fmt.Errorf("replog: Config.Region: %w", err))
	}
	if c.Dir == "" {
		problems = append(problems, errors.New("replog: Config.Dir is empty; name the directory that keeps the log"))
	}
	problems = append(problems, c.Members.problems(c.Region)...)
	if c.MaxSkew < 0 {
		problems = append(problems, fmt.Errorf("replog: Config.MaxSkew is %v; it cannot be negative", c.MaxSkew))
	}
	if c.MaxRecord < 0 || c.MaxRecord > maxMaxRecord {
		problems = append(problems, fmt.Errorf("replog: Config.MaxRecord is %d; use 1 to %d bytes, or 0 for the default", c.MaxRecord, maxMaxRecord))
	}
	if c.MaxOpen < 0 {
		problems = append(problems, fmt.Errorf("replog: Config.MaxOpen is %d; it cannot be negative", c.MaxOpen))
	}
	if c.RelayAfter < 0 {
		problems = append(problems, fmt.Errorf("replog: Config.RelayAfter is %v; it cannot be negative", c.RelayAfter))
	}
	return errors.Join(problems...)
}

// maxMaxRecord keeps a record's state within what an entry can carry.
const maxMaxRecord = 2 << 20

func (c Config) withDefaults() Config {
	if c.IdentityWait == 0 {
		c.IdentityWait = DefaultIdentityWait
	}
	if c.Wall == nil {
		c.Wall = time.Now
	}
	if c.MaxRecord == 0 {
		c.MaxRecord = DefaultMaxRecord
	}
	if c.MaxOpen == 0 {
		c.MaxOpen = DefaultMaxOpen
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	return c
}
