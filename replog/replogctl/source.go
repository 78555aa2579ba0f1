package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"time"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/replog/internal/engine"
	"github.com/fieldwise/fieldwise/replog/wal"
)

// source is the log of one replica, open for reading.
type source struct {
	dir      string
	log      *wal.Log
	recovery wal.Recovery
	began    fieldwise.Origin // who signed first
	progress *progress
}

// openSource opens the log in a directory and does not wait for that longer than ctx lives.
func openSource(ctx context.Context, t *terminal, dir string) (*source, error) {
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	s := &source{dir: dir, progress: t.progress}
	opened := make(chan error, 1)
	go func() {
		var err error
		s.log, s.recovery, err = wal.Open(dir, nil, wal.Options{ReadOnly: true})
		opened <- err
	}()
	err := s.await(ctx, opened)
	if err != nil {
		return nil, err
	}
	if s.began, err = engine.ParseIdentity(s.log.Meta()); err != nil {
		s.close()
		return nil, fmt.Errorf("%s holds a log, but not that of a replica: %s", dir, err.Error()) // which is no damage
	}
	return s, nil
}

// await waits until the log was opened.
func (s *source) await(ctx context.Context, opened <-chan error) error {
	tick := time.NewTicker(showEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.progress.at("opening "+s.dir, 0, 0)
		case <-ctx.Done():
			go func() {
				if <-opened == nil {
					s.close()
				}
			}()
			return ctx.Err()
		case err := <-opened:
			if err != nil {
				return s.explain(err)
			}
			return nil
		}
	}
}

func checkDir(dir string) error {
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: there is no such directory; name the data directory of a replica, which is its Config.Dir", dir)
	case err != nil:
		return err
	case !st.IsDir():
		return fmt.Errorf("%s is a file; name the directory that it is in", dir)
	}
	return nil
}

func (s *source) close() { _ = s.log.Close() } // it was only read

// explain says what to do about an error of the log.
func (s *source) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s holds no log; name the data directory of a replica, which is its Config.Dir: %w", s.dir, err)
	case errors.Is(err, wal.ErrFormat):
		return fmt.Errorf("%s: %w; use the replogctl of the release that wrote it", s.dir, err)
	case errors.Is(err, wal.ErrCorrupt):
		return fmt.Errorf("%s: %w; keep the directory as it is, and let the replica begin with an empty one: it takes back from the others what they have", s.dir, err)
	}
	return fmt.Errorf("%s: %w", s.dir, err)
}

// frames yields the frames from a position on, 0 being the beginning. doing says what for.
func (s *source) frames(ctx context.Context, doing string, from wal.Position) iter.Seq2[wal.Frame, error] {
	return func(yield func(wal.Frame, error) bool) {
		end := int64(s.log.Durable())
		for f, err := range s.log.Frames(from) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(wal.Frame{}, s.explain(err))
				return
			}
			s.progress.at(doing+" "+s.dir, int64(f.Position), end)
			if !yield(f, nil) {
				return
			}
		}
	}
}

// read goes through all of the log, part by part.
func (s *source) read(ctx context.Context, doing string, from wal.Position, parts func(at wal.Position) *engine.Parts) error {
	for f, err := range s.frames(ctx, doing, from) {
		if err != nil {
			return err
		}
		if err := parts(f.Position).Read(f.Payload); err != nil {
			return s.in(f.Position, err)
		}
	}
	return nil
}

// in says where in the log an error arose.
func (s *source) in(at wal.Position, err error) error {
	return fmt.Errorf("%s: position %d: %w", s.dir, at, err)
}
