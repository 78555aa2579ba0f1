package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// asProgram is the environment variable that makes the test binary be the program.
const asProgram = "FIELDWISE_SERVICE_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

func TestCommandLine(t *testing.T) {
	file := t.TempDir() + "/file"
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, c := range []struct {
		name   string
		args   string
		status int
		stderr string
	}{
		{"none", "", statusUsage, "service: say -demo, or -region and -dir\n\nusage: service -demo\n       service -region NAME"},
		{"no directory", "-region eu-west-1", statusUsage, "say -demo, or -region and -dir"},
		{"both", "-demo -region eu-west-1", statusUsage, "-demo takes no other flag"},
		{"a region's name", "-region EU -dir x", statusUsage, `-region: fieldwise: invalid region name: "EU" has 'E' at byte 0`},
		{"a flag", "-port 80", statusUsage, "flag provided but not defined: -port"},
		{"an argument", "demo", statusUsage, `unexpected argument "demo"; there are only flags`},
		{"an address", "-region eu-west-1 -dir " + t.TempDir() + " -listen nowhere", statusFailed, "address nowhere: missing port in address"},
		{"no place for a directory", "-region eu-west-1 -dir " + file, statusFailed, "service: replog: open "},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			assert.Equal(t, c.status, run(t.Context(), strings.Fields(c.args), &stdout, &stderr))
			assert.Contains(t, stderr.String(), c.stderr)
			assert.Empty(t, stdout.String())
		})
	}
	var stdout, stderr bytes.Buffer
	assert.Equal(t, statusOK, run(t.Context(), []string{"-help"}, &stdout, &stderr))
	assert.Equal(t, usage, stdout.String())
	assert.Contains(t, usage, "linked inside one process only")
	assert.Empty(t, stderr.String())
}

// program starts the program and returns it with the URL that it prints.
func program(t *testing.T, dir string) (*exec.Cmd, string) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-region", "eu-west-1", "-dir", dir, "-listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stderr = io.Discard
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "eu-west-1 is at ")
	require.True(t, ok, line)
	return cmd, url
}

func TestASignalEndsTheProgramWithStatus0AndAllIsKept(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("has no SIGTERM")
	}
	dir, c := t.TempDir(), newClient(t)
	for i, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		cmd, url := program(t, dir)
		if i == 0 {
			c.create(url, "asha", `{"name":"Asha"}`)
		}
		c.ok(http.MethodGet, url+"/profiles/asha", "")
		require.NoError(t, cmd.Process.Signal(sig))
		require.NoError(t, cmd.Wait(), "exit status")
	}
}
