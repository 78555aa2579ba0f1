package value

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/fieldwise/fieldwise/internal/wire"
)

// oracle is what Append has to give: the canonical form of what msgpack/v5 writes.
func oracle(t require.TestingT, v any) []byte {
	b, err := msgpack.Marshal(v)
	require.NoError(t, err)
	b, err = wire.Canonical(nil, b, MaxDepth)
	require.NoError(t, err)
	return b
}

func mustAppend(t require.TestingT, v any) []byte {
	b, err := Append(nil, v)
	require.NoError(t, err)
	require.NoError(t, wire.Check(b, MaxDepth))
	return b
}

func tenFields() map[string]any {
	return map[string]any{
		"name": "Asha", "phone": "111", "address": "5 Long Road", "plan": "gold", "logins": 12, "active": true,
		"balance": 1.5, "email": "asha@example.com", "city": "Pune", "note": nil,
	}
}

type tenStruct struct {
	Name    string  `msgpack:"name"`
	Phone   string  `msgpack:"phone"`
	Address string  `msgpack:"address"`
	Plan    string  `msgpack:"plan"`
	Logins  int     `msgpack:"logins"`
	Active  bool    `msgpack:"active"`
	Balance float64 `msgpack:"balance"`
	Email   string  `msgpack:"email"`
	City    string  `msgpack:"city"`
	Note    *string `msgpack:"note"`
}

func tenOf() tenStruct {
	return tenStruct{"Asha", "111", "5 Long Road", "gold", 12, true, 1.5, "asha@example.com", "Pune", nil}
}

func BenchmarkAppend(b *testing.B) {
	s := tenOf()
	for name, v := range map[string]any{"map10": tenFields(), "struct10": &s, "string": "text", "int": 5} {
		b.Run(name, func(b *testing.B) {
			dst := make([]byte, 0, 1024)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Append(dst, v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("struct10 by msgpack/v5", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := msgpack.Marshal(&s); err != nil {
				b.Fatal(err)
			}
		}
	})
}
