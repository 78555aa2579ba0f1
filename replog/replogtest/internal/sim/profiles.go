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
	older  *fieldmerge.Schema[olderProfile]
}

// profile is what clients write. Every value that is set, and every tag that is added, is there
// once in a history, so that it is known whose it is.
type profile struct {
	Name string             `merge:"name,lww"`
	City string             `merge:"city,earliest"`
	Tags crdt.ORSet[string] `merge:"tags,orset"`
	Hits crdt.PNCounter     `merge:"hits,pncounter"`
	Lang map[string]string  `merge:"lang,each=lww"`
	Note []string           `merge:"note,list"`
}

// olderProfile is a profile in the older release.
type olderProfile struct {
	Name string             `merge:"name,lww"`
	City string             `merge:"city,lww"`
	Tags crdt.ORSet[string] `merge:"tags,orset"`
	Hits crdt.PNCounter     `merge:"hits,pncounter"`
	Lang map[string]string  `merge:"lang,each=lww"`
}

// fields are those of a profile of either release.
type fields struct {
	name, city *string
	tags       *crdt.ORSet[string]
	hits       *crdt.PNCounter
	lang       *map[string]string
	note       *[]string // nil in the older release
}

func (p *profile) fields() fields {
	return fields{&p.Name, &p.City, &p.Tags, &p.Hits, &p.Lang, &p.Note}
}

func (p *olderProfile) fields() fields {
	return fields{&p.Name, &p.City, &p.Tags, &p.Hits, &p.Lang, nil}
}

func newProfiles() *profiles {
	schema, err := fieldmerge.NewSchema[profile]()
	older, olderErr := fieldmerge.NewSchema[olderProfile]()
	if err := errors.Join(err, olderErr); err != nil {
		panic(err)
	}
	return &profiles{schema, older}
}

func (p *profiles) merger() fieldwise.Merger { return p.schema.Merger() }

func (p *profiles) open(r *region) (client, error) {
	if r.older {
		var host fieldwise.Host = r
		if r.w.unsupported {
			host = newOlderHost(r, p.older.Merger())
		}
		d, err := fieldmerge.Open(host, name, p.older)
		return profileClient[olderProfile, *olderProfile]{d}, err
	}
	d, err := fieldmerge.Open(r, name, p.schema)
	return profileClient[profile, *profile]{d}, err
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
	}{{20, "name"}, {35, "city"}, {42, "lang"}, {47, "note"}, {65, "add"}, {75, "remove"}, {92, "hit"}, {97, "create"}} {
		if n < c.below {
			return c.what
		}
	}
	return "delete"
}

// profileClient writes profiles of a release in a region.
type profileClient[T any, P interface {
	*T
	fields() fields
}] struct {
	domain *fieldmerge.Domain[T]
}

func (c profileClient[T, P]) write(m *write) (err error) {
	ctx := context.Background()
	switch m.what {
	case "create":
		var p T
		m.change(P(&p).fields())
		_, err = c.domain.Create(ctx, m.key, p)
	case "delete":
		_, err = c.domain.Delete(ctx, m.key)
	default:
		_, err = c.domain.Upsert(ctx, m.key, func(p *T) error {
			m.change(P(p).fields())
			return nil
		})
	}
	if errors.Is(err, fieldwise.ErrExists) || errors.Is(err, fieldwise.ErrNotFound) {
		return nil
	}
	return err
}

// change does to a profile what the write is.
func (m *write) change(p fields) {
	if m.what == "note" && p.note == nil {
		m.what = "name"
	}
	switch m.what {
	case "name", "create":
		*p.name = m.value
	case "city":
		*p.city = m.value
	case "lang":
		if *p.lang == nil {
			*p.lang = make(map[string]string)
		}
		(*p.lang)["x"] = m.value
	case "note":
		*p.note = append(*p.note, m.value)
	case "add":
		p.tags.Add(m.value)
	case "remove":
		if tags := p.tags.Values(); len(tags) > 0 {
			m.value = tags[m.luck%uint64(len(tags))]
			p.tags.Remove(m.value)
		}
	case "hit":
		p.hits.Inc(1)
	}
}

func (p *profiles) judge(w *world) {
	domain := w.regions[0].client.(profileClient[profile, *profile]).domain
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
	case "note":
		return shown != nil && slices.Contains(shown.Note, m.value), true
	}
	return false, false
}

// deletedBlindly reports whether the record was deleted where the origin of a write was stopped.
// What others wrote who knew of the origin's later entries is there, and says so; so the delete
// seems to know of the earlier ones, too. Package replog's documentation warns of it.
func (w *world) deletedBlindly(m *write) bool {
	return slices.ContainsFunc(w.writes, func(by *write) bool {
		return by.logged && by.what == "delete" && by.key == m.key && by.blind[m.receipt.Origin]
	})
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
	case !visible && i < 0 && !reports[reported{m.key, m.receipt.Version()}] && w.deletedBlindly(m):
		w.counts["hidden by deletes of who could not apply them"]++
	case !visible && i < 0 && !reports[reported{m.key, m.receipt.Version()}] && !w.stillThere(m):
		w.fail("%s %s by %v is gone, and nobody who knew of it wrote, and nobody reports it; %+v is shown", m.what, m.value, m.receipt, shown)
	}
}

// stillThere reports whether what a write set is current, although another policy shows something
// else now than when it arrived.
func (w *world) stillThere(m *write) bool {
	if w.faults&Rolling == 0 || m.what != "city" {
		return false
	}
	why, err := w.regions[0].client.(profileClient[profile, *profile]).domain.Explain(context.Background(), m.key)
	if err != nil {
		w.fail("%s cannot be explained: %v", m.key, err)
	}
	for _, f := range why.Fields {
		if f.Path == m.what && slices.ContainsFunc(f.Beat, func(b fieldmerge.Beaten) bool { return b.By.Version == m.receipt.Version() && b.Value == m.value }) {
			w.counts["shown otherwise by the newer release"]++
			return true
		}
	}
	return false
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
	return m.what == other.what && m.what != "add" && m.what != "note"
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
