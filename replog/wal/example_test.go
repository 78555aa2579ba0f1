package wal_test

import (
	"fmt"
	"os"

	"github.com/fieldwise/fieldwise/replog/wal"
)

// What Append wrote and Sync made durable is there again when the log is opened anew.
func Example() {
	dir, err := os.MkdirTemp("", "wal")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	log, recovery, err := wal.Open(dir, []byte("who signs here"), wal.Options{})
	if err != nil {
		panic(err)
	}
	fmt.Println("created:", recovery.Created)
	for _, payload := range []string{"first", "second"} {
		if _, err := log.Append([]byte(payload)); err != nil {
			panic(err)
		}
	}
	if err := log.Sync(); err != nil { // one sync for both
		panic(err)
	}
	if err := log.Close(); err != nil {
		panic(err)
	}

	log, recovery, err = wal.Open(dir, nil, wal.Options{})
	if err != nil {
		panic(err)
	}
	defer log.Close()
	fmt.Printf("%s: %d frames, %d bytes dropped\n", log.Meta(), recovery.Frames, recovery.DroppedBytes)
	for frame, err := range log.Frames(0) {
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s\n", frame.Payload)
	}
	// Output:
	// created: true
	// who signs here: 2 frames, 0 bytes dropped
	// first
	// second
}
