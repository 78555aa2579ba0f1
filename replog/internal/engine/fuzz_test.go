package engine

import (
	"bytes"
	"runtime/metrics"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/lww"
)

// allocated is how many bytes the process has allocated so far.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// checkAllocation fails if do allocates more than four times its input and a constant.
// Another goroutine may allocate meanwhile, so once too much is tried again.
func checkAllocation(t *testing.T, input []byte, do func()) {
	t.Helper()
	limit := uint64(4*len(input) + 64<<10)
	var used uint64
	for range 3 {
		before := allocated()
		do()
		if used = allocated() - before; used <= limit {
			return
		}
	}
	t.Fatalf("%d bytes allocated for an input of %d, at most %d allowed", used, len(input), limit)
}

func FuzzParseEntry(f *testing.F) {
	for _, e := range []Entry{
		{Origin: originOf("a"), Seq: 1, Time: 5, Domain: "d", Key: "k", Delta: []byte{1}},
		{Origin: originOf("eu-west-1"), Seq: 1 << 60, Time: fieldwise.MaxTimestamp, Domain: "profiles", Key: "ключ", Delta: bytes.Repeat([]byte{7}, 300), Note: "who"},
	} {
		b := e.Append(nil)
		f.Add(b)
		f.Add(b[:len(b)-1])
		f.Add(append(b, 0))
	}
	f.Add([]byte("\xa1a\xc4\xff"))
	f.Add([]byte("\xdb\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.Clone(b)
		checkAllocation(t, b, func() {
			e, err := ParseEntry(b)
			if err != nil {
				require.ErrorIs(t, err, fieldwise.ErrMalformed)
				return
			}
			again := e.Append(nil)
			if !bytes.Equal(b, again) {
				t.Fatalf("accepted %x, which encodes as %x", b, again)
			}
		})
		require.Equal(t, in, b, "the input was changed")
	})
}

func FuzzPayload(f *testing.F) {
	h := newHost(f, "a").openAll()
	h.write("notes", "k", "a1")
	p := newHost(f, "b").openAll()
	p.write("notes", "k", "b1")
	h.sync(p)
	held := newHost(f, "c")
	held.sync(h)
	joined := newHost(f, "d").openAll()
	joined.takes(h)
	for _, payload := range slices.Concat(h.frames, held.frames, joined.frames) {
		f.Add(payload)
		f.Add(payload[:len(payload)-1])
		flipped := bytes.Clone(payload)
		flipped[len(flipped)/2] ^= 4
		f.Add(flipped)
	}
	f.Add([]byte("\xc6\xff\xff\xff\xff\x01"))
	f.Add([]byte("\xc4\x01\x09"))
	absent := sampleConflict
	absent.Loser.Value, absent.Winner, absent.Reason = nil, fieldwise.Sibling{}, ""
	for _, c := range []fieldwise.Conflict{sampleConflict, absent} {
		f.Add(appendEntryPart(nil, partReport, appendReport(nil, &c)))
	}
	f.Add(appendEntryPart(nil, partReport, append([]byte("\xcd\x01\x05"), appendReport(nil, &sampleConflict)[1:]...)))
	f.Add(appendEntryPart(nil, partMerger, appendMerger(nil, "notes", "register/1")))
	f.Add(appendEntryPart(nil, partMerger, appendMerger(nil, "notes", "")))
	f.Add([]byte("\xc4\x00"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		in := bytes.Clone(payload)
		var again []byte
		checkAllocation(t, payload, func() {
			again = again[:0]
			err := parts(payload, func(kind byte, body []byte) error {
				switch kind {
				case partEntry, partHeld:
					e, err := ParseEntry(body)
					if err != nil {
						return err
					}
					again = appendEntryPart(again, kind, e.Append(nil))
				case partReport:
					c, err := parseReport(body)
					if err != nil {
						return err
					}
					again = appendEntryPart(again, kind, appendReport(nil, &c))
				case partMerger:
					domain, merger, err := parseMerger(body)
					if err != nil {
						return err
					}
					again = appendEntryPart(again, kind, appendMerger(nil, domain, merger))
				default:
					again = appendEntryPart(again, kind, body)
				}
				return nil
			})
			if err == nil && !bytes.Equal(payload, again) {
				t.Fatalf("accepted %x, which encodes as %x", payload, again)
			}
		})
		_ = Entries(payload, func(Entry, []byte) error { return nil })
		_ = Reports(payload, func(fieldwise.Conflict) error { return nil })

		// A log of these bytes is refused, or is one that can be opened and read.
		e := New(Config{Origin: originOf("a")})
		err := e.Recover(1, payload)
		require.Equal(t, in, payload, "the input was changed")
		if err != nil {
			return
		}
		e.Recovered(start)
		for _, name := range []string{"notes", "tokens"} {
			if e.OpenDomain(name, lww.NewMerger()) == nil {
				e.Keys(name, "")
			}
		}
		e.Stats(start)
		for n := uint64(1); n <= e.reports.total; n++ {
			_, _, ok := e.FindReport(n)
			require.True(t, ok)
		}
	})
}

// A snapshot can be anything: it is refused, or is one that can be installed, or is refused by
// the mergers, and the log that has it can be opened again.
func FuzzPieces(f *testing.F) {
	h := newHost(f, "a").openAll()
	h.write("notes", "k", "a1")
	h.write("tokens", "k", "1")
	h.write("tokens", "long", "12345678901234567890")
	held := newHost(f, "b")
	held.sync(h)
	for _, from := range []*host{h, held} {
		s := from.e.snapshot()
		s.writer.full, s.writer.most = 60, 10
		all := arrived(f, s).all
		first, rest := bytes.Join(all[:2], nil), bytes.Join(all[2:], nil)
		f.Add(first, rest)
		f.Add(first, rest[:len(rest)-1])
		f.Add(bytes.Join(all, nil), []byte{})
		flipped := bytes.Clone(first)
		flipped[len(flipped)/2] ^= 4
		f.Add(flipped, rest)
	}
	f.Add([]byte("\xc6\xff\xff\xff\xff\x01"), []byte("\xc4\x00"))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		var s *Pieces
		var err error
		in := slices.Concat(one, two)
		checkAllocation(t, in, func() {
			s = &Pieces{}
			if err = s.Add(one); err == nil && len(two) > 0 {
				err = s.Add(two)
			}
		})
		require.Equal(t, in, slices.Concat(one, two), "the input was changed")
		if err != nil {
			require.ErrorIs(t, err, fieldwise.ErrMalformed)
			require.Equal(t, err, s.Add(one), "and nothing more is taken")
			return
		}
		require.NoError(t, s.items(func(kind byte, body []byte) error {
			requireSameItem(t, kind, body)
			return nil
		}))
		b := newHost(t, "z").openAll()
		if _, err := b.e.Install(start, s.Region(), s); err != nil {
			b.requireNothingStaged()
			return
		}
		b.flush()
		require.Equal(t, s.Vector(), b.e.Vector())
		r := reopenedWithAll(b)
		require.Equal(t, b.e.Vector(), r.e.Vector())
		for _, name := range []string{"notes", "tokens"} {
			require.Equal(t, b.e.Keys(name, ""), r.e.Keys(name, ""))
		}
	})
}

// requireSameItem holds an item that was taken against what it encodes as.
func requireSameItem(t *testing.T, kind byte, body []byte) {
	var w pieceWriter
	p := parser{b: body}
	switch kind {
	case itemBegin:
		p.uint()
		w.begin(fieldwise.Region(p.string()))
	case itemOrigin:
		v := p.version()
		w.origin(originMark{v.Origin, mark{seq: fieldwise.Seq(p.uint()), bytes: int64(p.uint()), time: v.Time, chain: p.uint()}})
	case itemDomain:
		w.domain(p.string(), p.string())
	case itemRecord:
		key, size, state, _ := parseRecord(kind, body)
		w.most = int(size)
		w.record(key, state)
	default:
		return // numbers and bytes, which have one form
	}
	require.Equal(t, appendEntryPart(nil, kind, body), w.piece)
}

// What a peer sends can be anything: it is refused, or its origin is stopped.
func FuzzDeliver(f *testing.F) {
	f.Add([]byte{}, []byte{})
	f.Add(body("b", 1, "tokens", "k", "1;"), body("b", 2, "tokens", "k", "0;"))
	f.Add(body("b", 1, "notes", "k", "1;"), body("c", 1, "", "", "1;"))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		h := newHost(t, "a").openAll()
		d, err := h.e.Deliver(start, "p", bodies(one, two, one))
		if err == nil {
			for o, seq := range d.Want {
				require.LessOrEqual(t, seq, h.e.staged[o])
			}
		}
		for {
			b := h.e.TakeBatch()
			if b == nil {
				break
			}
			h.committed(b)
		}
		require.Equal(t, h.e.Vector(), reopenedWithAll(h).e.Vector())
	})
}
