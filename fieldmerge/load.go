package fieldmerge

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/fieldwise/fieldwise"
)

// DefaultLoadWriters is how many records [Domain.Load] writes at once.
const DefaultLoadWriters = 64

// LoadOptions are how a load goes about it. The zero value is ready to use.
type LoadOptions struct {
	// Writers is how many records are written at once, so that they share a sync. Zero
	// means DefaultLoadWriters.
	Writers int
	// Progress, if it is not nil, is called after every thousand records and at the end,
	// by one goroutine at a time.
	Progress func(LoadResult)
}

// LoadResult counts what a load has done.
type LoadResult struct {
	Created int // records that are durable
	Skipped int // that were live already
}

// Load creates a record for each that the sequence yields: a first import. A key that is
// live already is skipped, so that a load which was interrupted can be run again. It stops at
// the first error, of the sequence or of a write; what was created until then stays. The
// sequence is ranged over by one goroutine.
//
// Load in one region; the others get the records as they get everything. Loading the same
// records in several regions creates each record in all of them: equal fields are no
// conflict, but everything is shipped and kept several times.
func (d *Domain[T]) Load(ctx context.Context, records iter.Seq2[Record[T], error], o LoadOptions) (LoadResult, error) {
	return load(ctx, &d.records, records, o, d.Create)
}

// Load creates a record for each that the sequence yields: see [Domain.Load].
func (d *Documents) Load(ctx context.Context, records iter.Seq2[Record[map[string]any], error], o LoadOptions) (LoadResult, error) {
	return load(ctx, &d.records, records, o, d.Create)
}

func load[V any](ctx context.Context, d *records, all iter.Seq2[Record[V], error], o LoadOptions, create func(context.Context, string, V) (fieldwise.Receipt, error)) (LoadResult, error) {
	if o.Writers < 0 {
		return LoadResult{}, d.failAll("load", fmt.Errorf("LoadOptions.Writers is %d; use 1 or more, or 0 for the default", o.Writers))
	}
	if o.Writers == 0 {
		o.Writers = DefaultLoadWriters
	}
	caller := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		mu     sync.Mutex
		result LoadResult
		wg     sync.WaitGroup
		queue  = make(chan Record[V])
	)
	for range o.Writers {
		wg.Go(func() {
			for r := range queue {
				_, err := create(ctx, r.Key, r.Value)
				exists := errors.Is(err, fieldwise.ErrExists)
				if err != nil && !exists {
					cancel(err) // the first one counts
					continue
				}
				mu.Lock()
				if exists {
					result.Skipped++
				} else {
					result.Created++
				}
				if o.Progress != nil && (result.Created+result.Skipped)%1000 == 0 {
					o.Progress(result)
				}
				mu.Unlock()
			}
		})
	}
	for r, err := range all {
		if err != nil {
			cancel(d.failAll("load", err))
			break
		}
		select {
		case queue <- r:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(queue)
	wg.Wait()
	if o.Progress != nil {
		o.Progress(result)
	}
	if err := context.Cause(caller); err != nil {
		return result, d.failAll("load", err)
	}
	return result, context.Cause(ctx)
}
