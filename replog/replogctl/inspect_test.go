package main

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/internal/wire"
	"github.com/fieldwise/fieldwise/replog/wal"
)

func inspected(t testing.TB, dir string) (s summary) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(shown(t, "inspect", "--json", dir)), &s))
	return s
}

func TestInspectOfAnEmptyLog(t *testing.T) {
	c := newCluster(t)
	r := c.open(t, c.us)
	origin := r.Origin()
	require.NoError(t, r.Close())
	s := inspected(t, c.us)
	require.Equal(t, []fieldwise.Origin{origin}, s.Signs)
	require.Equal(t, fieldwise.Region("us-east-1"), s.Region)
	require.Equal(t, wal.FormatVersion, s.Format)
	require.Zero(t, s.Entries)
	require.Empty(t, s.First)
	require.Contains(t, shown(t, "inspect", "--json", c.us), `"origins":[],"domains":[]`)
}

func TestInspectCountsTheBytesOfFiles(t *testing.T) {
	c := small(t)
	size := int64(0)
	for _, b := range filesOf(t, c.us) {
		size += int64(len(b))
	}
	require.Equal(t, size, inspected(t, c.us).Bytes)
	require.NoError(t, os.Mkdir(c.us+"/other", 0o700))
	require.Equal(t, size, inspected(t, c.us).Bytes, "of the directory's own files")
}

func TestInspectFollowsIncarnations(t *testing.T) {
	c := small(t)
	first := inspected(t, c.us)
	r := c.open(t, c.us, "us-east-1", "eu-west-1") // nobody confirms
	s := must[fieldwise.Store](t)(r.Domain("settings", mergers["register/1"].Merger))
	must[fieldwise.Receipt](t)(s.Write(t.Context(), "k", func(dst, state []byte, at fieldwise.Version) ([]byte, error) {
		return crdt.MVRegister{}.Set(dst, state, at, wire.AppendString(nil, "v"))
	}))
	fresh := r.Origin()
	require.NoError(t, r.Close())
	require.Equal(t, append(first.Signs, fresh), inspected(t, c.us).Signs)
}
