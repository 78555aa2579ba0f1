package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

// Names in the log's directory, beside those of the segments. Others are left alone.
const (
	manifestName = "wal.manifest"
	newName      = "wal.new"
	lockName     = "wal.lock"
)

const (
	segmentPrefix = "wal-"
	segmentSuffix = ".seg"
)

func segmentName(number uint64) string {
	return fmt.Sprintf("%s%08d%s", segmentPrefix, number, segmentSuffix)
}

// segmentNumber returns the number that a name stands for; ok is false for other names.
func segmentNumber(name string) (number uint64, ok bool) {
	digits := strings.TrimSuffix(strings.TrimPrefix(name, segmentPrefix), segmentSuffix)
	number, err := strconv.ParseUint(digits, 10, 64)
	return number, err == nil && name == segmentName(number)
}

// directory is where a log lives.
type directory struct {
	fs  disk.FS
	dir string
}

func (d directory) path(name string) string { return filepath.Join(d.dir, name) }

// unknownError is a failure after which it is not known which of two files a name stands for.
type unknownError struct{ error }

func (e unknownError) Unwrap() error { return e.error }

// aside writes a file under a temporary name, syncs it, gives it its name and syncs that. After an
// unknownError the name may or may not stand for the new file; after any other it does not.
func (d directory) aside(name string, write func(disk.File) error) error {
	// It is there if an earlier try failed. A new file is needed: of the old one's pages the system may
	// believe that the disk has them.
	if err := d.remove(newName); err != nil {
		return err
	}
	f, err := d.fs.Create(d.path(newName))
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr // what close reports is a write that failed late
	}
	if err != nil {
		_ = d.remove(newName) // to give its room back; the next Open does it, too
		return err
	}
	if err := d.fs.Rename(d.path(newName), d.path(name)); err != nil {
		return unknownError{err}
	}
	if err := d.fs.SyncDir(d.dir); err != nil {
		return unknownError{err}
	}
	return nil
}

// createFile makes a file that is durable, with its name, and stays open. One of that name is replaced: it is
// there if an earlier try failed. After an error there is none, or, after an unknownError, perhaps one.
func (d directory) createFile(name string, write func(disk.File) error) (disk.File, error) {
	if err := d.remove(name); err != nil {
		return nil, err
	}
	f, err := d.fs.Create(d.path(name))
	if err != nil {
		return nil, err
	}
	return d.finish(f, name, write)
}

// finish writes a file and makes its name durable, or gets rid of it.
func (d directory) finish(f disk.File, name string, write func(disk.File) error) (disk.File, error) {
	err := write(f)
	if err == nil {
		if err = d.fs.SyncDir(d.dir); err != nil {
			err = unknownError{err}
		}
	}
	if err != nil {
		_ = f.Close()
		_ = d.remove(name) // to give its room back; the next try does it, too
		return nil, err
	}
	return f, nil
}

// remove unlinks a file that may not be there.
func (d directory) remove(name string) error {
	if err := d.fs.Remove(d.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
