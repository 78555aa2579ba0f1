package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// SectorSize is the unit in which Mem keeps or loses unsynced bytes.
const SectorSize = 512

// Mem is a disk in memory, for tests and simulations. It holds each file twice, as programs see it and
// as the disk holds it, and knows which bytes and which directory operations are not synced.
// It is safe for concurrent use.
//
// The disk it plays is a hostile one: at a power cut each unsynced sector is kept, keeps its old bytes,
// becomes zeros or garbage, or holds what was written earlier and overwritten since, independent of every other; the file's length is any it had since
// its last Sync; each unsynced directory operation is kept or undone, in any combination. Syncing a file
// does not sync its name, nor the other way round. It is honest in one thing: within a sector, bytes that
// were not written since the last Sync keep their value ("power-safe overwrite").
type Mem struct {
	mu      sync.Mutex
	root    *node
	pending []dirOp // directory operations that are not durable, oldest first
	locks   map[*node]bool
}

// node is a directory (names, kept) or a file (the rest).
type node struct {
	names map[string]*node // as programs see them; nil for a file
	kept  map[string]*node // as the disk holds them

	data  []byte // as programs see it
	disk  []byte // as the disk holds it
	dirty map[int64]*sector
	sizes []int64 // lengths that a power cut may leave, newest first; the last one is the disk's
}

// sector tells which bytes of a sector are not synced. past is what it held before unsynced bytes of it
// were overwritten or cut off for the first time: the system may have written that out already.
type sector struct {
	bits [SectorSize / 64]uint64
	past *[SectorSize]byte
}

func (s *sector) set(i int64)      { s.bits[i/64] |= 1 << (i % 64) }
func (s *sector) has(i int64) bool { return s.bits[i/64]&(1<<(i%64)) != 0 }

// dirOp sets a name in a directory (target nil: removes it) and, for a rename, removes another.
type dirOp struct {
	dir    *node
	name   string
	target *node
	from   *node
	old    string
	path   string
}

func (op dirOp) apply(names func(*node) map[string]*node) {
	if op.from != nil {
		delete(names(op.from), op.old)
	}
	if op.target == nil {
		delete(names(op.dir), op.name)
		return
	}
	names(op.dir)[op.name] = op.target
}

// NewMem returns an empty disk. Its root directory, and ".", exist.
func NewMem() *Mem { return &Mem{root: newDir(), locks: map[*node]bool{}} }

func newDir() *node { return &node{names: map[string]*node{}, kept: map[string]*node{}} }

func newFile() *node { return &node{dirty: map[int64]*sector{}, sizes: []int64{0}} }

// split returns the path's segments; "/a/b", "a/b" and "./a/b" are the same.
func split(name string) []string {
	name = strings.Trim(filepath.ToSlash(filepath.Clean(name)), "/")
	if name == "" || name == "." {
		return nil
	}
	return strings.Split(name, "/")
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

func (m *Mem) findLocked(segments []string) *node {
	n := m.root
	for _, s := range segments {
		if n.names == nil || n.names[s] == nil {
			return nil
		}
		n = n.names[s]
	}
	return n
}

// parentLocked returns the directory that holds name, and name's last segment.
func (m *Mem) parentLocked(op, name string) (*node, string, error) {
	segments := split(name)
	if len(segments) == 0 {
		return nil, "", pathError(op, name, fs.ErrInvalid)
	}
	dir := m.findLocked(segments[:len(segments)-1])
	if dir == nil || dir.names == nil {
		return nil, "", pathError(op, name, fs.ErrNotExist)
	}
	return dir, segments[len(segments)-1], nil
}

func (m *Mem) doLocked(op dirOp) {
	op.apply(func(n *node) map[string]*node { return n.names })
	m.pending = append(m.pending, op)
}

func (m *Mem) syncDirLocked(dir *node) {
	m.pending = slices.DeleteFunc(m.pending, func(op dirOp) bool {
		if op.dir != dir && op.from != dir {
			return false
		}
		op.apply(func(n *node) map[string]*node { return n.kept })
		return true
	})
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.root
	segments := split(dir)
	for i, s := range segments {
		next := n.names[s]
		if next == nil {
			next = newDir()
			m.doLocked(dirOp{dir: n, name: s, target: next, path: strings.Join(segments[:i+1], "/")})
		}
		if next.names == nil {
			return pathError("mkdir", dir, fs.ErrExist)
		}
		m.syncDirLocked(n)
		n = next
	}
	return nil
}

// Create implements FS.
func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parentLocked("create", name)
	if err != nil {
		return nil, err
	}
	if dir.names[base] != nil {
		return nil, pathError("create", name, fs.ErrExist)
	}
	n := newFile()
	m.doLocked(dirOp{dir: dir, name: base, target: n, path: name})
	return &memFile{m: m, n: n, name: name, write: true}, nil
}

func (m *Mem) open(name string, write bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.findLocked(split(name))
	if n == nil {
		return nil, pathError("open", name, fs.ErrNotExist)
	}
	if n.names != nil {
		return nil, pathError("open", name, errors.New("is a directory"))
	}
	return &memFile{m: m, n: n, name: name, write: write}, nil
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) { return m.open(name, false) }

// OpenWrite implements FS.
func (m *Mem) OpenWrite(name string) (File, error) { return m.open(name, true) }

// Rename implements FS.
func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	src, old, err := m.parentLocked("rename", from)
	if err != nil {
		return err
	}
	dst, base, err := m.parentLocked("rename", to)
	if err != nil {
		return err
	}
	n := src.names[old]
	if n == nil {
		return pathError("rename", from, fs.ErrNotExist)
	}
	if src == dst && old == base {
		return nil
	}
	m.doLocked(dirOp{dir: dst, name: base, target: n, from: src, old: old, path: from + " -> " + to})
	return nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parentLocked("remove", name)
	if err != nil {
		return err
	}
	n := dir.names[base]
	if n == nil {
		return pathError("remove", name, fs.ErrNotExist)
	}
	if len(n.names) > 0 {
		return pathError("remove", name, errors.New("directory not empty"))
	}
	m.doLocked(dirOp{dir: dir, name: base, path: name})
	return nil
}

// List implements FS.
func (m *Mem) List(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.findLocked(split(dir))
	if n == nil || n.names == nil {
		return nil, pathError("list", dir, fs.ErrNotExist)
	}
	names := make([]string, 0, len(n.names))
	for name := range n.names {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// SyncDir implements FS.
func (m *Mem) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.findLocked(split(dir))
	if n == nil || n.names == nil {
		return pathError("syncdir", dir, fs.ErrNotExist)
	}
	m.syncDirLocked(n)
	return nil
}

// Lock implements FS.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parentLocked("lock", name)
	if err != nil {
		return nil, err
	}
	n := dir.names[base]
	if n == nil {
		n = newFile()
		m.doLocked(dirOp{dir: dir, name: base, target: n, path: name})
	}
	if m.locks[n] {
		return nil, fmt.Errorf("%s: %w (this process)", name, ErrLocked)
	}
	m.locks[n] = true
	return &memLock{m: m, n: n}, nil
}

type memLock struct {
	m *Mem
	n *node
}

func (l *memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if l.n == nil {
		return fs.ErrClosed
	}
	delete(l.m.locks, l.n)
	l.n = nil
	return nil
}

// Outcome is one thing that a power cut leaves open.
type Outcome struct {
	What   string // "sector", "size" or "name"
	Path   string // of the file, or of the directory operation
	Sector int64  // for "sector"
	// N is the number of possibilities. 0 is always "as written". For a sector 1 is its old bytes, 2
	// zeros, 3 garbage (where the old bytes are zeros, 2 is garbage instead); one more, where there is one,
	// is an earlier unsynced content. For a size the higher, the older. For a name 1 is "undone".
	N int
}

// Crash returns the disk as a machine may find it after a power cut. choose is asked about everything
// that is not synced, in an order that depends on the disk alone, and returns 0 <= i < o.N. The result
// shares nothing with m, has no locks and is wholly synced; m itself is not changed, so that many
// crashes can be tried from one point.
func (m *Mem) Crash(choose func(o Outcome) int) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := map[*node]map[string]*node{}
	names := func(n *node) map[string]*node {
		if kept[n] == nil {
			kept[n] = map[string]*node{}
			for name, child := range n.kept {
				kept[n][name] = child
			}
		}
		return kept[n]
	}
	for _, op := range m.pending {
		if choose(Outcome{What: "name", Path: op.path, N: 2}) == 0 {
			op.apply(names)
		}
	}
	out := NewMem()
	done := map[*node]*node{m.root: out.root}
	var walk func(from, to *node, path string)
	walk = func(from, to *node, path string) {
		children := names(from)
		sorted := make([]string, 0, len(children))
		for name := range children {
			sorted = append(sorted, name)
		}
		slices.Sort(sorted)
		for _, name := range sorted {
			child := children[name]
			if done[child] == nil { // a rename half undone may leave two names for one file
				if child.names != nil {
					done[child] = newDir()
					walk(child, done[child], path+"/"+name)
				} else {
					done[child] = child.crash(path+"/"+name, choose)
				}
			}
			to.names[name], to.kept[name] = done[child], done[child]
		}
	}
	walk(m.root, out.root, "")
	return out
}

func (n *node) crash(path string, choose func(o Outcome) int) *node {
	sizes := slices.Clone(n.sizes)
	size := sizes[0]
	if len(sizes) > 1 {
		size = sizes[choose(Outcome{What: "size", Path: path, N: len(sizes)})]
	}
	data := make([]byte, size)
	copy(data, n.disk)
	for _, s := range n.dirtySectors() {
		lo := s * SectorSize
		if lo >= size {
			continue
		}
		bits := n.dirty[s]
		var old, zero [SectorSize]byte
		if lo < int64(len(n.disk)) {
			copy(old[:], n.disk[lo:])
		}
		options := []int{0, 1, 2, 3}
		if old == zero {
			options = []int{0, 1, 3}
		}
		if bits.past != nil {
			options = append(options, 4)
		}
		how := options[choose(Outcome{What: "sector", Path: path, Sector: s, N: len(options)})]
		garbage := rand.New(rand.NewPCG(uint64(s), uint64(len(n.data))))
		for i := int64(0); i < SectorSize && lo+i < size; i++ {
			trash := byte(garbage.Uint32())
			if !bits.has(i) {
				continue
			}
			switch how {
			case 0:
				data[lo+i] = 0
				if lo+i < int64(len(n.data)) {
					data[lo+i] = n.data[lo+i]
				}
			case 1: // as on the disk
			case 2:
				data[lo+i] = 0
			case 3:
				data[lo+i] = trash
			case 4:
				data[lo+i] = bits.past[i]
			}
		}
	}
	return &node{data: data, disk: slices.Clone(data), dirty: map[int64]*sector{}, sizes: []int64{size}}
}

// CrashRand is Crash with a coin for every outcome. Nine times in ten it leans to one side (mostly kept,
// mostly lost, mostly garbage), since even coins hardly ever leave the interesting corners.
func (m *Mem) CrashRand(rng *rand.Rand) *Mem {
	lean, weight := rng.IntN(4), rng.IntN(10)
	return m.Crash(func(o Outcome) int {
		if rng.IntN(10) < weight && lean < o.N {
			return lean
		}
		return rng.IntN(o.N)
	})
}

// Crashes yields every disk that a power cut may leave now. Their number is exponential in what is
// not synced.
func (m *Mem) Crashes() iter.Seq[*Mem] {
	return func(yield func(*Mem) bool) {
		var digits []int
		for {
			var bases []int
			out := m.Crash(func(o Outcome) int {
				i := len(bases)
				bases = append(bases, o.N)
				if i == len(digits) {
					digits = append(digits, 0)
				}
				return digits[i]
			})
			if !yield(out) {
				return
			}
			digits = digits[:len(bases)] // an outcome may hide others: a file whose name is lost has no sectors
			for len(digits) > 0 && digits[len(digits)-1] == bases[len(digits)-1]-1 {
				digits = digits[:len(digits)-1]
			}
			if len(digits) == 0 {
				return
			}
			digits[len(digits)-1]++
		}
	}
}

// Unsynced returns how many sectors, in all files, and how many directory operations are not durable.
func (m *Mem) Unsynced() (sectors, names int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := map[*node]bool{}
	var walk func(n *node)
	walk = func(n *node) {
		if seen[n] {
			return
		}
		seen[n] = true
		sectors += len(n.dirty)
		for _, c := range n.names {
			walk(c)
		}
		for _, c := range n.kept {
			walk(c)
		}
	}
	walk(m.root)
	return sectors, len(m.pending)
}

// CrashSoft returns the disk as the next process finds it after a kill -9: everything written is there,
// what was not synced is still not synced, locks are free. It shares nothing with m.
func (m *Mem) CrashSoft() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := &Mem{locks: map[*node]bool{}}
	copies := map[*node]*node{}
	var clone func(n *node) *node
	clone = func(n *node) *node {
		if n == nil {
			return nil
		}
		if c := copies[n]; c != nil {
			return c
		}
		c := &node{data: slices.Clone(n.data), disk: slices.Clone(n.disk), sizes: slices.Clone(n.sizes)}
		copies[n] = c
		if n.names == nil {
			c.dirty = map[int64]*sector{}
			for s, b := range n.dirty {
				bits := *b
				c.dirty[s] = &bits
			}
			return c
		}
		c.names, c.kept = map[string]*node{}, map[string]*node{}
		for name, child := range n.names {
			c.names[name] = clone(child)
		}
		for name, child := range n.kept {
			c.kept[name] = clone(child)
		}
		return c
	}
	out.root = clone(m.root)
	for _, op := range m.pending {
		op.dir, op.target, op.from = clone(op.dir), clone(op.target), clone(op.from)
		out.pending = append(out.pending, op)
	}
	return out
}

// ReadFile returns a copy of a file's bytes as programs see them.
func (m *Mem) ReadFile(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.findLocked(split(name))
	if n == nil || n.names != nil {
		return nil, pathError("read", name, fs.ErrNotExist)
	}
	return slices.Clone(n.data), nil
}

// WriteFile puts a file on the disk, wholly synced, for tests that start from given bytes.
func (m *Mem) WriteFile(name string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parentLocked("write", name)
	if err != nil {
		return err
	}
	n := newFile()
	n.data, n.disk, n.sizes = slices.Clone(data), slices.Clone(data), []int64{int64(len(data))}
	m.syncDirLocked(dir)
	dir.names[base], dir.kept[base] = n, n
	return nil
}

type memFile struct {
	m      *Mem
	n      *node
	name   string
	write  bool
	closed bool
}

// usableLocked says whether the handle can do op.
func (f *memFile) usableLocked(op string, write bool) error {
	switch {
	case f.closed:
		return pathError(op, f.name, fs.ErrClosed)
	case write && !f.write:
		return pathError(op, f.name, fs.ErrPermission)
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.usableLocked("read", false); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, pathError("read", f.name, fs.ErrInvalid)
	}
	if off >= int64(len(f.n.data)) {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// touch marks bytes as not synced, before they change.
func (n *node) touch(lo, hi int64) {
	for lo < hi {
		s := lo / SectorSize
		bits := n.dirty[s]
		if bits == nil {
			bits = new(sector)
			n.dirty[s] = bits
		}
		for i := lo; bits.past == nil && i < min(hi, (s+1)*SectorSize); i++ {
			if bits.has(i % SectorSize) {
				bits.past = new([SectorSize]byte)
				copy(bits.past[:], n.data[min(s*SectorSize, int64(len(n.data))):])
			}
		}
		for ; lo < hi && lo < (s+1)*SectorSize; lo++ {
			bits.set(lo % SectorSize)
		}
	}
}

func (n *node) dirtySectors() []int64 {
	sectors := make([]int64, 0, len(n.dirty))
	for s := range n.dirty {
		sectors = append(sectors, s)
	}
	slices.Sort(sectors)
	return sectors
}

func (n *node) resize(size int64) {
	old := int64(len(n.data))
	if size == old {
		return
	}
	if size < old {
		n.touch(size, old) // cut and grown again before a Sync, the bytes may be the old ones or zeros
		n.data = n.data[:size:size]
	} else {
		n.data = slices.Grow(n.data, int(size-old))[:size]
		clear(n.data[old:])
	}
	n.sizes = append([]int64{size}, n.sizes...)
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.usableLocked("write", true); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, pathError("write", f.name, fs.ErrInvalid)
	}
	end := off + int64(len(p))
	if end > int64(len(f.n.data)) {
		f.n.resize(end)
	}
	f.n.touch(off, end)
	copy(f.n.data[off:], p)
	return len(p), nil
}

func (f *memFile) Truncate(size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.usableLocked("truncate", true); err != nil {
		return err
	}
	if size < 0 {
		return pathError("truncate", f.name, fs.ErrInvalid)
	}
	f.n.resize(size)
	return nil
}

func (f *memFile) Size() (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.usableLocked("stat", false); err != nil {
		return 0, err
	}
	return int64(len(f.n.data)), nil
}

// Sync copies the dirty sectors only: what a failed Sync left behind as clean stays lost.
func (f *memFile) Sync() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.usableLocked("sync", false); err != nil {
		return err
	}
	f.n.flush(func(int64) bool { return true })
	return nil
}

// flush writes the dirty sectors that keep answers for, forgets which were dirty, and settles the size.
func (n *node) flush(keep func(sector int64) bool) {
	size := int64(len(n.data))
	if old := int64(len(n.disk)); old < size {
		n.disk = slices.Grow(n.disk, int(size-old))[:size]
		clear(n.disk[old:])
	}
	n.disk = n.disk[:size]
	for _, s := range n.dirtySectors() {
		if !keep(s) {
			continue
		}
		for i := s * SectorSize; i < min((s+1)*SectorSize, size); i++ {
			if n.dirty[s].has(i % SectorSize) {
				n.disk[i] = n.data[i]
			}
		}
	}
	clear(n.dirty)
	n.sizes = []int64{size}
}

// failSync plays a Sync that fails: each dirty sector reaches the disk or not, and all are clean
// afterwards. With revert the lost ones are lost for readers too (as on XFS), else the cache goes on
// showing them (as on ext4), until the power is cut.
func (f *memFile) failSync(rng *rand.Rand, revert bool) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed {
		return
	}
	f.n.flush(func(int64) bool { return rng.IntN(2) == 0 })
	if revert {
		copy(f.n.data, f.n.disk)
	}
}

func (f *memFile) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed {
		return pathError("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	return nil
}
