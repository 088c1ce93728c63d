package firewall

import (
	"encoding/binary"

	"mptcpctl/internal/uapi"
)

// header is a packet in the bytes that rules look at.
type header struct {
	protocol  byte // NFPROTO_*
	incoming  bool
	device    string
	network   region
	transport region
	option    []byte // that of kind 30, with kind and length; nil for none
	state     uint32 // of connection tracking, as a bit
}

const (
	protocolTCP = 6  // IPPROTO_TCP
	nameSize    = 16 // IFNAMSIZ
)

// Bits of a connection's state (NF_CT_STATE_BIT).
const (
	stateEstablished = 1 << 1
	stateNew         = 1 << 3
)

// region is a header of a packet, with the bytes of it that are known: not lengths,
// checksums and sequence numbers.
type region struct {
	bytes []byte
	known []bool
}

func newRegion(size int) region { return region{make([]byte, size), make([]bool, size)} }

func (r *region) set(at int, value ...byte) {
	copy(r.bytes[at:], value)
	for i := range value {
		r.known[at+i] = true
	}
}

// at returns bytes of the header, nil where they are not all known.
func (r *region) at(offset, size uint32) []byte {
	end := uint64(offset) + uint64(size)
	if size == 0 || end > uint64(len(r.bytes)) {
		return nil
	}
	for i := uint64(offset); i < end; i++ {
		if !r.known[i] {
			return nil
		}
	}
	return r.bytes[offset:end]
}

func newHeader(p *Packet) *header {
	h := &header{incoming: p.Incoming, device: p.Device, state: stateEstablished}
	if p.Flags&(FlagSYN|FlagACK) == FlagSYN {
		h.state = stateNew
	}
	src, dst := p.Source.Addr().Unmap().WithZone(""), p.Destination.Addr().Unmap().WithZone("")
	if src.Is4() && dst.Is4() {
		h.protocol, h.network = uapi.NfprotoIPv4, newRegion(20)
		h.network.set(9, protocolTCP)
		h.network.set(12, src.AsSlice()...)
		h.network.set(16, dst.AsSlice()...)
	} else {
		from, to := src.As16(), dst.As16()
		h.protocol, h.network = uapi.NfprotoIPv6, newRegion(40)
		h.network.set(6, protocolTCP)
		h.network.set(8, from[:]...)
		h.network.set(24, to[:]...)
	}
	h.transport = newRegion(20)
	h.transport.set(0, binary.BigEndian.AppendUint16(nil, p.Source.Port())...)
	h.transport.set(2, binary.BigEndian.AppendUint16(nil, p.Destination.Port())...)
	h.transport.set(13, p.Flags)
	if p.MPTCP != nil {
		h.option = append([]byte{optionMPTCP, byte(len(p.MPTCP) + 2)}, p.MPTCP...)
	}
	return h
}

// optionMPTCP is the kind of MPTCP's TCP options.
const optionMPTCP = 30

// registerBytes is how many bytes the registers of nf_tables have.
const registerBytes = 64

// machine does the expressions of one rule. What it does not know makes the rule
// one that may fit.
type machine struct {
	packet *header
	values [registerBytes]byte
	known  [registerBytes]bool

	maybe   bool // something unknown was compared: the rule may fit or not
	mptcp   bool // the rule looks at option 30
	strips  bool // the last expression takes option 30 out
	rejects bool // the verdict is to reject
	puzzled bool // an expression that is not known may do anything
}

// step does one expression. The verdict is undecided to go on, and nftBreak where
// the rule does not fit.
func (m *machine) step(e *Expression) (verdict int32, chain string) {
	a := attributesOf(e.Data)
	fits := true
	switch e.Name {
	case "meta":
		m.meta(a)
	case "payload":
		m.payload(a)
	case "exthdr":
		fits = m.exthdr(a)
	case "ct":
		m.conntrack(a)
	case "bitwise":
		m.bitwise(a)
	case "cmp":
		fits = m.compare(a)
	case "range":
		fits = m.within(a)
	case "immediate":
		return m.immediate(a)
	case "reject":
		m.rejects = true
		return nfDrop, ""
	case "match":
		fits = m.match(a)
	case "target":
		return m.target(a)
	case "masq", "nat", "redir", "notrack", "counter", "log", "last", "tproxy", "dup":
		// They decide nothing about whether the packet goes on as TCP.
	default:
		m.loseAll() // sets, limits, other lookups
	}
	if !fits {
		return nftBreak, ""
	}
	return undecided, ""
}

// loseAll makes what follows uncertain.
func (m *machine) loseAll() {
	m.known = [registerBytes]bool{}
	m.maybe, m.puzzled = true, true
}

// register returns where a register begins: those of 16 bytes have the numbers 1 to
// 4, those of 4 bytes 8 to 23.
func register(number uint32) (int, bool) {
	switch {
	case number >= uapi.NftReg1 && number <= uapi.NftReg4:
		return int(number-uapi.NftReg1) * 16, true
	case number >= uapi.NftReg3200 && number <= uapi.NftReg3215:
		return int(number-uapi.NftReg3200) * 4, true
	}
	return 0, false
}

// put loads a register; nil makes it unknown.
func (m *machine) put(number uint32, value []byte) {
	at, ok := register(number)
	if !ok || at+len(value) > registerBytes {
		return
	}
	if value == nil {
		for i := at; i < min(at+16, registerBytes); i++ {
			m.known[i] = false
		}
		return
	}
	padded := (len(value) + 3) &^ 3
	for i := range padded {
		m.values[at+i], m.known[at+i] = 0, true
	}
	copy(m.values[at:], value)
}

// get returns so many bytes of a register, and whether they are known.
func (m *machine) get(number uint32, size int) ([]byte, bool) {
	at, ok := register(number)
	if !ok || at+size > registerBytes {
		return nil, false
	}
	for i := at; i < at+size; i++ {
		if !m.known[i] {
			return nil, false
		}
	}
	return m.values[at : at+size], true
}

func (m *machine) meta(a attributes) {
	to := a.number(uapi.NftaMetaDreg)
	p := m.packet
	name := func(is bool) []byte {
		b := make([]byte, nameSize)
		switch {
		case is && p.device == "":
			return nil
		case is:
			copy(b, p.device)
		}
		return b
	}
	switch a.number(uapi.NftaMetaKey) {
	case uapi.NftMetaNfproto:
		m.put(to, []byte{p.protocol})
	case uapi.NftMetaL4proto:
		m.put(to, []byte{protocolTCP})
	case uapi.NftMetaIifname:
		m.put(to, name(p.incoming))
	case uapi.NftMetaOifname:
		m.put(to, name(!p.incoming))
	default:
		m.put(to, nil)
	}
}

func (m *machine) payload(a attributes) {
	if a[uapi.NftaPayloadSreg] != nil {
		return // it writes
	}
	to, offset, size := a.number(uapi.NftaPayloadDreg), a.number(uapi.NftaPayloadOffset), a.number(uapi.NftaPayloadLen)
	switch a.number(uapi.NftaPayloadBase) {
	case uapi.NftPayloadNetworkHeader:
		m.put(to, m.packet.network.at(offset, size))
	case uapi.NftPayloadTransportHeader:
		m.put(to, m.packet.transport.at(offset, size))
	default:
		m.put(to, nil)
	}
}
