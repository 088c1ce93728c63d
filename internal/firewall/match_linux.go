package firewall

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// exthdr loads a TCP option, takes it out, or is about something else. It reports
// whether the rule may fit: an option that is not there ends it.
func (m *machine) exthdr(a attributes) bool {
	to, kind := a.number(unix.NFTA_EXTHDR_DREG), a.number(unix.NFTA_EXTHDR_TYPE)
	if a.number(unix.NFTA_EXTHDR_OP) != unix.NFT_EXTHDR_OP_TCPOPT {
		m.put(to, nil)
		return true
	}
	if kind == optionMPTCP {
		m.mptcp = true
	}
	if a[unix.NFTA_EXTHDR_SREG] != nil {
		return true // it writes
	}
	if a[unix.NFTA_EXTHDR_DREG] == nil {
		m.strips = kind == optionMPTCP && m.packet.option != nil
		return true
	}
	present := kind == optionMPTCP && m.packet.option != nil
	if a.number(unix.NFTA_EXTHDR_FLAGS)&unix.NFT_EXTHDR_F_PRESENT != 0 {
		is := byte(0)
		if present {
			is = 1
		}
		if kind == optionMPTCP {
			m.put(to, []byte{is})
		} else {
			m.put(to, nil) // other options come and go
		}
		return true
	}
	if kind != optionMPTCP {
		m.put(to, nil)
		m.maybe = true
		return true
	}
	offset, size := a.number(unix.NFTA_EXTHDR_OFFSET), a.number(unix.NFTA_EXTHDR_LEN)
	end := uint64(offset) + uint64(size)
	switch {
	case !present:
		return false
	case size == 0, end > uint64(len(m.packet.option)), offset <= 1 && end > 1: // its length is not known
		m.put(to, nil)
	default:
		m.put(to, m.packet.option[offset:end])
	}
	return true
}

// conntrack loads the state of the connection: nothing else is known of it.
func (m *machine) conntrack(a attributes) {
	if a[unix.NFTA_CT_SREG] != nil {
		return // it writes
	}
	to := a.number(unix.NFTA_CT_DREG)
	if a.number(unix.NFTA_CT_KEY) == unix.NFT_CT_STATE {
		m.put(to, binary.NativeEndian.AppendUint32(nil, m.packet.state))
		return
	}
	m.put(to, nil)
}

func (m *machine) bitwise(a attributes) {
	const operationBool = 0 // NFT_BITWISE_BOOL
	from, to, size := a.number(unix.NFTA_BITWISE_SREG), a.number(unix.NFTA_BITWISE_DREG), int(a.number(unix.NFTA_BITWISE_LEN))
	mask, flip := value(a[unix.NFTA_BITWISE_MASK]), value(a[unix.NFTA_BITWISE_XOR])
	b, ok := m.get(from, min(size, registerBytes+1))
	if !ok || len(mask) != size || len(flip) != size || a.number(nftaBitwiseOp) != operationBool {
		m.put(to, nil)
		return
	}
	result := bytes.Clone(b)
	for i := range result {
		result[i] = result[i]&mask[i] ^ flip[i]
	}
	m.put(to, result)
}

// nftaBitwiseOp is NFTA_BITWISE_OP.
const nftaBitwiseOp = 6

// compare reports whether the rule may fit.
func (m *machine) compare(a attributes) bool {
	want := value(a[unix.NFTA_CMP_DATA])
	is, ok := m.get(a.number(unix.NFTA_CMP_SREG), len(want))
	if !ok || len(want) == 0 {
		m.maybe = true
		return true
	}
	order := bytes.Compare(is, want)
	switch a.number(unix.NFTA_CMP_OP) {
	case unix.NFT_CMP_EQ:
		return order == 0
	case unix.NFT_CMP_NEQ:
		return order != 0
	case unix.NFT_CMP_LT:
		return order < 0
	case unix.NFT_CMP_LTE:
		return order <= 0
	case unix.NFT_CMP_GT:
		return order > 0
	case unix.NFT_CMP_GTE:
		return order >= 0
	}
	m.maybe = true
	return true
}

// within is compare for a range.
func (m *machine) within(a attributes) bool {
	from, to := value(a[unix.NFTA_RANGE_FROM_DATA]), value(a[unix.NFTA_RANGE_TO_DATA])
	is, ok := m.get(a.number(unix.NFTA_RANGE_SREG), len(from))
	if !ok || len(from) == 0 || len(from) != len(to) {
		m.maybe = true
		return true
	}
	inside := bytes.Compare(is, from) >= 0 && bytes.Compare(is, to) <= 0
	return inside == (a.number(unix.NFTA_RANGE_OP) == unix.NFT_RANGE_EQ)
}

// immediate loads a value, or decides.
func (m *machine) immediate(a attributes) (verdict int32, chain string) {
	to := a.number(unix.NFTA_IMMEDIATE_DREG)
	data := attributesOf(a[unix.NFTA_IMMEDIATE_DATA])
	if to != unix.NFT_REG_VERDICT || a[unix.NFTA_IMMEDIATE_DREG] == nil {
		m.put(to, data[unix.NFTA_DATA_VALUE])
		return undecided, ""
	}
	decision := attributesOf(data[unix.NFTA_DATA_VERDICT])
	code := decision[unix.NFTA_VERDICT_CODE]
	if len(code) != 4 {
		m.loseAll()
		return undecided, ""
	}
	verdict = int32(bigUint32(code))
	if verdict > nfAccept || verdict < nftReturn { // a queue to a program, or what comes later
		m.loseAll()
		return undecided, ""
	}
	return verdict, unix.ByteSliceToString(decision[unix.NFTA_VERDICT_CHAIN])
}

// match is a match of iptables: that of TCP is known.
func (m *machine) match(a attributes) bool {
	info := a[unix.NFTA_MATCH_INFO]
	switch name := unix.ByteSliceToString(a[unix.NFTA_MATCH_NAME]); {
	case name == "comment":
		return true
	case name != "tcp" || len(info) < 12:
		m.maybe = true
		return true
	}
	const invertSource, invertDestination, invertFlags, invertOption = 1, 2, 4, 8
	port := func(low, high, is []byte, invert byte) bool {
		n := binary.BigEndian.Uint16(is)
		inside := binary.NativeEndian.Uint16(low) <= n && n <= binary.NativeEndian.Uint16(high)
		return inside != (info[11]&invert != 0)
	}
	tcp := m.packet.transport.bytes
	switch { // struct xt_tcp
	case !port(info[0:], info[2:], tcp[0:], invertSource), !port(info[4:], info[6:], tcp[2:], invertDestination),
		(tcp[13]&info[9] == info[10]) == (info[11]&invertFlags != 0):
		return false
	case info[8] == optionMPTCP:
		m.mptcp = true
		return (m.packet.option != nil) != (info[11]&invertOption != 0)
	case info[8] != 0:
		m.maybe = true
	}
	return true
}

// target is a target of iptables.
func (m *machine) target(a attributes) (verdict int32, chain string) {
	info := a[unix.NFTA_TARGET_INFO]
	switch unix.ByteSliceToString(a[unix.NFTA_TARGET_NAME]) {
	case "REJECT":
		m.rejects = true
		return nfDrop, ""
	case "TCPOPTSTRIP": // struct xt_tcpoptstrip_target_info: a bit for each kind
		if len(info) >= 4 && binary.NativeEndian.Uint32(info)&(1<<optionMPTCP) != 0 {
			m.mptcp, m.strips = true, m.packet.option != nil
		}
	case "LOG", "NFLOG", "MARK", "CONNMARK", "TCPMSS", "CT", "CLASSIFY", "DSCP", "TTL", "CHECKSUM", "TRACE", "SECMARK", "CONNSECMARK",
		"MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP":
	default:
		m.loseAll()
	}
	return undecided, ""
}

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
func value(b []byte) []byte { return attributesOf(b)[unix.NFTA_DATA_VALUE] }

// bigUint32 returns a number in network order, 0 where it is not one of 32 bits.
func bigUint32(b []byte) uint32 {
	if len(b) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

// eachAttribute calls f for each attribute, up to one that is damaged.
func eachAttribute(b []byte, f func(kind uint16, data []byte)) {
	const header = unix.SizeofNlAttr
	for len(b) >= header {
		size := int(binary.NativeEndian.Uint16(b))
		if size < header || size > len(b) {
			return
		}
		const kindMask = ^uint16(unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
		f(binary.NativeEndian.Uint16(b[2:])&kindMask, b[header:size])
		b = b[min((size+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1), len(b)):]
	}
}
