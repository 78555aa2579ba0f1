package replog_test

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

// Two regions take writes to one record while they cannot reach each other. Changes of
// different fields are both kept; of two changes of one field the one with the higher
// version shows, and a report names the other.
func Example() {
	dir, err := os.MkdirTemp("", "replog")
	check(err)
	defer os.RemoveAll(dir)
	ctx := context.Background()

	// Each region opens its log, and the domain under the same strategy. The clocks stand
	// still for the sake of the output; a service leaves Wall out.
	schema, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW))
	check(err)
	open := func(region fieldwise.Region) (*replog.Replica, *fieldmerge.Documents) {
		replica, err := replog.Open(ctx, replog.Config{
			Region: region,
			Dir:    filepath.Join(dir, string(region)),
			Wall:   func() time.Time { return time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC) },
		})
		check(err)
		profiles, err := fieldmerge.OpenDocuments(replica, "profiles", schema)
		check(err)
		return replica, profiles
	}
	eu, euProfiles := open("eu-west-1")
	defer eu.Close()
	us, usProfiles := open("us-east-1")
	defer us.Close()
	link, err := replog.Connect(eu, us)
	check(err)

	// A write returns once it is durable where it was made. Its receipt can be waited
	// for elsewhere.
	receipt, err := euProfiles.Create(ctx, "asha", map[string]any{"name": "Asha", "phone": "111", "city": "Bangalore"})
	check(err)
	check(us.WaitApplied(ctx, receipt))

	// Cut off from each other, both go on.
	link.Cut()
	_, err = euProfiles.Patch(ctx, "asha", fieldmerge.Patch{Set: map[string]any{"phone": "222"}})
	check(err)
	_, err = usProfiles.Patch(ctx, "asha", fieldmerge.Patch{Set: map[string]any{"phone": "333", "city": "Mumbai"}})
	check(err)
	show("eu, cut off:", ctx, euProfiles)
	show("us, cut off:", ctx, usProfiles)

	link.Heal()
	check(eu.WaitVector(ctx, us.Vector()))
	check(us.WaitVector(ctx, eu.Vector()))
	show("eu, healed: ", ctx, euProfiles)
	show("us, healed: ", ctx, usProfiles)

	// Nothing is lost in silence: each region reports what it hides, under the same ID.
	for report, err := range us.Conflicts(ctx, 0) {
		check(err)
		fmt.Printf("report %d: %s of %s/%s: %s of %s is hidden by %s of %s\n",
			report.Position, report.Field, report.Domain, report.Key,
			report.Loser.Value[1:], report.Loser.Version.Origin.Region,
			report.Winner.Value[1:], report.Winner.Version.Origin.Region)
	}

	// Output:
	// eu, cut off: map[city:Bangalore name:Asha phone:222]
	// us, cut off: map[city:Mumbai name:Asha phone:333]
	// eu, healed:  map[city:Mumbai name:Asha phone:333]
	// us, healed:  map[city:Mumbai name:Asha phone:333]
	// report 1: phone of profiles/asha: 222 of eu-west-1 is hidden by 333 of us-east-1
}

func show(label string, ctx context.Context, profiles *fieldmerge.Documents) {
	asha, err := profiles.Get(ctx, "asha")
	check(err)
	fmt.Println(label, asha)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
