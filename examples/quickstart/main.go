// Two regions change one profile while they are cut off from each other: both changes stay.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/replog"
)

func main() {
	ctx, dir := context.Background(), must(os.MkdirTemp("", "fieldwise"))
	defer os.RemoveAll(dir)
	us := must(replog.Open(ctx, replog.Config{Region: "us-east-1", Dir: dir + "/us"}))
	eu := must(replog.Open(ctx, replog.Config{Region: "eu-west-1", Dir: dir + "/eu"}))
	link := must(replog.Connect(us, eu))
	defer func() { link.Close(); us.Close(); eu.Close() }()

	schema := must(fieldmerge.NewSchema(fieldmerge.Default(fieldmerge.LWW)))
	here, there := must(fieldmerge.Open(us, "profiles", schema)), must(fieldmerge.Open(eu, "profiles", schema))

	asha := map[string]any{"name": "Asha", "phone": "111", "address": "Bangalore"}
	must(0, eu.WaitApplied(ctx, must(here.Create(ctx, "asha", asha))))
	link.Cut() // two regions that cannot reach each other, both taking writes
	must(here.Patch(ctx, "asha", fieldmerge.Patch{Set: map[string]any{"phone": "222"}}))
	must(there.Patch(ctx, "asha", fieldmerge.Patch{Set: map[string]any{"address": "Mumbai"}}))
	link.Heal()
	must(0, us.WaitVector(ctx, eu.Vector()))
	fmt.Println(must(here.Get(ctx, "asha"))) // map[address:Mumbai name:Asha phone:222]
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
