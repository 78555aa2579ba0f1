package value

import (
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fieldwise/fieldwise/internal/wire"
)

// appendAny appends v, in which left more containers may be nested: the shapes of JSON without
// reflection, everything else with it.
func appendAny(dst []byte, v any, left int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return wire.AppendNil(dst), nil
	case bool:
		return wire.AppendBool(dst, v), nil
	case string:
		return appendText(dst, v)
	case int:
		return wire.AppendInt(dst, int64(v)), nil
	case int8:
		return wire.AppendInt(dst, int64(v)), nil
	case int16:
		return wire.AppendInt(dst, int64(v)), nil
	case int32:
		return wire.AppendInt(dst, int64(v)), nil
	case int64:
		return wire.AppendInt(dst, v), nil
	case uint:
		return wire.AppendUint(dst, uint64(v)), nil
	case uint8:
		return wire.AppendUint(dst, uint64(v)), nil
	case uint16:
		return wire.AppendUint(dst, uint64(v)), nil
	case uint32:
		return wire.AppendUint(dst, uint64(v)), nil
	case uint64:
		return wire.AppendUint(dst, v), nil
	case float32:
		return wire.AppendFloat(dst, float64(v)), nil
	case float64:
		return wire.AppendFloat(dst, v), nil
	case []byte:
		if v == nil {
			return wire.AppendNil(dst), nil
		}
		return wire.AppendBin(dst, v), nil
	case time.Time:
		return wire.AppendTime(dst, v), nil
	case json.Number:
		return appendNumber(dst, v)
	case []any:
		return appendSlice(dst, v, left)
	case map[string]any:
		return appendMap(dst, v, left)
	}
	return appendReflect(dst, reflect.ValueOf(v), left)
}

func appendText(dst []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return dst, notText(s)
	}
	return wire.AppendString(dst, s), nil
}

func notText(s string) error {
	return failf(nil, "the string %s is not valid UTF-8: use []byte for arbitrary bytes", strconv.QuoteToASCII(clip(s)))
}

// appendNumber appends an integer if n is one and fits, else a float. An empty Number is 0, as in
// encoding/json.
func appendNumber(dst []byte, n json.Number) ([]byte, error) {
	s := string(n)
	if s == "" {
		return wire.AppendUint(dst, 0), nil
	}
	if (s[0] != '-' && (s[0] < '0' || s[0] > '9')) || !json.Valid([]byte(s)) {
		return dst, failf(nil, "the json.Number %q is not a JSON number", clip(s))
	}
	if !strings.ContainsAny(s, ".eE") {
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return wire.AppendInt(dst, i), nil
		}
		if u, err := strconv.ParseUint(s, 10, 64); err == nil {
			return wire.AppendUint(dst, u), nil
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return dst, failf(ErrRange, "the json.Number %q does not fit a float64", clip(s))
	}
	return wire.AppendFloat(dst, f), nil
}

func appendSlice(dst []byte, s []any, left int) (_ []byte, err error) {
	if s == nil {
		return wire.AppendNil(dst), nil
	}
	if left <= 0 {
		return dst, tooDeep()
	}
	dst = wire.AppendArrayHeader(dst, len(s))
	for i, e := range s {
		if dst, err = appendAny(dst, e, left-1); err != nil {
			return dst, in(index(i), err)
		}
	}
	return dst, nil
}

func appendMap(dst []byte, m map[string]any, left int) (_ []byte, err error) {
	if m == nil {
		return wire.AppendNil(dst), nil
	}
	if left <= 0 {
		return dst, tooDeep()
	}
	var few [16]string // keeps the keys of small maps off the heap
	keys := few[:0]
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareText)
	dst = wire.AppendMapHeader(dst, len(m))
	for _, k := range keys {
		if dst, err = appendText(dst, k); err != nil {
			return dst, err
		}
		if dst, err = appendAny(dst, m[k], left-1); err != nil {
			return dst, in(keyed(k), err)
		}
	}
	return dst, nil
}

// compareText orders strings as their encoded forms are: headers grow with the length, so the shorter
// one comes first.
func compareText(a, b string) int {
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}
