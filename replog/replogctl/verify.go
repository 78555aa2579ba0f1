package main

import (
	"context"
	"flag"
	"os"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/wal"
)

var verifyCommand = command{
	name: "verify", args: "DIR...", what: "check logs, and compare those of one cluster",
	text: `
Reads all of the logs of the replicas whose data directories are given, and checks that frames are
whole, that what is in them can be read, that no origin has a gap, and, where a domain's merger is
one of this module, that each change is a state of it and all of them can be joined.

Several directories are taken for those of one cluster: what they hold of an origin has to be the
same entries, as far as both have them, and where two hold the same entries of all origins, their
states have to be equal. A difference is told with the first entry or with the keys that differ.
That a directory holds fewer entries than another is no fault.

The digest of a domain is that of Replica.Digest: equal where equal entries are held, so that
directories on different machines can be compared by eye. For digests the states of one domain at a
time are held in memory, of two directories where they differ; --no-states does without.

A log that began with a snapshot of another region's states lacks the entries that it stands for:
origins that these are of are not compared, nor are its states.

Exit code 1 says that something was found. A torn end is no fault: a crash leaves one, of writes that
were not acknowledged. Damage to the last batch of a log looks the same; no log can tell the two.

  replogctl verify /var/lib/app/data
  replogctl verify /backup/us-east-1 /backup/eu-west-1 /backup/ap-south-1`,
	prepare: func(flags *flag.FlagSet) func(context.Context, *terminal, []string) error {
		v := verifier{samples: 4096}
		asJSON := flags.Bool("json", false, "print one JSON object")
		noStates := flags.Bool("no-states", false, "neither join nor compare states")
		return func(ctx context.Context, t *terminal, dirs []string) error {
			if err := distinct(dirs); err != nil {
				return err
			}
			v.noStates = *noStates
			return v.run(ctx, t, dirs, *asJSON)
		}
	},
}

// verdict is what verify prints.
type verdict struct {
	Well        bool        `json:"well"`
	Directories []*checked  `json:"directories"`
	Equal       []agreement `json:"equal,omitempty"` // what was compared and found equal
	Findings    []finding   `json:"findings"`
	More        int         `json:"more,omitempty"` // findings that are not listed
}

// agreement says that directories have the same entries of an origin, as far as they go, or equal
// states of a domain.
type agreement struct {
	Origin      *fieldwise.Origin `json:"origin,omitempty"`
	Domain      string            `json:"domain,omitempty"`
	Directories []string          `json:"directories"`
}

// finding is something that is wrong.
type finding struct {
	Directory string            `json:"directory"`
	Kind      string            `json:"kind"` // "corrupt", "unreadable part", "gap", "identity", "merger", "change", "forked", "states"
	Position  wal.Position      `json:"position,omitempty"`
	Origin    *fieldwise.Origin `json:"origin,omitempty"`
	Seq       fieldwise.Seq     `json:"seq,omitempty"`
	Domain    string            `json:"domain,omitempty"`
	Key       string            `json:"key,omitempty"`
	Problem   string            `json:"problem"`
}

// maxFindings is how many findings are listed.
const maxFindings = 100

// verifier checks and compares directories.
type verifier struct {
	verdict
	noStates bool
	samples  fieldwise.Seq // how many chains a pass compares that looks for the first difference
}

func (v *verifier) found(f finding) {
	if len(v.Findings) < maxFindings {
		v.Findings = append(v.Findings, f)
	} else {
		v.More++
	}
}

func (v *verifier) run(ctx context.Context, t *terminal, dirs []string, asJSON bool) error {
	v.Findings = []finding{}
	for _, dir := range dirs {
		c, err := v.open(ctx, t, dir)
		if err != nil {
			return err
		}
		if c.source == nil {
			continue
		}
		defer c.source.close()
		if err := v.check(ctx, c); err != nil {
			return err
		}
	}
	if err := v.compare(ctx); err != nil {
		return err
	}
	if !v.noStates {
		if err := v.states(ctx); err != nil {
			return err
		}
	}
	v.Well = len(v.Findings) == 0
	t.progress.clear()
	if err := t.print(&v.verdict, asJSON); err != nil {
		return err
	}
	if !v.Well {
		return errFound
	}
	return nil
}

// open opens a directory. Where the log is damaged, that is a finding, and there is no source.
func (v *verifier) open(ctx context.Context, t *terminal, dir string) (*checked, error) {
	s, err := openSource(ctx, t, dir)
	c := newChecked(dir, s)
	if err != nil {
		if !damaged(err) {
			return nil, err
		}
		v.found(finding{Directory: dir, Kind: "corrupt", Problem: err.Error()})
	}
	v.Directories = append(v.Directories, c)
	return c, nil
}

// distinct says what is wrong with a list of directories.
func distinct(dirs []string) error {
	if len(dirs) == 0 {
		return misused("verify takes one or several directories, each the data directory of a replica; see 'replogctl help verify'")
	}
	var infos []os.FileInfo
	for i, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil {
			return checkDir(dir)
		}
		for j, other := range infos {
			if os.SameFile(info, other) {
				return misused("verify: %s and %s are one directory; name each once", dirs[j], dirs[i])
			}
		}
		infos = append(infos, info)
	}
	return nil
}
