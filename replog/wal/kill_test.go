package wal

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// child is what the test binary does when a test runs it as another process.
func child(dir, task string) {
	l, _, err := Open(dir, nil, Options{SegmentBytes: 100 << 10})
	if task == "lock" {
		switch {
		case errors.Is(err, ErrLocked):
			fmt.Println("locked" + err.Error()[strings.LastIndex(err.Error(), " (process"):])
		case err != nil:
			fmt.Println(err)
			os.Exit(1)
		default:
			fmt.Println("opened")
		}
		return
	}
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	next := 0
	for f, err := range l.Frames(0) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		next = int(binary.LittleEndian.Uint64(f.Payload)) + 1
	}
	fmt.Println("open", next)
	for i := next; ; i++ {
		if _, err := l.Append(payload(i, 100+i%50*200)); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println("appended") // one write each: unbuffered
		if i%4 == 3 {
			if err := l.Sync(); err != nil {
				fmt.Println("error", err)
				os.Exit(1)
			}
			fmt.Println(i)
		}
	}
}

// A process that appends and syncs is killed after a random number of steps, wherever it is by then.
func TestKill(t *testing.T) {
	rng := seeded(t)
	dir := t.TempDir()
	kills, acked, torn := 20, -1, 0
	if testing.Short() {
		kills = 8
	}
	for k := range kills {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "WAL_TEST_CHILD="+dir)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		wait := rng.IntN(150)
		lines := bufio.NewScanner(out)
		note := func(line string) {
			if n, err := strconv.Atoi(line); err == nil {
				acked = max(acked, n)
			} else {
				require.True(t, strings.HasPrefix(line, "open ") || line == "appended", "child says %q", line)
			}
		}
		for n := 0; n <= wait && lines.Scan(); n++ {
			note(lines.Text())
		}
		require.NoError(t, cmd.Process.Kill())
		for lines.Scan() { // what it acknowledged before it died
			note(lines.Text())
		}
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()

		ro, rec, err := Open(dir, nil, Options{ReadOnly: true})
		if k == 0 && acked < 0 && err != nil {
			continue // killed before the log was there
		}
		require.NoError(t, err)
		seen, _, err := readAll(ro, 0)
		require.NoError(t, err)
		if rec.DroppedBytes > 0 || len(seen) > acked+1 {
			torn++
		}
		require.NoError(t, ro.Close())
		n := 0
		l, _, err := Open(dir, nil, Options{SegmentBytes: 100 << 10})
		require.NoError(t, err)
		for f, err := range l.Frames(0) {
			require.NoError(t, err)
			require.EqualValues(t, n, binary.LittleEndian.Uint64(f.Payload))
			n++
		}
		require.Greater(t, n, acked, "kill %d: acknowledged frames are lost", k)
		require.NoError(t, l.Close())
	}
	ran(t, "kills", kills, 8)
	ran(t, "kills inside a batch", torn, kills/5)
	require.GreaterOrEqual(t, acked, kills)
}
