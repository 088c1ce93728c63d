package firewall

import (
	"bytes"
	"encoding/binary"
	"slices"

	"mptcpctl/internal/uapi"
)

// exthdr loads a TCP option, takes it out, or is about something else. It reports
// whether the rule may fit: an option that is not there ends it.
func (m *machine) exthdr(a attributes) bool {
	to, kind := a.number(uapi.NftaExthdrDreg), a.number(uapi.NftaExthdrType)
	if a.number(uapi.NftaExthdrOp) != uapi.NftExthdrOpTcpopt {
		m.put(to, nil)
		return true
	}
	if kind == optionMPTCP {
		m.mptcp = true
	}
	if a[uapi.NftaExthdrSreg] != nil {
		return true // it writes
	}
	if kind == optionMPTCP && m.packet.optionOpen {
		m.doubts(unknown)
	}
	if a[uapi.NftaExthdrDreg] == nil {
		m.strips = kind == optionMPTCP && m.packet.option != nil
		return true
	}
	present := kind == optionMPTCP && m.packet.option != nil
	if a.number(uapi.NftaExthdrFlags)&uapi.NftExthdrFPresent != 0 {
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
		m.doubts(unknown)
		return true
	}
	offset, size := a.number(uapi.NftaExthdrOffset), a.number(uapi.NftaExthdrLen)
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

// bitwise masks, flips or shifts (nft_bitwise_eval in net/netfilter/nft_bitwise.c).
func (m *machine) bitwise(a attributes) {
	const operationBool, shiftLeft, shiftRight = 0, 1, 2 // enum nft_bitwise_ops
	from, to, size := a.number(uapi.NftaBitwiseSreg), a.number(uapi.NftaBitwiseDreg), int(a.number(uapi.NftaBitwiseLen))
	b, ok := m.get(from, min(size, registerBytes+1))
	b = bytes.Clone(b)
	m.put(to, nil)
	if !ok || size == 0 {
		return
	}
	switch a.number(uapi.NftaBitwiseOp) {
	case operationBool:
		mask, flip := value(a[uapi.NftaBitwiseMask]), value(a[uapi.NftaBitwiseXor])
		if len(mask) != size || len(flip) != size {
			return
		}
		for i := range b {
			b[i] = b[i]&mask[i] ^ flip[i]
		}
		m.put(to, b)
	case shiftLeft, shiftRight: // of one register: what is longer is rare
		by := value(a[uapi.NftaBitwiseData])
		if size != 4 || len(by) != 4 {
			return
		}
		n := binary.NativeEndian.Uint32(b)
		if a.number(uapi.NftaBitwiseOp) == shiftLeft {
			n <<= binary.NativeEndian.Uint32(by)
		} else {
			n >>= binary.NativeEndian.Uint32(by)
		}
		m.put(to, binary.NativeEndian.AppendUint32(nil, n))
	}
}

// byteorder changes between the host's order of bytes and that of the network, which
// is the same either way (nft_byteorder_eval).
func (m *machine) byteorder(a attributes) {
	size, unit := int(a.number(uapi.NftaByteorderLen)), int(a.number(uapi.NftaByteorderSize))
	b, ok := m.get(a.number(uapi.NftaByteorderSreg), min(size, registerBytes+1))
	b = bytes.Clone(b)
	to := a.number(uapi.NftaByteorderDreg)
	m.put(to, nil)
	if !ok || size == 0 || (unit != 2 && unit != 4 && unit != 8) || size%unit != 0 {
		return
	}
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		for at := 0; at < size; at += unit {
			slices.Reverse(b[at : at+unit])
		}
	}
	m.put(to, b)
}

// fib asks for the route of an address. Known is only that a packet that comes to this
// host goes to one of its addresses.
func (m *machine) fib(a attributes) {
	const resultType, destination, local = 3, 1 << 1, 2 // NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR, RTN_LOCAL
	to := a.number(uapi.NftaFibDreg)
	m.put(to, nil)
	if m.packet.incoming && !m.packet.moved && a.number(uapi.NftaFibResult) == resultType &&
		a.number(uapi.NftaFibFlags)&destination != 0 {
		m.put(to, binary.NativeEndian.AppendUint32(nil, local))
	}
}

// object uses an object that a table has by name.
func (m *machine) object(a attributes) {
	switch a.number(uapi.NftaObjrefImmType) {
	case uapi.NftObjectLimit, uapi.NftObjectQuota, uapi.NftObjectConnlimit:
		m.doubts(limited)
	case uapi.NftObjectCTHelper:
		m.packet.track.helper = true
	case uapi.NftObjectSynproxy:
		m.doubts(unknown)
	case 0: // chosen by a map
		m.doubts(unknown)
	}
}

// synproxy answers a SYN in the place of the host: with the options that it knows,
// without MPTCP (nft_synproxy_eval).
func (m *machine) synproxy() int32 {
	if m.packet.syn() && m.packet.option != nil {
		m.strips = true
	}
	return undecided
}

// compare reports whether the rule may fit.
func (m *machine) compare(a attributes) bool {
	want := value(a[uapi.NftaCmpData])
	is, ok := m.get(a.number(uapi.NftaCmpSreg), len(want))
	if !ok || len(want) == 0 {
		m.doubts(unknown)
		return true
	}
	order := bytes.Compare(is, want)
	switch a.number(uapi.NftaCmpOp) {
	case uapi.NftCmpEq:
		return order == 0
	case uapi.NftCmpNeq:
		return order != 0
	case uapi.NftCmpLt:
		return order < 0
	case uapi.NftCmpLte:
		return order <= 0
	case uapi.NftCmpGt:
		return order > 0
	case uapi.NftCmpGte:
		return order >= 0
	}
	m.doubts(unknown)
	return true
}

// within is compare for a range.
func (m *machine) within(a attributes) bool {
	from, to := value(a[uapi.NftaRangeFromData]), value(a[uapi.NftaRangeToData])
	is, ok := m.get(a.number(uapi.NftaRangeSreg), len(from))
	if !ok || len(from) == 0 || len(from) != len(to) {
		m.doubts(unknown)
		return true
	}
	inside := bytes.Compare(is, from) >= 0 && bytes.Compare(is, to) <= 0
	return inside == (a.number(uapi.NftaRangeOp) == uapi.NftRangeEq)
}

// immediate loads a value, or decides.
func (m *machine) immediate(a attributes) (verdict int32, chain string) {
	if a[uapi.NftaImmediateDreg] == nil {
		m.loseAll()
		return undecided, ""
	}
	return m.load(a.number(uapi.NftaImmediateDreg), a[uapi.NftaImmediateData])
}

// load puts a value, given as attributes, into a register, or decides by the verdict
// that it is.
func (m *machine) load(to uint32, attributes []byte) (verdict int32, chain string) {
	data := attributesOf(attributes)
	if to != uapi.NftRegVerdict {
		m.put(to, data[uapi.NftaDataValue])
		return undecided, ""
	}
	decision := attributesOf(data[uapi.NftaDataVerdict])
	code := decision[uapi.NftaVerdictCode]
	if len(code) != 4 {
		m.loseAll()
		return undecided, ""
	}
	verdict = int32(bigUint32(code))
	if verdict > nfAccept || verdict < nftReturn { // a queue to a program, or what comes later
		m.loseAll()
		return undecided, ""
	}
	return verdict, text(decision[uapi.NftaVerdictChain])
}
