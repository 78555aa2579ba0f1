package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

// Profile is the record of the service. Each field says how it is called in JSON, how it is
// stored, and what readers see when two regions write it without knowledge of each other;
// the two names are the same, so that a path means one thing everywhere.
type Profile struct {
	Name           string            `json:"name" merge:"name,lww"`
	Nick           *string           `json:"nick,omitempty" merge:"nick,lww"` // nil: has none
	Email          string            `json:"email,omitempty" merge:"email,lww"`
	Phone          string            `json:"phone,omitempty" merge:"phone,lww"`
	Address        Address           `json:"address,omitzero" merge:"address,nested"`
	Prefs          map[string]string `json:"prefs,omitempty" merge:"prefs,each=lww"` // each entry by itself
	Tags           []string          `json:"tags,omitempty" merge:"tags,lww"`        // the list is one value
	CreditLimit    int64             `json:"creditLimit,omitempty" merge:"creditLimit,lww,group=credit"`
	CreditCurrency string            `json:"creditCurrency,omitempty" merge:"creditCurrency,lww,group=credit"`
	Plan           Plan              `json:"plan,omitempty" merge:"plan,custom=plan"`
	Created        time.Time         `json:"created,omitzero" merge:"created,earliest"`
	LastLogin      *time.Time        `json:"lastLogin,omitempty" merge:"lastLogin,lww"`
}

// Address is nested: each of its fields merges by itself. Where two regions differ over
// the city or the country, that of the first of the regions stands.
type Address struct {
	Street  string `json:"street,omitempty" merge:"street,lww"`
	City    string `json:"city,omitempty" merge:"city,priority"`
	Country string `json:"country,omitempty" merge:"country,priority"`
}

// Plan is what the customer pays for.
type Plan string

// plans are all there are, the lowest first.
var plans = []Plan{"free", "pro", "enterprise"}

// UnmarshalJSON refuses a plan that there is not. It guards what clients send; what is stored
// is read as it is, also where a newer release sells another plan.
func (p *Plan) UnmarshalJSON(b []byte) error {
	var name string
	if err := json.Unmarshal(b, &name); err != nil {
		return err
	}
	if name != "" && !slices.Contains(plans, Plan(name)) {
		return fmt.Errorf("there is no plan %q; the plans are %q", name, plans)
	}
	*p = Plan(name)
	return nil
}

// higherPlan lets the higher of the plans win: who paid in one region gets what they paid
// for. It depends on the siblings alone; a plan that this release does not know is the
// lowest.
func higherPlan(siblings []fieldmerge.Sibling[Plan]) (Plan, error) {
	best := siblings[0].Value
	for _, s := range siblings[1:] {
		if slices.Index(plans, s.Value) > slices.Index(plans, best) {
			best = s.Value
		}
	}
	return best, nil
}

// regions are those of the service, the one that prevails in fields under priority first.
// All of them have the same list, whichever of them this process is.
var regions = []fieldwise.Region{"us-east-1", "eu-west-1", "ap-south-1"}

func profileSchema() (*fieldmerge.Schema[Profile], error) {
	return fieldmerge.NewSchema[Profile](fieldmerge.Ranks(regions...), fieldmerge.Custom("plan", higherPlan))
}
