package firewall

import (
	"bytes"
	"encoding/binary"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
)

// attributes are netlink attributes by kind, without the flags of the kind.
type attributes map[uint16][]byte

func attributesOf(b []byte) attributes {
	a := attributes{}
	for kind, data := range nlmsg.Attributes(b) {
		a[kind] = data
	}
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
