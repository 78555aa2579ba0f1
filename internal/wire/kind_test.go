package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKindOfJudgesByTheFirstByte(t *testing.T) {
	for c := range 256 {
		want := KindInvalid
		switch {
		case c < 0x80, c >= 0xcc && c <= 0xcf:
			want = KindUint
		case c >= 0xe0, c >= 0xd0 && c <= 0xd3:
			want = KindInt
		case c < 0x90, c == 0xde, c == 0xdf:
			want = KindMap
		case c < 0xa0, c == 0xdc, c == 0xdd:
			want = KindArray
		case c < 0xc0, c >= 0xd9 && c <= 0xdb:
			want = KindString
		case c == 0xc0:
			want = KindNil
		case c == 0xc2, c == 0xc3:
			want = KindBool
		case c >= 0xc4 && c <= 0xc6:
			want = KindBin
		case c == 0xcb:
			want = KindFloat
		case c == 0xd6, c == 0xd7, c == 0xc7:
			want = KindTime
		}
		require.Equal(t, want, KindOf([]byte{byte(c)}), "%#x", c)
	}
	require.Equal(t, KindInvalid, KindOf(nil))
	require.Equal(t, "map", KindMap.String())
	require.Equal(t, "invalid", Kind(200).String())
}
