package crdt_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/replog"
)

// Two regions write without knowing of each other: both values stay. A third write that
// has seen both takes their place, although its clock is behind.
func ExampleMVRegister() {
	var register crdt.MVRegister
	write := func(state []byte, region fieldwise.Region, at fieldwise.Timestamp, value byte) []byte {
		v := fieldwise.Version{Time: at, Origin: fieldwise.Origin{Region: region, Incarnation: 1}}
		delta, err := register.Set(nil, state, v, []byte{value}) // a byte below 0x80 is a msgpack integer
		if err != nil {
			log.Fatal(err)
		}
		return delta
	}
	join := func(a, b []byte) []byte {
		joined, err := register.Merge(nil, a, b)
		if err != nil {
			log.Fatal(err)
		}
		return joined
	}
	print := func(state []byte) {
		siblings, err := register.Siblings(state)
		if err != nil {
			log.Fatal(err)
		}
		for _, s := range siblings {
			fmt.Println(s.Version.Origin.Region, "wrote", s.Value[0])
		}
	}

	both := join(write(nil, "eu-west-1", 10, 1), write(nil, "us-east-1", 20, 2))
	print(both)
	print(join(both, write(both, "ap-south-1", 5, 3)))
	// Output:
	// eu-west-1 wrote 1
	// us-east-1 wrote 2
	// ap-south-1 wrote 3
}

// The typed face of a domain of registers. Programs call lww.Open or regionpriority.Open
// for one with a policy; without one a record lives as long as any of its values does.
func ExampleOpenRegisters() {
	ctx := context.Background()
	dir, replica := openOne(ctx)
	defer cleanUp(dir, replica)
	type session struct{ User, Device string }
	sessions, err := crdt.OpenRegisters[session](replica, "sessions", nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := sessions.Put(ctx, "s1", session{User: "asha", Device: "phone"}); err != nil {
		log.Fatal(err)
	}
	for record, err := range sessions.All(ctx, "") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(record.Key, record.Value.User, record.Value.Device)
	}
	// Output: s1 asha phone
}

// Two regions count while the link between them is cut, and one of them resets what it knows
// of. After the link heals, what the other counted is all that is left.
func ExampleOpenCounters() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "crdt")
	if err != nil {
		log.Fatal(err)
	}
	var regions []*replog.Replica
	var visits []*crdt.Counters
	for _, name := range []fieldwise.Region{"eu-west-1", "us-east-1"} {
		r, err := replog.Open(ctx, replog.Config{Region: name, Dir: filepath.Join(dir, string(name))})
		if err != nil {
			log.Fatal(err)
		}
		counters, err := crdt.OpenCounters(r, "visits")
		if err != nil {
			log.Fatal(err)
		}
		regions, visits = append(regions, r), append(visits, counters)
	}
	defer cleanUp(dir, regions...)
	link, err := replog.Connect(regions[0], regions[1])
	if err != nil {
		log.Fatal(err)
	}
	link.Cut()
	must := func(_ fieldwise.Receipt, err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	must(visits[0].Inc(ctx, "home", 3))
	must(visits[1].Inc(ctx, "home", 4))
	must(visits[0].Reset(ctx, "home"))
	link.Heal()
	if err := regions[0].WaitVector(ctx, regions[1].Vector()); err != nil {
		log.Fatal(err)
	}
	n, err := visits[0].Get(ctx, "home")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n)
	// Output: 4
}

// A set is there while it has elements.
func ExampleOpenSets() {
	ctx := context.Background()
	dir, replica := openOne(ctx)
	defer cleanUp(dir, replica)
	tags, err := crdt.OpenSets[string](replica, "tags")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := tags.Add(ctx, "asha", "trial", "beta"); err != nil {
		log.Fatal(err)
	}
	if _, err := tags.Add(ctx, "bo", "trial"); err != nil {
		log.Fatal(err)
	}
	for _, user := range []string{"asha", "bo"} {
		if _, err := tags.Remove(ctx, user, "trial"); err != nil {
			log.Fatal(err)
		}
	}
	for record, err := range tags.All(ctx, "") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(record.Key, record.Value)
	}
	_, err = tags.Get(ctx, "bo")
	fmt.Println(err)
	// Output:
	// asha [beta]
	// tags: get "bo": fieldwise: record not found
}

// A closure says what becomes of a list, and the difference is what is written.
func ExampleOpenLists() {
	ctx := context.Background()
	dir, replica := openOne(ctx)
	defer cleanUp(dir, replica)
	queues, err := crdt.OpenLists[string](replica, "queues")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := queues.Append(ctx, "q1", "wash", "dry", "fold"); err != nil {
		log.Fatal(err)
	}
	_, err = queues.Update(ctx, "q1", func(list []string) ([]string, error) {
		return append([]string{"sort"}, list[:2]...), nil
	})
	if err != nil {
		log.Fatal(err)
	}
	list, err := queues.Get(ctx, "q1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(list)
	// Output: [sort wash dry]
}

// A flag that was switched off is off, and one that nobody touched is not there.
func ExampleOpenFlags() {
	ctx := context.Background()
	dir, replica := openOne(ctx)
	defer cleanUp(dir, replica)
	newsletter, err := crdt.OpenFlags(replica, "newsletter")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := newsletter.Enable(ctx, "asha"); err != nil {
		log.Fatal(err)
	}
	if _, err := newsletter.Disable(ctx, "bo"); err != nil {
		log.Fatal(err)
	}
	for _, user := range []string{"asha", "bo", "cy"} {
		on, err := newsletter.Get(ctx, user)
		if errors.Is(err, fieldwise.ErrNotFound) {
			fmt.Println(user, "was not asked")
		} else if err != nil {
			log.Fatal(err)
		} else {
			fmt.Println(user, on)
		}
	}
	// Output:
	// asha true
	// bo false
	// cy was not asked
}

// A high score only goes up.
func ExampleOpenMax() {
	ctx := context.Background()
	dir, replica := openOne(ctx)
	defer cleanUp(dir, replica)
	scores, err := crdt.OpenMax[int](replica, "scores")
	if err != nil {
		log.Fatal(err)
	}
	for _, n := range []int{40, 75, 60} {
		receipt, err := scores.Raise(ctx, "asha", n)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(n, "written:", !receipt.IsZero())
	}
	best, err := scores.Get(ctx, "asha")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(best)
	// Output:
	// 40 written: true
	// 75 written: true
	// 60 written: false
	// 75
}

// A counter remembers what was done to it, and a copy is a counter of its own.
func ExamplePNCounter() {
	stock := crdt.NewPNCounter(10)
	stock.Dec(3)
	planned := stock
	planned.Inc(50)
	fmt.Println(stock, planned, stock.Equal(planned))
	// Output: 7 57 false
}

// A counter is a number in JSON.
func ExampleGCounter() {
	var page struct{ Visits crdt.GCounter }
	if err := json.Unmarshal([]byte(`{"Visits": 41}`), &page); err != nil {
		log.Fatal(err)
	}
	page.Visits.Inc(1)
	text, err := json.Marshal(page)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
	page.Visits.Reset()
	fmt.Println(page.Visits.Value())
	// Output:
	// {"Visits":42}
	// 0
}

// A set is usable without a constructor, is read in order, and a copy is a set of its own.
func ExampleORSet() {
	var tags crdt.ORSet[string]
	tags.Add("trial", "eu", "beta")
	before := tags
	tags.Remove("trial")
	for tag := range tags.All() {
		fmt.Println(tag)
	}
	fmt.Println(before, before.Has("trial"), tags.Has("trial"))
	// Output:
	// beta
	// eu
	// [beta eu trial] true false
}

// What was once in a set that only grows stays in it.
func ExampleGSet() {
	type badge struct{ Name, Level string }
	badges := crdt.NewGSet(badge{"diver", "silver"})
	badges.Add(badge{"diver", "gold"}, badge{"diver", "silver"})
	fmt.Println(badges.Len(), badges)
	// Output: 2 [{diver gold} {diver silver}]
}

// Enabling a flag that is on already counts: a concurrent Disable elsewhere loses against it.
func ExampleEWFlag() {
	newsletter := crdt.NewEWFlag(true)
	newsletter.Enable()
	fmt.Println(newsletter.On())
	newsletter.Disable()
	fmt.Println(newsletter)
	// Output:
	// true
	// false
}

// openOne opens a region in a directory of its own.
func openOne(ctx context.Context) (dir string, _ *replog.Replica) {
	dir, err := os.MkdirTemp("", "crdt")
	if err != nil {
		log.Fatal(err)
	}
	replica, err := replog.Open(ctx, replog.Config{Region: "eu-west-1", Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	return dir, replica
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
