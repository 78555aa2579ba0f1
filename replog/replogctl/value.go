package main

import (
	"bytes"
	"encoding/json"

	"github.com/fieldwise/fieldwise/internal/value"
)

// valueJSON is an encoded value as JSON: times are RFC 3339, bytes base64. What JSON has no form
// for, such as NaN or a map with keys that are no strings, is {"msgpack": "base64"}.
func valueJSON(val []byte) json.RawMessage {
	var b bytes.Buffer
	v, err := value.Any(val)
	if err == nil {
		err = printJSON(&b, v)
	}
	if err != nil {
		_ = printJSON(&b, map[string][]byte{"msgpack": val}) // nothing was written yet, and nothing in this can fail
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
