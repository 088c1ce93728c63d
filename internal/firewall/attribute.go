package firewall

import (
	"bytes"
	"encoding/binary"

	"mptcpctl/internal/uapi"
)

// attributes are netlink attributes by kind, without the flags of the kind.
type attributes map[uint16][]byte

func attributesOf(b []byte) attributes {
	a := attributes{}
	eachAttribute(b, func(kind uint16, data []byte) { a[kind] = data })
	return a
}

// number returns an attribute of 32 bits, or of 8, as netfilter has them; 0 where
// there is none.
func (a attributes) number(kind uint16) uint32 {
	b := a[kind]
	if len(b) == 1 {
		return uint32(b[0])
	}
	return bigUint32(b)
}

// value returns the bytes of a nested NFTA_DATA_VALUE.
func value(b []byte) []byte { return attributesOf(b)[uapi.NftaDataValue] }

// bigUint32 returns a number in network order, 0 where it is not one of 32 bits.
func bigUint32(b []byte) uint32 {
	if len(b) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

// text returns a string up to its zero byte.
func text(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

// eachAttribute calls f for each attribute, up to one that is damaged.
func eachAttribute(b []byte, f func(kind uint16, data []byte)) {
	const header, align = 4, 4 // NLA_HDRLEN, NLA_ALIGNTO
	for len(b) >= header {
		size := int(binary.NativeEndian.Uint16(b))
		if size < header || size > len(b) {
			return
		}
		const kindMask = 1<<14 - 1 // NLA_TYPE_MASK
		f(binary.NativeEndian.Uint16(b[2:])&kindMask, b[header:size])
		b = b[min((size+align-1)&^(align-1), len(b)):]
	}
}
