package firewall

import (
	"bytes"
	"encoding/binary"

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
		m.maybe = true
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

// conntrack loads the state of the connection: nothing else is known of it.
func (m *machine) conntrack(a attributes) {
	if a[uapi.NftaCTSreg] != nil {
		return // it writes
	}
	to := a.number(uapi.NftaCTDreg)
	if a.number(uapi.NftaCTKey) == uapi.NftCTState {
		m.put(to, binary.NativeEndian.AppendUint32(nil, m.packet.state))
		return
	}
	m.put(to, nil)
}

func (m *machine) bitwise(a attributes) {
	const operationBool = 0 // NFT_BITWISE_BOOL
	from, to, size := a.number(uapi.NftaBitwiseSreg), a.number(uapi.NftaBitwiseDreg), int(a.number(uapi.NftaBitwiseLen))
	mask, flip := value(a[uapi.NftaBitwiseMask]), value(a[uapi.NftaBitwiseXor])
	b, ok := m.get(from, min(size, registerBytes+1))
	if !ok || len(mask) != size || len(flip) != size || a.number(uapi.NftaBitwiseOp) != operationBool {
		m.put(to, nil)
		return
	}
	result := bytes.Clone(b)
	for i := range result {
		result[i] = result[i]&mask[i] ^ flip[i]
	}
	m.put(to, result)
}

// compare reports whether the rule may fit.
func (m *machine) compare(a attributes) bool {
	want := value(a[uapi.NftaCmpData])
	is, ok := m.get(a.number(uapi.NftaCmpSreg), len(want))
	if !ok || len(want) == 0 {
		m.maybe = true
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
	m.maybe = true
	return true
}

// within is compare for a range.
func (m *machine) within(a attributes) bool {
	from, to := value(a[uapi.NftaRangeFromData]), value(a[uapi.NftaRangeToData])
	is, ok := m.get(a.number(uapi.NftaRangeSreg), len(from))
	if !ok || len(from) == 0 || len(from) != len(to) {
		m.maybe = true
		return true
	}
	inside := bytes.Compare(is, from) >= 0 && bytes.Compare(is, to) <= 0
	return inside == (a.number(uapi.NftaRangeOp) == uapi.NftRangeEq)
}

// immediate loads a value, or decides.
func (m *machine) immediate(a attributes) (verdict int32, chain string) {
	to := a.number(uapi.NftaImmediateDreg)
	data := attributesOf(a[uapi.NftaImmediateData])
	if to != uapi.NftRegVerdict || a[uapi.NftaImmediateDreg] == nil {
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

// match is a match of iptables: that of TCP is known.
func (m *machine) match(a attributes) bool {
	info := a[uapi.NftaMatchInfo]
	switch name := text(a[uapi.NftaMatchName]); {
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
	info := a[uapi.NftaTargetInfo]
	switch text(a[uapi.NftaTargetName]) {
	case "REJECT":
		m.rejects = true
		return nfDrop, ""
	case "TCPOPTSTRIP": // struct xt_tcpoptstrip_target_info: a bit for each kind
		if len(info) >= 4 && binary.NativeEndian.Uint32(info)&(1<<optionMPTCP) != 0 {
			m.mptcp, m.strips = true, m.packet.option != nil
		}
	case "LOG",
		"NFLOG",
		"MARK",
		"CONNMARK",
		"TCPMSS",
		"CT",
		"CLASSIFY",
		"DSCP",
		"TTL",
		"CHECKSUM",
		"TRACE",
		"SECMARK",
		"CONNSECMARK",
		"MASQUERADE",
		"SNAT",
		"DNAT",
		"REDIRECT",
		"NETMAP":
	default:
		m.loseAll()
	}
	return undecided, ""
}
