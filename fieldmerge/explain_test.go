package fieldmerge_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

type profile struct {
	Name  string `merge:"name,lww"`
	Phone string `merge:"phone,lww"`
	City  string `merge:"city,priority"`
	Plan  string `merge:"plan,custom=plan"`
}

// longest resolves plans: the longest of them, all of them where two are as long, and none
// where one is called "odd".
func longest(siblings []fieldmerge.Sibling[string]) (string, error) {
	var best []string
	for _, s := range siblings {
		switch {
		case s.Value == "odd":
			return "", errors.New("odd plans cannot be compared")
		case len(best) == 0 || len(s.Value) > len(best[0]):
			best = []string{s.Value}
		case len(s.Value) == len(best[0]):
			best = append(best, s.Value)
		}
	}
	return strings.Join(best, "+"), nil
}

func profileSchema(t require.TestingT) *fieldmerge.Schema[profile] {
	s, err := fieldmerge.NewSchema[profile](fieldmerge.Ranks("eu", "us"), fieldmerge.Custom("plan", longest))
	require.NoError(t, err)
	return s
}

// conflicted is a record that two regions changed in all its fields without knowing of
// each other, as the one with the lower name holds it.
func conflicted(t *testing.T, s *fieldmerge.Schema[profile], mine, theirs profile) (*stepped, *fieldmerge.Domain[profile]) {
	a, da := on(t, s, "eu")
	b, db := on(t, s, "us")
	_, err := da.Create(ctx(), key, profile{Name: "Asha", Phone: "111", City: "Pune", Plan: "basic"})
	require.NoError(t, err)
	b.join(t, a.State)
	b.time = 5000 << 16 // four milliseconds and more are between the two
	for d, to := range map[*fieldmerge.Domain[profile]]profile{da: mine, db: theirs} {
		_, err = d.Update(ctx(), key, func(p *profile) error { *p = to; return nil })
		require.NoError(t, err)
	}
	a.join(t, b.State)
	return a, da
}

// noted is a store that knows notes.
type noted struct {
	*stepped
	notes map[fieldwise.Version]string
}

func (n noted) Domain(string, fieldwise.Merger) (fieldwise.Store, error) { return n, nil }

func (n noted) Note(_ context.Context, v fieldwise.Version) (string, error) { return n.notes[v], nil }

func TestExplainTellsWhatAFieldBeatAndWhy(t *testing.T) {
	s := profileSchema(t)
	site, _ := conflicted(t, s,
		profile{Name: "Asha", Phone: "222", City: "Goa", Plan: "gold"},
		profile{Name: "Asha", Phone: "333", City: "Delhi", Plan: "free"})
	d, err := fieldmerge.Open(noted{site, map[fieldwise.Version]string{version(5000<<16+1, "us"): "ticket 7"}}, "profiles", s)
	require.NoError(t, err)
	e, err := d.Explain(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, strings.Join([]string{
		`profiles "k": live (life 1), 4 fields`,
		`  city  = "Goa" by eu at 1970-01-01T00:00:00.000Z (priority)`,
		`          beat "Delhi" by us at 1970-01-01T00:00:05.000Z (ticket 7): "eu" has rank 1, "us" rank 2`,
		`  name  = "Asha" by eu at 1970-01-01T00:00:00.000Z (lww)`,
		`  phone = "333" by us at 1970-01-01T00:00:05.000Z (ticket 7) (lww)`,
		`          beat "222" by eu at 1970-01-01T00:00:00.000Z: newer by 5s`,
		`  plan  = "gold+free" computed (custom=plan)`,
		`          beat "gold" by eu at 1970-01-01T00:00:00.000Z: plan computed another value`,
		`          beat "free" by us at 1970-01-01T00:00:05.000Z (ticket 7): plan computed another value`,
		``,
	}, "\n"), e.String())
	b, err := json.Marshal(e)
	require.NoError(t, err)
	require.JSONEq(t, `{"path":"phone","goField":"profile.Phone","state":"shown","value":"333","policy":"lww",
		"by":{"region":"us","time":"1970-01-01T00:00:05Z","version":"1970-01-01T00:00:05.000Z+1@us#1","note":"ticket 7"},
		"beat":[{"value":"222","reason":"newer by 5s","by":{"region":"eu","time":"1970-01-01T00:00:00Z","version":"1970-01-01T00:00:00.000Z+2@eu#1"}}]}`,
		string(fieldOf(t, b, 2)))
}

func fieldOf(t *testing.T, explanation []byte, i int) json.RawMessage {
	var e struct{ Fields []json.RawMessage }
	require.NoError(t, json.Unmarshal(explanation, &e))
	return e.Fields[i]
}

func TestExplainTellsOfPoliciesThatFailAndShapesThatHide(t *testing.T) {
	_, d := conflicted(t, profileSchema(t), profile{Plan: "odd"}, profile{Plan: "free"})
	e, err := d.Explain(ctx(), key)
	require.NoError(t, err)
	require.Contains(t, e.String(), "problem: odd plans cannot be compared")

	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	a.create(1, doc{"n": doc{"x": int64(1)}, "empty": doc{}, "m": doc{"y": true}})
	b.create(9, doc{"n": int64(5)})
	a.take(b.State)
	e, err = a.domain.Explain(ctx(), key)
	require.NoError(t, err)
	text := e.String()
	require.Contains(t, text, "  n.x   = 1 by a at 1970-01-01T00:00:00.000Z (lww; hidden)\n          problem: a newer value stands above or below it, by 1970-01-01T00:00:00.000Z+9@b#1\n")
	require.Contains(t, text, "  n     = 5 by b")
	require.Contains(t, text, "          beat map[] by a")
	require.Contains(t, text, "  empty = map[] by a")
	require.NotContains(t, text, "  m     =", "m.y tells as much")

	a.delete(10)
	e, err = a.domain.Explain(ctx(), key)
	require.NoError(t, err)
	require.Equal(t, "d \"k\": deleted by a at 1970-01-01T00:00:00.000Z (life 2)\n", e.String())
	_, err = newSite(t, s, "c").domain.Explain(ctx(), key)
	require.ErrorIs(t, err, fieldwise.ErrNotFound)
}

func TestResolveSettlesAConflictOnce(t *testing.T) {
	s := profileSchema(t)
	mine, theirs := profile{Name: "A", Phone: "222", Plan: "gold"}, profile{Name: "A", Phone: "333", Plan: "free"}
	for name, c := range map[string]struct {
		path   string
		choice fieldmerge.Choice
		want   any
	}{
		"what is shown":          {"phone", fieldmerge.KeepShown(), "333"},
		"what a policy computed": {"plan", fieldmerge.KeepShown(), "gold+free"},
		"a sibling":              {"phone", fieldmerge.KeepVersion(version(2, "eu")), "222"},
		"a value":                {"phone", fieldmerge.KeepValue("444"), "444"},
		"a value that is shown":  {"phone", fieldmerge.KeepValue("333"), "333"},
	} {
		site, d := conflicted(t, s, mine, theirs)
		receipt, err := d.Resolve(ctx(), key, c.path, c.choice)
		require.NoError(t, err, name)
		require.False(t, receipt.IsZero(), name)
		siblings, err := d.Siblings(ctx(), key, c.path)
		require.NoError(t, err)
		require.Equal(t, []fieldmerge.Sibling[any]{{Version: receipt.Version(), Value: c.want, Shown: true}}, siblings, name)
		state := site.State
		receipt, err = d.Resolve(ctx(), key, c.path, fieldmerge.KeepShown())
		require.NoError(t, err)
		require.True(t, receipt.IsZero(), "there is nothing left to settle")
		require.Equal(t, state, site.State)
	}
	_, d := conflicted(t, s, mine, theirs)
	_, err := d.Resolve(ctx(), key, "phone", fieldmerge.KeepVersion(version(7, "eu")))
	require.ErrorIs(t, err, fieldmerge.ErrSibling)
	_, err = d.Resolve(ctx(), key, "other", fieldmerge.KeepShown())
	require.ErrorIs(t, err, fieldmerge.ErrSibling)
	_, err = d.Resolve(ctx(), key, "phone", fieldmerge.Choice{})
	require.ErrorIs(t, err, fieldmerge.ErrSibling)
	_, err = d.Resolve(ctx(), key, "phone", fieldmerge.KeepValue(7))
	require.ErrorIs(t, err, fieldmerge.ErrField)
}

func TestResolveUnderATokenLeavesWhatCameSince(t *testing.T) {
	s := profileSchema(t)
	site, d := conflicted(t, s, profile{Phone: "222"}, profile{Phone: "333"})
	_, token, err := d.Read(ctx(), key)
	require.NoError(t, err)
	third, d3 := on(t, s, "za")
	third.join(t, site.State)
	third.time = 9000 << 16
	_, err = d3.Update(ctx(), key, func(p *profile) error { p.Phone = "444"; return nil })
	require.NoError(t, err)
	before := site.State
	site.join(t, third.delta)
	require.NotEqual(t, before, site.State)
	_, err = d.Resolve(ctx(), key, "phone", fieldmerge.KeepVersion(version(2, "eu")), fieldmerge.IfMatch(token))
	require.ErrorIs(t, err, fieldmerge.ErrSibling, "the third region's write replaced both")
	_, err = d.Resolve(ctx(), key, "phone", fieldmerge.KeepValue("555"), fieldmerge.IfMatch(token))
	require.NoError(t, err)
	siblings, err := d.Siblings(ctx(), key, "phone")
	require.NoError(t, err)
	require.Len(t, siblings, 2, "the operator did not see 444")
}

func TestResolveSettlesAShape(t *testing.T) {
	s := lwwSchema(t)
	a, b := newSite(t, s, "a"), newSite(t, s, "b")
	a.create(1, doc{"n": doc{"x": int64(1)}})
	b.create(9, doc{"n": int64(5)})
	a.take(b.State)
	_, err := a.domain.Resolve(ctx(), key, "n", fieldmerge.KeepShown())
	require.NoError(t, err)
	a.shows(doc{"n": int64(5)})
	e, err := a.domain.Explain(ctx(), key)
	require.NoError(t, err)
	require.NotContains(t, e.String(), "hidden")
}

func TestExplanationTellsTimesAsTimestampsDo(t *testing.T) {
	_, d := on(t, everythingSchema(t), "a")
	_, err := d.Create(ctx(), key, Everything{Base: Base{Created: time.Unix(1, 5e6).UTC()}, Tier: "gold", Quota: 7})
	require.NoError(t, err)
	e, err := d.Explain(ctx(), key)
	require.NoError(t, err)
	for _, want := range []string{`tier    = "gold" by`, "created = 1970-01-01T00:00:01.005Z by", "quota   = 7 by"} {
		require.Contains(t, e.String(), want)
	}
}
