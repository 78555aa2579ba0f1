package replogtest_test

import (
	"testing"

	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/replog/replogtest"
)

type userBefore struct {
	Name   string             `merge:"name,lww"`
	Plan   string             `merge:"plan,lww"`
	Phone  string             `merge:"phone,lww"`
	Hits   crdt.PNCounter     `merge:"hits,pncounter"`
	Tags   []string           `merge:"tags,orset"`
	Homes  map[string]home1   `merge:"homes,each=nested"`
	Items  []item1            `merge:"items,list=id"`
	Work   *home1             `merge:"work,nested"`
	Fields map[string]string  `merge:"fields,each=lww"`
	Gone   crdt.ORSet[string] `merge:"gone,orset"`
}

type home1 struct {
	City string `merge:"city,lww"`
}

type item1 struct {
	ID   string `merge:"id,lww"`
	Note string `merge:"note,lww"`
}

// userAfter has a field more and a field less than userBefore in all places, other policies, and
// other faces of what is stored alike.
type userAfter struct {
	FullName string             `merge:"name,earliest"`
	Plan     *string            `merge:"plan,priority"`
	Hits     int                `merge:"hits,pncounter"`
	Tags     crdt.ORSet[string] `merge:"tags,orset"`
	Homes    map[string]home2   `merge:"homes,each=nested"`
	Items    []item2            `merge:"items,list=id"`
	Work     *home2             `merge:"work,nested"`
	Fields   map[string]string  `merge:"fields,each=priority"`
	Best     int                `merge:"best,max"`
	Email    string             `merge:"email,lww"`
	Lines    []string           `merge:"lines,list"`
}

type home2 struct {
	City string `merge:"city,priority"`
	Zip  string `merge:"zip,lww"`
	Seen int    `merge:"seen,pncounter"`
}

type item2 struct {
	ID    string         `merge:"id,lww"`
	Note  string         `merge:"note,earliest"`
	Count crdt.PNCounter `merge:"count,pncounter"`
	Size  string         `merge:"size,lww"`
}

func TestSurvivalOfARollingDeploy(t *testing.T) {
	t.Parallel()
	o, c := histories(t), &counted{TB: t}
	replogtest.CheckReleases(c, schemaOf[userBefore](t), schemaOf[userAfter](t, fieldmerge.Ranks("eu-west-1", "us-east-1")), o)
	c.playedAll(t, o)
}

func TestSurvivalOfTwoReleasesWithOneSchema(t *testing.T) {
	t.Parallel()
	o, c := histories(t), &counted{TB: t}
	replogtest.CheckReleases(c, schemaOf[account](t, fieldmerge.Custom("higher", higher), fieldmerge.Custom("union", union), fieldmerge.Custom("most", most)), accountSchema(t), o)
	c.playedAll(t, o)
}
