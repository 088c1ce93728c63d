package sockdiag

import (
	"encoding/binary"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// States is a set of socket states: the bit of a state is 1 << its number.
type States uint32

// AllStates is the set of all states.
const AllStates States = 1<<(mptcp.StateNewSynRecv+1) - 1

// StatesOf returns the set of these states.
func StatesOf(states ...mptcp.SocketState) States {
	var set States
	for _, s := range states {
		set |= 1 << s
	}
	return set
}

// Request says which sockets a list is to hold. All conditions apply, and the
// kernel does the choosing: what it leaves out costs next to nothing. The zero
// value asks for all connections, or subflows, that are not listeners.
type Request struct {
	States     States       // 0: every state but listening
	Family     mptcp.Family // of the socket; 0: both
	LocalPort  uint16       // 0: any
	RemotePort uint16       // 0: any
	Match      []Match      // sockets that satisfy one of these; empty: all
	NoInfo     bool         // leave Info, or TCP, MPTCP and ULP, empty: less than half the cost. Without AllTCP, Subflows does not heed it: it could not tell subflows from other sockets
	AllTCP     bool         // Subflows only: also sockets that are not known to be subflows

	// Brief asks Subflows for no more than a list without details shows: Family, State,
	// Local, Remote, Mapped and IfIndex, TokenLocal, the ids and Flags, of TCP RTTMicros,
	// RTTVarMicros, Cwnd, Backoff, LastAckRecvMS, and the bytes sent, received and
	// retransmitted.
	// Other fields may be zero.
	Brief bool
	// Expected is about how many subflows there are. With Brief, no condition above and
	// no tap, many are read by a BPF program instead of dumped, for a third of the cost,
	// where that is allowed (CAP_BPF and CAP_PERFMON, Linux 5.9 with BTF). It proves
	// itself on the running kernel before it is believed.
	Expected int
}

// query is a request as the kernel takes it.
type query struct {
	op       string
	protocol uint32
	states   States
	ext      uint8
	families []mptcp.Family // to be dumped one after the other
	ports    Socket
	bytecode []byte
}

// newQuery turns a request, which may be nil, into what the kernel takes.
func newQuery(op string, protocol uint32, r *Request) *query {
	q := &query{
		op: op, protocol: protocol,
		states:   AllStates &^ (1 << mptcp.StateListen),
		ext:      1 << (uapi.InetDiagInfo - 1),
		families: []mptcp.Family{mptcp.FamilyINET, mptcp.FamilyINET6},
	}
	if protocol == unix.IPPROTO_TCP {
		q.families = []mptcp.Family{bothFamilies}
	}
	if r == nil {
		return q
	}
	if r.States != 0 {
		q.states = r.States
	}
	if r.Family != 0 {
		q.families = []mptcp.Family{r.Family}
	}
	if r.NoInfo {
		q.ext = 0
	}
	q.ports.Local = portOnly(r.LocalPort)
	q.ports.Remote = portOnly(r.RemotePort)
	q.bytecode = appendBytecode(nil, r.Match)
	return q
}

// bothFamilies is AF_UNSPEC. The kernel then walks its table of sockets once and not
// twice, and half of the walk is looking at each socket: but only the older request,
// which knows TCP alone, may ask so.
const bothFamilies mptcp.Family = unix.AF_UNSPEC

// appendRequest appends a netlink message with a struct inet_diag_req_v2 that is
// about the socket id, or about all of its family and ports. A protocol that does
// not fit the structure's 8 bits travels as an attribute too: without that, the
// kernel would take MPTCP, 262, for TCP, 6.
func appendRequest(b []byte, typ, flags uint16, seq uint32, q *query, id *Socket) []byte {
	start := len(b)
	ne := binary.NativeEndian
	b = nlmsg.AppendHeader(b, typ, flags, seq)
	b = append(b, uint8(id.Family), uint8(q.protocol), q.ext, 0)
	b = ne.AppendUint32(b, uint32(q.states))
	b = appendSockID(b, id)
	if len(q.bytecode) > 0 {
		b = nlmsg.AppendAttribute(b, uapi.InetDiagReqBytecode, q.bytecode...)
	}
	if q.protocol > 0xff {
		b = nlmsg.AppendAttribute(b, uapi.InetDiagReqProtocol, ne.AppendUint32(make([]byte, 0, 4), q.protocol)...)
	}
	nlmsg.SetLength(b[start:])
	return b
}

// appendDump appends the request for a dump of q.
func appendDump(b []byte, seq uint32, q *query, family mptcp.Family) []byte {
	id := q.ports
	id.Family = family
	if family != bothFamilies {
		return appendRequest(b, uapi.SockDiagByFamily, nlmsg.FlagRequest|nlmsg.FlagDump, seq, q, &id)
	}
	start := len(b)
	ne := binary.NativeEndian
	b = nlmsg.AppendHeader(b, uapi.TCPDiagGetSock, nlmsg.FlagRequest|nlmsg.FlagDump, seq)
	b = append(b, uint8(family), 0, 0, q.ext)
	b = appendSockID(b, &id)
	b = ne.AppendUint32(b, uint32(q.states))
	b = ne.AppendUint32(b, 0) // tables; of no meaning
	if len(q.bytecode) > 0 {
		b = nlmsg.AppendAttribute(b, uapi.InetDiagReqBytecode, q.bytecode...)
	}
	nlmsg.SetLength(b[start:])
	return b
}
