package firewall

import (
	"encoding/binary"

	"mptcpctl/internal/uapi"
)

// Bits of a connection's state (NF_CT_STATE_BIT).
const (
	stateInvalid     = 1 << 0
	stateEstablished = 1 << 1
	stateNew         = 1 << 3
	stateUntracked   = 1 << 6
)

// track is what connection tracking knows of a flow.
type track struct {
	assumed   bool // the flow is taken to be known already
	seen      bool // a packet of the flow was tracked before
	tracked   bool // connection tracking has had this packet
	untracked bool
	chosen    bool // a rule has chosen its zone, before
	open      bool // whether it is tracked is not known
	original  bool // the packet is in the direction of the first one
	state     uint32
	zone      Known[uint16] // that the flow was tracked in
	template  Known[uint16] // that a rule chose for this packet
	mark      Known[uint32]
	helper    bool // a rule has given the flow one
}

// priorityConntrack is that of connection tracking (NF_IP_PRI_CONNTRACK) in prerouting
// and output.
const priorityConntrack = -200

// newTrack returns what is known of a flow of which p is the first packet judged: if it
// is no SYN, the flow is taken to be known already.
func newTrack(p *header) track { return track{assumed: !p.syn()} }

// begins makes the tracking ready for a packet, which nothing has tracked yet.
func (t *track) begins(original bool) {
	t.tracked, t.chosen, t.untracked, t.open = false, false, false, false
	t.original, t.state, t.template = original, stateInvalid, Known[uint16]{Is: true}
}

// tracks is what happens at the priority of connection tracking.
func (t *track) tracks(p *header) {
	t.tracked = true
	switch {
	case t.open:
		t.seen, t.state, t.mark = true, 0, Known[uint32]{}
	case t.untracked:
		t.state = stateUntracked
	case t.assumed:
		t.state = stateEstablished
	case !t.seen && p.syn():
		t.seen, t.state, t.zone = true, stateNew, t.template
		t.mark = Known[uint32]{Is: true}
	case !t.seen && p.answersSYN():
		t.state = stateInvalid // nothing has been seen that it answers
	case !t.seen: // a flow may be taken up in its middle (nf_conntrack_tcp_loose)
		t.seen, t.state, t.zone = true, stateNew, t.template
		t.mark = Known[uint32]{Is: true}
	case t.zone != t.template && t.zone.Is && t.template.Is && p.answersSYN():
		t.state = stateInvalid // the flow is known in another zone only
	case t.zone != t.template:
		t.state = 0 // not known
	default:
		t.state = stateEstablished
	}
}

// mayBeNew reports whether the packet may be the first one of its flow, which rules of NAT
// are asked for.
func (t *track) mayBeNew() bool { return t.state == stateNew || t.state == 0 }

// conntrack loads what connection tracking knows of the packet's flow, or changes it
// (nft_ct_get_eval in net/netfilter/nft_ct.c). It reports whether the rule may fit.
func (m *machine) conntrack(a attributes) bool {
	t, key := &m.packet.track, a.number(uapi.NftaCTKey)
	if a[uapi.NftaCTSreg] != nil {
		m.setConntrack(key, a.number(uapi.NftaCTSreg))
		return true
	}
	to := a.number(uapi.NftaCTDreg)
	m.put(to, nil)
	if key == uapi.NftCTState {
		if t.state != 0 {
			m.put(to, binary.NativeEndian.AppendUint32(nil, t.state))
		}
		return true
	}
	if t.state == stateInvalid || t.state == stateUntracked {
		return false // there is no flow to ask about
	}
	if !t.tracked {
		return true
	}
	switch key {
	case uapi.NftCTDirection:
		direction := byte(1)
		if t.original {
			direction = 0
		}
		if !t.assumed {
			m.put(to, []byte{direction})
		}
	case uapi.NftCTMark:
		if t.mark.Is {
			m.put(to, binary.NativeEndian.AppendUint32(nil, t.mark.Value))
		}
	case uapi.NftCTHelper:
		return t.helper
	case uapi.NftCTL3Protocol:
		m.put(to, []byte{m.packet.protocol})
	case uapi.NftCTProtocol:
		m.put(to, []byte{protocolTCP})
	case uapi.NftCTZone:
		if t.zone.Is {
			m.put(to, binary.NativeEndian.AppendUint16(nil, t.zone.Value))
		}
	}
	return true
}

// setConntrack changes the flow's mark, or the zone that the packet is tracked in
// (nft_ct_set_eval, nft_ct_set_zone_eval).
func (m *machine) setConntrack(key, from uint32) {
	t := &m.packet.track
	switch {
	case key == uapi.NftCTMark && t.tracked:
		b, ok := m.get(from, 4)
		t.mark = Known[uint32]{Is: ok && m.sure()}
		if ok {
			t.mark.Value = binary.NativeEndian.Uint32(b)
		}
	case key == uapi.NftCTZone && !t.tracked && !t.chosen:
		b, ok := m.get(from, 2)
		t.template = Known[uint16]{Is: ok && m.sure()}
		if ok {
			t.template.Value = binary.NativeEndian.Uint16(b)
		}
		t.choose(m.sure())
	}
}

// choose notes that a rule has chosen how to track the packet, which looks like the first
// of a flow from there on, and is tracked whatever later rules say.
func (t *track) choose(sure bool) {
	t.chosen, t.untracked, t.state = true, false, stateNew
	if !sure {
		t.open, t.state = true, 0
	}
}

// notrack takes the packet out of connection tracking.
func (m *machine) notrack() {
	t := &m.packet.track
	switch {
	case t.tracked, t.chosen: // too late
	case !m.sure():
		t.open, t.state = true, 0
	default:
		t.untracked, t.state = true, stateUntracked
	}
}
