package wal

import (
	"fmt"
	"testing"
)

func benchLog(b *testing.B) *Log {
	l, _, err := Open(b.TempDir(), nil, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	b.ReportAllocs()
	return l
}

func BenchmarkAppendSync(b *testing.B) {
	for _, batch := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("256B/batch=%d", batch), func(b *testing.B) {
			l, p := benchLog(b), payload(1, 256)
			b.SetBytes(int64(batch * len(p)))
			for b.Loop() {
				for range batch {
					if _, err := l.Append(p); err != nil {
						b.Fatal(err)
					}
				}
				if err := l.Sync(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{64, 256, 4096} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			l, p := benchLog(b), payload(1, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := l.Append(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFrames(b *testing.B) {
	for _, size := range []int{64, 256, 4096} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			l, p := benchLog(b), payload(1, size)
			n := 16 << 20 / size
			for range n {
				if _, err := l.Append(p); err != nil {
					b.Fatal(err)
				}
			}
			if err := l.Sync(); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(n * size))
			for b.Loop() {
				for _, err := range l.Frames(0) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "frames/s")
		})
	}
}
