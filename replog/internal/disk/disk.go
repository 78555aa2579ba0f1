// Package disk is the seam between the durable log and the file system.
//
// FS holds the few operations that a log needs, each with the durability that the log has to reason
// about. OS is the real one. Mem is a memory disk that remembers what was synced and can be found in
// any state that a power cut may leave; Fault wraps an FS and makes chosen operations fail.
//
// What all implementations promise, and no more: bytes written are visible to later reads at once;
// they survive the death of the process; they survive a power cut only after Sync of the file
// returned nil; and a name created, renamed or removed survives a power cut only after SyncDir of its
// directory returned nil. A Sync that failed says nothing about what is on the disk, now or later: the
// system may have marked the pages clean and forgotten them, so a second Sync that succeeds proves
// nothing.
package disk

import (
	"errors"
	"io"
)

// ErrLocked says that another holder, here or in another process, has the lock.
var ErrLocked = errors.New("locked by another holder")

// ErrNoLocks says that this system or file system has no file locks.
var ErrNoLocks = errors.New("file locks are not supported here")

// FS is a file system. Every name is a path; errors wrap fs.ErrNotExist, fs.ErrExist and
// fs.ErrPermission where these apply. It is safe for concurrent use.
type FS interface {
	// MkdirAll creates dir and the parents that are missing, and makes them durable: the parent of
	// each directory it made is synced before the next is made. It syncs the entry of the deepest
	// directory that was there already too, since an earlier call may have died before it did.
	MkdirAll(dir string) error
	// Create makes a file that must not exist, open for reading and writing, mode 0o600.
	Create(name string) (File, error)
	// Open opens a file for reading only.
	Open(name string) (File, error)
	// OpenWrite opens a file that must exist for reading and writing.
	OpenWrite(name string) (File, error)
	// Rename replaces to by from, atomically.
	Rename(from, to string) error
	// Remove unlinks a file.
	Remove(name string) error
	// List returns the base names in dir, sorted.
	List(dir string) ([]string, error)
	// SyncDir makes the names in dir durable.
	SyncDir(dir string) error
	// Lock takes the exclusive lock of the named file, which it creates if needed and nobody ever
	// unlinks. It does not wait: it returns an error that wraps ErrLocked, with the holder's process
	// number where that is known. The lock is freed by Close and by the death of the process.
	Lock(name string) (io.Closer, error)
}

// File is an open file. ReadAt and WriteAt are safe for concurrent use.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size returns the present length.
	Size() (int64, error)
	// Truncate cuts the file, or extends it by zeros. Durable after Sync.
	Truncate(size int64) error
	// Sync makes everything written to the file so far durable, and its length. After an error nothing is
	// known.
	Sync() error
}
