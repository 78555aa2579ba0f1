package value

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"reflect"
	"slices"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/fieldwise/fieldwise/internal/wire"
)

// Pools of our own: whoever uses those of msgpack/v5 may leave flags set.
var (
	encoders = sync.Pool{New: func() any { return &customEncoder{enc: msgpack.NewEncoder(nil)} }}
	decoders = sync.Pool{New: func() any { return msgpack.NewDecoder(nil) }}
)

type customEncoder struct {
	enc *msgpack.Encoder
	out guard
}

// recoverFrom makes an error of a panic in a method of t. Deferred.
func recoverFrom(t reflect.Type, method string, err *error) {
	if p := recover(); p != nil {
		cause, _ := p.(error)
		*err = failf(cause, "%s of %v panicked: %v", method, t, p)
	}
}

// appendCustom appends a value whose type has an encoder of its own.
func appendCustom(dst []byte, v reflect.Value, t *typeInfo, left int) (out []byte, err error) {
	switch v.Kind() {
	case reflect.Map, reflect.Slice, reflect.Func, reflect.Chan:
		if v.IsNil() && !t.byPointer {
			return wire.AppendNil(dst), nil
		}
	}
	if t.byPointer && !v.CanAddr() {
		copied := reflect.New(t.typ).Elem()
		copied.Set(v)
		v = copied
	}
	c := encoders.Get().(*customEncoder)
	c.out.reset(left)
	if err := c.encode(v, t); err != nil {
		return dst, err // c may be in any state, and is dropped
	}
	dst, err = wire.Canonical(dst, c.out.bytes, left)
	encoders.Put(c)
	if err != nil {
		return dst, failf(err, "the encoder of %v wrote what cannot be stored: %v", t.typ, err)
	}
	return dst, nil
}

func (c *customEncoder) encode(v reflect.Value, t *typeInfo) (err error) {
	defer recoverFrom(t.typ, "the encoder", &err)
	c.enc.Reset(&c.out) // clears the flags, too
	c.enc.UseCompactInts(true)
	return c.enc.EncodeValue(v)
}

// A guard collects what an encoder writes and stops it where containers are nested too deep: a cyclic
// value would overflow the stack, and no one can recover from that.
type guard struct {
	bytes []byte
	seen  int      // bytes[:seen] has been looked at
	open  []uint64 // how many values each open container still lacks
	left  int
}

func (g *guard) reset(left int) {
	if cap(g.bytes) > 64<<10 {
		g.bytes = nil // rare large values shall not stay in the pool
	}
	*g = guard{bytes: g.bytes[:0], open: g.open[:0], left: left}
}

// Write implements io.Writer.
func (g *guard) Write(p []byte) (int, error) {
	g.bytes = append(g.bytes, p...)
	return len(p), g.look()
}

// WriteByte implements io.ByteWriter, for which msgpack/v5 asks.
func (g *guard) WriteByte(c byte) error {
	g.bytes = append(g.bytes, c)
	return g.look()
}

// look follows the nesting as far as whole headers have been written.
func (g *guard) look() error {
	for g.seen < len(g.bytes) {
		b := g.bytes[g.seen:]
		head, count := containerHeader(b)
		if head > len(b) {
			return nil
		}
		if head == 0 {
			n, err := wire.Skip(b)
			if err != nil {
				return nil // not written to its end yet, or for Canonical to refuse
			}
			head = n
		} else if len(g.open) >= g.left {
			return tooDeep()
		}
		g.seen += head
		if n := len(g.open); n > 0 {
			g.open[n-1]--
		}
		if count > 0 {
			g.open = append(g.open, count)
		}
		for len(g.open) > 0 && g.open[len(g.open)-1] == 0 {
			g.open = g.open[:len(g.open)-1]
		}
	}
	return nil
}

// containerHeader returns the length of the header of an array or a map and how many values follow it;
// 0 for all other values.
func containerHeader(b []byte) (head int, count uint64) {
	kind, each := wire.KindOf(b), uint64(1)
	if kind == wire.KindMap {
		each = 2
	} else if kind != wire.KindArray {
		return 0, 0
	}
	switch c := b[0]; {
	case c < 0xa0:
		return 1, uint64(c&0x0f) * each
	case c == 0xdc || c == 0xde:
		if len(b) < 3 {
			return 3, 0
		}
		return 3, uint64(binary.BigEndian.Uint16(b[1:])) * each
	}
	if len(b) < 5 {
		return 5, 0
	}
	return 5, uint64(binary.BigEndian.Uint32(b[1:])) * each
}

// decodeCustom hands the first value of b, which wire.Check has passed, to the decoder of v's type. v is
// addressable.
func decodeCustom(b []byte, v reflect.Value) (rest []byte, err error) {
	n, err := wire.Skip(b)
	if err != nil {
		return nil, err
	}
	defer recoverFrom(v.Type(), "the decoder", &err)
	switch own := v.Addr().Interface().(type) {
	case msgpack.CustomDecoder:
		dec := decoders.Get().(*msgpack.Decoder)
		input := bytes.NewReader(b[:n])
		dec.Reset(input) // clears the flags, too
		if err := own.DecodeMsgpack(dec); err != nil {
			return nil, err // dec may be in any state, and is dropped
		}
		decoders.Put(dec)
		if input.Len() > 0 {
			return nil, failf(wire.ErrTrailing, "DecodeMsgpack of %v left %d of %d bytes", v.Type(), input.Len(), n)
		}
	case msgpack.Unmarshaler:
		err = own.UnmarshalMsgpack(slices.Clone(b[:n]))
	case encoding.BinaryUnmarshaler:
		var content []byte
		if content, err = bytesOf(b, v.Type()); err == nil {
			err = own.UnmarshalBinary(content)
		}
	case encoding.TextUnmarshaler:
		var content []byte
		if content, err = bytesOf(b, v.Type()); err == nil {
			err = own.UnmarshalText(content)
		}
	}
	if err != nil {
		return nil, err
	}
	return b[n:], nil
}

// bytesOf returns a copy of the content of a binary or a string.
func bytesOf(b []byte, t reflect.Type) ([]byte, error) {
	content, _, err := wire.Bin(b)
	if err != nil {
		if content, _, err = wire.String(b); err != nil {
			return nil, mismatch(b, t)
		}
	}
	return slices.Clone(content), nil
}
