package replogtest

import (
	"errors"
	"math/rand/v2"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
)

// Write implements [sim.Records].
func (r *simulatedRecords) Write(key string, luck uint64, held fieldwise.Vector) (did string, under fieldwise.Vector, err error) {
	rnd := rand.New(rand.NewPCG(luck, 3))
	d, err := r.face.open(r.host, key)
	if err != nil {
		return "write", nil, err
	}
	if r.writing != nil {
		d = r.writing(d)
	}
	now, token, err := d.read()
	if err != nil && !errors.Is(err, fieldwise.ErrNotFound) {
		return "read", nil, err
	}
	c := simulatedWrite{simulatedRecords: r, rnd: rnd, key: key, domain: d, live: err == nil}
	at := place{r.region, key}
	if c.live {
		if c.now = now; rnd.IntN(3) == 0 {
			all := append(r.reads[at], simulatedReading{reading{value: now, token: token}, held})
			r.reads[at] = all[max(0, len(all)-keptReadings):]
		}
	}
	did, err = c.do(drawWrite(rnd))
	changed := (*fieldmerge.ChangedError)(nil)
	for _, expected := range []error{fieldwise.ErrExists, fieldwise.ErrNotFound, fieldmerge.ErrPath, fieldmerge.ErrDirection, fieldmerge.ErrSibling} {
		if errors.Is(err, expected) || errors.As(err, &changed) {
			return did, c.under, nil
		}
	}
	return did, c.under, err
}

// keptReadings is how many readings of a record the clients of a region keep.
const keptReadings = 4

// drawWrite draws a kind of write.
func drawWrite(rnd *rand.Rand) kind {
	total := 0
	for k := create; k <= resolve; k++ {
		total += weights[k]
	}
	at, k := rnd.IntN(total), create
	for ; at >= weights[k]; k++ {
		at -= weights[k]
	}
	return k
}

// simulatedWrite is a write that goes on.
type simulatedWrite struct {
	*simulatedRecords
	domain
	rnd  *rand.Rand
	key  string
	now  any // what the region shows
	live bool

	under fieldwise.Vector // what the region held when the token was read; nil: there is none
}

// sample is a record whose fields of max and min mostly go on from what is there.
func (c *simulatedWrite) sample(now any) any {
	v := c.face.sample(c.rnd, false)
	if c.live {
		v = c.face.follow(c.rnd, now, v)
	}
	return v
}

// reading is something that was read here before; nil if there is nothing.
func (c *simulatedWrite) reading() *simulatedReading {
	all := c.reads[place{c.region, c.key}]
	if len(all) == 0 {
		return nil
	}
	return &all[c.rnd.IntN(len(all))]
}

// sometimes is what was read before, for a write under its token; nil in most cases.
func (c *simulatedWrite) sometimes() *reading {
	if c.rnd.IntN(4) > 0 {
		return nil
	}
	return c.token(c.reading())
}

// token lets the write be one under the token of a reading.
func (c *simulatedWrite) token(from *simulatedReading) *reading {
	if from == nil {
		return nil
	}
	c.under = from.held
	return &from.reading
}

// do makes the write. A record that is not there is created.
func (c *simulatedWrite) do(k kind) (did string, err error) {
	if !c.live && k != upsert {
		k = create
	}
	from := c.reading()
	if from == nil && (k == put || k == replace) {
		k = update
	}
	change := func(v any) any { return c.face.change(c.rnd, v, false) }
	switch k {
	case create:
		_, err = c.create(c.face.sample(c.rnd, false))
		return "creates", err
	case patch:
		_, err = c.patch(c.face.patch(c.rnd, c.now, c.sample(c.now)), c.sometimes())
		return "patches", err
	case put:
		_, err = c.put(c.token(from), change(from.value))
		return "puts", err
	case replace:
		_, err = c.replace(from.value, change(from.value))
		return "replaces", err
	case upsert:
		_, err = c.upsert(func(v any) any { return c.face.graft(v, c.sample(v)) })
		return "upserts", err
	case remove:
		_, err = c.delete(c.sometimes())
		return "deletes", err
	case resolve:
		return "settles", c.settle()
	}
	_, err = c.update(change, c.sometimes())
	return "updates", err
}

// settle settles a field that has several values, if there is one, on the one that is shown.
func (c *simulatedWrite) settle() error {
	state, err := c.state(c.key)
	if err != nil {
		return err
	}
	paths, _, err := pathsOf(state)
	for _, i := range c.rnd.Perm(len(paths)) {
		all, err := siblingsAt(state, paths[i])
		if err != nil {
			return err
		}
		if len(all) > 1 {
			_, err = c.resolve(paths[i], fieldmerge.KeepShown(), c.sometimes())
			return err
		}
	}
	return err
}
