package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/fieldwise/fieldwise"
)

// receiptText is a receipt as a header has it: region, incarnation, seq and time, the
// second and the last in hexadecimal: "us-east-1.19a3b5c7d9e1f203.3.19a3b5c7d9e0000".
func receiptText(r fieldwise.Receipt) string {
	return fmt.Sprintf("%s.%x.%d.%x", r.Origin.Region, r.Origin.Incarnation, r.Seq, uint64(r.Time))
}

// parseReceipt is the inverse of receiptText.
func parseReceipt(text string) (fieldwise.Receipt, error) {
	var numbers [3]uint64
	parts := strings.Split(text, ".")
	ok := len(parts) == 1+len(numbers) && fieldwise.Region(parts[0]).Validate() == nil
	for i, base := range []int{16, 10, 16} {
		if ok {
			var err error
			numbers[i], err = strconv.ParseUint(parts[1+i], base, 64)
			ok = err == nil
		}
	}
	if !ok {
		return fieldwise.Receipt{}, badRequest("%s %.80q is no receipt; send one as a write has answered it", receiptHeader, text)
	}
	return fieldwise.Receipt{
		Origin: fieldwise.Origin{Region: fieldwise.Region(parts[0]), Incarnation: numbers[0]},
		Seq:    fieldwise.Seq(numbers[1]),
		Time:   fieldwise.Timestamp(numbers[2]),
	}, nil
}
