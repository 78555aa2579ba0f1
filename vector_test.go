package fieldwise_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/randtest"
)

func TestVectorCoversWhatItHas(t *testing.T) {
	eu, us := fieldwise.Origin{Region: "eu-west-1", Incarnation: 0x1f}, fieldwise.Origin{Region: "us-east-1", Incarnation: 0x2e}
	cases := []struct {
		v, w fieldwise.Vector
		want bool
	}{
		{nil, nil, true},
		{nil, fieldwise.Vector{eu: 0}, true}, // nothing of eu
		{nil, fieldwise.Vector{eu: 1}, false},
		{fieldwise.Vector{eu: 1}, nil, true},
		{fieldwise.Vector{eu: 3}, fieldwise.Vector{eu: 3}, true},
		{fieldwise.Vector{eu: 3}, fieldwise.Vector{eu: 4}, false},
		{fieldwise.Vector{eu: 3}, fieldwise.Vector{eu: 2, us: 1}, false},
		{fieldwise.Vector{eu: 3, us: 7}, fieldwise.Vector{us: 7}, true},
		{fieldwise.Vector{eu: 3}, fieldwise.Vector{{Region: "eu-west-1", Incarnation: 0x20}: 1}, false}, // another life
	}
	for _, c := range cases {
		assert.Equal(t, c.want, c.v.Covers(c.w), "%v covers %v", c.v, c.w)
	}
}

func TestVectorString(t *testing.T) {
	v := fieldwise.Vector{
		{Region: "us-east-1", Incarnation: 0x2e}: 7,
		{Region: "eu-west-1", Incarnation: 0x1f}: 3,
		{Region: "eu-west-1", Incarnation: 0x1e}: 9,
	}
	assert.Equal(t, "eu-west-1#1e:9 eu-west-1#1f:3 us-east-1#2e:7", v.String())
	assert.Empty(t, fieldwise.Vector(nil).String())
}

func TestVectorCloneIsItsOwn(t *testing.T) {
	origin := fieldwise.Origin{Region: "a"}
	v := fieldwise.Vector{origin: 1}
	c := v.Clone()
	c[origin]++
	assert.Equal(t, fieldwise.Seq(1), v[origin])
	assert.NotNil(t, fieldwise.Vector(nil).Clone())
}

// Covers is a partial order, up to origins of which there is nothing.
func TestVectorCoversIsAPartialOrder(t *testing.T) {
	vectors := rapid.Custom(func(t *rapid.T) fieldwise.Vector {
		v := fieldwise.Vector{}
		for _, region := range []fieldwise.Region{"a", "b", "c"} {
			v[fieldwise.Origin{Region: region}] = fieldwise.Seq(rapid.Uint64Range(0, 2).Draw(t, string(region)))
		}
		return v
	})
	randtest.Check(t, 100, 1000, func(t *rapid.T) {
		a, b, c := vectors.Draw(t, "a"), vectors.Draw(t, "b"), vectors.Draw(t, "c")
		if !a.Covers(a) {
			t.Fatal("not reflexive")
		}
		if a.Covers(b) && b.Covers(a) && a.String() != b.String() {
			t.Fatal("not antisymmetric")
		}
		if a.Covers(b) && b.Covers(c) && !a.Covers(c) {
			t.Fatal("not transitive")
		}
	})
}
