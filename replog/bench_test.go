package replog

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/replog/internal/disk"
)

func profilesOn(b *testing.B, r *Replica) *fieldmerge.Documents {
	schema, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW))
	require.NoError(b, err)
	d, err := fieldmerge.OpenDocuments(r, "profiles", schema)
	require.NoError(b, err)
	return d
}

func benchOpen(b *testing.B, region fieldwise.Region, fs disk.FS) *Replica {
	r, err := Open(ctx, Config{Region: region, Dir: b.TempDir(), fs: fs})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, r.Close()) })
	return r
}

func tenFields() map[string]any {
	doc := map[string]any{}
	for i := range 10 {
		doc[fmt.Sprintf("field%d", i)] = "sixteen bytes..."
	}
	return doc
}

// One field of a ten-field record.
func benchUpdates(b *testing.B, d *fieldmerge.Documents, writers int) {
	for w := range writers {
		_, err := d.Create(ctx, fmt.Sprintf("key-%012d", w), tenFields())
		require.NoError(b, err)
	}
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	var group sync.WaitGroup
	b.ResetTimer()
	for w := range writers {
		key := fmt.Sprintf("key-%012d", w)
		group.Go(func() {
			for n := left.Add(-1); n >= 0; n = left.Add(-1) {
				if _, err := d.Patch(ctx, key, fieldmerge.Patch{Set: map[string]any{"field3": fmt.Sprintf("value%011d", n)}}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}

// The cost of the replica itself: the memory disk syncs in no time.
func BenchmarkWriteMemory(b *testing.B) {
	d := profilesOn(b, benchOpen(b, "a", disk.NewMem()))
	_, err := d.Create(ctx, "asha", tenFields())
	require.NoError(b, err)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		_, err := d.Patch(ctx, "asha", fieldmerge.Patch{Set: map[string]any{"field3": fmt.Sprintf("value%011d", n)}})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteDisk(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			benchUpdates(b, profilesOn(b, benchOpen(b, "a", nil)), writers)
		})
	}
}

// From the write in one region until the other has it durable, 64 writers.
func BenchmarkReplicate(b *testing.B) {
	for _, disks := range []string{"memory", "disk"} {
		b.Run(disks, func(b *testing.B) {
			fs := func() disk.FS {
				if disks == "memory" {
					return disk.NewMem()
				}
				return nil
			}
			x, y := benchOpen(b, "a", fs()), benchOpen(b, "b", fs())
			l, err := Connect(x, y)
			require.NoError(b, err)
			defer l.Close()
			d := profilesOn(b, x)
			profilesOn(b, y)
			b.ReportAllocs()
			benchUpdates(b, d, 64)
			require.NoError(b, y.WaitVector(ctx, x.Vector()))
		})
	}
}

func BenchmarkRead(b *testing.B) {
	r := benchOpen(b, "a", disk.NewMem())
	s, err := r.Domain("tokens", tokenSet{})
	require.NoError(b, err)
	_, err = s.Write(ctx, "k", token("1"))
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Read(ctx, "k", func([]byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
