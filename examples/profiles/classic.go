package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/fieldwise/fieldwise"
)

// scene is the classic conflict under one strategy: what everybody reads afterwards, and
// what became of the change that is not there.
type scene struct {
	Strategy string   `json:"strategy"`
	Title    string   `json:"-"`
	Later    string   `json:"later"` // the region whose clock says that its edit was the later one
	Record   record   `json:"record"`
	Lost     []string `json:"lost"`   // the changes that nobody sees
	Report   []string `json:"report"` // what the conflict reports say of them
	Problems []string `json:"problems"`
}

// classicScript is two people who change one profile while their regions are cut off from
// each other, the second one at the later time.
func classicScript(first, second fieldwise.Region) *Script {
	const asha = "asha"
	changes := map[fieldwise.Region]Change{
		us: {Kind: setField, Path: "phone", Value: "222"},
		ap: {Kind: setField, Path: "address", Value: "Mumbai"},
	}
	start := sampleStart
	before := record{"name": "Asha", "phone": "111", "address": "Bangalore"}
	edit := func(in fieldwise.Region, at time.Duration) Edit {
		return Edit{Region: in, Key: asha, Op: replace, Changes: []Change{changes[in]}, Time: start.Add(at)}
	}
	s := &Script{
		Input: "the classic conflict",
		Phases: []Phase{
			{Name: "linked", Start: start, Edits: []Edit{
				{Region: ap, Key: asha, Op: create, To: before, Changes: created(before), Time: start},
			}},
			{Name: "cut off", Start: start, Cut: links, Edits: []Edit{edit(first, 3*time.Second), edit(second, 5*time.Second)}},
		},
		End: start.Add(time.Minute),
	}
	s.number()
	return s
}

// classic plays the classic conflict under each strategy, once with each region's clock
// being the later one.
func classic(ctx context.Context, dir string, sts []strategy) ([]scene, error) {
	var all []scene
	for _, st := range sts {
		for _, order := range [][2]fieldwise.Region{{us, ap}, {ap, us}} {
			later := order[1]
			res, err := runStrategy(ctx, filepath.Join(dir, "classic", string(later)), st, classicScript(order[0], later), listener{})
			if err != nil {
				return nil, err
			}
			sc := scene{Strategy: st.Name, Title: st.Title, Later: string(later), Record: res.final["asha"], Lost: []string{}, Report: []string{}, Problems: res.Problems}
			for _, o := range res.outcomes {
				switch o.Fate {
				case reported:
					sc.Lost = append(sc.Lost, fmt.Sprintf("%s = %v", o.Change.Path, o.Change.Value))
					sc.Report = append(sc.Report, describe(o.Report))
				case lost:
					sc.Lost = append(sc.Lost, fmt.Sprintf("%s = %v", o.Change.Path, o.Change.Value))
					sc.Report = append(sc.Report, "none")
				}
			}
			all = append(all, sc)
		}
	}
	return all, nil
}

// describe says in a few words what a conflict report says.
func describe(c *fieldwise.Conflict) string {
	what := "the record"
	if c.Field != "" {
		what = c.Field
	}
	text := fmt.Sprintf("%s of %s, %s", what, c.Loser.Version.Origin.Region, clockTime(c.Loser.Version))
	if !c.Winner.Version.IsZero() {
		text += fmt.Sprintf(", lost to %s, %s", c.Winner.Version.Origin.Region, clockTime(c.Winner.Version))
	}
	return text + " (" + strings.TrimSpace(c.Policy) + ")"
}

func clockTime(v fieldwise.Version) string { return v.Time.Time().Format(time.TimeOnly) }
