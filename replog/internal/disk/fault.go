package disk

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"syscall"
)

// ErrStopped is what every operation returns from the one at which a Fault was told to stop.
var ErrStopped = errors.New("disk: stopped here by the test")

// Fault wraps an FS, counts its operations, reading and writing ones alike, and makes chosen ones fail.
// Closing a file or a lock counts too. It is safe for concurrent use; the numbers are meaningful only
// where the order of operations is.
//
// The usual loop: run the work with Fail(n, ...) for n = 1, 2, 3... until Ops says that it needed fewer
// than n operations.
type Fault struct {
	fs FS

	mu    sync.Mutex
	ops   int
	at    int
	times int
	how   Failure
	stop  int
	hit   bool
	last  string
	rng   *rand.Rand
}

// Failure is a way to fail. Apart from Err, a field that does not fit the operation is ignored.
type Failure struct {
	Name string // for test names
	// Err is what the operation returns. Nil is allowed with Short only, and fails writes only.
	Err error
	// Short makes a write store the first K bytes (at most all but one) and return K and Err. With K < 0 it
	// stores all and returns 0 and Err.
	Short bool
	K     int
	// DropPages makes a failed Sync lose each dirty sector of a Mem with probability 1/2, and mark all
	// clean. With Revert readers see the loss at once, else only after the power is cut.
	DropPages, Revert bool
	// Times is how many operations in a row fail: 0 means one, below 0 means all from there on.
	Times int
}

// Failures are the kinds that every user of an FS should survive. A short write is tried for the lengths
// given (none: 1 byte).
func Failures(short ...int) []Failure {
	if len(short) == 0 {
		short = []int{1}
	}
	all := []Failure{
		{Name: "EIO", Err: syscall.EIO},
		{Name: "EIO for ever", Err: syscall.EIO, Times: -1},
		{Name: "ENOSPC", Err: syscall.ENOSPC},
		{Name: "ENOSPC three times", Err: syscall.ENOSPC, Times: 3},
		{Name: "EACCES", Err: syscall.EACCES},
		{Name: "write done and failed", Err: syscall.EIO, Short: true, K: -1},
		{Name: "sync drops pages", Err: syscall.EIO, DropPages: true},
		{Name: "sync drops pages, seen", Err: syscall.EIO, DropPages: true, Revert: true},
	}
	for _, k := range short {
		all = append(all,
			Failure{Name: fmt.Sprintf("short write of %d, ENOSPC", k), Err: syscall.ENOSPC, Short: true, K: k},
			Failure{Name: fmt.Sprintf("short write of %d, no error", k), Short: true, K: k})
	}
	return all
}

// NewFault returns a Fault over fs that fails nothing yet. The seed decides which pages are dropped.
func NewFault(fs FS, seed uint64) *Fault {
	return &Fault{fs: fs, rng: rand.New(rand.NewPCG(seed, 0))}
}

// Fail makes operation n, counted from 1 and from the beginning, fail in the given way. One plan at a
// time: a later call replaces it.
func (f *Fault) Fail(n int, how Failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.how, f.hit = n, how, false
	f.times = how.Times
	if f.times == 0 {
		f.times = 1
	}
}

// StopAt makes operation n and all later ones return ErrStopped and do nothing, as if the process had
// died before n. 0 takes that back.
func (f *Fault) StopAt(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stop = n
}

// Ops returns how many operations were begun.
func (f *Fault) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// Hit reports whether the planned failure happened, and at which operation ("sync data").
func (f *Fault) Hit() (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last, f.hit
}

// step counts an operation and says how it fails, if it does. A failure with a nil error is for writes.
func (f *Fault) step(op, name string) (Failure, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops++
	if f.stop > 0 && f.ops >= f.stop {
		return Failure{Err: fmt.Errorf("%s %s: %w", op, name, ErrStopped)}, true
	}
	if f.at == 0 || f.ops < f.at || (f.times > 0 && f.ops >= f.at+f.times) || (f.how.Err == nil && op != "write") {
		return Failure{}, false
	}
	if !f.hit {
		f.hit, f.last = true, op+" "+filepath.Base(name)
	}
	how := f.how
	if how.Err != nil {
		how.Err = pathError(op, name, how.Err)
	}
	return how, true
}

func (f *Fault) fail(op, name string) error {
	how, fails := f.step(op, name)
	if !fails {
		return nil
	}
	return how.Err
}

// MkdirAll implements FS.
func (f *Fault) MkdirAll(dir string) error {
	if err := f.fail("mkdir", dir); err != nil {
		return err
	}
	return f.fs.MkdirAll(dir)
}

func (f *Fault) file(op, name string, open func(string) (File, error)) (File, error) {
	if err := f.fail(op, name); err != nil {
		return nil, err
	}
	file, err := open(name)
	if err != nil {
		return nil, err
	}
	return &faultFile{f: f, name: name, file: file}, nil
}

// Create implements FS.
func (f *Fault) Create(name string) (File, error) { return f.file("create", name, f.fs.Create) }

// Open implements FS.
func (f *Fault) Open(name string) (File, error) { return f.file("open", name, f.fs.Open) }

// OpenWrite implements FS.
func (f *Fault) OpenWrite(name string) (File, error) {
	return f.file("openwrite", name, f.fs.OpenWrite)
}

// Rename implements FS.
func (f *Fault) Rename(from, to string) error {
	if err := f.fail("rename", to); err != nil {
		return err
	}
	return f.fs.Rename(from, to)
}

// Remove implements FS.
func (f *Fault) Remove(name string) error {
	if err := f.fail("remove", name); err != nil {
		return err
	}
	return f.fs.Remove(name)
}

// List implements FS.
func (f *Fault) List(dir string) ([]string, error) {
	if err := f.fail("list", dir); err != nil {
		return nil, err
	}
	return f.fs.List(dir)
}

// SyncDir implements FS.
func (f *Fault) SyncDir(dir string) error {
	if err := f.fail("syncdir", dir); err != nil {
		return err
	}
	return f.fs.SyncDir(dir)
}

// Lock implements FS.
func (f *Fault) Lock(name string) (io.Closer, error) {
	if err := f.fail("lock", name); err != nil {
		return nil, err
	}
	l, err := f.fs.Lock(name)
	if err != nil {
		return nil, err
	}
	return &faultLock{f: f, name: name, lock: l}, nil
}

type faultLock struct {
	f    *Fault
	name string
	lock io.Closer
}

// Close frees the lock even if it fails: that is what close does on Linux. Only a stopped process,
// which does nothing any more, leaves it to the crash.
func (l *faultLock) Close() error { return l.f.close(l.name, l.lock) }

func (f *Fault) close(name string, c io.Closer) error {
	how, fails := f.step("close", name)
	if fails && errors.Is(how.Err, ErrStopped) {
		return how.Err
	}
	err := c.Close()
	if fails {
		err = how.Err
	}
	return err
}

type faultFile struct {
	f    *Fault
	name string
	file File
}

func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.f.fail("read", f.name); err != nil {
		return 0, err
	}
	return f.file.ReadAt(p, off)
}

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	how, fails := f.f.step("write", f.name)
	switch {
	case !fails:
		return f.file.WriteAt(p, off)
	case !how.Short || len(p) == 0:
		return 0, how.Err
	}
	if how.K < 0 && how.Err != nil {
		_, _ = f.file.WriteAt(p, off)
		return 0, how.Err
	}
	k := max(min(how.K, len(p)-1), 0)
	n, err := f.file.WriteAt(p[:k], off)
	if err == nil {
		err = how.Err
	}
	return n, err
}

func (f *faultFile) Size() (int64, error) {
	if err := f.f.fail("stat", f.name); err != nil {
		return 0, err
	}
	return f.file.Size()
}

func (f *faultFile) Truncate(size int64) error {
	if err := f.f.fail("truncate", f.name); err != nil {
		return err
	}
	return f.file.Truncate(size)
}

func (f *faultFile) Sync() error {
	how, fails := f.f.step("sync", f.name)
	if !fails {
		return f.file.Sync()
	}
	if m, ok := f.file.(*memFile); ok && how.DropPages {
		f.f.mu.Lock()
		defer f.f.mu.Unlock()
		m.failSync(f.f.rng, how.Revert)
	}
	return how.Err
}

func (f *faultFile) Close() error { return f.f.close(f.name, f.file) }

var (
	_ FS = osFS{}
	_ FS = (*Mem)(nil)
	_ FS = (*Fault)(nil)
)
