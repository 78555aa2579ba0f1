package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// conflicted is a profile whose phone both regions changed without knowledge of each other.
func conflicted(t *testing.T) (us, eu string, c *client) {
	p, us, eu, c := newPair(t)
	c.get(eu, "asha", c.create(us, "asha", `{"name":"Asha","nick":"a","phone":"111","creditLimit":5,"creditCurrency":"EUR"}`))
	p.link.Cut()
	inUS := c.patch(us, "asha", `{"phone":"222","nick":"b"}`, "X-Actor: anna")
	inEU := c.patch(eu, "asha", `{"phone":"333","nick":null}`, "X-Actor: ben")
	p.link.Heal()
	c.get(us, "asha", inEU)
	c.get(eu, "asha", inUS)
	return us, eu, c
}

// of returns the sibling that somebody wrote.
func (x conflict) of(t *testing.T, who string) sibling {
	for _, s := range x.Siblings {
		if s.Who == who {
			return s
		}
	}
	t.Fatalf("%s wrote none of %v", who, x.Siblings)
	return sibling{}
}

func TestConflictsTellValuesVersionsAndWho(t *testing.T) {
	us, eu, c := conflicted(t)
	all := c.conflicts(us, "asha")
	require.Len(t, all, 2)
	require.Equal(t, all, c.conflicts(eu, "asha"), "in both regions")
	nick, phone := all[0], all[1]
	require.Equal(t, [2]string{"nick", "phone"}, [2]string{nick.Field, phone.Field})
	require.Nil(t, nick.of(t, "ben").Value, "ben unset it")
	require.Equal(t, "b", nick.of(t, "anna").Value)
	require.Equal(t, "222", phone.of(t, "anna").Value)
	require.Equal(t, "333", phone.of(t, "ben").Value)
	require.NotEqual(t, phone.of(t, "anna").Shown, phone.of(t, "ben").Shown)
	require.EqualValues(t, "us-east-1", phone.of(t, "anna").Region)
	shown, _ := c.get(us, "asha")
	require.Equal(t, phone.Shown, shown.Phone)
}

func TestResolveSettlesAFieldInAllRegions(t *testing.T) {
	for name, keep := range map[string]func(phone conflict) (body, want string){
		"shown": func(x conflict) (string, string) { return `"keep":"shown"`, fmt.Sprint(x.Shown) },
		"a version": func(x conflict) (string, string) {
			return fmt.Sprintf(`"keep":"version","version":%q`, x.of(t, "anna").Version), "222"
		},
		"a value": func(conflict) (string, string) { return `"keep":"value","value":"444"`, "444" },
	} {
		t.Run(name, func(t *testing.T) {
			us, eu, c := conflicted(t)
			body, want := keep(c.conflicts(us, "asha")[1])
			settled := receiptOf(c.ok(http.MethodPost, us+"/profiles/asha/resolve", `{"field":"phone",`+body+`}`))
			for _, region := range []string{us, eu} {
				require.Len(t, c.conflicts(region, "asha", settled), 1, "nick is another matter")
				got, _ := c.get(region, "asha")
				require.Equal(t, want, got.Phone)
			}
			again := c.ok(http.MethodPost, us+"/profiles/asha/resolve", `{"field":"phone","keep":"shown"}`)
			require.Empty(t, again.header.Get(receiptHeader), "nothing was left to settle")
		})
	}
}

func TestResolveUnderAStaleETagIsRefused(t *testing.T) {
	us, _, c := conflicted(t)
	_, stale := c.get(us, "asha")
	c.patch(us, "asha", `{"phone":"555"}`)
	require.Equal(t, http.StatusPreconditionFailed, c.do(http.MethodPost, us+"/profiles/asha/resolve", `{"field":"phone","keep":"value","value":"444"}`, stale).status)
}

// A field of a group is settled by its own name, and the group with it.
func TestResolveSettlesAGroup(t *testing.T) {
	p, us, eu, c := newPair(t)
	c.get(eu, "asha", c.create(us, "asha", `{"name":"Asha","creditLimit":5,"creditCurrency":"EUR"}`))
	p.link.Cut()
	c.patch(us, "asha", `{"creditLimit":6}`)
	inEU := c.patch(eu, "asha", `{"creditCurrency":"INR"}`)
	p.link.Heal()
	all := c.conflicts(us, "asha", inEU)
	require.Len(t, all, 1)
	require.Equal(t, "credit", all[0].Field)
	c.ok(http.MethodPost, us+"/profiles/asha/resolve", `{"field":"creditLimit","keep":"value","value":7}`)
	require.Empty(t, c.conflicts(us, "asha"))
	require.Equal(t, http.StatusBadRequest, c.do(http.MethodPost, us+"/profiles/asha/resolve", `{"field":"credit","keep":"value","value":7}`).status)
}

// reportsOf are the conflict reports of a region behind a position.
func reportsOf(t *testing.T, c *client, region string, after uint64, headers ...string) (all []report) {
	got := c.ok(http.MethodGet, fmt.Sprintf("%s/conflicts?after=%d", region, after), "", headers...)
	require.Equal(t, "application/x-ndjson", got.header.Get("Content-Type"))
	for line := range strings.Lines(got.body) {
		var one report
		require.NoError(t, json.Unmarshal([]byte(line), &one))
		all = append(all, one)
	}
	return all
}

func TestReportsGoOnFromAPosition(t *testing.T) {
	us, eu, c := conflicted(t)
	all := reportsOf(t, c, us, 0)
	require.Len(t, all, 2)
	require.Equal(t, all[1:], reportsOf(t, c, us, all[0].Position))
	require.Empty(t, reportsOf(t, c, us, all[1].Position))
	phone := all[1]
	require.Equal(t, "phone", phone.Field)
	require.Equal(t, [2]string{"update/update", "lww"}, [2]string{phone.Kind, phone.Policy})
	require.ElementsMatch(t, []string{"anna", "ben"}, []string{phone.Loser.Who, phone.Winner.Who})
	require.ElementsMatch(t, []any{"222", "333"}, []any{phone.Loser.Value, phone.Winner.Value})
	require.Equal(t, phone.ID, reportsOf(t, c, eu, 0)[1].ID, "the same in every region")
}

func TestExplainIsForPeopleAndForPrograms(t *testing.T) {
	us, _, c := conflicted(t)
	text := c.ok(http.MethodGet, us+"/profiles/asha/explain", "")
	require.Contains(t, text.header.Get("Content-Type"), "text/plain")
	require.Contains(t, text.body, `profiles "asha": live (life 1)`)
	require.Contains(t, text.body, "beat")
	asJSON := c.ok(http.MethodGet, us+"/profiles/asha/explain", "", "Accept: application/json")
	require.Equal(t, "application/json", asJSON.header.Get("Content-Type"))
	var e struct{ Fields []struct{ Path string } }
	require.NoError(t, json.Unmarshal([]byte(asJSON.body), &e))
	require.NotEmpty(t, e.Fields)
	c.ok(http.MethodDelete, us+"/profiles/asha", "", "X-Actor: carl")
	require.Contains(t, c.ok(http.MethodGet, us+"/profiles/asha/explain", "").body, "(carl)")
}
