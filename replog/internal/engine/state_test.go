package engine

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/lww"
)

// openNotes and openTokens keep records open whatever their size.
type openNotes struct{ crdt.MVRegister }

func (m openNotes) Open(state []byte, _ int) (fieldwise.Opened, error) {
	return &openBytes{m.MVRegister, slices.Clone(state)}, nil
}

type openTokens struct{ tokenSet }

func (m openTokens) Open(state []byte, _ int) (fieldwise.Opened, error) {
	return &openBytes{m.tokenSet, slices.Clone(state)}, nil
}

// openBytes is the simplest record that is kept open.
type openBytes struct {
	m     fieldwise.Merger
	state []byte
}

func (o *openBytes) Merge(delta []byte) (err error) {
	o.state, err = o.m.Merge(nil, o.state, delta)
	return err
}

func (o *openBytes) Clone() fieldwise.Opened { return &openBytes{o.m, slices.Clone(o.state)} }

func (o *openBytes) AppendState(dst []byte) []byte { return append(dst, o.state...) }

func (o *openBytes) Size() int { return len(o.state) }

func (o *openBytes) Live() bool {
	d, ok := o.m.(fieldwise.Deleter)
	return !ok || d.Live(o.state)
}

func (o *openBytes) Conflicts(dst []fieldwise.Conflict, delta []byte) ([]fieldwise.Conflict, error) {
	if r, ok := o.m.(fieldwise.ConflictReporter); ok {
		return r.Conflicts(dst, o.state, delta)
	}
	return dst, nil
}

// openNow lists the records that are kept open, as "domain/key", the one written last first,
// and checks their books.
func openNow(t require.TestingT, e *Engine) (all []string) {
	names := make(map[*domain]string)
	for name, d := range e.domains {
		names[d] = name
	}
	sum := 0
	for at := e.open.last.Front(); at != nil; at = at.Next() {
		r := at.Value.(*openRecord)
		require.Contains(t, names, r.domain, "a domain that is no more")
		require.Same(t, at, r.domain.open[r.key])
		require.Nil(t, r.domain.committed.get(r.key))
		require.Equal(t, r.open.Size(), r.size)
		sum += r.size
		all = append(all, names[r.domain]+"/"+r.key)
	}
	kept := 0
	for _, d := range e.domains {
		kept += len(d.open)
	}
	require.Equal(t, kept, len(all))
	require.Equal(t, sum, e.open.bytes)
	require.True(t, sum <= e.open.max || len(all) == 1, "%v: %d bytes, %d are allowed", all, sum, e.open.max)
	return all
}

// checkOpen checks the records that are kept open, and counts those that were opened and closed.
func (r *region) checkOpen() {
	was := r.wasOpen
	r.wasOpen = make(map[string]bool)
	for _, at := range openNow(r.w, r.e) {
		r.wasOpen[at] = true
		if !was[at] {
			r.w.counts["opened"]++
		}
	}
	for _, at := range slices.Sorted(maps.Keys(was)) {
		domain, key, _ := strings.Cut(at, "/")
		if d := r.e.domains[domain]; !r.wasOpen[at] && d != nil && d.merger != nil {
			if state := d.published(key); state.Size() < r.cfg.OpenFrom/2 {
				r.w.counts["shrunk"]++
			} else {
				r.w.counts["closed"]++
			}
		}
	}
}

func TestTheRecordsThatWereWrittenLastAreKeptOpen(t *testing.T) {
	h := newHostWith(t, Config{Origin: originOf("a"), OpenFrom: 8, MaxOpen: 30})
	h.open("tokens", openTokens{})
	h.open("tokens2", openTokens{})
	h.open("notes", lww.NewMerger())
	three := func(domain, key string) { // of 4 bytes each: nine and a semicolon
		for i := range 3 {
			h.write(domain, key, strconv.Itoa(100+i))
		}
	}
	h.write("tokens", "small", "1")
	h.write("notes", "k", strings.Repeat("x", 20))
	h.write("notes", "k", strings.Repeat("y", 20))
	require.Empty(t, openNow(t, h.e), "small, or of a merger that has not the power")
	three("tokens", "a")
	three("tokens2", "b")
	require.Equal(t, []string{"tokens2/b", "tokens/a"}, openNow(t, h.e))
	h.write("tokens", "a", "103")
	require.Equal(t, []string{"tokens/a", "tokens2/b"}, openNow(t, h.e))
	three("tokens", "c")
	require.Equal(t, []string{"tokens/c", "tokens/a"}, openNow(t, h.e), "28 bytes, and b had been written longest ago")
	require.Equal(t, "100;101;102;", h.read("tokens2", "b"))
	h.write("tokens2", "b", "999")
	require.Equal(t, "100;101;102;999;", h.read("tokens2", "b"), "it is opened again")
	h.write("tokens", "c", strings.Repeat("z", 99))
	require.Equal(t, []string{"tokens/c"}, openNow(t, h.e), "one is kept however large it is")
	require.Equal(t, []string{"a", "c", "small"}, h.e.Keys("tokens", ""))

	var all []string
	require.NoError(t, h.e.States("tokens", func(key string, state []byte) error {
		all = append(all, key+"="+string(state))
		return nil
	}))
	require.Equal(t, []string{"a=100;101;102;103;", "c=100;101;102;" + strings.Repeat("z", 99) + ";", "small=1;"}, all)
	for _, d := range h.e.Stats(h.now).Domains {
		if d.Name == "tokens" {
			require.Equal(t, 3, d.Records)
			require.EqualValues(t, 1+16+1+112+5+2, d.Bytes)
		}
	}
}

// A record that is kept open is closed below half of the size at which it was opened.
func TestARecordThatShrinksIsClosed(t *testing.T) {
	h := newHostWith(t, Config{Origin: originOf("a"), OpenFrom: 50})
	h.open("notes", openNotes{lww.NewMerger()})
	long := strings.Repeat("x", 28) // a state of 50 bytes
	h.write("notes", "k", long)
	require.Equal(t, 50, h.e.Read(nil, "notes", "k").Size())
	require.Empty(t, openNow(t, h.e), "a first delta is a state as it came")
	for _, next := range []struct {
		length int
		open   bool
	}{{28, true}, {27, true}, {3, true}, {2, false}, {27, false}, {28, false}, {2, false}, {28, false}, {3, true}} {
		h.write("notes", "k", long[:next.length])
		require.Equal(t, 22+next.length, h.e.Read(nil, "notes", "k").Size())
		require.Equal(t, next.open, len(openNow(t, h.e)) == 1, "%d bytes", 22+next.length)
		require.Equal(t, long[:next.length], h.read("notes", "k"))
	}
}

// What a failed batch made of an open record is gone with it, and the record is as it was.
func TestAFailedBatchLeavesAnOpenRecordAsItWas(t *testing.T) {
	h := newHostWith(t, Config{Origin: originOf("a"), OpenFrom: 8})
	h.open("tokens", openTokens{})
	for i := range 4 {
		h.write("tokens", "k", strconv.Itoa(i))
	}
	h.stage("tokens", "k", "4")
	first := h.e.TakeBatch()
	h.stage("tokens", "k", "5")
	require.Equal(t, "0;1;2;3;", h.read("tokens", "k"))
	require.Equal(t, "0;1;2;3;4;5;", h.seen("tokens", "k"))
	kept := h.e.Read(nil, "tokens", "k")
	h.committed(first)
	require.Equal(t, "0;1;2;3;4;", h.read("tokens", "k"))
	require.Equal(t, "0;1;2;3;", string(kept.Append(nil)), "whoever read it keeps what was read")
	h.e.Failed()
	require.Equal(t, "0;1;2;3;4;", h.read("tokens", "k"))
	require.Equal(t, "0;1;2;3;4;", h.seen("tokens", "k"))
	h.write("tokens", "k", "6")
	require.Equal(t, "0;1;2;3;4;6;", h.read("tokens", "k"))
	require.Equal(t, []string{"tokens/k"}, openNow(t, h.e))
}

// A domain that could not be opened leaves nothing open behind.
func TestADomainThatCannotBeOpenedKeepsNothingOpen(t *testing.T) {
	a := newHost(t, "a").openAll()
	for i := range 9 {
		a.write("tokens", "k", strconv.Itoa(i))
	}
	a.write("notes", "k", "not tokens")
	b := newHostWith(t, Config{Origin: originOf("b"), OpenFrom: 8})
	b.sync(a)
	for _, h := range b.e.domains["notes"].held {
		b.e.domain("tokens").held = append(b.e.domain("tokens").held, h)
	}
	require.Error(t, b.e.OpenDomain("tokens", openTokens{}))
	require.Empty(t, b.e.open.bytes)
	require.Zero(t, b.e.open.last.Len())
}
