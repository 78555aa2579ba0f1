package engine

import (
	"encoding/binary"
	"hash/maphash"
	"iter"
	"math/bits"
)

// table maps keys to states. It is a map[string][]byte without a pointer per record, so
// that a collection costs the same however many there are, and in less memory. The zero
// value is empty.
//
// Records lie in chunks of bytes, each in a room of its own:
//
//	room (4 bytes, in grains; the top bit is set if nothing lives there)
//	bytes of the key (27 bits) and of the state (37 bits), 8 bytes
//	key, state, and what is left of the room
//
// A state that is put is written over the old one if there is room. Otherwise it moves: to
// a room of just its size that another left, or behind the last one. When more than a
// sixteenth of the memory is waste, be it free rooms or room to spare, the records of the
// chunk with the most of it move to rooms of their size.
//
// The index is split by the first bits of a key's hash into segments, which are hash
// tables of 8-byte slots, so that growing takes short steps. A slot holds twenty bits of
// the hash and where the record is; zero is an empty one.
//
// What get and all return is memory of the table, good until the next put or remove.
type table struct {
	seed  maphash.Seed
	clear uint64 // bits that are cleared in each hash: tests make keys collide

	segments []*segment // by the first depth bits of a hash
	depth    uint
	records  int

	chunks  []chunk  // by number; 0 is none
	numbers []uint32 // of chunks that are no more
	filling uint32   // the chunk that new rooms are taken from
	spare   []byte   // memory of a chunk that is no more
	free    [classes]place64
	memory  int // of all chunks, but for what was not taken yet of the one being filled
	live    int // of that, in use

	touched byte // keeps the loads of touch from being optimised away
}

// segment is a part of the index, an open-addressed hash table.
type segment struct {
	slots []slot // as many as a power of two
	used  int
	depth uint // the segment holds the hashes that agree in so many first bits
}

// chunk is memory of records.
type chunk struct {
	mem  []byte // what was taken of it; the capacity is the chunk's size
	live int    // bytes of rooms that its records need
}

// place64 is where a record is: the number of its chunk, and its place there in grains.
type place64 uint64

// slot is 20 bits of a hash in front of a place of 44 bits.
type slot uint64

const (
	grain      = 16
	chunkSize  = grain << placeBits
	firstChunk = 1 << 10
	maxShared  = chunkSize / 16 // a larger room has a chunk of its own
	headerSize = 12
	minRoom    = 2 * grain // holds the links of a free one
	freeRoom   = 1 << 31
	stateBits  = 37

	placeBits = 16
	tagBits   = 20
	tagMask   = (1<<tagBits - 1) << (64 - tagBits)

	segmentSize = 1024 // slots of a segment that is split rather than enlarged
	maxDepth    = 16   // from there on segments are enlarged again
)

func (s slot) place() place64 { return place64(s &^ tagMask) }

// tag is what a slot holds of a hash: neither the first bits, by which segments are split,
// nor the last, which say where in a segment to look first.
func tag(hash uint64) slot { return slot(hash << maxDepth & tagMask) }

func (p place64) chunk() uint32 { return uint32(p >> placeBits) }

func (p place64) offset() int { return int(p&(1<<placeBits-1)) * grain }

// roomFor is the size of the room for n bytes. Rooms have one of a few sizes, at most a
// thirty-second too large but for the grain, so that one fits again when it is left.
func roomFor(n int) int {
	step := max(grain, 1<<bits.Len(uint(n-1))>>6)
	return max(minRoom, (n+step-1)&^(step-1))
}

// classes is the number of sizes up to maxShared.
const classes = 64 + 6*32 + 1

// classOf numbers the sizes of rooms.
func classOf(room int) int {
	if room < 64*grain {
		return room / grain
	}
	shift := bits.Len(uint(room)) - 6
	return 64 + (shift-5)*32 + room>>shift - 32
}

func (t *table) hash(key string) uint64 { return maphash.String(t.seed, key) &^ t.clear }

// hashOf is the hash of the key of the record in a room.
func (t *table) hashOf(room []byte) uint64 {
	key, _ := record(room)
	return maphash.Bytes(t.seed, key) &^ t.clear
}

func (t *table) len() int { return t.records }

// room is the memory of a record's room, and of what lies behind it.
func (t *table) room(p place64) []byte { return t.chunks[p.chunk()].mem[p.offset():] }

// record cuts a room into key and state.
func record(room []byte) (key, state []byte) {
	lengths := binary.LittleEndian.Uint64(room[4:])
	k := headerSize + int(lengths>>stateBits)
	n := k + int(lengths&(1<<stateBits-1))
	return room[headerSize:k:k], room[k:n:n]
}

// need is the size of a room that fits the record in this one.
func need(room []byte) int {
	key, state := record(room)
	return roomFor(headerSize + len(key) + len(state))
}

func roomSize(room []byte) int {
	return int(binary.LittleEndian.Uint32(room)&^freeRoom) * grain
}

func isFree(room []byte) bool { return binary.LittleEndian.Uint32(room)&freeRoom != 0 }

// writeRecord writes a record into its room.
func writeRecord(room []byte, size int, key string, state []byte) {
	binary.LittleEndian.PutUint32(room, uint32(size/grain))
	binary.LittleEndian.PutUint64(room[4:], uint64(len(key))<<stateBits|uint64(len(state)))
	copy(room[headerSize:], key)
	copy(room[headerSize+len(key):], state)
}

// find returns the slot of a key and its segment; ok is false if there is none, and i is
// where it would be put.
func (t *table) find(hash uint64, key string) (s *segment, i int, ok bool) {
	s = t.segments[hash>>(64-t.depth)]
	mask := len(s.slots) - 1
	want := tag(hash)
	for i = int(hash) & mask; s.slots[i] != 0; i = (i + 1) & mask {
		if at := s.slots[i]; at&tagMask == want {
			if k, _ := record(t.room(at.place())); string(k) == key {
				return s, i, true
			}
		}
	}
	return s, i, false
}

// get returns the state of a key, nil if there is none.
func (t *table) get(key string) []byte {
	if t.records == 0 {
		return nil
	}
	s, i, ok := t.find(t.hash(key), key)
	if !ok {
		return nil
	}
	_, state := record(t.room(s.slots[i].place()))
	return state
}

// put sets the state of a key.
func (t *table) put(key string, state []byte) {
	if t.segments == nil {
		t.seed = maphash.MakeSeed()
		t.segments = []*segment{{slots: make([]slot, 8)}}
		t.chunks = make([]chunk, 1)
	}
	hash := t.hash(key)
	size := roomFor(headerSize + len(key) + len(state))
	s, i, ok := t.find(hash, key)
	if ok {
		p := s.slots[i].place()
		room := t.room(p)
		if has := roomSize(room); size <= has {
			t.use(p, size-need(room))
			writeRecord(room, has, key, state)
		} else {
			s.slots[i] = tag(hash) | slot(t.add(size, key, state))
			t.release(p)
		}
	} else {
		t.insert(hash, tag(hash)|slot(t.add(size, key, state)))
		t.records++
	}
	t.compact()
}

// remove forgets a key, if it is there.
func (t *table) remove(key string) {
	if t.records == 0 {
		return
	}
	s, i, ok := t.find(t.hash(key), key)
	if !ok {
		return
	}
	t.release(s.slots[i].place())
	t.records--
	s.used--
	// What was put behind the slot because it was taken moves up.
	mask := len(s.slots) - 1
	for j := (i + 1) & mask; s.slots[j] != 0; j = (j + 1) & mask {
		home := int(t.hashOf(t.room(s.slots[j].place()))) & mask
		if (j-home)&mask >= (j-i)&mask {
			s.slots[i], i = s.slots[j], j
		}
	}
	s.slots[i] = 0
	t.compact()
}

// all yields keys and states in no order. The keys are memory of the table, too.
func (t *table) all() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, state []byte) bool) {
		for i := range t.chunks {
			for mem := t.chunks[i].mem; len(mem) > 0; mem = mem[roomSize(mem):] {
				if !isFree(mem) && !yield(record(mem)) {
					return
				}
			}
		}
	}
}

// insert adds a slot to the index.
func (t *table) insert(hash uint64, at slot) {
	s := t.segments[hash>>(64-t.depth)]
	for s.used >= len(s.slots)/4*3 {
		if len(s.slots) < segmentSize || s.depth == maxDepth {
			old := s.slots
			s.slots = make([]slot, 2*len(old))
			for _, at := range old {
				if at != 0 {
					s.add(t.hashOf(t.room(at.place())), at)
				}
			}
		} else {
			t.split(s, hash)
			s = t.segments[hash>>(64-t.depth)]
		}
	}
	s.add(hash, at)
	s.used++
}

// add puts a slot that is not there yet.
func (s *segment) add(hash uint64, at slot) {
	mask := len(s.slots) - 1
	i := int(hash) & mask
	for s.slots[i] != 0 {
		i = (i + 1) & mask
	}
	s.slots[i] = at
}

// split makes two segments of the one that holds a hash.
func (t *table) split(s *segment, hash uint64) {
	if s.depth == t.depth {
		wider := make([]*segment, 0, 2*len(t.segments))
		for _, s := range t.segments {
			wider = append(wider, s, s)
		}
		t.segments, t.depth = wider, t.depth+1
	}
	var halves [2]*segment
	for i := range halves {
		halves[i] = &segment{slots: make([]slot, len(s.slots)), depth: s.depth + 1}
	}
	for _, at := range s.slots {
		if at != 0 {
			h := t.hashOf(t.room(at.place()))
			half := halves[h>>(63-s.depth)&1]
			half.add(h, at)
			half.used++
		}
	}
	width := 1 << (t.depth - s.depth) // of the part of segments that s takes
	first := int(hash>>(64-t.depth)) &^ (width - 1)
	for i := range width {
		t.segments[first+i] = halves[2*i/width]
	}
}

// use counts bytes that come into use in the chunk of a place, or go out of it.
func (t *table) use(p place64, n int) {
	t.chunks[p.chunk()].live += n
	t.live += n
}

// add writes a record into a room that nothing lives in.
func (t *table) add(size int, key string, state []byte) place64 {
	p := t.take(size)
	t.use(p, size)
	writeRecord(t.room(p), size, key, state)
	return p
}

// take takes a room.
func (t *table) take(size int) place64 {
	if size > maxShared {
		return t.newChunk(make([]byte, 0, size), size)
	}
	if p := t.free[classOf(size)]; p != 0 {
		t.unlink(p)
		return p
	}
	c := &t.chunks[t.filling]
	n := len(c.mem)
	if n+size > cap(c.mem) {
		t.seal()
		mem := t.spare
		t.spare = nil
		if mem == nil {
			mem = make([]byte, 0, max(size, min(chunkSize, max(firstChunk, t.memory))))
		}
		p := t.newChunk(mem, size)
		t.filling = p.chunk()
		return p
	}
	c.mem = c.mem[:n+size]
	t.memory += size
	return place64(t.filling)<<placeBits | place64(n/grain)
}

// seal counts what is left of the chunk being filled as waste.
func (t *table) seal() {
	c := &t.chunks[t.filling]
	t.memory += cap(c.mem) - len(c.mem)
	t.filling = 0
}

// newChunk takes memory as a chunk, and the first room of it.
func (t *table) newChunk(mem []byte, size int) place64 {
	if len(t.numbers) == 0 {
		t.numbers = append(t.numbers, uint32(len(t.chunks)))
		t.chunks = append(t.chunks, chunk{})
	}
	last := len(t.numbers) - 1
	number := t.numbers[last]
	t.numbers = t.numbers[:last]
	t.chunks[number].mem = mem[:size]
	t.memory += size
	return place64(number) << placeBits
}

// dropChunk gives up a chunk that nothing lives in and that is not being filled.
func (t *table) dropChunk(number uint32) {
	c := &t.chunks[number]
	t.memory -= cap(c.mem)
	if cap(c.mem) == chunkSize {
		t.spare = c.mem[:0]
	}
	*c = chunk{}
	t.numbers = append(t.numbers, number)
}

// release frees the room of a record.
func (t *table) release(p place64) {
	room := t.room(p)
	size := roomSize(room)
	t.use(p, -need(room))
	if size > maxShared {
		t.dropChunk(p.chunk())
		return
	}
	t.link(p, size)
}

// The free rooms of one size are a list: behind its header, a free room holds the places
// of the next and of the one before, of which the first has none.

func (t *table) link(p place64, size int) {
	room := t.room(p)
	first := &t.free[classOf(size)]
	binary.LittleEndian.PutUint32(room, uint32(size/grain)|freeRoom)
	setLink(room, nextLink, *first)
	setLink(room, beforeLink, 0)
	if *first != 0 {
		setLink(t.room(*first), beforeLink, p)
	}
	*first = p
}

func (t *table) unlink(p place64) {
	room := t.room(p)
	next, before := linkOf(room, nextLink), linkOf(room, beforeLink)
	if next != 0 {
		setLink(t.room(next), beforeLink, before)
	}
	if before != 0 {
		setLink(t.room(before), nextLink, next)
	} else {
		t.free[classOf(roomSize(room))] = next
	}
}

const (
	nextLink   = headerSize
	beforeLink = headerSize + 8
)

func linkOf(room []byte, at int) place64 { return place64(binary.LittleEndian.Uint64(room[at:])) }

func setLink(room []byte, at int, p place64) { binary.LittleEndian.PutUint64(room[at:], uint64(p)) }

// compact empties the chunk with the most waste, if there is too much of it.
func (t *table) compact() {
	if t.memory-t.live <= t.memory/16+firstChunk {
		return
	}
	var most uint32
	waste := 0
	for i, c := range t.chunks {
		size := cap(c.mem)
		if uint32(i) == t.filling {
			size = len(c.mem)
		}
		if size-c.live > waste {
			most, waste = uint32(i), size-c.live
		}
	}
	if most == t.filling {
		t.seal()
	}
	mem := t.chunks[most].mem
	for n := 0; n < len(mem); n += roomSize(mem[n:]) {
		if isFree(mem[n:]) {
			t.unlink(place64(most)<<placeBits | place64(n/grain))
		}
	}
	var hashes [group]uint64
	var places [group]place64
	for n := 0; n < len(mem); {
		moving := 0
		for ; n < len(mem) && moving < group; n += roomSize(mem[n:]) {
			if !isFree(mem[n:]) {
				hashes[moving] = t.hashOf(mem[n:])
				places[moving] = place64(most)<<placeBits | place64(n/grain)
				moving++
			}
		}
		t.touchSlots(hashes[:moving])
		for i, p := range places[:moving] {
			t.move(hashes[i], p)
		}
	}
	t.dropChunk(most)
}

// move moves a record to another room, and leaves the old one as it is.
func (t *table) move(hash uint64, p place64) {
	from := t.room(p)
	size := need(from)
	to := t.take(size)
	t.use(to, size)
	t.use(p, -size)
	room := t.room(to)
	copy(room[:size], from)
	binary.LittleEndian.PutUint32(room, uint32(size/grain))

	s := t.segments[hash>>(64-t.depth)]
	mask := len(s.slots) - 1
	i := int(hash) & mask
	for s.slots[i].place() != p {
		i = (i + 1) & mask
	}
	s.slots[i] = tag(hash) | slot(to)
}

// group is how many records touch takes at once. Their memory is fetched at one time
// rather than one after the other.
const group = 32

// touch loads slots and records of at most group keys into the processor's cache. It
// changes the table, although nothing that can be read of it.
func (t *table) touch(keys []string) {
	if t.records == 0 {
		return
	}
	var hashes [group]uint64
	for i, key := range keys {
		hashes[i] = t.hash(key)
	}
	t.touchSlots(hashes[:len(keys)])
	lines := min(t.live/t.records, 1<<10)
	sum := t.touched
	for _, hash := range hashes[:len(keys)] {
		s := t.segments[hash>>(64-t.depth)]
		mask := len(s.slots) - 1
		for i := int(hash) & mask; s.slots[i] != 0; i = (i + 1) & mask {
			if at := s.slots[i]; at&tagMask == tag(hash) {
				room := t.room(at.place())
				for n := 0; n < min(lines, len(room)); n += 64 {
					sum += room[n]
				}
				break
			}
		}
	}
	t.touched = sum
}

func (t *table) touchSlots(hashes []uint64) {
	sum := t.touched
	for _, hash := range hashes {
		s := t.segments[hash>>(64-t.depth)]
		sum += byte(s.slots[int(hash)&(len(s.slots)-1)])
	}
	t.touched = sum
}
