package engine

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/lww"
)

// kindsOf lists the parts of each frame of the log.
func (h *host) kindsOf() (all [][]byte) {
	for _, payload := range h.frames {
		var kinds []byte
		require.NoError(h.t, parts(payload, func(kind byte, _ []byte) error { kinds = append(kinds, kind); return nil }))
		all = append(all, kinds)
	}
	return all
}

// requireNamed opens the log anew under tokens2, which takes all that tokenSet takes.
func requireNamed(t *testing.T, h *host, domain string) {
	t.Helper()
	r := h.reopened()
	err := r.e.OpenDomain(domain, tokens2{})
	require.ErrorIs(t, err, fieldwise.ErrMergerMismatch)
	require.ErrorContains(t, err, `"`+domain+`" merged under "tokens/1", not "tokens/2"`)
	require.False(t, r.e.IsOpen(domain), "nothing is changed")
	require.Nil(t, r.e.TakeBatch())
	r.open(domain, tokenSet{})
	require.Nil(t, r.e.TakeBatch(), "the log has the name")
	require.Equal(t, h.read(domain, "k"), r.read(domain, "k"))
}

func TestALogIsOpenedUnderTheMergerThatItWasMergedUnder(t *testing.T) {
	h := newHost(t, "a").openAll()
	require.Nil(t, h.e.TakeBatch(), "a domain without entries has no name to keep")
	h.stage("tokens", "k", "1")
	h.stage("tokens", "k", "2")
	h.commit()
	h.write("tokens", "k", "3")
	h.write("notes", "k", "v")
	want := [][]byte{{partMerger, partEntry, partEntry}, {partEntry}, {partMerger, partEntry}}
	require.Equal(t, want, h.kindsOf())
	requireNamed(t, h, "tokens")
	require.Equal(t, "\xc4\x11\x04\xa6tokens\xa8tokens/1", string(h.frames[0][:19]), "the bytes of the part")

	other := h.reopened()
	other.open("more", tokens2{})
	require.ErrorIs(t, other.e.OpenDomain("notes", tokens2{}), fieldwise.ErrMergerMismatch)
	other.openAll()
	other.write("tokens", "k", "4")
	require.Equal(t, []byte{partEntry}, other.kindsOf()[3], "it is named once")
	requireNamed(t, other, "tokens")

	b := newHost(t, "b")
	require.Len(t, h.answer(b.asks(h)), 4, "the names are not shipped")
}

func TestTheNameOfAMergerIsUndoneWithItsBatch(t *testing.T) {
	h := newHost(t, "a").openAll()
	h.stage("tokens", "k", "1")
	require.NotNil(t, h.e.TakeBatch())
	h.stage("tokens", "k", "2")
	h.e.Failed()
	require.Nil(t, h.e.TakeBatch(), "nothing is merged, so there is nothing to name")
	other := h.reopened()
	other.open("tokens", tokens2{})
	other.write("tokens", "k", "1")
	require.ErrorIs(t, other.reopened().e.OpenDomain("tokens", tokenSet{}), fieldwise.ErrMergerMismatch)

	h.write("tokens", "k", "3")
	require.Equal(t, [][]byte{{partMerger, partEntry}}, h.kindsOf(), "it is staged anew")
	requireNamed(t, h, "tokens")
}

// What is held is nobody's until it is merged, in whichever process that is.
func TestHeldEntriesGetTheNameOfTheMergerThatFoldsThem(t *testing.T) {
	a := newHost(t, "a").openAll()
	a.write("tokens", "k", "1")
	hold := func() *host {
		d := newHost(t, "d")
		d.sync(a)
		require.Equal(t, [][]byte{{partHeld}}, d.kindsOf())
		return d
	}
	t.Run("on a later release", func(t *testing.T) {
		d := hold().reopened()
		d.open("tokens", tokenSet{})
		d.commit()
		require.Equal(t, [][]byte{{partHeld}, {partMerger}}, d.kindsOf())
		requireNamed(t, d, "tokens")
	})
	t.Run("and the process dies before that is durable", func(t *testing.T) {
		d := hold()
		d.open("tokens", tokenSet{})
		require.NotNil(t, d.e.TakeBatch())
		d = d.reopened()
		d.open("tokens", tokens2{})
		require.Equal(t, "1;", d.read("tokens", "k"))
	})
	t.Run("and the disk is full for a while", func(t *testing.T) {
		d := hold()
		d.open("tokens", tokenSet{})
		for range 3 {
			require.NotNil(t, d.e.TakeBatch(), "nobody need write to this domain again")
			d.e.Failed()
		}
		d.commit()
		require.Equal(t, [][]byte{{partHeld}, {partMerger}}, d.kindsOf())
		requireNamed(t, d, "tokens")
	})
	t.Run("while they are written", func(t *testing.T) {
		d := newHost(t, "d")
		d.pull(a)
		b := d.e.TakeBatch()
		d.open("tokens", tokenSet{})
		d.stage("tokens", "k", "2")
		d.committed(b)
		d.commit()
		require.Equal(t, [][]byte{{partHeld}, {partMerger, partEntry}}, d.kindsOf())
		requireNamed(t, d, "tokens")
	})
	t.Run("in front of the reports", func(t *testing.T) {
		d := newHost(t, "d")
		d.sync(conflicting(t))
		d.open("notes", lww.NewMerger())
		d.commit()
		require.Equal(t, []byte{partMerger, partReport, partReport}, d.kindsOf()[1])
	})
	t.Run("also when the domain was merged before", func(t *testing.T) {
		d := hold()
		d.open("tokens", tokenSet{})
		d.commit()
		a.write("tokens", "k", "2")
		d = d.reopened() // a release that does not open it
		d.sync(a)
		d = d.reopened()
		require.ErrorIs(t, d.e.OpenDomain("tokens", tokens2{}), fieldwise.ErrMergerMismatch)
		d.open("tokens", tokenSet{})
		require.Equal(t, "1;2;", d.read("tokens", "k"))
		require.Equal(t, [][]byte{{partHeld}, {partMerger}, {partHeld}}, d.kindsOf())
	})
}

func TestRecoverRefusesNamesThatCannotBe(t *testing.T) {
	part := func(domain, merger string) []byte {
		return appendEntryPart(nil, partMerger, appendMerger(nil, domain, merger))
	}
	e := New(Config{Origin: originOf("a")})
	require.NoError(t, e.Recover(1, part("tokens", "tokens/1")))
	require.NoError(t, e.Recover(2, part("tokens", "tokens/1")))
	require.NoError(t, e.Recover(3, part("notes", "tokens/2")))
	err := e.Recover(4, part("tokens", "tokens/2"))
	require.ErrorIs(t, err, fieldwise.ErrMalformed)
	require.ErrorContains(t, err, `domain "tokens" is merged under "tokens/1" and under "tokens/2"`)
	for _, bad := range [][]byte{
		part("", "tokens/1"), part("tokens", ""), part("tokens", "\xff"), part("\xff", "tokens/1"),
		part(strings.Repeat("d", MaxDomain+1), "tokens/1"), part("tokens", strings.Repeat("m", MaxMerger+1)),
		appendEntryPart(nil, partMerger, append(appendMerger(nil, "tokens", "tokens/1"), 0)),
		bytes.TrimSuffix(part("tokens", "tokens/1"), []byte("1")),
	} {
		require.ErrorIs(t, New(Config{Origin: originOf("a")}).Recover(1, bad), fieldwise.ErrMalformed, "%q", bad)
	}
}

func TestMergerNamesThatTheLogCannotKeepAreRefused(t *testing.T) {
	e := newHost(t, "a").e
	for _, bad := range []string{"", "\xff", strings.Repeat("m", MaxMerger+1)} {
		require.ErrorContains(t, e.OpenDomain("d", namedMerger{name: bad}), "merger name")
		require.False(t, e.IsOpen("d"))
	}
	require.NoError(t, e.OpenDomain("d", namedMerger{name: strings.Repeat("m", MaxMerger)}))
}

type namedMerger struct {
	tokenSet
	name string
}

func (m namedMerger) Name() string { return m.name }

// A domain that is not open yet cannot be joined here, but the log says what it will be
// joined under: nothing is shipped to or from a peer that has it under another name.
func TestTheNameInTheLogCountsBeforeTheDomainIsOpened(t *testing.T) {
	a := newHost(t, "a").openAll()
	a.write("tokens", "k", "1")
	closed := a.reopened()
	b := newHost(t, "b")
	b.open("tokens", tokens2{})
	for _, pair := range [][2]*host{{closed, b}, {b, closed}} {
		_, _, _, err := pair[0].e.Serve(pair[1].asks(pair[0]))
		require.ErrorIs(t, err, fieldwise.ErrMergerMismatch)
	}
	request := closed.asks(b)
	closed.openAll()
	require.False(t, closed.e.Current(&request), "another domain was opened meanwhile")
}
