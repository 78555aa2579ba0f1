package main

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// asCommand lets the test's program be replogctl.
const asCommand = "REPLOGCTL_IS_THE_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// call runs replogctl.
func call(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return callWith(t.Context(), args...)
}

func callWith(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(ctx, args, &out, &errs)
	return code, out.String(), errs.String()
}

// shown runs a command that has to go well, and returns what it shows.
func shown(t testing.TB, args ...string) string {
	t.Helper()
	code, stdout, stderr := call(t, args...)
	require.Empty(t, stderr)
	require.Equal(t, exitWell, code)
	return stdout
}
