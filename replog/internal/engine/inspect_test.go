package engine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/internal/wire"
)

// samplePayload has a part of each kind.
func samplePayload() []byte {
	e := Entry{Origin: originOf("a"), Seq: 1, Time: 5, Domain: "tokens", Key: "k", Delta: []byte("1;")}
	p := appendEntryPart(nil, partIdentity, AppendIdentity(nil, originOf("a")))
	p = appendEntryPart(p, partMerger, appendMerger(nil, "tokens", "tokens/1"))
	p = appendEntryPart(p, partEntry, e.Append(nil))
	p = appendEntryPart(p, partReport, appendReport(nil, &sampleConflict))
	e.Seq, e.Domain = 2, "later"
	return appendEntryPart(p, partHeld, e.Append(nil))
}

func TestPartsTellsAllInOrder(t *testing.T) {
	var got []string
	tell := func(format string, args ...any) error {
		got = append(got, fmt.Sprintf(format, args...))
		return nil
	}
	all := Parts{
		Entry: func(e Entry, body []byte, held bool) error {
			require.Equal(t, body, e.Append(nil))
			return tell("entry %d of %s, held %v", e.Seq, e.Domain, held)
		},
		Report:   func(c fieldwise.Conflict) error { return tell("report on %s", c.Domain) },
		Merger:   func(domain, merger string) error { return tell("%s under %s", domain, merger) },
		Identity: func(o fieldwise.Origin) error { return tell("signed by %s", o.Region) },
	}
	require.NoError(t, all.Read(samplePayload()))
	require.Equal(t, []string{
		"signed by a", "tokens under tokens/1", "entry 1 of tokens, held false", "report on profiles", "entry 2 of later, held true",
	}, got)
	require.NoError(t, (&Parts{}).Read(samplePayload()), "what nobody wants is passed over")
}

func TestPartsStopsAtAnError(t *testing.T) {
	stop := errors.New("stop")
	for what, p := range map[string]Parts{
		"entry":    {Entry: func(Entry, []byte, bool) error { return stop }},
		"report":   {Report: func(fieldwise.Conflict) error { return stop }},
		"merger":   {Merger: func(string, string) error { return stop }},
		"identity": {Identity: func(fieldwise.Origin) error { return stop }},
	} {
		require.ErrorIs(t, p.Read(samplePayload()), stop, what)
	}
}

func TestPartsRefuses(t *testing.T) {
	all := Parts{
		Entry:    func(Entry, []byte, bool) error { return nil },
		Report:   func(fieldwise.Conflict) error { return nil },
		Merger:   func(string, string) error { return nil },
		Identity: func(fieldwise.Origin) error { return nil },
		Snapshot: func(*Pieces) error { return nil },
	}
	for kind := byte(0); kind < 10; kind++ {
		err := all.Read(wire.AppendBin(nil, []byte{kind, 0xc1}))
		require.ErrorIs(t, err, fieldwise.ErrMalformed, "kind %d", kind)
	}
	require.ErrorContains(t, all.Read(wire.AppendBin(nil, []byte{9})), "part of kind 9; a newer release wrote this log")
	require.ErrorIs(t, all.Read([]byte{0xc1}), fieldwise.ErrMalformed)
}
