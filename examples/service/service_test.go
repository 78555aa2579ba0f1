package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/replog"
)

func TestStatusesAndBodies(t *testing.T) {
	_, us, _, c := newPair(t)
	c.create(us, "asha", `{"name":"Asha","phone":"111"}`)
	_, match := c.get(us, "asha")
	c.create(us, "gone", `{"name":"Gone"}`)
	c.ok(http.MethodDelete, us+"/profiles/gone", "")
	const none = "If-None-Match: *"
	for _, x := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		code, message            string // of an error
	}{
		{"get nothing", "GET", "/profiles/nobody", "", nil, 404, "not found", `profiles: read "nobody": fieldwise: record not found`},
		{"get what was deleted", "GET", "/profiles/gone", "", nil, 404, "not found", ""},
		{"conflicts of nothing", "GET", "/profiles/nobody/conflicts", "", nil, 404, "not found", ""},
		{"conflicts of what was deleted", "GET", "/profiles/gone/conflicts", "", nil, 404, "not found", `"gone" was deleted`},
		{"explain nothing", "GET", "/profiles/nobody/explain", "", nil, 404, "not found", ""},
		{"put without a condition", "PUT", "/profiles/asha", `{}`, nil, 428, "precondition required", "send the ETag of the GET as If-Match"},
		{"put on anything", "PUT", "/profiles/asha", `{}`, []string{"If-Match: *"}, 428, "precondition required", ""},
		{"create what there is", "PUT", "/profiles/asha", `{}`, []string{none}, 412, "exists", "record exists already"},
		{"put what there is not", "PUT", "/profiles/nobody", `{}`, []string{match}, 404, "not found", ""},
		{"both conditions", "PUT", "/profiles/asha", `{}`, []string{match, none}, 400, "bad request", "contradict each other"},
		{"another If-None-Match", "PUT", "/profiles/asha", `{}`, []string{`If-None-Match: "x"`}, 400, "bad request", "may only be *"},
		{"an ETag without quotes", "PUT", "/profiles/asha", `{}`, []string{"If-Match: AQ"}, 400, "bad request", "quotes included"},
		{"a weak ETag", "PUT", "/profiles/asha", `{}`, []string{`If-Match: W/"AQ"`}, 400, "bad request", "quotes included"},
		{"a made-up ETag", "PUT", "/profiles/asha", `{}`, []string{`If-Match: "AQ"`}, 400, "bad token", "invalid token"},
		{"a made-up ETag", "PATCH", "/profiles/asha", `{}`, []string{`If-Match: "AQ"`}, 400, "bad token", ""},
		{"a made-up ETag", "DELETE", "/profiles/asha", "", []string{`If-Match: "AQ"`}, 400, "bad token", ""},
		{"no JSON", "PUT", "/profiles/new", `{`, []string{none}, 400, "bad request", "the body: unexpected EOF"},
		{"no body", "PUT", "/profiles/new", "", []string{none}, 400, "bad request", "the body: EOF"},
		{"more than JSON", "PUT", "/profiles/new", `{} {}`, []string{none}, 400, "bad request", "more behind its JSON value"},
		{"an unknown field", "PUT", "/profiles/new", `{"fone":"1"}`, []string{none}, 400, "bad request", `unknown field "fone"`},
		{"an unknown plan", "PUT", "/profiles/new", `{"plan":"gold"}`, []string{none}, 400, "bad request", `there is no plan "gold"; the plans are ["free" "pro" "enterprise"]`},
		{"a large body", "PUT", "/profiles/new", `{"name":"` + strings.Repeat("x", maxBody) + `"}`, []string{none}, 413, "limit", "the body has more than 1048576 bytes"},
		{"a long key", "PUT", "/profiles/" + strings.Repeat("k", 1025), `{}`, []string{none}, 413, "limit", "bytes of a key"},
		{"a long name of the actor", "PUT", "/profiles/new", `{}`, []string{none, "X-Actor: " + strings.Repeat("a", 257)}, 413, "limit", "bytes of a note"},
		{"an actor that is not UTF-8", "PUT", "/profiles/new", `{}`, []string{none, "X-Actor: \xff"}, 400, "bad request", "UTF-8"},
		{"a key that is not UTF-8", "PUT", "/profiles/%ff", `{}`, []string{none}, 400, "bad request", "UTF-8"},
		{"patch nothing", "PATCH", "/profiles/nobody", `{"phone":"2"}`, nil, 404, "not found", ""},
		{"patch an unknown field", "PATCH", "/profiles/asha", `{"address":{"town":"x"}}`, nil, 400, "bad request", `there is no field "address.town"`},
		{"patch with another type", "PATCH", "/profiles/asha", `{"creditLimit":"lots"}`, nil, 400, "bad request", `field "creditLimit": json: cannot unmarshal string`},
		{"patch with no object", "PATCH", "/profiles/asha", `[]`, nil, 400, "bad request", "cannot unmarshal array"},
		{"patch with null", "PATCH", "/profiles/asha", `null`, nil, 400, "bad request", "null is no patch"},
		{"delete nothing", "DELETE", "/profiles/nobody", "", nil, 404, "not found", ""},
		{"resolve nothing", "POST", "/profiles/nobody/resolve", `{"field":"phone","keep":"shown"}`, nil, 404, "not found", ""},
		{"resolve without saying how", "POST", "/profiles/asha/resolve", `{"field":"phone"}`, nil, 400, "bad request", "say what to keep"},
		{"resolve to no version", "POST", "/profiles/asha/resolve", `{"field":"phone","keep":"version"}`, nil, 400, "bad request", "say what to keep"},
		{"resolve to another version", "POST", "/profiles/asha/resolve", `{"field":"phone","keep":"version","version":"2026-11-02T09:00:00.000Z+0@us-east-1#1"}`, nil, 409, "no such sibling", `no current value of "phone" was written at 2026-11-02`},
		{"resolve to what is no version", "POST", "/profiles/asha/resolve", `{"field":"phone","keep":"version","version":"v"}`, nil, 400, "bad request", `"v" is no version`},
		{"resolve a field never written", "POST", "/profiles/asha/resolve", `{"field":"email","keep":"shown"}`, nil, 409, "no such sibling", `nothing was ever written at "email"`},
		{"resolve to another type", "POST", "/profiles/asha/resolve", `{"field":"phone","keep":"value","value":7}`, nil, 400, "bad request", `field "phone": json: cannot unmarshal number`},
		{"resolve an unknown field", "POST", "/profiles/asha/resolve", `{"field":"fone","keep":"value","value":"7"}`, nil, 400, "bad request", `there is no field "fone"`},
		{"resolve a path that is none", "POST", "/profiles/asha/resolve", `{"field":"a\\","keep":"value","value":"7"}`, nil, 400, "bad path", "invalid path"},
		{"resolve with an unknown member", "POST", "/profiles/asha/resolve", `{"path":"phone"}`, nil, 400, "bad request", `unknown field "path"`},
		{"reports from nowhere", "GET", "/conflicts?after=-1", "", nil, 400, "bad request", `after="-1" is no position`},
		{"a made-up receipt", "GET", "/profiles/asha", "", []string{"X-Receipt: us-east-1.1"}, 400, "bad request", `X-Receipt "us-east-1.1" is no receipt`},
		{"a receipt that names another write", "GET", "/profiles/asha", "", []string{otherTime(t, c, us)}, 409, "write failed", "replog"},

		{"get", "GET", "/profiles/asha", "", nil, 200, "", ""},
		{"patch on anything", "PATCH", "/profiles/asha", `{"nick":"a"}`, []string{"If-Match: *"}, 204, "", ""},
		{"no conflicts", "GET", "/profiles/asha/conflicts", "", nil, 200, "", ""},
		{"no reports", "GET", "/conflicts", "", nil, 200, "", ""},
		{"nothing to settle", "POST", "/profiles/asha/resolve", `{"field":"phone","keep":"shown"}`, nil, 204, "", ""},
		{"nothing to change", "PATCH", "/profiles/asha", `{"phone":"111"}`, nil, 204, "", ""},
		{"create again what was deleted", "PUT", "/profiles/gone", `{}`, []string{none}, 201, "", ""},
		{"a key with a slash", "PUT", "/profiles/a%2Fb", `{}`, []string{none}, 201, "", ""},
		{"live", "GET", "/livez", "", nil, 200, "", ""},
		{"ready", "GET", "/readyz", "", nil, 200, "", ""},
		{"another method", "POST", "/profiles/asha", "", nil, 405, "", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			got := c.do(x.method, us+x.path, x.body, x.headers...)
			require.Equal(t, x.status, got.status, got.body)
			if x.code != "" {
				p := problemOf(t, got)
				assert.Equal(t, x.code, p.Code)
				assert.Contains(t, p.Message, x.message)
			}
		})
	}
}

// otherTime is the receipt of a write, with the time of another.
func otherTime(t *testing.T, c *client, us string) string {
	r, err := fieldwise.ParseReceipt(strings.TrimPrefix(c.patch(us, "asha", `{"email":null,"tags":["x"]}`), receiptHeader+": "))
	require.NoError(t, err)
	r.Time++
	return receiptHeader + ": " + r.String()
}

func TestErrorsAreAnsweredByWhatTheyAre(t *testing.T) {
	receipt := fieldwise.Receipt{Origin: fieldwise.Origin{Region: "eu-west-1", Incarnation: 7}, Seq: 3, Time: 0x20000}
	for _, x := range []struct {
		err     error
		status  int
		code    string
		receipt string
	}{
		{&replog.OutcomeError{Receipt: receipt, Err: context.DeadlineExceeded}, 503, "outcome unknown", "1970-01-01T00:00:00.002Z+0@eu-west-1#7/3"},
		{replog.ErrPoisoned, 503, "read only", ""},
		{replog.ErrNoSpace, 503, "no space", ""},
		{fieldwise.ErrClosed, 503, "closing", ""},
		{context.DeadlineExceeded, 503, "timeout", ""},
		{context.Canceled, 503, "canceled", ""},
		{&fieldmerge.FieldError{Field: "phone", Err: errors.New("x")}, 400, "bad value", ""},
		{&fieldwise.LimitError{Limit: "bytes of a record"}, 413, "limit", ""},
		{&http.MaxBytesError{Limit: 5}, 413, "limit", ""},
		{&fieldmerge.ChangedError{Fields: []fieldmerge.ChangedField{{Path: "bio", Hashed: true}}}, 412, "changed", ""},
		{errors.New("secret"), 500, "internal", ""},
	} {
		s, w := &service{log: hclog.NewNullLogger()}, httptest.NewRecorder()
		s.fail(w, httptest.NewRequest(http.MethodGet, "/", nil), fmt.Errorf("profiles: %w", x.err))
		got := reply{w.Code, w.Header(), w.Body.String()}
		assert.Equal(t, x.status, got.status, x.err)
		assert.Equal(t, x.code, problemOf(t, got).Code)
		assert.Equal(t, x.receipt, got.header.Get(receiptHeader), x.err)
		assert.Equal(t, x.status == 503, got.header.Get("Retry-After") != "", x.err)
		assert.NotContains(t, got.body, "secret")
		if x.status == 412 {
			assert.Contains(t, got.body, `"read": "(a large value)"`)
		}
	}
}

func TestAReceiptWaitsUntilTheRegionHasTheWrite(t *testing.T) {
	p, us, eu, c := newPair(t)
	created := c.create(us, "asha", `{"name":"Asha","phone":"111"}`)
	got, _ := c.get(eu, "asha", created)
	require.Equal(t, "111", got.Phone)

	p.link.Cut()
	patched := c.patch(us, "asha", `{"phone":"222"}`)
	hasty, err := newService(p.eu.replica, hclog.NewNullLogger(), time.Now)
	require.NoError(t, err)
	hasty.patience = time.Nanosecond
	r, w := httptest.NewRequest(http.MethodGet, "/profiles/asha", nil), httptest.NewRecorder()
	r.Header.Set(receiptHeader, strings.TrimPrefix(patched, receiptHeader+": "))
	hasty.routes().ServeHTTP(w, r)
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "timeout", problemOf(t, reply{w.Code, w.Header(), w.Body.String()}).Code)

	waits := make(chan Profile)
	go func() {
		defer close(waits)
		got, _ := c.get(eu, "asha", patched)
		waits <- got
	}()
	p.link.Heal()
	require.Equal(t, "222", (<-waits).Phone)

	for _, path := range []string{"/profiles?prefix=", "/conflicts", "/profiles/asha/conflicts"} {
		require.Equal(t, 400, c.do(http.MethodGet, us+path, "", "X-Receipt: x").status, path)
	}
}

func TestIfMatchInARegion(t *testing.T) {
	_, us, _, c := newPair(t)
	c.create(us, "asha", `{"name":"Asha","phone":"111","email":"a@example.com","created":"2026-11-02T09:00:00Z"}`)
	_, stale := c.get(us, "asha")
	c.patch(us, "asha", `{"phone":"222"}`)

	got := c.do(http.MethodPut, us+"/profiles/asha", `{"name":"Asha","phone":"333","email":"a@example.com","created":"2026-11-02T09:00:00Z"}`, stale)
	require.Equal(t, http.StatusPreconditionFailed, got.status)
	require.Equal(t, []changed{{Field: "phone", Read: "111", Now: "222", Wanted: "333"}}, problemOf(t, got).Fields)
	require.Equal(t, http.StatusPreconditionFailed, c.do(http.MethodPatch, us+"/profiles/asha", `{"phone":"333"}`, stale).status)
	require.Equal(t, http.StatusPreconditionFailed, c.do(http.MethodDelete, us+"/profiles/asha", "", stale).status)
	p, _ := c.get(us, "asha")
	require.Equal(t, "222", p.Phone, "nothing was written")

	c.ok(http.MethodPut, us+"/profiles/asha", `{"name":"Asha","phone":"111","email":"b@example.com","created":"2026-11-02T09:00:00Z"}`, stale)
	p, fresh := c.get(us, "asha")
	require.Equal(t, [2]string{"222", "b@example.com"}, [2]string{p.Phone, p.Email}, "what this writer did not change stays as others left it")

	c.ok(http.MethodDelete, us+"/profiles/asha", "", fresh)
	c.create(us, "asha", `{"name":"Asha"}`)
	got = c.do(http.MethodPut, us+"/profiles/asha", `{"name":"Usha"}`, fresh)
	require.Equal(t, http.StatusPreconditionFailed, got.status)
	require.True(t, problemOf(t, got).Recreated)
}

func TestIfMatchAcrossRegions(t *testing.T) {
	_, us, eu, c := newPair(t)
	created := c.create(us, "asha", `{"name":"Asha","phone":"111","created":"2026-11-02T09:00:00Z"}`)
	_, match := c.get(us, "asha")
	// The other region changes the field; the writer here has not seen that.
	there := c.patch(eu, "asha", `{"phone":"222"}`, created)
	c.get(us, "asha", there)
	put := receiptOf(c.ok(http.MethodPut, us+"/profiles/asha", `{"name":"Asha","phone":"333","created":"2026-11-02T09:00:00Z"}`, match))
	for _, region := range []string{us, eu} {
		all := c.conflicts(region, "asha", put)
		require.Len(t, all, 1, "both values are current")
		require.Equal(t, "phone", all[0].Field)
		require.ElementsMatch(t, []any{"222", "333"}, []any{all[0].Siblings[0].Value, all[0].Siblings[1].Value})
	}
	// A token of the one region is good in the other: there it is that region's own writes that count.
	_, here := c.get(us, "asha")
	last := receiptOf(c.ok(http.MethodPatch, eu+"/profiles/asha", `{"phone":"444"}`, here, put))
	require.Empty(t, c.conflicts(us, "asha", last), "that reader had seen both")
	require.Equal(t, http.StatusPreconditionFailed, c.do(http.MethodPatch, eu+"/profiles/asha", `{"phone":"555"}`, here).status)
}

func TestBothRegionsCreateOneProfile(t *testing.T) {
	clock := &demoClock{t: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)} // two creations in one millisecond have no earlier one
	p, us, eu, c := newPairAt(t, clock.now)
	p.link.Cut()
	inUS := c.create(us, "asha", `{"name":"Asha","phone":"111","plan":"pro","creditLimit":5,"creditCurrency":"EUR","address":{"city":"Pune"}}`)
	first, _ := c.get(us, "asha")
	clock.tick()
	inEU := c.create(eu, "asha", `{"name":"Asha","email":"a@example.com","plan":"free","creditLimit":9,"creditCurrency":"INR","address":{"city":"Goa","street":"1 Main"}}`)
	p.link.Heal()
	for region, receipt := range map[string]string{us: inEU, eu: inUS} {
		got, _ := c.get(region, "asha", receipt)
		require.Equal(t, [2]string{"111", "a@example.com"}, [2]string{got.Phone, got.Email}, "each field by itself")
		require.Equal(t, Plan("pro"), got.Plan, "the higher plan")
		require.Equal(t, first.Created, got.Created, "the earlier creation")
		require.Contains(t, []string{"5 EUR", "9 INR"}, fmt.Sprint(got.CreditLimit, " ", got.CreditCurrency), "amount and currency go together")
		require.Equal(t, Address{City: "Pune", Street: "1 Main"}, got.Address, "us-east-1 prevails")
	}
}
