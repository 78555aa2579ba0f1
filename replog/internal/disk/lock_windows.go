package disk

import (
	"errors"
	"os"
	"syscall"
	"unsafe"
)

var procLockFileEx = syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")

const (
	lockfileFailImmediately = 1
	lockfileExclusiveLock   = 2
	errorLockViolation      = syscall.Errno(33)
)

// lockFile locks one byte far beyond the end, since a locked range cannot be read by others and the
// holder's number at the start should be.
func lockFile(f *os.File) error {
	at := syscall.Overlapped{OffsetHigh: 0x7fffffff}
	ok, _, err := procLockFileEx.Call(f.Fd(), lockfileExclusiveLock|lockfileFailImmediately, 0, 1, 0, uintptr(unsafe.Pointer(&at)))
	switch {
	case ok != 0:
		return nil
	case errors.Is(err, errorLockViolation), errors.Is(err, syscall.ERROR_IO_PENDING):
		return ErrLocked
	default:
		return err
	}
}

// unlockFile leaves it to closing the handle, of which there is no copy.
func unlockFile(*os.File) error { return nil }
