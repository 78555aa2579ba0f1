package fieldwise_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

func someConflict() fieldwise.Conflict {
	return fieldwise.Conflict{
		Kind: fieldwise.ConflictUpdate, Domain: "profiles", Key: "asha", Field: "phone", Policy: "lww",
		Loser:  fieldwise.Sibling{Version: fieldwise.Version{Time: 7, Origin: fieldwise.Origin{Region: "eu-west-1", Incarnation: 1}}, Value: []byte{0xA1, '1'}},
		Winner: fieldwise.Sibling{Version: fieldwise.Version{Time: 8, Origin: fieldwise.Origin{Region: "us-east-1", Incarnation: 2}}, Value: []byte{0xA1, '2'}},
	}
}

// The identifier is part of what regions exchange with consumers: if this fails,
// repeats of reports written by an earlier release are no longer found.
func TestConflictIDIsStable(t *testing.T) {
	c := someConflict()
	assert.Equal(t, "1cd42d0b50a6069003f9194f621a9e0a", c.ID().String())
}

func TestConflictIDDependsOnTheHiddenWriteAlone(t *testing.T) {
	base := someConflict()
	identifies := map[string]func(*fieldwise.Conflict){
		"domain":      func(c *fieldwise.Conflict) { c.Domain = "accounts" },
		"key":         func(c *fieldwise.Conflict) { c.Key = "ashb" },
		"field":       func(c *fieldwise.Conflict) { c.Field = "" },
		"time":        func(c *fieldwise.Conflict) { c.Loser.Version.Time++ },
		"region":      func(c *fieldwise.Conflict) { c.Loser.Version.Origin.Region = "eu-west-2" },
		"incarnation": func(c *fieldwise.Conflict) { c.Loser.Version.Origin.Incarnation++ },
		"value":       func(c *fieldwise.Conflict) { c.Loser.Value = nil },
		"border":      func(c *fieldwise.Conflict) { c.Domain, c.Key = "profile", "sasha" },
	}
	for part, change := range identifies {
		c := base
		change(&c)
		assert.NotEqual(t, base.ID(), c.ID(), part)
	}
	same := map[string]func(*fieldwise.Conflict){
		"kind":   func(c *fieldwise.Conflict) { c.Kind = fieldwise.ConflictDelete },
		"policy": func(c *fieldwise.Conflict) { c.Policy = "priority" },
		"winner": func(c *fieldwise.Conflict) { c.Winner = fieldwise.Sibling{} },
	}
	for part, change := range same {
		c := base
		change(&c)
		assert.Equal(t, base.ID(), c.ID(), part)
	}
}

func TestConflictIDsOfDifferentWritesDiffer(t *testing.T) {
	type write struct {
		domain, key, field, region string
		incarnation, time          uint64
	}
	short := rapid.StringN(0, 2, 2)
	number := rapid.OneOf(rapid.Uint64Range(0, 2), rapid.Uint64())
	writes := rapid.Custom(func(t *rapid.T) write {
		return write{
			short.Draw(t, "domain"), short.Draw(t, "key"), short.Draw(t, "field"), short.Draw(t, "region"),
			number.Draw(t, "incarnation"), number.Draw(t, "time"),
		}
	})
	id := func(w write) fieldwise.ConflictID {
		c := fieldwise.Conflict{Domain: w.domain, Key: w.key, Field: w.field}
		c.Loser.Version.Origin = fieldwise.Origin{Region: fieldwise.Region(w.region), Incarnation: w.incarnation}
		c.Loser.Version.Time = fieldwise.Timestamp(w.time)
		return c.ID()
	}
	randtest.Check(t, 100, 1000, func(t *rapid.T) {
		a, b := writes.Draw(t, "a"), writes.Draw(t, "b")
		if (id(a) == id(b)) != (a == b) {
			t.Fatalf("%v and %v", id(a), id(b))
		}
	})
}

func TestConflictKindNames(t *testing.T) {
	names := map[fieldwise.ConflictKind]string{
		fieldwise.ConflictUpdate:    "update/update",
		fieldwise.ConflictDelete:    "update/delete",
		fieldwise.ConflictShape:     "shape",
		fieldwise.ConflictStamp:     "duplicate stamp",
		0:                           "ConflictKind(0)",
		99:                          "ConflictKind(99)",
		fieldwise.ConflictCreate:    "create/create",
		fieldwise.ConflictPolicy:    "policy error",
		fieldwise.ConflictMechanism: "kind",
	}
	for kind, name := range names {
		assert.Equal(t, name, kind.String())
	}
}

func TestLimitErrorNamesLimitValueAndKey(t *testing.T) {
	err := fmt.Errorf("create: %w", &fieldwise.LimitError{Limit: "record bytes", Got: 12, Max: 10, Key: "as\nha"})
	require.ErrorIs(t, err, fieldwise.ErrLimit)
	assert.NotErrorIs(t, err, fieldwise.ErrNotFound)
	assert.Equal(t, `create: fieldwise: limit exceeded: record bytes: 12, at most 10 (key "as\nha")`, err.Error())
	assert.Equal(t, "fieldwise: limit exceeded: fields: 2, at most 1", (&fieldwise.LimitError{Limit: "fields", Got: 2, Max: 1}).Error())
	var limit *fieldwise.LimitError
	require.ErrorAs(t, err, &limit)
	assert.Equal(t, 10, limit.Max)
}
