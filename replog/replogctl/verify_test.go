package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/lattice"
	"github.com/fieldwise/fieldwise/internal/wire"
	"github.com/fieldwise/fieldwise/lww"
	"github.com/fieldwise/fieldwise/replog"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
)

// verified runs verify, and returns what it says, in JSON, and its exit code.
func verified(t testing.TB, args ...string) (v verdict, code int) {
	t.Helper()
	code, stdout, stderr := call(t, append([]string{"verify", "--json"}, args...)...)
	require.Empty(t, stderr)
	require.NoError(t, json.Unmarshal([]byte(stdout), &v), stdout)
	return v, code
}

// onlyFinding requires that verify finds one thing.
func onlyFinding(t testing.TB, args ...string) finding {
	t.Helper()
	v, code := verified(t, args...)
	require.Equal(t, exitFound, code)
	require.False(t, v.Well)
	require.Len(t, v.Findings, 1, "%+v", v.Findings)
	return v.Findings[0]
}

// small is a region with a few settings, each in a frame of its own.
func small(t testing.TB) *cluster {
	c := newCluster(t)
	put(t, c, c.us, "first", "second", "third")
	return c
}

// put writes settings, whose values are as their keys.
func put(t testing.TB, c *cluster, dir string, keys ...string) {
	t.Helper()
	r := c.open(t, dir)
	settings := must[*crdt.Registers[string]](t)(lww.Open[string](r, "settings"))
	for _, key := range keys {
		must[fieldwise.Receipt](t)(settings.Put(t.Context(), key, "value of "+key))
		c.tick()
	}
	require.NoError(t, r.Close())
}

func TestVerifyDigestIsThatOfTheReplica(t *testing.T) {
	c := filled(t)
	v, _ := verified(t, c.us)
	r := c.open(t, c.us)
	compared := 0
	for _, d := range v.Directories[0].Domains {
		if !d.Known {
			require.Empty(t, d.Digest)
			continue
		}
		must[fieldwise.Store](t)(r.Domain(d.Name, mergers[d.Merger].Merger))
		want, err := r.Digest(t.Context(), d.Name)
		require.NoError(t, err)
		require.Equal(t, hex.EncodeToString(want[:]), d.Digest, d.Name)
		compared++
	}
	require.Equal(t, 7, compared)
	require.Equal(t, map[string]fieldwise.Seq{}, unlike(r.Vector(), v.Directories[0].Vector))
}

// unlike is what two vectors have not in common.
func unlike(a fieldwise.Vector, b map[string]fieldwise.Seq) map[string]fieldwise.Seq {
	left := make(map[string]fieldwise.Seq)
	for o, seq := range a {
		if b[o.String()] != seq {
			left[o.String()] = seq
		}
	}
	for o, seq := range b {
		if parsed, err := fieldwise.ParseOrigin(o); err != nil || a[parsed] != seq {
			left[o] = seq
		}
	}
	return left
}

func TestVerifyReadsBesideARunningReplica(t *testing.T) {
	c := small(t)
	r := c.open(t, c.us)
	v, code := verified(t, c.us)
	require.Equal(t, exitWell, code)
	require.Equal(t, 3, v.Directories[0].Entries)
	require.NoError(t, r.Close())
}

func TestVerifyFindsAFlippedBit(t *testing.T) {
	c := small(t)
	flip(t, c.us, "value of second")
	f := onlyFinding(t, c.us)
	require.Equal(t, "corrupt", f.Kind)
	require.Equal(t, c.us, f.Directory)
	require.Contains(t, f.Problem, "checksum")
	require.Contains(t, f.Problem, "keep the directory as it is")
	for _, command := range []string{"inspect", "dump", "conflicts"} {
		code, _, stderr := call(t, command, c.us)
		require.Equal(t, exitFound, code, command)
		require.Contains(t, stderr, "corrupt")
	}
}

// What a crash leaves in the last batch is told, and is no fault.
func TestATornEndIsToldAndNoFault(t *testing.T) {
	c := newCluster(t)
	r := c.open(t, c.us)
	settings := must[*crdt.Registers[string]](t)(lww.Open[string](r, "settings"))
	for _, key := range []string{"first", "second"} {
		must[fieldwise.Receipt](t)(settings.Put(t.Context(), key, "value of "+key))
	}
	crashed := copied(t, c.us, "-crashed")
	require.NoError(t, r.Close())
	flip(t, crashed, "value of second")

	v, code := verified(t, crashed)
	require.Equal(t, exitWell, code)
	require.Equal(t, 1, v.Directories[0].Entries)
	require.NotNil(t, v.Directories[0].Torn)
	require.Positive(t, v.Directories[0].Torn.Bytes)
	require.Contains(t, shown(t, "verify", crashed), "torn end, as a crash leaves one: ")
	require.Contains(t, shown(t, "inspect", crashed), "torn end")
	require.Contains(t, shown(t, "inspect", "--json", crashed), `"torn":{"position":`)
	require.NotContains(t, shown(t, "inspect", c.us), "torn end")
}

func TestVerifyFindsGaps(t *testing.T) {
	c := small(t)
	cut := rewritten(t, c.us, "-cut", func(i int, payload []byte) [][]byte {
		if i == 1 {
			return nil
		}
		return [][]byte{payload}
	})
	f := onlyFinding(t, cut)
	require.Equal(t, "gap", f.Kind)
	require.Equal(t, "entry 3 stands where 2 is next", f.Problem)
	require.EqualValues(t, 3, f.Seq)
	require.Equal(t, "third", f.Key)
	require.Equal(t, fieldwise.Region("us-east-1"), f.Origin.Region)

	// What is behind a gap is not compared, nor are states.
	v, _ := verified(t, cut, c.us)
	require.Len(t, v.Findings, 1)
	require.Len(t, v.Equal, 1)
	require.Equal(t, map[string]fieldwise.Seq{f.Origin.String(): 1}, v.Directories[0].Vector)

	v, _ = verified(t, cut, copied(t, cut, "-copy"))
	require.Len(t, v.Findings, 2)
	for _, e := range v.Equal {
		require.Empty(t, e.Domain)
	}

	twice := rewritten(t, c.us, "-twice", func(i int, payload []byte) [][]byte {
		if i == 2 {
			return [][]byte{payload, payload}
		}
		return [][]byte{payload}
	})
	f = onlyFinding(t, twice)
	require.Equal(t, "entry 3 stands where 4 is next", f.Problem)
	v, _ = verified(t, twice, c.us)
	require.Len(t, v.Findings, 1, "the entries in front of it are the same")
}

// part makes a part of a payload.
func part(kind byte, body []byte) []byte { return wire.AppendBin(nil, append([]byte{kind}, body...)) }

const (
	entryPart    = 1
	mergerPart   = 4
	identityPart = 5
)

func TestVerifyFindsWhatCannotBeRead(t *testing.T) {
	c := small(t)
	origin := entriesOf(t, c.us)[0].Origin
	good := entriesOf(t, c.us)[2]
	for name, at := range map[string]struct {
		payload       []byte
		kind, problem string
	}{
		"no part":                {[]byte{0xc1}, "unreadable part", "batch ends inside a part"},
		"of a later release":     {part(99, nil), "unreadable part", "part of kind 99; a newer release wrote this log"},
		"no entry":               {part(entryPart, []byte("x")), "unreadable part", "entry"},
		"a second merger":        {part(mergerPart, wire.AppendString(wire.AppendString(nil, "settings"), "other/1")), "merger", `merged under "register/1" and under "other/1"`},
		"a foreign identity":     {part(identityPart, engine.AppendIdentity(nil, fieldwise.Origin{Region: "eu-west-1", Incarnation: 1})), "identity", "begins to sign in a log of us-east-1"},
		"an identity of old":     {part(identityPart, engine.AppendIdentity(nil, origin)), "identity", "that holds 3 entries of it"},
		"a change that is none":  {entryWith(good, func(e *engine.Entry) { e.Delta = []byte("no state") }), "change", "malformed state"},
		"an entry without a key": {entryWith(good, func(e *engine.Entry) { e.Key = "" }), "change", "key of 0 bytes"},
		"bytes behind a change":  {entryWith(good, func(e *engine.Entry) { e.Delta = append(bytes.Clone(e.Delta), 0) }), "change", "malformed state"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := rewritten(t, c.us, "-"+strings.ReplaceAll(name, " ", "-"), func(i int, payload []byte) [][]byte {
				if i == 2 {
					return [][]byte{payload, at.payload}
				}
				return [][]byte{payload}
			})
			f := onlyFinding(t, bad)
			require.Equal(t, at.kind, f.Kind)
			require.Contains(t, f.Problem, at.problem)
			require.Positive(t, f.Position)
		})
	}
}

// entryWith is a part with an entry behind a given one, changed.
func entryWith(e engine.Entry, change func(*engine.Entry)) []byte {
	e.Seq++
	e.Time++
	change(&e)
	return part(entryPart, e.Append(nil))
}

func TestVerifyNamesWhereForkedDirectoriesDiffer(t *testing.T) {
	c := small(t)
	other := copied(t, c.us, "-copy")
	put(t, c, c.us, "fourth", "fifth", "here", "sixth", "seventh")
	// The copy writes the same at first, as after a restore that went back in time.
	again := rewritten(t, c.us, "-again", func(i int, payload []byte) [][]byte {
		if i >= 5 {
			return nil
		}
		return [][]byte{payload}
	})
	require.NoError(t, os.RemoveAll(other))
	put(t, c, again, "there", "more")

	require.Equal(t, 7, len(entriesOf(t, again)))
	f := onlyFinding(t, c.us, again)
	require.Equal(t, "forked", f.Kind)
	require.EqualValues(t, 6, f.Seq)
	require.Contains(t, f.Problem, `two entries have one origin and number: settings "here" of 2026-11-28T09:00:05.000Z here, settings "there" of 2026-11-28T09:00:08.000Z in `+again)
	require.Equal(t, entriesOf(t, c.us)[5].Origin, *f.Origin)

	// The search is the same in smaller steps, and in the other order.
	for samples := fieldwise.Seq(1); samples < 9; samples++ {
		for _, dirs := range [][]string{{c.us, again}, {again, c.us}} {
			v := verifier{samples: samples, noStates: true}
			require.ErrorIs(t, v.run(t.Context(), silent(), dirs, false), errFound)
			require.Len(t, v.Findings, 1)
			require.EqualValues(t, 6, v.Findings[0].Seq, "samples: %d", samples)
		}
	}
}

func silent() *terminal { return &terminal{out: bufio.NewWriter(io.Discard)} }

func TestVerifyNamesRecordsWhoseStatesDiffer(t *testing.T) {
	c := small(t)
	other := copied(t, c.us, "-copy")
	put(t, c, c.us, "here")
	put(t, c, other, "there")
	v, code := verified(t, c.us, other)
	require.Equal(t, exitFound, code)
	require.Len(t, v.Findings, 2)
	require.Equal(t, "forked", v.Findings[0].Kind)
	require.EqualValues(t, 4, v.Findings[0].Seq)
	require.Equal(t, "states", v.Findings[1].Kind)
	require.Equal(t, "settings", v.Findings[1].Domain)
	require.Equal(t, `2 records have not the same state as in `+other+`: "here" "there"`, v.Findings[1].Problem)

	v, _ = verified(t, "--no-states", c.us, other)
	require.Len(t, v.Findings, 1)
	require.Empty(t, v.Directories[0].Domains[0].Digest)
}

func TestVerifyFindsOneDomainUnderTwoMergers(t *testing.T) {
	c := small(t)
	other := rewritten(t, c.us, "-other", func(_ int, payload []byte) [][]byte {
		return [][]byte{bytes.Replace(payload, part(mergerPart, named("settings", "register/1")), part(mergerPart, named("settings", "max/1")), 1)}
	})
	f := onlyFinding(t, c.us, other)
	require.Equal(t, "states", f.Kind)
	require.Equal(t, `merged under "register/1" here and under "max/1" in `+other, f.Problem)
}

func named(domain, merger string) []byte {
	return wire.AppendString(wire.AppendString(nil, domain), merger)
}

func TestVerifyComparesDirectoriesThatAreBehind(t *testing.T) {
	c := filled(t)
	behind := rewritten(t, c.us, "-behind", func(i int, payload []byte) [][]byte {
		if i > 4 {
			return nil
		}
		return [][]byte{payload}
	})
	v, code := verified(t, behind, c.eu, c.us)
	require.Equal(t, exitWell, code)
	for _, e := range v.Equal {
		if e.Origin != nil {
			require.Len(t, e.Directories, 3)
			continue
		}
		t.Fatalf("states of %s were compared in %v", e.Domain, e.Directories)
	}
	require.Len(t, v.Equal, 2)
}

func TestVerifyComparesStatesOfEqualDirectories(t *testing.T) {
	c := filled(t)
	v, code := verified(t, c.us, copied(t, c.us, "-copy"))
	require.Equal(t, exitWell, code)
	domains := 0
	for _, e := range v.Equal {
		if e.Domain != "" {
			domains++
		}
	}
	require.Equal(t, 7, domains)
}

func TestJoinerKeepsAFewRecordsOpen(t *testing.T) {
	var values []int
	for i := range 400 {
		values = append(values, i)
	}
	j := newJoiner(mergers["set/1"])
	for n := range 2 * maxOpen {
		key := string(rune('a' + n))
		for seq := range fieldwise.Timestamp(2) {
			at := fieldwise.Version{Time: 1 + seq, Origin: fieldwise.Origin{Region: "a", Incarnation: 1 + uint64(seq)}}
			require.NoError(t, j.add(key, setOf(t, at, values...)))
		}
		require.LessOrEqual(t, len(j.open), maxOpen)
		require.LessOrEqual(t, len(j.open)+len(j.closed), n+1)
	}
	require.NotEmpty(t, j.open)
	require.Len(t, j.states(), 2*maxOpen)
}

// setOf is the delta of a write that adds values to a set.
func setOf(t testing.TB, at fieldwise.Version, values ...int) []byte {
	e := lattice.Edit{}
	for _, v := range values {
		e.Intents = append(e.Intents, lattice.Intent{Op: lattice.OpAdd, Element: wire.AppendInt(nil, int64(v))})
	}
	delta, err := lattice.WriteState(nil, lattice.KindSet, nil, e, at)
	require.NoError(t, err)
	return delta
}

// A large record costs a change what the change is, and comes to the same state.
func TestVerifyJoinsLargeRecords(t *testing.T) {
	c := newCluster(t)
	r := c.open(t, c.us)
	sets := must[*crdt.Sets[int]](t)(crdt.OpenSets[int](r, "sets"))
	for key := range maxOpen + 2 {
		var all []int
		for i := range 400 {
			all = append(all, i)
		}
		name := "set " + string(rune('a'+key))
		must[fieldwise.Receipt](t)(sets.Add(t.Context(), name, all...))
	}
	for key := range maxOpen + 2 {
		name := "set " + string(rune('a'+key))
		must[fieldwise.Receipt](t)(sets.Remove(t.Context(), name, 5, key))
		must[fieldwise.Receipt](t)(sets.Add(t.Context(), name, -1))
	}
	want, err := r.Digest(t.Context(), "sets")
	require.NoError(t, err)
	require.NoError(t, r.Close())
	v, code := verified(t, c.us)
	require.Equal(t, exitWell, code)
	require.Equal(t, hex.EncodeToString(want[:]), v.Directories[0].Domains[0].Digest)
}

func TestFindingsAreListedUpToALimit(t *testing.T) {
	c := small(t)
	bad := rewritten(t, c.us, "-bad", func(i int, payload []byte) [][]byte {
		all := [][]byte{payload}
		for range maxFindings {
			all = append(all, part(99, nil))
		}
		return all
	})
	v, code := verified(t, bad)
	require.Equal(t, exitFound, code)
	require.Len(t, v.Findings, maxFindings)
	require.Equal(t, 2*maxFindings, v.More)
	code, stdout, _ := call(t, "verify", bad)
	require.Equal(t, exitFound, code)
	require.Contains(t, stdout, "and 200 more\n300 problems\n")
}

func TestVerifyGoesOnBesideADamagedDirectory(t *testing.T) {
	c := filled(t)
	damaged := copied(t, c.us, "-damaged")
	flip(t, damaged, "<dark>")
	code, stdout, _ := call(t, "verify", damaged, c.eu)
	require.Equal(t, exitFound, code)
	require.Contains(t, stdout, damaged+": could not be read")
	require.Contains(t, stdout, c.eu+": eu-west-1, 6 frames")
	require.Contains(t, stdout, "PROBLEM corrupt: "+damaged)
	require.Contains(t, stdout, "\n1 problem\n")
}

func TestVerifyEndsWithWhatCannotBeOpened(t *testing.T) {
	c := small(t)
	code, stdout, stderr := call(t, "verify", c.us, filepath.Join(c.us, "none"))
	require.Equal(t, exitUnreadable, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "there is no such directory")
}

// A log that began with a snapshot of states lacks the entries that it stands for, and is well.
func TestVerifyKnowsSnapshotsOfStates(t *testing.T) {
	c := small(t)
	us, fresh := c.open(t, c.us), filepath.Join(filepath.Dir(c.us), "ap")
	ap, err := replog.Open(t.Context(), replog.Config{Region: "ap-south-1", Dir: fresh, Wall: c.wall, Bootstrap: true})
	require.NoError(t, err)
	link := must[*replog.Link](t)(replog.Connect(us, ap))
	require.NoError(t, ap.WaitVector(t.Context(), us.Vector()))
	require.Positive(t, ap.Stats().Snapshots)
	_, err = profiles(t, us).Create(t.Context(), "later", profile{Name: "Later"})
	require.NoError(t, err)
	require.NoError(t, ap.WaitVector(t.Context(), us.Vector()))
	require.NoError(t, link.Close())
	require.NoError(t, us.Close())
	require.NoError(t, ap.Close())

	v, code := verified(t, c.us, fresh)
	require.Equal(t, exitWell, code, "%+v", v)
	require.Empty(t, v.Equal, "what is not there cannot be compared")
	require.Equal(t, 1, v.Directories[1].Snapshots)
	require.Equal(t, v.Directories[0].Vector, v.Directories[1].Vector)
	for _, d := range v.Directories[1].Domains {
		require.Empty(t, d.Digest, "states of which a part came in a snapshot")
	}
	var dumped string
	code, dumped, _ = call(t, "dump", fresh)
	require.Equal(t, exitWell, code)
	require.Equal(t, 1, strings.Count(dumped, "\n"), "the entry that came later")
	code, _, _ = call(t, "inspect", fresh)
	require.Equal(t, exitWell, code)
}
