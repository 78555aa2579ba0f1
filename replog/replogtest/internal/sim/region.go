package sim

import (
	"context"
	"errors"
	"iter"
	"maps"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/disk"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
	"github.com/fieldwise/fieldwise/replog/wal"
)

// region is a process on a machine: the engine over a log, as replog hosts it, without a
// goroutine. It is the host of its one domain and the domain's store.
type region struct {
	w       *world
	name    fieldwise.Region
	machine *disk.Mem
	faults  *disk.Fault
	log     *wal.Log
	engine  *engine.Engine
	client  client
	links   []*direction // that it pulls over

	life       int // counts restarts: what was begun in an earlier one is void
	up         bool
	stalled    time.Duration // until then nothing happens here
	offset     time.Duration // of the clock
	end        wal.Position  // of what is published
	committing bool
	staged     fieldwise.Vector // what the staged state holds
	mine       []*write         // staged, and not settled
	members    members          // as it knows them
	told       uint64           // of what list others knew that asked this process
	away       bool             // it is none of them, and does not run
	making     *write           // by the client's call that is going on
	identity
	release

	held    fieldwise.Vector       // by the log as the model knows it; never goes back
	ever    fieldwise.Vector       // the most that it held on disks that are gone
	came    map[place][]*direction // over which bodies came to this process
	reports map[reported]bool
	drop    *rand.Rand // what a power cut leaves
}

const (
	dir  = "data"
	name = "records" // of the domain

	segment = 4 << 10 // bytes: histories are short, and begin some
)

// epoch is when histories begin.
var epoch = time.UnixMilli(1_800_000_000_000)

func (w *world) addRegion(name fieldwise.Region) *region {
	rng := w.plan.stream("region " + string(name))
	r := &region{
		w: w, name: name, identity: identity{ids: w.plan.stream("identity " + string(name))},
		machine: disk.NewMem(), held: make(fieldwise.Vector), reports: make(map[reported]bool), drop: rng,
	}
	if w.faults&Skews != 0 {
		r.offset = time.Duration(rng.Int64N(int64(600*time.Millisecond))) - 300*time.Millisecond
	}
	w.regions = append(w.regions, r)
	if !w.members.has(name) { // or it is a clone
		w.members.names = append(w.members.names, name)
	}
	return r
}

func (r *region) wall() time.Time { return epoch.Add(r.w.now + r.offset) }

// later lets the region do something, unless it is restarted before; while it is stalled,
// that waits.
func (r *region) later(d time.Duration, do func()) {
	life := r.life
	r.w.after(d, func() { r.run(life, do) })
}

func (r *region) run(life int, do func()) {
	switch {
	case r.life != life:
	case r.stalled > r.w.now:
		r.w.after(r.stalled-r.w.now, func() { r.run(life, do) })
	default:
		do()
	}
}

// start opens the log and the domain, and may be cut off in the middle of that.
func (r *region) start() {
	if r.away {
		return
	}
	r.faults = disk.NewFault(r.machine, r.drop.Uint64())
	if stop := 1 + r.drop.IntN(80); !r.w.healing && r.w.faults&(Kills|PowerCuts) != 0 && stop <= 40 {
		r.faults.StopAt(stop)
	}
	r.open()
}

func (r *region) open() {
	log, recovery, err := wal.Open(dir, engine.AppendIdentity(nil, fieldwise.Origin{Region: r.name, Incarnation: r.incarnation()}), wal.Options{FS: r.faults, SegmentBytes: segment, Foreground: true})
	if errors.Is(err, disk.ErrStopped) {
		r.w.counts["cut off starts"]++
		r.w.tell("%s is cut off while it starts", r.name)
		machine := r.machine.CrashSoft()
		if r.w.faults&PowerCuts != 0 {
			machine = r.machine.CrashRand(r.drop)
		}
		r.restart(machine, 100*time.Millisecond)
		return
	}
	r.faults.StopAt(0)
	if err != nil {
		if _, hit := r.faults.Hit(); !hit {
			r.w.fail("%s does not start: %v", r.name, err)
		}
		r.w.counts["failed starts"]++
		r.w.tell("%s does not start: %v", r.name, err)
		r.faults.Fail(0, disk.Failure{})
		r.later(100*time.Millisecond, r.open)
		return
	}
	r.log, r.up = log, true
	if recovery.DroppedBytes > 0 {
		r.w.counts["torn tails"]++
	}
	r.members = r.w.members
	r.engine = r.newEngine(recovery.Created)
	for _, d := range r.links {
		if d.tried() {
			r.engine.Link(d.from.name)
		}
	}
	has := make(fieldwise.Vector)
	r.sums, r.came = make(map[place]sum), make(map[place][]*direction)
	for frame, err := range log.Frames(0) {
		if err == nil {
			err = r.engine.Recover(int64(frame.Position), frame.Payload)
		}
		if err != nil {
			r.w.fail("%s does not recover: %v", r.name, err)
		}
		r.w.readFrame(r, frame.Payload, has)
	}
	r.engine.Recovered(r.wall())
	if !has.Covers(r.held) {
		r.w.fail("%s lost what its log had: %s, now %s", r.name, short(r.held), short(has))
	}
	r.held = has
	r.forget()
	r.end, r.staged, r.committing = log.Durable(), r.engine.Vector(), false
	r.mine = nil
	r.goOn()
	if r.client, err = r.w.work.open(r); err != nil {
		r.w.fail("%s does not open its domain: %v", r.name, err)
	}
	r.w.tell("%s is up with [%s]", r.name, short(has))
	r.confirmed()
	r.kick()
}

// stop ends the process: what is under way has an unknown outcome.
func (r *region) stop() {
	if r.log != nil {
		_ = r.log.Close() // its machine goes on without it
	}
	for _, m := range r.mine {
		m.outcome = unknown
	}
	r.log, r.up, r.mine = nil, false, nil
	r.life++
}

// restart ends the process, and starts one after a while on what the disk holds then.
func (r *region) restart(machine *disk.Mem, after time.Duration) {
	r.life++ // the log is not closed: nobody was asked
	for _, m := range r.mine {
		m.outcome = unknown
	}
	r.log, r.up, r.mine = nil, false, nil
	r.machine = machine
	r.later(after, r.start)
}

// heal ends the faults of the region.
func (r *region) heal() {
	r.stalled, r.offset = 0, 0
	r.faults.Fail(0, disk.Failure{})
	for _, d := range r.links {
		d.heal()
	}
}

// kick lets the region write what is staged, one batch at a time.
func (r *region) kick() { r.later(0, r.commit) }

func (r *region) commit() {
	if r.committing || !r.up {
		return
	}
	b := r.engine.TakeBatch()
	if b == nil {
		return
	}
	r.committing = true
	payload := append([]byte(nil), b.Payload...)
	frame, err := r.log.Append(payload)
	if err != nil {
		r.finish(b, payload, 0, err)
		return
	}
	r.later(r.w.syncTime(), func() { r.finish(b, payload, frame, r.log.Sync()) })
}

func (r *region) finish(b *engine.Batch, payload []byte, frame wal.Position, err error) {
	r.committing = false
	if err == nil {
		r.w.counts["batches"]++
		r.engine.Committed(b, int64(frame))
		r.end = r.log.Durable()
		r.w.readFrame(r, payload, r.held)
		r.w.reportsAreTrue(r, payload)
		r.settle(func(m *write) bool { return m.batch == b.Number }, acknowledged)
		r.w.tell("%s has %s", r.name, short(r.held))
		r.w.hash(payload)
		r.kick()
		return
	}
	poisoned := errors.Is(err, wal.ErrPoisoned)
	if _, hit := r.faults.Hit(); !hit {
		r.w.fail("%s cannot write, and its disk works: %v", r.name, err)
	}
	r.w.counts["failed batches"]++
	r.w.tell("%s cannot write: %v", r.name, err)
	if poisoned {
		r.engine.LogFailed()
		r.settle(func(m *write) bool { return m.batch == b.Number }, unknown)
	}
	r.engine.Failed()
	r.settle(func(*write) bool { return true }, failed)
	r.staged = r.engine.Vector()
	maps.DeleteFunc(r.came, func(at place, _ []*direction) bool { return at.seq > r.staged[at.origin] })
	if poisoned { // a process that cannot write is of no use
		r.w.counts["poisoned"]++
		r.restart(r.machine.CrashSoft(), time.Second)
		return
	}
	r.kick()
}

func (r *region) settle(which func(*write) bool, as outcome) {
	kept := r.mine[:0]
	for _, m := range r.mine {
		if which(m) {
			m.outcome = as
		} else {
			kept = append(kept, m)
		}
	}
	r.mine = kept
}

// diskFailure is what a disk error, or a full disk, looks like.
func diskFailure(rng *rand.Rand, full bool) disk.Failure {
	if full {
		return disk.Failure{Err: syscall.ENOSPC, Times: 1 + rng.IntN(8), Short: rng.IntN(2) == 0, K: rng.IntN(600)}
	}
	all := disk.Failures(rng.IntN(600))
	return all[rng.IntN(len(all))]
}

// Domain implements [fieldwise.Host].
func (r *region) Domain(name string, m fieldwise.Merger) (fieldwise.Store, error) {
	return r, r.engine.OpenDomain(name, m)
}

// Read implements [fieldwise.Store].
func (r *region) Read(_ context.Context, key string, use func([]byte) error) error {
	return use(r.engine.Read(nil, name, key).Append(nil))
}

// ReadOpen implements [fieldwise.OpenStore].
func (r *region) ReadOpen(_ context.Context, key string, use func([]byte, fieldwise.Opened) error) error {
	s := r.engine.Read(nil, name, key)
	return use(s.Bytes, s.Open)
}

// Keys implements [fieldwise.Store].
func (r *region) Keys(_ context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, key := range r.engine.Keys(name, prefix) {
			if !yield(key, nil) {
				return
			}
		}
	}
}

// Write implements [fieldwise.Store].
func (r *region) Write(ctx context.Context, key string, change func(dst, state []byte, at fieldwise.Version) ([]byte, error)) (fieldwise.Receipt, error) {
	return r.WriteOpen(ctx, key, func(dst, state []byte, open fieldwise.Opened, at fieldwise.Version) ([]byte, error) {
		if open != nil {
			state = open.AppendState(nil)
		}
		return change(dst, state, at)
	})
}

// WriteOpen implements [fieldwise.OpenStore]. It returns when the write is staged: whether it
// became durable is told to the model later.
func (r *region) WriteOpen(_ context.Context, key string, change func(dst, state []byte, open fieldwise.Opened, at fieldwise.Version) ([]byte, error)) (fieldwise.Receipt, error) {
	basis, err := r.engine.Begin(r.wall(), name, key)
	if err != nil {
		return fieldwise.Receipt{}, err
	}
	delta, err := change(nil, basis.State.Bytes, basis.State.Open, basis.At)
	if err != nil || len(delta) == 0 {
		return fieldwise.Receipt{}, err
	}
	m := r.making
	m.delta, m.saw, m.blind = delta, r.staged.Clone(), r.stopped
	receipt, batch, err := r.engine.Stage(basis, name, key, delta, "")
	if err != nil {
		return fieldwise.Receipt{}, err
	}
	m.receipt, m.batch, m.outcome = receipt, batch, pending
	m.sum, m.size = m.entrySum()
	r.w.bySum[m.sum] = m
	r.staged[receipt.Origin] = receipt.Seq
	r.mine = append(r.mine, m)
	r.kick()
	return receipt, nil
}
