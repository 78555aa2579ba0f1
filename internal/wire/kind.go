package wire

// Kind says what sort of value a canonical encoding holds.
type Kind uint8

// The kinds. KindUint is an integer from 0 up, KindInt a negative one.
const (
	KindInvalid Kind = iota
	KindNil
	KindBool
	KindUint
	KindInt
	KindFloat
	KindString
	KindBin
	KindArray
	KindMap
	KindTime
)

var kindNames = [...]string{
	KindInvalid: "invalid", KindNil: "nil", KindBool: "bool", KindUint: "uint", KindInt: "int",
	KindFloat: "float", KindString: "string", KindBin: "bin", KindArray: "array", KindMap: "map",
	KindTime: "time",
}

// String returns the kind's name in lower case.
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return kindNames[KindInvalid]
	}
	return kindNames[k]
}

// KindOf returns the kind of the value at the front of b, judged by its first byte alone: KindInvalid
// if b is empty or the byte begins no canonical value.
func KindOf(b []byte) Kind {
	if len(b) == 0 {
		return KindInvalid
	}
	return kinds[b[0]]
}

var kinds = func() (t [256]Kind) {
	for c := range t {
		switch {
		case c < codeFixMap:
			t[c] = KindUint
		case c < codeFixArray:
			t[c] = KindMap
		case c < codeFixStr:
			t[c] = KindArray
		case c < codeNil:
			t[c] = KindString
		case c >= codeNegFix:
			t[c] = KindInt
		}
	}
	for k, codes := range map[Kind][]byte{
		KindNil:    {codeNil},
		KindBool:   {codeFalse, codeTrue},
		KindBin:    {codeBin8, codeBin16, codeBin32},
		KindFloat:  {codeFloat64},
		KindUint:   {codeUint8, codeUint16, codeUint32, codeUint64},
		KindInt:    {codeInt8, codeInt16, codeInt32, codeInt64},
		KindString: {codeStr8, codeStr16, codeStr32},
		KindArray:  {codeArray16, codeArray32},
		KindMap:    {codeMap16, codeMap32},
		KindTime:   {codeFixExt4, codeFixExt8, codeExt8},
	} {
		for _, c := range codes {
			t[c] = k
		}
	}
	return t
}()
