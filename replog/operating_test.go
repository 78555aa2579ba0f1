package replog

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// OPERATING.md says what to do about each error of this package, and about none that there is
// not.
func TestOperatingNamesEachError(t *testing.T) {
	names := func(file, pattern string) (all []string) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
			all = append(all, string(match[1]))
		}
		return all
	}
	there := append(names("errors.go", `(?m)^\t(Err[A-Z]\w+) +=`), "ErrMergerMismatch") // of the root package
	require.Greater(t, len(there), 10)
	require.ElementsMatch(t, there, names("OPERATING.md", "(?m)^\\| `(Err[A-Z]\\w+)` \\|"))
}
