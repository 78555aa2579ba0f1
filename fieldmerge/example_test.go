package fieldmerge_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/replog"
)

// Two regions change different fields of one record while the link between them is cut.
// After it heals, both changes are there, in both regions.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "fieldmerge")
	if err != nil {
		log.Fatal(err)
	}
	eu, us := open(ctx, dir, "eu-west-1", 0), open(ctx, dir, "us-east-1", 100)
	defer cleanUp(dir, eu, us)
	link, err := replog.Connect(eu, us)
	if err != nil {
		log.Fatal(err)
	}
	schema, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW))
	if err != nil {
		log.Fatal(err)
	}
	here, err := fieldmerge.OpenDocuments(eu, "profiles", schema)
	if err != nil {
		log.Fatal(err)
	}
	there, err := fieldmerge.OpenDocuments(us, "profiles", schema)
	if err != nil {
		log.Fatal(err)
	}
	created, err := here.Create(ctx, "asha", map[string]any{"name": "Asha", "phone": "111", "address": "Bangalore"})
	if err != nil {
		log.Fatal(err)
	}
	if err := us.WaitApplied(ctx, created); err != nil {
		log.Fatal(err)
	}

	link.Cut()
	phone, err := here.Update(ctx, "asha", func(p map[string]any) error { p["phone"] = "222"; return nil })
	if err != nil {
		log.Fatal(err)
	}
	address, err := there.Update(ctx, "asha", func(p map[string]any) error { p["address"] = "Mumbai"; return nil })
	if err != nil {
		log.Fatal(err)
	}
	link.Heal()
	if err := us.WaitApplied(ctx, phone); err != nil {
		log.Fatal(err)
	}
	if err := eu.WaitApplied(ctx, address); err != nil {
		log.Fatal(err)
	}
	for _, profiles := range []*fieldmerge.Documents{here, there} {
		asha, err := profiles.Get(ctx, "asha")
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(asha)
	}
	// Output:
	// map[address:Mumbai name:Asha phone:222]
	// map[address:Mumbai name:Asha phone:222]
}

// A new version of a record is written against the version that it was made from: what
// others changed since then stays.
func ExampleDocuments_Replace() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "fieldmerge")
	if err != nil {
		log.Fatal(err)
	}
	eu := open(ctx, dir, "eu-west-1", 0)
	defer cleanUp(dir, eu)
	schema, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW))
	if err != nil {
		log.Fatal(err)
	}
	profiles, err := fieldmerge.OpenDocuments(eu, "profiles", schema)
	if err != nil {
		log.Fatal(err)
	}
	read := map[string]any{"name": "Asha", "phone": "111"} // what a form was filled from
	if _, err := profiles.Create(ctx, "asha", read); err != nil {
		log.Fatal(err)
	}
	// Meanwhile somebody changes the phone.
	if _, err := profiles.Patch(ctx, "asha", fieldmerge.Patch{Set: map[string]any{"phone": "222"}}); err != nil {
		log.Fatal(err)
	}
	edited := map[string]any{"name": "Asha Rao", "phone": "111"}
	if _, err := profiles.Replace(ctx, "asha", read, edited); err != nil {
		log.Fatal(err)
	}
	asha, err := profiles.Get(ctx, "asha")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(asha)
	// Output: map[name:Asha Rao phone:222]
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
