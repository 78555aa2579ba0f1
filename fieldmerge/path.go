package fieldmerge

import (
	"errors"
	"fmt"
	"strings"
)

// ErrPath says that a field path is not well-formed.
var ErrPath = errors.New("fieldmerge: invalid path")

const hexDigits = "0123456789abcdef"

// JoinPath makes the path of a nested field from its segments, escaping what needs it:
// JoinPath("prefs", "a.b") is `prefs.a\.b`. A path has at least one segment; segments
// may be empty.
func JoinPath(segments ...string) string {
	var b []byte
	for i, s := range segments {
		if i > 0 {
			b = append(b, '.')
		}
		b = appendSegment(b, s)
	}
	return string(b)
}

// appendSegment escapes "." and "\" by "\" and control characters as \x and two
// hexadecimal digits, since stored names hold no byte below 0x20.
func appendSegment(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}

// SplitPath is the inverse of JoinPath. A path in another form than JoinPath's gives
// ErrPath.
func SplitPath(path string) ([]string, error) {
	if plain(path) {
		return strings.Split(path, "."), nil
	}
	var segments []string
	var b []byte
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '.':
			segments, b = append(segments, string(b)), b[:0]
		case c < 0x20:
			return nil, fmt.Errorf("%w: %q has a control character; write it as \\x%02x", ErrPath, path, c)
		case c != '\\':
			b = append(b, c)
		case strings.HasPrefix(path[i+1:], ".") || strings.HasPrefix(path[i+1:], `\`):
			i++
			b = append(b, path[i])
		case i+3 < len(path) && path[i+1] == 'x' && (path[i+2] == '0' || path[i+2] == '1') && strings.IndexByte(hexDigits, path[i+3]) >= 0:
			b = append(b, (path[i+2]-'0')<<4|byte(strings.IndexByte(hexDigits, path[i+3])))
			i += 3
		default:
			return nil, fmt.Errorf(`%w: %#q has a lone "\" at byte %d; write "\\"`, ErrPath, path, i)
		}
	}
	return append(segments, string(b)), nil
}

// plain reports whether a path has nothing that is or needs an escape.
func plain(path string) bool {
	for i := range len(path) {
		if c := path[i]; c < 0x20 || c == '\\' {
			return false
		}
	}
	return true
}

// parents yields the paths above path, nearest the root first.
func parents(path string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := 0; i < len(path); i++ {
			switch path[i] {
			case '\\':
				i++
			case '.':
				if !yield(path[:i]) {
					return
				}
			}
		}
	}
}
