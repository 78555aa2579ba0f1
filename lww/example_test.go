package lww_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/lww"
	"github.com/fieldwise/fieldwise/replog"
)

// Two regions write one record while the link between them is cut. After it heals, both
// show the newer write, and the older one is still among the siblings.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "lww")
	if err != nil {
		log.Fatal(err)
	}
	eu, us := open(ctx, dir, "eu-west-1", 0), open(ctx, dir, "us-east-1", 100)
	defer cleanUp(dir, eu, us)
	link, err := replog.Connect(eu, us)
	if err != nil {
		log.Fatal(err)
	}
	link.Cut()

	here, err := lww.Open[string](eu, "settings")
	if err != nil {
		log.Fatal(err)
	}
	there, err := lww.Open[string](us, "settings")
	if err != nil {
		log.Fatal(err)
	}
	older, err := here.Put(ctx, "theme", "dark")
	if err != nil {
		log.Fatal(err)
	}
	newer, err := there.Put(ctx, "theme", "light")
	if err != nil {
		log.Fatal(err)
	}

	link.Heal()
	if err := us.WaitApplied(ctx, older); err != nil {
		log.Fatal(err)
	}
	if err := eu.WaitApplied(ctx, newer); err != nil {
		log.Fatal(err)
	}
	theme, err := here.Get(ctx, "theme")
	if err != nil {
		log.Fatal(err)
	}
	siblings, err := there.Siblings(ctx, "theme")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(theme)
	for _, s := range siblings {
		fmt.Println(s.Version.Origin.Region, s.Value, s.Shown)
	}
	// Output:
	// light
	// eu-west-1 dark false
	// us-east-1 light true
}

// open opens a region whose wall clock stands still, so that the output is always the
// same; leave Wall out of a Config for the real time.
func open(ctx context.Context, dir string, region fieldwise.Region, ms int64) *replog.Replica {
	r, err := replog.Open(ctx, replog.Config{
		Region: region, Dir: filepath.Join(dir, string(region)),
		Wall: func() time.Time { return time.UnixMilli(1_800_000_000_000 + ms) },
	})
	if err != nil {
		log.Fatal(err)
	}
	return r
}

// cleanUp closes the replicas and removes their directories.
func cleanUp(dir string, replicas ...*replog.Replica) {
	for _, r := range replicas {
		if err := r.Close(); err != nil {
			log.Fatal(err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		log.Fatal(err)
	}
}
