package sim

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

// profiles is a workload of records of one schema of which it knows whose each value is.
type profiles struct {
	schema *fieldmerge.Schema[profile]
}

// profile is what clients write. Every value that is set, and every tag that is added, is there
// once in a history, so that it is known whose it is.
type profile struct {
	Name string             `merge:"name,lww"`
	City string             `merge:"city,earliest"`
	Tags crdt.ORSet[string] `merge:"tags,orset"`
	Hits crdt.PNCounter     `merge:"hits,pncounter"`
	Lang map[string]string  `merge:"lang,each=lww"`
}

func newProfiles() *profiles {
	schema, err := fieldmerge.NewSchema[profile]()
	if err != nil {
		panic(err)
	}
	return &profiles{schema: schema}
}

func (p *profiles) merger() fieldwise.Merger { return p.schema.Merger() }

func (p *profiles) open(r *region) (client, error) {
	d, err := fieldmerge.Open(r, name, p.schema)
	return profileClient{d}, err
}

func (p *profiles) draw(rng *rand.Rand, keys, n int) *write {
	return &write{key: keyNames[rng.IntN(keys)], what: pick(rng.IntN(100)), value: "v" + strconv.Itoa(n), luck: rng.Uint64()}
}

func (p *profiles) report(*region, *fieldwise.Conflict, bool) error { return nil }

// pick is what a write does: n is below 100.
func pick(n int) string {
	for _, c := range []struct {
		below int
		what  string
	}{{22, "name"}, {37, "city"}, {45, "lang"}, {65, "add"}, {75, "remove"}, {92, "hit"}, {97, "create"}} {
		if n < c.below {
			return c.what
		}
	}
	return "delete"
}

// profileClient writes profiles in a region.
type profileClient struct {
	domain *fieldmerge.Domain[profile]
}

func (c profileClient) write(m *write) (err error) {
	ctx := context.Background()
	switch m.what {
	case "create":
		_, err = c.domain.Create(ctx, m.key, profile{Name: m.value})
	case "delete":
		_, err = c.domain.Delete(ctx, m.key)
	default:
		_, err = c.domain.Upsert(ctx, m.key, func(p *profile) error {
			m.change(p)
			return nil
		})
	}
	if errors.Is(err, fieldwise.ErrExists) || errors.Is(err, fieldwise.ErrNotFound) {
		return nil
	}
	return err
}

// change does to a profile what the write is.
func (m *write) change(p *profile) {
	switch m.what {
	case "name":
		p.Name = m.value
	case "city":
		p.City = m.value
	case "lang":
		if p.Lang == nil {
			p.Lang = make(map[string]string)
		}
		p.Lang["x"] = m.value
	case "add":
		p.Tags.Add(m.value)
	case "remove":
		if tags := p.Tags.Values(); len(tags) > 0 {
			m.value = tags[m.luck%uint64(len(tags))]
			p.Tags.Remove(m.value)
		}
	case "hit":
		p.Hits.Inc(1)
	}
}

func (p *profiles) judge(w *world) {
	domain := w.regions[0].client.(profileClient).domain
	reports := make(map[reported]bool)
	for _, r := range w.regions {
		maps.Copy(reports, r.reports)
	}
	shown := make(map[string]*profile)
	for _, m := range w.writes {
		if _, ok := shown[m.key]; !ok {
			p, err := domain.Get(context.Background(), m.key)
			switch {
			case err == nil:
				shown[m.key] = &p
			case errors.Is(err, fieldwise.ErrNotFound):
				shown[m.key] = nil
			default:
				w.fail("%s cannot be read: %v", m.key, err)
			}
		}
		w.account(m, shown[m.key], reports)
	}
	w.countHits(shown, reports)
}

// visible reports whether what a write set or added is shown; ok is false where it did neither.
func (m *write) visible(shown *profile) (is, ok bool) {
	switch m.what {
	case "name", "create":
		return shown != nil && shown.Name == m.value, true
	case "city":
		return shown != nil && shown.City == m.value, true
	case "lang":
		return shown != nil && shown.Lang["x"] == m.value, true
	case "add":
		return shown != nil && shown.Tags.Has(m.value), true
	}
	return false, false
}

// account checks that what a write set or added is shown, or else was replaced or removed by
// somebody who knew of it, or is named in a report; and that it is shown in the first case alone.
func (w *world) account(m *write, shown *profile, reports map[reported]bool) {
	visible, ok := m.visible(shown)
	if !ok || !m.logged || w.inFork(m) {
		return
	}
	i := slices.IndexFunc(w.writes, func(later *write) bool { return later.logged && later.replaces(m) })
	switch {
	case visible && i >= 0:
		w.fail("%s %s by %v is shown, though %s by %v took its place", m.what, m.value, m.receipt, w.writes[i].what, w.writes[i].receipt)
	case !visible && i < 0 && !reports[reported{m.key, m.receipt.Version()}]:
		w.fail("%s %s by %v is gone, and nobody who knew of it wrote, and nobody reports it; %+v is shown", m.what, m.value, m.receipt, shown)
	}
}

// replaces reports whether a write knew of another, and took its place.
func (m *write) replaces(other *write) bool {
	if m.key != other.key || !m.knew(other) {
		return false
	}
	switch {
	case m.what == "delete":
		return true
	case m.what == "remove":
		return other.what == "add" && m.value == other.value
	case m.what == "create" || other.what == "create":
		return m.what == "create" || m.what == "name"
	}
	return m.what == other.what && m.what != "add"
}

// countHits holds the sums of counters against the hits that were logged.
func (w *world) countHits(shown map[string]*profile, reports map[reported]bool) {
	least, most := make(map[string]int64), make(map[string]int64)
	for _, m := range w.writes {
		if m.what != "hit" || !m.logged {
			continue
		}
		most[m.key]++
		dropped := slices.ContainsFunc(w.writes, func(d *write) bool { return d.logged && d.what == "delete" && d.replaces(m) })
		for at := range reports { // one report tells of all that its origin had counted
			dropped = dropped || at.key == m.key && at.version.Origin == m.receipt.Origin && at.version.Time >= m.receipt.Time
		}
		if !dropped && !w.inFork(m) {
			least[m.key]++
		}
	}
	for key, p := range shown {
		if p == nil {
			continue
		}
		if n := p.Hits.Value(); n < least[key] || n > most[key] {
			w.fail("%s counts %d hits, of which there were %d to %d", key, n, least[key], most[key])
		}
	}
}
