package sockdiag

import (
	"encoding/binary"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// States is a set of socket states. The bit of a state is 1 << its number.
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

// Request says which sockets to list. All its conditions must hold. The kernel filters, so
// a socket that is left out costs next to nothing. The zero value asks for all connections,
// or subflows, that are not listeners.
type Request struct {
	States     States       // 0: every state but listening
	Family     mptcp.Family // of the socket; 0: both
	LocalPort  uint16       // 0: any
	RemotePort uint16       // 0: any
	Match      []Match      // sockets that satisfy one of these; empty: all
	AllTCP     bool         // Subflows only: also sockets that are not known to be subflows

	// NoInfo leaves Info, or TCP, MPTCP and ULP, empty, for less than half the cost.
	// Subflows heeds it only with AllTCP, because it could not tell subflows from other
	// sockets otherwise.
	NoInfo bool

	// Brief asks Subflows only for what a list without details shows: Family, State, Local,
	// Remote, Mapped and IfIndex; TokenLocal, the ids and Flags; of TCP RTTMicros,
	// RTTVarMicros, Cwnd, Backoff, Unacked, LastAckRecvMS, and the bytes sent, received
	// and retransmitted. Other fields may be zero.
	Brief bool
	// Expected is about how many subflows there are. With Brief, none of the conditions
	// above and no tap, a BPF program reads many subflows for a third of the cost of a dump,
	// if it is allowed (CAP_BPF and CAP_PERFMON, Linux 5.9 with BTF).
	Expected int
}

// query is a request in the kernel's terms.
type query struct {
	op       string
	protocol uint32
	states   States
	ext      uint8
	families []mptcp.Family // to be dumped one after the other
	ports    Socket
	bytecode []byte
}

// newQuery returns the query for a request, which may be nil.
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

// bothFamilies is AF_UNSPEC, with which the kernel walks its table of sockets once instead
// of twice. Only the older request (TCPDIAG_GETSOCK), which knows nothing but TCP, takes it.
const bothFamilies mptcp.Family = unix.AF_UNSPEC

// appendRequest appends a netlink message with a struct inet_diag_req_v2 about the socket
// id, or about all sockets of its family and ports. A protocol that does not fit into the
// structure's 8 bits is in an attribute as well; without that, the kernel would take
// MPTCP, 262, for TCP, 6.
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
	b = ne.AppendUint32(b, 0) // idiag_dbs, which the kernel ignores
	if len(q.bytecode) > 0 {
		b = nlmsg.AppendAttribute(b, uapi.InetDiagReqBytecode, q.bytecode...)
	}
	nlmsg.SetLength(b[start:])
	return b
}
