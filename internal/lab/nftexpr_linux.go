package lab

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Comparisons of the cmp expression (enum nft_cmp_ops).
const nftCmpEq = 0 // NFT_CMP_EQ

// expressions writes the expressions of one rule. Each match loads register 1 and
// compares it; a comparison that fails ends the rule.
type expressions struct{ e *attributes }

// expression writes one expression.
func (x *expressions) expression(name string, data func(*attributes)) {
	x.e.Nested(unix.NFTA_LIST_ELEM, func(e *attributes) {
		e.String(unix.NFTA_EXPR_NAME, name)
		e.Nested(unix.NFTA_EXPR_DATA, func(e *attributes) {
			data(e)
		})
	})
}

func (x *expressions) matchDevices(r *FirewallRule) {
	for _, match := range []struct {
		key  uint32
		name string
	}{{unix.NFT_META_IIFNAME, r.In}, {unix.NFT_META_OIFNAME, r.Out}} {
		if match.name != "" {
			name := make([]byte, unix.IFNAMSIZ)
			copy(name, match.name)
			x.meta(match.key, name)
		}
	}
}

func (x *expressions) matchAddresses(r *FirewallRule) {
	for _, match := range []struct {
		prefix           netip.Prefix
		offset4, offset6 uint32 // in the IPv4 and in the IPv6 header
	}{{r.Source, 12, 8}, {r.Destination, 16, 24}} {
		if !match.prefix.IsValid() {
			continue
		}
		family, offset := byte(unix.NFPROTO_IPV4), match.offset4
		if match.prefix.Addr().Is6() {
			family, offset = unix.NFPROTO_IPV6, match.offset6
		}
		x.meta(unix.NFT_META_NFPROTO, []byte{family})
		network := match.prefix.Masked().Addr().AsSlice()
		x.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, uint32(len(network)))
		x.mask(prefixMask(match.prefix.Bits(), len(network)))
		x.compare(network)
	}
}

// prefixMask returns a network mask of so many bits.
func prefixMask(bits, size int) []byte {
	mask := make([]byte, size)
	for i := range bits {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return mask
}

func (x *expressions) matchTCP(r *FirewallRule) {
	if r.SourcePort == 0 && r.DestinationPort == 0 && r.FlagsMask == 0 && r.Option == nil && r.Verdict != RejectReset &&
		r.Verdict != Rewrite {
		return
	}
	x.meta(unix.NFT_META_L4PROTO, []byte{unix.IPPROTO_TCP})
	if r.SourcePort != 0 {
		x.payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2)
		x.compare(binary.BigEndian.AppendUint16(nil, r.SourcePort))
	}
	if r.DestinationPort != 0 {
		x.payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2)
		x.compare(binary.BigEndian.AppendUint16(nil, r.DestinationPort))
	}
	if r.FlagsMask != 0 {
		x.payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1)
		x.mask([]byte{byte(r.FlagsMask)})
		x.compare([]byte{byte(r.Flags)})
	}
	if r.Option != nil {
		x.option(r.Option)
	}
}

// option matches a TCP option: that it is there, or its subtype, which is the
// upper half of its third byte.
func (x *expressions) option(o *TCPOption) {
	x.expression("exthdr", func(e *attributes) {
		e.Uint32(unix.NFTA_EXTHDR_DREG, unix.NFT_REG_1)
		e.Uint8(unix.NFTA_EXTHDR_TYPE, o.Kind)
		e.Uint32(unix.NFTA_EXTHDR_OP, unix.NFT_EXTHDR_OP_TCPOPT)
		e.Uint32(unix.NFTA_EXTHDR_LEN, 1)
		if o.Subtype == AnySubtype {
			e.Uint32(unix.NFTA_EXTHDR_OFFSET, 0)
			e.Uint32(unix.NFTA_EXTHDR_FLAGS, unix.NFT_EXTHDR_F_PRESENT)
		} else {
			e.Uint32(unix.NFTA_EXTHDR_OFFSET, 2)
		}
	})
	if o.Subtype == AnySubtype {
		x.compare([]byte{1})
		return
	}
	x.mask([]byte{0xf0})
	x.compare([]byte{byte(o.Subtype) << 4})
}

// oneIn lets each nth packet pass on.
func (x *expressions) oneIn(n uint32) {
	x.expression("numgen", func(e *attributes) {
		e.Uint32(unix.NFTA_NG_DREG, unix.NFT_REG_1)
		e.Uint32(unix.NFTA_NG_MODULUS, n)
		e.Uint32(unix.NFTA_NG_TYPE, unix.NFT_NG_INCREMENTAL)
	})
	x.compare(make([]byte, 4))
}

func (x *expressions) verdict(r *FirewallRule) {
	switch r.Verdict {
	case Accept:
		x.immediate(1) // NF_ACCEPT
	case Drop:
		x.immediate(0) // NF_DROP
	case RejectReset:
		x.reject(unix.NFT_REJECT_TCP_RST, 0)
	case RejectAdmin:
		x.reject(unix.NFT_REJECT_ICMPX_UNREACH, unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED)
	case Masquerade:
		x.expression("masq", func(*attributes) {})
	case Rewrite:
		x.expression("immediate", func(e *attributes) {
			e.Uint32(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_1)
			value(e, unix.NFTA_IMMEDIATE_DATA, []byte("LAB!"))
		})
		x.expression("payload", func(e *attributes) { // payload with a source register writes
			e.Uint32(unix.NFTA_PAYLOAD_SREG, unix.NFT_REG_1)
			e.Uint32(unix.NFTA_PAYLOAD_BASE, unix.NFT_PAYLOAD_TRANSPORT_HEADER)
			e.Uint32(unix.NFTA_PAYLOAD_OFFSET, rewriteAt)
			e.Uint32(unix.NFTA_PAYLOAD_LEN, 4)
			e.Uint32(unix.NFTA_PAYLOAD_CSUM_TYPE, unix.NFT_PAYLOAD_CSUM_INET)
			e.Uint32(unix.NFTA_PAYLOAD_CSUM_OFFSET, 16)
		})
	case StripOption: // exthdr without a register
		x.expression("exthdr", func(e *attributes) {
			e.Uint8(unix.NFTA_EXTHDR_TYPE, r.Option.Kind)
			e.Uint32(unix.NFTA_EXTHDR_OP, unix.NFT_EXTHDR_OP_TCPOPT)
		})
	}
}

func (x *expressions) immediate(code uint32) {
	x.expression("immediate", func(e *attributes) {
		e.Uint32(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT)
		e.Nested(unix.NFTA_IMMEDIATE_DATA, func(e *attributes) {
			e.Nested(unix.NFTA_DATA_VERDICT, func(e *attributes) {
				e.Uint32(unix.NFTA_VERDICT_CODE, code)
			})
		})
	})
}

func (x *expressions) reject(kind uint32, code uint8) {
	x.expression("reject", func(e *attributes) {
		e.Uint32(unix.NFTA_REJECT_TYPE, kind)
		e.Uint8(unix.NFTA_REJECT_ICMP_CODE, code)
	})
}

// meta loads a packet's attribute and compares it.
func (x *expressions) meta(key uint32, want []byte) {
	x.expression("meta", func(e *attributes) {
		e.Uint32(unix.NFTA_META_DREG, unix.NFT_REG_1)
		e.Uint32(unix.NFTA_META_KEY, key)
	})
	x.compare(want)
}

// payload loads bytes of a header.
func (x *expressions) payload(base, offset, size uint32) {
	x.expression("payload", func(e *attributes) {
		e.Uint32(unix.NFTA_PAYLOAD_DREG, unix.NFT_REG_1)
		e.Uint32(unix.NFTA_PAYLOAD_BASE, base)
		e.Uint32(unix.NFTA_PAYLOAD_OFFSET, offset)
		e.Uint32(unix.NFTA_PAYLOAD_LEN, size)
	})
}

// mask clears the bits of the register that the mask has not.
func (x *expressions) mask(mask []byte) {
	x.expression("bitwise", func(e *attributes) {
		e.Uint32(unix.NFTA_BITWISE_SREG, unix.NFT_REG_1)
		e.Uint32(unix.NFTA_BITWISE_DREG, unix.NFT_REG_1)
		e.Uint32(unix.NFTA_BITWISE_LEN, uint32(len(mask)))
		value(e, unix.NFTA_BITWISE_MASK, mask)
		value(e, unix.NFTA_BITWISE_XOR, make([]byte, len(mask)))
	})
}

// compare ends the rule unless the register holds these bytes.
func (x *expressions) compare(want []byte) {
	x.expression("cmp", func(e *attributes) {
		e.Uint32(unix.NFTA_CMP_SREG, unix.NFT_REG_1)
		e.Uint32(unix.NFTA_CMP_OP, nftCmpEq)
		value(e, unix.NFTA_CMP_DATA, want)
	})
}

// value writes bytes as nested NFTA_DATA_VALUE.
func value(e *attributes, kind uint16, data []byte) {
	e.Nested(kind, func(e *attributes) {
		e.Bytes(unix.NFTA_DATA_VALUE, data)
	})
}
