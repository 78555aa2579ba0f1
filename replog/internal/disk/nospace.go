package disk

import (
	"errors"
	"runtime"
	"syscall"
)

// NoSpace reports whether err says that the disk, or this user's share of it, is full.
func NoSpace(err error) bool {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return true
	}
	var no syscall.Errno
	// ERROR_HANDLE_DISK_FULL and ERROR_DISK_FULL
	return runtime.GOOS == "windows" && errors.As(err, &no) && (no == 39 || no == 112)
}
