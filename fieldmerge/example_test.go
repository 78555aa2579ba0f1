package fieldmerge_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/replog"
)

// Client is a record of the examples.
type Client struct {
	Name  string            `merge:"name,lww"`
	Phone string            `merge:"phone,lww"`
	City  string            `merge:"city,priority"`
	Plan  string            `merge:"plan,custom=plan"`
	Prefs map[string]string `merge:"prefs,each=lww"`
}

// higherPlan resolves concurrent changes of a plan: nobody is downgraded by a conflict.
func higherPlan(siblings []fieldmerge.Sibling[string]) (string, error) {
	rank := map[string]int{"": 0, "free": 1, "silver": 2, "gold": 3}
	best := ""
	for _, s := range siblings {
		r, known := rank[s.Value]
		if !known {
			return "", fmt.Errorf("plan %q has no rank", s.Value)
		}
		if r > rank[best] {
			best = s.Value
		}
	}
	return best, nil
}

func clients(r *replog.Replica) *fieldmerge.Domain[Client] {
	schema := must(fieldmerge.NewSchema[Client](
		fieldmerge.Ranks("us-east-1", "eu-west-1"),
		fieldmerge.Custom("plan", higherPlan),
	))
	return must(fieldmerge.Open(r, "clients", schema))
}

// Two regions change one record while they are cut off from each other. Different fields,
// and different entries of a map, are all kept; of one field each region shows what the
// field's policy says.
func Example() {
	ctx := context.Background()
	eu, us, link, done := twoRegions()
	defer done()
	here, there := clients(eu), clients(us)
	created := must(here.Create(ctx, "asha", Client{Name: "Asha", Phone: "111", City: "Pune", Plan: "free"}))
	okay(us.WaitApplied(ctx, created))

	link.Cut()
	must(here.Update(ctx, "asha", func(c *Client) error {
		c.City, c.Plan, c.Prefs = "Goa", "gold", map[string]string{"theme": "dark"}
		return nil
	}))
	must(there.Update(ctx, "asha", func(c *Client) error {
		c.Phone, c.City, c.Plan, c.Prefs = "222", "Delhi", "silver", map[string]string{"lang": "hi"}
		return nil
	}))
	link.Heal()
	okay(us.WaitVector(ctx, eu.Vector()))
	okay(eu.WaitVector(ctx, us.Vector()))
	fmt.Println(must(here.Get(ctx, "asha")))
	fmt.Println(must(there.Get(ctx, "asha")))
	// Output:
	// {Asha 222 Delhi gold map[lang:hi theme:dark]}
	// {Asha 222 Delhi gold map[lang:hi theme:dark]}
}

// An explanation tells of each field who wrote its value, what it beat, and why.
func ExampleDomain_Explain() {
	eu, us, link, done := twoRegions()
	defer done()
	here, there := clients(eu), clients(us)
	ctx := replog.WithNote(context.Background(), "import")
	okay(us.WaitApplied(ctx, must(here.Create(ctx, "asha", Client{Name: "Asha", Phone: "111"}))))
	link.Cut()
	must(here.Patch(replog.WithNote(ctx, "call 17"), "asha", fieldmerge.Patch{Set: map[string]any{"phone": "222"}}))
	must(there.Patch(replog.WithNote(ctx, "web form"), "asha", fieldmerge.Patch{Set: map[string]any{"phone": "333"}}))
	link.Heal()
	okay(eu.WaitVector(ctx, us.Vector()))

	fmt.Print(must(here.Explain(ctx, "asha")))
	must(here.Resolve(ctx, "asha", "phone", fieldmerge.KeepShown())) // somebody looked at it
	fmt.Println(len(must(here.Siblings(ctx, "asha", "phone"))))
	// Output:
	// clients "asha": live (life 1), 2 fields
	//   name  = "Asha" by eu-west-1 at 2027-01-15T08:00:00.000Z (import) (lww)
	//   phone = "333" by us-east-1 at 2027-01-15T08:00:00.100Z (web form) (lww)
	//           beat "222" by eu-west-1 at 2027-01-15T08:00:00.000Z (call 17): newer by 100ms
	// 1
}

// A form was filled from a record, and comes back after somebody else changed the record.
// The token says what the form showed.
func ExampleDomain_Put() {
	ctx := context.Background()
	eu, _, _, done := twoRegions()
	defer done()
	d := clients(eu)
	must(d.Create(ctx, "asha", Client{Name: "Asha", Phone: "111"}))
	form, token, err := d.Read(ctx, "asha")
	okay(err)
	must(d.Patch(ctx, "asha", fieldmerge.Patch{Set: map[string]any{"phone": "222"}}))

	form.Name = "Asha Rao"
	must(d.Put(ctx, "asha", token, form)) // the form did not change the phone: it stays
	fmt.Println(must(d.Get(ctx, "asha")))

	form.Phone = "333"
	_, err = d.Put(ctx, "asha", token, form)
	var changed *fieldmerge.ChangedError
	if errors.As(err, &changed) {
		for _, f := range changed.Fields {
			fmt.Printf("%s: the form showed %v, now it is %v, wanted %v\n", f.Path, f.Read, f.Now, f.Wanted)
		}
	}
	// Output:
	// {Asha Rao 222   map[]}
	// phone: the form showed 111, now it is 222, wanted 333
}

// Cart has fields to which two regions add at the same time.
type Cart struct {
	Visits crdt.GCounter      `merge:"visits,gcounter"`
	Tags   crdt.ORSet[string] `merge:"tags,orset"`
	Lines  []CartLine         `merge:"lines,list=sku"`
}

type CartLine struct {
	SKU   string `merge:"sku,lww"`
	Count int    `merge:"count,pncounter"`
	Gift  bool   `merge:"gift,lww"`
}

// Counters, sets and lists: what two regions do that cannot reach each other comes together.
func ExampleDomain_Update_counters() {
	ctx := context.Background()
	eu, us, link, done := twoRegions()
	defer done()
	schema := must(fieldmerge.NewSchema[Cart]())
	here, there := must(fieldmerge.Open(eu, "carts", schema)), must(fieldmerge.Open(us, "carts", schema))
	first := Cart{Tags: crdt.NewORSet("new"), Lines: []CartLine{{SKU: "tea", Count: 1}, {SKU: "cup", Count: 2}}}
	okay(us.WaitApplied(ctx, must(here.Create(ctx, "asha", first))))

	link.Cut()
	must(here.Update(ctx, "asha", func(c *Cart) error {
		c.Visits.Inc(1)
		c.Tags.Add("vip")
		c.Lines[0].Count++
		c.Lines = append(c.Lines, CartLine{SKU: "pot", Count: 1})
		return nil
	}))
	must(there.Update(ctx, "asha", func(c *Cart) error {
		c.Visits.Inc(1)
		c.Tags.Remove("new")
		c.Lines[0].Count += 2
		c.Lines[0].Gift = true
		c.Lines = c.Lines[:1] // no cups
		return nil
	}))
	link.Heal()
	okay(eu.WaitVector(ctx, us.Vector()))
	cart := must(here.Get(ctx, "asha"))
	fmt.Println(cart.Visits, cart.Tags, cart.Lines)
	// Output: 2 [vip] [{tea 4 true} {pot 1 false}]
}

// Records whose fields are not known when the program is written.
func ExampleDocuments() {
	ctx := context.Background()
	eu, _, _, done := twoRegions()
	defer done()
	schema := must(fieldmerge.NewDocumentSchema(
		fieldmerge.Default(fieldmerge.LWW),
		fieldmerge.Ranks("us-east-1"),
		fieldmerge.Field("address.**", fieldmerge.Priority),
	))
	profiles := must(fieldmerge.OpenDocuments(eu, "profiles", schema))
	read := map[string]any{"name": "Asha", "address": map[string]any{"city": "Pune"}} // what a form was filled from
	must(profiles.Create(ctx, "asha", read))
	must(profiles.Patch(ctx, "asha", fieldmerge.Patch{Set: map[string]any{"address.street": "1 Main"}}))
	edited := map[string]any{"name": "Asha Rao", "address": map[string]any{"city": "Pune"}}
	must(profiles.Replace(ctx, "asha", read, edited)) // only what differs between the two
	fmt.Println(must(profiles.Get(ctx, "asha")))
	// Output: map[address:map[city:Pune street:1 Main] name:Asha Rao]
}

// twoRegions opens two linked regions whose wall clocks stand still, a tenth of a second
// apart, so that the output is always the same; leave Wall out of a Config for the real time.
func twoRegions() (eu, us *replog.Replica, link *replog.Link, done func()) {
	ctx, dir := context.Background(), must(os.MkdirTemp("", "fieldmerge"))
	open := func(region fieldwise.Region, ms int64) *replog.Replica {
		return must(replog.Open(ctx, replog.Config{
			Region: region, Dir: filepath.Join(dir, string(region)),
			Wall: func() time.Time { return time.UnixMilli(1_800_000_000_000 + ms) },
		}))
	}
	eu, us = open("eu-west-1", 0), open("us-east-1", 100)
	link = must(replog.Connect(eu, us))
	return eu, us, link, func() {
		okay(errors.Join(link.Close(), eu.Close(), us.Close(), os.RemoveAll(dir)))
	}
}

func must[V any](v V, err error) V {
	okay(err)
	return v
}

func okay(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
