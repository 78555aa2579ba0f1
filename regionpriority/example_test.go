package regionpriority_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/regionpriority"
	"github.com/fieldwise/fieldwise/replog"
)

// Head office in Europe prevails over what a branch wrote without knowing of it, though
// the branch wrote later. What the branch writes next has seen head office's value, and
// replaces it: causality comes before rank.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "priority")
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

	here, err := regionpriority.Open[string](eu, "catalogue", "eu-west-1")
	if err != nil {
		log.Fatal(err)
	}
	there, err := regionpriority.Open[string](us, "catalogue", "eu-west-1")
	if err != nil {
		log.Fatal(err)
	}
	older, err := here.Put(ctx, "espresso", "2.40")
	if err != nil {
		log.Fatal(err)
	}
	newer, err := there.Put(ctx, "espresso", "2.60")
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
	price, err := there.Get(ctx, "espresso")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("concurrent:", price)

	receipt, err := there.Put(ctx, "espresso", "2.80")
	if err != nil {
		log.Fatal(err)
	}
	if err := eu.WaitApplied(ctx, receipt); err != nil {
		log.Fatal(err)
	}
	if price, err = here.Get(ctx, "espresso"); err != nil {
		log.Fatal(err)
	}
	fmt.Println("knowingly: ", price)
	// Output:
	// concurrent: 2.40
	// knowingly:  2.80
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
