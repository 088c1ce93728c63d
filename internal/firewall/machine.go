package firewall

import (
	"encoding/binary"
	"net/netip"

	"mptcpctl/internal/uapi"
)

// header is a packet in the bytes that rules look at.
type header struct {
	protocol   byte // NFPROTO_*
	incoming   bool
	device     string
	index      int
	below      []string
	network    region
	transport  region
	option     []byte // that of kind 30, with kind and length; nil for none
	optionOpen bool   // a rule may have taken it out
	mark       Known[uint32]
	marked     bool // a rule has set the mark, by which routes may be looked up anew
	moved      bool // addresses may have been translated
	track      track
}

const (
	protocolTCP = 6  // IPPROTO_TCP
	nameSize    = 16 // IFNAMSIZ
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
	h := &header{incoming: p.Incoming, device: p.Device, index: p.Index, below: p.Below, mark: p.Mark}
	if p.Incoming {
		h.mark = Known[uint32]{Is: true} // none, until a rule sets one
	}
	src, dst := p.Source.Addr().Unmap().WithZone(""), p.Destination.Addr().Unmap().WithZone("")
	if (src.Is4() || !src.IsValid()) && (dst.Is4() || !dst.IsValid()) {
		h.protocol, h.network = uapi.NfprotoIPv4, newRegion(20)
		h.network.set(9, protocolTCP)
		h.network.set(12, src.AsSlice()...)
		h.network.set(16, dst.AsSlice()...)
	} else {
		h.protocol, h.network = uapi.NfprotoIPv6, newRegion(40)
		h.network.set(6, protocolTCP)
		h.network.set(8, wide(src)...)
		h.network.set(24, wide(dst)...)
	}
	h.transport = newRegion(20)
	if n := p.Source.Port(); n != 0 {
		h.transport.set(0, binary.BigEndian.AppendUint16(nil, n)...)
	}
	if n := p.Destination.Port(); n != 0 {
		h.transport.set(2, binary.BigEndian.AppendUint16(nil, n)...)
	}
	h.transport.set(13, p.Flags)
	if p.MPTCP != nil {
		h.option = append([]byte{optionMPTCP, byte(len(p.MPTCP) + 2)}, p.MPTCP...)
	}
	return h
}

// wide returns an address as IPv6 has it, nil for the zero address.
func wide(a netip.Addr) []byte {
	if !a.IsValid() {
		return nil
	}
	b := a.As16()
	return b[:]
}

func (h *header) flags() byte      { return h.transport.bytes[13] & (FlagSYN | FlagACK) }
func (h *header) syn() bool        { return h.flags() == FlagSYN }
func (h *header) answersSYN() bool { return h.flags() == FlagSYN|FlagACK }

// translate makes addresses and ports unknown, which a rule may have replaced.
func (h *header) translate() {
	clear(h.network.known)
	if h.protocol == uapi.NfprotoIPv4 {
		h.network.set(9, protocolTCP)
	} else {
		h.network.set(6, protocolTCP)
	}
	for i := range 4 {
		h.transport.known[i] = false
	}
}

// optionMPTCP is the kind of MPTCP's TCP options.
const optionMPTCP = 30

// registerBytes is how many bytes the registers of nf_tables have.
const registerBytes = 64

// doubt is why it is open whether a rule fits.
type doubt byte

const (
	none    doubt = iota
	limited       // by a limit alone
	unknown
)

// machine does the expressions of one rule. What it does not know makes the rule
// one that may fit.
type machine struct {
	packet  *header
	sets    *Firewall
	family  string // of the rule's table
	table   string
	device  string // of the chain, in the hooks of a device
	reached bool   // the packet surely comes to the rule
	values  [registerBytes]byte
	known   [registerBytes]bool

	doubt   doubt // why the rule may or may not fit
	mptcp   bool  // the rule looks at option 30
	strips  bool  // the last expression takes option 30 out
	rejects bool  // the verdict is to reject
	puzzled bool  // an expression that is not known may do anything
}

// sure reports whether what the rule does now happens.
func (m *machine) sure() bool { return m.reached && m.doubt == none }

// doubts notes that something open was asked.
func (m *machine) doubts(why doubt) { m.doubt = max(m.doubt, why) }

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
		fits = m.conntrack(a)
	case "lookup":
		return m.lookup(a)
	case "byteorder":
		m.byteorder(a)
	case "fib":
		m.fib(a)
	case "limit", "connlimit", "quota":
		m.doubts(limited)
	case "dynset":
		if a[uapi.NftaDynsetExpr] != nil || a[uapi.NftaDynsetExprs] != nil {
			m.doubts(limited)
		}
	case "objref":
		m.object(a)
	case "synproxy":
		return m.synproxy(), ""
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
	case "masq", "nat", "redir":
		m.packet.moved = true
		return nfAccept, "" // what nf_nat_setup_info returns
	case "notrack":
		m.notrack()
	case "fwd": // to another device, for good
		return nfDrop, ""
	case "counter", "log", "last", "tproxy", "dup", "flow_offload":
		// They decide nothing about whether the packet goes on as TCP.
	default:
		m.loseAll() // other lookups
	}
	if !fits {
		return nftBreak, ""
	}
	return undecided, ""
}

// loseAll makes what follows uncertain.
func (m *machine) loseAll() {
	m.known = [registerBytes]bool{}
	m.doubts(unknown)
	m.puzzled = true
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
	padded := (len(value) + registerSize - 1) / registerSize * registerSize
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

func (m *machine) payload(a attributes) {
	if a[uapi.NftaPayloadSreg] != nil {
		m.write(a)
		return
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

// write replaces bytes of the packet by those of a register.
func (m *machine) write(a attributes) {
	offset, size := a.number(uapi.NftaPayloadOffset), a.number(uapi.NftaPayloadLen)
	header := &m.packet.network
	switch a.number(uapi.NftaPayloadBase) {
	case uapi.NftPayloadNetworkHeader:
	case uapi.NftPayloadTransportHeader:
		header = &m.packet.transport
	default:
		return
	}
	b, ok := m.get(a.number(uapi.NftaPayloadSreg), int(min(size, registerBytes+1)))
	for i := range b {
		at := int(offset) + i
		if at >= len(header.bytes) {
			return
		}
		header.bytes[at], header.known[at] = b[i], ok && m.sure()
	}
	if !ok {
		clear(header.known[min(int(offset), len(header.known)):min(int(offset)+int(size), len(header.known))])
	}
}
