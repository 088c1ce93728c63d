package firewall

import (
	"encoding/binary"

	"mptcpctl/internal/uapi"
)

// match is a match of iptables. It reports whether the rule may fit.
func (m *machine) match(a attributes) bool {
	info := a[uapi.NftaMatchInfo]
	switch name := text(a[uapi.NftaMatchName]); {
	case name == "comment":
		return true
	case name == "tcp" && len(info) >= 12:
		return m.matchTCP(info)
	case name == "multiport" && len(info) >= 48:
		return m.matchPorts(info)
	case name == "mark" && len(info) >= 9:
		return m.matchMark(info)
	case name == "state" && len(info) >= 4: // struct xt_state_info
		return m.inState(binary.NativeEndian.Uint32(info), false)
	case name == "conntrack" && len(info) >= 156:
		return m.matchConntrack(info)
	case name == "limit", name == "hashlimit", name == "connlimit", name == "quota":
		m.doubts(limited)
	default:
		m.doubts(unknown)
	}
	return true
}

// matchPorts is struct xt_multiport_v1.
func (m *machine) matchPorts(info []byte) bool {
	const source, destination, either = 0, 1, 2
	sport, dport := m.packet.transport.at(0, 2), m.packet.transport.at(2, 2)
	if sport == nil && info[0] != destination || dport == nil && info[0] != source {
		m.doubts(unknown)
		return true
	}
	inside := func(is []byte) bool {
		n := binary.BigEndian.Uint16(is)
		for i := 0; i < int(min(info[1], 15)); i++ {
			low := binary.NativeEndian.Uint16(info[2+2*i:])
			high := low
			if info[32+i] != 0 && i+1 < 15 { // a range, whose end is the next one
				i++
				high = binary.NativeEndian.Uint16(info[2+2*i:])
			}
			if low <= n && n <= high {
				return true
			}
		}
		return false
	}
	fits := false
	switch info[0] {
	case source:
		fits = inside(sport)
	case destination:
		fits = inside(dport)
	case either:
		fits = inside(sport) || inside(dport)
	}
	return fits != (info[47] != 0)
}

// matchMark is struct xt_mark_mtinfo1.
func (m *machine) matchMark(info []byte) bool {
	if !m.packet.mark.Is {
		m.doubts(unknown)
		return true
	}
	mark, mask := binary.NativeEndian.Uint32(info), binary.NativeEndian.Uint32(info[4:])
	return (m.packet.mark.Value&mask == mark) != (info[8] != 0)
}

// matchConntrack is struct xt_conntrack_mtinfo2 or 3, as far as it is about the state.
func (m *machine) matchConntrack(info []byte) bool {
	const state = 1 // XT_CONNTRACK_STATE
	flags, inverted := binary.NativeEndian.Uint16(info[146:]), binary.NativeEndian.Uint16(info[148:])
	if flags&state != 0 && !m.inState(uint32(binary.NativeEndian.Uint16(info[150:])), inverted&state != 0) {
		return false
	}
	if flags&^state != 0 {
		m.doubts(unknown)
	}
	return true
}

// inState reports whether the state that connection tracking gives the packet is one of
// those, in the bits of iptables.
func (m *machine) inState(states uint32, inverted bool) bool {
	const untracked = 1 << 8 // XT_CONNTRACK_STATE_UNTRACKED
	is := m.packet.track.state
	switch is {
	case 0:
		m.doubts(unknown)
		return true
	case stateUntracked:
		is = untracked
	}
	return (is&states != 0) != inverted
}

// matchTCP is struct xt_tcp.
func (m *machine) matchTCP(info []byte) bool {
	const invertSource, invertDestination, invertFlags, invertOption = 1, 2, 4, 8
	port := func(low, high, is []byte, invert byte) bool {
		n := binary.BigEndian.Uint16(is)
		inside := binary.NativeEndian.Uint16(low) <= n && n <= binary.NativeEndian.Uint16(high)
		return inside != (info[11]&invert != 0)
	}
	tcp := m.packet.transport.bytes
	open := func(at int, low, high []byte) bool { // the port counts, and is not known
		any := binary.NativeEndian.Uint16(low) == 0 && binary.NativeEndian.Uint16(high) == 0xffff
		return !m.packet.transport.known[at] && !any
	}
	if open(0, info[0:], info[2:]) || open(2, info[4:], info[6:]) {
		m.doubts(unknown)
		return true
	}
	switch {
	case !port(info[0:], info[2:], tcp[0:], invertSource), !port(info[4:], info[6:], tcp[2:], invertDestination),
		(tcp[13]&info[9] == info[10]) == (info[11]&invertFlags != 0):
		return false
	case info[8] == optionMPTCP:
		m.mptcp = true
		return (m.packet.option != nil) != (info[11]&invertOption != 0)
	case info[8] != 0:
		m.doubts(unknown)
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
	case "SYNPROXY":
		return m.synproxy(), ""
	case "MARK": // struct xt_mark_tginfo2
		if len(info) >= 8 {
			p, to, mask := m.packet, binary.NativeEndian.Uint32(info), binary.NativeEndian.Uint32(info[4:])
			p.mark = Known[uint32]{Value: p.mark.Value&^mask ^ to, Is: m.sure() && (p.mark.Is || mask == 1<<32-1)}
			p.marked = true
		}
	case "CONNMARK":
		m.packet.mark, m.packet.marked = Known[uint32]{}, true
		m.packet.track.mark = Known[uint32]{}
	case "CT": // struct xt_ct_target_info
		const notrack = 1 // XT_CT_NOTRACK
		switch {
		case len(info) >= 4 && binary.NativeEndian.Uint16(info)&notrack != 0:
			m.notrack()
		case len(info) >= 4 && !m.packet.track.tracked:
			m.packet.track.template = Known[uint16]{Value: binary.NativeEndian.Uint16(info[2:]), Is: m.sure()}
			m.packet.track.choose(m.sure())
		}
	case "MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP":
		m.packet.moved = true
		return nfAccept, ""
	case "LOG",
		"NFLOG",
		"TCPMSS",
		"CLASSIFY",
		"DSCP",
		"TTL",
		"CHECKSUM",
		"TRACE",
		"SECMARK",
		"CONNSECMARK":
	default:
		m.loseAll()
	}
	return undecided, ""
}
