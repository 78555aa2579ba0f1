package main

import (
	"slices"
	"time"

	"github.com/fieldwise/fieldwise"
)

// The three regions of every script.
const (
	us fieldwise.Region = "us-east-1"
	eu fieldwise.Region = "eu-west-1"
	ap fieldwise.Region = "ap-south-1"
)

var regions = []fieldwise.Region{us, eu, ap}

// Script is what happens to the profiles, whatever the strategy: edits in phases. All
// regions are linked between two phases, and everything has arrived everywhere before
// the next one begins.
type Script struct {
	Input  string // what the script was made from, for people
	Hash   string // of that input: logs are only continued under the same one
	Phases []Phase
	End    time.Time                          // when the last phase is over
	Skew   map[fieldwise.Region]time.Duration // how far the clock of a region is off
}

// Phase is a stretch of time in which some links are cut.
type Phase struct {
	Name  string
	Start time.Time
	Cut   []link
	Edits []Edit // in the order in which they are made
}

// Edit is one thing that somebody does to one profile in one region.
type Edit struct {
	N      int // numbers the edits of a script from 1; the logs name the edit by it
	Region fieldwise.Region
	Key    string
	Op     op
	// From and To are the record before and afterwards. A replacement without From is
	// made from what the region shows at that moment, with the changes applied to it.
	From, To record
	Changes  []Change // what the person changed, field by field and element by element
	Moves    []Change // what the person moved within a list: no changes, but it is put there
	Time     time.Time
}

type op string

const (
	create  op = "create"
	replace op = "set"
	remove  op = "delete"
)

// link names the two regions that it joins, in the order of regions.
type link [2]fieldwise.Region

// links are all links of the mesh.
var links = []link{{us, eu}, {us, ap}, {eu, ap}}

// allUp is the phase in which nothing is cut.
var allUp = &Phase{}

func (p *Phase) up(l link) bool { return !slices.Contains(p.Cut, l) }

// reaches lists the regions that hear from a region during the phase, itself included:
// over a direct link or through a third region.
func (p *Phase) reaches(from fieldwise.Region) []fieldwise.Region {
	found := []fieldwise.Region{from}
	for i := 0; i < len(found); i++ {
		for _, l := range links {
			for j, end := range l {
				if other := l[1-j]; end == found[i] && p.up(l) && !slices.Contains(found, other) {
					found = append(found, other)
				}
			}
		}
	}
	return found
}

// edits lists the edits of all phases: edit N is at N-1.
func (s *Script) edits() []*Edit {
	var all []*Edit
	for i := range s.Phases {
		for j := range s.Phases[i].Edits {
			all = append(all, &s.Phases[i].Edits[j])
		}
	}
	return all
}

// number numbers the edits.
func (s *Script) number() {
	for i, e := range s.edits() {
		e.N = i + 1
	}
}

// keys lists the keys of all profiles that the script names.
func (s *Script) keys() map[string]bool {
	all := make(map[string]bool)
	for _, e := range s.edits() {
		all[e.Key] = true
	}
	return all
}
