package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// manifestName is the file that says what the logs of a directory are about.
const manifestName = "profiles.json"

// manifest is what that file holds.
type manifest struct {
	Format int    `json:"format"`
	Input  string `json:"input"`
	Hash   string `json:"sha256"`
}

const manifestFormat = 1

// claim makes dir the directory of a script's logs, or finds that it is. A directory that
// holds anything else is refused, and left as it is.
func claim(dir string, s *Script) error {
	want := manifest{Format: manifestFormat, Input: s.Input, Hash: s.Hash}
	b, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		if err := empty(dir); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		b, err := json.Marshal(want)
		if err != nil {
			return err
		}
		return writeAside(filepath.Join(dir, manifestName), append(b, '\n'))
	}
	if err != nil {
		return err
	}
	var have manifest
	if err := json.Unmarshal(b, &have); err != nil {
		return fmt.Errorf("%s: %w; expected what an earlier run wrote there", filepath.Join(dir, manifestName), err)
	}
	if have.Format != want.Format || have.Hash != want.Hash {
		return fmt.Errorf("-dir %s holds the logs of another run: %s (sha256 %.12s), while this one is %s (sha256 %.12s); name another directory, or remove that one",
			dir, have.Input, have.Hash, want.Input, want.Hash)
	}
	return nil
}

// empty says what is in the way of using dir for logs.
func empty(dir string) error {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.Name() != manifestName+asideSuffix {
			return fmt.Errorf("-dir %s holds %q and no %s: it is not the directory of an earlier run; name an empty or a new one", dir, f.Name(), manifestName)
		}
	}
	return nil
}

const asideSuffix = ".new"

// writeAside writes a file under another name and renames it when all of it is on the
// disk, so that there is never half a file under its name.
func writeAside(name string, content []byte) (err error) {
	f, err := os.Create(name + asideSuffix)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
