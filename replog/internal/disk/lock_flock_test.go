//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package disk

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A child process holds copies of all descriptors between fork and exec, and with them
// the locks that the parent had then.
func TestClosingALockFreesItWhileACopyOfItsDescriptorIsOpen(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	first, err := OS().Lock(name)
	require.NoError(t, err)
	fd, err := syscall.Dup(int(first.(osLock).f.Fd()))
	require.NoError(t, err)
	defer syscall.Close(fd)
	_, err = OS().Lock(name)
	require.ErrorIs(t, err, ErrLocked)
	require.NoError(t, first.Close())
	second, err := OS().Lock(name)
	require.NoError(t, err)
	require.NoError(t, second.Close())
}
