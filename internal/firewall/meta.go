package firewall

import (
	"encoding/binary"

	"mptcpctl/internal/uapi"
)

// meta loads a property of the packet that is not in its bytes, or changes one
// (nft_meta_get_eval in net/netfilter/nft_meta.c).
func (m *machine) meta(a attributes) {
	p := m.packet
	if from := a[uapi.NftaMetaSreg]; from != nil {
		if a.number(uapi.NftaMetaKey) == uapi.NftMetaMark {
			b, ok := m.get(a.number(uapi.NftaMetaSreg), 4)
			p.mark = Known[uint32]{Is: ok && m.sure()}
			if ok {
				p.mark.Value = binary.NativeEndian.Uint32(b)
			}
			p.marked = true
		}
		return
	}
	to := a.number(uapi.NftaMetaDreg)
	switch a.number(uapi.NftaMetaKey) {
	case uapi.NftMetaNfproto:
		m.put(to, []byte{p.hookProtocol(m.family)})
	case uapi.NftMetaProtocol:
		const ipv4, ipv6 = 0x0800, 0x86dd // ETH_P_IP, ETH_P_IPV6
		protocol := uint16(ipv4)
		if p.protocol == uapi.NfprotoIPv6 {
			protocol = ipv6
		}
		m.put(to, binary.BigEndian.AppendUint16(nil, protocol))
	case uapi.NftMetaL4proto:
		m.put(to, []byte{protocolTCP})
	case uapi.NftMetaIifname:
		m.put(to, m.name(p.incoming))
	case uapi.NftMetaOifname:
		m.put(to, m.name(!p.incoming))
	case uapi.NftMetaIif:
		m.put(to, m.index(p.incoming))
	case uapi.NftMetaOif:
		m.put(to, m.index(!p.incoming))
	case uapi.NftMetaMark:
		m.put(to, nil)
		if p.mark.Is {
			m.put(to, binary.NativeEndian.AppendUint32(nil, p.mark.Value))
		}
	case uapi.NftMetaPkttype:
		m.put(to, nil)
		if p.incoming {
			m.put(to, []byte{0}) // PACKET_HOST: it is for this host
		}
	default:
		m.put(to, nil)
	}
}

// name returns the name of the packet's device, where it has passed one on that
// side; nil where it is not known.
func (m *machine) name(is bool) []byte {
	b := make([]byte, nameSize)
	device := m.packet.device
	if m.device != "" {
		device = m.device
	}
	switch {
	case is && device == "":
		return nil
	case is:
		copy(b, device)
	}
	return b
}

// index is name for the device's number.
func (m *machine) index(is bool) []byte {
	const loopback = 1 // in every namespace
	switch number := m.packet.index; {
	case !is:
		return make([]byte, 4)
	case m.device != "" && m.device != m.packet.device, number == 0 && m.packet.device != "lo":
		return nil
	case m.packet.device == "lo":
		return binary.NativeEndian.AppendUint32(nil, loopback)
	default:
		return binary.NativeEndian.AppendUint32(nil, uint32(number))
	}
}

// hookProtocol is the protocol that a hook says it is of.
func (h *header) hookProtocol(family string) byte {
	switch family {
	case "netdev":
		return uapi.NfprotoNetdev
	case "bridge":
		return uapi.NfprotoBridge
	}
	return h.protocol
}
