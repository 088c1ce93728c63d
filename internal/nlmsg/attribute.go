package nlmsg

import (
	"encoding/binary"
	"fmt"
	"iter"
)

const (
	typeMask = 0x3fff // NLA_TYPE_MASK: without the two flags of an attribute's type

	// FlagNested marks an attribute whose value is attributes (NLA_F_NESTED).
	FlagNested = 0x8000
)

// Attribute is a netlink attribute, its type without flags. The value lies in the message.
type Attribute struct {
	Type  uint16
	Value []byte
}

// NextAttribute splits the first attribute off a list. It reports false at the end, and
// where the rest is no whole attribute: see [AttributeDamage]. The compiler puts it into
// the loops that call it, so it costs no more than a loop written by hand.
func NextAttribute(b []byte) (typ uint16, value, rest []byte, ok bool) {
	if len(b) < AttributeHeaderSize {
		return 0, nil, nil, false
	}
	n := int(binary.NativeEndian.Uint16(b))
	if n < AttributeHeaderSize || n > len(b) {
		return 0, nil, nil, false
	}
	typ = binary.NativeEndian.Uint16(b[2:]) & typeMask
	return typ, b[AttributeHeaderSize:n:n], b[min(Align(n), len(b)):], true
}

// Attributes yields type and value of each attribute, up to one that is not whole.
func Attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		typ, value, rest, ok := NextAttribute(b)
		for ok && yield(typ, value) {
			typ, value, rest, ok = NextAttribute(rest)
		}
	}
}

// EachAttribute calls f for each attribute and stops at the first error, which may be that
// of an attribute that is not whole.
func EachAttribute(b []byte, f func(Attribute) error) error {
	for len(b) > 0 {
		typ, value, rest, ok := NextAttribute(b)
		if !ok {
			return AttributeDamage(b)
		}
		if err := f(Attribute{typ, value}); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// AttributeDamage returns why NextAttribute finds no attribute in b, nil where it finds
// one.
func AttributeDamage(b []byte) error {
	if len(b) < AttributeHeaderSize {
		return fmt.Errorf("%d bytes are too few for an attribute", len(b))
	}
	if _, _, _, ok := NextAttribute(b); !ok {
		typ, n := binary.NativeEndian.Uint16(b[2:])&typeMask, binary.NativeEndian.Uint16(b)
		return fmt.Errorf("attribute %d says %d bytes where %d are there", typ, n, len(b))
	}
	return nil
}

// Need returns an error where the value has fewer bytes than want. More are no error: the
// kernel may widen an attribute.
func (a Attribute) Need(want int) error {
	if len(a.Value) < want {
		return fmt.Errorf("attribute %d has %d bytes, want %d", a.Type, len(a.Value), want)
	}
	return nil
}

// Uint8 stores the value in p.
func (a Attribute) Uint8(p *uint8) error {
	if err := a.Need(1); err != nil {
		return err
	}
	*p = a.Value[0]
	return nil
}

// Uint16 stores the value in p.
func (a Attribute) Uint16(p *uint16) error {
	if err := a.Need(2); err != nil {
		return err
	}
	*p = binary.NativeEndian.Uint16(a.Value)
	return nil
}

// Uint32 stores the value in p.
func (a Attribute) Uint32(p *uint32) error {
	if err := a.Need(4); err != nil {
		return err
	}
	*p = binary.NativeEndian.Uint32(a.Value)
	return nil
}

// Text returns the value of a string attribute without its closing zeros.
func (a Attribute) Text() string {
	v := a.Value
	for len(v) > 0 && v[len(v)-1] == 0 {
		v = v[:len(v)-1]
	}
	return string(v)
}

// AppendAttribute appends an attribute and its padding.
func AppendAttribute(b []byte, typ uint16, value ...byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(AttributeHeaderSize+len(value)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, value...)
	return append(b, make([]byte, Align(len(value))-len(value))...)
}

// AppendUint16 appends an attribute of 16 bits.
func AppendUint16(b []byte, typ, v uint16) []byte {
	return AppendAttribute(b, typ, binary.NativeEndian.AppendUint16(make([]byte, 0, 2), v)...)
}

// AppendUint32 appends an attribute of 32 bits.
func AppendUint32(b []byte, typ uint16, v uint32) []byte {
	return AppendAttribute(b, typ, binary.NativeEndian.AppendUint32(make([]byte, 0, 4), v)...)
}

// AppendNested appends an attribute that holds the attributes that f appends.
func AppendNested(b []byte, typ uint16, f func([]byte) []byte) []byte {
	start := len(b)
	b = binary.NativeEndian.AppendUint16(b, 0)
	b = binary.NativeEndian.AppendUint16(b, typ|FlagNested)
	b = f(b)
	binary.NativeEndian.PutUint16(b[start:], uint16(len(b)-start))
	return b
}
