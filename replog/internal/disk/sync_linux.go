package disk

import (
	"io/fs"
	"os"
	"syscall"
)

// syncFile leaves out what reading the file back does not need, such as its times. Where neither the length
// nor the place of the bytes changed, that saves a commit of the file system's journal.
func syncFile(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		for {
			if failed = syscall.Fdatasync(int(fd)); failed != syscall.EINTR {
				return
			}
		}
	})
	if err != nil { // which does not say so
		failed = fs.ErrClosed
	}
	if failed != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: failed}
	}
	return nil
}
