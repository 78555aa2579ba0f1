package engine

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/lww"
)

// sampleConflict has something in every field.
var sampleConflict = fieldwise.Conflict{
	Kind: fieldwise.ConflictCreate, Domain: "profiles", Key: "ключ", Field: "a.b",
	Loser:  fieldwise.Sibling{Version: fieldwise.Version{Time: 5, Origin: originOf("a")}, Value: valueOf("lost"), Created: true},
	Winner: fieldwise.Sibling{Version: fieldwise.Version{Time: 6, Origin: originOf("b")}, Value: valueOf("shown"), Created: true},
	Policy: "lww", Reason: "written later",
}

func TestAReportKeepsAllOfAConflict(t *testing.T) {
	for what, change := range map[string]func(c *fieldwise.Conflict){
		"everything":             func(*fieldwise.Conflict) {},
		"nothing":                func(c *fieldwise.Conflict) { *c = fieldwise.Conflict{} },
		"only the loser created": func(c *fieldwise.Conflict) { c.Winner.Created = false },
		"only the winner did":    func(c *fieldwise.Conflict) { c.Loser.Created = false },
		"an absent loser":        func(c *fieldwise.Conflict) { c.Loser.Value = nil },
		"an empty winner":        func(c *fieldwise.Conflict) { c.Winner.Value = valueOf("") },
		"a computed winner":      func(c *fieldwise.Conflict) { c.Winner.Version, c.Winner.Created = fieldwise.Version{}, false },
		"no reason":              func(c *fieldwise.Conflict) { c.Reason = "" },
		"the last kind there is": func(c *fieldwise.Conflict) { c.Kind = 255 },
	} {
		t.Run(what, func(t *testing.T) {
			want := sampleConflict
			change(&want)
			got, err := parseReport(appendReport(nil, &want))
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestParseReportRefuses(t *testing.T) {
	good := appendReport(nil, &sampleConflict)
	for cut := range good {
		_, err := parseReport(good[:cut])
		require.ErrorIs(t, err, fieldwise.ErrMalformed, "cut at %d", cut)
	}
	_, err := parseReport(append(good[:len(good):len(good)], 0))
	require.ErrorIs(t, err, fieldwise.ErrMalformed)
	_, err = parseReport(append([]byte("\xcd\x01\x05"), good[1:]...))
	require.ErrorIs(t, err, fieldwise.ErrMalformed, "kind 261 is not kind 5")
}

func TestLawsOfReportsRoundTrip(t *testing.T) {
	sibling := rapid.Custom(func(t *rapid.T) (s fieldwise.Sibling) {
		s.Version.Time = fieldwise.Timestamp(rapid.Uint64().Draw(t, "time"))
		s.Version.Origin = fieldwise.Origin{
			Region:      fieldwise.Region(rapid.StringMatching(`[a-z0-9-]{0,63}`).Draw(t, "region")),
			Incarnation: rapid.Uint64().Draw(t, "incarnation"),
		}
		s.Created = rapid.Bool().Draw(t, "created")
		if rapid.Bool().Draw(t, "present") {
			s.Value = rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "value")
		}
		return s
	})
	randtest.Check(t, 2000, 5000, func(t *rapid.T) {
		want := fieldwise.Conflict{
			Kind:   fieldwise.ConflictKind(rapid.Uint8().Draw(t, "kind")),
			Domain: rapid.String().Draw(t, "domain"), Key: rapid.String().Draw(t, "key"),
			Field: rapid.String().Draw(t, "field"), Policy: rapid.String().Draw(t, "policy"),
			Reason: rapid.String().Draw(t, "reason"),
			Loser:  sibling.Draw(t, "loser"), Winner: sibling.Draw(t, "winner"),
		}
		got, err := parseReport(appendReport(nil, &want))
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

// failing is a policy of a user's, whose error quotes what it was given.
type failing struct{ lww.Policy }

func (failing) Name() string { return "lww \xff" }

func (failing) Resolve([]fieldwise.Sibling) (fieldwise.Sibling, error) {
	return fieldwise.Sibling{}, errors.New("cannot read \xff\xfe" + strings.Repeat("x", 2*MaxReason))
}

// What a policy's error quotes comes back from the log, which can be opened again.
func TestAReasonThatIsLongOrNotTextIsLoggedAsFarAsItCanBe(t *testing.T) {
	a, b := newHost(t, "a").openAll(), newHost(t, "b")
	b.open("notes", crdt.NewMVRegister(failing{}))
	a.write("notes", "k", "a1")
	b.now = start.Add(time.Second)
	b.write("notes", "k", "b1")
	b.sync(a)
	for _, h := range []*host{b, b.reopened()} {
		require.Len(t, h.reports(), 1)
		require.NoError(t, Reports(h.frames[1], func(c fieldwise.Conflict) error {
			require.Equal(t, fieldwise.ConflictPolicy, c.Kind)
			require.Equal(t, "lww ?", c.Policy)
			require.True(t, strings.HasPrefix(c.Reason, "cannot read ?xxx"), c.Reason)
			require.Less(t, len(c.Reason), MaxReason+1)
			return nil
		}))
	}
}
