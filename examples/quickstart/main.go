// Two regions change one profile while they are cut off from each other: both changes stay.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/replog"
)

type Profile struct {
	Name    string `merge:"name,lww"`
	Phone   string `merge:"phone,lww"`
	Address string `merge:"address,priority"` // concurrent changes: us-east-1 prevails
}

func main() {
	ctx, dir := context.Background(), must(os.MkdirTemp("", "fieldwise"))
	defer os.RemoveAll(dir)
	us := must(replog.Open(ctx, replog.Config{Region: "us-east-1", Dir: dir + "/us"}))
	eu := must(replog.Open(ctx, replog.Config{Region: "eu-west-1", Dir: dir + "/eu"}))
	link := must(replog.Connect(us, eu))
	defer func() { link.Close(); us.Close(); eu.Close() }()

	schema := must(fieldmerge.NewSchema[Profile](fieldmerge.Ranks("us-east-1", "eu-west-1")))
	here, there := must(fieldmerge.Open(us, "profiles", schema)), must(fieldmerge.Open(eu, "profiles", schema))

	asha := Profile{Name: "Asha", Phone: "111", Address: "Bangalore"}
	must(0, eu.WaitApplied(ctx, must(here.Create(ctx, "asha", asha))))
	link.Cut() // two regions that cannot reach each other, both taking writes
	must(here.Update(ctx, "asha", func(p *Profile) error { p.Phone = "222"; return nil }))
	must(there.Update(ctx, "asha", func(p *Profile) error { p.Address = "Mumbai"; return nil }))
	link.Heal()
	must(0, us.WaitVector(ctx, eu.Vector()))
	fmt.Println(must(here.Get(ctx, "asha"))) // {Asha 222 Mumbai}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
