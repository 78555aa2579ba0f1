package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func Example() {
	main()
	// Output: {Asha 222 Mumbai}
}

func TestReadmeShowsThisProgram(t *testing.T) {
	program, err := os.ReadFile("main.go")
	require.NoError(t, err)
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(readme), "```go\n")
	require.True(t, ok, "README.md has no Go program")
	shown, _, _ := strings.Cut(rest, "```\n")
	require.Equal(t, string(program), shown)
	require.Less(t, strings.Count(shown, "\n"), 50, "lines")
}
