package fieldwise_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fieldwise/fieldwise"
)

// tags is a Merger of one's own: a record is a set of words that only grows. A state
// is the words in byte order, each with a line feed behind it.
type tags struct{}

func (tags) Name() string { return "tags/1" }

func (tags) Merge(dst, a, b []byte) ([]byte, error) {
	var words []string
	for _, state := range [][]byte{a, b} {
		known, err := parse(state)
		if err != nil {
			return nil, err
		}
		words = append(words, known...)
	}
	slices.Sort(words)
	for _, word := range slices.Compact(words) {
		dst = append(append(dst, word...), '\n')
	}
	return dst, nil
}

// parse refuses what Merge would not write: a set has one encoding.
func parse(state []byte) ([]string, error) {
	var words []string
	for len(state) > 0 {
		word, rest, ended := bytes.Cut(state, []byte{'\n'})
		if !ended || len(words) > 0 && string(word) <= words[len(words)-1] {
			return nil, fieldwise.ErrMalformed
		}
		words, state = append(words, string(word)), rest
	}
	return words, nil
}

// A merger is checked in its own test, with states that three regions could hold.
func ExampleCheckLaws() {
	samples := [][]byte{
		[]byte("red\n"),
		[]byte("green\n"),
		[]byte("blue\nred\n"),
	}
	err := fieldwise.CheckLaws(func() fieldwise.Merger { return tags{} }, samples...)
	fmt.Println(err)
	// Output:
	// <nil>
}

// nearest keeps one number: of two that are close the smaller one, else the larger.
type nearest struct{}

func (nearest) Name() string { return "nearest/1" }

func (nearest) Merge(dst, a, b []byte) ([]byte, error) {
	if len(a) > 1 || len(b) > 1 {
		return nil, fieldwise.ErrMalformed
	}
	if len(a) == 0 || len(b) == 0 {
		return append(append(dst, a...), b...), nil
	}
	small, large := min(a[0], b[0]), max(a[0], b[0])
	if large-small < 10 {
		return append(dst, small), nil
	}
	return append(dst, large), nil
}

// Every two regions agree on what nearest does, and three do not: the result hangs on
// who meets whom first.
func ExampleCheckLaws_brokenLaw() {
	err := fieldwise.CheckLaws(func() fieldwise.Merger { return nearest{} }, []byte{0}, []byte{8}, []byte{16})

	var broken *fieldwise.LawError
	fmt.Println(errors.As(err, &broken), broken.Law)
	for _, order := range []string{"0 8 16", "8 16 0"} {
		var state []byte
		for _, number := range strings.Fields(order) {
			var n byte
			fmt.Sscan(number, &n)
			state, _ = nearest{}.Merge(nil, state, []byte{n})
		}
		fmt.Printf("in the order %s: %d\n", order, state[0])
	}
	// Output:
	// true associative
	// in the order 0 8 16: 16
	// in the order 8 16 0: 0
}

// Versions order by time, then by the bytes of the region, then by incarnation; every
// region sorts them alike.
func ExampleVersion_Compare() {
	const noon, later = fieldwise.Timestamp(1_795_435_200_000 << 16), fieldwise.Timestamp(1_795_435_200_001 << 16)
	us := fieldwise.Origin{Region: "us-east-1", Incarnation: 1}
	eu := fieldwise.Origin{Region: "eu-west-1", Incarnation: 1}
	euAgain := fieldwise.Origin{Region: "eu-west-1", Incarnation: 2}

	versions := []fieldwise.Version{
		{Time: later, Origin: eu},
		{Time: noon, Origin: us},
		{Time: noon, Origin: euAgain},
		{Time: noon, Origin: eu},
		{Time: noon + 1, Origin: eu},
	}
	slices.SortFunc(versions, fieldwise.Version.Compare)
	for _, v := range versions {
		fmt.Println(v)
	}
	// Output:
	// 2026-11-23T12:00:00.000Z+0@eu-west-1#1
	// 2026-11-23T12:00:00.000Z+0@eu-west-1#2
	// 2026-11-23T12:00:00.000Z+0@us-east-1#1
	// 2026-11-23T12:00:00.000Z+1@eu-west-1#1
	// 2026-11-23T12:00:00.001Z+0@eu-west-1#1
}
