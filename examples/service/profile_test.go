package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/replog/replogtest"
)

// Patches, conflicts and JSON name a field by one path.
func TestFieldsAreCalledTheSameInJSONAndInTheStore(t *testing.T) {
	for _, typ := range []reflect.Type{reflect.TypeFor[Profile](), reflect.TypeFor[Address]()} {
		for i := range typ.NumField() {
			f := typ.Field(i)
			asJSON, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			stored, _, _ := strings.Cut(f.Tag.Get("merge"), ",")
			require.Equal(t, asJSON, stored, f.Name)
		}
	}
}

func TestTheHigherPlanWins(t *testing.T) {
	for _, c := range []struct {
		siblings []Plan
		want     Plan
	}{
		{[]Plan{"free", "pro"}, "pro"},
		{[]Plan{"enterprise", "pro", "free"}, "enterprise"},
		{[]Plan{"", "free"}, "free"},
		{[]Plan{"of-another-release", "free"}, "free"},
		{[]Plan{"one", "two"}, "one"},
	} {
		var siblings []fieldmerge.Sibling[Plan]
		for _, p := range c.siblings {
			siblings = append(siblings, fieldmerge.Sibling[Plan]{Value: p, Absent: p == ""})
		}
		got, err := higherPlan(siblings)
		require.NoError(t, err)
		require.Equal(t, c.want, got, c.siblings)
	}
}

// Whatever two to five regions do to profiles, they end up with the same, nothing is lost in
// silence, and higherPlan depends on nothing that differs between them.
func TestProfilesConverge(t *testing.T) {
	schema, err := profileSchema()
	require.NoError(t, err)
	replogtest.CheckSchema(t, schema, replogtest.Options{Histories: 200, Seed: randtest.Seed(t)})
}
